"""The scheduler's minute: one decision a window, starts only inside it, limits, holds, pauses, and what was missed."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from tests import cast
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import (
    PLATFORM,
    Actor,
    Advisory,
    Decision,
    Event,
    Hold,
    MaintenancePlan,
    Operation,
    StepPlan,
    Tick,
    Workspace,
)
from workspaces.operations import dispatch, engine, maintenance, runs
from workspaces.operations.engine import Context, Done

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues", "catalogue_rows")]
ALICE = Actor("account", "Alice Ahrens")


def at(hour: int, minute: int = 0, day: int = 25) -> datetime:
    """A moment in November 2026; the 25th is a Wednesday, when the cast's windows open at 02 and 22."""
    return datetime(2026, 11, day, hour, minute, 20, tzinfo=UTC)


@pytest.fixture
def tick(clock):  # noqa: F811
    """Moves the clock and lets the scheduler look. Unless there was an outage, it has looked a minute before."""

    def run(moment: datetime, *, outage: bool = False) -> dict[str, int]:
        clock.now = moment
        if not outage:
            Tick.objects.filter(name="maintenance").update(at=moment - timedelta(minutes=1))
        return dict(maintenance.run_due(moment))

    return run


def told() -> list[tuple[str, str, str, str]]:
    """Workspace, lane, outcome and reason of every decision."""
    rows = Decision.objects.order_by("opens_at", "workspace__name", "lane")
    return list(rows.values_list("workspace__name", "lane", "outcome", "reason"))


def end(operation: Operation, state: str = "succeeded") -> None:
    """The operation is over."""
    Operation.objects.filter(pk=operation.pk).update(state=state, finished_at=at(3))


@pytest.mark.django_db(transaction=True)
def test_a_window_that_opens_starts_its_work_and_leaves_one_decision(tick, workspace: Workspace) -> None:
    assert tick(at(1, 59)) == {}
    assert tick(at(2)) == {"started": 1}
    operation = Operation.objects.get()
    assert operation.title == (
        "Maintain ledger-prod: Operating system updates on 3 hosts and Kubernetes 1.34.8 to 1.34.11"
    )
    assert (operation.kind, operation.lane, operation.window_opens_at) == (
        "maintenance",
        "routine",
        datetime(2026, 11, 25, 2, tzinfo=UTC),
    )
    assert operation.requested_by == "Loopback"
    assert operation.parameters == {
        "os": "all",
        "packages": [],
        "advisories": [],
        "pace": "one at a time",
        "from": "1.34.8",
        "to": "1.34.11",
    }
    keys = list(operation.steps.values_list("key", "host", "safe_to_stop"))
    assert keys[:4] == [
        ("os_check", "", True),
        ("updates", "ledger-prod-w1", True),
        ("os_cordon", "ledger-prod-w1", True),
        ("os_drain", "ledger-prod-w1", False),
    ]
    assert [key for key, host, _ in keys if not host] == [
        "os_check",
        "os_finish",
        "check",
        "set_version",
        "roll_out",
        "confirm",
        "kubeadm_config",
        "finish",
    ]
    decision = Decision.objects.get()
    assert (decision.outcome, decision.reason, decision.operation) == ("started", "compute_auto_update", operation)
    assert decision.evidence == {
        "work": ["Operating system updates on 3 hosts", "Kubernetes 1.34.8 to 1.34.11"],
        "reasons": [
            {"code": "compute_auto_update", "message": "Operating system updates are on."},
            {"code": "newer_patch", "message": "1.34.11 is the furthest patch that 1.34.8 may go to now."},
        ],
        "blocked_by": [],
    }
    assert dispatch.queued() == {operation.pk}


def test_the_same_window_is_never_decided_twice(tick, workspace: Workspace) -> None:
    tick(at(2))
    end(Operation.objects.get())
    assert tick(at(2, 1)) == tick(at(2, 30)) == tick(at(2, 59)) == {}
    assert Operation.objects.count() == Decision.objects.count() == 1
    with pytest.raises(IntegrityError), transaction.atomic():
        Decision.objects.create(
            workspace=workspace, lane="routine", opens_at=at(2).replace(second=0), outcome="nothing", reason="r"
        )


def test_inside_the_hour_a_late_scheduler_catches_up_and_not_in_its_last_ten_minutes(tick, workspace, metal) -> None:
    Tick.objects.create(name="maintenance", at=at(1, 58))
    assert tick(at(2, 49), outage=True) == {"started": 2}
    Operation.objects.all().update(state="succeeded")
    Decision.objects.all().delete()
    Tick.objects.update(at=at(1, 58))
    assert tick(at(2, 50), outage=True) == {"missed": 2}
    assert told() == [
        ("customs-archive", "routine", "missed", "scheduler_stopped"),
        ("ledger-prod", "routine", "missed", "scheduler_stopped"),
    ]
    assert Decision.objects.first().message == "No scheduler ran from Wed 25 Nov 01:58 to Wed 25 Nov 02:50 UTC."


def test_windows_of_hours_without_a_scheduler_are_recorded_as_missed(tick, workspace: Workspace) -> None:
    tick(at(1))
    assert tick(at(7, day=26), outage=True) == {"missed": 3}
    assert [
        (lane, opens_at.day, opens_at.hour)
        for lane, opens_at in Decision.objects.order_by("opens_at").values_list("lane", "opens_at")
    ] == [("routine", 25, 2), ("priority", 25, 22), ("routine", 26, 2)]
    assert Operation.objects.count() == 0


