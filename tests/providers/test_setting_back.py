"""What is changed back in the world, under our name, and who had changed it: against the simulated vendors."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes import client

from tests.providers.small_platform import Platform
from tests.providers.test_hetzner import Project
from tests.providers.test_hetzner_servers import order, over, until
from tests.simulators.running import RunningWorld
from workspaces.providers.cluster import Cluster
from workspaces.providers.errors import Permanent, Temporary
from workspaces.providers.hetzner import Action
from workspaces.providers.kamaji import ControlPlane, Kamaji
from workspaces.providers.kubeconfig import connect
from workspaces.providers.managed_fields import OURS, owner_of, owners

REPLICAS = ("spec", "controlPlane", "deployment", "replicas")
PAUSED = ("metadata", "annotations", "kamaji.clastix.io/paused")
CLOSED = ("spec", "unschedulable")


@pytest.fixture
def platform(world: RunningWorld) -> Platform:
    return Platform(world)


@pytest.fixture
def project(world: Any) -> Project:
    return Project(world)


def outside(platform: Platform, manager: str, change: dict[str, Any]) -> None:
    """Somebody else changes the control plane, with a client that calls itself `manager`."""
    with connect(platform.kubeconfig, timeout=5) as api:
        client.CustomObjectsApi(api).patch_namespaced_custom_object(
            "kamaji.clastix.io",
            "v1alpha1",
            platform.namespace,
            "tenantcontrolplanes",
            platform.tenant,
            change,
            field_manager=manager,
        )


def manager(managed: Any, path: tuple[str, ...], besides: str = OURS) -> str:
    owner = owner_of(owners(managed), path, besides=besides)
    return owner.manager if owner else ""


# --- Control planes ---------------------------------------------------------------------------------------------------
def test_replicas_and_pause_are_set_back_and_were_somebody_elses(platform: Platform) -> None:
    outside(platform, "kubectl-edit", {"spec": {"controlPlane": {"deployment": {"replicas": 3}}}})
    outside(platform, "kubectl-annotate", {"metadata": {"annotations": {"kamaji.clastix.io/paused": "true"}}})
    with platform.kamaji() as kamaji:
        seen = platform.control_plane(kamaji)
        assert (seen.replicas, seen.paused) == (3, True)
        assert manager(seen.managed, REPLICAS) == "kubectl-edit"
        assert manager(seen.managed, PAUSED) == "kubectl-annotate"
        stored = kamaji.set_back(seen, {"replicas": 2, "paused": False})
        assert (stored.replicas, stored.paused) == (2, False)
        assert manager(stored.managed, REPLICAS, besides="") == OURS
        [listed] = [plane for plane in kamaji.control_planes() if plane.namespace == platform.namespace]
    assert (listed.replicas, listed.paused) == (2, False)
    assert manager(listed.managed, REPLICAS) == ""


def test_an_owner_tells_when_it_last_changed_something(platform: Platform) -> None:
    began = datetime.now(UTC) - timedelta(seconds=2)
    outside(platform, "kubectl-edit", {"spec": {"controlPlane": {"deployment": {"replicas": 3}}}})
    with platform.kamaji() as kamaji:
        owner = owner_of(owners(platform.control_plane(kamaji).managed), REPLICAS)
    assert owner is not None
    assert owner.at is not None
    assert began < owner.at <= datetime.now(UTC)


def test_a_pause_is_set_back_to_a_pause(platform: Platform) -> None:
    with platform.kamaji() as kamaji:
        stored = kamaji.set_back(platform.control_plane(kamaji), {"paused": True})
        assert stored.paused
        assert manager(stored.managed, PAUSED, besides="") == OURS


def test_who_changed_it_between_look_and_patch_is_not_overwritten(platform: Platform) -> None:
    with platform.kamaji() as kamaji:
        seen = platform.control_plane(kamaji)
        outside(platform, "flux", {"spec": {"controlPlane": {"deployment": {"replicas": 4}}}})
        with pytest.raises(Temporary) as caught:
            kamaji.set_back(seen, {"replicas": 2})
        assert caught.value.code == "conflict"
        assert platform.control_plane(kamaji).replicas == 4


def test_no_other_field_of_a_control_plane_is_set_back(platform: Platform) -> None:
    with platform.kamaji() as kamaji, pytest.raises(ValueError, match="kubernetes_version"):
        kamaji.set_back(platform.control_plane(kamaji), {"kubernetes_version": "1.34.8"})


def test_a_version_that_we_set_is_ours(platform: Platform) -> None:
    def version(kamaji: Kamaji) -> ControlPlane:
        return kamaji.set_version(platform.control_plane(kamaji), "1.36.2")

    with platform.kamaji() as kamaji:
        assert manager(version(kamaji).managed, ("spec", "kubernetes", "version"), besides="") == OURS


# --- Nodes ------------------------------------------------------------------------------------------------------------
def test_anybodys_cordon_is_undone_once_and_was_theirs(platform: Platform) -> None:
    with connect(platform.tenant_kubeconfig(), timeout=5) as api:
        client.CoreV1Api(api).patch_node("w1", {"spec": {"unschedulable": True}}, field_manager="kubectl-cordon")
    with platform.cluster() as cluster:
        [node] = [node for node in cluster.nodes() if node.unschedulable]
        assert (node.name, manager(node.managed, CLOSED)) == ("w1", "kubectl-cordon")
        assert cluster.open_to_pods("w1") is True
        assert cluster.open_to_pods("w1") is False
        assert not cluster.node("w1").unschedulable


def settled(cluster: Cluster) -> bool:
    """Open w2: while a controller notes the cordon on the node it is a conflict, and the next try does it."""
    for _ in range(20):
        try:
            return cluster.open_to_pods("w2")
        except Temporary as error:
            if error.code != "conflict":
                raise
            time.sleep(0.1)
    raise AssertionError("w2 never comes to rest")


def test_our_own_cordon_is_ours(platform: Platform) -> None:
    with platform.cluster() as cluster:
        after = cluster.cordon("w2", "operation-17")
        assert (manager(after.managed, CLOSED), manager(after.managed, CLOSED, besides="")) == ("", OURS)
        assert settled(cluster) is True
        opened = cluster.node("w2")
    assert (opened.unschedulable, opened.cordoned_by) == (False, "")


# --- Servers ----------------------------------------------------------------------------------------------------------
def test_a_server_gets_its_name_and_its_labels_back_at_once(project: Project) -> None:
    cloud = project.cloud
    id = order(cloud)[0].id
    before = cloud.server(id)
    renamed = cloud.update_server(id, name="old-web")
    assert (renamed.name, renamed.labels) == ("old-web", before.labels)
    labelled = cloud.update_server(id, labels={"loopback/host": "h-1", "team": "freight"})
    assert (labelled.name, labelled.labels) == ("old-web", {"loopback/host": "h-1", "team": "freight"})
    assert cloud.update_server(id, labels={}).labels == {}
    assert cloud.server(id).name == "old-web"
    assert "update" not in " ".join(action.command for action in cloud.actions_of(id))


def test_a_name_that_another_server_has_is_taken(project: Project) -> None:
    first, second = (order(project.cloud, name=name)[0].id for name in ("web-1", "web-2"))
    with pytest.raises(Permanent) as caught:
        project.cloud.update_server(second, name="web-1")
    assert caught.value.code == "name_taken"
    assert {project.cloud.server(id).name for id in (first, second)} == {"web-1", "web-2"}


def test_an_action_tells_when_it_ended_and_nothing_while_it_runs(project: Project) -> None:
    cloud = project.cloud
    id = order(cloud)[0].id
    until(cloud, id, "running")
    began = datetime.now(UTC) - timedelta(seconds=2)
    running = cloud.power_off(id)
    ended = over(cloud, running)
    assert ended.finished is not None
    assert began < ended.finished < datetime.now(UTC) + timedelta(seconds=2)
    assert ended.finished.utcoffset() == timedelta(0)


def test_an_action_that_runs_has_not_finished() -> None:
    shown = {"id": 1, "status": "running", "command": "stop_server", "error": None, "finished": None, "resources": []}
    answered = SimpleNamespace(**shown)
    assert Action.of(answered).finished is None


def test_the_newest_actions_of_all_servers_come_page_by_page_the_gone_ones_too(project: Project) -> None:
    cloud = project.cloud
    made = [order(cloud, name=f"w{number}")[0].id for number in range(25)]
    until(cloud, made[-1], "running")
    over(cloud, cloud.delete_server(made[-1]))
    newest, complete = cloud.recent_actions(1)
    assert (len(newest), complete) == (50, False)
    assert (newest[0].command, newest[0].servers) == ("delete_server", (made[-1],))
    assert [one.id for one in newest] == sorted((one.id for one in newest), reverse=True)
    every, complete = cloud.recent_actions(4)
    assert (len(every), complete) == (51, True)
    assert {server for one in every for server in one.servers} == set(made)
    assert cloud.recent_actions(0) == ([], False)
