"""Runs a playbook on one host: `ansible-playbook` as a separate process, started and read through ansible-runner.

The playbooks are in `playbooks/`, written to be read, run by hand and replaced. What may be run when, and on which
host, is decided in operations; how a failed run is to be understood is in `playbook_failures.py`.
"""

import fcntl
import json
import os
import shlex
import shutil
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner

from workspaces.providers.errors import Permanent, Temporary
from workspaces.providers.playbook_failures import failed_task, not_started, unreachable

PLAYBOOKS = Path(__file__).parent / "playbooks"
OUTPUT_LIMIT = 8_000  # characters
LINES_PER_COMMAND = 20
DIRECTORY_PREFIX = "loopback-playbook-"
HIDDEN = ("SECRET_KEY", "LOOPBACK_ENCRYPTION_KEYS", "DATABASE_URL", "REDIS_URL")
SECRET_NAMES = ("password", "passphrase", "secret", "token", "_pass")


@dataclass(frozen=True)
class HostTarget:
    """A host as Ansible sees it: its name and connection variables (ansible_host, ansible_port, ansible_user, …)."""

    name: str
    variables: Mapping[str, object]


@dataclass(frozen=True)
class PlaybookResult:
    """A run that succeeded: tasks that changed something, the end of the log, what the playbook told by set_stats."""

    changed: int
    output: str
    facts: dict[str, object] = field(default_factory=dict)


def known_hosts_line(address: str, port: int, host_key: str) -> str:
    """A known_hosts line from a host key as `ssh-keyscan` or cloud-init have it ("ssh-ed25519 AAAA…")."""
    return f"{address if port == 22 else f'[{address}]:{port}'} {host_key}\n"


