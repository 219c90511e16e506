"""The day strip: today's 24 hours in UTC, how many routine windows open in each, and where now is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from math import cos, pi, sin

from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from workspaces.models import MaintenancePlan, Workspace
from workspaces.views.access import login_required, visible_workspaces

_HOUR = 100 / 24  # percent of the strip's width
_FLAG_HOURS = 4.6  # what the flag of 74 px covers on a screen of 390 px


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of the strip. `x` and `bar_x` are percent of the width, `bar_y` is the top of its bar of 26."""

    hour: int
    windows: int
    past: bool
    label_class: str
    x: str
    bar_x: str
    bar_y: str

    @property
    def label(self) -> str:
        """Every third hour is named."""
        return "" if self.hour % 3 else f"{self.hour:02d}"


@dataclass(frozen=True, slots=True)
class Day:
    """Today in UTC, `now` to the minute. `passed` counts the windows that have opened, the current hour's included."""

    now: datetime
    hours: list[Hour]
    total: int
    passed: int
    next_hour: int | None

    @property
    def ahead(self) -> int:
        """Windows that open later today."""
        return self.total - self.passed

    @property
    def next_at(self) -> datetime | None:
        """When the next window of today opens."""
        return None if self.next_hour is None else self.now.replace(hour=self.next_hour, minute=0)

    @property
    def now_x(self) -> str:
        """Where now is, in percent of the width."""
        return f"{(self.now.hour * 60 + self.now.minute) / 14.4:.3f}"

    @property
    def loop_x(self) -> str:
        """Where now is on the loop of the sign-in page, whose half circle is the day from top to bottom."""
        return f"{520 + 210 * sin(self._angle):.1f}"

    @property
    def loop_y(self) -> str:
        """See `loop_x`."""
        return f"{320 - 210 * cos(self._angle):.1f}"

    @property
    def _angle(self) -> float:
        return pi * (self.now.hour * 60 + self.now.minute) / 1440

    @property
    def flag_x(self) -> int:
        """The flag stands right of now, late in the day left of it."""
        return 0 if self.now.hour < 22 else -74


def day_of(visible: QuerySet[Workspace], now: datetime) -> Day:
    """The strip of the workspaces a reader may see (one grouped query over the plans that are on)."""
    now = now.astimezone(UTC)
    return day_from(_opening(visible, now), now)


def quiet_day(now: datetime) -> Day:
    """The strip for somebody who is not signed in: the hours and now."""
    return day_from({}, now)


def _opening(visible: QuerySet[Workspace], now: datetime) -> dict[int, int]:
    """How many routine windows open at each hour of today."""
    column = MaintenancePlan.HOURS[now.weekday()]
    plan = "maintenance_plan"
    planned = visible.filter(**{f"{plan}__enabled": True, f"{plan}__{column}__isnull": False})
    return dict(planned.order_by().values_list(f"{plan}__{column}").annotate(n=Count("pk")))


def day_from(counts: dict[int, int], now: datetime) -> Day:
    """The strip of a page that has counted already: how many routine windows open at each hour of today."""
    now = now.astimezone(UTC).replace(second=0, microsecond=0)
    passed = sum(n for hour, n in counts.items() if hour <= now.hour)
    most = max(counts.values(), default=1)
    return Day(
        now=now,
        hours=[_hour(hour, counts.get(hour, 0), most, now) for hour in range(24)],
        total=sum(counts.values()),
        passed=passed,
        next_hour=min((hour for hour in counts if hour > now.hour), default=None),
    )


def _hour(hour: int, windows: int, most: int, now: datetime) -> Hour:
    height = 2 + 9.8 * windows / most
    from_now = hour - now.hour - now.minute / 60
    near = -1 < from_now < _FLAG_HOURS if now.hour < 22 else -_FLAG_HOURS < from_now < 1
    return Hour(
        hour=hour,
        windows=windows,
        past=hour <= now.hour,
        label_class="minor" if hour % 6 else "near" if near else "",
        x=f"{hour * _HOUR:.2f}",
        bar_x=f"{hour * _HOUR + 0.25:.2f}",
        bar_y=f"{26 - height:.1f}",
    )


@require_safe
@login_required
def strip(request: HttpRequest) -> HttpResponse:
    """The strip alone, for its refresh every minute."""
    return render(request, "parts/strip.html", {"day": day_of(visible_workspaces(request), timezone.now())})
