"""Deletion: preconditions, propagation, finalizers, graceful deletion of pods, and namespaces that empty themselves."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from workspaces.simulators.clusters import errors
from workspaces.simulators.clusters.kinds import NAMESPACES, PODS, SERVICES, Resource
from workspaces.simulators.clusters.requests import Call
from workspaces.simulators.clusters.store import Document, Store, timestamp

POLICIES = ("Foreground", "Background", "Orphan")


class Deletion:
    """Deletes objects of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def delete(self, call: Call, document: Document) -> Document:
        """The answer of a DELETE: a Status, or the object when something holds it (always for pods, namespaces and
        Services)."""
        options = self._options(call)
        self._check(call.resource, document, options)
        dry_run = call.dry_run or options.get("dryRun") == ["All"]
        if call.resource == PODS:
            return self.delete_pod(document, options.get("gracePeriodSeconds"), dry_run)
        if call.resource == NAMESPACES:
            return self._delete_namespace(document, dry_run)
        finalizers = list(document["metadata"].get("finalizers", ()))
        if options.get("propagationPolicy") == "Foreground" and "foregroundDeletion" not in finalizers:
            finalizers.append("foregroundDeletion")
        if finalizers:
            return self._mark(call.resource, document, finalizers, dry_run)
        if not dry_run:
            metadata = document["metadata"]
            self._store.remove(call.resource, metadata.get("namespace", ""), metadata["name"])
        return document if call.resource == SERVICES else deleted(call.resource, document)

    def _options(self, call: Call) -> dict[str, Any]:
        options: dict[str, Any] = json.loads(call.body) if call.body.strip() else {}
        query = call.query
        if "propagationPolicy" in query:
            options.setdefault("propagationPolicy", query["propagationPolicy"])
        if "gracePeriodSeconds" in query:
            options.setdefault("gracePeriodSeconds", int(query["gracePeriodSeconds"]))
        policy = options.get("propagationPolicy")
        if policy not in (None, *POLICIES):
            message = f'Unsupported value: "{policy}": supported values: "Foreground", "Background", "Orphan", "nil"'
            raise errors.invalid_options("DeleteOptions", "propagationPolicy", "FieldValueNotSupported", message)
        return options

    def _check(self, resource: Resource, document: Document, options: dict[str, Any]) -> None:
        wanted, metadata = options.get("preconditions") or {}, document["metadata"]
        for field, label in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            if wanted.get(field) and wanted[field] != metadata[field]:
                raise errors.precondition(resource, metadata["name"], label, wanted[field], metadata[field])

    def _mark(self, resource: Resource, document: Document, finalizers: list[str], dry_run: bool) -> Document:
        metadata = document["metadata"]
        if metadata.get("deletionTimestamp"):
            return document
        changed = {
            **metadata,
            "deletionTimestamp": timestamp(),
            "deletionGracePeriodSeconds": 0,
            "finalizers": finalizers,
        }
        if resource.generation:
            changed["generation"] = metadata.get("generation", 0) + 1
        document = {**document, "metadata": changed}
        return document if dry_run else self._store.replace(resource, document)

    def delete_pod(self, document: Document, grace: int | None, dry_run: bool = False) -> Document:
        """Graceful: the pod stays, with deletionTimestamp in the future, until its kubelet lets it go; grace 0 is
        now."""
        metadata = document["metadata"]
        if grace is None:
            grace = document["spec"].get("terminationGracePeriodSeconds", 30)
        running = metadata.get("deletionGracePeriodSeconds")
        if running is not None and grace >= running and grace > 0:
            return document
        end = timestamp(datetime.now(UTC) + timedelta(seconds=grace))
        changed = {**metadata, "deletionTimestamp": end, "deletionGracePeriodSeconds": grace}
        if running is None:
            changed["generation"] = metadata.get("generation", 0) + 1
        document = {**document, "metadata": changed}
        if dry_run:
            return document
        bound = document["spec"].get("nodeName")
        if grace > 0 and bound:
            return self._store.replace(PODS, document)
        self._store.remove(PODS, metadata["namespace"], metadata["name"])
        return document

    def _delete_namespace(self, document: Document, dry_run: bool) -> Document:
        metadata = document["metadata"]
        if metadata.get("deletionTimestamp") or dry_run:
            return document
        document = {
            **document,
            "metadata": {**metadata, "deletionTimestamp": timestamp()},
            "status": {**document["status"], "phase": "Terminating"},
        }
        return self._store.replace(NAMESPACES, document)

    def finishes(self, resource: Resource, document: Document) -> bool:
        """Whether an update takes the last finalizer of an object being deleted: it is removed, not stored."""
        metadata = document["metadata"]
        held = metadata.get("finalizers") or resource in (PODS, NAMESPACES)
        return bool(metadata.get("deletionTimestamp")) and not held


def deleted(resource: Resource, document: Document) -> Document:
    metadata = document["metadata"]
    details = {"name": metadata["name"], "group": resource.group, "kind": resource.plural, "uid": metadata["uid"]}
    return errors.success(details={k: v for k, v in details.items() if v})
