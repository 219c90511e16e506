"""What a reader asks the calendar for: seven days, a place, a search and which windows; read from the address.

Place, search and page are the fleet list's own words (`fleet_query`). Words that mean nothing are left out with a note.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.http import HttpRequest

from workspaces.views import fleet_query
from workspaces.views.fleet_query import FleetQuery
from workspaces.views.week import city_of

PAGE_SIZE = 20
SHOWN = {"": "All windows", "over": "Over the limit", "known": "With known updates", "held": "Held"}
# A forecast is made of what is known now; further ahead it says little. What was decided is looked up for two years.
_FURTHEST_AHEAD = timedelta(days=56)
_FURTHEST_BACK = timedelta(days=730)
_WEEK = timedelta(days=7)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days from midnight (UTC) at `start`."""

    start: datetime
    now: datetime

    @property
    def end(self) -> datetime:
        """The midnight after the last day."""
        return self.start + _WEEK

    @property
    def today(self) -> datetime:
        """Today's midnight."""
        return self.now.replace(hour=0, minute=0, second=0, microsecond=0)

    @property
    def days(self) -> list[datetime]:
        """The midnights of the seven days."""
        return [self.start + n * _DAY for n in range(7)]

    @property
    def is_next_days(self) -> bool:
        """Whether it begins today."""
        return self.start == self.today

    @property
    def is_past(self) -> bool:
        """Whether all of it lies before today."""
        return self.end <= self.today

    @property
    def looks_back(self) -> bool:
        """Whether hours of it have passed."""
        return self.start < self.now

    @property
    def title(self) -> str:
        """`Maintenance, next 7 days` or `Maintenance, 1 Dec to 7 Dec`."""
        if self.is_next_days:
            return "Maintenance, next 7 days"
        last = self.end - _DAY
        year = f" {last.year}" if last.year != self.now.year else ""
        return f"Maintenance, {self.start.day} {self.start:%b} to {last.day} {last:%b}{year}"

    @property
    def has_past_days(self) -> bool:
        """Whether it begins before today."""
        return self.start < self.today

    def hours_ahead(self) -> Iterator[tuple[tuple[int, int], datetime]]:
        """The hours that have not passed: (weekday, hour), and when the hour begins."""
        for day in self.days:
            for hour in range(24):
                at = day + timedelta(hours=hour)
                if at > self.now:
                    yield (day.weekday(), hour), at


@dataclass(frozen=True, slots=True)
class CalendarQuery:
    """The place, the search and the page (`listed`), which windows, and the first day (None: today)."""

    listed: FleetQuery
    show: str
    start: date | None
    week: Week
    notes: tuple[str, ...]

    def address(self, **changes: object) -> str:
        """The query string of this calendar with changes; what is as by default is left out. Never empty."""
        asked = self.listed
        values = {
            "from": self.start and self.start.isoformat(),
            "q": asked.q,
            "organization": asked.organization,
            "project": asked.project,
            "show": self.show,
            "page": asked.page if asked.page > 1 else None,
        }
        return f"?{urlencode({name: value for name, value in (values | changes).items() if value})}"

    @property
    def earlier(self) -> str:
        """The address of the seven days before."""
        day = self.week.start - _WEEK
        past = {"show": None} if day + _WEEK <= self.week.today else {}
        return self._beginning(day, **past)

    @property
    def today(self) -> str:
        """The address of the seven days from today."""
        return self.address(**{"from": None, "page": None})

    @property
    def later(self) -> str:
        """The address of the seven days after; empty where nothing can be said about them."""
        after = self.week.start + _WEEK
        return "" if after - self.week.today > _FURTHEST_AHEAD else self._beginning(after)

    def _beginning(self, day: datetime, **changes: object) -> str:
        start = None if day == self.week.today else day.date().isoformat()
        return self.address(**{"from": start, "page": None} | changes)

    @property
    def page_before(self) -> str:
        """The address of the page before; empty on the first."""
        page = self.listed.page
        return self.address(page=page - 1 if page > 2 else None) if page > 1 else ""

    @property
    def page_after(self) -> str:
        """The address of the page after this one, whether or not there is one."""
        return self.address(page=self.listed.page + 1)

    @property
    def everything(self) -> str:
        """The address without search and choice of windows."""
        return self.address(q=None, show=None, page=None)

    @property
    def is_filtered(self) -> bool:
        """Whether clearing the filters would show more."""
        return bool(self.listed.q or self.show)

    def turned_to_existing_page(self, total: int) -> CalendarQuery:
        """The last page in place of one behind it, saying so."""
        last, page = max(1, -(-total // PAGE_SIZE)), self.listed.page
        if page <= last:
            return self
        note = f"There is no page {page}. This is the last one."
        return replace(self, listed=replace(self.listed, page=last), notes=(*self.notes, note))


def parse(request: HttpRequest, now: datetime) -> CalendarQuery:
    """The query of a request. A place that is not there is a 404."""
    now = now.astimezone(UTC)
    listed = fleet_query.parse(request)
    notes = list(listed.notes)
    show = request.GET.get("show", "")
    if show not in SHOWN:
        notes.append(f"“{show[:40]}” is not a choice of this calendar, so it is left out.")
        show = ""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    start = _first_day(request.GET.get("from", ""), today, notes)
    week = Week(datetime(start.year, start.month, start.day, tzinfo=UTC) if start else today, now)
    if show and week.is_past:
        notes.append(f"“{SHOWN[show]}” is about what lies ahead. These days have passed, so all windows are shown.")
        show = ""
    return CalendarQuery(
        listed=replace(listed, state="", type="", sort="name", notes=()),
        show=show,
        start=start,
        week=week,
        notes=tuple(notes),
    )


def _first_day(text: str, today: datetime, notes: list[str]) -> date | None:
    """The day asked for; None for today and for what is no day."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        notes.append(f"“{text[:40]}” is not a day such as {today.date().isoformat()}, so the calendar begins today.")
        return None
    if not -_FURTHEST_BACK <= day - today.date() <= _FURTHEST_AHEAD:
        notes.append(f"The calendar reaches 8 weeks ahead and 2 years back; {day.isoformat()} is beyond it.")
        return None
    return None if day == today.date() else day


def reader_clock(week: Week, zone: str) -> str:
    """`Hours in UTC; Berlin is 1 hour ahead.` Where clocks change within the week, it says so."""
    if zone == "UTC":
        return "Hours in UTC."
    first, last = (_offset(at, zone) for at in (week.start, week.end))
    change = "" if first == last else f", and {_ahead(last)} after its clocks change in these days"
    return f"Hours in UTC; {city_of(zone)} is {_ahead(first)}{change}."


def _offset(at: datetime, zone: str) -> int:
    return int((at.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()).total_seconds() // 60)


def _ahead(minutes: int) -> str:
    if not minutes:
        return "at the same hour"
    hours, rest = divmod(abs(minutes), 60)
    length = f"{hours} h {rest} min" if rest else "one hour" if hours == 1 else f"{hours} hours"
    return f"{length} {'ahead' if minutes > 0 else 'behind'}"
