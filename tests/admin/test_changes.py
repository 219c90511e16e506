"""What staff change: refused in words where it cannot be, and an event for everything that is stored."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client

from tests import cast
from tests.admin.conftest import SECRETS
from workspaces.models import (
    Account,
    Advisory,
    BillingAgreement,
    ComputeProfile,
    Event,
    Hold,
    Host,
    Integration,
    KubernetesVersion,
    ManagementCluster,
    Membership,
    Organization,
    PriceOverride,
    Project,
    ProviderAccount,
    SshKey,
    Workspace,
)

KUBECONFIG = """apiVersion: v1
current-context: it
clusters: [{name: it, cluster: {server: "https://192.0.2.1:6443"}}]
contexts: [{name: it, context: {cluster: it, user: it}}]
users: [{name: it, user: {token: a-new-token}}]
"""


def address(noun: str, row: Any, page: str = "change") -> str:
    """The address of a row's page."""
    return f"/admin/workspaces/{noun}/{row.pk}/{page}/"


def errors(response: Any) -> str:
    """Everything the page says is wrong."""
    assert response.status_code == 200
    form = response.context["adminform"].form
    inline = [error for formset in response.context["inline_admin_formsets"] for error in formset.formset.errors]
    return f"{form.errors.as_text()} {inline}"


def version(**fields: Any) -> dict[str, Any]:
    """What the form of a catalogue version sends."""
    return {"version": "1.36.4", "active": "on", "upgrade_from": ">=1.35.4 <1.37.0", "notes": ""} | fields


def last() -> Event:
    """The newest event."""
    event = Event.objects.first()
    assert event is not None
    return event


def test_a_version_is_added_with_an_event(as_root: Client, root: Account) -> None:
    assert as_root.post("/admin/workspaces/kubernetesversion/add/", version()).status_code == 302
    assert KubernetesVersion.objects.get(version="1.36.4").active
    assert (last().action, last().summary, last().actor_id) == (
        "admin.added",
        "Added kubernetes version 1.36.4",
        root.pk,
    )
    assert last().changes["upgrade_from"] == [None, ">=1.35.4 <1.37.0"]


def test_an_upgrade_from_that_cannot_be_read_is_refused_in_words(as_root: Client) -> None:
    answer = as_root.post("/admin/workspaces/kubernetesversion/add/", version(upgrade_from="whatever"))
    assert "upgrade_from" in errors(answer)
    assert "whatever" in errors(answer)
    assert not KubernetesVersion.objects.exists()
    assert not Event.objects.exists()


def test_a_version_that_is_none_is_refused_in_words(as_root: Client) -> None:
    assert "latest" in errors(as_root.post("/admin/workspaces/kubernetesversion/add/", version(version="latest")))


def test_a_change_keeps_before_and_after(as_root: Client, catalogue_rows: Any) -> None:
    row = KubernetesVersion.objects.get(version="1.35.7")
    data = version(version="1.35.7", upgrade_from=row.upgrade_from, end_of_life_on="2027-05-31")
    assert as_root.post(address("kubernetesversion", row), data).status_code == 302
    assert last().action == "admin.changed"
    assert last().summary == "Changed end_of_life_on of kubernetes version 1.35.7"
    assert last().changes == {"end_of_life_on": ["2027-06-30", "2027-05-31"]}


def test_a_save_that_changes_nothing_leaves_no_event(as_root: Client, catalogue_rows: Any) -> None:
    row = KubernetesVersion.objects.get(version="1.35.7")
    data = version(version="1.35.7", upgrade_from=row.upgrade_from, end_of_life_on="2027-06-30")
    assert as_root.post(address("kubernetesversion", row), data).status_code == 302
    assert not Event.objects.exists()


