"""The queue worker as the demo and production start it."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import django_rq
import pytest

from loopback.worker import StepWorker

ROOT = Path(__file__).parents[2]


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    """`manage.py rqworker ticks`, working."""
    django_rq.get_queue("ticks").empty()
    command = [sys.executable, "manage.py", "rqworker", "ticks", "--verbosity", "0"]
    with subprocess.Popen(command, cwd=ROOT) as process:
        yield process
        process.kill()
    django_rq.get_queue("ticks").empty()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def eventually(condition: Callable[[], object], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_running_step_dies_with_its_worker(worker: subprocess.Popen[bytes]) -> None:
    django_rq.get_queue("ticks").enqueue("time.sleep", 60)
    assert eventually(lambda: children(worker.pid))
    (step,) = children(worker.pid)
    worker.kill()
    worker.wait()
    assert eventually(lambda: not Path(f"/proc/{step}").exists(), seconds=5)


def test_the_command_uses_this_worker_and_it_tidies_up_often() -> None:
    worker = django_rq.get_worker("ticks", worker_ttl=420)
    assert isinstance(worker, StepWorker)
    assert worker.dequeue_timeout == 5
    assert worker.maintenance_interval == 5
