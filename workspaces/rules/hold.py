"""When a hold may begin and how long it may last. Who may set one is `permissions`, storing it is `models/hold`."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

LONGEST: Final = timedelta(days=90)
EARLIEST_NOTICE: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class WrongTime:
    """Which of the two times is wrong, and what to enter instead (without a full stop)."""

    field: Literal["starts_at", "expires_at"]
    message: str


def wrong_time(starts_at: datetime, expires_at: datetime, now: datetime) -> WrongTime | None:
    """What is wrong with the times of a hold that is set at `now`; the minute that has begun is not past yet."""
    if starts_at < now.replace(second=0, microsecond=0):
        return WrongTime("starts_at", "Enter a time that is still to come, or none to start now")
    if starts_at - now > EARLIEST_NOTICE:
        return WrongTime("starts_at", f"Enter a time within {EARLIEST_NOTICE.days} days")
    starts_at = max(starts_at, now)
    if expires_at <= starts_at:
        return WrongTime("expires_at", f"Enter a time after its start, {_utc(starts_at)}")
    if expires_at - starts_at > LONGEST:
        longest = f"A hold lasts at most {LONGEST.days} days: until {_utc(starts_at + LONGEST)}"
        return WrongTime("expires_at", longest)
    return None


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%a %d %b %H:%M} UTC"
