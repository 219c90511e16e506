"""What keeps a drain from getting on, and what is known before one: room, owners, budgets and webhooks."""

from datetime import UTC, datetime, timedelta

import pytest
from kubernetes import client

from tests.simulators.running import RunningWorld
from workspaces.providers.cluster import Blocked, Evicted, Gone, Pod, Webhook, Workload
from workspaces.providers.errors import Temporary
from workspaces.providers.kubeconfig import connect

from .small_platform import Platform, until


@pytest.fixture
def platform(world: RunningWorld) -> Platform:
    return Platform(world)


def test_room_on_nodes_and_what_pods_reserve_are_told(platform):
    with platform.cluster() as cluster:
        first, second = cluster.nodes()
        pods = cluster.pods()
    assert (first.allocatable_cpu_millis, first.allocatable_memory_bytes, first.allocatable_pods) == (2000, 2**33, 50)
    assert (second.allocatable_cpu_millis, second.allocatable_pods) == (4000, 110)
    web, cart = (next(pod for pod in pods if pod.name.startswith(name)) for name in ("web-", "cart-"))
    assert (web.cpu_millis, web.memory_bytes) == (250, 64 * 2**20)
    assert (cart.cpu_millis, cart.memory_bytes, cart.owner) == (50, 2**30, "StatefulSet/cart")
    assert {pod.node for pod in pods} == {"w1", "w2"}
    assert {pod.namespace for pod in pods} == {"kube-system", "shop"}
    assert all(datetime.now(UTC) - pod.created < timedelta(minutes=5) for pod in pods)


def test_the_workload_of_a_pod_is_found_by_the_pods_owner(platform):
    with platform.cluster() as cluster:
        workloads = {(each.namespace, each.reference): each for each in cluster.workloads()}
        pods = [pod for pod in cluster.pods() if pod.must_leave]
    assert workloads["shop", "Deployment/web"] == Workload("shop", "Deployment", "web", 3, 3)
    assert workloads["shop", "StatefulSet/cart"] == Workload("shop", "StatefulSet", "cart", 1, 1)
    owners = {pod.name.split("-")[0]: workloads[pod.namespace, pod.owner] for pod in pods}
    assert (owners["web"].owner, owners["web"].replicas, owners["web"].ready) == ("Deployment/web", 3, 3)
    assert owners["cart"].replicas == 1


def test_pods_that_fit_nowhere_else_wait_for_room_and_get_it(platform):
    """Beside what is there w1 has room for one and w2 for four."""
    with platform.cluster() as cluster, connect(platform.tenant_kubeconfig()) as api_client:
        apps = client.AppsV1Api(api_client)
        container = {"name": "c", "image": "i:1", "resources": {"requests": {"cpu": "900m"}}}
        template = {"metadata": {"labels": {"app": "big"}}, "spec": {"containers": [container]}}
        body = {
            "metadata": {"name": "big"},
            "spec": {"replicas": 6, "selector": {"matchLabels": {"app": "big"}}, "template": template},
        }
        apps.create_namespaced_deployment("shop", body)

        def big() -> list[Pod]:
            return [pod for pod in cluster.pods() if pod.labels.get("app") == "big"]

        until(lambda: len(big()) == 6 and len([pod for pod in big() if pod.ready]) == 5)
        (waiting,) = [pod for pod in big() if not pod.node]
        assert (waiting.phase, waiting.cpu_millis) == ("Pending", 900)
        refused = client.CoreV1Api(api_client).read_namespaced_pod(waiting.name, "shop").status.conditions[0]
        assert (refused.type, refused.status, refused.reason) == ("PodScheduled", "False", "Unschedulable")
        assert refused.message == "0/2 nodes are available: 2 Insufficient cpu. no new claims to deallocate"
        (deployment,) = [each for each in cluster.workloads() if each.reference == "Deployment/big"]
        assert (deployment.replicas, deployment.ready) == (6, 5)
        apps.patch_namespaced_deployment_scale("web", "shop", {"spec": {"replicas": 0}})
        apps.patch_namespaced_stateful_set_scale("cart", "shop", {"spec": {"replicas": 0}})
        until(lambda: all(pod.node and pod.ready for pod in big()))


def test_asking_whether_pods_may_go_takes_nothing_from_their_budget(platform, world):
    with platform.cluster() as cluster:
        pods = [pod for pod in cluster.pods() if pod.must_leave]
        assert [cluster.may_evict(pod) for pod in pods for _ in range(2)] == [Evicted()] * 8
        assert {pod.uid for pod in cluster.pods() if pod.must_leave and not pod.deleting} == {pod.uid for pod in pods}
        (budget,) = cluster.budgets()
        assert budget.allowed == 1
        world.fault(service="kubernetes", target=platform.target, kind="budget")
        web = [pod for pod in pods if budget.covers(pod)]
        until(lambda: cluster.budgets()[0].allowed == 0)
        blocked = Blocked("web", "The disruption budget web needs 3 healthy pods and has 3 currently", None)
        assert [cluster.may_evict(pod) for pod in web] == [blocked] * 3
        world.clear_faults()
        until(lambda: cluster.may_evict(web[0]) == Evicted())


def test_a_pod_that_is_gone_may_not_be_evicted_any_more(platform):
    with platform.cluster() as cluster:
        pod = next(pod for pod in cluster.pods() if pod.owner == "StatefulSet/cart")
        assert cluster.evict(pod) == Evicted()
        until(lambda: (now := cluster.pod("shop", pod.name)) is not None and now.uid != pod.uid)
        assert cluster.may_evict(pod) == Gone()


def test_a_webhook_with_nobody_behind_it_refuses_evictions_and_cordons_until_somebody_is(platform, world):
    target = f"{platform.target}/guard/webhook"
    with platform.cluster() as cluster:
        hook = Webhook("policy.guard.example", "policy.guard.example", "Fail", "guard/webhook", "", True)
        assert cluster.admission_webhooks() == [hook]
        pod = next(pod for pod in cluster.pods() if pod.owner == "StatefulSet/cart")
        assert cluster.has_ready_endpoints("guard", "webhook")
        assert cluster.may_evict(pod) == Evicted()
        world.fault(service="kubernetes", target=target, kind="endpoints_down")
        assert not cluster.has_ready_endpoints("guard", "webhook")
        for attempt in (lambda: cluster.may_evict(pod), lambda: cluster.cordon("w1", "operation-1")):
            with pytest.raises(Temporary) as caught:
                attempt()
            assert caught.value.code == "cloud_api"
            assert 'failed calling webhook "policy.guard.example"' in caught.value.message
            assert 'no endpoints available for service "webhook"' in caught.value.message
        assert cluster.node("w1").unschedulable is False
        world.clear_faults()
        assert cluster.has_ready_endpoints("guard", "webhook")
        assert cluster.cordon("w1", "operation-1").unschedulable
        assert not cluster.has_ready_endpoints("guard", "other")
