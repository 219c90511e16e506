"""`manage.py profiles`: what it asks, tells, refuses and lists."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests import cast
from tests.simulators.running import RunningWorld
from workspaces.models import ComputeProfile, Event, ProfileLocation, ProviderAccount

pytestmark = pytest.mark.django_db
TOKENS = {"command-shop": "c" * 64, "command-lab": "d" * 64}


def run(*arguments: Any) -> str:
    out = StringIO()
    call_command("profiles", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def shop(world: RunningWorld) -> Iterator[RunningWorld]:
    """Two cloud projects: of Kestrel Freight and of Fjordline."""
    projects = [{"name": name, "token": token} for name, token in TOKENS.items()]
    ready = world.add({"hetzner_types": {}, "hetzner_projects": projects})
    for (name, token), organization in zip(TOKENS.items(), ("Kestrel Freight", "Fjordline"), strict=True):
        ProviderAccount.objects.create(
            organization=cast.organization(organization), name=name, token=token, endpoint=ready["hetzner_url"]
        )
    yield world
    world.add({"hetzner_types": {}})


def test_sync_asks_every_account_and_tells_what_has_changed(shop: RunningWorld) -> None:
    first = run("sync")
    assert first.splitlines()[0].startswith("command-lab (Fjordline): added: cax21, cax31, ")
    assert first.splitlines()[1].startswith("command-shop (Kestrel Freight): added: cax21, ")
    assert ComputeProfile.objects.count() == 36
    assert run("sync") == (
        "command-lab (Fjordline): nothing has changed\ncommand-shop (Kestrel Freight): nothing has changed\n"
    )
    added = Event.objects.row_changes().filter(action="compute_profile.added")
    assert set(added.values_list("actor_name", flat=True)) == {"manage.py profiles"}
    shop.add({"hetzner_types": {"ccx23": {"monthly": "30.00"}, "cx43": {"withdrawn": True}}})
    assert run("sync", "--account", "command-shop") == (
        "command-shop (Kestrel Freight): changed: ccx23; withdrawn: cx43\n"
    )
    assert ComputeProfile.objects.get(name="cx43", active=False).provider_account.name == "command-shop"


def test_a_dry_run_tells_and_changes_nothing(shop: RunningWorld) -> None:
    assert "would be added: cax21, " in run("sync", "--dry-run")
    assert not ComputeProfile.objects.exists()
    (lab, found) = json.loads(run("sync", "--dry-run", "--json"))
    key = str(ProviderAccount.objects.get(name="command-shop").pk)
    assert (found["account"], found["id"], found["organization"]) == ("command-shop", key, "Kestrel Freight")
    assert (len(found["added"]), found["changed"], found["withdrawn"], found["locations"]) == (18, [], [], 87)
    assert (found["error"], found["dry_run"], lab["dry_run"]) == ("", True, True)
    assert not ComputeProfile.objects.exists()


def test_an_account_that_could_not_be_asked_does_not_keep_the_others_and_is_told_by_the_exit_status(
    shop: RunningWorld,
) -> None:
    shop.fault(service="hetzner", target="command-lab", kind="expired_token")
    out = StringIO()
    with pytest.raises(CommandError, match=r"^Could not be asked: command-lab\.$"):
        call_command("profiles", "sync", "--json", stdout=out)
    lab, found = json.loads(out.getvalue())
    assert lab["error"].startswith("Hetzner Cloud: ")
    assert (found["error"], len(found["added"])) == ("", 18)


@pytest.mark.parametrize("action", ["sync", "list"])
def test_an_account_that_there_is_not_is_refused_with_those_that_there_are(shop: RunningWorld, action: str) -> None:
    with pytest.raises(CommandError, match=r"There is no provider account nope\. Known: command-lab, command-shop\."):
        run(action, "--account", "nope")


def test_list_says_what_was_told_and_how_sure_that_is(shop: RunningWorld) -> None:
    run("sync", "--account", str(ProviderAccount.objects.get(name="command-shop").pk))
    at = ProfileLocation.objects.get(profile__name="ccx23", location="fsn1")
    told = f"{at.checked_at:%Y-%m-%dT%H:%M:%SZ}"
    lines = run("list").splitlines()
    assert len(lines) == 87
    assert f"command-shop: ccx23 in fsn1: available as of {told}, 0.0457 EUR an hour, at most 28.49 a month" in lines
    assert any(line.startswith("command-shop: ccx53 in fsn1: not available as of ") for line in lines)
    assert any(
        line.startswith("command-shop: cpx31 in fsn1") and "until 2026-12-31T00:00:00Z" in line for line in lines
    )
    ProfileLocation.objects.filter(pk=at.pk).update(available=None)
    ComputeProfile.objects.filter(name="ccx23").update(active=False)
    line = next(line for line in run("list").splitlines() if "ccx23 in fsn1" in line)
    assert "not known whether available" in line
    assert line.endswith(", not offered")
    (entry,) = [
        one for one in json.loads(run("list", "--json")) if (one["profile"], one["location"]) == ("ccx23", "fsn1")
    ]
    assert entry == {
        "account": "command-shop",
        "organization": "Kestrel Freight",
        "profile": "ccx23",
        "location": "fsn1",
        "active": False,
        "available": None,
        "checked_at": told,
        "unavailable_after": None,
        "currency": "EUR",
        "hourly": "0.0457000000",
        "monthly": "28.4900000000",
        "traffic": "1.0000000000",
        "backup": "5.6980000000",
        "primary_ip": "0.5000000000",
    }
