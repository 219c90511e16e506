"""Gating and lifting as rows: state, reason, since, the trail, and what stays untouched."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import cast
from workspaces.models import Event, Look, Operation, Seed, SeedManifest, Workspace
from workspaces.operations.gate import judge

pytestmark = pytest.mark.django_db
NOW = cast.NOW
LATER = NOW + timedelta(minutes=10)
REASON = "Seeding has not converged: ConfigMap kube-system/limits is held by argocd-controller."


@pytest.fixture
def held(workspace: Workspace) -> Seed:
    """An object of a gating manifest that the look at NOW found to be held by somebody else."""
    manifest = SeedManifest.objects.create(name="limits", content="", gates=True)
    Look.objects.create(kind="seeding", workspace=workspace, every=600, succeeded_at=NOW, tried_at=NOW)
    return Seed.objects.create(
        workspace=workspace, manifest=manifest, object="v1 ConfigMap kube-system/limits", state="conflict",
        conflicts=[{"field": "data.cpu", "manager": "argocd-controller"}], state_since=NOW,
    )  # fmt: skip


def looked(at: Any) -> None:
    """The look at the objects that begins at `at` is under way, and has seen what it is going to see."""
    Look.objects.update(tried_at=at)


def state(workspace: Workspace) -> tuple[str, str, Any]:
    workspace.refresh_from_db()
    return workspace.state, workspace.state_reason, workspace.state_since


def acts() -> list[tuple[str, str, str]]:
    return list(Event.objects.acts().order_by("pk").values_list("action", "actor_kind", "summary"))


def test_the_second_look_in_a_row_gates_and_says_what_and_who(workspace: Workspace, held: Seed) -> None:
    assert judge([workspace.pk], NOW) == 0
    looked(LATER)
    assert judge([workspace.pk], LATER) == 1
    assert state(workspace) == ("gated", REASON, LATER)
    assert (workspace.attention, workspace.attention_tone) == (REASON, "warn")
    assert acts() == [("workspace.gated", "platform", f"ledger-prod is gated: {REASON}")]


def test_another_loops_look_in_between_is_no_second_look_at_the_objects(workspace: Workspace, held: Seed) -> None:
    assert judge([workspace.pk], NOW + timedelta(minutes=1)) == 0
    looked(NOW + timedelta(minutes=2))
    assert judge([workspace.pk], NOW + timedelta(minutes=3)) == 0
    Look.objects.update(succeeded_at=NOW + timedelta(minutes=2))
    assert judge([workspace.pk], NOW + timedelta(minutes=3)) == 1


def test_the_gate_is_lifted_when_the_object_is_as_wanted(workspace: Workspace, held: Seed) -> None:
    looked(LATER)
    judge([workspace.pk], LATER)
    Seed.objects.update(state="pending", state_since=LATER)
    assert judge([workspace.pk], LATER + timedelta(minutes=10)) == 0
    Seed.objects.update(state="applied", conflicts=[], state_since=LATER)
    end = LATER + timedelta(minutes=20)
    assert judge([workspace.pk], end) == 1
    assert state(workspace) == ("active", "", end)
    assert workspace.attention == ""
    assert acts()[1] == ("workspace.lifted", "platform", "Lifted the gate of ledger-prod")


def test_a_manifest_that_does_not_gate_any_more_lifts_it_too(workspace: Workspace, held: Seed) -> None:
    looked(LATER)
    judge([workspace.pk], LATER)
    SeedManifest.objects.update(gates=False)
    assert judge([workspace.pk], LATER) == 1
    assert state(workspace)[0] == "active"


def test_a_reason_that_changes_is_told_and_the_time_stays(workspace: Workspace, held: Seed) -> None:
    looked(LATER)
    judge([workspace.pk], LATER)
    Workspace.objects.update(control_plane_status="Gone")
    assert judge([workspace.pk], LATER + timedelta(minutes=1)) == 1
    gone = "The control plane is gone: ws-ledger-prod/ledger-prod is not on the management cluster any more."
    assert state(workspace) == ("gated", gone, LATER)
    assert acts()[1] == ("workspace.gated", "platform", f"ledger-prod is still gated: {gone}")
    assert judge([workspace.pk], LATER + timedelta(minutes=2)) == 0


@pytest.mark.parametrize("status", ["pending", "running", "waiting", "paused"])
def test_nothing_changes_under_an_open_operation(workspace: Workspace, held: Seed, status: str) -> None:
    operation = Operation.objects.create(
        workspace=workspace, kind="upgrade", title="Upgrade", requested_by="Alice", state=status
    )
    looked(LATER)
    assert judge([workspace.pk], LATER) == 0
    Operation.objects.filter(pk=operation.pk).update(state="succeeded")
    assert judge([workspace.pk], LATER) == 1


@pytest.mark.parametrize(
    "changes", [{"state": "error"}, {"state": "gated", "state_reason": "Billing is being clarified."}]
)
def test_other_states_and_gates_of_other_people_are_left_alone(
    workspace: Workspace, held: Seed, changes: dict[str, str]
) -> None:
    Workspace.objects.update(**changes)
    looked(LATER)
    assert judge([workspace.pk], LATER) == 0
    assert acts() == []


def test_where_all_is_well_one_query_is_enough_however_many_are_asked_about(workspace: Workspace, held: Seed) -> None:
    for number in range(5):
        cast.kubernetes(f"w{number}", hosts=1)
    keys = list(Workspace.objects.exclude(pk=workspace.pk).values_list("pk", flat=True))
    with CaptureQueriesContext(connection) as captured:
        assert judge(keys, NOW) == 0
    assert len(captured) == 1
    with CaptureQueriesContext(connection) as captured:
        assert judge([workspace.pk, *keys], NOW) == 0  # one object is not there yet
    assert len(captured) == 3
    assert all(query["sql"].startswith("SELECT") for query in captured)
