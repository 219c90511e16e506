"""The playbook for updates on a real dnf 4 and rpm: Debian's, with the os-release of Rocky Linux."""

import pytest

from tests.providers.real_hosts import DNF_BASE, KeyPair, RealHost, base, wait_for
from workspaces.providers.errors import Temporary

pytestmark = [
    pytest.mark.xdist_group("real_hosts"),
    pytest.mark.timeout(600),  # the first run builds the base
    # pexpect forks a terminal; under pytest-xdist every process has a second thread.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of forkpty:DeprecationWarning"),
]

ROCKY = (
    'NAME="Rocky Linux"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\nPRETTY_NAME="Rocky Linux 9.4"\n'
)
REPOSITORY = "[baseos]\nname=BaseOS\nbaseurl=file:///srv/baseos\ngpgcheck=0\nmetadata_expire=0\n"
# rpm knows nothing of Debian's shell, which the scripts of a package need.
SPECIFICATION = """Name: {name}
Version: {version}
Release: 1
Summary: {name}
License: MIT
BuildArch: noarch
Provides: /bin/sh
%description
%files
{post}"""
ADVISORY = """<update from="rocky" status="final" type="security" version="1">
<id>RLSA-2026:{name}</id><title>{name}</title><issued date="2026-11-20 00:00:00"/><severity>Important</severity>
<description>{name}</description><pkglist><collection><name>baseos</name>
<package name="{name}" version="{version}" release="1" epoch="0" arch="noarch" src="x"><filename>x</filename></package>
</collection></pkglist></update>"""


class Rocky(RealHost):
    """A host with one repository, empty at first."""

    def __enter__(self):
        super().__enter__()
        self.write("etc/os-release", ROCKY)
        self.write("etc/yum.repos.d/baseos.repo", REPOSITORY)
        self.write("etc/dnf/vars/releasever", "9")
        self.write(
            "etc/dnf/plugins/local.conf", "[main]\nenabled=0\n"
        )  # Debian's, about a repository that is not there
        self.run("rpm", "--initdb")
        self.publish()
        return self

    def package(self, name, version, post=""):
        """Build a package; returns its path."""
        specification, folder = f"build/{name}-{version}.spec", f"/build/{name}-{version}"
        script = f"%post\n{post}" if post else ""
        self.write(specification, SPECIFICATION.format(name=name, version=version, post=script))
        macros = [f"--define=_rpmdir {folder}", "--define=_topdir /build/top", "--define=_build_name_fmt %%{NAME}.rpm"]
        self.run("rpmbuild", "-bb", "--quiet", *macros, f"/{specification}")
        return f"{folder}/{name}.rpm"

    def publish(self, *packages, advisories=()):
        """Put packages into the repository, with security advisories for {name: version}."""
        self.run("mkdir", "-p", "/srv/baseos")
        for package in packages:
            self.run("cp", package, "/srv/baseos/" + package.split("/")[2] + ".rpm")
        self.run("createrepo_c", "--quiet", "/srv/baseos")
        if advisories:
            text = "".join(ADVISORY.format(name=name, version=version) for name, version in advisories.items())
            self.write("build/updateinfo.xml", f"<updates>{text}</updates>")
            self.run("modifyrepo_c", "/build/updateinfo.xml", "/srv/baseos/repodata")

    def install(self, *packages):
        """Install package files, by rpm itself."""
        self.run("rpm", "--install", *packages)

    def versions(self):
        """The installed version of each package."""
        return dict(line.split() for line in self.run("rpm", "-qa", "--qf", "%{NAME} %{VERSION}\n").splitlines())


@pytest.fixture(scope="module")
def keys():
    return KeyPair.new()


@pytest.fixture
def host(keys):
    with Rocky(base(DNF_BASE), keys) as host:
        yield host


