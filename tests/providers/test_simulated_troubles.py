"""What keeps an upgrade from getting on, made in simulated clusters and seen through the providers.

Each trouble stays until its cause is taken away, and heals after. Upgrades that go well are in test_simulated_clusters,
drains in test_simulated_drains.
"""

import time
from datetime import UTC, datetime, timedelta

import pytest
from kubernetes import client

from tests.simulators.running import RunningWorld
from workspaces.providers.cluster import Gone, Pod
from workspaces.providers.errors import Permanent, Temporary
from workspaces.providers.kamaji import DataStore
from workspaces.providers.kubeconfig import connect

from .small_platform import Platform, until

GROUP = {"group": "kamaji.clastix.io", "version": "v1alpha1"}


@pytest.fixture
def platform(world: RunningWorld) -> Platform:
    return Platform(world)


OLD = [("1.35.4", "Running", True)] * 2
HANGING = [*OLD, *[("1.36.0", "Pending", False)] * 2]
NEW = [("1.36.0", "Running", True)] * 2


# --- An upgrade -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["no_capacity", "upgrade_hang"])
def test_new_pods_that_do_not_start_stay_beside_the_old_ones_until_the_cause_is_gone(platform, world, kind):
    world.fault(service="kubernetes", target=platform.target, kind=kind)
    with platform.kamaji() as kamaji:
        assert platform.pods(kamaji) == OLD
        kamaji.set_version(platform.control_plane(kamaji), "1.36.0")
        until(lambda: platform.pods(kamaji) == HANGING)
        time.sleep(0.5)
        assert platform.pods(kamaji) == HANGING
        assert platform.control_plane(kamaji).status == "Upgrading"
        world.clear_faults()
        until(lambda: platform.control_plane(kamaji).has_finished("1.36.0"))
        assert platform.pods(kamaji) == NEW


def test_a_pod_no_host_of_the_management_cluster_takes_says_why(platform, world):
    world.fault(service="kubernetes", target=platform.name, kind="no_capacity")
    with platform.kamaji() as kamaji:
        kamaji.set_version(platform.control_plane(kamaji), "1.36.0")
        until(lambda: platform.pods(kamaji) == HANGING)
        pods = kamaji.control_plane_pods(platform.namespace, platform.tenant)
    (sentence,) = {pod.unschedulable for pod in pods if pod.version == "1.36.0"}
    assert sentence.startswith("0/3 nodes are available: 3 Insufficient cpu.")
    assert {pod.unschedulable for pod in pods if pod.version == "1.35.4"} == {""}
    assert all(pod.waiting == () for pod in pods)


def test_a_version_without_an_image_waits_for_it_and_another_patch_heals(platform):
    with platform.kamaji() as kamaji:
        kamaji.set_version(platform.control_plane(kamaji), "1.35.99")
        until(lambda: len(platform.pods(kamaji)) == 4)
        pods = kamaji.control_plane_pods(platform.namespace, platform.tenant)
        waiting = [each for pod in pods if pod.version == "1.35.99" for each in pod.waiting]
        assert {each.reason for each in waiting} == {"ImagePullBackOff"}
        image = "registry.k8s.io/kube-apiserver:v1.35.99"
        (first,) = {each for each in waiting if each.container == "kube-apiserver"}
        assert first.image == image
        assert first.message.startswith(f'Back-off pulling image "{image}"')
        assert first.message.endswith(": not found")
        kamaji.set_version(platform.control_plane(kamaji), "1.35.7")
        until(lambda: platform.control_plane(kamaji).has_finished("1.35.7"))
        assert platform.pods(kamaji) == [("1.35.7", "Running", True)] * 2


def test_a_data_store_that_is_down_leaves_the_control_plane_at_its_old_version(platform, world):
    with platform.kamaji() as kamaji:
        seen = platform.control_plane(kamaji)
        assert seen.data_store == "default"
        assert kamaji.data_store("default") == DataStore("default", True, "etcd")
        world.fault(service="kubernetes", target=platform.name, kind="datastore_down")
        assert kamaji.data_store("default") == DataStore("default", False, "etcd")
        kamaji.set_version(seen, "1.36.0")
        time.sleep(0.5)
        after = platform.control_plane(kamaji)
        assert (after.status, after.running_version, after.observed_generation) == ("Ready", "1.35.4", 1)
        assert platform.pods(kamaji) == OLD
        world.clear_faults()
        until(lambda: platform.control_plane(kamaji).has_finished("1.36.0"))
        assert kamaji.data_store("default") == DataStore("default", True, "etcd")


