"""What a step costs on the queue: made-up steps on two real workers, beside RQ's bare forked jobs on two of its own."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django_rq
from django.utils import timezone

from workspaces.models import PLATFORM, Operation, StepPlan, Workspace
from workspaces.operations import dispatch

REPOSITORY = Path(__file__).parents[2]
KIND = "benchmark"
OPERATIONS, STEPS, ROUNDS, SINGLE = 20, 5, 3, 15
STARTED = "benchmark:started"


def bare_job() -> None:
    """Nothing but a note of when it began."""
    django_rq.get_connection("ticks").rpush(STARTED, time.time())


def compare() -> None:
    """Print jobs a second and the time from enqueueing to the start, for both, measured in turn."""
    bare_rates, step_rates, bare_starts, step_starts = [], [], [], []
    with _workers("ticks", bare=True), _workers("operations", bare=False):
        _bare_round(4)
        _step_round(4, 1)
        for _ in range(ROUNDS):
            bare_rates.append(_bare_round(OPERATIONS * STEPS))
            step_rates.append(_step_round(OPERATIONS, STEPS))
        for _ in range(SINGLE):
            bare_starts.append(_bare_start())
            step_starts.append(_step_start())
    bare, steps = statistics.median(bare_rates), statistics.median(step_rates)
    print(f"{'':34}{'a second':>10}{'start after':>14}")
    print(f"{'bare forked RQ jobs, 2 workers':34}{bare:10.1f}{statistics.median(bare_starts):11.0f} ms")
    print(f"{'steps of operations, 2 workers':34}{steps:10.1f}{statistics.median(step_starts):11.0f} ms")
    print(f"{'a step costs':34}{bare / steps:9.2f}× a bare forked job", flush=True)


# --- Workers ----------------------------------------------------------------------------------------------------------
@contextmanager
def _workers(queue: str, *, bare: bool) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.benchmarks.worker", queue, *(["--bare"] if bare else [])]
    running = [subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL) for _ in range(2)]
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


def _until(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "the workers do not get on with it"
        time.sleep(0.002)


# --- Bare jobs --------------------------------------------------------------------------------------------------------
def _bare_round(number: int) -> float:
    """Jobs a second."""
    redis, queue = django_rq.get_connection("ticks"), django_rq.get_queue("ticks")
    redis.delete(STARTED)
    began = time.monotonic()
    for _ in range(number):
        queue.enqueue(bare_job)
    _until(lambda: redis.llen(STARTED) == number)
    return number / (time.monotonic() - began)


def _bare_start() -> float:
    """Milliseconds from enqueueing to the first line of the job, with idle workers."""
    redis = django_rq.get_connection("ticks")
    redis.delete(STARTED)
    time.sleep(0.2)
    enqueued = time.time()
    django_rq.get_queue("ticks").enqueue(bare_job)
    _until(lambda: redis.llen(STARTED) == 1)
    return (float(redis.lindex(STARTED, 0)) - enqueued) * 1000


# --- Steps ------------------------------------------------------------------------------------------------------------
def _operation(workspace: Workspace, steps: int) -> Operation:
    operation = Operation.start(
        workspace, KIND, "Benchmark", [StepPlan("step", f"Step {n}") for n in range(steps)], actor=PLATFORM
    )
    assert isinstance(operation, Operation)
    return operation


def _step_round(operations: int, steps: int) -> float:
    """Steps a second: claimed, run, settled, and the next one enqueued by the step before it."""
    keys = [_operation(workspace, steps).pk for workspace in Workspace.objects.order_by("name")[:operations]]
    began = time.monotonic()
    for key in keys:
        dispatch.wake(key)
    _until(lambda: not Operation.objects.open().filter(pk__in=keys).exists())
    took = time.monotonic() - began
    assert Operation.objects.filter(pk__in=keys, state="succeeded").count() == operations
    return operations * steps / took


def _step_start() -> float:
    """Milliseconds from enqueueing to the claim of the step, with idle workers."""
    workspace = Workspace.objects.order_by("name").first()
    assert workspace is not None
    operation = _operation(workspace, 1)
    time.sleep(0.2)
    enqueued = timezone.now()
    dispatch.wake(operation.pk)
    _until(lambda: not Operation.objects.open().filter(pk=operation.pk).exists())
    started = Operation.objects.values_list("started_at", flat=True).get(pk=operation.pk)
    assert started is not None
    return (started - enqueued).total_seconds() * 1000
