"""The DNS records of workspaces: one listing of an account's zones, what differs told as drift, and set back.

A look costs a call for the zones and one paged listing of each zone with records of ours. What was set back is listed
again at once, so a repair is told by what was seen and not by what was sent.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction

from workspaces.models import PLATFORM, DnsRecord, Drift, Event, ProviderAccount, bulk
from workspaces.operations import connections, drift
from workspaces.operations.looks import LOOKED_AT
from workspaces.operations.seen import PATIENCE, is_busy, judge
from workspaces.providers.dns import RecordSet, Zone, Zones
from workspaces.providers.errors import Permanent, ProviderError, Temporary
from workspaces.rules import dns
from workspaces.rules.drift import Difference

KIND: Final = "dns"
# Repairs of one look; the others follow at the next. A project may ask 3600 times an hour, for everything.
AT_ONCE: Final = 50
# Seconds between two questions how the changes go. One that still runs then is told by the next listing.
PAUSES: Final = (0.1, 0.4, 1.0, 2.0)
# What goes wrong with the next call too.
_ENDING: Final = ("credential", "rate_limit", "unreachable")


@dataclass(frozen=True)
class _SeenZone:
    """A zone as it was listed, its record sets by name and type."""

    zone: Zone
    sets: Mapping[tuple[str, str], RecordSet]


@dataclass
class _Attempt:
    """One repair: what was sent, the vendor's action, and what went wrong."""

    drift: Drift
    sent: bool = True
    action: int | None = None
    error: ProviderError | None = None


Kept = Mapping[str, DnsRecord]
Seen = Mapping[str, _SeenZone]


def look(account: ProviderAccount, now: datetime) -> None:
    """Look at the zones of the account, write what differs, and set back what may be. Raises ProviderError."""
    rows = DnsRecord.objects.filter(provider_account=account, workspace__state__in=LOOKED_AT)
    kept = {str(row.pk): row for row in rows}
    changed = _look_at(kept, Zones(connections.cloud(account)), now) if kept else _note({}, {}, now)
    judge(changed, now)


def _look_at(kept: Kept, zones: Zones, now: datetime) -> set[UUID]:
    seen = _list(zones, {_record(row).zone for row in kept.values()})
    return _note(kept, seen, now) | _set_back(zones, kept, seen, now)


# --- Seeing -----------------------------------------------------------------------------------------------------------
def _list(zones: Zones, names: Collection[str]) -> dict[str, _SeenZone]:
    """Those of the zones that are there, with their record sets."""
    there = zones.zones()
    found = (_seen(zones, there[name]) for name in sorted(names) if name in there)
    return {one.zone.name: one for one in found if one}


def _seen(zones: Zones, zone: Zone) -> _SeenZone | None:
    """The zone with its record sets; None when it is gone meanwhile."""
    try:
        return _SeenZone(zone, {(one.name, one.type): one for one in zones.record_sets(zone)})
    except Permanent as error:
        if error.code != "not_found":
            raise
        return None


def _record(row: DnsRecord) -> dns.Record:
    """The row as values. What was written before names were checked is read as the vendor would."""
    zone, name = dns.zone_name(row.zone), dns.record_name(row.name)
    return dns.Record(str(row.pk), zone, name, row.type, row.value, row.ttl, is_new=row.observed_at is None)


def _set_of(row: DnsRecord, seen: Seen) -> tuple[Zone | None, RecordSet | None]:
    record = _record(row)
    zone = seen.get(record.zone)
    return (zone.zone, zone.sets.get((record.name, record.type))) if zone else (None, None)


def _differences(row: DnsRecord, seen: Seen) -> list[Difference]:
    return dns.differences(_record(row), *_set_of(row, seen))


# --- Writing down -----------------------------------------------------------------------------------------------------
def _note(kept: Kept, seen: Seen, now: datetime) -> set[UUID]:
    """Write what was seen of these records, and what of it is drift; the workspaces for which that is news."""
    _write_observed(kept.values(), seen, now)
    found: dict[UUID, list[Difference]] = defaultdict(list)
    for row in kept.values():
        found[row.workspace_id] += _differences(row, seen)
    removed = _removed()
    workspaces = {*found, *removed.values()}
    recorded = drift.record(workspaces, [KIND], found, now, refs={*kept, *removed})
    return set(recorded.workspaces)


def _write_observed(rows: Iterable[DnsRecord], seen: Seen, now: datetime) -> None:
    changes: dict[UUID, dict[str, object]] = {}
    for row in rows:
        value = bulk.fit(DnsRecord, "observed_value", _observed(row, seen))
        # Only one that has been as wanted was changed by somebody when it is not.
        at = None if row.observed_at is None and _differences(row, seen) else now
        if row.observed_value != value or (row.observed_at is None and at):
            row.observed_value, row.observed_at = value, at
            changes[row.pk] = {"observed_value": value, "observed_at": at}
    bulk.write(DnsRecord, changes)


def _observed(row: DnsRecord, seen: Seen) -> str:
    """What is there, as the row has it where that is only another way to write it."""
    _, found = _set_of(row, seen)
    if found is None:
        return ""
    if "records" not in {one.field for one in _differences(row, seen)}:
        return row.value
    return ", ".join(sorted(dns.as_kept(row.type, value) for value in found.values))


