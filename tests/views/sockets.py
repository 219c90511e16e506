"""A fixture that fails every test whose page leaves the house: requests talk to PostgreSQL and Redis and nothing else.

Python's audit events cannot be turned off by what they watch. PostgreSQL needs no exception: libpq connects in C.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings

_OUTSIDE = {"socket.connect", "socket.sendto", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.posix_spawn"}
_watching: list[list[str]] = []


class LeftTheHouse(BaseException):
    """Not an Exception, so that no handler of errors of the network hides it."""


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching or event not in _OUTSIDE:
        return
    target = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
    if target in _redis():
        return
    _watching[-1].append(f"{event} {target!r}")
    raise LeftTheHouse(f"{event} {target!r}")


def _redis() -> set[Any]:
    """Where Redis listens, as sockets name it."""
    parts = urlsplit(settings.REDIS_URL)
    if parts.scheme == "unix":
        return {parts.path}
    return {(parts.hostname, parts.port or 6379), parts.hostname}


sys.addaudithook(_hook)


@contextmanager
def nothing_leaves_the_house() -> Iterator[None]:
    """Inside, connecting anywhere else and starting programs fails, at once and again at the end."""
    seen: list[str] = []
    _watching.append(seen)
    try:
        yield
    finally:
        _watching.pop()
    assert seen == []


@pytest.fixture
def no_outside() -> Iterator[None]:
    """Nothing leaves the house during the whole test: `from tests.views.sockets import no_outside  # noqa: F401`."""
    with nothing_leaves_the_house():
        yield
