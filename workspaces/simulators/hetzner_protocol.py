"""How the Hetzner Cloud API speaks: error envelopes, paging, sorting, label selectors, the request bucket.

Source: the overview of docs.hetzner.cloud (errors, label selector, pagination, rate limiting). What is spoken about
(servers, zones, …) lives in the modules beside this one.
"""

import re
import time
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web
from yarl import URL

type Document = dict[str, Any]

PER_PAGE, PER_PAGE_MAX = 25, 50
ERRORS: Final = {
    400: ("json_error", "invalid JSON input in your request"),
    401: ("unauthorized", "unable to authenticate"),
    403: ("forbidden", "insufficient permissions for this request"),
    404: ("not_found", "entity not found"),
    405: ("method_not_allowed", "the request method is not allowed"),
    409: ("conflict", "the resource has changed during the request, please retry"),
    410: ("deprecated_api_endpoint", "API functionality was removed"),
    412: ("resource_unavailable", "the requested resource is currently unavailable"),
    422: ("invalid_input", "invalid input"),
    423: ("locked", "the item you are trying to access is locked"),
    429: ("rate_limit_exceeded", "limit of 3600 requests per hour reached"),
    500: ("server_error", "an internal server error occurred"),
    502: ("bad_gateway", "bad gateway"),
    503: ("unavailable", "service unavailable"),
    504: ("timeout", "the request could not be answered in time, please retry"),
}
KEY = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?")
VALUE = re.compile(r"([a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?)?")
SET_BASED = re.compile(r"(\S+)\s+(in|notin)\s*\(([^)]*)\)")


class ApiError(Exception):
    """An answer with the error envelope. Code and message follow from the status where they are not given."""

    def __init__(self, status: int, code: str = "", message: str = "", details: Document | None = None) -> None:
        super().__init__(status, code, message)
        usual_code, usual_message = ERRORS.get(status, ("server_error", "an error occurred"))
        self.status = status
        self.code, self.message, self.details = code or usual_code, message or usual_message, details

    def document(self) -> Document:
        """The envelope `{"error": {"code", "message", "details"}}`."""
        return {"error": {"code": self.code, "message": self.message, "details": self.details}}


def error_body(status: int) -> Document:
    """The envelope the API would send with that status."""
    return ApiError(status).document()


def invalid(field: str, problem: str) -> ApiError:
    """422 for one field of the input."""
    details = {"fields": [{"name": field, "messages": [problem]}]}
    return ApiError(422, "invalid_input", f"invalid input in field '{field}': {problem}", details)


def taken(field: str, message: str) -> ApiError:
    """409: that field must be unique."""
    return ApiError(409, "uniqueness_error", message, {"fields": [{"name": field}]})


def stamp(seconds: float) -> str:
    """UNIX time as the API writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def read_object(request: web.Request) -> Document:
    """The JSON object in the request's body; nothing counts as an empty one. Raises ApiError 400 otherwise."""
    if not await request.read():
        return {}
    try:
        body = await request.json()
    except ValueError:
        raise ApiError(400) from None
    if not isinstance(body, dict):
        raise ApiError(400)
    return body


