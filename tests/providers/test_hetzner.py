"""The Hetzner provider against the simulated Hetzner Cloud, over HTTP: what it reads, and each class of error."""

import socket
import threading
import time
import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from workspaces.providers.errors import Permanent, Temporary
from workspaces.providers.hetzner import HetznerCloud, Location

LABELS = {"role": "worker"}
SERVERS = [
    {"name": "ledger-prod-w1", "server_type": "cpx32", "location": "nbg1", "image": "debian-13", "labels": LABELS},
    {"name": "ledger-prod-w2", "server_type": "cax31", "location": "fsn1", "image": "debian-13", "status": "off"},
]


class Project:
    """A project of its own in the simulated cloud, and the provider looking at it."""

    def __init__(self, world, **described):
        self.world, self.name = world, f"p-{uuid.uuid4().hex[:10]}"
        ready = world.add({"hetzner_projects": [{"name": self.name, **described}]})
        self.token = next(project["token"] for project in ready["hetzner_projects"] if project["name"] == self.name)
        self.url = ready["hetzner_url"]
        self.cloud = HetznerCloud(self.token, self.url, timeout=1)

    def fault(self, **fields):
        return self.world.fault(service="hetzner", target=self.name, **fields)

    def failure(self, call="servers", **fields):
        """The error one call ends in while that fault is in force, and how many requests it took, in how long."""
        self.fault(**fields)
        started = time.monotonic()
        with pytest.raises((Temporary, Permanent)) as caught:
            getattr(self.cloud, call)()
        self.took = time.monotonic() - started
        self.requests = len(self.world.journal(target=self.name))
        return caught.value


@pytest.fixture
def project(world):
    return Project(world, servers=SERVERS)


def test_servers_are_read_with_their_type_place_labels_and_time(project):
    first, second = project.cloud.servers()
    assert (first.name, first.status, first.server_type, first.location) == (
        "ledger-prod-w1",
        "running",
        "cpx32",
        "nbg1",
    )
    assert first.labels == {"role": "worker"}
    assert first.created.tzinfo is UTC
    assert (second.name, second.status, second.server_type) == ("ledger-prod-w2", "off", "cax31")


def test_a_label_selector_leaves_out_what_does_not_match(project):
    assert [server.name for server in project.cloud.servers("role=worker")] == ["ledger-prod-w1"]
    assert [server.name for server in project.cloud.servers("!role")] == ["ledger-prod-w2"]
    assert project.cloud.servers("role in (web,db)") == []


def test_every_page_is_read(world):
    many = [{"name": f"w{number}", "server_type": "cpx22", "location": "fsn1"} for number in range(120)]
    project = Project(world, servers=many)
    assert [server.name for server in project.cloud.servers()] == [f"w{number}" for number in range(120)]
    assert len(world.journal(target=project.name)) == 3


def test_server_types_carry_decimal_prices_and_availability_per_location(project):
    types = {kind.name: kind for kind in project.cloud.server_types()}
    kind = types["ccx33"]
    assert (kind.cores, kind.memory, kind.disk, kind.architecture, kind.cpu_type) == (8, 32.0, 240, "x86", "dedicated")
    offers = {offer.location: offer for offer in kind.offers}
    assert offers["fsn1"].price.monthly_cap == Decimal("56.49")
    assert offers["fsn1"].price.hourly == Decimal("0.0905")
    assert offers["ash"].price.monthly_cap == Decimal("62.14")
    now = datetime(2026, 11, 24, tzinfo=UTC)
    assert offers["fsn1"].orderable(now)
    assert not offers["nbg1"].orderable(now)
    assert not any(offer.orderable(now) for offer in types["ccx63"].offers)
    assert {offer.location for offer in types["cax21"].offers} == {"fsn1", "nbg1", "hel1"}


def test_a_deprecated_type_is_orderable_until_its_day(project):
    kind = next(kind for kind in project.cloud.server_types() if kind.name == "cpx31")
    offer = next(offer for offer in kind.offers if offer.location == "fsn1")
    assert offer.unavailable_after == datetime(2026, 12, 31, tzinfo=UTC)
    assert offer.orderable(datetime(2026, 12, 30, 23, 59, tzinfo=UTC))
    assert not offer.orderable(datetime(2026, 12, 31, tzinfo=UTC))


def test_locations_and_the_currency_are_read(project):
    locations = project.cloud.locations()
    assert locations[0] == Location(1, "fsn1", "Falkenstein", "DE", "eu-central")
    assert [place.name for place in locations] == ["fsn1", "nbg1", "hel1", "ash", "hil", "sin"]
    pricing = project.cloud.pricing()
    assert (pricing.currency, pricing.backup_percent) == ("EUR", Decimal(20))
    assert pricing.primary_ipv4["fsn1"] == Decimal("0.50")


