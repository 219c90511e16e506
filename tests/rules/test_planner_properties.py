"""When windows open and what blocks them, for every plan, workspace and moment: held to a count of every minute.

What they do is in `test_planner_work_properties.py`, single cases in `test_planner.py`.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.rules.planner_cases import (
    BERLIN,
    DAY,
    EPOCH,
    HOUR,
    KATHMANDU,
    MINUTE,
    NEW_YORK,
    counted,
    full_hours,
    held_somewhere,
    moments,
    plans,
    workspaces,
    zones,
)
from workspaces.rules.maintenance import Plan
from workspaces.rules.planner import Facts, Hold, Reason, Window, due, forecast, is_open, next_window, windows
from workspaces.rules.upgrades import Situation

few = settings(max_examples=40)


# --- windows ----------------------------------------------------------------------------------------------------------
@given(plans, moments, st.timedeltas(timedelta(0), timedelta(days=4)))
@few
def test_windows_are_those_that_a_count_of_every_minute_finds(plan, start, length):
    assert list(windows(plan, start, start + length)) == counted(plan, start, start + length)


@given(plans, moments)
@few
def test_no_window_opens_outside_the_schedule(plan, start):
    for window in windows(plan, start, start + 400 * DAY):
        wanted = plan.priority_hour if window.lane == "priority" else plan.hours[window.opens_at.weekday()]
        assert window.opens_at.hour == wanted
        assert window.opens_at.replace(hour=wanted, minute=0, second=0, microsecond=0) == window.opens_at
        assert window.opens_at.tzinfo is UTC


@given(plans, moments, st.timedeltas(timedelta(0), 9 * DAY), st.timedeltas(timedelta(0), 9 * DAY))
def test_a_range_cut_in_two_has_the_same_windows(plan, start, first, second):
    middle, end = start + first, start + first + second
    assert [*windows(plan, start, middle), *windows(plan, middle, end)] == list(windows(plan, start, end))


@given(plans, moments, st.sampled_from([None, "routine", "priority"]))
@few
def test_the_next_window_is_the_first_that_a_count_finds(plan, now, lane):
    found = [window for window in counted(plan, now, now + 7 * DAY) if lane in (None, window.lane)]
    assert next_window(plan, now, lane) == (found[0] if found and plan.enabled else None)


@given(full_hours, st.timedeltas(timedelta(hours=-2), timedelta(hours=2)), st.none() | zones)
def test_a_window_is_open_for_the_first_fifty_minutes_of_its_hour_and_at_no_other_time(opens_at, away, zone):
    moment = opens_at + away
    assert is_open(Window("routine", opens_at, opens_at + HOUR), moment.astimezone(zone or UTC)) is (
        timedelta(0) <= away < 50 * MINUTE
    )


def test_of_the_seconds_around_a_window_three_thousand_are_open():
    opens_at = datetime(2026, 10, 25, 1, tzinfo=UTC)
    window = Window("priority", opens_at, opens_at + HOUR)
    seconds = [second for second in range(-7200, 7200) if is_open(window, opens_at + timedelta(seconds=second))]
    assert (seconds[0], seconds[-1], len(seconds)) == (0, 2999, 3000)


# --- zones ------------------------------------------------------------------------------------------------------------
@given(workspaces(), moments, zones, zones)
@few
def test_the_zone_in_which_now_is_written_changes_nothing(made, now, zone, other):
    plan, facts = made
    there = now.astimezone(zone)
    assert list(windows(plan, there, (now + 3 * DAY).astimezone(other))) == list(windows(plan, now, now + 3 * DAY))
    assert next_window(plan, there) == next_window(plan, now)
    assert forecast(plan, facts, there) == forecast(plan, facts, now)
    assert due(plan, facts, there) == due(plan, facts, now)


DAILY = Plan(enabled=True, hours=(1,) * 7, priority_hour=6, compute_auto_update=True, kubernetes_auto_upgrade=None)


@pytest.mark.parametrize(
    ("local", "opens_at"),
    [
        # Berlin puts its clocks back: half past two comes twice, and the window at 01:00 UTC lies before the second.
        (datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN), "2026-10-25T01:00:00+00:00"),
        (datetime(2026, 10, 25, 2, 0, tzinfo=BERLIN, fold=1), "2026-10-25T01:00:00+00:00"),
        (datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1), "2026-10-26T01:00:00+00:00"),
        # Berlin puts them forward: from 01:59 to 03:00 one minute passes.
        (datetime(2027, 3, 28, 1, 59, tzinfo=BERLIN), "2027-03-28T01:00:00+00:00"),
        (datetime(2027, 3, 28, 3, 0, tzinfo=BERLIN), "2027-03-28T01:00:00+00:00"),
        (datetime(2027, 3, 28, 3, 1, tzinfo=BERLIN), "2027-03-29T01:00:00+00:00"),
        # New York, 2026-11-01: its evening before is the window's day already.
        (datetime(2026, 10, 31, 21, 0, tzinfo=NEW_YORK), "2026-11-01T01:00:00+00:00"),
        (datetime(2026, 10, 31, 21, 1, tzinfo=NEW_YORK), "2026-11-02T01:00:00+00:00"),
        (datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK), "2026-11-02T01:00:00+00:00"),
        (datetime(2026, 11, 1, 20, 0, tzinfo=NEW_YORK), "2026-11-02T01:00:00+00:00"),
        (datetime(2026, 11, 1, 20, 1, tzinfo=NEW_YORK), "2026-11-03T01:00:00+00:00"),
        # Kathmandu is five and three quarter hours ahead.
        (datetime(2026, 11, 1, 6, 45, tzinfo=KATHMANDU), "2026-11-01T01:00:00+00:00"),
        (datetime(2026, 11, 1, 6, 46, tzinfo=KATHMANDU), "2026-11-02T01:00:00+00:00"),
        (datetime(2027, 1, 1, 6, 45, tzinfo=KATHMANDU), "2027-01-01T01:00:00+00:00"),
        (datetime(2026, 12, 31, 20, 1, tzinfo=NEW_YORK), "2027-01-02T01:00:00+00:00"),
        (datetime(2028, 2, 28, 20, 0, tzinfo=NEW_YORK), "2028-02-29T01:00:00+00:00"),
        (datetime(2028, 2, 29, 2, 1, tzinfo=BERLIN), "2028-03-01T01:00:00+00:00"),
    ],
)
def test_the_next_window_on_days_that_calendars_stumble_over(local, opens_at):
    assert next_window(DAILY, local, "routine").opens_at.isoformat() == opens_at


@pytest.mark.parametrize(
    ("start", "opened"),
    [
        ("2026-10-24", ["Sat 24 Oct 01", "Sat 24 Oct 06", "Sun 25 Oct 01", "Sun 25 Oct 06"]),
        ("2026-10-31", ["Sat 31 Oct 01", "Sat 31 Oct 06", "Sun 01 Nov 01", "Sun 01 Nov 06"]),
        ("2026-12-31", ["Thu 31 Dec 01", "Thu 31 Dec 06", "Fri 01 Jan 01", "Fri 01 Jan 06"]),
        ("2027-03-27", ["Sat 27 Mar 01", "Sat 27 Mar 06", "Sun 28 Mar 01", "Sun 28 Mar 06"]),
        ("2028-02-28", ["Mon 28 Feb 01", "Mon 28 Feb 06", "Tue 29 Feb 01", "Tue 29 Feb 06"]),
    ],
)
def test_two_days_have_four_windows_also_where_a_local_day_has_23_or_25_hours(start, opened):
    begin = datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert [f"{window.opens_at:%a %d %b %H}" for window in windows(DAILY, begin, begin + 2 * DAY)] == opened


METAL = Facts(Situation("baremetal", "active"), (), hosts_manageable=1, hosts_total=1)


def test_in_the_hour_that_comes_twice_a_window_is_due_once_and_in_the_second():
    nightly = replace(DAILY, hours=(None,) * 7, priority_hour=1)
    first, second = (datetime(2026, 10, 25, 2, 10, tzinfo=BERLIN, fold=fold) for fold in (0, 1))
    assert [len(due(nightly, METAL, moment)) for moment in (first, second)] == [0, 1]


def test_a_day_ahead_is_24_hours_also_when_the_clocks_of_the_reader_change():
    nightly = replace(DAILY, hours=(None,) * 7, priority_hour=2)
    saturday_evening = datetime(2026, 10, 31, 21, 30, tzinfo=NEW_YORK)
    assert [entry.window.opens_at.isoformat() for entry in forecast(nightly, METAL, saturday_evening, days=1)] == [
        "2026-11-01T02:00:00+00:00"
    ]


def test_a_week_ahead_is_168_hours_also_when_the_clocks_of_the_reader_change():
    weekly = replace(DAILY, hours=(0, *(None,) * 6))
    monday_morning = datetime(2027, 3, 22, 1, 30, tzinfo=BERLIN)
    assert next_window(weekly, monday_morning, "routine").opens_at.isoformat() == "2027-03-29T00:00:00+00:00"


# --- which windows a forecast lists -----------------------------------------------------------------------------------
@given(workspaces(), moments, st.integers(0, 5), st.data())
@few
def test_a_forecast_lists_each_window_in_which_work_may_still_start_and_is_not_decided(made, now, days, data):
    plan, facts = made
    this_hour = now - (now - EPOCH) % HOUR
    plan = replace(plan, priority_hour=this_hour.hour)
    windows_now = st.sampled_from([("routine", this_hour), ("priority", this_hour)])
    decided = data.draw(st.dictionaries(windows_now, st.none() | st.just(Reason("x", "X"))))
    listed = [entry.window for entry in forecast(plan, replace(facts, decided=decided), now, days)]
    assert listed == [
        window
        for window in counted(plan, this_hour, now + days * DAY)
        if now < window.opens_at + 50 * MINUTE and decided.get((window.lane, window.opens_at), ...) is not None
    ]


@given(workspaces(), moments, st.integers(0, 7), st.integers(0, 7), st.data())
@few
def test_a_longer_forecast_begins_with_the_shorter_one(made, now, short, more, data):
    plan, facts = made
    facts = replace(facts, holds=data.draw(held_somewhere(now)))
    shorter = forecast(plan, facts, now, short)
    assert forecast(plan, facts, now, short + more)[: len(shorter)] == shorter


@given(workspaces(), moments, st.data())
@few
def test_what_is_due_is_the_part_of_the_forecast_that_is_open_now(made, now, data):
    plan, facts = made
    facts = replace(facts, holds=data.draw(held_somewhere(now)))
    assert due(plan, facts, now) == [entry for entry in forecast(plan, facts, now) if is_open(entry.window, now)]


# --- what stops a window ----------------------------------------------------------------------------------------------
@given(workspaces(), moments, st.data())
@few
def test_a_window_is_blocked_by_each_hold_that_covers_it_by_the_switch_and_by_the_state_and_by_nothing_else(
    made, now, data
):
    plan, facts = made
    holds = data.draw(held_somewhere(now))
    running = data.draw(st.none() | st.just(("4f1c", "Order host web-3")))
    facts = replace(facts, holds=holds, situation=replace(facts.situation, open_operation=running))
    for entry in forecast(plan, facts, now):
        moment = max(entry.window.opens_at, now)
        covering = [
            hold
            for hold in holds
            if not (hold.starts_at and moment < hold.starts_at) and not (hold.ends_at and hold.ends_at <= moment)
        ]
        assert [reason.code for reason in entry.blocked_by] == [
            *(["maintenance_off"] if not plan.enabled else []),
            *({"gated": ["gated"], "error": ["not_active"]}.get(facts.situation.state, [])),
            *(["hold"] * len(covering)),
            *(["operation_running"] if running and entry.window.opens_at <= now else []),
        ]


@given(workspaces(), full_hours, st.integers(1, 120))
@few
def test_when_a_hold_ends_everything_it_kept_waiting_is_as_if_it_began_then(made, now, length):
    plan, facts = made
    ends_at = now + length * HOUR
    held = forecast(plan, replace(facts, holds=[Hold("Fair", ends_at=ends_at)]), now, days=14)
    rest = [entry for entry in held if entry.window.opens_at >= ends_at]
    assert all(entry.blocked_by for entry in held[: len(held) - len(rest)])
    assert rest == forecast(plan, facts, ends_at, days=14)[: len(rest)]


@given(workspaces(), moments, st.integers(0, 120), st.integers(1, 120))
@few
@example((DAILY, METAL), datetime(2026, 11, 24, tzinfo=UTC), 1, 5)
def test_a_hold_ahead_changes_no_window_before_it_and_a_lifted_one_leaves_no_trace(made, now, wait, length):
    plan, facts = made
    starts_at = now + wait * HOUR
    hold = Hold("Fair", starts_at=starts_at, ends_at=starts_at + length * HOUR)
    held, free = forecast(plan, replace(facts, holds=(hold,)), now), forecast(plan, facts, now)
    before = [entry for entry in free if max(entry.window.opens_at, now) < starts_at]
    assert held[: len(before)] == before
    during = [entry for entry in held if hold.starts_at <= entry.window.opens_at < hold.ends_at]
    assert all(entry.blocked_by for entry in during)
    assert [entry.window for entry in held] == [entry.window for entry in free]
    over = Hold("Fair", starts_at=now - 2 * DAY, ends_at=now)
    assert forecast(plan, replace(facts, holds=(over,)), now) == free


@given(workspaces(), moments)
@few
def test_switched_off_nothing_runs_and_every_window_still_shows_what_it_would_do_first(made, now):
    plan, facts = made
    ahead = forecast(replace(plan, enabled=False), facts, now)
    assert all("maintenance_off" in [reason.code for reason in entry.blocked_by] for entry in ahead)
    for lane in ("routine", "priority"):
        assert len({entry.work for entry in ahead if entry.window.lane == lane}) <= 1
