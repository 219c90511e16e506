"""Moving a workspace: what the preview says, what the move does, and that it comes true for everybody."""

from __future__ import annotations

import json
import random
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from tests import cast
from workspaces.models import (
    PLATFORM,
    Account,
    Actor,
    ApiKey,
    BillingAgreement,
    ComputeProfile,
    Event,
    Hold,
    Host,
    Kubeconfig,
    Membership,
    Operation,
    Organization,
    PriceOverride,
    ProfileLocation,
    Project,
    ProviderAccount,
    StepPlan,
    Transfer,
    Workspace,
)
from workspaces.models.transfer import destinations, move
from workspaces.models.transfer_preview import Preview, preview
from workspaces.models.transfer_proof import proof
from workspaces.rules import permissions

pytestmark = pytest.mark.django_db

# One right for each set of roles: the querysets are asked for these, `allows` for every right.
RIGHTS_OF_EACH_ROLE = ("workspace.view", "members.view", "workspace.delete")


@pytest.fixture
def customs(db: None) -> Project:
    """Where the workspace is moved to."""
    return cast.project("Customs")


def key(name: str, role: str = "viewer", project: Project | None = None, **fields: Any) -> ApiKey:
    """An API key of Kestrel Freight; its maker is not of the organization."""
    maker = Account.objects.get_or_create(email="maker@loopback.example", is_active=False)[0]
    return ApiKey.objects.create(
        name=name, prefix=f"lb_{name[:8]}", organization=cast.organization("Kestrel Freight"), role=role,
        project=project, created_by=maker, **fields,
    )  # fmt: skip


def told(seen: Preview) -> dict[str, str]:
    """Of each identity by name: what the move does to it."""
    return {effect.identity.name: effect.change for effect in seen.effects}


def now_preview(workspace: Workspace, destination: Project) -> Preview:
    return preview(Workspace.objects.select_related("project__organization").get(pk=workspace.pk), destination,
                   timezone.now())  # fmt: skip


# --- The preview ------------------------------------------------------------------------------------------------------
def test_people_and_keys_are_told_by_name_losses_first(workspace, customs, alice, bob, victor, charlie, root) -> None:
    cast.account("cleo@kestrel.example", "viewer", on=customs, first_name="Cleo")
    key("ci-core", "operator", project=workspace.project)
    key("org-wide", "viewer")
    key("ci-customs", "operator", project=customs)
    seen = now_preview(workspace, customs)
    assert list(told(seen).items()) == [
        ("Bob Berger", "loses_access"),
        ("ci-core", "loses_access"),
        ("Cleo", "gains_access"),
        ("ci-customs", "gains_access"),
        ("Alice Ahrens", "same"),
        ("victor@kestrel.example", "same"),
        ("org-wide", "same"),
    ]
    assert seen.administrators == (root.pk,)
    (bob_loses, *_) = seen.effects
    assert (bob_loses.role_before, bob_loses.role_after) == ("Operator", "none")


def test_a_key_says_where_it_is_narrowed_to_and_when_it_was_used(workspace, customs) -> None:
    key("ci-core", project=workspace.project, last_used_at=cast.NOW)
    key("org-wide")
    details = {effect.identity.name: effect.identity.detail for effect in now_preview(workspace, customs).effects}
    assert details == {
        "ci-core": "lb_ci-core, narrowed to Freight Core, last used 24 Nov 2026 14:32 UTC",
        "org-wide": "lb_org-wide, of the whole organization, never used",
    }


def test_revoked_and_expired_keys_inactive_people_and_strangers_are_not_in_it(workspace, customs, charlie) -> None:
    cast.account("gone@kestrel.example", "administrator", on=workspace.project, is_active=False)
    key("revoked", project=workspace.project, revoked_at=cast.NOW)
    key("expired", project=workspace.project, expires_at=timezone.now() - timedelta(seconds=1))
    cast.account("dora@kestrel.example", "viewer", on=cast.project("Depot Systems"))
    assert told(now_preview(workspace, customs)) == {}


def test_a_platform_administrator_with_a_membership_is_no_row(workspace, customs, root) -> None:
    Membership.objects.create(account=root, organization=customs.organization, project=workspace.project, role="viewer")
    seen = now_preview(workspace, customs)
    assert (seen.effects, seen.administrators) == ((), (root.pk,))


