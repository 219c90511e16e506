"""The plan's hours and a window's one decision in the database; merging, refusing and recording in `apply`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from workspaces.models import Account, Actor, Decision, Event, Hold, MaintenancePlan, Operation, Workspace
from workspaces.models.maintenance import StaleVersion
from workspaces.rules import maintenance as rules

pytestmark = pytest.mark.django_db
ALICE, BOB = Actor("account", "Alice Ahrens"), Actor("account", "Bob Berger")
OPENS = datetime(2026, 11, 25, 2, tzinfo=UTC)
COLUMNS = (*MaintenancePlan.HOURS, "priority_hour")


def apply(
    workspace: Workspace,
    document: dict[str, Any],
    *,
    actor: Actor = ALICE,
    semantics: rules.Semantics = "merge-patch",
    seen_version: int | None = None,
) -> tuple[MaintenancePlan, list[str]]:
    """Save as Alice, who may switch maintenance off, or as Bob, who may not; gives the plan and the notes' codes."""
    plan, notes = MaintenancePlan.apply(
        workspace,
        document,
        actor=actor,
        may_disable=actor is ALICE,
        semantics=semantics,
        seen_version=seen_version,
    )
    return plan, [note.code for note in notes]


def stored(workspace: Workspace) -> dict[str, Any]:
    """The row as it is."""
    return MaintenancePlan.objects.values().get(workspace=workspace)


# --- Hours ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("hour", [24, -1])
def test_an_hour_outside_the_day_is_refused_on_every_weekday(workspace: Workspace, column: str, hour: int) -> None:
    with pytest.raises(IntegrityError, match=column), transaction.atomic():
        MaintenancePlan.objects.update(**{column: hour})
    with pytest.raises(IntegrityError, match=column), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE workspaces_maintenanceplan SET {column} = %s", [hour])


def test_the_first_and_the_last_hour_are_hours_and_a_weekday_may_have_none(workspace: Workspace) -> None:
    for hour in (0, 23):
        MaintenancePlan.objects.update(**dict.fromkeys(COLUMNS, hour))
    MaintenancePlan.objects.update(**dict.fromkeys(MaintenancePlan.HOURS))
    with pytest.raises(IntegrityError, match="priority_hour"), transaction.atomic():
        MaintenancePlan.objects.update(priority_hour=None)


def test_a_workspace_has_one_plan(workspace: Workspace) -> None:
    with pytest.raises(DatabaseError, match="workspaces_maintenanceplan_pkey"), transaction.atomic():
        MaintenancePlan.objects.bulk_create([MaintenancePlan(workspace=workspace)])


# --- Decisions and holds ----------------------------------------------------------------------------------------------
def decision(workspace: Workspace, **fields: Any) -> Decision:
    """A decision that is not stored."""
    values = {"lane": "routine", "opens_at": OPENS, "outcome": "nothing", "reason": "r", "message": "m"} | fields
    return Decision(workspace=workspace, **values)


def test_a_window_of_a_workspace_is_decided_once(workspace: Workspace) -> None:
    decision(workspace).save()
    with pytest.raises(IntegrityError, match="one_decision_per_window"), transaction.atomic():
        Decision.objects.bulk_create([decision(workspace, outcome="started")])
    (later,) = Decision.objects.bulk_create([decision(workspace, opens_at=OPENS + timedelta(days=1))])
    with pytest.raises(IntegrityError, match="one_decision_per_window"), transaction.atomic():
        Decision.objects.filter(pk=later.pk).update(opens_at=OPENS)


def test_the_other_lane_another_window_and_another_workspace_have_their_own(
    workspace: Workspace, metal: Workspace
) -> None:
    Decision.objects.bulk_create(
        [
            decision(workspace),
            decision(workspace, lane="priority"),
            decision(workspace, opens_at=OPENS + timedelta(hours=1)),
            decision(metal),
        ]
    )
    # A second scheduler in the same window writes nothing and needs no lock.
    Decision.objects.bulk_create([decision(workspace, outcome="started")], ignore_conflicts=True)
    assert Decision.objects.filter(outcome="nothing").count() == Decision.objects.count() == 4


def test_a_lane_that_nobody_knows_is_refused(workspace: Workspace) -> None:
    with pytest.raises(IntegrityError, match="decision_lane_known"), transaction.atomic():
        Decision.objects.bulk_create([decision(workspace, lane="express")])


def test_a_decision_outlives_the_operation_it_started(workspace: Workspace) -> None:
    operation = Operation.objects.create(workspace=workspace, kind="test", title="Test", requested_by="Loopback")
    decision(workspace, outcome="started", operation=operation).save()
    operation.delete()
    assert Decision.objects.get().operation is None


def test_a_hold_ends_after_it_starts(workspace: Workspace, alice: Account) -> None:
    hold = {"workspace": workspace, "reason": "Quarter close", "set_by": alice, "set_at": OPENS}
    Hold.objects.create(expires_at=OPENS + timedelta(seconds=1), **hold)
    with pytest.raises(IntegrityError, match="hold_ends_after_it_starts"), transaction.atomic():
        Hold.objects.bulk_create([Hold(expires_at=OPENS, **hold)])


