"""What every cluster has from the beginning: namespaces, service accounts, and the roles of its administrators."""

from collections.abc import Iterable

from workspaces.simulators.clusters.kinds import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    NAMESPACES,
    SERVICE_ACCOUNTS,
)
from workspaces.simulators.clusters.store import Document, Store
from workspaces.simulators.clusters.strategies import prepare

BASIC_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
CLUSTER_ADMINS = "kubeadm:cluster-admins"
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
    group = "rbac.authorization.k8s.io"
    reference = {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"}
    subjects = [{"apiGroup": group, **s} if s["kind"] != "ServiceAccount" else s for s in subjects]
    document = {"metadata": {"name": name}, "roleRef": reference, "subjects": subjects}
    store.create(CLUSTER_ROLE_BINDINGS, document)
