"""Hosts that are servers of a simulated cloud project: a workspace of the cast on them, with prices that are known."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from tests import cast
from tests.operations import harness
from tests.simulators.running import RunningWorld
from workspaces.models import ComputeProfile, Host, ProviderAccount, Workspace
from workspaces.operations import connections, profiles
from workspaces.providers.hetzner import Server
from workspaces.rules import labels


def joined(world: RunningWorld, name: str, *, hosts: int = 2, kind: str = "ccx13", **tenant: Any) -> Workspace:
    """A Kubernetes workspace whose hosts are servers of that type; the project has the workspace's name."""
    workspace = harness.linked(world, cast.kubernetes(name, hosts=hosts), **tenant)
    _hire(world, workspace, kind)
    return workspace


def metal(world: RunningWorld, name: str, *, hosts: int = 1, kind: str = "ccx13") -> Workspace:
    """The same without a cluster."""
    workspace = harness.linked_metal(world, cast.baremetal(name, hosts=hosts))
    workspace.hosts.update(location="fsn1")
    _hire(world, workspace, kind)
    return workspace


def _hire(world: RunningWorld, workspace: Workspace, kind: str) -> None:
    names = list(workspace.hosts.values_list("name", flat=True))
    account = project(world, workspace.name, [server(name, kind, workspace) for name in names])
    Host.objects.filter(workspace=workspace).update(provider_account=account, profile=kind)
    for one in connections.cloud(account).servers():
        Host.objects.filter(workspace=workspace, name=one.name).update(
            provider_id=one.id, disk_gb=one.disk, provider_status="running"
        )
    profiles.look(account, timezone.now())


def server(name: str, kind: str, workspace: Workspace, **more: Any) -> dict[str, Any]:
    """A server of ours for the world."""
    described = {"name": name, "server_type": kind, "location": "fsn1", "image": "debian-13", "status": "running"}
    return described | {"labels": {labels.WORKSPACE: str(workspace.pk)}} | more


def project(world: RunningWorld, name: str, servers: list[dict[str, Any]]) -> ProviderAccount:
    """A cloud project with these servers, and the account that holds its token."""
    token = name.replace("-", "x").ljust(64, "0")
    ready = world.add({"hetzner_projects": [{"name": name, "token": token, "servers": servers}]})
    account, _ = ProviderAccount.objects.get_or_create(
        organization=cast.organization("Kestrel Freight"),
        name=name,
        defaults={"token": token, "endpoint": ready["hetzner_url"]},
    )
    return account


def servers(workspace: Workspace) -> list[Server]:
    """What the cloud itself lists in the workspace's project, by name."""
    account = ProviderAccount.objects.get(name=workspace.name)
    return sorted(connections.cloud(account).servers(), key=lambda one: one.name)


def types(workspace: Workspace) -> dict[str, tuple[str, str, int]]:
    """Of each server its type, its status and the size of its disk."""
    return {one.name: (one.server_type, one.status, one.disk) for one in servers(workspace)}


def profile(workspace: Workspace, name: str) -> ComputeProfile:
    """One of the profiles of its account."""
    return ComputeProfile.objects.get(provider_account__name=workspace.name, name=name)


def begun(world: RunningWorld, workspace: Workspace, method: str, path: str) -> int:
    """How many requests the project has accepted."""
    entries = world.journal(service="hetzner", target=workspace.name, method=method, path=path)
    return len([entry for entry in entries if entry["status"] < 300])
