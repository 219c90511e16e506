"""Upgrades against the simulated world: real Kubernetes client, real ansible-playbook over SSH, real rows."""

from __future__ import annotations

import django_rq
import pytest

from tests import cast
from tests.operations import harness
from tests.simulators.running import RunningWorld
from workspaces.models import Actor, Event, KubernetesVersion, Operation, Workspace
from workspaces.operations import connections, dispatch, engine, plans, upgrade
from workspaces.rules.refusal import Refused
from workspaces.rules.upgrades import Hop

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("empty_queues", "catalogue_rows"),
    pytest.mark.timeout(240),
]
ALICE = Actor("account", "Alice Ahrens")
HOP = Hop("1.34.8", "1.35.7", True, "Last hop: the workers move to 1.35.7.")


def start(workspace: Workspace, target: str = "1.35.7", *risks: str) -> Operation:
    """The operation that the click starts, with these risks taken."""
    operation = upgrade.start(workspace, target, actor=ALICE, accept=risks)
    assert isinstance(operation, Operation), operation
    return operation


def test_control_plane_and_hosts_move_and_the_tenant_itself_says_so(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("plain-sailing", hosts=2))
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    assert harness.nodes(workspace) == {
        "plain-sailing-w1": ("1.35.7", "True", False),
        "plain-sailing-w2": ("1.35.7", "True", False),
    }
    assert harness.version_patches(world, workspace) == ["v1.35.7"]
    workspace.refresh_from_db()
    assert workspace.kubernetes_version == "1.35.7"
    assert set(workspace.hosts.values_list("kubelet_version", flat=True)) == {"1.35.7"}
    assert operation.irreversible_since is not None
    assert list(Event.objects.acts().values_list("actor_name", "action").order_by("id")) == [
        ("Alice Ahrens", "upgrade.started"),
        ("Loopback", "upgrade.succeeded"),
    ]


def test_the_steps_are_the_documented_order_host_after_host(workspace: Workspace) -> None:
    keys = [(step.key, step.host) for step in upgrade.plan(workspace, [HOP])]
    assert keys[:5] == [("check", ""), ("set_version", ""), ("roll_out", ""), ("confirm", ""), ("kubeadm_config", "")]
    assert keys[5:11] == [
        ("kubeadm", "ledger-prod-w1"),
        ("cordon", "ledger-prod-w1"),
        ("drain", "ledger-prod-w1"),
        ("kubelet", "ledger-prod-w1"),
        ("verify", "ledger-prod-w1"),
        ("uncordon", "ledger-prod-w1"),
    ]
    assert keys[-1] == ("finish", "")
    assert len(keys) == 5 + 3 * 6 + 1


def test_two_hosts_at_once_are_closed_and_opened_together_and_the_third_comes_after(workspace: Workspace) -> None:
    workspace.upgrade_hosts_at_once = 2
    steps = [(step.key, step.host[-2:], step.safe_to_stop) for step in upgrade.plan(workspace, [HOP]) if step.host]
    assert steps[:6] == [
        ("kubeadm", "w1", True),
        ("kubeadm", "w2", True),
        ("cordon", "w1", True),
        ("cordon", "w2", False),
        ("drain", "w1", False),
        ("drain", "w2", False),
    ]
    assert steps[10:13] == [("uncordon", "w1", False), ("uncordon", "w2", False), ("kubeadm", "w3", True)]
    assert len(steps) == 18


def test_hosts_that_move_together_arrive_together(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("in-pairs", hosts=3, upgrade_hosts_at_once=2))
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    assert operation.parameters["pace"] == "2 at a time"
    assert set(harness.nodes(workspace).values()) == {("1.35.7", "True", False)}


def test_a_node_still_closed_by_the_upgrade_is_opened_at_the_end(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("left-closed", hosts=1))

    def closing(function):
        def run(context: engine.Context) -> engine.Outcome:
            if context.step.key == "finish":
                with connections.tenant(workspace) as cluster:
                    cluster.cordon("left-closed-w1", str(context.operation.pk))
            return function(context)

        return run

    operation = harness.drive(start(workspace), closing)
    assert operation.state == "succeeded", harness.story(operation)
    assert harness.nodes(workspace) == {"left-closed-w1": ("1.35.7", "True", False)}


def test_every_step_may_run_twice(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("twice-told", hosts=1))
    operation = harness.drive(start(workspace), harness.twice)
    assert operation.state == "succeeded", harness.story(operation)
    assert harness.nodes(workspace) == {"twice-told-w1": ("1.35.7", "True", False)}
    assert harness.version_patches(world, workspace) == ["v1.35.7"]