def test_a_version_is_deleted_with_an_event(as_root: Client, catalogue_rows: Any) -> None:
    row = KubernetesVersion.objects.get(version="1.37.1")
    assert as_root.post(address("kubernetesversion", row, "delete"), {"post": "yes"}).status_code == 302
    assert not KubernetesVersion.objects.filter(version="1.37.1").exists()
    assert last().summary == "Deleted kubernetes version 1.37.1"


def test_rows_deleted_from_the_list_leave_an_event_each(as_root: Client, catalogue_rows: Any) -> None:
    chosen = [str(row.pk) for row in KubernetesVersion.objects.filter(version__startswith="1.35")]
    as_root.post(
        "/admin/workspaces/kubernetesversion/",
        {"action": "delete_selected", "_selected_action": chosen, "post": "yes"},
    )
    assert Event.objects.filter(action="admin.deleted").count() == 3


def test_the_versions_of_an_advisory_are_named_in_its_event(as_root: Client, catalogue_rows: Any) -> None:
    advisory = Advisory.objects.create(name="USN-1", severity="high")
    data = {"name": "USN-1", "severity": "high", "packages": "[]", "flagged_at_0": advisory.flagged_at.date(),
            "flagged_at_1": advisory.flagged_at.strftime("%H:%M:%S"),
            "versions": [str(KubernetesVersion.objects.get(version="1.36.2").pk)]}  # fmt: skip
    assert as_root.post(address("advisory", advisory), data).status_code == 302
    assert last().changes["versions"] == [[], ["1.36.2"]]


# --- credentials ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("noun", "model", "field", "data", "secret"),
    [
        ("provideraccount", ProviderAccount, "token", {"name": "Kestrel cloud", "kind": "hetzner"}, "token"),
        ("sshkey", SshKey, "private_key", {"name": "fleet"}, "ssh"),
        (
            "integration",
            Integration,
            "secret",
            {"name": "Grafana", "kind": "monitoring", "settings": "{}"},
            "integration",
        ),
        (
            "managementcluster",
            ManagementCluster,
            "kubeconfig",
            {"name": "mgmt-fsn1", "max_version": "1.36"},
            "kubeconfig",
        ),
    ],
)
def test_a_credential_is_kept_when_the_field_is_empty_and_replaced_when_it_is_not(
    as_root: Client, rows: Any, noun: str, model: Any, field: str, data: dict[str, Any], secret: str
) -> None:
    row = model.objects.get()
    data |= {
        name: str(getattr(row, f"{name}_id")) for name in ("organization", "workspace") if hasattr(row, f"{name}_id")
    }
    assert as_root.post(address(noun, row), data | {"credential": ""}).status_code == 302
    row.refresh_from_db()
    assert getattr(row, field).reveal() == SECRETS[secret]

    new = KUBECONFIG if noun == "managementcluster" else "a-new-secret"
    assert as_root.post(address(noun, row), data | {"credential": new}).status_code == 302
    row.refresh_from_db()
    assert getattr(row, field).reveal() == new
    assert last().changes == {field: "changed"}
    assert "a-new" not in f"{list(Event.objects.values())}"
    page = as_root.get(address(noun, row)).content.decode()
    assert "stored" in page
    assert "a-new" not in page


def test_a_key_of_several_lines_is_stored_with_unix_line_ends(as_root: Client) -> None:
    as_root.post("/admin/workspaces/sshkey/add/", {"name": "k", "credential": "-----BEGIN\r\nabc\r\n-----END"})
    assert SshKey.objects.get().private_key.reveal() == "-----BEGIN\nabc\n-----END\n"


