"""Resizes of hosts in the simulated world: the click on the second host of a workspace, at the price that is shown."""

from __future__ import annotations

from decimal import Decimal

from tests.operations import hired
from workspaces.models import Actor, Operation, Workspace
from workspaces.operations import host_resize
from workspaces.rules.refusal import Refused

ALICE = Actor("account", "Alice Ahrens")
CCX23 = Decimal("28.49")


def start(workspace: Workspace, to: str = "ccx23", *, grow_disk: bool = False, price: Decimal = CCX23) -> Operation:
    """The operation that the click starts, on the workspace's second host."""
    operation = ask(workspace, to, grow_disk=grow_disk, price=price)
    assert isinstance(operation, Operation), operation
    return operation


def ask(workspace: Workspace, to: str, *, grow_disk: bool = False, price: Decimal = CCX23) -> Operation | Refused:
    """What the click is answered."""
    host = workspace.hosts.order_by("-name")[0]
    profile = hired.profile(workspace, to).pk
    return host_resize.start(host, profile=profile, grow_disk=grow_disk, confirmed=price, actor=ALICE)
