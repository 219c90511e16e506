"""What the look at a management cluster takes as wanted, what it tells as drift, and what it sets back."""

from __future__ import annotations

from typing import Any

import pytest

from tests import cast
from tests.operations import harness, looking
from tests.operations.looking import condition, edit
from tests.simulators.running import RunningWorld
from workspaces.models import Actor, Drift, Event, ManagementCluster, Operation, Workspace
from workspaces.operations import drift, reconcile

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues")]
ALICE = Actor("account", "Alice Ahrens")
REPLICAS_3 = {"spec": {"controlPlane": {"deployment": {"replicas": 3}}}}
PAUSED = {"metadata": {"annotations": {"kamaji.clastix.io/paused": "true"}}}


def look() -> None:
    """One look at the only management cluster."""
    reconcile.look_at_control_planes(ManagementCluster.objects.get().pk)


def linked(world: RunningWorld, name: str, **fields: Any) -> Workspace:
    """A workspace with a control plane and no host."""
    return harness.linked(world, cast.kubernetes(name, hosts=0, **fields))


def wanted(workspace: Workspace) -> dict[str, Any]:
    workspace.refresh_from_db()
    return dict(workspace.wanted)


def drifts(workspace: Workspace) -> list[tuple[Any, ...]]:
    """Open drift: field, wanted, seen, actor, policy."""
    rows = Drift.objects.open().filter(workspace=workspace).order_by("field")
    return list(rows.values_list("field", "wanted", "seen", "actor", "policy"))


# --- What is wanted ---------------------------------------------------------------------------------------------------
def test_the_first_look_says_what_is_wanted_and_later_ones_do_not(world: RunningWorld) -> None:
    workspace = linked(world, "as-found")
    look()
    assert wanted(workspace) == {"kubernetes_version": "1.34.8", "replicas": 2, "paused": False}
    edit(workspace, REPLICAS_3)
    look()
    assert wanted(workspace) == {"kubernetes_version": "1.34.8", "replicas": 2, "paused": False}


def test_nobody_wants_it_paused_until_somebody_says_so(world: RunningWorld) -> None:
    workspace = linked(world, "found-paused")
    edit(workspace, PAUSED)
    look()
    assert wanted(workspace) == {"kubernetes_version": "1.34.8", "replicas": 2, "paused": False}
    assert drifts(workspace) == [("paused", False, True, "kubectl-edit", "decide")]
    assert condition(workspace, "control_plane") == ("false", "paused")
    assert drift.decide(Drift.objects.get(), "accept", ALICE) is None
    look()
    assert condition(workspace, "control_plane")[0] == "true"
    assert drifts(workspace) == []


def test_what_was_said_before_the_first_look_stays(world: RunningWorld) -> None:
    workspace = linked(world, "said-before")
    Workspace.objects.update(wanted={"kubernetes_version": "1.35.4"})
    look()
    assert wanted(workspace) == {"kubernetes_version": "1.35.4", "replicas": 2, "paused": False}


def test_nothing_is_taken_as_wanted_and_nothing_is_drift_under_an_open_operation(world: RunningWorld) -> None:
    workspace, other = linked(world, "in-work"), linked(world, "not-yet-seen")
    Operation.start(other, "upgrade", "Upgrade", [], actor=ALICE)
    look()
    assert wanted(other) == {}
    Operation.start(workspace, "upgrade", "Upgrade", [], actor=ALICE)
    edit(workspace, REPLICAS_3 | PAUSED)
    look()
    workspace.refresh_from_db()
    assert (workspace.control_plane_replicas, workspace.control_plane_paused) == (3, True), "what is seen is written"
    assert drifts(workspace) == []
    Operation.objects.update(state="succeeded")
    look()
    assert wanted(other)["replicas"] == 2
    assert [field for field, *_ in drifts(workspace)] == ["paused", "replicas"], "although its revision was seen"


