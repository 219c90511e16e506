"""What stands in the way of a removal, and who can clear it; and what the click is refused with."""

from __future__ import annotations

from typing import Any

import pytest

from tests import cast
from tests.operations import harness, hired
from tests.operations.removing import ALICE, SERVER, last, names, start
from tests.simulators.running import RunningWorld
from workspaces.models import Host, Operation, Workspace
from workspaces.operations import connections, engine, host_removal, plans
from workspaces.rules.refusal import Refused

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("empty_queues", "catalogue_rows"),
    pytest.mark.timeout(240),
]


# --- What stands in the way -------------------------------------------------------------------------------------------
def test_a_lost_machine_that_still_runs_has_its_power_cut_before_its_node_goes(
    world: RunningWorld, settings: Any
) -> None:
    settings.LOOPBACK_NODE_DEADLINE = 1
    workspace = hired.joined(world, "half-dead")
    world.fault(service="kubernetes", target="half-dead-w2", kind="lost_node")
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    assert hired.begun(world, workspace, "POST", "*/actions/poweroff") == 1
    assert names(workspace) == (["half-dead-w1"], ["half-dead-w1"], ["half-dead-w1"])


def test_a_drain_that_never_ends_leaves_the_host_open_and_its_server_alone(world: RunningWorld, settings: Any) -> None:
    settings.LOOPBACK_DRAIN_DEADLINE = 1
    settings.LOOPBACK_NODE_DEADLINE = 0
    workspace = hired.joined(world, "never-empty")
    operation = start(workspace)
    engine.run_one_step(operation.pk, plans.find)
    assert operation.steps.get(key="check").state == "done"
    world.fault(service="kubernetes", target="ws-never-empty/never-empty", kind="budget")
    harness.drive(operation)
    assert operation.state == "failed", harness.story(operation)
    assert "could not be drained in" in operation.error_message
    assert harness.nodes(workspace)["never-empty-w2"] == ("1.34.8", "True", False)
    assert names(workspace)[1] == ["never-empty-w1", "never-empty-w2"]


def test_a_budget_that_never_yields_is_seen_before_the_host_is_closed(world: RunningWorld) -> None:
    stuck = {"namespace": "pay", "name": "api", "kind": "Deployment", "replicas": 2, "ready": 2}
    workloads = [stuck | {"budget": {"maxUnavailable": 0}}]
    workspace = hired.joined(world, "holds-on", workloads=workloads)
    operation = harness.drive(start(workspace))
    assert (operation.state, operation.error_code) == ("failed", "budget_never_yields")
    assert operation.steps.get(key="cordon").state == "pending"
    assert names(workspace)[1] == ["holds-on-w1", "holds-on-w2"]


def test_a_cluster_that_does_not_answer_keeps_the_server_and_says_who_can_end_that(
    world: RunningWorld, settings: Any
) -> None:
    settings.LOOPBACK_PATIENCE_SECONDS = 0
    settings.LOOPBACK_VENDOR_TIMEOUT = 1
    workspace = hired.joined(world, "mute")
    world.fault(service="kubernetes", target="ws-mute/mute", kind="refuse")
    operation = harness.drive(start(workspace))
    assert (operation.state, operation.error_code) == ("failed", "unreachable"), harness.story(operation)
    assert operation.error_who_can_fix == (
        "Whoever can bring the API of mute back, then continue. Until then the host is paid for."
    )
    assert [one.name for one in hired.servers(workspace)] == ["mute-w1", "mute-w2"]
    world.clear_faults()
    assert operation.retry(ALICE) is None
    assert harness.drive(operation).state == "succeeded"


def test_a_protected_server_is_not_deleted_and_the_removal_goes_on_once_it_may_be(world: RunningWorld) -> None:
    workspace = hired.joined(world, "guarded")
    host = last(workspace)
    server = connections.cloud(host.provider_account)._client.servers.get_by_id(host.provider_id)
    server.change_protection(delete=True, rebuild=True)
    operation = harness.drive(start(workspace))
    assert operation.state == "failed", harness.story(operation)
    assert "protected" in operation.error_message
    assert "protection" in operation.error_who_can_fix
    assert names(workspace) == (["guarded-w1", "guarded-w2"], ["guarded-w1", "guarded-w2"], ["guarded-w1"])
    server.change_protection(delete=False, rebuild=False)
    assert operation.retry(ALICE) is None
    harness.drive(operation)
    assert operation.state == "succeeded", harness.story(operation)
    assert names(workspace) == (["guarded-w1"], ["guarded-w1"], ["guarded-w1"])


def test_a_deletion_that_fails_afterwards_is_asked_for_anew(world: RunningWorld) -> None:
    workspace = hired.joined(world, "sticky")
    operation = start(workspace)
    world.fault(service="hetzner", target="sticky", kind="action_failed", method="DELETE", path=SERVER, times=1)
    harness.drive(operation)
    assert (operation.state, operation.error_code) == ("failed", "cloud_api")
    assert operation.retry(ALICE) is None
    harness.drive(operation)
    assert operation.state == "succeeded", harness.story(operation)
    assert names(workspace)[1] == ["sticky-w1"]


# --- The click --------------------------------------------------------------------------------------------------------
def test_the_name_has_to_be_typed(workspace: Workspace) -> None:
    host = last(workspace)
    for typed in ("", "ledger-prod-w1", "LEDGER-PROD-W3"):
        refused = host_removal.start(host, confirm_name=typed, actor=ALICE)
        assert isinstance(refused, Refused)
        assert refused.code == "wrong_name"
    assert Operation.objects.count() == 0


def test_a_cluster_keeps_its_last_host_and_loses_one_that_never_joined(world: RunningWorld) -> None:
    workspace = cast.kubernetes("only-one", hosts=1)
    host = last(workspace)
    refused = host_removal.start(host, confirm_name=host.name, actor=ALICE)
    assert isinstance(refused, Refused)
    assert refused.code == "last_host"
    Host.objects.create(workspace=workspace, name="only-one-w9")
    assert isinstance(host_removal.start(last(workspace), confirm_name="only-one-w9", actor=ALICE), Operation)


def test_a_second_last_host_that_became_the_last_one_is_kept_by_the_first_step(world: RunningWorld) -> None:
    workspace = hired.joined(world, "outnumbered")
    operation = start(workspace)
    workspace.hosts.filter(name="outnumbered-w1").update(node_name="")
    harness.drive(operation)
    assert (operation.state, operation.error_code) == ("failed", "last_host")
    assert len(hired.servers(workspace)) == 2


@pytest.mark.parametrize(("state", "code"), [("gated", "gated"), ("deleting", "not_active")])
def test_a_workspace_that_is_not_active_keeps_its_hosts(state: str, code: str) -> None:
    workspace = cast.kubernetes(state=state)
    refused = host_removal.start(last(workspace), confirm_name="ledger-prod-w3", actor=ALICE)
    assert isinstance(refused, Refused)
    assert refused.code == code


def test_a_second_click_is_refused_with_the_running_operation(workspace: Workspace) -> None:
    operation = start(workspace)
    refused = host_removal.start(last(workspace), confirm_name="ledger-prod-w3", actor=ALICE)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.evidence) == ("operation_running", {"operation": str(operation.pk)})
