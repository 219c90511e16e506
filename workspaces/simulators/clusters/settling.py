"""What an update may not touch: the part of the stored object that is kept, whatever the request says."""

import copy

from workspaces.simulators.clusters.kinds import Resource
from workspaces.simulators.clusters.store import Document


def settle_update(resource: Resource, document: Document, old: Document) -> Document:
    """What an update of the main resource may not touch is put back: status, identity, and the bookkeeping of
    metadata."""
    document = copy.copy(document)
    if resource.status:
        document.pop("status", None)
        if "status" in old:
            document["status"] = old["status"]
    document["metadata"] = _settled_metadata(document["metadata"], old["metadata"])
    return document


KEPT = [
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "generation",
    "resourceVersion",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generateName",
    "selfLink",
]


def _settled_metadata(new: Document, old: Document) -> Document:
    metadata = {k: v for k, v in new.items() if k not in KEPT and k != "managedFields" and v not in (None, {}, [])}
    return {**metadata, **{k: old[k] for k in KEPT if k in old}}


def settle_status(document: Document, old: Document) -> Document:
    """A write to /status changes status only (built-in kinds: labels and annotations are ignored here too)."""
    return {**old, **({"status": document["status"]} if "status" in document else {})}
