"""What an order spends, in the simulated world: one server or none, at the confirmed price, come what may."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.operations import harness, hired
from tests.operations.ordering import (
    ALICE,
    SERVERS,
    cluster,
    is_nothing_left,
    orders,
    run_until,
    start,
)
from tests.simulators.running import RunningWorld
from workspaces.models import Event, Host, ProfileLocation, ProviderAccount, Step
from workspaces.operations import connections, engine, plans
from workspaces.rules import labels

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("empty_queues", "catalogue_rows"),
    pytest.mark.timeout(300),
]


def test_hosts_of_a_workspace_are_kept_on_different_machines(world: RunningWorld) -> None:
    workspace = cluster(world, "spread-out")
    account = workspace.provider_account
    assert account is not None
    for name in ("spread-out-w2", "spread-out-w3"):
        operation = start(workspace, name)
        run_until(operation, "reach")
        assert operation.request_stop(ALICE) is None
        harness.drive(operation)
    (group,) = connections.cloud(account).placement_groups()
    assert (group.name, group.servers) == ("loopback-spread-out-1", 2)
    assert len(hired.servers(workspace)) == 2
    keys = world.journal(target=workspace.name, method="POST", path="/v1/ssh_keys")
    assert [one["status"] for one in keys] == [201]


def test_a_group_of_another_workspace_and_one_without_room_are_not_taken(world: RunningWorld) -> None:
    workspace = cluster(world, "group-without-room")
    assert workspace.provider_account is not None
    cloud = connections.cloud(workspace.provider_account)
    cloud.placement_group("loopback-group-without-room-1", {labels.WORKSPACE: "another"})
    full = cloud.placement_group("loopback-group-without-room-2", {labels.WORKSPACE: str(workspace.pk)})
    for number in range(10):
        cloud.create_server(
            name=f"f{number}", server_type="cx23", location="fsn1", image="debian-13", labels={}, ssh_keys=[],
            user_data="", placement_group=full,
        )  # fmt: skip
    operation = start(workspace)
    run_until(operation, "create")
    assert operation.steps.get(key="placement").message == "loopback-group-without-room-3, which is new"


# --- Whatever is lost on the way --------------------------------------------------------------------------------------
def test_a_lost_answer_orders_no_second_server(world: RunningWorld) -> None:
    workspace = cluster(world, "lost-answer")
    world.fault(service="hetzner", target="lost-answer", kind="lost_answer", method="POST", path=SERVERS, times=1)
    operation = start(workspace)
    run_until(operation, "reach")
    assert len(hired.servers(workspace)) == 1
    assert len(orders(world, workspace)) == 1
    create = operation.steps.get(key="create")
    assert (create.attempts, create.message.endswith("is there")) == (2, True)


def test_a_server_that_the_label_did_not_find_is_found_when_its_name_is_taken(world: RunningWorld) -> None:
    workspace = cluster(world, "late-label")
    operation = start(workspace)
    run_until(operation, "create")
    account = workspace.provider_account
    assert account is not None
    host = operation.parameters["host"]
    cloud = connections.cloud(account)
    slow = {"service": "hetzner", "target": "late-label", "kind": "latency", "method": "POST", "path": SERVERS}
    world.fault(**slow, seconds=1.5, times=1)

    def earlier_request() -> None:
        """That of an earlier try, which arrives after the label was looked for and while this one is on its way."""
        while any(fault["kind"] == "latency" and fault["times"] for fault in world.faults()):
            time.sleep(0.05)
        cloud.create_server(
            name="late-label-w2", server_type="ccx13", location="fsn1", image="debian-13", ssh_keys=[], user_data="",
            labels=labels.of_host(workspace.pk, host, operation.pk), placement_group=None,
        )  # fmt: skip

    earlier = threading.Thread(target=earlier_request)
    earlier.start()
    engine.run_one_step(operation.pk, plans.find)
    earlier.join()
    assert sorted(orders(world, workspace)) == [201, 409]
    (server,) = hired.servers(workspace)
    assert workspace.hosts.get(pk=host).provider_id == server.id


def test_a_server_that_reconciliation_saw_first_is_on_the_trail_as_well(world: RunningWorld) -> None:
    workspace = cluster(world, "seen-first")
    operation = start(workspace)
    run_until(operation, "create")
    world.fault(service="hetzner", target="seen-first", kind="lost_answer", method="POST", path=SERVERS, times=1)
    engine.run_one_step(operation.pk, plans.find)
    (server,) = hired.servers(workspace)
    Host.objects.filter(pk=operation.parameters["host"]).update(provider_id=server.id)
    run_until(operation, "running")
    assert Event.objects.filter(action="host.ordered", operation_id=operation.pk).count() == 1
    assert orders(world, workspace) == [201]


# --- What is refused leaves nothing -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "kind", "code", "words", "who"),
    [
        ("sold-out", "sold_out", "no_capacity", "It is available in ash, hel1, hil, nbg1.", "at another location"),
        ("over-limit", "resource_limit", "quota", "Nothing was ordered.", "raising its server limit"),
        ("bad-token", "expired_token", "credential", "Nothing was ordered.", "valid credential"),
    ],
)
def test_a_refusal_is_told_apart_and_leaves_no_server_and_no_host(
    world: RunningWorld, name: str, kind: str, code: str, words: str, who: str
) -> None:
    workspace = cluster(world, name)
    world.fault(service="hetzner", target=name, kind=kind, method="POST", path=SERVERS, times=1)
    operation = harness.drive(start(workspace))
    assert (operation.state, operation.error_code) == ("failed", code)
    assert words in operation.error_message
    assert who in operation.error_who_can_fix
    assert is_nothing_left(workspace)
    assert operation.irreversible_since is None
    workspace.refresh_from_db()
    assert workspace.host_count == 1


def test_an_image_that_the_project_does_not_know_is_a_setting_to_be_corrected(world: RunningWorld) -> None:
    workspace = cluster(world, "bad-image")
    ProviderAccount.objects.filter(name="bad-image").update(image="debian-99")
    operation = harness.drive(start(workspace))
    assert (operation.state, operation.error_code) == ("failed", "configuration")
    assert "image not found" in operation.error_message
    assert is_nothing_left(workspace)


def test_the_name_of_somebody_elses_server_is_taken(world: RunningWorld) -> None:
    theirs = {"name": "Name-Taken-w2", "server_type": "cx23", "location": "fsn1", "image": "debian-13"}
    workspace = cluster(world, "name-taken", servers=[theirs | {"name": "name-taken-w2"}])
    operation = harness.drive(start(workspace))
    assert (operation.state, operation.error_code) == ("failed", "name_taken")
    assert operation.error_message == ("The cloud account has another server named name-taken-w2. Nothing was ordered.")
    assert [server.server_type for server in hired.servers(workspace)] == ["cx23"]
    assert workspace.hosts.count() == 1


def test_a_node_of_that_name_that_is_no_host_is_not_taken_for_it(world: RunningWorld) -> None:
    workspace = cluster(world, "left-node")
    Host.objects.filter(workspace=workspace).update(name="renamed")
    operation = harness.drive(start(workspace, "left-node-w1"))
    assert (operation.state, operation.error_code) == ("failed", "name_taken")
    assert orders(world, workspace) == []


def test_after_a_refusal_the_order_goes_on_when_there_is_room_again(world: RunningWorld) -> None:
    workspace = cluster(world, "room-again")
    world.fault(service="hetzner", target="room-again", kind="sold_out", method="POST", path=SERVERS, times=1)
    operation = harness.drive(start(workspace))
    assert operation.error_code == "no_capacity"
    assert operation.retry(ALICE) is None
    run_until(operation, "reach")
    assert len(hired.servers(workspace)) == 1


def test_a_server_that_could_not_be_made_is_deleted_and_so_is_its_host(world: RunningWorld) -> None:
    workspace = cluster(world, "came-to-nothing")
    world.fault(service="hetzner", target="came-to-nothing", kind="action_failed", method="POST", path=SERVERS, times=1)
    operation = harness.drive(start(workspace), harness.twice)
    assert (operation.state, operation.error_code) == ("failed", "cloud_api")
    assert operation.error_message == (
        "Hetzner Cloud could not make the server: Action failed (action_failed). "
        "It was deleted, and nothing is left to pay."
    )
    assert is_nothing_left(workspace)
    assert operation.retry(ALICE) is None
    harness.drive(operation)
    assert (operation.state, operation.error_code) == ("failed", "not_found")
    assert is_nothing_left(workspace)


# --- What changed since the click -------------------------------------------------------------------------------------
@pytest.fixture
def sells(world: RunningWorld) -> Iterator[Any]:
    """Changes what the simulated Hetzner sells, for the length of a test."""
    yield lambda **types: world.add({"hetzner_types": types})
    world.add({"hetzner_types": {}})


def test_another_price_than_the_confirmed_one_orders_nothing(world: RunningWorld, sells: Any) -> None:
    workspace = cluster(world, "dearer")
    operation = start(workspace)
    sells(ccx13={"monthly": "17.00"})
    harness.drive(operation)
    assert (operation.state, operation.error_code) == ("failed", "price_changed")
    assert "14.99 EUR a month at most was confirmed, it is 17.50 EUR a month at most now" in operation.error_message
    assert "monthly 14.49 EUR, now 17 EUR" in operation.error_message
    assert is_nothing_left(workspace)
    assert orders(world, workspace) == []


def test_what_was_sold_out_since_says_where_it_is_available(world: RunningWorld, sells: Any) -> None:
    workspace = cluster(world, "gone-since")
    operation = start(workspace)
    sells(ccx13={"available": ["hel1", "nbg1"]})
    harness.drive(operation)
    assert (operation.state, operation.error_code) == ("failed", "no_capacity")
    assert operation.error_message == ("ccx13 is not available in fsn1 at the moment. It is available in hel1, nbg1.")
    assert orders(world, workspace) == []


def test_a_type_that_is_withdrawn_since_is_not_ordered(world: RunningWorld, sells: Any) -> None:
    workspace = cluster(world, "withdrawn-since")
    operation = start(workspace)
    sells(ccx13={"withdrawn": True})
    harness.drive(operation)
    assert (operation.state, operation.error_code) == ("failed", "inactive_profile")
    assert orders(world, workspace) == []


def test_an_order_continued_long_after_is_confirmed_again_before_it_costs(world: RunningWorld, sells: Any) -> None:
    workspace = cluster(world, "next-day")
    world.fault(service="hetzner", target="next-day", kind="sold_out", method="POST", path=SERVERS, times=1)
    operation = harness.drive(start(workspace))
    assert operation.error_code == "no_capacity"
    Step.objects.filter(operation=operation, key="check").update(finished_at=timezone.now() - timedelta(days=1))
    sells(ccx13={"monthly": "17.00"})
    assert operation.retry(ALICE) is None
    harness.drive(operation)
    assert (operation.state, operation.error_code) == ("failed", "price_changed")
    assert is_nothing_left(workspace)
    assert orders(world, workspace) == [412]


def test_a_provider_that_cannot_be_asked_sells_nothing(world: RunningWorld) -> None:
    workspace = cluster(world, "not-asked")
    operation = start(workspace)
    world.fault(service="hetzner", target="not-asked", kind="status", status=503)
    engine.run_one_step(operation.pk, plans.find)
    operation.refresh_from_db()
    assert (operation.state, operation.steps.get(key="check").cause) == ("waiting", "cloud_api")
    rows = ProfileLocation.objects.filter(profile__provider_account=workspace.provider_account)
    assert set(rows.values_list("available", flat=True)) == {None}
    world.clear_faults()
    harness.drive(operation)
    assert operation.state == "succeeded", harness.story(operation)


def test_an_order_that_begins_while_nothing_is_known_is_asked_first(world: RunningWorld) -> None:
    workspace = cluster(world, "asked-first")
    ProfileLocation.objects.update(available=None)
    operation = start(workspace)
    run_until(operation, "ssh_key")
    assert operation.steps.get(key="check").message == "available, 14.99 EUR a month at most"


# --- Stopping ---------------------------------------------------------------------------------------------------------
def test_a_stop_in_the_middle_leaves_a_host_that_knows_its_server(world: RunningWorld) -> None:
    workspace = cluster(world, "stopped")
    operation = start(workspace)
    run_until(operation, "create")
    world.fault(service="hetzner", target="stopped", kind="lost_answer", method="POST", path=SERVERS, times=1)
    engine.run_one_step(operation.pk, plans.find)
    assert operation.request_stop(ALICE) is None
    harness.drive(operation)
    assert operation.state == "stopped"
    assert operation.steps.get(key="create").state == "done"
    (server,) = hired.servers(workspace)
    host = workspace.hosts.get(name="stopped-w2")
    assert (host.provider_id, host.node_name, host.ready) == (server.id, "", None)


def test_a_stop_before_it_costs_leaves_nothing(world: RunningWorld) -> None:
    workspace = cluster(world, "stopped-early")
    operation = start(workspace)
    engine.run_one_step(operation.pk, plans.find)
    assert operation.request_stop(ALICE) is None
    harness.drive(operation)
    assert operation.state == "stopped"
    assert is_nothing_left(workspace)
