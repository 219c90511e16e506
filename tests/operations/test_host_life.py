"""A host from its order to its end: what one operation leaves behind is what the next one finds."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.utils import timezone

from tests import cast
from tests.operations import harness, hired
from tests.simulators.running import RunningWorld
from workspaces.models import Actor, Host, Operation, SshKey, Workspace
from workspaces.operations import host_order, host_removal, host_resize, profiles, reconcile

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("empty_queues", "catalogue_rows"),
    pytest.mark.timeout(240),
]
ALICE = Actor("account", "Alice Ahrens")


def order(world: RunningWorld, workspace: Workspace, name: str) -> Operation:
    """The operation that the click on an order of a ccx13 starts."""
    account = hired.project(world, workspace.name, [])
    account.ssh_key = SshKey.objects.get(name="fleet")
    account.connection = world.ready["hetzner_connection"]
    account.save()
    profiles.look(account, timezone.now())
    workspace.provider_account = account
    workspace.save(update_fields=["provider_account"])
    profile = hired.profile(workspace, "ccx13").pk
    operation = host_order.start(
        workspace, hostname=name, profile=profile, location="fsn1", confirmed=Decimal("14.49"), actor=ALICE
    )
    assert isinstance(operation, Operation), operation
    return operation


def resize(host: Host, workspace: Workspace) -> Operation:
    """The operation that makes it a ccx23."""
    profile = hired.profile(workspace, "ccx23").pk
    operation = host_resize.start(host, profile=profile, grow_disk=False, confirmed=Decimal("28.49"), actor=ALICE)
    assert isinstance(operation, Operation), operation
    return operation


def remove(host: Host) -> Operation:
    """The operation that removes it."""
    operation = host_removal.start(host, confirm_name=host.name, actor=ALICE)
    assert isinstance(operation, Operation), operation
    return operation


def test_an_ordered_host_is_resized_and_removed(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("a-life", hosts=1))
    operation = harness.drive(order(world, workspace, "a-life-w2"))
    assert operation.state == "succeeded", harness.story(operation)
    host = workspace.hosts.get(name="a-life-w2")
    assert harness.nodes(workspace)["a-life-w2"] == ("1.34.8", "True", False)
    operation = harness.drive(resize(host, workspace))
    assert operation.state == "succeeded", harness.story(operation)
    assert hired.types(workspace) == {"a-life-w2": ("ccx23", "running", 80)}
    assert harness.nodes(workspace)["a-life-w2"] == ("1.34.8", "True", False)
    host.refresh_from_db()
    operation = harness.drive(remove(host))
    assert operation.state == "succeeded", harness.story(operation)
    assert hired.servers(workspace) == []
    assert sorted(harness.nodes(workspace)) == ["a-life-w1"]
    reconcile.look_at_servers(host.provider_account_id)
    assert host.provider_account is not None
    assert host.provider_account.left_servers.count() == 0


def test_metal_that_was_ordered_is_resized_and_removed(world: RunningWorld) -> None:
    workspace = harness.linked_metal(world, cast.baremetal("iron-life", hosts=1))
    operation = harness.drive(order(world, workspace, "iron-life-2"))
    assert operation.state == "succeeded", harness.story(operation)
    host = workspace.hosts.get(name="iron-life-2")
    operation = harness.drive(resize(host, workspace))
    assert operation.state == "succeeded", harness.story(operation)
    assert operation.steps.get(key="verify").message == "answers on SSH"
    host.refresh_from_db()
    operation = harness.drive(remove(host))
    assert operation.state == "succeeded", harness.story(operation)
    assert hired.servers(workspace) == []


@pytest.mark.parametrize("last", ["create", "running", "reach", "prepare", "join"])
def test_an_order_that_stops_anywhere_leaves_a_host_that_can_be_removed(world: RunningWorld, last: str) -> None:
    workspace = harness.linked(world, cast.kubernetes(f"cut-{last}", hosts=1))
    operation = order(world, workspace, f"cut-{last}-w2")

    def failing(function):  # type: ignore[no-untyped-def]
        def run(context):  # type: ignore[no-untyped-def]
            outcome = function(context)
            if context.step.key == last and not hasattr(outcome, "seconds"):
                raise ZeroDivisionError("a defect of ours")
            return outcome

        return run

    harness.drive(operation, failing)
    assert operation.state == "failed", harness.story(operation)
    host = workspace.hosts.get(name=f"cut-{last}-w2")
    operation = harness.drive(remove(host))
    assert operation.state == "succeeded", harness.story(operation)
    assert hired.servers(workspace) == []
    assert sorted(harness.nodes(workspace)) == [f"cut-{last}-w1"]
    assert list(workspace.hosts.values_list("name", flat=True)) == [f"cut-{last}-w1"]
