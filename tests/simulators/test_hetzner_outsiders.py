"""What a person does in the cloud's own console, and the traces it leaves: actions with the vendor's names, or none."""

import pytest
from hcloud.server_types import ServerType
from hcloud.zones import ZoneRecord

from .cloud import Cloud, refused, until

ZONE = {"name": "customs.example", "rrsets": [{"name": "gw", "type": "A", "records": [{"value": "203.0.113.9"}]}]}
WORKER = {"name": "w1", "server_type": "ccx23", "labels": {"workspace": "ledger"}}


@pytest.fixture
def cloud(world, tmp_path):
    return Cloud(world, tmp_path, servers=[WORKER], zones=[ZONE])


def commands(cloud, server, **options):
    return [action.command for action in cloud.sdk.servers.get_actions(server, **options)]


def until_idle(cloud, server, status):
    until(lambda: (found := cloud.sdk.servers.get_by_id(server.id)).status == status and not found.locked)


def test_a_new_name_and_other_labels_are_no_actions(cloud):
    server = cloud.sdk.servers.get_by_name("w1")
    cloud.sdk.servers.update(server, name="mine", labels={"team": "core"})
    found = cloud.sdk.servers.get_by_id(server.id)
    assert (found.name, found.labels) == ("mine", {"team": "core"})
    assert commands(cloud, server) == []


def test_power_and_type_leave_actions_with_the_names_of_the_vendor(cloud):
    server = cloud.sdk.servers.get_by_name("w1")
    cloud.sdk.servers.power_off(server)
    until_idle(cloud, server, "off")
    cloud.sdk.servers.change_type(server, ServerType(name="ccx33"), upgrade_disk=False)
    until_idle(cloud, server, "running")
    cloud.sdk.servers.shutdown(server)
    until_idle(cloud, server, "off")
    cloud.sdk.servers.power_on(server)
    until_idle(cloud, server, "running")
    assert cloud.sdk.servers.get_by_id(server.id).server_type.name == "ccx33"
    done = ["stop_server", "change_server_type", "shutdown_server", "start_server"]
    assert commands(cloud, server) == done
    assert commands(cloud, server, sort=["id:desc"]) == list(reversed(done))
    assert commands(cloud, server, sort=["command"]) == sorted(done)
    for action in cloud.sdk.servers.get_actions(server):
        assert (action.status, action.progress) == ("success", 100)
        assert action.started <= action.finished
        assert action.resources == [{"id": server.id, "type": "server"}]


def test_actions_are_listed_in_pages(cloud):
    server = cloud.sdk.servers.get_by_name("w1")
    for _ in range(3):
        cloud.sdk.servers.reset(server)
        until_idle(cloud, server, "running")
    cloud.sdk.servers.reboot(server)
    until_idle(cloud, server, "running")
    first = cloud.sdk.servers.get_actions_list(server, page=1, per_page=3)
    second = cloud.sdk.servers.get_actions_list(server, page=2, per_page=3)
    assert [a.command for a in first.actions] == ["reset_server"] * 3
    assert [a.command for a in second.actions] == ["reboot_server"]
    assert (first.meta.pagination.total_entries, first.meta.pagination.next_page) == (4, 2)
    with refused("invalid_input"):
        cloud.sdk.servers.get_actions_list(server, sort=["name"])


def test_of_a_deleted_server_only_its_action_tells(cloud):
    server = cloud.sdk.servers.get_by_name("w1")
    cloud.sdk.servers.delete(server)
    until(lambda: not cloud.sdk.servers.get_all())
    with refused("not_found"):
        cloud.sdk.servers.get_actions(server)
    (told,) = cloud.sdk.servers.actions.get_all()
    assert (told.command, told.resources) == ("delete_server", [{"id": server.id, "type": "server"}])


def test_changes_of_records_are_actions_of_their_zone(cloud):
    zones = cloud.sdk.zones
    zone = zones.get("customs.example")
    gateway = zones.get_rrset(zone, "gw", "A")
    zones.set_rrset_records(gateway, [ZoneRecord(value="203.0.113.66")])
    zones.change_rrset_ttl(gateway, 60)
    zones.create_rrset(zone, name="api", type="A", records=[ZoneRecord(value="203.0.113.7")])
    zones.delete_rrset(gateway)
    done = zones.get_actions(zone)
    assert [action.command for action in done] == [
        "set_rrset_records", "change_rrset_ttl", "create_rrset", "delete_rrset",
    ]  # fmt: skip
    assert {(resource["id"], resource["type"]) for action in done for resource in action.resources} == {
        (zone.id, "zone")
    }
    assert [rrset.id for rrset in zones.get_rrset_all(zone, type="A")] == ["api/A"]