def _removed() -> dict[str, UUID]:
    """Records that are kept no more and of which drift is still told, with their workspaces."""
    told = dict(Drift.objects.open().filter(kind=KIND).values_list("ref", "workspace_id"))
    if not told:
        return {}
    kept = DnsRecord.objects.filter(pk__in=told).values_list("pk", flat=True)
    return {ref: told[ref] for ref in told.keys() - set(map(str, kept))}


# --- Setting back -----------------------------------------------------------------------------------------------------
def _set_back(zones: Zones, kept: Kept, seen: Seen, now: datetime) -> set[UUID]:
    """Make records as wanted where that is to be done; the workspaces for which something was tried."""
    due = drift.to_set_back({row.workspace_id for row in kept.values()}, [KIND], refs=kept.keys())
    # Those that have failed before come last: they must not keep the others waiting.
    due.sort(key=lambda one: bool(one.error))
    attempts = _write(zones, due[:AT_ONCE], kept, seen)
    if not attempts:
        return set()
    _follow(zones, attempts)
    touched = {_record(kept[one.drift.ref]).zone for one in attempts}
    again = _list_again(zones, [seen[name].zone for name in touched])
    for attempt in attempts:
        _settle(attempt, kept[attempt.drift.ref], again, now)
    listed = {ref: row for ref, row in kept.items() if _record(row).zone in again}
    return {one.drift.workspace_id for one in attempts} | _note(listed, again, now)


def _write(zones: Zones, due: Iterable[Drift], kept: Kept, seen: Seen) -> list[_Attempt]:
    """Send each repair once. After an error that the next one would meet too, nothing more is sent.

    What has got an operation meanwhile is the operation's, and for what takes too long there is another look.
    """
    attempts: list[_Attempt] = []
    ending: ProviderError | None = None
    until = time.monotonic() + PATIENCE
    for one in due:
        record, (zone, found) = _record(kept[one.ref]), _set_of(kept[one.ref], seen)
        if zone is None or is_busy(one.workspace_id) or time.monotonic() > until:
            continue
        attempt = _Attempt(one, sent=ending is None, error=ending)
        attempts.append(attempt)
        try:
            if ending is None:
                attempt.action = _send(zones, one.field, record, zone, found)
        except ProviderError as error:
            attempt.error = error
            ending = error if error.code in _ENDING else None
    return attempts


def _send(zones: Zones, field: str, record: dns.Record, zone: Zone, found: RecordSet | None) -> int:
    """Make one field of one record as it is wanted; the id of the vendor's action."""
    values = [dns.at_vendor(record.type, record.value)]
    if found is None:
        return zones.create(zone, record.name, record.type, values, record.ttl)
    if field == "ttl":
        return zones.change_ttl(zone, record.name, record.type, record.ttl)
    return zones.set_records(zone, record.name, record.type, values)


def _follow(zones: Zones, attempts: Iterable[_Attempt]) -> None:
    """Wait a moment for the ends of what was accepted: one that ends in an error has changed nothing for good."""
    running = {one.action: one for one in attempts if one.action is not None}
    for pause in PAUSES:
        if not running:
            return
        time.sleep(pause)
        try:
            actions = zones.actions(running)
        except ProviderError:
            return  # the listing tells
        for action in actions:
            if action.status == "error":
                said = f"Hetzner Cloud: {action.error_message or 'the change failed'} ({action.error_code or 'error'})"
                running[action.id].error = Permanent("cloud_api", said)
            if action.status != "running":
                running.pop(action.id)


def _list_again(zones: Zones, touched: Iterable[Zone]) -> dict[str, _SeenZone]:
    """The zones that were written to, as they are now; without those that cannot be listed."""
    again = {}
    for zone in touched:
        try:
            found = _seen(zones, zone)
        except ProviderError:
            continue
        if found:
            again[zone.name] = found
    return again


def _settle(attempt: _Attempt, row: DnsRecord, again: Seen, now: datetime) -> None:
    """Write down what came of a repair. Where no answer came, the listing tells whether it was done."""
    if attempt.error is None or (isinstance(attempt.error, Temporary) and _arrived(attempt, row, again)):
        _tell(attempt.drift, row, now)
    elif attempt.error.code != "name_taken":  # somebody was quicker: the next look compares
        drift.not_set_back(attempt.drift, attempt.error, now)


def _tell(done: Drift, row: DnsRecord, now: datetime) -> None:
    """What was never there before was not changed by anybody: it is made, not set back."""
    if done.seen is not None or row.observed_at is not None:
        drift.set_back(done, now)
        return
    with transaction.atomic():
        Drift.objects.filter(pk=done.pk).delete()
        said = f"Made {done.subject}: {row.value}"
        Event.record(PLATFORM, "dns_record.made", workspace=done.workspace, summary=said)


def _arrived(attempt: _Attempt, row: DnsRecord, again: Seen) -> bool:
    listed = _record(row).zone in again
    return attempt.sent and listed and attempt.drift.field not in {one.field for one in _differences(row, again)}
