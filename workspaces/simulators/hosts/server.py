"""The SSH side of the hosts: a listener and a host key each, one client key for the world.

Commands run as local processes through /bin/sh, with the host's directory as home and working directory and the
stand-ins first on PATH; SFTP and scp see the host's directory as /. A command goes on when its client has gone away,
as under a real sshd. Faults of service "ssh" with method EXEC and path = the command: refuse (cut at accept, where the
path is empty, or when the command comes), hang, latency, status (exit code 1), apt_lock; lost_node: nothing listens;
no_boot: a host that goes down for a reboot stays down, as long as the fault is there.
"""

import asyncio
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh

from workspaces.simulators.faults import Fault, Faults
from workspaces.simulators.hosts.commands import Commands, hang
from workspaces.simulators.hosts.machine import Context, Machine, TenantClusters
from workspaces.simulators.hosts.node import kubernetes_version
from workspaces.simulators.hosts.shell import run
from workspaces.simulators.journal import Journal

ADDRESS = "127.0.0.1"
USER = "root"
PROGRAMS = Path(__file__).parent / "bin"
SHUTDOWN_SECONDS = 0.5  # between the command that asks for a reboot and the end of sshd
LOOK_SECONDS = 0.2
REBOOTING = "reboot"


class Hosts:
    """Every host of the world. Start once; `add` before or after it."""

    def __init__(self, faults: Faults, journal: Journal, state_dir: Path, clusters: TenantClusters | None) -> None:
        self._faults = faults
        self._journal = journal
        self._state_dir = state_dir
        self._machines: dict[str, Machine] = {}
        self._listeners: dict[str, asyncssh.SSHAcceptor] = {}
        self._connections: dict[asyncssh.SSHServerConnection, str] = {}
        self._processes: dict[str, set[asyncio.subprocess.Process]] = defaultdict(set)
        self._commands = Commands(self._machines, Context(faults, clusters, self._reboot), journal)
        self._clusters = clusters
        self._booting: dict[str, asyncio.Task[None]] = {}
        self._watch: asyncio.Task[None] | None = None
        self._listening = asyncio.Lock()  # a host being added is not one that came back
        state_dir.mkdir(parents=True, exist_ok=True)
        self._client_key_file = state_dir / "ssh_key"
        self.client_key = _key(self._client_key_file)

    async def start(self) -> None:
        """Listen for every host added or restored so far; those that were down when the world ended come up."""
        await self._commands.start()
        for machine in self._machines.values():
            if machine.down:
                self._booting[machine.name] = asyncio.create_task(self._come_up(machine))
            else:
                await self._listen(machine)
        self._watch = asyncio.create_task(self._follow_absent_hosts())

    async def stop(self) -> None:
        """Cut every session, end every command and stop listening."""
        if self._watch:
            self._watch.cancel()
            self._watch = None
        for booting in self._booting.values():
            booting.cancel()
        for name in list(self._listeners):
            self._cut(name)
        for name in self._machines:
            self._kill_commands(name)
        await self._commands.stop()

    async def add(self, spec: Mapping[str, Any]) -> None:
        """Add the hosts of {"hosts": [...]} that are not there yet (by name).

        The others stay as they are, but what `updates` has beyond theirs is published: it is theirs after the next
        `apt-get update`.
        """
        async with self._listening:
            for host in spec.get("hosts", []):
                if machine := self._machines.get(host["name"]):
                    machine.publish(host.get("updates", []))
                else:
                    self._adopt(host)
                    if self._watch:
                        await self._listen(self._machines[host["name"]])

    def ready(self) -> dict[str, Any]:
        """How to reach the hosts: the one private key (OpenSSH text) and per host address, port, user and host key.

        `root` is the host's directory on this machine and `python` the interpreter to run Ansible's modules with.
        """
        hosts = [
            {
                "name": machine.name,
                "address": ADDRESS,
                "port": machine.port,
                "user": USER,
                "host_key": _public(_key(_host_key_file(machine))),
                "root": str(machine.root),
                "python": sys.executable,
            }
            for machine in self._machines.values()
        ]
        return {"ssh_private_key": self._client_key_file.read_text(), "hosts": hosts}

    def snapshot(self) -> dict[str, Any]:
        """Plain JSON; keys and edited files are in the state directory already."""
        return {"hosts": [machine.snapshot() for machine in self._machines.values()]}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take a snapshot back, before `start`."""
        for host in snapshot["hosts"]:
            self._adopt(host)

    def _adopt(self, host: dict[str, Any]) -> None:
        machine = Machine.from_spec(host, self._state_dir / "hosts" / host["name"])
        _key(_host_key_file(machine))
        self._machines[machine.name] = machine

    async def _listen(self, machine: Machine) -> None:
        listen = partial(
            asyncssh.listen,
            ADDRESS,
            server_factory=partial(_Server, self, machine),
            server_host_keys=[_key(_host_key_file(machine))],
            process_factory=partial(self._run, machine),
            sftp_factory=partial(asyncssh.SFTPServer, chroot=os.fsencode(machine.root)),
            allow_scp=True,
            encoding=None,
            line_editor=False,
            kex_algs=["curve25519-sha256"],  # cheap, and every client has it
            compression_algs=None,
        )
        try:
            listener = await listen(machine.port)
        except OSError:  # the port of an earlier run is taken now
            listener = await listen(0)
        machine.port = listener.get_port()
        self._listeners[machine.name] = listener

    def _cut(self, name: str) -> None:
        self._listeners.pop(name).close()
        for connection in [connection for connection, host in self._connections.items() if host == name]:
            connection.abort()

    def _kill_commands(self, name: str) -> None:
        for process in self._processes[name]:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    async def _follow_absent_hosts(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            unusual = self._booting or any(fault.kind == "lost_node" for fault in self._faults.all())
            if not unusual and len(self._listeners) == len(self._machines):
                continue
            async with self._listening:
                for name, machine in self._machines.items():
                    absent = machine.down or self._faults.active("ssh", name, "lost_node") is not None
                    if absent and name in self._listeners:
                        self._cut(name)
                    elif not absent and name not in self._listeners:
                        await self._listen(machine)

    def _reboot(self, machine: Machine) -> None:
        if machine.name not in self._booting:
            self._booting[machine.name] = asyncio.create_task(self._go_down(machine))

    async def _go_down(self, machine: Machine) -> None:
        await asyncio.sleep(SHUTDOWN_SECONDS)
        machine.down = True
        if machine.name in self._listeners:  # not lost already
            self._cut(machine.name)
        self._kill_commands(machine.name)
        if machine.node:
            # To its cluster a host that is down is a lost node. The path tells it from a fault that somebody wants.
            node = f"{machine.cluster}/{machine.node}"
            self._faults.add(service="kubernetes", target=node, kind="lost_node", path=REBOOTING)
        await asyncio.sleep(machine.reboot_seconds)
        await self._come_up(machine)

    async def _come_up(self, machine: Machine) -> None:
        while self._faults.active("ssh", machine.name, "no_boot"):
            await asyncio.sleep(LOOK_SECONDS)
        machine.boot()
        del self._booting[machine.name]
        for fault in self._lost(machine):
            self._faults.remove(fault.id)
        if self._clusters:
            # In this order: a start is put off by the next one, and only this one tells another boot.
            self._clusters.kubelet_restarted(machine.cluster, machine.node, kubernetes_version(machine))
            self._clusters.host_rebooted(machine.cluster, machine.node)

    def _lost(self, machine: Machine) -> list[Fault]:
        node = f"{machine.cluster}/{machine.node}"
        return [fault for fault in self._faults.all() if (fault.target, fault.path) == (node, REBOOTING)]

    def connected(self, machine: Machine, connection: asyncssh.SSHServerConnection) -> None:
        """A client was accepted: note it, or cut it when a fault says so."""
        fault = self._faults.hit("ssh", machine.name, "EXEC", "", kinds={"refuse"})
        if fault or machine.name not in self._listeners:
            self._journal.record("ssh", machine.name, "EXEC", "", 0, None, fault.kind if fault else "lost_node")
            connection.abort()
        else:
            self._connections[connection] = machine.name

    def disconnected(self, connection: asyncssh.SSHServerConnection) -> None:
        """A client has gone; its commands go on."""
        self._connections.pop(connection, None)

    async def _run(self, machine: Machine, process: asyncssh.SSHServerProcess[bytes]) -> None:
        command = process.command or ""
        entry = self._journal.record("ssh", machine.name, "EXEC", command, 0, None)
        machine.tell_uptime()
        if slow := self._faults.hit("ssh", machine.name, "EXEC", command, kinds={"latency"}):
            entry.fault = slow.kind
            await asyncio.sleep(slow.seconds)
        fault = self._faults.hit("ssh", machine.name, "EXEC", command, kinds={"hang", "refuse", "status"})
        entry.fault = fault.kind if fault else entry.fault
        if fault and fault.kind == "status":
            entry.status = 1
            process.exit(1)
            return
        if fault:
            if fault.kind == "hang":
                await hang(self._faults, fault)
            process.get_extra_info("connection").abort()
            return
        running = self._processes[machine.name]
        entry.status = await run(process, command, machine.root, self._environment(machine), running)

    def _environment(self, machine: Machine) -> dict[str, str]:
        return {
            "PATH": f"{PROGRAMS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(machine.root),
            "USER": USER,
            "LANG": "C.UTF-8",
            "HOST_NAME": machine.name,
            "HOST_ROOT": str(machine.root),
            "HOST_PYTHON": sys.executable,
            "HOST_CONTROL_PORT": str(self._commands.port),
        }


class _Server(asyncssh.SSHServer):
    """One connection: the user is root in name only, the key is the world's."""

    def __init__(self, hosts: Hosts, machine: Machine) -> None:
        self._hosts = hosts
        self._machine = machine
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._hosts.connected(self._machine, conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection:
            self._hosts.disconnected(self._connection)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == USER and key.public_data == self._hosts.client_key.public_data


def _host_key_file(machine: Machine) -> Path:
    return machine.root / "etc/ssh/ssh_host_ed25519_key"


def _key(file: Path) -> asyncssh.SSHKey:
    """The ed25519 key in that file; made, readable by its owner only, when there is none."""
    if file.exists():
        return asyncssh.read_private_key(file)
    key = asyncssh.generate_private_key("ssh-ed25519")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_bytes(key.export_private_key())
    return key


def _public(key: asyncssh.SSHKey) -> str:
    return " ".join(key.export_public_key().decode().split()[:2])
