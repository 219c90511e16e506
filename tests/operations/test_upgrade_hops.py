"""Upgrades over several hops, hosts that are left out, and risks that somebody takes, in the simulated world."""

from __future__ import annotations

import pytest

from tests import cast
from tests.operations import harness
from tests.simulators.running import RunningWorld
from workspaces.models import Actor, Event, Host, KubernetesVersion, Operation, Preflight, Workspace
from workspaces.operations import dispatch, engine, plans, upgrade
from workspaces.rules.refusal import Refused

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("empty_queues", "catalogue_rows"),
    pytest.mark.timeout(240),
]
ALICE = Actor("account", "Alice Ahrens")


def start(workspace: Workspace, target: str = "1.36.2", through: tuple[str, ...] | None = ("1.35.7",)) -> Operation:
    operation = upgrade.start(workspace, target, actor=ALICE, through=through)
    assert isinstance(operation, Operation), operation
    return operation


def run_until(operation: Operation, key: str, host: str = "") -> None:
    """Run steps until the next one is `key` on `host`."""
    for _ in range(400):
        step = operation.steps.exclude(state__in=("done", "skipped")).order_by("position").first()
        if step is None or (step.key == key and step.host == host):
            return
        engine.run_one_step(operation.pk, plans.find)
        Operation.objects.filter(pk=operation.pk).update(wake_at=None)
    raise AssertionError(harness.story(operation))


def test_two_hops_move_the_control_plane_twice_and_the_workers_once(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("two-hops", hosts=1))
    operation = start(workspace)
    assert operation.title == "Upgrade two-hops from 1.34.8 to 1.36.2 in 2 hops"
    assert [(hop["from"], hop["to"], hop["workers_move"]) for hop in operation.parameters["hops"]] == [
        ("1.34.8", "1.35.7", False),
        ("1.35.7", "1.36.2", True),
    ]
    assert [(step.hop, step.key) for step in operation.steps.all()] == [
        *((1, key) for key in ("check", "set_version", "roll_out", "confirm", "kubeadm_config")),
        *((2, key) for key in ("check", "set_version", "roll_out", "confirm", "kubeadm_config")),
        *((2, key) for key in ("kubeadm", "cordon", "drain", "kubelet", "verify", "uncordon", "finish")),
    ]
    harness.drive(operation)
    assert operation.state == "succeeded", harness.story(operation)
    assert harness.version_patches(world, workspace) == ["v1.35.7", "v1.36.2"]
    assert harness.nodes(workspace) == {"two-hops-w1": ("1.36.2", "True", False)}
    assert list(operation.preflights.order_by("asked_at").values_list("target", flat=True)) == ["1.35.7", "1.36.2"]


def test_every_step_of_several_hops_may_run_twice(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("hops-twice", hosts=1))
    operation = harness.drive(start(workspace), harness.twice)
    assert operation.state == "succeeded", harness.story(operation)
    assert harness.version_patches(world, workspace) == ["v1.35.7", "v1.36.2"]


def test_a_hop_that_is_withdrawn_meanwhile_stops_the_plan_there_and_it_goes_on_later(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("withdrawn-hop", hosts=1))
    operation = start(workspace)

    def withdrawing(function):
        def run(context: engine.Context) -> engine.Outcome:
            if (context.step.hop, context.step.key) == (1, "confirm"):
                KubernetesVersion.objects.filter(version="1.36.2").update(active=False)
            return function(context)

        return run

    harness.drive(operation, withdrawing)
    assert (operation.state, operation.error_code) == ("failed", "inactive_version")
    assert harness.version_patches(world, workspace) == ["v1.35.7"]
    assert harness.nodes(workspace) == {"withdrawn-hop-w1": ("1.34.8", "True", False)}
    workspace.refresh_from_db()
    assert workspace.kubernetes_version == "1.35.7"
    KubernetesVersion.objects.filter(version="1.36.2").update(active=True)
    assert operation.retry(ALICE) is None
    harness.drive(operation)
    assert operation.state == "succeeded", harness.story(operation)
    assert harness.version_patches(world, workspace) == ["v1.35.7", "v1.36.2"]
    assert harness.nodes(workspace) == {"withdrawn-hop-w1": ("1.36.2", "True", False)}


