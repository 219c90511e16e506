"""Playbooks run by the real ansible-playbook over SSH, against simulated hosts."""

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.simulators.running import RunningWorld
from workspaces.providers.ansible import HostTarget, known_hosts_line, run_playbook
from workspaces.providers.errors import Permanent, Temporary

pytestmark = [
    pytest.mark.xdist_group("hosts"),
    # pexpect forks a terminal; under pytest-xdist every process has a second thread.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of forkpty:DeprecationWarning"),
]

PACKAGES = {"kubeadm": "1.35.4-1.1", "kubelet": "1.35.4-1.1", "kubectl": "1.35.4-1.1"}
CLUSTER = {
    "name": "mgmt-fsn1",
    "version": "v1.36.2",
    "kamaji_max": "v1.36.0",
    "tenants": [
        {
            "namespace": "ws-7f3a91",
            "name": "ledger-prod",
            "version": "v1.35.7",
            "replicas": 2,
            "nodes": [{"name": "web-1", "kubelet": "v1.35.4", "internal_ip": "10.0.0.4"}],
        }
    ],
}


def described(name, cluster="ws-7f3a91/ledger-prod"):
    held = ["kubeadm", "kubectl", "kubelet"]
    return {"name": name, "cluster": cluster, "node": name, "packages": PACKAGES, "held": held}


@pytest.fixture(scope="module")
def world():
    names = ("web-1", "web-2", "web-3", "web-4", "web-5", "web-7", "web-8")
    hosts = [*map(described, names), described("web-6", cluster="nowhere/at-all")]
    with RunningWorld({"management_clusters": [CLUSTER], "hosts": hosts}) as world:
        yield world


@pytest.fixture(autouse=True)
def _no_faults(world):
    yield
    world.clear_faults()


class Runner:
    """run_playbook with what a world knows of its hosts."""

    def __init__(self, world):
        self.key = world.ready["ssh_private_key"]
        self.hosts = {host["name"]: host for host in world.ready["hosts"]}
        self.lines = []

    def root(self, name):
        return Path(self.hosts[name]["root"])

    def __call__(self, playbook, name, version="1.35.7", *, host_key=None, variables=(), host_variables=(), **options):
        host = self.hosts[name]
        target = HostTarget(
            name,
            {
                "ansible_host": host["address"],
                "ansible_port": host["port"],
                "ansible_user": host["user"],
                "ansible_python_interpreter": host["python"],
                "host_root": host["root"],
                **dict(host_variables),
            },
        )
        return run_playbook(
            playbook,
            target,
            private_key=options.pop("private_key", self.key),
            known_hosts=known_hosts_line(host["address"], host["port"], host_key or host["host_key"]),
            variables={"kubernetes_version": version, "lock_timeout": 1, **dict(variables)},
            timeout=options.pop("timeout", 60),
            on_output=self.lines.append,
            **options,
        )


@pytest.fixture
def run(world):
    return Runner(world)


def commands(world, name):
    """The programs that ran on a host, without those that only look."""
    looking = ("dpkg-query", "/bin/sh", "systemctl show", "echo ")
    entries = world.journal(service="ssh", target=name, method="EXEC")
    return [entry["path"] for entry in entries if entry["path"] and not entry["path"].startswith(looking)]


def private_directories(host):
    """The directories of runs on that host that exist now; others may run playbooks at the same time."""
    found = []
    for parent in ("/dev/shm", "/tmp"):
        for path in Path(parent).glob("loopback-playbook-*/known_hosts"):
            with suppress(OSError):
                if f":{host['port']} " in path.read_text():
                    found.append(path.parent)
    return found


def test_a_host_answers_which_versions_it_has(run):
    result = run("ping", "web-7")
    assert result.changed == 0
    assert result.facts == {
        "installed": {"kubeadm": "1.35.4-1.1", "kubelet": "1.35.4-1.1", "kubectl": "1.35.4-1.1"},
    }
    assert run.lines == ["ping: See which Kubernetes packages are installed: ok", "ping: Tell the versions: ok"]


