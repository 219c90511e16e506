"""Simulated hosts, met with the real ssh and sftp programs."""

import subprocess
import time
from pathlib import Path

import kubernetes
import pytest
import yaml

from tests.simulators.running import RunningWorld
from workspaces.simulators.hosts.versions import version_before, version_key

pytestmark = pytest.mark.xdist_group("hosts")

PACKAGES = {"kubeadm": "1.35.4-1.1", "kubelet": "1.35.4-1.1", "kubectl": "1.35.4-1.1"}
HELD = ["kubeadm", "kubectl", "kubelet"]
NAMES = ("web-1", "web-2", "web-3", "web-4", "web-5", "web-6", "web-7", "web-8", "web-9")
SPEC = {
    "management_clusters": [
        {
            "name": "mgmt-fsn1",
            "version": "v1.36.2",
            "kamaji_max": "v1.36.0",
            "tenants": [
                {
                    "namespace": "ws-7f3a91",
                    "name": "ledger-prod",
                    "version": "v1.35.7",
                    "replicas": 2,
                    "nodes": [
                        {"name": name, "kubelet": "v1.35.4", "internal_ip": f"10.0.0.{number}"}
                        for number, name in enumerate(("web-1", "boots-1", "boots-2"), 4)
                    ],
                }
            ],
        }
    ],
    "hosts": [
        {
            "name": name,
            "cluster": "ws-7f3a91/ledger-prod" if name != "web-8" else "nowhere/at-all",
            "node": name,
            "os": "debian-13",
            "packages": PACKAGES,
            "held": HELD,
            "updates": [{"package": "openssl", "version": "3.5.1-1+deb13u2", "security": True}],
        }
        for name in (*NAMES, "boots-1", "boots-2")
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
            "reboot": True,
        },
        {"package": "curl", "version": "8.5.0-2ubuntu10.6", "security": True},
        {"package": "curl", "version": "8.5.0-2ubuntu10.10", "origins": ["Ubuntu:24.04/noble-updates"]},
    ],
}


class Ssh:
    """The real ssh against one host of a world."""

    def __init__(self, world, directory):
        self.world, self.directory = world, Path(directory)
        self.hosts = {host["name"]: host for host in world.ready["hosts"]}
        self.key = self.write("key", world.ready["ssh_private_key"])

    def write(self, name, text):
        file = self.directory / name
        file.touch(mode=0o600)
        file.write_text(text)
        return file

    def options(self, name, host_key=None):
        host = self.hosts[name]
        known = self.write(f"known-{name}", f"[127.0.0.1]:{host['port']} {host_key or host['host_key']}\n")
        return [
            *("-F", "/dev/null", "-o", f"UserKnownHostsFile={known}", "-o", "GlobalKnownHostsFile=/dev/null"),
            *("-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"),
        ]

    def __call__(self, name, command, *, input=b"", key=None, user="root", host_key=None, timeout=20):
        """Run a command; gives (exit code, output, errors)."""
        options = ["-i", key or self.key, "-p", str(self.hosts[name]["port"]), *self.options(name, host_key)]
        run = subprocess.run(
            ["ssh", *options, f"{user}@127.0.0.1", command], input=input, capture_output=True, timeout=timeout
        )
        return run.returncode, run.stdout.decode(), run.stderr.decode()


@pytest.fixture(scope="module")
def world():
    with RunningWorld(SPEC) as world:
        yield world


@pytest.fixture(autouse=True)
def _no_faults(world):
    yield
    world.clear_faults()


@pytest.fixture
def ssh(world, tmp_path):
    return Ssh(world, tmp_path)


@pytest.fixture
def tenant(world):
    config = yaml.safe_load(world.ready["management_clusters"][0]["tenants"][0]["kubeconfig"])
    with kubernetes.config.new_client_from_config_dict(config) as client:
        yield client


def added(world, directory, name, **described):
    """Another host, of which nobody else knows, and the ssh to it."""
    world.add({"hosts": [{"name": name, "cluster": "a/b", "node": name, **described}]})
    return Ssh(world, directory)


