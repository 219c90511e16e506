"""Times and durations in the console's words."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.cast import NOW
from workspaces.templatetags import console


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (timedelta(seconds=-3), "0 s ago"),
        (timedelta(seconds=42.9), "42 s ago"),
        (timedelta(minutes=41, seconds=59), "41 min ago"),
        (timedelta(hours=5, minutes=12), "5 h ago"),
        (timedelta(hours=47, minutes=59), "47 h ago"),
        (timedelta(days=12, hours=3), "12 days ago"),
    ],
)
def test_how_long_ago(before, words):
    assert console.ago(NOW - before, NOW) == words


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (timedelta(seconds=42), "in 42 s"),
        (timedelta(minutes=28), "in 28 min"),
        (timedelta(hours=11, minutes=28), "in 11 h 28 min"),
        (timedelta(hours=2), "in 2 h"),
        (timedelta(days=3, hours=4), "in 3 days"),
    ],
)
def test_how_long_until(ahead, words):
    assert console.until(NOW + ahead, NOW) == words


def test_what_never_happened_has_no_words():
    assert [console.ago(None, NOW), console.until(None, NOW), console.when(None, NOW)] == ["", "", ""]
    assert [console.clock(None), console.day(None), console.local(None, "Europe/Berlin"), console.duration(None)] == [
        "",
        "",
        "",
        "",
    ]


def test_when_is_today_a_weekday_or_a_date():
    assert console.when(datetime(2026, 11, 24, 20, tzinfo=UTC), NOW) == "Today 20:00"
    assert console.when(datetime(2026, 11, 25, 2, tzinfo=UTC), NOW) == "Wed 02:00"
    assert console.when(datetime(2026, 12, 2, 2, tzinfo=UTC), NOW) == "Wed 2 Dec 02:00"
    assert console.when(datetime(2026, 11, 3, 9, 5, tzinfo=UTC), NOW) == "Tue 3 Nov 09:05"


def test_the_readers_clock_stands_beside_utc_with_the_day_where_it_differs():
    assert console.local(datetime(2026, 11, 25, 2, tzinfo=UTC), "Europe/Berlin") == "03:00 in Berlin"
    assert console.local(datetime(2026, 11, 25, 23, 30, tzinfo=UTC), "Europe/Berlin") == "Thu 00:30 in Berlin"
    assert console.local(datetime(2026, 7, 1, 2, tzinfo=UTC), "America/New_York") == "Tue 22:00 in New York"
    assert console.local(NOW, "UTC") == ""


def test_durations():
    assert [console.duration(258), console.duration(timedelta(seconds=3858)), console.duration(0.4)] == [
        "4:18",
        "1:04:18",
        "0:00",
    ]
