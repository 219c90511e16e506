"""DNS of the sample fleet: what is kept could be kept, and a look finds what somebody changed and nothing else."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.utils import timezone

from tests import cast
from workspaces.management.fleet import dns as fleet
from workspaces.management.fleet.sample import LOCATIONS, workspaces
from workspaces.models import DnsRecord, Drift, Event, ProviderAccount
from workspaces.operations import dns_records
from workspaces.rules import dns


@pytest.fixture
def kept(world: Any, db: None) -> None:
    """The organizations' projects in the world with their zones, accounts, workspaces and records."""
    sample = workspaces()
    for organization in LOCATIONS:
        name = f"p-{uuid.uuid4().hex[:10]}"
        ready = world.add({"hetzner_projects": [{"name": name, "zones": fleet.zones(organization, sample)}]})
        token = next(project["token"] for project in ready["hetzner_projects"] if project["name"] == name)
        ProviderAccount.objects.create(
            organization=cast.organization(organization), name=name, token=token, endpoint=ready["hetzner_url"]
        )
    for one in sample:
        if "gateway" in one.name or "prod" in one.name or one.project == "Metering":
            cast.kubernetes(one.name, hosts=0, project=cast.project(one.project, of=one.organization))
    fleet.create()


@pytest.mark.usefixtures("kept")
def test_every_record_is_one_that_could_be_kept() -> None:
    rows = DnsRecord.objects.select_related("workspace__project", "provider_account")
    assert len(rows) == 10
    for row in rows:
        assert dns.problems(dns.Record("", row.zone, row.name, row.type, row.value, row.ttl)) == {}
        assert row.provider_account.organization_id == row.workspace.project.organization_id


@pytest.mark.usefixtures("kept")
def test_a_look_sets_back_what_somebody_changed_and_tells_what_nobody_can_write() -> None:
    for account in ProviderAccount.objects.all():
        dns_records.look(account, timezone.now())
    told = Drift.objects.order_by("subject").values_list("subject", "field", "seen", "policy", "ending")
    assert list(told) == [
        ("DNS record booking.kestrel.example A", "records", ["198.51.100.20"], "repair", "repaired"),
        ("DNS record gw.customs.kestrel.example AAAA", "records", None, "repair", "repaired"),
        ("DNS record intake.fjordline-metering.example A", "records", ["203.0.113.12"], "tell", ""),
        ("DNS record stream.kestrel.example CNAME", "ttl", 86400, "repair", "repaired"),
    ]
    assert Event.objects.filter(action="drift.repaired").count() == 3


def test_a_smaller_fleet_has_no_records_of_workspaces_that_are_not_there() -> None:
    few = [one for one in workspaces() if one.name == "ledger-prod"]
    (zone,) = fleet.zones("Kestrel Freight", few)
    assert [rrset["name"] for rrset in zone["rrsets"]] == ["ledger", "_owner.ledger"]
