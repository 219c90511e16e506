"""The versions of the version page: what can be chosen, in one hop or through several, how long it takes, and the rest.

Deciding is `rules/upgrades.py`, reckoning the time `rules/estimate.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count
from django.db.models.functions import JSONObject

from workspaces.models.outlook import Outlook
from workspaces.models.workspace import WorkspaceQuerySet
from workspaces.rules.estimate import NEEDED, Durations, Estimate, estimate, hosts_moving
from workspaces.rules.upgrades import CatalogueVersion, Hop, NotOffered, Targets
from workspaces.rules.versions import minor_of
from workspaces.templatetags.console import span

# The hops to each version that can be chosen.
Plans = Mapping[str, Sequence[Hop]]


class Choice(NamedTuple):
    """A target that can be chosen: how long it takes in words (empty: not known), and what moves, in a sentence."""

    version: str
    recommended: bool
    security: bool
    ended: bool
    time: str
    moves: str
    hops: Sequence[Hop]

    @property
    def through(self) -> list[str]:
        """The versions in between."""
        return [hop.to for hop in self.hops[:-1]]


@dataclass(frozen=True, slots=True)
class Times:
    """What measured upgrades say about the next one of a workspace."""

    durations: Durations
    outlook: Outlook
    at_once: int

    def of(self, hops: Sequence[Hop]) -> Estimate | None:
        """How long these hops take; None: not known yet."""
        return estimate(self.durations, hops, self.outlook.situation.kubelet_versions)

    def words(self, hops: Sequence[Hop]) -> str:
        """`about 58 min`; empty while it is not known."""
        known = self.of(hops)
        return f"about {about(known.typical)}" if known else ""

    @property
    def unknown(self) -> str:
        """Why a time is missing; empty when nothing is."""
        upgraded, moved = len(self.durations.control_plane), len(self.durations.host)
        if upgraded < NEEDED:
            return f"not known yet: {upgraded} of {NEEDED} upgrades measured"
        return f"not known yet: {moved} of {NEEDED} hosts measured" if moved < NEEDED else ""


class Catalogued(NamedTuple):
    """Every version of the catalogue but the running one, newest first, each in one of the three."""

    near: list[Choice]
    far: list[Choice]
    closed: list[NotOffered]

    def chosen(self, version: str) -> Choice | None:
        """The one with this version, if it can be chosen."""
        return next((choice for choice in (*self.near, *self.far) if choice.version == version), None)


def about(seconds: float) -> str:
    """`58 min`, `1 h 52 min`: minutes are exact enough, and less than one is said as one."""
    return span(timedelta(minutes=max(1, round(seconds / 60))), minutes=True)


def windows(known: Estimate) -> int:
    """In how many maintenance windows it ends nine times of ten."""
    return known.windows(timedelta(seconds=settings.LOOPBACK_OVERRUN_SECONDS))


def counted(workspaces: WorkspaceQuerySet) -> ArraySubquery:
    """How many of these Kubernetes workspaces run each version, as one column, to be read with something else."""
    rows = workspaces.filter(type="kubernetes").exclude(kubernetes_version="").order_by().values("kubernetes_version")
    counts = rows.annotate(count=Count("pk"))
    return ArraySubquery(counts.values(row=JSONObject(version="kubernetes_version", count="count")))


def catalogued(
    outlook: Outlook, targets: Targets, plans: Plans, times: Times, counts: Mapping[str, int], today: date
) -> Catalogued:
    """All of it; `counts` are the reader's workspaces by running version."""
    catalogue = outlook.facts.catalogue
    rows = {row.version: row for row in catalogue}
    near, far, closed = [], [], []
    for row in targets.eligible:
        hops = plans[row.version]
        moves = f"{_kind(hops[0])}. The control plane moves first. {_drains(outlook, hops, times)}"
        near.append(_choice(row, hops, moves, times, counts, today, row.version == targets.recommended))
    if targets.finish_workers:
        near.insert(0, _finishing(plans[targets.finish_workers], outlook, times))
    for shut in targets.not_offered:
        way = plans.get(shut.version)
        if way is None:
            closed.append(shut)
            continue
        far.append(_choice(rows[shut.version], way, f"{shut.reason} {_in_hops(way)}", times, counts, today))
    return Catalogued(near, far, closed)


def _choice(
    row: CatalogueVersion,
    hops: Sequence[Hop],
    moves: str,
    times: Times,
    counts: Mapping[str, int],
    today: date,
    recommended: bool = False,
) -> Choice:
    end = row.end_of_life_on
    ended = bool(end and end < today)
    said = [
        moves,
        f"Support ended {end.day} {end:%b %Y}." if end and ended else "",
        _spread(row.version, counts),
        row.notes,
    ]
    return Choice(
        version=row.version,
        recommended=recommended,
        security=row.security,
        ended=ended,
        time=times.words(hops),
        moves=" ".join(part for part in said if part),
        hops=hops,
    )


def _kind(hop: Hop) -> str:
    return "Patch" if minor_of(hop.from_) == minor_of(hop.to) else "Minor upgrade"


def _drains(outlook: Outlook, hops: Sequence[Hop], times: Times) -> str:
    hosts = sum(hosts_moving(hop, outlook.situation.kubelet_versions) for hop in hops)
    pace = f"{times.at_once} at a time" if times.at_once > 1 else "one at a time"
    counted = {0: "There are no hosts to move.", 1: "1 host drains once."}
    return counted.get(hosts, f"{hosts} hosts drain once each, {pace}.")


def _in_hops(hops: Sequence[Hop]) -> str:
    """`2 hops, through 1.35.7. The hosts move at the last hop only.`"""
    through = ", ".join(hop.to for hop in hops[:-1])
    move = [number for number, hop in enumerate(hops, start=1) if hop.workers_move]
    if not move:
        hosts = "There are no hosts to move."
    elif move == [len(hops)]:
        hosts = "The hosts move at the last hop only."
    else:
        hosts = f"The hosts move at hops {', '.join(map(str, move[:-1]))} and {move[-1]}."
    return f"{len(hops)} hops, through {through}. {hosts}"


def _spread(version: str, counts: Mapping[str, int]) -> str:
    """How many of the reader's workspaces run it."""
    running, known = counts.get(version, 0), sum(counts.values())
    if known < 2:
        return ""
    return (
        f"{running} of {known} workspaces run{'s' if running == 1 else ''} it."
        if running
        else f"None of {known} workspaces runs it."
    )


def _finishing(hops: Sequence[Hop], outlook: Outlook, times: Times) -> Choice:
    behind = [host.name for host in outlook.behind]
    named = ", ".join(behind[:3]) + (f" and {len(behind) - 3} more" if len(behind) > 3 else "")
    moves = f"Finishes a half upgrade. Only hosts that are behind move: {named}."
    return Choice(hops[0].to, False, False, False, times.words(hops), moves, hops)
