"""The audit trail that the database writes: every change of a watched table, whoever makes it, and by whom."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.apps import apps
from django.db import connection

from tests import cast
from workspaces.models import (
    PLATFORM,
    Account,
    Actor,
    ApiKey,
    Event,
    Host,
    KubernetesVersion,
    ManagementCluster,
    Membership,
    Operation,
    Project,
    Step,
    Workspace,
    acting,
)

pytestmark = pytest.mark.django_db

# Tables without a trigger, and why.
UNWATCHED = {
    "workspaces_tick": "is the time of the scheduler's last round",
    "workspaces_leftserver": "is what the provider lists; deleting such a server is an act",
    "workspaces_preflight": "is what a worker saw; whose risk was taken is an act",
    "workspaces_inventory": "is what a worker saw; what was agreed to stands in the deletion",
    "workspaces_rolloutmember": "is what became of a rollout; its upgrades have acts of their own",
    "workspaces_look": "is how looking at the world goes",
    "workspaces_drift": "is what looks saw; what people decide of it and what is set back are acts",
    "workspaces_seed": "is what looks saw of seeded objects; what people leave to others is an act",
    "workspaces_queuesample": "is how long the queues were",
    "workspaces_event": "is the trail itself; the database refuses to change it",
    "django_session": "holds who is signed in, by an opaque key; signing in and out are acts",
    "django_admin_log": "is Django's own list of what staff did in the admin",
    "django_content_type": "is Django's register of models",
    "auth_permission": "is Django's register of model permissions",
    "django_rq_dashboard": "is no table but the library's page",
    "usersessions_usersession": "holds who is signed in; signing in and out are acts",
    "socialaccount_socialapp": "is not used: the provider stands in the settings",
    "socialaccount_socialtoken": "is not used: no token of a provider is kept",
    "account_emailaddress": "mirrors the account's own address",
    "account_emailconfirmation": "is not used: addresses are proven by invitations",
}


def sql(statement: str, *parameters: object) -> None:
    """Run a statement as a person with a database console would."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def changes(action: str) -> Event:
    """The one row change of this action."""
    return Event.objects.row_changes().get(action=action)


def test_every_table_is_watched_or_stands_in_the_list_with_its_reason() -> None:
    tables = {model._meta.db_table for model in apps.get_models(include_auto_created=True)}
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE 'record\\_%'")
        watched = {name for (name,) in cursor.fetchall()}
    assert tables - watched == set(UNWATCHED) & tables
    assert watched <= tables


def test_a_change_by_whatever_way_becomes_an_event_with_before_and_after(workspace: Workspace) -> None:
    project = workspace.project
    Project.objects.filter(pk=project.pk).update(cost_center="4410")
    event = changes("project.changed")
    assert event.changes == {"cost_center": ["", "4410"]}
    assert event.summary == "Changed cost center of project Freight Core"
    assert (event.table, event.row_id) == ("workspaces_project", str(project.pk))
    assert (event.organization_id, event.project_id, event.workspace_id) == (project.organization_id, project.pk, None)
    assert (event.actor_kind, event.request_id) == ("database", None)

    sql("UPDATE workspaces_workspace SET description = 'Ledger' WHERE id = %s", workspace.pk)
    event = changes("workspace.changed")
    assert (event.workspace_id, event.project_id) == (workspace.pk, project.pk)
    assert event.changes == {"description": ["", "Ledger"]}


def test_rows_added_and_deleted_become_events_with_their_values(alice: Account, workspace: Workspace) -> None:
    membership = Membership.objects.create(
        account=alice, organization=workspace.project.organization, project=workspace.project, role="operator"
    )
    event = Event.objects.row_changes().filter(action="membership.added").latest("id")
    assert event.summary == "Added membership alice@kestrel.example"
    assert event.changes["role"] == [None, "operator"]
    assert event.project_id == workspace.project_id
    sql("DELETE FROM workspaces_membership WHERE id = %s", membership.pk)
    event = changes("membership.deleted")
    assert event.changes["role"] == ["operator", None]
    assert event.organization_id == workspace.project.organization_id


def test_an_event_names_who_acts_and_the_request_or_operation(bob: Account, workspace: Workspace) -> None:
    with acting(Actor.of(bob)) as request:
        Workspace.objects.filter(pk=workspace.pk).update(protected=True)
    event = changes("workspace.changed")
    assert (event.actor_kind, event.actor_name, event.actor_id) == ("account", "Bob Berger", bob.pk)
    assert event.request_id == request.request_id

    operation = UUID("00000000-0000-4000-8000-000000000001")
    with acting(PLATFORM, operation_id=operation):
        Host.objects.filter(name="ledger-prod-w1").update(profile="ccx33")
    event = changes("host.changed")
    assert (event.actor_kind, event.actor_name, event.operation_id) == ("platform", "Loopback", operation)
    assert event.workspace_id == workspace.pk

    Workspace.objects.filter(pk=workspace.pk).update(protected=False)
    assert Event.objects.row_changes().filter(action="workspace.changed").latest("id").actor_kind == "database"


