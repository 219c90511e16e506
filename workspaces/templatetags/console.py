"""Times, durations and marks in the console's words. Every relative time takes `now` as its argument."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from django import template
from django.utils import timezone

from workspaces.models import Workspace
from workspaces.rules import lifecycle
from workspaces.views import strip
from workspaces.views.access import account_of
from workspaces.views.shell import Shell, shell_of
from workspaces.views.strip import Day

register = template.Library()


@register.filter
def ago(at: datetime | None, now: datetime) -> str:
    """`42 s ago`, `41 min ago`, `5 h ago`, `12 days ago`; empty when it never happened."""
    return f"{span(now - at)} ago" if at else ""


@register.filter
def until(at: datetime | None, now: datetime) -> str:
    """`in 42 s`, `in 28 min`, `in 11 h 28 min`, `in 3 days`; empty when there is none."""
    return f"in {span(at - now, minutes=True)}" if at else ""


def span(length: timedelta, *, minutes: bool = False) -> str:
    """A length in words, whole units rounded down; with `minutes`, hours carry theirs."""
    seconds = max(0, int(length.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 48 * 3600:
        rest = seconds % 3600 // 60
        return f"{seconds // 3600} h {rest} min" if minutes and rest else f"{seconds // 3600} h"
    return f"{seconds // 86400} days"


@register.filter
def clock(at: datetime | None) -> str:
    """`14:31`, in UTC."""
    return f"{at.astimezone(UTC):%H:%M}" if at else ""


@register.filter
def clock_seconds(at: datetime | None) -> str:
    """`14:31:08`, in UTC."""
    return f"{at.astimezone(UTC):%H:%M:%S}" if at else ""


@register.filter
def day(at: datetime | None) -> str:
    """`Wed 25 Nov`, in UTC."""
    return f"{at.astimezone(UTC):%a} {at.astimezone(UTC).day} {at.astimezone(UTC):%b}" if at else ""


@register.filter
def when(at: datetime | None, now: datetime) -> str:
    """`Today 20:00`, `Wed 02:00` within a week, else `Wed 25 Nov 02:00`; in UTC."""
    if at is None:
        return ""
    if at.astimezone(UTC).date() == now.astimezone(UTC).date():
        return f"Today {clock(at)}"
    near = timedelta(0) <= at - now < timedelta(days=7)
    return f"{at.astimezone(UTC):%a} {clock(at)}" if near else f"{day(at)} {clock(at)}"


@register.filter
def moment(at: datetime | None, now: datetime) -> str:
    """As `when`, to stand inside a sentence: `today 20:00`."""
    return when(at, now).replace("Today", "today")


@register.filter
def local(at: datetime | None, zone: str) -> str:
    """`03:00 in Berlin`: the reader's own clock, to stand muted beside UTC; empty when the zone is UTC itself."""
    if at is None or zone in ("UTC", ""):
        return ""
    there = at.astimezone(ZoneInfo(zone))
    other_day = "" if there.date() == at.astimezone(UTC).date() else f"{there:%a} "
    return f"{other_day}{there:%H:%M} in {zone.rpartition('/')[2].replace('_', ' ')}"


@register.filter
def duration(seconds: float | timedelta | None) -> str:
    """`4:18` or `1:04:18`; empty when not known."""
    if seconds is None:
        return ""
    whole = max(0, int(seconds.total_seconds() if isinstance(seconds, timedelta) else seconds))
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


@register.filter
def short(pk: UUID) -> str:
    """The first eight characters of an id, enough to find it by."""
    return str(pk)[:8]


@register.filter
def operation_tone(state: str) -> str:
    """The tone of an operation's state."""
    return lifecycle.OPERATION[state].tone


@register.filter
def step_tone(state: str) -> str:
    """The tone of a step's state."""
    return lifecycle.STEP[state].tone


@register.simple_tag
def quiet_day() -> Day:
    """The day strip without windows, for pages in front of the sign-in."""
    return strip.quiet_day(timezone.now())


@register.simple_tag(takes_context=True)
def holds(context: template.Context, key: str, workspace: Workspace) -> bool:
    """Whether the reader holds `key` on the workspace; asked for only when the page has not read its `keys`."""
    keys = context.get("keys")
    return key in (workspace.keys_of(account_of(context["request"])) if keys is None else keys)


@register.simple_tag(takes_context=True)
def shell(context: template.Context) -> Shell:
    """What the frame around every page shows (bar, day strip, navigation); see `views/shell.py`."""
    return shell_of(context["request"], cast("dict[str, Any]", context.flatten()))