def test_several_hops_are_made_only_by_the_way_that_was_shown(workspace: Workspace) -> None:
    refused = upgrade.start(workspace, "1.36.2", actor=ALICE, through=["1.35.4"])
    assert isinstance(refused, Refused)
    assert (refused.code, refused.evidence["through"]) == ("route_changed", ["1.35.7"])
    refused = upgrade.start(workspace, "1.36.2", actor=ALICE)
    assert isinstance(refused, Refused)
    assert refused.code == "not_reachable"
    assert Operation.objects.count() == 0


# --- Hosts that are left out ------------------------------------------------------------------------------------------
def test_a_host_that_does_not_answer_is_left_out_and_the_others_arrive(world: RunningWorld, settings: object) -> None:
    settings.LOOPBACK_PATIENCE_SECONDS = 1  # type: ignore[attr-defined]
    workspace = harness.linked(world, cast.kubernetes("one-dead", hosts=2))
    operation = start(workspace, "1.35.7", None)
    run_until(operation, "kubeadm", "one-dead-w1")
    world.fault(service="ssh", target="one-dead-w1", kind="refuse")
    harness.drive(operation)
    assert (operation.state, operation.error_code) == ("failed", "unreachable")
    assert operation.skip_host("one-dead-w1", "the board is being replaced", ALICE) is None
    assert operation.retry(ALICE) is None
    harness.drive(operation)
    assert operation.state == "succeeded", harness.story(operation)
    assert harness.nodes(workspace) == {
        "one-dead-w1": ("1.34.8", "True", False),
        "one-dead-w2": ("1.35.7", "True", False),
    }
    assert operation.steps.get(key="finish").message == (
        "every host that takes part runs 1.35.7; left as they are: one-dead-w1 (1.34.8)"
    )
    skipped = operation.steps.filter(host="one-dead-w1").values_list("state", "skipped_by", "message")
    assert set(skipped) == {("skipped", "Alice Ahrens", "the board is being replaced")}
    assert Event.objects.filter(action="operation.host_skipped").get().summary == (
        "Left one-dead-w1 as it is in “Upgrade one-dead from 1.34.8 to 1.35.7”: the board is being replaced"
    )
    world.clear_faults()


def test_a_host_left_out_after_it_was_closed_is_opened_before_the_next_one_is_touched(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("closed-out", hosts=2))
    operation = start(workspace, "1.35.7", None)
    run_until(operation, "kubelet", "closed-out-w1")
    assert harness.nodes(workspace)["closed-out-w1"] == ("1.34.8", "True", True)
    assert operation.skip_host("closed-out-w1", "no time", ALICE) is None
    harness.drive(operation)
    assert operation.state == "succeeded", harness.story(operation)
    assert harness.nodes(workspace) == {
        "closed-out-w1": ("1.34.8", "True", False),
        "closed-out-w2": ("1.35.7", "True", False),
    }


def test_a_host_is_not_left_out_while_a_worker_is_at_it(workspace: Workspace) -> None:
    operation = start(workspace, "1.35.7", None)
    host = workspace.hosts.order_by("name")[0].name
    operation.steps.filter(hop=0, host="").update(state="done")
    step = operation.steps.filter(host=host).order_by("position")[0]
    step.state = "running"
    step.save()
    Operation.objects.filter(pk=operation.pk).update(
        state="running", lease_token="6f0f2b9e-0000-4000-8000-000000000000"
    )
    refused = operation.skip_host(host, "quick", ALICE)
    assert refused is not None
    assert refused.code == "host_busy"
    refused = operation.skip_host("nobody", "quick", ALICE)
    assert refused is not None
    assert refused.code == "nothing_left"
    assert not operation.steps.filter(state="skipped").exists()


# --- Risks that somebody takes ----------------------------------------------------------------------------------------
def stuck(world: RunningWorld, name: str) -> Workspace:
    """A workspace with a budget that allows nothing."""
    api = {"namespace": "pay", "name": "api", "kind": "Deployment", "replicas": 2, "ready": 2}
    return harness.linked(world, cast.kubernetes(name, hosts=2), workloads=[api | {"budget": {"maxUnavailable": 0}}])


