"""Stands for ansible-playbook: does at once, and without SSH, what kubeadm.yml and kubelet.yml do to a simulated host.

It speaks to the programs of the simulated host over their socket (simulators/hosts/bin/ask.py tells the protocol) and
reports one event in ansible-runner's form. What is left out is what Ansible and SSH cost. Imports next to nothing.
"""

import base64
import json
import os
import socket
import sys
from pathlib import Path

PORT = "BENCHMARK_CONTROL_PORT"
REPOSITORY = "etc/apt/sources.list.d/kubernetes.list"
LINE = "deb [signed-by=/etc/apt/keyrings/kubernetes-apt-keyring.gpg] https://pkgs.k8s.io/core:/stable:/v{}/deb/ /\n"


def main(playbook: str) -> None:
    """Move the packages, restart what has to be, tell ansible-runner of one change."""
    directory = Path(os.environ["ANSIBLE_CONFIG"]).parent
    ((host, variables),) = json.loads((directory / "inventory/hosts.json").read_text())["all"]["hosts"].items()
    version = json.loads((directory / "env/extravars").read_text())["kubernetes_version"]
    if Path(playbook).stem == "kubeadm":
        (Path(variables["host_root"]) / REPOSITORY).write_text(LINE.format(version.rpartition(".")[0]))
        ask(host, "apt-get", "update")
        install(host, version, "kubeadm")
        ask(host, "kubeadm", "upgrade", "node")
    else:
        install(host, version, "kubelet", "kubectl")
        ask(host, "systemctl", "restart", "kubelet")
    report({"event": "playbook_on_stats", "event_data": {"changed": {host: 1}}})


def install(host: str, version: str, *packages: str) -> None:
    """Let go, install, hold again."""
    ask(host, "apt-mark", "unhold", *packages)
    ask(host, "apt-get", "--yes", "install", *(f"{package}={version}-*" for package in packages))
    ask(host, "apt-mark", "hold", *packages)


def ask(host: str, *request: str) -> None:
    """Run one program of the host; ends this one, with what it said, when it fails."""
    with socket.create_connection(("127.0.0.1", int(os.environ[PORT]))) as connection:
        # The host's key, the working directory, no standard input, and the command.
        connection.sendall("\0".join((host, "/", "", *request)).encode())
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    code, output, errors = answer.split("\0")
    if code != "0":
        sys.exit(f"{' '.join(request)}: {output}{errors}")


def report(event: dict[str, object]) -> None:
    """An event: its body in a file, its beginning and end marked in the output (ansible_runner's OutputEventFilter)."""
    events = Path(os.environ["AWX_ISOLATED_DATA_DIR"]) / "job_events"
    events.mkdir(mode=0o700, exist_ok=True)
    (events / "1-partial.json").write_text(json.dumps({"uuid": "1", **event}))
    for mark in ({"uuid": "1"}, {}):
        encoded = base64.b64encode(json.dumps(mark).encode()).decode()
        sys.stdout.write(f"\x1b[K{encoded}\x1b[{len(encoded)}D\x1b[K")


if __name__ == "__main__":
    main(sys.argv[-1])
