"""DNS of the sample fleet: the records kept for workspaces, and zones in which somebody has been at work.

At the first look one record is missing, one has another value and one another TTL: these are set back. One is in a
secondary zone, where the platform can only tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.utils import timezone

from workspaces.management.fleet.sample import SampleWorkspace
from workspaces.models import DnsRecord, ProviderAccount, Workspace
from workspaces.rules import dns


@dataclass(frozen=True)
class _Zone:
    """A zone of an organization."""

    organization: str
    name: str
    mode: str = "primary"


@dataclass(frozen=True)
class _Kept:
    """A record kept for a workspace, and what the zone says instead: other `values` (none: missing), another `ttl`."""

    workspace: str
    zone: str
    name: str
    type: str
    value: str
    ttl: int | None = None
    values: tuple[str, ...] | None = None
    other_ttl: int | None = None


_ZONES: Final = (
    _Zone("Kestrel Freight", "kestrel.example"),
    _Zone("Fjordline Energy", "fjordline.example"),
    _Zone("Fjordline Energy", "fjordline-metering.example", "secondary"),
    _Zone("Meridian Health", "meridian.example"),
)
# Addresses of documentation only (RFC 5737, RFC 3849).
_KEPT: Final = (
    _Kept("customs-gateway", "kestrel.example", "gw.customs", "A", "203.0.113.51", 300),
    _Kept("customs-gateway", "kestrel.example", "gw.customs", "AAAA", "2001:db8:51::1", 300, values=()),
    _Kept("customs-archive", "kestrel.example", "archive.customs", "A", "203.0.113.57"),
    _Kept("ledger-prod", "kestrel.example", "ledger", "A", "203.0.113.60", 300),
    _Kept("ledger-prod", "kestrel.example", "_owner.ledger", "TXT", "workspace=ledger-prod"),
    _Kept("booking-prod", "kestrel.example", "booking", "A", "203.0.113.61", 300, values=("198.51.100.20",)),
    _Kept("stream-prod", "kestrel.example", "stream", "CNAME", "gw.customs.kestrel.example.", 600, other_ttl=86400),
    _Kept("load-forecast", "fjordline.example", "forecast", "A", "203.0.113.80"),
    _Kept("readings-api", "fjordline.example", "readings", "AAAA", "2001:db8:80::2", 300),
    _Kept("meter-intake", "fjordline-metering.example", "intake", "A", "203.0.113.82", values=("203.0.113.12",)),
    _Kept("records-prod", "meridian.example", "records", "A", "203.0.113.90", 300),
    _Kept("referrals", "meridian.example", "referrals", "CNAME", "records"),
    _Kept("dicom-gateway", "meridian.example", "dicom", "A", "203.0.113.94"),
)


def zones(organization: str, workspaces: Sequence[SampleWorkspace]) -> list[dict[str, Any]]:
    """The zones of the organization's cloud project as the simulators are told them."""
    here = {one.name for one in workspaces}
    return [
        {
            "name": zone.name,
            "mode": zone.mode,
            "rrsets": [
                _record_set(one)
                for one in _KEPT
                if one.zone == zone.name and one.workspace in here and one.values != ()
            ],
        }
        for zone in _ZONES
        if zone.organization == organization
    ]


def _record_set(one: _Kept) -> dict[str, Any]:
    values = one.values or (dns.at_vendor(one.type, one.value),)
    records = [{"value": value} for value in values]
    return {"name": one.name, "type": one.type, "ttl": one.other_ttl or one.ttl, "records": records}


def create() -> None:
    """The records of the workspaces that are there, in the accounts of their organizations, seen as wanted before."""
    seen_at = timezone.now() - timedelta(days=9)
    organizations = {zone.name: zone.organization for zone in _ZONES}
    rows = ProviderAccount.objects.select_related("organization")
    accounts = {account.organization.name: account for account in rows}
    names = {one.workspace for one in _KEPT}
    here = {workspace.name: workspace for workspace in Workspace.objects.filter(name__in=names)}
    DnsRecord.objects.bulk_create(
        DnsRecord(
            workspace=here[one.workspace],
            provider_account=accounts[organizations[one.zone]],
            zone=one.zone,
            name=one.name,
            type=one.type,
            value=one.value,
            ttl=one.ttl,
            observed_value=one.value,
            observed_at=seen_at,
        )
        for one in _KEPT
        if one.workspace in here
    )