def test_the_first_step_stops_at_a_risk_nobody_has_taken_and_goes_on_when_somebody_does(
    world: RunningWorld, settings: object
) -> None:
    settings.LOOPBACK_DRAIN_DEADLINE = 1  # type: ignore[attr-defined]
    workspace = stuck(world, "risky")
    operation = harness.drive(start(workspace, "1.35.7", None))
    assert (operation.state, operation.error_code) == ("failed", "preflight_failed")
    assert "pay/api" in operation.error_message
    assert harness.version_patches(world, workspace) == [], "nothing has moved"
    assert operation.retry(ALICE, ["disruption_budgets"]) is None
    assert [(risk["code"], risk["by"]) for risk in operation.parameters["accepted_risks"]] == [
        ("disruption_budgets", "Alice Ahrens")
    ]
    act = Event.objects.get(action="upgrade.risk_accepted")
    assert act.summary == "Accepted the risk of disruption_budgets: Upgrade risky from 1.34.8 to 1.35.7"
    dispatch.run_soon(operation.pk)
    harness.drive(operation)
    assert harness.version_patches(world, workspace) == ["v1.35.7"], "the risk was taken"
    assert operation.error_code == "budget_never_yields", "and it was one"


def test_what_keeps_the_last_hop_is_told_before_the_first_is_made(world: RunningWorld) -> None:
    workspace = stuck(world, "told-first")
    operation = harness.drive(start(workspace))
    assert (operation.state, operation.error_code) == ("failed", "preflight_failed")
    assert "pay/api" in operation.error_message
    assert harness.version_patches(world, workspace) == [], "the hop of the control plane alone has not been made"
    again = upgrade.start(workspace, "1.36.2", actor=ALICE, through=["1.35.7"])
    assert isinstance(again, Refused)
    assert again.code == "preflight_failed"
    shorter = upgrade.start(workspace, "1.35.7", actor=ALICE)
    assert isinstance(shorter, Operation), "what was seen is about the longer way"


def test_what_a_recent_look_has_found_refuses_the_click_unless_the_risk_is_taken(world: RunningWorld) -> None:
    workspace = stuck(world, "known-risk")
    harness.drive(start(workspace, "1.35.7", None))
    assert Preflight.objects.filter(workspace=workspace).count() == 1
    refused = upgrade.start(workspace, "1.35.7", actor=ALICE)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.evidence["checks"]) == ("preflight_failed", ["disruption_budgets"])
    refused = upgrade.start(workspace, "1.35.7", actor=ALICE, accept=["version_skew"])
    assert isinstance(refused, Refused)
    assert refused.code == "unknown_risk"
    assert isinstance(upgrade.start(workspace, "1.35.7", actor=ALICE, accept=["disruption_budgets"]), Operation)


def test_what_one_look_could_not_tell_another_one_may(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("piece-by-piece", hosts=1))
    tenant = {"service": "kubernetes", "target": "ws-piece-by-piece/piece-by-piece"}
    operation = start(workspace, "1.35.7", None)
    for path, unknown in (("/metrics", {"deprecated_apis"}), ("/api/v1/pods", set())):
        world.fault(**tenant, kind="status", status=500, path=path)
        engine.run_one_step(operation.pk, plans.find)
        kept = operation.preflights.get()
        assert {one["code"] for one in kept.checks if one["result"] == "cannot_tell"} == unknown
        assert kept.blast["pods"] == 3
        world.clear_faults()
        Operation.objects.filter(pk=operation.pk).update(wake_at=None)
    assert operation.steps.get(key="check").state == "done"


def test_automatic_work_never_begins_when_something_cannot_be_told(world: RunningWorld, settings: object) -> None:
    settings.LOOPBACK_PREFLIGHT_PATIENCE_SECONDS = 0  # type: ignore[attr-defined]
    workspace = harness.linked(world, cast.kubernetes("unattended", hosts=1))
    world.fault(service="kubernetes", target="ws-unattended/unattended", kind="status", path="*/metrics", status=500)
    by_hand = start(workspace, "1.35.7", None)
    Operation.objects.filter(pk=by_hand.pk).update(lane="routine", window_opens_at="2026-11-28T02:00:00Z")
    harness.drive(by_hand)
    assert (by_hand.state, by_hand.error_code) == ("failed", "preflight_failed")
    assert harness.version_patches(world, workspace) == []
    assert Host.objects.filter(workspace=workspace, kubelet_version="1.34.8").count() == 1
    world.clear_faults()
