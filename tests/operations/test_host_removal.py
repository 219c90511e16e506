"""Removing hosts in the simulated world: joined, not joined, never made, and those that somebody has deleted before."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.operations import harness, hired
from tests.operations.removing import ALICE, SERVER, last, names, start
from tests.simulators.running import RunningWorld
from workspaces.models import Event, Host, Operation, PackageUpdate
from workspaces.operations import connections, plans, reconcile
from workspaces.rules import labels
from workspaces.rules.refusal import Refused

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("empty_queues", "catalogue_rows"),
    pytest.mark.timeout(240),
]


# --- Whole ------------------------------------------------------------------------------------------------------------
def test_a_host_is_emptied_and_nothing_of_it_is_left_but_the_record(world: RunningWorld) -> None:
    workspace = hired.joined(world, "one-less")
    host = last(workspace)
    earlier = Operation.start(workspace, "maintenance", "Earlier", [], actor=ALICE)
    assert isinstance(earlier, Operation)
    Operation.objects.filter(pk=earlier.pk).update(state="succeeded")
    PackageUpdate.objects.create(
        workspace=workspace, host=host, host_name=host.name, operation=earlier, package="openssl", to_version="3.5"
    )
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    assert operation.title == "Remove host one-less-w2"
    assert names(workspace) == (["one-less-w1"], ["one-less-w1"], ["one-less-w1"])
    with connections.tenant(workspace) as cluster:
        assert {pod.node for pod in cluster.pods() if pod.must_leave} == {"one-less-w1"}
    assert operation.irreversible_since is not None
    workspace.refresh_from_db()
    assert (workspace.host_count, workspace.hosts_ready, workspace.attention) == (1, 1, "")
    removed = Event.objects.get(action="host.removed")
    assert removed.summary == (
        f"Removed one-less-w2 from one-less: server {host.provider_id}, ccx13 in fsn1, is deleted, "
        "and 14.99 EUR a month at most is not paid any more."
    )
    assert (removed.workspace_id, removed.operation_id) == (workspace.pk, operation.pk)
    told = PackageUpdate.objects.get()
    assert (told.host, told.host_name) == (None, "one-less-w2")


def test_the_steps_are_sentences_and_none_stops_once_the_host_is_closed(world: RunningWorld) -> None:
    workspace = hired.joined(world, "row-by-row")
    operation = start(workspace)
    steps = operation.steps.values_list("key", "safe_to_stop", "irreversible", "stage", "host")
    assert list(steps) == [
        ("check", True, False, "", "row-by-row-w2"),
        ("cordon", True, False, "", "row-by-row-w2"),
        ("drain", False, False, "", "row-by-row-w2"),
        ("node", False, True, "", "row-by-row-w2"),
        ("server", False, True, "", "row-by-row-w2"),
        ("gone", False, True, "", "row-by-row-w2"),
        ("row", False, False, "", "row-by-row-w2"),
    ]
    assert all(plans.find("host_removal", step.key) for step in operation.steps.all())
    refused = operation.skip_host("row-by-row-w2", "it is in the way", ALICE)
    assert isinstance(refused, Refused)
    assert refused.code == "cannot_be_left_out"


def test_every_step_may_run_twice(world: RunningWorld) -> None:
    workspace = hired.joined(world, "twice-gone")
    operation = harness.drive(start(workspace), harness.twice)
    assert operation.state == "succeeded", harness.story(operation)
    assert names(workspace) == (["twice-gone-w1"], ["twice-gone-w1"], ["twice-gone-w1"])
    assert hired.begun(world, workspace, "DELETE", SERVER) == 1
    assert Event.objects.filter(action="host.removed").count() == 1


def test_a_failure_after_every_step_is_repeated_without_harm(world: RunningWorld) -> None:
    workspace = hired.joined(world, "failing-off")
    failed: set[int] = set()
    operation = harness.drive(start(workspace), harness.failing_once_after(failed))
    assert operation.state == "succeeded", harness.story(operation)
    assert len(failed) == operation.steps.count() == 7
    assert names(workspace) == (["failing-off-w1"], ["failing-off-w1"], ["failing-off-w1"])
    assert hired.begun(world, workspace, "DELETE", SERVER) == 1
    assert Event.objects.filter(action="host.removed").count() == 1


def test_a_worker_killed_at_every_step_costs_time_and_nothing_else(world: RunningWorld) -> None:
    workspace = hired.joined(world, "killed-off")
    killed_at: set[int] = set()
    with harness.workers() as workers:

        def kill(operation: Operation) -> None:
            step = operation.steps.filter(state="running").first()
            if step and step.pk not in killed_at:
                killed_at.add(step.pk)
                workers.kill_all()

        operation = harness.watch(start(workspace), kill, limit=200)
    assert operation.state == "succeeded", harness.story(operation)
    assert workers.killed >= 1
    assert names(workspace) == (["killed-off-w1"], ["killed-off-w1"], ["killed-off-w1"])


def test_an_answer_to_the_deletion_that_is_lost_is_found_in_the_listing(world: RunningWorld) -> None:
    workspace = hired.joined(world, "lost-and-gone")
    operation = start(workspace)
    world.fault(service="hetzner", target="lost-and-gone", kind="lost_answer", method="DELETE", path=SERVER, times=1)
    harness.drive(operation)
    assert operation.state == "succeeded", harness.story(operation)
    assert names(workspace)[1] == ["lost-and-gone-w1"]


# --- What is not there is no obstacle ---------------------------------------------------------------------------------
def test_a_host_whose_server_somebody_has_deleted_is_removed_although_its_pods_never_answer(
    world: RunningWorld,
) -> None:
    workspace = hired.joined(world, "by-hand")
    host = last(workspace)
    connections.cloud(host.provider_account).delete_server(host.provider_id)
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    assert names(workspace) == (["by-hand-w1"], ["by-hand-w1"], ["by-hand-w1"])
    assert hired.begun(world, workspace, "DELETE", SERVER) == 1, "that of the hand"


def test_a_host_whose_node_somebody_has_taken_out_is_removed(world: RunningWorld) -> None:
    workspace = hired.joined(world, "no-node")
    with connections.tenant(workspace) as cluster:
        assert cluster.delete_node("no-node-w2")
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    assert operation.steps.get(key="drain").message == "has no node"
    assert names(workspace) == (["no-node-w1"], ["no-node-w1"], ["no-node-w1"])


def test_a_host_that_never_got_a_server_is_removed_without_asking_the_cluster(world: RunningWorld) -> None:
    workspace = hired.joined(world, "never-made", hosts=1)
    account = workspace.hosts.get().provider_account
    Host.objects.create(workspace=workspace, name="never-made-w9", provider_account=account, profile="ccx13")
    before = len(world.journal(service="kubernetes", target="ws-never-made/never-made"))
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    assert len(world.journal(service="kubernetes", target="ws-never-made/never-made")) == before
    assert names(workspace) == (["never-made-w1"], ["never-made-w1"], ["never-made-w1"])
    assert Event.objects.get(action="host.removed").summary == (
        "Removed never-made-w9 from never-made: it never had a server."
    )


def test_a_host_whose_order_was_cut_short_is_found_by_its_label_and_its_node_by_its_name(world: RunningWorld) -> None:
    workspace = hired.joined(world, "cut-short")
    host = last(workspace)
    # Its server and its node are there; the order ended before either was written down.
    cloud = connections.cloud(host.provider_account)
    labelled = labels.of_host(workspace.pk, host.pk, uuid.uuid4())
    cloud._client.servers.get_by_id(host.provider_id).update(labels=labelled)
    workspace.hosts.filter(pk=host.pk).update(provider_id=None, node_name="")
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    assert names(workspace) == (["cut-short-w1"], ["cut-short-w1"], ["cut-short-w1"])


def test_a_host_that_has_not_joined_is_removed(world: RunningWorld) -> None:
    workspace = hired.joined(world, "unjoined", hosts=1)
    name = "unjoined-w2"
    hired.project(world, "unjoined", [hired.server(name, "ccx13", workspace)])
    extra = next(one for one in hired.servers(workspace) if one.name == name)
    account = workspace.hosts.get().provider_account
    Host.objects.create(workspace=workspace, name=name, provider_account=account, provider_id=extra.id)
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    assert names(workspace) == (["unjoined-w1"], ["unjoined-w1"], ["unjoined-w1"])


def test_bare_metal_from_the_cloud_is_deleted_and_other_metal_is_left_as_it_is(world: RunningWorld) -> None:
    workspace = hired.metal(world, "scrap", hosts=2)
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    assert [step.key for step in operation.steps.all()] == ["check", "server", "gone", "row"]
    assert names(workspace) == (["scrap-1"], ["scrap-1"], [])
    workspace.hosts.update(provider_account=None, provider_id=None)
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    steps = [(step.title, step.irreversible) for step in operation.steps.all()]
    assert ("Leave the machine itself as it is", False) in steps
    assert names(workspace) == ([], ["scrap-1"], [])
    assert Event.objects.filter(action="host.removed").first().summary == (  # type: ignore[union-attr]
        "Removed scrap-1 from scrap: the machine itself is left as it is."
    )


def test_a_look_at_the_account_in_the_middle_of_a_removal_does_no_harm(world: RunningWorld) -> None:
    workspace = hired.joined(world, "looked-at")
    account = last(workspace).provider_account
    assert account is not None

    def looking(function: Any) -> Any:
        def run(context: Any) -> Any:
            outcome = function(context)
            reconcile.look_at_servers(account.pk)
            return outcome

        return run

    operation = harness.drive(start(workspace), looking)
    assert operation.state == "succeeded", harness.story(operation)
    reconcile.look_at_servers(account.pk)
    assert account.left_servers.count() == 0
