"""What a workspace is kept supplied with, as lines of tables: seeded objects and DNS records, each as last seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Case, Value, When

from workspaces.models import DnsRecord, Look, Seed, Workspace
from workspaces.rules import lifecycle, looks

SHOWN: Final = 30
_SEEDS: Final[Mapping[str, lifecycle.Look]] = {
    "applied": lifecycle.Look("As wanted", "ok"),
    "pending": lifecycle.Look("Pending", "idle"),
    "conflict": lifecycle.Look("Conflict", "warn"),
    "failed": lifecycle.Look("Failed", "bad"),
}


@dataclass(frozen=True, slots=True)
class SeedLine:
    """A seeded object: `api` is its apiVersion, `holders` name who holds which field that the manifest wants to set."""

    seed: Seed
    api: str
    kind: str
    name: str
    state: lifecycle.Look
    holders: tuple[str, ...]
    # The manifest has changed since it was last applied here.
    behind: bool


@dataclass(frozen=True, slots=True)
class DnsLine:
    """A DNS record, its full name, and whether the zone has it as wanted."""

    record: DnsRecord
    name: str
    state: lifecycle.Look


def seeds_of(workspace: Workspace) -> list[Seed]:
    """The seeded objects with their manifests, what is not as wanted first (one query); one more than are shown."""
    if not workspace.is_kubernetes:
        return []
    urgency = Case(
        When(state="failed", then=Value(0)),
        When(state="conflict", then=Value(1)),
        When(state="pending", then=Value(2)),
        default=Value(3),
    )
    rows = Seed.objects.filter(workspace=workspace).select_related("manifest").defer("manifest__content")
    return list(rows.order_by(urgency, "manifest__name", "object")[: SHOWN + 1])


def seed_lines(seeds: list[Seed], look: Look | None, now: datetime) -> list[SeedLine]:
    """The first of them as lines; nothing is as wanted that was not seen lately."""
    fresh = look is not None and look.is_fresh(now)
    return [_seed_line(seed, fresh) for seed in seeds[:SHOWN]]


def _seed_line(seed: Seed, fresh: bool) -> SeedLine:
    api, _, rest = seed.object.partition(" ")
    kind, _, place = rest.partition(" ")
    return SeedLine(
        seed=seed,
        api=api,
        kind=kind,
        name=place.removeprefix("/"),
        state=_as_seen(_SEEDS[seed.state], fresh),
        holders=tuple(f"{one['field']} is held by {one['manager']}" for one in seed.conflicts),
        behind=0 < seed.revision < seed.manifest.revision,
    )


def dns_lines(records: list[DnsRecord], zones: Mapping[object, Look], now: datetime) -> list[DnsLine]:
    """The records as lines; `zones` has the look at the zones of each account, by the account's key."""
    return [_dns_line(record, zones.get(record.provider_account_id), now) for record in records]


def records_of(workspace: Workspace) -> list[DnsRecord]:
    """The DNS records kept for the workspace (one query)."""
    return list(workspace.dns_records.order_by("zone", "name", "type")[: SHOWN + 1])


def _dns_line(record: DnsRecord, look: Look | None, now: datetime) -> DnsLine:
    fresh = look is not None and look.is_fresh(now)
    if record.observed_at is None:
        state = lifecycle.Look("Not seen yet", "idle")
    elif record.observed_value == record.value:
        state = _as_seen(lifecycle.Look("As wanted", "ok"), fresh)
    else:
        state = _as_seen(lifecycle.Look("Differs" if record.observed_value else "Not there", "warn"), fresh)
    name = record.zone if record.name == "@" else f"{record.name}.{record.zone}"
    return DnsLine(record, name, state)


def _as_seen(state: lifecycle.Look, fresh: bool) -> lifecycle.Look:
    """What was seen too long ago says nothing about now."""
    return state if fresh or state.tone == "idle" else lifecycle.Look(f"{state.label} when last seen", "idle")


def looks_by_account(found: list[Look]) -> Mapping[object, Look]:
    """Of these looks those at DNS zones, by account."""
    return {look.provider_account_id: look for look in found if look.kind == looks.DNS}
