"""The DNS provider against the simulated Hetzner Cloud over HTTP: what it lists, changes, and is refused."""

from __future__ import annotations

import time
from typing import Any

import hcloud
import pytest
from hcloud.zones import Zone as Subject
from hcloud.zones import ZoneRRSet

from tests.providers.test_hetzner import Project
from workspaces.providers.dns import RecordSet, Zone, Zones
from workspaces.providers.errors import Permanent, ProviderError, Temporary
from workspaces.providers.hetzner import HetznerCloud

GATEWAY = {"name": "gw", "type": "AAAA", "ttl": 300, "records": [{"value": "2001:db8::7"}]}
OWNER = {"name": "@", "type": "TXT", "records": [{"value": '"owned by kestrel"'}]}


class Dns(Project):
    """A project with zones, and what looks after them."""

    def __init__(self, world: Any, *zones: dict[str, Any], **described: Any) -> None:
        super().__init__(world, zones=list(zones), **described)
        self.zones = Zones(self.cloud)
        # Somebody else with a token of the project.
        self.person = hcloud.Client(token=self.token, api_endpoint=self.url)

    def zone(self, name: str = "customs.example") -> Zone:
        return self.zones.zones()[name]

    def found(self, name: str, type: str, zone: str = "customs.example") -> RecordSet | None:
        return self.zones.record_set(self.zone(zone), name, type)

    def over(self, *ids: int) -> list[str]:
        """What became of these actions."""
        deadline = time.monotonic() + 10
        while "running" in (states := [action.status for action in self.zones.actions(ids)]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return states


def at(name: str, type: str, zone: str = "customs.example") -> ZoneRRSet:
    """A record set as the SDK names it."""
    return ZoneRRSet(zone=Subject(name=zone), name=name, type=type)


@pytest.fixture
def dns(world: Any) -> Dns:
    return Dns(world, {"name": "customs.example", "ttl": 7200, "rrsets": [GATEWAY, OWNER]})


def refused(call: Any, *arguments: Any) -> ProviderError:
    with pytest.raises((Permanent, Temporary)) as caught:
        call(*arguments)
    return caught.value


def test_zones_are_listed_with_mode_and_ttl(world: Any) -> None:
    dns = Dns(world, {"name": "a.example"}, {"name": "b.example", "mode": "secondary", "ttl": 60})
    found = dns.zones.zones()
    assert [(zone.name, zone.mode, zone.ttl, zone.is_writable) for zone in found.values()] == [
        ("a.example", "primary", 3600, True),
        ("b.example", "secondary", 60, False),
    ]


def test_record_sets_are_read_with_values_ttl_and_protection(dns: Dns) -> None:
    sets = {(one.name, one.type): one for one in dns.zones.record_sets(dns.zone())}
    assert sets["gw", "AAAA"] == RecordSet("gw", "AAAA", ("2001:db8::7",), 300, protected=False)
    assert sets["@", "TXT"] == RecordSet("@", "TXT", ('"owned by kestrel"',), None, protected=False)
    assert len(sets["@", "NS"].values) == 3


def test_every_page_of_a_zone_is_read(world: Any) -> None:
    many = [{"name": f"h{number}", "type": "A", "records": [{"value": "203.0.113.1"}]} for number in range(118)]
    dns = Dns(world, {"name": "many.example", "rrsets": many})
    zone = dns.zone("many.example")
    before = len(world.journal(target=dns.name))
    assert len(dns.zones.record_sets(zone)) == 120
    assert len(world.journal(target=dns.name)) - before == 3


def test_a_record_set_is_made_changed_and_its_actions_come_to_an_end(dns: Dns) -> None:
    zone = dns.zone()
    made = dns.zones.create(zone, "www", "A", ["203.0.113.7"], None)
    assert dns.found("www", "A") == RecordSet("www", "A", ("203.0.113.7",), None)
    changed = dns.zones.set_records(zone, "www", "A", ["203.0.113.8", "203.0.113.9"])
    slower = dns.zones.change_ttl(zone, "www", "A", 900)
    assert dns.found("www", "A") == RecordSet("www", "A", ("203.0.113.8", "203.0.113.9"), 900)
    assert dns.over(made, changed, slower) == ["success", "success", "success"]
    dns.zones.change_ttl(zone, "www", "A", None)
    assert dns.found("www", "A") == RecordSet("www", "A", ("203.0.113.8", "203.0.113.9"), None)


def test_values_are_taken_out_of_a_record_set_which_goes_with_its_last_one(dns: Dns) -> None:
    zone = dns.zone()
    dns.zones.create(zone, "www", "A", ["203.0.113.7", "203.0.113.8"], None)
    first = dns.zones.remove(zone, "www", "A", ["203.0.113.7"])
    assert dns.found("www", "A") == RecordSet("www", "A", ("203.0.113.8",), None)
    last = dns.zones.remove(zone, "www", "A", ["203.0.113.8"])
    assert dns.found("www", "A") is None
    assert dns.over(first, last) == ["success", "success"]
    assert refused(dns.zones.remove, zone, "www", "A", ["203.0.113.8"]).code == "not_found"


def test_actions_are_asked_by_one_call(dns: Dns) -> None:
    ids = [dns.zones.change_ttl(dns.zone(), "gw", "AAAA", ttl) for ttl in (60, 120)]
    before = len(dns.world.journal(target=dns.name))
    actions = dns.zones.actions(ids)
    assert sorted(action.id for action in actions) == sorted(ids)
    assert {action.command for action in actions} == {"change_rrset_ttl"}
    assert len(dns.world.journal(target=dns.name)) - before == 1


def test_what_is_not_there_is_none_and_what_is_there_is_not_made_again(dns: Dns) -> None:
    assert dns.found("nobody", "A") is None
    error = refused(dns.zones.create, dns.zone(), "gw", "AAAA", ["2001:db8::8"], None)
    assert (type(error), error.code) == (Permanent, "name_taken")
    assert refused(dns.zones.set_records, dns.zone(), "nobody", "A", ["203.0.113.7"]).code == "not_found"


def test_a_zone_that_is_gone_is_not_found(dns: Dns) -> None:
    gone = Zone(1, "gone.example", "primary", 3600)
    assert refused(dns.zones.record_sets, gone).code == "not_found"


def test_a_secondary_zone_is_not_written(world: Any) -> None:
    dns = Dns(world, {"name": "copy.example", "mode": "secondary", "rrsets": [GATEWAY]})
    error = refused(dns.zones.set_records, dns.zone("copy.example"), "gw", "AAAA", ["2001:db8::8"])
    assert (type(error), error.code) == (Permanent, "configuration")
    assert "incorrect_zone_mode" in error.message


def test_a_protected_record_set_says_who_can_lift_it(dns: Dns) -> None:
    zone = dns.zone()
    dns.person.zones.change_rrset_protection(at("gw", "AAAA"), change=True)
    seen = dns.found("gw", "AAAA")
    assert seen is not None
    assert seen.protected
    error = refused(dns.zones.set_records, zone, "gw", "AAAA", ["2001:db8::8"])
    assert (type(error), error.code) == (Permanent, "conflict")
    assert error.who_can_fix == "The owner of the cloud account, by lifting the protection of the record set."


def test_a_token_that_may_only_read_lists_and_cannot_write(world: Any) -> None:
    dns = Dns(world, {"name": "customs.example", "rrsets": [GATEWAY]}, read_only=True)
    error = refused(dns.zones.set_records, dns.zone(), "gw", "AAAA", ["2001:db8::8"])
    assert (type(error), error.code) == (Permanent, "credential")
    assert "token_readonly" in error.message


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ({"kind": "expired_token"}, Permanent, "credential"),
        ({"kind": "status", "status": 429}, Temporary, "rate_limit"),
        ({"kind": "status", "status": 503}, Temporary, "cloud_api"),
        ({"kind": "hang"}, Temporary, "unreachable"),
        ({"kind": "refuse"}, Temporary, "unreachable"),
    ],
)
def test_failures_are_those_of_the_cloud_and_nothing_is_repeated(dns: Dns, fault: Any, kind: Any, code: str) -> None:
    zone, before = dns.zone(), len(dns.world.journal(target=dns.name))
    dns.fault(**fault)
    error = refused(dns.zones.set_records, zone, "gw", "AAAA", ["2001:db8::8"])
    assert (type(error), error.code) == (kind, code)
    assert len(dns.world.journal(target=dns.name)) - before == 1


def test_an_answer_that_is_not_hetzners_is_a_failure_of_the_vendor(world: Any) -> None:
    cloud = HetznerCloud("token", f"{world.ready['control_url']}/ready?", timeout=1)
    assert refused(Zones(cloud).zones).code == "cloud_api"
