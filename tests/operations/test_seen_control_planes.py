"""The look at a management cluster: what it writes, what it leaves alone, and what it says when it fails.

What is wanted of control planes, and what is drift, is test_control_planes_wanted.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests import cast
from tests.operations import harness, looking
from tests.operations.looking import condition, edit, until, written_by
from tests.simulators.running import RunningWorld
from workspaces.models import Drift, Look, ManagementCluster, Workspace
from workspaces.operations import reconcile

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues")]
REPLICAS_3 = {"spec": {"controlPlane": {"deployment": {"replicas": 3}}}}


def look() -> None:
    """One look at the only management cluster."""
    reconcile.look_at_control_planes(ManagementCluster.objects.get().pk)


def linked(world: RunningWorld, name: str, **fields: Any) -> Workspace:
    """A workspace with a control plane and no host."""
    return harness.linked(world, cast.kubernetes(name, hosts=0, **fields))


# --- What is seen -----------------------------------------------------------------------------------------------------
def test_a_look_writes_what_kamaji_says(world: RunningWorld) -> None:
    workspace = linked(world, "first-look")
    Workspace.objects.update(kubernetes_version="", control_plane_status="", control_plane_replicas=0, observed_at=None)
    look()
    workspace.refresh_from_db()
    assert (workspace.kubernetes_version, workspace.control_plane_wanted) == ("1.34.8", "1.34.8")
    assert (workspace.control_plane_status, workspace.control_plane_replicas) == ("Ready", 2)
    assert workspace.version_key > 0
    assert workspace.endpoint.startswith("127.0.0.1:")
    assert workspace.kubeconfig_secret == "first-look-admin-kubeconfig"
    assert workspace.control_plane_revision.isdecimal()
    cluster = ManagementCluster.objects.get()
    assert (cluster.version, cluster.error_code) == ("1.36.2", "")
    assert cluster.observed_at is not None


def test_one_listing_is_enough_however_many_workspaces_there_are(world: RunningWorld) -> None:
    for number in range(4):
        linked(world, f"listed-{number}")
    before = len(looking.listings(world, "kubernetes", "mgmt-fsn1"))
    look()
    assert looking.listings(world, "kubernetes", "mgmt-fsn1")[before:] == [
        "/apis/kamaji.clastix.io/v1alpha1/tenantcontrolplanes",
        "/version/",
    ]


@pytest.mark.parametrize("number", [3, 50])
def test_a_second_look_at_an_unchanged_cluster_is_the_same_few_queries_and_writes_no_row(
    world: RunningWorld, number: int
) -> None:
    for each in range(number):
        cast.kubernetes(f"same-{number}-{each}", hosts=0)
    described = [
        {"namespace": one.namespace, "name": one.control_plane, "version": "v1.34.8", "replicas": 2, "nodes": []}
        for one in Workspace.objects.all()
    ]
    cluster = {"name": f"unchanged-{number}", "version": "v1.36.2", "kamaji_max": "v1.36.0", "tenants": described}
    ready = world.add({"management_clusters": [cluster]})["management_clusters"]
    kubeconfig = next(one["kubeconfig"] for one in ready if one["name"] == f"unchanged-{number}")
    row = ManagementCluster.objects.get()
    row.kubeconfig = kubeconfig
    row.save()
    first = written_by(lambda: reconcile.look_at_control_planes(row.pk))
    assert first["workspace"] >= number
    with CaptureQueriesContext(connection) as captured:
        again = written_by(lambda: reconcile.look_at_control_planes(row.pk))
    assert again == {"look": 2, "managementcluster": 1}, "that it was looked at, and when"
    queries = [query["sql"] for query in captured if "pg_stat" not in query["sql"] and "SAVEPOINT" not in query["sql"]]
    assert len(queries) == 9, "\n".join(query[:150] for query in queries)
    assert not Drift.objects.exists()


def test_only_the_row_that_changed_is_written(world: RunningWorld) -> None:
    workspace, other = linked(world, "one-of-two"), linked(world, "bystander")
    look()
    edit(workspace, REPLICAS_3)
    before = Workspace.objects.values().get(pk=other.pk)
    looked = written_by(look)
    # What is seen, and what is judged of it.
    assert looked == {"workspace": 2, "drift": 1, "look": 2, "managementcluster": 1}
    assert Workspace.objects.values().get(pk=other.pk) == before
    workspace.refresh_from_db()
    assert workspace.control_plane_replicas == 3


def test_what_has_the_revision_that_was_seen_is_not_compared_again(world: RunningWorld) -> None:
    workspace = linked(world, "same-revision")
    look()
    Workspace.objects.filter(pk=workspace.pk).update(control_plane_status="Never")
    look()
    workspace.refresh_from_db()
    assert workspace.control_plane_status == "Never"
    Workspace.objects.filter(pk=workspace.pk).update(control_plane_revision="1")
    look()
    workspace.refresh_from_db()
    assert workspace.control_plane_status == "Ready"


def test_another_revision_of_the_same_is_stored_and_nothing_is_judged_anew(world: RunningWorld) -> None:
    workspace = linked(world, "annotated")
    look()
    revision = Workspace.objects.get().control_plane_revision
    edit(workspace, {"metadata": {"annotations": {"team": "web"}}})
    looked = written_by(look)
    assert looked == {"workspace": 1, "look": 2, "managementcluster": 1}
    assert Workspace.objects.get().control_plane_revision != revision


def test_a_control_plane_that_is_gone_is_said_to_be_gone(world: RunningWorld) -> None:
    workspace = linked(world, "vanished")
    look()
    looking.management_api(workspace).delete_namespaced_custom_object(
        **looking.CONTROL_PLANES, namespace="ws-vanished", name="vanished"
    )
    until(lambda: condition(workspace, "control_plane") == ("false", "gone"))
    assert (workspace.state, workspace.attention_tone) == ("gated", "warn")
    assert workspace.kubernetes_version == "1.34.8", "the last version that was seen is kept"
    assert (workspace.endpoint, workspace.kubeconfig_secret, workspace.control_plane_revision) == ("", "", "")
    again = written_by(look)
    assert "workspace" not in again


@pytest.mark.parametrize("version", ["1.34.3-gke.100+x", "nonsense", "1.34.3-" + "x" * 60])
def test_a_version_that_cannot_be_sorted_does_not_end_the_look(world: RunningWorld, version: str) -> None:
    name = f"odd-{len(version)}"
    odd, sound = linked(world, f"a-{name}"), linked(world, f"z-{name}")
    status = {"status": {"kubernetesResources": {"version": {"version": f"v{version}", "status": "Ready"}}}}
    looking.management_api(odd).patch_namespaced_custom_object_status(
        **looking.CONTROL_PLANES, namespace=odd.namespace, name=odd.control_plane, body=status
    )
    Workspace.objects.update(control_plane_status="")
    look()
    odd.refresh_from_db()
    sound.refresh_from_db()
    assert (odd.kubernetes_version, odd.version_key) == (version[:30], 0)
    assert (sound.kubernetes_version, sound.control_plane_status) == ("1.34.8", "Ready")


@pytest.mark.parametrize("state", ["provisioning", "deleting", "deleted"])
def test_a_workspace_that_is_coming_or_going_is_left_alone(world: RunningWorld, state: str) -> None:
    workspace = linked(world, f"state-{state}")
    Workspace.objects.filter(pk=workspace.pk).update(state=state, control_plane_status="")
    before = Workspace.objects.values().get(pk=workspace.pk)
    look()
    assert Workspace.objects.values().get(pk=workspace.pk) == before


def test_the_end_of_our_own_certificate_is_stored_and_judged_on_all_that_are_there(world: RunningWorld) -> None:
    cluster = cast.management_cluster("mgmt-dated")
    workspaces = [linked(world, f"dated-{number}", management_cluster=cluster) for number in (1, 2)]
    reconcile.look_at_control_planes(cluster.pk)
    cluster.refresh_from_db()
    assert cluster.credential_ends_at is None, "a token"
    assert condition(workspaces[0], "credentials")[0] == "true"
    cluster.kubeconfig = world.certificate("mgmt-dated", 9)
    cluster.save()
    reconcile.look_at_control_planes(cluster.pk)
    cluster.refresh_from_db()
    assert cluster.credential_ends_at is not None
    assert abs(cluster.credential_ends_at - timezone.now() - timedelta(days=9)) < timedelta(minutes=5)
    assert [condition(one, "credentials") for one in workspaces] == [("false", "ends_soon")] * 2


# --- When it cannot look ----------------------------------------------------------------------------------------------
def test_a_look_that_fails_writes_nothing_but_that(world: RunningWorld, settings: Any) -> None:
    workspace = linked(world, "not-now")
    look()
    before = Workspace.objects.values().get(pk=workspace.pk)
    world.fault(service="kubernetes", target="mgmt-fsn1", kind="status", status=500)
    assert written_by(look) == {"look": 2}, "once may pass by itself"
    assert Workspace.objects.values().get(pk=workspace.pk) == before
    assert Look.objects.get(kind="control_planes").failures == 1


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        ({"kind": "expired_token"}, "credential", "the stored credential is not accepted"),
        ({"kind": "status", "status": 403}, "credential", "the stored credential lacks a right"),
        ({"kind": "status", "status": 500}, "cloud_api", "management cluster"),
        ({"kind": "refuse"}, "unreachable", "management cluster"),
        ({"kind": "hang"}, "unreachable", "it did not answer in time"),
    ],
)
def test_a_management_cluster_that_cannot_be_asked_leaves_none_of_its_workspaces_green(
    world: RunningWorld, settings: Any, fault: dict[str, Any], code: str, says: str
) -> None:
    settings.LOOPBACK_VENDOR_TIMEOUT = 1
    name = f"blind-{fault['kind'].replace('_', '-')}-{fault.get('status', 0)}"
    workspaces = [harness.linked(world, cast.kubernetes(f"{name}-{n}", hosts=1)) for n in (1, 2)]
    looking.look()
    assert [condition(one, "control_plane")[0] for one in workspaces] == ["true", "true"]
    seen_at = workspaces[0].observed_at
    world.fault(service="kubernetes", target="mgmt-fsn1", **fault)
    for _ in range(2):
        looking.look()
    cluster = ManagementCluster.objects.get()
    assert (cluster.error_code, says in cluster.error_message) == (code, True), cluster.error_message
    for workspace in workspaces:
        assert condition(workspace, "control_plane") == ("unknown", code)
        assert workspace.attention_tone == "warn"
        assert "mgmt-fsn1" in workspace.attention
    workspaces[0].refresh_from_db()
    assert workspaces[0].observed_at == seen_at, "what was not seen keeps the age of the last look"
    world.clear_faults()
    until(lambda: all(condition(one, "hosts")[0] == "true" for one in workspaces))
    assert [condition(one, "control_plane")[0] for one in workspaces] == ["true", "true"]
    assert workspaces[0].attention == ""
    cluster.refresh_from_db()
    assert (cluster.error_code, cluster.error_message, cluster.error_since) == ("", "", None)


def test_a_management_cluster_without_a_credential_is_said_to_have_none(workspace: Workspace) -> None:
    ManagementCluster.objects.update(kubeconfig="")
    look()
    workspace.refresh_from_db()
    assert "No kubeconfig is stored for management cluster mgmt-fsn1, since " in workspace.attention


def test_a_cluster_that_lists_none_of_many_is_taken_for_another_one(world: RunningWorld) -> None:
    mine = [linked(world, f"mistaken-{number}") for number in range(3)]
    look()
    other = {"name": "another", "version": "v1.36.2", "kamaji_max": "v1.36.0", "tenants": []}
    ready = world.add({"management_clusters": [other]})["management_clusters"]
    cluster = ManagementCluster.objects.get()
    cluster.kubeconfig = next(one["kubeconfig"] for one in ready if one["name"] == "another")
    cluster.save()
    look()
    cluster.refresh_from_db()
    assert cluster.error_code == "configuration"
    assert cluster.error_message == (
        "mgmt-fsn1 lists none of the 3 control planes that were there before: the stored kubeconfig may lead to "
        "another cluster."
    )
    assert {(one.state, one.control_plane_status) for one in Workspace.objects.filter(pk__in=[m.pk for m in mine])} == {
        ("active", "Ready")
    }
    assert condition(mine[0], "control_plane") == ("unknown", "configuration")
