"""The week grid as values: eight rows of 24 hours in UTC with the reader's own clock, and the coming days as an agenda.

Which windows there are and what they do is `rules/planner.py`; this module only arranges it for the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from workspaces.rules.maintenance import WEEKDAYS, Plan
from workspaces.rules.planner import Forecast

NO_WINDOW = "none"
_WORK = range(8, 18)  # working hours, Monday to Friday, on the reader's clock


class Cell(NamedTuple):
    """One hour of one row. `label` names the radio for those who cannot see the grid."""

    value: str
    text: str
    label: str
    checked: bool
    saved: bool
    attributes: str


class Row(NamedTuple):
    """A radio group: the priority hour, or a weekday. `none` is the choice of no window, weekdays only."""

    name: str
    title: str
    today: bool
    hours: list[Cell]
    none: Cell | None
    error: str


class Grid(NamedTuple):
    """The whole grid. `local` is the second head row, empty when the reader's clock is UTC."""

    city: str
    offset: str
    hour_now: int
    local: list[str]
    priority: Row
    days: list[Row]


class Window(NamedTuple):
    """A window of the agenda; `was` is the saved hour when it differs (`02:00` or `no window`)."""

    ahead: Forecast
    is_priority: bool
    was: str


class Day(NamedTuple):
    """A day of the agenda. `routine_x` and `priority_x` place the marks on the hour rail, `now_x` only today."""

    at: datetime
    windows: list[Window]
    routine_x: int | None
    priority: str
    now_x: str


def city_of(zone: str) -> str:
    """`Berlin` for `Europe/Berlin`."""
    return zone.rpartition("/")[2].replace("_", " ")


def grid(chosen: Mapping[str, str], saved: Plan, errors: Mapping[str, str], zone: str, now: datetime) -> Grid:
    """The grid with `chosen` (field name → value as typed) checked and the hours of `saved` marked."""
    now, there = now.astimezone(UTC), ZoneInfo(zone)
    city = "" if zone == "UTC" else city_of(zone)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    local = [f"{(midnight + timedelta(hours=hour)).astimezone(there):%H:%M}" for hour in range(24)]
    whole = all(time.endswith(":00") for time in local)
    return Grid(
        city=city,
        offset=_offset(now.astimezone(there)),
        hour_now=now.hour,
        local=[time[:2] if whole else time for time in local] if city else [],
        priority=_priority(chosen.get("priority_hour", ""), saved, errors),
        days=[_day(weekday, chosen, saved, errors, midnight, there, city, now) for weekday in range(7)],
    )


def _priority(typed: str, saved: Plan, errors: Mapping[str, str]) -> Row:
    """The row of the priority hour, the same on every day."""
    hours = [
        Cell(
            value=str(hour),
            text=f"{hour:02d}",
            label=f"Priority hour {hour:02d}:00 UTC",
            checked=str(hour) == typed,
            saved=hour == saved.priority_hour,
            attributes=_prio(hour, typed),
        )
        for hour in range(24)
    ]
    return Row("priority_hour", "Priority, daily", False, hours, None, errors.get("priority_hour", ""))


def _prio(hour: int, priority: str) -> str:
    return " data-prio" if str(hour) == priority else ""


def _offset(local: datetime) -> str:
    """`UTC+1`, `UTC+5:30`."""
    minutes = int((local.utcoffset() or timedelta()).total_seconds() // 60)
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02d}" if rest else "")


def _day(
    weekday: int,
    chosen: Mapping[str, str],
    saved: Plan,
    errors: Mapping[str, str],
    midnight: datetime,
    there: ZoneInfo,
    city: str,
    now: datetime,
) -> Row:
    """The row of one weekday, on the clock of its next occurrence (daylight saving may change within the week)."""
    name, title = f"day_{weekday}", WEEKDAYS[weekday]
    start = midnight + timedelta(days=(weekday - now.weekday()) % 7)
    typed, kept, today = chosen.get(name, ""), saved.hours[weekday], weekday == now.weekday()
    hours = []
    for hour in range(24):
        local = (start + timedelta(hours=hour)).astimezone(there)
        at_work = local.weekday() < 5 and local.hour in _WORK
        attributes = (
            _prio(hour, chosen.get("priority_hour", ""))
            + (" data-work" if at_work else "")
            + (" data-now-cell" if today and hour == now.hour else "")
        )
        label = f"{title} {hour:02d}:00 UTC" + (f", {local:%H:%M} in {city}" if city else "")
        hours.append(Cell(str(hour), f"{hour:02d}", label, str(hour) == typed, hour == kept, attributes))
    none = Cell(NO_WINDOW, "none", f"{title}, no window", typed == NO_WINDOW, kept is None, "")
    return Row(name, title, today, hours, none, errors.get(name, ""))


def agenda(shown: Plan, saved: Plan, ahead: Sequence[Forecast], now: datetime) -> list[Day]:
    """The next seven days. A priority window is listed only when something is flagged for it."""
    now = now.astimezone(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    days = []
    for at in (today + timedelta(days=n) for n in range(7)):
        weekday = at.weekday()
        windows = [
            Window(
                forecast,
                forecast.window.lane == "priority",
                _was(shown, saved, weekday) if forecast.window.lane == "routine" else "",
            )
            for forecast in ahead
            if forecast.window.opens_at.date() == at.date() and (forecast.window.lane == "routine" or forecast.work)
        ]
        hour = shown.hours[weekday]
        x = 4 * shown.priority_hour + 3
        days.append(
            Day(
                at=at,
                windows=windows,
                routine_x=None if hour is None else 4 * hour + 1,
                priority=f"M{x} 0l3 3-3 3-3-3Z",
                now_x=f"{1 + 4 * (now.hour + now.minute / 60):.1f}" if at == today else "",
            )
        )
    return days


def _was(shown: Plan, saved: Plan, weekday: int) -> str:
    before, after = saved.hours[weekday], shown.hours[weekday]
    if before == after:
        return ""
    return "no window" if before is None else f"{before:02d}:00"
