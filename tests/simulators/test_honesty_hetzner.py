"""The simulated Hetzner Cloud is held to Hetzner's own OpenAPI document, and to Hetzner's own SDK.

What differs from the document, and why: TOLERATED in hetzner_document.py, and GONE below.
"""

import re
import urllib.request
import uuid

import hcloud
import pytest
from hcloud.images import Image
from hcloud.locations import Location
from hcloud.server_types import ServerType
from hcloud.zones import ZoneRecord

from tests.simulators.hetzner_document import Account, document
from workspaces.simulators import (
    hetzner_actions,
    hetzner_attached,
    hetzner_collections,
    hetzner_commands,
    hetzner_servers,
    hetzner_zones,
)

# Endpoints that answer 410 whatever the document says.
GONE = {
    "/datacenters": "docs.hetzner.cloud/changelog#2026-06-02-datacenters-deprecated: 410 after 2026-10-01.",
    "/datacenters/{id}": "As /datacenters.",
}

PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMx+I/Fyx+zzo7KBQ+G+R1LetrGJr9yBDWjLitwglUxQ fleet"
SSH_KEY = {"name": "ops", "fingerprint": "b7:2f:30:a0", "public_key": "ssh-ed25519 AAAA"}
WWW = {"name": "www", "type": "A", "records": [{"value": "203.0.113.9"}]}
SERVER = {"server_type": "cpx32", "image": "debian-13", "location": "fsn1"}


@pytest.fixture
def account(world):
    document()
    return Account(
        world,
        servers=[{"name": "w1", **SERVER, "labels": {"role": "worker"}}],
        ssh_keys=[SSH_KEY],
        placement_groups=[{"name": "spread"}],
        volumes=[{"name": "data", "size": 20}, {"name": "mounted", "server": "w1"}],
        load_balancers=[{"name": "ingress", "servers": ["w1"]}],
        primary_ips=[{"name": "egress", "ip": "203.0.113.70"}],
        zones=[
            {"name": "kestrel.example", "rrsets": [{"name": "www", "type": "A", "records": [{"value": "203.0.113.9"}]}]}
        ],
    )


def served():
    """(method, path) of everything the simulator serves, names of parameters left out."""
    commands = {"/servers": hetzner_commands.COMMANDS, "/zones": hetzner_zones.COMMANDS}
    for module in (
        hetzner_actions,
        hetzner_servers,
        hetzner_commands,
        hetzner_zones,
        hetzner_attached,
        hetzner_collections,
    ):
        for route in module.routes(""):
            path, noun = route.path, "/" + route.path.split("/")[1]
            if path.startswith("/datacenters"):
                continue
            tables = re.search(r"\{table:([^}]*)\}", path)
            for table in tables[1].split("|") if tables else [""]:
                for command in commands[noun] if "{command}" in path else [""]:
                    one = path.replace(tables[0], table) if tables else path
                    yield route.method, anonymous(one.replace("{command}", command))


def anonymous(path):
    return re.sub(r"\{\w+\}", "{}", path)


def walk_the_collections(account):
    sold, ours = ("server_types", "locations", "images"), ("ssh_keys", "placement_groups", *hetzner_attached.TABLES)
    for noun in (*sold, *ours):
        first = account.ok("GET", f"/{noun}")[noun][0]
        account.ok("GET", f"/{noun}/{{id}}", id=first["id"])
        assert account.refused("GET", f"/{noun}/{{id}}", id=999999999) == (404, "not_found")
        if noun in ours:
            account.ok("DELETE", f"/{noun}/{{id}}", id=first["id"])
    mounted = account.ok("GET", "/volumes")["volumes"][0]["id"]
    assert account.refused("DELETE", "/volumes/{id}", id=mounted) == (422, "invalid_input")
    account.ok("POST", "/volumes/{id}/actions/detach", id=mounted)
    account.ok("GET", "/pricing")
    account.ok("POST", "/ssh_keys", {"name": "fleet", "public_key": PUBLIC_KEY, "labels": {"team": "core"}})
    account.ok("POST", "/placement_groups", {"name": "apart", "type": "spread", "labels": {"team": "core"}})


