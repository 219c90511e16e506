"""Machines that go down and come up: those that reboot from inside, and the power that a cloud gives and takes.

A machine that is down is silent to its cluster too: its kubelet stops with it. Who listens is in `server.py`.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from workspaces.simulators.faults import Faults
from workspaces.simulators.hosts.context import TenantClusters
from workspaces.simulators.hosts.machine import Machine
from workspaces.simulators.hosts.node import kubernetes_version

SHUTDOWN_SECONDS = 0.5  # between the command that asks for a reboot and the end of sshd
LOOK_SECONDS = 0.2


class Power:
    """`cut` ends everything that a machine has open and runs, and it listens no more."""

    def __init__(self, faults: Faults, clusters: TenantClusters | None, cut: Callable[[Machine], None]) -> None:
        self._faults, self._clusters, self._cut = faults, clusters, cut
        self._changing: dict[str, asyncio.Task[None]] = {}

    @property
    def changing(self) -> bool:
        """Whether a machine is on its way down or up."""
        return bool(self._changing)

    def reboot(self, machine: Machine) -> None:
        """The machine itself wants to: it goes down in a moment and comes up later."""
        if machine.key not in self._changing:
            self._change(machine, self._reboot(machine))

    def on(self, machine: Machine, seconds: float) -> None:
        """It has power, and is up after so many seconds."""
        machine.off, machine.down = False, True
        self._stop_changing(machine)
        self._change(machine, self._come_up(machine, seconds))

    def off(self, machine: Machine) -> None:
        """Its power is cut, whatever it was doing."""
        self._stop_changing(machine)
        machine.off, machine.down = True, False
        self._silence(machine)

    def stop(self) -> None:
        """The world ends; who was on the way is so still when it goes on."""
        for task in self._changing.values():
            task.cancel()

    def _change(self, machine: Machine, coming: Coroutine[Any, Any, None]) -> None:
        task = self._changing[machine.key] = asyncio.get_running_loop().create_task(coming)
        task.add_done_callback(lambda done: self._forget(machine, done))

    def _forget(self, machine: Machine, done: asyncio.Task[None]) -> None:
        if self._changing.get(machine.key) is done:
            del self._changing[machine.key]

    def _stop_changing(self, machine: Machine) -> None:
        if task := self._changing.pop(machine.key, None):
            task.cancel()

    async def _reboot(self, machine: Machine) -> None:
        await asyncio.sleep(SHUTDOWN_SECONDS)
        machine.down = True
        self._silence(machine)
        await self._come_up(machine, machine.reboot_seconds)

    def _silence(self, machine: Machine) -> None:
        self._cut(machine)
        if machine.node and self._clusters:
            self._clusters.kubelet_stopped(machine.cluster, machine.node)

    async def _come_up(self, machine: Machine, seconds: float) -> None:
        await asyncio.sleep(seconds)
        while self._faults.active("ssh", machine.name, "no_boot"):
            await asyncio.sleep(LOOK_SECONDS)
        machine.boot()
        if self._clusters and machine.kubelet_pid:
            # In this order: a start is put off by the next one, and only this one tells another boot.
            self._clusters.kubelet_restarted(machine.cluster, machine.node, kubernetes_version(machine))
            self._clusters.host_rebooted(machine.cluster, machine.node)
