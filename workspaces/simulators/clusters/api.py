"""The verbs of an API server on its store, with the order of checks real servers have: here create, read and delete.

Changes are in `updates`, HTTP in `server`, lists and watches in `listing`, kinds in `strategies`; evictions and
tokens are hooks.
"""

import secrets
from collections.abc import Callable

from workspaces.simulators.clusters import apply, checks, errors, strategies
from workspaces.simulators.clusters.deletion import Deletion
from workspaces.simulators.clusters.kinds import CONTROL_PLANES, NAMESPACES, Resource
from workspaces.simulators.clusters.requests import Answer, Call, decode, options_of
from workspaces.simulators.clusters.scale import as_scale
from workspaces.simulators.clusters.selectors import field_selector, label_selector
from workspaces.simulators.clusters.store import Document, Store
from workspaces.simulators.clusters.updates import Updates
from workspaces.simulators.clusters.webhook import Webhook, admit


class Api:
    """One API server's verbs. `hooks` handles subresources by (plural, subresource); `present` shows an object as
    of now."""

    def __init__(self, store: Store, webhook: Webhook | None) -> None:
        self.store, self.webhook = store, webhook
        self.deletion = Deletion(store)
        self.hooks: dict[tuple[str, str], Callable[[Call], Answer]] = {}
        self.bookmark_seconds = 10.0
        self.present: Callable[[Resource, Document], Document] = lambda resource, document: document
        self._ownership = apply.Ownership()
        self._updates = Updates(store, webhook, self._ownership, self.deletion, self._create)

    def handle(self, call: Call) -> Answer:
        """Any verb but list and watch; raises ApiError."""
        options_of(call)
        hook = self.hooks.get((call.resource.plural, call.subresource))
        if hook is not None and call.method == "POST":
            return hook(call)
        if call.verb == "get":
            return self.read(call)
        if call.verb == "create" and not call.name:
            return self.create(call)
        if call.verb in ("update", "patch") and call.name:
            answer = self._updates.put(call) if call.verb == "update" else self._updates.patch(call)
            if call.subresource != "scale":
                answer.body = self.present(call.resource, answer.body)
            return answer
        if call.verb == "delete" and not call.subresource:
            return Answer(200, self.deletion.delete(call, self.existing(call)))
        if call.verb == "deletecollection":
            return self.delete_collection(call)
        raise errors.method_not_allowed()

    def existing(self, call: Call) -> Document:
        document = self.store.get(call.resource, call.namespace, call.name)
        if document is None:
            raise errors.not_found(call.resource, call.name)
        return document

    def read(self, call: Call) -> Answer:
        document = self.present(call.resource, self.existing(call))
        return Answer(200, as_scale(call.resource, document) if call.subresource == "scale" else document)

    def delete_collection(self, call: Call) -> Answer:
        """Deletes what a LIST with the same query would show, and answers that list."""
        labels = label_selector(call.query.get("labelSelector", ""))
        fields = field_selector(call.query.get("fieldSelector", ""), call.resource)
        found = [d for d in self.store.list(call.resource, call.namespace) if labels(d) and fields(d)]
        for document in found:
            self.deletion.delete(call, document)
        metadata: Document = {"resourceVersion": str(self.store.version)}
        if call.resource.custom:
            metadata["continue"] = ""
        return Answer(200, self.as_list(call.resource, found, metadata))

    def as_list(self, resource: Resource, documents: list[Document], metadata: Document) -> Document:
        """Items of custom resources carry kind and apiVersion, those of built-in kinds do not."""
        shown = [self.present(resource, d) for d in documents]
        if not resource.custom:
            shown = [{k: v for k, v in d.items() if k not in ("kind", "apiVersion")} for d in shown]
        head = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version}
        return {**head, "metadata": metadata, "items": shown}

    def create(self, call: Call) -> Answer:
        answer = self._create(call)
        if not call.dry_run:
            self._ownership.updated(call, answer.body, None)
        return answer

    def _create(self, call: Call) -> Answer:
        resource = call.resource
        document = decode(call, resource.kind)
        checks.check_identity(call, document)
        metadata = document["metadata"]
        if metadata.get("resourceVersion"):
            raise errors.ApiError(500, "resourceVersion should not be set on objects to be created")
        warnings = checks.unknown_fields(call, document)
        self._check_namespace(call, metadata.get("name", ""))
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + secrets.token_hex(3)[:5]
        causes = list(strategies.check_name(resource, metadata.get("name", "")))
        if causes:
            raise errors.invalid(resource, metadata.get("name", ""), causes)
        if resource.status:
            document.pop("status", None)
        document["metadata"] = {k: v for k, v in metadata.items() if v not in (None, {}, []) and k != "managedFields"}
        if self.webhook is not None and resource == CONTROL_PLANES and "spec" in document:
            self.webhook.mutate(document)
        strategies.prepare(resource, document, None)
        admit(self.webhook, document, None, call.method, call.path)
        self._check_free(call, document["metadata"]["name"])
        warnings += checks.finalizer_warnings(document)
        if call.dry_run:
            return Answer(201, Store.prepared(resource, document), warnings)
        return Answer(201, self.store.create(resource, document), warnings)

    def _check_namespace(self, call: Call, name: str) -> None:
        if not call.resource.namespaced:
            return
        namespace = self.store.get(NAMESPACES, "", call.namespace)
        if namespace is None:
            raise errors.not_found(NAMESPACES, call.namespace)
        if namespace["metadata"].get("deletionTimestamp"):
            raise errors.namespace_terminating(call.resource, call.namespace, name)

    def _check_free(self, call: Call, name: str) -> None:
        held = self.store.get(call.resource, call.namespace, name)
        if held is None:
            return
        error = errors.already_exists(call.resource, name)
        if held["metadata"].get("deletionTimestamp"):
            error.message = f"object is being deleted: {error.message}"
        raise error
