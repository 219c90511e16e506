"""Ordering hosts in the simulated world: a real cloud client, real SSH and Ansible, a cluster that is joined."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from django.utils import timezone

from tests.operations import harness, hired
from tests.operations.ordering import (
    ALICE,
    bootstrap_tokens,
    cluster,
    metal_in_the_cloud,
    orders,
    run_until,
    start,
)
from tests.simulators.running import RunningWorld
from workspaces.models import Event, Host, LogLine, Operation, Step, Workspace
from workspaces.operations import engine, plans
from workspaces.providers.bootstrap_tokens import BootstrapToken
from workspaces.rules import labels

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("empty_queues", "catalogue_rows"),
    pytest.mark.timeout(300),
]
CHANGING = ("placement", "create", "reach", "prepare", "join")


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The secrets of the bootstrap tokens that were made, to look for them everywhere."""
    made: list[str] = []
    new = BootstrapToken.new

    def remembered() -> BootstrapToken:
        token = new()
        made.append(token.secret)
        return token

    monkeypatch.setattr(BootstrapToken, "new", remembered)
    return made


def everything_stored() -> str:
    """Every text that people can read of operations."""
    return "\n".join(
        str(row)
        for model in (Operation, Step, LogLine, Event, Host, Workspace)
        for row in model._default_manager.values_list()
    )


@pytest.mark.shipped_playbooks
def test_a_server_is_ordered_and_becomes_a_ready_node(world: RunningWorld, tokens: list[str]) -> None:
    workspace = cluster(world, "gets-one")
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    assert harness.nodes(workspace) == {
        "gets-one-w1": ("1.34.8", "True", False),
        "gets-one-w2": ("1.34.8", "True", False),
    }
    (server,) = hired.servers(workspace)
    host = workspace.hosts.get(name="gets-one-w2")
    assert (server.name, server.status, server.server_type) == ("gets-one-w2", "running", "ccx13")
    assert server.labels == labels.of_host(workspace.pk, host.pk, operation.pk)
    assert (host.provider_id, host.provider_account) == (server.id, workspace.provider_account)
    assert (host.profile, host.location, host.disk_gb, host.provider_status) == ("ccx13", "fsn1", 80, "running")
    assert (host.node_name, host.kubelet_version, host.ready) == ("gets-one-w2", "1.34.8", True)
    assert host.ansible["ansible_host"] == server.ipv4
    assert host.ansible["ansible_user"] == "root"
    assert host.ssh_key is not None
    assert host.known_hosts.startswith(f"[{server.ipv4}]:")
    workspace.refresh_from_db()
    assert (workspace.host_count, workspace.hosts_ready, workspace.attention) == (2, 2, "")
    assert operation.irreversible_since is not None
    assert orders(world, workspace) == [201]
    the_trail_says_what_was_ordered_and_for_how_much(operation, server.id)
    the_packages_are_held_at_the_clusters_version(world, operation)
    the_token_was_used_once_and_is_told_to_nobody(world, operation, tokens)


def the_trail_says_what_was_ordered_and_for_how_much(operation: Operation, server: int) -> None:
    acts = Event.objects.acts().filter(workspace_id=operation.workspace_id).order_by("id")
    assert list(acts.values_list("actor_name", "action", "summary")) == [
        ("Alice Ahrens", "host_order.started", "Order host gets-one-w2, ccx13 in fsn1"),
        (
            "Alice Ahrens",
            "host.ordered",
            f"Ordered gets-one-w2, ccx13 in fsn1: 14.99 EUR a month at most. Server {server}.",
        ),
        ("Loopback", "host_order.succeeded", "Order host gets-one-w2, ccx13 in fsn1: succeeded"),
    ]
    assert acts[1].changes["price"] == [None, operation.parameters["price"]]
    assert "SHA256:" in operation.lines.get(text__startswith="Its host key").text


def the_packages_are_held_at_the_clusters_version(world: RunningWorld, operation: Operation) -> None:
    commands = [one["path"] for one in world.journal(service="ssh", target="gets-one-w2", method="EXEC")]
    assert "apt-mark hold kubeadm kubelet kubectl" in commands
    assert any("kubeadm=1.34.8-* kubelet=1.34.8-* kubectl=1.34.8-*" in command for command in commands)
    assert operation.steps.get(key="prepare").message == "containerd and Kubernetes 1.34.8"


def the_token_was_used_once_and_is_told_to_nobody(world: RunningWorld, operation: Operation, tokens: list[str]) -> None:
    (join,) = world.journal(service="ssh", target="gets-one-w2", path="kubeadm join*")
    (token,) = tokens
    assert token in join["path"]
    assert token not in everything_stored()
    assert bootstrap_tokens(operation.workspace) == []
    assert operation.steps.get(key="join").memory == {"token": ""}


def test_a_baremetal_host_is_registered(world: RunningWorld) -> None:
    workspace = metal_in_the_cloud(world, "bare-metal")
    operation = harness.drive(start(workspace))
    assert operation.state == "succeeded", harness.story(operation)
    host = workspace.hosts.get(name="bare-metal-w2")
    assert (host.node_name, host.ready, host.ready_message) == ("", True, "")
    assert host.os_name == "Debian GNU/Linux 13 (trixie)"
    assert host.boot_id
    assert [server.name for server in hired.servers(workspace)] == ["bare-metal-w2"]
    workspace.refresh_from_db()
    assert (workspace.host_count, workspace.hosts_ready) == (2, 2)


