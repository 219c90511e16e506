"""What every cluster has from the beginning: namespaces, service accounts, and the roles of its administrators."""

from collections.abc import Iterable

from workspaces.simulators.clusters.kinds import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    NAMESPACES,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
)
from workspaces.simulators.clusters.store import Document, Store
from workspaces.simulators.clusters.strategies import prepare

BASIC_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
CLUSTER_ADMINS, MASTERS = "kubeadm:cluster-admins", "system:masters"
RBAC = "rbac.authorization.k8s.io"
JOINING = "system:bootstrappers:kubeadm:default-node-token"
"""The group of who shows a bootstrap token made for joining."""
EVERYTHING = [
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"nonResourceURLs": ["*"], "verbs": ["*"]},
]


def add_namespace(store: Store, name: str) -> None:
    """A namespace with its default service account; does nothing when it is there."""
    if store.get(NAMESPACES, "", name) is not None:
        return
    document: Document = {"metadata": {"name": name}}
    prepare(NAMESPACES, document, None)
    store.create(NAMESPACES, document)
    add_service_account(store, name, "default")


def add_service_account(store: Store, namespace: str, name: str) -> None:
    if store.get(SERVICE_ACCOUNTS, namespace, name) is None:
        store.create(SERVICE_ACCOUNTS, {"metadata": {"name": name, "namespace": namespace}})


def add_basics(store: Store, names: Iterable[str] = BASIC_NAMESPACES) -> None:
    """Namespaces, and the role cluster-admin with the binding soot gives kubeadm's administrators."""
    for name in names:
        add_namespace(store, name)
    if store.get(CLUSTER_ROLES, "", "cluster-admin") is None:
        store.create(CLUSTER_ROLES, {"metadata": {"name": "cluster-admin"}, "rules": EVERYTHING})
        bind(store, CLUSTER_ADMINS, [{"kind": "Group", "name": CLUSTER_ADMINS}])


def bind(store: Store, name: str, subjects: list[Document]) -> None:
    """A ClusterRoleBinding of cluster-admin."""
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"}
    subjects = [{"apiGroup": RBAC, **s} if s["kind"] != "ServiceAccount" else s for s in subjects]
    document = {"metadata": {"name": name}, "roleRef": reference, "subjects": subjects}
    store.create(CLUSTER_ROLE_BINDINGS, document)


def let_hosts_join(store: Store) -> None:
    """What kubeadm lets hosts read that want to join: nobody needs a token for cluster-info, the rest is for those who
    show one. Does nothing when it is there."""
    token = {"kind": "Group", "name": JOINING}
    anonymous = {"kind": "User", "name": "system:anonymous"}
    _allow(store, "kube-public", "kubeadm:bootstrap-signer-clusterinfo", "configmaps", ["cluster-info"], anonymous)
    _allow(store, "kube-system", "kubeadm:nodes-kubeadm-config", "configmaps", ["kubeadm-config"], token)
    _allow(store, "kube-system", "kubeadm:kubelet-config", "configmaps", ["kubelet-config"], token)
    _allow(store, "", "kubeadm:get-nodes", "nodes", [], token)


def _allow(store: Store, namespace: str, name: str, plural: str, names: list[str], subject: Document) -> None:
    """A role of that name to get such objects (by name, when names are given), and its binding."""
    roles, bindings = (ROLES, ROLE_BINDINGS) if namespace else (CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS)
    if store.get(roles, namespace, name) is not None:
        return
    metadata: Document = {"name": name} | ({"namespace": namespace} if namespace else {})
    rule: Document = {"apiGroups": [""], "resources": [plural], "verbs": ["get"]}
    rule |= {"resourceNames": names} if names else {}
    store.create(roles, {"metadata": dict(metadata), "rules": [rule]})
    reference = {"apiGroup": RBAC, "kind": roles.kind, "name": name}
    binding = {"metadata": dict(metadata), "roleRef": reference, "subjects": [{"apiGroup": RBAC, **subject}]}
    store.create(bindings, binding)
