"""Hosts with a real package manager behind a real sshd, for the playbooks. The packages they get are the tests' matter.

A host is a process: sshd in namespaces of its own, on an overlay in memory over a base that debootstrap built. All
of it is gone when the process is. The bases are kept in the account's cache; hosts need no network.
"""

import fcntl
import hashlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from workspaces.providers.ansible import HostTarget, PlaybookResult, known_hosts_line, run_playbook

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "loopback-tests"
APT_BASE = ("apt-utils", "gpg", "gpg-agent", "openssh-server", "python3")
DNF_BASE = ("createrepo-c", "dnf", "openssh-server", "python3", "dnf-plugins-core", "rpm")
# What a host still needs besides its base: no repository of the network, and sshd as every host has it.
FINISH = """
set -e
rm -rf var/cache/apt/archives/*.deb var/lib/apt/lists/* etc/apt/sources.list etc/apt/sources.list.d/* etc/ssh/ssh_host_*
mkdir -p root/.ssh run/sshd
printf 'UsePAM no\\nPasswordAuthentication no\\nHostKey /etc/ssh/host_key\\n' > etc/ssh/sshd_config
"""
START = """
set -e
mount -t tmpfs -o size=1g tmpfs "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root"
mount -t proc proc "$2/root/proc"
mount --rbind /dev "$2/root/dev"
mount -t tmpfs tmpfs "$2/root/run"
mkdir -p "$2/root/run/sshd" "$2/root/run/lock"
printf '%s\\n' "$4" > "$2/root/root/.ssh/authorized_keys"
hostname real-host
exec chroot "$2/root" sh -c '
    ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/host_key
    exec /usr/sbin/sshd -D -e -o ListenAddress=127.0.0.1 -o Port='"$3"
"""


def base(packages: tuple[str, ...]) -> Path:
    """The root directory of a Debian of this machine's release with `packages`; built (a minute) when there is none."""
    _require_what_hosts_need()
    suite = _release()["VERSION_CODENAME"]
    recipe = hashlib.sha256(json.dumps([suite, packages, FINISH]).encode()).hexdigest()[:12]
    root = CACHE / f"{suite}-{recipe}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with root.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            building = CACHE / f"{root.name}.building"
            shutil.rmtree(building, ignore_errors=True)
            _run("debootstrap", "--variant=minbase", f"--include={','.join(packages)}", suite, str(building))
            _run("sh", "-c", FINISH, cwd=building)
            building.rename(root)
    return root


def _require_what_hosts_need() -> None:
    """Say what is missing: as a failure where everything has to run, else as the reason to skip."""
    lacking = pytest.fail if os.environ.get("CI") else pytest.skip
    if os.geteuid() != 0:
        lacking("Real hosts need root, for mounts and namespaces.")
    if (
        not shutil.which("unshare")
        or subprocess.run(["unshare", "--mount", "--pid", "--uts", "--fork", "true"]).returncode
    ):
        lacking("Real hosts need namespaces: unshare --mount --pid --uts does not work here.")
    if "overlay" not in Path("/proc/filesystems").read_text() and subprocess.run(["modprobe", "overlay"]).returncode:
        lacking("Real hosts need overlayfs, which this kernel does not have.")
    if not shutil.which("debootstrap"):
        if not shutil.which("apt-get") or "debian" not in _release()["ID"]:
            lacking("Real hosts need debootstrap and the release of this machine to be Debian's.")
        _run("apt-get", "update", "-qq")
        _run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "debootstrap")


def _release(file: Path = Path("/etc/os-release")) -> dict[str, str]:
    lines = file.read_text().splitlines()
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}


def _run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout[-3000:]}"


@dataclass(frozen=True)
class KeyPair:
    """The key that every host of a test run lets in as root."""

    private: str
    public: str

    @classmethod
    def new(cls) -> "KeyPair":
        """A fresh pair."""
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "key"
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file))
            return cls(file.read_text(), file.with_suffix(".pub").read_text().strip())


class RealHost:
    """One host, from `with` to its end. `path` and `run` are the test's own way in, past SSH."""

    def __init__(self, root: Path, keys: KeyPair) -> None:
        self.keys = keys
        self.lines: list[str] = []
        self.port = _free_port()
        self._directory = Path(tempfile.mkdtemp(prefix="loopback-real-host-"))
        self._log = self._directory.with_suffix(".log").open("w+")
        command = ["unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", "sh", "-c", START, "sh"]
        # Also gone with a test run that is killed.
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command, str(root), str(self._directory), str(self.port), keys.public],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        self._first = 0
        self._started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> "RealHost":
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        deadline = time.monotonic() + 20
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                pytest.fail(f"A real host did not start:\n{Path(self._log.name).read_text()}")
            time.sleep(0.02)
        self._first = int(children.read_text())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # takes the namespaces, and with them every mount and process of the host
        self._process.wait()
        for process in self._started:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        self._log.close()
        Path(self._log.name).unlink()
        self._directory.rmdir()

    def _answers(self) -> bool:
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) == 0

    def path(self, name: str) -> Path:
        """A file of the host ("etc/hosts") as this process reaches it. Absolute symbolic links lead astray."""
        return Path(f"/proc/{self._first}/root") / name

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """Write a file of the host, with the directories above it."""
        file = self.path(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def release(self) -> dict[str, str]:
        """What the host says of its system, in os-release."""
        return _release(self.path("etc/os-release"))

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a program on the host, as root; its output, errors included, is a pipe."""
        inside = ["nsenter", f"--target={self._first}", "--mount", "--pid", "--uts", "--root", "--wdns=/"]
        process = subprocess.Popen(
            [*inside, *command],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._started.append(process)
        return process

    def run(self, *command: str, code: int = 0) -> str:
        """What a program said, which has to end with `code`."""
        process = self.start(*command)
        said, _ = process.communicate()
        assert process.returncode == code, f"{command} ended with {process.returncode}:\n{said}"
        return said

    def play(self, playbook: str, **variables: object) -> PlaybookResult:
        """Run a playbook as the product does; `self.lines` has the lines of this run afterwards."""
        self.lines = []
        connection: Mapping[str, object] = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": "root",
        }
        return run_playbook(
            playbook,
            HostTarget("real-host", connection),
            private_key=self.keys.private,
            known_hosts=known_hosts_line("127.0.0.1", self.port, self.path("etc/ssh/host_key.pub").read_text().strip()),
            variables={"lock_timeout": 2, **variables},
            timeout=120,
            on_output=self.lines.append,
        )


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until it is so, at most a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
