"""Kubeconfigs that end at a chosen time: of management clusters, and of tenants whose renewal did not happen."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from cryptography import x509
from kubernetes import client, config

from .running import RunningWorld

KEY = "ws-a/ledger"
SPEC = {
    "management_clusters": [
        {
            "name": "m",
            "certificate_days": 9,
            "tenants": [{"namespace": "ws-a", "name": "ledger", "version": "v1.35.4"}],
        },
        {"name": "by-token"},
    ]
}


@pytest.fixture
def world():
    with RunningWorld(SPEC) as world:
        yield world


def management(world, name="m"):
    found = next(m for m in world._ask("GET", "/ready")["management_clusters"] if m["name"] == name)
    return found["kubeconfig"]


def days_left(kubeconfig):
    user = yaml.safe_load(kubeconfig)["users"][0]["user"]
    certificate = x509.load_pem_x509_certificate(base64.b64decode(user["client-certificate-data"]))
    return (certificate.not_valid_after_utc - datetime.now(UTC)) / timedelta(days=1)


def version(kubeconfig):
    api = config.new_client_from_config_dict(yaml.safe_load(kubeconfig), persist_config=False)
    api.configuration.retries = False
    try:
        return client.VersionApi(api).get_code(_request_timeout=5).git_version
    finally:
        api.close()


def control_planes(kubeconfig):
    api = config.new_client_from_config_dict(yaml.safe_load(kubeconfig), persist_config=False)
    try:
        listed = client.CustomObjectsApi(api).list_cluster_custom_object("kamaji.clastix.io", "v1alpha1", PLURAL)
        return [item["metadata"]["name"] for item in listed["items"]]
    finally:
        api.close()


PLURAL = "tenantcontrolplanes"


def test_a_management_cluster_has_a_certificate_that_ends_when_the_world_says(world):
    assert 8.9 < days_left(management(world)) <= 9
    assert control_planes(management(world)) == ["ledger"]
    assert "token" in yaml.safe_load(management(world, "by-token"))["users"][0]["user"]


def test_a_certificate_is_issued_on_demand_and_kept_over_a_restart(world):
    issued = world.certificate("m", 0.25)
    assert 0.24 < days_left(issued) <= 0.25
    assert management(world) == issued
    world.stop()
    world.start()
    assert days_left(management(world)) == pytest.approx(days_left(issued), abs=0.001)
    assert control_planes(management(world)) == ["ledger"]


def test_an_expired_certificate_passes_the_handshake_and_is_answered_401_as_by_real_servers(world):
    before = management(world)
    expired = world.certificate("m", -1)
    assert days_left(expired) < -0.9
    with pytest.raises(client.ApiException) as caught:
        version(expired)
    assert (caught.value.status, json.loads(caught.value.body)["message"]) == (401, "Unauthorized")
    assert version(before) == "v1.36.2"


def test_the_secret_of_a_tenant_holds_the_certificate_that_was_issued(world):
    issued = world.certificate(KEY, 0.4)
    assert 0.39 < days_left(issued) <= 0.4
    assert version(issued) == "v1.35.4"
    api = config.new_client_from_config_dict(yaml.safe_load(management(world)), persist_config=False)
    secret = client.CoreV1Api(api).read_namespaced_secret("ledger-admin-kubeconfig", "ws-a")
    assert base64.b64decode(secret.data["admin.conf"]).decode() == issued
    entry = next(e for e in secret.metadata.managed_fields if e.manager == "kamaji")
    assert "f:admin.conf" in entry.fields_v1["f:data"]
    api.close()


def test_a_cluster_that_is_not_there_is_refused(world):
    with pytest.raises(ValueError, match="KeyError"):
        world.certificate("nowhere", 1)
