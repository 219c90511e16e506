"""The fleet list: which workspaces there are, which need a person, what runs next. One page, one fragment for htmx.

What a reader may ask for is `fleet_query`, the counts are `fleet_totals`, what one row shows is `fleet_rows`.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from typing import Any, cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRedirect, push_url

from workspaces.rules import lifecycle
from workspaces.views import strip
from workspaces.views.access import login_required, projects_of, visible_workspaces
from workspaces.views.fleet_query import PAGE_SIZE, STATES, FleetQuery, ordered, parse
from workspaces.views.fleet_rows import read_rows, rows_of
from workspaces.views.fleet_totals import count


@require_safe
@login_required
def fleet(request: HttpRequest) -> HttpResponse:
    """GET: the page; for htmx the list and the counts alone, or 204 when the reader has seen exactly this."""
    query, now = parse(request), timezone.now()
    if request.htmx and not query.is_in_place_of(request.htmx.current_url or ""):  # type: ignore[attr-defined]
        # Another place changes the frame and the choice of projects too.
        return cast(HttpResponse, HttpResponseClientRedirect(f"{request.path}{query.address()}"))
    context = _page(request, query, now)
    if not request.htmx or request.htmx.history_restore_request:  # type: ignore[attr-defined]
        response = render(request, "workspaces/fleet.html", context)
    elif request.GET.get("seen") == context["seen"]:
        response = HttpResponse(status=204)
    else:
        response = render(request, "workspaces/fleet.html#changes", context)
        if "seen" not in request.GET:
            push_url(response, f"{request.path}{query.address()}")
    patch_vary_headers(response, ["HX-Request"])
    return response


def _page(request: HttpRequest, query: FleetQuery, now: datetime) -> dict[str, Any]:
    """The context of the page. Under the same digest `seen` only "42 s ago" may differ."""
    projects = projects_of(request)
    visible = visible_workspaces(request)
    totals, upgradable = count(visible, query, projects)
    chosen = query.select(query.in_place(visible), upgradable.now(totals.situations))
    total = totals.of_state(query.state) if query.only_state else chosen.count()
    query = query.turned_to_existing_page(total)
    first = (query.page - 1) * PAGE_SIZE
    raw = read_rows(ordered(chosen, query.sort, now)[first : first + PAGE_SIZE])
    day = strip.day_of(visible, now)
    rows = rows_of(raw, upgradable, now)
    shown = (query, totals, total, day, raw, [(row.tone, row.target) for row in rows])
    return {
        "nav": "fleet",
        "now": now,
        "query": query,
        "place": query.place(projects),
        "projects": query.project_choices(projects),
        "organizations": {p.organization_id: p.organization for p in projects},
        "states": [(key, label, totals.of_state(key)) for key, label in STATES.items()],
        "types": lifecycle.WORKSPACE_TYPES,
        "totals": totals,
        "rows": rows,
        "first": first + 1,
        "last": first + len(raw),
        "total": total,
        "day": day,
        "seen": blake2b(repr(shown).encode(), digest_size=12).hexdigest(),
        "workspace_count": totals.everywhere,
        "open_operation_count": totals.open_everywhere,
    }
