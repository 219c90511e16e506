"""Compute profiles and hosts over the API: prices as strings, what is not known as null, orders at confirmed prices."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests import cast
from tests.api.test_api import Script
from tests.views import price_rows
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import PLATFORM, ComputeProfile, Host, Operation, ProfileLocation, ProviderAccount, StepPlan
from workspaces.models import Workspace as Workspaces

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues", "no_outside")]
AMOUNT = re.compile(r"[0-9]+\.[0-9]{2,}")


@pytest.fixture
def viewer(db: None) -> Script:
    return Script("viewer")


@pytest.fixture
def operator(db: None) -> Script:
    return Script("operator")


@pytest.fixture
def shelf(workspace) -> dict[str, ComputeProfile]:
    return price_rows.shelf(workspace)


def profiles(script: Script, workspace: Any, query: str = "") -> Any:
    return script.get(f"/workspaces/{workspace.pk}/compute-profiles{query}")


def found(answer: Any) -> dict[str, list[str]]:
    """The locations of each profile of an answer."""
    return {one["name"]: [place["location"] for place in one["locations"]] for one in answer.json()["items"]}


# --- Profiles ---------------------------------------------------------------------------------------------------------
def test_a_profile_has_its_size_its_places_and_every_price_with_its_clause(viewer, workspace, shelf) -> None:
    document = profiles(viewer, workspace).json()
    assert (document["provider_account"], document["checked_at"], document["error"]) == (
        "kestrel-cloud",
        "2026-11-24T14:25:00Z",
        None,
    )
    one = next(one for one in document["items"] if one["name"] == "ccx23")
    places = one.pop("locations")
    assert one == {
        "id": str(shelf["ccx23"].pk),
        "name": "ccx23",
        "family": "ccx",
        "cores": 4,
        "memory_gb": 16,
        "disk_gb": 160,
        "architecture": "x86",
        "cpu_type": "dedicated",
    }
    assert [place["location"] for place in places] == ["fsn1", "hel1", "nbg1"]
    assert {name: places[0][name] for name in ("available", "checked_at", "unavailable_after")} == {
        "available": True,
        "checked_at": "2026-11-24T14:25:00Z",
        "unavailable_after": None,
    }
    lines = {line["component"]: line for line in places[0]["prices"]}
    assert list(lines) == ["setup", "hourly", "monthly", "traffic", "backup", "primary_ip"]
    assert lines["monthly"] == {
        "component": "monthly",
        "list": "28.49",
        "agreed": "25.0712",
        "currency": "EUR",
        "agreement": "KF-2026-03",
        "clause": "2",
    }
    assert lines["primary_ip"] == {
        "component": "primary_ip",
        "list": "0.50",
        "agreed": "0.50",
        "currency": "EUR",
        "agreement": None,
        "clause": None,
    }


def test_amounts_have_no_exponent_and_no_superfluous_zeros(viewer, workspace, shelf) -> None:
    tiny = {"hourly": Decimal("0.0000000001"), "monthly": Decimal("1E+3"), "traffic": Decimal(0)}
    price_rows.place(shelf["cpx22"], "fsn1", **tiny)
    lines = [
        line
        for one in profiles(viewer, workspace).json()["items"]
        for place in one["locations"]
        for line in place["prices"]
    ]
    assert len(lines) == 6 * 3 * 6
    assert all(AMOUNT.fullmatch(line[side]) for line in lines for side in ("list", "agreed"))
    amounts = {line["list"] for line in lines}
    assert {"0.0000000001", "1000.00", "0.00"} <= amounts


def test_what_is_not_known_is_null_and_never_true(viewer, workspace, shelf) -> None:
    price_rows.place(shelf["ccx23"], "fsn1", available=None)
    by_name = {one["name"]: one for one in profiles(viewer, workspace).json()["items"]}
    assert [place["available"] for place in by_name["ccx23"]["locations"]] == [None, True, True]
    price_rows.aged(ProviderAccount.objects.get(), cast.NOW - timedelta(days=2))
    ProviderAccount.objects.update(profiles_error="The token was refused.")
    document = profiles(viewer, workspace).json()
    assert (document["checked_at"], document["error"]) == ("2026-11-22T14:32:00Z", "The token was refused.")
    assert {place["available"] for one in document["items"] for place in one["locations"]} == {None}
    assert profiles(viewer, workspace, "?available=true").json()["items"] == []
    assert profiles(viewer, workspace, "?available=false").json()["items"] == []


def test_filters_leave_out_places_and_profiles_without_any(viewer, workspace, shelf) -> None:
    price_rows.place(shelf["ccx33"], "fsn1", available=False)
    price_rows.place(shelf["cpx22"], "hel1", unavailable_after=cast.NOW)
    assert found(profiles(viewer, workspace, "?location=fsn1&architecture=arm")) == {"cax21": ["fsn1"]}
    assert found(profiles(viewer, workspace, "?available=false")) == {"ccx33": ["fsn1"], "cpx22": ["hel1"]}
    assert "ccx33" not in found(profiles(viewer, workspace, "?location=fsn1&available=true"))
    assert found(profiles(viewer, workspace, "?location=atlantis")) == {}
    assert profiles(viewer, workspace, "?architecture=z80").status_code == 422
    assert profiles(viewer, workspace, "?available=maybe").status_code == 422


def test_what_is_not_offered_and_what_others_are_offered_is_not_there(viewer, workspace, shelf) -> None:
    ComputeProfile.objects.filter(name="cax21").update(active=False)
    price_rows.profile(price_rows.account("fjord-cloud", of="Fjordline"), "ccx99")
    assert list(found(profiles(viewer, workspace))) == ["ccx13", "ccx23", "ccx33", "ccx43", "cpx22"]


def test_without_an_account_there_is_nothing(viewer, workspace) -> None:
    assert profiles(viewer, workspace).json() == {
        "provider_account": None,
        "checked_at": None,
        "error": None,
        "items": [],
    }


def test_a_stranger_finds_nothing(workspace, shelf) -> None:
    stranger, host = Script("administrator", of="Fjordline"), workspace.hosts.first()
    for path in ("compute-profiles", "hosts", f"hosts/{host.pk}"):
        theirs = stranger.get(f"/workspaces/{workspace.pk}/{path}")
        unknown = stranger.get(f"/workspaces/{uuid.uuid4()}/{path}")
        assert (theirs.status_code, theirs.content) == (404, unknown.content)


# --- Hosts ------------------------------------------------------------------------------------------------------------
def test_a_host_tells_what_it_is_and_costs(viewer, workspace, shelf) -> None:
    Host.objects.filter(name="ledger-prod-w3").update(provider_account=None, provider_id=None)
    answer = viewer.get(f"/workspaces/{workspace.pk}/hosts")
    first, _, third = answer.json()["items"]
    assert {name: first[name] for name in ("name", "profile", "location", "provider_account", "provider_id")} == {
        "name": "ledger-prod-w1",
        "profile": "ccx23",
        "location": "fsn1",
        "provider_account": "kestrel-cloud",
        "provider_id": 1001,
    }
    assert [line["agreed"] for line in first["prices"]][:3] == ["0.00", "0.040216", "25.0712"]
    assert (third["provider_account"], third["prices"]) == (None, None)
    assert viewer.get(f"/workspaces/{workspace.pk}/hosts/{first['id']}").json() == first


def test_a_host_of_another_workspace_is_not_found(operator, workspace, metal) -> None:
    other = f"/workspaces/{workspace.pk}/hosts/{metal.hosts.first().pk}"
    assert operator.get(other).status_code == 404
    assert operator.post(f"{other}/resize", resizing(uuid.uuid4())).status_code == 404
    assert remove(operator, other, "?confirm_name=x").status_code == 404


def test_hosts_and_profiles_cost_few_queries(viewer, workspace, shelf, django_assert_max_num_queries) -> None:
    for path in ("compute-profiles", "hosts", f"hosts/{workspace.hosts.first().pk}"):
        with django_assert_max_num_queries(8):
            assert viewer.get(f"/workspaces/{workspace.pk}/{path}").status_code == 200


# --- Ordering ---------------------------------------------------------------------------------------------------------
def ordering(profile: Any, **more: Any) -> dict[str, Any]:
    body = {"hostname": "ledger-prod-w4", "compute_profile": str(getattr(profile, "pk", profile)), "location": "fsn1"}
    return body | {"confirmed_price": "25.0712"} | more


@pytest.mark.parametrize("price", ["25.0712", "25.07120", "0.040216"])
def test_the_agreed_monthly_or_hourly_price_orders_a_host(operator, workspace, shelf, price) -> None:
    answer = operator.post(f"/workspaces/{workspace.pk}/hosts", ordering(shelf["ccx23"], confirmed_price=price))
    operation = Operation.objects.get()
    assert (answer.status_code, answer["Location"]) == (202, f"/api/v1/operations/{operation.pk}")
    assert (answer.json()["kind"], answer.json()["title"]) == (
        "host_order",
        "Order host ledger-prod-w4, ccx23 in fsn1",
    )
    assert operation.requested_by == "API key operator script"


@pytest.mark.parametrize(
    "price", [25.0712, 25, True, None, "25,07", "25.0712 ", "+1", "-1", "1e1", "NaN", "", ".5", "٢"]
)
def test_a_price_that_is_no_decimal_string_is_422(operator, workspace, shelf, price) -> None:
    answer = operator.post(f"/workspaces/{workspace.pk}/hosts", ordering(shelf["ccx23"], confirmed_price=price))
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["body", "body", "confirmed_price"])
    assert not Operation.objects.exists()


def test_another_price_is_refused_with_the_prices_as_they_are(operator, workspace, shelf) -> None:
    answer = operator.post(f"/workspaces/{workspace.pk}/hosts", ordering(shelf["ccx23"], confirmed_price="25.07"))
    document = answer.json()
    assert (answer.status_code, document["code"]) == (409, "price_changed")
    assert [line["agreed"] for line in document["prices"] if line["component"] == "monthly"] == ["25.0712"]
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"compute_profile": str(uuid.uuid4())}, 422, "unknown_profile"),
        ({"location": "atlantis"}, 422, "unknown_profile"),
        ({"hostname": "ledger-prod-w1"}, 409, "name_taken"),
    ],
)
def test_what_does_not_exist_is_422_and_what_is_taken_409(operator, workspace, shelf, more, status, code) -> None:
    answer = operator.post(f"/workspaces/{workspace.pk}/hosts", ordering(shelf["ccx23"], **more))
    document = answer.json()
    assert answer.status_code == status
    assert (document["errors"][0]["code"] if status == 422 else document["code"]) == code
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    "more",
    [
        {"hostname": "Ledger"},
        {"hostname": "a.b"},
        {"hostname": ""},
        {"hostname": "a" * 64},
        {"hostname": "w4\n"},
        {"hostname": 1},
        {"location": ""},
        {"compute_profile": "ccx23"},
        {"count": 2},
    ],
)
def test_a_wrong_body_is_422(operator, workspace, shelf, more) -> None:
    answer = operator.post(f"/workspaces/{workspace.pk}/hosts", ordering(shelf["ccx23"], **more))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert not Operation.objects.exists()


def test_sold_out_at_its_limit_busy_or_without_a_key_is_409(operator, workspace, shelf) -> None:
    def code() -> str:
        answer = operator.post(f"/workspaces/{workspace.pk}/hosts", ordering(shelf["ccx23"]))
        assert answer.status_code == 409
        return str(answer.json()["code"])

    price_rows.place(shelf["ccx23"], "fsn1", available=False)
    assert code() == "unavailable"
    price_rows.place(shelf["ccx23"], "fsn1", available=True)
    ProviderAccount.objects.update(server_limit=3)
    assert code() == "limit_reached"
    ProviderAccount.objects.update(server_limit=None, ssh_key=None)
    assert code() == "no_provider"
    Workspaces.objects.update(state="gated")
    assert code() == "gated"
    Operation.start(Workspaces.objects.get(), "upgrade", "Upgrade it", [StepPlan("a", "A")], actor=PLATFORM)
    assert code() == "operation_running"
    assert not Operation.objects.filter(kind="host_order").exists()


def test_what_is_not_known_to_be_available_may_be_ordered(operator, workspace, shelf) -> None:
    ProfileLocation.objects.update(available=None)
    assert operator.post(f"/workspaces/{workspace.pk}/hosts", ordering(shelf["ccx23"])).status_code == 202


def test_a_viewer_changes_nothing(viewer, workspace, shelf) -> None:
    base = f"/workspaces/{workspace.pk}/hosts"
    host = f"{base}/{workspace.hosts.first().pk}"
    assert viewer.post(base, ordering(shelf["ccx23"])).status_code == 403
    assert viewer.post(f"{host}/resize", resizing(shelf["ccx43"])).status_code == 403
    assert remove(viewer, host, "?confirm_name=ledger-prod-w1").status_code == 403
    assert not Operation.objects.exists()


# --- Resizing and removing --------------------------------------------------------------------------------------------
def resizing(profile: Any, **more: Any) -> dict[str, Any]:
    return {"compute_profile": str(getattr(profile, "pk", profile)), "confirmed_price": "98.9912"} | more


def remove(script: Script, path: str, query: str = "", body: str | None = None) -> Any:
    return script.client.delete(f"/api/v1{path}{query}", body or "", content_type="application/json")


@pytest.fixture
def host(workspace, shelf) -> Host:
    return workspace.hosts.order_by("name").first()


def test_a_resize_keeps_the_disk_unless_it_is_told_to_grow_it(operator, workspace, shelf, host) -> None:
    path = f"/workspaces/{workspace.pk}/hosts/{host.pk}/resize"
    answer = operator.post(path, resizing(shelf["ccx43"]))
    assert (answer.status_code, answer.json()["title"]) == (202, "Resize ledger-prod-w1 from ccx23 to ccx43")
    assert Operation.objects.get().parameters["grow_disk"] is False
    Operation.objects.all().delete()
    answer = operator.post(path, resizing(shelf["ccx43"], grow_disk=True))
    assert answer.json()["title"] == "Resize ledger-prod-w1 from ccx23 to ccx43, with its disk"


@pytest.mark.parametrize(
    ("name", "more", "status", "code"),
    [
        ("ccx43", {"confirmed_price": "1.00"}, 409, "price_changed"),
        ("cax21", {}, 409, "other_architecture"),
        ("ccx13", {}, 409, "disk_too_small"),
        ("ccx23", {}, 409, "same_profile"),
        ("ccx43", {"compute_profile": str(uuid.uuid4())}, 422, "invalid"),
        ("ccx43", {"grow_disk": "yes"}, 422, "invalid"),
        ("ccx43", {"confirmed_price": 98.9912}, 422, "invalid"),
        ("ccx43", {"location": "hel1"}, 422, "invalid"),
    ],
)
def test_a_resize_that_cannot_be_is_refused(operator, workspace, shelf, host, name, more, status, code) -> None:
    answer = operator.post(f"/workspaces/{workspace.pk}/hosts/{host.pk}/resize", resizing(shelf[name], **more))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    if code == "price_changed":
        assert "98.9912" in [line["agreed"] for line in answer.json()["prices"]]
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    ("query", "body"), [("?confirm_name=ledger-prod-w1", None), ("", '{"confirm_name": "ledger-prod-w1"}')]
)
def test_its_name_removes_a_host(operator, workspace, host, query, body) -> None:
    answer = remove(operator, f"/workspaces/{workspace.pk}/hosts/{host.pk}", query, body)
    assert (answer.status_code, answer.json()["title"]) == (202, "Remove host ledger-prod-w1")
    assert answer["Location"] == f"/api/v1/operations/{Operation.objects.get().pk}"


@pytest.mark.parametrize(
    ("query", "body", "status", "code"),
    [
        ("", None, 422, "invalid"),
        ("", "{}", 422, "invalid"),
        ("", '{"confirm_name": 1}', 422, "invalid"),
        ("?confirm_name=", None, 409, "wrong_name"),
        ("?confirm_name=ledger-prod-w2", None, 409, "wrong_name"),
        ("?confirm_name=LEDGER-PROD-W1", None, 409, "wrong_name"),
    ],
)
def test_without_its_name_a_host_stays(operator, workspace, host, query, body, status, code) -> None:
    answer = remove(operator, f"/workspaces/{workspace.pk}/hosts/{host.pk}", query, body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not Operation.objects.exists()


def test_the_last_host_stays(operator, workspace, host) -> None:
    workspace.hosts.exclude(pk=host.pk).delete()
    answer = remove(operator, f"/workspaces/{workspace.pk}/hosts/{host.pk}", f"?confirm_name={host.name}")
    assert (answer.status_code, answer.json()["code"]) == (409, "last_host")