def test_kubeconfigs_outside_stay_valid_and_those_of_losers_are_marked(workspace, customs, alice, bob) -> None:
    for who in (alice, bob):
        Kubeconfig.objects.create(
            workspace=workspace, requested_by=str(who), requested_by_id=who.pk, state="taken", taken_at=cast.NOW
        )
    Kubeconfig.objects.create(workspace=workspace, requested_by="Bob", state="taken", revoked_at=cast.NOW)
    Kubeconfig.objects.create(workspace=workspace, requested_by="Bob", state="failed")
    long_ago = cast.NOW - timedelta(days=400)
    Kubeconfig.objects.create(workspace=workspace, requested_by="Bob", state="taken", certificate_until=long_ago)
    held = [(one.row.requested_by, one.holder_loses) for one in now_preview(workspace, customs).kubeconfigs]
    assert sorted(held) == [("Alice Ahrens", False), ("Bob Berger", True)]


def test_holds_of_the_old_project_end_and_those_of_the_new_one_begin(workspace, customs, alice) -> None:
    until = timezone.now() + timedelta(days=2)
    for reason, place in {
        "Freeze": {"project": workspace.project},
        "Audit": {"project": customs},
        "Everybody": {"organization": customs.organization},
        "Itself": {"workspace": workspace},
    }.items():
        Hold.objects.create(reason=reason, set_by=alice, expires_at=until, **place)
    Hold.objects.create(reason="Over", set_by=alice, project=customs, set_at=cast.NOW - timedelta(days=9),
                        expires_at=timezone.now() - timedelta(days=1))  # fmt: skip
    seen = now_preview(workspace, customs)
    assert [hold.reason for hold in seen.holds_ending] == ["Freeze"]
    assert [hold.reason for hold in seen.holds_beginning] == ["Audit"]


def test_prices_are_computed_for_both_projects_with_their_clause_and_unknown_ones_are_none(workspace, customs) -> None:
    account = ProviderAccount.objects.create(organization=customs.organization, name="kestrel", token="x")
    profile = ComputeProfile.objects.create(
        provider_account=account, name="ccx23", cores=4, memory_gb=16, disk_gb=160, architecture="x86"
    )
    ProfileLocation.objects.create(
        profile=profile, location="fsn1", currency="EUR", hourly=Decimal("0.05"), monthly=Decimal("30")
    )
    contract = BillingAgreement.objects.create(
        organization=customs.organization, number="KF-2026-03", valid_from=date(2026, 1, 1)
    )
    PriceOverride.objects.create(agreement=contract, clause="4.2", component="monthly", kind="percent", amount=80)
    Host.objects.filter(name="ledger-prod-w1").update(provider_account=account)
    first, second, _ = now_preview(workspace, customs).prices
    assert not first.changes
    assert first.before.monthly.list == Decimal("30")
    assert first.after.monthly.agreed == Decimal("24")
    assert (first.after.monthly.agreement, first.after.monthly.clause) == ("KF-2026-03", "4.2")
    assert (second.before.monthly, second.after.monthly) == (None, None)
    document = now_preview(workspace, customs).document()["prices"]
    assert document[0]["after"]["monthly"]["agreed"] == "24.0000000000"
    assert document[1]["after"] == {"hourly": None, "monthly": None}


def test_the_document_is_plain_json(workspace, customs, alice, bob, root) -> None:
    key("ci-core", project=workspace.project)
    document = now_preview(workspace, customs).document()
    assert json.loads(json.dumps(document)) == document
    assert document["source"]["name"] == "Freight Core"
    assert document["identities"][0]["lost"][0] == "workspace.view"


def test_a_preview_asks_the_same_number_of_queries_for_any_number_of_people(
    workspace, customs, django_assert_max_num_queries
) -> None:
    for number in range(30):
        cast.account(f"p{number}@kestrel.example", "viewer", on=workspace.project)
        key(f"{number}-key", project=customs)
    fresh = Workspace.objects.select_related("project__organization").get(pk=workspace.pk)
    with django_assert_max_num_queries(15):
        assert len(preview(fresh, customs, timezone.now()).effects) == 60


def test_a_destination_of_another_organization_is_a_mistake_of_the_caller(workspace) -> None:
    with pytest.raises(ValueError, match="stays in its organization"):
        now_preview(workspace, cast.project("Fjord", of="Fjordline"))


