"""The sample fleet's manifests: they fit the simulated clusters, and one cluster is gated by somebody else's field."""

from __future__ import annotations

import pytest

from tests import cast
from tests.operations import harness, seeded
from tests.simulators.running import RunningWorld
from workspaces.management.fleet import seeding
from workspaces.models import Drift, Seed, SeedManifest, Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues")]


def test_every_object_of_the_manifests_is_taken_by_the_clusters(world: RunningWorld) -> None:
    grid = cast.project("Grid Control", of="Fjordline Energy")
    seeding.create()
    workspace = seeded.seeded(world, "grid-twin", project=grid)
    assert {state for state, _ in seeded.states(workspace).values()} == {"applied"}
    assert Seed.objects.filter(workspace=workspace).count() == 8
    seeded.look(workspace)
    # As the manifests are written, so the API gives it back: nothing has to be asked by a dry run.
    assert not [path for path in seeded.patches(world, workspace) if "dryRun" in path]


def test_one_cluster_is_gated_by_what_its_own_controller_holds(world: RunningWorld) -> None:
    grid = cast.project("Grid Control", of="Fjordline Energy")
    made = cast.kubernetes(
        seeding.GATED, hosts=1, hosts_ready=0, project=grid, state="gated", state_reason=seeding.REASON
    )
    workspace = harness.linked(world, made)
    seeding.create()
    seeding.hold()
    assert seeded.states(workspace)["v1 ConfigMap ingress-nginx/controller"] == (
        "conflict",
        "argocd-controller holds data.use-forwarded-headers.",
    )
    row = Drift.objects.get()
    assert (row.field, row.wanted, row.seen, row.actor) == (
        "data.use-forwarded-headers", "false", "true", "argocd-controller",
    )  # fmt: skip
    for _ in range(2):
        seeded.look(workspace)
        workspace.refresh_from_db()
        assert (workspace.state, workspace.state_reason) == ("gated", seeding.REASON)


def test_without_that_cluster_nothing_is_held() -> None:
    seeding.create()
    seeding.hold()
    assert SeedManifest.objects.count() == 3
    assert not Workspace.objects.exists()
