"""Agreements, simulations and left servers in the API: exact decimal strings, and nobody's but one's own."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.test import Client

from tests import cast
from tests.views.commercial import account, contract, left, listed, on_account
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import Account, ApiKey, Host, ProviderAccount

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside", "empty_queues")]


def script(role: str = "viewer", *, of: str = "Kestrel Freight", project=None) -> Client:
    """A script with an API key of that role."""
    maker = Account.objects.get_or_create(email="keys@loopback.example", is_superuser=True)[0]
    key = ApiKey.issue(name="s", organization=cast.organization(of), project=project, role=role, created_by=maker)[1]
    return Client(headers={"Authorization": f"Bearer {key}"})


@pytest.fixture
def cloud(workspace) -> ProviderAccount:
    """ledger-prod's three ccx23 are on it."""
    made = account()
    listed(made, "ccx23", hourly="0.0400", monthly="24.99", primary_ip=Decimal("0.50"))
    on_account(workspace, made)
    return made


def test_the_list_tells_half_open_days_and_whether_it_holds(workspace) -> None:
    holding = contract("KF-1", {})
    contract("KF-2", first=date(2026, 1, 1), until=cast.NOW.date())
    contract("FL-1", of="Fjordline")
    items = script().get("/api/v1/agreements").json()["items"]
    assert items[0] == {
        "id": str(holding.pk),
        "organization": {"id": str(holding.organization_id), "name": "Kestrel Freight"},
        "number": "KF-1",
        "currency": "EUR",
        "valid_from": "2026-03-01",
        "valid_until": "2027-04-01",
        "holds": True,
    }
    # The last day is not in it.
    assert [(one["number"], one["holds"]) for one in items] == [("KF-1", True), ("KF-2", False)]


def test_the_list_is_paged_and_filtered_by_organization(workspace) -> None:
    for number in range(3):
        contract(f"KF-{number}")
    client = script()
    first = client.get("/api/v1/agreements?limit=2").json()
    rest = client.get(f"/api/v1/agreements?limit=2&cursor={first['next_cursor']}").json()
    assert [one["number"] for one in first["items"] + rest["items"]] == ["KF-0", "KF-1", "KF-2"]
    assert rest["next_cursor"] is None
    mine = cast.organization("Kestrel Freight").pk
    assert len(client.get(f"/api/v1/agreements?organization={mine}").json()["items"]) == 3
    for other in (cast.organization("Fjordline").pk, uuid4()):
        assert client.get(f"/api/v1/agreements?organization={other}").status_code == 404


def test_one_tells_its_clauses_exactly_and_which_of_them_win(cloud) -> None:
    agreement = contract(
        "KF-1",
        {"family": "ccx*", "amount": Decimal("87.5000000001"), "minimum": Decimal(3)},
        {"profile": "ccx23", "kind": "fixed", "amount": Decimal("20")},
    )
    document = script().get(f"/api/v1/agreements/{agreement.pk}").json()
    broad, exact = document["clauses"]
    assert broad == {
        "agreement": "KF-1",
        "clause": "1",
        "component": "monthly",
        "profile": "",
        "family": "ccx*",
        "location": "",
        "kind": "percent",
        "amount": "87.5000000001",
        "minimum": "3.00",
    }
    assert (exact["amount"], exact["minimum"]) == ("20.00", None)
    assert document["overlaps"] == [
        {
            "component": "monthly",
            "winner": exact,
            "loser": broad,
            "profiles": ["ccx23"],
            "locations": [],
            "first": "2026-03-01",
            "until": "2027-04-01",
        }
    ]


def test_a_simulation_tells_every_price_and_names_what_is_not_known(cloud, workspace) -> None:
    Host.objects.filter(name="ledger-prod-w3").update(profile="cx99")
    agreement = contract("KF-1", {"family": "ccx*"})
    document = script().get(f"/api/v1/agreements/{agreement.pk}/simulation?workspace={workspace.pk}").json()
    assert document["workspace"] == {"id": str(workspace.pk), "name": "ledger-prod"}
    assert (document["on"], document["holds"]) == ("2026-11-24", True)
    assert [host["name"] for host in document["hosts"]] == ["ledger-prod-w1", "ledger-prod-w2"]
    assert [(host["name"], host["prices"]) for host in document["unknown"]] == [("ledger-prod-w3", [])]
    monthly = next(one for one in document["hosts"][0]["prices"] if one["component"] == "monthly")
    assert monthly == {
        "component": "monthly",
        "currency": "EUR",
        "list": "24.99",
        "now": {"amount": "21.9912", "agreement": "KF-1", "clause": "1"},
        "under": {"amount": "21.9912", "agreement": "KF-1", "clause": "1"},
        "without": {"amount": "24.99", "agreement": None, "clause": None},
        "difference": "0.00",
    }
    assert document["totals"][-1] == {
        "component": "monthly_total",
        "currency": "EUR",
        "hosts": 2,
        "list": "50.98",
        "now": "44.9824",
        "under": "44.9824",
        "without": "50.98",
        "difference": "0.00",
    }


