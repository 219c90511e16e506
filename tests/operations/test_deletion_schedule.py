"""From the asking for a deletion to its first step: what has to hold for it, what an undo brings back, who agrees.

What a deletion does once it has begun is in `test_deletion*.py` beside this.
"""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone

from tests import cast
from workspaces.models import (
    Account,
    Actor,
    Deletion,
    DeletionPolicy,
    Event,
    Inventory,
    Kubeconfig,
    Operation,
    Workspace,
)
from workspaces.models.deletion_plan import plan_of
from workspaces.operations import deletion_schedule
from workspaces.rules.deletion import DEFAULT, PolicyStep, document_of
from workspaces.rules.refusal import Refused

pytestmark = pytest.mark.django_db


def looked(workspace: Workspace, minutes: float = 1) -> Inventory:
    """A look at it that ended so many minutes ago, and found its control plane and a volume."""
    at = timezone.now() - timedelta(minutes=minutes)
    found = [
        {"part": "control_plane", "kind": "control_plane", "ref": workspace.control_plane, "name": workspace.name},
        {"part": "volumes", "kind": "volume", "ref": "771", "name": "ledger-data", "detail": "40 GB in fsn1"},
    ]
    values = {"asked_at": at, "looked_at": at, "found": found}
    return Inventory.objects.update_or_create(workspace=workspace, defaults=values)[0]


@pytest.fixture
def workspace(db: None) -> Workspace:
    made = cast.kubernetes("leaving-soon", state_reason="")
    looked(made)
    return made


@pytest.fixture
def alice(db: None) -> Account:
    return cast.account("alice@kestrel.example", "administrator", on=cast.organization("Kestrel Freight"))


@pytest.fixture
def erin(db: None) -> Account:
    return cast.account("erin@kestrel.example", "administrator", on=cast.organization("Kestrel Freight"))


def ask(workspace: Workspace, by: Account, **changed: object) -> Deletion | Refused:
    values: dict[str, object] = {
        "confirm_name": workspace.name,
        "acknowledged": True,
        "reason": "Pilot ended",
        "hours": None,
        "actor": Actor.of(by),
    }
    return deletion_schedule.schedule(workspace, **(values | changed))  # type: ignore[arg-type]


def scheduled(workspace: Workspace, by: Account, **changed: object) -> Deletion:
    asked = ask(workspace, by, **changed)
    assert isinstance(asked, Deletion), asked
    return asked


# --- Asking -----------------------------------------------------------------------------------------------------------
def test_a_deletion_is_scheduled_a_day_ahead_with_what_was_agreed_to(workspace: Workspace, alice: Account) -> None:
    before = timezone.now()
    deletion = scheduled(workspace, alice)
    assert before + timedelta(hours=24) <= deletion.begins_at <= timezone.now() + timedelta(hours=24)
    workspace.refresh_from_db()
    assert workspace.state == "deletion_scheduled"
    assert workspace.state_reason.endswith("asked for by alice@kestrel.example.")
    assert [(step.part, step.action, [item.name for item in step.items]) for step in deletion.agreed.steps] == [
        ("integrations", "delete", []),
        ("dns", "delete", []),
        ("kubeconfigs", "delete", []),
        ("load_balancers", "delete", []),
        ("hosts", "delete", ["leaving-soon-w1", "leaving-soon-w2", "leaving-soon-w3"]),
        ("volumes", "keep", ["ledger-data"]),
        ("control_plane", "delete", ["leaving-soon"]),
        ("data_store", "delete", []),
        ("namespace", "delete", []),
    ]
    event = Event.objects.told().get(action="deletion.scheduled")
    assert event.summary.startswith("Scheduled the deletion of leaving-soon for ")
    assert event.summary.endswith(" UTC: Pilot ended")
    assert event.actor_name == "alice@kestrel.example"


@pytest.mark.parametrize(
    ("changed", "code", "message"),
    [
        ({"confirm_name": "leaving-son"}, "wrong_name", "Type the name of the workspace, leaving-soon, to confirm."),
        (
            {"acknowledged": False},
            "not_acknowledged",
            "Confirm that what is needed of its manifests, data and secrets has been kept elsewhere.",
        ),
        ({"hours": 23}, "grace_too_short", "It may begin in 24 to 720 hours."),
        ({"hours": 721}, "grace_too_long", "It may begin in 24 to 720 hours."),
    ],
)
def test_what_the_form_lacks_is_refused(
    workspace: Workspace, alice: Account, changed: dict[str, object], code: str, message: str
) -> None:
    refused = ask(workspace, alice, **changed)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.message) == (code, message)
    assert not Deletion.objects.exists()
    assert Workspace.objects.get(pk=workspace.pk).state == "active"


