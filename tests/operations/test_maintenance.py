"""The scheduler's minute: one decision a window, starts only inside it, and what was missed."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connection, transaction

from tests import cast
from tests.operations.minutes import at, end, told
from workspaces.models import (
    Advisory,
    Decision,
    MaintenancePlan,
    Operation,
    Tick,
    Workspace,
)
from workspaces.operations import dispatch, maintenance

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues", "catalogue_rows")]


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
        "hops": [
            {
                "from": "1.34.8",
                "to": "1.34.11",
                "workers_move": True,
                "reason": "Last hop: the workers move to 1.34.11.",
            }
        ],
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