def run_playbook(
    name: str,
    host: HostTarget,
    *,
    private_key: str,
    known_hosts: str,
    variables: Mapping[str, object],
    timeout: float,
    on_output: Callable[[str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    search_path: Path | None = None,
) -> PlaybookResult:
    """Run the playbook `name` ("kubelet") on `host` and wait for its end, at most `timeout` seconds.

    `private_key` is OpenSSH text, `known_hosts` the text of such a file: a host whose key is not in it is refused.
    `variables` are extra variables. `on_output` gets a line per task as it ends. `cancelled` is asked every second; a
    cancelled run raises Temporary("conflict"), and the command the host is at goes on to its end. A playbook in
    `search_path` replaces the shipped one of that name.

    Raises Temporary: unreachable (no connection, or time is up), conflict (somebody else holds the package lock).
    Raises Permanent: credential (key or host key refused), not_found (no such package version), configuration (the
    playbook is missing or wrong, a task failed, no ssh on this machine).
    """
    playbook = _find(name, search_path)
    log = _Log(name, _secrets(private_key, host.variables, variables), on_output)
    with _private_directory() as directory:
        log.secrets[str(directory)] = ""
        _lay_out(directory, host, private_key, known_hosts, variables)
        run = ansible_runner.run(
            private_data_dir=str(directory),
            playbook=str(playbook),
            envvars=_environment(directory),
            settings={"pexpect_timeout": 1, "job_timeout": max(1, int(timeout)), "suppress_output_file": True},
            quiet=True,
            event_handler=log.take,
            # Without a callback of ours ansible-runner would take over this process's signals.
            cancel_callback=cancelled or (lambda: False),
        )
    return _result(run.status, host, log, timeout)


def _result(status: str, host: HostTarget, log: "_Log", timeout: float) -> PlaybookResult:
    if status == "successful":
        return PlaybookResult(log.changed, log.output(), log.facts)
    if status == "canceled":
        raise Temporary("conflict", f"Playbook {log.playbook} was cancelled on {host.name}.")
    if status == "timeout":
        message = f"Playbook {log.playbook} did not end on {host.name} within {timeout:g} seconds."
        raise Temporary("unreachable", message)
    if log.unreachable is not None:
        raise unreachable(host.name, log.unreachable)
    if log.failure is not None:
        raise failed_task(host.name, *log.failure)
    raise not_started(log.playbook, log.clean("\n".join(log.console)))


def _find(name: str, search_path: Path | None) -> Path:
    """The file of a playbook, the operator's before ours; checks what a run needs on this machine."""
    if not shutil.which("ssh"):
        raise Permanent("configuration", "The program ssh is missing here: install the package openssh-client.")
    for folder in (search_path, PLAYBOOKS):
        if folder and (folder / f"{name}.yml").is_file():
            return (folder / f"{name}.yml").resolve()
    raise Permanent("configuration", f"There is no playbook {name}.yml.")


def _secrets(private_key: str, *mappings: Mapping[str, object]) -> dict[str, str]:
    """What must not be in any output, and what stands there instead."""
    lines = [line for line in private_key.splitlines() if line and not line.startswith("-----")]
    values = [
        str(value)
        for variables in mappings
        for name, value in variables.items()
        if value and any(word in name.lower() for word in SECRET_NAMES)
    ]
    return dict.fromkeys([private_key.strip(), *lines, *values], "***")


@contextmanager
def _private_directory() -> Iterator[Path]:
    """A directory of our own, in memory where there is such a place: during the run it holds the private key."""
    memory = Path("/dev/shm")  # noqa: S108
    parent = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    _remove_abandoned(parent)
    directory = Path(tempfile.mkdtemp(prefix=DIRECTORY_PREFIX, dir=parent))
    lock = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield directory
    finally:
        os.close(lock)
        shutil.rmtree(directory, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    """Remove what killed workers left: the kernel gave their locks back. A new one has a minute to be locked."""
    for directory in parent.glob(f"{DIRECTORY_PREFIX}*"):
        with suppress(OSError):
            if directory.stat().st_mtime > time.time() - 60:
                continue
            lock = os.open(directory, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory)
            finally:
                os.close(lock)


def _lay_out(
    directory: Path, host: HostTarget, private_key: str, known_hosts: str, variables: Mapping[str, object]
) -> None:
    inventory = {"all": {"hosts": {host.name: dict(host.variables)}}}
    _write(directory / "inventory/hosts.json", json.dumps(inventory))
    _write(directory / "env/extravars", json.dumps(dict(variables)))  # as an argument they would be in the process list
    _write(directory / "key", private_key.strip() + "\n")
    _write(directory / "known_hosts", known_hosts.strip() + "\n")
    _write(directory / "ansible.cfg", "")
    real = shutil.which("ansible-playbook", path=f"{sysconfig.get_path('scripts')}:{os.environ.get('PATH', '')}")
    if not real:
        raise Permanent("configuration", "The program ansible-playbook is missing here: install ansible-core.")
    # ansible-playbook outlives a killed worker and goes on with the next tasks, unless the kernel ties it to us.
    tie = "setpriv --pdeathsig KILL " if shutil.which("setpriv") else ""
    # A playbook has no business with the product's own secrets, which the worker carries in its environment.
    hide = "env " + " ".join(f"-u {name}" for name in HIDDEN)
    wrapper = f'#!/bin/sh\nexec {hide} {tie}{shlex.quote(real)} "$@"\n'
    _write(directory / "bin/ansible-playbook", wrapper, mode=0o700)


def _write(file: Path, text: str, mode: int = 0o600) -> None:
    file.parent.mkdir(mode=0o700, exist_ok=True)
    file.touch(mode=mode)
    file.write_text(text)


def _environment(directory: Path) -> dict[str, str]:
    ssh = {
        "ControlMaster": "auto",
        "ControlPersist": "5s",  # one login a run; what lingers is gone soon
        "UserKnownHostsFile": directory / "known_hosts",
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "PreferredAuthentications": "publickey",
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
        "ServerAliveInterval": 15,  # a host that vanishes in mid-task is noticed after a minute
        "ServerAliveCountMax": 4,
    }
    return {
        "PATH": f"{directory / 'bin'}:{os.environ.get('PATH', os.defpath)}",
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_CONFIG": str(directory / "ansible.cfg"),  # the worker's account may have one: not for us
        "ANSIBLE_HOME": str(directory / "home"),
        "ANSIBLE_LOCAL_TEMP": str(directory / "tmp"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(directory / "cp"),
        "ANSIBLE_PRIVATE_KEY_FILE": str(directory / "key"),
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        "ANSIBLE_SSH_ARGS": " ".join(f"-o {option}={value}" for option, value in ssh.items()),
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_FORKS": "1",
        "ANSIBLE_GATHERING": "explicit",
        "ANSIBLE_INVENTORY_ENABLED": "ansible.builtin.yaml",
        "PYTHONDONTWRITEBYTECODE": "",  # with it every run compiles Ansible anew
        "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",  # unless the host says otherwise; saves a second of discovery
    }


class _Log:
    """Collects the events of one run: lines for people, and what the result or the error is made of."""

    def __init__(self, playbook: str, secrets: dict[str, str], on_output: Callable[[str], None] | None) -> None:
        self.playbook = playbook
        self.secrets = secrets
        self.changed = 0
        self.facts: dict[str, object] = {}
        self.unreachable: str | None = None
        self.failure: tuple[str, str, str] | None = None
        self.console: list[str] = []
        self._on_output = on_output
        self._lines: list[str] = []

    def take(self, event: dict[str, Any]) -> bool:
        """Handle an event of ansible-runner; False: it need not be kept on disk."""
        kind, data = event["event"], event.get("event_data", {})
        task, result = data.get("task") or "", data.get("res") or {}
        if kind == "runner_on_ok":
            self._tell(task, "changed" if result.get("changed") else "ok")
            if result.get("changed"):
                self._quote(result)
        elif kind == "runner_on_failed" and data.get("ignore_errors"):
            self._tell(task, "failed, which the playbook allows")
        elif kind == "runner_on_failed":
            self._tell(task, "failed")
            self._quote(result)
            self.failure = (task, self.clean(_words(result)), self.clean(_errors(result)))
        elif kind == "runner_on_unreachable":
            self._tell(task, "unreachable")
            self.unreachable = self.clean(str(result.get("msg", "")))
        elif kind == "playbook_on_stats":
            self.changed = sum(data.get("changed", {}).values())
            self.facts = dict(data.get("artifact_data", {}))
        elif event.get("stdout"):
            self.console.append(event["stdout"])
        return False

    def output(self) -> str:
        """The end of the log."""
        return "\n".join(self._lines)[-OUTPUT_LIMIT:]

    def clean(self, text: str) -> str:
        """The text without secrets."""
        for secret, substitute in self.secrets.items():
            text = text.replace(secret, substitute)
        return text

    def _tell(self, task: str, outcome: str) -> None:
        line = self.clean(f"{self.playbook}: {task}: {outcome}")
        self._lines.append(line)
        if self._on_output:
            self._on_output(line)

    def _quote(self, result: Mapping[str, Any]) -> None:
        self._lines += [f"    {line}" for line in self.clean(_words(result)).splitlines()[-LINES_PER_COMMAND:]]


def _words(result: Mapping[str, Any]) -> str:
    """Everything a command or a module said, its errors last."""
    output = [result.get("stdout"), result.get("module_stdout")]
    return "\n".join([*(str(part).strip() for part in output if part), _errors(result)]).strip()


def _errors(result: Mapping[str, Any]) -> str:
    """What it said to standard error, or else what Ansible says of it."""
    said = result.get("stderr") or result.get("module_stderr") or (result.get("msg") if result.get("failed") else "")
    return str(said or "").strip()
