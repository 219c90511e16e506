"""The page of a workspace's deletion: the plan, what stands against it, scheduling, undoing, a second person.

The receipt and forgetting are in `test_deletion_end.py`; what it does in the world, in tests/operations.
"""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests import cast
from tests.views.accounts import sign_in_by_form
from tests.views.reading import text
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import (
    Account,
    Deletion,
    DeletionPolicy,
    DnsRecord,
    Host,
    Inventory,
    Kubeconfig,
    Operation,
    ProviderAccount,
    StepPlan,
    Workspace,
)
from workspaces.models.audit import Actor

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside", "empty_queues")]
VOLUME = {
    "part": "volumes",
    "kind": "volume",
    "ref": "771",
    "name": "ledger-data",
    "detail": "40 GB in fsn1, attached to ledger-prod-w1",
    "account_name": "kestrel",
    "cost": {"currency": "EUR", "list": "1.76", "agreed": "1.76"},
}
STRAY = {
    "part": "volumes",
    "kind": "volume",
    "ref": "772",
    "name": "scratch",
    "ours": False,
    "note": "It is not under this workspace's label: it stays, and goes on costing.",
}
PLANE = {
    "part": "control_plane",
    "kind": "control_plane",
    "ref": "u1",
    "name": "ledger-prod",
    "detail": "Kamaji tenant",
}
SILENT = {
    "parts": ["volumes", "load_balancers"],
    "what": "Account kestrel",
    "code": "credential",
    "message": "Hetzner Cloud: unable to authenticate (unauthorized)",
    "who_can_fix": "The operator of the platform, by storing a valid credential.",
    "account": "a",
}


def url(workspace: Workspace, what: str = "delete") -> str:
    return f"/workspaces/{workspace.pk}/{what}"


def looked(workspace: Workspace, *found: dict, minutes: float = 1, **fields: object) -> Inventory:
    at = timezone.now() - timedelta(minutes=minutes)
    values = {"asked_at": at, "looked_at": at, "found": [VOLUME, PLANE, *found]} | fields
    return Inventory.objects.update_or_create(workspace=workspace, defaults=values)[0]


@pytest.fixture
def alices(client: Client, alice: Account) -> Client:
    sign_in_by_form(client, alice)
    return client


FORM = {
    "confirm_name": "ledger-prod",
    "reason": "Pilot ended",
    "hours": "24",
    "backup": ["manifests", "data", "secrets"],
}


def scheduled(workspace: Workspace, by: Account | None = None, **fields: object) -> Deletion:
    from workspaces.operations import deletion_schedule

    looked(workspace)
    made = deletion_schedule.schedule(
        workspace,
        confirm_name=workspace.name,
        acknowledged=True,
        reason="Pilot ended",
        hours=None,
        actor=Actor.of(by) if by else Actor.of_command("delete"),
    )
    assert isinstance(made, Deletion), made
    Deletion.objects.filter(pk=made.pk).update(**fields)
    made.refresh_from_db()
    return made


# --- The plan ---------------------------------------------------------------------------------------------------------
def test_the_plan_names_what_goes_what_stays_and_what_it_stops_costing(alices, workspace) -> None:
    DeletionPolicy.objects.create()
    looked(workspace, STRAY)
    shown = text(alices.get(url(workspace)))
    assert "1 Stop automation Maintenance, upgrades and reconciliation end for this workspace. at once" in shown
    assert "6 Hosts" in shown
    assert "7 Control plane ledger-prod, Kamaji tenant Not recoverable after this step. 1" in shown
    assert "Volume ledger-data, 40 GB in fsn1, attached to ledger-prod-w1, €1.76 a month" in shown
    assert "scratch. It is not under this workspace's label" in shown.replace("&#x27;", "'")
    assert "Goes on €1.76 a month at most, for what stays" in shown
    assert "Until it begins it can be undone; once it has begun it can be stopped, continued or forgotten" in shown


