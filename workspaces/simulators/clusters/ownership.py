"""Who owns which field of an API server's objects: the bookkeeping behind metadata.managedFields and server-side apply.

Owned are leaves, with a list as one leaf, and "." for a map that is there. What only controllers of the world wrote is
kept nowhere: `writers` says whose it is when somebody asks. How owners are shown is in `managed_fields`, what an apply
takes and leaves in `apply`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from workspaces.simulators.clusters.kinds import Resource
from workspaces.simulators.clusters.requests import Call
from workspaces.simulators.clusters.store import Change, Document, Store, timestamp
from workspaces.simulators.clusters.writers import Writers

Path = tuple[str, ...]
APPLY, UPDATE = "Apply", "Update"
HERE = "."
UNOWNED = ("apiVersion", "kind", "status")
IDENTITY = (
    "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
    "deletionGracePeriodSeconds", "managedFields",
)  # fmt: skip
MAPS = ("labels", "annotations", "data", "binaryData", "nodeSelector", "capacity", "allocatable", "limits", "requests")
"""Objects of built-in kinds whose keys are anybody's choice; in custom resources every object counts as one."""


class Manager(NamedTuple):
    """One entry of managedFields, but for what it owns. `operation` is Apply or Update."""

    name: str
    operation: str
    subresource: str = ""


@dataclass(frozen=True)
class Held:
    """What a manager owns, and when it last changed something of it (RFC 3339)."""

    paths: frozenset[Path]
    at: str


Owners = dict[Manager, Held]


def leaves(document: Any, path: Path = ()) -> dict[Path, Any]:
    """Every leaf with its value; an empty object and a list are leaves."""
    if not isinstance(document, dict) or not document:
        return {path: document}
    found: dict[Path, Any] = {}
    for key, value in document.items():
        found |= leaves(value, (*path, key))
    return found


def owned_leaves(document: Document) -> dict[Path, Any]:
    """The leaves somebody can own through the object's own path: all but identity and status."""
    body = {k: v for k, v in document.items() if k not in UNOWNED}
    body["metadata"] = {k: v for k, v in document.get("metadata", {}).items() if k not in IDENTITY}
    if not body["metadata"]:
        del body["metadata"]
    return leaves(body) if body else {}


def _fields(resource: Resource, document: Document) -> dict[Path, Any]:
    """The leaves, those of the status too, and the maps that are there."""
    found = owned_leaves(document)
    if document.get("status"):
        found |= leaves(document["status"], ("status",))
    maps = {path[:end] for path in found for end in range(1, len(path)) if is_map(resource, path[:end])}
    return found | {(*path, HERE): True for path in maps}


def is_map(resource: Resource, path: Path) -> bool:
    return path[-1] in MAPS or (resource.custom and path != ("metadata",))


def _without(owners: Owners, paths: Iterable[Path]) -> Owners:
    taken = frozenset(paths)
    left = {manager: Held(held.paths - taken, held.at) for manager, held in owners.items()}
    return {manager: held for manager, held in left.items() if held.paths}


def _given(owners: Owners, manager: Manager, paths: Iterable[Path], at: str) -> Owners:
    """The owners after an update of that manager, which takes what it changed from everybody else."""
    held = owners.get(manager, Held(frozenset(), at))
    return _without(owners, paths) | {manager: Held(held.paths | frozenset(paths), at)}


class Ownership:
    """Owners by uid. Objects nobody asked to change are not in it: they are as their writers made them."""

    def __init__(self, store: Store, writers: Writers) -> None:
        self._store, self.writers = store, writers
        self._owners: dict[str, Owners] = {}
        self._asked = ""
        store.subscribe(self._changed)

    def kept(self, document: Document) -> Owners | None:
        """The owners of an object that somebody asked to change."""
        return self._owners.get(document["metadata"]["uid"])

    def of(self, resource: Resource, document: Document) -> Owners:
        held = self.kept(document)
        return held if held is not None else self._as_written(resource, document)

    def _as_written(self, resource: Resource, document: Document) -> Owners:
        uid, (created, touched) = document["metadata"]["uid"], self.times(document)
        found: dict[Manager, set[Path]] = {}
        for path in _fields(resource, document):
            found.setdefault(self._writer(resource, path, uid), set()).add(path)
        return {m: Held(frozenset(p), touched if m.subresource else created) for m, p in found.items()}

    def times(self, document: Document) -> tuple[str, str]:
        """When it was created, and when its writers last changed it."""
        metadata = document["metadata"]
        created: str = metadata["creationTimestamp"]
        return created, self._store.touched.get(metadata["uid"], created)

    def _writer(self, resource: Resource, path: Path, uid: str) -> Manager:
        if path[0] == "status":
            return Manager(self.writers.of_status(resource), UPDATE, "status")
        return Manager(self.writers.of(resource, path, uid), UPDATE)

    # Writes of controllers ----------------------------------------------------------------------------------------

    def _changed(self, change: Change) -> None:
        uid = change.document["metadata"]["uid"]
        if change.kind == "DELETED":
            self._owners.pop(uid, None)
            self.writers.forget(uid)
        elif uid == self._asked:
            self._asked = ""
        elif change.before is not None and uid in self._owners:
            self._written(change.resource, change.document, change.before)

    def _written(self, resource: Resource, document: Document, before: Document) -> None:
        """A controller changed an object whose owners are kept."""
        uid, now = document["metadata"]["uid"], timestamp()
        changed, gone = _difference(resource, document, before)
        owners = _without(self._owners[uid], gone)
        writers = {path: self._writer(resource, path, uid) for path in changed}
        for manager in set(writers.values()):
            owners = _given(owners, manager, [path for path in changed if writers[path] == manager], now)
        self._owners[uid] = owners

    def asked_for(self, document: Document) -> None:
        """The next write of this object is a request's, and no controller's."""
        self._asked = document["metadata"].get("uid", "")

    # Requests -----------------------------------------------------------------------------------------------------

    def created(self, call: Call, document: Document) -> Owners:
        """Owners of a new object: who made it owns all of it, but for its status."""
        paths = [path for path in _fields(call.resource, document) if path[0] != "status"]
        return _given({}, Manager(call.field_manager, UPDATE), paths, timestamp())

    def updated(self, call: Call, document: Document, old: Document) -> Owners:
        """An update takes the fields it changed from every other manager; what it removed belongs to nobody."""
        owners = self.of(call.resource, old)
        changed, gone = _difference(call.resource, document, old)
        if gone:
            owners = _without(owners, gone)
        if changed:
            owners = _given(owners, Manager(call.field_manager, UPDATE, call.subresource), changed, timestamp())
        return owners

    def keep(self, document: Document, owners: Owners) -> None:
        self._owners[document["metadata"]["uid"]] = owners

    def snapshot(self) -> Document:
        return {
            uid: [[*manager, held.at, sorted(held.paths)] for manager, held in owners.items()]
            for uid, owners in self._owners.items()
        }

    def restore(self, snapshot: Document) -> None:
        for uid, entries in snapshot.items():
            self._owners[uid] = {
                Manager(*entry[:3]): Held(frozenset(tuple(path) for path in entry[4]), entry[3]) for entry in entries
            }


def _difference(resource: Resource, document: Document, before: Document) -> tuple[set[Path], set[Path]]:
    """(added or changed, gone)"""
    now, then = _fields(resource, document), _fields(resource, before)
    changed = {path for path, value in now.items() if path not in then or then[path] != value}
    return changed, set(then) - set(now)
