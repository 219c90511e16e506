"""The playbooks on a real Debian: its own dpkg and apt, behind a real sshd, with three archives of its own."""

import os
import time

import pytest

from tests.providers.real_hosts import APT_BASE, KeyPair, RealHost, base, wait_for
from workspaces.providers.errors import Permanent, Temporary

pytestmark = [
    pytest.mark.xdist_group("real_hosts"),
    pytest.mark.timeout(600),  # the first run builds the base
    # pexpect forks a terminal; under pytest-xdist every process has a second thread.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of forkpty:DeprecationWarning"),
]

LABELS = {"stable": "Debian", "stable-updates": "Debian", "stable-security": "Debian-Security"}


class Debian(RealHost):
    """A host with the archives stable, stable-updates and stable-security, empty at first."""

    def __enter__(self):
        super().__enter__()
        for archive in LABELS:
            self.publish(archive)
        return self

    def package(self, name, version, *, files=(), **fields):
        """Build a package; `fields` are those of its control file, or scripts ("postinst"). Returns its path."""
        tree = f"build/{name}_{version}"
        scripts = {key: fields.pop(key) for key in ("preinst", "postinst", "conffiles") if key in fields}
        control = {"Package": name, "Version": version, "Architecture": "all", "Maintainer": "Loopback <l@example>"}
        lines = [f"{key}: {value}\n" for key, value in {**control, "Description": name, **fields}.items()]
        self.write(f"{tree}/DEBIAN/control", "".join(lines))
        for script, text in scripts.items():
            self.write(f"{tree}/DEBIAN/{script}", text, 0o644 if script == "conffiles" else 0o755)
        for file, text in dict(files).items():
            self.write(f"{tree}/{file}", text, 0o755 if "/bin/" in file else 0o644)
        self.run("dpkg-deb", "-Znone", "--root-owner-group", "--build", f"/{tree}", f"/{tree}.deb")
        return f"/{tree}.deb"

    def publish(self, archive, *packages, label=None, folder=None):
        """Put packages into an archive and sign nothing: the sources say that it is trusted."""
        folder = f"/srv/{folder or archive}"
        release = {"Suite": archive, "Codename": archive.replace("stable", "trixie"), "Label": label or LABELS[archive]}
        options = [f"-o=APT::FTPArchive::Release::{name}={value}" for name, value in release.items()]
        self.run("mkdir", "-p", folder)
        for package in packages:
            self.run("cp", package, folder)
        index = f"rm -f Release; apt-ftparchive packages . > Packages; apt-ftparchive {' '.join(options)} release . > R"
        self.run("sh", "-c", f"cd {folder} && {index} && mv R Release")
        name = folder.removeprefix("/srv/").replace("/", "-")
        self.write(f"etc/apt/sources.list.d/{name}.list", f"deb [trusted=yes] file:{folder} ./\n")

    def install(self, *packages):
        """Install package files, by dpkg itself."""
        self.run("dpkg", "--install", *packages)

    def versions(self, *names):
        """The installed version of each package."""
        lines = self.run("dpkg-query", "-W", "-f", "${Package} ${Version} ${Status}\\n", *names).splitlines()
        assert all(line.endswith(" ok installed") for line in lines), lines
        return {line.split()[0]: line.split()[1] for line in lines}


@pytest.fixture(scope="module")
def keys():
    return KeyPair.new()


@pytest.fixture
def host(keys):
    with Debian(base(APT_BASE), keys) as host:
        yield host


def test_updates_are_installed_held_packages_are_not_and_a_second_run_changes_nothing(host):
    host.install(host.package("ledgerd", "1.0"), host.package("kubelet", "1.35.4-1.1"), host.package("rates", "2.0-1"))
    host.run("apt-mark", "auto", "rates")
    host.run("apt-mark", "hold", "kubelet")
    host.publish("stable", host.package("ledgerd", "1.1", Depends="libledger"), host.package("libledger", "1.1"))
    host.publish("stable-security", host.package("rates", "2.0-1+deb13u1"), host.package("kubelet", "1.35.7-1.1"))

    first = host.play("os_update")
    assert host.versions("ledgerd", "libledger", "rates", "kubelet") == {
        "ledgerd": "1.1",
        "libledger": "1.1",
        "rates": "2.0-1+deb13u1",
        "kubelet": "1.35.4-1.1",
    }
    assert first.changed == 1
    assert "os_update: Install the updates: changed" in host.lines
    assert sorted(first.facts.pop("installed"), key=lambda update: update["package"]) == [
        {"package": "ledgerd", "from": "1.0", "to": "1.1", "security": False},
        {"package": "libledger", "from": "", "to": "1.1", "security": False},
        {"package": "rates", "from": "2.0-1", "to": "2.0-1+deb13u1", "security": True},
    ]
    assert first.facts == {
        "os": host.release()["PRETTY_NAME"],
        "held": ["kubelet"],
        "repositories_failed": [],
        "security_metadata": True,
        "reboot_required": False,
        "reboot_packages": [],
        "boot_id": host.path("proc/sys/kernel/random/boot_id").read_text().strip(),
    }
    assert set(host.run("apt-mark", "showauto").split()) >= {"libledger", "rates"}

    second = host.play("os_update", packages=["*"])
    assert second.changed == 0
    assert second.facts == {**first.facts, "installed": []}


