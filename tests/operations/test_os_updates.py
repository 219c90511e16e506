"""Operating system updates of a window against the simulated world: real ansible-playbook over SSH, real drains."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests import cast
from tests.operations import harness
from tests.simulators.running import RunningWorld
from workspaces.models import PLATFORM, Decision, Host, MaintenancePlan, Operation, PackageUpdate, Workspace
from workspaces.operations import connections, maintenance, os_updates

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("empty_queues", "catalogue_rows"),
    pytest.mark.timeout(240),
]
OPENSSL = {"package": "openssl", "from": "3.5.1-1", "version": "3.5.4-1+deb13u2", "security": True}
TZDATA = {"package": "tzdata", "from": "2026a-0", "version": "2026b-0"}
KERNEL = {"package": "linux-image-amd64", "from": "6.12.40-1", "version": "6.12.57-1", "security": True, "reboot": True}


def start(workspace: Workspace, **parameters: Any) -> Operation:
    """The run that the scheduler starts for a routine window."""
    operation = Operation.start(
        workspace,
        os_updates.KIND,
        f"Maintain {workspace.name}",
        os_updates.plan(workspace),
        actor=PLATFORM,
        parameters={"os": "all", "packages": [], "advisories": [], **parameters},
    )
    assert isinstance(operation, Operation), operation
    return operation


def installed(operation: Operation) -> list[tuple[str, str, str, str, bool]]:
    """What was recorded, host by host."""
    columns = ("host_name", "package", "from_version", "to_version", "security")
    return list(PackageUpdate.objects.filter(operation=operation).values_list(*columns))


def messages(operation: Operation, key: str) -> list[str]:
    return list(operation.steps.filter(key=key).order_by("position").values_list("message", flat=True))


def boots(workspace: Workspace) -> dict[str, str]:
    """The boot ids of the nodes as the tenant tells them."""
    with connections.tenant(workspace) as cluster:
        return {node.name: node.boot_id for node in cluster.nodes()}


def test_updates_are_installed_and_recorded_host_by_host_and_nothing_restarts_without_need(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("calm-sea", hosts=2), updates=[OPENSSL, TZDATA])
    before = boots(workspace)
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    assert installed(operation) == [
        ("calm-sea-w1", "openssl", "3.5.1-1", "3.5.4-1+deb13u2", True),
        ("calm-sea-w1", "tzdata", "2026a-0", "2026b-0", False),
        ("calm-sea-w2", "openssl", "3.5.1-1", "3.5.4-1+deb13u2", True),
        ("calm-sea-w2", "tzdata", "2026a-0", "2026b-0", False),
    ]
    assert messages(operation, "updates") == ["2 packages installed, 1 of them for security"] * 2
    assert messages(operation, "os_drain") == ["no restart needed"] * 2
    assert messages(operation, "os_finish") == ["4 packages on 2 hosts, no restart"]
    assert boots(workspace) == before
    host = Host.objects.get(name="calm-sea-w1")
    assert (host.restart_needed, host.held_back, host.updated_at is not None) == (False, [], True)
    again = harness.drive(start(workspace))
    assert messages(again, "updates") == ["nothing to install"] * 2
    assert installed(again) == []


def test_a_window_updates_hosts_and_then_moves_kubernetes_to_the_furthest_patch(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("night-run", hosts=1), updates=[OPENSSL])
    opens_at = datetime(2026, 11, 25, 2, tzinfo=UTC)
    assert maintenance.run_due(opens_at) == {"started": 1}
    operation = harness.drive(Operation.objects.get())
    assert operation.state == "succeeded", harness.story(operation)
    assert [row[1] for row in installed(operation)] == ["openssl"]
    assert harness.nodes(workspace) == {"night-run-w1": ("1.34.11", "True", False)}
    assert harness.version_patches(world, workspace) == ["v1.34.11"]
    decision = Decision.objects.get()
    assert (decision.outcome, decision.operation) == ("started", operation)


def test_with_nothing_but_kubernetes_to_do_the_window_starts_an_upgrade(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("only-kube", hosts=1))
    MaintenancePlan.objects.update(compute_auto_update=False)
    assert maintenance.run_due(datetime(2026, 11, 25, 2, tzinfo=UTC)) == {"started": 1}
    operation = harness.drive(Operation.objects.get())
    assert (operation.kind, operation.state) == ("upgrade", "succeeded"), harness.story(operation)
    assert harness.nodes(workspace) == {"only-kube-w1": ("1.34.11", "True", False)}


def test_a_node_that_an_ended_run_left_closed_is_opened_by_the_next_one(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("left-closed-os", hosts=1), updates=[KERNEL])
    dead = start(workspace)
    with connections.tenant(workspace) as cluster:
        cluster.cordon("left-closed-os-w1", str(dead.pk))
    Operation.objects.filter(pk=dead.pk).update(state="failed")
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    assert messages(operation, "os_cordon") == [
        "was left closed by an operation that has ended, and opens with this one"
    ]
    assert harness.nodes(workspace) == {"left-closed-os-w1": ("1.34.8", "True", False)}


def test_a_host_that_must_restart_is_drained_first_and_comes_back_on_another_boot(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("new-kernel", hosts=2), updates=[KERNEL])
    before = boots(workspace)
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    after = boots(workspace)
    assert all(after[name] != before[name] for name in before)
    assert harness.nodes(workspace) == {
        "new-kernel-w1": ("1.34.8", "True", False),
        "new-kernel-w2": ("1.34.8", "True", False),
    }
    order = [(step.key, step.host[-2:]) for step in operation.steps.order_by("started_at", "position") if step.host]
    assert order[:6] == [
        ("updates", "w1"),
        ("os_cordon", "w1"),
        ("os_drain", "w1"),
        ("restart", "w1"),
        ("os_verify", "w1"),
        ("os_uncordon", "w1"),
    ]
    assert order[6] == ("updates", "w2")
    assert messages(operation, "os_finish") == ["2 packages on 2 hosts, 2 restarts"]
    assert not Host.objects.filter(workspace=workspace, restart_needed=True).exists()


def test_bare_metal_restarts_and_is_reached_again_over_ssh(world: RunningWorld) -> None:
    workspace = harness.linked_metal(world, cast.baremetal("iron-one", hosts=1), updates=[KERNEL])
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    assert [step.key for step in operation.steps.all()] == ["os_check", "updates", "restart", "os_verify", "os_finish"]
    restart = operation.steps.get(key="restart")
    host = workspace.hosts.get()
    assert host.boot_id
    assert host.boot_id != restart.memory["boot_id"]


def test_the_priority_lane_installs_what_was_flagged_and_nothing_else(world: RunningWorld) -> None:
    workspace = harness.linked_metal(world, cast.baremetal("iron-two", hosts=1), updates=[OPENSSL, TZDATA, KERNEL])
    operation = harness.drive(start(workspace, os="security", packages=["openssl", "tzdata"]))
    assert operation.state == "succeeded", harness.story(operation)
    # tzdata was flagged, but its update comes from no security archive.
    assert [row[1] for row in installed(operation)] == ["openssl"]


def test_a_held_package_stays_and_is_told(world: RunningWorld) -> None:
    containerd = {"package": "containerd", "version": "2.2.1-1"}
    workspace = harness.linked(
        world, cast.kubernetes("on-hold", hosts=1), updates=[containerd, TZDATA], held=["containerd"]
    )
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    assert [row[1] for row in installed(operation)] == ["tzdata"]
    assert messages(operation, "updates") == ["1 package installed, on hold and left: containerd"]
    assert workspace.hosts.get().held_back == ["containerd"]


def test_no_host_is_touched_while_another_is_not_ready(world: RunningWorld) -> None:
    nodes = [
        {"name": "one-down-w1", "kubelet": "v1.34.8", "ready": True},
        {"name": "one-down-w2", "kubelet": "v1.34.8", "ready": False},
    ]
    workspace = harness.linked(world, cast.kubernetes("one-down", hosts=2), updates=[KERNEL], nodes=nodes)
    operation = harness.drive(start(workspace))
    assert operation.state == "failed"
    assert operation.error_message == "Not Ready: one-down-w2. No other host is updated meanwhile."
    assert installed(operation) == []


def test_a_host_that_cannot_be_managed_is_left_out_and_named(world: RunningWorld) -> None:
    workspace = harness.linked_metal(world, cast.baremetal("iron-three", hosts=2), updates=[TZDATA])
    workspace.hosts.filter(name="iron-three-2").update(ansible={})
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    assert [row[0] for row in installed(operation)] == ["iron-three-1"]
    assert operation.lines.filter(level="warn").first().text == "iron-three-2 cannot be managed and is left out"


def test_a_host_that_does_not_answer_is_left_out_named_and_keeps_nobody_from_updating(
    world: RunningWorld, settings
) -> None:
    settings.LOOPBACK_SSH_PATIENCE_SECONDS = 0
    workspace = harness.linked_metal(world, cast.baremetal("iron-four", hosts=2), updates=[TZDATA])
    host = workspace.hosts.get(name="iron-four-1")
    host.ansible["ansible_port"] = 9
    host.save()
    operation = harness.drive(start(workspace))
    assert operation.state == "failed"
    assert operation.error_message == (
        "Left out, because they cannot be reached over SSH: iron-four-1. The other hosts are updated."
    )
    assert [row[0] for row in installed(operation)] == ["iron-four-2"]
    assert messages(operation, "updates")[0] == "left out: it cannot be reached over SSH"


def test_every_step_may_run_twice(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("twice-over", hosts=1), updates=[OPENSSL, KERNEL])
    operation = harness.drive(start(workspace), harness.twice)
    assert operation.state == "succeeded", harness.story(operation)
    assert [row[1] for row in installed(operation)] == ["linux-image-amd64", "openssl"]
    assert harness.nodes(workspace) == {"twice-over-w1": ("1.34.8", "True", False)}


def test_a_failure_after_each_step_is_repeated_and_does_nothing_twice(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("fails-once", hosts=1), updates=[KERNEL])
    operation = harness.drive(start(workspace), harness.failing_once_after(set()))
    assert operation.state == "succeeded", harness.story(operation)
    reboots = [
        entry
        for entry in world.journal(service="ssh", target="fails-once-w1", method="EXEC")
        if entry["path"] == "systemctl reboot"
    ]
    assert len(reboots) == 1
    assert len(installed(operation)) == 1
