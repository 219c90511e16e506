"""What a step says while it does not get on: the cause, the evidence and who can fix it; and that it heals."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.utils import timezone

from tests import cast
from tests.operations import harness
from tests.simulators.running import RunningWorld
from workspaces.models import Actor, Operation, Step, Workspace
from workspaces.operations import connections, diagnosis, engine, plans, upgrade
from workspaces.providers import ansible
from workspaces.providers.kamaji import ControlPlanePod, Waiting

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("empty_queues", "catalogue_rows"),
    pytest.mark.timeout(240),
]
ALICE = Actor("account", "Alice Ahrens")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for the cause at once."""
    monkeypatch.setattr(diagnosis, "PATIENCE", 0.0)


def start(workspace: Workspace) -> Operation:
    operation = upgrade.start(workspace, "1.35.7", actor=ALICE, accept=["disruption_budgets", "data_store"])
    assert isinstance(operation, Operation), operation
    return operation


def run_until(operation: Operation, reached: Callable[[Step], bool], *, limit: float = 60) -> Step:
    """Run due steps until the current one is as wanted."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        step = operation.steps.exclude(state__in=("done", "skipped")).order_by("position").first()
        assert step is not None, harness.story(operation)
        if reached(step):
            return step
        engine.run_one_step(operation.pk, plans.find)
        operation.refresh_from_db()
        assert operation.is_open, harness.story(operation)
        if operation.wake_at and operation.wake_at > timezone.now():
            time.sleep(0.05)
    raise AssertionError(harness.story(operation))


def held_up(operation: Operation, cause: str) -> Step:
    """The step that waits because of `cause`."""
    return run_until(operation, lambda step: step.cause == cause)


def before(operation: Operation, key: str) -> None:
    """Everything up to the step `key` is done."""
    run_until(operation, lambda step: step.key == key)


def heals(operation: Operation, *, limit: float = 120) -> None:
    """Once the cause is gone the upgrade goes on by itself, and nothing is said of it any more."""
    harness.drive(operation, limit=limit)
    assert operation.state == "succeeded", harness.story(operation)
    assert set(operation.steps.values_list("cause", "who_can_fix")) == {("", "")}


def test_an_image_that_cannot_be_pulled(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("no-image", hosts=1))
    world.fault(service="kubernetes", target="ws-no-image/no-image", kind="upgrade_hang")
    operation = start(workspace)
    step = held_up(operation, "image_cannot_be_pulled")
    assert step.key == "roll_out"
    assert "kube-apiserver:v1.35.7 cannot be pulled (ImagePullBackOff in pod no-image-" in step.message
    assert step.who_can_fix.startswith("Support staff, by withdrawing this version")
    world.clear_faults()
    heals(operation)


def test_pods_of_the_new_version_that_find_no_place(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("no-room", hosts=1))
    world.fault(service="kubernetes", target="ws-no-room/no-room", kind="no_capacity")
    operation = start(workspace)
    step = held_up(operation, "surge_pods_pending")
    assert step.key == "roll_out"
    assert "finds no place on the management cluster: 0/" in step.message
    assert step.who_can_fix == "The operator of the management cluster, by adding capacity. Kamaji goes on by itself."
    world.clear_faults()
    heals(operation)


def test_a_data_store_that_is_not_ready(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("no-store", hosts=1))
    assert workspace.management_cluster is not None
    operation = start(workspace)
    before(operation, "roll_out")
    world.fault(service="kubernetes", target=workspace.management_cluster.name, kind="datastore_down")
    step = held_up(operation, "data_store_not_ready")
    assert step.message == "data store default is not ready, and Kamaji waits for it"
    assert step.who_can_fix == "The operator of the management cluster, by bringing the data store back."
    world.clear_faults()
    heals(operation)


def test_an_annotation_that_keeps_kamaji_from_working(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("put-aside", hosts=1))
    operation = start(workspace)
    before(operation, "set_version")
    world.fault(service="kubernetes", target="ws-put-aside/put-aside", kind="upgrade_hang")
    before(operation, "roll_out")
    _annotate(workspace, "")
    step = held_up(operation, "paused")
    assert "kamaji.clastix.io/paused" in step.message
    assert step.who_can_fix == "The operator of the platform, by removing the annotation."
    world.clear_faults()
    _annotate(workspace, None)
    heals(operation)


def _annotate(workspace: Workspace, value: str | None) -> None:
    """Set or remove the annotation, as the operator of the management cluster does."""
    with connections.management(workspace.management_cluster) as kamaji:  # type: ignore[arg-type]
        kamaji._objects.patch_namespaced_custom_object(
            group="kamaji.clastix.io",
            version="v1alpha1",
            plural="tenantcontrolplanes",
            namespace=workspace.namespace,
            name=workspace.control_plane,
            body={"metadata": {"annotations": {"kamaji.clastix.io/paused": value}}},
        )


def test_a_tenant_whose_api_does_not_answer(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("silent-api", hosts=1))
    operation = start(workspace)
    before(operation, "set_version")
    world.fault(service="kubernetes", target="ws-silent-api/silent-api", kind="refuse")
    step = held_up(operation, "tenant_unreachable")
    assert step.key == "roll_out"
    assert "the tenant's API does not answer" in step.message
    assert step.who_can_fix == "The operator of the management cluster, by bringing the tenant's API server back."
    world.clear_faults()
    heals(operation)


def test_a_budget_that_never_yields(world: RunningWorld) -> None:
    api = {"namespace": "pay", "name": "api", "kind": "Deployment", "replicas": 2, "ready": 2}
    workloads = [api | {"budget": {"maxUnavailable": 0}}]
    workspace = harness.linked(world, cast.kubernetes("no-yield", hosts=2), workloads=workloads)
    step = held_up(start(workspace), "budget_never_yields")
    assert step.key == "drain"
    assert step.message.endswith("left: disruption budget pay/api asks for all of its 2 pods, so it never yields")
    assert step.who_can_fix == "The owners of pay/api: add a replica or allow one disruption."


def test_a_budget_that_waits_for_its_pods_is_told_from_one_that_never_yields(world: RunningWorld) -> None:
    api = {"namespace": "pay", "name": "api", "kind": "Deployment", "replicas": 3, "ready": 2}
    workloads = [api | {"budget": {"minAvailable": 2}}]
    workspace = harness.linked(world, cast.kubernetes("may-yield", hosts=2), workloads=workloads)
    step = held_up(start(workspace), "budget_blocks")
    # Of 3 pods, or of 4 while one that was evicted is still on its way out.
    assert "disruption budget pay/api allows no eviction now: 2 of " in step.message


def test_a_package_lock_on_a_host(world: RunningWorld, settings: object, tmp_path: Path) -> None:
    shipped = (Path(ansible.__file__).parent / "playbooks" / "kubeadm.yml").read_text()
    (tmp_path / "kubeadm.yml").write_text(shipped.replace("default(120)", "default(1)"))
    settings.LOOPBACK_PLAYBOOKS = str(tmp_path)  # type: ignore[attr-defined]
    workspace = harness.linked(world, cast.kubernetes("locked-up", hosts=1))
    world.fault(service="ssh", target="locked-up-w1", kind="apt_lock")
    operation = start(workspace)
    step = held_up(operation, "package_lock")
    assert step.key == "kubeadm"
    assert step.message.startswith("Another program on locked-up-w1 is installing packages at the moment")
    assert step.who_can_fix == (
        "Nobody, if it ends; else whoever runs the host, by ending the program that holds the lock."
    )
    world.clear_faults()
    heals(operation)


def test_a_host_that_cannot_be_reached(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("far-away", hosts=1))
    operation = start(workspace)
    before(operation, "kubeadm")
    world.fault(service="ssh", target="far-away-w1", kind="refuse")
    step = held_up(operation, "unreachable")
    assert step.message.startswith("far-away-w1 cannot be reached over SSH")
    world.clear_faults()
    heals(operation)


def test_a_node_that_does_not_come_back_says_whether_its_machine_answers(world: RunningWorld, settings: object) -> None:
    settings.LOOPBACK_NODE_DEADLINE = 1  # type: ignore[attr-defined]
    workspace = harness.linked(world, cast.kubernetes("no-return", hosts=1))
    operation = start(workspace)
    before(operation, "kubelet")
    world.fault(service="kubernetes", target="ws-no-return/no-return/no-return-w1", kind="lost_node")
    harness.drive(operation)
    assert (operation.state, operation.error_code) == ("failed", "unreachable")
    assert operation.error_message.endswith("It stays closed to new pods. The machine answers on SSH.")
    world.clear_faults()


def test_a_control_plane_that_crashes_again_and_again() -> None:
    waiting = Waiting("kube-apiserver", "registry.k8s.io/kube-apiserver:v1.35.7", "CrashLoopBackOff", "back-off 5m0s")
    born = datetime(2026, 11, 28, 2, tzinfo=UTC)
    pod = ControlPlanePod("ledger-7d9f", "Running", "1.35.7", False, (waiting,), "", born)
    found = diagnosis.of_pod(pod)
    assert found is not None
    assert (found.cause, found.message, found.who_can_fix) == (
        "control_plane_crashes",
        "container kube-apiserver of pod ledger-7d9f crashes again and again",
        "The operator of the management cluster: the container's log says why.",
    )


def test_a_question_that_cannot_be_asked_leaves_the_cause_open(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("ask-later", hosts=1))
    world.fault(service="kubernetes", target="ws-ask-later/ask-later", kind="upgrade_hang")
    operation = start(workspace)
    before(operation, "roll_out")
    assert workspace.management_cluster is not None
    for path in ("*/pods", "*/datastores/*"):
        world.fault(
            service="kubernetes", target=workspace.management_cluster.name, kind="status", status=403, path=path
        )
    step = run_until(operation, lambda step: step.state == "waiting" and step.attempts > 2)
    assert (step.key, step.cause) == ("roll_out", "")
    assert step.message == "Kamaji says Upgrading, running 1.34.8"
    world.clear_faults()
    heals(operation)


def test_a_version_that_cannot_be_pulled_makes_way_for_another_patch_of_its_minor(
    world: RunningWorld, settings: object
) -> None:
    settings.LOOPBACK_CONTROL_PLANE_DEADLINE = 1  # type: ignore[attr-defined]
    workspace = harness.linked(world, cast.kubernetes("other-patch", hosts=1))
    world.fault(service="kubernetes", target="ws-other-patch/other-patch", kind="upgrade_hang")
    operation = harness.drive(start(workspace))
    assert (operation.state, operation.error_code) == ("failed", "image_cannot_be_pulled")
    settings.LOOPBACK_CONTROL_PLANE_DEADLINE = 60  # type: ignore[attr-defined]
    Workspace.objects.filter(pk=workspace.pk).update(control_plane_wanted="1.35.7")
    workspace.refresh_from_db()
    other = upgrade.start(workspace, "1.35.4", actor=ALICE)
    assert isinstance(other, Operation), other
    before(other, "roll_out")
    world.clear_faults()
    heals(other)
    assert harness.version_patches(world, workspace) == ["v1.35.7", "v1.35.4"]
    assert harness.nodes(workspace) == {"other-patch-w1": ("1.35.4", "True", False)}