def test_before_anybody_has_looked_nothing_is_claimed_and_a_worker_is_asked(alices, workspace) -> None:
    answer = alices.get(url(workspace))
    shown = text(answer)
    assert Inventory.objects.get(workspace=workspace).looked_at is None
    assert "Not known yet: nobody has looked. not known" in shown
    assert "Data not known yet" in shown
    assert "being looked at" in shown
    assert "There is none." not in shown
    assert f'hx-get="{url(workspace, "delete/look")}"' in answer.content.decode()


def test_a_look_that_broke_off_claims_nothing(alices, workspace) -> None:
    looked(workspace, found=[], error="The look broke off (KeyError). The workers' log says where.")
    shown = text(alices.get(url(workspace)))
    assert "Not known yet: nobody has looked. not known" in shown
    assert "Data not known yet" in shown
    assert "What belongs to it the last look broke off" in shown
    assert "The look broke off (KeyError)." in shown


def test_a_viewer_reads_the_plan_asks_nobody_and_gets_no_form(client, victor, workspace) -> None:
    shown = text(cast.sign_in(client, victor).get(url(workspace)))
    assert "An administrator of Freight Core can schedule its deletion." in shown
    assert "Schedule deletion" not in shown
    assert not Inventory.objects.exists()


def test_who_did_not_answer_is_told_in_its_step_with_who_can_fix_it(alices, workspace) -> None:
    looked(workspace, not_asked=[SILENT])
    shown = text(alices.get(url(workspace)))
    assert "5 Load balancers Account kestrel did not answer. Hetzner Cloud: unable to authenticate" in shown
    assert "Who can fix it: The operator of the platform, by storing a valid credential." in shown
    assert "not all of it answered" in shown


def test_existing_machines_stay(alices, metal) -> None:
    looked(metal)
    shown = text(alices.get(url(metal)))
    assert "Hosts Its machines stay as they are." in shown
    assert "The machine itself stays as it is, with what is installed on it." in shown


def test_kubeconfigs_are_told_with_what_can_and_cannot_be_revoked(alices, workspace) -> None:
    until = timezone.now() + timedelta(days=30)
    for kind in ("admin", "service_account"):
        Kubeconfig.objects.create(
            workspace=workspace, kind=kind, requested_by=f"of {kind}", state="taken", certificate_until=until
        )
    looked(workspace)
    shown = text(alices.get(url(workspace)))
    assert "Kubeconfigs outside 2 valid 1 can be revoked, and is when the deletion gets there." in shown
    assert "1 with a client certificate cannot be taken back: it works until the control plane is gone" in shown


def test_the_question_whether_the_look_has_ended(alices, workspace) -> None:
    looked(workspace, asked_at=timezone.now(), looked_at=None)
    asked = alices.get(url(workspace, "delete/look"), headers={"HX-Request": "true"})
    assert asked.status_code == 204
    looked(workspace)
    ended = alices.get(url(workspace, "delete/look"), headers={"HX-Request": "true"})
    assert ended.status_code == 286
    assert "ledger-data" in ended.content.decode()
    assert 'id="plan" hx-swap-oob="true"' in ended.content.decode()
    assert ended.content.decode().count('name="fingerprint"') == 1
    scheduled(workspace)
    other = alices.get(url(workspace, "delete/look"), headers={"HX-Request": "true"})
    assert other.headers["HX-Refresh"] == "true"


def test_look_again_asks_a_worker(alices, workspace) -> None:
    before = looked(workspace).asked_at
    assert alices.post(url(workspace, "delete/look")).status_code == 303
    assert Inventory.objects.get(workspace=workspace).asked_at > before


# --- Scheduling -------------------------------------------------------------------------------------------------------
def test_the_form_schedules_it_and_the_page_says_when_it_begins(alices, alice, workspace) -> None:
    looked(workspace)
    answer = alices.post(url(workspace), FORM)
    assert (answer.status_code, answer["Location"]) == (303, url(workspace))
    deletion = Deletion.objects.get()
    assert (deletion.requested_by, deletion.reason) == (str(alice), "Pilot ended")
    shown = text(alices.get(url(workspace)))
    assert "Deletion begins" in shown
    assert "Reason Pilot ended" in shown
    assert "Maintenance, upgrades and repairs are off." in shown
    assert "Undo the deletion" in shown
    assert "Schedule deletion" not in shown
    banner = text(alices.get(f"/workspaces/{workspace.pk}"))
    assert "See the plan, or undo it" in banner