def test_an_inactive_account_holds_nothing_whatever_it_is_a_member_of(workspace, alice, root) -> None:
    organizations = Organization.objects.all()
    for who in (alice, root):
        assert who.allows("workspace.view", workspace.project)
        who.is_active = False
        who.save()
        assert not who.allows("workspace.view", workspace.project)
        assert not Project.objects.allowing(who, "workspace.view").exists()
        assert not organizations.allowing(who, "members.view").exists()


# --- The fingerprint --------------------------------------------------------------------------------------------------
def test_the_fingerprint_changes_with_what_matters_and_not_with_the_clock(workspace, customs, alice, bob) -> None:
    used = key("ci-core", project=workspace.project)
    before = now_preview(workspace, customs).fingerprint
    ApiKey.objects.filter(pk=used.pk).update(last_used_at=timezone.now())
    assert now_preview(workspace, customs).fingerprint == before
    seen = {before}
    Membership.objects.filter(account=bob).update(role="viewer")
    seen.add(now_preview(workspace, customs).fingerprint)
    Project.objects.filter(pk=customs.pk).update(cost_center="4410")
    seen.add(now_preview(workspace, Project.objects.get(pk=customs.pk)).fingerprint)
    Kubeconfig.objects.create(workspace=workspace, requested_by="Bob", state="taken")
    seen.add(now_preview(workspace, customs).fingerprint)
    Hold.objects.create(reason="x", set_by=alice, project=customs, expires_at=timezone.now() + timedelta(days=1))
    seen.add(now_preview(workspace, customs).fingerprint)
    assert len(seen) == 5


# --- The move ---------------------------------------------------------------------------------------------------------
def test_a_move_changes_the_project_and_nothing_else_of_it(workspace, customs, alice) -> None:
    operation = Operation.start(workspace, "upgrade", "Upgrade", [], actor=PLATFORM)
    Operation.objects.update(state="succeeded")
    before = Workspace.objects.filter(pk=workspace.pk).values().get()
    transfer = move(workspace, customs, by=Actor.of(alice), caller=alice)
    after = Workspace.objects.filter(pk=workspace.pk).values().get()
    assert isinstance(transfer, Transfer)
    assert after == before | {"project_id": customs.pk}
    assert workspace.project == customs
    assert Operation.objects.get(pk=operation.pk).workspace_id == workspace.pk
    assert workspace.hosts.count() == 3
    assert (transfer.moved_by, transfer.moved_by_id) == ("Alice Ahrens", alice.pk)
    assert transfer.prediction["destination"]["name"] == "Customs"


def test_both_projects_read_that_it_was_moved(workspace, customs, alice, bob) -> None:
    cleo = cast.account("cleo@kestrel.example", "operator", on=customs)
    move(workspace, customs, by=Actor.of(alice), caller=alice)
    for reader, action in ((cleo, "workspace.transferred"), (bob, "workspace.moved_away")):
        (act,) = Event.objects.acts().readable(reader)
        assert act.action == action
        assert act.summary.startswith("Moved ledger-prod from Freight Core to Customs")


def test_a_caller_needs_a_right_on_either_side(workspace, customs, alice, bob, victor) -> None:
    narrowed = cast.account("nina@kestrel.example", "administrator", on=workspace.project)
    for who in (bob, victor, narrowed):
        with pytest.raises(PermissionDenied):
            move(workspace, customs, by=Actor.of(who), caller=who)
    Membership.objects.create(account=narrowed, organization=customs.organization, project=customs, role="operator")
    assert isinstance(move(workspace, customs, by=Actor.of(narrowed), caller=narrowed), Transfer)


def test_an_open_operation_refuses_the_move(workspace, customs, alice) -> None:
    operation = Operation.start(workspace, "upgrade", "Upgrade it", [StepPlan("a", "A")], actor=PLATFORM)
    refused = move(workspace, customs, by=Actor.of(alice), caller=alice)
    assert (refused.code, refused.evidence) == ("operation_running", {"operation": str(operation.pk)})
    assert not Transfer.objects.exists()


def test_a_name_of_the_destination_refuses_the_move(workspace, customs, alice) -> None:
    cast.kubernetes(project=customs, namespace="other", control_plane="other")
    assert move(workspace, customs, by=Actor.of(alice), caller=alice).code == "name_taken"
    assert Workspace.objects.get(pk=workspace.pk).project.name == "Freight Core"


