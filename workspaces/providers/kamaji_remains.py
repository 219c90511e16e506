"""What a workspace has on a management cluster, and taking it away: control plane, DataStore, namespace.

Everything is deleted on the condition that it is still what was seen (its uid), and nothing is forced: finalizers are
Kamaji's, which drops the tenant's data and lifts them itself. Deleting what is not there is no error.
Source: Kamaji controllers/tenantcontrolplane_controller.go and controllers/finalizers; Kubernetes API conventions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kubernetes import client

from workspaces.providers.control_plane_pods import NAME_LABEL
from workspaces.providers.errors import Permanent, Temporary
from workspaces.providers.kamaji import ControlPlane, Kamaji
from workspaces.providers.kubernetes_errors import speaking_to
from workspaces.providers.kubernetes_lists import every_item

__all__ = ["NamespaceSeen", "Remains", "StoreSeen"]

_GROUP: Final = {"group": "kamaji.clastix.io", "version": "v1alpha1"}
_PLANES: Final = _GROUP | {"plural": "tenantcontrolplanes"}
_STORES: Final = _GROUP | {"plural": "datastores"}
# What every namespace has from its beginning.
_EVERYWHERE: Final = ("kube-root-ca.crt",)
_TOKENS: Final = "kubernetes.io/service-account-token"


@dataclass(frozen=True, slots=True)
class StoreSeen:
    """A DataStore: who uses it is written "namespace/name", by control plane, as Kamaji says."""

    name: str
    uid: str
    labels: Mapping[str, str]
    driver: str
    ready: bool
    deleting: bool
    finalizers: tuple[str, ...]
    used_by: tuple[str, ...]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> StoreSeen:
        """From the object as the API has it."""
        metadata, status = document["metadata"], document.get("status") or {}
        return cls(
            name=metadata["name"],
            uid=metadata["uid"],
            labels=dict(metadata.get("labels") or {}),
            driver=str(document["spec"]["driver"]),
            ready=status.get("ready") is True,
            deleting="deletionTimestamp" in metadata,
            finalizers=tuple(metadata.get("finalizers") or ()),
            used_by=tuple(status.get("usedBy") or ()),
        )


@dataclass(frozen=True, slots=True)
class NamespaceSeen:
    """A namespace. `holds` is what else is in it, "Secret name", besides one control plane and what that one made.

    `message` is what Kubernetes says while it cannot be emptied, "" when it says nothing.
    """

    name: str
    uid: str
    labels: Mapping[str, str]
    deleting: bool
    holds: tuple[str, ...]
    message: str = ""


class Remains:
    """The management cluster's API, by an open connection of `kamaji`. Raises Temporary and Permanent."""

    def __init__(self, kamaji: Kamaji) -> None:
        self._peer = kamaji._peer
        self._objects = kamaji._objects
        self._core = client.CoreV1Api(kamaji._api)
        self._apps = client.AppsV1Api(kamaji._api)
        self._kamaji = kamaji

    # --- Control plane ------------------------------------------------------------------------------------------------
    def plane(self, namespace: str, name: str) -> ControlPlane | None:
        """The control plane as it is now; None when it is gone."""
        return _unless_gone(lambda: self._kamaji.control_plane(namespace, name))

    def delete_plane(self, seen: ControlPlane) -> bool:
        """Ask for its deletion, which ends when Kamaji has dropped its data; False when it was gone."""
        return self._delete(
            lambda body: self._objects.delete_namespaced_custom_object(
                **_PLANES, namespace=seen.namespace, name=seen.name, body=body
            ),
            seen.uid,
        )

    # --- DataStore ----------------------------------------------------------------------------------------------------
    def stores(self, label_selector: str) -> list[StoreSeen]:
        """The DataStores under a label, by name."""
        with speaking_to(self._peer):
            documents = every_item(self._objects.list_cluster_custom_object, **_STORES, label_selector=label_selector)
            return sorted((StoreSeen.of(document) for document in documents), key=lambda store: store.name)

    def store(self, name: str) -> StoreSeen | None:
        """One DataStore; None when there is none."""

        def read() -> StoreSeen:
            with speaking_to(self._peer):
                return StoreSeen.of(self._objects.get_cluster_custom_object(**_STORES, name=name))

        return _unless_gone(read)

    def delete_store(self, seen: StoreSeen) -> bool:
        """Ask for its deletion; False when it was gone. Kamaji holds one that a control plane still uses."""
        return self._delete(
            lambda body: self._objects.delete_cluster_custom_object(**_STORES, name=seen.name, body=body), seen.uid
        )

    # --- Namespace ----------------------------------------------------------------------------------------------------
    def namespace(self, name: str, plane: str) -> NamespaceSeen | None:
        """The namespace and what is in it besides the control plane `plane`; None when it is gone."""

        def read() -> Any:
            with speaking_to(self._peer):
                return self._core.read_namespace(name)

        if (found := _unless_gone(read)) is None:
            return None
        with speaking_to(self._peer):
            return NamespaceSeen(
                name=name,
                uid=found.metadata.uid,
                labels=dict(found.metadata.labels or {}),
                deleting=found.metadata.deletion_timestamp is not None,
                holds=tuple(sorted(self._foreign(name, plane))),
                message=_message(found.status),
            )

    def delete_namespace(self, seen: NamespaceSeen) -> bool:
        """Ask for its deletion, with everything in it; False when it was gone."""
        return self._delete(lambda body: self._core.delete_namespace(seen.name, body=body), seen.uid)

    def _foreign(self, namespace: str, plane: str) -> Iterator[str]:
        """What somebody else has put there. Replica sets and events go with what they belong to."""
        for one in every_item(self._objects.list_namespaced_custom_object, **_PLANES, namespace=namespace):
            if one["metadata"]["name"] != plane:
                yield f"TenantControlPlane {one['metadata']['name']}"
        for kind, read in self._kinds().items():
            for one in every_item(read, namespace=namespace):
                if not _belongs(one, kind, plane):
                    yield f"{kind} {one.metadata.name}"

    def _kinds(self) -> dict[str, Callable[..., Any]]:
        return {
            "ConfigMap": self._core.list_namespaced_config_map,
            "Secret": self._core.list_namespaced_secret,
            "Service": self._core.list_namespaced_service,
            "PersistentVolumeClaim": self._core.list_namespaced_persistent_volume_claim,
            "Pod": self._core.list_namespaced_pod,
            "Deployment": self._apps.list_namespaced_deployment,
            "StatefulSet": self._apps.list_namespaced_stateful_set,
            "DaemonSet": self._apps.list_namespaced_daemon_set,
        }

    def _delete(self, call: Callable[[Any], Any], uid: str) -> bool:
        """DELETE under the condition of the uid; what has taken the place of what was seen is somebody else's."""
        body = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=uid))
        try:
            with speaking_to(self._peer):
                call(body)
        except Temporary as error:
            if error.code != "conflict":
                raise
            raise Permanent(
                "conflict",
                f"{error.message} Somebody has made it anew meanwhile, so it is not deleted.",
                who_can_fix="An administrator, by finding out who made it anew.",
            ) from error
        except Permanent as error:
            if error.code != "not_found":
                raise
            return False
        return True


def _belongs(one: Any, kind: str, plane: str) -> bool:
    """Whether the object is of this control plane, or of every namespace."""
    metadata = one.metadata
    if metadata.name in _EVERYWHERE or (kind == "Secret" and one.type == _TOKENS):
        return True
    owned = any(owner.kind == "TenantControlPlane" and owner.name == plane for owner in metadata.owner_references or ())
    return owned or (metadata.labels or {}).get(NAME_LABEL) == plane


def _message(status: Any) -> str:
    """Why a namespace that is being deleted is still there: Kubernetes' own sentences."""
    remaining = ("NamespaceContentRemaining", "NamespaceFinalizersRemaining")
    conditions = (status and status.conditions) or ()
    return " ".join(one.message for one in conditions if one.type in remaining and one.status == "True" and one.message)


def _unless_gone[Seen](read: Callable[[], Seen]) -> Seen | None:
    try:
        return read()
    except Permanent as error:
        if error.code != "not_found":
            raise
        return None
