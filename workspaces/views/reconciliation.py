"""Reconciliation of the fleet: which loops go, which workspaces are not as wanted and why, what waits for a person.

The loops are `loop_targets.py`, the causes `ailing.py`; one workspace in full is `workspace_reconciliation.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from workspaces.models import Drift
from workspaces.models.drift import DriftQuerySet
from workspaces.operations.looks import LOOKED_AT
from workspaces.rules import drift_words
from workspaces.views import ailing, fleet_query, loop_targets
from workspaces.views.access import ProjectPlace, account_of, login_required, projects_of, visible_workspaces
from workspaces.views.fleet_query import FleetQuery

# As many as on a page of the fleet list, whose words of the address these are.
PAGE_SIZE: Final = fleet_query.PAGE_SIZE


@dataclass(frozen=True, slots=True)
class AskingLine:
    """Drift that waits for a person, in words."""

    drift: Drift
    field: str
    wanted: str
    seen: str


@login_required
@require_safe
def reconciliation(request: HttpRequest) -> HttpResponse:
    """The page in the place that the address names; for its refresh the part below the filters alone."""
    query, now = fleet_query.parse(request), timezone.now()
    context = _context(request, query, now)
    page = "workspaces/reconciliation.html"
    partial = request.htmx and not request.htmx.history_restore_request  # type: ignore[attr-defined]
    return render(request, f"{page}#live" if partial else page, context)


def _context(request: HttpRequest, query: FleetQuery, now: datetime) -> dict[str, Any]:
    projects = projects_of(request)
    here = query.in_place(visible_workspaces(request))
    targets = loop_targets.target_lines(account_of(request), here, _organization(query, projects), now)
    shown = targets[: loop_targets.SHOWN]
    groups = ailing.groups(here, [one.line.look for one in shown if one.line.look.felt], now)
    asking = Drift.objects.needs_decision().filter(workspace__in=here.order_by().values("pk"))
    decisions = asking.count()
    query = query.turned_to_existing_page(decisions)
    looked_at = here.filter(state__in=LOOKED_AT).count()
    return {
        "nav": "reconciliation",
        "now": now,
        "query": query,
        "place": query.place(projects),
        "projects": query.project_choices(projects),
        "organizations": {p.organization_id: p.organization for p in projects},
        "targets": shown,
        "more_targets": len(targets) > len(shown),
        "ailing_targets": sum(not one.line.is_well for one in shown),
        "kinds": loop_targets.kind_lines(here, now),
        "groups": groups,
        "looked_at": looked_at,
        "well": looked_at - sum(group.count for group in groups),
        "decisions": decisions,
        "asking": _asking(asking, query.page),
        "first": (query.page - 1) * PAGE_SIZE + 1,
        "last": min(query.page * PAGE_SIZE, decisions),
    }


def _organization(query: FleetQuery, projects: list[ProjectPlace]) -> UUID | None:
    """The organization that the place lies in; None: all of them."""
    of_project = next((one.organization_id for one in projects if one.id == query.project), None)
    return query.organization or of_project


def _asking(found: DriftQuerySet, page: int) -> list[AskingLine]:
    """A page of what waits for a person: what is fought first, then the longest."""
    rows = found.select_related("workspace__project").order_by("-fought", "since", "pk")
    return [
        AskingLine(
            drift=row,
            field=drift_words.field_in_words(row.kind, row.field),
            wanted=drift_words.value_in_words(row.kind, row.field, row.wanted),
            seen=drift_words.value_in_words(row.kind, row.field, row.seen),
        )
        for row in rows[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    ]
