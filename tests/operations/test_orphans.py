"""Servers under our labels that no host has: how they are noticed, adopted, and deleted on a person's word."""

from __future__ import annotations

import threading
import time
import uuid
from datetime import timedelta
from typing import Any

import django_rq
import pytest
from django.db import connection, transaction
from django.utils import timezone

from tests import cast
from tests.operations import harness, hired
from tests.simulators.running import RunningWorld
from workspaces.models import Actor, Event, Host, LeftServer, Operation, ProviderAccount, Workspace
from workspaces.operations import connections, host_removal, left_servers, reconcile
from workspaces.rules import labels
from workspaces.rules.refusal import Refused

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("empty_queues")]
ALICE = Actor("account", "Alice Ahrens")


def labelled(workspace: Workspace, host: uuid.UUID | None = None) -> dict[str, str]:
    return labels.of_host(workspace.pk, host or uuid.uuid4(), uuid.uuid4())


def leave(world: RunningWorld, workspace: Workspace, name: str, **more: Any) -> ProviderAccount:
    """One server with these labels in the project of that name."""
    described = hired.server(f"{name}-w9", "ccx13", workspace, **{"labels": labelled(workspace)} | more)
    return hired.project(world, name, [described])


def look(account: ProviderAccount) -> list[str]:
    """One look; the names of the servers that are left."""
    reconcile.look_at_servers(account.pk)
    return list(account.left_servers.values_list("name", flat=True))


def seen_long_ago(account: ProviderAccount) -> LeftServer:
    """The account's left server, found by two looks."""
    look(account)
    account.left_servers.update(first_seen_at=timezone.now() - timedelta(hours=1))
    look(account)
    return account.left_servers.get()


def work_off() -> None:
    """Run what was handed to the queue, as a worker does."""
    queue = django_rq.get_queue("reconcile")
    for job in queue.jobs:
        assert job.func_name == "workspaces.jobs.delete_left_server"
        left_servers.delete_left_server(uuid.UUID(job.args[0]))
        job.delete()


# --- Noticed ----------------------------------------------------------------------------------------------------------
def test_a_server_of_ours_without_a_host_is_left_and_keeps_the_time_it_was_first_seen(
    world: RunningWorld, workspace: Workspace
) -> None:
    account = leave(world, workspace, "left-over")
    assert look(account) == ["left-over-w9"]
    row = account.left_servers.get()
    assert (row.profile, row.location, row.status) == ("ccx13", "fsn1", "running")
    assert row.labels[labels.WORKSPACE] == str(workspace.pk)
    first = row.first_seen_at
    assert look(account) == ["left-over-w9"]
    row.refresh_from_db()
    assert row.first_seen_at == first
    assert row.observed_at > first


def test_a_server_that_is_not_ours_is_nobodys_business(world: RunningWorld, workspace: Workspace) -> None:
    assert look(leave(world, workspace, "not-ours", labels={"team": "web"})) == []


def test_a_left_server_that_is_gone_is_listed_no_more(world: RunningWorld, workspace: Workspace) -> None:
    account = leave(world, workspace, "soon-gone")
    assert look(account) == ["soon-gone-w9"]
    connections.cloud(account).delete_server(account.left_servers.get().provider_id)
    hosts_wait(account)
    assert look(account) == []


def hosts_wait(account: ProviderAccount) -> None:
    """Until the cloud lists no server any more."""
    while connections.cloud(account).servers():
        pass


def test_a_server_whose_host_is_being_ordered_is_the_orders(world: RunningWorld, workspace: Workspace) -> None:
    host = uuid.uuid4()
    operation = Operation.start(workspace, "host_order", "Order", [], actor=ALICE, parameters={"host": str(host)})
    assert isinstance(operation, Operation)
    account = leave(world, workspace, "on-order", labels=labelled(workspace, host))
    assert look(account) == []
    Operation.objects.update(state="failed")
    assert look(account) == ["on-order-w9"]


def test_a_host_that_does_not_know_its_server_is_given_it(world: RunningWorld, workspace: Workspace) -> None:
    host = workspace.hosts.get(name="ledger-prod-w1")
    account = leave(world, workspace, "adopted", labels=labelled(workspace, host.pk))
    Host.objects.filter(pk=host.pk).update(provider_account=account, provider_status="", profile="")
    assert look(account) == []
    host.refresh_from_db()
    (server,) = connections.cloud(account).servers()
    assert (host.provider_id, host.provider_status, host.profile, host.disk_gb) == (server.id, "running", "ccx13", 80)


