"""What `faults` and `overhead` are measured on: a fleet in a simulated world, real queue workers and the scheduler."""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import django_rq
from rq import Worker

from loopback.supervisor import Child, stop_all
from tests import cast
from tests.benchmarks import probe
from tests.operations import harness
from tests.simulators.running import RunningWorld
from workspaces.models import Actor, Operation, Workspace
from workspaces.operations import upgrade

REPOSITORY = Path(__file__).parents[2]
RUNNING, TARGET = "1.34.8", "1.35.7"
ALICE = Actor("account", "Alice Ahrens")
# Three replicas of which two have to stay, so one may leave at a time; and one that nothing protects.
WORKLOADS = (
    {"namespace": "shop", "name": "web", "replicas": 3, "ready": 3, "budget": {"minAvailable": 2}},
    {"namespace": "shop", "name": "worker", "replicas": 1, "ready": 1},
)


def fleet(world: RunningWorld, number: int, *, hosts: int) -> list[Workspace]:
    """The catalogue, and `number` workspaces with a tenant and `hosts` hosts each in the world."""
    cast.load_catalogue()
    made = [cast.kubernetes(f"fleet-{n:03}", hosts=hosts, version=RUNNING) for n in range(1, number + 1)]
    return [harness.linked(world, workspace, workloads=[dict(one) for one in WORKLOADS]) for workspace in made]


def start(workspaces: Sequence[Workspace], target: str = TARGET) -> list[Operation]:
    """An upgrade of each to `target`, enqueued one after the other."""
    started = [upgrade.start(workspace, target, actor=ALICE) for workspace in workspaces]
    operations = [operation for operation in started if isinstance(operation, Operation)]
    assert len(operations) == len(workspaces), started
    return operations


class Programs:
    """Workers and schedulers as processes of their own, with this process's environment; what they say is in `logs`."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.workers: list[Child] = []
        self.others: list[Child] = []
        self.kills = 0

    def work(self, *queues: str) -> None:
        """Start one more queue worker, with a clock in it."""
        name = f"worker-{len(self.workers) + 1}"
        options = ("--worker-class", probe.CLASS, "--verbosity", "0")
        self.workers.append(self._start(name, "rqworker", *queues, *options))

    def schedule(self) -> None:
        """Start the scheduler."""
        self.others.append(self._start("cron", "cron"))

    def kill_one(self, chance: random.Random) -> None:
        """SIGKILL to a worker alone, as the kernel does when memory runs out; a new one starts at once."""
        worker = chance.choice(self.workers)
        assert worker.process is not None
        worker.process.send_signal(signal.SIGKILL)
        worker.process.wait()
        worker.start()
        self.kills += 1

    def stop(self) -> None:
        """End all of them."""
        stop_all([*self.workers, *self.others], 3.0)

    def _start(self, name: str, *arguments: str) -> Child:
        command = [sys.executable, "manage.py", *arguments]
        child = Child(name, command, REPOSITORY, dict(os.environ), self.logs / f"{name}.log")
        child.start()
        return child


@contextmanager
def programs() -> Iterator[Programs]:
    """Processes for the length of a measurement; their logs stay when it fails."""
    running = Programs(Path(tempfile.mkdtemp(prefix="loopback-benchmark-logs-")))
    try:
        yield running
    finally:
        running.stop()


def progress(began: float, operations: Sequence[Operation]) -> str:
    """Where they stand, in one line."""
    states = list(Operation.objects.filter(pk__in=[one.pk for one in operations]).values_list("state", flat=True))
    counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    return f"{time.monotonic() - began:6.0f} s  {counts}"


def still_open(operations: Sequence[Operation]) -> int:
    """How many have not ended."""
    return Operation.objects.open().filter(pk__in=[one.pk for one in operations]).count()


def until_they_listen(number: int) -> None:
    """Wait for `number` workers to be there: their start is not what is measured."""
    deadline = time.monotonic() + 120
    while Worker.count(connection=django_rq.get_connection("operations")) < number:
        assert time.monotonic() < deadline, "the workers do not start"
        time.sleep(0.05)
