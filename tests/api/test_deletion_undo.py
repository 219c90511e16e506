"""Taking a deletion back in the API, a second person's word, and who may do any of it."""

from __future__ import annotations

import time
import uuid

import pytest
from allauth.account.internal.userkit import user_id_to_str
from django.test import Client

from tests import cast
from tests.api.deletion_scripts import Script, looked, problem
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import Account, Actor, Deletion, DeletionPolicy, Operation, StepPlan, Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues", "no_outside")]


@pytest.fixture
def administrator(db: None) -> Script:
    return Script("administrator")


@pytest.fixture
def second(db: None) -> Script:
    return Script("administrator", name="second script")


@pytest.fixture
def second_person(db: None) -> None:
    DeletionPolicy.objects.create(second_person=True)


# --- Undoing ----------------------------------------------------------------------------------------------------------
def test_undoing_brings_the_workspace_back_and_twice_is_refused(administrator, second, workspace) -> None:
    looked(workspace)
    administrator.schedule(workspace)
    answer = second.send("DELETE", workspace)
    assert answer.status_code == 200
    document = answer.json()
    assert (document["state"], document["workspace_state"]) == (None, "active")
    assert (document["deletion"]["state"], document["deletion"]["undone_by"]) == ("undone", "API key second script")
    assert document["safeguards"][0]["code"] == "protection"
    said = "It has been undone by API key second script."
    again = second.send("DELETE", workspace)
    assert problem(again) == (409, "not_scheduled", said)
    assert administrator.schedule(workspace).status_code == 202


def test_there_is_nothing_to_undo_or_to_approve_where_none_was_scheduled(administrator, workspace) -> None:
    refused = (409, "not_scheduled", "No deletion of ledger-prod is scheduled.")
    assert problem(administrator.send("DELETE", workspace)) == refused
    assert problem(administrator.send("POST", workspace, "deletion/approve")) == refused


def test_one_that_has_begun_cannot_be_undone(administrator, workspace) -> None:
    looked(workspace)
    administrator.schedule(workspace)
    Deletion.objects.update(state="running")
    answer = administrator.send("DELETE", workspace)
    assert problem(answer) == (409, "not_scheduled", "It has begun, and cannot be undone any more.")
    assert answer.json()["state"] == "running"


# --- A second person --------------------------------------------------------------------------------------------------
def test_another_persons_key_agrees_and_no_other_key_of_whoever_asked(administrator, workspace, second_person) -> None:
    looked(workspace)
    assert administrator.schedule(workspace).json()["deletion"]["needs_approval"] is True
    own = administrator.send("POST", workspace, "deletion/approve")
    said = "Somebody else than API key administrator script has to agree."
    assert problem(own) == (409, "same_person", said)
    alike = Script("administrator", name="the same person's script").send("POST", workspace, "deletion/approve")
    assert problem(alike) == (409, "same_person", said)
    second = Script("administrator", name="second script", by="others@loopback.example")
    other = second.send("POST", workspace, "deletion/approve")
    assert other.status_code == 200
    assert other.json()["deletion"]["approved_by"] == "API key second script"
    assert other.json()["deletion"]["approved_at"].endswith("Z")
    again = second.send("POST", workspace, "deletion/approve")
    assert problem(again) == (409, "not_needed", "Nobody has to agree to it any more.")


def test_where_nobody_has_to_agree_an_approval_is_refused(administrator, second, workspace) -> None:
    looked(workspace)
    administrator.schedule(workspace)
    answer = second.send("POST", workspace, "deletion/approve")
    assert problem(answer) == (409, "not_needed", "Nobody has to agree to it any more.")


# --- Who may ----------------------------------------------------------------------------------------------------------
ACTS = [
    ("POST", "deletion", {"confirm_name": "ledger-prod", "acknowledge_backups": True}),
    ("DELETE", "deletion", None),
    ("POST", "deletion/approve", None),
    ("POST", "deletion/inventory", None),
    ("PUT", "protection", {"protected": True}),
]


@pytest.mark.parametrize(("method", "path", "body"), ACTS)
def test_a_viewer_and_an_operator_are_told_which_right_they_lack(workspace, method, path, body) -> None:
    looked(workspace)
    for script in (Script("viewer"), Script("operator")):
        answer = script.send(method, workspace, path, body)
        said = "This needs the right: schedule the deletion of a workspace and undo it."
        assert problem(answer) == (403, "forbidden", said)
    assert not Deletion.objects.exists()
    assert not Workspace.objects.filter(protected=True).exists()


@pytest.mark.parametrize(("method", "path", "body"), [("GET", "deletion", None), *ACTS])
def test_to_a_stranger_there_is_no_such_workspace(workspace, method, path, body) -> None:
    stranger = Script("administrator", of="Fjordline")
    theirs = stranger.send(method, workspace, path, body)
    nobodys = stranger.send(method, uuid.uuid4(), path, body)
    assert problem(theirs) == problem(nobodys) == (404, "not_found", "There is no such object.")


def test_a_session_of_long_ago_reads_and_undoes_but_schedules_nothing(alice, workspace) -> None:
    looked(workspace)
    client = cast.sign_in(Client(), alice)
    address = f"/api/v1/workspaces/{workspace.pk}/deletion"
    body = {"confirm_name": "ledger-prod", "acknowledge_backups": True}
    assert client.get(address).status_code == 200
    said = "Nothing was changed: with the console's session this needs a recent sign-in. Confirm it there first."
    refused = (403, "sign_in_again", said)
    protection = f"/api/v1/workspaces/{workspace.pk}/protection"
    assert problem(client.post(address, body, content_type="application/json")) == refused
    assert problem(client.post(f"{address}/approve")) == refused
    assert problem(client.put(protection, {"protected": False}, content_type="application/json")) == refused
    assert client.put(protection, {"protected": True}, content_type="application/json").status_code == 200
    assert not Deletion.objects.exists()
    Workspace.objects.update(protected=False)
    _confirm(client, alice)
    assert client.post(address, body, content_type="application/json").status_code == 202
    later = cast.sign_in(Client(), alice)
    assert later.delete(address).status_code == 200


def _confirm(client: Client, account: Account) -> None:
    """As the sign-in form leaves the session."""
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time()}]
    session["account_authentication_methods_user"] = user_id_to_str(account)
    session.save()


@pytest.mark.parametrize(
    ("kind", "right"),
    [
        ("deletion", "schedule the deletion of a workspace and undo it"),
        ("ca_rotation", "export a kubeconfig with full rights in the cluster"),
    ],
)
def test_who_may_not_start_it_may_not_continue_it_but_may_stop_it(administrator, workspace, kind, right) -> None:
    begun = Operation.start(workspace, kind, "Delete", [StepPlan("a", "A", host="w1")], actor=Actor("account", "Alice"))
    operator = Script("operator")
    said = f"This needs the right: {right}."
    address = f"/api/v1/operations/{begun.pk}"
    for act, body in (("retry", {}), ("skip", {"host": "w1", "reason": "Its disk is failing"})):
        answer = operator.client.post(f"{address}/{act}", body, content_type="application/json")
        assert problem(answer) == (403, "forbidden", said)
        theirs = administrator.client.post(f"{address}/{act}", body, content_type="application/json")
        assert problem(theirs)[0] == 409
    assert operator.client.post(f"{address}/stop").status_code == 202
