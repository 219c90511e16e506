"""The same providers against whole simulated clusters: an upgrade, a drain and the faults, as operations meet them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from kubernetes import client

from tests.simulators.running import RunningWorld
from workspaces.providers.cluster import Blocked, Cluster, DeprecatedApi, Evicted, Gone
from workspaces.providers.errors import Permanent, Temporary
from workspaces.providers.kamaji import ControlPlane, Kamaji
from workspaces.providers.kubeconfig import connect


class Platform:
    """A management cluster of this test's own with one tenant: two workers, a Deployment of three under a budget."""

    def __init__(self, world: RunningWorld) -> None:
        own = uuid4().hex[:6]
        self.name, self.namespace, self.tenant = f"mgmt-{own}", f"ws-{own}", "ledger-prod"
        nodes = [{"name": f"w{number}", "kubelet": "v1.35.4", "ready": True} for number in (1, 2)]
        web = {"namespace": "shop", "name": "web", "kind": "Deployment", "replicas": 3, "ready": 3}
        agent = {"namespace": "kube-system", "name": "agent", "kind": "DaemonSet", "replicas": 2, "ready": 2}
        tenant = {
            "namespace": self.namespace,
            "name": self.tenant,
            "version": "v1.35.4",
            "replicas": 2,
            "nodes": nodes,
            "workloads": [web | {"budget": {"minAvailable": 2}, "grace_seconds": 0}, agent],
            "deprecated_apis": [
                {"group": "policy", "version": "v1beta1", "resource": "podsecuritypolicies", "removed_release": "1.25"}
            ],
        }
        cluster = {"name": self.name, "version": "v1.36.2", "kamaji_max": "v1.36.0", "tenants": [tenant]}
        ready = world.add({"management_clusters": [cluster]})
        self.target = f"{self.namespace}/{self.tenant}"  # as faults name it
        self.kubeconfig = next(c["kubeconfig"] for c in ready["management_clusters"] if c["name"] == self.name)

    def kamaji(self, timeout: float = 5) -> Kamaji:
        return Kamaji(self.kubeconfig, name=self.name, timeout=timeout)

    def control_plane(self, kamaji: Kamaji) -> ControlPlane:
        return kamaji.control_plane(self.namespace, self.tenant)

    @contextmanager
    def cluster(self, timeout: float = 5) -> Iterator[Cluster]:
        with self.kamaji() as kamaji:
            kubeconfig = kamaji.kubeconfig(self.namespace, self.control_plane(kamaji).kubeconfig_secret)
        with Cluster(kubeconfig, name=self.tenant, timeout=timeout) as cluster:
            yield cluster


@pytest.fixture
def platform(world: RunningWorld) -> Platform:
    return Platform(world)


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def test_a_tenant_is_reached_through_the_kubeconfig_that_kamaji_keeps(platform):
    with platform.cluster() as cluster:
        assert cluster.version() == "1.35.4"
        assert cluster.kubeadm_version() == "1.35.4"
        nodes = cluster.nodes()
    assert [(node.name, node.kubelet_version, node.ready) for node in nodes] == [
        ("w1", "1.35.4", "True"),
        ("w2", "1.35.4", "True"),
    ]


def test_an_upgrade_is_finished_only_when_the_new_version_serves(platform):
    with platform.kamaji() as kamaji:
        before = platform.control_plane(kamaji)
        assert before.has_finished("1.35.4")
        after = kamaji.set_version(before, "1.36.1")
        assert (after.wanted_version, after.generation) == ("1.36.1", before.generation + 1)
        assert not after.has_finished("1.36.1")
        until(lambda: platform.control_plane(kamaji).has_finished("1.36.1"))
    with platform.cluster() as cluster:
        until(lambda: cluster.kubeadm_version() == "1.36.1")
        assert cluster.answers(4) == {"1.36.1"}


def test_of_two_workers_with_the_same_sight_one_is_too_late(platform):
    with platform.kamaji() as kamaji:
        seen = platform.control_plane(kamaji)
        kamaji.set_version(seen, "1.35.7")
        with pytest.raises(Temporary) as caught:
            kamaji.set_version(seen, "1.36.0")
        assert caught.value.code == "conflict"
        assert platform.control_plane(kamaji).wanted_version == "1.35.7"


def test_a_version_beyond_kamajis_own_is_refused_in_kamajis_words(platform):
    with platform.kamaji() as kamaji:
        seen = platform.control_plane(kamaji)
        with pytest.raises(Permanent) as caught:
            kamaji.set_version(seen, "1.37.0")
    assert caught.value.message == (
        f"management cluster {platform.name}: Kamaji refused the change: "
        "unable to upgrade to a version greater than the supported one (v1.36)"
    )


def test_kamaji_being_down_is_temporary(platform, world):
    world.fault(service="kubernetes", target=platform.name, kind="webhook_down")
    with platform.kamaji() as kamaji:
        seen = platform.control_plane(kamaji)
        with pytest.raises(Temporary) as caught:
            kamaji.set_version(seen, "1.36.0")
    assert "Kamaji does not answer" in caught.value.message


