"""What a deletion leaves, because it is somebody else's, and what people may do with one that has begun."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests import cast
from tests.operations import deleting, harness, hired
from tests.operations.deleting import ALICE, names
from tests.simulators.running import RunningWorld
from workspaces.models import Deletion, Kubeconfig, Operation, Workspace
from workspaces.operations import connections, deletion
from workspaces.providers.kamaji_remains import Remains
from workspaces.rules import labels
from workspaces.rules.refusal import Refused

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("empty_queues", "catalogue_rows"),
    pytest.mark.timeout(240),
]


def left(receipt: dict[str, Any]) -> dict[str, str]:
    """What is left over by name, and why."""
    return {one["name"]: one["why"] for one in receipt["left_over"]}


def own(workspace: Workspace) -> dict[str, str]:
    """The workspace's label."""
    return {labels.WORKSPACE: str(workspace.pk)}


def put_store(workspace: Workspace, name: str, *users: str) -> None:
    """A DataStore under the workspace's label, used by these."""
    assert workspace.management_cluster is not None
    with connections.management(workspace.management_cluster) as kamaji:
        remains = Remains(kamaji)
        found = remains._objects.get_cluster_custom_object("kamaji.clastix.io", "v1alpha1", "datastores", "default")
        body = {
            "apiVersion": "kamaji.clastix.io/v1alpha1",
            "kind": "DataStore",
            "metadata": {"name": name, "labels": own(workspace)},
            "spec": found["spec"],
        }
        remains._objects.create_cluster_custom_object("kamaji.clastix.io", "v1alpha1", "datastores", body)
        if users:
            status = {"status": {"usedBy": list(users), "ready": True}}
            remains._objects.patch_cluster_custom_object_status(
                "kamaji.clastix.io", "v1alpha1", "datastores", name, status
            )


# --- Somebody else's --------------------------------------------------------------------------------------------------
def test_a_volume_on_a_server_of_somebody_else_is_left(world: RunningWorld) -> None:
    deleting.policy()
    workspace = hired.joined(world, "left-volume")
    server = {"name": "left-mail", "server_type": "ccx13", "location": "fsn1", "image": "debian-13"}
    volume = {"name": "left-lent", "labels": own(workspace), "server": "left-mail"}
    world.add({"hetzner_projects": [{"name": workspace.name, "servers": [server], "volumes": [volume]}]})
    receipt = deleting.deleted(workspace).receipt or {}
    assert left(receipt) == {"left-lent": "Server left-mail, which is not this workspace's, holds it."}
    assert [one.name for one in hired.servers(workspace)] == ["left-mail"]


def test_a_server_under_the_label_that_no_host_has_goes_too(world: RunningWorld) -> None:
    deleting.policy()
    workspace = hired.joined(world, "left-stray")
    stray = hired.server("left-stray-old", "ccx13", workspace)
    world.add({"hetzner_projects": [{"name": workspace.name, "servers": [stray]}]})
    receipt = deleting.deleted(workspace).receipt or {}
    assert ("server", "left-stray-old") in names(receipt["removed"])
    assert hired.servers(workspace) == []


def test_what_is_protected_at_the_provider_stops_it_with_a_name(world: RunningWorld) -> None:
    deleting.policy()
    workspace = hired.joined(world, "left-guarded")
    guarded = {"name": "left-guarded-lb", "labels": own(workspace), "protected": True}
    world.add({"hetzner_projects": [{"name": workspace.name, "load_balancers": [guarded]}]})
    operation = harness.drive(deleting.begun(workspace))
    assert (operation.state, operation.error_code) == ("failed", "conflict")
    assert operation.error_message == (
        "Account left-guarded: left-guarded-lb is protected at the provider, so it cannot be deleted."
    )
    assert operation.error_who_can_fix == "The owner of the cloud account, by lifting its protection. Then continue."


def test_another_control_plane_in_the_namespace_keeps_it(world: RunningWorld) -> None:
    deleting.policy()
    workspace = hired.joined(world, "left-space")
    assert workspace.management_cluster is not None
    operation = deleting.begun(workspace)
    second = {"namespace": workspace.namespace, "name": "second", "version": "v1.34.8", "replicas": 2, "served": False}
    world.add({"management_clusters": [{"name": workspace.management_cluster.name, "tenants": [second]}]})
    receipt = deleting.ended(workspace, harness.drive(operation)).receipt or {}
    assert left(receipt)[workspace.namespace].startswith("In it is also TenantControlPlane second")