def test_a_failure_after_every_step_is_repeated_without_harm(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("lost-answers", hosts=1))
    failed: set[int] = set()
    operation = harness.drive(start(workspace), harness.failing_once_after(failed))
    assert operation.state == "succeeded", harness.story(operation)
    assert len(failed) == operation.steps.count() == 12
    assert harness.version_patches(world, workspace) == ["v1.35.7"]
    assert harness.nodes(workspace) == {"lost-answers-w1": ("1.35.7", "True", False)}


def test_a_worker_killed_at_every_step_costs_time_and_nothing_else(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("kill-nine", hosts=1))
    killed_at: set[int] = set()
    with harness.workers() as workers:

        def kill(operation: Operation) -> None:
            step = operation.steps.filter(state="running").first()
            if step and step.pk not in killed_at:
                killed_at.add(step.pk)
                workers.kill_all()

        operation = harness.watch(start(workspace), kill, limit=200)
    assert operation.state == "succeeded", harness.story(operation)
    assert workers.killed >= 4, "the long steps at least were met"
    assert harness.version_patches(world, workspace) == ["v1.35.7"]
    assert harness.nodes(workspace) == {"kill-nine-w1": ("1.35.7", "True", False)}


def test_an_emptied_redis_in_mid_run_costs_time_and_nothing_else(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("flushed", hosts=1))
    emptied: set[str] = set()
    with harness.workers() as running:
        assert running.processes

        def empty(operation: Operation) -> None:
            step = operation.steps.exclude(state__in=("done", "pending")).first()
            if step and step.key not in emptied:
                emptied.add(step.key)
                django_rq.get_connection("operations").flushdb()

        operation = harness.watch(start(workspace), empty, limit=200)
    assert operation.state == "succeeded", harness.story(operation)
    assert len(emptied) >= 4
    assert harness.version_patches(world, workspace) == ["v1.35.7"]
    assert harness.nodes(workspace) == {"flushed-w1": ("1.35.7", "True", False)}


def test_a_node_that_an_operator_closed_stays_closed(world: RunningWorld) -> None:
    made = cast.kubernetes("stays-closed", hosts=1)
    node = {"name": "stays-closed-w1", "kubelet": "v1.34.8", "ready": True, "unschedulable": True}
    workspace = harness.linked(world, made, nodes=[node])
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    assert harness.nodes(workspace) == {"stays-closed-w1": ("1.35.7", "True", True)}
    assert operation.steps.get(key="uncordon").message == "stays closed to new pods: somebody else had closed it"


def test_a_budget_that_never_yields_stops_the_upgrade_and_the_host_takes_pods_again(
    world: RunningWorld, settings: object
) -> None:
    settings.LOOPBACK_DRAIN_DEADLINE = 1  # type: ignore[attr-defined]
    stuck = {"namespace": "pay", "name": "api", "kind": "Deployment", "replicas": 2, "ready": 2}
    workloads = [stuck | {"budget": {"maxUnavailable": 0}}]
    workspace = harness.linked(world, cast.kubernetes("stubborn", hosts=2), workloads=workloads)
    operation = harness.drive(start(workspace, "1.35.7", "disruption_budgets"))
    assert (operation.state, operation.error_code) == ("failed", "budget_never_yields")
    assert "disruption budget pay/api asks for all of its 2 pods, so it never yields" in operation.error_message
    assert operation.error_who_can_fix.startswith("The owners of pay/api")
    assert harness.nodes(workspace) == {
        "stubborn-w1": ("1.34.8", "True", False),
        "stubborn-w2": ("1.34.8", "True", False),
    }
    workspace.refresh_from_db()
    assert workspace.kubernetes_version == "1.35.7", "the half-upgraded state is said as it is"
    assert workspace.attention.startswith("Upgrade stubborn from 1.34.8 to 1.35.7 failed.")


def test_a_stop_comes_after_the_host_in_hand_and_the_rest_is_done_later(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("half-way", hosts=2))
    operation = start(workspace)

    def stopping(function):
        def run(context: engine.Context) -> engine.Outcome:
            if context.step.key == "drain" and context.step.host == "half-way-w1":
                context.operation.request_stop(ALICE)
            return function(context)

        return run

    harness.drive(operation, stopping)
    assert operation.state == "stopped"
    assert harness.nodes(workspace) == {
        "half-way-w1": ("1.35.7", "True", False),
        "half-way-w2": ("1.34.8", "True", False),
    }
    assert operation.retry(ALICE) is None
    dispatch.run_soon(operation.pk)
    harness.drive(operation)
    assert operation.state == "succeeded"
    assert harness.nodes(workspace)["half-way-w2"] == ("1.35.7", "True", False)


