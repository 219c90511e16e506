"""Runs of automatic maintenance: limits and fair order, holds, pauses, and the windows in which they go on."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests import cast
from tests.operations.minutes import ALICE, at, end, told
from workspaces.models import (
    PLATFORM,
    Advisory,
    Decision,
    Event,
    Hold,
    MaintenancePlan,
    Operation,
    StepPlan,
    Workspace,
)
from workspaces.operations import engine, maintenance, runs
from workspaces.operations.engine import Context, Done

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues", "catalogue_rows")]


# --- Limits -----------------------------------------------------------------------------------------------------------
def test_more_work_than_places_waits_in_fair_order_and_starts_when_a_place_is_free(tick, settings) -> None:
    settings.LOOPBACK_RUNS_AT_ONCE = 2
    for name in ("a", "b", "c", "d"):
        cast.baremetal(name)
    other = cast.project("Bergen", of="Fjordline")
    cast.baremetal("z", project=other)
    assert tick(at(2)) == {"started": 2}
    # The organizations take turns: z goes before b.
    assert [(name, outcome) for name, _, outcome, _ in told()] == [
        ("a", "started"),
        ("b", "waiting"),
        ("c", "waiting"),
        ("d", "waiting"),
        ("z", "started"),
    ]
    waiting = Decision.objects.get(workspace__name="c")
    assert (waiting.reason, waiting.evidence["place"]) == ("limit", 2)
    assert waiting.message == "The platform runs 2 at the same time, and all places are taken."
    assert tick(at(2, 1)) == {}
    end(Operation.objects.get(workspace__name="z"))
    assert tick(at(2, 12)) == {"started": 1}
    assert Decision.objects.get(workspace__name="b").outcome == "started"
    assert Decision.objects.get(workspace__name="c").evidence["place"] == 1
    assert tick(at(2, 50)) == {"blocked": 2}
    assert Decision.objects.get(workspace__name="d").message == (
        "Waited its whole hour. The platform runs 2 at the same time, and all places are taken."
    )
    assert Operation.objects.count() == 3


def test_a_management_cluster_has_its_own_limit_and_bare_metal_none_of_it(tick, settings) -> None:
    settings.LOOPBACK_RUNS_AT_ONCE_PER_CLUSTER = 1
    cast.kubernetes("a", hosts=1)
    cast.kubernetes("b", hosts=1)
    cast.kubernetes("c", hosts=1, management_cluster=cast.management_cluster("mgmt-hel1"))
    cast.baremetal("d")
    assert tick(at(2)) == {"started": 3}
    assert Decision.objects.get(outcome="waiting").message == (
        "Its management cluster runs 1 at the same time, and all places are taken."
    )


def test_work_that_finds_its_workspace_busy_starts_when_that_has_ended(tick, workspace: Workspace) -> None:
    busy = Operation.start(workspace, "upgrade", "Upgrade by hand", [StepPlan("check", "Check")], actor=ALICE)
    assert isinstance(busy, Operation)
    assert tick(at(2)) == {}
    assert told() == [("ledger-prod", "routine", "waiting", "operation_running")]
    end(busy)
    assert tick(at(2, 20)) == {"started": 1}


def test_work_whose_workspace_stays_busy_is_blocked_when_the_hour_is_nearly_over(tick, workspace: Workspace) -> None:
    Operation.start(workspace, "upgrade", "Upgrade by hand", [StepPlan("check", "Check")], actor=ALICE)
    tick(at(2))
    for minute in range(1, 50):
        tick(at(2, minute))
    assert tick(at(2, 50)) == {"blocked": 1}
    assert Decision.objects.get().message == "Waited its whole hour. Upgrade by hand is running."


def test_of_two_lanes_in_one_hour_the_second_says_that_it_waits_for_the_first(tick, metal: Workspace) -> None:
    MaintenancePlan.objects.update(priority_hour=2)
    Advisory.objects.create(name="DSA-6001", severity="high", packages=["openssl"], flagged_at=at(1))
    assert tick(at(2)) == {"started": 1}
    running = "Maintain customs-archive: Security updates DSA-6001 on 2 hosts is running."
    routine = Decision.objects.get(lane="routine")
    assert (routine.outcome, routine.reason, routine.message) == ("waiting", "operation_running", running)
    assert tick(at(2, 50)) == {"blocked": 1}
    routine.refresh_from_db()
    assert routine.message == f"Waited its whole hour. {running}"


def test_what_the_priority_run_failed_to_do_the_routine_run_of_the_same_hour_does(tick, workspace: Workspace) -> None:
    MaintenancePlan.objects.update(priority_hour=2)
    assert tick(at(2)) == {"started": 1}
    assert Operation.objects.get().parameters["to"] == "1.34.11"  # marked security
    end(Operation.objects.get(), "failed")
    assert tick(at(2, 10)) == {"started": 1}
    routine = Decision.objects.get(lane="routine")
    assert routine.evidence["work"] == ["Operating system updates on 3 hosts", "Kubernetes 1.34.8 to 1.34.11"]


# --- Holds and windows while work runs --------------------------------------------------------------------------------
def hold(**place) -> Hold:
    """A hold until noon of the 25th."""
    made = Hold(reason="Quarter end", set_at=at(0), expires_at=at(12), **place)
    return made.begin(ALICE)


def test_a_hold_keeps_every_window_shut_and_is_named(tick, workspace: Workspace) -> None:
    hold(organization=workspace.project.organization)
    assert tick(at(2)) == {"blocked": 1}
    assert told() == [("ledger-prod", "routine", "blocked", "hold")]
    assert Decision.objects.get().message == "Kestrel Freight is held until Wed 25 Nov 12:00 UTC: Quarter end"


def test_an_enforced_advisory_waits_for_a_hold_too(tick, metal: Workspace) -> None:
    Advisory.objects.create(name="DSA-6001", severity="critical", packages=["*"], enforced=True, flagged_at=at(1))
    Hold(reason="Freeze", set_at=at(0), expires_at=at(23)).begin(ALICE)
    assert tick(at(22)) == {"blocked": 1}
    assert Decision.objects.get().message == "The platform is held until Wed 25 Nov 23:00 UTC: Freeze"


def test_a_hold_set_while_work_waits_keeps_it_from_starting(tick, settings, workspace, metal) -> None:
    settings.LOOPBACK_RUNS_AT_ONCE = 1
    tick(at(2))
    hold(project=workspace.project)
    end(Operation.objects.get())
    assert tick(at(2, 20)) == {"blocked": 1}
    assert Operation.objects.count() == 1


def step_on(operation: Operation, moment: datetime, clock) -> None:
    """One step of it at that moment; every step has nothing to do."""
    clock.now = moment
    engine.run_one_step(operation.pk, lambda kind, key: _nothing, runs.why_to_pause)
    operation.refresh_from_db()


def _nothing(context: Context) -> Done:
    return Done("nothing to do")


def test_running_work_pauses_at_its_next_safe_point_under_a_hold_and_goes_on_in_its_next_window(
    tick,
    clock,
    metal: Workspace,
) -> None:
    tick(at(2))
    operation = Operation.objects.get()
    step_on(operation, at(2, 1), clock)  # the check
    step_on(operation, at(2, 2), clock)  # updates on the first host
    made = hold(workspace=metal)
    step_on(operation, at(2, 3), clock)  # its restart: in the middle of a host
    step_on(operation, at(2, 4), clock)  # verify
    assert operation.state == "running"
    step_on(operation, at(2, 5), clock)  # the second host
    assert (operation.state, operation.pause_reason) == (
        "paused",
        "customs-archive is held until Wed 25 Nov 12:00 UTC: Quarter end",
    )
    assert [step.state for step in operation.steps.all()] == ["done"] * 4 + ["pending"] * 4
    assert tick(at(2, 30)) == {}
    made.lift(ALICE)
    assert tick(at(2, day=26)) == {"started": 1}
    decision = Decision.objects.filter(opens_at__day=26).get()
    assert (decision.reason, decision.operation, decision.evidence["work"]) == (
        "continues",
        operation,
        ["Continue: Maintain customs-archive: Operating system updates on 2 hosts"],
    )
    for minute in range(4):
        step_on(operation, at(2, minute, day=26), clock)
    assert operation.state == "succeeded"
    assert list(Event.objects.acts().order_by("id").values_list("action", flat=True)) == [
        "maintenance.started",
        "hold.set",
        "maintenance.paused",
        "hold.lifted",
        "maintenance.resumed",
        "maintenance.succeeded",
    ]


def test_work_may_overrun_its_hour_and_then_pauses(tick, clock, metal: Workspace) -> None:
    tick(at(2, 45))
    operation = Operation.objects.get()
    step_on(operation, at(2, 59), clock)
    step_on(operation, at(3, 58), clock)
    assert operation.state == "running"
    assert operation.overrun(at(3, 58)) == timedelta(minutes=58, seconds=20)
    step_on(operation, at(4, 5), clock)
    step_on(operation, at(4, 6), clock)
    step_on(operation, at(4, 7), clock)
    assert operation.state == "paused"
    assert operation.pause_reason == "Its hour ended at 03:00 UTC, and it may overrun by 60 min."


def test_maintenance_switched_off_pauses_what_runs(tick, clock, metal: Workspace) -> None:
    tick(at(2))
    MaintenancePlan.objects.update(enabled=False)
    operation = Operation.objects.get()
    step_on(operation, at(2, 1), clock)
    assert (operation.state, operation.pause_reason) == ("paused", "Maintenance was switched off.")


def test_paused_work_makes_way_for_the_other_lane(tick, clock, metal: Workspace) -> None:
    Advisory.objects.create(name="DSA-6001", severity="high", packages=["openssl"], flagged_at=at(1))
    tick(at(2))
    paused = Operation.objects.get()
    made = hold(workspace=metal)
    step_on(paused, at(2, 1), clock)
    assert paused.state == "paused"
    made.lift(ALICE)
    assert tick(at(22)) == {"started": 1}
    paused.refresh_from_db()
    assert (paused.state, paused.stop_requested_by) == ("stopped", "Loopback")
    decision = Decision.objects.get(lane="priority")
    assert decision.evidence["reasons"][-1]["code"] == "makes_way"


def test_a_person_may_stop_paused_work_or_let_it_go_on_at_once(tick, clock, metal: Workspace) -> None:
    tick(at(2))
    operation = Operation.objects.get()
    hold(workspace=metal)
    step_on(operation, at(2, 1), clock)
    assert operation.retry(ALICE) is None
    assert (operation.state, operation.window_opens_at) == ("pending", None)
    step_on(operation, at(2, 2), clock)
    assert operation.state == "running"  # whoever continued it answers for it, under the hold too
    Operation.objects.update(state="paused", lane="routine", window_opens_at=at(2))
    operation.refresh_from_db()
    assert operation.request_stop(ALICE) is None
    assert operation.state == "stopped"


def test_what_a_person_started_is_never_paused(workspace: Workspace) -> None:
    hold(workspace=workspace)
    started = Operation.start(workspace, "upgrade", "By hand", [StepPlan("check", "Check")], actor=ALICE)
    assert isinstance(started, Operation)
    assert runs.why_to_pause(started, at(2)) == ""


@pytest.mark.django_db(transaction=True)
def test_a_start_that_breaks_leaves_the_window_waiting_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, workspace: Workspace
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken on purpose")

    with monkeypatch.context() as patched:
        patched.setattr(Operation, "start", broken)
        maintenance.run_due(at(2))
    assert told() == [("ledger-prod", "routine", "waiting", "place")]
    assert maintenance.run_due(at(2, 1)) == {"started": 1}
    assert Operation.objects.get().requested_by == PLATFORM.name
