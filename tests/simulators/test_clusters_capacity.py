"""What the simulated clusters do about room, admission webhooks and restarts, beyond what the recordings hold."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from workspaces.simulators.clusters.reservations import Load, amount, wanted

from .cluster_world import KEY, SPEC, LiveClusters, ready_at, running_clusters, set_version, until

GUARD = {"name": "policy.guard.example", "ready": False}


def world(**tenant: Any) -> dict[str, Any]:
    """The usual world with another tenant."""
    management = SPEC["management_clusters"][0]
    return {"management_clusters": [{**management, "tenants": [{**management["tenants"][0], **tenant}]}]}


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveClusters]:
    with running_clusters(tmp_path, SPEC, phase=0.1) as running:
        yield running


# --- Room -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("quantity", "value"), [("4", 4), ("1500m", 1.5), ("2Ki", 2048), ("1.5Gi", 1610612736), ("3G", 3e9), ("many", 0)]
)
def test_quantities_are_read(quantity: str, value: float) -> None:
    assert float(amount(quantity)) == value


def pod(cpu: str, memory: str = "0", **status: Any) -> dict[str, Any]:
    container = {"resources": {"requests": {"cpu": cpu, "memory": memory}}}
    return {"spec": {"containers": [container], "nodeName": "w1"}, "status": status}


def test_an_init_container_counts_where_it_alone_asks_for_more() -> None:
    spec = pod("1", "1Ki")["spec"]
    spec["initContainers"] = [{"resources": {"requests": {"cpu": "3"}}}, {"resources": {"requests": {"cpu": "2"}}}]
    assert wanted(spec) == (3, 1024)


def test_a_node_refuses_in_the_schedulers_words_and_finished_pods_take_no_room() -> None:
    node = {"status": {"allocatable": {"cpu": "2", "memory": "4Ki", "pods": "2"}}}
    load = Load()
    load.add(pod("1500m", "1Ki"))
    load.add(pod("1500m", "1Ki", phase="Succeeded"))
    assert load.refusals(node, pod("500m", "3Ki")["spec"]) == []
    assert load.refusals(node, pod("501m", "4Ki")["spec"]) == ["Insufficient cpu", "Insufficient memory"]
    load.add(pod("0"))
    assert load.refusals(node, pod("0")["spec"]) == ["Too many pods"]
    assert load.refusals({}, pod("900")["spec"]) == []


def test_pods_that_fit_nowhere_do_not_run_from_the_beginning_either(tmp_path: Path) -> None:
    big = {"namespace": "shop", "name": "big", "replicas": 2, "cpu": "3"}
    nodes = [{"name": "w1", "kubelet": "v1.35.4"}, {"name": "w2", "kubelet": "v1.35.4", "unschedulable": True}]
    with running_clusters(tmp_path, world(nodes=nodes, workloads=[big]), phase=0.1) as live:
        core = client.CoreV1Api(live.tenant(KEY))

        def pods() -> list[Any]:
            return sorted(core.list_namespaced_pod("shop").items, key=lambda pod: pod.status.phase)

        until(lambda: (pods()[0].status.conditions or [None])[0])
        waiting, running = pods()
        assert (running.status.phase, running.spec.node_name, running.status.qos_class) == (
            "Running",
            "w1",
            "Burstable",
        )
        assert waiting.status.conditions[0].message == (
            "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable. no new claims to deallocate"
        )
        core.patch_node("w2", {"spec": {"unschedulable": None}})
        until(lambda: [pod.status.phase for pod in pods()] == ["Running", "Running"])


def test_a_node_that_is_registered_again_has_the_same_room_and_taints(tmp_path: Path) -> None:
    taint = {"key": "dedicated", "value": "database", "effect": "NoSchedule"}
    own = {"name": "w1", "kubelet": "v1.35.4", "allocatable": {"cpu": "2", "pods": "20"}, "taints": [taint]}
    with running_clusters(tmp_path, world(nodes=[own], workloads=[]), phase=0.1) as live:
        core = client.CoreV1Api(live.tenant(KEY))

        def room() -> tuple[str, str, str, list[str]]:
            node = core.read_node("w1")
            held, taints = node.status.allocatable, [t.key for t in node.spec.taints or []]
            return held["cpu"], held["pods"], held["memory"], taints

        assert room() == ("2", "20", "16159088Ki", ["dedicated"])
        core.delete_node("w1")
        live.call(live.clusters.kubelet_restarted, KEY, "w1", "v1.35.4")
        until(lambda: "w1" in [node.metadata.name for node in core.list_node().items])
        until(lambda: room() == ("2", "20", "16159088Ki", ["dedicated"]))


def test_a_replica_set_follows_its_deployment(live: LiveClusters) -> None:
    apps = client.AppsV1Api(live.tenant(KEY))

    def counts() -> tuple[int, int | None]:
        (held,) = apps.list_namespaced_replica_set("shop", label_selector="app=web").items
        return held.spec.replicas, held.status.ready_replicas

    until(lambda: counts() == (4, 4))
    apps.patch_namespaced_deployment_scale("web", "shop", {"spec": {"replicas": 2}})
    until(lambda: counts() == (2, 2))


# --- Webhooks ---------------------------------------------------------------------------------------------------------
def test_every_cluster_lists_webhooks_and_endpoint_slices_and_has_none(live: LiveClusters) -> None:
    for api in (live.management("mgmt-fsn1"), live.tenant(KEY)):
        admission = client.AdmissionregistrationV1Api(api)
        lists = (
            admission.list_mutating_webhook_configuration(),
            admission.list_validating_webhook_configuration(),
            client.DiscoveryV1Api(api).list_endpoint_slice_for_all_namespaces(),
        )
        assert [held.kind for held in lists] == [
            "MutatingWebhookConfigurationList",
            "ValidatingWebhookConfigurationList",
            "EndpointSliceList",
        ]
        assert [held.items for held in lists] == [[], [], []]
        groups = {group.name for group in client.ApisApi(api).get_api_versions().groups}
        assert {"admissionregistration.k8s.io", "discovery.k8s.io"} <= groups


def eviction(core: client.CoreV1Api) -> client.ApiException | None:
    """The refusal of a dry run, None when it would be accepted."""
    body = client.V1Eviction(metadata=client.V1ObjectMeta(name="cart-0", namespace="shop"))
    try:
        core.create_namespaced_pod_eviction("cart-0", "shop", body, dry_run="All")
    except client.ApiException as error:
        return error
    return None


def test_a_webhook_that_cannot_be_asked_refuses_in_the_api_servers_words(tmp_path: Path) -> None:
    with running_clusters(tmp_path, world(webhooks=[GUARD]), phase=0.1) as live:
        core = client.CoreV1Api(live.tenant(KEY))
        refused = eviction(core)
        assert refused is not None
        assert refused.status == 500
        message = (
            'Internal error occurred: failed calling webhook "policy.guard.example": failed to call webhook: Post '
            '"https://webhook.guard.svc:443/validate?timeout=10s": no endpoints available for service "webhook"'
        )
        assert json.loads(refused.body)["message"] == message
        core.delete_namespaced_service("webhook", "guard")
        again = eviction(core)
        assert again is not None
        assert json.loads(again.body)["message"].endswith('service "webhook" not found')
        # What its rules do not name passes: a namespace, a cordon.
        core.create_namespace({"metadata": {"name": "other"}})
        core.patch_node("w1", {"spec": {"unschedulable": True}})


@pytest.mark.parametrize(
    "change",
    [
        {"failurePolicy": "Ignore"},
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}},
        {"clientConfig": {"url": "https://policy.example/"}},
        {"rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CONNECT"], "resources": ["pods/*"]}]},
        {"rules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["*/*"]}]},
    ],
)
def test_a_webhook_that_need_not_be_asked_refuses_nothing(tmp_path: Path, change: dict[str, Any]) -> None:
    with running_clusters(tmp_path, world(webhooks=[GUARD]), phase=0.1) as live:
        tenant = live.tenant(KEY)
        core, admission = client.CoreV1Api(tenant), client.AdmissionregistrationV1Api(tenant)
        assert eviction(core) is not None
        (held,) = admission.list_validating_webhook_configuration().items
        document = live.call(lambda: tenant.sanitize_for_serialization(held))
        document["webhooks"][0] |= change
        if "clientConfig" in change:
            document["webhooks"][0]["clientConfig"].pop("service", None)
        admission.replace_validating_webhook_configuration(GUARD["name"], document)
        assert eviction(core) is None


def test_the_fault_leaves_nothing_behind(tmp_path: Path) -> None:
    with running_clusters(tmp_path, world(webhooks=[{**GUARD, "ready": True}]), phase=0.1) as live:
        core = client.CoreV1Api(live.tenant(KEY))
        assert eviction(core) is None
        live.add_fault(KEY, "endpoints_down")
        assert eviction(core) is not None
        live.call(live.faults.clear)
        assert eviction(core) is None


# --- Restarts ---------------------------------------------------------------------------------------------------------
def started(api: client.ApiClient) -> float:
    request = api.param_serialize("GET", "/metrics", header_params={"Accept": "*/*"})
    response = api.call_api(*request, _request_timeout=5)
    response.read()
    lines = response.data.decode().splitlines()
    (value,) = [line.split()[1] for line in lines if line.startswith("process_start_time_seconds ")]
    return float(value)


def test_api_servers_of_the_world_run_for_two_weeks_until_new_ones_are_rolled_out(live: LiveClusters) -> None:
    tenant, now = live.tenant(KEY), time.time()
    assert now - started(tenant) == pytest.approx(14 * 86400, abs=60)
    set_version(live.management("mgmt-fsn1"), "v1.36.1")
    until(ready_at(live.management("mgmt-fsn1"), "v1.36.1"))
    assert now <= started(tenant) <= time.time()


def test_a_restored_world_keeps_its_starts_and_a_rollout_without_room_still_waits(tmp_path: Path) -> None:
    with running_clusters(tmp_path, SPEC, phase=0.1) as live:
        before = started(live.tenant(KEY))
        live.add_fault(KEY, "no_capacity")
        set_version(live.management("mgmt-fsn1"), "v1.36.1")
        until(lambda: "Pending" in phases(live))
        snapshot = json.loads(json.dumps(live.call(live.clusters.snapshot)))
    with running_clusters(tmp_path, SPEC, phase=0.1, snapshot=snapshot) as live:
        assert started(live.tenant(KEY)) == pytest.approx(before)
        until(ready_at(live.management("mgmt-fsn1"), "v1.36.1"))  # the fault was not part of the snapshot
        assert phases(live) == ["Running", "Running"]


def phases(live: LiveClusters) -> list[str]:
    pods = client.CoreV1Api(live.management("mgmt-fsn1")).list_namespaced_pod("ws-7f3a91").items
    return sorted(pod.status.phase for pod in pods)