def test_a_preview_that_is_no_longer_true_moves_nothing(workspace, customs, alice, bob) -> None:
    shown = now_preview(workspace, customs).fingerprint
    Membership.objects.filter(account=bob).delete()
    refused = move(workspace, customs, by=Actor.of(alice), caller=alice, expected_fingerprint=shown)
    assert (refused.code, Transfer.objects.count()) == ("preview_changed", 0)
    again = now_preview(workspace, customs).fingerprint
    moved = move(workspace, customs, by=Actor.of(alice), caller=alice, expected_fingerprint=again)
    assert isinstance(moved, Transfer)


def test_one_that_has_left_meanwhile_is_not_moved_from_where_it_is(workspace, customs, alice) -> None:
    as_read = Workspace.objects.select_related("project").get(pk=workspace.pk)
    move(workspace, customs, by=Actor.of(alice), caller=alice)
    refused = move(as_read, cast.project("Depot Systems"), by=Actor.of(alice), caller=alice)
    assert refused.code == "preview_changed"
    assert Workspace.objects.get(pk=workspace.pk).project == customs


def test_it_can_be_moved_back(workspace, customs, alice) -> None:
    home = workspace.project
    first = move(workspace, customs, by=Actor.of(alice), caller=alice)
    assert isinstance(move(workspace, home, by=Actor.of(alice), caller=alice), Transfer)
    assert proof(Transfer.objects.get(pk=first.pk), timezone.now()).moved_on


def test_destinations_are_the_projects_one_sees_with_the_reason_for_the_closed_ones(workspace, customs, alice) -> None:
    cast.project("Fjord", of="Fjordline")
    cast.project("Depot Systems")
    nina = cast.account("nina@kestrel.example", "administrator", on=workspace.project)
    Membership.objects.create(account=nina, organization=customs.organization, project=customs, role="viewer")
    assert [(str(one.project), one.closed) for one in destinations(workspace, alice)] == [
        ("Customs", ""),
        ("Depot Systems", ""),
    ]
    assert [(str(one.project), one.closed) for one in destinations(workspace, nina)] == [
        ("Customs", "Receive a workspace from another project: only as administrator or operator of Customs."),
    ]


# --- The proof --------------------------------------------------------------------------------------------------------
def test_the_proof_compares_everybody_with_every_right(
    workspace, customs, alice, bob, victor, root, django_assert_max_num_queries
) -> None:
    key("ci-customs", "operator", project=customs)
    transfer = move(workspace, customs, by=Actor.of(alice), caller=alice)
    with django_assert_max_num_queries(len(permissions.PERMISSIONS) + 4):
        shown = proof(Transfer.objects.select_related("workspace", "destination").get(pk=transfer.pk), timezone.now())
    assert shown.holds
    # Alice, Victor, root and, since he was predicted to lose everything, Bob.
    assert (shown.accounts, shown.api_keys, shown.checks) == (4, 1, 5 * len(permissions.PERMISSIONS))


def test_a_difference_says_what_and_why(workspace, customs, alice, bob, victor, root) -> None:
    ci, old = key("ci-customs", "operator", project=customs), key("old-customs", "viewer", project=customs)
    transfer = move(workspace, customs, by=Actor.of(alice), caller=alice)
    Membership.objects.create(account=bob, organization=customs.organization, project=customs, role="viewer")
    Account.objects.filter(pk=victor.pk).update(is_active=False)
    Account.objects.filter(pk=root.pk).update(is_superuser=False)
    ApiKey.objects.filter(pk=ci.pk).update(revoked_at=timezone.now())
    ApiKey.objects.filter(pk=old.pk).delete()
    shown = proof(Transfer.objects.get(pk=transfer.pk), timezone.now())
    assert not shown.holds
    assert {one.name: one.why for one in shown.differences} == {
        "Bob Berger": "Changed since the move: predicted none, now Viewer.",
        "victor@kestrel.example": "Changed since the move: predicted Viewer, now none, not active.",
        "root@loopback.example": "Changed since the move: predicted platform administrator, now none.",
        "ci-customs": "Changed since the move: predicted Operator, now none, revoked.",
        "old-customs": "Changed since the move: predicted Viewer, now none, deleted.",
    }
    bobs = next(one for one in shown.differences if one.name == "Bob Berger")
    assert (bobs.missing, bobs.additional) == ((), ("workspace.view", "price.view"))
    json.dumps(shown.document(), default=str)


