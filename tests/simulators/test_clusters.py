"""The simulated clusters as the official Python client meets them."""

from __future__ import annotations

import base64
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import urllib3
import yaml
from kubernetes import client, watch

from .cluster_world import (
    GROUP,
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

CRD = Path(__file__).parents[2].parent / "shared" / "contracts" / "kamaji-tenantcontrolplanes-crd.yaml"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveClusters]:
    with running_clusters(tmp_path, SPEC, phase=0.1) as running:
        yield running


def test_an_upgrade_shows_stale_ready_then_upgrading_then_ready_and_the_config_maps_lag(live: LiveClusters) -> None:
    api = live.management("mgmt-fsn1")
    tenant = live.tenant(KEY)
    before = control_plane(api)["status"]["kubeconfig"]["admin"]["checksum"]
    set_version(api, "v1.36.1")
    stale = control_plane(api)
    assert stale["metadata"]["generation"] == 2
    assert stale["status"]["observedGeneration"] == 1
    assert stale["status"]["kubernetesResources"]["version"] == {"version": "v1.35.4", "status": "Ready"}
    rows = []

    def done() -> bool:
        state = control_plane(api)["status"]["kubernetesResources"]["version"]
        rows.append((state["version"], state["status"]))
        return rows[-1] == ("v1.36.1", "Ready")

    until(done)
    assert ("v1.35.4", "Upgrading") in rows
    assert live.clusters.kubeadm_version(KEY) == "v1.35.4"
    answers = {client.VersionApi(tenant).get_code().git_version for _ in range(6)}
    assert answers == {"v1.36.1"}
    until(lambda: live.clusters.kubeadm_version(KEY) == "v1.36.1")
    until(lambda: control_plane(api)["status"]["kubeconfig"]["admin"]["checksum"] != before)
    config = client.CoreV1Api(tenant).read_namespaced_config_map("kubeadm-config", "kube-system")
    assert yaml.safe_load(config.data["ClusterConfiguration"])["kubernetesVersion"] == "v1.36.1"
    new = live.tenant(KEY)
    assert [n.metadata.name for n in client.CoreV1Api(new).list_node().items] == ["w1", "w2", "w3"]
    assert [n.metadata.name for n in client.CoreV1Api(tenant).list_node().items] == ["w1", "w2", "w3"]


def test_old_and_new_version_answer_in_turn_during_the_rollout(live: LiveClusters) -> None:
    api, tenant = live.management("mgmt-fsn1"), live.tenant(KEY)
    set_version(api, "v1.36.1")
    answers: list[str] = []

    def done() -> bool:
        answers.append(client.VersionApi(tenant).get_code().git_version)
        return ready_at(api, "v1.36.1")()

    until(done)
    assert {"v1.35.4", "v1.36.1"} == set(answers)


def test_the_webhook_refuses_a_skipped_minor_and_says_so_without_details(live: LiveClusters) -> None:
    api = live.management("mgmt-fsn1")
    set_version(api, "v1.36.1")
    with pytest.raises(client.ApiException) as refused:
        set_version(api, "v1.37.0")
    assert refused.value.status == 403
    body = json.loads(refused.value.body)
    prefix = 'admission webhook "vtenantcontrolplane.kb.io" denied the request: '
    assert body["message"] == prefix + "unable to upgrade to a version greater than the supported one (v1.36)"
    assert "details" not in body


def test_a_webhook_that_is_down_answers_500_and_keeps_deletions_from_ending(live: LiveClusters) -> None:
    api = live.management("mgmt-fsn1")
    live.add_fault("mgmt-fsn1", "webhook_down")
    with pytest.raises(client.ApiException) as refused:
        set_version(api, "v1.36.1")
    assert refused.value.status == 500
    client.CustomObjectsApi(api).delete_namespaced_custom_object(*TCP)
    time.sleep(0.4)
    assert control_plane(api)["metadata"]["deletionTimestamp"]
    live.call(live.faults.clear)

    def gone() -> bool:
        try:
            control_plane(api)
        except client.ApiException as error:
            return bool(error.status == 404)
        return False

    until(gone)
    with pytest.raises(urllib3.exceptions.MaxRetryError):
        client.VersionApi(live.api(old_kubeconfig(live))).get_code(_request_timeout=2)


