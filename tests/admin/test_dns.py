"""DNS records in the admin: kept as the vendor has them, and refused in words where it would refuse them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests import cast
from tests.admin.forms import address, errors, last, trail
from workspaces.models import DnsRecord, Look, ProviderAccount, Workspace

ADD = "/admin/workspaces/dnsrecord/add/"


@pytest.fixture
def record(rows: Any) -> dict[str, Any]:
    """What the form of a new record sends."""
    keys = {"workspace": rows["workspace"].pk, "provider_account": rows["provideraccount"].pk}
    return keys | {"zone": "customs.example", "name": "gw", "type": "AAAA", "value": "2001:db8::7", "ttl": ""}


def test_a_record_is_kept_with_its_names_as_the_vendor_has_them(as_root: Client, record: dict[str, Any]) -> None:
    data = record | {"zone": "Customs.Example.", "name": "GW", "ttl": "300"}
    assert as_root.post(ADD, data).status_code == 302
    row = DnsRecord.objects.get(name="gw")
    assert (row.zone, row.type, row.value, row.ttl) == ("customs.example", "AAAA", "2001:db8::7", 300)
    assert last().summary == "Added DNS record gw"


@pytest.mark.parametrize(
    ("changed", "field", "said"),
    [
        ({"value": "203.0.113.7"}, "value", "Enter an IPv6 address, such as 2001:db8::7."),
        ({"type": "TXT", "value": '"v=spf1"'}, "value", "Enter the text without quotes around it: they are added."),
        ({"ttl": "30"}, "ttl", "Enter 60 to 2147483647 seconds, or nothing for what the zone says."),
        ({"name": "gw.customs.example"}, "name", "Enter the name within the zone"),
        ({"zone": "localhost"}, "zone", "Enter the name of a zone, such as customs.example."),
        ({"type": "SOA"}, "type", "SOA is not one of the available choices."),
    ],
)
def test_what_the_vendor_would_not_take_is_refused_in_words(
    as_root: Client, record: dict[str, Any], changed: dict[str, str], field: str, said: str
) -> None:
    answer = as_root.post(ADD, record | changed)
    assert said in errors(answer)
    assert list(answer.context["adminform"].form.errors) == [field]
    assert not DnsRecord.objects.filter(name="gw").exists()


def test_a_record_is_kept_in_an_account_of_its_own_organization(as_root: Client, record: dict[str, Any]) -> None:
    other = ProviderAccount.objects.create(organization=cast.organization("Fjordline"), name="fjord", token="t" * 64)
    said = "fjord belongs to Fjordline, ledger-prod to Kestrel Freight."
    assert said in errors(as_root.post(ADD, record | {"provider_account": other.pk}))


def test_a_changed_value_is_in_the_trail_and_set_by_the_next_round(
    as_root: Client, record: dict[str, Any], rows: Any
) -> None:
    workspace = Workspace.objects.get(pk=record["workspace"])
    names = {name: record[name] for name in ("zone", "name", "type")}
    row = DnsRecord.objects.create(
        workspace=workspace, provider_account=rows["provideraccount"], value="2001:db8::6", **names
    )
    later = timezone.now() + timedelta(minutes=5)
    for kind in ("dns", "servers"):
        Look.objects.create(kind=kind, provider_account=rows["provideraccount"], every=300, due_at=later)
    assert as_root.post(address("dnsrecord", row), record).status_code == 302
    assert trail() == [("dns_record.changed", {"value": ["2001:db8::6", "2001:db8::7"]})]
    due = Look.objects.filter(provider_account=rows["provideraccount"], due_at__lte=timezone.now())
    assert [look.kind for look in due] == ["dns"]
