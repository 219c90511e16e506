"""The chart of the queues: how many jobs waited over the last six hours, of the rows that `queue_samples` leaves.

A line for the eye, and the same figures hour by hour as a table. Where nothing was noted the line has a gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final

from django.db.models import Max, Sum

from workspaces.models import QueueSample
from workspaces.templatetags.console import clock, span

BUCKET: Final = timedelta(minutes=10)
BUCKETS: Final = 36
HOUR: Final = timedelta(hours=1)
# Of the drawing: pixels from the highest grid line to zero, and where the highest is.
HEIGHT, TOP = 88, 16
# What half of the highest grid line may be, times a power of ten.
_HALVES: Final = (2, 3, 4, 5, 6, 8, 10, 12, 15)


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour of the table: the most jobs that waited in it, and the longest wait; empty when nothing was noted."""

    begins: datetime
    most: int | None
    longest: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Paths in a box of BUCKETS - 1 by HEIGHT; grid lines (y in pixels, label); hours (x in percent, label)."""

    curve: str
    area: str
    grid: list[tuple[int, int]]
    ticks: list[tuple[float, str]]
    sentence: str
    hours: list[Hour]
    # What was noted last: how many jobs waited, and when.
    depth: int
    noted_at: datetime
    width: int = BUCKETS - 1
    height: int = HEIGHT
    top: int = TOP


@dataclass(frozen=True, slots=True)
class _Minute:
    """All queues at one minute."""

    at: datetime
    depth: int
    oldest_seconds: int


def chart(now: datetime) -> Chart | None:
    """The chart as of `now` (one query); None when nothing was noted in these hours."""
    start = _bucket_of(now) - (BUCKETS - 1) * BUCKET
    rows = QueueSample.objects.filter(at__gte=start, at__lte=now).order_by("at").values_list("at")
    minutes = [_Minute(*row) for row in rows.annotate(Sum("depth"), Max("oldest_seconds"))]
    if not minutes:
        return None
    highest: list[int | None] = [None] * BUCKETS
    for minute in minutes:
        place = (minute.at - start) // BUCKET
        highest[place] = max(minute.depth, highest[place] or 0)
    half = _half(max(minute.depth for minute in minutes))
    runs = _runs(highest)
    return Chart(
        curve=" ".join(_line(run, 2 * half) for run in runs),
        area=" ".join(f"{_line(run, 2 * half)}V{HEIGHT}H{run[0][0]}Z" for run in runs),
        grid=[(TOP + HEIGHT, 0), (TOP + HEIGHT // 2, half), (TOP, 2 * half)],
        ticks=_ticks(start),
        sentence=_sentence(minutes, gaps=None in highest),
        hours=_hours(minutes, start, now),
        depth=minutes[-1].depth,
        noted_at=minutes[-1].at,
    )


def _bucket_of(at: datetime) -> datetime:
    whole = at.astimezone(UTC).replace(second=0, microsecond=0)
    return whole - timedelta(minutes=whole.minute % 10)


def _half(most: int) -> int:
    """Half of the highest grid line: the least round number that leaves no value above."""
    power = 1
    while True:
        for half in _HALVES:
            if 2 * half * power >= most:
                return half * power
        power *= 10


def _runs(highest: Sequence[int | None]) -> list[list[tuple[int, int]]]:
    """The stretches without a gap, as (bucket, value)."""
    pairs = groupby(enumerate(highest), key=lambda pair: pair[1] is not None)
    return [[(place, value or 0) for place, value in run] for noted, run in pairs if noted]


def _line(run: Sequence[tuple[int, int]], top: int) -> str:
    points = [f"{place} {HEIGHT - HEIGHT * value / top:.1f}" for place, value in run]
    # One point alone would be no line at all.
    return f"M{' L'.join(points)}" if len(points) > 1 else f"M{points[0]}h0.5"


def _ticks(start: datetime) -> list[tuple[float, str]]:
    """The whole hours, but not one whose label would hang over an edge."""
    first = start.replace(minute=0) + (HOUR if start.minute else timedelta(0))
    places = [(first + n * HOUR, (first + n * HOUR - start) / ((BUCKETS - 1) * BUCKET)) for n in range(7)]
    return [(round(100 * place, 2), clock(at)) for at, place in places if 0.04 <= place <= 0.96]


def _sentence(minutes: Sequence[_Minute], *, gaps: bool) -> str:
    most = max(minutes, key=lambda minute: minute.depth)
    last = minutes[-1]
    peak = f", at most {most.depth} at {clock(most.at)} UTC" if most.depth else ""
    said = f"Waiting jobs on all queues over the last 6 hours{peak}; {last.depth} at {clock(last.at)} UTC."
    return f"{said} Where the line has a gap nothing was noted." if gaps else said


def _hours(minutes: Sequence[_Minute], start: datetime, now: datetime) -> list[Hour]:
    begins, found = start.replace(minute=0), []
    while begins <= now:
        inside = [minute for minute in minutes if begins <= minute.at < begins + HOUR]
        longest = max((minute.oldest_seconds for minute in inside), default=0)
        most = max((minute.depth for minute in inside), default=None)
        found.append(Hour(begins, most, span(timedelta(seconds=longest)) if longest else ""))
        begins += HOUR
    return found
