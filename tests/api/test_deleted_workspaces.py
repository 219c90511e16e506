"""What the API answers about workspaces that are leaving: by table, each act with status and code in each state.

The deletion's own addresses are `test_deletion*.py` beside this; what is refused below the API, `tests/operations`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.api.deletion_scripts import Script, problem
from workspaces.models import PLATFORM, Actor, Event, Operation, StepPlan, Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("catalogue_rows", "empty_queues")]
BEGINS = "Begins Mon 30 Nov, 06:40 UTC, asked for by Alice Ahrens."
UPGRADE = {"version": "1.34.11"}
PLAN = {"enabled": True}
NO = (409, "not_active")

# act: method, address below the workspace, body; the answers while scheduled, deleting, deleted (code "" for none).
ACTS: dict[str, tuple[str, str, Any, tuple[int, str], tuple[int, str], tuple[int, str]]] = {
    "upgrade": ("POST", "upgrade", UPGRADE, NO, NO, NO),
    "plan maintenance": ("PATCH", "maintenance", PLAN, (200, ""), NO, NO),
    "read the plan": ("GET", "maintenance", None, (200, ""), (200, ""), (200, "")),
    "read the forecast": ("GET", "maintenance/forecast", None, (200, ""), (200, ""), (200, "")),
    "read drift": ("GET", "drift", None, (200, ""), (200, ""), (200, "")),
}


@pytest.fixture
def script(db: None) -> Script:
    return Script("administrator")


def become(workspace: Workspace, state: str) -> None:
    reason = BEGINS if state == "deletion_scheduled" else ""
    Workspace.objects.filter(pk=workspace.pk).update(state=state, state_reason=reason)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(("state", "column"), [("deletion_scheduled", 0), ("deleting", 1), ("deleted", 2)])
def test_what_a_script_gets(script: Script, workspace: Workspace, act: str, state: str, column: int) -> None:
    method, path, body, *answers = ACTS[act]
    become(workspace, state)
    answer = script.send(method, workspace, path, body).status_code, ""
    if answer[0] == 409:
        answer = problem(script.send(method, workspace, path, body))[:2]
    assert answer == answers[column]


@pytest.mark.parametrize("state", ["deletion_scheduled", "deleting", "deleted"])
def test_it_is_there_with_its_state(script: Script, workspace: Workspace, state: str) -> None:
    become(workspace, state)
    answer = script.client.get(f"/api/v1/workspaces/{workspace.pk}")
    assert (answer.status_code, answer.json()["state"]) == (200, state)


def test_a_forecast_of_a_workspace_that_is_leaving_holds_no_work_and_says_why(
    script: Script, workspace: Workspace
) -> None:
    become(workspace, "deletion_scheduled")
    windows = script.send("GET", workspace, "maintenance/forecast").json()
    assert windows
    assert [one["would"] for one in windows] == [[]] * len(windows)
    said = f"The deletion of the workspace is scheduled. {BEGINS} Undo it first."
    assert {one["blocked_by"][0]["message"] for one in windows} == {said}


@pytest.mark.parametrize("state", ["deletion_scheduled", "deleting", "deleted"])
def test_an_operation_is_read_but_not_continued(script: Script, workspace: Workspace, state: str) -> None:
    made = Operation.start(workspace, "upgrade", "Upgrade it", [StepPlan("wait", "Wait")], actor=Actor.of_command("x"))
    assert isinstance(made, Operation)
    Operation.objects.filter(pk=made.pk).update(state="failed")
    become(workspace, state)
    assert script.client.get(f"/api/v1/operations/{made.pk}").status_code == 200
    answer = script.client.post(f"/api/v1/operations/{made.pk}/retry", "{}", content_type="application/json")
    assert problem(answer)[:2] == NO


@pytest.mark.parametrize(("state", "status"), [("deletion_scheduled", 201), ("deleting", 409), ("deleted", 409)])
def test_a_hold_stands_on_what_can_come_back(script: Script, workspace: Workspace, state: str, status: int) -> None:
    become(workspace, state)
    ends = timezone.now() + timedelta(hours=4)
    body = {"workspace": str(workspace.pk), "reason": "Wind-down", "expires_at": ends.isoformat()}
    answer = script.client.post("/api/v1/holds", body, content_type="application/json")
    assert answer.status_code == status, answer.content


def test_the_events_of_a_deleted_workspace_stay_readable(script: Script, workspace: Workspace) -> None:
    Event.record(PLATFORM, "workspace.gated", summary="It was gated once", workspace=workspace)
    become(workspace, "deleted")
    answer = script.client.get("/api/v1/events", {"workspace": str(workspace.pk)})
    assert "It was gated once" in {one["summary"] for one in answer.json()["items"]}
