"""metadata.managedFields as API servers show it: the owners of an object's fields in the form FieldsV1.

Objects that nobody asked to change are nearly all there are: theirs is written down from the object itself, without
looking at every path (`as_written`), and says the same.
"""

from collections.abc import Iterable
from typing import Any

from workspaces.simulators.clusters.kinds import Resource
from workspaces.simulators.clusters.ownership import (
    APPLY,
    HERE,
    IDENTITY,
    MAPS,
    UNOWNED,
    UPDATE,
    Manager,
    Owners,
    Ownership,
    Path,
    is_map,
)
from workspaces.simulators.clusters.store import Document
from workspaces.simulators.clusters.writers import PARTS

type Entry = tuple[Manager, str, Document]


def managed_fields(ownership: Ownership, resource: Resource, document: Document) -> list[Document]:
    """Of a stored object: one entry per manager."""
    kept = ownership.kept(document)
    return as_written(ownership, resource, document) if kept is None else of_owners(resource, kept)


def of_owners(resource: Resource, owners: Owners) -> list[Document]:
    return _shown(resource, [(manager, held.at, fields_v1(held.paths)) for manager, held in owners.items()])


def as_written(ownership: Ownership, resource: Resource, document: Document) -> list[Document]:
    """Of an object only its writers have changed."""
    body = {key: value for key, value in document.items() if key not in UNOWNED}
    body["metadata"] = {key: value for key, value in document["metadata"].items() if key not in IDENTITY}
    if not body["metadata"]:
        del body["metadata"]
    uid, (created, touched) = document["metadata"]["uid"], ownership.times(document)
    rest = {f"f:{key}": _tree(resource, value, is_map(resource, (key,))) for key, value in body.items()}
    entries: list[Entry] = []
    for kind, (head, part) in PARTS:
        if kind == resource and part in body.get(head, {}):
            writer = ownership.writers.of(resource, (head, part), uid)
            field = {f"f:{head}": {f"f:{part}": rest[f"f:{head}"].pop(f"f:{part}")}}
            entries.append((Manager(writer, UPDATE), created, field))
            if not rest[f"f:{head}"]:
                del rest[f"f:{head}"]
    if rest:
        entries.append((Manager(ownership.writers.of(resource, ("",), uid), UPDATE), created, rest))
    if status := document.get("status"):
        entry = {"f:status": _tree(resource, status, resource.custom)}
        entries.append((Manager(ownership.writers.of_status(resource), UPDATE, "status"), touched, entry))
    return _shown(resource, entries)


def _tree(resource: Resource, value: Any, is_map: bool) -> Document:
    if not isinstance(value, dict) or not value:
        return {}
    tree: Document = {HERE: {}} if is_map else {}
    for key, inner in value.items():
        tree[f"f:{key}"] = _tree(resource, inner, resource.custom or key in MAPS) if isinstance(inner, dict) else {}
    return tree


def _shown(resource: Resource, entries: Iterable[Entry]) -> list[Document]:
    """Applies first, then by time and name."""
    found = []
    for manager, at, fields in sorted(entries, key=lambda one: (one[0].operation != APPLY, one[1], one[0])):
        entry = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": resource.api_version,
            "time": at,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields,
        }
        found.append(entry | ({"subresource": manager.subresource} if manager.subresource else {}))
    return found


def fields_v1(paths: Iterable[Path]) -> Document:
    """`{("spec", "replicas")}` -> `{"f:spec": {"f:replicas": {}}}`; a map that is there is `"."`."""
    tree: dict[str, Any] = {}
    for path in sorted(paths):
        at = tree
        for part in path:
            at = at.setdefault(part if part == HERE else f"f:{part}", {})
    return tree
