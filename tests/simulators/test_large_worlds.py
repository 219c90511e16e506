"""Worlds of thousands: control planes nobody serves yet, and lists that are written down once per version."""

import json
import time

import pytest

from workspaces.simulators.clusters.kinds import CONTROL_PLANES
from workspaces.simulators.clusters.managed_fields import as_written, of_owners

from .cluster_world import KEY, SPEC, running_clusters, until
from .test_clusters_managed_fields import TCP_PATH, ask, edit, replicas

ALL = "/apis/kamaji.clastix.io/v1alpha1/tenantcontrolplanes"
REST = {"namespace": "ws-rest", "name": "far", "version": "v1.35.4", "served": False}
FAR = "/apis/kamaji.clastix.io/v1alpha1/namespaces/ws-rest/tenantcontrolplanes/far"
WORLD = {"management_clusters": [{**SPEC["management_clusters"][0]}, {"name": "big", "tenants": [REST]}]}


@pytest.fixture
def live(tmp_path):
    with running_clusters(tmp_path, WORLD, phase=0.05) as live:
        yield live


def listed(api, path=ALL):
    return {item["metadata"]["name"]: item for item in ask(api, "GET", path)["items"]}


def test_owners_written_from_an_object_are_those_of_its_paths(live):
    """The quick way and the thorough one, for every object of a world with all kinds of them."""
    management = live.clusters.managements["mgmt-fsn1"]
    for api in (management.api, management.tenants[KEY].api):
        objects = [(r, d) for r in api.store.resources.values() for d in api.store.list(r)]
        assert len({resource for resource, _ in objects}) > 10
        for resource, document in objects:
            thorough = of_owners(resource, api.ownership.of(resource, document))
            assert as_written(api.ownership, resource, document) == thorough


def test_an_object_is_written_down_once_for_each_of_its_versions(live):
    api, rendering = live.management("big"), live.clusters.managements["big"].api.rendering
    first = listed(api)["far"]
    (kept,) = [item for document, item in rendering._items.values() if document["kind"] == CONTROL_PLANES.kind]
    assert listed(api)["far"] == first == ask(api, "GET", FAR)
    assert [item for document, item in rendering._items.values() if document["kind"] == CONTROL_PLANES.kind] == [kept]
    assert next(item for document, item in rendering._items.values() if "far" in document["metadata"]["name"]) is kept


def test_a_list_shows_every_change_at_once(live):
    api = live.management("mgmt-fsn1")
    listed(api)
    changed = edit(api, {"metadata": {"labels": {"tier": "silver"}}})
    assert listed(api)["ledger-prod"] == changed
    document = {"apiVersion": "kamaji.clastix.io/v1alpha1", "kind": "TenantControlPlane"}
    document |= {"metadata": {"labels": {"tier": "silver"}}}
    headers = {"Content-Type": "application/apply-patch+yaml"}
    applied = ask(api, "PATCH", f"{TCP_PATH}?fieldManager=loopback", document, **headers)
    assert applied["metadata"]["managedFields"][0]["manager"] == "loopback"
    assert listed(api)["ledger-prod"]["metadata"] == applied["metadata"]


def test_nodes_in_a_list_are_as_of_now(live):
    api = live.tenant(KEY)
    lease = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    first = ask(api, "GET", lease)["items"][0]["spec"]["renewTime"]
    assert until(lambda: ask(api, "GET", lease)["items"][0]["spec"]["renewTime"] > first)


def test_a_deleted_object_leaves_the_list(live):
    api = live.tenant(KEY)
    maps = "/api/v1/namespaces/default/configmaps"
    ask(api, "POST", maps, {"metadata": {"name": "x"}})
    assert "x" in listed(api, maps)
    ask(api, "DELETE", f"{maps}/x")
    assert "x" not in listed(api, maps)


def test_a_control_plane_nobody_serves_is_ready_and_stays_so_whatever_becomes_of_faults(live):
    api = live.management("big")
    found = listed(api)["far"]
    assert found["status"]["kubernetesResources"]["version"] == {"version": "v1.35.4", "status": "Ready"}
    assert found["status"]["controlPlaneEndpoint"] == "127.0.0.1:9"
    edit(api, {"metadata": {"labels": {"tier": "gold"}}}, path=FAR)
    live.call(live.clusters.managements["big"].look_again)
    live.wait(live.clusters.add(WORLD))
    time.sleep(0.3)  # six phases: Kamaji would have come round
    assert live.clusters.managements["big"].tenants == {}


def test_it_is_served_from_its_first_change_on(live):
    api = live.management("big")
    edit(api, replicas(3), path=FAR)
    ready = until(lambda: (found := ask(api, "GET", FAR))["status"]["kubernetesResources"]["deployment"].get(
        "readyReplicas") == 3 and found["status"]["controlPlaneEndpoint"] != "127.0.0.1:9" and found)  # fmt: skip
    (tenant,) = live.clusters.managements["big"].tenants.values()
    assert ready["status"]["controlPlaneEndpoint"] == tenant.server.endpoint
    secret = until(lambda: listed(api, "/api/v1/secrets").get("far-admin-kubeconfig"))
    assert "admin.conf" in secret["data"]
    assert ask(live.api(tenant.admin_kubeconfig()), "GET", "/version")["gitVersion"] == "v1.35.4"


def test_it_can_be_deleted_and_rests_over_a_restart(live, tmp_path):
    snapshot = json.loads(json.dumps(live.call(live.clusters.snapshot)))
    with running_clusters(tmp_path / "again", {}, phase=0.05, snapshot=snapshot) as again:
        api = again.management("big")
        again.call(again.clusters.managements["big"].look_again)
        time.sleep(0.3)
        assert list(listed(api)) == ["far"]
        assert again.clusters.managements["big"].tenants == {}
        ask(api, "DELETE", FAR)
        until(lambda: not listed(api))
