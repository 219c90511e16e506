"""What staff change: refused in words where it cannot be, and in the audit trail when it is stored."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.utils import timezone

from tests import cast
from tests.admin.forms import account, address, errors, last, trail
from workspaces.models import (
    Account,
    Advisory,
    ComputeProfile,
    Decision,
    Event,
    Hold,
    Host,
    KubernetesVersion,
    ManagementCluster,
    Membership,
    Organization,
    Project,
    ProviderAccount,
    Workspace,
)


def test_the_versions_of_an_advisory_are_named_in_its_event(as_root: Client, catalogue_rows: Any) -> None:
    advisory = Advisory.objects.create(name="USN-1", severity="high", flagged_at=cast.NOW)
    data = {"name": "USN-1", "severity": "high", "packages": "[]", "flagged_at_0": advisory.flagged_at.date(),
            "flagged_at_1": advisory.flagged_at.strftime("%H:%M:%S"),
            "versions": [str(KubernetesVersion.objects.get(version="1.36.2").pk)]}  # fmt: skip
    assert as_root.post(address("advisory", advisory), data).status_code == 302
    assert [action for action, _ in trail()] == ["version_of_advisory.added"]
    assert last().changes["kubernetesversion_id"] == [None, str(KubernetesVersion.objects.get(version="1.36.2").pk)]


# --- what is kept -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("noun", "model", "sentence"),
    [
        ("workspace", Workspace, "A workspace is deleted in the console"),
        ("host", Host, "A host is removed by an operation"),
        ("computeprofile", ComputeProfile, "Profiles follow the provider."),
        ("organization", Organization, "2 projects"),
        ("project", Project, "Not possible while it has 1 transfer."),
        ("managementcluster", ManagementCluster, "Not possible while it has 1 workspace."),
        ("provideraccount", ProviderAccount, "1 DNS record"),
    ],
)
def test_what_others_hold_on_to_is_not_deleted_and_says_why(
    as_root: Client, rows: Any, noun: str, model: Any, sentence: str
) -> None:
    row = model.objects.first()
    page = as_root.get(address(noun, row)).content.decode()
    assert sentence in page
    assert 'class="deletelink"' not in page
    assert as_root.post(address(noun, row, "delete"), {"post": "yes"}).status_code == 403
    as_root.post(
        f"/admin/workspaces/{noun}/", {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"}
    )
    assert model.objects.filter(pk=row.pk).exists()
    assert trail() == []


def test_an_organization_without_projects_is_deleted(as_root: Client) -> None:
    empty = cast.organization("Empty")
    assert as_root.post(address("organization", empty, "delete"), {"post": "yes"}).status_code == 302
    assert not Organization.objects.filter(name="Empty").exists()


def test_a_change_of_a_workspace_stands_in_its_own_trail(as_root: Client, workspace: Workspace) -> None:
    data = {"description": "Books", "protected": "on", "upgrade_hosts_at_once": "1", "state": "deleted"}
    assert as_root.post(address("workspace", workspace), data).status_code == 302
    workspace.refresh_from_db()
    assert (workspace.state, workspace.protected) == ("active", True)
    assert (last().workspace_id, last().organization_id) == (workspace.pk, workspace.project.organization_id)
    assert trail() == [("workspace.changed", {"description": ["", "Books"], "protected": [False, True]})]


def test_a_hold_is_set_by_whoever_adds_it_and_ends_in_the_future(as_root: Client, root: Account) -> None:
    data = {"reason": "Freeze", "expires_at_0": "2020-01-01", "expires_at_1": "00:00:00"}
    assert "Enter a time that is still to come." in errors(as_root.post("/admin/workspaces/hold/add/", data))
    far = as_root.post("/admin/workspaces/hold/add/", data | {"expires_at_0": "2090-01-01"})
    assert "A hold lasts at most 90 days: until " in errors(far)
    soon = f"{timezone.now() + timedelta(days=2):%Y-%m-%d}"
    assert as_root.post("/admin/workspaces/hold/add/", data | {"expires_at_0": soon}).status_code == 302
    hold = Hold.objects.get()
    assert (hold.set_by, hold.set_by_name) == (root, "root@loopback.example")
    assert Event.objects.acts().get(action="hold.set").actor_id == root.pk


def test_a_hold_in_two_places_is_refused(as_root: Client, workspace: Workspace) -> None:
    data = {"reason": "Freeze", "workspace": str(workspace.pk), "project": str(workspace.project_id)}
    answer = as_root.post("/admin/workspaces/hold/add/", data)
    assert "Choose one: the project or the workspace." in errors(answer)


def test_holds_are_lifted_together_and_those_that_were_over_are_counted(as_root: Client, root: Account) -> None:
    now = timezone.now()
    live = Hold.objects.create(reason="A", expires_at=now + timedelta(days=1))
    over = Hold.objects.create(reason="B", set_at=now - timedelta(days=2), expires_at=now - timedelta(days=1))
    data = {"action": "lift", "_selected_action": [str(live.pk), str(over.pk)]}
    page = as_root.post("/admin/workspaces/hold/", data, follow=True).content.decode()
    assert "Lifted: 1. Over before: 1." in page
    assert list(Hold.objects.order_by("reason").values_list("lifted_by_name", flat=True)) == [
        "root@loopback.example",
        "",
    ]
    assert Event.objects.acts().get(action="hold.lifted").summary == "Platform: Lifted the hold: A"


def test_an_advisory_names_packages_that_exist_or_versions(as_root: Client, catalogue_rows: Any) -> None:
    data = {"name": "USN-2", "severity": "high", "flagged_at_0": "2026-11-24", "flagged_at_1": "00:00:00"}
    add = "/admin/workspaces/advisory/add/"
    assert "this flags nothing" in errors(as_root.post(add, data | {"packages": "[]"}))
    assert "Enter a list of package names." in errors(as_root.post(add, data | {"packages": '"openssl"'}))
    assert "is not the name of a package" in errors(as_root.post(add, data | {"packages": '["openssl; reboot"]'}))
    assert as_root.post(add, data | {"packages": '["openssl", "*"]'}).status_code == 302


def test_an_advisory_says_how_many_workspaces_it_touches(
    as_root: Client, catalogue_rows: Any, metal: Workspace
) -> None:
    for number, version in enumerate(("1.34.8", "1.34.11", "1.35.4")):
        cast.kubernetes(f"w{number}", version=version)
    advisory = Advisory.objects.create(name="USN-1", severity="high", packages=["openssl"])
    advisory.versions.set(KubernetesVersion.objects.filter(version="1.34.11"))
    page = as_root.get(address("advisory", advisory)).content.decode()
    assert "4 workspaces with hosts that may have the packages; 1 workspaces that run an older patch" in page


def test_advisories_are_closed_and_flagged_again_from_their_list(as_root: Client) -> None:
    advisory = Advisory.objects.create(name="USN-1", severity="high", flagged_at=cast.NOW)
    chosen = {"_selected_action": [str(advisory.pk)]}
    as_root.post("/admin/workspaces/advisory/", chosen | {"action": "close"})
    advisory.refresh_from_db()
    assert advisory.closed_at is not None
    as_root.post("/admin/workspaces/advisory/", chosen | {"action": "flag_again"})
    advisory.refresh_from_db()
    assert advisory.closed_at is None
    assert advisory.flagged_at > cast.NOW
    assert [action for action, _ in trail()] == ["advisory.changed", "advisory.changed"]


def test_the_evidence_of_a_decision_is_told_in_lines(as_root: Client, workspace: Workspace) -> None:
    decision = Decision.objects.create(
        workspace=workspace, lane="routine", opens_at=cast.NOW, outcome="waiting", reason="limit", message="All taken.",
        evidence={
            "work": ["Operating system updates on 3 hosts"],
            "reasons": [{"code": "compute_auto_update", "message": "Operating system updates are on."}],
            "blocked_by": [{"code": "hold", "message": "Held."}],
            "limit": "10 of 10 places are taken.",
            "place": 4,
        },
    )  # fmt: skip
    page = as_root.get(address("decision", decision)).content.decode()
    for line in (
        "work: Operating system updates on 3 hosts",
        "reasons: compute_auto_update: Operating system updates are on.",
        "blocked by: hold: Held.",
        "limit: 10 of 10 places are taken.",
        "place: 4",
    ):
        assert f"<li>{line}</li>" in page


# --- accounts ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def support(client: Client, staff: Account) -> Client:
    """Staff with every permission on accounts and memberships, and no superuser."""
    staff.user_permissions.set(Permission.objects.filter(content_type__model__in=["account", "membership", "group"]))
    return cast.sign_in(client, staff)


def test_an_account_is_added_with_a_password_that_no_event_knows(as_root: Client) -> None:
    data = {"email": "Nina@Kestrel.example", "usable_password": "true"}
    data |= {"password1": cast.PASSWORD, "password2": cast.PASSWORD}
    assert as_root.post("/admin/workspaces/account/add/", data).status_code == 302
    nina = Account.objects.get(email="nina@kestrel.example")
    assert nina.check_password(cast.PASSWORD)
    assert (last().action, last().summary) == ("account.added", "Added account nina@kestrel.example")
    assert last().changes["email"] == [None, "nina@kestrel.example"]
    assert last().changes["password"] == "changed"
    assert nina.password not in f"{list(Event.objects.values())}"


def test_names_and_zone_and_memberships_of_an_account_are_changed_by_a_named_member_of_staff_in_one_request(
    support: Client, staff: Account, alice: Account
) -> None:
    data = account(alice, last_name="Abel", time_zone="Europe/Oslo", **{"memberships-0-role": "viewer"})
    assert support.post(address("account", alice), data).status_code == 302
    alice.refresh_from_db()
    assert (alice.last_name, alice.time_zone, alice.memberships.get().role) == ("Abel", "Europe/Oslo", "viewer")
    assert trail() == [
        ("account.changed", {"last_name": ["Ahrens", "Abel"], "time_zone": ["Europe/Berlin", "Europe/Oslo"]}),
        ("membership.changed", {"role": ["administrator", "viewer"]}),
    ]
    made = Event.objects.row_changes().exclude(request_id=None)
    assert {(event.actor_kind, event.actor_name, event.actor_id) for event in made} == {
        ("account", "Sam Support", staff.pk)
    }
    assert len({event.request_id for event in made}) == 1


def test_a_time_zone_that_no_clock_knows_is_refused_in_words(as_root: Client, alice: Account) -> None:
    answer = as_root.post(address("account", alice), account(alice, time_zone="Mars/Olympus"))
    assert "Mars/Olympus is not a time zone. Enter a name such as Europe/Berlin." in errors(answer)


def test_a_membership_is_not_narrowed_to_a_project_of_another_organization(as_root: Client, alice: Account) -> None:
    foreign = cast.project("Ferries", of="Fjordline")
    row = alice.memberships.get()
    data = {"account": alice.pk, "organization": row.organization_id, "project": foreign.pk, "role": "viewer"}
    answer = as_root.post(address("membership", row), data)
    assert "Ferries belongs to Fjordline, not to Kestrel Freight." in errors(answer)
    assert Membership.objects.get(pk=row.pk).project is None


def test_a_password_is_set_through_djangos_form_and_leaves_an_event(support: Client, alice: Account) -> None:
    new = "another horse battery staple"
    page = f"/admin/workspaces/account/{alice.pk}/password/"
    data = {"password1": new, "password2": new, "usable_password": "true"}
    assert support.post(page, data | {"password2": "x"}).status_code == 200
    assert trail() == []
    assert support.post(page, data).status_code == 302
    alice.refresh_from_db()
    assert alice.check_password(new)
    assert last().summary == "Changed password of account alice@kestrel.example"
    assert trail() == [("account.changed", {"password": "changed"})]


def test_staff_change_their_own_password_where_everybody_does(support: Client) -> None:
    answer = support.get("/admin/password_change/")
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/password/change/")


def test_rights_given_to_staff_are_named_in_the_trail(as_root: Client, staff: Account) -> None:
    group = Group.objects.create(name="Catalogue")
    view, change = Permission.objects.order_by("pk")[:2]
    data = account(staff, is_staff="on", groups=[group.pk], user_permissions=[view.pk])
    assert as_root.post(address("account", staff), data).status_code == 302
    assert sorted(action for action, _ in trail()) == [
        "staff_group_of_account.added",
        "staff_permission_of_account.added",
    ]
    group_page = f"/admin/auth/group/{group.pk}/change/"
    assert as_root.post(group_page, {"name": "Catalogue", "permissions": [change.pk]}).status_code == 302
    assert last().action == "permission_of_staff_group.added"
    assert last().changes["permission_id"] == [None, change.pk]


def test_the_history_of_a_row_is_its_part_of_the_audit_trail(
    as_root: Client, client: Client, staff: Account, workspace: Workspace
) -> None:
    data = {"description": "Books", "protected": "on", "upgrade_hosts_at_once": "1"}
    as_root.post(address("workspace", workspace), data)
    as_root.post(address("project", workspace.project), {"name": "X"})
    answer = as_root.get(address("workspace", workspace, "history"), follow=True)
    assert [str(event.summary) for event in answer.context["cl"].result_list] == [
        "Changed description, protected of workspace ledger-prod",
        "Added workspace ledger-prod",
    ]

    staff.user_permissions.set(Permission.objects.filter(codename="view_workspace"))
    answer = cast.sign_in(client, staff).get(address("workspace", workspace, "history"))
    assert answer.status_code == 200
    assert "Change history" in answer.content.decode()


def test_only_a_superuser_makes_staff_and_superusers(support: Client, staff: Account, alice: Account) -> None:
    data = account(alice, is_staff="on", is_superuser="on", user_permissions=[Permission.objects.first().pk])
    assert support.post(address("account", alice), data).status_code == 302
    alice.refresh_from_db()
    assert (alice.is_staff, alice.is_superuser, alice.user_permissions.count()) == (False, False, 0)
    cast.sign_in(support, Account.objects.create_superuser("chief@loopback.example", cast.PASSWORD))
    assert support.post(address("account", alice), data).status_code == 302
    alice.refresh_from_db()
    assert (alice.is_staff, alice.is_superuser, alice.user_permissions.count()) == (True, True, 1)


def test_staff_do_not_change_the_accounts_or_rights_of_staff(support: Client, staff: Account, root: Account) -> None:
    group = Group.objects.create(name="Catalogue")
    new = {"password1": "another horse battery staple", "password2": "another horse battery staple"}
    for who in (staff, root):
        assert support.post(address("account", who), account(who, first_name="X")).status_code == 403
        assert support.post(f"/admin/workspaces/account/{who.pk}/password/", new).status_code == 403
        assert support.post(address("account", who, "delete"), {"post": "yes"}).status_code == 403
    assert support.post(f"/admin/auth/group/{group.pk}/change/", {"name": "Y"}).status_code == 403
    support.post("/admin/workspaces/account/", {
        "action": "delete_selected", "_selected_action": [str(root.pk)], "post": "yes"
    })  # fmt: skip
    assert Account.objects.filter(pk=root.pk).exists()
