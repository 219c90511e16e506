"""When a hold may begin and how long it may last."""

from datetime import UTC, datetime, timedelta

import pytest

from workspaces.rules.hold import WrongTime, wrong_time

NOW = datetime(2026, 11, 24, 14, 32, 30, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("starts_at", "expires_at"),
    [
        (NOW, NOW + timedelta(seconds=1)),
        (NOW.replace(second=0), NOW + DAY),  # the minute that somebody typed
        (NOW + 365 * DAY, NOW + 455 * DAY),
        (NOW.replace(second=0), NOW + 90 * DAY),
    ],
)
def test_a_hold_begins_within_a_year_and_lasts_up_to_ninety_days(starts_at, expires_at):
    assert wrong_time(starts_at, expires_at, NOW) is None


@pytest.mark.parametrize(
    ("starts_at", "expires_at", "field", "message"),
    [
        (
            NOW - timedelta(minutes=1),
            NOW + DAY,
            "starts_at",
            "Enter a time that is still to come, or none to start now",
        ),
        (NOW + 366 * DAY, NOW + 367 * DAY, "starts_at", "Enter a time within 365 days"),
        (NOW, NOW, "expires_at", "Enter a time after its start, Tue 24 Nov 14:32 UTC"),
        (
            NOW,
            NOW + 90 * DAY + timedelta(seconds=1),
            "expires_at",
            "A hold lasts at most 90 days: until Mon 22 Feb 14:32 UTC",
        ),
    ],
)
def test_a_time_that_is_wrong_is_named_with_what_to_enter_instead(starts_at, expires_at, field, message):
    assert wrong_time(starts_at, expires_at, NOW) == WrongTime(field, message)
