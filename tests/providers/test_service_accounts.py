"""Access to a tenant that can be taken back, against a simulated API server: made once, refused once it is gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import yaml
from kubernetes import client

from tests.providers.test_simulated_clusters import Platform
from tests.simulators.running import RunningWorld
from workspaces.providers import service_accounts
from workspaces.providers.cluster import Cluster
from workspaces.providers.errors import Permanent
from workspaces.providers.service_accounts import NAMESPACE, Issued

NAME = "loopback-0123456789ab"
LABELS = {"loopback/workspace": "w-1"}
DAY = 24 * 3600


@pytest.fixture
def platform(world: RunningWorld) -> Platform:
    return Platform(world)


def issued(platform: Platform, seconds: int = DAY) -> Issued:
    with platform.cluster() as cluster:
        return service_accounts.issue(cluster, NAME, labels=LABELS, seconds=seconds)


def document(platform: Platform, token: str) -> str:
    with platform.kamaji() as kamaji:
        secret = platform.control_plane(kamaji).kubeconfig_secret
        return service_accounts.document(kamaji.kubeconfig(platform.namespace, secret), NAME, token)


def nodes(platform: Platform, token: str) -> list[str]:
    with Cluster(document(platform, token), name="handed out") as cluster:
        return sorted(node.name for node in cluster.nodes())


def refusal(platform: Platform, token: str) -> str:
    with pytest.raises(Permanent) as caught:
        nodes(platform, token)
    return caught.value.code


def test_a_token_has_full_rights_and_ends_when_the_server_says(platform):
    made = issued(platform)
    assert nodes(platform, made.token) == ["w1", "w2"]
    assert timedelta(days=1) - timedelta(minutes=1) < made.until - datetime.now(UTC) <= timedelta(days=1)
    assert made.token not in repr(made)


def test_account_and_rights_carry_our_label_and_name_each_other(platform):
    issued(platform)
    with platform.cluster() as cluster:
        account = client.CoreV1Api(cluster._api).read_namespaced_service_account(NAME, NAMESPACE)
        binding = client.RbacAuthorizationV1Api(cluster._api).read_cluster_role_binding(NAME)
    assert account.metadata.labels == LABELS
    assert binding.metadata.labels == LABELS
    assert (binding.role_ref.kind, binding.role_ref.name) == ("ClusterRole", "cluster-admin")
    assert [(one.kind, one.name, one.namespace) for one in binding.subjects] == [("ServiceAccount", NAME, NAMESPACE)]


def test_issuing_twice_leaves_one_account_and_both_tokens_are_good(platform):
    first, second = issued(platform), issued(platform)
    assert first.token != second.token
    assert nodes(platform, first.token) == nodes(platform, second.token) == ["w1", "w2"]
    with platform.cluster() as cluster:
        found = client.CoreV1Api(cluster._api).list_namespaced_service_account(NAMESPACE).items
    assert [one.metadata.name for one in found if one.metadata.name != "default"] == [NAME]


def test_what_is_revoked_is_refused_and_its_rights_are_gone(platform):
    made = issued(platform)
    assert nodes(platform, made.token) == ["w1", "w2"]
    with platform.cluster() as cluster:
        assert service_accounts.revoke(cluster, NAME) is True
        assert service_accounts.revoke(cluster, NAME) is False
        bindings = client.RbacAuthorizationV1Api(cluster._api).list_cluster_role_binding().items
    assert refusal(platform, made.token) == "credential"
    assert NAME not in [one.metadata.name for one in bindings]


def test_rights_that_a_broken_off_revocation_left_go_with_the_next(platform):
    issued(platform)
    with platform.cluster() as cluster:
        client.CoreV1Api(cluster._api).delete_namespaced_service_account(NAME, NAMESPACE)
        assert service_accounts.revoke(cluster, NAME) is False
        bindings = client.RbacAuthorizationV1Api(cluster._api).list_cluster_role_binding().items
    assert NAME not in [one.metadata.name for one in bindings]


def test_a_kubeconfig_holds_the_token_and_nothing_of_the_administrators(platform):
    content = yaml.safe_load(document(platform, "t0ken"))
    assert content["users"] == [{"name": NAME, "user": {"token": "t0ken"}}]
    assert content["current-context"] == f"{NAME}@kubernetes"
    assert set(content["clusters"][0]["cluster"]) <= {"server", "certificate-authority-data", "tls-server-name"}
