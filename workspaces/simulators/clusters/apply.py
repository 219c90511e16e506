"""Server-side apply: which manager owns which field, and what an apply takes, leaves and drops.

Ownership is kept beside the objects, per leaf field with lists as one leaf; metadata.managedFields is not shown.
"""

import dataclasses
from typing import Any

import yaml

from workspaces.simulators.clusters import patches
from workspaces.simulators.clusters.errors import ApiError, bad_request, invalid_options
from workspaces.simulators.clusters.requests import Call
from workspaces.simulators.clusters.store import Document

Path = tuple[str, ...]
Manager = tuple[str, str]
"""name, operation (Apply or Update)."""
UNOWNED = ("apiVersion", "kind", "status")
IDENTITY = ("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields")


def leaves(document: Any, path: Path = ()) -> dict[Path, Any]:
    """Every leaf with its value; an empty object and a list are leaves."""
    if not isinstance(document, dict) or not document:
        return {path: document}
    found: dict[Path, Any] = {}
    for key, value in document.items():
        found |= leaves(value, (*path, key))
    return found


def owned_leaves(document: Document) -> dict[Path, Any]:
    body = {k: v for k, v in document.items() if k not in UNOWNED}
    body["metadata"] = {k: v for k, v in document.get("metadata", {}).items() if k not in IDENTITY}
    if not body["metadata"]:
        del body["metadata"]
    return leaves(body)


def decode(call: Call) -> Document:
    """The applied configuration; raises what servers answer to one without manager, kind or with managedFields."""
    if not call.query.get("fieldManager"):
        message = "Required value: is required for apply patch"
        raise invalid_options("PatchOptions", "fieldManager", "FieldValueRequired", message)
    document = yaml.safe_load(call.body)
    if not isinstance(document, dict):
        raise bad_request("error decoding YAML: not an object")
    if document.get("metadata", {}).get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    if not document.get("kind"):
        raise bad_request("invalid object type: /, Kind=")
    return document


def unknown_field(call: Call, wanted: Document, name: str) -> ApiError:
    """A field the schema does not know is a 500 in an apply."""
    resource = call.resource
    target = f"{wanted.get('metadata', {}).get('namespace', '')}/{call.name}"
    kind = f"{resource.api_version}, Kind={resource.kind}"
    text = f"failed to create typed patch object ({target}; {kind}): .{name}: field not declared in schema"
    return ApiError(500, text)


def as_creation(call: Call, wanted: Document) -> Call:
    body = yaml.safe_dump(wanted)
    return dataclasses.replace(call, method="POST", name="", content_type="application/yaml", body=body)


class Ownership:
    """Field owners of one API server's objects, by uid."""

    def __init__(self) -> None:
        self._owners: dict[str, dict[Manager, set[Path]]] = {}
        self._forced: dict[Manager, set[Path]] = {}

    def updated(self, call: Call, stored: Document, old: Document | None) -> None:
        """An update takes the fields it changed from every other manager."""
        before, now = owned_leaves(old) if old else {}, owned_leaves(stored)
        changed = {path for path in now if path not in before or before[path] != now[path]}
        if not changed:
            return
        managers = self._owners.setdefault(stored["metadata"]["uid"], {})
        for paths in managers.values():
            paths -= changed
        managers.setdefault((call.field_manager, "Update"), set()).update(changed)

    def applied(self, call: Call, stored: Document, wanted: Document) -> None:
        """After a successful apply: its manager owns exactly what it named."""
        paths = set(owned_leaves(wanted))
        managers = self._owners.setdefault(stored["metadata"]["uid"], {})
        for manager, held in managers.items():
            taken = self._forced.get(manager, set())
            if manager == (call.field_manager, "Update"):
                taken = paths
            held -= taken
        self._forced = {}
        managers[call.field_manager, "Apply"] = paths

    def merged(self, call: Call, old: Document, wanted: Document) -> Document:
        """The object after the apply; raises 409 naming every conflict, unless forced."""
        managers = self._owners.get(old["metadata"]["uid"], {})
        own: Manager = (call.field_manager, "Apply")
        current, asked = owned_leaves(old), owned_leaves(wanted)
        different = {path for path, value in asked.items() if path in current and current[path] != value}
        conflicts = {m: sorted(paths & different) for m, paths in managers.items() if m != own and paths & different}
        if conflicts and call.query.get("force") != "true":
            raise conflict(call, conflicts)
        self._forced = {m: set(paths) for m, paths in conflicts.items()}
        document = patches.merge(old, {k: v for k, v in wanted.items() if k != "status"})
        others = set().union(*(paths for m, paths in managers.items() if m != own))
        for path in managers.get(own, set()) - set(asked) - others:
            _drop(document, path)
        assert isinstance(document, dict)
        return document


def _drop(document: Document, path: Path) -> None:
    """Takes a leaf away without touching the stored document, which shares its inner objects."""
    target = document
    for part in path[:-1]:
        if not isinstance(target.get(part), dict):
            return
        target[part] = dict(target[part])
        target = target[part]
    target.pop(path[-1], None)


def conflict(call: Call, conflicts: dict[Manager, list[Path]]) -> ApiError:
    causes, texts = [], []
    for (name, operation), paths in sorted(conflicts.items()):
        label = f'"{name}"' + (f" using {call.resource.api_version}" if operation == "Update" else "")
        for path in paths:
            shown = "." + ".".join(path)
            causes.append({"reason": "FieldManagerConflict", "message": f"conflict with {label}", "field": shown})
        listed = "".join(f"\n- .{'.'.join(path)}" for path in paths)
        texts.append(f"conflicts with {label}:{listed}")
    if len(causes) == 1:
        text = f"Apply failed with 1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        text = f"Apply failed with {len(causes)} conflicts: " + "\n".join(texts)
    return ApiError(409, text, "Conflict", {"causes": causes})
