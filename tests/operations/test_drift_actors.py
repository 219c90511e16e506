"""Who changed what, as the vendors' own APIs tell it: asked of the simulated ones after somebody else was there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from kubernetes import client

from tests.providers.small_platform import Platform
from tests.providers.test_hetzner import Project
from tests.providers.test_hetzner_servers import order, over, until
from tests.simulators.running import RunningWorld
from workspaces.operations import drift_actors
from workspaces.providers.kubeconfig import connect
from workspaces.rules.drift import Actor, Difference, SeenControlPlane, SeenNode, of_control_plane, of_node

WANTED = {"kubernetes_version": "1.35.4", "replicas": 2, "paused": False}


@pytest.fixture
def project(world: Any) -> Project:
    return Project(world)


def of(field: str, wanted: Any = "a", seen: Any = "b") -> Difference:
    return Difference("host", "h1", "Server w1", field, wanted, seen)


def running(project: Project, name: str = "w1") -> int:
    id = order(project.cloud, name=name)[0].id
    until(project.cloud, id, "running")
    return id


def asked(project: Project) -> list[str]:
    """Paths of what was asked about actions."""
    return [one["path"].split("?")[0] for one in project.world.journal(target=project.name) if "actions" in one["path"]]


# --- Objects ----------------------------------------------------------------------------------------------------------
def test_each_field_of_a_control_plane_has_the_actor_that_changed_it(world: RunningWorld) -> None:
    platform = Platform(world)
    changes = [
        ("flux", {"spec": {"kubernetes": {"version": "v1.36.2"}}}),
        ("kubectl-edit", {"spec": {"controlPlane": {"deployment": {"replicas": 3}}}}),
        ("kubectl-annotate", {"metadata": {"annotations": {"kamaji.clastix.io/paused": "true"}}}),
    ]
    with connect(platform.kubeconfig, timeout=5) as api:
        for manager, change in changes:
            client.CustomObjectsApi(api).patch_namespaced_custom_object(
                "kamaji.clastix.io",
                "v1alpha1",
                platform.namespace,
                "tenantcontrolplanes",
                platform.tenant,
                change,
                field_manager=manager,
            )
    with platform.kamaji() as kamaji:
        plane = platform.control_plane(kamaji)
    seen = SeenControlPlane(plane.wanted_version, plane.replicas, plane.paused)
    found = of_control_plane(WANTED, seen, drift_actors.of_control_plane(plane.managed))
    assert [(one.field, one.seen, one.actor) for one in found] == [
        ("kubernetes_version", "1.36.2", "flux"),
        ("replicas", 3, "kubectl-edit"),
        ("paused", True, "kubectl-annotate"),
    ]
    assert all(one.actor_at and datetime.now(UTC) - one.actor_at < timedelta(minutes=1) for one in found)


def test_a_field_that_is_not_there_any_more_has_no_actor(world: RunningWorld) -> None:
    platform = Platform(world)
    with platform.kamaji() as kamaji:
        plane = platform.control_plane(kamaji)
    assert drift_actors.of_control_plane(plane.managed)("paused") == Actor()
    assert drift_actors.of_control_plane(())("replicas") == Actor()


def test_a_cordon_has_the_actor_that_made_it(world: RunningWorld) -> None:
    platform = Platform(world)
    with connect(platform.tenant_kubeconfig(), timeout=5) as api:
        client.CoreV1Api(api).patch_node("w1", {"spec": {"unschedulable": True}}, field_manager="kubectl-cordon")
    with platform.cluster() as cluster:
        node = cluster.node("w1")
    actor = drift_actors.of_node(node.managed)
    [found] = of_node({}, SeenNode(node.unschedulable), ref="h1", node="w1", actor=actor)
    assert found.actor == "kubectl-cordon"


# --- Servers ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("pages", [4, 0])
def test_a_server_that_is_off_names_the_action_that_ended_last(project: Project, pages: int) -> None:
    id = running(project)
    who = drift_actors.of_servers(project.cloud, {"h1": id}, pages=pages)
    ended = over(project.cloud, project.cloud.power_off(id))
    until(project.cloud, id, "off")
    assert who(uuid4(), of("power")) == Actor("Hetzner Cloud action stop_server", ended.finished)
    assert who(uuid4(), of("server_type")) == Actor()


@pytest.mark.parametrize("pages", [4, 0])
def test_a_changed_type_names_its_action_and_power_nobody_as_it_started_again(project: Project, pages: int) -> None:
    id = running(project)
    over(project.cloud, project.cloud.power_off(id))
    until(project.cloud, id, "off")
    ended = over(project.cloud, project.cloud.change_type(id, "ccx23", grow_disk=False))
    who = drift_actors.of_servers(project.cloud, {"h1": id}, pages=pages)
    assert who(uuid4(), of("server_type")) == Actor("Hetzner Cloud action change_server_type", ended.finished)
    assert who(uuid4(), of("power")) == Actor()


def test_a_deleted_server_names_the_action_that_outlives_it(project: Project) -> None:
    id = running(project)
    project.cloud.delete_server(id)
    while id in {server.id for server in project.cloud.servers()}:
        pass
    found = drift_actors.of_servers(project.cloud, {"h1": id})(uuid4(), of("gone", "w1", None))
    assert found.name == "Hetzner Cloud action delete_server"


def test_actions_are_listed_once_for_all_servers_of_a_look(project: Project) -> None:
    first, second = running(project, "w1"), running(project, "w2")
    over(project.cloud, project.cloud.power_off(second))
    before = len(asked(project))
    who = drift_actors.of_servers(project.cloud, {"h1": first, "h2": second})
    told = [who(uuid4(), Difference("host", ref, "x", "power", "running", "off")).name for ref in ("h1", "h2", "h3")]
    assert told == ["", "Hetzner Cloud action stop_server", ""]
    assert [path.rpartition("/v1")[2] for path in asked(project)[before:]] == ["/servers/actions"]


@pytest.mark.parametrize("field", ["name", "labels.loopback/host"])
def test_what_is_changed_without_an_action_asks_nobody(project: Project, field: str) -> None:
    id = order(project.cloud)[0].id
    before = len(asked(project))
    assert drift_actors.of_servers(project.cloud, {"h1": id})(uuid4(), of(field)) == Actor()
    assert len(asked(project)) == before


@pytest.mark.parametrize("pages", [4, 0])
def test_a_cloud_that_does_not_tell_leaves_it_unknown(project: Project, pages: int) -> None:
    id = running(project)
    over(project.cloud, project.cloud.power_off(id))
    project.fault(kind="status", status=503)
    assert drift_actors.of_servers(project.cloud, {"h1": id}, pages=pages)(uuid4(), of("power")) == Actor()
