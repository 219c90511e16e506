"""Objects of one API server: versions, history, subscribers and garbage collection.

Stored documents are never changed in place: a write stores a new one, so lists, pages and watches can hold what they
were given. Who may write, and what is valid, is decided in `api` and `strategies`.
"""

import copy
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from workspaces.simulators.clusters.kinds import Resource

Document = dict[str, Any]
Documents = list[Document]
FIRST_VERSION = 1000
HISTORY = 4096
PAGINGS = 64


@dataclass(frozen=True)
class Change:
    """One write: `kind` is ADDED, MODIFIED or DELETED; `before` is None for ADDED."""

    version: int
    kind: str
    resource: Resource
    document: Document
    before: Document | None


def timestamp(moment: datetime | None = None) -> str:
    return (moment or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")


def key_of(document: Document) -> tuple[str, str]:
    metadata = document["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


class Store:
    """`version` is the counter every resourceVersion comes from; changes at or before `compacted` are forgotten."""

    def __init__(self, resources: tuple[Resource, ...]) -> None:
        self.resources = {(r.group, r.plural): r for r in resources}
        self.version = FIRST_VERSION
        self.compacted = FIRST_VERSION
        self.history: deque[Change] = deque()
        self.pages: OrderedDict[int, Documents] = OrderedDict()
        self.touched: dict[str, str] = {}  # uid -> when it was last changed, for objects that were
        self._documents: dict[Resource, dict[tuple[str, str], Document]] = {r: {} for r in resources}
        self._subscribers: list[Callable[[Change], None]] = []

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Calls back at every write, in order and at once; the answer ends the subscription."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    def get(self, resource: Resource, namespace: str, name: str) -> Document | None:
        return self._documents[resource].get((namespace, name))

    def list(self, resource: Resource, namespace: str = "") -> Documents:
        """Sorted as etcd sorts keys: by namespace, then name."""
        documents = self._documents[resource]
        return [documents[key] for key in sorted(documents) if not namespace or key[0] == namespace]

    def create(self, resource: Resource, document: Document) -> Document:
        """Stores a new object; name (and namespace) must be set and free."""
        document = self.prepared(resource, document)
        self._write("ADDED", resource, document, None)
        return document

    @staticmethod
    def prepared(resource: Resource, document: Document) -> Document:
        """What creation adds: uid, creationTimestamp, generation, kind and apiVersion."""
        metadata = {**document["metadata"], "uid": str(uuid.uuid4()), "creationTimestamp": timestamp()}
        if resource.generation:
            metadata["generation"] = 1
        head = {"kind": resource.kind, "apiVersion": resource.api_version}
        return {**head, **document, **head, "metadata": metadata}

    def replace(self, resource: Resource, document: Document) -> Document:
        """Stores a new version of an object that exists; one that is equal stores nothing and keeps its
        resourceVersion."""
        before = self._documents[resource][key_of(document)]
        if document == before:
            return before
        document = {**document, "metadata": dict(document["metadata"])}
        self._write("MODIFIED", resource, document, before)
        return document

    def touch(self, resource: Resource, document: Document) -> Document:
        """Stores a new version in which nothing that is stored here differs."""
        before, document = document, {**document, "metadata": dict(document["metadata"])}
        self._write("MODIFIED", resource, document, before)
        return document

    def remove(self, resource: Resource, namespace: str, name: str) -> Document:
        """Takes the object away and lets go of what it owned."""
        document = self._documents[resource].pop((namespace, name))
        last = {**document, "metadata": dict(document["metadata"])}
        self._write("DELETED", resource, last, document)
        self._collect(document["metadata"]["uid"])
        return last

    def edit(
        self, resource: Resource, namespace: str, name: str, change: Callable[[Document], None]
    ) -> Document | None:
        """Changes a copy in place by `change` and stores it; None when the object is gone. For controllers."""
        document = self.get(resource, namespace, name)
        if document is None:
            return None
        document = copy.deepcopy(document)
        change(document)
        return self.replace(resource, document)

    def compact(self) -> None:
        """Forgets the history, as etcd does every five minutes: older watches and pages are answered 410."""
        self.compacted = self.version
        self.history.clear()
        self.pages.clear()

    def remember_page(self, version: int, items: Documents) -> None:
        self.pages[version] = items
        while len(self.pages) > PAGINGS:
            self.pages.popitem(last=False)

    def snapshot(self) -> Document:
        objects = [d for documents in self._documents.values() for d in documents.values()]
        return {"version": self.version, "objects": objects, "touched": self.touched}

    def restore(self, snapshot: Document) -> None:
        """The history does not survive: watches from before are answered 410, as after a compaction."""
        self.version = self.compacted = snapshot["version"]
        self.touched.update(snapshot.get("touched", {}))
        by_kind = {(r.api_version, r.kind): r for r in self._documents}
        for document in snapshot["objects"]:
            resource = by_kind.get((document["apiVersion"], document["kind"]))
            if resource is not None:
                self._documents[resource][key_of(document)] = document

    def _write(self, kind: str, resource: Resource, document: Document, before: Document | None) -> None:
        self.version += 1
        document["metadata"]["resourceVersion"] = str(self.version)
        if kind != "DELETED":
            self._documents[resource][key_of(document)] = document
        if kind == "MODIFIED":
            self.touched[document["metadata"]["uid"]] = timestamp()
        elif kind == "DELETED":
            self.touched.pop(document["metadata"]["uid"], None)
        change = Change(self.version, kind, resource, document, before)
        self.history.append(change)
        if len(self.history) > HISTORY:
            self.compacted = self.history.popleft().version
        for subscriber in list(self._subscribers):
            subscriber(change)

    def _collect(self, uid: str) -> None:
        for resource, documents in self._documents.items():
            for key, document in list(documents.items()):
                owners = document["metadata"].get("ownerReferences", ())
                if owners and all(owner.get("uid") == uid for owner in owners) and key in documents:
                    self.remove(resource, *key)
