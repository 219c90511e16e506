"""A tenant's own API: its nodes cordoned and drained, its budgets, its versions, its use of deprecated APIs.

How to drain a node is decided in operations/nodes; this module makes one call at a time and says what came of it. The
values it answers are in cluster_objects and cluster_workloads, evictions in evictions.
"""

from datetime import datetime
from typing import Any, Final, Self

import yaml
from kubernetes import client

from . import bootstrap_tokens
from .bootstrap_tokens import BootstrapToken
from .cluster_objects import CORDONED_BY, Budget, Node, Pod, Requirement
from .cluster_restarts import restart_pods
from .cluster_workloads import Webhook, Workload
from .deprecated_apis import DeprecatedApi, DeprecatedUse, read, started_at
from .evictions import Blocked, Evicted, Eviction, Gone, evict
from .kubeconfig import connect
from .kubernetes_errors import speaking_to
from .kubernetes_lists import every_item
from .managed_fields import OURS

__all__ = [
    "Blocked", "BootstrapToken", "Budget", "Cluster", "DeprecatedApi", "DeprecatedUse", "Evicted", "Eviction", "Gone",
    "Node", "Pod", "Requirement", "Webhook", "Workload",
]  # fmt: skip

_DRAWS: Final = 4
_SERVICE_LABEL: Final = "kubernetes.io/service-name"


