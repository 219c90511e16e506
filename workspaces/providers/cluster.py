"""A tenant's own API: its nodes cordoned and drained, its budgets, its versions, its use of deprecated APIs.

How to drain a node is decided in operations/nodes; this module makes one call at a time and says what came of it.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

import yaml
from kubernetes import client

from .cluster_objects import CORDONED_BY, Budget, Node, Pod, Requirement
from .deprecated_apis import DeprecatedApi, read
from .errors import Permanent
from .kubeconfig import connect
from .kubernetes_errors import retry_after, speaking_to, status_of
from .kubernetes_lists import every_item

__all__ = [
    "Blocked", "Budget", "Cluster", "DeprecatedApi", "Evicted", "Eviction", "Gone", "Node", "Pod", "Requirement",
]  # fmt: skip

_BUDGET: Final = re.compile(r"The disruption budget (?P<name>\S+)")
_DRAWS: Final = 4


@dataclass(frozen=True)
class Evicted:
    """The eviction was accepted: the pod is going, and is not gone yet."""


@dataclass(frozen=True)
class Gone:
    """There was nothing to evict: the pod is gone, or another one took its name."""


@dataclass(frozen=True)
class Blocked:
    """A PodDisruptionBudget does not allow it now: its name, the API's sentence, the pause in seconds it asked for.

    It may never allow it (one replica, `minAvailable: 1`): the caller needs a deadline.
    """

    budget: str
    message: str
    retry_after: float | None


Eviction = Evicted | Gone | Blocked


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

    def lease_renewed_at(self, node: str) -> datetime | None:
        """When the node's kubelet last said that it lives (every 10 seconds); None when it never did."""
        with speaking_to(self._peer):
            try:
                lease = client.CoordinationV1Api(self._api).read_namespaced_lease(node, "kube-node-lease")
            except client.exceptions.NotFoundException:
                return None
            renewed: datetime | None = lease.spec.renew_time if lease.spec else None
            return renewed

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

    def evict(self, pod: Pod) -> Eviction:
        """Ask for the pod to leave, within its own grace time.

        Raises Permanent("configuration") for a pod with two budgets, which the API can never evict.
        """
        # With the uid: a StatefulSet starts its pod again under the same name, perhaps on another node.
        wish = client.V1Eviction(
            metadata=client.V1ObjectMeta(name=pod.name, namespace=pod.namespace),
            delete_options=client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=pod.uid)),
        )
        with speaking_to(self._peer):
            try:
                self._core.create_namespaced_pod_eviction(pod.name, pod.namespace, wish)
            except client.ApiException as error:
                refusal = self._refused_eviction(pod, error)
                if refusal is None:
                    raise
                return refusal
        return Evicted()

    def budgets(self) -> list[Budget]:
        with speaking_to(self._peer):
            budgets = every_item(client.PolicyV1Api(self._api).list_pod_disruption_budget_for_all_namespaces)
            return [Budget.of(budget) for budget in budgets]

    def deprecated_apis(self, times: int = _DRAWS) -> list[DeprecatedApi]:
        """The deprecated APIs asked for since the API servers started, sorted.

        Each server knows its own callers only and one address stands before all of them, so it is read `times` times
        over new connections: a chance to meet each, no certainty. Just after a rollout nothing is known.
        """
        found: set[DeprecatedApi] = set()
        with speaking_to(self._peer):
            for _ in range(times):
                self._reconnect()
                found.update(read(self._text("/metrics")))
        return sorted(found)

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
            return Node.of(self._core.patch_node(seen.name, change))

    def _refused_eviction(self, pod: Pod, error: client.ApiException) -> Eviction | None:
        """What a refused eviction means; None when it means no more than any other refused call."""
        status = status_of(error)
        message = str(status.get("message") or "")
        causes = (status.get("details") or {}).get("causes") or ()
        reasons = {cause.get("reason"): str(cause.get("message") or "") for cause in causes}
        if error.status == 404 or (error.status == 409 and "UID in the precondition" in message):
            return Gone()
        if error.status == 403 and "NamespaceTerminating" in reasons:
            return Evicted()
        if error.status == 429 and "DisruptionBudget" in reasons:
            cause = reasons["DisruptionBudget"]
            budget = _BUDGET.search(cause)
            return Blocked(budget["name"] if budget else "", cause or message, retry_after(error))
        if error.status == 500 and "more than one PodDisruptionBudget" in message:
            raise Permanent(
                "configuration",
                f"{self._peer}: pod {pod.namespace}/{pod.name} has two disruption budgets, so it can never be evicted.",
                who_can_fix="The owner of the workload, by leaving one budget for the pod.",
            )
        return None
