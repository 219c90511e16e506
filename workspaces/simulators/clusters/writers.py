"""Who writes in a simulated cluster when nobody asks for it: the field managers of its controllers, by kind.

Names as the programs send them: a client's default is the base name of its binary. Data, and what a world's file says
otherwise.
"""

from collections.abc import Mapping

from workspaces.simulators.clusters.kinds import (
    BUDGETS,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CONFIG_MAPS,
    CONTROL_PLANES,
    CUSTOM_RESOURCE_DEFINITIONS,
    DAEMON_SETS,
    DATA_STORES,
    DEPLOYMENTS,
    LEASES,
    NAMESPACES,
    NODES,
    REPLICA_SETS,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICES,
    STATEFUL_SETS,
    VALIDATING_WEBHOOKS,
    Resource,
)

CONTROLLERS, KUBELET, API_SERVER, KAMAJI = "kube-controller-manager", "kubelet", "kube-apiserver", "kamaji"
PROVISIONER = "provisioner"
"""Whoever made the control planes of a world; a world's file may name another (`manager`)."""
PACKAGES, USERS = "helm", "kubectl-client-side-apply"

SYSTEM = {
    **dict.fromkeys((NAMESPACES, ROLES, ROLE_BINDINGS, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS), API_SERVER),
    **dict.fromkeys((NODES, LEASES), KUBELET),
    **dict.fromkeys((CUSTOM_RESOURCE_DEFINITIONS, VALIDATING_WEBHOOKS, DATA_STORES), PACKAGES),
}
MANAGEMENT = SYSTEM | dict.fromkeys((DEPLOYMENTS, SERVICES, SECRETS, CONFIG_MAPS), KAMAJI)
MANAGEMENT |= {CONTROL_PLANES: PROVISIONER}
TENANT = SYSTEM | {CONFIG_MAPS: KAMAJI}
TENANT |= dict.fromkeys((DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS, BUDGETS, SERVICES), USERS)
TENANT |= {REPLICA_SETS: CONTROLLERS}
PARTS: dict[tuple[Resource, tuple[str, str]], str] = {
    (CONTROL_PLANES, ("metadata", "finalizers")): KAMAJI,
    (NODES, ("spec", "taints")): CONTROLLERS,
}
KUBELETS_STATUS = ("nodes", "pods")


class Writers:
    """The writers of one cluster; `made_by` is what the world says of single objects."""

    def __init__(self, by_kind: Mapping[Resource, str]) -> None:
        self._by_kind = by_kind
        self.made_by: dict[str, str] = {}

    def of(self, resource: Resource, path: tuple[str, ...], uid: str) -> str:
        """The writer of a field outside the status."""
        part = PARTS.get((resource, (path[0], path[1]))) if len(path) > 1 else None
        return part or self.made_by.get(uid) or self._by_kind.get(resource, CONTROLLERS)

    def of_status(self, resource: Resource) -> str:
        if resource.plural in KUBELETS_STATUS:
            return KUBELET
        return KAMAJI if resource.group == CONTROL_PLANES.group else CONTROLLERS

    def forget(self, uid: str) -> None:
        self.made_by.pop(uid, None)
