"""Who sees what: memberships as the database holds them, and the querysets everything is filtered by."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

from tests import cast
from workspaces.models import Account, ApiKey, Membership, Organization, Project, Workspace
from workspaces.models.tenancy import Caller

pytestmark = pytest.mark.django_db


@pytest.fixture
def fleet(db: None) -> None:
    """Two workspaces of Kestrel Freight in two projects, and one of Fjordline."""
    cast.kubernetes("ledger", hosts=0, project=cast.project("Freight Core"))
    cast.kubernetes("customs", hosts=0, project=cast.project("Customs"))
    cast.kubernetes("meters", hosts=0, project=cast.project("Metering", of="Fjordline"))


def names(caller: Caller, key: str = "workspace.view") -> list[str]:
    """The workspaces on which the caller holds the key."""
    return list(Workspace.objects.allowing(caller, key).values_list("name", flat=True))


# --- Memberships ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("narrowed", [True, False])
def test_a_membership_stands_once_also_where_it_is_of_the_whole_organization(narrowed: bool) -> None:
    project = cast.project()
    person = cast.account("dora@kestrel.example")
    fields = {"account": person, "organization": project.organization, "project": project if narrowed else None}
    Membership.objects.create(role="viewer", **fields)
    with pytest.raises(IntegrityError, match="membership_once"), transaction.atomic():
        Membership.objects.bulk_create([Membership(role="administrator", **fields)])


def test_a_role_on_the_organization_and_another_on_one_project_go_together() -> None:
    project = cast.project()
    person = cast.account("dora@kestrel.example", "viewer", on=project.organization)
    Membership.objects.create(account=person, organization=project.organization, project=project, role="operator")
    assert person.allows("upgrade.start", project)
    assert not person.allows("upgrade.start", cast.project("Customs"))
    assert person.allows("workspace.view", cast.project("Customs"))


def test_a_role_that_nobody_knows_is_refused(bob: Account) -> None:
    with pytest.raises(IntegrityError, match="membership_role_known"), transaction.atomic():
        Membership.objects.update(role="owner")
    with pytest.raises(IntegrityError, match="membership_role_known"), transaction.atomic(), connection.cursor() as at:
        at.execute("UPDATE workspaces_membership SET role = ''")


def test_names_of_organizations_and_of_projects_inside_one_are_used_once() -> None:
    project = cast.project()
    with pytest.raises(IntegrityError, match="project_name_once_per_organization"), transaction.atomic():
        Project.objects.bulk_create([Project(organization=project.organization, name=project.name)])
    with pytest.raises(IntegrityError, match="name"), transaction.atomic():
        Organization.objects.bulk_create([Organization(name="Kestrel Freight")])
    assert cast.project("Freight Core", of="Fjordline").pk != project.pk


def test_an_address_is_one_account_whatever_its_capitals(bob: Account) -> None:
    with pytest.raises(IntegrityError, match="email"), transaction.atomic():
        Account.objects.create_user("Bob@Kestrel.Example", cast.PASSWORD)


# --- What a person sees -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("who", "seen", "upgradable", "deletable"),
    [
        ("alice", ["customs", "ledger"], ["customs", "ledger"], ["customs", "ledger"]),
        ("bob", ["ledger"], ["ledger"], []),
        ("victor", ["customs", "ledger"], [], []),
        ("charlie", ["meters"], ["meters"], ["meters"]),
        ("root", ["customs", "ledger", "meters"], ["customs", "ledger", "meters"], ["customs", "ledger", "meters"]),
    ],
)
def test_each_of_the_cast_sees_their_own(
    request: pytest.FixtureRequest,
    fleet: None,
    who: str,
    seen: list[str],
    upgradable: list[str],
    deletable: list[str],
) -> None:
    person = request.getfixturevalue(who)
    assert names(person) == seen
    assert names(person, "upgrade.start") == upgradable
    assert names(person, "workspace.delete") == deletable
    # The question about one project has the same answer as the list of projects.
    for workspace in Workspace.objects.select_related("project"):
        assert person.allows("upgrade.start", workspace.project) is (workspace.name in upgradable)


def test_an_account_without_a_membership_sees_nothing(fleet: None) -> None:
    assert names(cast.account("nobody@example.com")) == []


def test_the_filter_is_one_query(fleet: None, bob: Account, django_assert_num_queries) -> None:
    with django_assert_num_queries(1):
        assert names(bob) == ["ledger"]


# --- What a script sees -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("role", "project", "seen", "upgradable", "deletable"),
    [
        ("administrator", "", ["customs", "ledger"], ["customs", "ledger"], ["customs", "ledger"]),
        ("operator", "", ["customs", "ledger"], ["customs", "ledger"], []),
        ("viewer", "", ["customs", "ledger"], [], []),
        ("administrator", "Customs", ["customs"], ["customs"], ["customs"]),
        ("viewer", "Customs", ["customs"], [], []),
    ],
)
def test_a_key_sees_what_its_role_and_scope_give_whoever_made_it(
    fleet: None, root: Account, role: str, project: str, seen: list[str], upgradable: list[str], deletable: list[str]
) -> None:
    kestrel = cast.organization("Kestrel Freight")
    narrowed = {"project": cast.project(project)} if project else {}
    key, _ = ApiKey.issue(name="ci", organization=kestrel, role=role, created_by=root, **narrowed)
    assert names(key) == seen
    assert names(key, "upgrade.start") == upgradable
    assert names(key, "workspace.delete") == deletable
    for workspace in Workspace.objects.select_related("project"):
        assert key.allows("upgrade.start", workspace.project) is (workspace.name in upgradable)


def test_a_key_narrowed_to_a_foreign_project_sees_nothing_there(fleet: None, root: Account) -> None:
    kestrel, metering = cast.organization("Kestrel Freight"), cast.project("Metering", of="Fjordline")
    key, _ = ApiKey.issue(name="ci", organization=kestrel, role="administrator", created_by=root, project=metering)
    assert names(key) == []