def field(body: Document, name: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
    """One field of the input, of that type. Raises ApiError 422 when it is missing (no default) or of another type."""
    value = body.get(name)
    if value is None:
        if default is None:
            raise invalid(name, "is required")
        return default
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise invalid(name, "is of the wrong type")
    return value


def check_labels(labels: object) -> dict[str, str]:
    """The labels, when they are valid ones. Raises ApiError 422 otherwise."""
    if not isinstance(labels, dict):
        raise invalid("labels", "is not an object")
    for key, value in labels.items():
        if not KEY.fullmatch(key) or key.startswith("hetzner.cloud/"):
            raise invalid("labels", f"label key '{key}' is not correctly formatted")
        if not isinstance(value, str) or not VALUE.fullmatch(value):
            raise invalid("labels", f"label value of '{key}' is not correctly formatted")
    return labels


def selector(text: str) -> Callable[[dict[str, str]], bool]:
    """A label selector as a predicate on labels. Raises ApiError 422 for one that cannot be read."""
    terms = [_term(term.strip()) for term in re.split(r",(?![^(]*\))", text) if term.strip()]
    return lambda labels: all(term(labels) for term in terms)


def _term(term: str) -> Callable[[dict[str, str]], bool]:
    if listed := SET_BASED.fullmatch(term):
        key, word, values = listed[1], listed[2], {value.strip() for value in listed[3].split(",")}
        if word == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    for operator, wanted in (("!=", False), ("==", True), ("=", True)):
        if operator in term:
            key, value = (part.strip() for part in term.split(operator, 1))
            return lambda labels: (labels.get(key) == value) is wanted
    key = term.removeprefix("!").strip()
    if not KEY.fullmatch(key):
        raise invalid("label_selector", "is malformed")
    return lambda labels: (key in labels) is not term.startswith("!")


def listing(
    request: web.Request,
    noun: str,
    documents: Iterable[Document],
    *filters: str,
    show: Callable[[Document], Document] = lambda document: document,
    sorts: Collection[str] = ("id", "name", "created", "type"),
) -> web.Response:
    """A list answer: filtered by `label_selector` and by the query parameters named, sorted, one page of it.

    `show` makes the documents of that page of what is listed, where that is dear.
    """
    query = request.query
    chosen = [
        document
        for document in documents
        if all(not query.getall(name, []) or str(document[name]) in query.getall(name) for name in filters)
    ]
    if text := query.get("label_selector"):
        matches = selector(text)
        chosen = [document for document in chosen if matches(document["labels"])]
    for order in reversed(query.getall("sort", ["id:asc"])):
        name, _, direction = order.partition(":")
        if name not in sorts or direction not in ("", "asc", "desc"):
            raise invalid("sort", "is not one of the allowed values")
        chosen.sort(key=lambda document: document.get(name) or "", reverse=direction == "desc")
    return _page(request, noun, chosen, show)


def _page(
    request: web.Request, noun: str, documents: list[Document], show: Callable[[Document], Document]
) -> web.Response:
    page, size = _number(request, "page", 1, None), _number(request, "per_page", PER_PAGE, PER_PAGE_MAX)
    last = max(1, -(-len(documents) // size))
    pagination = {
        "page": page,
        "per_page": size,
        "previous_page": page - 1 if page > 1 else None,
        "next_page": page + 1 if page < last else None,
        "last_page": last,
        "total_entries": len(documents),
    }
    shown = [show(document) for document in documents[(page - 1) * size : page * size]]
    body = {noun: shown, "meta": {"pagination": pagination}}
    targets = {"prev": pagination["previous_page"], "next": pagination["next_page"], "last": last}
    links = [f'<{_page_url(request, number)}>; rel="{rel}"' for rel, number in targets.items() if number]
    return web.json_response(body, headers={"Link": ", ".join(links)})


def _page_url(request: web.Request, number: int) -> URL:
    return request.url.update_query(page=str(number))


def _number(request: web.Request, name: str, default: int, most: int | None) -> int:
    text = request.query.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise invalid(name, "must be a number greater than 0")
    if most is not None and int(text) > most:
        raise invalid(name, f"must be less or equal {most}")
    return int(text)


class Bucket:
    """The requests a project may still make: full at the start, refilled evenly over an hour."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._level, self._at = float(limit), time.monotonic()

    def take(self) -> bool:
        """Use one request; False when there is none left."""
        self._refill()
        if self._level < 1:
            return False
        self._level -= 1
        return True

    def headers(self) -> dict[str, str]:
        """RateLimit-Limit, -Remaining, and -Reset (the UNIX time when the bucket is full again)."""
        self._refill()
        full_in = (self.limit - self._level) * 3600 / self.limit
        reset = int(time.time() + full_in)
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(int(self._level)),
            "RateLimit-Reset": str(reset),
        }

    def _refill(self) -> None:
        now = time.monotonic()
        self._level = min(self.limit, self._level + (now - self._at) * self.limit / 3600)
        self._at = now