def old_kubeconfig(live: LiveClusters) -> str:
    """One that points to a port nobody listens on any more."""
    config = yaml.safe_load(live.call(live.clusters.managements["mgmt-fsn1"].kubeconfig))
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    return yaml.safe_dump(config)


def test_an_image_that_cannot_be_pulled_leaves_waiting_pods_beside_the_old_ones(live: LiveClusters) -> None:
    api = live.management("mgmt-fsn1")
    set_version(api, "v1.35.999")
    until(lambda: control_plane(api)["status"]["kubernetesResources"]["version"]["status"] == "Upgrading")

    def reasons() -> list[str]:
        selector = "kamaji.clastix.io/name=ledger-prod"
        pods = client.CoreV1Api(api).list_namespaced_pod("ws-7f3a91", label_selector=selector).items
        states = [s.state for p in pods for s in p.status.container_statuses]
        return sorted({s.waiting.reason if s.waiting else "running" for s in states})

    until(lambda: reasons() == ["ImagePullBackOff", "running"])
    set_version(api, "v1.35.7")
    until(ready_at(api, "v1.35.7"))
    assert reasons() == ["running"]


def test_a_control_plane_that_is_not_ready_refuses_connections_until_it_recovers(live: LiveClusters) -> None:
    api, tenant = live.management("mgmt-fsn1"), live.tenant(KEY)
    live.add_fault(KEY, "not_ready")
    until(lambda: control_plane(api)["status"]["kubernetesResources"]["version"]["status"] == "NotReady")

    def refused() -> bool:
        try:
            client.VersionApi(tenant).get_code(_request_timeout=2)
        except urllib3.exceptions.HTTPError:
            return True
        return False

    until(refused)
    assert live.clusters.kubeadm_version(KEY) == ""
    live.call(live.faults.clear)
    until(ready_at(api, "v1.35.4"))
    until(lambda: not refused())


def test_a_watch_of_the_official_client_sees_changes_and_bookmarks_and_410(live: LiveClusters) -> None:
    api = live.management("mgmt-fsn1")
    custom = client.CustomObjectsApi(api)
    listed = custom.list_namespaced_custom_object(*TCP[:4])
    set_version(api, "v1.36.1")
    seen = []
    options = {"resource_version": listed["metadata"]["resourceVersion"], "timeout_seconds": 1}
    for event in watch.Watch().stream(custom.list_namespaced_custom_object, *TCP[:4], **options):
        state = event["object"]["status"]["kubernetesResources"]["version"]
        seen.append((event["type"], state["status"]))
    assert seen[0] == ("MODIFIED", "Ready")
    assert ("MODIFIED", "Upgrading") in seen
    options = {"resource_version": "1", "timeout_seconds": 1}
    with pytest.raises(client.ApiException) as expired:
        list(watch.Watch().stream(custom.list_namespaced_custom_object, *TCP[:4], **options))
    assert expired.value.status == 410


def test_an_expired_token_is_401_in_kubernetes_own_form(live: LiveClusters) -> None:
    api = live.management("mgmt-fsn1")
    live.add_fault("mgmt-fsn1", "expired_token", times=1)
    with pytest.raises(client.ApiException) as refused:
        client.VersionApi(api).get_code()
    assert refused.value.status == 401
    assert json.loads(refused.value.body)["reason"] == "Unauthorized"
    assert client.VersionApi(api).get_code().git_version == "v1.36.2"


