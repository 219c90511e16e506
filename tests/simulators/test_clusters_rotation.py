"""Changing a tenant's certificate authority, as Kamaji does it when the Secret is annotated, over the real client."""

import base64
import time

import kubernetes
import pytest
import yaml
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from .running import RunningWorld

ASKED = "certs.kamaji.clastix.io/rotate"
TENANT = {
    "namespace": "ws-a",
    "name": "ledger",
    "version": "v1.35.4",
    "nodes": [{"name": "w-1", "kubelet": "v1.35.4"}, {"name": "w-2", "kubelet": "v1.35.4"}],
}
SPEC = {"management_clusters": [{"name": "m", "tenants": [TENANT]}]}


@pytest.fixture
def world():
    with RunningWorld(SPEC) as world:
        yield world


def core(kubeconfig):
    api = kubernetes.config.new_client_from_config_dict(yaml.safe_load(kubeconfig), persist_config=False)
    api.configuration.retries = False
    return kubernetes.client.CoreV1Api(api)


def management(world):
    return core(world.ready["management_clusters"][0]["kubeconfig"])


def secret(world, name):
    return management(world).read_namespaced_secret(name, "ws-a")


def authority(world):
    return secret(world, "ledger-ca").data["ca.crt"]


def kubeconfig(world):
    return base64.b64decode(secret(world, "ledger-admin-kubeconfig").data["admin.conf"]).decode()


def control_plane(world):
    api = kubernetes.client.CustomObjectsApi(management(world).api_client)
    return api.get_namespaced_custom_object("kamaji.clastix.io", "v1alpha1", "ws-a", "tenantcontrolplanes", "ledger")


def status(world):
    return control_plane(world)["status"]["kubernetesResources"]["version"]["status"]


def rotate(world, value=""):
    management(world).patch_namespaced_secret("ledger-ca", "ws-a", {"metadata": {"annotations": {ASKED: value}}})


def until(true, seconds=60):  # a deadline for a full machine, not a measure
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def rotated(world):
    """Ready under another authority, and served."""
    before = authority(world)
    rotate(world)
    until(lambda: authority(world) != before and status(world) == "Ready" and answers(kubeconfig(world)))


def answers(config):
    try:
        core(config).list_node(_request_timeout=2)
    except (HTTPError, ApiException):
        return False
    return True


def ready(world):
    nodes = core(kubeconfig(world)).list_node().items
    return {node.metadata.name: next(c.status for c in node.status.conditions if c.type == "Ready") for node in nodes}


def test_the_secret_holds_the_authority_of_the_kubeconfig_and_is_named_in_the_status(world):
    cluster = yaml.safe_load(kubeconfig(world))["clusters"][0]["cluster"]
    assert cluster["certificate-authority-data"] == authority(world)
    held = secret(world, "ledger-ca")
    assert sorted(held.data) == ["ca.crt", "ca.key", "tls.crt", "tls.key"]
    assert held.metadata.labels["kamaji.clastix.io/component"] == "ca"
    assert control_plane(world)["status"]["certificates"]["ca"]["secretName"] == "ledger-ca"


def test_an_empty_annotation_changes_it_and_becomes_the_time(world):
    old, config = authority(world), kubeconfig(world)
    generation = control_plane(world)["metadata"]["generation"]
    rotate(world)
    until(lambda: status(world) == "CertificateAuthorityRotating")
    until(lambda: status(world) == "Ready")
    assert authority(world) != old
    assert secret(world, "ledger-ca").metadata.annotations[ASKED].startswith("20")
    assert control_plane(world)["metadata"]["generation"] == generation
    until(lambda: answers(kubeconfig(world)))
    with pytest.raises(HTTPError, match="certificate verify failed"):
        core(config).list_node()


def test_a_value_that_is_not_empty_asks_for_nothing(world):
    old = authority(world)
    rotate(world, "soon")
    time.sleep(0.5)
    assert (authority(world), status(world)) == (old, "Ready")


def test_every_kubelet_falls_silent_and_stays_so(world):
    rotated(world)
    until(lambda: ready(world) == {"w-1": "Unknown", "w-2": "Unknown"})
    time.sleep(0.5)
    assert set(ready(world).values()) == {"Unknown"}


def test_hosts_that_join_afterwards_read_the_new_authority(world):
    rotated(world)

    def published():
        told = core(kubeconfig(world)).read_namespaced_config_map("cluster-info", "kube-public").data["kubeconfig"]
        return yaml.safe_load(told)["clusters"][0]["cluster"]["certificate-authority-data"] == authority(world)

    until(published)


def test_it_survives_a_restart_of_the_world(tmp_path):
    with RunningWorld(SPEC, state_dir=tmp_path) as world:
        rotated(world)
        held, config = authority(world), kubeconfig(world)
    with RunningWorld(SPEC, state_dir=tmp_path) as world:
        assert authority(world) == held
        assert answers(config)
        until(lambda: set(ready(world).values()) == {"Unknown"})