def test_a_worker_is_upgraded_in_two_halves_and_a_second_run_changes_nothing(world, run):
    first = run("kubeadm", "web-1")
    assert first.changed == 2
    assert run.lines == [
        "kubeadm: See which kubeadm is installed: ok",
        "kubeadm: Name the package repository of 1.35: ok",
        "kubeadm: Install kubeadm 1.35.7: changed",
        "kubeadm: Upgrade the node's configuration: changed",
    ]
    assert "    Setting up kubeadm (1.35.7-1.1) ..." in first.output.splitlines()
    assert commands(world, "web-1") == [
        "apt-get --yes --quiet -o DPkg::Lock::Timeout=1 update",
        "apt-mark unhold kubeadm",
        "apt-get --yes --quiet -o DPkg::Lock::Timeout=1 install kubeadm=1.35.7-*",
        "apt-mark hold kubeadm",
        "kubeadm upgrade node",
    ]

    assert run("kubelet", "web-1").changed == 2
    assert commands(world, "web-1")[5:] == [
        "apt-mark unhold kubelet kubectl",
        "apt-get --yes --quiet -o DPkg::Lock::Timeout=1 install kubelet=1.35.7-* kubectl=1.35.7-*",
        "apt-mark hold kubelet kubectl",
        "systemctl daemon-reload",
        "systemctl restart kubelet",
    ]
    installed = [(run.root("web-1") / "usr/bin" / package).read_text() for package in PACKAGES]
    assert installed == ["1.35.7-1.1", "1.35.7-1.1", "1.35.7-1.1"]

    assert run("kubeadm", "web-1").changed == 0
    assert run("kubelet", "web-1").changed == 0
    assert commands(world, "web-1")[10:] == ["kubeadm upgrade node"]


def test_another_minor_comes_from_its_own_repository(run):
    # The cluster is at 1.35: a kubeadm of the next minor may serve it.
    assert run("kubeadm", "web-3", "1.36.1").changed == 3
    assert (run.root("web-3") / "etc/apt/sources.list.d/kubernetes.list").read_text() == (
        "deb [signed-by=/etc/apt/keyrings/kubernetes-apt-keyring.gpg] https://pkgs.k8s.io/core:/stable:/v1.36/deb/ /\n"
    )


def test_a_run_that_was_cut_off_before_the_restart_is_completed(world, run):
    world.fault(service="ssh", target="web-2", kind="status", path="systemctl restart*", times=1)
    with pytest.raises(Permanent, match="Restart kubelet unless it runs the installed version failed on web-2"):
        run("kubelet", "web-2")
    assert run("kubelet", "web-2").changed == 1
    assert run.lines[-1] == "kubelet: Restart kubelet unless it runs the installed version: changed"


def test_a_version_nobody_publishes_is_permanent_and_the_package_is_held_again(world, run):
    with pytest.raises(Permanent) as raised:
        run("kubeadm", "web-8", "1.35.99")
    assert raised.value.code == "not_found"
    assert raised.value.message == (
        "The package repository of web-8 does not have it: Version '1.35.99-*' for 'kubeadm' was not found "
        "(Install kubeadm 1.35.99)."
    )
    assert run.lines[-1] == "kubeadm: Install kubeadm 1.35.99: failed"
    assert commands(world, "web-8")[-2:] == [
        "apt-get --yes --quiet -o DPkg::Lock::Timeout=1 install kubeadm=1.35.99-*",
        "apt-mark hold kubeadm",
    ]


def test_a_package_lock_held_by_somebody_else_is_temporary(world, run):
    world.fault(service="ssh", target="web-4", kind="apt_lock")
    with pytest.raises(Temporary) as raised:
        run("kubelet", "web-4", variables={"lock_timeout": 0})
    assert raised.value.code == "package_lock"
    assert raised.value.message == (
        "Another program on web-4 is installing packages at the moment (Install kubelet and kubectl 1.35.7). "
        "It is process 4242 (unattended-upgr)."
    )


