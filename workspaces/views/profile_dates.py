"""Days of contracts and of the provider's announcements, in words and always with their year."""

from __future__ import annotations

from datetime import UTC, date, datetime


def date_of(at: date | datetime) -> str:
    """`1 Mar 2027`; of a moment its day in UTC."""
    day = at.astimezone(UTC) if isinstance(at, datetime) else at
    return f"{day.day} {day:%b %Y}"


def days(number: int) -> str:
    """`1 day` or `127 days`."""
    return f"{number} day{'' if number == 1 else 's'}"
