"""One entry for each kind of look: a key in, what is seen written. What each sees is test_seen_* and others."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import timedelta

import django_rq
import pytest
from django.utils import timezone

from tests import cast
from tests.operations import harness, looking
from tests.operations.looking import condition, written_by
from tests.simulators.running import RunningWorld
from workspaces import jobs
from workspaces.models import Look, ManagementCluster, ProviderAccount, Workspace
from workspaces.operations import dispatch, reconcile
from workspaces.rules import looks

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues")]
ENTRIES: dict[str, Callable[[uuid.UUID], None]] = {
    looks.CONTROL_PLANES: reconcile.look_at_control_planes,
    looks.SERVERS: reconcile.look_at_servers,
    looks.DNS: reconcile.look_at_dns,
    looks.CLUSTER: reconcile.look_at_cluster,
    looks.SEEDING: reconcile.look_at_seeding,
}


def target_of(kind: str, workspace: Workspace) -> uuid.UUID:
    """The key of what such a look is a look at."""
    account, _ = ProviderAccount.objects.get_or_create(organization=workspace.project.organization, name="kestrel")
    targets = {
        "management_cluster": ManagementCluster.objects.get().pk,
        "provider_account": account.pk,
        "workspace": workspace.pk,
    }
    return targets[looks.LOOPS[kind].target]


def test_every_kind_of_look_has_an_entry_and_a_job() -> None:
    assert set(ENTRIES) == set(looks.LOOPS)
    for kind, entry in ENTRIES.items():
        assert entry.__name__ == f"look_at_{kind}"
        assert callable(getattr(jobs, entry.__name__))


@pytest.mark.parametrize("kind", ENTRIES)
def test_a_look_that_somebody_else_is_at_is_left_to_them(world: RunningWorld, kind: str, workspace: Workspace) -> None:
    key = target_of(kind, workspace)
    Look.objects.create(
        kind=kind,
        every=60,
        lease_until=timezone.now() + timedelta(seconds=100),
        **{f"{looks.LOOPS[kind].target}_id": key},
    )
    before = len(world.journal())
    assert written_by(lambda: ENTRIES[kind](key)) == {}
    assert len(world.journal()) == before


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ENTRIES)
def test_a_key_whose_target_is_gone_breaks_nothing(kind: str) -> None:
    ENTRIES[kind](uuid.uuid4())
    assert not Look.objects.exists()


def test_looks_at_dns_and_at_seeded_objects_find_nothing_where_there_is_nothing(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("neither", hosts=0))
    for kind in (looks.DNS, looks.SEEDING):
        ENTRIES[kind](target_of(kind, workspace))
    assert set(Look.objects.values_list("kind", "error_code")) == {(looks.DNS, ""), (looks.SEEDING, "")}


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_dies_in_the_middle_of_a_look_changes_nothing(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("mid-look", hosts=2))
    looking.look()
    rows = [Workspace.objects.values().get(pk=workspace.pk), *workspace.hosts.values()]
    world.fault(service="kubernetes", target="ws-mid-look/mid-look", kind="latency", seconds=2, path="/api/v1/nodes*")
    world.fault(service="kubernetes", target="mid-look-w2", kind="lost_node")
    before = len(world.journal(target="ws-mid-look/mid-look", path="/api/v1/nodes*", method="GET"))
    with harness.workers(queue="reconcile") as running:
        dispatch.fan_out("workspaces.jobs.look_at_cluster", [str(workspace.pk)])
        deadline = time.monotonic() + 30
        while len(world.journal(target="ws-mid-look/mid-look", path="/api/v1/nodes*", method="GET")) == before:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for process in running.processes:
            process.kill()
            process.wait()
    time.sleep(2.5)  # the answer would have come by now, had anybody waited for it
    assert [Workspace.objects.values().get(pk=workspace.pk), *workspace.hosts.values()] == rows
    world.clear_faults()
    django_rq.get_queue("reconcile").empty()
    looking.look()
    assert Workspace.objects.values().get(pk=workspace.pk)["observed_at"] == rows[0]["observed_at"], "it is still at it"
    Look.objects.update(lease_until=timezone.now())
    looking.look()
    assert Workspace.objects.values().get(pk=workspace.pk)["observed_at"] > rows[0]["observed_at"]
    assert condition(workspace, "hosts")[0] in ("true", "false"), "the next round looks again"
