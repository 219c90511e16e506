"""What the simulated cloud sells, how a test changes that, and what a server is ordered with: met with the real SDK."""

import subprocess

import pytest
from hcloud.placement_groups import PlacementGroup
from hcloud.ssh_keys import SSHKey

from tests.simulators.cloud import Cloud, key_pair, public, refused, until
from tests.simulators.running import RunningWorld

pytestmark = pytest.mark.xdist_group("machines")


@pytest.fixture(scope="module")
def world():
    with RunningWorld() as world:
        yield world


@pytest.fixture(autouse=True)
def _as_before(world):
    yield
    world.add({"hetzner_types": {}, "hetzner_pricing": {}})


@pytest.fixture
def cloud(world, tmp_path):
    return Cloud(world, tmp_path)


# --- What is ordered with a server ------------------------------------------------------------------------------------
def test_a_key_is_uploaded_once_and_found_by_its_fingerprint(cloud, tmp_path):
    keys, text = cloud.sdk.ssh_keys, public(cloud.key)
    made = keys.create("fleet", text)
    shown = subprocess.run(["ssh-keygen", "-l", "-E", "md5", "-f", cloud.key], capture_output=True, text=True)
    assert f"MD5:{made.fingerprint}" in shown.stdout
    assert keys.get_by_fingerprint(made.fingerprint).id == keys.get_by_name("fleet").id == made.id
    with refused("uniqueness_error"):
        keys.create("fleet", public(key_pair(tmp_path / "other")))
    with refused("uniqueness_error"):
        keys.create("the-same-again", text)
    with refused("invalid_input"):
        keys.create("broken", "ssh-ed25519 nonsense")
    keys.delete(made)
    assert keys.get_all() == []


def test_a_placement_group_is_made_and_shows_who_is_in_it(cloud):
    groups = cloud.sdk.placement_groups
    made = groups.create("apart", "spread", labels={"team": "core"}).placement_group
    server = cloud.create(placement_group=PlacementGroup(id=made.id))
    assert groups.get_by_name("apart").servers == [server.id]
    with refused("uniqueness_error"):
        groups.create("apart", "spread")
    with refused("invalid_input"):
        groups.create("close", "pack")
    until(lambda: cloud.status(server) == "running")
    cloud.sdk.servers.delete(server)
    until(lambda: groups.get_by_name("apart").servers == [])


# --- What is sold -----------------------------------------------------------------------------------------------------
def price(cloud, kind, place):
    prices = cloud.sdk.server_types.get_by_name(kind).prices
    return next(one["price_monthly"]["net"] for one in prices if one["location"] == place)


def available(cloud, kind):
    return [one.location.name for one in cloud.sdk.server_types.get_by_name(kind).locations if one.available]


def test_price_and_availability_of_a_type_can_be_changed_and_put_back(cloud, world):
    assert (price(cloud, "ccx23", "fsn1"), "fsn1" in available(cloud, "ccx23")) == ("28.4900000000", True)
    world.add({"hetzner_types": {"ccx23": {"available": ["hel1"], "monthly": "30.00", "hourly": "0.05"}}})
    assert (price(cloud, "ccx23", "fsn1"), price(cloud, "ccx23", "ash")) == ("30.0000000000", "33.0000000000")
    assert available(cloud, "ccx23") == ["hel1"]
    with refused("resource_unavailable"):
        cloud.create(keys=[])
    world.add({"hetzner_types": {}})
    assert price(cloud, "ccx23", "fsn1") == "28.4900000000"


def test_the_price_list_and_the_types_agree(cloud, world):
    changed = {"cx43": {"withdrawn": True}, "ccx13": {"locations": ["fsn1"], "available": ["fsn1"], "monthly": "9.99"}}
    world.add({"hetzner_types": changed})
    listed = {kind["name"]: kind["prices"] for kind in cloud.sdk.request("GET", "/pricing")["pricing"]["server_types"]}
    assert listed == {kind.name: kind.prices for kind in cloud.sdk.server_types.get_all()}
    assert "cx43" not in listed
    assert [one["location"] for one in listed["ccx13"]] == ["fsn1"]


def test_a_withdrawn_type_can_be_had_no_more_and_stays_on_its_servers(cloud, world):
    server = cloud.create(keys=[])
    world.add({"hetzner_types": {"ccx23": {"withdrawn": True}}})
    assert cloud.sdk.server_types.get_by_name("ccx23") is None
    assert cloud.sdk.servers.get_by_id(server.id).server_type.name == "ccx23"
    with refused("invalid_input"):
        cloud.create("w2", keys=[])


def test_currency_backup_and_address_have_their_price(cloud, world):
    pricing = cloud.sdk.request("GET", "/pricing")["pricing"]
    assert (pricing["currency"], pricing["server_backup"]["percentage"]) == ("EUR", "20.0000000000")
    world.add({"hetzner_pricing": {"currency": "USD", "backup_percent": "25", "primary_ipv4": "0.60"}})
    pricing = cloud.sdk.request("GET", "/pricing")["pricing"]
    assert (pricing["currency"], pricing["server_backup"]["percentage"]) == ("USD", "25.0000000000")
    (address,) = pricing["primary_ips"]
    assert {one["price_monthly"]["net"] for one in address["prices"]} == {"0.6000000000"}
    assert len(address["prices"]) == 6


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"hetzner_types": {"ccx99": {}}}, "unknown server type: ccx99"),
        ({"hetzner_types": {"ccx23": {"price": "1"}}}, "unknown of ccx23: price"),
        ({"hetzner_types": {"ccx23": {"available": ["mars"]}}}, "unknown location: mars"),
        ({"hetzner_types": {"ccx23": {"monthly": "cheap"}}}, "monthly is a decimal number in a string"),
        ({"hetzner_pricing": {"colour": "red"}}, "unknown of the pricing: colour"),
    ],
)
def test_what_cannot_be_sold_is_refused_with_a_sentence(world, spec, message):
    with pytest.raises(ValueError, match=message):
        world.add(spec)


def test_what_is_sold_survives_a_restart_of_the_world(tmp_path):
    with RunningWorld(state_dir=tmp_path / "world") as world:
        cloud = Cloud(world, tmp_path)
        world.add({"hetzner_types": {"ccx23": {"monthly": "31.00"}}, "hetzner_pricing": {"currency": "USD"}})
        world.stop()
        world.start()
        assert price(cloud, "ccx23", "fsn1") == "31.0000000000"
        assert cloud.sdk.request("GET", "/pricing")["pricing"]["currency"] == "USD"


def test_an_unknown_key_is_refused_at_the_order(cloud):
    with refused("invalid_input"):
        cloud.create(keys=[SSHKey(id=1)])