def test_a_new_row_needs_its_credential_unless_the_model_does_without(as_root: Client, workspace: Workspace) -> None:
    answer = as_root.post("/admin/workspaces/sshkey/add/", {"name": "k", "credential": ""})
    assert "Enter the credential: nothing is stored yet." in errors(answer)
    data = {"workspace": str(workspace.pk), "name": "n", "kind": "k", "settings": "{}", "credential": ""}
    assert as_root.post("/admin/workspaces/integration/add/", data).status_code == 302
    assert "none" in as_root.get(address("integration", Integration.objects.get())).content.decode()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("token: [secret-part", "This is not YAML."),
        ("secret-part", "This is no kubeconfig: it needs clusters, contexts, users and current-context."),
        (KUBECONFIG.replace("token: a-new-token", "exec: {command: secret-part}"), "It names a program to run"),
    ],
)
def test_a_kubeconfig_that_is_none_is_refused_in_words_and_not_shown_again(
    as_root: Client, text: str, sentence: str
) -> None:
    cluster = cast.management_cluster()
    answer = as_root.post(
        address("managementcluster", cluster), {"name": cluster.name, "max_version": "1.36", "credential": text}
    )
    assert sentence in errors(answer)
    assert "secret-part" not in answer.content.decode()
    cluster.refresh_from_db()
    assert cluster.kubeconfig.reveal() == "apiVersion: v1"


