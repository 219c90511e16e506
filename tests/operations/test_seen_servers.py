"""The look at a provider account: what it writes of hosts, what is wanted of their servers, and what is set back.

Servers that no host has are test_orphans.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hcloud.server_types import ServerType

from tests import cast
from tests.operations import hired
from tests.operations.looking import condition, written_by
from tests.simulators.running import RunningWorld
from workspaces.models import Actor, Drift, Event, Host, Operation, ProviderAccount, Workspace
from workspaces.operations import connections, drift, reconcile
from workspaces.rules import labels

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues")]
ALICE = Actor("account", "Alice Ahrens")


def look(account: ProviderAccount) -> None:
    reconcile.look_at_servers(account.pk)


def on_servers(world: RunningWorld, name: str, *, hosts: int = 2, kind: str = "ccx13") -> Workspace:
    """A workspace whose hosts are servers of the project that has its name, as the platform has ordered them."""
    workspace = cast.kubernetes(name, hosts=hosts)
    made = list(workspace.hosts.all())
    ours = {host.name: {labels.WORKSPACE: str(workspace.pk), labels.HOST: str(host.pk)} for host in made}
    described = [hired.server(host.name, kind, workspace, labels=ours[host.name]) for host in made]
    account = hired.project(world, name, described)
    ids = {server.name: server.id for server in connections.cloud(account).servers()}
    for host in made:
        Host.objects.filter(pk=host.pk).update(provider_account=account, provider_id=ids[host.name])
    return workspace


def account_of(workspace: Workspace) -> ProviderAccount:
    return ProviderAccount.objects.get(name=workspace.name)


def server_of(host: Host) -> Any:
    """The provider's own object of it, with which its owner may do anything."""
    host.refresh_from_db()
    assert host.provider_account is not None
    return connections.cloud(host.provider_account)._client.servers.get_by_id(host.provider_id)


def drifts(workspace: Workspace) -> list[tuple[Any, ...]]:
    """Open drift: host, field, wanted, seen, actor, policy."""
    rows = Drift.objects.open().filter(workspace=workspace).order_by("host__name", "field")
    return list(rows.values_list("host__name", "field", "wanted", "seen", "actor", "policy"))


# --- What is seen -----------------------------------------------------------------------------------------------------
def test_servers_are_written_with_what_the_cloud_says(world: RunningWorld) -> None:
    workspace = on_servers(world, "as-listed", hosts=3)
    second, third = workspace.hosts.all()[1:]
    server_of(second).power_off().wait_until_finished()
    Host.objects.filter(pk=third.pk).update(provider_id=999_999, profile="ccx23", location="fsn1")
    Host.objects.update(provider_status="")
    look(account_of(workspace))
    assert list(workspace.hosts.values_list("name", "provider_status", "profile", "location", "disk_gb")) == [
        ("as-listed-w1", "running", "ccx13", "fsn1", 80),
        ("as-listed-w2", "off", "ccx13", "fsn1", 80),
        ("as-listed-w3", "gone", "ccx23", "fsn1", None),
    ]
    account = account_of(workspace)
    assert account.observed_at is not None
    assert condition(workspace, "servers") == ("false", "gone")


