"""A week of 300 workspaces by a stopped clock and the real tick: what runs is what was forecast, window by window.

The operations themselves are ended by the test, each after its time, with what they would have done to the rows.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import Count

from tests import cast
from workspaces.models import (
    Account,
    Advisory,
    Decision,
    Hold,
    Host,
    KubernetesVersion,
    MaintenancePlan,
    Operation,
    Tick,
    Workspace,
)
from workspaces.models.outlook import look_at
from workspaces.operations import maintenance
from workspaces.rules import planner

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("empty_queues", "catalogue_rows"),
    pytest.mark.timeout(400),
]
START = datetime(2026, 12, 28, 0, 0, tzinfo=UTC)  # a Monday: the week goes over the end of the year
MINUTES = (0, 16, 33, 48, 50)
DAYS = 7


class Coming(NamedTuple):
    """What was said beforehand about a window."""

    outcome: str
    work: tuple[str, ...]
    code: str


def a_fleet(chance: random.Random) -> list[Workspace]:
    """300 workspaces of four organizations on three management clusters, with plans of all kinds."""
    made = []
    for number in range(300):
        place = cast.project(f"Project {number % 7}", of=f"Organization {number % 4}")
        common = {"project": place, "state": chance.choice(["active"] * 12 + ["gated"])}
        if number % 5 == 0:
            one = cast.baremetal(f"metal-{number:03}", hosts=chance.choice([0, 1, 2]), **common)
        else:
            version = chance.choice(["1.34.8", "1.34.11", "1.35.4", "1.35.7", "1.33.9"])
            cluster = cast.management_cluster(f"mgmt-{number % 3}")
            one = cast.kubernetes(
                f"kube-{number:03}",
                hosts=chance.choice([0, 1, 2]),
                version=version,
                management_cluster=cluster,
                **common,
            )
        made.append(one)
        MaintenancePlan.objects.filter(pk=one.pk).update(
            enabled=chance.random() > 0.08,
            priority_hour=chance.choice([2, 4, 22, 23]),
            compute_auto_update=chance.random() > 0.3,
            kubernetes_auto_upgrade=None if one.type == "baremetal" else chance.random() > 0.3,
            updated_at=START - timedelta(days=1),
            **{f"hour_{day}": chance.choice([None, 1, 2, 2, 3, 4, 23]) for day in range(7)},
        )
    Host.objects.filter(name__endswith="7-w1").update(ansible={})
    Workspace.objects.update(created_at=START - timedelta(days=30))
    return made


def flagged_and_held(made: list[Workspace], by: Account) -> None:
    """Advisories, one of them enforced, and holds that begin and end within the week and within an hour."""
    since = START - timedelta(hours=5)
    Advisory.objects.create(name="DSA-6001", severity="high", packages=["openssl"], flagged_at=since)
    Advisory.objects.create(name="DSA-6002", severity="critical", packages=["*"], enforced=True, flagged_at=since)
    flagged = Advisory.objects.create(name="LSA-7", severity="low", flagged_at=since)
    flagged.versions.set(KubernetesVersion.objects.filter(version="1.35.7"))
    for place, day, hour, hours in (
        ({"organization": made[1].project.organization}, 1, 0, 30),
        ({"project": made[2].project}, 0, 2, 0.5),
        ({"workspace": made[3]}, 2, 1, 50),
        ({}, 5, 22, 3),
    ):
        begins = START + timedelta(days=day, hours=hour)
        Hold.objects.create(
            reason="Quarter end", set_by=by, set_at=begins, expires_at=begins + timedelta(hours=hours), **place
        )


def foreseen(now: datetime) -> dict[tuple[UUID, str, datetime], Coming]:
    """The forecast of every window of the week, by the planner that the pages ask."""
    rows = list(Workspace.objects.with_plan())
    known = look_at(rows, now)
    coming = {}
    for row in rows:
        for ahead in planner.forecast(row.maintenance_plan.as_rule(), known[row.pk].facts, now, DAYS):
            outcome, why = planner.judge(ahead)
            said = Coming("started" if outcome == "waiting" else outcome, ahead.would, why.code)
            coming[row.pk, ahead.window.lane, ahead.window.opens_at] = said
    return coming


def do(operation: Operation, now: datetime) -> None:
    """End the operation with what it has done to the rows."""
    if target := operation.parameters.get("to"):
        workspace = operation.workspace
        workspace.observe_version(target)
        workspace.control_plane_wanted = target
        workspace.save()
        workspace.hosts.update(kubelet_version=target)
    Operation.objects.filter(pk=operation.pk).update(state="succeeded", finished_at=now)


def two_schedulers(now: datetime) -> None:
    """Two at the same time, each with a connection of its own."""

    def run() -> None:
        try:
            maintenance.run_due(now)
        finally:
            connection.close()

    both = [threading.Thread(target=run) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()


def test_what_runs_in_a_week_is_what_was_forecast_and_every_window_has_one_decision(
    clock,
    settings,
    root: Account,
) -> None:
    # Places are scarce, so that much of the work starts late; but all of it finds one within its hour.
    settings.LOOPBACK_RUNS_AT_ONCE, settings.LOOPBACK_RUNS_AT_ONCE_PER_CLUSTER = 40, 12
    made = a_fleet(random.Random(20261228))
    flagged_and_held(made, root)
    clock.now = START - timedelta(minutes=1)
    Tick.objects.create(name="maintenance", at=START)
    coming = foreseen(clock.now)
    at_once = Counter[str]()

    for hour in range(DAYS * 24):
        for minute in MINUTES:
            now = clock.now = START + timedelta(hours=hour, minutes=minute)
            for operation in Operation.objects.open().select_related("workspace"):
                if now - operation.created_at >= timedelta(minutes=5):
                    do(operation, now)
            two_schedulers(now) if minute == 0 else maintenance.run_due(now)
            running = Operation.objects.open().values_list("workspace__management_cluster__name", flat=True)
            at_once |= Counter(str(name) for name in running) | Counter(all=len(running))

    decided = {
        (one.workspace_id, one.lane, one.opens_at): Coming(one.outcome, tuple(one.evidence.get("work", ())), one.reason)
        for one in Decision.objects.all()
    }
    assert set(decided) == set(coming)
    assert {key: said[:2] for key, said in decided.items()} == {key: said[:2] for key, said in coming.items()}
    other = {key for key, said in decided.items() if said.outcome != "started" and said.code != coming[key].code}
    assert other == set()
    totals = Counter(said.outcome for said in decided.values())
    assert set(totals) == {"started", "nothing", "blocked"}
    assert min(totals.values()) > 100, totals
    assert Operation.objects.count() == totals["started"]
    assert not Decision.objects.values("workspace", "lane", "opens_at").annotate(n=Count("pk")).filter(n__gt=1)
    _inside_their_windows_and_under_no_hold()
    assert at_once["all"] == 40
    assert max(number for name, number in at_once.items() if name.startswith("mgmt")) == 12
    late = Decision.objects.filter(outcome="started", decided_at__minute__gt=0)
    assert late.count() > 20, "no work had to wait for a place"


def _inside_their_windows_and_under_no_hold() -> None:
    for operation in Operation.objects.select_related("workspace__project", "workspace__maintenance_plan"):
        assert operation.window_opens_at is not None
        assert timedelta() <= operation.created_at - operation.window_opens_at < timedelta(minutes=50)
        plan = operation.workspace.maintenance_plan.as_rule()
        opening = planner.windows(plan, operation.window_opens_at, operation.window_opens_at + timedelta(seconds=1))
        assert operation.lane in [window.lane for window in opening]
        assert plan.enabled
        held = Hold.objects.in_force(operation.created_at).touching(operation.workspace)
        assert not held.exists()
