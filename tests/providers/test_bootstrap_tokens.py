"""Bootstrap tokens in a simulated tenant, and what a host knows its cluster by, held to openssl's word."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from tests.simulators.running import RunningWorld
from workspaces.providers.bootstrap_tokens import BootstrapToken, meeting
from workspaces.providers.cluster import Cluster
from workspaces.providers.errors import Permanent
from workspaces.providers.kamaji import Kamaji

# As openssl has it: the public key of the certificate, hashed. So does the manual of kubeadm join.
OPENSSL = "openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -hex"


@pytest.fixture(scope="module")
def kubeconfig(running_world: RunningWorld) -> str:
    """The administrator's kubeconfig of a tenant with two nodes."""
    nodes = [{"name": f"keys-w{n}", "kubelet": "v1.34.8", "ready": True} for n in (1, 2)]
    tenant = {"namespace": "ws-keys", "name": "keys", "version": "v1.34.8", "nodes": nodes}
    clusters = [{"name": "mgmt-keys", "version": "v1.36.2", "kamaji_max": "v1.36.0", "tenants": [tenant]}]
    ready = running_world.add({"management_clusters": clusters})
    text = next(one["kubeconfig"] for one in ready["management_clusters"] if one["name"] == "mgmt-keys")
    with Kamaji(text, name="mgmt-keys") as kamaji:
        return str(kamaji.kubeconfig("ws-keys", kamaji.control_plane("ws-keys", "keys").kubeconfig_secret))


@pytest.fixture
def cluster(kubeconfig: str) -> Iterator[Cluster]:
    with Cluster(kubeconfig, name="keys") as cluster:
        yield cluster


def secrets(cluster: Cluster) -> dict[str, Any]:
    found = cluster._core.list_namespaced_secret("kube-system").items
    return {one.metadata.name: one for one in found if one.type == "bootstrap.kubernetes.io/token"}


def test_a_token_has_kubernetes_form_and_no_two_are_equal() -> None:
    first, second = BootstrapToken.new(), BootstrapToken.new()
    assert re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", first.value)
    assert first.value != second.value
    assert first.secret not in repr(first)


def test_a_token_is_for_joining_alone_and_ends(cluster: Cluster) -> None:
    token, until = BootstrapToken.new(), datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    cluster.add_bootstrap_token(token, description="For keys-w3", until=until)
    stored = secrets(cluster)[f"bootstrap-token-{token.id}"]
    data = {key: base64.b64decode(value).decode() for key, value in stored.data.items()}
    assert data == {
        "token-id": token.id,
        "token-secret": token.secret,
        "expiration": until.isoformat().replace("+00:00", "Z"),
        "usage-bootstrap-authentication": "true",
        "usage-bootstrap-signing": "true",
        "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
        "description": "For keys-w3",
    }
    assert cluster.remove_bootstrap_token(token.id)
    assert not cluster.remove_bootstrap_token(token.id)
    assert f"bootstrap-token-{token.id}" not in secrets(cluster)


def test_a_node_is_deleted_once(cluster: Cluster) -> None:
    assert cluster.delete_node("keys-w2")
    assert not cluster.delete_node("keys-w2")
    assert [node.name for node in cluster.nodes()] == ["keys-w1"]


def test_a_host_knows_its_cluster_by_address_and_authority(kubeconfig: str) -> None:
    authority = yaml.safe_load(kubeconfig)["clusters"][0]["cluster"]
    pem = base64.b64decode(authority["certificate-authority-data"])
    said = subprocess.run(["sh", "-c", OPENSSL], input=pem, capture_output=True, check=True).stdout.decode()
    where = meeting(kubeconfig)
    assert where.authorities == (f"sha256:{said.split()[-1]}",)
    assert f"https://{where.endpoint}" == authority["server"]


def test_the_usual_port_is_named_and_an_ipv6_address_keeps_its_brackets(kubeconfig: str) -> None:
    for server, endpoint in (
        ("https://api.example", "api.example:443"),
        ("https://[2001:db8::1]:6443", "[2001:db8::1]:6443"),
    ):
        document = yaml.safe_load(kubeconfig)
        document["clusters"][0]["cluster"]["server"] = server
        assert meeting(yaml.safe_dump(document)).endpoint == endpoint


def test_an_authority_that_is_no_certificate_is_a_configuration_error(kubeconfig: str) -> None:
    document = yaml.safe_load(kubeconfig)
    document["clusters"][0]["cluster"]["certificate-authority-data"] = base64.b64encode(b"none").decode()
    with pytest.raises(Permanent) as caught:
        meeting(yaml.safe_dump(document))
    assert caught.value.code == "configuration"
