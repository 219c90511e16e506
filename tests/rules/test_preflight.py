"""What a preflight stops, what may be accepted, and that nothing passes whose question was not answered.

The checks one by one are `test_preflight_questions.py`.
"""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rules.preflight_cases import (
    CRON,
    DENIED,
    FINISH,
    HOP,
    N1,
    NOW,
    OPEN,
    PATCH,
    SHUT,
    SILENT,
    TENANT,
    USE,
    W1,
    W2,
    W3,
    WELL,
    checks,
    plane,
)
from workspaces.rules.preflight import ACCEPTABLE, CODES, TITLES, Check, judge, stopping, summary
from workspaces.rules.preflight_seen import Budget, DataStore, Host, Seen
from workspaces.rules.upgrades import Hop


# --- What stops -------------------------------------------------------------------------------------------------------
def test_codes_stand_in_the_documented_order_and_each_has_a_title() -> None:
    assert CODES == (
        "control_plane",
        "data_store",
        "no_open_operation",
        "nodes_ready",
        "version_skew",
        "credentials",
        "hosts_reachable",
        "disruption_budgets",
        "admission_webhooks",
        "deprecated_apis",
        "control_plane_replicas",
        "capacity",
        "pinned_addons",
    )
    assert [check.code for check in judge(WELL, HOP, NOW)] == list(CODES)
    assert all(TITLES[code] for code in CODES)
    assert set(CODES) - ACCEPTABLE == {"no_open_operation", "version_skew"}
    assert [code for code, check in checks().items() if not check.blocks] == [
        "admission_webhooks",
        "control_plane_replicas",
        "capacity",
        "pinned_addons",
    ]


@pytest.mark.parametrize(
    ("code", "changes", "acceptable"),
    [
        ("control_plane", plane(paused=True), False),
        ("control_plane", {"control_plane": SILENT}, True),
        ("data_store", {"data_store": DataStore("gold", False, "etcd")}, False),
        ("data_store", {"data_store": SILENT}, True),
        ("no_open_operation", {"open_operation": "Maintain web"}, False),
        ("nodes_ready", {"nodes": (N1,)}, True),
        ("nodes_ready", {"nodes": SILENT}, True),
        ("version_skew", {"nodes": (replace(N1, kubelet="1.31.9"),)}, False),
        ("version_skew", {"nodes": SILENT}, False),
        ("credentials", {"tenant": replace(TENANT, trouble=DENIED, refused=True)}, False),
        ("credentials", {"tenant": replace(TENANT, trouble=SILENT)}, True),
        ("hosts_reachable", {"hosts": (replace(W1, answers=False),)}, True),
        ("hosts_reachable", {"hosts": (replace(W1, answers=None),)}, True),
        ("disruption_budgets", {"budgets": (SHUT,)}, True),
        ("disruption_budgets", {"pods": SILENT}, True),
        ("deprecated_apis", {"deprecated": replace(USE, apis=(CRON,))}, True),
        ("deprecated_apis", {"deprecated": SILENT}, True),
    ],
)
def test_a_risk_that_may_be_taken_stops_until_it_is(code: str, changes: dict[str, object], acceptable: bool) -> None:
    found = judge(replace(WELL, **changes), HOP, NOW)
    stops = [check.code for check in stopping(found, accepted=(), automatic=False)]
    assert code in stops
    after = [check.code for check in stopping(found, accepted=[code], automatic=False)]
    assert (code not in after) is acceptable
    assert set(after) == set(stops) - ({code} if acceptable else set())


def test_a_warning_stops_nobody_and_one_that_cannot_be_told_stops_automatic_work() -> None:
    alone = judge(replace(WELL, **plane(replicas=1, ready_replicas=1)), HOP, NOW)
    assert stopping(alone, accepted=(), automatic=False) == []
    assert stopping(alone, accepted=(), automatic=True) == []
    blind = judge(replace(WELL, webhooks=SILENT), HOP, NOW)
    assert stopping(blind, accepted=(), automatic=False) == []
    assert [check.code for check in stopping(blind, accepted=CODES, automatic=True)] == ["admission_webhooks"]


def test_automatic_work_is_stopped_by_blindness_whatever_was_accepted() -> None:
    found = judge(replace(WELL, nodes=SILENT), HOP, NOW)
    person = [check.code for check in stopping(found, accepted=["nodes_ready", "version_skew"], automatic=False)]
    assert person == ["version_skew"]
    automatic = [check.code for check in stopping(found, accepted=CODES, automatic=True)]
    assert automatic == ["nodes_ready", "version_skew", "capacity"]


def test_a_failure_that_was_accepted_by_name_does_not_stop_automatic_work() -> None:
    found = judge(replace(WELL, budgets=(SHUT,)), HOP, NOW)
    assert [check.code for check in stopping(found, accepted=(), automatic=True)] == ["disruption_budgets"]
    assert stopping(found, accepted=["disruption_budgets"], automatic=True) == []


def test_the_summary_counts_what_there_is() -> None:
    assert summary(judge(WELL, HOP, NOW)) == "13 passed"
    found = judge(replace(WELL, budgets=(SHUT,), webhooks=SILENT), HOP, NOW)
    assert summary(found) == "11 passed, 1 failed, 1 cannot tell"


def test_a_check_is_read_back_as_it_was_written() -> None:
    for check in judge(replace(WELL, nodes=(N1,), webhooks=SILENT), HOP, NOW):
        document = json.loads(json.dumps(check.document()))
        assert document["observed_at"] == "2026-11-28T17:02:00Z"
        assert Check.of(document) == check


# --- Blind is never green ---------------------------------------------------------------------------------------------
# Which checks rest on which question; those on the credentials' own trouble are named in the test.
RESTS_ON = {
    "control_plane": {"control_plane", "control_plane_replicas", "pinned_addons"},
    "waiting": {"control_plane"},
    "data_store": {"data_store"},
    "nodes": {"nodes_ready", "version_skew", "capacity"},
    "pods": {"disruption_budgets", "capacity"},
    "budgets": {"disruption_budgets"},
    "webhooks": {"admission_webhooks"},
    "deprecated": {"deprecated_apis"},
}


@given(
    st.sets(st.sampled_from([*RESTS_ON, "workloads", "management", "tenant"])),
    st.sampled_from([HOP, PATCH, FINISH]),
    st.sampled_from([(), ((W1,), (W2,)), ((W1, W2, W3),)]),
    st.sampled_from([(), (OPEN,), (SHUT,)]),
)
def test_nothing_passes_whose_question_was_not_answered(
    asked_in_vain: set[str], hop: Hop, groups: tuple[tuple[Host, ...], ...], budgets: tuple[Budget, ...]
) -> None:
    blind: dict[str, object] = {
        name: replace(getattr(WELL, name), trouble=SILENT) if name in ("management", "tenant") else SILENT
        for name in asked_in_vain
    }
    found = checks(hop, **({"groups": groups, "budgets": budgets} | blind))
    must_not = set().union(*(RESTS_ON.get(name, set()) for name in asked_in_vain))
    if asked_in_vain & {"management", "tenant"}:
        must_not.add("credentials")
    assert not {code for code in must_not if found[code].result == "pass"}
    assert {code for code, check in found.items() if check.result == "cannot_tell"} <= must_not


def test_every_question_that_can_remain_unanswered_is_in_the_property() -> None:
    may_be_unknown = {field.name for field in fields(Seen) if "Unknown" in str(field.type)} - {"dry_runs"}
    assert may_be_unknown == {*RESTS_ON, "workloads"}