def test_a_cluster_that_cannot_be_reached_from_the_node_is_temporary(run):
    with pytest.raises(Temporary) as raised:
        run("kubeadm", "web-6")
    assert raised.value.code == "unreachable"
    assert raised.value.message.startswith(
        "web-6 cannot reach what it needs (Upgrade the node's configuration): error:"
    )


def test_a_task_that_fails_names_itself_and_its_last_words(world, run):
    world.fault(service="ssh", target="web-5", kind="status", path="kubeadm upgrade node")
    with pytest.raises(Permanent) as raised:
        run("kubeadm", "web-5")
    assert raised.value.code == "configuration"
    assert raised.value.message == "Upgrade the node's configuration failed on web-5:\nkubeadm: simulated failure"


def test_another_host_key_than_the_stored_one_is_refused(run):
    with pytest.raises(Permanent) as raised:
        run("ping", "web-5", host_key=run.hosts["web-4"]["host_key"])
    assert raised.value.code == "credential"
    assert raised.value.message == "web-5 shows another host key than the one stored for it."


def test_a_key_the_host_does_not_know_is_refused(run, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    with pytest.raises(Permanent) as raised:
        run("ping", "web-5", private_key=(tmp_path / "other").read_text())
    assert raised.value.code == "credential"
    assert raised.value.message == "web-5 refuses the stored SSH key for this user."


def test_a_host_that_closes_the_connection_is_temporarily_unreachable(world, run):
    world.fault(service="ssh", target="web-5", kind="refuse")
    with pytest.raises(Temporary) as raised:
        run("ping", "web-5")
    assert raised.value.code == "unreachable"
    assert raised.value.message.startswith("web-5 cannot be reached over SSH: ")


def test_a_run_that_takes_too_long_is_temporarily_unreachable(world, run):
    world.fault(service="ssh", target="web-5", kind="hang")
    with pytest.raises(Temporary) as raised:
        run("ping", "web-5", timeout=2)
    assert raised.value.code == "unreachable"
    assert raised.value.message == "Playbook ping did not end on web-5 within 2 seconds."


def test_a_cancelled_run_ends_soon_and_starts_no_further_task(world, run):
    world.fault(service="ssh", target="web-5", kind="latency", path="dpkg-query*", seconds=2)
    cancelled = threading.Event()
    before = len(commands(world, "web-5"))
    timer = threading.Timer(2, cancelled.set)
    timer.start()
    started = time.monotonic()
    with pytest.raises(Temporary) as raised:
        run("kubelet", "web-5", "1.35.8", cancelled=cancelled.is_set)
    timer.join()
    assert raised.value.code == "conflict"
    assert time.monotonic() - started < 5
    time.sleep(2)  # the command the host was at ends; nothing may follow it
    assert commands(world, "web-5")[before:] == []


def test_neither_output_nor_disk_has_key_material_after_a_run(run, tmp_path):
    playbook = tmp_path / "leak.yml"
    playbook.write_text(
        "- hosts: all\n  gather_facts: false\n  tasks:\n"
        "    - name: Leak {{ api_token }}\n      changed_when: true\n"
        "      ansible.builtin.debug:\n"
        "        msg: \"{{ lookup('file', lookup('env', 'ANSIBLE_PRIVATE_KEY_FILE')) }} {{ api_token }}\"\n"
        "    - name: Repeat it on the host\n      ansible.builtin.command: echo {{ api_token }}\n"
        "    - name: Tell where the key is\n      ansible.builtin.set_stats:\n"
        "        data: {key_file: \"{{ lookup('env', 'ANSIBLE_PRIVATE_KEY_FILE') }}\"}\n"
    )
    result = run("leak", "web-4", variables={"api_token": "s3cr3t-t0k3n"}, search_path=tmp_path)
    said = result.output + "\n".join(run.lines)
    assert "leak: Leak ***: changed" in run.lines
    assert "    ***" in result.output.splitlines()
    assert "s3cr3t" not in said
    assert "PRIVATE KEY" not in said
    assert not [line for line in run.key.splitlines() if line in said]
    assert result.facts["key_file"].endswith("/key")
    assert not Path(result.facts["key_file"]).parent.exists()
    assert len(result.output) <= 8_000


def test_a_playbook_of_the_operator_replaces_the_shipped_one_of_that_name_only(run, tmp_path):
    (tmp_path / "kubelet.yml").write_text(
        "- hosts: all\n  gather_facts: false\n  tasks:\n"
        "    - name: Our own question\n      ansible.builtin.set_stats:\n        data: {answer: 42}\n"
    )
    assert run("kubelet", "web-4", search_path=tmp_path).facts == {"answer": 42}
    assert "installed" in run("ping", "web-4", search_path=tmp_path).facts


def test_a_playbook_with_a_mistake_says_where(run, tmp_path):
    (tmp_path / "ping.yml").write_text("- hosts: all\n  tasks:\n    - name: What\n      ansible.builtin.nonsense: {}\n")
    with pytest.raises(Permanent) as raised:
        run("ping", "web-4", search_path=tmp_path)
    assert raised.value.code == "configuration"
    assert raised.value.message.startswith("Playbook ping cannot be run:\n")
    assert "ansible.builtin.nonsense" in raised.value.message


def test_a_playbook_that_does_not_exist_is_named(run):
    with pytest.raises(Permanent) as raised:
        run("nothing", "web-4")
    assert (raised.value.code, raised.value.message) == ("configuration", "There is no playbook nothing.yml.")


def test_without_ssh_on_this_machine_the_package_is_named(run, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Permanent) as raised:
        run("ping", "web-4")
    assert raised.value.code == "configuration"
    assert raised.value.message == "The program ssh is missing here: install the package openssh-client."


def test_the_playbook_ends_with_a_killed_worker_and_the_next_run_removes_what_it_left(world, run):
    world.fault(service="ssh", target="web-7", kind="hang")
    host = run.hosts["web-7"]
    code = (
        "import json, sys\nfrom workspaces.providers.ansible import *\nhost, options = json.load(sys.stdin)\n"
        "run_playbook('ping', HostTarget('web-7', host), variables={}, timeout=60, **options)\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    variables = {"ansible_host": host["address"], "ansible_port": host["port"], "ansible_user": host["user"]}
    known = known_hosts_line(host["address"], host["port"], host["host_key"])
    worker.stdin.write(json.dumps([variables, {"private_key": run.key, "known_hosts": known}]).encode())
    worker.stdin.close()
    deadline = time.monotonic() + 20
    while not world.journal(service="ssh", target="web-7", fault="hang"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    worker.kill()
    worker.wait()
    (left,) = private_directories(host)
    os.utime(left, (time.time() - 120,) * 2)
    world.clear_faults()
    run("ping", "web-4")
    assert not left.exists()
    assert not [line for line in _command_lines() if str(left) in line and "ansible-playbook" in line.split("\0")[1]]


def _command_lines():
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield process.read_text() + "\0"
        except OSError:
            continue


def test_a_playbook_does_not_see_the_products_own_secrets(run, monkeypatch, tmp_path):
    monkeypatch.setenv("SECRET_KEY", "s3cr3t-of-django")
    (tmp_path / "ping.yml").write_text(
        "- hosts: all\n"
        "  gather_facts: false\n"
        "  tasks:\n"
        "    - ansible.builtin.set_stats:\n"
        "        data: {seen: \"{{ lookup('ansible.builtin.env', 'SECRET_KEY') }}\"}\n"
    )
    assert run("ping", "web-4", search_path=tmp_path).facts == {"seen": ""}
