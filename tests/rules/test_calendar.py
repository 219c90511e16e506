"""Hours over the limit, who comes late in them, and the moves that clear them."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspaces.rules.calendar import (
    Clash,
    Limits,
    Move,
    Proposal,
    clash,
    clashes,
    late,
    propose,
    unwelcome_hours,
)
from workspaces.rules.places import Candidate, fair_order

LIMITS = Limits(platform=4, cluster=3)
WEDNESDAY_2 = (2, 2)


def queue(*clusters):
    """Windows `w0`, `w1`… on the clusters, all of one organization, in fair order."""
    made = [Candidate(f"w{n}", f"w{n}", "routine", "Kestrel", cluster) for n, cluster in enumerate(clusters)]
    return fair_order(made)


# --- Hours over the limit ---------------------------------------------------------------------------------------------
def test_an_hour_at_its_limit_is_no_clash():
    assert clash(WEDNESDAY_2, Counter({"fsn1": 3, None: 1}), LIMITS) is None


def test_more_windows_than_the_platform_runs_are_a_clash_that_touches_everybody():
    over = clash(WEDNESDAY_2, Counter({"fsn1": 3, "hel1": 2, None: 2}), LIMITS)
    assert over == Clash(WEDNESDAY_2, windows=7, limit=4, cluster=None, late=3, crowded=frozenset())
    assert over.touches("hel1")
    assert over.touches(None)


def test_more_windows_than_a_cluster_runs_are_a_clash_of_that_cluster():
    over = clash(WEDNESDAY_2, Counter({"fsn1": 4}), LIMITS)
    assert over == Clash(WEDNESDAY_2, windows=4, limit=3, cluster="fsn1", late=1, crowded=frozenset({"fsn1"}))
    assert over.touches("fsn1")
    assert not over.touches("hel1")
    assert not over.touches(None)


def test_the_fullest_of_several_crowded_clusters_is_named():
    over = clash(WEDNESDAY_2, Counter({"fsn1": 4, "hel1": 6}), Limits(20, 3))
    assert (over.cluster, over.windows, over.late, over.crowded) == ("hel1", 6, 4, {"fsn1", "hel1"})


def test_both_limits_together_make_windows_late():
    assert clash(WEDNESDAY_2, Counter({"fsn1": 5, None: 3}), LIMITS).late == 4
    assert clash(WEDNESDAY_2, Counter({"fsn1": 5}), LIMITS).late == 2


def test_only_hours_over_the_limit_are_found():
    load = {(0, 2): Counter({None: 4}), (2, 2): Counter({None: 5}), (6, 23): Counter()}
    assert list(clashes(load, LIMITS)) == [(2, 2)]


# --- Who comes late ---------------------------------------------------------------------------------------------------
def test_the_last_in_fair_order_come_late():
    assert [one.key for one in late(queue(None, None, None, None, None, None), LIMITS)] == ["w4", "w5"]


def test_a_full_cluster_lets_others_go_first():
    line = queue("fsn1", "fsn1", "fsn1", "fsn1", "hel1")
    assert [one.key for one in late(line, LIMITS)] == ["w3"]


# --- Moves ------------------------------------------------------------------------------------------------------------
def test_late_windows_go_to_the_nearest_hour_with_a_place_later_before_earlier():
    load = {(2, 2): Counter({None: 7}), (2, 3): Counter({None: 3})}
    assert propose(WEDNESDAY_2, queue(*[None] * 7), load, LIMITS) == Proposal(
        moves=(Move("w4", 2, 2, 3), Move("w5", 2, 2, 1), Move("w6", 2, 2, 1)), without_room=()
    )


def test_hours_to_avoid_are_taken_only_when_no_other_is_left():
    load = {(2, 12): Counter({None: 6})}
    assert propose((2, 12), queue(*[None] * 6), load, LIMITS, avoid=range(8, 18)).hours == (7,)
    full = {(2, hour): Counter({None: 4}) for hour in range(24) if hour not in (10, 15)} | load
    moved = propose((2, 12), queue(*[None] * 6), full, LIMITS, avoid=range(8, 18))
    assert [move.to_hour for move in moved.moves] == [10, 10]


def test_other_days_take_no_places_of_this_one():
    load = {(2, 2): Counter({None: 5}), (3, 3): Counter({None: 4})}
    assert propose(WEDNESDAY_2, queue(*[None] * 5), load, LIMITS).hours == (3,)


def test_a_window_stays_when_no_hour_has_a_place_on_its_cluster():
    load = {(2, hour): Counter({"fsn1": 3}) for hour in range(24)} | {(2, 2): Counter({"fsn1": 5})}
    assert propose(WEDNESDAY_2, queue(*["fsn1"] * 5), load, LIMITS) == Proposal(moves=(), without_room=("w3", "w4"))


def test_an_hour_within_its_limit_needs_no_moves():
    assert propose(WEDNESDAY_2, queue(None, None), {(2, 2): Counter({None: 2})}, LIMITS) == Proposal((), ())


CLUSTERS = st.sampled_from([None, "fsn1", "hel1", "nbg1"])


@st.composite
def crowded_days(draw):
    """A fleet's windows of one weekday as (hour, cluster, organization), limits, an hour, and hours to avoid."""
    hours = st.integers(0, 23) | st.integers(1, 3)
    one = st.tuples(hours, CLUSTERS, st.sampled_from("KFH"))
    windows = draw(st.lists(one, min_size=1, max_size=60))
    limits = Limits(draw(st.integers(1, 8)), draw(st.integers(1, 5)))
    return windows, limits, draw(hours), draw(st.sets(st.integers(0, 23)))


