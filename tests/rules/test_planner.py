"""Windows, what they would do, why, and what stops them."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspaces.rules.maintenance import Plan
from workspaces.rules.planner import (
    Advisory,
    Facts,
    Hold,
    Paused,
    Reason,
    Window,
    Work,
    due,
    forecast,
    is_open,
    judge,
    next_window,
    windows,
)
from workspaces.rules.upgrades import CatalogueVersion, Situation

NOW = datetime(2026, 11, 24, 14, 32, tzinfo=UTC)  # a Tuesday
PLAN = Plan(
    enabled=True,
    hours=(2, 2, 2, 4, 2, 5, None),
    priority_hour=22,
    compute_auto_update=True,
    kubernetes_auto_upgrade=True,
)
NO_PATCHES = replace(PLAN, kubernetes_auto_upgrade=False)
NO_OS = replace(PLAN, compute_auto_update=False)
BAREMETAL = replace(PLAN, kubernetes_auto_upgrade=None)
CATALOGUE = [
    CatalogueVersion("1.34.8", active=True),
    CatalogueVersion("1.34.10", active=True, security=True),
    CatalogueVersion("1.34.11", active=True),
    CatalogueVersion("1.35.7", active=True, security=True),
]
SITUATION = Situation("kubernetes", "active", "1.34.8", ("v1.34.8",) * 6, "1.36", "v1.34.8")
FACTS = Facts(SITUATION, CATALOGUE, hosts_manageable=6, hosts_total=6)
HALF_WAY = replace(FACTS, situation=replace(SITUATION, running_version="1.34.11", control_plane_wanted="v1.34.11"))
PATCHED = replace(FACTS, situation=replace(HALF_WAY.situation, kubelet_versions=("v1.34.11",) * 6))
OPENSSL = Advisory("DSA-6021 openssl", packages=("openssl",))

hours = st.one_of(st.none(), st.integers(0, 23))
plans = st.builds(
    Plan,
    enabled=st.booleans(),
    hours=st.tuples(*[hours] * 7),
    priority_hour=st.integers(0, 23),
    compute_auto_update=st.booleans(),
    kubernetes_auto_upgrade=st.booleans(),
)
moments = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def at(day, hour, minute=0):
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def starts(plan, start, end):
    return [(window.lane, window.opens_at) for window in windows(plan, start, end)]


def seen(lane, ahead):
    """The first forecast of a lane: its work, reason codes and block codes."""
    first = next(entry for entry in ahead if entry.window.lane == lane)
    return first.would, [reason.code for reason in first.reasons], [reason.code for reason in first.blocked_by]


# --- windows ---


def test_windows_come_in_order_with_both_lanes():
    assert starts(PLAN, NOW, NOW + timedelta(days=2)) == [
        ("priority", at(24, 22)),
        ("routine", at(25, 2)),
        ("priority", at(25, 22)),
        ("routine", at(26, 4)),
    ]


def test_a_window_lasts_one_hour():
    assert next(windows(PLAN, NOW, NOW + timedelta(days=1))) == Window("priority", at(24, 22), at(24, 23))


def test_both_lanes_in_the_same_hour_are_both_listed_priority_first():
    both = replace(PLAN, hours=(22,) * 7)
    assert starts(both, at(24, 0), at(25, 0)) == [("priority", at(24, 22)), ("routine", at(24, 22))]


def test_the_start_is_included_and_the_end_is_not():
    assert starts(PLAN, at(24, 22), at(25, 2)) == [("priority", at(24, 22))]


def test_a_weekday_without_an_hour_has_no_routine_window():
    assert starts(PLAN, at(29, 0), at(30, 0)) == [("priority", at(29, 22))]
    assert at(29, 0).weekday() == 6


def test_the_year_ends_and_the_week_goes_on():
    start = datetime(2026, 12, 31, 12, tzinfo=UTC)
    assert starts(PLAN, start, start + timedelta(days=1)) == [
        ("priority", datetime(2026, 12, 31, 22, tzinfo=UTC)),
        ("routine", datetime(2027, 1, 1, 2, tzinfo=UTC)),
    ]
    assert date(2027, 1, 1).weekday() == 4


def test_a_leap_day_is_a_day():
    start = datetime(2028, 2, 28, 23, tzinfo=UTC)
    assert starts(PLAN, start, start + timedelta(days=2)) == [
        ("routine", datetime(2028, 2, 29, 2, tzinfo=UTC)),
        ("priority", datetime(2028, 2, 29, 22, tzinfo=UTC)),
        ("routine", datetime(2028, 3, 1, 2, tzinfo=UTC)),
        ("priority", datetime(2028, 3, 1, 22, tzinfo=UTC)),
    ]


@pytest.mark.parametrize("changeover", [datetime(2027, 3, 28, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)])
def test_summer_time_moves_no_window(changeover):
    daily = replace(PLAN, hours=(1,) * 7, priority_hour=2)
    berlin = changeover.astimezone(ZoneInfo("Europe/Berlin"))
    in_utc = starts(daily, changeover - timedelta(days=1), changeover + timedelta(days=2))
    assert starts(daily, berlin - timedelta(days=1), changeover + timedelta(days=2))[-4:] == in_utc[-4:]
    assert [(opens_at.hour, opens_at.utcoffset()) for _, opens_at in in_utc] == [
        (1, timedelta(0)),
        (2, timedelta(0)),
    ] * 3


def test_the_zone_in_which_a_moment_is_written_does_not_matter():
    auckland = NOW.astimezone(timezone(timedelta(hours=13)))
    assert starts(PLAN, auckland, auckland + timedelta(days=7)) == starts(PLAN, NOW, NOW + timedelta(days=7))
    assert forecast(PLAN, FACTS, auckland) == forecast(PLAN, FACTS, NOW)


def test_a_moment_without_a_zone_is_an_error():
    with pytest.raises(ValueError, match="without a zone"):
        next_window(PLAN, datetime(2026, 11, 24))  # noqa: DTZ001


@given(plans, moments, st.integers(0, 20))
def test_windows_open_exactly_at_the_hours_of_the_plan(plan, start, days):
    end = start + timedelta(days=days)
    found = list(windows(plan, start, end))
    hour, expected = start.replace(minute=0, second=0, microsecond=0), []
    while hour < end:
        if hour >= start and hour.hour == plan.priority_hour:
            expected.append(("priority", hour))
        if hour >= start and hour.hour == plan.hours[hour.weekday()]:
            expected.append(("routine", hour))
        hour += timedelta(hours=1)
    assert [(window.lane, window.opens_at) for window in found] == expected
    assert all(window.closes_at - window.opens_at == timedelta(hours=1) for window in found)


# --- next window, open window ---


def test_the_next_window_is_the_first_that_opens_from_now_on():
    assert next_window(PLAN, NOW) == Window("priority", at(24, 22), at(24, 23))
    assert next_window(PLAN, NOW, "routine") == Window("routine", at(25, 2), at(25, 3))
    assert next_window(PLAN, at(25, 2), "routine") == Window("routine", at(25, 2), at(25, 3))
    assert next_window(PLAN, at(25, 2, 1), "routine") == Window("routine", at(26, 4), at(26, 5))


def test_a_plan_with_one_weekly_hour_finds_it_up_to_a_week_ahead():
    weekly = replace(PLAN, hours=(None, 2, None, None, None, None, None))
    assert next_window(weekly, at(24, 2, 1), "routine") == Window(
        "routine", datetime(2026, 12, 1, 2, tzinfo=UTC), datetime(2026, 12, 1, 3, tzinfo=UTC)
    )


def test_there_is_no_next_window_when_maintenance_is_off_or_no_day_has_an_hour():
    assert next_window(replace(PLAN, enabled=False), NOW) is None
    assert next_window(replace(PLAN, hours=(None,) * 7), NOW, "routine") is None


@pytest.mark.parametrize(
    ("moment", "open_"),
    [(at(25, 1, 59), False), (at(25, 2), True), (at(25, 2, 49), True), (at(25, 2, 50), False), (at(25, 3), False)],
)
def test_work_starts_inside_the_hour_and_not_in_its_last_ten_minutes(moment, open_):
    assert is_open(Window("routine", at(25, 2), at(25, 3)), moment) is open_


def test_the_last_minutes_are_a_setting():
    window = Window("routine", at(25, 2), at(25, 3))
    assert is_open(window, at(25, 2, 59), last_minutes=0)
    assert not is_open(window, at(25, 2, 30), last_minutes=30)


# --- the routine lane ---


def test_the_routine_lane_updates_hosts_and_takes_the_furthest_patch():
    first = next(entry for entry in forecast(PLAN, FACTS, NOW) if entry.window.lane == "routine")
    assert first.window.opens_at == at(25, 2)
    assert first.would == ("Operating system updates on 6 hosts", "Kubernetes 1.34.10 to 1.34.11")
    alone = next(entry for entry in forecast(PLAN, FACTS, at(25, 1)) if entry.window.lane == "routine")
    assert alone.work == (
        Work("os", "Operating system updates on 6 hosts"),
        Work("kubernetes", "Kubernetes 1.34.8 to 1.34.11", (), "1.34.8", "1.34.11"),
    )
    assert [(reason.code, reason.message) for reason in alone.reasons] == [
        ("compute_auto_update", "Operating system updates are on."),
        ("newer_patch", "1.34.11 is the furthest patch that 1.34.8 may go to now."),
    ]


def test_work_done_in_one_window_is_not_planned_again_for_the_next():
    ahead = forecast(PLAN, FACTS, at(25, 1), days=2)
    assert [entry.would[-1:] for entry in ahead if entry.window.lane == "routine"] == [
        ("Kubernetes 1.34.8 to 1.34.11",),
        ("Operating system updates on 6 hosts",),
    ]


@pytest.mark.parametrize(
    ("plan", "facts", "would", "codes"),
    [
        (replace(PLAN, compute_auto_update=False), PATCHED, (), ["compute_auto_update_off", "no_newer_patch"]),
        (
            NO_PATCHES,
            FACTS,
            ("Operating system updates on 6 hosts",),
            ["compute_auto_update", "kubernetes_auto_upgrade_off"],
        ),
        (BAREMETAL, FACTS, ("Operating system updates on 6 hosts",), ["compute_auto_update"]),
        (
            NO_PATCHES,
            replace(FACTS, hosts_manageable=1),
            ("Operating system updates on 1 host",),
            ["hosts_not_manageable", "compute_auto_update", "kubernetes_auto_upgrade_off"],
        ),
        (NO_PATCHES, replace(FACTS, hosts_manageable=0), (), ["hosts_not_manageable", "kubernetes_auto_upgrade_off"]),
        (BAREMETAL, replace(FACTS, hosts_manageable=0, hosts_total=0), (), ["no_hosts"]),
        (
            PLAN,
            replace(FACTS, hosts_manageable=4),
            ("Operating system updates on 4 hosts",),
            ["hosts_not_manageable", "compute_auto_update", "hosts_not_manageable"],
        ),
        (
            PLAN,
            replace(FACTS, situation=replace(SITUATION, running_version=None)),
            ("Operating system updates on 6 hosts",),
            ["compute_auto_update", "version_unknown"],
        ),
    ],
)
def test_the_routine_lane_says_why_it_does_what_it_does(plan, facts, would, codes):
    assert seen("routine", forecast(plan, facts, at(25, 1))) == (would, codes, [])


def test_a_patch_waits_for_hosts_that_cannot_be_managed():
    entry = forecast(PLAN, replace(FACTS, hosts_manageable=4), at(25, 2))[0]
    assert entry.reasons[-1].message == "Kubernetes 1.34.8 to 1.34.11 waits: 2 of 6 hosts cannot be managed."


# --- the priority lane ---


def test_the_priority_lane_does_only_what_is_flagged():
    assert seen("priority", forecast(PLAN, PATCHED, NOW)) == ((), ["nothing_flagged"], [])
    assert seen("priority", forecast(PLAN, replace(PATCHED, advisories=(OPENSSL,)), NOW)) == (
        ("Security updates DSA-6021 openssl on 6 hosts",),
        ["flagged"],
        [],
    )


def test_the_priority_lane_takes_the_furthest_patch_marked_security_and_no_further():
    assert seen("priority", forecast(PLAN, FACTS, NOW)) == (
        ("Kubernetes 1.34.8 to 1.34.10",),
        ["security_release", "newer_patch"],
        [],
    )


def test_an_advisory_flags_a_version_that_is_not_marked():
    advisory = Advisory("CVE-2026-4711", versions=("1.34.11",))
    first = forecast(PLAN, replace(FACTS, advisories=(advisory,)), NOW)[0]
    assert first.work == (Work("kubernetes", "Kubernetes 1.34.8 to 1.34.11", ("CVE-2026-4711",), "1.34.8", "1.34.11"),)


def test_the_priority_lane_follows_both_flags():
    flags_off = replace(PLAN, compute_auto_update=False, kubernetes_auto_upgrade=False)
    advisories = (OPENSSL, Advisory("CVE-2026-4711", versions=("1.34.11",)))
    first = forecast(flags_off, replace(FACTS, advisories=advisories), NOW)[0]
    assert first.would == ()
    assert [reason.message for reason in first.reasons] == [
        "DSA-6021 openssl is flagged, but operating system updates are off.",
        "CVE-2026-4711 is flagged, but Kubernetes patch releases are off.",
    ]


def test_an_enforced_advisory_applies_whatever_the_flags_say_and_says_so():
    flags_off = replace(PLAN, compute_auto_update=False, kubernetes_auto_upgrade=False)
    advisories = (
        replace(OPENSSL, enforced=True),
        Advisory("CVE-2026-4711", versions=("1.34.11",), enforced=True),
    )
    first = forecast(flags_off, replace(FACTS, advisories=advisories), NOW)[0]
    assert first.would == ("Security updates DSA-6021 openssl on 6 hosts", "Kubernetes 1.34.8 to 1.34.11")
    assert [reason.message for reason in first.reasons] == [
        "DSA-6021 openssl is enforced by the operator, although operating system updates are off.",
        "CVE-2026-4711 is enforced by the operator, although Kubernetes patch releases are off.",
        "1.34.11 is the furthest patch that 1.34.8 may go to now.",
    ]


def test_an_enforced_advisory_does_not_get_past_the_master_switch():
    off = replace(PLAN, enabled=False)
    ahead = forecast(off, replace(FACTS, advisories=(replace(OPENSSL, enforced=True),)), NOW)
    assert {tuple(reason.code for reason in entry.blocked_by) for entry in ahead} == {("maintenance_off",)}


def test_a_flagged_update_is_applied_once_by_whichever_lane_comes_first():
    facts = replace(PATCHED, advisories=(OPENSSL,))
    by_priority = [entry.would for entry in forecast(PLAN, facts, NOW, days=2) if entry.window.lane == "priority"]
    assert by_priority == [("Security updates DSA-6021 openssl on 6 hosts",), ()]
    by_routine = [entry.would for entry in forecast(PLAN, facts, at(25, 1), days=1) if entry.window.lane == "priority"]
    assert by_routine == [()]


# --- what stops a window ---


def test_maintenance_off_blocks_every_window_and_still_shows_what_it_would_do():
    ahead = forecast(replace(PLAN, enabled=False), FACTS, NOW)
    assert len(ahead) == 13
    assert {reason.code for entry in ahead for reason in entry.blocked_by} == {"maintenance_off"}
    assert {entry.would[-1] for entry in ahead if entry.window.lane == "routine"} == {"Kubernetes 1.34.8 to 1.34.11"}


@pytest.mark.parametrize(("state", "code"), [("gated", "gated"), ("error", "not_active")])
def test_a_workspace_that_is_not_active_is_left_alone(state, code):
    facts = replace(FACTS, situation=replace(SITUATION, state=state))
    assert {entry.blocked_by[0].code for entry in forecast(PLAN, facts, NOW)} == {code}


def test_a_hold_blocks_the_windows_it_covers_and_its_end_frees_the_rest():
    hold = Hold("Quarter close", ends_at=at(26, 4))
    ahead = forecast(PLAN, replace(FACTS, holds=(hold,)), NOW, days=3)
    assert [(entry.window.opens_at, [reason.message for reason in entry.blocked_by]) for entry in ahead][2:5] == [
        (at(25, 22), ["Held until Thu 26 Nov 04:00 UTC: Quarter close"]),
        (at(26, 4), []),
        (at(26, 22), []),
    ]
    later = Hold("Fair", starts_at=at(25, 12))
    assert [len(entry.blocked_by) for entry in forecast(PLAN, replace(FACTS, holds=(later,)), NOW, days=2)] == [
        0,
        0,
        1,
        1,
    ]


def test_blocked_work_stays_due_for_the_next_window():
    ahead = forecast(PLAN, replace(FACTS, holds=(Hold("Quarter close", ends_at=at(26, 4)),)), at(25, 1), days=2)
    assert [entry.would[-1:] for entry in ahead if entry.window.lane == "routine"] == [
        ("Kubernetes 1.34.8 to 1.34.11",),
        ("Kubernetes 1.34.8 to 1.34.11",),
    ]


def test_a_running_operation_blocks_the_window_that_is_open_and_not_those_ahead():
    facts = replace(FACTS, situation=replace(SITUATION, open_operation=("4f1c", "Order host web-3")))
    ahead = forecast(PLAN, facts, at(25, 2, 15), days=2)
    assert [reason.message for reason in ahead[0].blocked_by] == ["Order host web-3 is running."]
    assert all(entry.blocked_by == () for entry in ahead[1:])


def test_a_window_that_is_open_is_in_the_forecast_until_work_may_no_longer_start():
    assert forecast(PLAN, FACTS, at(25, 2, 49))[0].window.opens_at == at(25, 2)
    assert forecast(PLAN, FACTS, at(25, 2, 50))[0].window.opens_at == at(25, 22)


@given(plans, moments)
def test_a_forecast_lists_each_window_once_and_none_does_what_the_flags_forbid(plan, now):
    ahead = forecast(plan, FACTS, now)
    opened = [(entry.window.lane, entry.window.opens_at) for entry in ahead]
    assert opened == sorted(set(opened), key=lambda entry: (entry[1], entry[0]))
    kinds = {work.kind for entry in ahead for work in entry.work}
    assert plan.compute_auto_update or "os" not in kinds
    assert plan.kubernetes_auto_upgrade or "kubernetes" not in kinds
    done = [work.to for entry in ahead if not entry.blocked_by for work in entry.work if work.kind == "kubernetes"]
    assert done == sorted(set(done), key=["1.34.10", "1.34.11"].index)


# --- half-way, paused, decided ---


def test_hosts_that_are_patches_behind_the_control_plane_follow_in_the_routine_window():
    (first,) = [entry for entry in forecast(NO_OS, HALF_WAY, at(25, 0), days=1) if entry.window.lane == "routine"]
    assert first.work == (Work("kubernetes", "Kubernetes 1.34.11 on the hosts left behind", (), "1.34.11", "1.34.11"),)
    assert [reason.code for reason in first.reasons] == ["compute_auto_update_off", "hosts_behind"]


@pytest.mark.parametrize("kubelet", ["v1.33.9", ""])
def test_hosts_that_are_a_minor_behind_or_were_never_seen_are_a_persons_decision(kubelet):
    mixed = replace(HALF_WAY.situation, kubelet_versions=("v1.34.11", kubelet))
    (first,) = [
        entry
        for entry in forecast(NO_OS, replace(HALF_WAY, situation=mixed), at(25, 0), days=1)
        if entry.window.lane == "routine"
    ]
    assert first.work == ()


def test_paused_work_goes_on_in_the_next_window_of_its_lane_and_is_planned_once():
    paused = replace(FACTS, paused=Paused("routine", "Maintain ledger-prod", "Its hour ended.", "1.34.11"))
    ahead = forecast(replace(PLAN, priority_hour=1), paused, at(25, 0), days=2)
    assert [(entry.window.lane, entry.would) for entry in ahead] == [
        ("priority", ("Kubernetes 1.34.8 to 1.34.10",)),
        ("routine", ("Operating system updates on 6 hosts", "Kubernetes 1.34.10 to 1.34.11")),
        ("priority", ()),
        ("routine", ("Operating system updates on 6 hosts",)),
    ]
    assert ahead[0].reasons[-1] == Reason("makes_way", "Maintain ledger-prod, which is paused, makes way.")
    ahead = forecast(replace(PLAN, priority_hour=3), paused, at(25, 0), days=1)
    assert ahead[0].work == (Work("continue", "Continue: Maintain ledger-prod", to="1.34.11"),)
    assert ahead[0].reasons == (Reason("continues", "Its hour ended."),)
    assert ahead[1].work == ()  # it has arrived at 1.34.11 by then


def test_a_window_that_is_decided_is_not_planned_again_and_one_that_waits_says_for_what():
    opened, waits = at(25, 2), Reason("limit", "All places are taken.")
    done = replace(FACTS, decided={("routine", opened): None})
    assert due(PLAN, done, at(25, 2, 20)) == []
    assert forecast(PLAN, done, at(25, 2, 20))[0].window.opens_at == at(25, 22)
    (waiting,) = due(PLAN, replace(FACTS, decided={("routine", opened): waits}), at(25, 2, 20))
    assert waiting.reasons[-1] == waits
    assert waiting.work


def test_what_is_due_is_the_start_of_the_forecast():
    both = replace(PLAN, priority_hour=2)
    assert due(both, FACTS, at(25, 2, 7)) == forecast(both, FACTS, at(25, 2, 7))[:2]
    assert [entry.window.lane for entry in due(both, FACTS, at(25, 2, 7))] == ["priority", "routine"]
    assert due(both, FACTS, at(25, 2, 50)) == []
    assert due(both, FACTS, at(25, 1, 59)) == []


def test_an_open_window_is_judged_by_what_lasts_then_by_its_work_then_by_what_passes():
    busy = replace(FACTS, situation=replace(SITUATION, open_operation=("1", "An upgrade")))
    held = replace(busy, holds=(Hold("Freeze"),))
    judged = [judge(due(PLAN, facts, at(25, 2))[0]) for facts in (held, busy, FACTS)]
    assert judged == [
        ("blocked", Reason("hold", "Held until it is lifted: Freeze")),
        ("waiting", Reason("operation_running", "An upgrade is running.")),
        ("waiting", Reason("place", "Waits for a free place.")),
    ]
    nothing = due(replace(NO_OS, kubernetes_auto_upgrade=False), busy, at(25, 2))[0]
    assert judge(nothing)[0] == "nothing"


def test_a_hold_that_begins_while_the_window_is_open_stops_it_and_one_that_has_ended_does_not():
    begins = replace(FACTS, holds=(Hold("Freeze", starts_at=at(25, 2, 10)),))
    assert not due(PLAN, begins, at(25, 2, 5))[0].blocked_by
    assert due(PLAN, begins, at(25, 2, 15))[0].blocked_by
    ended = replace(FACTS, holds=(Hold("Freeze", ends_at=at(25, 2, 10), place="The platform"),))
    assert due(PLAN, ended, at(25, 2, 5))[0].blocked_by == (
        Reason("hold", "The platform is held until Wed 25 Nov 02:10 UTC: Freeze"),
    )
    assert not due(PLAN, ended, at(25, 2, 15))[0].blocked_by
