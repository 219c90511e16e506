"""What changes by itself goes through the recorded states: upgrades, sleep, deletion, restarts of kubelets, a drain."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workspaces.simulators.clusters.bootstrap import add_namespace
from workspaces.simulators.clusters.kinds import CONTROL_PLANES, NODES

from .cluster_world import LiveClusters, running_clusters, until
from .replay import CONTRACTS, Replay
from .test_honesty_kubernetes import check

NAMESPACE = "c-upgrade"
TENANT_ROWS = ("spec_version", "status_version", "status")


def sequences(file: str) -> dict[str, dict[str, Any]]:
    return {s["name"]: s for s in json.loads((CONTRACTS / file).read_text())["sequences"]}


def once(rows: list[Any]) -> list[tuple[Any, ...]]:
    """Without repetitions: the recorders noted other fields too."""
    return [tuple(row) for row, _ in itertools.groupby(rows)]


class ControlPlane:
    """One TenantControlPlane under observation through its store: no state is missed."""

    def __init__(self, live: LiveClusters, name: str, annotations: dict[str, str] | None = None) -> None:
        self._live, self.name, self.rows = live, name, [[None, None, None]]
        self._client = live.raw_client({"management": "mgmt"}, {})
        self._store = live.clusters.managements["mgmt"].store
        live.call(self._store.subscribe, self._note)
        self.send("POST", "", minimal(name, annotations))
        self.wait_for(("v1.35.9", "v1.35.9", "Ready"))

    def _note(self, change: Any) -> None:
        if change.resource == CONTROL_PLANES and change.document["metadata"]["name"] == self.name:
            self.rows.append(self._row(None if change.kind == "DELETED" else change.document))

    @staticmethod
    def _row(document: dict[str, Any] | None) -> list[Any]:
        if document is None:
            return ["gone", None, None]
        state = document.get("status", {}).get("kubernetesResources", {}).get("version", {})
        return [document["spec"]["kubernetes"]["version"], state.get("version"), state.get("status")]

    def send(self, method: str, path: str, body: dict[str, Any] | None) -> None:
        base = f"/apis/kamaji.clastix.io/v1alpha1/namespaces/{NAMESPACE}/tenantcontrolplanes"
        headers = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else {}
        request = {"method": method, "path": base + path, "headers": headers}
        answer = self._client.send("management", request, json.dumps(body) if body else None)
        assert answer.status in (200, 201), answer.text

    def restart(self) -> None:
        """Forgets what was observed but the present state."""
        self.rows[:] = self.rows[-1:]

    def wait_for(self, row: tuple[Any, ...], seconds: float = 8.0) -> None:
        deadline = time.monotonic() + seconds
        while tuple(self.rows[-1]) != row:
            assert time.monotonic() < deadline, f"{row} did not come: {once(self.rows)}"
            time.sleep(0.01)


def minimal(name: str, annotations: dict[str, str] | None) -> dict[str, Any]:
    recorded = sequences("16-upgrade-sequences.json")["create"]["request"]["body"]
    metadata = {"name": name, "namespace": NAMESPACE, "annotations": annotations or {}}
    return {**recorded, "metadata": metadata}


@pytest.fixture
def kamaji(tmp_path: Path) -> Iterator[LiveClusters]:
    spec = {"management_clusters": [{"name": "mgmt", "version": "v1.36.2", "kamaji_max": "v1.36.0"}]}
    with running_clusters(tmp_path, spec, phase=0.2) as live:
        live.call(add_namespace, live.clusters.managements["mgmt"].store, NAMESPACE)
        yield live


def recorded_order(name: str) -> list[tuple[Any, ...]]:
    return once(sequences("16-upgrade-sequences.json")[name]["match"]["order"])


def upgrade(plane: ControlPlane, name: str) -> None:
    request = sequences("16-upgrade-sequences.json")[name]["request"]
    plane.restart()
    plane.send("PATCH", f"/{plane.name}", request["body"])


def test_creation_and_a_minor_upgrade_go_through_the_recorded_states(kamaji: LiveClusters) -> None:
    plane = ControlPlane(kamaji, "tenant1")
    created = recorded_order("create")
    assert [row for row in once(plane.rows) if row[0]] == [(s, v or None, t) for s, v, t in created]
    upgrade(plane, "upgrade-minor")
    plane.wait_for(("v1.36.2", "v1.36.2", "Ready"))
    assert once(plane.rows) == recorded_order("upgrade-minor")
    upgrade(plane, "upgrade-patch-outage")
    plane.wait_for(("v1.36.3", "v1.36.3", "Ready"))
    assert once(plane.rows) == recorded_order("upgrade-patch-outage")


def test_what_is_left_after_upgrade_and_deletion_is_as_recorded(kamaji: LiveClusters) -> None:
    plane = ControlPlane(kamaji, "tenant1")
    upgrade(plane, "upgrade-minor")
    plane.wait_for(("v1.36.2", "v1.36.2", "Ready"))
    client = kamaji.raw_client({"management": "mgmt"}, {"tenant": f"{NAMESPACE}/tenant1"})
    replay = Replay("16-upgrade-sequences.json", client, {}, {})
    before, after = replay.document["exchanges"][:3], replay.document["exchanges"][3:]
    replay.document = {"exchanges": [{**e, "poll": "repeat until it matches, at most 2 s"} for e in before]}
    check("16-upgrade-sequences.json", replay.run())
    plane.restart()
    plane.send("DELETE", "/tenant1", None)
    plane.wait_for(("gone", None, None))
    assert once(plane.rows) == [("v1.36.2", "v1.36.2", "Ready"), ("gone", None, None)]
    replay.document, replay.failures = {"exchanges": after}, {}
    assert replay.run() == {}


def test_an_upgrade_that_cannot_be_pulled_stays_upgrading(kamaji: LiveClusters) -> None:
    plane = ControlPlane(kamaji, "stuck")
    kamaji.add_fault(f"{NAMESPACE}/stuck", "upgrade_hang")
    upgrade(plane, "upgrade-stuck")
    plane.wait_for(("v1.36.2", "v1.35.9", "Upgrading"))
    time.sleep(0.6)
    assert once(plane.rows) == recorded_order("upgrade-stuck")


def test_an_upgrade_that_falls_over_stays_not_ready_or_recovers(kamaji: LiveClusters) -> None:
    plane = ControlPlane(kamaji, "flap")
    upgrade(plane, "upgrade-flap")
    plane.wait_for(("v1.36.2", "v1.35.9", "Upgrading"))
    kamaji.add_fault(f"{NAMESPACE}/flap", "not_ready")
    plane.wait_for(("v1.36.2", "v1.35.9", "NotReady"))
    time.sleep(0.4)
    assert once(plane.rows) == recorded_order("upgrade-notready")
    kamaji.call(kamaji.faults.clear)
    plane.wait_for(("v1.36.2", "v1.36.2", "Ready"))
    assert once(plane.rows) == recorded_order("upgrade-flap")


def test_an_upgrade_of_an_unreachable_tenant_stays_ready_at_the_old_version(kamaji: LiveClusters) -> None:
    plane = ControlPlane(kamaji, "blocked")
    kamaji.add_fault(f"{NAMESPACE}/blocked", "refuse")
    upgrade(plane, "upgrade-blocked")
    time.sleep(0.6)
    assert once(plane.rows) == recorded_order("upgrade-blocked")


def test_a_paused_control_plane_does_nothing_and_its_deletion_hangs(kamaji: LiveClusters) -> None:
    plane = ControlPlane(kamaji, "paused")
    plane.send("PATCH", "/paused", {"metadata": {"annotations": {"kamaji.clastix.io/paused": ""}}})
    upgrade(plane, "upgrade-paused")
    time.sleep(0.6)
    assert once(plane.rows) == recorded_order("upgrade-paused")
    plane.restart()
    plane.send("DELETE", "/paused", None)
    time.sleep(0.4)
    assert once(plane.rows) == recorded_order("delete-paused")


def test_a_control_plane_without_replicas_sleeps_and_wakes(kamaji: LiveClusters) -> None:
    plane = ControlPlane(kamaji, "sleepy")
    plane.restart()
    plane.send("PATCH", "/sleepy/scale", {"spec": {"replicas": 0}})
    plane.wait_for(("v1.35.9", "v1.35.9", "Sleeping"))
    assert once(plane.rows) == recorded_order("sleep")
    plane.restart()
    plane.send("PATCH", "/sleepy/scale", {"spec": {"replicas": 2}})
    plane.wait_for(("v1.35.9", "v1.35.9", "Ready"))
    assert once(plane.rows) == recorded_order("wake")


@pytest.fixture
def workers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LiveClusters]:
    """Two workers; a phase of 0.05 s unless the test asks for another."""
    nodes = [{"name": f"hollow-{n}", "kubelet": "v1.35.9", "internal_ip": f"10.0.0.{n}"} for n in range(2)]
    tenant = {"namespace": "tenants", "name": "t", "version": "v1.36.2", "nodes": nodes}
    spec = {"management_clusters": [{"name": "mgmt", "version": "v1.36.2", "tenants": [tenant]}]}
    with running_clusters(tmp_path, spec, phase=getattr(request, "param", 0.05)) as live:
        yield live


def node_rows(live: LiveClusters, name: str) -> list[list[Any]]:
    """Ready, reason and version of a node, now and at every change."""
    store = live.clusters.managements["mgmt"].tenants["tenants/t"].store

    def row(document: dict[str, Any]) -> list[Any]:
        ready = next(c for c in document["status"]["conditions"] if c["type"] == "Ready")
        return [ready["status"], ready["reason"], document["status"]["nodeInfo"]["kubeletVersion"]]

    rows = [row(store.get(NODES, "", name))]

    def note(change: Any) -> None:
        if change.resource == NODES and change.document["metadata"]["name"] == name:
            rows.append([None, None, None] if change.kind == "DELETED" else row(change.document))

    live.call(store.subscribe, note)
    return rows


def test_every_recorded_node_sequence_is_tested() -> None:
    tested = {"first-start", "idle-heartbeats", "restart-newer", "restart-slow", "restart-same", "deleted-node"}
    assert set(sequences("17-node-restart-sequences.json")) == tested


def test_restarts_of_kubelets_go_through_the_recorded_states(workers: LiveClusters) -> None:
    recorded = {name: once(s["match"]["order"]) for name, s in sequences("17-node-restart-sequences.json").items()}
    rows = node_rows(workers, "hollow-0")
    assert once(rows) == recorded["idle-heartbeats"]
    workers.call(workers.clusters.kubelet_restarted, "tenants/t", "hollow-0", "v1.36.2")
    until(lambda: rows[-1][2] == "v1.36.2")
    assert once(rows) == recorded["restart-newer"]
    rows[:] = rows[-1:]
    workers.call(workers.clusters.kubelet_restarted, "tenants/t", "hollow-0", "v1.36.2")
    time.sleep(0.2)
    assert once(rows) == recorded["restart-same"]
    rows[:] = rows[-1:]
    client = workers.raw_client({}, {"tenant": "tenants/t"})
    assert client.send("tenant", {"method": "DELETE", "path": "/api/v1/nodes/hollow-0"}).status == 200
    time.sleep(0.2)
    assert once(rows) == recorded["deleted-node"]
    rows[:] = rows[-1:]
    workers.call(workers.clusters.kubelet_restarted, "tenants/t", "hollow-0", "v1.35.9")
    until(lambda: rows[-1][0] == "True")
    assert once(rows) == recorded["first-start"]


def test_a_restart_slower_than_the_grace_time_goes_through_the_recorded_states(workers: LiveClusters) -> None:
    rows = node_rows(workers, "hollow-1")
    workers.add_fault("hollow-1", "lost_node")
    workers.call(workers.clusters.kubelet_restarted, "tenants/t", "hollow-1", "v1.36.2")
    time.sleep(0.5)
    assert once(rows) == [("True", "KubeletReady", "v1.35.9")]
    until(lambda: rows[-1][0] == "Unknown")
    workers.call(workers.faults.clear)
    until(lambda: rows[-1][0] == "True")
    assert once(rows) == once(sequences("17-node-restart-sequences.json")["restart-slow"]["match"]["order"])


def test_the_node_and_lease_after_a_restart_are_as_recorded(workers: LiveClusters) -> None:
    workers.call(workers.clusters.kubelet_restarted, "tenants/t", "hollow-1", "v1.36.2")
    time.sleep(0.3)
    client = workers.raw_client({}, {"tenant": "tenants/t"})
    replay = Replay("17-node-restart-sequences.json", client, {}, {})
    check("17-node-restart-sequences.json", replay.run())


@pytest.mark.parametrize("workers", [0.2], indirect=True)
def test_a_drain_meets_the_recorded_answers(workers: LiveClusters) -> None:
    client = workers.raw_client({}, {"tenant": "tenants/t"})
    replay = Replay("18-drain-sequence.json", client, {}, {})
    cordon = {"method": "PATCH", "headers": {"Content-Type": "application/strategic-merge-patch+json"}}

    def set_cordon(node: str, on: bool) -> int:
        request = {**cordon, "path": f"/api/v1/nodes/{node}", "body": {"spec": {"unschedulable": on}}}
        return replay.send("tenant", request).status

    def pods() -> list[dict[str, Any]]:
        path = "/api/v1/namespaces/c-drain/pods?fieldSelector=spec.nodeName%3Dhollow-0"
        return replay.send("tenant", {"method": "GET", "path": path}).body["items"]

    set_cordon("hollow-1", True)
    for request in replay.document["setup"]:
        replay._step(request)
    assert replay.failures == {}

    def all_ready() -> bool:
        names = [p for p in pods() if p["metadata"]["name"].startswith("web-")]
        return len(names) == 3 and all(p["status"]["conditions"][-1]["status"] == "True" for p in names)

    until(all_ready)
    time.sleep(0.1)
    set_cordon("hollow-1", False)
    assert set_cordon("hollow-0", True) == 200
    owners = {p["metadata"]["name"]: p["metadata"].get("ownerReferences", [{}])[0].get("kind") for p in pods()}
    assert sorted(map(str, owners.values())) == ["DaemonSet", "None", "ReplicaSet", "ReplicaSet", "ReplicaSet"]

    refused = []
    waiting = [name for name, owner in owners.items() if owner != "DaemonSet"]
    deadline = time.monotonic() + 8
    while waiting:
        assert time.monotonic() < deadline
        for name in list(waiting):
            body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "c-drain"}}
            path = f"/api/v1/namespaces/c-drain/pods/{name}/eviction"
            answer = replay.send("tenant", {"method": "POST", "path": path, "body": body})
            if answer.status == 201:
                waiting.remove(name)
            else:
                refused.append((answer.status, answer.headers.get("Retry-After"), answer.body["details"]["causes"]))
        time.sleep(0.02)
    cause = "The disruption budget web needs 2 healthy pods and has 2 currently"
    assert (429, None, [{"reason": "DisruptionBudget", "message": cause}]) in refused
    until(lambda: [p["metadata"]["ownerReferences"][0]["kind"] for p in pods()] == ["DaemonSet"])
    assert set_cordon("hollow-0", False) == 200