def test_acting_inside_acting_gives_back_the_outer_one(bob: Account, workspace: Workspace) -> None:
    with acting(Actor.of(bob)):
        with acting(Actor.of_command("transfer")):
            pass
        Workspace.objects.filter(pk=workspace.pk).update(protected=True)
    assert changes("workspace.changed").actor_name == "Bob Berger"


def test_what_is_only_observed_leaves_no_event(workspace: Workspace, alice: Account) -> None:
    before = Event.objects.count()
    Workspace.objects.update(observed_at=cast.NOW, attention="2 hosts are not ready", conditions=[{"type": "Ready"}])
    Host.objects.update(ready=False, observed_at=cast.NOW, kubelet_version="1.35.7")
    ManagementCluster.objects.update(version="v1.36.2", error_code="unreachable")
    Account.objects.update(last_login=cast.NOW)
    ApiKey.objects.update(last_used_at=cast.NOW)
    Workspace.objects.update(name=workspace.name)
    assert Event.objects.count() == before


def test_of_a_secret_the_trail_says_only_that_it_changed(alice: Account) -> None:
    key, text = ApiKey.issue(
        name="ci", organization=cast.organization("Kestrel Freight"), role="viewer", created_by=alice
    )
    cluster = cast.management_cluster()
    cluster.kubeconfig = "apiVersion: v1\nsecret: xyzzy"
    cluster.save()
    alice.set_password("plugh plugh plugh")
    alice.save()
    assert changes("management_cluster.changed").changes == {"kubeconfig": "changed"}
    assert changes("api_key.added").changes["digest"] == "changed"
    assert changes("account.changed").changes == {"password": "changed"}
    trail = repr(list(Event.objects.values()))
    for secret in (text, key.digest, cluster.kubeconfig.token, alice.password):
        assert secret not in trail


def test_an_operation_on_its_way_is_one_thing_and_its_end_another(workspace: Workspace) -> None:
    operation = Operation.objects.create(workspace=workspace, kind="test", title="Test", requested_by="Bob")
    before = Event.objects.count()
    Operation.objects.update(state="running", started_at=cast.NOW, lease_until=cast.NOW)
    Operation.objects.update(state="waiting", wake_at=cast.NOW, lease_until=None)
    assert Event.objects.count() == before
    Operation.objects.update(state="failed", error_code="timeout")
    event = changes("operation.changed")
    assert event.changes == {"state": ["waiting", "failed"], "error_code": ["", "timeout"]}
    assert (event.operation_id, event.workspace_id) == (operation.pk, workspace.pk)


def test_a_line_of_history_that_disappears_is_in_the_trail(workspace: Workspace) -> None:
    operation = Operation.objects.create(workspace=workspace, kind="test", title="Test", requested_by="Bob")
    step = Step.objects.create(operation=operation, position=0, key="one", title="Drain ledger-prod-w1")
    Step.objects.filter(pk=step.pk).update(state="running")
    assert not Event.objects.filter(table="workspaces_step").exists()
    step.delete()
    event = changes("step.deleted")
    assert (event.summary, event.workspace_id) == ("Deleted step Drain ledger-prod-w1", workspace.pk)


def test_the_catalogue_belongs_to_nobody_and_only_a_superuser_reads_its_changes(
    alice: Account, root: Account, catalogue_rows: list[KubernetesVersion]
) -> None:
    KubernetesVersion.objects.filter(version="1.35.7").update(active=False)
    event = changes("kubernetes_version.changed")
    assert event.organization_id is None
    assert event in Event.objects.readable(root)
    assert event not in Event.objects.readable(alice)


def test_the_trail_is_read_by_those_who_hold_the_right_there(
    alice: Account, bob: Account, victor: Account, charlie: Account, workspace: Workspace
) -> None:
    organization = workspace.project.organization
    elsewhere = cast.kubernetes("tariffs", project=cast.project("Customs"))
    here = Event.record(PLATFORM, "test", summary="In Freight Core", workspace=workspace)
    there = Event.record(PLATFORM, "test", summary="In Customs", workspace=elsewhere)
    whole = Event.record(PLATFORM, "test", summary="Of Kestrel Freight", organization=organization)
    acts = Event.objects.acts().filter(action="test")
    assert set(acts.readable(alice)) == {here, there, whole}
    assert set(acts.readable(bob)) == {here}
    assert set(acts.readable(victor)) == set()
    assert set(acts.readable(charlie)) == set()


def test_an_act_speaks_for_the_row_changes_of_its_request(bob: Account, workspace: Workspace) -> None:
    with acting(Actor.of(bob)):
        Workspace.objects.filter(pk=workspace.pk).update(protected=True)
        act = Event.record(Actor.of(bob), "workspace.protected", workspace=workspace, summary="Protected ledger-prod")
    with acting(Actor.of(bob)):
        Workspace.objects.filter(pk=workspace.pk).update(protected=False)
    told = Event.objects.told().filter(workspace_id=workspace.pk, action__startswith="workspace.")
    assert [(event.action, event.changes) for event in told.exclude(action="workspace.added")] == [
        ("workspace.changed", {"protected": [True, False]}),
        ("workspace.protected", {}),
    ]
    assert act in told
