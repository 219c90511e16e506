"""Drift as rows: opened, changed and ended by looks, and forgotten after a while."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests import cast
from tests.operations.drifting import MINUTE, NAME, NOW, PLANE, renamed, replicas, rows, saw, statements
from workspaces.models import PLATFORM, Drift, Operation, StepPlan, Workspace
from workspaces.operations import drift
from workspaces.rules.drift import KINDS, Actor, Difference

pytestmark = pytest.mark.django_db


# --- Recording --------------------------------------------------------------------------------------------------------
def test_a_difference_is_one_row_from_the_look_that_finds_it_until_it_is_gone(workspace: Workspace) -> None:
    first = saw(workspace, PLANE, NOW, replicas(actor="kubectl-edit", actor_at=NOW - MINUTE))
    row = workspace.drifts.get()
    assert [one.pk for one in first.opened] == [row.pk]
    assert (row.kind, row.ref, row.subject, row.field) == ("control_plane", "", "Control plane", "replicas")
    assert (row.wanted, row.seen, row.policy, row.reason) == (2, 3, "decide", "Perhaps on purpose.")
    assert (row.actor, row.actor_at, row.since) == ("kubectl-edit", NOW - MINUTE, NOW)
    second = saw(workspace, PLANE, NOW + MINUTE, replicas(5, actor="flux", actor_at=NOW))
    assert (len(second.opened), len(second.changed), len(second.ended)) == (0, 1, 0)
    row.refresh_from_db()
    assert (row.seen, row.actor, row.actor_at, row.since) == (5, "flux", NOW, NOW)
    third = saw(workspace, PLANE, NOW + 2 * MINUTE)
    assert [one.pk for one in third.ended] == [row.pk]
    row.refresh_from_db()
    assert (row.ended_at, row.ending) == (NOW + 2 * MINUTE, "gone")
    assert third.workspaces == {workspace.pk}


def test_nothing_is_written_while_nothing_changes_however_many_workspaces_there_are() -> None:
    fleet = [cast.kubernetes(f"w-{number}", hosts=1) for number in range(8)]
    found = {one.pk: [replicas(), renamed(one)] for one in fleet}
    keys = [one.pk for one in fleet]
    with CaptureQueriesContext(
        connection,
    ) as first:
        drift.record(keys, ("control_plane", "host"), found, NOW)
    assert statements(first) == ["SELECT", "SELECT", "INSERT"]
    with CaptureQueriesContext(connection) as again:
        assert drift.record(keys, ("control_plane", "host"), found, NOW + MINUTE) == drift.Recorded()
    assert statements(again) == ["SELECT"]
    with CaptureQueriesContext(connection) as other:
        drift.record(keys, ("control_plane", "host"), {key: [replicas(4)] for key in keys}, NOW + 2 * MINUTE)
    assert statements(other) == ["SELECT", "SELECT", "UPDATE"]
    assert Drift.objects.open().count() == 8


def test_values_of_any_form_are_not_different_the_second_time(workspace: Workspace) -> None:
    seed = str(uuid4())
    found = [
        Difference("seed", seed, "ConfigMap a/b", "data", {"a": ("x", 1), "n": None}, None),
        Difference("seed", seed, "ConfigMap a/b", "spec.ports", ("80", "443"), [{"port": 80}]),
        Difference("seed", seed, "ConfigMap a/b", "f" * 400, "x" * 400, "y" * 4000),
    ]
    assert len(saw(workspace, ("seed",), NOW, *found).opened) == 3
    assert saw(workspace, ("seed",), NOW + MINUTE, *found) == drift.Recorded()
    assert workspace.drifts.open().count() == 3


def test_a_look_ends_only_what_it_can_see(workspace: Workspace, metal: Workspace) -> None:
    saw(workspace, PLANE, NOW, replicas())
    saw(workspace, NAME, NOW, renamed(workspace))
    saw(metal, NAME, NOW, renamed(metal))
    assert saw(workspace, ("node", "dns"), NOW + MINUTE) == drift.Recorded()
    assert saw(workspace, NAME, NOW + MINUTE, refs=[str(uuid4())]) == drift.Recorded()
    assert len(saw(workspace, NAME, NOW + MINUTE, refs=[renamed(workspace).ref]).ended) == 1
    assert {row.workspace.name: row.kind for row in Drift.objects.open()} == {
        "ledger-prod": "control_plane",
        "customs-archive": "host",
    }


def test_nothing_is_opened_changed_or_ended_while_an_operation_is_open(workspace: Workspace) -> None:
    saw(workspace, PLANE, NOW, replicas())
    running = Operation.start(workspace, "upgrade", "Upgrade", [StepPlan("one", "One")], actor=PLATFORM)
    assert isinstance(running, Operation)
    at = NOW + MINUTE
    assert saw(workspace, ("control_plane", "host"), at, replicas(7), renamed(workspace)) == drift.Recorded()
    assert saw(workspace, PLANE, at) == drift.Recorded()
    assert rows(workspace) == [("replicas", 3, "", 0)]
    Operation.objects.update(state="succeeded")
    assert len(saw(workspace, PLANE, at).ended) == 1


def test_what_has_vanished_since_it_was_looked_at_is_left_out(workspace: Workspace) -> None:
    removed = renamed(workspace)
    workspace.hosts.filter(pk=removed.ref).delete()
    gone = uuid4()
    found = {workspace.pk: [removed, replicas()], gone: [replicas()]}
    recorded = drift.record([workspace.pk, gone], ("control_plane", "host"), found, NOW)
    assert [row.field for row in recorded.opened] == ["replicas"]


def test_who_made_it_is_asked_once_and_again_only_when_the_value_changes(workspace: Workspace) -> None:
    asked: list[tuple[UUID, Any]] = []

    def who(key: UUID, one: Difference) -> Actor:
        asked.append((key, one.seen))
        return Actor("Hetzner Cloud action stop_server", NOW)

    saw(workspace, NAME, NOW, renamed(workspace), who=who)
    saw(workspace, NAME, NOW + MINUTE, renamed(workspace), who=who)
    assert workspace.drifts.get().actor == "Hetzner Cloud action stop_server"
    saw(workspace, NAME, NOW + 2 * MINUTE, renamed(workspace, "older"), who=who)
    assert asked == [(workspace.pk, "old-web"), (workspace.pk, "older")]
    saw(workspace, NAME, NOW + 3 * MINUTE, renamed(workspace, "oldest"), who=lambda *_: Actor())
    assert workspace.drifts.get().actor == ""


def test_an_actor_that_is_told_is_not_asked_for(workspace: Workspace) -> None:
    def who(*_: Any) -> Actor:
        raise AssertionError("asked")

    saw(workspace, NAME, NOW, renamed(workspace, actor="flux", actor_at=NOW), who=who)
    assert (workspace.drifts.get().actor, workspace.drifts.get().actor_at) == ("flux", NOW)


def test_what_is_decided_while_a_look_writes_is_not_overwritten_by_it(workspace: Workspace) -> None:
    saw(workspace, NAME, NOW, renamed(workspace))

    def who(*_: Any) -> Actor:
        Drift.objects.update(ended_at=NOW + timedelta(seconds=61), ending="accepted")
        return Actor()

    saw(workspace, NAME, NOW + MINUTE, renamed(workspace, "older"), who=who)
    assert rows(workspace) == [("name", "old-web", "accepted", 0)]


def test_what_was_accepted_while_a_look_went_on_is_not_opened_again_by_it(workspace: Workspace) -> None:
    saw(workspace, PLANE, NOW - MINUTE, replicas())
    Drift.objects.update(ended_at=NOW + timedelta(seconds=1), ending="accepted")
    assert saw(workspace, PLANE, NOW, replicas()) == drift.Recorded()
    assert len(saw(workspace, PLANE, NOW + MINUTE, replicas()).opened) == 1


# --- In the long run --------------------------------------------------------------------------------------------------
def test_what_ended_three_months_ago_is_forgotten(workspace: Workspace) -> None:
    kept = {"workspace": workspace, "kind": "host", "policy": "repair", "since": NOW - timedelta(days=200)}
    for days in (91, 89):
        Drift.objects.create(field=f"{days} days", ended_at=NOW - timedelta(days=days), ending="gone", **kept)
    Drift.objects.create(field="open", **kept)
    assert drift.prune(NOW) == 1
    assert sorted(Drift.objects.values_list("field", flat=True)) == ["89 days", "open"]


def test_nothing_is_told_of_a_deleted_workspace_any_more(workspace: Workspace, metal: Workspace) -> None:
    saw(workspace, PLANE, NOW, replicas())
    saw(metal, NAME, NOW, renamed(metal))
    Workspace.objects.filter(pk=workspace.pk).update(state="deleted")
    assert drift.prune(NOW + MINUTE) == 0
    assert rows(workspace) == [("replicas", 3, "gone", 0)]
    assert rows(metal) == [("name", "old-web", "", 0)]


FIELDS = [("control_plane", "replicas"), ("control_plane", "paused"), ("dns", "records"), ("seed", "data.a")]
LOOKS = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(FIELDS), st.integers(1, 3), max_size=len(FIELDS)),
        st.permutations([kind for kind, _ in KINDS]),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(looks=LOOKS)
def test_no_order_of_looks_opens_a_field_twice_or_comes_to_another_end(workspace: Workspace, looks: Any) -> None:
    """Each look sees some fields with some values, kind after kind in some order, and sets back or not."""
    ends = []
    for order in ("as drawn", "reversed"):
        Drift.objects.all().delete()
        for minute, (seen, kinds, repairs) in enumerate(looks):
            at = NOW + minute * MINUTE
            found = [
                Difference(kind, "", kind, field, 0, value, policy="repair") for (kind, field), value in seen.items()
            ]
            for kind in kinds if order == "as drawn" else reversed(kinds):
                saw(workspace, (kind,), at, *found)
                assert_open_once()
                for row in drift.to_set_back([workspace.pk], (kind,)) if repairs else []:
                    drift.set_back(row, at, say=False)
            is_open = {(row.kind, row.field): row.seen for row in Drift.objects.open()}
            assert is_open == seen
        plain = ("kind", "field", "seen", "since", "ended_at", "ending", "repairs", "fought", "policy", "reason")
        ends.append(sorted(Drift.objects.values_list(*plain), key=str))
    assert ends[0] == ends[1]


def assert_open_once() -> None:
    keys = list(Drift.objects.open().values_list("workspace", "kind", "ref", "field"))
    assert len(keys) == len(set(keys))


def test_all_kinds_in_one_call_or_one_after_the_other_is_the_same(workspace: Workspace) -> None:
    found = [replicas(), renamed(workspace), Difference("dns", "r", "DNS record a A", "ttl", 60, 300)]
    ends = []
    for order in [*permutations([("control_plane",), ("host",), ("dns",)]), [("control_plane", "host", "dns")]]:
        Drift.objects.all().delete()
        for kinds in order:
            saw(workspace, kinds, NOW, *found)
        ends.append(sorted(Drift.objects.values_list("kind", "field", "seen", "policy")))
    assert [len(end) for end in ends] == [3] * 7
    assert all(end == ends[0] for end in ends)