def test_security_only_installs_what_any_origin_calls_security_and_the_security_version_behind_a_newer_one(host):
    host.install(*[host.package(name, "1.0") for name in ("both", "behind", "ahead", "plain", "needs", "needed")])
    both = host.package("both", "1.1")
    host.publish("stable", host.package("plain", "1.1"), host.package("needed", "1.1"))
    host.publish("stable-updates", both, host.package("behind", "1.2"), host.package("plain", "1.2"))
    host.install(host.package("ahead", "1.5"))
    host.publish(
        "stable-security",
        both,
        host.package("behind", "1.1"),
        host.package("ahead", "1.1"),
        host.package("needs", "1.1", Depends="needed (>= 1.1)"),
    )

    first = host.play("os_update", security_only=True)
    assert host.versions("both", "behind", "ahead", "plain", "needs", "needed") == {
        "both": "1.1",
        "behind": "1.1",
        "ahead": "1.5",
        "plain": "1.0",
        "needs": "1.1",
        "needed": "1.1",
    }
    assert sorted(first.facts["installed"], key=lambda update: update["package"]) == [
        {"package": "behind", "from": "1.0", "to": "1.1", "security": True},
        {"package": "both", "from": "1.0", "to": "1.1", "security": True},
        {"package": "needed", "from": "1.0", "to": "1.1", "security": False},
        {"package": "needs", "from": "1.0", "to": "1.1", "security": True},
    ]
    assert first.facts["security_metadata"] is True
    assert host.play("os_update", security_only=True).changed == 0

    all_of_them = host.play("os_update")
    assert {update["package"]: update["to"] for update in all_of_them.facts["installed"]} == {
        "behind": "1.2",
        "plain": "1.2",
    }


def test_a_security_archive_is_known_by_its_label_alone(host):
    host.install(host.package("rates", "1.0"), host.package("plain", "1.0"))
    host.publish("stable", host.package("plain", "1.1"))
    host.run("rm", "/etc/apt/sources.list.d/stable-security.list")
    host.publish("stable-updates", host.package("rates", "1.1"), label="Debian-Security", folder="old")
    assert host.play("os_update", security_only=True).facts["installed"] == [
        {"package": "rates", "from": "1.0", "to": "1.1", "security": True}
    ]


def test_without_any_security_archive_security_only_installs_nothing_and_says_why(host):
    host.install(host.package("ledgerd", "1.0"))
    host.publish("stable", host.package("ledgerd", "1.1"))
    host.run("rm", "/etc/apt/sources.list.d/stable-security.list")
    result = host.play("os_update", security_only=True)
    assert (result.changed, result.facts["installed"]) == (0, [])
    assert result.facts["security_metadata"] is False


def test_only_the_packages_that_are_named_are_updated_and_a_flag_for_a_reboot_is_told(host):
    flag = "#!/bin/sh\necho '*** System restart required ***' > /run/reboot-required\n"
    flag += "echo linux-base >> /run/reboot-required.pkgs; echo linux-base >> /run/reboot-required.pkgs\n"
    host.install(host.package("ledgerd", "1.0"), host.package("ledgerd-data", "1.0"), host.package("linux-base", "1.0"))
    host.publish("stable-updates", host.package("ledgerd", "1.1"), host.package("ledgerd-data", "1.1"))
    host.publish("stable", host.package("linux-base", "1.1", postinst=flag))
    result = host.play("os_update", packages=["ledgerd", "linux-base", "not-installed"])
    assert [(update["package"], update["to"]) for update in result.facts["installed"]] == [
        ("ledgerd", "1.1"),
        ("linux-base", "1.1"),
    ]
    assert host.versions("ledgerd-data") == {"ledgerd-data": "1.0"}
    assert (result.facts["reboot_required"], result.facts["reboot_packages"]) == (True, ["linux-base"])