def test_drift_that_is_open_stays_as_it_is_until_the_operation_ends(world: RunningWorld) -> None:
    workspace = linked(world, "wanted-half-way")
    look()
    edit(workspace, REPLICAS_3)
    look()
    assert drifts(workspace) == [("replicas", 2, 3, "kubectl-edit", "decide")]
    Operation.start(workspace, "upgrade", "Upgrade", [], actor=ALICE)
    edit(workspace, {"spec": {"controlPlane": {"deployment": {"replicas": 2}}}})
    look()
    assert drifts(workspace) == [("replicas", 2, 3, "kubectl-edit", "decide")]
    Operation.objects.update(state="succeeded")
    look()
    assert drifts(workspace) == []


# --- Drift ------------------------------------------------------------------------------------------------------------
def test_what_somebody_changed_past_us_is_drift_with_their_name(world: RunningWorld) -> None:
    workspace, other = linked(world, "edited"), linked(world, "left-alone")
    look()
    edit(workspace, REPLICAS_3)
    edit(workspace, PAUSED, by="argocd-controller")
    looking.look()
    assert drifts(workspace) == [
        ("paused", False, True, "argocd-controller", "decide"),
        ("replicas", 2, 3, "kubectl-edit", "decide"),
    ]
    assert drifts(other) == []
    assert condition(workspace, "drift")[0] == "false"
    assert workspace.attention_tone == "warn"
    edit(workspace, {"metadata": {"annotations": {"kamaji.clastix.io/paused": None}}})
    edit(workspace, {"spec": {"controlPlane": {"deployment": {"replicas": 2}}}})
    looking.look()
    assert drifts(workspace) == []
    assert list(Drift.objects.values_list("ending", flat=True)) == ["gone", "gone"]
    # Kamaji takes its time to scale.
    looking.until(lambda: Workspace.objects.get(pk=workspace.pk).attention == "No host is known.")


def test_what_somebody_decided_to_set_back_is_set_back_by_the_next_look(world: RunningWorld) -> None:
    workspace = linked(world, "set-back")
    look()
    edit(workspace, REPLICAS_3 | PAUSED)
    look()
    for row in Drift.objects.all():
        assert drift.decide(row, "converge", ALICE) is None
    look()
    events = Event.objects.filter(action="drift.repaired", workspace_id=workspace.pk)
    assert {event.actor_kind for event in events} == {"platform"}
    assert events.count() == 2
    look()
    assert drifts(workspace) == []
    assert set(Drift.objects.values_list("ending", flat=True)) == {"repaired"}
    document = looking.management_api(workspace).get_namespaced_custom_object(
        **looking.CONTROL_PLANES, namespace=workspace.namespace, name=workspace.control_plane
    )
    assert document["spec"]["controlPlane"]["deployment"]["replicas"] == 2
    assert "kamaji.clastix.io/paused" not in document["metadata"].get("annotations", {})
    assert "loopback" in {entry["manager"] for entry in document["metadata"]["managedFields"]}


def test_nothing_is_set_back_once_an_operation_has_begun(world: RunningWorld, monkeypatch: Any) -> None:
    """It begins between the question what is to be set back and the change itself."""
    workspace = linked(world, "late-start")
    look()
    edit(workspace, REPLICAS_3)
    look()
    assert drift.decide(Drift.objects.get(), "converge", ALICE) is None
    asked = drift.to_set_back

    def begun(*arguments: Any, **more: Any) -> list[Drift]:
        found = asked(*arguments, **more)
        Operation.start(workspace, "upgrade", "Upgrade", [], actor=ALICE)
        return found

    monkeypatch.setattr(drift, "to_set_back", begun)
    look()
    assert not [
        entry
        for entry in world.journal(method="PATCH", path="*/late-start*")
        if "fieldManager=loopback" in entry["path"]
    ]
    assert drifts(workspace) == [("replicas", 2, 3, "kubectl-edit", "decide")]
