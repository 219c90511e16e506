"""Deletions in the simulated world: a workspace with everything that one can have, its end, and what is left of it.

`nothing_unsaid` is what has to hold after every deletion: the world has nothing under the workspace's label, and
nothing of its own by name, that the receipt does not tell as kept or left over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils import timezone
from hcloud.zones import Zone, ZoneRRSet
from kubernetes import client

from tests import cast
from tests.operations import hired
from tests.operations.harness import drive
from tests.simulators.running import RunningWorld
from workspaces.models import (
    Actor,
    Deletion,
    DeletionPolicy,
    DnsRecord,
    Integration,
    Kubeconfig,
    Operation,
    ProviderAccount,
    Workspace,
)
from workspaces.operations import connections, deletion, inventory
from workspaces.providers import service_accounts
from workspaces.providers.dns import Zones
from workspaces.providers.hetzner_kept import KINDS, Kept
from workspaces.providers.kamaji_remains import Remains
from workspaces.rules import labels
from workspaces.rules.deletion import DEFAULT, document_of

ALICE = Actor("account", "Alice Ahrens")
ZONE = "kestrel.example"


# --- The workspace ----------------------------------------------------------------------------------------------------
def whole(world: RunningWorld, name: str, **tenant: Any) -> Workspace:
    """Two hosts, DNS records (one beside another's value), an integration, and one of everything in the cloud."""
    workspace = hired.joined(world, name, **tenant)
    _beside(world, workspace)
    return workspace


def metal(world: RunningWorld, name: str) -> Workspace:
    """The same without a cluster."""
    workspace = hired.metal(world, name, hosts=2)
    _beside(world, workspace)
    return workspace


def _beside(world: RunningWorld, workspace: Workspace) -> None:
    name, own = workspace.name, {labels.WORKSPACE: str(workspace.pk)}
    first = str(workspace.hosts.order_by("name").values_list("name", flat=True)[0])
    values = [{"value": "203.0.113.7"}, {"value": "203.0.113.99"}]
    world.add(
        {
            "hetzner_projects": [
                {
                    "name": name,
                    "volumes": [
                        {"name": f"{name}-data", "labels": own, "size": 40, "server": first},
                        {"name": f"{name}-other", "size": 10, "server": first},
                    ],
                    "load_balancers": [{"name": f"{name}-lb", "labels": own, "servers": [first]}],
                    "placement_groups": [{"name": f"{name}-spread", "labels": own}],
                    "primary_ips": [{"name": f"{name}-ip", "labels": own, "ip": "203.0.112.44"}],
                    "zones": [
                        {
                            "name": f"{name}.{ZONE}",
                            "rrsets": [
                                {"name": "gw", "type": "A", "records": values},
                                {"name": "www", "type": "A", "records": values[:1]},
                            ],
                        }
                    ],
                }
            ]
        }
    )
    for record in ("gw", "www"):
        DnsRecord.objects.create(
            workspace=workspace,
            provider_account=account(workspace),
            zone=f"{name}.{ZONE}",
            name=record,
            type="A",
            value="203.0.113.7",
            observed_value="203.0.113.7",
            observed_at=cast.NOW,
        )
    Integration.objects.create(workspace=workspace, kind="monitoring", name=f"{name} metrics", secret="s3cr3t")


def handed_out(workspace: Workspace) -> Workspace:
    """The same with a kubeconfig outside that can be revoked, and works."""
    name = f"loopback-of-{workspace}"
    with connections.tenant(workspace) as cluster:
        service_accounts.issue(cluster, name, labels={}, seconds=3600)
    Kubeconfig.objects.create(
        workspace=workspace, kind="service_account", service_account=name, requested_by="CI", state="taken"
    )
    return workspace


def account(workspace: Workspace) -> ProviderAccount:
    """Its account."""
    return ProviderAccount.objects.get(name=workspace.name)


# --- Its deletion -----------------------------------------------------------------------------------------------------
def policy(**actions: str) -> DeletionPolicy:
    """The organization's policy: everything is deleted, but what is told here."""
    steps = document_of(DEFAULT)
    steps = [{"step": one["step"], "action": actions.get(one["step"], "delete")} for one in steps]
    organization = cast.organization("Kestrel Freight")
    return DeletionPolicy.objects.update_or_create(organization=organization, defaults={"steps": steps})[0]


def agreed_to(workspace: Workspace) -> Deletion:
    """Look at it, and have its deletion agreed to as it stands: due now."""
    from workspaces.models.deletion_plan import plan_of

    now = timezone.now()
    inventory.store(workspace, *inventory.look(workspace, now))
    made = Deletion.objects.create(
        workspace=workspace,
        requested_by=ALICE.name,
        requested_by_kind=ALICE.kind,
        requested_at=now,
        begins_at=now,
        plan=plan_of(workspace, now).document(),
        state_before=workspace.state,
    )
    Workspace.objects.filter(pk=workspace.pk).update(state="deletion_scheduled")
    workspace.refresh_from_db()
    return made


def begun(workspace: Workspace) -> Operation:
    """The operation of its deletion, agreed to and begun."""
    operation = deletion.start(agreed_to(workspace))
    assert isinstance(operation, Operation), operation
    return operation


def deleted(workspace: Workspace, **more: Any) -> Deletion:
    """Delete it to the end; with nothing left unsaid."""
    operation = drive(begun(workspace), **more)
    return ended(workspace, operation)


def deleted_besides(workspace: Workspace, silent: str) -> dict[str, Any]:
    """The receipt of one that was deleted while an account of that name did not answer."""
    operation = drive(begun(workspace))
    assert operation.state == "succeeded", operation.error_message
    ProviderAccount.objects.filter(name=silent).delete()
    return ended(workspace, operation).receipt or {}


def ended(workspace: Workspace, operation: Operation) -> Deletion:
    """What became of it, and the promise of every deletion."""
    steps = operation.steps.exclude(state__in=("done", "pending")).values_list("title", "state", "message")
    assert operation.state == "succeeded", (operation.error_code, operation.error_message, list(steps))
    workspace.refresh_from_db()
    done = Deletion.objects.get(operation=operation)
    assert (workspace.state, done.state) == ("deleted", "done")
    nothing_unsaid(workspace, done.receipt or {})
    return done


# --- What is left -----------------------------------------------------------------------------------------------------
def under_the_label(workspace: Workspace) -> set[tuple[str, str]]:
    """Everything under the workspace's label in all the accounts, and what its name has on the management cluster."""
    selector, found = labels.of_workspace(workspace.pk), set()
    for one in ProviderAccount.objects.filter(organization=workspace.project.organization_id):
        cloud = connections.cloud(one)
        found |= {("server", server.name) for server in cloud.servers(selector)}
        for kind in KINDS:
            found |= {(kind, thing.name) for thing in Kept(cloud).things(kind, selector)}
    return found | (in_the_cluster(workspace) if workspace.is_kubernetes else set())


def in_the_cluster(workspace: Workspace) -> set[tuple[str, str]]:
    """Control plane, data stores and namespace."""
    assert workspace.management_cluster is not None
    found = set()
    with connections.management(workspace.management_cluster) as kamaji:
        remains = Remains(kamaji)
        if remains.plane(workspace.namespace, workspace.control_plane):
            found.add(("control_plane", workspace.control_plane))
        if remains.namespace(workspace.namespace, workspace.control_plane):
            found.add(("namespace", workspace.namespace))
        found |= {("data_store", store.name) for store in remains.stores(labels.of_workspace(workspace.pk))}
    return found


def nothing_unsaid(workspace: Workspace, receipt: dict[str, Any]) -> None:
    """What is there, the receipt tells; what it tells as removed, is not there."""
    there = under_the_label(workspace)
    told = {("server" if one["kind"] == "host" else one["kind"], one["name"]) for one in stays(receipt)}
    assert there <= told, there - told
    gone = {("server" if one["kind"] == "host" else one["kind"], one["name"]) for one in receipt["removed"]}
    assert not there & gone, there & gone
    assert not workspace.hosts.exists()
    assert not workspace.dns_records.exists()


def stays(receipt: dict[str, Any]) -> list[dict[str, Any]]:
    """What is kept and left over."""
    return [*receipt["kept"], *receipt["left_over"]]


def names(items: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Of items of a receipt kind and name, in order."""
    return sorted((one["kind"], one["name"]) for one in items)


def records(workspace: Workspace) -> dict[str, tuple[str, ...]]:
    """The record sets of its zone by name, without those of the zone itself."""
    zones = Zones(connections.cloud(account(workspace)))
    zone = zones.zones()[f"{workspace.name}.{ZONE}"]
    return {one.name: one.values for one in zones.record_sets(zone) if one.name != "@"}


def protect_record(workspace: Workspace, name: str, *, on: bool) -> None:
    """Somebody protects a record set of its zone against changes, or lifts that."""
    zones = Zones(connections.cloud(account(workspace)))
    named = ZoneRRSet(zone=Zone(name=f"{workspace.name}.{ZONE}"), name=name, type="A")
    zones._client.zones.change_rrset_protection(named, change=on)


# --- Somebody else ----------------------------------------------------------------------------------------------------
def somebody_puts(workspace: Workspace, secret: str) -> None:
    """Somebody has a Secret in the workspace's namespace."""
    assert workspace.management_cluster is not None
    with connections.management(workspace.management_cluster) as kamaji:
        body = client.V1Secret(metadata=client.V1ObjectMeta(name=secret), string_data={"a": "b"})
        Remains(kamaji)._core.create_namespaced_secret(workspace.namespace, body)


def somebody_holds(workspace: Workspace, account: str, *finalizers: str) -> None:
    """Somebody has a ServiceAccount in the namespace that may only go when they say so; without finalizers they do."""
    assert workspace.management_cluster is not None
    with connections.management(workspace.management_cluster) as kamaji:
        core = Remains(kamaji)._core
        metadata = client.V1ObjectMeta(name=account, finalizers=list(finalizers))
        if finalizers:
            core.create_namespaced_service_account(workspace.namespace, client.V1ServiceAccount(metadata=metadata))
        else:
            body = {"metadata": {"finalizers": None}}
            core.patch_namespaced_service_account(account, workspace.namespace, body)


def somebody_changes(workspace: Workspace, metadata: dict[str, Any], manager: str = "kubectl-annotate") -> None:
    """Somebody changes the metadata of its control plane."""
    assert workspace.management_cluster is not None
    with connections.management(workspace.management_cluster) as kamaji:
        Remains(kamaji)._objects.patch_namespaced_custom_object(
            "kamaji.clastix.io", "v1alpha1", workspace.namespace, "tenantcontrolplanes", workspace.control_plane,
            {"metadata": metadata}, field_manager=manager,
        )  # fmt: skip