@given(crowded_days(), st.randoms(use_true_random=False))
def test_a_proposal_clears_its_hour_or_says_who_stays_and_fills_no_other(day, random):
    windows, limits, at, avoid = day
    hours = {f"w{n}": hour for n, (hour, _, _) in enumerate(windows)}
    clusters = {f"w{n}": cluster for n, (_, cluster, _) in enumerate(windows)}
    made = [Candidate(f"w{n}", f"w{n}", "routine", of, c) for n, (hour, c, of) in enumerate(windows) if hour == at]
    before = load_of(hours, clusters)
    answer = propose((2, at), fair_order(made), before, limits, avoid)
    random.shuffle(made)
    assert propose((2, at), fair_order(made), before, limits, avoid) == answer

    after = load_of(hours | {move.key: move.to_hour for move in answer.moves}, clusters)
    over, over_after = clashes(before, limits), clashes(after, limits)
    assert over_after.keys() <= over.keys()
    assert all(after[slot] == before[slot] for slot in over if slot != (2, at))
    left = over_after.get((2, at))
    assert (left.late if left else 0) == len(answer.without_room)
    was = over.get((2, at))
    assert len(answer.moves) + len(answer.without_room) == (was.late if was else 0)
    if was and was.on_platform and not was.crowded and not answer.without_room:
        assert after[(2, at)].total() == limits.platform
    for key in answer.without_room:
        elsewhere = [limits.places(after.get((2, hour))).full(clusters[key]) for hour in range(24) if hour != at]
        assert all(elsewhere)


def load_of(hours, clusters):
    load = {}
    for key, hour in hours.items():
        load.setdefault((2, hour), Counter())[clusters[key]] += 1
    return load


# --- Hours to avoid ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        (datetime(2026, 11, 25, tzinfo=UTC), "Europe/Berlin", set(range(7, 17))),
        (datetime(2026, 11, 25, tzinfo=UTC), "UTC", set(range(8, 18))),
        (datetime(2026, 11, 28, tzinfo=UTC), "Europe/Berlin", set()),
        # Sunday evening in UTC is Monday in Auckland: 08:00 there is 19:00 UTC.
        (datetime(2026, 11, 29, tzinfo=UTC), "Pacific/Auckland", {19, 20, 21, 22, 23}),
    ],
)
def test_working_hours_on_the_readers_clock_are_unwelcome(day, zone, hours):
    assert unwelcome_hours(day, zone, datetime(2026, 11, 24, 14, 32, tzinfo=UTC)) == hours


def test_hours_of_today_that_have_passed_are_unwelcome():
    now = datetime(2026, 11, 24, 18, 32, tzinfo=UTC)
    assert unwelcome_hours(datetime(2026, 11, 24, tzinfo=UTC), "UTC", now) == set(range(19))
