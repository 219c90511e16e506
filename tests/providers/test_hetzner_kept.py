"""What a project holds besides servers, against the simulated Hetzner Cloud over HTTP: read, priced and deleted."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.providers.test_hetzner import Project
from workspaces.providers.errors import Permanent, ProviderError, Temporary
from workspaces.providers.hetzner import HetznerCloud
from workspaces.providers.hetzner_kept import KINDS, Kept, Thing

OWN = {"loopback/workspace": "w-1"}
LABEL = "loopback/workspace=w-1"
SERVER = {"name": "w1", "server_type": "cpx22", "location": "fsn1", "image": "debian-13"}
THINGS: dict[str, Any] = {
    "servers": [SERVER],
    "volumes": [
        {"name": "data", "labels": OWN, "size": 40, "server": "w1"},
        {"name": "loose", "size": 10, "location": "nbg1", "protected": True},
    ],
    "load_balancers": [
        {"name": "ingress", "labels": OWN, "servers": ["w1"], "ipv4": "203.0.112.20"},
        {"name": "other-ingress", "protected": True},
    ],
    "placement_groups": [{"name": "spread", "labels": OWN}, {"name": "other-spread"}],
    "primary_ips": [
        {"name": "gateway", "labels": OWN, "ip": "203.0.112.44", "server": "w1", "auto_delete": True},
        {"name": "spare", "ip": "203.0.112.45", "protected": True},
    ],
}


class Holding(Project):
    """A project with two of each kind, the first of each under a label."""

    def __init__(self, world: Any, **described: Any) -> None:
        super().__init__(world, **(described or THINGS))
        self.kept = Kept(self.cloud)

    def named(self, kind: str, name: str) -> Thing:
        return next(thing for thing in self.kept.things(kind) if thing.name == name)

    def server(self) -> int:
        return self.cloud.servers()[0].id

    def over(self, action: int) -> str:
        """What became of an action."""
        deadline = time.monotonic() + 10
        while (status := self.cloud.action(action).status) == "running":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return status


@pytest.fixture
def project(world: Any) -> Holding:
    return Holding(world)


def refused(call: Callable[..., Any], *arguments: Any) -> ProviderError:
    with pytest.raises((Permanent, Temporary)) as caught:
        call(*arguments)
    return caught.value


# --- Reading ----------------------------------------------------------------------------------------------------------
def test_volumes_are_read_with_their_server_place_size_and_protection(project: Holding) -> None:
    data, loose = project.kept.things("volume")
    assert data == Thing("volume", data.id, "data", OWN, servers=(project.server(),), location="fsn1", size=40)
    assert loose == Thing("volume", loose.id, "loose", {}, location="nbg1", size=10, protected=True)


def test_load_balancers_are_read_with_the_servers_they_send_to(project: Holding) -> None:
    ours, other = project.kept.things("load_balancer")
    assert (ours.name, ours.type, ours.location, ours.address) == ("ingress", "lb11", "fsn1", "203.0.112.20")
    assert (ours.servers, ours.labels, ours.protected) == ((project.server(),), OWN, False)
    assert (other.servers, other.labels, other.protected) == ((), {}, True)


def test_placement_groups_are_read(project: Holding) -> None:
    ours, other = project.kept.things("placement_group")
    assert ours == Thing("placement_group", ours.id, "spread", OWN, type="spread")
    assert other == Thing("placement_group", other.id, "other-spread", {}, type="spread")


def test_primary_ips_are_read_with_their_server_and_whether_they_go_with_it(project: Holding) -> None:
    gateway, spare = project.kept.things("primary_ip")
    assert (gateway.address, gateway.servers, gateway.auto_delete) == ("203.0.112.44", (project.server(),), True)
    assert (spare.address, spare.servers, spare.auto_delete, spare.protected) == ("203.0.112.45", (), False, True)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("volume", "data"), ("load_balancer", "ingress"), ("placement_group", "spread"), ("primary_ip", "gateway")],
)
def test_a_label_selector_leaves_out_what_does_not_match(project: Holding, kind: str, name: str) -> None:
    assert [thing.name for thing in project.kept.things(kind, LABEL)] == [name]
    assert project.kept.things(kind, "loopback/workspace=w-2") == []


def test_every_page_is_read(world: Any) -> None:
    project = Holding(world, volumes=[{"name": f"v{number}"} for number in range(51)])
    assert [thing.name for thing in project.kept.things("volume")] == [f"v{number}" for number in range(51)]
    assert len(world.journal(target=project.name)) == 2


def test_one_is_found_by_its_id_and_none_is_found_where_there_is_none(project: Holding) -> None:
    for kind in KINDS:
        first = project.kept.things(kind)[0]
        assert project.kept.find(kind, first.id) == first
        assert project.kept.find(kind, 999_999_999) is None


# --- Prices -----------------------------------------------------------------------------------------------------------
def test_prices_are_a_month_by_size_or_by_type_and_place(project: Holding) -> None:
    prices = project.kept.prices()
    assert prices.currency == "EUR"
    costs = {thing.name: prices.of(thing) for kind in KINDS for thing in project.kept.things(kind, LABEL)}
    assert costs == {
        "data": Decimal("1.76"),
        "ingress": Decimal("6.49"),
        "spread": Decimal(0),
        "gateway": Decimal("0.50"),
    }


def test_a_type_or_a_place_without_a_price_has_none(project: Holding) -> None:
    prices = project.kept.prices()
    assert prices.of(Thing("load_balancer", 1, "", {}, type="lb99", location="fsn1")) is None
    assert prices.of(Thing("primary_ip", 1, "", {}, type="ipv4", location="moon1")) is None


# --- Deleting ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "described"),
    [
        ("volume", {"volumes": [{"name": "it"}]}),
        ("load_balancer", {"load_balancers": [{"name": "it"}]}),
        ("placement_group", {"placement_groups": [{"name": "it"}]}),
        ("primary_ip", {"primary_ips": [{"name": "it", "ip": "203.0.112.46"}]}),
    ],
)
def test_deleting_says_whether_it_was_there(world: Any, kind: str, described: dict[str, Any]) -> None:
    project = Holding(world, **described)
    (it,) = project.kept.things(kind)
    assert project.kept.delete(kind, it.id) is True
    assert project.kept.find(kind, it.id) is None
    assert project.kept.delete(kind, it.id) is False


@pytest.mark.parametrize(
    ("kind", "name"), [("volume", "loose"), ("load_balancer", "other-ingress"), ("primary_ip", "spare")]
)
def test_what_is_protected_stays_and_the_owner_of_the_account_can_change_that(
    project: Holding, kind: str, name: str
) -> None:
    thing = project.named(kind, name)
    error = refused(project.kept.delete, kind, thing.id)
    assert isinstance(error, Permanent)
    assert error.code == "conflict"
    assert error.who_can_fix == "The owner of the cloud account, by lifting the protection there. Then continue."
    assert project.kept.find(kind, thing.id) == thing


@pytest.mark.parametrize(("kind", "name"), [("volume", "data"), ("primary_ip", "gateway")])
def test_what_a_server_holds_is_not_deleted(project: Holding, kind: str, name: str) -> None:
    thing = project.named(kind, name)
    error = refused(project.kept.delete, kind, thing.id)
    assert (type(error), error.code) == (Permanent, "configuration")
    assert project.kept.find(kind, thing.id) == thing


def test_a_volume_is_detached_and_then_deleted(project: Holding) -> None:
    data = project.named("volume", "data")
    assert project.over(project.kept.detach_volume(data.id)) == "success"
    assert project.named("volume", "data").servers == ()
    assert project.kept.delete("volume", data.id) is True


def test_a_detachment_that_fails_leaves_the_volume_where_it_is(project: Holding) -> None:
    data = project.named("volume", "data")
    project.fault(kind="action_failed", method="POST")
    assert project.over(project.kept.detach_volume(data.id)) == "error"
    assert project.named("volume", "data").servers == (project.server(),)


def test_a_locked_volume_is_tried_again(project: Holding) -> None:
    data = project.named("volume", "data")
    project.fault(kind="status", status=423, method="POST")
    error = refused(project.kept.detach_volume, data.id)
    assert (type(error), error.code) == (Temporary, "conflict")


# --- Errors -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [(401, Permanent, "credential"), (429, Temporary, "rate_limit"), (500, Temporary, "cloud_api")],
)
def test_every_call_tells_the_classes_of_error_apart(
    project: Holding, status: int, kind: type[ProviderError], code: str
) -> None:
    data = project.named("volume", "data")
    project.fault(kind="status", status=status)
    calls: list[Callable[[], Any]] = [
        lambda: project.kept.things("volume"),
        lambda: project.kept.find("volume", data.id),
        lambda: project.kept.delete("volume", data.id),
        lambda: project.kept.detach_volume(data.id),
        project.kept.prices,
    ]
    for call in calls:
        error = refused(call)
        assert (type(error), error.code) == (kind, code)


def test_a_token_that_nobody_knows_is_a_credential_error(project: Holding) -> None:
    stranger = Kept(HetznerCloud("x" * 64, project.url, timeout=1))
    assert refused(stranger.things, "volume").code == "credential"