def test_a_host_is_not_given_a_server_while_its_order_runs(world: RunningWorld, workspace: Workspace) -> None:
    host = workspace.hosts.get(name="ledger-prod-w1")
    account = leave(world, workspace, "not-yet", labels=labelled(workspace, host.pk))
    Host.objects.filter(pk=host.pk).update(provider_account=account)
    Operation.start(workspace, "host_order", "Order", [], actor=ALICE, parameters={"host": str(host.pk)})
    assert look(account) == []
    host.refresh_from_db()
    assert host.provider_id is None


def test_the_second_server_of_one_host_is_left(world: RunningWorld, workspace: Workspace) -> None:
    host = workspace.hosts.get(name="ledger-prod-w1")
    both = labelled(workspace, host.pk)
    described = [hired.server(f"double-w{n}", "ccx13", workspace, labels=both) for n in (1, 2)]
    account = hired.project(world, "double", described)
    first = min(connections.cloud(account).servers(), key=lambda one: one.id)
    Host.objects.filter(pk=host.pk).update(provider_account=account, provider_id=first.id)
    assert look(account) == ["double-w2"]


def test_a_server_that_a_host_of_another_account_has_is_not_left(world: RunningWorld, workspace: Workspace) -> None:
    account = leave(world, workspace, "two-tokens")
    (server,) = connections.cloud(account).servers()
    other = ProviderAccount.objects.create(organization=account.organization, name="same-project", token="t")
    workspace.hosts.filter(name="ledger-prod-w1").update(provider_account=other, provider_id=server.id)
    assert look(account) == []


def test_a_look_that_fails_leaves_what_was_seen(world: RunningWorld, workspace: Workspace) -> None:
    account = leave(world, workspace, "unseen")
    assert look(account) == ["unseen-w9"]
    world.fault(service="hetzner", target="unseen", kind="expired_token")
    assert look(account) == ["unseen-w9"]
    account.refresh_from_db()
    assert account.error_code == "credential"


def test_a_host_that_is_removed_during_a_look_does_not_end_it(world: RunningWorld) -> None:
    workspace = hired.joined(world, "half-look")
    account = workspace.hosts.all()[0].provider_account
    workspace.hosts.update(provider_status="")
    deleted = threading.Event()

    def remove() -> None:
        """In a transaction of its own, which ends once the look waits for the row that it has read before."""
        waits_for_us = "SELECT count(*) FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid"
        deadline = time.monotonic() + 30
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                Host.objects.filter(name="half-look-w1").delete()
                deleted.set()
                while cursor.execute(waits_for_us).fetchone() == (0,):
                    assert time.monotonic() < deadline, "the look has not met the row that is being deleted"
                    time.sleep(0.02)
        finally:
            connection.close()

    removal = threading.Thread(target=remove)
    removal.start()
    assert deleted.wait(30)
    reconcile.look_at_servers(account.pk)
    removal.join()
    assert list(workspace.hosts.values_list("name", "provider_status")) == [("half-look-w2", "running")]


# --- Deleted ----------------------------------------------------------------------------------------------------------
def test_a_left_server_is_deleted_on_a_persons_word_and_the_trail_says_what_it_cost(world: RunningWorld) -> None:
    workspace = hired.joined(world, "paid-for", hosts=1)
    account = leave(world, workspace, "paid-for")
    left = seen_long_ago(account)
    assert left_servers.delete_left(left, confirm_name="paid-for-w9", actor=ALICE) is None
    assert account.left_servers.get().status == "deleting"
    work_off()
    assert account.left_servers.count() == 0
    deadline = time.monotonic() + 30
    while len(hired.servers(workspace)) > 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [one.name for one in hired.servers(workspace)] == ["paid-for-w1"]
    assert list(
        Event.objects.filter(action__startswith="server.").order_by("id").values_list("actor_name", "action", "summary")
    ) == [
        (
            "Alice Ahrens",
            "server.deletion_requested",
            f"Asked for the deletion of server paid-for-w9 ({left.provider_id}), which no host has",
        ),
        (
            "Alice Ahrens",
            "server.deleted",
            f"Deleted server paid-for-w9 ({left.provider_id}), ccx13 in fsn1: "
            "14.99 EUR a month at most is not paid any more",
        ),
    ]
    assert set(Event.objects.filter(action__startswith="server.").values_list("organization_id", flat=True)) == {
        account.organization_id
    }


