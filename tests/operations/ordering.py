"""Orders of hosts in the simulated world: a workspace with an empty cloud project, and the click on the order."""

from __future__ import annotations

import time
from typing import Any

from django.utils import timezone

from tests import cast
from tests.operations import harness, hired
from tests.simulators.running import RunningWorld
from workspaces.models import Actor, ComputeProfile, Operation, ProviderAccount, SshKey, Workspace
from workspaces.models.price_list import find_offer
from workspaces.operations import connections, engine, host_order, plans, profiles

ALICE = Actor("account", "Alice Ahrens")
SERVERS = "/v1/servers"


def account_of(world: RunningWorld, workspace: Workspace, **project: Any) -> ProviderAccount:
    """An empty cloud project of the workspace's name, its account, and what it sells."""
    token = workspace.name.replace("-", "x").ljust(64, "0")
    ready = world.add({"hetzner_projects": [{"name": workspace.name, "token": token, **project}]})
    key, _ = SshKey.objects.get_or_create(name="fleet", defaults={"private_key": ready["ssh_private_key"]})
    account = ProviderAccount.objects.create(
        organization=workspace.project.organization,
        name=workspace.name,
        token=token,
        endpoint=ready["hetzner_url"],
        ssh_key=key,
        connection=ready["hetzner_connection"],
    )
    profiles.look(account, timezone.now())
    Workspace.objects.filter(pk=workspace.pk).update(provider_account=account)
    workspace.provider_account = account
    return account


def cluster(world: RunningWorld, name: str, **project: Any) -> Workspace:
    """A Kubernetes workspace of one host, with an empty cloud project."""
    workspace = harness.linked(world, cast.kubernetes(name, hosts=1))
    account_of(world, workspace, **project)
    return workspace


def metal_in_the_cloud(world: RunningWorld, name: str) -> Workspace:
    """A bare-metal workspace of one host, with an empty cloud project."""
    workspace = harness.linked_metal(world, cast.baremetal(name, hosts=1))
    account_of(world, workspace)
    return workspace


def start(workspace: Workspace, name: str = "", kind: str = "ccx13") -> Operation:
    """The operation that the click on the order starts, at the price that the page shows."""
    profile = ComputeProfile.objects.get(provider_account=workspace.provider_account_id, name=kind)
    offer = find_offer(workspace, profile.pk, "fsn1", timezone.now())
    assert offer is not None
    operation = host_order.start(
        workspace,
        hostname=name or f"{workspace.name}-w2",
        profile=profile.pk,
        location="fsn1",
        confirmed=offer.quote.monthly,
        actor=ALICE,
    )
    assert isinstance(operation, Operation), operation
    return operation


def run_until(operation: Operation, key: str) -> None:
    """Run it until the step `key` is the next one."""
    deadline = time.monotonic() + 100
    while operation.steps.exclude(state="done").earliest("position").key != key:
        operation.refresh_from_db()
        assert operation.is_open, harness.story(operation)
        assert time.monotonic() < deadline, harness.story(operation)
        engine.run_one_step(operation.pk, plans.find)
        time.sleep(0.05)
    operation.refresh_from_db()


def orders(world: RunningWorld, workspace: Workspace) -> list[int]:
    """What the provider answered each time it was asked for a server."""
    return [one["status"] for one in world.journal(target=workspace.name, method="POST", path=SERVERS)]


def bootstrap_tokens(workspace: Workspace) -> list[str]:
    """The bootstrap tokens that the tenant knows."""
    with connections.tenant(workspace) as tenant:
        found = tenant._core.list_namespaced_secret("kube-system").items
    return [one.metadata.name for one in found if one.type == "bootstrap.kubernetes.io/token"]


def is_nothing_left(workspace: Workspace) -> bool:
    """No server, and no host but the one that was there."""
    return hired.servers(workspace) == [] and workspace.hosts.count() == 1
