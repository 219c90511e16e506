"""Asking the simulated cloud what it sells: what is written, what stays, and what is not known when nobody answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import django_rq
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import cast
from tests.simulators.running import RunningWorld
from workspaces.models import ComputeProfile, Event, ProfileLocation, ProviderAccount
from workspaces.models.price_list import available_at
from workspaces.operations import profiles
from workspaces.operations.profiles import Synced
from workspaces.providers.errors import Permanent, Temporary

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues")]
NOW = cast.NOW
LATER = NOW + timedelta(minutes=10)
TOKEN = "s" * 64


@pytest.fixture
def shop(world: RunningWorld) -> Iterator[RunningWorld]:
    """The world with what it sells as it is at first, also afterwards."""
    world.add({"hetzner_types": {}, "hetzner_pricing": {}})
    yield world
    world.add({"hetzner_types": {}, "hetzner_pricing": {}})


@pytest.fixture
def account(shop: RunningWorld) -> ProviderAccount:
    """A cloud project whose types nobody has asked for yet."""
    ready = shop.add({"hetzner_projects": [{"name": "kestrel-shop", "token": TOKEN}]})
    return ProviderAccount.objects.create(
        organization=cast.organization("Kestrel Freight"),
        name="kestrel-shop",
        token=TOKEN,
        endpoint=ready["hetzner_url"],
    )


@pytest.fixture
def synced(account: ProviderAccount) -> ProviderAccount:
    """The same, asked at NOW."""
    profiles.look(account, NOW)
    return account


def row(name: str = "ccx23", location: str = "fsn1") -> ProfileLocation:
    return ProfileLocation.objects.select_related("profile").get(profile__name=name, location=location)


def writes(captured: CaptureQueriesContext) -> list[str]:
    """What was written, as "verb table: columns"."""
    found = []
    for query in captured:
        if update := re.match(r'UPDATE "workspaces_(\w+)" SET (.*?) WHERE', query["sql"], re.DOTALL):
            found.append(f"update {update[1]}: {' '.join(re.findall(r'"(\w+)" = ', update[2]))}")
        elif insert := re.match(r'INSERT INTO "workspaces_(\w+)"', query["sql"]):
            found.append(f"insert {insert[1]}")
    return found


# --- What is told -----------------------------------------------------------------------------------------------------
def test_server_types_become_profiles_with_prices_and_availability_at_each_location(account: ProviderAccount) -> None:
    told = profiles.look(account, NOW)
    assert (len(told.added), told.changed, told.withdrawn, told.locations) == (18, (), (), 87)
    profile = ComputeProfile.objects.get(name="ccx23")
    assert (profile.provider_account, profile.family, profile.cores, profile.memory_gb, profile.disk_gb) == (
        account, "ccx", 4, Decimal(16), 160,
    )  # fmt: skip
    assert (profile.architecture, profile.cpu_type, profile.storage_type) == ("x86", "dedicated", "local")
    assert (profile.active, profile.withdrawn_at, profile.synced_at) == (True, None, NOW)
    at = row()
    assert (at.available, at.checked_at, at.recommended, at.unavailable_after) == (True, NOW, True, None)
    assert (at.currency, at.setup, at.hourly, at.monthly) == (
        "EUR", Decimal(0), Decimal("0.0457"), Decimal("28.49"),
    )  # fmt: skip
    assert (at.traffic, at.included_traffic) == (Decimal(1), 20 * 1024**4)
    assert at.backup == Decimal("5.698"), "20 % of the monthly price"
    assert at.primary_ip == Decimal("0.5")
    assert (row(location="ash").monthly, row(location="ash").backup) == (Decimal("31.34"), Decimal("6.268"))
    assert row(location="nbg1").available is True
    assert row("ccx53", "fsn1").available is False
    assert row("cax21").profile.architecture == "arm"


def test_an_announced_end_is_stored_and_one_that_has_passed_is_never_available(synced: ProviderAccount) -> None:
    ending = row("cpx31")
    assert ending.announced_at == datetime(2026, 9, 15, tzinfo=UTC)
    assert ending.unavailable_after == datetime(2026, 12, 31, tzinfo=UTC)
    assert (available_at(ending, NOW), row("cx22").available) == (True, False)
    ending.checked_at = ending.unavailable_after
    assert available_at(ending, ending.unavailable_after - timedelta(microseconds=1)) is True
    assert available_at(ending, ending.unavailable_after) is False


@pytest.mark.parametrize(
    ("name", "family"), [("ccx23", "ccx"), ("cx22", "cx"), ("CPX31", "cpx"), ("gpu", "gpu"), ("2xl", "")]
)
def test_the_family_is_the_letters_that_a_name_begins_with(name: str, family: str) -> None:
    assert profiles.family(name) == family


# --- Only what differs is written -------------------------------------------------------------------------------------
def test_a_second_sync_writes_the_times_and_nothing_else(synced: ProviderAccount) -> None:
    before = list(ProfileLocation.objects.order_by("pk").values())
    with CaptureQueriesContext(connection) as captured:
        assert profiles.look(synced, LATER) == Synced()
    assert writes(captured) == [
        "update provideraccount: profiles_checked_at profiles_error_code profiles_error",
        "update computeprofile: synced_at",
        "update profilelocation: checked_at",
    ]
    assert list(ProfileLocation.objects.order_by("pk").values()) == [old | {"checked_at": LATER} for old in before]
    assert not Event.objects.row_changes().filter(action__in=("profile_location.changed", "compute_profile.changed"))
    synced.refresh_from_db()
    assert synced.profiles_checked_at == LATER


def test_a_price_that_changes_keeps_its_row_and_touches_no_other(shop: RunningWorld, synced: ProviderAccount) -> None:
    before = {one["id"]: one for one in ProfileLocation.objects.values()}
    shop.add({"hetzner_types": {"ccx23": {"monthly": "30.00"}}})
    told = profiles.look(synced, LATER)
    assert (told.added, told.changed, told.withdrawn, told.locations) == ((), ("ccx23",), (), 6)
    changed = {
        one["id"] for one in ProfileLocation.objects.values() if one != before[one["id"]] | {"checked_at": LATER}
    }
    assert changed == set(ProfileLocation.objects.filter(profile__name="ccx23").values_list("pk", flat=True))
    assert (row().monthly, row().backup, row().pk in before) == (Decimal(30), Decimal(6), True)
    events = Event.objects.row_changes().filter(action="profile_location.changed", changes__monthly=[28.49, 30.0])
    assert {event.summary.split(" of ")[0] for event in events} == {"Changed backup, hourly, monthly"}
    assert events.count() == 3, "in Europe"


def test_what_is_sold_out_and_back_is_written_without_a_word_in_the_trail(
    shop: RunningWorld, synced: ProviderAccount
) -> None:
    events = Event.objects.count()
    shop.add({"hetzner_types": {"ccx23": {"available": ["hel1"]}}})
    assert profiles.look(synced, LATER).changed == ("ccx23",)
    assert {one.location: one.available for one in row().profile.locations.all()} == {
        "fsn1": False, "nbg1": False, "hel1": True, "ash": False, "hil": False, "sin": False,
    }  # fmt: skip
    shop.add({"hetzner_types": {}})
    profiles.look(synced, LATER + timedelta(minutes=10))
    assert (row().available, Event.objects.count()) == (True, events)


def test_another_currency_comes_with_the_new_prices(shop: RunningWorld, synced: ProviderAccount) -> None:
    keys = set(ProfileLocation.objects.values_list("pk", flat=True))
    shop.add({"hetzner_pricing": {"currency": "USD", "backup_percent": "25", "primary_ipv4": "0.60"}})
    assert profiles.look(synced, LATER).locations == 87
    assert set(ProfileLocation.objects.values_list("currency", flat=True)) == {"USD"}
    assert set(ProfileLocation.objects.values_list("pk", flat=True)) == keys
    assert (row().backup, row().primary_ip) == (Decimal("7.1225"), Decimal("0.60"))


# --- What is gone -----------------------------------------------------------------------------------------------------
def test_a_type_that_is_listed_no_more_is_kept_inactive_and_comes_back(
    shop: RunningWorld, synced: ProviderAccount
) -> None:
    key = ComputeProfile.objects.get(name="cx43").pk
    shop.add({"hetzner_types": {"cx43": {"withdrawn": True}}})
    told = profiles.look(synced, LATER)
    assert (told.added, told.changed, told.withdrawn) == ((), (), ("cx43",))
    gone = ComputeProfile.objects.get(name="cx43")
    assert (gone.pk, gone.active, gone.withdrawn_at) == (key, False, LATER)
    assert (row("cx43", "nbg1").available, row("cx43", "nbg1").monthly) == (False, Decimal("11.99"))
    assert profiles.look(synced, LATER + timedelta(minutes=10)) == Synced(), "it is withdrawn once"
    assert ComputeProfile.objects.get(pk=key).withdrawn_at == LATER
    shop.add({"hetzner_types": {}})
    assert profiles.look(synced, LATER + timedelta(minutes=20)).added == ("cx43",)
    back = ComputeProfile.objects.get(pk=key)
    assert (back.active, back.withdrawn_at, row("cx43", "nbg1").available) == (True, None, True)


def test_what_support_has_switched_off_stays_off_whatever_the_provider_does(
    shop: RunningWorld, synced: ProviderAccount
) -> None:
    ComputeProfile.objects.filter(name="cx43").update(active=False)
    for number, types in enumerate(({}, {"cx43": {"withdrawn": True}}, {})):
        shop.add({"hetzner_types": types})
        profiles.look(synced, LATER + number * timedelta(minutes=10))
        off = ComputeProfile.objects.get(name="cx43")
        assert (off.active, off.withdrawn_at) == (False, None)


def test_a_location_where_a_type_is_no_more_is_kept_and_not_available(
    shop: RunningWorld, synced: ProviderAccount
) -> None:
    shop.add({"hetzner_types": {"ccx23": {"locations": ["fsn1", "nbg1"]}}})
    told = profiles.look(synced, LATER)
    assert (told.changed, told.locations) == (("ccx23",), 3)  # sin was not available before
    assert {one.location: (one.available, one.checked_at) for one in row().profile.locations.all()} == {
        "fsn1": (True, LATER),
        "nbg1": (True, LATER),
        **dict.fromkeys(("hel1", "ash", "hil", "sin"), (False, LATER)),
    }
    assert row(location="hel1").monthly == Decimal("28.49")
    assert profiles.look(synced, LATER + timedelta(minutes=10)) == Synced()


# --- Nobody answers ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ({"kind": "expired_token"}, Permanent, "credential"),
        ({"kind": "status", "status": 429}, Temporary, "rate_limit"),
        ({"kind": "hang"}, Temporary, "unreachable"),
        ({"kind": "status", "status": 503, "path": "*/pricing"}, Temporary, "cloud_api"),
    ],
)
def test_what_could_not_be_asked_is_not_known_and_keeps_its_prices_and_their_age(
    shop: RunningWorld, synced: ProviderAccount, settings, fault, error, code: str
) -> None:
    settings.LOOPBACK_VENDOR_TIMEOUT = 0.5
    before = list(ProfileLocation.objects.order_by("pk").values())
    shop.fault(service="hetzner", target="kestrel-shop", **fault)
    with pytest.raises(error) as caught:
        profiles.look(synced, LATER)
    assert caught.value.code == code
    assert profiles.sync(synced, LATER) == Synced(error=caught.value.message)
    assert list(ProfileLocation.objects.order_by("pk").values()) == [old | {"available": None} for old in before]
    synced.refresh_from_db()
    assert (synced.profiles_error_code, synced.profiles_error) == (code, caught.value.message)
    assert synced.profiles_checked_at == NOW
    assert TOKEN not in synced.profiles_error
    shop.clear_faults()
    assert profiles.sync(synced, LATER + timedelta(minutes=10)).error == ""
    synced.refresh_from_db()
    assert (synced.profiles_error_code, synced.profiles_error, row().available) == ("", "", True)


def test_a_failure_is_written_in_one_update_of_all_rows(shop: RunningWorld, synced: ProviderAccount) -> None:
    shop.fault(service="hetzner", target="kestrel-shop", kind="expired_token")
    with CaptureQueriesContext(connection) as captured:
        profiles.sync(synced, LATER)
    assert writes(captured) == [
        "update profilelocation: available",
        "update provideraccount: profiles_error_code profiles_error",
    ]


def test_an_account_without_a_token_or_an_answer_without_a_single_type_withdraws_nothing(
    shop: RunningWorld, synced: ProviderAccount
) -> None:
    names = ComputeProfile.objects.values_list("name", flat=True)
    shop.add({"hetzner_types": {name: {"withdrawn": True} for name in names}})
    assert profiles.sync(synced, LATER).error == "Hetzner Cloud lists no server types at all."
    assert ComputeProfile.objects.filter(active=True).count() == 18
    ProviderAccount.objects.update(token="")
    bare = ProviderAccount.objects.get()
    assert profiles.sync(bare, LATER).error == "No token is stored for provider account kestrel-shop."


def test_an_answer_that_was_asked_for_earlier_does_not_undo_a_later_one(
    shop: RunningWorld, synced: ProviderAccount
) -> None:
    profiles.look(synced, LATER)
    shop.add({"hetzner_types": {"ccx23": {"monthly": "30.00"}}})
    assert profiles.look(synced, NOW) == Synced()
    shop.fault(service="hetzner", target="kestrel-shop", kind="expired_token")
    profiles.sync(synced, NOW)
    synced.refresh_from_db()
    assert (row().monthly, row().available, synced.profiles_error) == (Decimal("28.49"), True, "")


def test_what_was_told_too_long_ago_is_not_known(synced: ProviderAccount, settings) -> None:
    settings.LOOPBACK_PROFILES_SECONDS = 600
    assert available_at(row(), NOW + timedelta(minutes=30)) is True
    assert available_at(row(), NOW + timedelta(minutes=30, microseconds=1)) is None
    assert available_at(row("ccx53"), NOW + timedelta(minutes=31)) is None
    assert available_at(ProfileLocation(available=True, checked_at=None), NOW) is None


# --- Looking only, and all of them ------------------------------------------------------------------------------------
def test_a_dry_run_tells_the_same_and_writes_nothing(shop: RunningWorld, account: ProviderAccount) -> None:
    assert profiles.sync(account, NOW, dry_run=True).locations == 87
    shop.fault(service="hetzner", target="kestrel-shop", kind="expired_token")
    assert profiles.sync(account, NOW, dry_run=True).error.startswith("Hetzner Cloud: ")
    assert not ComputeProfile.objects.exists()
    account.refresh_from_db()
    assert (account.profiles_checked_at, account.profiles_error) == (None, "")


def test_another_accounts_rows_are_left_alone(shop: RunningWorld, synced: ProviderAccount) -> None:
    other = ProviderAccount.objects.create(organization=synced.organization, name="other", token=TOKEN)
    ProviderAccount.objects.filter(pk=other.pk).update(endpoint=synced.endpoint)
    other.refresh_from_db()
    profiles.look(other, LATER)
    shop.fault(service="hetzner", target="kestrel-shop", kind="expired_token")
    profiles.sync(other, LATER + timedelta(minutes=10))
    assert set(
        ProfileLocation.objects.filter(profile__provider_account=synced).values_list("checked_at", flat=True)
    ) == {NOW}
    assert synced.profiles.get(name="ccx23").locations.get(location="fsn1").available is True
    assert other.profiles.get(name="ccx23").locations.get(location="fsn1").available is None


def test_there_is_a_job_for_each_account(account: ProviderAccount) -> None:
    second = ProviderAccount.objects.create(organization=account.organization, name="second", token="t")
    profiles.sync_all()
    jobs = {(job.func_name, job.args[0]) for job in django_rq.get_queue("reconcile").jobs}
    assert jobs == {("workspaces.jobs.sync_profiles", str(one.pk)) for one in (account, second)}
