"""Which risks a person may take by name: those of the preflight checks that say so."""

from __future__ import annotations

from collections.abc import Sequence

from workspaces.rules.preflight import ACCEPTABLE
from workspaces.rules.refusal import Refused


def refuse_risks(codes: Sequence[str]) -> Refused | None:
    """Why these codes cannot be taken as risks (the evidence names them), or None."""
    unknown = sorted(set(codes) - ACCEPTABLE)
    if not unknown:
        return None
    return Refused("unknown_risk", f"No risk that can be taken: {', '.join(unknown)}.", {"accept_risks": unknown})
