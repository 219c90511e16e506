"""The pace of looking at the world: how often, how long to leave a failing target alone, and when a look is too old.

A *look* is one loop over one target: the control planes of a management cluster, the servers or the DNS zones of a
provider account, the cluster (or the bare hosts) or the seeded objects of a workspace. Pure: what is due and what came
of it is in `models/look.py`, the looks themselves in `operations/`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

Kind = Literal["control_planes", "servers", "dns", "cluster", "seeding"]

CONTROL_PLANES: Final = "control_planes"
SERVERS: Final = "servers"
DNS: Final = "dns"
CLUSTER: Final = "cluster"
SEEDING: Final = "seeding"


@dataclass(frozen=True, slots=True)
class Loop:
    """How pages call a kind of look, and what it is a look at."""

    label: str
    target: Literal["management_cluster", "provider_account", "workspace"]


LOOPS: Final[Mapping[str, Loop]] = {
    CONTROL_PLANES: Loop("Control planes", "management_cluster"),
    SERVERS: Loop("Cloud servers", "provider_account"),
    DNS: Loop("DNS records", "provider_account"),
    CLUSTER: Loop("Cluster and hosts", "workspace"),
    SEEDING: Loop("Seeding", "workspace"),
}
KINDS: Final = [(kind, loop.label) for kind, loop in LOOPS.items()]

# What was seen longer ago than this many periods says nothing about now: no page calls it green.
PERIODS: Final = 2
# One failure that may pass by itself is not felt yet; the next is. Both come before two periods are over.
FELT: Final = 2


def is_felt(failures: int, *, permanent: bool) -> bool:
    """Whether a look that has failed this often in a row makes unknown what it was to see."""
    return permanent or failures >= FELT


def pause(every: float, failures: int, longest: float) -> float:
    """Seconds until the next look at a target that has failed `failures` times in a row (0: it answered).

    The first failure is looked into early, to know within two periods; then the pauses double up to `longest`.
    """
    if failures == 0:
        return every
    if failures == 1:
        return every / 2
    return max(every, min(every * 2.0 ** min(failures - 2, 16), longest))


def sampled(samples: Sequence[Sequence[int]], at: datetime, milliseconds: int, *, failed: bool) -> list[list[int]]:
    """The last day's samples with one more look; a half hour is [its minutes since 1970, longest look, failures]."""
    slot = int(at.timestamp()) // 1800 * 30
    kept = [list(sample) for sample in samples if slot - 24 * 60 < sample[0] < slot]
    longest, failures = next(((sample[1], sample[2]) for sample in samples if sample[0] == slot), (0, 0))
    return [*kept, [slot, max(longest, milliseconds), failures + failed]]


def spread(every: float, targets: int, per_second: float) -> float:
    """Seconds between two looks at one of `targets`, when only so many looks a second are allowed."""
    return max(every, targets / per_second)


def is_fresh(seen_at: datetime | None, every: float, now: datetime) -> bool:
    """Whether what was seen then (None: never) may still be called present."""
    return seen_at is not None and now < too_old_at(seen_at, every)


def too_old_at(seen_at: datetime, every: float) -> datetime:
    """From when on a look says nothing about now."""
    return seen_at + timedelta(seconds=PERIODS * every)
