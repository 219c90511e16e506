"""Lists as bytes: every object is written down once for each of its versions, and a page is joined from the pieces.

Management clusters hold hundreds of control planes that are listed again and again and hardly ever change.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

from workspaces.simulators.clusters.kinds import Resource
from workspaces.simulators.clusters.store import Change, Document, Store


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def as_item(resource: Resource, document: Document) -> Document:
    """Items of custom resources carry kind and apiVersion, those of built-in kinds do not."""
    if resource.custom:
        return document
    return {k: v for k, v in document.items() if k not in ("kind", "apiVersion")}


class Rendering:
    """The items of one API server's lists. `present` and `shown` are as in `Api`."""

    def __init__(
        self,
        store: Store,
        present: Callable[[Resource, Document], Document],
        shown: Callable[[Resource, Document], Document],
    ) -> None:
        self._present, self._shown = present, shown
        self._items: dict[str, tuple[Document, bytes]] = {}
        store.subscribe(self._changed)

    def _changed(self, change: Change) -> None:
        self._items.pop(change.document["metadata"]["uid"], None)

    def page(self, resource: Resource, documents: Iterable[Document], metadata: Document) -> bytes:
        """The list of those stored documents."""
        head = compact({"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": metadata})
        items = b",".join([self._item(resource, document) for document in documents])
        return head[:-1] + b',"items":[' + items + b"]}"

    def _item(self, resource: Resource, document: Document) -> bytes:
        """Kept as long as the object is stored so; what shows the present moment is written anew."""
        if self._present(resource, document) is not document:
            return compact(as_item(resource, self._shown(resource, document)))
        uid = document["metadata"]["uid"]
        held = self._items.get(uid)
        if held is None or held[0] is not document:
            held = self._items[uid] = (document, compact(as_item(resource, self._shown(resource, document))))
        return held[1]
