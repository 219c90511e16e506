"""Propose hours: the moves that bring an hour to its limit, who may make them, and making those that are chosen.

What is proposed is `rules/calendar`. A move changes the hour of one weekday in the plan of a workspace, with its event.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, Subquery
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from workspaces.models import Account, Actor, MaintenancePlan, Operation, Project, Workspace
from workspaces.models.maintenance import StaleVersion
from workspaces.models.members import keys_held
from workspaces.models.workspace import WorkspaceQuerySet
from workspaces.rules import calendar as rules
from workspaces.rules.maintenance import WEEKDAYS
from workspaces.rules.places import Candidate, fair_order
from workspaces.rules.planner import hour_of
from workspaces.templatetags.console import local
from workspaces.views.access import account_of, login_required, visible_workspaces
from workspaces.views.calendar_load import limits, read_load
from workspaces.views.see_other import see_other

EDIT = "maintenance.edit"
AT_ONCE = 100
NAMED = 500  # a longer queue is counted on the calendar, and read only when hours are proposed
_LISTED = 12


class Queued(NamedTuple):
    """A workspace with a window in the hour, as its row of the table needs it."""

    pk: UUID
    name: str
    project_id: UUID
    project: str
    organization_id: UUID
    organization: str
    cluster: str | None
    version: int
    last_run: datetime | None


@dataclass(frozen=True, slots=True)
class Asked:
    """The proposal for one hour: `queued` by key, the keys that come `late`, and what to do about them."""

    queued: Mapping[str, Queued]
    late: tuple[str, ...]
    proposal: rules.Proposal


class Offer(NamedTuple):
    """A move as a row. `value` is what its checkbox sends; `may` whether the reader may make it."""

    value: str
    one: Queued
    to_hour: int
    local: str
    may: bool


@dataclass
class Done:
    """What came of chosen moves, as names of workspaces."""

    moved: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    full: list[str] = field(default_factory=list)


def propose_for(
    visible: WorkspaceQuerySet, slot: rules.Slot, at: datetime, load: rules.Load, zone: str, now: datetime
) -> Asked:
    """The moves for the hour of the week `slot`, which begins next at `at` (one query)."""
    bounds = limits()
    queued = {str(one.pk): one for one in _windows_at(visible, slot)}
    queue = fair_order(
        Candidate(
            key=key,
            name=one.name,
            lane="routine",
            organization=one.organization_id,
            cluster=one.cluster,
            last_run=one.last_run,
        )
        for key, one in queued.items()
    )
    avoid = rules.unwelcome_hours(at.replace(hour=0), zone, now)
    proposal = rules.propose(slot, queue, load, bounds, avoid)
    return Asked(queued, tuple(one.key for one in rules.late(queue, bounds)), proposal)


def _windows_at(visible: WorkspaceQuerySet, slot: rules.Slot) -> list[Queued]:
    weekday, hour = slot
    runs = Operation.objects.filter(workspace=OuterRef("pk")).exclude(window_opens_at=None).order_by("-created_at")
    rows = visible.filter(
        **{"maintenance_plan__enabled": True, f"maintenance_plan__{MaintenancePlan.HOURS[weekday]}": hour}
    )
    columns = rows.annotate(last_run=Subquery(runs.values("created_at")[:1])).values_list(
        "pk", "name", "project", "project__name", "project__organization", "project__organization__name",
        "management_cluster__name", "maintenance_plan__version", "last_run",
    )  # fmt: skip
    return [Queued._make(row) for row in columns.order_by()]


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def proposal(request: HttpRequest) -> HttpResponse:
    """The page; POST makes the chosen moves."""
    if request.method == "POST":
        return _apply(request)
    slot = _slot_of(request.GET)
    asked = bool({"weekday", "hour"} & request.GET.keys())
    note = "That is no hour of the week, so the first hour over the limit is shown." if asked and slot is None else ""
    return _page(request, slot, note=note)


def _page(request: HttpRequest, slot: rules.Slot | None, *, note: str = "", problem: str = "") -> HttpResponse:
    """The page about `slot`; without one about the next hour over the limit. 422 tells the `problem`."""
    now, account, visible = timezone.now(), account_of(request), visible_workspaces(request)
    load, bounds = read_load(visible), limits()
    over = sorted(rules.clashes(load, bounds).values(), key=lambda clash: _next(clash.slot, now))
    if slot is None and over:
        slot = over[0].slot
    clash = next((one for one in over if one.slot == slot), None)
    context: dict[str, Any] = {
        "nav": "calendar",
        "now": now,
        "note": note,
        "problem": problem,
        "limits": bounds,
        "clash": clash,
        "others": [(_next(one.slot, now), one) for one in over if one.slot != slot][:_LISTED],
        "hours_over": len(over),
        "at": _next(slot, now) if slot else None,
    }
    if clash and slot:
        context |= _offers(
            account, propose_for(visible, slot, _next(slot, now), load, account.time_zone, now), slot, now
        )
    return render(request, "workspaces/calendar_proposal.html", context, status=422 if problem else 200)


def _offers(account: Account, asked: Asked, slot: rules.Slot, now: datetime) -> dict[str, Any]:
    editable = set(Project.objects.allowing(account, EDIT).values_list("pk", flat=True))
    at = _next(slot, now)
    moves = asked.proposal.moves[:AT_ONCE]
    offers = [
        Offer(
            value=f"{one.pk}:{move.to_hour}:{one.version}",
            one=one,
            to_hour=move.to_hour,
            local=local(at.replace(hour=move.to_hour), account.time_zone),
            may=one.project_id in editable,
        )
        for move in moves
        for one in (asked.queued[move.key],)
    ]
    stay = [asked.queued[key].name for key in asked.proposal.without_room]
    return {
        "offers": offers,
        "may_any": any(offer.may for offer in offers),
        "later": len(asked.proposal.moves) - len(moves),
        "stay": stay[:_LISTED],
        "stay_more": max(0, len(stay) - _LISTED),
        "stay_count": len(stay),
        "late": len(asked.late),
    }


def _next(slot: rules.Slot, now: datetime) -> datetime:
    """When that hour of the week begins next (UTC)."""
    weekday, hour = slot
    now = now.astimezone(UTC)
    at = hour_of(now).replace(hour=hour) + timedelta(days=(weekday - now.weekday()) % 7)
    return at if at > now else at + timedelta(days=7)


def _slot_of(form: QueryDict) -> rules.Slot | None:
    weekday, hour = form.get("weekday", ""), form.get("hour", "")
    if not (re.fullmatch(r"[0-6]", weekday) and re.fullmatch(r"[0-9]{1,2}", hour) and int(hour) < 24):
        return None
    return int(weekday), int(hour)


# --- Making the moves -------------------------------------------------------------------------------------------------
def _apply(request: HttpRequest) -> HttpResponse:
    """Make the chosen moves, each on the version it was proposed for, and say what came of them."""
    account, slot = account_of(request), _slot_of(request.POST)
    if EDIT not in keys_held(account):
        raise PermissionDenied("Change maintenance hours: only as administrator or operator of a project.")
    chosen = [_read(text) for text in request.POST.getlist("move")]
    if slot is None or None in chosen:
        return _page(request, slot, problem="The form cannot be read. Load the page again and choose once more.")
    if not chosen:
        return _page(request, slot, problem="Choose at least one window to move.")
    if len(chosen) > AT_ONCE:
        return _page(request, slot, problem=f"Choose at most {AT_ONCE} windows; the others can be moved after these.")
    _tell(request, _move(request, slot, [one for one in chosen if one]), slot)
    return see_other("calendar")


def _read(text: str) -> tuple[UUID, int, int] | None:
    """Workspace, hour and version of a checkbox."""
    found = re.fullmatch(r"([0-9a-f-]{36}):([0-9]{1,2}):([0-9]{1,9})", text)
    if found is None or int(found[2]) > 23:
        return None
    try:
        return UUID(found[1]), int(found[2]), int(found[3])
    except ValueError:
        return None


def _move(request: HttpRequest, slot: rules.Slot, chosen: Sequence[tuple[UUID, int, int]]) -> Done:
    """Move one window after the other. An hour that was filled meanwhile takes no more."""
    account, visible, done = account_of(request), visible_workspaces(request), Done()
    weekday, _ = slot
    known = visible.with_plan().in_bulk([pk for pk, *_ in chosen])
    if len(known) < len({pk for pk, *_ in chosen}):
        raise Http404("There is no such workspace.")
    editable = set(Project.objects.allowing(account, EDIT).values_list("pk", flat=True))
    if refused := [one for one in known.values() if one.project_id not in editable]:
        raise PermissionDenied(f"Change maintenance hours: only as administrator or operator of {refused[0].project}.")
    load = read_load(visible, weekday)
    for pk, to_hour, version in chosen:
        workspace = known[pk]
        cluster = workspace.management_cluster.name if workspace.management_cluster else None
        places = limits().places(load.get((weekday, to_hour)))
        if places.full(cluster):
            done.full.append(workspace.name)
        elif _has_moved(workspace, slot, to_hour, version, account):
            done.moved.append(workspace.name)
            places.take(cluster)
            load = {**load, (weekday, to_hour): places.running}
        else:
            done.changed.append(workspace.name)
    return done


def _has_moved(workspace: Workspace, slot: rules.Slot, to_hour: int, version: int, account: Account) -> bool:
    """Store the move; False when the plan is another than the one it was proposed for."""
    weekday, from_hour = slot
    if workspace.maintenance_plan.as_rule().hours[weekday] != from_hour:
        return False
    try:
        MaintenancePlan.apply(
            workspace,
            {"schedule": {str(weekday): to_hour}},
            actor=Actor.of(account),
            may_disable=False,
            semantics="merge-patch",
            seen_version=version,
        )
    except StaleVersion:
        return False
    return True


def _tell(request: HttpRequest, done: Done, slot: rules.Slot) -> None:
    weekday, hour = slot
    if done.moved:
        number = len(done.moved)
        moved = f"{number} window{'s' if number > 1 else ''} moved away from {WEEKDAYS[weekday]} {hour:02d}:00 UTC."
        messages.success(request, moved)
    if done.changed:
        messages.warning(request, f"Not moved, because the schedule was changed meanwhile: {_some(done.changed)}.")
    if done.full:
        messages.warning(request, f"Not moved, because the hour has no place left by now: {_some(done.full)}.")


def _some(names: list[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