def walk_the_servers(account):
    made = account.ok("POST", "/servers", {"name": "w2", **SERVER, "labels": {"role": "worker"}})
    assert made["server"]["status"] == "initializing"
    assert [action["command"] for action in made["next_actions"]] == ["start_server"]
    id, action = made["server"]["id"], made["action"]["id"]
    account.wait(id, "running")
    account.ok("GET", "/servers", query="?label_selector=role%3Dworker&status=running&sort=name:desc&per_page=1")
    account.ok("PUT", "/servers/{id}", {"labels": {"role": "idle"}}, id=id)
    for command in hetzner_commands.COMMANDS:
        account.ok("POST", f"/servers/{{id}}/actions/{command}", id=id)
        account.wait(id, {"poweroff": "off", "shutdown": "off", "poweron": "running"}.get(command, "off"))
    account.ok("POST", "/servers/{id}/actions/change_type", {"server_type": "cpx42", "upgrade_disk": False}, id=id)
    account.wait(id, "running")
    account.ok("POST", "/servers/{id}/actions/change_protection", {"delete": False, "rebuild": False}, id=id)
    account.ok("GET", "/servers/{id}/actions", id=id)
    account.ok("GET", "/servers/{id}/actions", query="?sort=finished:desc&status=success&per_page=2", id=id)
    account.ok("GET", "/servers/{id}/actions/{action_id}", id=id, action_id=action)
    account.ok("GET", "/servers/actions", query=f"?id={action}&sort=command")
    account.ok("GET", "/servers/actions/{id}", id=action)
    account.ok("GET", "/actions", query=f"?id={action}")
    account.ok("GET", "/actions/{id}", id=action)
    account.ok("DELETE", "/servers/{id}", id=id)


def walk_the_zones(account):
    account.ok("GET", "/zones")
    id = account.ok("POST", "/zones", {"name": "ledger.example", "mode": "primary", "ttl": 300})["zone"]["id"]
    zone = {"id_or_name": id}
    account.ok("GET", "/zones/{id_or_name}", id_or_name="ledger.example")
    account.ok("PUT", "/zones/{id_or_name}", {"labels": {"team": "core"}}, **zone)
    records = [{"value": "203.0.113.5", "comment": "ingress"}]
    account.ok("POST", "/zones/{id_or_name}/rrsets", {"name": "api", "type": "A", "records": records}, **zone)
    account.ok("GET", "/zones/{id_or_name}/rrsets", query="?type=A", **zone)
    rrset, where = "/zones/{id_or_name}/rrsets/{rr_name}/{rr_type}", {**zone, "rr_name": "api", "rr_type": "A"}
    account.ok("GET", rrset, **where)
    account.ok("PUT", rrset, {"labels": {"team": "core"}}, **where)
    other = {"records": [{"value": "203.0.113.6"}]}
    account.ok("POST", f"{rrset}/actions/add_records", other, **where)
    account.ok("POST", f"{rrset}/actions/update_records", {"records": records}, **where)
    account.ok("POST", f"{rrset}/actions/remove_records", other, **where)
    account.ok("POST", f"{rrset}/actions/set_records", {"records": records}, **where)
    account.ok("POST", f"{rrset}/actions/change_ttl", {"ttl": 60}, **where)
    account.ok("POST", f"{rrset}/actions/change_protection", {"change": False}, **where)
    account.ok("DELETE", rrset, **where)
    done = account.ok("GET", "/zones/{id_or_name}/actions", query="?sort=id:desc", **zone)["actions"]
    account.ok("GET", "/zones/{id_or_name}/actions/{action_id}", action_id=done[0]["id"], **zone)
    account.ok("GET", "/zones/actions", query="?sort=started:asc")
    account.ok("GET", "/zones/actions/{id}", id=done[0]["id"])
    account.ok("DELETE", "/zones/{id_or_name}", **zone)


def test_every_endpoint_answers_as_documented(account):
    walk_the_collections(account)
    walk_the_servers(account)
    walk_the_zones(account)
    assert {(method, anonymous(path)) for method, path in account.asked} == set(served())


def test_what_hetzner_has_withdrawn_answers_410(account):
    for template in GONE:
        assert account.refused("GET", template, id=1) == (410, "deprecated_api_endpoint")
    assert account.refused("GET", "/actions") == (410, "deprecated_api_endpoint")
    assert "datacenter" not in account.ok("GET", "/servers")["servers"][0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 412, 422, 423, 429, 500, 502, 503, 504])
def test_an_error_of_a_fault_has_the_documented_envelope(account, status):
    account.world.fault(service="hetzner", target=account.name, kind="status", status=status)
    assert account.ask("GET", "/servers")[0] == status


