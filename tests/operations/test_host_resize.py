"""Resizing hosts in the simulated world: a cloud that refuses and loses answers, nodes that leave and come back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.operations import harness, hired
from tests.operations.resizing import ALICE, ask, start
from tests.simulators.running import RunningWorld
from workspaces.models import Event, Operation, Workspace
from workspaces.operations import connections, engine, plans
from workspaces.rules.refusal import Refused

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("empty_queues", "catalogue_rows"),
    pytest.mark.timeout(240),
]
CHANGE = "*/actions/change_type"


# --- It becomes another type ------------------------------------------------------------------------------------------
def test_a_host_becomes_another_type_and_its_node_is_ready_on_another_boot(world: RunningWorld) -> None:
    workspace = hired.joined(world, "grows-up")
    boots = dict(boot_ids(workspace))
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    assert operation.title == "Resize grows-up-w2 from ccx13 to ccx23"
    assert hired.types(workspace) == {"grows-up-w1": ("ccx13", "running", 80), "grows-up-w2": ("ccx23", "running", 80)}
    assert harness.nodes(workspace) == {
        "grows-up-w1": ("1.34.8", "True", False),
        "grows-up-w2": ("1.34.8", "True", False),
    }
    after = boot_ids(workspace)
    assert after["grows-up-w1"] == boots["grows-up-w1"]
    assert after["grows-up-w2"] != boots["grows-up-w2"]
    host = workspace.hosts.get(name="grows-up-w2")
    assert (host.profile, host.disk_gb, host.provider_status, host.ready) == ("ccx23", 80, "running", True)
    assert operation.irreversible_since is None
    assert operation.parameters["price"]["profile"] == "ccx23"
    assert operation.parameters["price_before"]["profile"] == "ccx13"
    assert hired.begun(world, workspace, "POST", "*/actions/poweroff") == 0, "it was asked to shut down"
    assert list(Event.objects.acts().values_list("actor_name", "action").order_by("id")) == [
        ("Alice Ahrens", "host_resize.started"),
        ("Loopback", "host_resize.succeeded"),
    ]


def boot_ids(workspace: Workspace) -> dict[str, str]:
    """What the tenant says of the boots of its nodes."""
    with connections.tenant(workspace) as cluster:
        return {node.name: node.boot_id for node in cluster.nodes()}


def test_the_steps_are_sentences_and_none_stops_once_the_host_is_closed(world: RunningWorld) -> None:
    workspace = hired.joined(world, "in-order", hosts=1)
    operation = start(workspace, grow_disk=True)
    steps = operation.steps.values_list("key", "safe_to_stop", "irreversible", "stage", "host")
    assert list(steps) == [
        ("check", True, False, "", "in-order-w1"),
        ("cordon", True, False, "", "in-order-w1"),
        ("drain", False, False, "", "in-order-w1"),
        ("power_off", False, False, "", "in-order-w1"),
        ("change_type", False, True, "", "in-order-w1"),
        ("power_on", False, False, "", "in-order-w1"),
        ("verify", False, False, "", "in-order-w1"),
        ("uncordon", False, False, "", "in-order-w1"),
        ("finish", False, False, "", "in-order-w1"),
    ]
    assert all(plans.find("host_resize", step.key) for step in operation.steps.all())


def test_the_disk_grows_only_when_asked_and_then_for_good(world: RunningWorld) -> None:
    workspace = hired.joined(world, "with-disk", hosts=1)
    operation = harness.drive(start(workspace, grow_disk=True))
    assert operation.state == "succeeded", harness.story(operation)
    assert operation.title == "Resize with-disk-w1 from ccx13 to ccx23, with its disk"
    assert hired.types(workspace) == {"with-disk-w1": ("ccx23", "running", 160)}
    assert operation.irreversible_since is not None
    assert workspace.hosts.get().disk_gb == 160
    back = ask(workspace, "ccx13", price=Decimal("14.49"))
    assert isinstance(back, Refused)
    assert (back.code, back.evidence) == ("disk_too_small", {"disk_gb": 160})


def test_a_host_that_kept_its_disk_finds_its_way_back(world: RunningWorld) -> None:
    workspace = hired.joined(world, "there-and-back", hosts=1)
    assert harness.drive(start(workspace)).state == "succeeded"
    operation = harness.drive(start(workspace, "ccx13", price=Decimal("14.49")))
    assert operation.state == "succeeded", harness.story(operation)
    assert hired.types(workspace) == {"there-and-back-w1": ("ccx13", "running", 80)}


def test_bare_metal_is_resized_and_answers_on_ssh(world: RunningWorld) -> None:
    workspace = hired.metal(world, "iron-servers")
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    assert [step.key for step in operation.steps.all()] == [
        "check", "power_off", "change_type", "power_on", "verify", "finish",
    ]  # fmt: skip
    assert operation.steps.get(key="verify").message == "answers on SSH"
    assert hired.types(workspace) == {"iron-servers-1": ("ccx23", "running", 80)}


# --- Twice, lost, killed ----------------------------------------------------------------------------------------------
def test_every_step_may_run_twice(world: RunningWorld) -> None:
    workspace = hired.joined(world, "said-twice")
    operation = harness.drive(start(workspace, grow_disk=True), harness.twice)
    assert operation.state == "succeeded", harness.story(operation)
    assert hired.types(workspace)["said-twice-w2"] == ("ccx23", "running", 160)
    assert hired.begun(world, workspace, "POST", CHANGE) == 1
    assert set(harness.nodes(workspace).values()) == {("1.34.8", "True", False)}


def test_a_failure_after_every_step_is_repeated_without_harm(world: RunningWorld) -> None:
    workspace = hired.joined(world, "answers-lost")
    failed: set[int] = set()
    operation = harness.drive(start(workspace), harness.failing_once_after(failed))
    assert operation.state == "succeeded", harness.story(operation)
    assert len(failed) == operation.steps.count() == 9
    assert hired.types(workspace)["answers-lost-w2"] == ("ccx23", "running", 80)
    assert hired.begun(world, workspace, "POST", CHANGE) == 1
    assert set(harness.nodes(workspace).values()) == {("1.34.8", "True", False)}


def test_a_worker_killed_while_the_host_goes_down_and_comes_back_costs_time_and_nothing_else(
    world: RunningWorld,
) -> None:
    workspace = hired.joined(world, "kill-minus-nine")
    killed_at: set[int] = set()
    with harness.workers() as workers:

        def kill(operation: Operation) -> None:
            step = operation.steps.filter(state="running").first()
            if step and step.key in ("power_off", "change_type", "power_on") and step.pk not in killed_at:
                killed_at.add(step.pk)
                workers.kill_all()

        operation = harness.watch(start(workspace), kill, limit=200)
    assert operation.state == "succeeded", harness.story(operation)
    assert workers.killed >= 1
    assert hired.types(workspace)["kill-minus-nine-w2"] == ("ccx23", "running", 80)
    assert set(harness.nodes(workspace).values()) == {("1.34.8", "True", False)}


@pytest.mark.parametrize("path", ["*/actions/shutdown", CHANGE])
def test_an_answer_that_is_lost_is_found_in_what_the_server_is(world: RunningWorld, path: str) -> None:
    workspace = hired.joined(world, f"lost-{path.rpartition('/')[2].replace('_', '-')}")
    operation = start(workspace)
    world.fault(service="hetzner", target=workspace.name, kind="lost_answer", method="POST", path=path, times=1)
    harness.drive(operation)
    assert operation.state == "succeeded", harness.story(operation)
    assert hired.types(workspace)[f"{workspace.name}-w2"] == ("ccx23", "running", 80)
    assert hired.begun(world, workspace, "POST", CHANGE) <= 1
    assert set(harness.nodes(workspace).values()) == {("1.34.8", "True", False)}


# --- Refused: it runs on as before ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "code", "says"),
    [
        ("sold_out", "no_capacity", "the requested resource is currently unavailable"),
        ("resource_limit", "quota", "server limit exceeded"),
        ("action_failed", "cloud_api", "accepted it and then failed"),
    ],
)
def test_available_and_then_refused_leaves_the_host_running_as_it_was(
    world: RunningWorld, kind: str, code: str, says: str
) -> None:
    workspace = hired.joined(world, f"refused-{kind.replace('_', '-')}")
    name = f"{workspace.name}-w2"
    operation = start(workspace, grow_disk=True)
    world.fault(service="hetzner", target=workspace.name, kind=kind, path=CHANGE)
    harness.drive(operation)
    assert (operation.state, operation.error_code) == ("failed", code), harness.story(operation)
    assert operation.error_message.startswith(f"{name} was not resized: Hetzner Cloud")
    assert says in operation.error_message
    assert operation.error_message.endswith("It runs on as ccx13, as before.")
    assert hired.types(workspace) == {f"{workspace.name}-w1": ("ccx13", "running", 80), name: ("ccx13", "running", 80)}
    assert harness.nodes(workspace)[name] == ("1.34.8", "True", False)
    assert operation.irreversible_since is None, "no disk has grown"
    host = workspace.hosts.get(name=name)
    assert (host.profile, host.disk_gb, host.ready) == ("ccx13", 80, True)
    assert operation.steps.filter(state="done").count() == 8
    workspace.refresh_from_db()
    assert workspace.attention.startswith(f"Resize {name} from ccx13 to ccx23, with its disk failed.")


def test_a_provider_that_does_not_answer_for_long_gets_the_host_back_on_its_old_type(
    world: RunningWorld, settings: Any
) -> None:
    settings.LOOPBACK_PATIENCE_SECONDS = 4
    workspace = hired.joined(world, "no-answer", hosts=1)
    operation = start(workspace)
    world.fault(service="hetzner", target="no-answer", kind="status", status=503, method="POST", path=CHANGE)
    harness.drive(operation)
    assert (operation.state, operation.error_code) == ("failed", "cloud_api"), harness.story(operation)
    assert operation.error_message.endswith("It runs on as ccx13, as before.")
    assert operation.steps.get(key="change_type").attempts >= 2
    assert hired.types(workspace) == {"no-answer-w1": ("ccx13", "running", 80)}
    assert harness.nodes(workspace) == {"no-answer-w1": ("1.34.8", "True", False)}


def test_an_answer_that_came_to_nothing_but_was_a_yes_counts_as_a_yes(world: RunningWorld, settings: Any) -> None:
    settings.LOOPBACK_PATIENCE_SECONDS = 0
    workspace = hired.joined(world, "silent-yes", hosts=1)
    operation = start(workspace, grow_disk=True)
    world.fault(service="hetzner", target="silent-yes", kind="lost_answer", method="POST", path=CHANGE)
    harness.drive(operation)
    assert operation.steps.get(key="change_type").message.startswith("given up.")
    assert operation.state == "succeeded", harness.story(operation)
    assert hired.types(workspace) == {"silent-yes-w1": ("ccx23", "running", 160)}
    assert operation.irreversible_since is not None


def test_a_system_that_does_not_shut_down_has_its_power_cut(world: RunningWorld, settings: Any) -> None:
    settings.LOOPBACK_SHUTDOWN_SECONDS = 1
    workspace = hired.joined(world, "hangs-on", hosts=1)
    operation = start(workspace)
    world.fault(service="hetzner", target="hangs-on", kind="no_shutdown")
    harness.drive(operation)
    assert operation.state == "succeeded", harness.story(operation)
    assert hired.begun(world, workspace, "POST", "*/actions/poweroff") == 1
    assert operation.lines.filter(text="hangs-on-w1 has not shut down in 1 s: its power is cut", level="warn").exists()
    assert hired.types(workspace) == {"hangs-on-w1": ("ccx23", "running", 80)}


def test_a_server_that_cannot_be_switched_off_is_opened_again(world: RunningWorld) -> None:
    workspace = hired.joined(world, "stays-on", hosts=1)
    operation = start(workspace)
    world.fault(
        service="hetzner", target="stays-on", kind="status", status=422, method="POST", path="*/actions/shutdown"
    )
    harness.drive(operation)
    assert (operation.state, operation.error_code) == ("failed", "configuration"), harness.story(operation)
    assert harness.nodes(workspace) == {"stays-on-w1": ("1.34.8", "True", False)}
    assert hired.begun(world, workspace, "POST", CHANGE) == 0


def test_a_host_that_somebody_starts_in_between_is_left_running(world: RunningWorld) -> None:
    workspace = hired.joined(world, "meddled-with", hosts=1)
    cloud = connections.cloud(workspace.hosts.all()[0].provider_account)

    def meddling(function: engine.StepFunction) -> engine.StepFunction:
        def run(context: engine.Context) -> engine.Outcome:
            if context.step.key == "change_type":
                cloud.power_on(hired.servers(workspace)[0].id)
            return function(context)

        return run

    operation = harness.drive(start(workspace), meddling)
    assert (operation.state, operation.error_code) == ("failed", "conflict"), harness.story(operation)
    assert operation.error_message == (
        "meddled-with-w1 was not resized: Somebody has started it while it was to be off. "
        "It runs on as ccx13, as before."
    )
    assert harness.nodes(workspace) == {"meddled-with-w1": ("1.34.8", "True", False)}


def test_what_was_refused_once_may_be_had_the_next_time(world: RunningWorld) -> None:
    workspace = hired.joined(world, "second-try", hosts=1)
    refused = start(workspace)
    world.fault(service="hetzner", target="second-try", kind="sold_out", path=CHANGE, times=1)
    harness.drive(refused)
    assert (refused.state, refused.error_code) == ("failed", "no_capacity")
    assert refused.error_who_can_fix == "An administrator, by starting a new resize: later, or to another profile."
    assert refused.retry(ALICE) is None
    harness.drive(refused)
    assert (refused.state, refused.error_code) == ("failed", "no_capacity"), "its host was brought back, so it is over"
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    assert hired.types(workspace) == {"second-try-w1": ("ccx23", "running", 80)}


def test_metal_that_never_answered_is_not_waited_for(world: RunningWorld) -> None:
    workspace = hired.metal(world, "mute-iron")
    workspace.hosts.update(ansible={"ansible_host": "127.0.0.1", "ansible_port": 1})
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    assert operation.steps.get(key="verify").message == "runs; it had not answered on SSH before either"
