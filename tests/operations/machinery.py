"""The scheduler and queue workers of one test as processes of their own, with periods of their own, and their ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import django_rq
from django.conf import settings
from django.db import connection

from tests.operations.harness import REPOSITORY

QUEUES = ("operations", "ticks", "reconcile")


class Machinery:
    """One worker of all queues and one scheduler; either can be stopped, killed and started again."""

    def __init__(self, **environment: str) -> None:
        """`environment` adds to this process's own."""
        self._environment = _addresses() | environment
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *names: str) -> None:
        """Start the "worker", the "scheduler", or both."""
        commands: dict[str, Sequence[str]] = {"worker": ("rqworker", *QUEUES), "scheduler": ("cron",)}
        for name in names or commands:
            self._running[name] = subprocess.Popen(
                [sys.executable, "manage.py", *commands[name]],
                cwd=REPOSITORY,
                env=self._environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def stop(self, name: str) -> None:
        """SIGTERM, and wait: a worker ends the job it is at."""
        self._end(name, signal.SIGTERM)

    def kill(self, name: str) -> None:
        """SIGKILL, as when memory runs out."""
        self._end(name, signal.SIGKILL)

    def _end(self, name: str, number: signal.Signals) -> None:
        process = self._running.pop(name)
        process.send_signal(number)
        process.wait(30)

    def end(self) -> None:
        """Kill what still runs."""
        for process in self._running.values():
            process.kill()
            process.wait()
        self._running.clear()


@contextmanager
def running(**environment: str) -> Iterator[Machinery]:
    """Both, for the length of a test."""
    machinery = Machinery(**environment)
    try:
        machinery.start()
        yield machinery
    finally:
        machinery.end()


def until(holds: Callable[[], bool], what: Callable[[], object] = str, *, seconds: float = 100) -> None:
    """Ask twice a second until it holds. `what` is said when it never does."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what()
        time.sleep(0.5)


def idle() -> bool:
    """Whether no job of a look waits."""
    return not django_rq.get_queue("reconcile").count


def _addresses() -> dict[str, str]:
    """This process's environment, with the database and the queue of this test."""
    at = connection.settings_dict
    host, port = str(at["HOST"]).replace("/", "%2F"), f":{at['PORT']}" if at["PORT"] else ""
    return os.environ | {
        "DATABASE_URL": f"postgresql://{at['USER']}@{host}{port}/{at['NAME']}",
        "REDIS_URL": settings.REDIS_URL,
        "DJANGO_SETTINGS_MODULE": "loopback.settings",
    }