def test_a_prediction_that_was_wrong_is_called_wrong(workspace, customs, alice, bob) -> None:
    transfer = move(workspace, customs, by=Actor.of(alice), caller=alice)
    said = next(one for one in transfer.prediction["identities"] if one["name"] == "Alice Ahrens")
    said["after"] = []
    said["role_after"] = "Administrator"
    transfer.save()
    (one,) = proof(Transfer.objects.get(pk=transfer.pk), timezone.now()).differences
    assert one.name == "Alice Ahrens"
    assert one.why == "What the role Administrator may do has changed since the move."


# --- For random fleets ------------------------------------------------------------------------------------------------
class RandomFleet:
    """Two organizations with projects, people, memberships and keys of every kind, and one workspace to move."""

    def __init__(self, chance: random.Random) -> None:
        now = timezone.now()
        self.organizations = Organization.objects.bulk_create(Organization(name=f"Org {n}") for n in range(2))
        self.projects = Project.objects.bulk_create(
            Project(organization=organization, name=f"Project {n}")
            for organization in self.organizations
            for n in range(chance.randint(2, 3))
        )
        self.accounts = Account.objects.bulk_create(
            Account(email=f"a{n}@x.example", is_superuser=chance.random() < 0.12, is_active=chance.random() < 0.85)
            for n in range(chance.randint(1, 4))
        )
        places = [(p.organization, p) for p in self.projects] + [(o, None) for o in self.organizations]
        Membership.objects.bulk_create(
            Membership(account=who, organization=organization, project=project, role=chance.choice(permissions.ROLES))
            for who in self.accounts
            for organization, project in chance.sample(places, chance.randint(0, 4))
        )
        self.keys = ApiKey.objects.bulk_create(
            ApiKey(
                name=f"key {n}", prefix=f"lb_{n:08}", organization=organization, project=project,
                created_by=self.accounts[0], role=chance.choice(permissions.ROLES),
                revoked_at=chance.choice([None, None, None, now]),
                expires_at=chance.choice([None, now - timedelta(days=1), now + timedelta(days=1)]),
            )
            for n, (organization, project) in enumerate(chance.choices(places, k=chance.randint(0, 4)))
        )  # fmt: skip
        mine = [project for project in self.projects if project.organization == self.organizations[0]]
        source, self.destination = chance.sample(mine, 2)
        self.workspace = Workspace.objects.create(project=source, name="moved", type="baremetal", state="active")
        self.valid_keys = [
            key for key in self.keys if not key.revoked_at and (not key.expires_at or key.expires_at > now)
        ]


def rights_of(identity: Account | ApiKey, workspace: Workspace) -> set[str]:
    """What an account or a valid key may do with the workspace, asked one right at a time."""
    return {right for right in permissions.PERMISSIONS if identity.allows(right, workspace.project)}


def finds(identity: Account | ApiKey, workspace: Workspace, right: str) -> bool:
    """Whether the querysets behind every page and list give the workspace to it."""
    found = Project.objects.allowing(identity, right).filter(pk=workspace.project_id).exists()
    if not identity.is_superuser:
        assert Workspace.objects.allowing(identity, right).filter(pk=workspace.pk).exists() == found
    return found


@pytest.mark.parametrize("block", range(4))
def test_in_random_fleets_the_preview_is_what_is_then_true_for_everybody_and_every_right(block: int) -> None:
    for seed in range(block * 50, block * 50 + 50):
        with transaction.atomic():
            chance = random.Random(seed)
            fleet = RandomFleet(chance)
            seen = preview(fleet.workspace, fleet.destination, timezone.now())
            everything = permissions.PERMISSIONS.keys()
            before = {(e.identity.kind, e.identity.id): set(e.before) for e in seen.effects}
            before |= {("account", pk): set(everything) for pk in seen.administrators}
            after = {(e.identity.kind, e.identity.id): set(e.after) for e in seen.effects}
            after |= {("account", pk): set(everything) for pk in seen.administrators}
            identities = {("account", one.pk): one for one in fleet.accounts}
            identities |= {("api_key", one.pk): one for one in fleet.valid_keys}
            assert after.keys() <= identities.keys(), seed
            as_read = Workspace.objects.select_related("project__organization").get(pk=fleet.workspace.pk)
            right = chance.choice(RIGHTS_OF_EACH_ROLE)
            for key, identity in identities.items():
                assert finds(identity, as_read, right) == (right in before.get(key, set())), (seed, key)
            transfer = move(as_read, fleet.destination, by=PLATFORM, caller=None, expected_fingerprint=seen.fingerprint)
            assert isinstance(transfer, Transfer), (seed, transfer)
            moved = Workspace.objects.select_related("project__organization").get(pk=fleet.workspace.pk)
            for key, identity in identities.items():
                assert rights_of(identity, moved) == after.get(key, set()), (seed, key)
                assert finds(identity, moved, right) == (right in after.get(key, set())), (seed, key)
            if seed % 5 == 0:
                assert proof(transfer, timezone.now()).holds, seed
            transaction.set_rollback(True)