@pytest.mark.parametrize(
    ("changed", "field", "message"),
    [
        ({"confirm_name": "ledger-prdo"}, "confirm_name", "Type the workspace name to confirm"),
        ({"reason": " "}, "reason", "Enter the reason, 200 characters at most"),
        ({"reason": "x" * 201}, "reason", "Enter the reason, 200 characters at most"),
        ({"backup": ["data"]}, "backup", "Confirm each of the three, or keep the workspace until you can"),
        ({"hours": "soon"}, "hours", "Choose when it begins"),
        ({"hours": "9" * 5000}, "hours", "Choose when it begins"),
    ],
)
def test_what_is_missing_is_said_at_its_field_and_nothing_typed_is_lost(
    alices, workspace, changed, field, message
) -> None:
    looked(workspace)
    answer = alices.post(url(workspace), FORM | changed)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert f'<li><a href="#{field}">{message}</a></li>' in page
    assert f'id="{field}"' in page
    sent = FORM | changed
    assert f'value="{sent["confirm_name"]}"' in page
    assert f'value="{sent["reason"].strip()}"' in page
    assert page.count(" checked") >= len(sent["backup"])
    assert not Deletion.objects.exists()


def test_what_stands_against_it_is_a_refusal_with_the_reason(alices, workspace) -> None:
    looked(workspace)
    Workspace.objects.filter(pk=workspace.pk).update(protected=True)
    answer = alices.post(url(workspace), FORM)
    assert answer.status_code == 409
    assert "ledger-prod is protected. Take the protection off first." in text(answer)
    assert 'value="Pilot ended"' in answer.content.decode()


def test_what_another_look_has_found_since_is_not_agreed_to_unread(alices, workspace) -> None:
    looked(workspace)
    page = alices.get(url(workspace)).content.decode()
    (read,) = re.findall(r'name="fingerprint" value="([0-9a-f]{64})" form="schedule"', page)
    looked(workspace, {**VOLUME, "ref": "773", "name": "orders-data"})
    answer = alices.post(url(workspace), FORM | {"fingerprint": read})
    assert answer.status_code == 409
    shown = text(answer)
    assert "What would be removed or kept is not what you have read any more. Read it again." in shown
    assert "orders-data" in shown
    (now,) = re.findall(r'name="fingerprint" value="([0-9a-f]{64})"', answer.content.decode())
    assert alices.post(url(workspace), FORM | {"fingerprint": now}).status_code == 303


def test_the_protection_is_taken_off_and_set_on_the_page(alices, workspace) -> None:
    assert alices.post(url(workspace, "protection"), {"on": "1"}).status_code == 303
    assert "Take the protection off" in text(alices.get(url(workspace)))
    assert alices.post(url(workspace, "protection"), {"on": "0"}).status_code == 303
    workspace.refresh_from_db()
    assert workspace.protected is False


def test_scheduling_agreeing_and_unprotecting_need_a_recent_sign_in_undoing_does_not(client, alice, workspace) -> None:
    cast.sign_in(client, alice)
    looked(workspace)
    assert client.post(url(workspace), FORM).status_code == 302
    Workspace.objects.filter(pk=workspace.pk).update(protected=True)
    assert client.post(url(workspace, "protection"), {"on": "0"}).status_code == 302
    Workspace.objects.filter(pk=workspace.pk).update(protected=False)
    workspace.refresh_from_db()
    assert not Deletion.objects.exists()
    scheduled(workspace, needs_approval=True)
    assert client.post(url(workspace, "delete/approve")).status_code == 302
    assert Deletion.objects.get().approved_at is None
    assert client.post(url(workspace, "delete/undo")).status_code == 303