def test_the_name_has_to_be_typed(world: RunningWorld, workspace: Workspace) -> None:
    left = seen_long_ago(leave(world, workspace, "typed"))
    refused = left_servers.delete_left(left, confirm_name="typed-w8", actor=ALICE)
    assert isinstance(refused, Refused)
    assert refused.code == "wrong_name"
    assert django_rq.get_queue("reconcile").count == 0


def test_one_look_is_not_enough(world: RunningWorld, workspace: Workspace) -> None:
    account = leave(world, workspace, "glimpsed")
    look(account)
    look(account)
    refused = left_servers.delete_left(account.left_servers.get(), confirm_name="glimpsed-w9", actor=ALICE)
    assert isinstance(refused, Refused)
    assert refused.code == "seen_once"
    account.left_servers.update(first_seen_at=timezone.now() - timedelta(hours=1))
    LeftServer.objects.update(observed_at=account.left_servers.get().first_seen_at)
    refused = left_servers.delete_left(account.left_servers.get(), confirm_name="glimpsed-w9", actor=ALICE)
    assert isinstance(refused, Refused)
    assert refused.code == "seen_once", "long ago, and once"


def test_a_server_that_has_become_a_hosts_is_never_deleted(world: RunningWorld, workspace: Workspace) -> None:
    account = leave(world, workspace, "taken-back")
    left = seen_long_ago(account)
    assert left_servers.delete_left(left, confirm_name="taken-back-w9", actor=ALICE) is None
    workspace.hosts.filter(name="ledger-prod-w1").update(provider_account=account, provider_id=left.provider_id)
    work_off()
    assert [one.status for one in connections.cloud(account).servers()] == ["running"]
    assert account.left_servers.get().status == "running"
    refused = left_servers.delete_left(left, confirm_name="taken-back-w9", actor=ALICE)
    assert isinstance(refused, Refused)
    assert refused.code == "has_host"
    assert look(account) == []


def test_a_server_that_is_ordered_again_meanwhile_is_not_deleted(world: RunningWorld, workspace: Workspace) -> None:
    host = uuid.uuid4()
    left = seen_long_ago(leave(world, workspace, "again", labels=labelled(workspace, host)))
    Operation.start(workspace, "host_order", "Order", [], actor=ALICE, parameters={"host": str(host)})
    refused = left_servers.refuse(left)
    assert isinstance(refused, Refused)
    assert refused.code == "being_ordered"


def test_a_server_of_another_installation_is_not_ours_to_delete(world: RunningWorld, workspace: Workspace) -> None:
    stranger = labels.of_host(uuid.uuid4(), uuid.uuid4(), uuid.uuid4())
    left = seen_long_ago(leave(world, workspace, "neighbours", labels=stranger))
    refused = left_servers.delete_left(left, confirm_name="neighbours-w9", actor=ALICE)
    assert isinstance(refused, Refused)
    assert refused.code == "other_installation"


def test_what_the_provider_refuses_stays_listed(world: RunningWorld, workspace: Workspace) -> None:
    account = leave(world, workspace, "kept")
    left = seen_long_ago(account)
    server = connections.cloud(account)._client.servers.get_by_id(left.provider_id)
    server.change_protection(delete=True, rebuild=True)
    assert left_servers.delete_left(left, confirm_name="kept-w9", actor=ALICE) is None
    work_off()
    assert account.left_servers.get().status == "running"
    assert not Event.objects.filter(action="server.deleted").exists()
    assert look(account) == ["kept-w9"]


def test_a_server_that_went_by_itself_is_listed_no_more_and_not_called_deleted(
    world: RunningWorld, workspace: Workspace
) -> None:
    account = leave(world, workspace, "went-away")
    left = seen_long_ago(account)
    connections.cloud(account).delete_server(left.provider_id)
    hosts_wait(account)
    assert left_servers.delete_left(left, confirm_name="went-away-w9", actor=ALICE) is None
    work_off()
    assert account.left_servers.count() == 0
    assert not Event.objects.filter(action="server.deleted").exists()
    assert isinstance(left_servers.delete_left(left, confirm_name="went-away-w9", actor=ALICE), Refused)


def test_a_removal_leaves_nothing_behind(world: RunningWorld, catalogue_rows: Any) -> None:
    workspace = hired.joined(world, "all-clean")
    host = workspace.hosts.get(name="all-clean-w2")
    operation = host_removal.start(host, confirm_name="all-clean-w2", actor=ALICE)
    assert isinstance(operation, Operation)
    assert harness.drive(operation).state == "succeeded"
    assert look(ProviderAccount.objects.get(name="all-clean")) == []
    assert cast.organization("Kestrel Freight").provider_accounts.count() == 1