def test_a_protected_workspace_is_not_deleted(workspace: Workspace, alice: Account) -> None:
    assert deletion_schedule.protect(workspace, True, Actor.of(alice)) is None
    refused = ask(workspace, alice)
    assert isinstance(refused, Refused)
    assert refused.code == "protected"
    assert deletion_schedule.protect(workspace, False, Actor.of(alice)) is None
    assert isinstance(ask(workspace, alice), Deletion)
    told = Event.objects.told().filter(action__endswith="protected").order_by("pk").values_list("summary", flat=True)
    assert list(told) == [
        "Protected leaving-soon: its deletion is refused",
        "Took the protection off leaving-soon: its deletion is possible",
    ]


def test_protection_that_somebody_set_meanwhile_counts(workspace: Workspace, alice: Account) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(protected=True)
    refused = ask(workspace, alice)
    assert isinstance(refused, Refused)
    assert refused.code == "protected"


def test_open_work_is_waited_for(workspace: Workspace, alice: Account) -> None:
    running = Operation.objects.create(workspace=workspace, kind="upgrade", title="Upgrade to 1.35.7", state="running")
    refused = ask(workspace, alice)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.evidence) == ("operation_running", {"operation": str(running.pk)})


@pytest.mark.parametrize("state", ["deleting", "deleted"])
def test_what_is_leaving_already_is_not_scheduled_again(workspace: Workspace, alice: Account, state: str) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(state=state)
    refused = ask(workspace, alice)
    assert isinstance(refused, Refused)
    assert refused.code == "not_deletable"


def test_a_second_asking_is_refused(workspace: Workspace, alice: Account) -> None:
    scheduled(workspace, alice)
    refused = ask(Workspace.objects.select_related("project__organization").get(pk=workspace.pk), alice)
    assert isinstance(refused, Refused)
    assert refused.code == "already_scheduled"
    assert Deletion.objects.count() == 1


@pytest.mark.parametrize(("minutes", "look"), [(16, "old"), (None, "never")])
def test_nobody_agrees_to_what_was_not_looked_at_lately(
    workspace: Workspace, alice: Account, minutes: float | None, look: str
) -> None:
    Inventory.objects.all().delete()
    if minutes:
        looked(workspace, minutes)
    refused = ask(workspace, alice)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.evidence) == ("not_looked", {"look": look})


def test_nobody_agrees_to_another_plan_than_they_have_read(workspace: Workspace, alice: Account) -> None:
    read = plan_of(workspace, timezone.now()).fingerprint
    inventory = looked(workspace)
    late = {"part": "volumes", "kind": "volume", "ref": "772", "name": "orders-data"}
    Inventory.objects.filter(pk=inventory.pk).update(found=[*inventory.found, late])
    refused = ask(workspace, alice, fingerprint=read)
    assert isinstance(refused, Refused)
    assert refused.code == "plan_changed"
    assert not Deletion.objects.exists()
    DeletionPolicy.objects.create(steps=document_of(PolicyStep(step.part, "delete") for step in DEFAULT))
    by_another_policy = ask(workspace, alice, fingerprint=read)
    assert isinstance(by_another_policy, Refused)
    assert isinstance(ask(workspace, alice, fingerprint=plan_of(workspace, timezone.now()).fingerprint), Deletion)


def test_what_did_not_answer_is_part_of_what_was_agreed_to(workspace: Workspace, alice: Account) -> None:
    silent = {
        "parts": ["volumes", "load_balancers"],
        "what": "Account kestrel",
        "code": "credential",
        "message": "Hetzner Cloud refuses the token.",
        "account": "x",
    }
    Inventory.objects.filter(workspace=workspace).update(not_asked=[silent])
    deletion = scheduled(workspace, alice)
    volumes = next(step for step in deletion.agreed.steps if step.part == "volumes")
    assert [one.message for one in volumes.not_asked] == ["Hetzner Cloud refuses the token."]


def test_the_organizations_policy_counts_before_the_platforms(workspace: Workspace, alice: Account) -> None:
    DeletionPolicy.objects.create(grace_hours=48, second_person=True)
    DeletionPolicy.objects.create(organization=workspace.project.organization, grace_hours=2)
    deletion = scheduled(workspace, alice)
    assert deletion.begins_at - deletion.requested_at == timedelta(hours=2)
    assert not deletion.needs_approval


# --- Undoing ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("state", "reason"), [("active", ""), ("gated", "cilium has not converged")])
def test_an_undo_brings_back_what_was(
    workspace: Workspace, alice: Account, erin: Account, state: str, reason: str
) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(state=state, state_reason=reason)
    workspace.refresh_from_db()
    deletion = scheduled(workspace, alice)
    assert deletion_schedule.undo(deletion, Actor.of(erin)) is None
    workspace.refresh_from_db()
    assert (workspace.state, workspace.state_reason) == (state, reason)
    assert (deletion.state, deletion.undone_by) == ("undone", "erin@kestrel.example")
    again = deletion_schedule.undo(deletion, Actor.of(erin))
    assert isinstance(again, Refused)
    assert (again.code, again.message) == ("not_scheduled", "It has been undone by erin@kestrel.example.")
    assert isinstance(ask(workspace, alice), Deletion)