def test_a_data_store_of_its_own_goes_and_one_that_others_use_stays(world: RunningWorld) -> None:
    deleting.policy()
    workspace = hired.joined(world, "left-store")
    put_store(workspace, "left-store-own")
    put_store(workspace, "left-store-shared", "ws-else/else")
    operation = deleting.begun(workspace)
    receipt = deleting.ended(workspace, harness.drive(operation)).receipt or {}
    assert ("data_store", "left-store-own") in names(receipt["removed"])
    assert left(receipt) == {"left-store-shared": "Others use it too, so it stays: ws-else/else."}


def test_hosts_and_records_that_the_policy_keeps_stay_where_they_are(world: RunningWorld) -> None:
    deleting.policy(hosts="keep", volumes="keep", dns="keep")
    workspace = deleting.whole(world, "left-kept")
    receipt = deleting.deleted(workspace).receipt or {}
    assert [kind for kind, _ in names(receipt["kept"])] == [
        "dns_record", "dns_record", "host", "host", "placement_group", "primary_ip", "volume",
    ]  # fmt: skip
    assert len(hired.servers(workspace)) == 2
    assert deleting.records(workspace)["www"] == ("203.0.113.7",)


# --- Kubeconfigs ------------------------------------------------------------------------------------------------------
def test_every_kubeconfig_is_dead_with_the_control_plane(world: RunningWorld) -> None:
    deleting.policy()
    workspace = hired.joined(world, "left-dead")
    now = timezone.now()
    values = {"state": "taken", "fetched_at": now, "taken_at": now, "certificate_until": now + timedelta(days=300)}
    row = Kubeconfig.objects.create(workspace=workspace, requested_by="Bob", reason="debugging", **values)
    receipt = deleting.deleted(workspace).receipt or {}
    assert ("kubeconfig", "Bob") in names(receipt["removed"])
    row.refresh_from_db()
    assert (row.revoked_by, row.revoked_at is not None) == ("Alice Ahrens", True)


def test_a_client_certificate_is_left_where_the_cluster_stays(world: RunningWorld) -> None:
    deleting.policy(control_plane="keep", data_store="keep", namespace="keep")
    workspace = hired.joined(world, "left-alive")
    now = timezone.now()
    values = {"state": "taken", "fetched_at": now, "taken_at": now, "certificate_until": now + timedelta(days=300)}
    row = Kubeconfig.objects.create(workspace=workspace, requested_by="Bob", reason="debugging", **values)
    receipt = deleting.deleted(workspace).receipt or {}
    assert left(receipt)["Bob"] == (
        "A client certificate cannot be taken back: it works until it ends, as the cluster stays."
    )
    row.refresh_from_db()
    assert row.revoked_at is None


# --- Beginning, stopping ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("workspace_fields", "deletion_fields", "code"),
    [
        ({"protected": True}, {}, "protected"),
        ({}, {"needs_approval": True}, "not_approved"),
        ({}, {"state": "undone"}, "not_scheduled"),
    ],
)
def test_it_does_not_begin(workspace_fields: dict[str, Any], deletion_fields: dict[str, Any], code: str) -> None:
    workspace = cast.kubernetes("left-alone", **workspace_fields)
    at = timezone.now()
    made = Deletion.objects.create(
        workspace=workspace, requested_by="Alice", requested_at=at, begins_at=at, state_before="active", plan={},
        **deletion_fields,
    )  # fmt: skip
    refused = deletion.start(made)
    assert isinstance(refused, Refused)
    assert refused.code == code
    workspace.refresh_from_db()
    assert workspace.state == "active"
    assert not Operation.objects.exists()


def test_it_stops_at_the_next_safe_point_and_goes_on_from_there(world: RunningWorld) -> None:
    deleting.policy()
    workspace = deleting.whole(world, "left-stop")
    operation = deleting.begun(workspace)
    assert operation.request_stop(ALICE) is None
    operation = harness.drive(operation)
    assert operation.state == "stopped"
    assert len(hired.servers(workspace)) == 2
    assert operation.retry(ALICE) is None
    deleting.ended(workspace, harness.drive(operation))


def test_protection_that_was_switched_on_meanwhile_stops_it_before_anything_is_removed(world: RunningWorld) -> None:
    deleting.policy()
    workspace = hired.joined(world, "left-shield")
    operation = deleting.begun(workspace)
    Workspace.objects.filter(pk=workspace.pk).update(protected=True)
    operation = harness.drive(operation)
    assert (operation.state, operation.error_code) == ("failed", "protected")
    assert len(hired.servers(workspace)) == 2
