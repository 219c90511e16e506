"""The page of a host, and removing it. What the page shows is `host_page`, making it another size `host_resizing`."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from workspaces.models import Actor
from workspaces.operations import host_removal
from workspaces.rules.refusal import Refused
from workspaces.views import host_page
from workspaces.views.access import account_of, login_required
from workspaces.views.host_page import Found
from workspaces.views.see_other import see_other
from workspaces.views.workspaces import status_of


@login_required
@require_safe
def host(request: HttpRequest, pk: UUID, host: UUID) -> HttpResponse:
    """What it is, where, what it costs, how it was last seen, and what was done with it."""
    now = timezone.now()
    found = host_page.find(request, pk, host, now, need="workspace.view")
    quote = found.offer.quote if found.offer and "price.view" in found.seen.keys else None
    context = shown(found, now) | {
        "health": host_page.health_of(found.host, stale=found.seen.workspace.is_stale(now)),
        "notes": host_page.notes_on(found),
        "quote": quote,
        "costs": host_page.cost_lines(quote) if quote else [],
        "per_month": host_page.per_month(quote) if quote else None,
        "operations": host_page.operations_about(found.seen.workspace, found.host),
        "updates": host_page.updates_on(found.host),
    }
    return render(request, "workspaces/host.html", context)


def shown(found: Found, now: datetime) -> dict[str, Any]:
    """What all pages of a host have in common."""
    return {
        "nav": "fleet",
        "now": now,
        "found": found,
        "host": found.host,
        "workspace": found.seen.workspace,
        "keys": found.seen.keys,
        "running": found.seen.running,
        "status": status_of(found.seen.workspace, now),
    }


# --- Removing ---------------------------------------------------------------------------------------------------------
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: HttpRequest, pk: UUID, host: UUID) -> HttpResponse:
    """What would be lost and what would stop costing; POST removes it when its name is typed."""
    found = host_page.find(request, pk, host, timezone.now(), need="host.remove")
    if request.method != "POST":
        return _removal(request, found)
    typed = request.POST.get("confirm_name", "").strip()
    started = host_removal.start(found.host, confirm_name=typed, actor=Actor.of(account_of(request)))
    if isinstance(started, Refused):
        return _removal(request, found, started, typed)
    return see_other("operation", pk=started.pk)


def _removal(request: HttpRequest, found: Found, refused: Refused | None = None, typed: str = "") -> HttpResponse:
    """The form; 422 when the name was another one, 409 when it is refused."""
    wrong = refused if refused and refused.code == "wrong_name" else None
    quote = found.offer.quote if found.offer else None
    context = shown(found, timezone.now()) | {
        "refused": None if wrong else refused,
        "wrong": wrong,
        "typed": typed,
        "stopped": host_removal.refuse(found.host),
        "costs": host_page.cost_lines(quote) if quote else [],
        "per_month": host_page.per_month(quote) if quote else None,
        "others": found.others,
    }
    status = 422 if wrong else 409 if refused else 200
    return render(request, "workspaces/host_remove.html", context, status=status)
