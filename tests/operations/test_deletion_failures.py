"""Deletions that meet trouble: each names its cause and who can fix it, goes on from there, and tells what stays."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from tests import cast
from tests.operations import deleting, harness, hired
from tests.operations.deleting import ALICE, names
from tests.simulators.running import RunningWorld
from workspaces.models import Deletion, Operation, ProviderAccount, Workspace
from workspaces.operations import connections, engine, plans
from workspaces.rules import labels

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("empty_queues", "catalogue_rows"),
    pytest.mark.timeout(240),
]
FINALIZER = "finalizer.kamaji.clastix.io"


@pytest.fixture(autouse=True)
def impatient(settings: Any) -> None:
    """Nobody waits for long, and everything is deleted."""
    settings.LOOPBACK_CONTROL_PLANE_DEADLINE = 3
    settings.LOOPBACK_PATIENCE_SECONDS = 1
    deleting.policy()


def until_it_waits(operation: Operation, cause: str) -> str:
    """Run it until a step waits for that cause; its message."""
    for _ in range(400):
        engine.run_one_step(operation.pk, plans.find)
        operation.refresh_from_db()
        step = operation.steps.exclude(state__in=("done", "pending")).first()
        if step is not None and step.cause == cause:
            return str(step.message)
        assert operation.is_open, harness.story(operation)
        Operation.objects.filter(pk=operation.pk).update(wake_at=None)
    raise AssertionError(harness.story(operation))


def go_on(world: RunningWorld, workspace: Workspace, operation: Operation) -> dict[str, Any]:
    """A person continues, and it ends; the receipt."""
    assert operation.retry(ALICE) is None
    return deleting.ended(workspace, harness.drive(operation)).receipt or {}


def failed(operation: Operation, code: str) -> Operation:
    """It has failed for that reason; the workspace is still being deleted, and there is no receipt."""
    operation = harness.drive(operation)
    assert (operation.state, operation.error_code) == ("failed", code), harness.story(operation)
    operation.workspace.refresh_from_db()
    deletion = Deletion.objects.get(operation=operation)
    assert (operation.workspace.state, deletion.state, deletion.receipt) == ("deleting", "running", None)
    return operation


def finalizers_were_left_alone(world: RunningWorld) -> None:
    """Nothing of ours has ever written to the finalizers of anything."""
    for entry in [*world.journal(method="PATCH"), *world.journal(method="PUT")]:
        mine = "fieldManager=loopback" in entry["path"]
        metadata = (entry.get("body") or {}).get("metadata") or {} if isinstance(entry.get("body"), dict) else {}
        assert not (mine and "finalizers" in metadata), entry["path"]


# --- The cloud --------------------------------------------------------------------------------------------------------
def test_a_lost_token_stops_it_there_and_another_lets_it_go_on(world: RunningWorld) -> None:
    workspace = deleting.whole(world, "bad-token")
    account = deleting.account(workspace)
    token = account.token.reveal()
    operation = deleting.begun(workspace)
    ProviderAccount.objects.filter(pk=account.pk).update(token="x" * 64)
    operation = failed(operation, "credential")
    assert operation.error_who_can_fix == "The operator of the platform, by storing a valid credential."
    account.refresh_from_db()
    account.token = token
    account.save()
    receipt = go_on(world, workspace, operation)
    assert ("host", "bad-token-w1") in names(receipt["removed"])


def test_a_server_that_somebody_has_deleted_is_no_obstacle(world: RunningWorld) -> None:
    workspace = deleting.whole(world, "bad-server")
    operation = deleting.begun(workspace)
    host = workspace.hosts.order_by("name")[0]
    assert host.provider_id is not None
    connections.cloud(deleting.account(workspace)).delete_server(host.provider_id)
    receipt = deleting.ended(workspace, harness.drive(operation)).receipt or {}
    assert ("host", "bad-server-w1") in names(receipt["removed"])


def test_a_volume_that_came_after_the_plan_is_left_and_told(world: RunningWorld) -> None:
    workspace = deleting.whole(world, "bad-late")
    operation = deleting.begun(workspace)
    late = {"name": "bad-late-new", "labels": {labels.WORKSPACE: str(workspace.pk)}}
    world.add({"hetzner_projects": [{"name": workspace.name, "volumes": [late]}]})
    receipt = deleting.ended(workspace, harness.drive(operation)).receipt or {}
    assert {one["name"]: one["why"] for one in receipt["left_over"]} == {
        "bad-late-new": "It came after the plan that was agreed to.",
        "bad-late-other": "It is not under this workspace's label: it stays, and goes on costing.",
    }
    assert deleting.under_the_label(workspace) == {("volume", "bad-late-new")}


def test_what_an_account_has_that_could_not_be_asked_goes_once_it_answers(world: RunningWorld) -> None:
    workspace = deleting.whole(world, "bad-silent")
    fault = world.fault(service="hetzner", target=workspace.name, kind="status", status=503, path="*/volumes*")
    deletion = deleting.agreed_to(workspace)
    assert fault
    assert [one.parts for one in deletion.agreed.not_asked] == [("volumes",)]
    world.clear_faults()
    from workspaces.operations import deletion as work

    operation = work.start(deletion)
    assert isinstance(operation, Operation)
    receipt = deleting.ended(workspace, harness.drive(operation)).receipt or {}
    assert ("volume", "bad-silent-data") in names(receipt["removed"])


def test_there_is_no_receipt_without_the_listing_of_an_account_that_it_used(world: RunningWorld) -> None:
    workspace = deleting.whole(world, "bad-listing")
    operation = deleting.begun(workspace)
    last = operation.steps.get(key="receipt")
    for _ in range(300):
        if not operation.steps.exclude(pk=last.pk).exclude(state="done").exists():
            break
        Operation.objects.filter(pk=operation.pk).update(wake_at=None)
        engine.run_one_step(operation.pk, plans.find)
    world.fault(service="hetzner", target=workspace.name, kind="expired_token")
    operation = failed(operation, "credential")
    assert "does not say what is still there" in operation.error_message
    world.clear_faults()
    go_on(world, workspace, operation)


def test_another_account_of_the_organization_that_does_not_answer_is_told_as_not_asked(world: RunningWorld) -> None:
    workspace = deleting.whole(world, "bad-other")
    ProviderAccount.objects.create(
        organization=cast.organization("Kestrel Freight"),
        name="elsewhere",
        token="y" * 64,
        endpoint=deleting.account(workspace).endpoint,
    )
    receipt = deleting.deleted_besides(workspace, "elsewhere")
    assert [(one["what"], one["code"]) for one in receipt["not_asked"]] == [("Account elsewhere", "credential")]


def test_a_protected_record_set_stops_it_until_the_protection_is_lifted(world: RunningWorld) -> None:
    workspace = deleting.whole(world, "bad-record")
    operation = deleting.begun(workspace)
    deleting.protect_record(workspace, "www", on=True)
    operation = failed(operation, "conflict")
    assert operation.error_who_can_fix == (
        "The owner of the cloud account, by lifting the protection of the record set."
    )
    deleting.protect_record(workspace, "www", on=False)
    go_on(world, workspace, operation)
    assert deleting.records(workspace) == {"gw": ("203.0.113.99",)}


# --- The control plane ------------------------------------------------------------------------------------------------
def test_a_paused_control_plane_is_told_with_who_paused_it(world: RunningWorld) -> None:
    workspace = deleting.whole(world, "bad-paused")
    operation = deleting.begun(workspace)
    deleting.somebody_changes(workspace, {"annotations": {"kamaji.clastix.io/paused": "true"}})
    message = until_it_waits(operation, "paused")
    assert "set by kubectl-annotate at" in message
    operation = failed(operation, "paused")
    deleting.somebody_changes(workspace, {"annotations": {"kamaji.clastix.io/paused": None}})
    go_on(world, workspace, operation)
    finalizers_were_left_alone(world)


def test_a_data_store_that_is_not_ready_is_told_and_awaited(world: RunningWorld) -> None:
    workspace = deleting.whole(world, "bad-store")
    operation = deleting.begun(workspace)
    assert workspace.management_cluster is not None
    world.fault(service="kubernetes", target=workspace.management_cluster.name, kind="datastore_down")
    message = until_it_waits(operation, "data_store_not_ready")
    assert message == ("data store default is not ready, and Kamaji has to drop the tenant's data in it first")
    operation = failed(operation, "data_store_not_ready")
    world.clear_faults()
    go_on(world, workspace, operation)
    finalizers_were_left_alone(world)


def test_a_finalizer_that_kamaji_does_not_lift_is_told_and_never_taken_away(world: RunningWorld, settings: Any) -> None:
    settings.LOOPBACK_CONTROL_PLANE_DEADLINE = 10
    workspace = deleting.whole(world, "bad-hang")
    operation = deleting.begun(workspace)
    assert workspace.management_cluster is not None
    world.fault(service="kubernetes", target=workspace.management_cluster.name, kind="webhook_down")
    operation = failed(operation, "finalizer_hangs")
    assert FINALIZER in operation.error_message
    with connections.control_plane(workspace) as (_, seen):
        assert FINALIZER in seen.finalizers
    world.clear_faults()
    go_on(world, workspace, operation)
    finalizers_were_left_alone(world)


def test_a_finalizer_of_somebody_else_is_named(world: RunningWorld) -> None:
    workspace = deleting.whole(world, "bad-foreign")
    operation = deleting.begun(workspace)
    with connections.control_plane(workspace) as (_, seen):
        held = [*seen.finalizers, "backup.example/wait"]
    deleting.somebody_changes(workspace, {"finalizers": held})
    message = until_it_waits(operation, "foreign_finalizer")
    assert message.startswith("finalizer backup.example/wait is on the control plane, which is not Kamaji's")
    operation = failed(operation, "foreign_finalizer")
    deleting.somebody_changes(workspace, {"finalizers": []})
    go_on(world, workspace, operation)
    finalizers_were_left_alone(world)


def test_a_control_plane_that_was_made_anew_is_not_deleted(world: RunningWorld) -> None:
    workspace = deleting.whole(world, "bad-anew")
    deletion = deleting.agreed_to(workspace)
    for step in deletion.plan["steps"]:
        for item in step["items"]:
            if item["kind"] == "control_plane":
                item["ref"] = "00000000-0000-0000-0000-00000000abcd"
    deletion.save()
    from workspaces.operations import deletion as work

    operation = work.start(deletion)
    assert isinstance(operation, Operation)
    operation = failed(operation, "conflict")
    assert ("control_plane", "bad-anew") in deleting.in_the_cluster(workspace)


# --- The namespace ----------------------------------------------------------------------------------------------------
def test_a_namespace_with_somebody_elses_secret_is_left_and_told(world: RunningWorld) -> None:
    workspace = deleting.whole(world, "bad-secret")
    operation = deleting.begun(workspace)
    deleting.somebody_puts(workspace, "registry-login")
    receipt = deleting.ended(workspace, harness.drive(operation)).receipt or {}
    left = {one["kind"]: one["why"] for one in receipt["left_over"]}
    assert left["namespace"] == "In it is also Secret registry-login."
    assert deleting.in_the_cluster(workspace) == {("namespace", "ws-bad-secret")}


def test_a_namespace_that_cannot_be_emptied_says_so_in_kubernetes_own_words(world: RunningWorld) -> None:
    workspace = hired.joined(world, "bad-terminating")
    operation = deleting.begun(workspace)
    deleting.somebody_holds(workspace, "robot", "backup.example/wait")
    message = until_it_waits(operation, "namespace_hangs")
    assert "backup.example/wait" in message
    operation = failed(operation, "namespace_hangs")
    assert operation.error_message.startswith("Namespace ws-bad-terminating is not gone: ")
    deleting.somebody_holds(workspace, "robot")
    go_on(world, workspace, operation)


def test_a_workspace_whose_cluster_and_servers_are_all_gone_ends_with_a_receipt(world: RunningWorld) -> None:
    workspace = hired.joined(world, "bad-gone")
    operation = deleting.begun(workspace)
    cloud = connections.cloud(deleting.account(workspace))
    for server in cloud.servers():
        cloud.delete_server(server.id)
    receipt = deleting.ended(workspace, harness.drive(operation)).receipt or {}
    assert receipt["left_over"] == []
    assert timezone.now().isoformat() > receipt["ended_at"]


# --- Kubeconfigs ------------------------------------------------------------------------------------------------------
def test_a_token_is_refused_before_the_control_plane_goes(world: RunningWorld) -> None:
    deleting.policy(control_plane="keep", namespace="keep", data_store="keep")
    workspace = deleting.handed_out(deleting.whole(world, "bad-keys"))
    receipt = deleting.deleted(workspace).receipt or {}
    assert ("kubeconfig", "CI") in names(receipt["removed"])
    with connections.tenant(workspace) as cluster:
        left = cluster._core.list_namespaced_service_account("loopback-access").items
    assert [one.metadata.name for one in left if one.metadata.name != "default"] == []
    assert workspace.kubeconfigs.get().revoked_at is not None


def test_a_tenant_that_is_silent_does_not_hold_up_its_own_end(world: RunningWorld) -> None:
    deleting.policy()
    workspace = deleting.handed_out(deleting.whole(world, "bad-silent-keys"))
    operation = deleting.begun(workspace)
    world.fault(service="kubernetes", target="*", kind="status", status=503, path="*/serviceaccounts/*")
    operation = harness.drive(operation)
    world.clear_faults()
    receipt = deleting.ended(workspace, operation).receipt or {}
    assert ("kubeconfig", "CI") in names(receipt["removed"])
    assert operation.lines.filter(text__startswith="Not revoked beforehand, it ends with the control plane").exists()
