"""A management cluster: Kamaji's TenantControlPlanes, read and moved to another version, their pods and DataStores.

What a tenant's own API says (nodes, pods, budgets) is in cluster.py; whether an upgrade is allowed, in rules/.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self

from kubernetes import client

from . import kamaji_certificates
from .control_plane_pods import NAME_LABEL, ControlPlanePod, Waiting
from .errors import Permanent
from .kamaji_certificates import Authority
from .kubeconfig import connect
from .kubernetes_errors import speaking_to
from .kubernetes_lists import every_item
from .managed_fields import OURS

__all__ = ["ControlPlane", "ControlPlanePod", "DataStore", "Kamaji", "Waiting"]

_GROUP: Final = {"group": "kamaji.clastix.io", "version": "v1alpha1"}
_RESOURCE: Final = _GROUP | {"plural": "tenantcontrolplanes"}
_DATA_STORES: Final = _GROUP | {"plural": "datastores"}
_ADDONS: Final = ("coreDNS", "kubeProxy")
_PAUSED: Final = "kamaji.clastix.io/paused"
_DEFAULT_REPLICAS: Final = 2
_KUBECONFIG_KEY: Final = "admin.conf"


@dataclass(frozen=True)
class ControlPlane:
    """A TenantControlPlane as last seen. Versions are written "1.35.4", without the v.

    `running_version` is the last one that was rolled out completely ("" until the first time), `status` Kamaji's word
    for the present ("" when absent), `observed_generation` None on a Kamaji from before February 2026. `data_store` is
    the name of its DataStore, "" when none is named. `addon_tags` are the images that an upgrade does not move, because
    their tag is set: (("kubeProxy", "v1.34.8"),). `managed` is metadata.managedFields as it came.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    generation: int
    observed_generation: int | None
    wanted_version: str
    running_version: str
    status: str
    paused: bool
    replicas: int
    ready_replicas: int
    endpoint: str
    kubeconfig_secret: str
    deleting: bool
    deleting_since: datetime | None = None
    finalizers: tuple[str, ...] = ()
    data_store: str = ""
    authority_secret: str = ""
    addon_tags: tuple[tuple[str, str], ...] = ()
    managed: Sequence[Mapping[str, Any]] = field(default=(), repr=False, compare=False)

    def has_finished(self, version: str) -> bool:
        """Whether the control plane runs `version` everywhere.

        `status` alone does not say so: just after a change it still says Ready, about the old version.
        """
        processed = self.observed_generation is None or self.observed_generation >= self.generation
        return processed and self.status == "Ready" and self.running_version == self.wanted_version == version


@dataclass(frozen=True)
class DataStore:
    """Where control planes keep their state; `driver` is etcd, MySQL, PostgreSQL or NATS.

    While it is not `ready` Kamaji leaves its control planes as they are, without a word.
    """

    name: str
    ready: bool
    driver: str


