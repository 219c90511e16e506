"""Answers the stand-in programs of the hosts over a local socket (`bin/ask.py` tells the protocol)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from time import monotonic

from workspaces.simulators.faults import Fault, Faults
from workspaces.simulators.hosts import apt, apt_cache, dpkg, kubeadm, node, services, tools
from workspaces.simulators.hosts.context import Context, Reply
from workspaces.simulators.hosts.machine import Machine
from workspaces.simulators.journal import Journal

type Program = Callable[[Machine, list[str], Context], Awaitable[Reply]]

PROGRAMS: Mapping[str, Program] = {
    "apt-get": apt.apt_get,
    "apt-mark": apt_cache.apt_mark,
    "apt-cache": apt_cache.apt_cache,
    "dpkg": dpkg.dpkg,
    "dpkg-query": dpkg.dpkg_query,
    "kubeadm": kubeadm.kubeadm,
    "kubelet": node.kubelet,
    "systemctl": services.systemctl,
    "reboot": node.reboot,
    "shutdown": node.reboot,
    "uname": node.uname,
    "cloud-init": tools.cloud_init,
    "containerd": tools.containerd,
    "crictl": tools.crictl,
    "curl": tools.curl,
    "wget": tools.curl,
    "gpg": tools.gpg,
    "lsmod": tools.lsmod,
    "modprobe": tools.modprobe,
    "swapoff": tools.nothing,
    "swapon": tools.nothing,
    "sysctl": tools.sysctl,
}


async def hang(faults: Faults, fault: Fault) -> None:
    """Wait until the time of a hang is over or the fault is removed."""
    end = monotonic() + fault.seconds
    while monotonic() < end and fault in faults.all():
        await asyncio.sleep(0.1)


class Commands:
    """The socket. A command is journalled as service "ssh", method "EXEC", path = its command line.

    Faults met here, besides those of the SSH command that runs the program: latency, hang (then exit 1) and status.
    """

    def __init__(self, machines: Mapping[str, Machine], context: Context, journal: Journal) -> None:
        self._machines = machines
        self._context = context
        self._journal = journal
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen on a free local port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and cut what is being answered."""
        if self._server:
            self._server.close()
            self._server.close_clients()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            key, directory, stdin, program, *arguments = (await reader.read()).decode(errors="replace").split("\0")
            context = replace(self._context, directory=Path(directory), stdin=stdin)
            reply = await self._answer(self._machines[key], program, arguments, context)
            writer.write(f"{reply.code}\0{reply.output}\0{reply.errors}".encode())
            await writer.drain()
        except (ConnectionError, ValueError, KeyError):
            pass  # the program was killed, or somebody else knocked at this port
        finally:
            writer.close()

    async def _answer(self, machine: Machine, program: str, arguments: list[str], context: Context) -> Reply:
        faults, command = context.faults, " ".join([program, *arguments])
        entry = self._journal.record("ssh", machine.name, "EXEC", command, 0, None)
        if slow := faults.hit("ssh", machine.name, "EXEC", command, kinds={"latency"}):
            entry.fault = slow.kind
            await asyncio.sleep(slow.seconds)
        if fault := faults.hit("ssh", machine.name, "EXEC", command, kinds={"hang", "status"}):
            entry.fault = fault.kind
            if fault.kind == "hang":
                await hang(faults, fault)
            reply = Reply(1, "", f"{program}: simulated failure\n")
        elif program in PROGRAMS:
            reply = await PROGRAMS[program](machine, arguments, context)
        else:
            # A host has no such program. It has its stand-in for this answer alone: the next on PATH is the real one.
            reply = Reply(127, "", f"/bin/sh: 1: {program}: not found\n")
        entry.status = reply.code
        return reply
