"""The SSH side of the hosts: a listener and a host key each.

A host of the world listens on a port of its own and lets the world's one key in. A machine that is a server of the
simulated cloud listens at an address of its own, all on one port, and lets in whom the server was created with.

Commands run as local processes through /bin/sh, with the host's directory as home and working directory and the
stand-ins first on PATH; SFTP and scp see the host's directory as /. A command goes on when its client has gone away,
as under a real sshd. Faults of service "ssh" with method EXEC and path = the command: refuse (cut at accept, where the
path is empty, or when the command comes), hang, latency, status (exit code 1), apt_lock; lost_node: nothing listens;
no_boot: a host that comes up does not, as long as the fault is there.
"""

import asyncio
import os
import shutil
import signal
import sys
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh

from workspaces.simulators.faults import Faults
from workspaces.simulators.hosts import archive
from workspaces.simulators.hosts.commands import Commands, hang
from workspaces.simulators.hosts.connection import USER, Connection
from workspaces.simulators.hosts.context import Context, TenantClusters
from workspaces.simulators.hosts.keys import host_key, key_in, public
from workspaces.simulators.hosts.machine import Machine
from workspaces.simulators.hosts.power import LOOK_SECONDS, Power
from workspaces.simulators.hosts.shell import run
from workspaces.simulators.journal import Journal

ADDRESS = "127.0.0.1"
PROGRAMS = Path(__file__).parent / "bin"


class Hosts:
    """Every host of the world. Start once; `add` before or after it."""

    def __init__(self, faults: Faults, journal: Journal, state_dir: Path, clusters: TenantClusters | None) -> None:
        self._faults = faults
        self._journal = journal
        self._state_dir = state_dir
        self._machines: dict[str, Machine] = {}  # by their keys
        self._listeners: dict[str, asyncssh.SSHAcceptor] = {}
        self._connections: dict[asyncssh.SSHServerConnection, str] = {}
        self._processes: dict[str, set[asyncio.subprocess.Process]] = defaultdict(set)
        self.power = Power(faults, clusters, self._cut)
        self._commands = Commands(self._machines, Context(faults, clusters, self.power.reboot), journal)
        self._watch: asyncio.Task[None] | None = None
        self._listening = asyncio.Lock()  # a host being added is not one that came back
        state_dir.mkdir(parents=True, exist_ok=True)
        self._client_key_file = state_dir / "ssh_key"
        self._client_key = public(key_in(self._client_key_file))

    async def start(self) -> None:
        """Listen for every host added or restored so far; those that were down when the world ended come up."""
        await self._commands.start()
        for machine in self._machines.values():
            if machine.down:
                self.power.on(machine, 0)
            elif not machine.off:
                await self._listen(machine)
        self._watch = asyncio.create_task(self._follow_absent_hosts())

    async def stop(self) -> None:
        """Cut every session, end every command and stop listening."""
        if self._watch:
            self._watch.cancel()
            self._watch = None
        self.power.stop()
        for machine in self._machines.values():
            self._cut(machine)
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

    def find(self, key: str) -> Machine | None:
        """A host of the world by its name, a server's machine by its address."""
        return self._machines.get(key)

    def install(
        self, name: str, system: str, *, server: int, address: str, port: int, authorized: list[str]
    ) -> Machine:
        """The bare machine of a new server, without power. `authorized` are the public keys that may log in."""
        spec = {"name": name, "os": system, "packages": dict(archive.IMAGE), "enabled": [], "running": [], "off": True}
        spec |= {"server": server, "address": address, "port": port, "authorized": authorized}
        return self._adopt(spec)

    def scrap(self, machine: Machine) -> None:
        """A server's machine is gone for good, with its disk."""
        self.power.off(machine)
        del self._machines[machine.key]
        shutil.rmtree(machine.root, ignore_errors=True)

    def ready(self) -> dict[str, Any]:
        """How to reach the hosts of the world; servers' machines the cloud tells.

        The one private key (OpenSSH text), and per host address, port, user and host key.

        `root` is the host's directory on this machine and `python` the interpreter to run Ansible's modules with.
        """
        hosts = [
            {
                "name": machine.name,
                "address": ADDRESS,
                "port": machine.port,
                "user": USER,
                "host_key": public(host_key(machine)),
                "root": str(machine.root),
                "python": sys.executable,
            }
            for machine in self._machines.values()
            if not machine.server
        ]
        return {"ssh_private_key": self._client_key_file.read_text(), "hosts": hosts}

    def snapshot(self) -> dict[str, Any]:
        """Plain JSON; keys and edited files are in the state directory already."""
        return {"hosts": [machine.snapshot() for machine in self._machines.values()]}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take a snapshot back, before `start`."""
        for host in snapshot["hosts"]:
            self._adopt(host)

    def _adopt(self, host: dict[str, Any]) -> Machine:
        root = self._state_dir / "hosts" / (host.get("address") or host["name"])
        machine = Machine.from_spec(host, root)
        host_key(machine)
        self._machines[machine.key] = machine
        return machine

    async def _listen(self, machine: Machine) -> None:
        listen = partial(
            asyncssh.listen,
            machine.address or ADDRESS,
            server_factory=partial(Connection, self, machine, lambda: machine.authorized or [self._client_key]),
            server_host_keys=[host_key(machine)],
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
            if machine.server:
                return  # there is no other for it: tried again at the next look
            listener = await listen(0)
        machine.port = listener.get_port()
        self._listeners[machine.key] = listener

    def _close(self, key: str) -> None:
        if listener := self._listeners.pop(key, None):
            listener.close()
        for connection in [connection for connection, host in self._connections.items() if host == key]:
            connection.abort()

    def _cut(self, machine: Machine) -> None:
        self._close(machine.key)
        for process in self._processes.pop(machine.key, set()):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    async def _follow_absent_hosts(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            unusual = self.power.changing or any(fault.kind == "lost_node" for fault in self._faults.all())
            if not unusual and len(self._listeners) == sum(machine.up for machine in self._machines.values()):
                continue
            async with self._listening:
                for key, machine in list(self._machines.items()):
                    absent = not machine.up or self._faults.active("ssh", machine.name, "lost_node") is not None
                    if absent:
                        self._close(key)
                    elif key not in self._listeners:
                        await self._listen(machine)
                    if not machine.up:  # it went down while it began to listen
                        self._close(key)

    def connected(self, machine: Machine, connection: asyncssh.SSHServerConnection) -> None:
        """A client was accepted: note it, or cut it when a fault says so."""
        fault = self._faults.hit("ssh", machine.name, "EXEC", "", kinds={"refuse"})
        if fault or machine.key not in self._listeners:
            self._journal.record("ssh", machine.name, "EXEC", "", 0, None, fault.kind if fault else "lost_node")
            connection.abort()
        else:
            self._connections[connection] = machine.key

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
        running = self._processes[machine.key]
        entry.status = await run(process, command, machine.root, self._environment(machine), running)

    def _environment(self, machine: Machine) -> dict[str, str]:
        return {
            "PATH": f"{PROGRAMS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(machine.root),
            "USER": USER,
            "LANG": "C.UTF-8",
            "HOST_KEY": machine.key,
            "HOST_ROOT": str(machine.root),
            "HOST_PYTHON": sys.executable,
            "HOST_CONTROL_PORT": str(self._commands.port),
        }
