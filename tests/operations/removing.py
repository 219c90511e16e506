"""Removals of hosts in the simulated world: the click, and what is left of a workspace afterwards."""

from __future__ import annotations

from tests.operations import harness, hired
from workspaces.models import Actor, Host, Operation, Workspace
from workspaces.operations import host_removal

ALICE = Actor("account", "Alice Ahrens")
SERVER = "/v1/servers/*"


def last(workspace: Workspace) -> Host:
    """The host that is removed in these tests."""
    return workspace.hosts.order_by("-name")[0]


def start(workspace: Workspace) -> Operation:
    """The operation that the click starts."""
    host = last(workspace)
    operation = host_removal.start(host, confirm_name=host.name, actor=ALICE)
    assert isinstance(operation, Operation), operation
    return operation


def names(workspace: Workspace) -> tuple[list[str], list[str], list[str]]:
    """Rows, servers and nodes that are left."""
    rows = list(workspace.hosts.values_list("name", flat=True))
    nodes = sorted(harness.nodes(workspace)) if workspace.is_kubernetes else []
    return rows, [one.name for one in hired.servers(workspace)], nodes
