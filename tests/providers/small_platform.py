"""A simulated management cluster of a test's own, small and with room to run out of: for test_simulated_*."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

from tests.simulators.running import RunningWorld
from workspaces.providers.cluster import Cluster
from workspaces.providers.kamaji import ControlPlane, Kamaji

GUARD = {"name": "policy.guard.example", "resources": ["pods", "pods/eviction", "nodes"]}


class Platform:
    """A management cluster of this test's own: a tenant with two workers, a Deployment, a StatefulSet and a webhook."""

    def __init__(self, world: RunningWorld) -> None:
        own = uuid4().hex[:6]
        self.name, self.namespace, self.tenant = f"mgmt-{own}", f"ws-{own}", "ledger-prod"
        web = {"namespace": "shop", "name": "web", "replicas": 3, "budget": {"minAvailable": 2}, "cpu": "250m"}
        cart = {"namespace": "shop", "name": "cart", "kind": "StatefulSet", "memory": "1Gi"}
        nodes = [
            {"name": "w1", "kubelet": "v1.35.4", "allocatable": {"cpu": "2", "memory": "8Gi", "pods": "50"}},
            {"name": "w2", "kubelet": "v1.35.4"},
        ]
        tenant = {
            "namespace": self.namespace,
            "name": self.tenant,
            "version": "v1.35.4",
            "nodes": nodes,
            "workloads": [web, cart],
            "webhooks": [GUARD],
            "up_seconds": 3600,
            "certificate_days": 10,
        }
        ready = world.add({"management_clusters": [{"name": self.name, "version": "v1.36.2", "tenants": [tenant]}]})
        self.target = f"{self.namespace}/{self.tenant}"  # as faults name it
        self.kubeconfig = next(c["kubeconfig"] for c in ready["management_clusters"] if c["name"] == self.name)

    def kamaji(self, timeout: float = 5) -> Kamaji:
        return Kamaji(self.kubeconfig, name=self.name, timeout=timeout)

    def control_plane(self, kamaji: Kamaji) -> ControlPlane:
        return kamaji.control_plane(self.namespace, self.tenant)

    def tenant_kubeconfig(self) -> str:
        with self.kamaji() as kamaji:
            return kamaji.kubeconfig(self.namespace, self.control_plane(kamaji).kubeconfig_secret)

    @contextmanager
    def cluster(self, timeout: float = 5) -> Iterator[Cluster]:
        with Cluster(self.tenant_kubeconfig(), name=self.tenant, timeout=timeout) as cluster:
            yield cluster

    def pods(self, kamaji: Kamaji) -> list[tuple[str, str, bool]]:
        """Version, phase and readiness of each pod of the control plane, sorted."""
        pods = kamaji.control_plane_pods(self.namespace, self.tenant)
        return sorted((pod.version, pod.phase, pod.ready) for pod in pods)


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)
