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

from workspaces.rules.upgrades import Hop

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


def hosts_moving(hop: Hop, kubelets: Sequence[str]) -> int:
    """How many hosts the hop moves: those not known to run its version already. `kubelets` has one entry a host."""
    return sum(kubelet != hop.to for kubelet in kubelets) if hop.workers_move else 0


def estimate(durations: Durations, hops: Sequence[Hop], kubelets: Sequence[str]) -> Estimate | None:
    """How long the hops take on a workspace with these kubelets; None: not known yet.

    Hosts that are out of service together still take as long as one by one: an operation does one step after the other.
    A hop from a version to itself finishes hosts, and moves no control plane.
    """
    planes, hosts = sum(hop.from_ != hop.to for hop in hops), sum(hosts_moving(hop, kubelets) for hop in hops)
    if len(durations.control_plane) < NEEDED or (hosts and len(durations.host) < NEEDED):
        return None
    parts = [
        (samples, times) for samples, times in ((durations.control_plane, planes), (durations.host, hosts)) if times
    ]
    return Estimate(
        typical=sum(median(samples) * times for samples, times in parts),
        p90=sum(p90(samples) * times for samples, times in parts),
        samples=len(durations.control_plane),
    )