def test_a_simulation_is_made_for_the_day_it_is_asked_for(cloud, workspace) -> None:
    agreement = contract("KF-1", {"family": "ccx*"}, until=date(2026, 12, 1))
    client, at = script(), f"/api/v1/agreements/{agreement.pk}/simulation?workspace={workspace.pk}"
    for day, holds, difference in (("2026-11-30", True, "0.00"), ("2026-12-01", False, "-8.9964")):
        document = client.get(f"{at}&on={day}").json()
        assert (document["holds"], document["totals"][-1]["difference"]) == (holds, difference), day
    for wrong in ("31.12.2026", "2026-02-30", ""):
        assert client.get(f"{at}&on={wrong}").status_code == 422, wrong
    assert client.get(f"/api/v1/agreements/{agreement.pk}/simulation").status_code == 422


def test_what_is_anothers_is_not_there(cloud, workspace) -> None:
    agreement = contract("KF-1", {})
    fjord = cast.kubernetes("fjord-1", project=cast.project("Fjord", of="Fjordline"), hosts=1)
    customs = cast.kubernetes("rates", project=cast.project("Customs"), hosts=1)
    stranger, narrowed = script(of="Fjordline"), script(project=workspace.project)
    for path in ("", f"/simulation?workspace={fjord.pk}"):
        assert stranger.get(f"/api/v1/agreements/{agreement.pk}{path}").status_code == 404
    at = f"/api/v1/agreements/{agreement.pk}/simulation?workspace="
    assert narrowed.get(f"{at}{workspace.pk}").status_code == 200
    # Neither another project's workspace nor another organization's.
    assert [narrowed.get(f"{at}{one}").status_code for one in (customs.pk, fjord.pk, uuid4())] == [404, 404, 404]
    root = cast.account("root@loopback.example", is_superuser=True)
    assert cast.sign_in(Client(), root).get(f"{at}{fjord.pk}").status_code == 404


def test_left_servers_are_told_by_account_with_what_they_cost(cloud, workspace) -> None:
    server = left(cloud, workspace=workspace)
    left(cloud, "unpriced", provider_id=4712, profile="cx99", workspace=uuid4())
    Host.objects.filter(name="ledger-prod-w1").update(provider_status="gone")
    left(account("fjord-cloud", "Fjordline"), "theirs")
    (look,) = script().get("/api/v1/left-servers").json()["items"]
    assert (look["name"], look["known"], look["error"]) == ("kestrel-cloud", True, None)
    assert look["observed_at"] == "2026-11-24T14:31:18Z"
    assert look["left_servers"][0] == {
        "id": str(server.pk),
        "provider_id": 4711,
        "name": "ledger-prod-w9",
        "profile": "ccx23",
        "location": "fsn1",
        "status": "running",
        "created_at": "2026-11-12T13:32:00Z",
        "first_seen_at": "2026-11-24T11:32:00Z",
        "observed_at": "2026-11-24T14:31:18Z",
        "workspace": {"id": str(workspace.pk), "name": "ledger-prod"},
        "monthly": {"currency": "EUR", "list": "25.49", "agreed": "25.49"},
    }
    assert (look["left_servers"][1]["workspace"], look["left_servers"][1]["monthly"]) == (None, None)
    assert (look["monthly"], look["unpriced"]) == ([{"currency": "EUR", "list": "25.49", "agreed": "25.49"}], 1)
    assert [(one["name"], one["reason"]) for one in look["hosts_without_server"]] == [("ledger-prod-w1", "server_gone")]


def test_an_account_that_could_not_be_asked_is_not_known(cloud) -> None:
    since = cast.NOW - timedelta(hours=2)
    cloud.error_code, cloud.error_message, cloud.error_since = "unauthorized", "The token is refused.", since
    cloud.save()
    (look,) = script().get("/api/v1/left-servers").json()["items"]
    assert look["known"] is False
    assert look["error"] == {
        "code": "unauthorized",
        "message": "The token is refused.",
        "since": "2026-11-24T12:32:00Z",
    }


def test_fifty_accounts_cost_as_many_queries_as_one(workspace, django_assert_max_num_queries) -> None:
    client = script()
    for number in range(50):
        by = account(f"cloud-{number:02}")
        listed(by, "ccx23", hourly="0.04", monthly="24.99")
        left(by, workspace=workspace)
    with django_assert_max_num_queries(9):
        answer = client.get("/api/v1/left-servers").json()
    assert len(answer["items"]) == 50
    assert answer["next_cursor"] is None
