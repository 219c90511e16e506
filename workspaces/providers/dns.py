"""The DNS zones of a Hetzner Cloud project: listed as a whole, and record sets made and changed.

The same token, errors and manners as `hetzner`: nothing is kept and nothing is repeated, and what changes a record set
answers the id of an action that may still fail. Values are the vendor's own; how ours are written is `rules/dns`.
Source: docs.hetzner.cloud, zones and zone RRSets; hcloud-python 2.27.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from hcloud.actions import BoundAction
from hcloud.zones import Zone as Subject
from hcloud.zones import ZoneRecord, ZoneRRSet

from workspaces.providers.errors import Permanent
from workspaces.providers.hetzner import HetznerCloud
from workspaces.providers.hetzner_errors import translated
from workspaces.providers.hetzner_values import Action
from workspaces.rules.dns import RecordSet, Zone

__all__ = ["Action", "RecordSet", "Zone", "Zones"]

_UNPROTECT: Final = "The owner of the cloud account, by lifting the protection of the record set."


class Zones:
    """The DNS of the project that the cloud's token belongs to."""

    def __init__(self, cloud: HetznerCloud) -> None:
        self._client = cloud._client

    def zones(self) -> dict[str, Zone]:
        """Every zone by its name; all pages."""
        with translated():
            return {zone.name: Zone(zone.id, zone.name, zone.mode, zone.ttl) for zone in self._client.zones.get_all()}

    def record_sets(self, zone: Zone) -> list[RecordSet]:
        """Every record set of the zone; all pages. Raises Permanent("not_found") when the zone is gone."""
        with translated():
            return [_record_set(one) for one in self._client.zones.get_rrset_all(Subject(id=zone.id))]

    def record_set(self, zone: Zone, name: str, type: str) -> RecordSet | None:
        """One record set as it is now; None when there is none."""
        try:
            with translated():
                return _record_set(self._client.zones.get_rrset(Subject(id=zone.id), name, type))
        except Permanent as error:
            if error.code != "not_found":
                raise
            return None

    def create(self, zone: Zone, name: str, type: str, values: Sequence[str], ttl: int | None) -> int:
        """Make a record set. Raises Permanent: name_taken (it is there), configuration (also: a secondary zone)."""
        with _writing():
            made = self._client.zones.create_rrset(
                Subject(id=zone.id), name=name, type=type, ttl=ttl, records=_records(values)
            )
            return int(made.action.id)

    def set_records(self, zone: Zone, name: str, type: str, values: Sequence[str]) -> int:
        """Make these the only values of a record set.

        Raises Permanent: not_found, conflict (it is protected), configuration (also: a secondary zone).
        """
        with _writing():
            return int(self._client.zones.set_rrset_records(_named(zone, name, type), _records(values)).id)

    def remove(self, zone: Zone, name: str, type: str, values: Sequence[str]) -> int:
        """Take these values out of a record set, which goes with its last one. Raises as `set_records`."""
        with _writing():
            return int(self._client.zones.remove_rrset_records(_named(zone, name, type), _records(values)).id)

    def change_ttl(self, zone: Zone, name: str, type: str, ttl: int | None) -> int:
        """Give a record set another time to live in seconds; None: as the zone says. Raises as `set_records`."""
        with _writing():
            return int(self._client.zones.change_rrset_ttl(_named(zone, name, type), ttl).id)

    def actions(self, ids: Collection[int]) -> list[Action]:
        """How far these actions have come, by one call."""
        with translated():
            answer = self._client.request("GET", "/actions", params={"id": sorted(ids)})
            return [Action.of(BoundAction(self._client.actions, one)) for one in answer["actions"]]


def _record_set(seen: Any) -> RecordSet:
    values = tuple(record.value for record in seen.records)
    return RecordSet(seen.name, seen.type, values, seen.ttl, bool((seen.protection or {}).get("change")))


def _records(values: Sequence[str]) -> list[ZoneRecord]:
    return [ZoneRecord(value=value) for value in values]


def _named(zone: Zone, name: str, type: str) -> ZoneRRSet:
    return ZoneRRSet(zone=Subject(id=zone.id), name=name, type=type)


@contextmanager
def _writing() -> Iterator[None]:
    """Of the errors of all calls, a protection is one of the record set here."""
    try:
        with translated():
            yield
    except Permanent as error:
        if error.code != "conflict":
            raise
        raise Permanent(error.code, error.message, who_can_fix=_UNPROTECT) from error
