"""Reading a condition: the age of its looks takes the green away, and nothing else gives it."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any, Final
from uuid import UUID

import pytest

from tests.rules.health_cases import NOW
from workspaces.rules import looks
from workspaces.rules.health_conditions import Condition
from workspaces.rules.health_freshness import RESTS_ON, LookSeen, freshness, read
from workspaces.rules.trouble import Trouble

EVERY: Final = 60.0
KEY: Final = UUID(int=1)
AGES: Final = {
    "never": None,
    "fresh": timedelta(seconds=12),
    "last moment": timedelta(seconds=119),
    "late": timedelta(seconds=120),
}
FAILING: Final = {
    "not": (0, False, ""),
    "once": (1, False, "unreachable"),
    "twice": (2, True, "unreachable"),
    "for good": (1, True, "credential"),
    "overdue": (0, True, "overdue"),
}


def look(kind: str = "cluster", age: str = "fresh", failing: str = "not", **changes: Any) -> LookSeen:
    """A look that last succeeded so long ago and fails like that."""
    failures, felt, code = FAILING[failing]
    seen = AGES[age]
    values: dict[str, Any] = {
        "kind": kind,
        "key": KEY,
        "name": "ledger-prod",
        "every": EVERY,
        "due_at": NOW + timedelta(seconds=40),
        "succeeded_at": None if seen is None else NOW - seen,
        "failures": failures,
        "felt": felt,
        "failing_since": NOW - timedelta(minutes=41) if code else None,
        "trouble": Trouble(code, f"It is {code}.", "Somebody.") if code else None,
    }
    return LookSeen(**(values | changes))


def condition(type_: str = "hosts", value: Any = "true", reason: str = "ready", **fields: str) -> Condition:
    return Condition(type_, value, reason, "3 of 3 ready.", **fields)


# --- Never green when blind -------------------------------------------------------------------------------------------
def test_no_condition_is_true_unless_all_its_looks_are_fresh_and_none_is_felt_to_fail() -> None:
    """Every combination of how two looks of each loop are with every value that a condition may have."""
    states = list(product(AGES, FAILING))
    green, tried = 0, 0
    for type_ in [*RESTS_ON, "drift", "another"]:
        kinds = RESTS_ON.get(type_, tuple(looks.LOOPS))
        for value, (one, other) in product(("true", "false", "unknown"), product(states, states)):
            # What may never be said to be true, because it names a trouble or an end, is stored as true here too.
            reason, error_class = (("ready", ""), ("ended", ""), ("ready", "credential"))[tried % 3]
            found = [look(kinds[0], *one), look(kinds[-1], *other)]
            well = all(age in ("fresh", "last moment") and how in ("not", "once") for age, how in (one, other))
            told = read(condition(type_, value, reason, error_class=error_class), found, NOW).condition.value
            assert (told == "true") == (well and value == "true"), (type_, value, one, other, told)
            assert told in ("true", "false", "unknown")
            green, tried = green + (told == "true"), tried + 1
    assert (tried, green) == (9600, 128)


def test_the_condition_fresh_is_true_under_the_same_terms() -> None:
    states = list(product(AGES, FAILING))
    for one, other in product(states, states):
        told = freshness([look("cluster", *one), look("servers", *other)], NOW).condition.value
        well = all(age in ("fresh", "last moment") and how in ("not", "once") for age, how in (one, other))
        assert (told == "true") == well, (one, other)


@pytest.mark.parametrize("type_", [*RESTS_ON, "drift"])
def test_without_any_look_nothing_is_true(type_: str) -> None:
    told = read(condition(type_), [], NOW)
    assert (told.condition.value, told.condition.reason) == ("unknown", "not_looked")
    assert (told.observed_at, told.next_look_at, told.every) == (None, None, None)
    assert freshness([], NOW).condition.value == "unknown"


@pytest.mark.parametrize("value", ["true", "false", "unknown"])
def test_where_nobody_looks_nothing_is_known(value: str) -> None:
    told = read(condition(value=value), [look()], NOW, looked_at=False).condition
    assert (told.value, told.reason, told.message) == ("unknown", "not_looked", "Nobody looks at it in this state.")
    assert freshness([look()], NOW, looked_at=False).condition.value == "unknown"


# --- What is said instead ---------------------------------------------------------------------------------------------
def test_a_fresh_condition_is_told_as_it_is_with_when_it_was_seen_and_when_the_next_look_is() -> None:
    told = read(condition(), [look(), look("servers", "late")], NOW)  # of hosts, the servers' look says nothing
    assert told.condition == condition()
    assert (told.observed_at, told.next_look_at) == (NOW - timedelta(seconds=12), NOW + timedelta(seconds=40))
    assert (told.every, told.since) == (60.0, None)


def test_a_late_look_says_since_when_nothing_is_known() -> None:
    told = read(condition(), [look(age="late")], NOW)
    assert told.condition == Condition(
        "hosts",
        "unknown",
        "not_looked",
        "Not looked at in time: Cluster and hosts of ledger-prod, last seen 24 Nov 14:30 UTC, every 60 s wanted.",
        "overdue",
        "The operator of the platform: the queue page shows which workers live and what waits.",
    )
    assert told.since == NOW


def test_a_late_look_that_failed_once_names_that_failure_too() -> None:
    told = read(condition(), [look(age="late", failing="once")], NOW).condition
    assert told.message.endswith("every 60 s wanted. The last look failed: It is unreachable.")
    assert told.reason == "not_looked"


def test_a_failure_that_is_felt_is_the_reason_before_anybody_has_judged_anew() -> None:
    told = read(condition(), [look(failing="twice")], NOW)
    assert told.condition == Condition(
        "hosts", "unknown", "unreachable", "It is unreachable.", "unreachable", "Somebody."
    )
    assert told.since == NOW - timedelta(minutes=41)


def test_the_oldest_look_counts_and_the_next_of_any() -> None:
    kinds = {"control_planes": (60.0, 50, 10), "cluster": (300.0, 100, 200), "servers": (60.0, 20, 40)}
    found = [
        look(kind, every=every, succeeded_at=NOW - timedelta(seconds=ago), due_at=NOW + timedelta(seconds=due))
        for kind, (every, ago, due) in kinds.items()
    ]
    told = read(condition("credentials"), found, NOW)
    assert (told.observed_at, told.next_look_at) == (NOW - timedelta(seconds=100), NOW + timedelta(seconds=10))
    assert (told.condition.value, told.every) == ("true", 300.0)


@pytest.mark.parametrize("reason", ["ended", "ends_soon", "not_renewed"])
def test_the_end_of_a_certificate_is_told_however_old_the_look_is(reason: str) -> None:
    ends = condition("credentials", "false", reason)
    assert read(ends, [look(age="late")], NOW).condition == ends


def test_a_trouble_that_is_known_is_not_covered_by_the_age_of_its_look() -> None:
    refused = condition("credentials", "false", "refused", error_class="credential")
    assert read(refused, [look("servers", "late", "for good")], NOW).condition == refused


# --- Freshness --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("found", "value", "reason", "message"),
    [
        ([look()], "true", "fresh", "1 loop looks at it in time."),
        ([look(), look("servers")], "true", "fresh", "2 loops look at it in time."),
        (
            [look(), look("servers", "late", name="kestrel")],
            "false",
            "late",
            "Late: Cloud servers of kestrel, last seen 24 Nov 14:30 UTC, every 60 s wanted.",
        ),
        (
            [look(), look("servers", "late", "twice", name="kestrel")],
            "false",
            "failing",
            "Cloud servers of kestrel cannot be seen: It is unreachable.",
        ),
        ([look("seeding", "never")], "unknown", "not_looked", "Not looked at yet: Seeding of ledger-prod."),
        ([], "unknown", "not_looked", "Nobody has looked at it yet."),
    ],
)
def test_the_condition_fresh_names_the_loops_that_are_late(
    found: list[LookSeen], value: str, reason: str, message: str
) -> None:
    told = freshness(found, NOW).condition
    assert (told.type, told.value, told.reason, told.message) == ("fresh", value, reason, message)


def test_freshness_says_since_when_it_is_gone() -> None:
    assert freshness([look(age="late")], NOW).since == NOW
    assert freshness([look(failing="for good")], NOW).since == NOW - timedelta(minutes=41)
    assert freshness([look()], NOW).since is None
