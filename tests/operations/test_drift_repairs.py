"""Drift that is set back: what is and what is not, how it ends, and what somebody changes back each time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.operations.drifting import (
    MINUTE,
    NAME,
    NOW,
    PLANE,
    renamed,
    replicas,
    rows,
    saw,
    set_back_each_time,
    statements,
)
from workspaces.models import PLATFORM, Drift, Event, Operation, StepPlan, Workspace
from workspaces.operations import drift
from workspaces.providers.errors import Permanent
from workspaces.rules.drift import Difference, Kind

pytestmark = pytest.mark.django_db


# --- Setting back -----------------------------------------------------------------------------------------------------
def test_only_what_is_repaired_by_itself_or_decided_is_set_back(workspace: Workspace) -> None:
    told = Difference("host", renamed(workspace).ref, "Server x", "server_type", "ccx23", "cpx31", policy="tell")
    saw(workspace, ("host", "control_plane"), NOW, renamed(workspace), told, replicas())
    kinds: tuple[Kind, ...] = ("host", "control_plane")
    assert [row.field for row in drift.to_set_back([workspace.pk], kinds)] == ["name"]
    Drift.objects.filter(field="replicas").update(decision="converge")
    assert [row.field for row in drift.to_set_back([workspace.pk], kinds)] == ["replicas", "name"]
    assert [row.field for row in drift.to_set_back([workspace.pk], NAME)] == ["name"]
    assert drift.to_set_back([workspace.pk], NAME, refs=[str(uuid4())]) == []
    assert drift.to_set_back([uuid4()], kinds) == []


@pytest.mark.parametrize(
    ("state", "expected"), [("active", 1), ("gated", 1), ("error", 0), ("deletion_scheduled", 0), ("deleting", 0)]
)
def test_nothing_is_set_back_on_a_workspace_that_is_not_active(workspace: Workspace, state: str, expected: int) -> None:
    saw(workspace, NAME, NOW, renamed(workspace))
    Workspace.objects.update(state=state)
    assert len(drift.to_set_back([workspace.pk], NAME)) == expected


def test_nothing_is_set_back_while_an_operation_is_open(workspace: Workspace) -> None:
    saw(workspace, NAME, NOW, renamed(workspace))
    Operation.start(workspace, "upgrade", "Upgrade", [StepPlan("one", "One")], actor=PLATFORM)
    assert drift.to_set_back([workspace.pk], NAME) == []


def test_what_was_set_back_ends_as_repaired_with_the_next_look_and_is_in_the_trail(workspace: Workspace) -> None:
    set_back_each_time(workspace, NOW, renamed(workspace, actor="terraform"))
    row = workspace.drifts.get()
    assert (row.ended_at, row.repairs, row.repaired_at) == (None, 1, NOW)
    event = Event.objects.acts().get(action="drift.repaired")
    assert event.summary == (
        "Set name of server ledger-prod-w1 back to ledger-prod-w1; it was old-web, changed by terraform"
    )
    assert (event.actor_name, event.workspace_id) == ("Loopback", workspace.pk)
    assert event.changes == {"name": ["old-web", "ledger-prod-w1"]}
    set_back_each_time(workspace, NOW + MINUTE)
    assert rows(workspace) == [("name", "old-web", "repaired", 1)]


def test_who_tells_a_story_of_their_own_adds_no_line_to_the_trail(workspace: Workspace) -> None:
    saw(workspace, NAME, NOW, renamed(workspace))
    drift.set_back(workspace.drifts.select_related("workspace__project").get(), NOW, say=False)
    assert workspace.drifts.get().repairs == 1
    assert not Event.objects.acts().filter(action="drift.repaired").exists()


def test_why_it_could_not_be_set_back_stays_until_it_could(workspace: Workspace) -> None:
    saw(workspace, NAME, NOW, renamed(workspace))
    [row] = drift.to_set_back([workspace.pk], NAME)
    error = Permanent("name_taken", "Another server has this name.")
    drift.not_set_back(row, error, NOW)
    row.refresh_from_db()
    assert row.error == f"Another server has this name. Who can fix: {error.who_can_fix}"
    assert (row.repairs, row.repaired_at) == (0, None)
    with CaptureQueriesContext(connection) as captured:
        drift.not_set_back(row, error, NOW + MINUTE)
    assert statements(captured) == []
    drift.set_back(row, NOW + MINUTE)
    row.refresh_from_db()
    assert (row.error, row.repairs) == ("", 1)


# --- Fought over ------------------------------------------------------------------------------------------------------
def test_what_somebody_changes_back_each_time_is_not_set_back_a_third_time(workspace: Workspace) -> None:
    by: dict[str, Any] = {"actor": "terraform", "actor_at": NOW + 10 * MINUTE}
    set_back_each_time(workspace, NOW, renamed(workspace, **by))
    set_back_each_time(workspace, NOW + MINUTE, renamed(workspace, **by))
    assert (workspace.drifts.get().repairs, workspace.drifts.get().fought) == (2, False)
    set_back_each_time(workspace, NOW + 2 * MINUTE, renamed(workspace, **by))
    row = workspace.drifts.get()
    assert (row.fought, row.policy, row.repairs) == (True, "decide", 2)
    assert row.reason == "Set back twice; terraform changed it again."
    assert saw(workspace, NAME, NOW + 3 * MINUTE, renamed(workspace, **by)) == drift.Recorded()


def test_a_look_that_lists_again_what_it_has_just_set_back_does_not_call_it_fought(workspace: Workspace) -> None:
    set_back_each_time(workspace, NOW, renamed(workspace))
    set_back_each_time(workspace, NOW + MINUTE, renamed(workspace))
    assert saw(workspace, NAME, NOW + MINUTE, renamed(workspace)) == drift.Recorded()
    assert (workspace.drifts.get().repairs, workspace.drifts.get().fought) == (2, False)
    assert len(saw(workspace, NAME, NOW + MINUTE).ended) == 1


def test_the_count_goes_on_when_it_was_as_wanted_in_between(workspace: Workspace) -> None:
    for minute in (0, 2):
        set_back_each_time(workspace, NOW + minute * MINUTE, renamed(workspace))
        set_back_each_time(workspace, NOW + (minute + 1) * MINUTE)
    set_back_each_time(workspace, NOW + 4 * MINUTE, renamed(workspace))
    assert rows(workspace) == [
        ("name", "old-web", "repaired", 1),
        ("name", "old-web", "repaired", 2),
        ("name", "old-web", "", 2),
    ]
    row = workspace.drifts.open().get()
    assert (row.fought, row.policy, row.reason) == (True, "decide", "Set back twice, and different again.")


def test_after_a_day_it_is_a_new_story(workspace: Workspace) -> None:
    for minute in (0, 2):
        set_back_each_time(workspace, NOW + minute * MINUTE, renamed(workspace))
        set_back_each_time(workspace, NOW + (minute + 1) * MINUTE)
    set_back_each_time(workspace, NOW + 3 * MINUTE + timedelta(days=1, seconds=1), renamed(workspace))
    row = workspace.drifts.open().get()
    assert (row.fought, row.repairs) == (False, 1)


def test_an_owner_from_before_it_was_set_back_is_not_said_to_have_changed_it_again(workspace: Workspace) -> None:
    for minute in range(3):
        by: dict[str, Any] = {"actor": "terraform", "actor_at": NOW - MINUTE}
        set_back_each_time(workspace, NOW + minute * MINUTE, renamed(workspace, **by))
    row = workspace.drifts.get()
    assert (row.actor, row.reason) == ("terraform", "Set back twice, and different again.")


def test_what_went_away_by_itself_does_not_count(workspace: Workspace) -> None:
    for minute in (0, 2, 4, 6):
        saw(workspace, PLANE, NOW + minute * MINUTE, replicas())
        saw(workspace, PLANE, NOW + (minute + 1) * MINUTE)
    assert rows(workspace) == [("replicas", 3, "gone", 0)] * 4


def test_what_was_set_back_by_decision_and_is_changed_back_needs_another_decision(workspace: Workspace) -> None:
    saw(workspace, PLANE, NOW, replicas())
    workspace.drifts.update(decision="converge", decided_by="Bob Berger", decided_at=NOW, repairs=1)
    [row] = drift.to_set_back([workspace.pk], PLANE)
    drift.set_back(row, NOW + MINUTE)
    event = Event.objects.acts().get(action="drift.repaired")
    assert event.summary == "Set replicas of the control plane back to 2; it was 3; Bob Berger has decided so"
    saw(workspace, PLANE, NOW + 2 * MINUTE, replicas())
    row.refresh_from_db()
    assert (row.fought, row.decision, row.decided_by, row.decided_at) == (True, "", "", None)
    assert drift.to_set_back([workspace.pk], PLANE) == []


def test_what_is_decided_while_a_look_goes_on_is_carried_out_by_it(workspace: Workspace) -> None:
    saw(workspace, PLANE, NOW, replicas())
    workspace.drifts.update(decision="converge", decided_at=NOW + timedelta(seconds=30), repairs=1)
    [row] = drift.to_set_back([workspace.pk], PLANE)
    drift.set_back(row, NOW)
    saw(workspace, PLANE, NOW + MINUTE, replicas())
    row.refresh_from_db()
    assert (row.fought, row.decision) == (True, "")


def test_a_decision_that_is_not_carried_out_yet_stays(workspace: Workspace) -> None:
    saw(workspace, PLANE, NOW, replicas())
    workspace.drifts.update(repairs=2, repaired_at=NOW, decision="converge", decided_at=NOW + MINUTE)
    saw(workspace, PLANE, NOW + 2 * MINUTE, replicas())
    row = workspace.drifts.get()
    assert (row.fought, row.decision) == (True, "converge")
    assert len(drift.to_set_back([workspace.pk], PLANE)) == 1
    assert saw(workspace, PLANE, NOW + 3 * MINUTE, replicas()) == drift.Recorded()