def until(question, seconds=5):
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_a_command_runs_in_the_directory_of_its_host_and_tells_its_exit_code(ssh):
    root = ssh.hosts["web-2"]["root"]
    assert ssh("web-2", "pwd; echo $HOME; cat etc/hostname; exit 7") == (7, f"{root}\n{root}\nweb-2\n", "")


def test_input_is_streamed_to_the_command(ssh):
    code, output, errors = ssh("web-2", "wc -c", input=b"x" * 3_000_000)
    assert (code, output.strip(), errors) == (0, "3000000", "")


def test_output_and_errors_arrive_apart(ssh):
    assert ssh("web-2", "echo one; echo two >&2") == (0, "one\n", "two\n")


def test_only_the_key_of_the_world_opens_a_host(ssh, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    code, _, errors = ssh("web-2", "true", key=tmp_path / "other")
    assert (code, "Permission denied (publickey)" in errors) == (255, True)


def test_only_root_may_log_in(ssh):
    code, _, errors = ssh("web-2", "true", user="admin")
    assert (code, "Permission denied (publickey)" in errors) == (255, True)


def test_every_host_has_a_host_key_of_its_own(ssh):
    code, _, errors = ssh("web-2", "true", host_key=ssh.hosts["web-3"]["host_key"])
    assert (code, "Host key verification failed" in errors) == (255, True)
    assert len({ssh.hosts[name]["host_key"] for name in NAMES}) == len(NAMES)


def test_sftp_sees_the_directory_of_the_host_as_root(ssh, tmp_path):
    port = str(ssh.hosts["web-2"]["port"])
    sent = tmp_path / "sent"
    sent.write_text("hello\n")
    batch = (
        f"put {sent} /etc/greeting\nget /etc/hostname {tmp_path}/got\nget /../../../../etc/passwd {tmp_path}/stolen\n"
    )
    command = ["sftp", "-q", "-b", "-", "-P", port, "-i", ssh.key, *ssh.options("web-2"), "root@127.0.0.1"]
    run = subprocess.run(command, input=batch.encode(), capture_output=True, timeout=20)
    assert run.returncode == 1
    assert (tmp_path / "got").read_text() == "web-2\n"
    assert not (tmp_path / "stolen").exists()
    assert ssh("web-2", "cat etc/greeting") == (0, "hello\n", "")


def test_apt_speaks_like_apt(ssh):
    code, _, errors = ssh("web-3", "apt-get -y install 'kubeadm=1.35.99-*'")
    assert (code, errors) == (100, "E: Version '1.35.99-*' for 'kubeadm' was not found\n")
    code, _, errors = ssh("web-3", "apt-get -y install nonsense")
    assert (code, errors) == (100, "E: Unable to locate package nonsense\n")
    code, _, errors = ssh("web-3", "apt-get -y install 'kubeadm=1.35.7-*'")
    assert (code, errors) == (
        100,
        "E: Held packages were changed and -y was used without --allow-change-held-packages.\n",
    )
    assert ssh("web-3", "apt-mark unhold kubeadm; apt-mark unhold kubeadm; apt-mark showhold") == (
        0,
        "Canceled hold on kubeadm.\nkubeadm was already not on hold.\nkubectl\nkubelet\n",
        "",
    )
    code, output, _ = ssh("web-3", "apt-get -s install 'kubeadm=1.35.7-*'")
    assert (code, "Inst kubeadm [1.35.4-1.1] (1.35.7-1.1 " in output) == (0, True)
    assert ssh("web-3", "kubeadm version -o short") == (0, "v1.35.4\n", "")
    assert ssh("web-3", "apt-get -y install 'kubeadm=1.35.7-*'")[0] == 0
    assert ssh("web-3", "kubeadm version -o short") == (0, "v1.35.7\n", "")
    assert ssh("web-3", "apt-mark hold kubeadm; apt-mark hold kubeadm") == (
        0,
        "kubeadm set on hold.\nkubeadm was already set on hold.\n",
        "",
    )
    assert ssh("web-3", "dpkg-query -W -f '${Status} ${Version}\\n' kubeadm nonsense") == (
        1,
        "hold ok installed 1.35.7-1.1\n",
        "dpkg-query: no packages found matching nonsense\n",
    )


def test_what_is_asked_for_by_name_is_no_longer_marked_as_installed_automatically(world, tmp_path):
    ssh = added(world, tmp_path, "marked", packages={"openssl": "3.5.1-1", "curl": "8.14.1-2"}, auto=["openssl"])
    assert ssh("marked", "apt-mark showauto openssl curl; apt-mark showmanual") == (0, "openssl\ncurl\n", "")
    assert "openssl set to manually installed.\n" in ssh("marked", "apt-get -y install openssl")[1]
    assert ssh(
        "marked", "apt-mark showauto; apt-mark auto openssl; apt-mark auto openssl; apt-mark manual openssl"
    ) == (
        0,
        "openssl set to automatically installed.\n"
        "openssl was already set to automatically installed.\n"
        "openssl set to manually installed.\n",
        "",
    )


def test_another_minor_needs_its_repository_and_fresh_package_lists(ssh):
    install = "apt-get -s install --allow-change-held-packages 'kubeadm=1.36.0-*'"
    missing = "E: Version '1.36.0-*' for 'kubeadm' was not found\n"
    assert ssh("web-4", install)[2] == missing
    assert ssh("web-4", "sed -i s/v1.35/v1.36/ etc/apt/sources.list.d/kubernetes.list")[0] == 0
    assert ssh("web-4", install)[2] == missing
    assert "core:/stable:/v1.36/deb" in ssh("web-4", "apt-get update")[1]
    assert ssh("web-4", install)[0] == 0


def test_waiting_system_updates_are_listed_and_installed_once(ssh):
    listed = ssh("web-4", "apt-get -s upgrade")[1]
    assert "Inst openssl [3.5.1-1+deb13u1] (3.5.1-1+deb13u2 Debian-Security:13/stable-security [amd64])\n" in listed
    assert ssh("web-4", "apt-get -y upgrade")[0] == 0
    assert "Inst" not in ssh("web-4", "apt-get -s upgrade")[1]


def test_kubeadm_upgrades_a_node_only_to_what_it_and_its_cluster_can(ssh):
    code, _, errors = ssh("web-5", "kubeadm upgrade node")
    assert (code, "Kubernetes version is greater than kubeadm version" in errors) == (1, True)
    assert ssh("web-5", "apt-get install --allow-change-held-packages 'kubeadm=1.35.7-*'")[0] == 0
    assert ssh("web-5", "rm var/lib/kubelet/config.yaml; kubeadm upgrade node")[0] == 0
    assert "kind: KubeletConfiguration" in ssh("web-5", "cat var/lib/kubelet/config.yaml")[1]


def test_kubeadm_refuses_without_reaching_its_cluster(ssh):
    code, _, errors = ssh("web-8", "kubeadm upgrade node")
    assert (code, "connection refused" in errors) == (1, True)


def test_a_restarted_kubelet_shows_its_new_version_in_the_cluster(world, ssh):
    tenant = world.ready["management_clusters"][0]["tenants"][0]
    api = kubernetes.client.CoreV1Api(
        kubernetes.config.new_client_from_config_dict(yaml.safe_load(tenant["kubeconfig"]))
    )

    def version():
        return api.read_node("web-1").status.node_info.kubelet_version

    running = 'readlink "proc/$(systemctl show kubelet --property=MainPID --value)/exe"'
    assert version() == "v1.35.4"
    assert ssh("web-1", "apt-get install --allow-change-held-packages 'kubelet=1.35.7-*'")[0] == 0
    assert ssh("web-1", running) == (0, "/usr/bin/kubelet (deleted)\n", "")
    assert version() == "v1.35.4"
    assert ssh("web-1", "systemctl daemon-reload && systemctl restart kubelet && systemctl is-active kubelet") == (
        0,
        "active\n",
        "",
    )
    assert ssh("web-1", running) == (0, "/usr/bin/kubelet\n", "")
    until(lambda: version() == "v1.35.7")
    api.api_client.close()


def test_a_refused_connection_is_closed_before_a_word_is_said(world, ssh):
    world.fault(service="ssh", target="web-6", kind="refuse", times=1)
    code, _, errors = ssh("web-6", "true")
    assert (code, "closed" in errors or "reset" in errors) == (255, True)
    assert ssh("web-6", "true")[0] == 0


def test_a_command_can_be_made_slow_and_can_be_made_to_fail(world, ssh):
    world.fault(service="ssh", target="web-6", kind="latency", seconds=0.5, method="EXEC", path="echo slow*")
    world.fault(service="ssh", target="web-6", kind="status", method="EXEC", path="kubeadm version*")
    started = time.monotonic()
    assert ssh("web-6", "echo slowly") == (0, "slowly\n", "")
    assert 0.5 <= time.monotonic() - started < 3
    assert ssh("web-6", "true; kubeadm version") == (1, "", "kubeadm: simulated failure\n")
    assert ssh("web-6", "kubelet --version")[0] == 0


def test_a_hanging_command_says_nothing_until_the_connection_is_cut(world, ssh):
    world.fault(service="ssh", target="web-6", kind="hang", seconds=0.5, path="echo *")
    started = time.monotonic()
    code, output, _ = ssh("web-6", "echo hello")
    assert (code, output) == (255, "")
    assert 0.5 <= time.monotonic() - started < 3


def test_apt_waits_for_the_lock_as_long_as_it_is_told(world, ssh):
    world.fault(service="ssh", target="web-6", kind="apt_lock")
    code, _, errors = ssh("web-6", "apt-get -o DPkg::Lock::Timeout=0.3 install openssl")
    assert (code, errors.splitlines()[0]) == (
        100,
        "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4242 (unattended-upgr)",
    )
    world.clear_faults()
    world.fault(service="ssh", target="web-6", kind="apt_lock", times=1, seconds=0.3)
    assert ssh("web-6", "apt-get -o DPkg::Lock::Timeout=10 install openssl")[0] == 0


def test_nothing_listens_on_a_lost_node_until_it_is_found_again(world, ssh):
    fault = world.fault(service="*", target="web-7", kind="lost_node")
    assert fault
    until(lambda: "Connection refused" in ssh("web-7", "true")[2])
    assert ssh("web-6", "true")[0] == 0
    world.clear_faults()
    until(lambda: ssh("web-7", "true")[0] == 0)


def test_a_host_that_reboots_is_away_for_a_moment_and_comes_back_with_another_boot_id(ssh):
    boot_id = "cat proc/sys/kernel/random/boot_id"
    before = ssh("web-9", boot_id)
    assert ssh("web-9", "mkdir run; touch run/reboot-required; reboot")[0] == 0
    until(lambda: "Connection refused" in ssh("web-9", "true")[2])
    until(lambda: ssh("web-9", boot_id)[0] == 0)
    after = ssh("web-9", f"{boot_id}; ls run")
    assert after[0] == 0
    assert len(after[1].splitlines()) == 1
    assert after[1] != before[1]


def test_a_host_added_while_the_world_runs_is_reachable_where_it_says(world, tmp_path):
    names = [f"late-{number}" for number in range(20)]
    world.add({"hosts": [{"name": name, "cluster": "a/b", "node": name, "packages": PACKAGES} for name in names]})
    time.sleep(0.5)
    ssh = Ssh(world, tmp_path)
    assert len({ssh.hosts[name]["port"] for name in names}) == 20
    assert ssh("late-19", "kubelet --version") == (0, "Kubernetes v1.35.4\n", "")


def test_every_command_is_in_the_journal(world, ssh):
    ssh("web-6", "kubelet --version; exit 3")
    entries = world.journal(service="ssh", target="web-6", path="kubelet --version*")
    assert [(entry["method"], entry["path"], entry["status"]) for entry in entries[-2:]] == [
        ("EXEC", "kubelet --version; exit 3", 3),
        ("EXEC", "kubelet --version", 0),
    ]


def test_hosts_go_on_after_a_restart_as_they_were(tmp_path):
    spec = {"hosts": [{**SPEC["hosts"][1], "cluster": "a/b"}]}
    with RunningWorld(spec, state_dir=tmp_path / "world") as world:
        before = world.ready
        assert Ssh(world, tmp_path)("web-2", "apt-mark unhold kubeadm && apt-get install 'kubeadm=1.35.9-*'")[0] == 0
    with RunningWorld(spec, state_dir=tmp_path / "world") as world:
        assert world.ready["hosts"] == before["hosts"]
        assert world.ready["ssh_private_key"] == before["ssh_private_key"]
        assert Ssh(world, tmp_path)("web-2", "kubeadm version -o short; apt-mark showhold") == (
            0,
            "v1.35.9\nkubectl\nkubelet\n",
            "",
        )


def test_the_world_stops_at_once_also_with_open_sessions(tmp_path):
    with RunningWorld({"hosts": [SPEC["hosts"][1]]}, state_dir=tmp_path / "world") as world:
        ssh = Ssh(world, tmp_path)
        command = ["ssh", "-i", ssh.key, "-p", str(ssh.hosts["web-2"]["port"]), *ssh.options("web-2"), "root@127.0.0.1"]
        session = subprocess.Popen(
            [*command, "echo begun; sleep 600"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert session.stdout.readline() == b"begun\n"
        started = time.monotonic()
        world.stop()
        assert time.monotonic() - started < 2
        assert session.wait(2) == 255
        session.stdout.close()


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("3.5.1-1", "3.5.1-1+deb13u1"),
        ("3.5.1-1+deb13u2", "3.5.1-1+deb13u10"),
        ("8.5.0-2ubuntu10.6", "8.5.0-2ubuntu10.10"),
        ("2.41-1~bpo13+1", "2.41-1"),
        ("9.9-1", "1:1.0-1"),
        ("1.0a", "1.0b"),
        ("1.0-1", "1.0.1-1"),
    ],
)
def test_versions_are_in_the_order_of_debian(older, newer):
    assert version_key(older) < version_key(newer)


def test_the_version_before_is_older():
    assert version_before("3.5.1-1+deb13u2") == "3.5.1-1+deb13u1"
    assert version_before("1.0-0") == "1.0-0~"


def test_a_listed_update_names_every_repository_that_has_it(world, tmp_path):
    ssh = added(world, tmp_path, "noble-1", **UBUNTU)
    _, output, _ = ssh("noble-1", "apt-get -s --with-new-pkgs upgrade")
    assert [line for line in output.splitlines() if line[:4] not in {"Read", "Buil", "Conf"}] == [
        "The following packages will be upgraded:",
        "  curl openssl",
        "2 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.",
        "Inst curl [8.5.0-2ubuntu10.5] (8.5.0-2ubuntu10.10 Ubuntu:24.04/noble-updates [amd64])",
        "Inst openssl [3.0.13-0ubuntu3.5] "
        "(3.0.13-0ubuntu3.6 Ubuntu:24.04/noble-updates, Ubuntu:24.04/noble-security [amd64])",
    ]
    assert ssh("noble-1", "uname -r; . etc/os-release; echo $ID $VERSION_ID") == (
        0,
        "6.8.0-79-generic\nubuntu 24.04\n",
        "",
    )


def test_apt_offers_an_older_version_when_its_release_is_preferred(world, tmp_path):
    ssh = added(world, tmp_path, "noble-2", **UBUNTU)
    _, output, _ = ssh("noble-2", "apt-get -s -o APT::Default-Release=/-security$/ upgrade")
    assert "Inst curl [8.5.0-2ubuntu10.5] (8.5.0-2ubuntu10.6 Ubuntu:24.04/noble-security [amd64])\n" in output
    assert ssh("noble-2", "apt-cache madison curl")[1].splitlines() == [
        "curl | 8.5.0-2ubuntu10.10 | http://archive.ubuntu.com/ubuntu noble-updates/main amd64 Packages",
        "curl | 8.5.0-2ubuntu10.6 | http://security.ubuntu.com/ubuntu noble-security/main amd64 Packages",
        "curl | 8.5.0-2ubuntu10.5 | http://archive.ubuntu.com/ubuntu noble/main amd64 Packages",
    ]
    assert ssh("noble-2", "apt-cache policy curl | head -n 5")[1].splitlines() == [
        "curl:",
        "  Installed: 8.5.0-2ubuntu10.5",
        "  Candidate: 8.5.0-2ubuntu10.10",
        "  Version table:",
        "     8.5.0-2ubuntu10.10 500",
    ]
    assert (
        "     release v=24.04,o=Ubuntu,a=noble-security,n=noble-security,l=Ubuntu,c=main,b=amd64\n"
        "     origin security.ubuntu.com\n"
    ) in ssh("noble-2", "apt-cache policy")[1]
    assert ssh("noble-2", "apt-get -y install --only-upgrade curl=8.5.0-2ubuntu10.6 wget")[0] == 100
    assert ssh("noble-2", "apt-get -y install --only-upgrade curl=8.5.0-2ubuntu10.6")[0] == 0
    assert "Inst curl [8.5.0-2ubuntu10.6] (8.5.0-2ubuntu10.10 " in ssh("noble-2", "apt-get -s upgrade")[1]


def test_a_held_package_is_kept_back_and_its_candidate_is_told(ssh):
    _, output, _ = ssh("web-2", "apt-get -s upgrade")
    assert "The following packages have been kept back:\n  kubeadm kubectl kubelet\n" in output
    assert "\n1 upgraded, 0 newly installed, 0 to remove and 3 not upgraded.\n" in output
    assert ssh("web-2", "apt-cache policy kubelet | head -n 3")[1] == (
        "kubelet:\n  Installed: 1.35.4-1.1\n  Candidate: 1.35.30-1.1\n"
    )


def test_an_update_that_asks_for_a_reboot_says_so_until_there_was_one(world, tmp_path):
    ssh = added(world, tmp_path, "noble-3", **UBUNTU)
    assert ssh("noble-3", "ls run")[0] == 2
    assert ssh("noble-3", "apt-get -y upgrade")[0] == 0
    assert ssh("noble-3", "cat run/reboot-required run/reboot-required.pkgs")[1] == (
        "*** System restart required ***\nopenssl\n"
    )
    booted = ssh("noble-3", "cat proc/sys/kernel/random/boot_id")
    assert ssh("noble-3", "systemctl reboot") == (0, "", "")
    until(lambda: ssh("noble-3", "cat proc/sys/kernel/random/boot_id")[1] not in {booted[1], ""})
    assert ssh("noble-3", "ls run") == (0, "", "")
    assert float(ssh("noble-3", "cut -d ' ' -f 1 proc/uptime")[1]) < 10


def test_an_update_published_later_is_there_after_the_lists_were_fetched_and_only_once(world, tmp_path):
    ssh = added(world, tmp_path, "late-updates", packages={"openssl": "3.5.1-1"})
    for _ in range(2):
        world.add(
            {
                "hosts": [
                    {
                        "name": "late-updates",
                        "updates": [{"package": "openssl", "version": "3.5.4-1", "security": True}],
                    }
                ]
            }
        )
        before = ssh("late-updates", "apt-get -s upgrade")[1]
        fetched = ssh("late-updates", "apt-get update")[1]
        after = ssh("late-updates", "apt-get -y upgrade")[1]
    assert "Get:" not in fetched
    assert "Unpacking" not in before + after
    assert ssh("late-updates", "dpkg-query -W openssl")[1] == "openssl\t3.5.4-1\n"


def test_nothing_of_the_real_machine_answers_for_what_changes_a_system(ssh):
    programs = [
        *("apt", "apt-cache", "apt-get", "apt-mark", "aptitude", "dnf", "dnf-3", "dnf5", "doas", "dpkg", "dpkg-query"),
        *("halt", "init", "kexec", "kubeadm", "kubelet", "loginctl", "microdnf", "needrestart", "needs-restarting"),
        *("pkexec", "poweroff", "reboot", "rpm", "service", "shutdown", "snap", "su", "sudo", "systemctl"),
        *("systemd-run", "telinit", "unattended-upgrade", "unattended-upgrades", "uname", "yum"),
    ]
    _, output, _ = ssh("web-2", f"for program in {' '.join(programs)}; do command -v $program; done")
    folder = Path(__file__).parents[2] / "workspaces/simulators/hosts/bin"
    assert output.split() == [f"{folder}/{program}" for program in programs]
    assert ssh("web-2", "dnf upgrade") == (127, "", "/bin/sh: 1: dnf: not found\n")
    assert ssh("web-2", "poweroff") == (127, "", "/bin/sh: 1: poweroff: not found\n")


def test_a_reboot_ends_what_runs_and_brings_the_node_back_with_another_boot_and_a_fresh_lease(ssh, tenant):
    core, leases = kubernetes.client.CoreV1Api(tenant), kubernetes.client.CoordinationV1Api(tenant)
    before = core.read_node("boots-1").status.node_info
    assert ssh("boots-1", "apt-get install --allow-change-held-packages 'kubelet=1.35.7-*'")[0] == 0
    host = ssh.hosts["boots-1"]
    command = ["ssh", "-i", ssh.key, "-p", str(host["port"]), *ssh.options("boots-1"), "root@127.0.0.1"]
    session = subprocess.Popen([*command, "echo $$; sleep 600"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    running = Path("/proc", session.stdout.readline().decode().strip())
    rebooted = time.time()
    assert ssh("boots-1", "systemctl reboot")[0] == 0
    assert session.wait(5) == 255
    session.stdout.close()
    until(lambda: not running.exists())
    until(lambda: core.read_node("boots-1").status.node_info.boot_id != before.boot_id)
    node = core.read_node("boots-1").status
    assert node.node_info.kubelet_version == "v1.35.7"
    assert node.conditions[-1].status == "True"
    assert leases.read_namespaced_lease("boots-1", "kube-node-lease").spec.renew_time.timestamp() > rebooted + 1


def test_a_host_that_does_not_boot_stays_away_and_its_node_silent_until_somebody_helps(world, ssh, tenant):
    core = kubernetes.client.CoreV1Api(tenant)
    before = core.read_node("boots-2").status.node_info.boot_id
    world.fault(service="ssh", target="boots-2", kind="no_boot")
    assert ssh("boots-2", "reboot")[0] == 0
    until(lambda: core.read_node("boots-2").status.conditions[-1].status == "Unknown", 9)
    assert "Connection refused" in ssh("boots-2", "true")[2]
    world.clear_faults()
    until(lambda: ssh("boots-2", "true")[0] == 0)
    until(lambda: core.read_node("boots-2").status.node_info.boot_id != before)
    assert core.read_node("boots-2").status.conditions[-1].status == "True"
    assert world.faults() == []


def test_a_host_that_was_down_when_the_world_ended_comes_up_with_it(tmp_path):
    spec = {"hosts": [{**SPEC["hosts"][1], "cluster": "a/b", "reboot_seconds": 60}]}
    with RunningWorld(spec, state_dir=tmp_path / "world") as world:
        ssh = Ssh(world, tmp_path)
        before = ssh("web-2", "cat proc/sys/kernel/random/boot_id")[1]
        assert ssh("web-2", "reboot")[0] == 0
        until(lambda: "Connection refused" in ssh("web-2", "true")[2])
    with RunningWorld(spec, state_dir=tmp_path / "world") as world:
        until(lambda: ssh("web-2", "true")[0] == 0)
        assert ssh("web-2", "cat proc/sys/kernel/random/boot_id")[1] not in {before, ""}
        assert world.faults() == []
