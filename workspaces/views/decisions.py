"""The decision log: what came of every maintenance window and why, as a list, one by one, and as a file.

What may be asked is `decision_query`, what a line tells is `decision_lines`, the file is `decision_export`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe
from django_htmx.http import push_url

from workspaces.models import Decision, Operation, PackageUpdate
from workspaces.models.decision import LANES, OUTCOMES
from workspaces.views import decision_export
from workspaces.views.access import account_of, login_required, projects_of
from workspaces.views.decision_lines import line_of, lines_of, planned, reasons, told
from workspaces.views.decision_query import REASONS, DecisionQuery, Position, parse

PAGE = 50
# Beyond this many projects a box with all of them is no help; the filter takes any of them from the address.
PROJECT_CHOICES = 50
UPDATES_SHOWN = 500


@login_required
@require_safe
def decisions(request: HttpRequest) -> HttpResponse:
    """The page, or for htmx the list alone."""
    query = parse(request)
    context = _page(request, query)
    if not request.htmx or request.htmx.history_restore_request:  # type: ignore[attr-defined]
        response = render(request, "workspaces/decisions.html", context)
    else:
        response = render(request, "workspaces/decisions.html#list", context)
        push_url(response, f"{request.path}{query.address()}".rstrip("?"))
    patch_vary_headers(response, ["HX-Request"])
    return response


@login_required
@require_safe
def export(request: HttpRequest) -> StreamingHttpResponse:
    """The list of the address as a file."""
    now = timezone.now()
    found = told(parse(request).read_by(account_of(request)))[: decision_export.LIMIT + 1]
    pieces = decision_export.written(found.iterator(chunk_size=decision_export.CHUNK), now)
    headers = {
        "Content-Disposition": f'attachment; filename="decisions-{now:%Y%m%d-%H%M}.csv"',
        "Cache-Control": "no-store",
    }
    return StreamingHttpResponse(pieces, content_type="text/csv; charset=utf-8", headers=headers)


def _page(request: HttpRequest, query: DecisionQuery) -> dict[str, Any]:
    now, projects, words = timezone.now(), projects_of(request), query.words
    found, newer, older = _turn(query, told(query.read_by(account_of(request))))
    chosen = words.get("project")
    offered = projects[:PROJECT_CHOICES] + [p for p in projects[PROJECT_CHOICES:] if str(p.id) == chosen]
    organizations = {str(project.organization_id): project.organization for project in projects}
    return {
        "nav": "calendar",
        "now": now,
        "query": query,
        "words": words,
        "lines": lines_of(found, now),
        "newer": query.address(after=Position.of(found[0])) if newer else "",
        "older": query.address(before=Position.of(found[-1])) if older else "",
        "lanes": dict(LANES),
        "outcomes": dict(OUTCOMES),
        "reasons": _with_chosen(REASONS, words.get("reason")),
        "organizations": _with_chosen(organizations, words.get("organization")),
        "projects": _with_chosen({str(project.id): project.name for project in offered}, chosen),
    }


def _turn(query: DecisionQuery, found: QuerySet[Decision]) -> tuple[list[Decision], bool, bool]:
    """The decisions of the page, newest first, and whether there are newer and older ones."""
    if at := query.after:
        newer = found.filter(Q(opens_at__gt=at.opens_at) | Q(pk__gt=at.pk), opens_at__gte=at.opens_at)
        page = list(newer.order_by("opens_at", "id")[: PAGE + 1])
        return page[:PAGE][::-1], len(page) > PAGE, bool(page)
    if at := query.before:
        found = found.filter(Q(opens_at__lt=at.opens_at) | Q(pk__lt=at.pk), opens_at__lte=at.opens_at)
    page = list(found[: PAGE + 1])
    return page[:PAGE], query.before is not None and bool(page), len(page) > PAGE


def _with_chosen(choices: dict[str, str], chosen: str | None) -> dict[str, str]:
    """The choices of a box, with the chosen one by its own name where it is none of them."""
    return choices if not chosen or chosen in choices else choices | {chosen: chosen}


# --- One decision -----------------------------------------------------------------------------------------------------
@login_required
@require_safe
def decision(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Everything that is known of one window: what was planned, why, what stopped it, and its run."""
    now = timezone.now()
    found = get_object_or_404(told(Decision.objects.readable(account_of(request))), pk=pk)
    operation = found.operation
    # Told like the others, so that each says what came of its own window.
    windows = told(Decision.objects.filter(operation=operation)).order_by("opens_at") if operation else []
    context = {
        "nav": "calendar",
        "now": now,
        "workspace": found.workspace,
        "line": line_of(found, now),
        "planned": planned(found),
        "why": reasons(found, "reasons"),
        "blocks": reasons(found, "blocked_by"),
        "place_in_line": found.evidence.get("place"),
        "limit": found.evidence.get("limit"),
        "windows": lines_of(windows, now),
        "installed": _installed(operation) if operation else [],
        "installed_shown": UPDATES_SHOWN,
        "installed_count": operation.package_updates.count() if operation else 0,
    }
    return render(request, "workspaces/decision.html", context)


def _installed(operation: Operation) -> list[tuple[str, Sequence[PackageUpdate]]]:
    """What the run installed, by host."""
    rows = operation.package_updates.order_by("host_name", "package")[:UPDATES_SHOWN]
    return [(host, list(updates)) for host, updates in groupby(rows, key=lambda row: row.host_name)]
