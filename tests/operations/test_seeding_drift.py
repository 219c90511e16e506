"""When somebody else changes a seeded object: what is set back, what waits for a decision, and what gates."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests import cast
from tests.operations import harness, seeded
from tests.operations.seeded import SETTINGS, SPACE
from tests.simulators.running import RunningWorld
from workspaces.models import PLATFORM, Actor, Drift, Event, Operation, Seed, StepPlan, Workspace
from workspaces.operations import connections, drift
from workspaces.operations import seed_objects as objects_of
from workspaces.providers.errors import Temporary
from workspaces.providers.objects import Objects
from workspaces.rules.refusal import Refused

pytestmark = pytest.mark.django_db
ALICE = Actor("account", "Alice Ahrens")
CONFIG = "v1 ConfigMap platform/settings"


def rows(workspace: Workspace) -> list[tuple[Any, ...]]:
    """Field, wanted, seen, who, policy and ending of each row of drift, the oldest first."""
    found = workspace.drifts.filter(kind="seed").order_by("since", "field")
    return list(found.values_list("field", "wanted", "seen", "actor", "policy", "ending"))


def told(workspace: Workspace) -> str:
    """The newest thing that was done to the objects of the workspace."""
    newest = Event.objects.acts().filter(workspace_id=workspace.pk, actor_name=PLATFORM.name).order_by("pk").last()
    assert newest is not None
    return newest.summary


def data(workspace: Workspace) -> dict[str, str]:
    found = seeded.get(workspace)
    assert found is not None
    return dict(found["data"])


def decide(workspace: Workspace, decision: str, field: str = "data.level") -> Refused | None:
    row = workspace.drifts.select_related("workspace__project").get(field=field, ended_at=None)
    return drift.decide(row, decision, ALICE)


# --- Set back ---------------------------------------------------------------------------------------------------------
def test_a_field_that_was_taken_away_is_set_back(world: RunningWorld) -> None:
    seeded.manifest()
    workspace = seeded.seeded(world, "drift-field")
    seeded.edit(workspace, {"level": None, "more": "x"})
    seeded.look(workspace)
    assert data(workspace) == {"level": "info", "size": "3", "more": "x"}
    assert seeded.states(workspace)[CONFIG] == ("applied", "")
    assert rows(workspace) == [("data.level", "info", None, "", "repair", "")]
    assert told(workspace) == "Set data.level of ConfigMap platform/settings back to info; it was not there"
    seeded.look(workspace)
    assert rows(workspace) == [("data.level", "info", None, "", "repair", "repaired")]
    assert seeded.patches(world, workspace, since=2) == ["settings?dryRun", "settings"]


def test_an_object_that_was_deleted_is_made_anew(world: RunningWorld) -> None:
    seeded.manifest()
    workspace = seeded.seeded(world, "drift-object")
    seeded.delete(workspace)
    seeded.look(workspace)
    assert data(workspace) == {"level": "info", "size": "3"}
    assert rows(workspace) == [("object", "ConfigMap platform/settings", None, "", "repair", "")]
    assert told(workspace) == "Made ConfigMap platform/settings anew, which was not there"
    seeded.look(workspace)
    assert Drift.objects.get().ending == "repaired"


def test_what_is_taken_away_each_time_waits_for_a_person(world: RunningWorld) -> None:
    seeded.manifest()
    workspace = seeded.seeded(world, "seeds-fought")
    for _ in range(3):
        seeded.edit(workspace, {"level": None})
        seeded.look(workspace)
        seeded.look(workspace)
    assert data(workspace) == {"size": "3"}
    row = Drift.objects.open().get()
    assert (row.fought, row.policy, row.repairs) == (True, "decide", 2)
    assert seeded.states(workspace)[CONFIG] == ("pending", "Not as wanted: data.level.")


def test_while_an_operation_runs_nothing_is_compared_or_set_back(world: RunningWorld) -> None:
    seeded.manifest()
    workspace = seeded.seeded(world, "seeds-busy")
    seeded.edit(workspace, {"level": None})
    steps = [StepPlan("one", "One step", "upgrade")]
    Operation.start(workspace, "upgrade", "Upgrade", steps, actor=PLATFORM)
    seeded.look(workspace)
    assert data(workspace) == {"size": "3"}
    assert rows(workspace) == []
    assert seeded.states(workspace)[CONFIG] == ("applied", "")


def test_in_a_state_that_needs_a_person_drift_is_told_and_not_set_back(world: RunningWorld) -> None:
    seeded.manifest()
    workspace = seeded.seeded(world, "drift-error")
    Workspace.objects.filter(pk=workspace.pk).update(state="error")
    seeded.edit(workspace, {"level": None})
    seeded.look(workspace)
    assert data(workspace) == {"size": "3"}
    assert [row[0] for row in rows(workspace)] == ["data.level"]
    assert seeded.states(workspace)[CONFIG] == ("pending", "Not as wanted: data.level.")


def test_an_object_that_cannot_be_read_keeps_its_drift(world: RunningWorld) -> None:
    seeded.manifest()
    workspace = seeded.seeded(world, "drift-unread")
    seeded.edit(workspace, {"level": "debug"})
    seeded.look(workspace)
    target = f"{workspace.namespace}/{workspace.control_plane}"
    world.fault(service="kubernetes", target=target, kind="status", status=503, path="*/configmaps/*")
    seeded.look(workspace)
    assert [row[5] for row in rows(workspace)] == [""]
    assert seeded.states(workspace)[CONFIG][0] == "failed"


def test_a_repair_that_fails_is_told_on_the_row(world: RunningWorld) -> None:
    seeded.manifest()
    workspace = seeded.seeded(world, "drift-unmended")
    seeded.edit(workspace, {"level": None})
    target = f"{workspace.namespace}/{workspace.control_plane}"
    world.fault(service="kubernetes", target=target, kind="status", status=500, method="PATCH", path="*/configmaps/*")
    seeded.look(workspace)
    row = Drift.objects.open().get()
    assert (row.field, row.repaired_at) == ("data.level", None)
    assert row.error.startswith("tenant drift-unmended: ")
    assert seeded.states(workspace)[CONFIG][0] == "failed"
    world.clear_faults()
    seeded.look(workspace)
    assert data(workspace) == {"level": "info", "size": "3"}


# --- Held by somebody else --------------------------------------------------------------------------------------------
def test_a_field_that_somebody_else_holds_is_named_and_left_alone(world: RunningWorld) -> None:
    seeded.manifest()
    workspace = seeded.seeded(world, "held-field")
    seeded.edit(workspace, {"level": "debug"})
    seeded.look(workspace)
    assert data(workspace)["level"] == "debug"
    assert seeded.states(workspace)[CONFIG] == ("conflict", "kubectl-edit holds data.level.")
    seed = Seed.objects.get(object=CONFIG)
    assert seed.conflicts == [{"field": "data.level", "manager": "kubectl-edit"}]
    assert rows(workspace) == [("data.level", "info", "debug", "kubectl-edit", "decide", "")]
    assert Drift.objects.get().actor_at is not None
    assert seeded.patches(world, workspace, since=2) == ["settings?dryRun"]
    seeded.edit(workspace, {"level": "info"})
    seeded.look(workspace)
    assert seeded.states(workspace)[CONFIG] == ("applied", "")
    assert rows(workspace)[0][5] == "gone"


def test_what_nobody_holds_is_set_back_beside_a_conflict(world: RunningWorld) -> None:
    seeded.manifest()
    workspace = seeded.seeded(world, "held-beside")
    seeded.edit(workspace, {"level": "debug", "size": None})
    seeded.look(workspace)
    assert data(workspace) == {"level": "debug", "size": "3"}
    assert seeded.states(workspace)[CONFIG][0] == "conflict"
    assert {row[0]: row[4] for row in rows(workspace)} == {"data.level": "decide", "data.size": "repair"}


def test_converging_takes_the_field_and_only_that_one(world: RunningWorld) -> None:
    seeded.manifest()
    workspace = seeded.seeded(world, "held-converge")
    seeded.edit(workspace, {"level": "debug"})
    seeded.edit(workspace, {"size": "9"}, by="argocd-controller")
    seeded.look(workspace)
    assert decide(workspace, "converge") is None
    seeded.look(workspace)
    assert data(workspace) == {"level": "info", "size": "9"}
    assert seeded.patches(world, workspace)[-1] == "settings?force"
    assert seeded.states(workspace)[CONFIG] == ("conflict", "argocd-controller holds data.size.")
    said = "Set data.level of ConfigMap platform/settings back to info; it was debug, changed by kubectl-edit"
    assert told(workspace) == f"{said}; Alice Ahrens has decided so"
    seeded.look(workspace)
    assert [(row[0], row[5]) for row in rows(workspace)] == [("data.level", "repaired"), ("data.size", "")]


def test_accepting_leaves_the_field_to_its_holder_for_good(world: RunningWorld) -> None:
    made = seeded.manifest()
    workspace = seeded.seeded(world, "held-accept")
    seeded.edit(workspace, {"level": "debug"})
    seeded.look(workspace)
    assert decide(workspace, "accept") is None
    seeded.look(workspace)
    seeded.rewrite(made, SPACE, SETTINGS | {"data": {"level": "warn", "size": "4"}})
    seeded.look(workspace)
    assert data(workspace) == {"level": "debug", "size": "4"}
    assert seeded.states(workspace)[CONFIG] == ("applied", "")
    assert [row[5] for row in rows(workspace)] == ["accepted"]


def test_a_missing_object_that_was_accepted_stays_missing(world: RunningWorld) -> None:
    seeded.manifest()
    workspace = seeded.seeded(world, "held-missing")
    Workspace.objects.filter(pk=workspace.pk).update(state="error")
    seeded.delete(workspace)
    seeded.look(workspace)
    assert decide(workspace, "accept", "object") is None
    Workspace.objects.filter(pk=workspace.pk).update(state="active")
    seeded.look(workspace)
    assert seeded.get(workspace) is None
    assert seeded.states(workspace)[CONFIG] == ("applied", "Left to others, as somebody has decided.")


def test_the_first_apply_takes_nothing_from_others(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("held-before", hosts=1))
    with seeded.tenant(workspace) as call:
        call("POST", "/api/v1/namespaces", SPACE)
        theirs = SETTINGS | {"data": {"level": "debug"}}
        call("PATCH", seeded.PATH, theirs, of=seeded.APPLY, fieldManager="argocd-controller")
    seeded.manifest()
    seeded.look(workspace)
    assert data(workspace) == {"level": "debug"}
    assert seeded.states(workspace)[CONFIG] == ("conflict", "argocd-controller holds data.level.")
    assert rows(workspace) == [("data.level", "info", "debug", "argocd-controller", "decide", "")]
    assert decide(workspace, "converge") is None
    seeded.look(workspace)
    assert data(workspace) == {"level": "info", "size": "3"}
    assert Seed.objects.get(object=CONFIG).revision == 1
    assert seeded.states(workspace)[CONFIG] == ("applied", "")


def test_what_changed_since_it_was_looked_at_is_not_forced(world: RunningWorld) -> None:
    made = seeded.manifest()
    workspace = seeded.seeded(world, "held-stale")
    seeded.edit(workspace, {"level": "debug"})
    seeded.look(workspace)
    assert decide(workspace, "converge") is None
    seed = Seed.objects.get(object=CONFIG)
    with Objects(connections.tenant_kubeconfig(workspace), name="held-stale") as objects:
        finding = objects_of.finding_of(seed, made, SETTINGS)
        objects_of.examine(objects, finding)
        seeded.edit(workspace, {"level": "trace"})
        with pytest.raises(Temporary) as caught:
            objects_of.set_back(objects, finding, list(Drift.objects.open()))
    assert caught.value.code == "conflict"
    assert data(workspace)["level"] == "trace"


def test_what_differs_from_a_protected_manifest_cannot_be_accepted(world: RunningWorld) -> None:
    seeded.manifest(protected=True)
    workspace = seeded.seeded(world, "held-protected")
    seeded.edit(workspace, {"level": "debug"})
    seeded.look(workspace)
    refused = decide(workspace, "accept")
    assert refused is not None
    assert refused.code == "protected"


def test_of_a_long_text_the_beginning_is_kept(world: RunningWorld) -> None:
    seeded.manifest()
    workspace = seeded.seeded(world, "held-long")
    seeded.edit(workspace, {"level": "x" * 5000})
    seeded.look(workspace)
    assert rows(workspace)[0][2] == "x" * 1000 + "…"


# --- Gating -----------------------------------------------------------------------------------------------------------
def test_a_gating_manifest_gates_at_the_second_look_and_lifts_when_it_is_decided(world: RunningWorld) -> None:
    seeded.manifest(gates=True)
    workspace = seeded.seeded(world, "held-gates")
    seeded.edit(workspace, {"level": "debug"}, by="argocd-controller")
    seeded.look(workspace)
    workspace.refresh_from_db()
    assert workspace.state == "active"
    seeded.look(workspace)
    workspace.refresh_from_db()
    assert workspace.state == "gated"
    assert re.search("settings is held by argocd-controller", workspace.state_reason)
    assert decide(workspace, "converge") is None
    seeded.look(workspace)
    workspace.refresh_from_db()
    assert (workspace.state, workspace.state_reason) == ("active", "")
