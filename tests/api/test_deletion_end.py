"""How a deletion ends in the API: the receipt as JSON and as text, and forgetting what could not be removed.

What a receipt says, and what stays behind, is tested in `tests/operations`.
"""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests import cast
from tests.api.deletion_scripts import Script, looked, problem
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import Account, Actor, Deletion, Event, Operation, StepPlan, Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues", "no_outside")]

VOLUME = {
    "part": "volumes",
    "kind": "volume",
    "ref": "771",
    "name": "ledger-data",
    "detail": "40 GB in fsn1",
    "account": "",
    "account_name": "",
    "cost": {"currency": "EUR", "list": "1.92", "agreed": "1.90"},
    "ours": True,
    "note": "",
}
HOST = VOLUME | {"part": "hosts", "kind": "host", "ref": "h1", "name": "ledger-prod-w1", "detail": "", "cost": None}
MONTH = {"currency": "EUR", "list": "1.92", "agreed": "1.90"}
RECEIPT: dict[str, Any] = {
    "removed": [HOST | {"at": "2026-11-25T14:40:00+00:00"}],
    "kept": [VOLUME],
    "left_over": [VOLUME | {"ref": "772", "name": "late", "why": "It came under the label after the plan."}],
    "not_asked": [],
    "stops_costing": [],
    "goes_on_costing": [MONTH],
    "by": "API key administrator script",
    "requested_at": "2026-11-24T14:32:00+00:00",
    "begun_at": "2026-11-25T14:32:00+00:00",
    "ended_at": "2026-11-25T14:52:00+00:00",
    "forgotten": None,
}


@pytest.fixture
def administrator(db: None) -> Script:
    return Script("administrator")


@pytest.fixture
def gone(workspace: Workspace) -> Workspace:
    """ledger-prod, deleted, with its receipt."""
    now = timezone.now()
    values = {"begins_at": now, "ended_at": now, "receipt": RECEIPT}
    Deletion.objects.create(workspace=workspace, state="done", state_before="active", **values)
    Workspace.objects.update(state="deleted")
    return workspace


@pytest.fixture
def failed(administrator: Script, workspace: Workspace) -> Operation:
    """The deletion of ledger-prod has begun, and failed at a token that was withdrawn."""
    looked(workspace)
    assert administrator.schedule(workspace).status_code == 202
    steps = [StepPlan("hosts", "Delete the hosts")]
    begun = Operation.start(workspace, "deletion", "Delete ledger-prod", steps, actor=Actor("api_key", "a"))
    assert isinstance(begun, Operation)
    Operation.objects.update(
        state="failed",
        finished_at=timezone.now(),
        error_code="unauthenticated",
        error_message="The token is refused.",
        error_who_can_fix="Whoever administers the account",
    )
    Deletion.objects.update(state="running", operation=begun)
    Workspace.objects.update(state="deleting")
    begun.refresh_from_db()
    return begun


# --- The receipt ------------------------------------------------------------------------------------------------------
def test_the_receipt_says_what_went_what_stays_and_what_is_left_over(administrator, gone) -> None:
    answer = administrator.send("GET", gone, "deletion/receipt")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json; charset=utf-8")
    receipt = answer.json()
    assert receipt == RECEIPT | {
        "removed": [HOST | {"at": "2026-11-25T14:40:00Z"}],
        "requested_at": "2026-11-24T14:32:00Z",
        "begun_at": "2026-11-25T14:32:00Z",
        "ended_at": "2026-11-25T14:52:00Z",
    }


@pytest.mark.parametrize(
    ("query", "accept", "kind"),
    [
        ("", "application/json", "application/json"),
        ("", "*/*", "application/json"),
        ("", "text/plain", "text/plain"),
        ("", "text/plain;q=0.4, application/json;q=0.9", "application/json"),
        ("", "text/html", "application/json"),
        ("?format=text", "application/json", "text/plain"),
        ("?format=json", "text/plain", "application/json"),
    ],
)
def test_the_receipt_is_text_for_who_wants_text(administrator, gone, query, accept, kind) -> None:
    address = f"/api/v1/workspaces/{gone.pk}/deletion/receipt{query}"
    answer = administrator.client.get(address, headers={"Accept": accept})
    assert (answer.status_code, answer["Content-Type"]) == (200, f"{kind}; charset=utf-8")
    shown = answer.content.decode()
    assert "ledger-data" in shown
    assert shown.startswith("{" if kind == "application/json" else "Receipt of the deletion of ledger-prod\n")


def test_an_unknown_format_is_422(administrator, gone) -> None:
    assert problem(administrator.send("GET", gone, "deletion/receipt?format=pdf"))[:2] == (422, "invalid")


def test_a_workspace_that_is_there_has_no_receipt(administrator, workspace) -> None:
    said = "ledger-prod has no receipt: it is not deleted."
    assert problem(administrator.send("GET", workspace, "deletion/receipt")) == (404, "no_receipt", said)


