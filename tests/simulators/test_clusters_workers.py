"""Nodes, pods, budgets and kubelets of a simulated tenant, as the official Python client meets them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from .cluster_world import (
    KEY,
    SPEC,
    TCP,
    LiveClusters,
    control_plane,
    ready_at,
    running_clusters,
    set_version,
    until,
)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveClusters]:
    with running_clusters(tmp_path, SPEC, phase=0.1) as running:
        yield running


def evict(core: client.CoreV1Api, namespace: str, name: str) -> client.ApiException | None:
    """The refusal, None when it was accepted."""
    body = client.V1Eviction(metadata=client.V1ObjectMeta(name=name, namespace=namespace))
    try:
        core.create_namespaced_pod_eviction(name, namespace, body)
    except client.ApiException as error:
        return error
    return None


def movable_pods(core: client.CoreV1Api, node: str) -> list[Any]:
    pods = core.list_pod_for_all_namespaces(field_selector=f"spec.nodeName={node}").items
    kinds = {p.metadata.name: p.metadata.owner_references[0].kind for p in pods}
    mirror = "kubernetes.io/config.mirror"
    return [p for p in pods if kinds[p.metadata.name] != "DaemonSet" and mirror not in (p.metadata.annotations or {})]


def test_write_permissions_refuse_a_cordon_but_not_an_eviction(live: LiveClusters) -> None:
    api, core = live.management("mgmt-fsn1"), client.CoreV1Api(live.tenant(KEY))
    body = {"spec": {"writePermissions": {"blockUpdate": True, "blockCreate": True}}}
    client.CustomObjectsApi(api).patch_namespaced_custom_object(*TCP, body)
    until(lambda: control_plane(api)["status"]["kubernetesResources"]["version"]["status"] == "WriteLimited")
    assert control_plane(api)["spec"]["writePermissions"] == {"blockUpdate": True}
    with pytest.raises(client.ApiException) as refused:
        core.patch_node("w1", {"spec": {"unschedulable": True}})
    assert refused.value.status == 403
    assert "has limited write permissions" in refused.value.body
    evict(core, "shop", "cart-0")


def test_a_node_drains_to_its_daemon_and_mirror_pods_and_the_budget_makes_it_wait(live: LiveClusters) -> None:
    core = client.CoreV1Api(live.tenant(KEY))
    core.patch_node("w1", {"spec": {"unschedulable": True}})
    until(lambda: [t.key for t in core.read_node("w1").spec.taints or []] == ["node.kubernetes.io/unschedulable"])
    assert movable_pods(core, "w1")
    refusals = []

    def drained() -> bool:
        pods = movable_pods(core, "w1")
        for pod in pods:
            if pod.metadata.deletion_timestamp is None:
                refused = evict(core, pod.metadata.namespace, pod.metadata.name)
                refusals.extend([refused] if refused else [])
        return not pods

    until(drained)
    assert all(r.status == 429 and "Retry-After" not in r.headers for r in refusals)
    left = core.list_pod_for_all_namespaces(field_selector="spec.nodeName=w1").items
    assert sorted(p.metadata.name.rpartition("-")[0] for p in left) == ["kube-proxy", "node-proxy"]

    def complete() -> bool:
        pods = core.list_namespaced_pod("shop").items
        ready = [p for p in pods if any(c.type == "Ready" and c.status == "True" for c in p.status.conditions or [])]
        return len(ready) == 7 and all(p.spec.node_name in ("w2", "w3") for p in pods)

    until(complete)
    budget = client.PolicyV1Api(live.tenant(KEY)).read_namespaced_pod_disruption_budget("web", "shop")
    assert budget.status.disruptions_allowed == 1


def test_a_pod_takes_its_workloads_grace_to_stop(live: LiveClusters) -> None:
    core = client.CoreV1Api(live.tenant(KEY))
    pod = core.list_namespaced_pod("shop", label_selector="app=slow").items[0]
    assert [v.name for v in pod.spec.volumes if v.empty_dir is not None] == ["scratch"]
    started = time.monotonic()
    assert evict(core, "shop", pod.metadata.name) is None

    def gone() -> bool:
        return pod.metadata.name not in [p.metadata.name for p in core.list_namespaced_pod("shop").items]

    until(gone)
    assert 0.9 < time.monotonic() - started < 3


def test_a_budget_fault_never_yields(live: LiveClusters) -> None:
    core = client.CoreV1Api(live.tenant(KEY))
    live.add_fault(KEY, "budget")
    name = core.list_namespaced_pod("shop", label_selector="app=web").items[0].metadata.name
    for _ in range(5):
        refused = evict(core, "shop", name)
        assert refused is not None
        assert refused.status == 429
        time.sleep(0.05)
    live.call(live.faults.clear)
    until(lambda: evict(core, "shop", name) is None)


def test_a_restarted_kubelet_reports_its_version_with_a_fresh_lease_and_heartbeat(live: LiveClusters) -> None:
    tenant = live.tenant(KEY)
    core, leases = client.CoreV1Api(tenant), client.CoordinationV1Api(tenant)
    node = core.read_node("w2")
    age = time.time() - node.status.conditions[-1].last_heartbeat_time.timestamp()
    assert 150 <= age <= 451
    restarted = time.time()
    live.call(live.clusters.kubelet_restarted, KEY, "w2", "v1.35.7")
    until(lambda: core.read_node("w2").status.node_info.kubelet_version == "v1.35.7")
    assert leases.read_namespaced_lease("w2", "kube-node-lease").spec.renew_time.timestamp() >= restarted
    ready = core.read_node("w2").status.conditions[-1]
    assert (ready.status, ready.reason) == ("True", "KubeletReady")
    assert ready.last_heartbeat_time.timestamp() >= int(restarted)


def test_leases_move_without_anybody_doing_anything(live: LiveClusters) -> None:
    leases = client.CoordinationV1Api(live.tenant(KEY))
    first = leases.read_namespaced_lease("w1", "kube-node-lease").spec.renew_time
    until(lambda: leases.read_namespaced_lease("w1", "kube-node-lease").spec.renew_time > first, 3)


def test_a_kubelet_newer_than_the_api_server_is_not_ready_until_the_api_server_catches_up(live: LiveClusters) -> None:
    api, core = live.management("mgmt-fsn1"), client.CoreV1Api(live.tenant(KEY))
    live.call(live.clusters.kubelet_restarted, KEY, "w3", "v1.36.1")
    until(lambda: core.read_node("w3").status.conditions[-1].status == "False")
    assert "newer than the API server" in core.read_node("w3").status.conditions[-1].message
    set_version(api, "v1.36.1")
    until(lambda: core.read_node("w3").status.conditions[-1].status == "True")


def test_a_reboot_changes_the_boot_id_and_nothing_else(live: LiveClusters) -> None:
    core = client.CoreV1Api(live.tenant(KEY))
    before = core.read_node("w1").status.node_info
    live.call(live.clusters.host_rebooted, KEY, "w1")
    until(lambda: core.read_node("w1").status.node_info.boot_id != before.boot_id)
    after = core.read_node("w1").status.node_info
    assert (after.kubelet_version, after.machine_id) == (before.kubelet_version, before.machine_id)


def test_a_lost_node_says_ready_for_the_grace_time_and_does_not_come_back(live: LiveClusters) -> None:
    tenant = live.tenant(KEY)
    core, leases = client.CoreV1Api(tenant), client.CoordinationV1Api(tenant)
    live.add_fault("w1", "lost_node")
    time.sleep(0.5)
    assert core.read_node("w1").status.conditions[-1].status == "True"
    renewed = leases.read_namespaced_lease("w1", "kube-node-lease").spec.renew_time
    live.call(live.clusters.kubelet_restarted, KEY, "w1", "v1.35.7")
    until(lambda: core.read_node("w1").status.conditions[-1].status == "Unknown", 9)
    node = core.read_node("w1")
    assert node.status.conditions[-1].message == "Kubelet stopped posting node status."
    assert node.status.node_info.kubelet_version == "v1.35.4"
    assert leases.read_namespaced_lease("w1", "kube-node-lease").spec.renew_time == renewed
    until(lambda: len(core.read_node("w1").spec.taints or []) == 2)


def test_pages_share_one_snapshot(live: LiveClusters) -> None:
    core = client.CoreV1Api(live.tenant(KEY))
    first = core.list_pod_for_all_namespaces(limit=5)
    assert (len(first.items), first.metadata.remaining_item_count) == (5, 8)
    core.delete_namespaced_pod("cart-0", "shop", grace_period_seconds=0)
    names = [p.metadata.name for p in first.items]
    token = first.metadata._continue
    while token:
        page = core.list_pod_for_all_namespaces(limit=5, _continue=token)
        assert page.metadata.resource_version == first.metadata.resource_version
        names += [p.metadata.name for p in page.items]
        token = page.metadata._continue
    assert len(names) == len(set(names)) == 13
    assert "cart-0" in names


def test_metrics_name_deprecated_apis_until_new_processes_serve(live: LiveClusters) -> None:
    api, tenant = live.management("mgmt-fsn1"), live.tenant(KEY)

    def metrics() -> str:
        request = tenant.param_serialize("GET", "/metrics", header_params={"Accept": "*/*"})
        response = tenant.call_api(*request, _request_timeout=5)
        response.read()
        return str(response.data.decode())

    line = (
        'apiserver_requested_deprecated_apis{group="policy",removed_release="1.25",resource="podsecuritypolicies",'
        'subresource="",version="v1beta1"} 1'
    )
    assert line in metrics().splitlines()
    assert "apiserver_request_total{" in metrics()
    set_version(api, "v1.36.1")
    until(ready_at(api, "v1.36.1"))
    assert "apiserver_requested_deprecated_apis" not in metrics()
