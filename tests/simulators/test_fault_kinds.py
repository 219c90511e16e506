"""Every kind of trouble a look can meet, switched on and off from outside, as the real clients see it."""

import time
import uuid

import hcloud
import pytest
import urllib3
import yaml
from kubernetes import client, config

GROUP = ("kamaji.clastix.io", "v1alpha1")
PAUSED = "kamaji.clastix.io/paused"
QUICK, PATIENT = 0.4, 20


@pytest.fixture
def place(world):
    """A management cluster with one tenant, and a project with one server, all with names of their own."""
    word = uuid.uuid4().hex[:8]
    tenant = {"namespace": f"ws-{word}", "name": "ledger", "version": "v1.35.4"}
    project = {"name": f"p-{word}", "servers": [{"name": "w1", "server_type": "ccx23"}]}
    clusters = [{"name": f"m-{word}", "tenants": [tenant]}]
    world.add({"management_clusters": clusters, "hetzner_projects": [project]})
    return Place(world, word)


class Place:
    def __init__(self, world, word):
        self.world, self.management, self.project = world, f"m-{word}", f"p-{word}"
        self.namespace, self.tenant = f"ws-{word}", f"ws-{word}/ledger"
        ready = next(m for m in world.ready["management_clusters"] if m["name"] == self.management)
        self.kubeconfigs = {self.management: ready["kubeconfig"], self.tenant: ready["tenants"][0]["kubeconfig"]}

    def kubernetes(self, cluster):
        api = config.new_client_from_config_dict(yaml.safe_load(self.kubeconfigs[cluster]), persist_config=False)
        api.configuration.retries = False
        return api

    def version(self, cluster, timeout=PATIENT):
        with self.kubernetes(cluster) as api:
            return client.VersionApi(api).get_code(_request_timeout=timeout).git_version

    def cloud(self):
        token = next(p["token"] for p in self.world.ready["hetzner_projects"] if p["name"] == self.project)
        return hcloud.Client(token=token, api_endpoint=self.world.ready["hetzner_url"], timeout=PATIENT)

    def control_plane(self, change=None):
        with self.kubernetes(self.management) as api:
            objects, where = client.CustomObjectsApi(api), (*GROUP, self.namespace, "tenantcontrolplanes", "ledger")
            if change:
                objects.patch_namespaced_custom_object(*where, change)
            return objects.get_namespaced_custom_object(*where)

    def running(self):
        return self.control_plane()["status"]["kubernetesResources"]["version"]["version"]


@pytest.mark.parametrize("cluster", ["management", "tenant"])
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("refuse", (urllib3.exceptions.MaxRetryError, urllib3.exceptions.ProtocolError)),
        ("hang", (urllib3.exceptions.MaxRetryError, urllib3.exceptions.ReadTimeoutError)),
    ],
)
def test_a_whole_api_refuses_or_hangs_until_the_fault_goes(place, world, cluster, kind, error):
    target = getattr(place, cluster)
    world.fault(service="kubernetes", target=target, kind=kind)
    with pytest.raises(error):
        place.version(target, QUICK)
    other = place.management if cluster == "tenant" else place.tenant
    assert place.version(other)
    world.clear_faults()
    assert place.version(target)


def test_a_token_a_cluster_does_not_know_any_more_is_answered_401(place, world):
    world.fault(service="kubernetes", target=place.management, kind="expired_token")
    with pytest.raises(client.ApiException) as caught:
        place.version(place.management)
    assert caught.value.status == 401
    world.clear_faults()
    assert place.version(place.management) == "v1.36.2"


def test_a_token_of_the_cloud_expires_and_comes_back(place, world):
    world.fault(service="hetzner", target=place.project, kind="expired_token")
    with pytest.raises(hcloud.APIException) as caught:
        place.cloud().servers.get_all()
    assert caught.value.code == "unauthorized"
    world.clear_faults()
    assert [server.name for server in place.cloud().servers.get_all()] == ["w1"]


def test_a_token_of_the_cloud_may_only_read_for_a_while(place, world):
    world.fault(service="hetzner", target=place.project, kind="token_readonly")
    (server,) = place.cloud().servers.get_all()
    with pytest.raises(hcloud.APIException) as caught:
        place.cloud().servers.update(server, name="w2")
    assert caught.value.code == "token_readonly"
    world.clear_faults()
    assert place.cloud().servers.update(server, name="w2").name == "w2"


def test_a_rate_limit_and_a_maintenance_of_the_cloud_come_and_go(place, world):
    world.fault(service="hetzner", target=place.project, kind="maintenance")
    with pytest.raises(hcloud.APIException) as caught:
        place.cloud().servers.get_all()
    assert caught.value.code == "maintenance"
    world.clear_faults()
    assert place.cloud().servers.get_all()


def test_a_paused_control_plane_stays_as_it_is_until_it_is_let_go(place):
    place.control_plane({"metadata": {"annotations": {PAUSED: ""}}})
    place.control_plane({"spec": {"kubernetes": {"version": "v1.35.6"}}})
    time.sleep(0.5)  # ten phases
    assert place.running() == "v1.35.4"
    place.control_plane({"metadata": {"annotations": {PAUSED: None}}})
    deadline = time.monotonic() + 10
    while place.running() != "v1.35.6":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_node_is_lost_and_comes_back(place, world):
    name = f"n-{place.namespace}"
    tenant = {"namespace": place.namespace, "name": "other", "version": "v1.35.4"}
    tenant["nodes"] = [{"name": name, "kubelet": "v1.35.4"}]
    added = world.add({"management_clusters": [{"name": place.management, "tenants": [tenant]}]})
    management = next(m for m in added["management_clusters"] if m["name"] == place.management)
    key = f"{place.namespace}/other"
    place.kubeconfigs[key] = next(t["kubeconfig"] for t in management["tenants"] if t["name"] == "other")
    world.fault(service="kubernetes", target=f"{key}/{name}", kind="lost_node")
    until_ready(place, key, name, "Unknown")
    world.clear_faults()
    until_ready(place, key, name, "True")


def until_ready(place, key, name, status):
    deadline = time.monotonic() + 15
    with place.kubernetes(key) as api:
        while True:
            node = client.CoreV1Api(api).read_node(name)
            if next(c.status for c in node.status.conditions if c.type == "Ready") == status:
                return
            assert time.monotonic() < deadline, "the node never was so"
            time.sleep(0.05)


def test_requests_are_counted_from_the_start(place, world):
    place.version(place.tenant)
    before = world.counts()["kubernetes"]["GET"]
    for _ in range(3):
        place.version(place.tenant)
    assert world.counts()["kubernetes"]["GET"] == before + 3
