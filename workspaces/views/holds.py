"""Holds: which stop automatic work now, later, or did; what each stops; setting one and lifting it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from workspaces.models import Actor, Hold, Workspace
from workspaces.models.hold import PERMISSION
from workspaces.models.members import keys_held
from workspaces.rules import permissions
from workspaces.templatetags import console
from workspaces.views.access import account_of, login_required, visible_workspaces
from workspaces.views.hold_effect import LOOKED_AT, covered, effect_of
from workspaces.views.hold_form import PLATFORM, HoldForm, Place, places_of
from workspaces.views.see_other import see_other

PAGE = 50
AHEAD_SHOWN = 100
_RIGHT = permissions.PERMISSIONS[PERMISSION].sentence


@dataclass(frozen=True, slots=True)
class Row:
    """One hold as the lists show it; `workspaces` are those that the reader sees."""

    hold: Hold
    state: str
    tone: str
    workspaces: int


# --- Seeing -----------------------------------------------------------------------------------------------------------
@login_required
@require_safe
def holds(request: HttpRequest) -> HttpResponse:
    """Those in force, to come, and past."""
    now, account = timezone.now(), account_of(request)
    readable = Hold.objects.readable(account).select_related("organization", "project", "workspace", "set_by")
    ahead = readable.ahead(now)
    in_force = readable.in_force(now).order_by("expires_at", "pk")
    to_come = ahead.filter(set_at__gt=now).order_by("set_at", "pk")
    past = readable.exclude(pk__in=ahead.order_by().values("pk")).order_by("-set_at", "pk")
    page = Paginator(past, PAGE).get_page(request.GET.get("page"))
    counted = _workspaces_by_place(request)
    context = {
        "nav": "calendar",
        "now": now,
        "sections": [
            ("in_force", "In force", _rows(in_force[:AHEAD_SHOWN], counted, now), in_force.count()),
            ("to_come", "To come", _rows(to_come[:AHEAD_SHOWN], counted, now), to_come.count()),
            ("past", "Past", _rows(page, counted, now), page.paginator.count),
        ],
        "page": page,
        "may_hold": PERMISSION in keys_held(account),
    }
    return render(request, "workspaces/holds.html", context)


def _workspaces_by_place(request: HttpRequest) -> Counter[Any]:
    """How many workspaces the reader sees in each project and organization (by id), and in all (None)."""
    counted: Counter[Any] = Counter()
    rows = visible_workspaces(request).order_by().values_list("project", "project__organization")
    for project, organization, number in rows.annotate(number=Count("pk")):
        counted.update({project: number, organization: number, None: number})
    return counted


def _rows(found: Iterable[Hold], counted: Counter[Any], now: datetime) -> list[Row]:
    rows = []
    for hold in found:
        count = 1 if hold.workspace_id else counted[hold.project_id or hold.organization_id]
        rows.append(Row(hold, *_state(hold, now), count))
    return rows


def _state(hold: Hold, now: datetime) -> tuple[str, str]:
    if hold.lifted_at:
        return "Lifted", "idle"
    if hold.expires_at <= now:
        return "Ended", "idle"
    return ("In force", "warn") if hold.is_in_force(now) else ("To come", "idle")


@login_required
@require_safe
def hold(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One hold: who, why, until when, and what it stops."""
    return _page(request, _readable(request, pk))


def _readable(request: HttpRequest, pk: UUID) -> Hold:
    related = ("organization", "project__organization", "workspace__project__organization", "set_by")
    return get_object_or_404(Hold.objects.readable(account_of(request)).select_related(*related), pk=pk)


def _page(request: HttpRequest, hold: Hold, *, late: bool = False) -> HttpResponse:
    """The whole page; `late` tells who wanted to lift it that it was over (409)."""
    now = timezone.now()
    state, tone = _state(hold, now)
    ahead = state in ("In force", "To come")
    context = {
        "nav": "calendar",
        "now": now,
        "hold": hold,
        "state": state,
        "tone": tone,
        "ahead": ahead,
        "late": late,
        "may_lift": ahead and hold.may_be_changed_by(account_of(request)),
        "effect": effect_of(covered(request, hold), hold, now) if ahead else None,
        "looked_at": LOOKED_AT,
    }
    return render(request, "workspaces/hold.html", context, status=409 if late else 200)


# --- Setting ----------------------------------------------------------------------------------------------------------
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The form with what it would stop; POST stores what the page has shown, and else shows it first."""
    account, now = account_of(request), timezone.now()
    places = places_of(account)
    if not places:
        raise PermissionDenied(f"{_RIGHT}: only as administrator of an organization or project.")
    asked = request.method == "POST"
    form = HoldForm(places, request.POST if asked else _preselected(request, places), now)
    valid, preview = form.is_valid(), bool(request.htmx)  # type: ignore[attr-defined]
    if valid and form.hold and asked and not preview and request.POST.get("seen") == form.seen:
        form.hold.begin(Actor.of(account))
        messages.success(
            request, f"Automatic work of {form.hold.place} is held until {_at(form.hold.expires_at, now)}."
        )
        return see_other("hold", pk=form.hold.pk)
    context = {
        "nav": "calendar",
        "now": now,
        "form": form,
        "wrong": asked and not preview and not valid,
        "unseen": asked and valid,
        "hold": form.hold,
        "effect": effect_of(covered(request, form.hold), form.hold, now) if form.hold else None,
        "looked_at": LOOKED_AT,
    }
    page = "workspaces/hold_new.html#stops" if preview else "workspaces/hold_new.html"
    return render(request, page, context, status=422 if context["wrong"] else 200)


def _preselected(request: HttpRequest, places: dict[str, Place]) -> dict[str, str]:
    """The form as it is first shown: what the link to it names, as far as the account may hold there."""
    typed = {"end": "8", "place": "", "workspace": ""}
    for name in ("organization", "project"):
        if (named := request.GET.get(name, "")) in places and named != PLATFORM:
            typed["place"] = named
    if workspace := _named_workspace(request):
        if str(workspace.project_id) in places:
            typed |= {"place": str(workspace.project_id), "workspace": workspace.name}
    elif not typed["place"] and len(places) == 1:
        typed["place"] = next(iter(places))
    return typed


def _named_workspace(request: HttpRequest) -> Workspace | None:
    try:
        asked = UUID(request.GET.get("workspace", ""))
    except ValueError:
        return None
    found: Workspace | None = visible_workspaces(request).filter(pk=asked).first()
    return found


# --- Lifting ----------------------------------------------------------------------------------------------------------
@login_required
@require_POST
def lift(request: HttpRequest, pk: UUID) -> HttpResponse:
    """End it now, and say what starts again; 409 when somebody else was first or it has ended."""
    account, now, found = account_of(request), timezone.now(), _readable(request, pk)
    if not found.may_be_changed_by(account):
        raise PermissionDenied(
            f"{permissions.PERMISSIONS[PERMISSION].sentence}: only as administrator of {found.place}."
        )
    effect = effect_of(covered(request, found), found, now)
    if not found.lift(Actor.of(account)):
        return _page(request, found, late=True)
    following = "What is due starts in the next window of each workspace."
    if effect.stopped is not None:
        following = "Nothing it stopped is known to start before it would have ended."
    if effect.next:
        following = f"Next to start: {effect.next.name}, {_at(effect.next.opens_at, now)}."
    messages.success(request, f"The hold of {found.place} is lifted. {following}")
    return see_other("hold", pk=found.pk)


def _at(moment: datetime, now: datetime) -> str:
    return f"{console.moment(moment, now)} UTC"