def test_every_control_plane_document_satisfies_kamajis_schema(live: LiveClusters) -> None:
    if not CRD.exists():
        assert not os.environ.get("CI"), f"{CRD} is missing"
        pytest.skip(f"{CRD} is not there")
    definition = yaml.safe_load(CRD.read_text())
    schema = strict(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    api = live.management("mgmt-fsn1")
    store = live.clusters.managements["mgmt-fsn1"].store
    emitted: list[dict[str, Any]] = [control_plane(api)]
    live.call(store.subscribe, lambda change: emitted.append(change.document))
    set_version(api, "v1.36.1")
    until(lambda: live.clusters.kubeadm_version(KEY) == "v1.36.1")
    live.add_fault(KEY, "not_ready")
    until(lambda: control_plane(api)["status"]["kubernetesResources"]["version"]["status"] == "NotReady")
    live.call(live.faults.clear)
    until(ready_at(api, "v1.36.1"))
    client.CustomObjectsApi(api).delete_namespaced_custom_object(*TCP)
    planes = [d for d in emitted if d["kind"] == "TenantControlPlane"]
    assert len(planes) > 6
    for document in planes:
        jsonschema.Draft202012Validator(schema).validate(document)
    stores = yaml.safe_load(CRD.with_name("kamaji-datastores-crd.yaml").read_text())
    schema = strict(stores["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    custom = client.CustomObjectsApi(api)
    jsonschema.Draft202012Validator(schema).validate(custom.get_cluster_custom_object(*GROUP, "datastores", "default"))


def strict(schema: Any) -> Any:
    """The schema with unknown keys forbidden where it names keys, as the API server prunes them."""
    if isinstance(schema, list):
        return [strict(element) for element in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: strict(value) for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    if "properties" in schema and "type" in schema:
        found.setdefault("additionalProperties", bool(schema.get("x-kubernetes-preserve-unknown-fields")))
    if schema.get("x-kubernetes-int-or-string"):
        found.pop("anyOf", None)
    return found


def test_a_restored_world_goes_on_with_the_upgrade_it_was_in_on_the_same_ports(tmp_path: Path) -> None:
    with running_clusters(tmp_path, SPEC, phase=0.2) as live:
        api = live.management("mgmt-fsn1")
        set_version(api, "v1.36.1")
        until(lambda: control_plane(api)["status"]["kubernetesResources"]["version"]["status"] == "Upgrading")
        core = client.CoreV1Api(live.tenant(KEY))
        assert client.CoreV1Api(live.tenant(KEY)).delete_namespaced_pod("cart-0", "shop") is not None
        ready = live.call(live.clusters.ready)
        snapshot = json.loads(json.dumps(live.call(live.clusters.snapshot)))
    with running_clusters(tmp_path, SPEC, phase=0.2, snapshot=snapshot) as live:
        again = live.call(live.clusters.ready)
        assert again == ready
        api = live.management("mgmt-fsn1")
        until(ready_at(api, "v1.36.1"))
        core = client.CoreV1Api(live.tenant(KEY))

        def replaced() -> bool:
            pods = core.list_namespaced_pod("shop", label_selector="app=cart").items
            return [(p.status.phase, p.metadata.deletion_timestamp) for p in pods] == [("Running", None)]

        until(replaced)
    key = tmp_path / "clusters" / "mgmt-fsn1" / "ca.pem"
    assert key.stat().st_mode & 0o777 == 0o600


def test_a_control_plane_that_is_scaled_says_unknown_for_a_moment(live: LiveClusters) -> None:
    api = live.management("mgmt-fsn1")
    seen = []
    live.call(live.clusters.managements["mgmt-fsn1"].store.subscribe, lambda change: seen.append(change.document))
    client.CustomObjectsApi(api).patch_namespaced_custom_object_scale(*TCP, {"spec": {"replicas": 3}})

    def scaled() -> bool:
        status = control_plane(api)["status"]
        return (
            status["observedGeneration"] == 2 and status["kubernetesResources"]["deployment"].get("readyReplicas") == 3
        )

    until(scaled)
    states = [
        d["status"]["kubernetesResources"]["version"]["status"] for d in seen if d["kind"] == "TenantControlPlane"
    ]
    assert "Unknown" in states
    assert states[-1] == "Ready"
    pods = client.CoreV1Api(api).list_namespaced_pod("ws-7f3a91").items
    assert len(pods) == 3


def test_a_restored_tenant_whose_port_is_taken_tells_its_new_address(tmp_path: Path) -> None:
    with running_clusters(tmp_path, SPEC, phase=0.1) as live:
        old = live.call(live.clusters.ready)["management_clusters"][0]["tenants"][0]
        snapshot = json.loads(json.dumps(live.call(live.clusters.snapshot)))
    host, port = old["endpoint"].split(":")
    with socket.create_server((host, int(port))), running_clusters(tmp_path, SPEC, 0.1, snapshot) as live:
        new = live.call(live.clusters.ready)["management_clusters"][0]["tenants"][0]
        assert new["endpoint"] != old["endpoint"]
        assert control_plane(live.management("mgmt-fsn1"))["status"]["controlPlaneEndpoint"] == new["endpoint"]
        assert client.VersionApi(live.tenant(KEY)).get_code().git_version == "v1.35.4"


def test_adding_what_exists_changes_nothing_and_new_tenants_come_to_it(live: LiveClusters) -> None:
    management = SPEC["management_clusters"][0]
    other = {"namespace": "ws-2", "name": "crm", "version": "v1.34.8", "nodes": [], "paused": True}
    before = live.call(live.clusters.ready)["management_clusters"][0]
    live.wait(live.clusters.add({"management_clusters": [{**management, "tenants": [*management["tenants"], other]}]}))
    after = live.call(live.clusters.ready)["management_clusters"][0]
    assert after["tenants"][0] == before["tenants"][0]
    assert [t["name"] for t in after["tenants"]] == ["ledger-prod", "crm"]
    assert client.VersionApi(live.tenant("ws-2/crm")).get_code().git_version == "v1.34.8"


def test_kubeconfigs_in_the_secret_are_named_by_the_status(live: LiveClusters) -> None:
    api = live.management("mgmt-fsn1")
    name = control_plane(api)["status"]["kubeconfig"]["admin"]["secretName"]
    secret = client.CoreV1Api(api).read_namespaced_secret(name, "ws-7f3a91")
    assert sorted(secret.data) == ["admin.conf", "admin.svc", "super-admin.conf", "super-admin.svc"]
    config = yaml.safe_load(base64.b64decode(secret.data["admin.conf"]))
    assert (
        config["clusters"][0]["cluster"]["server"] == f"https://{control_plane(api)['status']['controlPlaneEndpoint']}"
    )


def test_forty_five_tenants_start_quickly_and_rest_quietly(tmp_path: Path) -> None:
    tenants = [
        {
            "namespace": f"ws-{n}",
            "name": f"t{n}",
            "version": "v1.35.4",
            "nodes": [{"name": f"t{n}-w{i}", "kubelet": "v1.35.4", "internal_ip": f"10.0.{n}.{i}"} for i in range(4)],
            "workloads": [
                {"namespace": "shop", "name": f"app{i}", "replicas": 3, "budget": {"minAvailable": 2}} for i in range(2)
            ],
        }
        for n in range(45)
    ]
    started = time.process_time()
    with running_clusters(tmp_path, {"management_clusters": [{"name": "m", "tenants": tenants}]}, phase=1.0) as live:
        assert time.process_time() - started < 6
        time.sleep(1.5)
        used = time.process_time()
        time.sleep(1.0)
        assert time.process_time() - used < 0.15
        used = time.process_time()
        json.dumps(live.call(live.clusters.snapshot))
        assert time.process_time() - used < 1.0
