"""Access to a tenant that can be taken back: a ServiceAccount with full rights, and a token that dies with it.

Each has a name of its own in a namespace of ours; all of this may run twice. Source: Kubernetes, TokenRequest API
(authentication.k8s.io/v1): the server may give a shorter life than was asked for, and says which. A token is bound to
its account by uid, so it is refused as soon as the account is gone, also when one of the same name is made later.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import yaml
from kubernetes import client

from workspaces.providers import kubeconfig
from workspaces.providers.cluster import Cluster
from workspaces.providers.errors import Permanent
from workspaces.providers.kubernetes_errors import speaking_to
from workspaces.providers.managed_fields import OURS

NAMESPACE: Final = "loopback-access"
_ROLE: Final = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}


@dataclass(frozen=True, slots=True)
class Issued:
    """A token, and when it ends as the API server says (UTC)."""

    token: str = field(repr=False)
    until: datetime


def issue(cluster: Cluster, name: str, *, labels: Mapping[str, str], seconds: int) -> Issued:
    """A token of the ServiceAccount `name`, which is made with full rights where it is not there yet."""
    core, rbac = client.CoreV1Api(cluster._api), client.RbacAuthorizationV1Api(cluster._api)
    head = {"name": name, "labels": dict(labels)}
    subject = {"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}
    with speaking_to(cluster._peer):
        _made(lambda: core.create_namespace({"metadata": {"name": NAMESPACE}}, field_manager=OURS))
        _made(lambda: core.create_namespaced_service_account(NAMESPACE, {"metadata": head}, field_manager=OURS))
        binding = {"metadata": head, "roleRef": _ROLE, "subjects": [subject]}
        _made(lambda: rbac.create_cluster_role_binding(binding, field_manager=OURS))
        wanted = {"spec": {"expirationSeconds": seconds, "audiences": []}}
        status = core.create_namespaced_service_account_token(name, NAMESPACE, wanted).status
    return Issued(status.token, status.expiration_timestamp)


def revoke(cluster: Cluster, name: str) -> bool:
    """Delete the ServiceAccount and its rights, which ends its tokens; False when it was gone."""
    if not name:
        # Without a name the address is that of all of them, and DELETE would take every one.
        raise Permanent("configuration", "The kubeconfig names no ServiceAccount, so there is none to delete.")
    core, rbac = client.CoreV1Api(cluster._api), client.RbacAuthorizationV1Api(cluster._api)
    with speaking_to(cluster._peer):
        # The account first: it is what the tokens live by.
        existed = _deleted(lambda: core.delete_namespaced_service_account(name, NAMESPACE))
        _deleted(lambda: rbac.delete_cluster_role_binding(name))
    return existed


def document(administrators: str, name: str, token: str) -> str:
    """A kubeconfig for the token, to the server that the administrator kubeconfig names, trusting whom that trusts."""
    access = kubeconfig.read(administrators)
    server: dict[str, Any] = {
        "server": access.server,
        "certificate-authority-data": base64.b64encode(access.authority).decode(),
    }
    if access.server_name:
        server["tls-server-name"] = access.server_name
    context = {"cluster": "kubernetes", "user": name}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": f"{name}@kubernetes",
        "clusters": [{"name": "kubernetes", "cluster": server}],
        "contexts": [{"name": f"{name}@kubernetes", "context": context}],
        "users": [{"name": name, "user": {"token": token}}],
    }
    return yaml.safe_dump(content, sort_keys=False)


def _made(create: Callable[[], Any]) -> None:
    """Make it, unless it is there: it was made by the same step before."""
    with suppress(client.exceptions.ConflictException):
        create()


def _deleted(delete: Callable[[], Any]) -> bool:
    try:
        delete()
    except client.exceptions.NotFoundException:
        return False
    return True