# --- agreements -------------------------------------------------------------------------------------------------------
def agreement(organization: Organization, *clauses: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """What the form of a new agreement sends with its clauses."""
    data: dict[str, Any] = {"organization": str(organization.pk), "number": "KF-1", "valid_from": "2026-01-01"}
    data |= {"currency": "EUR", "overrides-TOTAL_FORMS": len(clauses), "overrides-INITIAL_FORMS": 0} | fields
    for number, clause in enumerate(clauses):
        values = {"clause": f"{number + 1}", "component": "hourly", "kind": "percent", "amount": "90"} | clause
        data |= {f"overrides-{number}-{field}": value for field, value in values.items()}
    return data


def test_an_agreement_is_added_with_its_clauses_and_an_event_each(as_root: Client) -> None:
    kestrel = cast.organization("Kestrel Freight")
    answer = as_root.post(
        "/admin/workspaces/billingagreement/add/", agreement(kestrel, {"family": "ccx*"}, {"component": "setup"})
    )
    assert answer.status_code == 302
    assert PriceOverride.objects.count() == 2
    assert list(Event.objects.order_by("id").values_list("summary", flat=True)) == [
        "Added billing agreement KF-1",
        "Added price override KF-1 1",
        "Added price override KF-1 2",
    ]


def test_a_clause_that_changes_keeps_before_and_after(as_root: Client, rows: Any) -> None:
    clause = PriceOverride.objects.get()
    data = agreement(rows["organization"], {"clause": "4.1", "amount": "80", "id": str(clause.pk)}, number="KF-2026")
    data |= {"overrides-INITIAL_FORMS": 1}
    assert as_root.post(address("billingagreement", rows["billingagreement"]), data).status_code == 302
    assert last().summary == "Changed amount of price override KF-2026 4.1"
    assert last().changes == {"amount": ["90.0000000000", "80"]}


def test_a_validity_that_ends_before_it_starts_is_refused_in_words(as_root: Client) -> None:
    data = agreement(cast.organization("Kestrel Freight"), valid_until="2026-01-01")
    answer = as_root.post("/admin/workspaces/billingagreement/add/", data)
    assert "Enter a day after the first one: on this day it no longer holds." in errors(answer)


def test_a_negative_amount_is_refused_in_words(as_root: Client) -> None:
    data = agreement(cast.organization("Kestrel Freight"), {"amount": "-1"})
    assert "Enter an amount of 0 or more." in errors(as_root.post("/admin/workspaces/billingagreement/add/", data))
    assert not BillingAgreement.objects.exists()


def test_clauses_that_overlap_are_named(as_root: Client) -> None:
    kestrel = cast.organization("Kestrel Freight")
    for number, first, last_day in [("OLD", date(2025, 1, 1), date(2026, 1, 1)), ("RUNNING", date(2025, 6, 1), None)]:
        older = BillingAgreement.objects.create(
            organization=kestrel, number=number, valid_from=first, valid_until=last_day
        )
        PriceOverride.objects.create(agreement=older, clause="7", component="hourly", kind="percent", amount=95)
    answer = as_root.post("/admin/workspaces/billingagreement/add/", agreement(kestrel, {}), follow=True)
    assert next(str(message) for message in answer.context["messages"]) == (
        "KF-1 1 and RUNNING 7 set the same price at the same time: hourly."
    )
    assert "OLD 7" not in answer.content.decode()


# --- what is kept -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("noun", "model", "sentence"),
    [
        ("workspace", Workspace, "A workspace is deleted in the console"),
        ("host", Host, "A host is removed by an operation"),
        ("computeprofile", ComputeProfile, "Profiles follow the provider."),
        ("organization", Organization, "1 project"),
        ("project", Project, "Not possible while it has 1 workspace."),
        ("managementcluster", ManagementCluster, "Not possible while it has 1 workspace."),
        ("provideraccount", ProviderAccount, "Not possible while it has 1 dns record."),
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
    assert not Event.objects.filter(action="admin.deleted").exists()


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
    assert last().changes == {"description": ["", "Books"], "protected": [False, True]}


def test_a_hold_is_set_by_whoever_adds_it_and_ends_in_the_future(as_root: Client, root: Account) -> None:
    data = {"reason": "Freeze", "expires_at_0": "2020-01-01", "expires_at_1": "00:00:00"}
    assert "Enter a time that is still to come." in errors(as_root.post("/admin/workspaces/hold/add/", data))
    assert as_root.post("/admin/workspaces/hold/add/", data | {"expires_at_0": "2090-01-01"}).status_code == 302
    assert Hold.objects.get().set_by == root


# --- accounts ---------------------------------------------------------------------------------------------------------
def account(who: Account, **fields: Any) -> dict[str, Any]:
    """What the form of an account sends."""
    data: dict[str, Any] = {"email": who.email, "first_name": who.first_name, "last_name": who.last_name}
    data |= {"time_zone": who.time_zone, "is_active": "on"}
    memberships = list(who.memberships.all())
    data |= {"memberships-TOTAL_FORMS": len(memberships), "memberships-INITIAL_FORMS": len(memberships)}
    for number, row in enumerate(memberships):
        values = {"id": row.pk, "account": who.pk, "organization": row.organization_id, "role": row.role}
        data |= {f"memberships-{number}-{name}": str(value) for name, value in values.items()}
    return data | fields


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
    assert last().changes == {"email": [None, "nina@kestrel.example"], "password": "changed"}


def test_names_and_zone_and_memberships_of_an_account_are_changed(support: Client, alice: Account) -> None:
    data = account(alice, last_name="Abel", time_zone="Europe/Oslo", **{"memberships-0-role": "viewer"})
    assert support.post(address("account", alice), data).status_code == 302
    alice.refresh_from_db()
    assert (alice.last_name, alice.time_zone, alice.memberships.get().role) == ("Abel", "Europe/Oslo", "viewer")
    trail = list(Event.objects.values_list("changes", flat=True))
    assert {"role": ["administrator", "viewer"]} in trail
    assert {"last_name": ["Ahrens", "Abel"], "time_zone": ["Europe/Berlin", "Europe/Oslo"]} in trail


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
    assert not Event.objects.exists()
    assert support.post(page, data).status_code == 302
    alice.refresh_from_db()
    assert alice.check_password(new)
    assert (last().summary, last().changes) == ("Changed password of user Alice Ahrens", {"password": "changed"})


def test_staff_change_their_own_password_and_that_leaves_an_event(support: Client, staff: Account) -> None:
    new = "another horse battery staple"
    data = {"old_password": cast.PASSWORD, "new_password1": new, "new_password2": new}
    assert support.post("/admin/password_change/", data).status_code == 302
    staff.refresh_from_db()
    assert staff.check_password(new)
    assert last().summary == "Changed password of account sam@loopback.example"


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