def test_what_has_begun_is_not_undone(workspace: Workspace, alice: Account) -> None:
    deletion = scheduled(workspace, alice)
    Deletion.objects.filter(pk=deletion.pk).update(state="running")
    refused = deletion_schedule.undo(deletion, Actor.of(alice))
    assert isinstance(refused, Refused)
    assert refused.message == "It has begun, and cannot be undone any more."


# --- A second person --------------------------------------------------------------------------------------------------
def test_a_second_person_has_to_agree_where_the_policy_wants_one(
    workspace: Workspace, alice: Account, erin: Account
) -> None:
    DeletionPolicy.objects.create(grace_hours=0, second_person=True)
    deletion = scheduled(workspace, alice)
    assert deletion_schedule.begin_due(timezone.now() + timedelta(days=3)) == 0
    refused = deletion_schedule.approve(deletion, Actor.of(alice))
    assert isinstance(refused, Refused)
    assert (refused.code, refused.message) == ("same_person", "Somebody else than alice@kestrel.example has to agree.")
    assert deletion_schedule.approve(deletion, Actor.of(erin)) is None
    assert (deletion.approved_by, deletion.waits_for_approval) == ("erin@kestrel.example", False)
    assert deletion_schedule.begin_due(timezone.now()) == 1
    deletion.refresh_from_db()
    assert deletion.state == "running"
    assert isinstance(deletion_schedule.approve(deletion, Actor.of(erin)), Refused)


def test_a_command_is_no_second_person(workspace: Workspace, alice: Account) -> None:
    DeletionPolicy.objects.create(second_person=True)
    refused = deletion_schedule.approve(scheduled(workspace, alice), Actor.of_command("delete"))
    assert isinstance(refused, Refused)
    assert refused.code == "same_person"


def test_without_a_policy_nobody_has_to_agree(workspace: Workspace, alice: Account, erin: Account) -> None:
    refused = deletion_schedule.approve(scheduled(workspace, alice), Actor.of(erin))
    assert isinstance(refused, Refused)
    assert refused.code == "not_needed"


# --- Beginning --------------------------------------------------------------------------------------------------------
def test_it_begins_when_its_time_has_come_and_once(workspace: Workspace, alice: Account) -> None:
    deletion = scheduled(workspace, alice)
    assert deletion_schedule.begin_due(deletion.begins_at - timedelta(seconds=1)) == 0
    assert deletion_schedule.begin_due(deletion.begins_at) == 1
    assert deletion_schedule.begin_due(deletion.begins_at) == 0
    deletion.refresh_from_db()
    workspace.refresh_from_db()
    assert (deletion.state, workspace.state) == ("running", "deleting")
    operation = deletion.operation
    assert operation is not None
    assert (operation.kind, operation.title, operation.requested_by) == (
        "deletion",
        "Delete leaving-soon",
        "alice@kestrel.example",
    )


def test_a_kubeconfig_with_a_certificate_is_told_by_what_nobody_can_take_back(
    workspace: Workspace, alice: Account
) -> None:
    until = timezone.now() + timedelta(days=30)
    Kubeconfig.objects.create(
        workspace=workspace, requested_by="ci-depot", state="taken", certificate_until=until, reason="CI"
    )
    (item,) = scheduled(workspace, alice).agreed.steps[2].items
    assert item.name == "ci-depot"
    assert item.detail == f"until {until:%-d %B %Y}, ends with the control plane"


@pytest.mark.django_db(transaction=True)
def test_of_an_undo_and_a_beginning_at_once_one_happens() -> None:
    workspace = cast.kubernetes("leaving-or-not")
    looked(workspace)
    alice = cast.account("alice@kestrel.example", "administrator", on=cast.organization("Kestrel Freight"))
    for _ in range(5):
        deletion = scheduled(Workspace.objects.select_related("project__organization").get(pk=workspace.pk), alice)
        told: list[object] = []
        ready = threading.Barrier(2)

        def undo(deletion: Deletion = deletion, told: list[object] = told, ready: threading.Barrier = ready) -> None:
            ready.wait()
            told.append(deletion_schedule.undo(Deletion.objects.get(pk=deletion.pk), Actor.of(alice)))
            connection.close()

        def begin(deletion: Deletion = deletion, told: list[object] = told, ready: threading.Barrier = ready) -> None:
            ready.wait()
            told.append(deletion_schedule.begin_due(deletion.begins_at))
            connection.close()

        threads = [threading.Thread(target=work) for work in (undo, begin)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        connections.close_all()
        workspace.refresh_from_db()
        deletion.refresh_from_db()
        if deletion.state == "running":
            assert workspace.state == "deleting"
            assert any(isinstance(one, Refused) for one in told)
            return
        assert (deletion.state, workspace.state, told.count(0)) == ("undone", "active", 1)
