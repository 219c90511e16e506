"""The scale subresource: an autoscaling/v1 Scale read from, and written to, the object it stands for."""

import copy
from typing import Any

from workspaces.simulators.clusters.kinds import CONTROL_PLANES, Resource
from workspaces.simulators.clusters.store import Document

SPEC = {CONTROL_PLANES: ("spec", "controlPlane", "deployment", "replicas")}
STATUS = {CONTROL_PLANES: ("status", "kubernetesResources", "deployment", "replicas")}
SELECTOR = ("status", "kubernetesResources", "deployment", "selector")


def _read(document: Document, path: tuple[str, ...]) -> Any:
    value: Any = document
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def as_scale(resource: Resource, document: Document) -> Document:
    metadata = document["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Document = {"replicas": _read(document, STATUS.get(resource, ("status", "replicas"))) or 0}
    if resource == CONTROL_PLANES:
        selector = _read(document, SELECTOR)
    else:
        labels = _read(document, ("spec", "selector", "matchLabels")) or {}
        selector = ",".join(f"{k}={v}" for k, v in labels.items())
    replicas = _read(document, SPEC.get(resource, ("spec", "replicas")))
    if selector:
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {k: metadata[k] for k in kept if k in metadata},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def replicas_path(resource: Resource) -> str:
    return "." + ".".join(SPEC.get(resource, ("spec", "replicas")))


def scaled(resource: Resource, document: Document, wanted: Document) -> Document:
    """A copy with the replicas the Scale asks for."""
    document = copy.deepcopy(document)
    target: Any = document
    path = SPEC.get(resource, ("spec", "replicas"))
    for part in path[:-1]:
        target = target.setdefault(part, {})
    target[path[-1]] = wanted.get("spec", {}).get("replicas", 0)
    return document