# --- At the same time -------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_a_move_waits_for_an_operation_that_is_being_started_and_is_refused(
    workspace, customs, alice, in_another_thread
) -> None:
    as_read = Workspace.objects.select_related("project").get(pk=workspace.pk)
    with transaction.atomic():
        operation = Operation.start(workspace, "upgrade", "Upgrade it", [StepPlan("a", "A")], actor=PLATFORM)
        moving = in_another_thread(lambda: move(as_read, customs, by=Actor.of(alice), caller=alice))
    refused = moving.result(10)
    assert (refused.code, refused.evidence) == ("operation_running", {"operation": str(operation.pk)})
    assert Workspace.objects.get(pk=workspace.pk).project.name == "Freight Core"


@pytest.mark.django_db(transaction=True)
def test_an_operation_of_somebody_who_saw_the_old_project_is_refused_after_the_move(
    workspace, customs, alice, in_another_thread
) -> None:
    as_read = Workspace.objects.select_related("project").get(pk=workspace.pk)
    failed = Operation.objects.create(workspace=as_read, kind="upgrade", title="Old", state="failed", requested_by="B")
    with transaction.atomic():
        move(workspace, customs, by=Actor.of(alice), caller=alice)
        starting = in_another_thread(
            lambda: Operation.start(as_read, "upgrade", "Upgrade it", [StepPlan("a", "A")], actor=PLATFORM)
        )
    assert starting.result(10).code == "moved"
    assert failed.retry(PLATFORM).code == "moved"
    assert not Operation.objects.open().exists()


@pytest.mark.django_db(transaction=True)
def test_an_operation_waits_for_a_move_and_runs_in_the_new_project(
    workspace, customs, alice, in_another_thread
) -> None:
    with transaction.atomic():
        move(workspace, customs, by=Actor.of(alice), caller=alice)
        as_read = Workspace.objects.select_related("project").get(pk=workspace.pk)
        starting = in_another_thread(
            lambda: Operation.start(as_read, "upgrade", "Upgrade it", [StepPlan("a", "A")], actor=PLATFORM)
        )
    assert isinstance(starting.result(10), Operation)
    assert Operation.objects.open().get().workspace.project == customs


@pytest.mark.django_db(transaction=True)
def test_of_two_moves_at_once_the_second_one_moves_nothing(workspace, customs, alice, in_another_thread) -> None:
    depot = cast.project("Depot Systems")
    as_read = Workspace.objects.select_related("project").get(pk=workspace.pk)
    with transaction.atomic():
        move(workspace, customs, by=Actor.of(alice), caller=alice)
        second = in_another_thread(lambda: move(as_read, depot, by=Actor.of(alice), caller=alice))
    assert second.result(10).code == "preview_changed"
    assert Workspace.objects.get(pk=workspace.pk).project == customs


@pytest.mark.django_db(transaction=True)
def test_of_two_namesakes_moved_at_once_into_one_project_the_second_is_refused(
    workspace, customs, alice, in_another_thread
) -> None:
    namesake = cast.kubernetes(project=cast.project("Depot Systems"), namespace="other", control_plane="other")
    with transaction.atomic():
        move(workspace, customs, by=Actor.of(alice), caller=alice)
        second = in_another_thread(lambda: move(namesake, customs, by=Actor.of(alice), caller=alice))
    assert second.result(10).code == "name_taken"
    assert Transfer.objects.count() == 1