def test_where_nothing_writes_the_flag_a_newer_kernel_of_the_same_flavour_tells_that_a_reboot_is_needed(host):
    running = os.uname().release
    host.write("boot/vmlinuz-1.0.0-1-amd64", "older")
    host.write(f"boot/vmlinuz-{running}", "the running one")
    host.write("boot/vmlinuz-99.1.0-1-loopback-amd64", "another flavour")
    assert host.play("boot").facts["reboot_required"] is False
    flavour = running.partition("-")[2].lstrip("0123456789").removeprefix("-")
    host.write(f"boot/vmlinuz-99.0.0-{flavour}", "newer")
    assert host.play("boot").facts == {
        "os": host.release()["PRETTY_NAME"],
        "boot_id": host.path("proc/sys/kernel/random/boot_id").read_text().strip(),
        "uptime_seconds": pytest.approx(time.monotonic(), abs=30),
        "reboot_required": True,
    }


def test_a_configuration_file_that_was_changed_on_the_host_is_kept(host):
    old = {"files": {"etc/ledgerd.conf": "shipped with 1.0\n"}, "conffiles": "/etc/ledgerd.conf\n"}
    host.install(host.package("ledgerd", "1.0", **old))
    host.write("etc/ledgerd.conf", "changed by the operator\n")
    new = {"files": {"etc/ledgerd.conf": "shipped with 1.1\n"}, "conffiles": "/etc/ledgerd.conf\n"}
    host.publish("stable", host.package("ledgerd", "1.1", **new))
    assert host.play("os_update").facts["installed"] == [
        {"package": "ledgerd", "from": "1.0", "to": "1.1", "security": False}
    ]
    assert host.path("etc/ledgerd.conf").read_text() == "changed by the operator\n"
    assert host.path("etc/ledgerd.conf.dpkg-dist").read_text() == "shipped with 1.1\n"


def test_the_lock_of_another_program_is_waited_for_and_then_temporary(host):
    host.install(host.package("ledgerd", "1.0"))
    host.publish("stable", host.package("ledgerd", "1.1"))
    slow = host.package(
        "slow", "1.0", postinst="#!/bin/sh\ntouch /run/slow; while [ -e /run/slow ]; do sleep 0.1; done\n"
    )
    other = host.start("dpkg", "--install", slow)
    wait_for(lambda: host.path("run/slow").exists())
    with pytest.raises(Temporary) as raised:
        host.play("os_update", lock_timeout=1)
    assert raised.value.code == "package_lock"
    assert raised.value.message.startswith("Another program on real-host is installing packages at the moment")
    host.path("run/slow").unlink()
    other.communicate(timeout=20)
    assert host.play("os_update").changed == 1
    assert host.versions("ledgerd", "slow") == {"ledgerd": "1.1", "slow": "1.0"}


def test_the_lock_of_the_package_lists_is_temporary_too(host):
    program = (
        "import fcntl, os, time\n"
        "lists = open('/var/lib/apt/lists/lock', 'w')\n"
        "fcntl.lockf(lists, fcntl.LOCK_EX)\n"
        "open('/run/fetching', 'w')\n"
        "while os.path.exists('/run/fetching'): time.sleep(0.1)\n"
    )
    other = host.start("python3", "-c", program)
    wait_for(lambda: host.path("run/fetching").exists())
    with pytest.raises(Temporary) as raised:
        host.play("os_update", lock_timeout=1)
    host.path("run/fetching").unlink()
    other.communicate(timeout=20)
    assert raised.value.code == "package_lock"
    said = "Another program on real-host is installing packages at the moment (Fetch the package lists). It is process "
    assert raised.value.message.startswith(said)


@pytest.mark.parametrize("script", ["preinst", "postinst"])
def test_what_a_killed_dpkg_left_half_way_is_completed(host, script):
    wait = "#!/bin/sh\n[ -e /again ] && exit 0; touch /again; exec sleep 60\n"
    host.install(host.package("ledgerd", "1.0"), host.package("other", "1.0"))
    host.publish("stable", host.package("ledgerd", "1.1", **{script: wait}), host.package("other", "1.1"))
    host.run("apt-get", "update")
    apt = host.start("apt-get", "--yes", "upgrade")
    wait_for(lambda: host.path("again").exists())
    host.run("sh", "-c", "kill -9 $(pidof apt-get dpkg sleep)")
    apt.communicate(timeout=20)
    assert "ok installed" not in host.run("dpkg-query", "-W", "-f", "${Status}", "ledgerd")

    result = host.play("os_update")
    assert host.versions("ledgerd", "other") == {"ledgerd": "1.1", "other": "1.1"}
    assert result.changed > 0
    assert host.run("dpkg", "--audit") == ""