def test_a_cordon_belongs_to_the_operation_that_made_it(platform):
    with platform.cluster() as cluster:
        mine = cluster.cordon("w1", "operation-1")
        assert (mine.unschedulable, mine.cordoned_by) == (True, "operation-1")
        assert cluster.cordon("w1", "operation-2").cordoned_by == "operation-1"
        assert cluster.uncordon("w1", "operation-2") is False
        assert cluster.node("w1").unschedulable
        assert cluster.uncordon("w1", "operation-1") is True
        after = cluster.node("w1")
        assert (after.unschedulable, after.cordoned_by) == (False, "")
        assert cluster.uncordon("w1", "operation-1") is False


def test_a_drain_empties_a_node_but_for_its_own_pods_and_keeps_the_budget(platform):
    with platform.cluster() as cluster:
        cluster.cordon("w1", "operation-1")
        (budget,) = [budget for budget in cluster.budgets() if budget.name == "web"]
        assert (budget.allowed, budget.desired_healthy, budget.expected) == (1, 2, 3)
        results = []

        def emptied() -> bool:
            leaving = [pod for pod in cluster.pods_on("w1") if pod.must_leave]
            assert all(budget.covers(pod) for pod in leaving)
            results.extend(cluster.evict(pod) for pod in leaving if not pod.deleting)
            return not leaving

        until(emptied)
        assert any(isinstance(result, Evicted) for result in results)
        assert all(isinstance(result, Evicted | Gone | Blocked) for result in results)
        assert {pod.owner.split("/")[0] for pod in cluster.pods_on("w1")} == {"DaemonSet", "Node"}


def test_a_budget_that_allows_nothing_blocks_and_is_named(platform, world):
    world.fault(service="kubernetes", target=platform.target, kind="budget")
    with platform.cluster() as cluster:
        pods = [pod for pod in [*cluster.pods_on("w1"), *cluster.pods_on("w2")] if pod.must_leave]
        result = cluster.evict(pods[0])
    assert isinstance(result, Blocked)
    assert result.budget == "web"
    assert result.retry_after is None


def test_deprecated_apis_are_told(platform):
    with platform.cluster() as cluster:
        assert DeprecatedApi("policy", "v1beta1", "podsecuritypolicies", "1.25") in cluster.deprecated_use().apis


def test_a_kubelets_lease_moves(platform):
    with platform.cluster() as cluster:
        assert cluster.lease_renewed_at("w1") is not None
        assert cluster.lease_renewed_at("ghost") is None


def test_a_lost_node_becomes_unknown_and_the_others_do_not(platform, world):
    world.fault(service="kubernetes", target=f"{platform.target}/w2", kind="lost_node")
    with platform.cluster() as cluster:
        until(lambda: cluster.node("w2").ready == "Unknown")
        lost = cluster.node("w2")
        assert (lost.ready_reason, lost.ready_message) == (
            "NodeStatusUnknown",
            "Kubelet stopped posting node status.",
        )
        assert cluster.node("w1").ready == "True"


def test_a_hung_upgrade_keeps_the_old_version_serving(platform, world):
    world.fault(service="kubernetes", target=platform.target, kind="upgrade_hang")
    with platform.kamaji() as kamaji:
        kamaji.set_version(platform.control_plane(kamaji), "1.36.0")
        until(lambda: platform.control_plane(kamaji).status == "Upgrading")
        seen = platform.control_plane(kamaji)
    assert (seen.wanted_version, seen.running_version) == ("1.36.0", "1.35.4")
    assert not seen.has_finished("1.36.0")
    with platform.cluster() as cluster:
        assert "1.35.4" in cluster.answers(3)


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ({"kind": "expired_token"}, Permanent, "credential"),
        ({"kind": "refuse"}, Temporary, "unreachable"),
        ({"kind": "hang"}, Temporary, "unreachable"),
        ({"kind": "status", "status": 503}, Temporary, "cloud_api"),
        ({"kind": "status", "status": 429}, Temporary, "rate_limit"),
        ({"kind": "status", "status": 404}, Permanent, "not_found"),
    ],
)
def test_a_fault_of_the_api_is_an_error_of_its_kind(platform, world, fault, kind, code):
    with platform.cluster(timeout=1) as cluster:
        world.fault(service="kubernetes", target=platform.target, **fault)
        begun = time.monotonic()
        with pytest.raises(kind) as caught:
            cluster.nodes()
        assert time.monotonic() - begun < 3
    assert caught.value.code == code
    assert caught.value.message.startswith("tenant ledger-prod: ")


def test_450_control_planes_are_listed_once_each(platform, world):
    with connect(platform.kubeconfig) as api_client:
        objects = client.CustomObjectsApi(api_client)
        path = {"group": "kamaji.clastix.io", "version": "v1alpha1", "plural": "tenantcontrolplanes"}
        template = objects.get_namespaced_custom_object(**path, namespace=platform.namespace, name=platform.tenant)
        for number in range(449):
            copy = {
                "apiVersion": template["apiVersion"],
                "kind": template["kind"],
                # Paused, so that nothing is started for them.
                "metadata": {"name": f"t-{number:03}", "annotations": {"kamaji.clastix.io/paused": ""}},
                "spec": template["spec"],
            }
            objects.create_namespaced_custom_object(**path, namespace=platform.namespace, body=copy)
    with platform.kamaji() as kamaji:
        names = [plane.name for plane in kamaji.control_planes()]
    assert len(names) == 450
    assert len(set(names)) == 450
    assert len(world.journal(target=platform.name, method="GET", path="*/tenantcontrolplanes?*limit=200*")) == 3