def test_a_token_nobody_knows_is_a_credential_error(project):
    with pytest.raises(Permanent) as caught:
        HetznerCloud("wrong", project.url, timeout=1).servers()
    assert caught.value.code == "credential"
    assert caught.value.message == "Hetzner Cloud: unable to authenticate (unauthorized)"


def test_an_expired_token_is_a_credential_error_and_its_text_never_shows_it(project):
    error = project.failure(kind="expired_token")
    assert (type(error), error.code) == (Permanent, "credential")
    assert project.token not in f"{error!r}{error.__cause__!r}{error.__context__!r}"


def test_a_reached_limit_is_a_quota_error(project):
    error = project.failure(kind="resource_limit")
    assert (type(error), error.code) == (Permanent, "quota")


def test_a_rate_limit_is_temporary_tells_when_to_come_back_and_is_not_repeated(world):
    project = Project(world, rate_limit=360)  # refilled every 10 seconds
    project.cloud.pricing()
    error = project.failure(kind="status", status=429)
    assert (type(error), error.code) == (Temporary, "rate_limit")
    assert 5 < error.delay <= 10
    assert project.requests == 2


def test_an_empty_bucket_asks_for_a_pause_but_not_for_the_hour_it_takes_to_fill(world):
    project = Project(world, rate_limit=2)
    project.cloud.pricing()
    project.cloud.pricing()
    with pytest.raises(Temporary) as caught:
        project.cloud.pricing()
    assert (caught.value.code, caught.value.delay) == ("rate_limit", 60)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_failing_vendor_is_temporary_and_asked_once(project, status):
    error = project.failure(kind="status", status=status)
    assert (type(error), error.code, project.requests) == (Temporary, "cloud_api", 1)
    assert project.took < 1


def test_maintenance_is_temporary_although_it_is_a_403(project):
    error = project.failure(kind="maintenance")
    assert (type(error), error.code) == (Temporary, "cloud_api")


def test_something_that_is_gone_is_not_found(project):
    error = project.failure(kind="status", status=404)
    assert (type(error), error.code) == (Permanent, "not_found")


@pytest.mark.parametrize("status", [409, 423])
def test_a_conflict_or_a_lock_is_temporary_and_asked_once(project, status):
    error = project.failure(kind="status", status=status)
    assert (type(error), error.code, project.requests) == (Temporary, "conflict", 1)


@pytest.mark.parametrize("status", [400, 422])
def test_input_the_vendor_cannot_use_is_a_configuration_error(project, status):
    error = project.failure(kind="status", status=status)
    assert (type(error), error.code) == (Permanent, "configuration")


def test_a_malformed_selector_is_a_configuration_error(project):
    with pytest.raises(Permanent, match="label_selector"):
        project.cloud.servers("a b c")


@pytest.mark.parametrize("call", ["servers", "server_types", "locations", "pricing"])
def test_a_hanging_server_is_an_error_within_twice_the_timeout(project, call):
    error = project.failure(call, kind="hang")
    assert (type(error), error.code) == (Temporary, "unreachable")
    assert error.message == "Hetzner Cloud did not answer in time."
    assert project.took < 2
    assert project.requests == 1


def test_an_answer_that_stops_in_the_middle_is_unreachable():
    def answer_half(server, given_up):
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n{")
            given_up.wait(5)

    given_up = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        answering = threading.Thread(target=answer_half, args=(server, given_up))
        answering.start()
        started = time.monotonic()
        with pytest.raises(Temporary) as caught:
            HetznerCloud("token", f"http://127.0.0.1:{server.getsockname()[1]}/v1", timeout=0.5).locations()
        assert time.monotonic() - started < 1.5
        given_up.set()
        answering.join()
    assert caught.value.code == "unreachable"


def test_a_connection_cut_without_an_answer_is_unreachable(project):
    error = project.failure(kind="refuse")
    assert (type(error), error.code) == (Temporary, "unreachable")


def test_a_port_nobody_listens_on_is_unreachable():
    with pytest.raises(Temporary) as caught:
        HetznerCloud("token", "http://127.0.0.1:9/v1", timeout=1).locations()
    assert caught.value.code == "unreachable"


def test_an_answer_that_is_not_hetzners_is_a_failure_of_the_vendor(world):
    # The control API of the world is a web server too, and no Hetzner Cloud.
    for endpoint, code in (
        (world.ready["control_url"], "not_found"),
        (f"{world.ready['control_url']}/ready?", "cloud_api"),
    ):
        with pytest.raises((Temporary, Permanent)) as caught:
            HetznerCloud("token", endpoint, timeout=1).pricing()
        assert caught.value.code == code


def test_it_goes_on_after_a_failure(project):
    project.fault(kind="status", status=503, times=1)
    with pytest.raises(Temporary):
        project.cloud.servers()
    assert len(project.cloud.servers()) == 2


def test_the_request_says_who_asks(project):
    project.cloud.locations()
    (entry,) = project.world.journal(target=project.name)
    assert (entry["method"], entry["path"], entry["status"]) == ("GET", "/v1/locations?page=1&per_page=50", 200)
