"""Scheduling a deletion in the API: every refusal, and what is no request at all.

The plan is in `test_deletion_plan.py`, undoing, a second person and who may in `test_deletion_undo.py`, receipt and
forgetting in `test_deletion_end.py`.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.api.deletion_scripts import Script, looked, names_of, problem
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import Actor, Deletion, Event, Operation, StepPlan, Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues", "no_outside")]


@pytest.fixture
def administrator(db: None) -> Script:
    return Script("administrator")


# --- Scheduling -------------------------------------------------------------------------------------------------------
def test_a_deletion_is_scheduled_and_its_plan_is_what_was_agreed_to(administrator, workspace) -> None:
    looked(workspace)
    before = timezone.now()
    answer = administrator.schedule(workspace)
    assert answer.status_code == 202
    assert answer["Location"] == f"/api/v1/workspaces/{workspace.pk}/deletion"
    document = answer.json()
    assert (document["state"], document["workspace_state"]) == ("scheduled", "deletion_scheduled")
    assert document["safeguards"] == []
    deletion = document["deletion"]
    row = Deletion.objects.get()
    assert before + timedelta(hours=24) <= row.begins_at <= timezone.now() + timedelta(hours=24)
    assert deletion == {
        "id": str(row.pk),
        "state": "scheduled",
        "requested_by": "API key administrator script",
        "requested_at": f"{row.requested_at:%Y-%m-%dT%H:%M:%SZ}",
        "reason": "Pilot ended",
        "begins_at": f"{row.begins_at:%Y-%m-%dT%H:%M:%SZ}",
        "needs_approval": False,
        "approved_by": None,
        "approved_at": None,
        "operation": None,
        "undone_by": None,
        "undone_at": None,
        "ended_at": None,
    }
    looked(workspace, found=[])
    again = administrator.plan(workspace)
    assert again["plan"] == document["plan"]
    assert "ledger-data" in names_of(again)
    assert Event.objects.told().get(action="deletion.scheduled").actor_id == administrator.key.pk


def test_it_begins_when_the_caller_says_within_what_the_policy_allows(administrator, workspace) -> None:
    looked(workspace)
    assert administrator.schedule(workspace, hours=168).status_code == 202
    row = Deletion.objects.get()
    assert row.begins_at - row.requested_at == timedelta(hours=168)


def test_without_a_reason_none_is_stored(administrator, workspace) -> None:
    looked(workspace)
    body = {"confirm_name": "ledger-prod", "acknowledge_backups": True}
    assert administrator.send("POST", workspace, body=body).json()["deletion"]["reason"] == ""


@pytest.mark.parametrize(
    ("changed", "code", "message"),
    [
        ({"confirm_name": "ledger-pro"}, "wrong_name", "Type the name of the workspace, ledger-prod, to confirm."),
        (
            {"acknowledge_backups": False},
            "not_acknowledged",
            "Confirm that what is needed of its manifests, data and secrets has been kept elsewhere.",
        ),
        ({"hours": 23}, "grace_too_short", "It may begin in 24 to 720 hours."),
        ({"hours": 10**30}, "grace_too_long", "It may begin in 24 to 720 hours."),
    ],
)
def test_what_the_body_says_is_refused(administrator, workspace, changed, code, message) -> None:
    looked(workspace)
    assert problem(administrator.schedule(workspace, **changed)) == (409, code, message)
    assert not Deletion.objects.exists()


def test_a_refused_time_says_which_are_possible(administrator, workspace) -> None:
    looked(workspace)
    document = administrator.schedule(workspace, hours=1).json()
    assert (document["at_least"], document["at_most"]) == (24, 720)


def test_twice_is_refused_and_changes_nothing(administrator, workspace) -> None:
    looked(workspace)
    assert administrator.schedule(workspace).status_code == 202
    assert problem(administrator.schedule(workspace)) == (
        409,
        "already_scheduled",
        "The deletion of ledger-prod is scheduled already.",
    )
    assert Deletion.objects.count() == 1


def test_a_protected_workspace_is_refused_until_the_protection_is_off(administrator, workspace) -> None:
    looked(workspace)
    assert administrator.send("PUT", workspace, "protection", {"protected": True}).json() == {"protected": True}
    said = "ledger-prod is protected. Take the protection off first."
    assert problem(administrator.schedule(workspace)) == (409, "protected", said)
    assert administrator.send("PUT", workspace, "protection", {"protected": False}).json() == {"protected": False}
    assert administrator.schedule(workspace).status_code == 202


def test_protection_cannot_be_changed_once_a_deletion_is_scheduled(administrator, workspace) -> None:
    looked(workspace)
    administrator.schedule(workspace)
    answer = administrator.send("PUT", workspace, "protection", {"protected": True})
    said = "ledger-prod is being deleted, or is to be: undo that first."
    assert problem(answer) == (409, "not_deletable", said)


def test_a_running_operation_stands_against_it_by_its_id(administrator, workspace) -> None:
    looked(workspace)
    running = Operation.start(
        workspace, "upgrade", "Upgrade to 1.35.7", [StepPlan("a", "A")], actor=Actor("command", "x")
    )
    answer = administrator.schedule(workspace)
    said = "Upgrade to 1.35.7 is running. Wait for it to end, or stop it."
    assert problem(answer) == (409, "operation_running", said)
    assert answer.json()["operation"] == str(running.pk)


@pytest.mark.parametrize(
    ("minutes", "changed", "look"),
    [(16, {}, "old"), (1, {"error": "Broke off."}, "old"), (1, {"looked_at": None}, "under_way")],
)
def test_nothing_is_agreed_to_that_was_not_looked_at_lately(administrator, workspace, minutes, changed, look) -> None:
    looked(workspace, minutes, **changed)
    answer = administrator.schedule(workspace)
    said = "What belongs to it has not been looked at lately. Look first: a deletion is agreed to by name."
    assert problem(answer) == (409, "not_looked", said)
    assert answer.json()["look"] == look


def test_a_workspace_nobody_has_looked_at_is_refused(administrator, workspace) -> None:
    answer = administrator.schedule(workspace)
    assert (answer.status_code, answer.json()["code"], answer.json()["look"]) == (409, "not_looked", "never")


@pytest.mark.parametrize("state", ["deleting", "deleted"])
def test_what_is_being_deleted_or_gone_is_not_deleted_again(administrator, workspace, state) -> None:
    looked(workspace)
    Workspace.objects.update(state=state)
    answer = administrator.schedule(workspace)
    assert problem(answer) == (409, "not_deletable", f"ledger-prod cannot be deleted: it is {state}.")
    assert answer.json()["state"] == state


WHOLE = {"confirm_name": "ledger-prod", "acknowledge_backups": True}


@pytest.mark.parametrize(
    ("body", "place", "code"),
    [
        ("", ["body"], "missing"),
        ("[]", ["body"], "model_attributes_type"),
        ({"acknowledge_backups": True}, ["body", "confirm_name"], "missing"),
        ({"confirm_name": "ledger-prod"}, ["body", "acknowledge_backups"], "missing"),
        (WHOLE | {"confirm_name": 7}, ["body", "confirm_name"], "string_type"),
        (WHOLE | {"acknowledge_backups": 1}, ["body", "acknowledge_backups"], "bool_type"),
        (WHOLE | {"acknowledge_backups": "true"}, ["body", "acknowledge_backups"], "bool_type"),
        (WHOLE | {"hours": "24"}, ["body", "hours"], "int_type"),
        (WHOLE | {"hours": 24.5}, ["body", "hours"], "int_type"),
        (WHOLE | {"hours": True}, ["body", "hours"], "int_type"),
        (WHOLE | {"hours": -1}, ["body", "hours"], "greater_than_equal"),
        (WHOLE | {"reason": "x" * 201}, ["body", "reason"], "string_too_long"),
        (WHOLE | {"reason": "a\0b"}, ["body", "reason"], "string_pattern_mismatch"),
        (WHOLE | {"force": True}, ["body", "force"], "extra_forbidden"),
    ],
)
def test_a_malformed_body_is_422_and_stores_nothing(administrator, workspace, body, place, code) -> None:
    looked(workspace)
    answer = administrator.send("POST", workspace, body=body)
    assert problem(answer)[:2] == (422, "invalid")
    errors = answer.json()["errors"]
    assert [(one["loc"][1:], one["code"]) for one in errors] == [(place, code)]
    assert not Deletion.objects.exists()


def test_a_body_that_is_no_json_is_400(administrator, workspace) -> None:
    looked(workspace)
    answer = administrator.send("POST", workspace, body="{")
    assert problem(answer) == (400, "bad_request", "Cannot parse request body")


@pytest.mark.parametrize("body", [{}, {"protected": "yes"}, {"protected": 1}, {"protected": True, "until": "x"}])
def test_a_malformed_protection_is_422(administrator, workspace, body) -> None:
    assert problem(administrator.send("PUT", workspace, "protection", body))[:2] == (422, "invalid")
    assert Workspace.objects.get().protected is False
