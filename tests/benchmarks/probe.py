"""A queue worker that also writes down what it does: for `manage.py rqworker --worker-class`.

It is Loopback's own worker with a clock around jobs, around steps, and around the calls of a step to the world. What it
writes into Redis is read by `faults` and `overhead`; a step whose worker is killed leaves nothing.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import django_rq
from rq import Queue
from rq.job import Job

from loopback.worker import StepWorker

CLASS = f"{__name__}.ProbeWorker"
STEPS, JOBS = "benchmark:steps", "benchmark:jobs"
# A directory whose ansible-playbook is run instead of the installed one (see `instant`).
PROGRAMS = "BENCHMARK_PROGRAMS"


class ProbeWorker(StepWorker):
    """Writes one record a job, and one a step that was settled."""

    def work(self, *args: Any, **kwargs: Any) -> bool:
        """Put the clocks in place, then work."""
        _install()
        return super().work(*args, **kwargs)

    def perform_job(self, job: Job, queue: Queue, *rest: Any, **more: Any) -> bool:
        """In the forked child: the job's name, queue, and when it was enqueued, begun and ended (UNIX time)."""
        began = time.time()
        done = bool(super().perform_job(job, queue, *rest, **more))
        enqueued = job.enqueued_at.timestamp() if job.enqueued_at else began
        record = {"job": job.func_name, "queue": queue.name, "enqueued": enqueued, "began": began, "ended": time.time()}
        _write(JOBS, record)
        return done


def read(name: str) -> list[dict[str, Any]]:
    """The records written so far, oldest first: those of `STEPS` or of `JOBS`."""
    return [json.loads(record) for record in django_rq.get_connection("operations").lrange(name, 0, -1)]


def _write(name: str, record: dict[str, Any]) -> None:
    django_rq.get_connection("operations").rpush(name, json.dumps(record))


class _Clock:
    """Seconds of the running step: `claiming` and `claimed` are moments, the others lengths."""

    claiming = claimed = vendor = playbook = 0.0

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        began = time.time()
        try:
            yield
        finally:
            setattr(self, name, getattr(self, name) + time.time() - began)


def _install() -> None:
    """A forked child runs one job, so one clock is enough."""
    from workspaces.operations import connections, engine
    from workspaces.providers import ansible, kubeconfig

    clock = _Clock()
    claim, settle, run_playbook = engine._claim, engine._settle, connections.run_playbook
    call = kubeconfig.BoundedClient.call_api

    def timed_claim(*args: Any) -> Any:
        clock.claiming = time.time()
        context = claim(*args)
        clock.claimed = time.time()
        return context

    def timed_settle(context: Any, outcome: Any) -> None:
        returned = time.time()
        settle(context, outcome)
        _write(STEPS, _record(clock, context, outcome, returned))

    def timed_playbook(*args: Any, **kwargs: Any) -> Any:
        with clock.measure("playbook"):
            return run_playbook(*args, **kwargs)

    def timed_call(*args: Any, **kwargs: Any) -> Any:
        with clock.measure("vendor"):
            return call(*args, **kwargs)

    engine._claim, engine._settle, connections.run_playbook = timed_claim, timed_settle, timed_playbook
    kubeconfig.BoundedClient.call_api = timed_call  # type: ignore[method-assign]
    if programs := os.environ.get(PROGRAMS):
        ansible.sysconfig = SimpleNamespace(get_path=lambda _: programs)  # type: ignore[assignment]


def _record(clock: _Clock, context: Any, outcome: Any, returned: float) -> dict[str, Any]:
    """Moments in UNIX time; `wait` is the pause that the step asked for, CPU that of the forked child so far."""
    spent = os.times()
    return {
        "operation": str(context.operation.pk),
        "step": context.step.key,
        "host": context.step.host,
        "claiming": clock.claiming,
        "claimed": clock.claimed,
        "returned": returned,
        "settled": time.time(),
        "vendor": clock.vendor,
        "playbook": clock.playbook,
        "outcome": type(outcome).__name__,
        "code": getattr(outcome, "code", ""),
        "wait": getattr(outcome, "seconds", 0.0),
        "cpu": spent.user + spent.system,
        "programs_cpu": spent.children_user + spent.children_system,
    }
