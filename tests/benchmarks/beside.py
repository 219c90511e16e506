"""A hundred upgrades at once beside reconciliation: does the one starve the other? Part of `overhead`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime

import django_rq
from django.conf import settings
from django.utils import timezone

from tests.benchmarks import probe, upgrading
from tests.simulators.running import RunningWorld
from workspaces.models import Look, Operation, Workspace
from workspaces.operations import looks as handing_out

TICK = "workspaces.jobs.looks_tick"
# The queues of each worker: as in production and in the demo, and two workers that serve everything.
ARRANGEMENTS = {
    "apart": (("operations",), ("operations",), ("ticks", "reconcile")),
    "together": (("operations", "ticks", "reconcile"), ("operations", "ticks", "reconcile")),
}
# One after the other for the same fleet.
TARGETS = ("1.35.7", "1.36.2")


@dataclass
class Looks:
    """How late reconciliation was, in seconds, sampled twice a second."""

    oldest_job: float = 0.0
    longest_unseen: float = 0.0
    # Of all loops, those over the management cluster and the seeded objects too: in periods of their own.
    stalest: float = 0.0
    samples: int = 0
    lateness: list[float] = field(default_factory=list)

    def sample(self, workspaces: Sequence[Workspace]) -> None:
        """The age of the oldest job that waits, and how long ago the workspace seen least recently was seen."""
        queue = django_rq.get_queue("reconcile")
        enqueued = [job.enqueued_at for job in queue.get_jobs(0, 1) if job.enqueued_at]
        if enqueued:
            self.oldest_job = max(self.oldest_job, _age(enqueued[0]))
        rows = Workspace.objects.filter(pk__in=[workspace.pk for workspace in workspaces])
        seen = rows.order_by("observed_at").values_list("observed_at", flat=True).first()
        if seen:
            self.longest_unseen = max(self.longest_unseen, _age(seen))
        looked = Look.objects.exclude(succeeded_at=None).values_list("succeeded_at", "every")
        self.stalest = max([self.stalest, *(_age(seen_at) / every for seen_at, every in looked)])
        self.samples += 1


def many(
    number: int, arrangements: Sequence[str], stand_in: Callable[[RunningWorld], AbstractContextManager[None]]
) -> bool:
    """Print each arrangement of workers; whether all succeeded and every workspace was seen within two periods."""
    period = settings.LOOPBACK_RECONCILE_SECONDS
    print(f"{number} upgrades of 3 hosts at once, stand-in for ansible-playbook, looks every {period:.0f} s.")
    with RunningWorld(phase_seconds=0.001) as world:
        workspaces = upgrading.fleet(world, number, hosts=3)
        with stand_in(world):
            held = [_round(name, workspaces, target) for name, target in zip(arrangements, TARGETS, strict=False)]
    return all(held)


def _round(name: str, workspaces: Sequence[Workspace], target: str) -> bool:
    django_rq.get_connection("operations").flushdb()
    looks = Looks()
    with upgrading.programs() as programs:
        for queues in ARRANGEMENTS[name]:
            programs.work(*queues)
        programs.schedule()
        upgrading.until_they_listen(len(programs.workers))
        rows = Workspace.objects.filter(pk__in=[workspace.pk for workspace in workspaces])
        rows.update(observed_at=timezone.now())
        Look.objects.update(succeeded_at=timezone.now())
        began = time.monotonic()
        operations = upgrading.start(list(rows.select_related("project", "management_cluster")), target)
        while upgrading.still_open(operations):
            looks.sample(workspaces)
            time.sleep(0.5)
        took = time.monotonic() - began
        looks.sample(workspaces)
    ticks = [one for one in probe.read(probe.JOBS) if one["job"] == TICK]
    looks.lateness = [tick["began"] - tick["enqueued"] for tick in ticks]
    return _report(name, operations, took, looks)


def _report(name: str, operations: Sequence[Operation], took: float, looks: Looks) -> bool:
    period = settings.LOOPBACK_RECONCILE_SECONDS
    ended = Operation.objects.filter(pk__in=[one.pk for one in operations])
    succeeded = ended.filter(state="succeeded").count()
    in_time = looks.longest_unseen <= 2 * period
    workers = " | ".join("+".join(queues) for queues in ARRANGEMENTS[name])
    print(f"Workers {name}: {workers}")
    print(f"{'':34}{succeeded} of {len(operations)} in {took:.0f} s, {succeeded / took * 60:.1f} a minute")
    late, due = looks.lateness, int(took // handing_out.ROUND)
    if late:
        p95 = statistics.quantiles([*late, *late], n=20)[-1]
        print(f"{'':34}{len(late)} of {due} ticks ran, late by {max(late):.1f} s at most, p95 {p95:.1f} s")
    else:
        print(f"{'':34}none of {due} ticks ran")
    print(f"{'':34}oldest job for a look {looks.oldest_job:.1f} s")
    print(f"{'':34}stalest look of any loop {looks.stalest:.1f} of its periods")
    seen = f"{looks.longest_unseen:.1f} s, {looks.longest_unseen / period:.1f} periods"
    print(f"{'':34}longest that a workspace was not seen {seen}: {'in time' if in_time else 'TOO LATE'}", flush=True)
    return succeeded == len(operations) and in_time


def _age(moment: datetime) -> float:
    return (timezone.now() - moment).total_seconds()