def test_a_plan_saved_after_the_outage_says_nothing_about_windows_before_it(tick, workspace: Workspace) -> None:
    tick(at(1))
    MaintenancePlan.objects.update(hour_2=4, updated_at=at(6))
    assert tick(at(7), outage=True) == {}


def test_a_window_chosen_in_its_last_minutes_is_too_late_and_says_so(tick, workspace: Workspace) -> None:
    tick(at(5, 49))
    MaintenancePlan.objects.update(hour_2=5, updated_at=at(5, 52))
    assert tick(at(5, 53), outage=True) == {"missed": 1}
    assert told() == [("ledger-prod", "routine", "missed", "too_late")]


def test_nothing_to_do_is_a_decision_with_its_reason(tick, workspace: Workspace) -> None:
    assert tick(at(22)) == {"started": 1}  # 1.34.11 is marked security
    end(Operation.objects.get())
    Workspace.objects.update(kubernetes_version="1.34.11", control_plane_wanted="1.34.11")
    workspace.hosts.update(kubelet_version="1.34.11")
    assert tick(at(22, day=26)) == {"nothing": 1}
    assert told()[-1] == ("ledger-prod", "priority", "nothing", "nothing_flagged")


def test_maintenance_that_is_off_leaves_a_decision_that_says_so(tick, workspace: Workspace) -> None:
    MaintenancePlan.objects.update(enabled=False)
    assert tick(at(2)) == {"blocked": 1}
    assert told() == [("ledger-prod", "routine", "blocked", "maintenance_off")]


def test_the_priority_lane_installs_only_what_was_flagged(tick, metal: Workspace) -> None:
    Advisory.objects.create(name="DSA-6001", severity="high", packages=["openssl", "libssl3"], flagged_at=at(1))
    assert tick(at(22)) == {"started": 1}
    operation = Operation.objects.get()
    assert operation.title == "Maintain customs-archive: Security updates DSA-6001 on 2 hosts"
    assert operation.parameters == {
        "os": "security",
        "packages": ["libssl3", "openssl"],
        "advisories": ["DSA-6001"],
        "pace": "one at a time",
    }
    assert [step.key for step in operation.steps.filter(host="customs-archive-1")] == [
        "updates",
        "restart",
        "os_verify",
    ]


def test_an_advisory_that_was_applied_is_not_applied_every_night(tick, metal: Workspace) -> None:
    Advisory.objects.create(name="DSA-6001", severity="high", packages=["openssl"], flagged_at=at(1))
    tick(at(22))
    end(Operation.objects.get())
    assert tick(at(22, day=26)) == {"nothing": 1}
    Advisory.objects.update(flagged_at=at(12, day=27))
    assert tick(at(22, day=27)) == {"started": 1}


def test_an_advisory_whose_run_failed_is_tried_again(tick, metal: Workspace) -> None:
    Advisory.objects.create(name="DSA-6001", severity="high", packages=["openssl"], flagged_at=at(1))
    tick(at(22))
    end(Operation.objects.get(), "failed")
    assert tick(at(22, day=26)) == {"started": 1}


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


def step_on(operation: Operation, moment: datetime, clock) -> None:  # noqa: F811
    """One step of it at that moment; every step has nothing to do."""
    clock.now = moment
    engine.run_one_step(operation.pk, lambda kind, key: _nothing, runs.why_to_pause)
    operation.refresh_from_db()


def _nothing(context: Context) -> Done:
    return Done("nothing to do")


def test_running_work_pauses_at_its_next_safe_point_under_a_hold_and_goes_on_in_its_next_window(
    tick,
    clock,  # noqa: F811
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


def test_work_may_overrun_its_hour_and_then_pauses(tick, clock, metal: Workspace) -> None:  # noqa: F811
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


def test_maintenance_switched_off_pauses_what_runs(tick, clock, metal: Workspace) -> None:  # noqa: F811
    tick(at(2))
    MaintenancePlan.objects.update(enabled=False)
    operation = Operation.objects.get()
    step_on(operation, at(2, 1), clock)
    assert (operation.state, operation.pause_reason) == ("paused", "Maintenance was switched off.")


def test_paused_work_makes_way_for_the_other_lane(tick, clock, metal: Workspace) -> None:  # noqa: F811
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


def test_a_person_may_stop_paused_work_or_let_it_go_on_at_once(tick, clock, metal: Workspace) -> None:  # noqa: F811
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


def four_schedulers(moment: datetime) -> int:
    """Four at the same time, each with a connection of its own; returns how much work they started together."""
    barrier, outcomes = threading.Barrier(4), []

    def scheduler() -> None:
        try:
            barrier.wait()
            outcomes.append(maintenance.run_due(moment))
        finally:
            connection.close()

    threads = [threading.Thread(target=scheduler) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(outcome["started"] for outcome in outcomes)


@pytest.mark.django_db(transaction=True)
def test_several_schedulers_at_once_start_everything_once(workspace: Workspace, metal: Workspace) -> None:
    assert four_schedulers(at(2)) == 2
    assert Operation.objects.count() == Decision.objects.filter(outcome="started").count() == 2


@pytest.mark.django_db(transaction=True)
def test_several_schedulers_at_once_keep_the_limit(settings) -> None:
    settings.LOOPBACK_RUNS_AT_ONCE = 1
    for number in range(8):
        cast.baremetal(f"metal-{number}")
    assert four_schedulers(at(2)) == 1
    assert Operation.objects.count() == 1
    assert Decision.objects.filter(outcome="waiting").count() == 7


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