# --- Saving -----------------------------------------------------------------------------------------------------------
def test_a_change_is_stored_with_its_event_in_words_and_in_values(workspace: Workspace) -> None:
    plan, notes = apply(workspace, {"schedule": {"3": 4, "5": 6}, "priority_hour": 7})
    assert notes == []
    row = stored(workspace)
    assert (row["hour_3"], row["hour_5"], row["hour_0"], row["priority_hour"]) == (4, 6, 2, 7)
    assert plan.version == row["version"] == 2
    event = Event.objects.acts().get()
    assert (event.actor_name, event.action, event.workspace_id) == (
        "Alice Ahrens",
        "maintenance.changed",
        workspace.pk,
    )
    assert event.organization_id == workspace.project.organization_id
    assert event.summary == "Priority hour 22:00 to 07:00; Thursday 02:00 to 04:00; Saturday no window to 06:00"
    assert event.changes == {"priority_hour": [22, 7], "schedule.3": [2, 4], "schedule.5": [None, 6]}


def test_a_save_that_changes_nothing_leaves_no_trace(workspace: Workspace) -> None:
    before = stored(workspace)
    assert apply(workspace, rules.document(workspace.maintenance_plan.as_rule()))[1] == []
    assert apply(workspace, {})[1] == []
    assert stored(workspace) == before
    assert Event.objects.acts().count() == 0


def test_a_non_administrators_off_is_stored_as_on_and_the_rest_of_the_save_is_kept(workspace: Workspace) -> None:
    plan, notes = apply(workspace, {"enabled": False, "priority_hour": 7}, actor=BOB)
    assert notes == ["disable_refused"]
    assert (plan.enabled, plan.priority_hour, plan.disabled_at, plan.disabled_by) == (True, 7, None, "")
    event = Event.objects.acts().get()
    assert event.actor_name == "Bob Berger"
    assert event.changes == {"priority_hour": [22, 7]}
    assert "only an administrator may switch it off" in event.summary


def test_an_event_records_the_refused_off_also_when_nothing_else_changes(workspace: Workspace) -> None:
    before = stored(workspace)
    assert apply(workspace, {"enabled": False}, actor=BOB)[1] == ["disable_refused"]
    assert stored(workspace) == before
    assert Event.objects.acts().get().changes == {}


def test_an_administrators_off_says_who_and_when_and_others_saves_leave_it(workspace: Workspace) -> None:
    off, _ = apply(workspace, {"enabled": False})
    assert (off.enabled, off.disabled_by) == (False, "Alice Ahrens")
    assert off.disabled_at is not None
    for document in ({"priority_hour": 7}, {"enabled": False, "priority_hour": 8}):
        kept, notes = apply(workspace, document, actor=BOB)
        assert notes == []
        assert (kept.enabled, kept.disabled_by, kept.disabled_at) == (False, "Alice Ahrens", off.disabled_at)
    assert stored(workspace)["priority_hour"] == 8
    refused, notes = apply(workspace, {"enabled": True}, actor=BOB)
    assert (refused.enabled, notes) == (False, ["enable_refused"])
    on, _ = apply(workspace, {"enabled": True})
    assert (on.enabled, on.disabled_at, on.disabled_by) == (True, None, "")


def test_with_json_an_omitted_block_turns_its_flag_off_and_a_note_names_it(workspace: Workspace) -> None:
    plan, notes = apply(workspace, {"priority_hour": 7}, semantics="json")
    assert notes == ["compute_turned_off_by_omission", "kubernetes_turned_off_by_omission"]
    assert (plan.compute_auto_update, plan.kubernetes_auto_upgrade, plan.hour_0) == (False, False, 2)
    _, again = apply(workspace, {"priority_hour": 8}, semantics="json")
    assert again == [], "what is off already is not turned off"


def test_with_merge_patch_an_omitted_block_stays(workspace: Workspace) -> None:
    plan, notes = apply(workspace, {"compute": {}, "priority_hour": 7})
    assert (plan.compute_auto_update, plan.kubernetes_auto_upgrade, notes) == (True, True, [])


def test_bare_metal_never_gets_the_kubernetes_flag(metal: Workspace) -> None:
    plan, notes = apply(metal, {"priority_hour": 7}, semantics="json")
    assert (plan.kubernetes_auto_upgrade, notes) == (None, ["compute_turned_off_by_omission"])


def test_a_stale_save_stores_nothing_and_brings_the_current_plan(workspace: Workspace) -> None:
    apply(workspace, {"priority_hour": 7}, seen_version=1)
    before, events = stored(workspace), Event.objects.count()
    with pytest.raises(StaleVersion, match="The plan is at version 2") as caught:
        apply(workspace, {"priority_hour": 9}, actor=BOB, seen_version=1)
    assert caught.value.plan.priority_hour == 7
    assert stored(workspace) == before
    assert Event.objects.count() == events
    assert apply(workspace, {"priority_hour": 9}, actor=BOB, seen_version=2)[0].version == 3


def test_a_save_that_the_database_refuses_leaves_neither_plan_nor_event(workspace: Workspace) -> None:
    before = stored(workspace)
    with pytest.raises(IntegrityError, match="priority_hour_in_day"), transaction.atomic():
        apply(workspace, {"priority_hour": 24})
    assert stored(workspace) == before
    assert Event.objects.acts().count() == 0


@pytest.mark.django_db(transaction=True)
def test_two_saves_at_once_one_of_which_is_told(workspace: Workspace, in_another_thread: Any) -> None:
    """The second writer waits for the first one's row and then finds that its version is gone."""
    with transaction.atomic():
        apply(workspace, {"priority_hour": 7}, seen_version=1)
        second = in_another_thread(lambda: apply(workspace, {"priority_hour": 9}, actor=BOB, seen_version=1))
    with pytest.raises(StaleVersion):
        second.result(timeout=10)
    assert stored(workspace)["priority_hour"] == 7
