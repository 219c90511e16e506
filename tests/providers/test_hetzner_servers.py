"""What the Hetzner provider changes, against the simulated Hetzner Cloud over HTTP: servers, and what they need."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest

from tests.providers.test_hetzner import Project
from workspaces.providers.errors import Permanent, ProviderError, Temporary
from workspaces.providers.hetzner import GROUP_ROOM, Action, HetznerCloud, Server

MINE = {"loopback/host": "h-1", "loopback/workspace": "w-1"}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJbYsx0ZQFHXxoYq6Bp8HSjoDiVLLpR5uK3bXsNjjsB0"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBJ3qTn6gSBbRbYKB7RAmvMDPYzMrV5sIAEjcPWDAvlR"


@pytest.fixture
def project(world: Any) -> Project:
    return Project(world)


def order(cloud: HetznerCloud, **changed: Any) -> tuple[Server, list[int]]:
    asked: dict[str, Any] = {
        "name": "ledger-prod-w4",
        "server_type": "ccx13",
        "location": "fsn1",
        "image": "debian-13",
        "labels": MINE,
        "ssh_keys": [],
        "user_data": "#cloud-config\n",
        "placement_group": None,
    }
    return cloud.create_server(**(asked | changed))


def over(cloud: HetznerCloud, id: int) -> Action:
    """The action when it is over."""
    deadline = time.monotonic() + 10
    while (action := cloud.action(id)).status == "running":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return action


def until(cloud: HetznerCloud, id: int, status: str) -> Server:
    deadline = time.monotonic() + 10
    while (server := cloud.server(id)).status != status or server.locked:
        assert time.monotonic() < deadline, server
        time.sleep(0.02)
    return server


def refused(project: Project, **changed: Any) -> ProviderError:
    """The error that an order ends in, which has made no server."""
    before = len(project.cloud.servers())
    with pytest.raises((Permanent, Temporary)) as caught:
        order(project.cloud, **changed)
    assert len(project.cloud.servers()) == before
    return caught.value


# --- Ordering ---------------------------------------------------------------------------------------------------------
def test_a_server_is_ordered_with_its_labels_and_its_actions_are_told(project: Project) -> None:
    made, actions = order(project.cloud)
    assert (made.name, made.server_type, made.location, made.labels) == ("ledger-prod-w4", "ccx13", "fsn1", MINE)
    assert made.status == "initializing"
    assert len(actions) == 2
    assert [over(project.cloud, id).status for id in actions] == ["success", "success"]
    server = until(project.cloud, made.id, "running")
    assert server.ipv4.startswith("127.")
    assert server.disk == 80
    commands = {one.command: one.status for one in project.cloud.actions_of(made.id)}
    assert commands == {"create_server": "success", "start_server": "success"}


def test_it_is_found_by_its_label_alone(project: Project) -> None:
    made, _ = order(project.cloud)
    order(project.cloud, name="other", labels={"loopback/host": "h-2"})
    assert [server.id for server in project.cloud.servers("loopback/host==h-1")] == [made.id]


def test_a_server_is_the_same_listed_and_asked_alone(project: Project) -> None:
    server, _ = order(project.cloud)
    alone = until(project.cloud, server.id, "running")
    assert next(one for one in project.cloud.servers() if one.id == server.id) == alone
    assert alone.created.utcoffset() == timedelta(0)
    assert (alone.server_type, alone.location, alone.disk, alone.labels) == ("ccx13", "fsn1", 80, MINE)
    assert alone.ipv4


def test_a_busy_server_is_locked_and_refuses_another_action_for_now(project: Project) -> None:
    made, _ = order(project.cloud)
    assert project.cloud.server(made.id).locked
    with pytest.raises(Temporary) as caught:
        project.cloud.power_off(made.id)
    assert caught.value.code == "conflict"


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({"location": "nbg1", "server_type": "ccx33"}, "no_capacity", "currently unavailable in nbg1"),
        ({"server_type": "cpx99"}, "configuration", "server type not found"),
        ({"image": "debian-1"}, "configuration", "image not found"),
        ({"name": "w_4"}, "configuration", "valid hostname"),
        ({"ssh_keys": [4711]}, "configuration", "SSH key not found"),
        ({"placement_group": 4711}, "not_found", "placement group"),
        ({"labels": {"hetzner.cloud/x": "y"}}, "configuration", "labels"),
    ],
)
def test_an_order_that_cannot_be_met_says_why(project: Project, changed: Any, code: str, words: str) -> None:
    error = refused(project, **changed)
    assert (type(error), error.code) == (Permanent, code)
    assert words in error.message


def test_a_name_that_is_taken_is_told_apart_from_other_conflicts(project: Project) -> None:
    order(project.cloud)
    error = refused(project, labels={})
    assert (type(error), error.code) == (Permanent, "name_taken")
    assert error.message.endswith("(uniqueness_error)")


@pytest.mark.parametrize(
    ("kind", "code"),
    [("sold_out", "no_capacity"), ("resource_limit", "quota"), ("expired_token", "credential")],
)
def test_refusals_for_good_are_permanent_and_asked_once(project: Project, kind: str, code: str) -> None:
    project.fault(kind=kind, method="POST", times=1)
    error = refused(project)
    assert (type(error), error.code) == (Permanent, code)
    assert len(project.world.journal(target=project.name, method="POST")) == 1


def test_a_reached_limit_is_a_quota_error_by_itself(world: Any) -> None:
    project = Project(world, server_limit=1)
    order(project.cloud)
    assert refused(project, name="w5").code == "quota"


def test_a_full_placement_group_is_no_capacity(project: Project) -> None:
    group = project.cloud.placement_group("loopback-ledger-1")
    for number in range(GROUP_ROOM):
        order(project.cloud, name=f"w{number}", placement_group=group)
    assert [one.servers for one in project.cloud.placement_groups()] == [GROUP_ROOM]
    assert refused(project, placement_group=group).code == "no_capacity"


def test_a_lost_answer_is_temporary_and_the_server_is_there(project: Project) -> None:
    project.fault(kind="lost_answer", method="POST", path="*/servers", times=1)
    with pytest.raises(Temporary) as caught:
        order(project.cloud)
    assert caught.value.code == "unreachable"
    assert [server.labels for server in project.cloud.servers()] == [MINE]
    assert len(project.world.journal(target=project.name, method="POST")) == 1


def test_an_action_may_end_in_an_error_although_the_call_was_accepted(project: Project) -> None:
    project.fault(kind="action_failed", method="POST", times=1)
    made, (action,) = order(project.cloud)
    ended = over(project.cloud, action)
    assert (ended.status, ended.error_code, ended.error_message) == ("error", "action_failed", "Action failed")
    assert [(one.command, one.status) for one in project.cloud.actions_of(made.id)] == [("create_server", "error")]


# --- What is done to a server -----------------------------------------------------------------------------------------
def test_power_another_type_and_deletion(project: Project) -> None:
    cloud = project.cloud
    id = order(cloud)[0].id
    until(cloud, id, "running")
    assert over(cloud, cloud.shut_down(id)).status == "success"
    until(cloud, id, "off")
    assert over(cloud, cloud.power_on(id)).status == "success"
    until(cloud, id, "running")
    assert over(cloud, cloud.power_off(id)).status == "success"
    until(cloud, id, "off")
    assert over(cloud, cloud.change_type(id, "ccx23", grow_disk=False)).status == "success"
    server = until(cloud, id, "running")
    assert (server.server_type, server.disk) == ("ccx23", 80)
    over(cloud, cloud.power_off(id))
    until(cloud, id, "off")
    over(cloud, cloud.change_type(id, "ccx33", grow_disk=True))
    assert until(cloud, id, "running").disk == 240
    over(cloud, cloud.delete_server(id))
    with pytest.raises(Permanent) as caught:
        cloud.server(id)
    assert caught.value.code == "not_found"
    assert cloud.servers() == []


def test_a_type_that_does_not_fit_and_a_server_that_runs_are_configuration_errors(project: Project) -> None:
    cloud = project.cloud
    id = order(cloud)[0].id
    until(cloud, id, "running")
    with pytest.raises(Permanent, match="must be stopped") as caught:
        cloud.change_type(id, "ccx23", grow_disk=False)
    assert caught.value.code == "configuration"
    over(cloud, cloud.power_off(id))
    until(cloud, id, "off")
    with pytest.raises(Permanent, match="does not fit") as caught:
        cloud.change_type(id, "cax31", grow_disk=False)
    assert caught.value.code == "configuration"
    assert cloud.server(id).server_type == "ccx13"


def test_a_protected_server_is_not_deleted_and_it_says_who_can(project: Project) -> None:
    made, _ = order(project.cloud)
    until(project.cloud, made.id, "running")
    project.cloud._client.servers.change_protection(made_of(made), delete=True, rebuild=True)
    with pytest.raises(Permanent) as caught:
        project.cloud.delete_server(made.id)
    assert caught.value.code == "conflict"
    assert "lifting the protection" in caught.value.who_can_fix


def made_of(server: Server) -> Any:
    from hcloud.servers import Server as Subject

    return Subject(id=server.id)


@pytest.mark.parametrize(
    "call", ["delete_server", "power_on", "power_off", "shut_down", "server", "actions_of", "action"]
)
def test_what_is_gone_is_not_found(project: Project, call: str) -> None:
    with pytest.raises(Permanent) as caught:
        getattr(project.cloud, call)(4711)
    assert caught.value.code == "not_found"


# --- What a server is ordered with ------------------------------------------------------------------------------------
def test_an_ssh_key_is_made_once_and_found_by_what_it_is_whatever_its_name(project: Project) -> None:
    id = project.cloud.ssh_key("loopback", f"{KEY} somebody@somewhere")
    assert project.cloud.ssh_key("loopback", KEY) == id
    assert project.cloud.ssh_key("another name", KEY) == id
    assert len(project.world.journal(target=project.name, method="POST")) == 1
    order(project.cloud, ssh_keys=[id])


def test_the_name_of_another_key_is_taken(project: Project) -> None:
    project.cloud.ssh_key("loopback", KEY)
    with pytest.raises(Permanent) as caught:
        project.cloud.ssh_key("loopback", OTHER_KEY)
    assert caught.value.code == "name_taken"


def test_an_ssh_key_whose_answer_was_lost_is_found(project: Project) -> None:
    project.fault(kind="lost_answer", method="POST", times=1)
    with pytest.raises(Temporary):
        project.cloud.ssh_key("loopback", KEY)
    assert project.cloud.ssh_key("loopback", KEY) > 0
    assert len(project.world.journal(target=project.name, method="POST")) == 1


def test_a_placement_group_is_made_once_and_counts_its_servers(project: Project) -> None:
    id = project.cloud.placement_group("loopback-ledger-1", {"loopback/workspace": "w-1"})
    assert project.cloud.placement_group("loopback-ledger-1") == id
    order(project.cloud, placement_group=id)
    (group,) = project.cloud.placement_groups()
    assert (group.id, group.name, group.labels, group.servers) == (
        id,
        "loopback-ledger-1",
        {"loopback/workspace": "w-1"},
        1,
    )
