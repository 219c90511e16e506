"""The receipt as a page and as files, and forgetting what a deletion could not remove."""

from __future__ import annotations

import json

import pytest
from django.test import Client
from django.utils import timezone

from tests import cast
from tests.views.accounts import sign_in_by_form
from tests.views.reading import text
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.test_deletion import PLANE, SILENT, VOLUME, begun, scheduled, url
from workspaces.models import Account, Deletion, DeletionPolicy, Event, Operation, Workspace
from workspaces.operations import forgetting
from workspaces.rules.deletion import DEFAULT, PolicyStep, document_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside", "empty_queues")]
ALL = document_of(PolicyStep(step.part, "delete") for step in DEFAULT)


@pytest.fixture
def alices(client: Client, alice: Account) -> Client:
    sign_in_by_form(client, alice)
    return client


@pytest.fixture
def failed(workspace: Workspace) -> Operation:
    """Its deletion has failed at the control plane; the volume goes by the policy."""
    DeletionPolicy.objects.create(steps=ALL)
    return begun(workspace, "failed", step="failed", error_message="The data store is not ready.")


def receipt_of(workspace: Workspace, **changed: object) -> Deletion:
    """Deleted: the control plane is gone, a volume was kept, one came later, an account was silent."""
    now = timezone.now().isoformat()
    item = {"detail": "", "account": "", "account_name": "", "cost": None, "ours": True, "note": ""}
    receipt = {
        "removed": [item | PLANE | {"at": now}],
        "kept": [item | VOLUME],
        "left_over": [
            item | VOLUME | {"ref": "9", "name": "late", "why": "It came after the plan that was agreed to."}
        ],
        "not_asked": [SILENT],
        "stops_costing": [{"currency": "EUR", "list": "120.00", "agreed": "100.00"}],
        "goes_on_costing": [{"currency": "EUR", "list": "3.52", "agreed": "3.52"}],
        "by": "Alice Ahrens",
        "requested_at": now,
        "begun_at": now,
        "ended_at": now,
        "forgotten": None,
    } | changed
    deletion = scheduled(workspace)
    Deletion.objects.filter(pk=deletion.pk).update(state="done", receipt=receipt, ended_at=timezone.now())
    Workspace.objects.filter(pk=workspace.pk).update(state="deleted")
    return deletion


# --- The receipt ------------------------------------------------------------------------------------------------------
def test_the_receipt_says_what_is_gone_what_is_there_and_who_was_silent(alices, workspace) -> None:
    receipt_of(workspace)
    shown = text(alices.get(url(workspace, "receipt")))
    assert "What is still there 2, 1 of it not by policy" in shown
    assert "late Volume, 40 GB in fsn1, attached to ledger-prod-w1, €1.76 a month at most" in shown
    assert "It came after the plan that was agreed to." in shown
    assert "Kept by the policy." in shown
    assert "Account kestrel credential Hetzner Cloud: unable to authenticate (unauthorized) What it holds" in shown
    assert "ledger-prod Kamaji tenant Control plane" in shown
    assert "Stopped €100.00 a month at most (list €120.00)" in shown


def test_the_pages_of_a_deleted_workspace_lead_to_its_receipt(alices, workspace) -> None:
    receipt_of(workspace)
    for what in ("delete", ""):
        answer = alices.get(url(workspace, what).rstrip("/"))
        assert (answer.status_code, answer["Location"]) == (302, url(workspace, "receipt"))


def test_the_receipt_is_filed_as_text_and_as_json(alices, workspace) -> None:
    receipt_of(workspace)
    as_text = alices.get(url(workspace, "receipt.txt"))
    assert as_text.headers["Content-Disposition"] == 'attachment; filename="ledger-prod-receipt.txt"'
    assert as_text.content.decode().startswith("Receipt of the deletion of ledger-prod\n")
    document = json.loads(alices.get(url(workspace, "receipt.json")).content)
    assert document["workspace"] == {"id": str(workspace.pk), "name": "ledger-prod", "project": "Freight Core"}
    assert [one["name"] for one in document["left_over"]] == ["late"]


def test_without_a_receipt_there_is_the_page_of_the_deletion_and_no_file(alices, workspace) -> None:
    assert alices.get(url(workspace, "receipt"))["Location"] == url(workspace)
    assert alices.get(url(workspace, "receipt.txt")).status_code == 404


def test_a_stranger_finds_no_receipt(client, charlie, workspace) -> None:
    receipt_of(workspace)
    cast.sign_in(client, charlie)
    assert client.get(url(workspace, "receipt")).status_code == 404
    assert client.get(url(workspace, "receipt.json")).status_code == 404


# --- Forgetting -------------------------------------------------------------------------------------------------------
def test_forgetting_lists_by_name_what_stays_behind_and_what_it_costs(alices, workspace, failed) -> None:
    shown = text(alices.get(url(workspace, "forget")))
    assert "What is in the way: The data store is not ready." in shown
    assert "ledger-data 40 GB in fsn1, attached to ledger-prod-w1 volume €1.76 a month" in shown
    assert "ledger-prod Kamaji tenant control plane nothing known" in shown


def test_a_workspace_is_forgotten_with_its_name_and_a_reason(alices, alice, workspace, failed) -> None:
    answer = alices.post(url(workspace, "forget"), {"confirm_name": "ledger-prod", "reason": "The cluster burned"})
    assert (answer.status_code, answer["Location"]) == (303, url(workspace, "receipt"))
    shown = text(alices.get(url(workspace, "receipt")))
    assert "nobody has asked whether what follows is still there" in shown
    assert f"Forgotten by {alice}: The cluster burned" in shown
    assert "ledger-data" in shown
    workspace.refresh_from_db()
    assert workspace.state == "deleted"
    assert Event.objects.told().filter(action="deletion.forgotten").count() == 1


@pytest.mark.parametrize(
    ("sent", "field", "message"),
    [
        ({"confirm_name": "ledger", "reason": "x"}, "confirm_name", "Type the name of the workspace, ledger-prod, to"),
        ({"confirm_name": "ledger-prod", "reason": ""}, "reason", "Say why it is forgotten: the reason is all that"),
    ],
)
def test_what_is_missing_of_the_form_is_said_and_nothing_is_lost(
    alices, workspace, failed, sent, field, message
) -> None:
    answer = alices.post(url(workspace, "forget"), sent)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert f'<a href="#{field}">{message}' in page
    assert f'value="{sent["confirm_name"]}"' in page


def test_what_runs_again_meanwhile_is_not_forgotten(alices, workspace, failed) -> None:
    Operation.objects.filter(pk=failed.pk).update(state="running")
    assert alices.get(url(workspace, "forget"))["Location"] == url(workspace)
    answer = alices.post(url(workspace, "forget"), {"confirm_name": "ledger-prod", "reason": "x"})
    assert answer.status_code == 409
    assert "A workspace can be forgotten once its deletion has failed or was stopped." in text(answer)


def test_forgetting_needs_a_recent_sign_in_and_the_right(client, alice, victor, workspace, failed) -> None:
    sent = {"confirm_name": "ledger-prod", "reason": "x"}
    assert cast.sign_in(client, victor).post(url(workspace, "forget"), sent).status_code == 403
    assert cast.sign_in(Client(), alice).post(url(workspace, "forget"), sent).status_code == 302
    assert forgetting.forget_preview(Deletion.objects.get())
    assert Deletion.objects.get().state == "running"
