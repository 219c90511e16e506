"""A calendar feed as iCalendar (RFC 5545), escaped and folded by the library. What stands in it: `feed_entries`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from icalendar import Calendar, Event

from workspaces.templatetags.console import clock, day
from workspaces.views.feed_entries import Entry, Feed

_OFTEN = timedelta(minutes=15)


def written(title: str, feed: Feed, absolute: Callable[[str], str]) -> bytes:
    """The document. `absolute` makes an address of a path; the same feed gives the same bytes."""
    document = Calendar()
    document.add("PRODID", "-//Loopback//Maintenance//EN")
    document.add("VERSION", "2.0")
    document.add("CALSCALE", "GREGORIAN")
    document.add("METHOD", "PUBLISH")
    document.add("NAME", title)
    document.add("X-WR-CALNAME", title)
    document.add("REFRESH-INTERVAL", _OFTEN, parameters={"VALUE": "DURATION"})
    document.add("X-PUBLISHED-TTL", "PT15M")
    if until := feed.complete_until:
        cut = f"There are more windows than fit: those after {day(until)} {clock(until)} UTC are left out."
        document.add("DESCRIPTION", cut)
        document.add("X-WR-CALDESC", cut)
    for entry in feed.entries:
        document.add_component(_event(entry, absolute))
    return bytes(document.to_ical())


def _event(entry: Entry, absolute: Callable[[str], str]) -> Event:
    event = Event()
    event.add("UID", entry.uid)
    # Of a feed, which is no message: when the entry was last revised.
    event.add("DTSTAMP", entry.changed_at)
    event.add("LAST-MODIFIED", entry.changed_at)
    event.add("SEQUENCE", entry.sequence)
    event.add("DTSTART", entry.starts_at)
    event.add("DTEND", entry.ends_at)
    event.add("SUMMARY", entry.summary)
    event.add("DESCRIPTION", entry.description)
    event.add("STATUS", entry.status)
    # It tells what happens; nobody is busy because of it.
    event.add("TRANSP", "TRANSPARENT")
    event.add("URL", absolute(entry.path))
    return event