class Kamaji:
    """One management cluster's API, for a `with` block; its errors call it `name`. Raises Temporary and Permanent."""

    def __init__(self, kubeconfig: str, *, name: str = "", timeout: float = 10) -> None:
        self._peer = f"management cluster {name}".strip()
        self._api = connect(kubeconfig, timeout=timeout)
        self._objects = client.CustomObjectsApi(self._api)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._api.close()

    @property
    def client_certificate_expires_at(self) -> datetime | None:
        """When the kubeconfig's client certificate ends, in UTC; None for a token."""
        return self._api.certificate_ends_at

    def version(self) -> str:
        """The management cluster's own Kubernetes version."""
        with speaking_to(self._peer):
            return _plain(client.VersionApi(self._api).get_code().git_version)

    def control_plane(self, namespace: str, name: str) -> ControlPlane:
        with speaking_to(self._peer):
            return _control_plane(
                self._objects.get_namespaced_custom_object(**_RESOURCE, namespace=namespace, name=name)
            )

    def control_planes(self) -> list[ControlPlane]:
        """Every control plane of every namespace, as they were at one moment."""
        with speaking_to(self._peer):
            documents = every_item(self._objects.list_cluster_custom_object, **_RESOURCE)
            return [_control_plane(document) for document in documents]

    def control_plane_pods(self, namespace: str, name: str) -> list[ControlPlanePod]:
        """The pods of a control plane, by name; during a rollout the old and the new ones."""
        read_page = client.CoreV1Api(self._api).list_namespaced_pod
        with speaking_to(self._peer):
            pods = every_item(read_page, namespace=namespace, label_selector=f"{NAME_LABEL}={name}")
            return [ControlPlanePod.of(pod) for pod in pods]

    def data_store(self, name: str) -> DataStore | None:
        """The DataStore of this name, or None: it does not exist."""
        with speaking_to(self._peer):
            try:
                document = self._objects.get_cluster_custom_object(**_DATA_STORES, name=name)
            except client.exceptions.NotFoundException:
                return None
            ready = (document.get("status") or {}).get("ready") is True
            return DataStore(document["metadata"]["name"], ready, str(document["spec"]["driver"]))

    def set_version(self, seen: ControlPlane, version: str) -> ControlPlane:
        """Ask for `version` ("1.35.4"), provided the control plane is still as it was `seen`; returns it as stored.

        Raises Temporary("conflict") when it changed meanwhile, so of two workers only one gets its wish, and
        Permanent("configuration") with Kamaji's sentence when Kamaji refuses the step.
        """
        return self._patch(seen, {"spec": {"kubernetes": {"version": f"v{version}"}}})

    def set_back(self, seen: ControlPlane, changes: Mapping[str, Any]) -> ControlPlane:
        """Set `replicas` (a number) and `paused` (false: take the annotation away) of a control plane as it was `seen`.

        Returns it as stored. Raises what `set_version` raises, and ValueError for a field that is neither.
        """
        change: dict[str, Any] = {}
        for name, value in changes.items():
            if name == "replicas":
                change["spec"] = {"controlPlane": {"deployment": {"replicas": value}}}
            elif name == "paused":
                change["metadata"] = {"annotations": {_PAUSED: "true" if value else None}}
            else:
                raise ValueError(f"{name} of a control plane is not set back")
        return self._patch(seen, change)

    def _patch(self, seen: ControlPlane, change: Mapping[str, Any]) -> ControlPlane:
        """One patch on the control plane as `seen`, under our name."""
        metadata = {**change.get("metadata", {}), "resourceVersion": seen.resource_version}
        with speaking_to(self._peer):
            return _control_plane(
                self._objects.patch_namespaced_custom_object(
                    **_RESOURCE,
                    namespace=seen.namespace,
                    name=seen.name,
                    body={**change, "metadata": metadata},
                    field_manager=OURS,
                )
            )

    def authority(self, seen: ControlPlane) -> Authority:
        """Who signs the certificates of this control plane."""
        core = client.CoreV1Api(self._api)
        return kamaji_certificates.read(core, self._peer, seen.namespace, seen.authority_secret)

    def change_authority(self, seen: ControlPlane, held: Authority) -> None:
        """Ask for another authority; see `kamaji_certificates.ask_for_another`. There is no way back."""
        kamaji_certificates.ask_for_another(client.CoreV1Api(self._api), self._peer, seen.namespace, held)

    def kubeconfig(self, namespace: str, secret: str) -> str:
        """The text of a tenant's administrator kubeconfig; `secret` is a ControlPlane's `kubeconfig_secret`.

        Kamaji issues a new one at every upgrade, so it is read when it is needed and not kept.
        """
        with speaking_to(self._peer):
            data = client.CoreV1Api(self._api).read_namespaced_secret(secret, namespace).data or {}
            if _KUBECONFIG_KEY not in data:
                raise Permanent("not_found", f"{self._peer}: Secret {namespace}/{secret} has no {_KUBECONFIG_KEY}.")
            return base64.b64decode(data[_KUBECONFIG_KEY], validate=True).decode()


def _control_plane(document: Mapping[str, Any]) -> ControlPlane:
    metadata, spec, status = document["metadata"], document["spec"], document.get("status") or {}
    resources = status.get("kubernetesResources") or {}
    version, deployment = resources.get("version") or {}, resources.get("deployment") or {}
    wanted = (spec.get("controlPlane") or {}).get("deployment") or {}
    return ControlPlane(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        generation=metadata["generation"],
        observed_generation=status.get("observedGeneration"),
        wanted_version=_plain(spec["kubernetes"]["version"]),
        running_version=_plain(version.get("version") or ""),
        status=version.get("status") or "",
        paused=_PAUSED in (metadata.get("annotations") or {}),
        replicas=wanted.get("replicas", _DEFAULT_REPLICAS),
        ready_replicas=deployment.get("readyReplicas") or 0,
        endpoint=status.get("controlPlaneEndpoint") or "",
        kubeconfig_secret=((status.get("kubeconfig") or {}).get("admin") or {}).get("secretName") or "",
        deleting="deletionTimestamp" in metadata,
        deleting_since=_moment(metadata.get("deletionTimestamp")),
        finalizers=tuple(metadata.get("finalizers") or ()),
        data_store=spec.get("dataStore") or "",
        authority_secret=((status.get("certificates") or {}).get("ca") or {}).get("secretName")
        or f"{metadata['name']}-ca",
        addon_tags=tuple(_pinned(spec.get("addons") or {})),
        managed=metadata.get("managedFields") or (),
    )


def _moment(stamp: str | None) -> datetime | None:
    return datetime.fromisoformat(stamp) if stamp else None


def _pinned(addons: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in _ADDONS:
        tag = (addons.get(name) or {}).get("imageTag")
        if tag:
            yield name, tag


def _plain(version: str) -> str:
    return version.removeprefix("v")