def test_a_new_upgrade_to_the_same_version_finishes_the_hosts_left_behind(world: RunningWorld) -> None:
    workspace = harness.linked(
        world,
        cast.kubernetes("left-behind", hosts=2, version="1.35.7"),
        nodes=[{"name": f"left-behind-w{n}", "kubelet": v, "ready": True} for n, v in ((1, "v1.35.7"), (2, "v1.34.8"))],
    )
    workspace.hosts.filter(name="left-behind-w2").update(kubelet_version="1.34.8")
    operation = harness.drive(start(workspace, "1.35.7"))
    assert operation.state == "succeeded", harness.story(operation)
    assert {step.host for step in operation.steps.all()} == {"", "left-behind-w2"}
    assert harness.nodes(workspace)["left-behind-w2"] == ("1.35.7", "True", False)
    assert harness.version_patches(world, workspace) == []


def test_what_changed_between_the_click_and_the_first_step_is_noticed(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("withdrawn", hosts=1))
    operation = start(workspace)
    KubernetesVersion.objects.filter(version="1.35.7").update(active=False)
    harness.drive(operation)
    assert (operation.state, operation.error_code) == ("failed", "inactive_version")
    assert harness.version_patches(world, workspace) == []


def test_a_control_plane_that_never_gets_there_is_given_up_with_what_kamaji_said(
    world: RunningWorld, settings: object
) -> None:
    settings.LOOPBACK_CONTROL_PLANE_DEADLINE = 1  # type: ignore[attr-defined]
    workspace = harness.linked(world, cast.kubernetes("hangs", hosts=1))
    world.fault(service="kubernetes", target="ws-hangs/hangs", kind="upgrade_hang")
    operation = harness.drive(start(workspace))
    assert (operation.state, operation.error_code) == ("failed", "cloud_api")
    assert "Kamaji says Upgrading, running 1.34.8" in operation.error_message
    world.clear_faults()


def test_a_paused_control_plane_is_not_patched(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("on-pause", hosts=1), paused=True)
    operation = harness.drive(start(workspace))
    assert (operation.state, operation.error_code) == ("failed", "preflight_failed")
    assert "kamaji.clastix.io/paused" in operation.error_message
    assert harness.version_patches(world, workspace) == []


def test_a_control_plane_that_is_ahead_is_never_set_back(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("ahead", hosts=1))
    operation = start(workspace, "1.35.4")
    engine.run_one_step(operation.pk, plans.find)
    with connections.control_plane(workspace) as (kamaji, seen):
        kamaji.set_version(seen, "1.35.7")
    harness.drive(operation)
    assert (operation.state, operation.error_code) == ("failed", "conflict")
    assert harness.version_patches(world, workspace) == ["v1.35.7"]


def test_an_unreachable_host_is_retried_and_the_upgrade_goes_on_when_it_is_back(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("blinking", hosts=1))
    operation = start(workspace)
    while operation.steps.filter(key="kubeadm_config", state="pending").exists():
        engine.run_one_step(operation.pk, plans.find)
    world.fault(service="ssh", target="blinking-w1", kind="refuse", times=2)
    harness.drive(operation)
    assert operation.state == "succeeded", harness.story(operation)
    assert operation.steps.get(key="kubeadm").attempts >= 2


@pytest.mark.parametrize(
    ("fields", "target", "code"),
    [
        ({"state": "provisioning"}, "1.35.7", "not_active"),
        ({"state": "gated"}, "1.35.7", "gated"),
        ({}, "1.99.0", "unknown_version"),
        ({}, "nonsense", "unknown_version"),
        ({}, "1.35.6", "inactive_version"),
        ({}, "1.36.2", "not_reachable"),
        ({}, "1.34.8", "same_version"),
    ],
)
def test_the_click_is_refused_with_a_code(fields: dict[str, str], target: str, code: str) -> None:
    refused = upgrade.start(cast.kubernetes(**fields), target, actor=ALICE)
    assert isinstance(refused, Refused)
    assert refused.code == code
    assert refused.message
    assert Operation.objects.count() == 0


def test_a_baremetal_workspace_is_refused(metal: Workspace) -> None:
    refused = upgrade.start(metal, "1.35.7", actor=ALICE)
    assert isinstance(refused, Refused)
    assert refused.code == "not_kubernetes"


def test_a_second_click_is_refused_with_the_running_operation(workspace: Workspace) -> None:
    operation = start(workspace)
    refused = upgrade.start(workspace, "1.35.7", actor=ALICE)
    assert isinstance(refused, Refused)
    assert refused.code == "operation_running"
    assert refused.evidence["operation"] == str(operation.pk)


def test_every_key_of_the_plan_has_a_function(workspace: Workspace) -> None:
    assert all(plans.find("upgrade", step.key) for step in upgrade.plan(workspace, [HOP]))
