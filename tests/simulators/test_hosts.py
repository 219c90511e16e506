"""Simulated hosts, met with the real ssh and sftp programs."""

import subprocess
import time
from pathlib import Path

import kubernetes
import pytest
import yaml

from tests.simulators.running import RunningWorld

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
                    "nodes": [{"name": name, "kubelet": "v1.35.4", "internal_ip": f"10.0.0.{number}"}],
                }
                for number, name in [(4, "web-1")]
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
        for name in NAMES
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
    assert "Inst openssl [] (3.5.1-1+deb13u2 Debian-Security:13/stable-security [amd64])\n" in listed
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
