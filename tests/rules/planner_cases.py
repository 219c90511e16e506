"""Made-up plans, workspaces and moments for the planner, and two accounts of what it should find that do not ask it.

The properties that hold for all of them are in `test_planner_properties.py`.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from workspaces.rules.maintenance import Plan
from workspaces.rules.planner import Advisory, Facts, Hold, Paused, Window, forecast
from workspaces.rules.upgrades import CatalogueVersion, Situation, refuse_target
from workspaces.rules.versions import is_prerelease, minor_of, precedence

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # a Thursday
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BERLIN, NEW_YORK, KATHMANDU = (ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Asia/Kathmandu"))
VERSIONS = ["1.33.2", "1.33.9", "1.34.2", "1.34.8", "1.34.10", "1.34.11", "1.34.12-rc.1", "1.35.0", "1.35.7", "1.36.1"]

# --- plans and moments ------------------------------------------------------------------------------------------------
plans = st.builds(
    Plan,
    enabled=st.sampled_from([True, True, True, False]),
    hours=st.tuples(*[st.sampled_from([None, *range(24)])] * 7),
    priority_hour=st.integers(0, 23),
    compute_auto_update=st.booleans(),
    kubernetes_auto_upgrade=st.sampled_from([True, True, False, None]),
)
# Two days around what calendars are known to stumble over.
CHANGES = [
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2027, 1, 1, tzinfo=UTC),
    datetime(2027, 3, 14, 7, tzinfo=UTC),
    datetime(2027, 3, 28, 1, tzinfo=UTC),
    datetime(2028, 2, 29, tzinfo=UTC),
    datetime(2029, 1, 1, tzinfo=UTC),
]
near_changes = st.builds(
    lambda change, away: change + away, st.sampled_from(CHANGES), st.timedeltas(timedelta(days=-2), timedelta(days=2))
)
ordinary = st.datetimes(
    EPOCH.replace(year=2025, tzinfo=None), EPOCH.replace(year=2031, tzinfo=None), timezones=st.just(UTC)
)
full_hours = st.builds(lambda moment: moment.replace(minute=0, second=0, microsecond=0), near_changes | ordinary)
moments = st.one_of(near_changes, ordinary, full_hours, full_hours.map(lambda moment: moment + 50 * MINUTE))
zones = st.sampled_from([BERLIN, NEW_YORK, KATHMANDU])

# --- workspaces -------------------------------------------------------------------------------------------------------
GRAMMAR = ["any", "any", "any", "any", ">=1.33.2 <1.35.0", "1.34.x", "1.34.8", "nonsense"]
ROWS = [
    CatalogueVersion(version, active=active, upgrade_from=upgrade_from, security=security)
    for version, active, upgrade_from, security in product(
        VERSIONS, (True, True, True, True, False), GRAMMAR, (True, False)
    )
]
FLAGGED = [
    Advisory(name, packages, versions, enforced)
    for name, packages, versions, enforced in product(
        ("openssl", "glibc", "runc"),
        ((), ("openssl",), ("libc6", "openssl"), ("*",)),
        ((), ("1.34.10",), ("1.33.9", "1.34.11", "1.35.7"), ("1.34.8", "1.34.12-rc.1")),
        (True, False),
    )
]
PAUSED = [
    Paused(lane, "Work begun yesterday", reason, to)
    for lane, reason, to in product(("routine", "priority"), ("", "The window closed."), ("", "1.34.10", "1.34.11"))
]
perhaps_paused = st.none() | st.sampled_from(PAUSED)
catalogues = st.lists(st.sampled_from(ROWS), unique_by=lambda row: row.version, min_size=5)
advisories = st.lists(st.sampled_from(FLAGGED), unique_by=lambda advisory: advisory.name).map(tuple)


@st.composite
def situations(draw):
    """Mostly the ordinary case: active, all hosts on the running version or a little behind it."""
    running = draw(st.sampled_from([*["1.34.2", "1.34.8"] * 5, *VERSIONS, None]))
    usual = [running or "1.34.2"] * 12 + ["1.34.2", "v1.33.9", ""]
    return Situation(
        "kubernetes",
        draw(st.sampled_from([*["active"] * 5, "gated", "error"])),
        running,
        tuple(draw(st.lists(st.sampled_from(usual), max_size=3))),
        draw(st.sampled_from([*["1.36"] * 6, "1.34", ""])),
        draw(st.sampled_from([*[running] * 6, None, "v1.34.10", "1.35.0"])),
    )


@st.composite
def workspaces(draw, paused=perhaps_paused):
    """A plan and facts that fit each other; no holds, nothing that runs, nothing decided."""
    plan, situation, hosts = draw(plans), draw(situations()), draw(st.integers(0, 3))
    if plan.kubernetes_auto_upgrade is None:
        situation = Situation("baremetal", situation.state)
    return plan, Facts(
        situation,
        draw(catalogues),
        hosts_manageable=draw(st.sampled_from([hosts, hosts, hosts, 0, hosts // 2])),
        hosts_total=hosts,
        advisories=draw(advisories),
        paused=draw(paused),
    )


def held_somewhere(now):
    """Holds that begin and end around `now`, often with a window, so that some cover it, some not and some in part."""
    this_hour = now - (now - EPOCH) % HOUR
    edges = st.one_of(
        st.none(),
        st.integers(-48, 192).map(lambda hours: this_hour + hours * HOUR),
        st.timedeltas(-2 * DAY, 8 * DAY).map(lambda away: now + away),
    )
    return st.lists(st.builds(Hold, st.just("Fair"), ends_at=edges, starts_at=edges), max_size=3)


# --- the independent accounts -----------------------------------------------------------------------------------------
def counted(plan, start, end):
    """The windows by M2 and M8: every minute of UTC since 1970 is asked whether a window opens in it."""
    first, last = -((EPOCH - start) // MINUTE), -((EPOCH - end) // MINUTE)
    found = []
    for minute in range(first, last):
        day, hour = divmod(minute // 60, 24)
        weekday = (day + 3) % 7
        opens_at = EPOCH + minute * MINUTE
        if minute % 60 == 0 and hour == plan.priority_hour:
            found.append(Window("priority", opens_at, opens_at + HOUR))
        if minute % 60 == 0 and hour == plan.hours[weekday]:
            found.append(Window("routine", opens_at, opens_at + HOUR))
    return found


def replayed(plan, facts, now):
    """Each entry of a forecast with the facts as they are by then: what ran before has happened, the rest has not."""
    for entry in forecast(plan, facts, now):
        yield entry, facts
        if entry.blocked_by:
            continue
        for work in entry.work:
            if work.to:
                kubelets = (work.to,) * len(facts.situation.kubelet_versions)
                moved = {"running_version": work.to, "control_plane_wanted": work.to, "kubelet_versions": kubelets}
                facts = replace(facts, situation=replace(facts.situation, **moved))
            if work.kind == "os":
                everything = entry.window.lane == "routine"
                left = [
                    replace(advisory, packages=()) if everything or advisory.name in work.advisories else advisory
                    for advisory in facts.advisories
                ]
                facts = replace(facts, advisories=left)
        if entry.work:
            facts = replace(facts, paused=None)


def applicable(advisories, flag):
    return [advisory for advisory in advisories if flag or advisory.enforced]


def newer_patches(facts, admitted=lambda row: True):
    """Every release of the running minor that the rules let this workspace go to."""
    running = facts.situation.running_version
    return [
        row.version
        for row in facts.catalogue
        if running
        and admitted(row)
        and minor_of(row.version) == minor_of(running)
        and precedence(row.version) > precedence(running)
        and not is_prerelease(row.version)
        and refuse_target(facts.situation, row) is None
    ]
