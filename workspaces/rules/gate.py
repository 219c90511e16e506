"""When changes to a workspace are held back: as long as what must be there is not.

A gate of another kind (support staff can set one) is never lifted here: only reasons that begin with one of OURS are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from workspaces.rules.health_seen import SeedSeen

SEEDING: Final = "Seeding has not converged: "
GONE: Final = "The control plane is gone: "
OURS: Final = (SEEDING, GONE)
LONGEST: Final = 300


@dataclass(frozen=True, slots=True)
class GatingSeed:
    """An object of a manifest that gates, and since when it is in its state."""

    seed: SeedSeen
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a workspace is gated by. `looked_at` is when the last look began that saw its seeds, None before any."""

    state: str
    state_reason: str
    control_plane: str
    namespace: str
    control_plane_gone: bool
    seeds: Sequence[GatingSeed]
    looked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Change:
    """The state a workspace gets, and why ("" when it is lifted)."""

    state: Literal["gated", "active"]
    reason: str


def judge(facts: Facts) -> Change | None:
    """What becomes of its state; None when it stays, reason and all."""
    reason = reason_of(facts)
    if facts.state == "active":
        return Change("gated", reason) if reason else None
    if facts.state != "gated" or not facts.state_reason.startswith(OURS):
        return None
    if reason:
        return Change("gated", reason) if reason != facts.state_reason else None
    return None if _unsettled(facts) else Change("active", "")


def reason_of(facts: Facts) -> str:
    """Why changes are held back; "" when nothing holds them."""
    if facts.control_plane_gone:
        plane = f"{facts.namespace}/{facts.control_plane}"
        return f"{GONE}{plane} is not on the management cluster any more."[:LONGEST]
    stuck = [gating.seed for gating in facts.seeds if _is_stuck(gating, facts.looked_at)]
    if not stuck:
        return ""
    first = next((seed for seed in stuck if seed.state == "conflict"), stuck[0])
    more = f", and {len(stuck) - 1} more" if len(stuck) > 1 else ""
    return f"{SEEDING}{first.sentence[: LONGEST - len(SEEDING) - len(more) - 1]}{more}."


def _is_stuck(gating: GatingSeed, looked_at: datetime | None) -> bool:
    """Whether a second look has found it no better than the first."""
    if gating.seed.state not in ("conflict", "failed"):
        return False
    return gating.since is not None and looked_at is not None and looked_at > gating.since


def _unsettled(facts: Facts) -> bool:
    """Whether something that gates is not there yet, although it has not failed twice: a gate is no reason to hurry."""
    return any(gating.seed.state != "applied" for gating in facts.seeds)
