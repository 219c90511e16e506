"""The namespace controller (default service accounts, emptying what is being deleted) and the collector of
foreground deletions."""

from collections import Counter

from workspaces.simulators.clusters.bootstrap import add_service_account
from workspaces.simulators.clusters.kinds import NAMESPACES, PODS, Resource
from workspaces.simulators.clusters.store import Change, Document, Store, timestamp
from workspaces.simulators.clusters.timers import Timers

FOREGROUND = "foregroundDeletion"


class NamespaceController:
    """Looks after the namespaces of one store."""

    def __init__(self, store: Store, timers: Timers) -> None:
        self._store, self._timers = store, timers
        store.subscribe(self._changed)

    def _changed(self, change: Change) -> None:
        metadata = change.document["metadata"]
        if FOREGROUND in metadata.get("finalizers", ()) and change.kind != "DELETED":
            self._timers.soon((FOREGROUND, metadata["uid"]), lambda: self._release(change.resource, change.document))
        name = metadata["name"] if change.resource == NAMESPACES else metadata.get("namespace", "")
        namespace = self._store.get(NAMESPACES, "", name)
        if namespace is None:
            return
        if namespace["metadata"].get("deletionTimestamp"):
            self._timers.soon(("namespace", name), lambda: self._empty(name))
        elif change.resource == NAMESPACES and change.kind == "ADDED":
            self._timers.soon(("account", name), lambda: add_service_account(self._store, name, "default"))

    def _release(self, resource: Resource, document: Document) -> None:
        """The garbage collector's part of a foreground deletion: the finalizer goes, and the object with the last
        one."""
        namespace, name = document["metadata"].get("namespace", ""), document["metadata"]["name"]
        held = self._store.get(resource, namespace, name)
        if held is None or held["metadata"]["uid"] != document["metadata"]["uid"]:
            return
        others = [f for f in held["metadata"].get("finalizers", ()) if f != FOREGROUND]
        if others:
            self._store.edit(resource, namespace, name, lambda d: d["metadata"].update(finalizers=others))
        else:
            self._store.remove(resource, namespace, name)

    def _empty(self, name: str) -> None:
        """Deletes what is in it; the namespace goes when nothing is held by finalizers or still stopping."""
        remaining: Counter[str] = Counter()
        holders: Counter[str] = Counter()
        for resource in list(self._store.resources.values()):
            if not resource.namespaced:
                continue
            for document in self._store.list(resource, name):
                if self._store.get(resource, name, document["metadata"]["name"]) is None:
                    continue  # its owner went a moment ago, and took it along
                finalizers = document["metadata"].get("finalizers", ())
                if finalizers or (resource == PODS and document["spec"].get("nodeName")):
                    remaining[resource.qualified] += 1
                    holders.update(finalizers)
                    self._mark(resource, document)
                else:
                    self._store.remove(resource, name, document["metadata"]["name"])
        if remaining:
            self._report(name, remaining, holders)
        elif self._store.get(NAMESPACES, "", name) is not None:
            self._store.remove(NAMESPACES, "", name)

    def _mark(self, resource: object, document: Document) -> None:
        metadata = document["metadata"]
        if metadata.get("deletionTimestamp"):
            return

        def mark(held: Document) -> None:
            held["metadata"] |= {"deletionTimestamp": timestamp(), "deletionGracePeriodSeconds": 0}
            if "generation" in held["metadata"]:
                held["metadata"]["generation"] += 1

        for kind in self._store.resources.values():
            if kind == resource:
                self._store.edit(kind, metadata["namespace"], metadata["name"], mark)

    def _report(self, name: str, remaining: Counter[str], holders: Counter[str]) -> None:
        resources = ", ".join(f"{kind} has {count} resource instances" for kind, count in sorted(remaining.items()))
        finalizers = ", ".join(f"{held} in {count} resource instances" for held, count in sorted(holders.items()))
        content = "All content successfully deleted, may be waiting on finalization"
        texts = [
            ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
            (
                "NamespaceDeletionGroupVersionParsingFailure",
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
            ),
            ("NamespaceDeletionContentFailure", "ContentDeleted", content),
            ("NamespaceContentRemaining", "SomeResourcesRemain", f"Some resources are remaining: {resources}"),
        ]
        if finalizers:
            message = f"Some content in the namespace has finalizers remaining: {finalizers}"
            texts.append(("NamespaceFinalizersRemaining", "SomeFinalizersRemain", message))
        now = timestamp()
        conditions = [
            {
                "type": kind,
                "status": "True" if "Remain" in kind else "False",
                "lastTransitionTime": now,
                "reason": reason,
                "message": message,
            }
            for kind, reason, message in texts
        ]

        def report(namespace: Document) -> None:
            held = namespace["status"].get("conditions", ())
            if [(c["type"], c["message"]) for c in held] != [(c["type"], c["message"]) for c in conditions]:
                namespace["status"]["conditions"] = conditions

        self._store.edit(NAMESPACES, "", name, report)
