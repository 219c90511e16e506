"""The verbs of an API server on its store, with the order of checks real servers have: here create, read and delete.

Changes are in `updates`, HTTP in `server`, lists and watches in `listing`, kinds in `strategies`; evictions and
tokens are hooks.
"""

import secrets
from collections.abc import Callable

from workspaces.simulators.clusters import checks, errors, strategies
from workspaces.simulators.clusters.deletion import Deletion
from workspaces.simulators.clusters.kinds import CONTROL_PLANES, NAMESPACES, Resource
from workspaces.simulators.clusters.managed_fields import managed_fields, of_owners
from workspaces.simulators.clusters.ownership import Owners, Ownership
from workspaces.simulators.clusters.rendering import Rendering, as_item
from workspaces.simulators.clusters.requests import Answer, Call, decode, options_of
from workspaces.simulators.clusters.scale import as_scale
from workspaces.simulators.clusters.selectors import field_selector, label_selector
from workspaces.simulators.clusters.store import Document, Store
from workspaces.simulators.clusters.updates import Updates
from workspaces.simulators.clusters.webhook import Webhook, admit
from workspaces.simulators.clusters.writers import Writers


class Api:
    """One API server's verbs. `hooks` handles subresources by (plural, subresource); `present` gives an object as
    of now, `shown` as it is answered."""

    def __init__(self, store: Store, webhook: Webhook | None, writers: Writers) -> None:
        self.store, self.webhook = store, webhook
        self.deletion = Deletion(store)
        self.hooks: dict[tuple[str, str], Callable[[Call], Answer]] = {}
        self.bookmark_seconds = 10.0
        self.present: Callable[[Resource, Document], Document] = lambda resource, document: document
        self.ownership = Ownership(store, writers)
        self.rendering = Rendering(store, lambda resource, held: self.present(resource, held), self.shown)
        self._updates = Updates(store, webhook, self.ownership, self.deletion, self._create)

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
                answer.body = self.shown(call.resource, answer.body, answer.owners)
            return answer
        if call.verb == "delete" and not call.subresource:
            body = self.deletion.delete(call, self.existing(call))
            return Answer(200, self.shown(call.resource, body) if body["kind"] == call.resource.kind else body)
        if call.verb == "deletecollection":
            return self.delete_collection(call)
        raise errors.method_not_allowed()

    def existing(self, call: Call) -> Document:
        document = self.store.get(call.resource, call.namespace, call.name)
        if document is None:
            raise errors.not_found(call.resource, call.name)
        return document

    def read(self, call: Call) -> Answer:
        document = self.existing(call)
        if call.subresource == "scale":
            return Answer(200, as_scale(call.resource, document))
        return Answer(200, self.shown(call.resource, document))

    def shown(self, resource: Resource, document: Document, owners: Owners | None = None) -> Document:
        """An object as it is answered: as of now, with managedFields (of `owners`, when it was not stored)."""
        managed = of_owners(resource, owners) if owners else managed_fields(self.ownership, resource, document)
        document = self.present(resource, document)
        return {**document, "metadata": {**document["metadata"], "managedFields": managed}}

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
        """A list of objects that are stored no more; others are written by `rendering`."""
        shown = [as_item(resource, self.shown(resource, d)) for d in documents]
        head = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version}
        return {**head, "metadata": metadata, "items": shown}

    def create(self, call: Call) -> Answer:
        answer = self._create(call)
        owners = self.ownership.created(call, answer.body)
        if not call.dry_run:
            self.ownership.keep(answer.body, owners)
        answer.body = self.shown(call.resource, answer.body, owners)
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