class Cluster:
    """One tenant's API, for a `with` block; its errors call it `name`. Every method raises Temporary and Permanent."""

    def __init__(self, kubeconfig: str, *, name: str, timeout: float = 10) -> None:
        self._peer = f"tenant {name}"
        self._api = connect(kubeconfig, timeout=timeout)
        self._core = client.CoreV1Api(self._api)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._api.close()

    @property
    def client_certificate_expires_at(self) -> datetime | None:
        """When the kubeconfig's client certificate ends, in UTC; None for a token."""
        return self._api.certificate_ends_at

    def version(self) -> str:
        """The version of the API server that answered, "1.35.4"."""
        with speaking_to(self._peer):
            return str(client.VersionApi(self._api).get_code().git_version).removeprefix("v")

    def answers(self, times: int) -> set[str]:
        """The versions `times` calls met. During a rollout old and new API servers answer in turn."""
        versions = set()
        for _ in range(times):
            self._reconnect()
            versions.add(self.version())
        return versions

    def kubeadm_version(self) -> str:
        """The version `kubeadm upgrade node` would move a worker to, "1.35.4"; "" while the tenant does not say.

        Kamaji writes it a while after the control plane is Ready (ConfigMap kube-system/kubeadm-config).
        """
        with speaking_to(self._peer):
            try:
                data = self._core.read_namespaced_config_map("kubeadm-config", "kube-system").data or {}
                configuration = yaml.safe_load(data.get("ClusterConfiguration") or "")
            except client.exceptions.NotFoundException:
                return ""
            except yaml.YAMLError:
                raise ValueError("kubeadm-config is not YAML") from None
        version = configuration.get("kubernetesVersion") if isinstance(configuration, dict) else None
        return str(version or "").removeprefix("v")

    def nodes(self) -> list[Node]:
        with speaking_to(self._peer):
            return [Node.of(node) for node in every_item(self._core.list_node)]

    def node(self, name: str) -> Node:
        with speaking_to(self._peer):
            return Node.of(self._core.read_node(name))

    def delete_node(self, name: str) -> bool:
        """Take the node out of the cluster; whether it was in it. A kubelet that still runs comes back at a restart."""
        with speaking_to(self._peer):
            try:
                self._core.delete_node(name)
            except client.exceptions.NotFoundException:
                return False
        return True

    def add_bootstrap_token(self, token: BootstrapToken, *, description: str, until: datetime) -> None:
        """Let hosts join with `token` until that time (in UTC)."""
        bootstrap_tokens.add(self._core, self._peer, token, description=description, until=until)

    def remove_bootstrap_token(self, id: str) -> bool:
        """Let no host join with the token of that id any more; whether one could."""
        return bootstrap_tokens.remove(self._core, self._peer, id)

    def lease_renewed_at(self, node: str) -> datetime | None:
        """When the node's kubelet last said that it lives (every 10 seconds); None when it never did."""
        with speaking_to(self._peer):
            try:
                lease = client.CoordinationV1Api(self._api).read_namespaced_lease(node, "kube-node-lease")
            except client.exceptions.NotFoundException:
                return None
            renewed: datetime | None = lease.spec.renew_time if lease.spec else None
            return renewed

    def restart_pods(self, namespace: str, at: str) -> list[str]:
        """Start every pod of the namespace's DaemonSets and Deployments again, as `kubectl rollout restart` does.

        `at` is a time; the same one again changes nothing. Returns what was told so: "DaemonSet kube-proxy".
        """
        return restart_pods(client.AppsV1Api(self._api), self._peer, namespace, at)

    def cordon(self, name: str, by: str) -> Node:
        """Let no new pod onto the node, and note on it that `by` did so; returns it as it is afterwards.

        A node that is cordoned already keeps its owner: `cordoned_by` of the answer is `by` only if it is ours to undo.
        """
        node = self.node(name)
        if node.unschedulable:
            return node
        return self._change(node, {"unschedulable": True}, by)

    def take_over(self, name: str, previous: str, by: str) -> bool:
        """Make the cordon of `previous` that of `by`; whether it was the one of `previous`."""
        node = self.node(name)
        if node.cordoned_by != previous:
            return False
        self._change(node, {"unschedulable": True}, by)
        return True

    def uncordon(self, name: str, by: str) -> bool:
        """Undo the cordon of `by` and only that one; whether there was anything to undo."""
        node = self.node(name)
        if node.cordoned_by != by:
            return False
        self._change(node, {"unschedulable": None}, None)
        return True

    def open_to_pods(self, name: str) -> bool:
        """Undo anybody's cordon, because a person has decided so; whether there was one."""
        node = self.node(name)
        if node.unschedulable:
            self._change(node, {"unschedulable": None}, None)
        return node.unschedulable

    def pods_on(self, node: str) -> list[Pod]:
        with speaking_to(self._peer):
            pods = every_item(self._core.list_pod_for_all_namespaces, field_selector=f"spec.nodeName={node}")
            return [Pod.of(pod) for pod in pods]

    def pod(self, namespace: str, name: str) -> Pod | None:
        """The pod of this name now (compare its uid: it may be another one), or None."""
        with speaking_to(self._peer):
            try:
                return Pod.of(self._core.read_namespaced_pod(name, namespace))
            except client.exceptions.NotFoundException:
                return None

    def pods(self) -> list[Pod]:
        """Every pod of every namespace, as they were at one moment."""
        with speaking_to(self._peer):
            return [Pod.of(pod) for pod in every_item(self._core.list_pod_for_all_namespaces)]

    def workloads(self) -> list[Workload]:
        """Deployments, then StatefulSets, then ReplicaSets, of every namespace; those that want no pod too."""
        apps = client.AppsV1Api(self._api)
        lists = {
            "Deployment": apps.list_deployment_for_all_namespaces,
            "StatefulSet": apps.list_stateful_set_for_all_namespaces,
            "ReplicaSet": apps.list_replica_set_for_all_namespaces,
        }
        with speaking_to(self._peer):
            return [Workload.of(kind, each) for kind, read_page in lists.items() for each in every_item(read_page)]

    def evict(self, pod: Pod) -> Eviction:
        """Ask for the pod to leave, within its own grace time.

        Raises Permanent("configuration") for a pod with two budgets, which the API can never evict.
        """
        return evict(self._core, self._peer, pod, dry_run=False)

    def may_evict(self, pod: Pod) -> Eviction:
        """What `evict` would answer now, asked as a dry run: nothing happens to the pod or to its budget."""
        return evict(self._core, self._peer, pod, dry_run=True)

    def budgets(self) -> list[Budget]:
        with speaking_to(self._peer):
            budgets = every_item(client.PolicyV1Api(self._api).list_pod_disruption_budget_for_all_namespaces)
            return [Budget.of(budget) for budget in budgets]

    def admission_webhooks(self) -> list[Webhook]:
        """Every admission webhook, the mutating ones first: as the API asks them."""
        api = client.AdmissionregistrationV1Api(self._api)
        lists = api.list_mutating_webhook_configuration, api.list_validating_webhook_configuration
        with speaking_to(self._peer):
            return [hook for read_page in lists for held in every_item(read_page) for hook in Webhook.all_of(held)]

    def has_ready_endpoints(self, namespace: str, service: str) -> bool:
        """Whether a request to the service meets anybody. A service that does not exist has none."""
        read_page = client.DiscoveryV1Api(self._api).list_namespaced_endpoint_slice
        with speaking_to(self._peer):
            slices = every_item(read_page, namespace=namespace, label_selector=f"{_SERVICE_LABEL}={service}")
            # Only "no" is a no: Kubernetes asks readers to take an endpoint of unknown state for ready.
            return any(
                endpoint.conditions is None or endpoint.conditions.ready is not False
                for each in slices
                for endpoint in each.endpoints or ()
            )

    def deprecated_use(self, times: int = _DRAWS) -> DeprecatedUse:
        """The deprecated APIs asked for, and since when this is known.

        Each server knows its own callers only and one address stands before all of them, so it is read `times` times
        over new connections: a chance to meet each, no certainty. Just after a rollout nothing is known.
        """
        found: set[DeprecatedApi] = set()
        starts: list[datetime | None] = []
        with speaking_to(self._peer):
            for _ in range(times):
                self._reconnect()
                metrics = self._text("/metrics")
                found.update(read(metrics))
                starts.append(started_at(metrics))
        known = [start for start in starts if start]
        return DeprecatedUse(tuple(sorted(found)), max(known) if known and len(known) == len(starts) else None)

    def _reconnect(self) -> None:
        """Let the next call meet any of the API servers: a kept connection always leads to the same one."""
        self._api.rest_client.pool_manager.clear()

    def _text(self, path: str) -> str:
        request = self._api.param_serialize(
            "GET", path, header_params={"Accept": "text/plain"}, auth_settings=["BearerToken"]
        )
        answer = self._api.call_api(*request)
        answer.read()
        return str(self._api.response_deserialize(answer, {"200": "str"}).data)

    def _change(self, seen: Node, spec: dict[str, Any], by: str | None) -> Node:
        """One patch of the flag and our note together, on the node as `seen`: an operator may have come between."""
        change = {
            "metadata": {"resourceVersion": seen.resource_version, "annotations": {CORDONED_BY: by}},
            "spec": spec,
        }
        with speaking_to(self._peer):
            return Node.of(self._core.patch_node(seen.name, change, field_manager=OURS))