def test_a_viewer_reads_the_receipt_and_to_a_stranger_there_is_none(gone) -> None:
    assert Script("viewer").send("GET", gone, "deletion/receipt").status_code == 200
    stranger = Script("administrator", of="Fjordline")
    refused = (404, "not_found", "There is no such object.")
    assert problem(stranger.send("GET", gone, "deletion/receipt")) == refused
    assert problem(stranger.send("GET", uuid.uuid4(), "deletion/receipt")) == refused


# --- Forgetting -------------------------------------------------------------------------------------------------------
def test_what_would_stay_is_told_before_anybody_forgets(administrator, workspace, failed) -> None:
    answer = administrator.send("GET", workspace, "deletion/forget")
    assert answer.status_code == 200
    document = answer.json()
    assert [(one["kind"], one["name"]) for one in document["stays"]] == [
        ("control_plane", "ledger-prod"),
        ("server", "somebody-elses"),
    ]
    assert "ledger-data" in [one["name"] for one in document["kept"]]
    assert document["goes_on_costing"] == [MONTH]
    assert Workspace.objects.get().state == "deleting"


def test_forgetting_ends_it_with_a_receipt_of_what_stays(administrator, workspace, failed) -> None:
    body = {"confirm_name": "ledger-prod", "reason": "The account was closed"}
    answer = administrator.send("POST", workspace, "deletion/forget", body)
    assert answer.status_code == 200
    receipt = answer.json()
    assert receipt["forgotten"]["by"] == "API key administrator script"
    assert receipt["forgotten"]["reason"] == "The account was closed"
    assert receipt["removed"] == []
    assert "ledger-prod" in [one["name"] for one in receipt["left_over"]]
    assert Workspace.objects.get().state == "deleted"
    assert administrator.send("GET", workspace, "deletion/receipt").json() == receipt
    assert administrator.plan(workspace)["state"] == "forgotten"
    assert Event.objects.told().get(action="deletion.forgotten").actor_id == administrator.key.pk
    again = administrator.send("POST", workspace, "deletion/forget", body)
    assert problem(again)[:2] == (409, "not_failed")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"confirm_name": "ledger-pro", "reason": "Closed"}, "wrong_name"),
        ({"confirm_name": "ledger-prod", "reason": " "}, "no_reason"),
    ],
)
def test_what_the_body_says_is_refused(administrator, workspace, failed, body, code) -> None:
    assert problem(administrator.send("POST", workspace, "deletion/forget", body))[:2] == (409, code)
    assert Workspace.objects.get().state == "deleting"


@pytest.mark.parametrize("state", ["pending", "running", "waiting", "paused"])
def test_a_deletion_that_is_at_work_is_not_forgotten(administrator, workspace, failed, state) -> None:
    Operation.objects.update(state=state, finished_at=None, error_code="")
    body = {"confirm_name": "ledger-prod", "reason": "Closed"}
    assert problem(administrator.send("POST", workspace, "deletion/forget", body))[:2] == (409, "not_failed")
    assert problem(administrator.send("GET", workspace, "deletion/forget"))[:2] == (409, "not_failed")


def test_without_a_deletion_there_is_nothing_to_forget(administrator, workspace) -> None:
    refused = (409, "not_scheduled", "No deletion of ledger-prod is scheduled.")
    assert problem(administrator.send("GET", workspace, "deletion/forget")) == refused
    body = {"confirm_name": "ledger-prod", "reason": "Closed"}
    assert problem(administrator.send("POST", workspace, "deletion/forget", body)) == refused


@pytest.mark.parametrize(
    "body", [{}, {"confirm_name": "ledger-prod"}, {"confirm_name": "ledger-prod", "reason": "a\0b"}]
)
def test_a_malformed_body_is_422(administrator, workspace, failed, body) -> None:
    assert problem(administrator.send("POST", workspace, "deletion/forget", body))[:2] == (422, "invalid")
    assert Workspace.objects.get().state == "deleting"


def test_who_may_not_delete_may_not_forget(workspace, failed) -> None:
    refused = (403, "forbidden", "This needs the right: schedule the deletion of a workspace and undo it.")
    for role in ("viewer", "operator"):
        script = Script(role)
        assert problem(script.send("GET", workspace, "deletion/forget")) == refused
        body = {"confirm_name": "ledger-prod", "reason": "Closed"}
        assert problem(script.send("POST", workspace, "deletion/forget", body)) == refused


def test_a_session_of_long_ago_forgets_nothing(alice: Account, workspace, failed) -> None:
    client = cast.sign_in(Client(), alice)
    body = {"confirm_name": "ledger-prod", "reason": "Closed"}
    address = f"/api/v1/workspaces/{workspace.pk}/deletion/forget"
    assert problem(client.post(address, body, content_type="application/json"))[:2] == (403, "sign_in_again")
    assert Workspace.objects.get().state == "deleting"
