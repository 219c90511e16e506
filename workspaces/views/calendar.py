"""The fleet calendar: seven days of maintenance windows, the hours over the limit, and what each window does.

What a reader may ask for is `calendar_query`, the counts are `calendar_load`, what one row shows is `calendar_rows`.
Moves that clear an hour are `calendar_proposal`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe
from django_htmx.http import push_url

from workspaces.models.workspace import WorkspaceQuerySet
from workspaces.rules.calendar import Clash, Limits, Load, Slot, clashes
from workspaces.views import strip
from workspaces.views.access import account_of, login_required, projects_of, visible_workspaces
from workspaces.views.calendar_load import count, limits, read_load, read_recorded
from workspaces.views.calendar_proposal import NAMED, propose_for
from workspaces.views.calendar_query import PAGE_SIZE, SHOWN, CalendarQuery, Week, parse, reader_clock
from workspaces.views.calendar_rows import read_groups

_HOUR = 100 / 24  # percent of a day's width
_FLOOR, _AT_LIMIT, _HIGHEST = 50, 22, 38  # of the load row: its ground, the height of the limit, of the tallest bar


class Bar(NamedTuple):
    """The windows of one hour: percent of the day's width, pixels from the top and high, and its class."""

    x: str
    y: str
    height: str
    kind: str


class LoadDay(NamedTuple):
    """A day of the load row. `label` names its worst hour over the limit, at `label_x` percent."""

    at: datetime
    is_today: bool
    bars: list[Bar]
    sentence: str
    label: str
    label_x: str
    label_ends: bool


class Headline(NamedTuple):
    """The first hour over the limit: what is wrong, who comes late, and what clears it."""

    title: str
    text: str
    weekday: int
    hour: int


@require_safe
@login_required
def calendar(request: HttpRequest) -> HttpResponse:
    """GET: the page; for htmx the rows, the counts and the links to other weeks."""
    now = timezone.now()
    context = _page(request, parse(request, now), now)
    if not request.htmx or request.htmx.history_restore_request:  # type: ignore[attr-defined]
        response = render(request, "workspaces/calendar.html", context)
    else:
        response = render(request, "workspaces/calendar.html#changes", context)
        push_url(response, f"{request.path}{context['query'].address()}")
    patch_vary_headers(response, ["HX-Request"])
    return response


def _page(request: HttpRequest, query: CalendarQuery, now: datetime) -> dict[str, Any]:
    account, visible, projects = account_of(request), visible_workspaces(request), projects_of(request)
    week, listed = query.week, query.listed
    bounds, load = limits(), read_load(visible)
    over = _ahead(clashes(load, bounds), week)
    totals = count(visible, query, projects, over.values(), account)
    query = query.turned_to_existing_page(totals.listed)
    chosen = listed.select(listed.in_place(visible), Q()).filter(totals.chosen)
    first = (query.listed.page - 1) * PAGE_SIZE
    page = chosen.order_by("project__organization__name", "project__name", "project", "name", "id")
    groups = read_groups(page[first : first + PAGE_SIZE], week, over, account.time_zone)
    recorded = read_recorded(visible, week) if week.has_past_days else {}
    most = max([*(n.total() for n in load.values()), *recorded.values()], default=0)
    return {
        "nav": "calendar",
        "now": now,
        "query": query,
        "week": week,
        "sub": reader_clock(week, account.time_zone),
        "place": listed.place(projects),
        "projects": listed.project_choices(projects),
        "organizations": {p.organization_id: p.organization for p in projects},
        "shown": [(key, label, totals.shown[key]) for key, label in SHOWN.items()],
        "limits": bounds,
        "days": [_load_day(at, week, load, recorded, over, _scale(most, bounds)) for at in week.days],
        "limit_y": f"{_FLOOR - bounds.platform * _scale(most, bounds):.1f}",
        "now_x": f"{(now.hour + now.minute / 60) * _HOUR:.2f}" if week.start <= now < week.end else "",
        "headline": _headline(visible, over, load, week, account.time_zone),
        "groups": groups,
        "first": first + 1,
        "last": first + sum(len(group.rows) for group in groups),
        "total": totals.listed,
        "day": strip.day_from({hour: n.total() for (day, hour), n in load.items() if day == now.weekday()}, now),
        "workspace_count": totals.everywhere,
        "open_operation_count": totals.open_everywhere,
    }


