"""Taking the DNS records of a workspace out of their zones, value by value: what else is in a record set stays."""

from __future__ import annotations

from typing import Final

from django.conf import settings

from workspaces.models import DnsRecord, ProviderAccount
from workspaces.operations import connections
from workspaces.operations.deletion_record import agreed, in_words, is_told, left, named, removed
from workspaces.operations.engine import Context, Done, Outcome
from workspaces.providers.dns import RecordSet, Zone, Zones
from workspaces.providers.errors import Permanent
from workspaces.rules import dns
from workspaces.rules.deletion_plan import Item

_SECONDARY: Final = "It is in a secondary zone, which nobody can write to: whoever runs the primary can remove it."


def records(context: Context) -> Outcome:
    """Take out of its record set each value that is kept for the workspace, and wait until the vendor has done it."""
    account = ProviderAccount.objects.get(pk=context.step.arguments["account"])
    items = [one for one in named(agreed(context), "dns_record", str(account.pk)) if not is_told(context, one)]
    rows = {str(row.pk): row for row in DnsRecord.objects.filter(pk__in=[item.ref for item in items])}
    waits = []
    if items:
        zones = Zones(connections.cloud(account))
        there = zones.zones()
        for item in items:
            row = rows.get(item.ref)
            zone = there.get(dns.zone_name(row.zone)) if row else None
            if row is None or zone is None:
                removed(context, item)
            elif why := _take_out(context, zones, zone, row, item):
                waits.append(why)
    if not waits:
        return Done(in_words(context))
    if context.waited > settings.LOOPBACK_BOOT_DEADLINE:
        raise Permanent("cloud_api", f"Hetzner Cloud accepted it and has not done it: {waits[0]}.")
    return context.again(waits[0])


def _take_out(context: Context, zones: Zones, zone: Zone, row: DnsRecord, item: Item) -> str:
    """One record: "" when nothing has to be waited for, else what for."""
    if _runs(context, zones, row, item):
        return f"{row} is being removed"
    seen = zones.record_set(zone, dns.record_name(row.name), row.type)
    values = _ours(row, zone, seen)
    if seen is None or not values:
        removed(context, item)
        return ""
    if not zone.is_writable:
        left(context, item, _SECONDARY)
        return ""
    try:
        action = zones.remove(zone, seen.name, seen.type, values)
    except Permanent as error:
        if error.code != "not_found":
            raise
        removed(context, item)  # somebody was quicker
        return ""
    context.remember(actions={**context.step.memory.get("actions", {}), item.ref: action})
    return f"{row} is being removed"


def _ours(row: DnsRecord, zone: Zone, seen: RecordSet | None) -> list[str]:
    """The values of the record set that are the one kept here, as the vendor writes them."""
    kept = dns.canonical(row.type, dns.at_vendor(row.type, row.value), zone.name)
    return [value for value in (seen.values if seen else ()) if dns.canonical(row.type, value, zone.name) == kept]


def _runs(context: Context, zones: Zones, row: DnsRecord, item: Item) -> bool:
    """Whether a change that was sent is still under way. One that failed is forgotten: whoever continues asks anew."""
    sent = context.step.memory.get("actions", {}).get(item.ref)
    action = next(iter(zones.actions([sent])), None) if sent else None
    if action is None or action.status == "success":
        return False
    if action.status == "error":
        context.remember(actions={**context.step.memory["actions"], item.ref: None})
        said = f"{action.error_message or 'no reason given'} ({action.error_code or 'error'})"
        raise Permanent("cloud_api", f"{row} was to be removed, and Hetzner Cloud failed: {said}.")
    return True
