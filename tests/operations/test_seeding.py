"""Seeding in the simulated world: what is applied, in which order, to whom, and what is left as it is.

What happens when somebody else changes a seeded object is in test_seeding_drift.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import cast
from tests.operations import harness, seeded
from tests.operations.seeded import SETTINGS, SPACE
from tests.simulators.running import RunningWorld
from workspaces.models import PLATFORM, Drift, Event, ManagementCluster, Operation, Seed, StepPlan, Workspace
from workspaces.operations import seeding

pytestmark = pytest.mark.django_db
CONFIG, NAMESPACE = "v1 ConfigMap platform/settings", "v1 Namespace /platform"


def told(workspace: Workspace) -> list[tuple[str, str, str]]:
    """Who did what to its objects, the oldest first."""
    acts = Event.objects.acts().filter(workspace_id=workspace.pk, action__startswith="seeding").order_by("pk")
    return list(acts.values_list("actor_name", "action", "summary"))


def other(name: str = "limits", **data: str) -> dict[str, Any]:
    """Another object in the namespace."""
    return SETTINGS | {"metadata": {"name": name, "namespace": "platform"}, "data": data}


# --- The first time ---------------------------------------------------------------------------------------------------
def test_objects_are_applied_namespaces_first_and_the_trail_says_which(world: RunningWorld) -> None:
    made = seeded.manifest(SETTINGS, SPACE)
    workspace = seeded.seeded(world, "seed-first")
    assert seeded.patches(world, workspace) == ["platform", "settings"]
    found = seeded.get(workspace)
    assert found is not None
    assert found["data"] == {"level": "info", "size": "3"}
    assert seeded.states(workspace) == {CONFIG: ("applied", ""), NAMESPACE: ("applied", "")}
    rows = Seed.objects.filter(workspace=workspace)
    assert {(row.manifest_id, row.revision, row.applied_at is None) for row in rows} == {(made.pk, 1, False)}
    said = "Applied 2 objects of baseline: Namespace platform, ConfigMap platform/settings"
    assert told(workspace) == [(PLATFORM.name, "seeding.applied", said)]
    assert not Drift.objects.exists()


def test_what_is_as_wanted_is_only_read(world: RunningWorld) -> None:
    seeded.manifest()
    workspace = seeded.seeded(world, "seed-quiet")
    before = list(Seed.objects.order_by("pk").values())
    with CaptureQueriesContext(connection) as captured:
        look = seeded.look(workspace)
    assert look.error == ""
    assert seeded.patches(world, workspace) == ["platform", "settings"]
    assert list(Seed.objects.order_by("pk").values()) == before
    written = [query["sql"] for query in captured if query["sql"].startswith(("UPDATE", "INSERT", "DELETE"))]
    # That somebody looks, and has looked.
    assert {sql.split('"')[1] for sql in written} == {"workspaces_look"}
    assert len(captured) <= 16
    assert len(told(workspace)) == 1


def test_another_spelling_of_the_same_is_no_difference(world: RunningWorld) -> None:
    spelled = SETTINGS | {"metadata": SETTINGS["metadata"] | {"annotations": {}, "labels": None}}
    seeded.manifest(SPACE, spelled)
    workspace = seeded.seeded(world, "seed-spelled")
    seeded.look(workspace)
    assert seeded.patches(world, workspace) == ["platform", "settings", "settings?dryRun"]
    assert seeded.states(workspace)[CONFIG] == ("applied", "")
    assert not Drift.objects.exists()


def test_an_object_that_was_there_before_as_wanted_is_ours_without_a_word(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("seed-there", hosts=1))
    with seeded.tenant(workspace) as call:
        call("POST", "/api/v1/namespaces", SPACE)
        call("POST", "/api/v1/namespaces/platform/configmaps", SETTINGS, fieldManager="helm")
    seeded.manifest()
    seeded.look(workspace)
    assert seeded.states(workspace)[CONFIG] == ("applied", "")
    found = seeded.get(workspace)
    assert found is not None
    assert {entry["manager"] for entry in found["metadata"]["managedFields"]} == {"helm", "loopback"}


# --- Which clusters, and when -----------------------------------------------------------------------------------------
def test_objects_that_need_a_host_wait_until_one_is_ready(world: RunningWorld) -> None:
    seeded.manifest(SPACE)
    seeded.manifest(other(), name="needs-hosts", phase="hosts")
    workspace = seeded.seeded(world, "seed-hostless", ready=False, hosts_ready=0)
    limits = "v1 ConfigMap platform/limits"
    assert seeded.states(workspace)[limits] == ("pending", "Waits until a host is ready.")
    assert seeded.patches(world, workspace) == ["platform"]
    Workspace.objects.filter(pk=workspace.pk).update(hosts_ready=1)
    seeded.look(workspace)
    assert seeded.states(workspace)[limits] == ("applied", "")
    # Once applied, it is kept: a host that is away for an hour is no reason to look away.
    Workspace.objects.filter(pk=workspace.pk).update(hosts_ready=0)
    seeded.edit(workspace, {"x": "1"}, path="/api/v1/namespaces/platform/configmaps/limits")
    seeded.look(workspace)
    assert seeded.states(workspace)[limits] == ("applied", "")


def test_a_host_that_is_ready_is_seen_by_the_look_itself(world: RunningWorld) -> None:
    seeded.manifest(SPACE, SETTINGS, phase="hosts")
    workspace = seeded.seeded(world, "seed-hosted", hosts_ready=0)
    assert {state for state, _ in seeded.states(workspace).values()} == {"applied"}


def test_only_fitting_manifests_are_applied(world: RunningWorld) -> None:
    seeded.manifest(SPACE)
    seeded.manifest(other("newer"), name="newer", versions=">=1.35.0")
    seeded.manifest(other("fitting"), name="fitting", versions=">=1.34.0 <1.35.0")
    seeded.manifest(other("theirs"), name="theirs", organization=cast.organization("Fjordline Energy"))
    seeded.manifest(other("ours"), name="ours", organization=cast.organization("Kestrel Freight"))
    seeded.manifest(other("withdrawn"), name="withdrawn", active=False)
    workspace = seeded.seeded(world, "seed-fitting", version="1.34.8")
    assert seeded.patches(world, workspace) == ["platform", "fitting", "ours"]
    assert len(seeded.states(workspace)) == 3


def test_a_manifest_that_fits_no_more_leaves_its_objects_and_its_rows_go(world: RunningWorld) -> None:
    made = seeded.manifest()
    workspace = seeded.seeded(world, "seed-leaves")
    seeded.edit(workspace, {"level": "debug"})
    seeded.look(workspace)
    assert Drift.objects.open().count() == 1
    made.active = False
    made.save()
    seeded.look(workspace)
    assert seeded.states(workspace) == {}
    assert seeded.get(workspace) is not None
    assert told(workspace)[-1][1:] == (
        "seeding.ended",
        "No longer keeps 2 objects: v1 ConfigMap platform/settings, v1 Namespace /platform; "
        "what is in the cluster stays as it is",
    )
    assert list(Drift.objects.values_list("ending", flat=True)) == ["gone"]


def test_while_its_version_is_not_known_nothing_is_dropped(world: RunningWorld) -> None:
    seeded.manifest(SPACE, SETTINGS, versions=">=1.34.0")
    workspace = seeded.seeded(world, "seed-unknown")
    Workspace.objects.filter(pk=workspace.pk).update(kubernetes_version="")
    seeded.look(workspace)
    assert len(seeded.states(workspace)) == 2


def test_bare_metal_and_what_is_deleted_are_not_asked(world: RunningWorld) -> None:
    seeded.manifest()
    leaving = harness.linked(world, cast.kubernetes("seed-deleting", hosts=1, state="deleting"))
    for workspace in (leaving, cast.baremetal("seed-metal")):
        assert seeded.look(workspace).error == ""
    assert not Seed.objects.exists()


# --- Another text -----------------------------------------------------------------------------------------------------
def test_a_new_revision_is_applied_and_gives_up_what_it_leaves_out(world: RunningWorld) -> None:
    made = seeded.manifest()
    workspace = seeded.seeded(world, "seed-revised")
    seeded.rewrite(made, SPACE, SETTINGS | {"data": {"level": "debug"}})
    seeded.look(workspace)
    found = seeded.get(workspace)
    assert found is not None
    assert found["data"] == {"level": "debug"}
    assert set(Seed.objects.values_list("revision", "state")) == {(2, "applied")}
    assert told(workspace)[-1][2] == "Applied 1 object of baseline: ConfigMap platform/settings"
    assert not Drift.objects.exists()


def test_an_object_of_two_manifests_is_applied_by_the_first_alone(world: RunningWorld) -> None:
    seeded.manifest(SPACE, SETTINGS, name="a")
    seeded.manifest(other(), SETTINGS | {"data": {"level": "debug"}}, name="b")
    workspace = seeded.seeded(world, "seed-twice")
    seeded.look(workspace)
    assert seeded.patches(world, workspace) == ["platform", "settings", "limits"]
    second = Seed.objects.get(manifest__name="b", object=CONFIG)
    said = "Manifest a has this object too, and an object belongs to one manifest."
    assert (second.state, second.message) == ("failed", said)


# --- Failing ----------------------------------------------------------------------------------------------------------
def test_an_object_that_fails_does_not_keep_the_others(world: RunningWorld) -> None:
    unknown = {"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "g", "namespace": "platform"}}
    misfit = SETTINGS | {"metadata": {"name": "misfit", "namespace": "platform"}, "flavour": "x"}
    lost = SETTINGS | {"metadata": {"name": "lost", "namespace": "nowhere"}}
    seeded.manifest(unknown, misfit, lost, SETTINGS, SPACE)
    workspace = seeded.seeded(world, "seed-failing")
    states = seeded.states(workspace)
    assert states[CONFIG] == ("applied", "")
    assert states["example.com/v1 Gadget platform/g"] == (
        "failed",
        "tenant seed-failing: example.com/v1 Gadget is not known there. "
        "Who can fix: An administrator, by installing what defines the kind.",
    )
    state, message = states["v1 ConfigMap platform/misfit"]
    assert state == "failed"
    assert message.startswith("tenant seed-failing: the manifest is not taken: failed to create typed patch object")
    assert message.endswith("Who can fix: The operator of the platform, by correcting the manifest.")
    assert 'namespaces "nowhere" not found' in states["v1 ConfigMap nowhere/lost"][1]
    assert seeded.look(workspace).error == ""


def test_what_was_applied_before_the_connection_was_lost_is_told(world: RunningWorld) -> None:
    seeded.manifest()
    workspace = harness.linked(world, cast.kubernetes("seed-broken", hosts=1))
    target = f"{workspace.namespace}/{workspace.control_plane}"
    world.fault(service="kubernetes", target=target, kind="refuse", path="*/configmaps/*")
    look = seeded.look(workspace)
    assert (look.error_code, look.failures) == ("unreachable", 1)
    assert seeded.states(workspace) == {CONFIG: ("pending", ""), NAMESPACE: ("applied", "")}
    assert told(workspace)[0][2] == "Applied 1 object of baseline: Namespace platform"
    world.clear_faults()
    assert seeded.look(workspace).error_code == ""
    assert seeded.states(workspace)[CONFIG] == ("applied", "")


def test_a_tenant_that_answers_too_slowly_is_not_seen(world: RunningWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    seeded.manifest()
    workspace = seeded.seeded(world, "seed-slow")
    monkeypatch.setattr(seeding, "PATIENCE", 0)
    look = seeded.look(workspace)
    assert (look.error_code, look.error) == (
        "unreachable",
        "tenant seed-slow answers so slowly that only a part could be seen.",
    )
    assert {state for state, _ in seeded.states(workspace).values()} == {"applied"}


def test_a_tenant_whose_management_cluster_is_in_the_dark_is_not_asked(world: RunningWorld) -> None:
    seeded.manifest()
    workspace = seeded.seeded(world, "seed-dark")
    asked = len(world.journal(service="kubernetes"))
    ManagementCluster.objects.update(error_code="unreachable", error_message="It did not answer in time.")
    look = seeded.look(workspace)
    assert (look.error_code, look.error) == ("unreachable", "It did not answer in time.")
    assert len(world.journal(service="kubernetes")) == asked


# --- States and operations --------------------------------------------------------------------------------------------
def test_nothing_is_applied_while_an_operation_runs_or_somebody_must_look_after_it(world: RunningWorld) -> None:
    seeded.manifest()
    workspace = harness.linked(world, cast.kubernetes("seed-busy", hosts=1))
    steps = [StepPlan("one", "One step", "upgrade")]
    operation = Operation.start(workspace, "upgrade", "Upgrade", steps, actor=PLATFORM)
    assert isinstance(operation, Operation)
    seeded.look(workspace)
    assert set(seeded.states(workspace).values()) == {("pending", "")}
    Operation.objects.update(state="succeeded")
    Workspace.objects.filter(pk=workspace.pk).update(state="error")
    seeded.look(workspace)
    said = "Nothing is applied in this state of the workspace: Error."
    assert set(seeded.states(workspace).values()) == {("pending", said)}
    assert seeded.patches(world, workspace) == []
    for state in ("provisioning", "gated", "active"):
        Workspace.objects.filter(pk=workspace.pk).update(state=state)
        seeded.look(workspace)
    assert seeded.patches(world, workspace) == ["platform", "settings"]