@pytest.mark.parametrize("number", [3, 60])
def test_a_second_look_at_an_unchanged_account_is_the_same_few_queries_and_writes_no_row(
    world: RunningWorld, number: int
) -> None:
    workspace = on_servers(world, f"unchanged-{number}", hosts=number)
    account = account_of(workspace)
    assert written_by(lambda: look(account))["host"] == number
    asked = len(world.journal(service="hetzner", target=account.name))
    with CaptureQueriesContext(connection) as captured:
        again = written_by(lambda: look(account))
    assert again == {"look": 2, "provideraccount": 1}
    queries = [query["sql"] for query in captured if "pg_stat" not in query["sql"] and "SAVEPOINT" not in query["sql"]]
    assert len(queries) == 12, "\n".join(query[:150] for query in queries)
    assert len(world.journal(service="hetzner", target=account.name)) - asked == -(-number // 50), "a call a page"


def test_only_the_host_that_changed_is_written(world: RunningWorld) -> None:
    workspace = on_servers(world, "one-server-of-three", hosts=3)
    look(account_of(workspace))
    server_of(workspace.hosts.all()[1]).power_off().wait_until_finished()
    written = written_by(lambda: look(account_of(workspace)))
    assert (written["host"], written["drift"], written["workspace"]) == (1, 1, 1)


def test_a_refused_token_is_on_the_account_and_on_every_workspace_with_a_server_there(
    world: RunningWorld, metal: Workspace
) -> None:
    workspace = on_servers(world, "refused")
    account = account_of(workspace)
    look(account)
    assert condition(workspace, "servers") == ("true", "running")
    world.fault(service="hetzner", target="refused", kind="expired_token")
    look(account)
    account.refresh_from_db()
    assert account.error_code == "credential"
    assert account.error_since is not None
    assert "refused".ljust(64, "0") not in account.error_message
    assert condition(workspace, "servers") == ("unknown", "credential")
    metal.refresh_from_db()
    assert metal.attention == ""
    world.clear_faults()
    look(account)
    assert condition(workspace, "servers") == ("true", "running")
    account.refresh_from_db()
    assert (account.error_code, account.error_since) == ("", None)


# --- What is wanted ---------------------------------------------------------------------------------------------------
def test_the_first_look_says_what_is_wanted_and_later_ones_do_not(world: RunningWorld) -> None:
    workspace = on_servers(world, "servers-as-found", hosts=1)
    host = workspace.hosts.get()
    look(account_of(workspace))
    ours = {"loopback/workspace": str(workspace.pk), "loopback/host": str(host.pk)}
    host.refresh_from_db()
    assert host.wanted == {"server_type": "ccx13", "name": "servers-as-found-w1", "labels": ours}
    server = server_of(host)
    server.update(labels={**ours, "team": "web"})
    server.power_off().wait_until_finished()
    look(account_of(workspace))
    host.refresh_from_db()
    assert host.wanted == {"server_type": "ccx13", "name": "servers-as-found-w1", "labels": ours}
    assert drifts(workspace) == [
        ("servers-as-found-w1", "power", "running", "off", "Hetzner Cloud action stop_server", "decide")
    ], "a label of somebody else is nobody's business"


def test_nothing_is_taken_told_or_set_back_under_an_open_operation(world: RunningWorld) -> None:
    workspace, fresh = on_servers(world, "servers-in-work", hosts=1), on_servers(world, "servers-not-yet-seen", hosts=1)
    look(account_of(workspace))
    for each in (workspace, fresh):
        assert isinstance(Operation.start(each, "upgrade", "Upgrade", [], actor=ALICE), Operation)
    server_of(workspace.hosts.get()).update(name="renamed", labels={})
    server_of(workspace.hosts.get()).power_off().wait_until_finished()
    look(account_of(workspace))
    look(account_of(fresh))
    assert workspace.hosts.get().provider_status == "off", "what is seen is written"
    assert fresh.hosts.get().wanted == {}
    assert drifts(workspace) == []
    assert server_of(workspace.hosts.get()).name == "renamed"
    Operation.objects.update(state="succeeded")
    look(account_of(workspace))
    look(account_of(fresh))
    assert fresh.hosts.get().wanted["server_type"] == "ccx13"
    assert [field for _, field, *_ in drifts(workspace)] == [
        "labels.loopback/host",
        "labels.loopback/workspace",
        "name",
        "power",
    ]


# --- Drift ------------------------------------------------------------------------------------------------------------
def test_a_name_and_labels_of_ours_are_set_back_and_others_labels_stay(world: RunningWorld) -> None:
    workspace = on_servers(world, "renamed", hosts=1)
    host = workspace.hosts.get()
    look(account_of(workspace))
    server_of(host).update(name="something-else", labels={"team": "web", "loopback/host": "nobody"})
    look(account_of(workspace))
    server = server_of(host)
    assert (server.name, server.labels) == (
        "renamed-w1",
        {"team": "web", "loopback/host": str(host.pk), "loopback/workspace": str(workspace.pk)},
    )
    events = Event.objects.filter(action="drift.repaired", workspace_id=workspace.pk)
    assert events.count() == 3
    look(account_of(workspace))
    assert drifts(workspace) == []
    assert set(Drift.objects.values_list("ending", flat=True)) == {"repaired"}


def test_another_type_is_told_with_the_action_that_made_it(world: RunningWorld) -> None:
    workspace = on_servers(world, "resized", hosts=1)
    host = workspace.hosts.get()
    look(account_of(workspace))
    server = server_of(host)
    server.power_off().wait_until_finished()
    server.change_type(ServerType(name="ccx23"), upgrade_disk=False).wait_until_finished()
    server_of(host).power_on().wait_until_finished()
    look(account_of(workspace))
    assert drifts(workspace) == [
        ("resized-w1", "server_type", "ccx13", "ccx23", "Hetzner Cloud action change_server_type", "tell")
    ]
    assert workspace.hosts.get().profile == "ccx23"


def test_a_server_that_was_switched_off_is_switched_on_once_somebody_decides_so(world: RunningWorld) -> None:
    workspace = on_servers(world, "switched-off", hosts=2)
    look(account_of(workspace))
    server_of(workspace.hosts.all()[0]).power_off().wait_until_finished()
    look(account_of(workspace))
    assert [field for _, field, *_ in drifts(workspace)] == ["power"]
    assert drift.decide(Drift.objects.get(), "converge", ALICE) is None
    look(account_of(workspace))
    assert hired.types(workspace)["switched-off-w1"][1] in ("starting", "running")
    for _ in range(20):
        look(account_of(workspace))
    assert drifts(workspace) == []


def test_a_server_that_is_gone_is_told(world: RunningWorld) -> None:
    workspace = on_servers(world, "deleted-there", hosts=2)
    look(account_of(workspace))
    host = workspace.hosts.all()[0]
    server_of(host).delete().wait_until_finished()
    while host.provider_id in {one.id for one in hired.servers(workspace)}:
        pass
    look(account_of(workspace))
    assert drifts(workspace) == [
        ("deleted-there-w1", "gone", "deleted-there-w1", None, "Hetzner Cloud action delete_server", "tell")
    ]


def test_a_look_at_one_account_leaves_the_drift_of_the_others_hosts(world: RunningWorld) -> None:
    workspace, other = on_servers(world, "here", hosts=1), on_servers(world, "elsewhere", hosts=1)
    Host.objects.filter(workspace=other).update(workspace=workspace)
    for account in (account_of(workspace), account_of(other)):
        look(account)
    server_of(workspace.hosts.get(name="elsewhere-w1")).power_off().wait_until_finished()
    look(account_of(other))
    look(account_of(workspace))
    assert [(host, field) for host, field, *_ in drifts(workspace)] == [("elsewhere-w1", "power")]


def test_what_cannot_be_set_back_is_told_and_does_not_keep_the_others(world: RunningWorld) -> None:
    workspace = on_servers(world, "unyielding", hosts=2)
    look(account_of(workspace))
    first, second = workspace.hosts.all()
    server_of(first).update(name="one")
    server_of(second).update(name="two")
    world.fault(
        service="hetzner",
        target="unyielding",
        kind="status",
        status=500,
        method="PUT",
        path=f"*/{first.provider_id}",
    )
    look(account_of(workspace))
    assert [server_of(host).name for host in (first, second)] == ["one", "unyielding-w2"]
    assert Drift.objects.get(host=first).error != ""
    assert Drift.objects.get(host=second).error == ""
    world.clear_faults()
    look(account_of(workspace))
    assert server_of(first).name == "unyielding-w1"