def test_a_repository_that_fails_is_told_and_stops_nothing_unless_it_is_the_only_one(host):
    host.install(host.package("ledgerd", "1.0"))
    host.publish("stable", host.package("ledgerd", "1.1"))
    host.write("etc/apt/sources.list.d/vendor.list", "deb [trusted=yes] http://127.0.0.1:9/apt trixie main\n")
    result = host.play("os_update")
    assert host.versions("ledgerd") == {"ledgerd": "1.1"}
    assert result.facts["repositories_failed"] == ["http://127.0.0.1:9/apt trixie InRelease"]
    assert "os_update: Go on without http://127.0.0.1:9/apt trixie InRelease: ok" in host.lines

    for archive in LABELS:
        host.path(f"etc/apt/sources.list.d/{archive}.list").unlink()
    with pytest.raises(Temporary) as raised:
        host.play("os_update")
    assert raised.value.code == "unreachable"


def test_a_system_of_another_family_is_refused(host):
    host.write("etc/os-release", 'ID=alpine\nPRETTY_NAME="Alpine Linux v3.22"\n')
    with pytest.raises(Permanent) as raised:
        host.play("os_update")
    assert raised.value.code == "configuration"
    assert raised.value.message.startswith(
        "Update Alpine Linux v3.22, which is neither of the Debian nor of the RHEL family, failed on real-host:"
    )


SYSTEMCTL = """#!/bin/sh
case "$*" in
  'show kubelet --property=MainPID --value') cat /run/kubelet.pid ;;
  'restart kubelet')
    kill "$(cat /run/kubelet.pid)"
    /usr/bin/kubelet 600 >/dev/null 2>&1 & echo $! > /run/kubelet.pid ;;
  daemon-reload) ;;
  *) exit 1 ;;
esac
"""


def test_kubeadm_and_kubelet_are_moved_by_a_real_apt_from_a_signed_repository_and_held_again(host):
    """kubeadm is a script, kubelet a program that sleeps; systemd is not there: `systemctl` is a stand-in."""
    program = "#!/bin/sh\n[ -e /usr/bin/kubelet ] || cp /bin/sleep /usr/bin/kubelet\n"
    kubeadm = {"files": {"usr/bin/kubeadm": '#!/bin/sh\necho "$@" >> /run/kubeadm\n'}}

    def packages(version):
        # dpkg replaces a file of a package by another inode, as this does.
        replaced = f"{program}cp /bin/sleep /usr/bin/new && mv /usr/bin/new /usr/bin/kubelet\n"
        return [
            host.package("kubeadm", version, **kubeadm),
            host.package("kubelet", version, postinst=replaced),
            host.package("kubectl", version),
        ]

    host.write("usr/local/bin/systemctl", SYSTEMCTL, 0o755)
    host.install(*packages("1.35.4-1.1"))
    host.run("apt-mark", "hold", "kubeadm", "kubelet", "kubectl")
    host.run("sh", "-c", "/usr/bin/kubelet 600 >/dev/null 2>&1 & echo $! > /run/kubelet.pid")
    host.publish("stable", *packages("1.35.7-1.1"), label="kubernetes", folder="kubernetes/v1.35/deb")
    host.run("rm", "/etc/apt/sources.list.d/kubernetes-v1.35-deb.list")
    host.run("mkdir", "-p", "/etc/apt/keyrings")
    gpg = "gpg --batch --quiet --passphrase '' --pinentry-mode loopback"
    keyring = "/etc/apt/keyrings/kubernetes-apt-keyring.gpg"
    host.run("sh", "-c", f"export HOME=/root; {gpg} --quick-generate-key loopback && gpg --export > {keyring}")
    host.run("sh", "-c", f"export HOME=/root; cd /srv/kubernetes/v1.35/deb; {gpg} --clearsign -o InRelease Release")

    variables = {"kubernetes_version": "1.35.7", "kubernetes_repository": "file:/srv/kubernetes"}
    assert host.play("kubeadm", **variables).changed == 3
    assert host.path("run/kubeadm").read_text() == "upgrade node\n"
    assert host.play("kubelet", **variables).changed == 2
    assert host.run(
        "dpkg-query", "-W", "-f", "${Package} ${Version} ${Status}\\n", "kubeadm", "kubectl", "kubelet"
    ) == (
        "kubeadm 1.35.7-1.1 hold ok installed\n"
        "kubectl 1.35.7-1.1 hold ok installed\n"
        "kubelet 1.35.7-1.1 hold ok installed\n"
    )
    assert host.play("kubelet", **variables).changed == 0
