"""What a worker sees of a workspace before its deletion: by name, and who did not answer."""

from __future__ import annotations

import django_rq
import pytest
from django.utils import timezone

from tests.operations import deleting
from tests.simulators.running import RunningWorld
from workspaces import jobs
from workspaces.models import Inventory, ProviderAccount, Workspace
from workspaces.operations import inventory
from workspaces.rules import labels
from workspaces.rules.deletion_plan import Item

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues")]


def look(workspace: Workspace) -> tuple[list[Item], list]:
    fresh = Workspace.objects.select_related("project", "management_cluster").get(pk=workspace.pk)
    return inventory.look(fresh, timezone.now())


def told(items: list[Item], name: str) -> list[tuple[str, str, str, bool]]:
    return sorted((one.kind, one.name.removeprefix(name), one.detail, one.ours) for one in items)


def test_everything_under_the_label_and_what_hangs_on_its_servers_is_named(world: RunningWorld) -> None:
    workspace = deleting.whole(world, "inv-all")
    items, not_asked = look(workspace)
    first = workspace.hosts.order_by("name")[0].name
    assert not_asked == []
    assert told(items, "inv-all") == [
        ("control_plane", "", "Kamaji tenant ws-inv-all/inv-all, data in DataStore default (etcd)", True),
        ("load_balancer", "-lb", f"lb11 in fsn1, address 203.0.112.10, sends to {first}", True),
        ("namespace", "ws-inv-all", "", True),
        ("placement_group", "-spread", "empty", True),
        ("primary_ip", "-ip", "203.0.112.44 in fsn1, of no server", True),
        ("volume", "-data", f"40 GB in fsn1, attached to {first}", True),
        ("volume", "-other", f"10 GB in fsn1, attached to {first}", False),
    ]
    costs = {one.name.removeprefix("inv-all"): one.cost and f"{one.cost.listed:.2f}" for one in items if one.account}
    assert costs == {"-lb": "6.49", "-spread": None, "-ip": "0.50", "-data": "1.76", "-other": "0.44"}


def test_a_refused_token_hides_its_parts_and_nothing_else(world: RunningWorld) -> None:
    workspace = deleting.whole(world, "inv-token")
    ProviderAccount.objects.filter(name="inv-token").update(token="x" * 64)
    items, (silent,) = look(workspace)
    assert sorted(one.kind for one in items) == ["control_plane", "namespace"]
    assert silent.what == "Account inv-token"
    assert (sorted(silent.parts), silent.code) == (["hosts", "load_balancers", "volumes"], "credential")
    assert silent.who_can_fix == "The operator of the platform, by storing a valid credential."


def test_a_management_cluster_that_is_away_hides_what_is_on_it(world: RunningWorld) -> None:
    workspace = deleting.whole(world, "inv-away")
    cluster = workspace.management_cluster
    assert cluster is not None
    world.fault(service="kubernetes", target=cluster.name, kind="status", status=503)
    try:
        items, not_asked = look(workspace)
    finally:
        world.clear_faults()
    assert {one.kind for one in items} >= {"volume", "load_balancer"}
    assert [one.parts for one in not_asked] == [("control_plane", "data_store"), ("namespace",)]
    volume = next(one for one in items if one.name == "inv-away-data")
    assert volume.detail.endswith(", claim not known: the cluster does not answer")


def test_a_volume_is_told_with_its_claim_also_where_only_the_claim_knows_it(world: RunningWorld) -> None:
    from workspaces.operations import connections

    workspace = deleting.whole(world, "inv-claims")
    world.add({"hetzner_projects": [{"name": "inv-claims", "volumes": [{"name": "pvc-7", "size": 5}]}]})
    items, _ = look(workspace)
    assert "pvc-7" not in {one.name for one in items}
    ids = {one.name: one.ref for one in items if one.kind == "volume"}
    from workspaces.providers.hetzner_kept import Kept

    account = ProviderAccount.objects.get(name="inv-claims")
    ids |= {one.name: str(one.id) for one in Kept(connections.cloud(account)).things("volume")}
    with connections.tenant(workspace) as cluster:
        for name, claim in (("inv-claims-data", "orders"), ("pvc-7", "cache")):
            volume = {
                "metadata": {"name": f"pv-{claim}"},
                "spec": {
                    "capacity": {"storage": "5Gi"},
                    "accessModes": ["ReadWriteOnce"],
                    "csi": {"driver": "csi.hetzner.cloud", "volumeHandle": ids[name]},
                    "claimRef": {"namespace": "shop", "name": claim},
                },
            }
            cluster._core.create_persistent_volume(volume)
    found = {one.name: one for one in look(workspace)[0] if one.kind == "volume"}
    assert found["inv-claims-data"].detail.endswith(", claim shop/orders")
    assert found["pvc-7"].detail == "5 GB in fsn1, not attached, claim shop/cache"
    assert (found["pvc-7"].ours, found["pvc-7"].note) == (
        False,
        "It is not under this workspace's label: it stays, and goes on costing.",
    )


def test_every_account_of_the_organization_is_asked_and_every_page_read(world: RunningWorld) -> None:
    workspace = deleting.whole(world, "inv-many")
    own = {labels.WORKSPACE: str(workspace.pk)}
    volumes = [{"name": f"many-{number}", "labels": own} for number in range(51)]
    project = {"name": "inv-other", "token": "o" * 64, "volumes": volumes}
    world.add({"hetzner_projects": [project]})
    account = ProviderAccount.objects.get(name="inv-many")
    ProviderAccount.objects.create(
        organization=account.organization, name="inv-other", token="o" * 64, endpoint=account.endpoint
    )
    items, not_asked = look(workspace)
    assert not_asked == []
    assert sum(one.account_name == "inv-other" for one in items) == 51


# --- The row ----------------------------------------------------------------------------------------------------------
def test_asking_twice_sends_one_worker_and_taking_stores_what_was_seen(
    world, alice, django_capture_on_commit_callbacks
):
    from workspaces.models import Actor

    workspace = deleting.whole(world, "inv-asked")
    with django_capture_on_commit_callbacks(execute=True):
        inventory.ask(workspace, Actor.of(alice))
        row = inventory.ask(workspace, Actor.of(alice))
    waiting = [(job.func_name, job.args[0]) for job in django_rq.get_queue("ticks").jobs]
    assert waiting == [("workspaces.jobs.take_inventory", str(workspace.pk))]
    assert row.is_under_way(timezone.now())
    jobs.take_inventory(str(workspace.pk))
    row.refresh_from_db()
    assert row.is_fresh(timezone.now())
    assert len(row.found) == 7


def test_a_late_look_brings_no_row_back(world, workspace) -> None:
    jobs.take_inventory(str(workspace.pk))
    assert not Inventory.objects.exists()
    Inventory.objects.create(workspace=workspace)
    Workspace.objects.filter(pk=workspace.pk).update(state="deleted")
    jobs.take_inventory(str(workspace.pk))
    assert Inventory.objects.get().looked_at is None
