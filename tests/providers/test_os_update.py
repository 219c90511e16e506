"""The playbooks of operating system updates, run by the real ansible-playbook over SSH against simulated hosts."""

import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.simulators.running import RunningWorld
from workspaces.providers.ansible import HostTarget, known_hosts_line, run_playbook
from workspaces.providers.errors import Permanent, Temporary

pytestmark = [
    pytest.mark.xdist_group("os_update"),
    # pexpect forks a terminal; under pytest-xdist every process has a second thread.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of forkpty:DeprecationWarning"),
]

DEBIAN = {
    "packages": {"kubelet": "1.35.4-1.1", "openssl": "3.5.1-1", "linux-image-amd64": "6.12.48-1", "curl": "8.14.1-2"},
    "held": ["kubelet"],
    "updates": [
        {"package": "openssl", "version": "3.5.1-1+deb13u1", "security": True},
        {"package": "linux-image-amd64", "version": "6.12.57-1", "security": True, "reboot": True},
        {"package": "curl", "version": "8.14.1-2+deb13u1"},
    ],
}
UBUNTU = {
    "os": "ubuntu-24.04",
    "packages": {"openssl": "3.0.13-0ubuntu3.5", "curl": "8.5.0-2ubuntu10.5", "vim": "2:9.1.0016-1ubuntu7.8"},
    "updates": [
        {
            "package": "openssl",
            "version": "3.0.13-0ubuntu3.6",
            "origins": ["Ubuntu:24.04/noble-updates", "Ubuntu:24.04/noble-security"],
        },
        {"package": "curl", "version": "8.5.0-2ubuntu10.6", "security": True},
        {"package": "curl", "version": "8.5.0-2ubuntu10.10", "origins": ["Ubuntu:24.04/noble-updates"]},
        {"package": "vim", "version": "2:9.1.0016-1ubuntu7.9", "origins": ["Ubuntu:24.04/noble-updates"]},
    ],
}
HOSTS = {
    "everything": DEBIAN | {"auto": ["openssl"]},
    "limited": DEBIAN,
    "locked": DEBIAN,
    "cut-off": DEBIAN,
    "restarted": DEBIAN,
    "holding": DEBIAN | {"held": ["kubelet", "openssl"]},
    "published": {"packages": {"openssl": "3.5.1-1"}},
    "secured": UBUNTU,
    "of-another-family": {},
}
INSTALL = (
    "apt-get --yes --quiet --no-remove -o DPkg::Lock::Timeout=1 "
    "-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold"
)
LOOKING = ("/bin/sh", "echo ", "dpkg-query", "apt-cache", "apt-mark show", "apt-get --simulate", "uname")


@pytest.fixture(scope="module")
def world():
    with RunningWorld({"hosts": [{"name": name, **described} for name, described in HOSTS.items()]}) as world:
        yield world


@pytest.fixture(autouse=True)
def _no_faults(world):
    yield
    world.clear_faults()


@pytest.fixture
def run(world):
    """Runs a playbook on a host with variables; gives its result."""
    hosts = {host["name"]: host for host in world.ready["hosts"]}

    def run(playbook, name, **variables):
        host = hosts[name]
        connection = {
            "ansible_host": host["address"],
            "ansible_port": host["port"],
            "ansible_user": host["user"],
            "ansible_python_interpreter": host["python"],
            "host_root": host["root"],
        }
        return run_playbook(
            playbook,
            HostTarget(name, connection),
            private_key=world.ready["ssh_private_key"],
            known_hosts=known_hosts_line(host["address"], host["port"], host["host_key"]),
            variables={"lock_timeout": 1, **variables},
            timeout=120,
        )

    return run


@pytest.fixture
def commands(world):
    """Gives the programs that ran on a host since the last question, without those that only look."""
    seen = {}

    def commands(name):
        entries = [entry["path"] for entry in world.journal(service="ssh", target=name, method="EXEC")]
        new = entries[seen.get(name, 0) :]
        seen[name] = len(entries)
        return [path for path in new if path and not path.startswith(LOOKING)]

    return commands


def root(world, name):
    return next(Path(host["root"]) for host in world.ready["hosts"] if host["name"] == name)


def test_all_updates_are_installed_but_what_is_held_and_a_second_run_changes_nothing(world, run, commands):
    first = run("os_update", "everything")
    assert first.changed == 1
    assert first.facts == {
        "os": "Debian GNU/Linux 13 (trixie)",
        "installed": [
            {"package": "curl", "from": "8.14.1-2", "to": "8.14.1-2+deb13u1", "security": False},
            {"package": "linux-image-amd64", "from": "6.12.48-1", "to": "6.12.57-1", "security": True},
            {"package": "openssl", "from": "3.5.1-1", "to": "3.5.1-1+deb13u1", "security": True},
        ],
        "held": ["kubelet"],
        "repositories_failed": [],
        "security_metadata": True,
        "reboot_required": True,
        "reboot_packages": ["linux-image-amd64"],
        "boot_id": (root(world, "everything") / "proc/sys/kernel/random/boot_id").read_text().strip(),
    }
    versions = "curl=8.14.1-2+deb13u1 linux-image-amd64=6.12.57-1 openssl=3.5.1-1+deb13u1"
    assert commands("everything") == [
        "apt-get --quiet update",
        f"{INSTALL} install --only-upgrade {versions}",
        "apt-mark auto openssl",
    ]

    second = run("os_update", "everything")
    assert (second.changed, second.facts) == (0, first.facts | {"installed": []})
    assert commands("everything") == ["apt-get --quiet update"]