def test_an_undo_brings_it_back_and_twice_is_told(alices, workspace) -> None:
    scheduled(workspace)
    assert alices.post(url(workspace, "delete/undo")).status_code == 303
    workspace.refresh_from_db()
    assert workspace.state == "active"
    again = alices.post(url(workspace, "delete/undo"))
    assert again.status_code == 409
    assert "No deletion of ledger-prod is scheduled." in text(again)


# --- A second person --------------------------------------------------------------------------------------------------
def test_whoever_asked_is_told_why_they_cannot_agree_and_somebody_else_can(alices, alice, workspace) -> None:
    DeletionPolicy.objects.create(second_person=True)
    scheduled(workspace, alice)
    shown = text(alices.get(url(workspace)))
    assert "nobody has agreed yet, so it does not begin" in shown
    assert "You asked for it, so somebody else has to agree." in shown
    assert "Agree to the deletion" not in shown
    refused = alices.post(url(workspace, "delete/approve"))
    assert refused.status_code == 409
    erin = cast.account("erin@kestrel.example", "administrator", on=cast.organization("Kestrel Freight"))
    other = Client()
    sign_in_by_form(other, erin)
    assert "Agree to the deletion" in text(other.get(url(workspace)))
    assert other.post(url(workspace, "delete/approve")).status_code == 303
    assert "erin@kestrel.example agreed" in text(other.get(url(workspace)))


# --- Running ----------------------------------------------------------------------------------------------------------
def begun(workspace: Workspace, state: str, **fields: object) -> Operation:
    deletion = scheduled(workspace)
    Workspace.objects.filter(pk=workspace.pk).update(state="deleting")
    workspace.refresh_from_db()
    steps = [StepPlan("automation", "Look"), StepPlan("control_plane", "Delete the control plane")]
    operation = Operation.start(workspace, "deletion", "Delete ledger-prod", steps, actor=Actor.of_command("delete"))
    assert isinstance(operation, Operation)
    operation.steps.filter(key="automation").update(state="done")
    operation.steps.filter(key="control_plane").update(
        state=fields.pop("step", "waiting"), message=fields.pop("why", "")
    )
    Operation.objects.filter(pk=operation.pk).update(state=state, **fields)
    Deletion.objects.filter(pk=deletion.pk).update(state="running", operation=operation)
    operation.refresh_from_db()
    return operation


def test_a_running_deletion_says_where_it_is_and_why_it_waits(alices, workspace) -> None:
    begun(workspace, "waiting", why="data store default is not ready")
    shown = text(alices.get(url(workspace)))
    assert "It is at Delete the control plane. data store default is not ready" in shown
    assert "Forget the workspace" not in shown
    assert "Undo the deletion" not in shown


def test_a_failed_one_is_continued_or_forgotten(alices, workspace) -> None:
    begun(
        workspace,
        "failed",
        step="failed",
        error_message="Account kestrel: the token is refused.",
        error_who_can_fix="The operator of the platform, by storing a valid credential.",
    )
    shown = text(alices.get(url(workspace)))
    assert "It stopped at Delete the control plane." in shown
    assert "Who can fix it: The operator of the platform" in shown
    assert "Continue the deletion" in shown
    assert "Forget the workspace" in shown


# --- What it costs us -------------------------------------------------------------------------------------------------
def test_a_large_workspace_takes_no_more_queries_and_stays_small(alices, alice, workspace) -> None:
    account = ProviderAccount.objects.create(
        organization=workspace.project.organization, name="kestrel", token="t", kind="hetzner"
    )
    Host.objects.bulk_create(
        Host(
            workspace=workspace, name=f"w{n}", provider_account=account, provider_id=n, profile="cpx32", location="fsn1"
        )
        for n in range(50)
    )
    DnsRecord.objects.bulk_create(
        DnsRecord(workspace=workspace, provider_account=account, zone="k.example", name=f"a{n}", value="203.0.113.1")
        for n in range(30)
    )
    looked(workspace, *({**VOLUME, "ref": str(n), "name": f"volume-{n}"} for n in range(60)))
    with CaptureQueriesContext(
        connection,
    ) as taken:
        answer = alices.get(url(workspace))
    assert answer.status_code == 200
    assert len(taken) <= 19
    assert len(answer.content) <= 60_000