def test_a_data_store_whose_status_says_so_is_down_until_its_status_says_otherwise(platform):
    with platform.kamaji() as kamaji, connect(platform.kubeconfig) as api_client:
        objects = client.CustomObjectsApi(api_client)

        def ready(truth: bool) -> None:
            body = {"status": {"ready": truth}}
            objects.patch_cluster_custom_object_status(**GROUP, plural="datastores", name="default", body=body)

        ready(False)
        assert kamaji.data_store("default") == DataStore("default", False, "etcd")
        kamaji.set_version(platform.control_plane(kamaji), "1.36.0")
        time.sleep(0.5)
        assert platform.control_plane(kamaji).running_version == "1.35.4"
        ready(True)
        until(lambda: platform.control_plane(kamaji).has_finished("1.36.0"))


def test_a_data_store_that_is_not_there_is_none(platform):
    with platform.kamaji() as kamaji:
        assert kamaji.data_store("other") is None


def test_a_pinned_addon_is_told(platform):
    with platform.kamaji() as kamaji, connect(platform.kubeconfig) as api_client:
        assert platform.control_plane(kamaji).addon_tags == ()
        body = {"spec": {"addons": {"kubeProxy": {"imageTag": "v1.34.8"}}}}
        path = GROUP | {"plural": "tenantcontrolplanes", "namespace": platform.namespace, "name": platform.tenant}
        client.CustomObjectsApi(api_client).patch_namespaced_custom_object(**path, body=body)
        assert platform.control_plane(kamaji).addon_tags == (("kubeProxy", "v1.34.8"),)


def test_credentials_tell_when_they_end(platform):
    with platform.kamaji() as kamaji, platform.cluster() as cluster:
        assert kamaji.client_certificate_expires_at is None  # the console has a token
        left = cluster.client_certificate_expires_at - datetime.now(UTC)
    assert timedelta(days=9) < left <= timedelta(days=10)


def test_what_is_known_of_deprecated_apis_begins_anew_with_new_api_servers(platform):
    with platform.cluster() as cluster:
        since = cluster.deprecated_use().since
        assert timedelta(minutes=59) < datetime.now(UTC) - since < timedelta(minutes=61)
        with platform.kamaji() as kamaji:
            kamaji.set_version(platform.control_plane(kamaji), "1.36.0")
            until(lambda: platform.control_plane(kamaji).has_finished("1.36.0"))
        until(lambda: datetime.now(UTC) - cluster.deprecated_use().since < timedelta(minutes=1))


# --- Answers that are none --------------------------------------------------------------------------------------------
ANYBODY = Pod("shop", "web-0", "uid-0", "Running", False, False, False, True, False, True, "ReplicaSet/web", {})
OF_THE_TENANT = {
    "pods": lambda cluster: cluster.pods(),
    "workloads": lambda cluster: cluster.workloads(),
    "webhooks": lambda cluster: cluster.admission_webhooks(),
    "endpoints": lambda cluster: cluster.has_ready_endpoints("guard", "webhook"),
    "deprecated": lambda cluster: cluster.deprecated_use(1),
    "may_evict": lambda cluster: cluster.may_evict(ANYBODY),
}
REFUSALS = [(403, Permanent, "credential"), (404, Permanent, "not_found"), (500, Temporary, "cloud_api")]


@pytest.mark.parametrize(("status", "kind", "code"), REFUSALS)
@pytest.mark.parametrize("asked", OF_THE_TENANT)
def test_what_a_tenant_refuses_is_an_error_of_its_kind(platform, world, asked, status, kind, code):
    with platform.cluster() as cluster:
        world.fault(service="kubernetes", target=platform.target, kind="status", status=status)
        if (asked, status) == ("may_evict", 404):
            assert cluster.may_evict(ANYBODY) == Gone()
            return
        with pytest.raises(kind) as caught:
            OF_THE_TENANT[asked](cluster)
    assert caught.value.code == code
    assert caught.value.message.startswith("tenant ledger-prod: ")


@pytest.mark.parametrize(("status", "kind", "code"), [REFUSALS[0], REFUSALS[2]])
def test_what_a_management_cluster_refuses_is_an_error_of_its_kind(platform, world, status, kind, code):
    world.fault(service="kubernetes", target=platform.name, kind="status", status=status)
    with platform.kamaji() as kamaji:
        for ask in (lambda: kamaji.data_store("default"), lambda: kamaji.control_plane_pods("a", "b")):
            with pytest.raises(kind) as caught:
                ask()
            assert caught.value.code == code
            assert caught.value.message.startswith(f"management cluster {platform.name}: ")