def test_updates_are_installed_excluded_packages_are_not_and_a_second_run_changes_nothing(host):
    host.install(*[host.package(name, "1.0") for name in ("ledgerd", "rates", "kubelet", "locked", "other")])
    host.write("etc/dnf/dnf.conf", "[main]\nexcludepkgs=kubelet\n")
    host.write("etc/dnf/plugins/versionlock.list", "locked-0:1.0-1.*\n")
    newer = [host.package(name, "1.1") for name in ("ledgerd", "rates", "kubelet", "locked", "other")]
    host.publish(*newer, advisories={"rates": "1.1"})
    limited = host.play("os_update", packages=["other", "kubelet", "locked", "not-installed"])
    assert limited.facts["installed"] == [{"package": "other", "from": "1.0-1", "to": "1.1-1", "security": False}]

    first = host.play("os_update")
    assert host.versions() == {"ledgerd": "1.1", "rates": "1.1", "kubelet": "1.0", "locked": "1.0", "other": "1.1"}
    assert first.changed == 1
    assert first.facts == {
        "os": "Rocky Linux 9.4",
        "installed": [
            {"package": "ledgerd", "from": "1.0-1", "to": "1.1-1", "security": False},
            {"package": "rates", "from": "1.0-1", "to": "1.1-1", "security": True},
        ],
        "held": ["kubelet", "locked"],
        "repositories_failed": [],
        "security_metadata": True,
        "reboot_required": False,
        "reboot_packages": [],
        "boot_id": host.path("proc/sys/kernel/random/boot_id").read_text().strip(),
    }
    second = host.play("os_update")
    assert second.changed == 0
    assert second.facts == {**first.facts, "installed": []}


def test_security_only_installs_what_a_security_advisory_waits_for(host):
    host.install(*[host.package(name, "1.0") for name in ("rates", "plain")], host.package("done", "1.1"))
    newer = [host.package("rates", "1.1"), host.package("plain", "1.1"), host.package("done", "1.2")]
    host.publish(*newer, advisories={"rates": "1.1", "done": "1.1"})
    result = host.play("os_update", security_only=True)
    assert result.facts["installed"] == [{"package": "rates", "from": "1.0-1", "to": "1.1-1", "security": True}]
    assert host.versions() == {"rates": "1.1", "plain": "1.0", "done": "1.1"}
    assert host.play("os_update", security_only=True).changed == 0


def test_where_no_repository_has_advisories_security_only_installs_nothing_and_says_so(host):
    host.install(host.package("ledgerd", "1.0"))
    host.publish(host.package("ledgerd", "1.1"))
    vendor = "[vendor]\nname=Vendor\nbaseurl=http://127.0.0.1:9/\ngpgcheck=0\nskip_if_unavailable=1\n"
    host.write("etc/yum.repos.d/vendor.repo", vendor)
    result = host.play("os_update", security_only=True)
    assert (result.changed, result.facts["installed"]) == (0, [])
    assert result.facts["security_metadata"] is False
    assert result.facts["repositories_failed"] == ["vendor"]

    host.write("etc/yum.repos.d/vendor.repo", vendor.replace("skip_if_unavailable=1", "skip_if_unavailable=0"))
    with pytest.raises(Temporary) as raised:
        host.play("os_update", security_only=True)
    assert raised.value.code == "unreachable"


def test_the_lock_of_another_dnf_is_temporary(host):
    host.install(host.package("ledgerd", "1.0"))
    waiting = "touch /run/slow; while [ -e /run/slow ]; do sleep 0.1; done\n"
    host.publish(host.package("ledgerd", "1.1"), host.package("slow", "1.0", post=waiting))
    other = host.start("dnf", "--assumeyes", "install", "slow")
    wait_for(lambda: host.path("run/slow").exists())
    with pytest.raises(Temporary) as raised:
        host.play("os_update", lock_timeout=1)
    host.path("run/slow").unlink()
    other.communicate(timeout=60)
    assert raised.value.code == "package_lock"
    said = "Another program on real-host is installing packages at the moment (Install the updates)."
    assert raised.value.message.startswith(said)


def test_without_the_plugin_it_cannot_be_told_whether_a_reboot_is_needed(host):
    for plugin in host.path("usr/lib/python3/dist-packages/dnf-plugins").glob("needs_restarting.py"):
        plugin.unlink()
    assert host.play("boot").facts["reboot_required"] is None