def _ahead(found: Mapping[Slot, Clash], week: Week) -> dict[Slot, Clash]:
    """The hours over the limit that this week still has before it, in order."""
    return {slot: found[slot] for slot, _ in week.hours_ahead() if slot in found}


# --- The load row -----------------------------------------------------------------------------------------------------
def _scale(most: int, bounds: Limits) -> float:
    """Pixels for a window: the limit stands where it always does, unless the tallest bar would not fit."""
    return min(_AT_LIMIT / bounds.platform, _HIGHEST / max(most, 1))


def _load_day(
    at: datetime, week: Week, load: Load, recorded: Mapping[datetime, int], over: Mapping[Slot, Clash], scale: float
) -> LoadDay:
    bars = []
    for hour in range(24):
        moment, slot = at.replace(hour=hour), (at.weekday(), hour)
        windows = recorded.get(moment, 0) if at < week.today else load[slot].total() if slot in load else 0
        if windows:
            height = max(2.0, windows * scale)
            kind = "d" if moment <= week.now else "x" if slot in over else "w"
            bars.append(Bar(f"{hour * _HOUR + 0.42:.2f}", f"{_FLOOR - height:.1f}", f"{height:.1f}", kind))
    mine = [clash for (weekday, _), clash in over.items() if weekday == at.weekday()]
    name = "Today" if at == week.today else f"{at:%A}"
    if not mine:
        passed = " had passed then" if at < week.today else ""
        sentence = f"{name}: {len(bars)} hours with windows{passed}" if passed else f"{name}: within the limit"
        return LoadDay(at, at == week.today, bars, sentence, "", "", False)
    worst = max(mine, key=lambda clash: clash.late)
    hour = worst.slot[1]
    where = "" if worst.on_platform else f" on {worst.cluster}"
    sentence = (
        f"{name}: {len(mine)} hour{'s' if len(mine) > 1 else ''} over the limit. "
        f"{worst.windows} windows{where} at {hour:02d}:00, {worst.late} over the limit of {worst.limit}"
    )
    label_x = f"{(hour if hour > 14 else hour + 1.12) * _HOUR:.2f}"
    return LoadDay(at, at == week.today, bars, sentence, f"{worst.windows} at {hour:02d}:00", label_x, hour > 14)


# --- The headline -----------------------------------------------------------------------------------------------------
def _headline(
    visible: WorkspaceQuerySet, over: Mapping[Slot, Clash], load: Load, week: Week, zone: str
) -> Headline | None:
    """Of the first hour over the limit. Who comes late is named while the queue is short enough to be read."""
    if not over:
        return None
    slot, worst = next(iter(over.items()))
    at = next(moment for ahead, moment in week.hours_ahead() if ahead == slot)
    date = "" if week.is_next_days else f" {at.day} {at:%B}"
    where = "" if worst.on_platform else f" on {worst.cluster}"
    runs = "the platform runs" if worst.on_platform else "its management cluster runs"
    title = f"{at:%A}{date} {at:%H}:00 UTC has {worst.windows} windows{where}, {runs} {worst.limit} at once."
    text = f"{_workspaces(worst.late)} would start late"
    if load[slot].total() <= NAMED and not week.has_past_days:
        asked = propose_for(visible, slot, at, load, zone, week.now)
        names = [asked.queued[key].name for key in asked.late]
        text += f": {_listed(names)}. {_cure(asked.proposal.hours, len(asked.proposal.without_room), len(names))}"
    else:
        text += "."
    more = len(over) - 1
    if more:
        text += (
            f" {more} more hour{'s' if more > 1 else ''} of these days {'are' if more > 1 else 'is'} over the limit."
        )
    return Headline(title, text, *slot)


def _workspaces(number: int) -> str:
    return f"{number} workspace{'' if number == 1 else 's'}"


def _listed(names: list[str]) -> str:
    """`identity`, `identity and depot-pilot`, `identity, depot-pilot and 3 more`."""
    if len(names) < 3:
        return " and ".join(names)
    return f"{', '.join(names[:2])} and {'one' if len(names) == 3 else len(names) - 2} more"


def _cure(hours: tuple[int, ...], without_room: int, late: int) -> str:
    named = [f"{hour:02d}:00" for hour in hours]
    if not named:
        return "No other hour of that day has a place left."
    to = f"{', '.join(named[:-1])} or {named[-1]}" if len(named) > 1 else named[0]
    if without_room:
        return f"{late - without_room} of them find a place at {to}; the others would need another day."
    return f"Moving {'it' if late == 1 else 'them'} to {to} clears it."
