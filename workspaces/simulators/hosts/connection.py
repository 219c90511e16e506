"""One SSH connection to a host: who may log in. What is run on it is in `server.py`."""

from collections.abc import Callable, Collection
from typing import Protocol

import asyncssh

from workspaces.simulators.hosts.machine import Machine

USER = "root"


class Listener(Protocol):
    """What a connection tells the one who listens."""

    def connected(self, machine: Machine, connection: asyncssh.SSHServerConnection) -> None: ...

    def disconnected(self, connection: asyncssh.SSHServerConnection) -> None: ...


class Connection(asyncssh.SSHServer):
    """The user is root in name only; `authorized` gives the public keys that let in, as they are now."""

    def __init__(self, listener: Listener, machine: Machine, authorized: Callable[[], Collection[str]]) -> None:
        self._listener = listener
        self._machine = machine
        self._authorized = authorized
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._listener.connected(self._machine, conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection:
            self._listener.disconnected(self._connection)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        shown = key.export_public_key().decode().split()[:2]
        return username == USER and any(known.split()[:2] == shown for known in self._authorized())