@pytest.mark.shipped_playbooks
def test_every_step_may_run_twice(world: RunningWorld) -> None:
    workspace = cluster(world, "all-twice")
    operation = harness.drive(start(workspace), harness.twice)
    assert operation.state == "succeeded", harness.story(operation)
    assert orders(world, workspace) == [201]
    assert harness.nodes(workspace)["all-twice-w2"] == ("1.34.8", "True", False)
    joins = world.journal(service="ssh", target="all-twice-w2", path="kubeadm join*")
    assert len(joins) == 1
    assert Event.objects.filter(action="host.ordered").count() == 1


def test_every_step_may_run_twice_on_bare_metal(world: RunningWorld) -> None:
    workspace = metal_in_the_cloud(world, "metal-twice")
    operation = harness.drive(start(workspace), harness.twice)
    assert operation.state == "succeeded", harness.story(operation)
    assert orders(world, workspace) == [201]


def test_a_failure_after_every_step_costs_time_and_nothing_else(world: RunningWorld) -> None:
    workspace = cluster(world, "all-fail")
    operation = harness.drive(start(workspace), harness.failing_once_after(set()))
    assert operation.state == "succeeded", harness.story(operation)
    assert all(step.attempts >= 2 for step in operation.steps.all())
    assert orders(world, workspace) == [201]
    assert harness.nodes(workspace)["all-fail-w2"] == ("1.34.8", "True", False)
    assert bootstrap_tokens(workspace) == []


@pytest.mark.timeout(500)
def test_a_worker_killed_at_every_step_that_changes_something_costs_time_and_nothing_else(world: RunningWorld) -> None:
    workspace = cluster(world, "all-killed")
    killed_at: set[int] = set()
    with harness.workers() as workers:

        def kill(operation: Operation) -> None:
            step = operation.steps.filter(state="running", key__in=CHANGING).first()
            if step and step.pk not in killed_at:
                killed_at.add(step.pk)
                workers.kill_all()

        operation = harness.watch(start(workspace), kill, limit=450)
    assert operation.state == "succeeded", harness.story(operation)
    assert workers.killed >= 3, "the long steps at least were met"
    assert len(hired.servers(workspace)) == 1
    assert [status for status in orders(world, workspace) if status == 201] == [201]
    assert harness.nodes(workspace)["all-killed-w2"] == ("1.34.8", "True", False)
    assert bootstrap_tokens(workspace) == []


# --- What a person has to look at -------------------------------------------------------------------------------------
def test_a_machine_that_never_answers_is_given_up_and_the_order_goes_on_when_it_does(
    world: RunningWorld, settings: Any
) -> None:
    settings.LOOPBACK_BOOT_DEADLINE = 1
    workspace = cluster(world, "silent")
    operation = start(workspace)
    run_until(operation, "reach")
    world.fault(service="ssh", target="silent-w2", kind="refuse")
    harness.drive(operation)
    assert (operation.state, operation.error_code) == ("failed", "unreachable")
    assert operation.error_message.startswith("silent-w2 has not answered on SSH in")
    assert "console" in operation.error_who_can_fix
    world.clear_faults()
    settings.LOOPBACK_BOOT_DEADLINE = 60
    assert operation.retry(ALICE) is None
    harness.drive(operation)
    assert operation.state == "succeeded", harness.story(operation)


def test_a_host_key_that_changes_after_the_first_contact_is_refused(world: RunningWorld) -> None:
    workspace = cluster(world, "other-key")
    operation = start(workspace)
    run_until(operation, "prepare")
    host = workspace.hosts.get(name="other-key-w2")
    other = workspace.hosts.get(name="other-key-w1").known_hosts.split(maxsplit=1)[1]
    Host.objects.filter(pk=host.pk).update(known_hosts=f"{host.known_hosts.split()[0]} {other}")
    harness.drive(operation)
    assert (operation.state, operation.error_code) == ("failed", "credential")
    assert "another host key" in operation.error_message


def test_a_join_that_fails_says_what_kubeadm_said_and_leaves_no_token(world: RunningWorld, tokens: list[str]) -> None:
    workspace = cluster(world, "not-taken")
    operation = start(workspace)
    run_until(operation, "join")
    world.fault(service="ssh", target="not-taken-w2", kind="status", path="kubeadm join*", times=1)
    harness.drive(operation)
    assert (operation.state, operation.error_code) == ("failed", "configuration")
    assert "kubeadm: simulated failure" in operation.error_message
    assert bootstrap_tokens(workspace) == []
    assert tokens[0] not in everything_stored()
    assert operation.retry(ALICE) is None
    harness.drive(operation)
    assert operation.state == "succeeded", harness.story(operation)
    assert len(tokens) == 2


def test_the_token_of_a_worker_that_died_is_removed_by_the_next(world: RunningWorld, tokens: list[str]) -> None:
    workspace = cluster(world, "died-there")
    operation = start(workspace)
    run_until(operation, "join")

    def dies(*_: object, **__: object) -> None:
        raise SystemExit  # as near to a kill as a test in this process comes

    with pytest.MonkeyPatch.context() as patch, suppress(SystemExit):
        patch.setattr("workspaces.operations.connections.run_playbook", dies)
        patch.setattr("workspaces.providers.cluster.Cluster.remove_bootstrap_token", dies)
        engine.run_one_step(operation.pk, plans.find)
    assert len(bootstrap_tokens(workspace)) == 1
    Operation.objects.filter(pk=operation.pk).update(lease_until=timezone.now())
    harness.drive(operation)
    assert operation.state == "succeeded", harness.story(operation)
    assert bootstrap_tokens(workspace) == []
    assert len(tokens) == 2
