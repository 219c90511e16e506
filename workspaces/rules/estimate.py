"""How long an upgrade takes, judged from the upgrades that were measured. Below NEEDED samples nothing is said.

The samples come from `models/durations`; what is left of an upgrade that runs is reckoned in `views/expected`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from statistics import median, quantiles
from typing import Final

# Fewer samples than this say nothing about the next upgrade: it is "not known yet".
NEEDED: Final = 10
_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Durations:
    """What was measured, in seconds: one sample an upgrade of a control plane, and one a host that moved with it."""

    control_plane: tuple[float, ...]
    host: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds: what an upgrade takes typically (median), and what nine of ten stay below. `samples` upgrades measured.

    `p90` adds up the ninety percent marks of every part, so an upgrade of many hosts rather stays further below it.
    """

    typical: float
    p90: float
    samples: int

    def windows(self, overrun: timedelta) -> int:
        """In how many maintenance windows it ends nine times of ten: an hour each, and what may run over."""
        return max(1, ceil(self.p90 / (_HOUR + overrun.total_seconds())))


def typical(samples: Sequence[float]) -> float | None:
    """The median of enough samples, else None."""
    return median(samples) if len(samples) >= NEEDED else None


def p90(samples: Sequence[float]) -> float:
    """What nine of ten samples stay below (at least two of them)."""
    return quantiles(samples, n=10, method="inclusive")[-1]


def estimate(durations: Durations, hosts_moving: Sequence[int], at_once: int) -> Estimate | None:
    """How long the hops take that move so many hosts each; None: not known yet.

    Groups of `at_once` hosts are out of service together and still take as long as one by one: an operation does one
    step after the other, and what a host takes was measured in groups like these. So the number shortens nothing.
    """
    moving = sum(hosts_moving)
    if len(durations.control_plane) < NEEDED or (moving and len(durations.host) < NEEDED):
        return None
    parts = [(durations.control_plane, len(hosts_moving)), *([(durations.host, moving)] if moving else [])]
    return Estimate(
        typical=sum(median(samples) * times for samples, times in parts),
        p90=sum(p90(samples) * times for samples, times in parts),
        samples=len(durations.control_plane),
    )
