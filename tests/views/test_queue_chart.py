"""The chart of the queues: its line, its gaps, its sentence, and the same figures hour by hour."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.cast import NOW
from workspaces.models import QueueSample
from workspaces.views.queue_chart import chart

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def noted(ago: int, *, reconcile: int = 0, operations: int = 0, oldest: int = 0) -> None:
    """Rows of the minute so many minutes ago."""
    at = NOW - ago * MINUTE
    QueueSample.objects.create(at=at, queue="reconcile", depth=reconcile, oldest_seconds=oldest)
    QueueSample.objects.create(at=at, queue="operations", depth=operations)


def test_there_is_no_chart_of_nothing():
    noted(6 * 60 + 10, reconcile=5)
    assert chart(NOW) is None


def test_queues_are_added_up_and_the_highest_of_ten_minutes_counts():
    for ago, depth in ((2, 3), (1, 14), (0, 9)):  # 14:30, 14:31 and 14:32 are in one stretch
        noted(ago, reconcile=depth, operations=1)
    noted(12, reconcile=4)
    drawn = chart(NOW)
    assert drawn is not None
    # From 4 at 14:20 to 15 at 14:31; the highest line is 16, so 88 px are 16 jobs.
    assert drawn.grid == [(104, 0), (60, 8), (16, 16)]
    assert drawn.curve == "M34 66.0 L35 5.5"
    assert drawn.area == "M34 66.0 L35 5.5V88H34Z"
    assert (drawn.depth, drawn.noted_at) == (10, NOW)


def test_the_line_has_a_gap_where_nothing_was_noted_and_says_so():
    for ago in range(360):
        if not 60 <= ago < 90:
            noted(ago, reconcile=2)
    drawn = chart(NOW)
    assert drawn is not None
    # From 13:03 to 13:32 nothing: the stretches of 13:00 and 13:30 have a few minutes left, 13:10 and 13:20 none.
    assert drawn.curve.count("M") == 2
    assert "L26 44.0 M29 44.0" in drawn.curve
    assert drawn.sentence == (
        "Waiting jobs on all queues over the last 6 hours, at most 2 at 08:40 UTC; 2 at 14:32 UTC. "
        "Where the line has a gap nothing was noted."
    )


def test_a_single_note_is_a_dot_and_no_empty_path():
    noted(0)
    drawn = chart(NOW)
    assert drawn is not None
    assert drawn.curve == "M35 88.0h0.5"


def test_the_hours_of_the_table_and_below_the_line():
    noted(95, reconcile=21, oldest=2340)
    noted(0, reconcile=1)
    drawn = chart(NOW)
    assert drawn is not None
    assert [(f"{hour.begins:%H:%M}", hour.most, hour.longest) for hour in drawn.hours] == [
        ("08:00", None, ""),
        ("09:00", None, ""),
        ("10:00", None, ""),
        ("11:00", None, ""),
        ("12:00", 21, "39 min"),
        ("13:00", None, ""),
        ("14:00", 1, ""),
    ]
    # From 08:40 to 14:30.
    assert drawn.ticks == [
        (5.71, "09:00"), (22.86, "10:00"), (40.0, "11:00"), (57.14, "12:00"), (74.29, "13:00"), (91.43, "14:00"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("most", "half"),
    [(0, 2), (4, 2), (5, 3), (21, 12), (24, 12), (25, 15), (31, 20), (9001, 5000)],
)
def test_the_scale_is_round_and_leaves_nothing_above(most, half):
    noted(0, reconcile=most)
    drawn = chart(NOW)
    assert drawn is not None
    assert [label for _, label in drawn.grid] == [0, half, 2 * half]


def test_it_costs_one_query(django_assert_num_queries):
    noted(0)
    with django_assert_num_queries(1):
        chart(NOW)