def test_an_update_published_later_is_installed_by_the_next_run(world, run):
    update = {"package": "openssl", "version": "3.5.1-1+deb13u1", "security": True}
    world.add({"hosts": [{"name": "published", "updates": [update]}]})
    assert run("os_update", "published").facts["installed"] == [
        {"package": "openssl", "from": "3.5.1-1", "to": "3.5.1-1+deb13u1", "security": True}
    ]


def test_only_security_updates_also_behind_newer_versions_and_whichever_archive_is_named_first(run, commands):
    result = run("os_update", "secured", security_only=True)
    assert result.facts["os"] == "Ubuntu 24.04 LTS"
    assert result.facts["installed"] == [
        {"package": "curl", "from": "8.5.0-2ubuntu10.5", "to": "8.5.0-2ubuntu10.6", "security": True},
        {"package": "openssl", "from": "3.0.13-0ubuntu3.5", "to": "3.0.13-0ubuntu3.6", "security": True},
    ]
    assert (result.facts["reboot_required"], result.facts["reboot_packages"]) == (False, [])
    assert commands("secured") == [
        "apt-get --quiet update",
        f"{INSTALL} -o APT::Default-Release=/-security$/ install --only-upgrade "
        "curl=8.5.0-2ubuntu10.6 openssl=3.0.13-0ubuntu3.6",
    ]


def test_only_the_packages_named_are_updated(run, commands):
    result = run("os_update", "limited", packages=["curl", "not-there"])
    assert [row["package"] for row in result.facts["installed"]] == ["curl"]
    assert f"{INSTALL} install --only-upgrade curl=8.14.1-2+deb13u1" in commands("limited")


def test_a_held_security_update_is_left_and_told(run):
    result = run("os_update", "holding", security_only=True)
    assert [row["package"] for row in result.facts["installed"]] == ["linux-image-amd64"]
    assert result.facts["held"] == ["kubelet", "openssl"]


def test_a_package_lock_held_by_somebody_else_is_temporary(world, run):
    world.fault(service="ssh", target="locked", kind="apt_lock")
    with pytest.raises(Temporary) as raised:
        run("os_update", "locked", lock_timeout=0)
    assert raised.value.code == "package_lock"
    said = "Another program on locked is installing packages at the moment (Install the updates)."
    assert raised.value.message.startswith(said)


def test_what_was_cut_off_is_completed_by_the_dpkg_of_the_host(world, run, commands):
    journal = root(world, "cut-off") / "var/lib/dpkg/updates/0001"
    journal.parent.mkdir(parents=True)
    journal.touch()
    assert run("os_update", "cut-off").changed == 1
    assert commands("cut-off")[:3] == [
        "apt-get --quiet update",
        "dpkg --force-confdef --force-confold --configure -a",
        f"{INSTALL} --fix-broken install",
    ]
    assert not journal.exists()


def test_a_host_without_apt_does_not_get_the_package_manager_of_this_machine(world, run, commands):
    (root(world, "of-another-family") / "etc/os-release").write_text('ID="rocky"\nPRETTY_NAME="Rocky Linux 9.6"\n')
    with pytest.raises(Permanent) as raised:
        run("os_update", "of-another-family")
    assert raised.value.code == "configuration"
    assert raised.value.message == "See which dnf this is failed on of-another-family:\n/bin/sh: 1: dnf: not found"
    assert commands("of-another-family") == ["dnf --version"]


def test_a_reboot_is_another_boot_and_until_then_the_host_is_temporarily_unreachable(world, run, commands):
    assert run("os_update", "restarted", packages=["linux-image-amd64"]).facts["reboot_required"] is True
    before = run("boot", "restarted")
    assert (before.changed, before.facts["reboot_required"]) == (0, True)
    assert commands("restarted") == [
        "apt-get --quiet update",
        f"{INSTALL} install --only-upgrade linux-image-amd64=6.12.57-1",
    ]

    # It stays away until it is let go: how long a playbook takes to start does not matter.
    world.fault(service="ssh", target="restarted", kind="no_boot")
    boot_id = before.facts["boot_id"]
    started = run("reboot", "restarted", boot_id=boot_id)
    assert (started.changed, started.facts) == (1, {"boot_id": boot_id, "rebooting": True})
    _until(lambda: world.journal(service="ssh", target="restarted", path="systemctl reboot"))
    time.sleep(1)  # its services end
    with pytest.raises(Temporary) as raised:
        run("boot", "restarted")
    assert raised.value.code == "unreachable"
    assert raised.value.message.startswith("restarted cannot be reached over SSH: ")
    assert "Connection refused" in raised.value.message

    world.clear_faults()
    released = time.monotonic()
    _until(lambda: _answers(world, "restarted"))
    after = run("boot", "restarted").facts
    assert after["boot_id"] != boot_id
    assert (after["os"], after["reboot_required"]) == ("Debian GNU/Linux 13 (trixie)", False)
    assert after["uptime_seconds"] <= time.monotonic() - released
    again = run("reboot", "restarted", boot_id=boot_id)
    assert (again.changed, again.facts) == (0, {"boot_id": after["boot_id"], "rebooting": False})
    assert commands("restarted") == ["systemctl reboot"]


def _until(question):
    deadline = time.monotonic() + 10
    while not question():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def _answers(world, name):
    port = next(host["port"] for host in world.ready["hosts"] if host["name"] == name)
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
