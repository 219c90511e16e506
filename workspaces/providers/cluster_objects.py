"""What a tenant's API holds, as plain values: Node, Pod, Budget. Built from the client's models, which stay in here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self

from .cluster_workloads import controller_of
from .quantities import Amount, requested, whole

CORDONED_BY: Final = "loopback.dev/cordoned-by"
_MIRROR: Final = "kubernetes.io/config.mirror"


@dataclass(frozen=True)
class Node:
    """A worker. `kubelet_version` is written "1.35.4"; `ready` is "True", "False" or "Unknown", with a reason.

    `ready` of a dead node stays "True" for about 50 seconds: a node's life shows in `Cluster.lease_renewed_at`.
    `cordoned_by` names the operation that cordoned it, "" when nobody of ours did. What is `allocatable` is for pods:
    CPU in thousandths of a core, memory in bytes, the number of pods. A taint is written "key=value:effect", or
    "key:effect" without a value. `managed` is metadata.managedFields as it came: who owns which fields.
    """

    name: str
    kubelet_version: str
    ready: str
    ready_reason: str
    ready_message: str
    unschedulable: bool
    cordoned_by: str
    boot_id: str
    internal_ip: str
    os_image: str
    cpu: str
    memory: str
    resource_version: str
    created: datetime
    allocatable_cpu_millis: int = 0
    allocatable_memory_bytes: int = 0
    allocatable_pods: int = 0
    taints: tuple[str, ...] = ()
    managed: Sequence[Mapping[str, Any]] = field(default=(), repr=False, compare=False)

    @classmethod
    def of(cls, node: Any) -> Self:
        """From a V1Node."""
        status, info = node.status, node.status.node_info
        ready = next((condition for condition in status.conditions or () if condition.type == "Ready"), None)
        addresses = {address.type: address.address for address in reversed(status.addresses or ())}
        capacity, allocatable = status.capacity or {}, status.allocatable or {}
        for_pods = Amount.of(allocatable)
        return cls(
            name=node.metadata.name,
            kubelet_version=info.kubelet_version.removeprefix("v"),
            ready=ready.status if ready else "Unknown",
            ready_reason=(ready and ready.reason) or "",
            ready_message=(ready and ready.message) or "",
            unschedulable=bool(node.spec and node.spec.unschedulable),
            cordoned_by=(node.metadata.annotations or {}).get(CORDONED_BY, ""),
            boot_id=info.boot_id,
            internal_ip=addresses.get("InternalIP", ""),
            os_image=info.os_image,
            cpu=capacity.get("cpu", ""),
            memory=capacity.get("memory", ""),
            resource_version=node.metadata.resource_version,
            created=node.metadata.creation_timestamp,
            allocatable_cpu_millis=for_pods.cpu_millis,
            allocatable_memory_bytes=for_pods.memory_bytes,
            allocatable_pods=whole(allocatable.get("pods")),
            taints=tuple(_taint(taint) for taint in (node.spec and node.spec.taints) or ()),
            managed=[_managed(entry) for entry in node.metadata.managed_fields or ()],
        )


@dataclass(frozen=True)
class Pod:
    """A pod. `owner` is its controller as "ReplicaSet/web-7d9f", "" for a pod nobody would start again elsewhere.

    `node` is "" until it has one. What it reserves there is `cpu_millis` (thousandths of a core) and `memory_bytes`.
    """

    namespace: str
    name: str
    uid: str
    phase: str
    deleting: bool
    mirror: bool
    daemon_set: bool
    controlled: bool
    empty_dir: bool
    ready: bool
    owner: str
    labels: Mapping[str, str]
    node: str = ""
    cpu_millis: int = 0
    memory_bytes: int = 0
    created: datetime | None = None

    @property
    def must_leave(self) -> bool:
        """Whether its node is not empty while this pod is there: what `kubectl drain` would evict or wait for.

        Mirror and DaemonSet pods belong to the node. Finished pods hold nothing but their logs, so they may stay.
        Pods that are being deleted count until they are gone.
        """
        return not (self.mirror or self.daemon_set or self.phase in ("Succeeded", "Failed"))

    @classmethod
    def of(cls, pod: Any) -> Self:
        """From a V1Pod."""
        metadata, wanted = pod.metadata, requested(pod.spec)
        owner = controller_of(metadata)
        conditions = pod.status.conditions or () if pod.status else ()
        return cls(
            namespace=metadata.namespace,
            name=metadata.name,
            uid=metadata.uid,
            phase=(pod.status and pod.status.phase) or "",
            deleting=metadata.deletion_timestamp is not None,
            mirror=_MIRROR in (metadata.annotations or {}),
            daemon_set=owner.startswith("DaemonSet/"),
            controlled=bool(owner),
            empty_dir=any(volume.empty_dir is not None for volume in pod.spec.volumes or ()),
            ready=any(condition.type == "Ready" and condition.status == "True" for condition in conditions),
            owner=owner,
            labels=metadata.labels or {},
            node=pod.spec.node_name or "",
            cpu_millis=wanted.cpu_millis,
            memory_bytes=wanted.memory_bytes,
            created=metadata.creation_timestamp,
        )


@dataclass(frozen=True)
class Requirement:
    """One condition of a label selector; `operator` is In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":  # also of pods without the label
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case _:
                return self.key not in labels


@dataclass(frozen=True)
class Budget:
    """A PodDisruptionBudget: `allowed` pods may go now, `current_healthy` of `expected` are up, `desired_healthy` stay.

    `selector` is None for a budget without one, which covers no pod; an empty selector covers its whole namespace.
    """

    namespace: str
    name: str
    allowed: int
    current_healthy: int
    desired_healthy: int
    expected: int
    selector: tuple[Requirement, ...] | None

    def covers(self, pod: Pod) -> bool:
        if self.selector is None or pod.namespace != self.namespace:
            return False
        return all(requirement.holds(pod.labels) for requirement in self.selector)

    @classmethod
    def of(cls, budget: Any) -> Self:
        """From a V1PodDisruptionBudget. While its status is not written it allows nothing: the API says the same."""
        status = budget.status
        return cls(
            namespace=budget.metadata.namespace,
            name=budget.metadata.name,
            allowed=(status and status.disruptions_allowed) or 0,
            current_healthy=(status and status.current_healthy) or 0,
            desired_healthy=(status and status.desired_healthy) or 0,
            expected=(status and status.expected_pods) or 0,
            selector=_requirements(budget.spec.selector) if budget.spec else None,
        )


def _managed(entry: Any) -> dict[str, Any]:
    """An entry of managedFields as the API writes it."""
    return {
        "manager": entry.manager,
        "operation": entry.operation,
        "time": entry.time,
        "fieldsV1": entry.fields_v1,
    }


def _taint(taint: Any) -> str:
    return f"{taint.key}{'=' if taint.value else ''}{taint.value or ''}:{taint.effect}"


def _requirements(selector: Any) -> tuple[Requirement, ...] | None:
    if selector is None:
        return None
    exact = [Requirement(key, "In", (value,)) for key, value in (selector.match_labels or {}).items()]
    further = [
        Requirement(expression.key, expression.operator, tuple(expression.values or ()))
        for expression in selector.match_expressions or ()
    ]
    return tuple(exact + further)
