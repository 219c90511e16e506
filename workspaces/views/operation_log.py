"""The log of an operation: its tail on the page, narrowed to a host or to warnings, followed live; whole as text."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_GET

from workspaces.models import LogLine, Operation
from workspaces.views.access import get_operation, login_required

LINES_SHOWN = 100
LINES_AT_ONCE = 500
STOP_POLLING = 286


class Narrowed(NamedTuple):
    """What is shown of a log: "" all, "host" (the lines of `host`), or "warnings"."""

    only: str
    host: str

    @classmethod
    def of(cls, query: QueryDict, host: str = "") -> Narrowed:
        """From the query of a page or a poll; `host` is the one that the page shows without being asked."""
        host = query.get("log_host") or query.get("host") or host
        only = query.get("log", "")
        return cls(only if only == "warnings" or (only == "host" and host) else "", host[:63])

    def lines(self, operation: Operation) -> QuerySet[LogLine]:
        """Its lines in order."""
        found = operation.lines.all()
        if self.only == "host":
            return found.filter(source=self.host)
        return found.filter(level="warn") if self.only == "warnings" else found

    @property
    def query(self) -> str:
        """To ask for the lines that follow: `&log=…`, or empty."""
        if not self.only:
            return ""
        return "&" + urlencode({"log": self.only} | ({"log_host": self.host} if self.only == "host" else {}))


def tail_of(operation: Operation, narrowed: Narrowed) -> dict[str, Any]:
    """The newest lines in order, and after which one more are asked for (one query)."""
    newest = list(narrowed.lines(operation).order_by("-id")[: LINES_SHOWN + 1])
    return {
        "operation": operation,
        "narrowed": narrowed,
        "lines": newest[:LINES_SHOWN][::-1],
        "more_lines": len(newest) > LINES_SHOWN,
        "last_line": newest[0].pk if newest else 0,
    }


@login_required
@require_GET
def log(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The lines after `?after=` for the live page, without it the tail; without HTMX the whole log as text."""
    found = get_operation(request, pk)
    if not request.htmx:  # type: ignore[attr-defined]
        text = "".join(f"{line.at:%Y-%m-%dT%H:%M:%SZ} {line.source} {line.text}\n" for line in found.lines.iterator())
        return HttpResponse(text, content_type="text/plain; charset=utf-8")
    narrowed = Narrowed.of(request.GET)
    if "after" not in request.GET:
        return render(request, "workspaces/operation.html#log", tail_of(found, narrowed))
    return _after(request, found, narrowed, request.GET["after"])


def _after(request: HttpRequest, found: Operation, narrowed: Narrowed, after: str) -> HttpResponse:
    """What has been written since; 204 nothing, 286 with the rest when the operation has ended."""
    # Whoever asks after an operation has ended gets what is left of the log, once.
    known = int(after) if after.isascii() and after.isdigit() else 0
    lines = list(narrowed.lines(found).filter(pk__gt=known)[:LINES_AT_ONCE])
    if not lines and found.is_open:
        return HttpResponse(status=204)
    last = lines[-1].pk if lines else after
    context = {"operation": found, "narrowed": narrowed, "lines": lines, "last_line": last}
    return render(request, "workspaces/operation.html#lines", context, status=200 if found.is_open else STOP_POLLING)