def test_refusals_carry_the_documented_codes(account):
    create = ("POST", "/servers")
    assert account.refused(*create, {"name": "w1", **SERVER}) == (409, "uniqueness_error")
    assert account.refused(*create, {"name": "not_a_host", **SERVER}) == (422, "invalid_input")
    assert account.refused(*create, {"name": "w9"}) == (422, "invalid_input")
    assert account.refused(*create, {"name": "w9", **SERVER, "server_type": "ccx63"}) == (412, "resource_unavailable")
    assert account.refused(*create, {"name": "w9", **SERVER, "labels": {"hetzner.cloud/a": "b"}}) == (
        422,
        "invalid_input",
    )
    assert account.refused(*create, {"name": "w9", **SERVER, "user_data": "x" * 32769}) == (422, "invalid_input")
    assert account.refused("GET", "/servers", query="?per_page=51") == (422, "invalid_input")
    assert account.refused("GET", "/servers", query="?sort=colour") == (422, "invalid_input")
    assert account.refused("GET", "/servers", token="nobody's") == (401, "unauthorized")
    assert account.refused("DELETE", "/zones/{id_or_name}", id_or_name="none.example") == (404, "not_found")
    rrsets = ("POST", "/zones/{id_or_name}/rrsets")
    assert account.refused(*rrsets, WWW, id_or_name="kestrel.example") == (409, "uniqueness_error")
    text = {"name": "txt", "type": "TXT", "records": [{"value": "unquoted"}]}
    assert account.refused(*rrsets, text, id_or_name="kestrel.example") == (422, "invalid_input")
    below = {"name": "eu.kestrel.example", "mode": "primary"}
    assert account.refused("POST", "/zones", below) == (422, "invalid_input")


def test_a_token_that_may_only_read_is_refused_a_write(world):
    document()
    token = uuid.uuid4().hex * 2
    account = Account(world, servers=[{"name": "w1", **SERVER}], read_only_token=token)
    (server,) = account.ok("GET", "/servers", token=token)["servers"]
    where = {"id": server["id"], "token": token}
    assert account.refused("DELETE", "/servers/{id}", **where) == (401, "token_readonly")
    account.ok("DELETE", "/servers/{id}", id=server["id"])


def test_a_server_is_locked_while_an_action_runs_and_must_be_off_to_change_its_type(account):
    (server,) = account.ok("GET", "/servers")["servers"]
    where = {"id": server["id"]}
    kind = {"server_type": "cpx42", "upgrade_disk": True}
    change = ("POST", "/servers/{id}/actions/change_type")
    assert account.refused(*change, kind, **where) == (422, "server_not_stopped")
    action = account.ok("POST", "/servers/{id}/actions/poweroff", **where)["action"]
    assert (action["status"], action["finished"], action["command"]) == ("running", None, "stop_server")
    assert account.refused("DELETE", "/servers/{id}", **where) == (423, "locked")
    account.wait(server["id"], "off")
    assert account.ok("GET", "/actions/{id}", id=action["id"])["action"]["progress"] == 100
    assert account.refused(*change, {**kind, "server_type": "cax31"}, **where) == (422, "invalid_server_type")
    assert account.refused(*change, {**kind, "server_type": "cpx22"}, **where) == (422, "invalid_server_type")
    account.ok(*change, kind, **where)
    account.wait(server["id"], "running")
    changed = account.ok("GET", "/servers/{id}", **where)["server"]
    assert (changed["server_type"]["name"], changed["primary_disk_size"]) == ("cpx42", 320)
    account.ok("POST", "/servers/{id}/actions/change_protection", {"delete": True, "rebuild": True}, **where)
    assert account.refused("DELETE", "/servers/{id}", **where) == (423, "protected")


def test_an_accepted_action_may_end_in_an_error(account):
    (server,) = account.ok("GET", "/servers")["servers"]
    account.world.fault(service="hetzner", target=account.name, kind="action_failed", method="POST")
    action = account.ok("POST", "/servers/{id}/actions/poweroff", id=server["id"])["action"]
    assert (action["status"], action["error"]) == ("running", None)
    account.wait(server["id"], "running")
    ended = account.ok("GET", "/actions/{id}", id=action["id"])["action"]
    assert (ended["status"], ended["error"]["code"]) == ("error", "action_failed")


