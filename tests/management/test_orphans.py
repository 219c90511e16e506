"""`manage.py orphans`: what it tells of servers without a host and hosts without a server, in words and as JSON."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests import cast
from workspaces.models import ComputeProfile, Host, LeftServer, ProfileLocation, ProviderAccount, Workspace
from workspaces.rules import labels

pytestmark = pytest.mark.django_db
CREATED = cast.NOW - timedelta(days=3)
SINCE = cast.NOW - timedelta(hours=2)


def run(*arguments: Any) -> str:
    out = StringIO()
    call_command("orphans", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.utils.timezone.now", lambda: cast.NOW)


@pytest.fixture
def account(workspace: Workspace) -> ProviderAccount:
    """An account with a price for ccx13 in fsn1, looked at just now."""
    made = ProviderAccount.objects.create(
        organization=workspace.project.organization, name="kestrel", token="t", observed_at=cast.NOW
    )
    profile = ComputeProfile.objects.create(
        provider_account=made, name="ccx13", cores=2, memory_gb=8, disk_gb=80, architecture="x86"
    )
    prices = {"hourly": Decimal("0.0232"), "monthly": Decimal("14.49"), "primary_ip": Decimal("0.50")}
    ProfileLocation.objects.create(profile=profile, location="fsn1", currency="EUR", **prices)
    return made


def leave(account: ProviderAccount, number: int, workspace: Workspace, profile: str = "ccx13") -> LeftServer:
    return LeftServer.objects.create(
        provider_account=account,
        provider_id=number,
        name=f"left-{number}",
        profile=profile,
        location="fsn1",
        status="running",
        labels={labels.WORKSPACE: str(workspace.pk)},
        created_at=CREATED,
        first_seen_at=SINCE,
        observed_at=cast.NOW,
    )


def test_nothing_left_is_said_with_the_age_of_the_look(account: ProviderAccount) -> None:
    assert run("list") == (
        "kestrel of Kestrel Freight, as of 2026-11-24T14:32:00Z\n  no server is left, and no host is without one\n"
    )


def test_servers_and_hosts_are_told_with_what_they_cost(account: ProviderAccount, workspace: Workspace) -> None:
    leave(account, 7, workspace)
    leave(account, 8, workspace)
    leave(account, 9, workspace, profile="cx99")
    Host.objects.filter(name="ledger-prod-w1").update(provider_account=account, provider_id=5, provider_status="gone")
    Host.objects.filter(name="ledger-prod-w2").update(provider_account=account)
    assert run("list").splitlines() == [
        "kestrel of Kestrel Freight, as of 2026-11-24T14:32:00Z",
        "  server left-7 (7), ccx13 in fsn1, running, made for ledger-prod, left since 2026-11-24T12:32:00Z: "
        "EUR 14.99 a month",
        "  server left-8 (8), ccx13 in fsn1, running, made for ledger-prod, left since 2026-11-24T12:32:00Z: "
        "EUR 14.99 a month",
        "  server left-9 (9), cx99 in fsn1, running, made for ledger-prod, left since 2026-11-24T12:32:00Z: "
        "price not known",
        "  host ledger-prod-w1 of ledger-prod: its server 5 is gone",
        "  host ledger-prod-w2 of ledger-prod: it never got a server",
        "  together EUR 29.98 a month",
    ]


def test_json_says_the_same_with_amounts_as_text(account: ProviderAccount, workspace: Workspace) -> None:
    leave(account, 7, workspace)
    Host.objects.filter(name="ledger-prod-w1").update(provider_account=account, provider_id=5, provider_status="gone")
    (told,) = json.loads(run("list", "--json"))
    amounts = told["left_servers"][0].pop("monthly")
    sums = told.pop("monthly")
    assert told == {
        "account": "kestrel",
        "organization": "Kestrel Freight",
        "observed_at": "2026-11-24T14:32:00Z",
        "known": True,
        "error": "",
        "left_servers": [
            {
                "id": 7,
                "name": "left-7",
                "profile": "ccx13",
                "location": "fsn1",
                "status": "running",
                "workspace": str(workspace.pk),
                "other_installation": False,
                "created_at": "2026-11-21T14:32:00Z",
                "first_seen_at": "2026-11-24T12:32:00Z",
                "observed_at": "2026-11-24T14:32:00Z",
            }
        ],
        "hosts_without_server": [{"workspace": "ledger-prod", "host": "ledger-prod-w1", "server": 5, "state": "gone"}],
        "unpriced": 0,
    }
    for money in (amounts, sums[0]):
        assert isinstance(money["agreed"], str)
        assert (money["currency"], Decimal(money["list"]), Decimal(money["agreed"])) == (
            "EUR", Decimal("14.99"), Decimal("14.99"),
        )  # fmt: skip


def test_an_account_that_cannot_be_asked_is_not_called_clean(account: ProviderAccount) -> None:
    ProviderAccount.objects.update(error_code="credential", error_message="The token is refused.")
    told = run("list")
    assert told == (
        "kestrel of Kestrel Freight, as of 2026-11-24T14:32:00Z\n  cannot be asked: The token is refused.\n"
    )
    ProviderAccount.objects.update(error_code="", error_message="", observed_at=None)
    assert run("list") == "kestrel of Kestrel Freight, never looked at\n"
    assert json.loads(run("list", "--json"))[0]["known"] is False


def test_one_account_is_asked_for_by_name(account: ProviderAccount) -> None:
    ProviderAccount.objects.create(organization=cast.organization("Fjordline"), name="fjord", token="t")
    assert [one["account"] for one in json.loads(run("list", "--json"))] == ["fjord", "kestrel"]
    assert [one["account"] for one in json.loads(run("list", "--account", "kestrel", "--json"))] == ["kestrel"]
    with pytest.raises(CommandError, match="There is no provider account nobody"):
        run("list", "--account", "nobody")
