"""What a rollout would do with a selection of workspaces, before it begins. How it goes on then is `rollouts`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from workspaces.models import Workspace, durations
from workspaces.models.outlook import Outlook, look_at
from workspaces.rules import upgrades
from workspaces.rules.estimate import Durations, Estimate, estimate
from workspaces.rules.preflight import ACCEPTABLE
from workspaces.rules.refusal import Refused
from workspaces.rules.upgrades import CatalogueVersion, Hop, Situation

NEED = "upgrade.start"


@dataclass(frozen=True, slots=True)
class Preview:
    """What would become of a workspace. `waits_for` says what it would wait for first; `estimate` None: not known."""

    workspace: Workspace
    outcome: Literal["upgrade", "refused", "runs_it"]
    hops: tuple[Hop, ...] = ()
    refused: Refused | None = None
    waits_for: str = ""
    estimate: Estimate | None = None


def unknown_risk(codes: Iterable[str]) -> Refused | None:
    """Why these preflight checks cannot be accepted beforehand, or None: each upgrade would be refused for it."""
    unknown = sorted(set(codes) - ACCEPTABLE)
    said = f"No risk that can be taken: {', '.join(unknown)}."
    return Refused("unknown_risk", said, {"accept_risks": unknown}) if unknown else None


def in_order(workspaces: Iterable[Workspace]) -> list[Workspace]:
    """Fewest hosts first, then by name, so that the canary is small."""
    return sorted(workspaces, key=lambda one: (one.host_count, one.name, str(one.pk)))


def preview(workspaces: Sequence[Workspace], target: str, several_hops: bool, now: datetime) -> list[Preview]:
    """What would become of each, in their order (three queries, however many; each situation is decided once).

    They have their project and management cluster selected.
    """
    known, measured = look_at(workspaces, now), durations.measured()
    decided: dict[Situation, list[Hop] | Refused] = {}
    seen = []
    for workspace in workspaces:
        outlook = known[workspace.pk]
        alone = replace(outlook.situation, open_operation=None)
        if alone not in decided:
            catalogue = outlook.facts.catalogue
            through = between(alone, target, catalogue) if several_hops else None
            decided[alone] = upgrades.route(alone, target, catalogue, through)
        seen.append(_preview(workspace, decided[alone], outlook, measured, now))
    return seen


def between(situation: Situation, target: str, catalogue: Sequence[CatalogueVersion]) -> list[str]:
    """The versions on the way to `target`; none where there is no way, which whoever starts it is told."""
    hops = upgrades.plan(situation, target, catalogue)
    return [] if isinstance(hops, Refused) else [hop.to for hop in hops[:-1]]


def _preview(
    workspace: Workspace, decided: list[Hop] | Refused, outlook: Outlook, measured: Durations, now: datetime
) -> Preview:
    if isinstance(decided, Refused):
        outcome: Literal["runs_it", "refused"] = "runs_it" if decided.code == "same_version" else "refused"
        return Preview(workspace, outcome, refused=decided)
    expected = estimate(measured, decided, outlook.situation.kubelet_versions)
    return Preview(workspace, "upgrade", tuple(decided), waits_for=_waits_for(outlook, now), estimate=expected)


def _waits_for(outlook: Outlook, now: datetime) -> str:
    """What keeps it from starting at once, in a sentence; a hold that ends last counts."""
    holds = [hold for hold in outlook.facts.holds if hold.covers(now)]
    if holds:
        return f"{holds[-1].sentence}."
    operation = outlook.operation
    return f"{operation.title} is running." if operation and operation.is_open else ""
