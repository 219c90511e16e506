"""Lists in pages and watches: selection, continue tokens, resource versions, and the events of a stream."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

from workspaces.simulators.clusters import errors
from workspaces.simulators.clusters.api import Api
from workspaces.simulators.clusters.requests import Call, number
from workspaces.simulators.clusters.selectors import Predicate, field_selector, label_selector
from workspaces.simulators.clusters.store import Change, Document, Store, key_of

INCONSISTENT = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


def selection(call: Call) -> Predicate:
    labels = label_selector(call.query.get("labelSelector", ""))
    fields = field_selector(call.query.get("fieldSelector", ""), call.resource)
    return lambda document: labels(document) and fields(document)


def _token(version: int, start: str) -> str:
    content = json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": f"{start}\u0000"}, separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, str]:
    try:
        content = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(content["rv"]), str(content["start"]).rstrip("\u0000")
    except (ValueError, KeyError, TypeError):
        place = len(token) - len(token) % 4
        raise errors.bad_request(
            f"invalid continue token: continue key is not valid: illegal base64 data at input byte {place}"
        ) from None


def _key(document: Document) -> str:
    return "/".join(key_of(document))


def listed(api: Api, call: Call) -> bytes:
    """The answer of a LIST, as JSON; raises 400, 410, 422 or 504 in the server's words."""
    chosen, limit, store = selection(call), number(call, "limit"), api.store
    version, items = store.version, None
    token = call.query.get("continue", "")
    start = ""
    if token:
        version, start = _read_token(token)
        version, items = _paged(store, version, start)
    else:
        _check_version(store, call)
        if call.query.get("resourceVersion") == "0":
            limit = 0
    if items is None:
        items = store.list(call.resource, call.namespace)
    matching = [d for d in items if _key(d) > start and chosen(d)]
    page = matching[:limit] if limit else matching
    rest = len(matching) - len(page)
    metadata: dict[str, Any] = {"resourceVersion": str(version)}
    if rest:
        store.remember_page(version, items)
        metadata["continue"] = _token(version, _key(page[-1]))
        if not call.query.get("labelSelector") and not call.query.get("fieldSelector"):
            metadata["remainingItemCount"] = rest
    elif call.resource.custom:
        metadata["continue"] = ""
    return api.rendering.page(call.resource, page, metadata)


def _paged(store: Store, version: int, start: str) -> tuple[int, list[Document] | None]:
    if version == -1:
        return store.version, None
    if version not in store.pages:
        raise errors.expired(INCONSISTENT, {"continue": _token(-1, start)})
    return version, store.pages[version]


def _check_version(store: Store, call: Call) -> None:
    text, match = call.query.get("resourceVersion", ""), call.query.get("resourceVersionMatch", "")
    if match and not text:
        message = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        raise errors.invalid_options("ListOptions", "resourceVersionMatch", "FieldValueForbidden", message)
    if not text:
        return
    if not text.isdigit():
        raise errors.bad_request(f"invalid resource version: {_unparsable(text)}")
    if int(text) > store.version:
        raise errors.version_too_large(int(text), store.version)
    if match == "Exact" and int(text) < store.compacted:
        raise errors.expired("The resourceVersion for the provided list is too old.")


def _unparsable(text: str) -> str:
    return f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'


class Watch:
    """One watch: `events()` yields documents `{"type", "object"}` until the time is over or the server stops."""

    def __init__(self, api: Api, call: Call) -> None:
        text = call.query.get("resourceVersion", "")
        if text and not text.isdigit():
            raise errors.ApiError(500, _unparsable(text))
        self._api, self._call, self._chosen = api, call, selection(call)
        self._since = int(text or 0)
        self._timeout = number(call, "timeoutSeconds") or 1800
        self._bookmarks = call.query.get("allowWatchBookmarks") in ("true", "1")
        self._initial = call.query.get("sendInitialEvents") in ("true", "1")
        self._changes: asyncio.Queue[Change | None] = asyncio.Queue()

    def stop(self) -> None:
        self._changes.put_nowait(None)

    async def events(self) -> AsyncIterator[Document]:
        store = self._api.store
        if self._since and self._since < store.compacted and not self._initial:
            message = f"too old resource version: {self._since} ({store.compacted})"
            yield {"type": "ERROR", "object": errors.expired(message).body()}
            return
        first = [*self._first_events()]
        unsubscribe = store.subscribe(self._changes.put_nowait)
        try:
            for event in first:
                yield event
            async for event in self._following():
                yield event
        finally:
            unsubscribe()

    def _first_events(self) -> list[Document]:
        call, store = self._call, self._api.store
        if self._since and not self._initial:
            past = [self._event(change) for change in store.history if change.version > self._since]
            return [event for event in past if event is not None]
        namespace = call.namespace
        held = [d for d in store.list(call.resource, namespace) if self._chosen(d)]
        events: list[Document] = [self._shown("ADDED", d) for d in held]
        if self._initial and self._bookmarks:
            events.append(self._bookmark({"k8s.io/initial-events-end": "true"}))
        return events

    async def _following(self) -> AsyncIterator[Document]:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._timeout
        every = self._api.bookmark_seconds
        next_bookmark = loop.time() + every if self._bookmarks else end
        while (now := loop.time()) < end:
            change: Change | None = None
            try:
                change = await asyncio.wait_for(self._changes.get(), min(end, next_bookmark) - now)
            except TimeoutError:
                if self._bookmarks and loop.time() < end:
                    next_bookmark = loop.time() + every
                    yield self._bookmark()
                continue
            if change is None:
                return
            event = self._event(change)
            if event is not None:
                yield event

    def _event(self, change: Change) -> Document | None:
        call = self._call
        if change.resource != call.resource or change.version <= self._since:
            return None
        if call.resource.namespaced and call.namespace and key_of(change.document)[0] != call.namespace:
            return None
        before = change.before is not None and self._chosen(change.before)
        now = change.kind != "DELETED" and self._chosen(change.document)
        if not before and not now:
            return None
        return self._shown("DELETED" if not now else "MODIFIED" if before else "ADDED", change.document)

    def _shown(self, kind: str, document: Document) -> Document:
        return {"type": kind, "object": self._api.shown(self._call.resource, document)}

    def _bookmark(self, annotations: Document | None = None) -> Document:
        resource, metadata = self._call.resource, {"resourceVersion": str(self._api.store.version)}
        shown: Document = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
        if annotations:
            shown["metadata"] = {**metadata, "annotations": annotations}
        if resource.plural == "namespaces":
            shown |= {"spec": {}, "status": {}}
        return {"type": "BOOKMARK", "object": shown}
