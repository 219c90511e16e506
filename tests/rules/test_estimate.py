"""How long an upgrade takes: medians and ninety percent marks added up, and when nothing is said."""

from datetime import timedelta

import pytest

from workspaces.rules.estimate import Durations, Estimate, estimate, hosts_moving, p90, typical
from workspaces.rules.upgrades import Hop

# Ten upgrades of control planes: 4 to 13 min; twelve hosts: 2 to 13 min.
CONTROL_PLANE = tuple(60.0 * minutes for minutes in range(4, 14))
HOSTS = tuple(60.0 * minutes for minutes in range(2, 14))
KNOWN = Durations(CONTROL_PLANE, HOSTS)
STAY, MOVE = Hop("1.34.8", "1.35.7", False, ""), Hop("1.34.8", "1.35.7", True, "")
THEN, FINISH = Hop("1.35.7", "1.36.2", True, ""), Hop("1.35.7", "1.35.7", True, "")


@pytest.mark.parametrize(
    ("hops", "hosts", "typical_minutes", "p90_minutes"),
    [
        ([MOVE], 0, 8.5, 12.1),
        ([MOVE], 1, 8.5 + 7.5, 12.1 + 11.9),
        ([MOVE], 3, 8.5 + 3 * 7.5, 12.1 + 3 * 11.9),
        ([STAY, THEN], 3, 2 * 8.5 + 3 * 7.5, 2 * 12.1 + 3 * 11.9),
        ([MOVE, THEN], 3, 2 * 8.5 + 6 * 7.5, 2 * 12.1 + 6 * 11.9),
        ([FINISH], 3, 3 * 7.5, 3 * 11.9),
    ],
)
def test_control_planes_and_hosts_are_added_up(hops, hosts, typical_minutes, p90_minutes):
    found = estimate(KNOWN, hops, ["1.34.8"] * hosts)
    assert found is not None
    assert found.typical == pytest.approx(60 * typical_minutes)
    assert found.p90 == pytest.approx(60 * p90_minutes)
    assert found.samples == 10


def test_hosts_that_are_there_already_do_not_move():
    assert hosts_moving(MOVE, ["1.34.8", "1.35.7", "1.35.7", ""]) == 2
    assert hosts_moving(STAY, ["1.34.8", "1.34.8"]) == 0


@pytest.mark.parametrize(
    ("durations", "hosts"),
    [
        (Durations(CONTROL_PLANE[:9], HOSTS), 3),
        (Durations(CONTROL_PLANE[:9], HOSTS), 0),
        (Durations(CONTROL_PLANE, HOSTS[:9]), 1),
        (Durations((), ()), 1),
    ],
)
def test_below_ten_samples_of_what_is_needed_nothing_is_said(durations, hosts):
    assert estimate(durations, [MOVE], ["1.34.8"] * hosts) is None


def test_no_host_has_to_have_been_measured_where_none_moves():
    found = estimate(Durations(CONTROL_PLANE, ()), [MOVE], [])
    assert found is not None
    assert found.typical == pytest.approx(510)


@pytest.mark.parametrize(
    ("minutes", "overrun", "windows"),
    [(0, 0, 1), (59, 0, 1), (60, 0, 1), (61, 0, 2), (61, 60, 1), (120, 60, 1), (121, 60, 2), (600, 0, 10)],
)
def test_the_windows_it_needs_are_an_hour_each_and_what_may_run_over(minutes, overrun, windows):
    assert Estimate(0, 60.0 * minutes, 10).windows(timedelta(minutes=overrun)) == windows


def test_one_sample_more_makes_it_known():
    assert typical(HOSTS[:9]) is None
    assert typical(HOSTS[:10]) == 390.0
    assert p90([60.0] * 10) == 60.0


def test_one_night_that_went_wrong_moves_the_median_hardly_and_the_mark_with_it():
    calm = Durations((300.0,) * 19, (60.0,) * 10)
    wild = Durations((*(300.0,) * 19, 7200.0), (60.0,) * 10)
    before, after = estimate(calm, [MOVE], []), estimate(wild, [MOVE], [])
    assert before == Estimate(300.0, 300.0, 19)
    assert after == Estimate(300.0, 300.0, 20)
