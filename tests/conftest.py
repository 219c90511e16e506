"""Fixtures for all rooms: the cast (see cast.py), the simulated world, and an empty queue."""

from __future__ import annotations

from collections.abc import Iterator

import django_rq
import pytest

from tests import cast
from tests.simulators.running import RunningWorld
from workspaces.models import Account, KubernetesVersion, Workspace


@pytest.fixture(autouse=True)
def quick_passwords(settings) -> None:
    """Hashing a password slowly is Django's business; here it would cost half a second for each account."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def alice(db: None) -> Account:
    """Administers Kestrel Freight."""
    return cast.account(
        "alice@kestrel.example",
        "administrator",
        on=cast.organization("Kestrel Freight"),
        first_name="Alice",
        last_name="Ahrens",
    )


@pytest.fixture
def bob(db: None) -> Account:
    """Operates the project Freight Core, and nothing else."""
    return cast.account("bob@kestrel.example", "operator", on=cast.project(), first_name="Bob", last_name="Berger")


@pytest.fixture
def victor(db: None) -> Account:
    """May look at Kestrel Freight."""
    return cast.account("victor@kestrel.example", "viewer", on=cast.organization("Kestrel Freight"))


@pytest.fixture
def charlie(db: None) -> Account:
    """A stranger: administers another organization."""
    return cast.account("charlie@fjordline.example", "administrator", on=cast.organization("Fjordline"))


@pytest.fixture
def root(db: None) -> Account:
    """Administers the platform."""
    return Account.objects.create_superuser("root@loopback.example", cast.PASSWORD)


@pytest.fixture
def catalogue_rows(db: None) -> list[KubernetesVersion]:
    """The version catalogue."""
    return cast.load_catalogue()


@pytest.fixture
def workspace(db: None) -> Workspace:
    """ledger-prod: Kubernetes 1.34.8 on three hosts, in Freight Core."""
    return cast.kubernetes()


@pytest.fixture
def metal(db: None) -> Workspace:
    """customs-archive: two bare-metal hosts, in Freight Core."""
    return cast.baremetal()


@pytest.fixture(scope="session")
def running_world() -> Iterator[RunningWorld]:
    """The simulated vendors, one process for the whole run (of each xdist worker)."""
    with RunningWorld() as world:
        yield world


@pytest.fixture
def world(running_world: RunningWorld) -> Iterator[RunningWorld]:
    """The simulated vendors without faults; tests add clusters and hosts of their own under names of their own."""
    running_world.clear_faults()
    yield running_world
    running_world.clear_faults()


@pytest.fixture
def empty_queues() -> None:
    """No job of another test is left in this worker's Redis database."""
    django_rq.get_connection("operations").flushdb()
