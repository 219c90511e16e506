"""Server-side apply: what an apply takes, leaves, drops and refuses. Who owns what is kept in `ownership`."""

import dataclasses
from typing import Any

import yaml

from workspaces.simulators.clusters import patches
from workspaces.simulators.clusters.errors import ApiError, bad_request, invalid_options
from workspaces.simulators.clusters.ownership import APPLY, UPDATE, Held, Manager, Owners, Path, owned_leaves
from workspaces.simulators.clusters.requests import Call
from workspaces.simulators.clusters.store import Document, timestamp


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


def merged(call: Call, old: Document, wanted: Document, owners: Owners) -> Document:
    """The object after the apply; raises 409 naming every conflict, unless forced."""
    own = Manager(call.field_manager, APPLY)
    asked = owned_leaves(wanted)
    conflicts = _conflicts(call, old, asked, owners)
    if conflicts and call.query.get("force") != "true":
        raise conflict(call, conflicts)
    document = patches.merge(old, {k: v for k, v in wanted.items() if k != "status"})
    others = set().union(*(held.paths for manager, held in owners.items() if manager != own))
    before = owners[own].paths if own in owners else frozenset()
    for path in before - set(asked) - others:
        _drop(document, path)
    assert isinstance(document, dict)
    return document


def owners_after(call: Call, stored: Document, old: Document | None, wanted: Document, owners: Owners) -> Owners:
    """After a successful apply: its manager owns exactly what it named, and what it forced is taken from the others.

    An apply that changed nothing, neither a value nor an owner, leaves the times as they are.
    """
    own, asked = Manager(call.field_manager, APPLY), owned_leaves(wanted)
    forced = _conflicts(call, old, asked, owners) if old is not None else {}
    after: Owners = {}
    for manager, held in owners.items():
        if manager != own and (left := held.paths - frozenset(forced.get(manager, ()))):
            after[manager] = Held(left, held.at)
    paths = frozenset(asked)
    same = own in owners and owners[own].paths == paths and stored == old
    return after | {own: owners[own] if same else Held(paths, timestamp())}


def _conflicts(call: Call, old: Document, asked: dict[Path, Any], owners: Owners) -> dict[Manager, list[Path]]:
    own, current = Manager(call.field_manager, APPLY), owned_leaves(old)
    different = {path for path, value in asked.items() if path in current and current[path] != value}
    return {m: sorted(held.paths & different) for m, held in owners.items() if m != own and held.paths & different}


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
    for manager, paths in sorted(conflicts.items()):
        through = f' with subresource "{manager.subresource}"' if manager.subresource else ""
        using = f" using {call.resource.api_version}" if manager.operation == UPDATE else ""
        label = f'"{manager.name}"{through}{using}'
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