def test_the_project_has_a_limit_of_servers_and_of_requests(world):
    document()
    account = Account(world, server_limit=0, rate_limit=3)
    assert account.refused("POST", "/servers", {"name": "w1", **SERVER}) == (403, "resource_limit_exceeded")
    account.ok("GET", "/locations")
    account.ok("GET", "/locations")
    assert account.refused("GET", "/locations") == (429, "rate_limit_exceeded")


def test_pages_follow_each_other_to_the_last(world):
    document()
    account = Account(world, servers=[{"name": f"w{number}", **SERVER} for number in range(60)])
    pages = [account.ok("GET", "/servers", query=f"?page={number}&per_page=25") for number in (1, 3)]
    assert pages[0]["meta"]["pagination"] == {
        "page": 1,
        "per_page": 25,
        "previous_page": None,
        "next_page": 2,
        "last_page": 3,
        "total_entries": 60,
    }
    assert pages[1]["meta"]["pagination"]["next_page"] is None
    assert [server["name"] for server in pages[1]["servers"]] == [f"w{number}" for number in range(50, 60)]


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("role==web", ["a", "b"]),
        ("role!=web", ["c", "d"]),
        ("role", ["a", "b", "c"]),
        ("!role", ["d"]),
        ("role in (web,db),stage=prod", ["a", "c"]),
        ("role notin (web,db)", ["d"]),
    ],
)
def test_label_selectors_choose(world, selector, names):
    document()
    labels = [{"role": "web", "stage": "prod"}, {"role": "web"}, {"role": "db", "stage": "prod"}, {}]
    servers = [{"name": name, **SERVER, "labels": given} for name, given in zip("abcd", labels, strict=True)]
    account = Account(world, servers=servers)
    answer = account.ok("GET", "/servers", query=f"?label_selector={urllib.request.quote(selector)}")
    assert [server["name"] for server in answer["servers"]] == names


def test_the_sdk_understands_every_answer(account):
    client = hcloud.Client(account.token, account.url, poll_interval=0.02, timeout=5)
    for collection in (
        client.servers,
        client.server_types,
        client.locations,
        client.images,
        client.ssh_keys,
        client.placement_groups,
        client.volumes,
        client.load_balancers,
        client.primary_ips,
    ):
        first = collection.get_all()[0]
        assert collection.get_by_id(first.id).name == first.name
    assert client.zones.get_all()[0].name == "kestrel.example"
    kind, image, place = ServerType(name="cpx32"), Image(name="debian-13"), Location(name="fsn1")
    made = client.servers.create("w3", kind, image, location=place, labels={"role": "web"})
    made.action.wait_until_finished()
    for action in made.next_actions:
        action.wait_until_finished()
    made.server.reload()
    assert (made.server.status, made.server.location.name, made.server.image.name) == ("running", "fsn1", "debian-13")
    made.server.power_off().wait_until_finished()
    made.server.change_type(ServerType(name="cpx42"), upgrade_disk=False).wait_until_finished()
    assert client.servers.get_by_name("w3").server_type.name == "cpx42"
    made.server.delete().wait_until_finished()
    assert client.servers.get_by_name("w3") is None
    assert client.request("GET", "/pricing")["pricing"]["currency"] == "EUR"


def test_the_sdk_changes_record_sets(account):
    client = hcloud.Client(account.token, account.url, poll_interval=0.02, timeout=5)
    zone = client.zones.get("kestrel.example")
    created = zone.create_rrset(name="api", type="A", ttl=60, records=[ZoneRecord(value="203.0.113.5")])
    created.action.wait_until_finished()
    created.rrset.set_rrset_records([ZoneRecord(value="203.0.113.6")]).wait_until_finished()
    assert [record.value for record in zone.get_rrset("api", "A").records] == ["203.0.113.6"]
    zone.delete_rrset(created.rrset).action.wait_until_finished()
    with pytest.raises(hcloud.APIException) as caught:
        zone.get_rrset("api", "A")
    assert caught.value.code == "not_found"


def test_the_sdk_meets_the_end_of_data_centres(account):
    client = hcloud.Client(account.token, account.url, timeout=5)
    with pytest.warns(DeprecationWarning, match="datacenters client"), pytest.raises(hcloud.APIException) as caught:
        client.datacenters.get_all()
    assert caught.value.code == "deprecated_api_endpoint"
