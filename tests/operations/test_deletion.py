"""Deleting whole workspaces in the simulated world, and what has to hold whatever happens to the workers meanwhile."""

from __future__ import annotations

import pytest

from tests.operations import deleting, harness
from tests.operations.deleting import names
from tests.simulators.running import RunningWorld
from workspaces.models import Event, Host, Integration, Operation

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("empty_queues", "catalogue_rows"),
    pytest.mark.timeout(240),
]


def test_everything_of_a_workspace_goes_and_the_receipt_tells_it(world: RunningWorld) -> None:
    deleting.policy()
    workspace = deleting.handed_out(deleting.whole(world, "bye-all"))
    done = deleting.deleted(workspace)
    assert done.receipt is not None
    assert names(done.receipt["removed"]) == [
        ("control_plane", "bye-all"),
        ("dns_record", f"gw.bye-all.{deleting.ZONE} A"),
        ("dns_record", f"www.bye-all.{deleting.ZONE} A"),
        ("host", "bye-all-w1"),
        ("host", "bye-all-w2"),
        ("integration", "bye-all metrics"),
        ("kubeconfig", "CI"),
        ("load_balancer", "bye-all-lb"),
        ("namespace", "ws-bye-all"),
        ("placement_group", "bye-all-spread"),
        ("primary_ip", "bye-all-ip"),
        ("volume", "bye-all-data"),
    ]
    assert names(done.receipt["kept"]) == []
    assert names(done.receipt["left_over"]) == [("volume", "bye-all-other")]
    assert deleting.records(workspace) == {"gw": ("203.0.113.99",)}
    assert not Integration.objects.filter(workspace=workspace).exists()
    assert Event.objects.filter(workspace_id=workspace.pk, action="deletion.done").count() == 1
    assert not Host.objects.filter(workspace=workspace).exists()


def test_volumes_stay_where_the_policy_keeps_them(world: RunningWorld) -> None:
    deleting.policy(volumes="keep")
    workspace = deleting.whole(world, "bye-kept")
    receipt = deleting.deleted(workspace).receipt or {}
    assert names(receipt["kept"]) == [("volume", "bye-kept-data")]
    assert deleting.under_the_label(workspace) == {("volume", "bye-kept-data")}
    assert receipt["goes_on_costing"] != []


def test_hosts_without_a_cluster_go_too(world: RunningWorld) -> None:
    deleting.policy()
    workspace = deleting.metal(world, "bye-metal")
    receipt = deleting.deleted(workspace).receipt or {}
    assert [name for kind, name in names(receipt["removed"]) if kind == "host"] == ["bye-metal-1", "bye-metal-2"]
    assert deleting.under_the_label(workspace) == set()


# --- Whatever happens to the workers ----------------------------------------------------------------------------------
def test_every_step_may_run_twice(world: RunningWorld) -> None:
    deleting.policy()
    workspace = deleting.handed_out(deleting.whole(world, "bye-twice"))
    receipt = deleting.deleted(workspace, wrap=harness.twice).receipt or {}
    assert len(receipt["removed"]) == 12
    assert Event.objects.filter(workspace_id=workspace.pk, action="deletion.done").count() == 1


def test_every_step_may_fail_once_after_its_work(world: RunningWorld) -> None:
    deleting.policy()
    workspace = deleting.handed_out(deleting.whole(world, "bye-fails"))
    receipt = deleting.deleted(workspace, wrap=harness.failing_once_after(set())).receipt or {}
    assert len(receipt["removed"]) == 12


@pytest.mark.timeout(400)
def test_a_worker_may_be_killed_at_every_step(world: RunningWorld) -> None:
    deleting.policy()
    workspace = deleting.handed_out(deleting.whole(world, "bye-killed"))
    operation = deleting.begun(workspace)
    killed_at: set[int] = set()
    with harness.workers() as workers:

        def kill(now: Operation) -> None:
            step = now.steps.filter(state="running").first()
            if step is not None and step.pk not in killed_at:
                killed_at.add(step.pk)
                workers.kill_all()

        operation = harness.watch(operation, kill, limit=360)
    receipt = deleting.ended(workspace, operation).receipt or {}
    assert len(receipt["removed"]) == 12
    assert len(killed_at) >= 3
