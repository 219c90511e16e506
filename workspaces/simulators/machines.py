"""What becomes of the machines when something becomes of their servers: power given and taken, and deletion.

A server created through the API has a machine of its own, which is made when it first runs and goes with it. One of the
world file that is named as a host of the world is that host: its power is the host's, from the first command on.
"""

import random
import socket
import sys
from itertools import chain
from pathlib import Path
from typing import Any

from .hetzner import Hetzner
from .hetzner_machines import RESERVED, system_of
from .hetzner_project import GONE, Project
from .hetzner_protocol import Document
from .hosts import Hosts
from .hosts.machine import Machine

DARK = ("off", "migrating", "deleting", GONE)
# Outside of what the kernel gives to outgoing connections, so that it is likely to be free again after a restart.
PORTS = range(20_000, 32_000)


class Machines:
    """Brings the hosts in line with the servers of the cloud."""

    def __init__(self, hetzner: Hetzner, hosts: Hosts, state_dir: Path, phase_seconds: float) -> None:
        self._hetzner, self._hosts, self._phase = hetzner, hosts, phase_seconds
        self._directory = (state_dir / "hosts").absolute()
        self._holder: socket.socket | None = None
        self.port = 0

    def start(self) -> None:
        """Take the port of before, or a free one, for this world alone; then see what happened meanwhile."""
        free = (port for port in random.sample(PORTS, len(PORTS)) if _is_free(port))
        candidates = chain([self.port] if self.port else [], free)
        self._holder = next(filter(None, map(_hold, candidates)))
        self.port = self._holder.getsockname()[1]
        for project in self._hetzner.projects:
            project.moved |= {server["id"]: server for server in project.records("servers") if server["machine"]}
        self.follow()

    def stop(self) -> None:
        """Let go of the port."""
        if self._holder:
            self._holder.close()

    def ready(self) -> dict[str, Any]:
        """`hetzner_ssh_port`, on which every server's machine listens, and Ansible's variables for it."""
        connection = {
            "ansible_port": self.port,
            "ansible_python_interpreter": sys.executable,
            "host_root": f"{self._directory}/{{{{ ansible_host }}}}",
        }
        return {"hetzner_ssh_port": self.port, "hetzner_connection": connection}

    def follow(self) -> None:
        """What is due in the cloud happens, and the machines follow. Safe to repeat."""
        for project in self._hetzner.projects:
            project.settle()
            while project.moved:
                _, server = project.moved.popitem()
                if server["machine"]:
                    self._follow_own(project, server)
                elif host := self._hosts.find(server["name"]):
                    self._power(host, server)

    def _follow_own(self, project: Project, server: Document) -> None:
        address = server["machine"]["address"]
        machine = self._hosts.find(address)
        if server["status"] == GONE:
            if machine:
                self._hosts.scrap(machine)
            return
        if machine is None and server["boots"]:
            system, keys = system_of(server["image"]), server["machine"]["keys"]
            machine = self._hosts.install(
                server["name"], system, server=server["id"], address=address, port=self.port, authorized=keys
            )
        if machine:
            machine.port = self.port
            self._power(machine, server)

    def _power(self, machine: Machine, server: Document) -> None:
        dark = server["status"] in DARK
        if dark:
            if not machine.off:
                self._hosts.power.off(machine)
        elif server["status"] == "running" and (machine.off or machine.boots != server["boots"]):
            if not machine.off:
                self._hosts.power.off(machine)  # it is another boot: it was off in between
            self._hosts.power.on(machine, self._phase)
        machine.boots = server["boots"]


def _is_free(port: int) -> bool:
    """Whether nobody has this port, on any address."""
    with socket.socket() as everywhere:
        try:
            everywhere.bind(("", port))
        except OSError:
            return False
    return True


def _hold(port: int) -> socket.socket | None:
    """A socket that keeps the port for this world, without listening: None when another world has it."""
    holder = socket.socket()
    try:
        holder.bind((RESERVED, port))
    except OSError:
        holder.close()
        return None
    return holder
