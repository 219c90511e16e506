"""The version catalogue: which versions there are, which workspaces run them, which lead where, and what is wrong.

Everybody signed in sees the catalogue; workspaces are counted as far as the reader may see them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple
from urllib.parse import urlencode

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from workspaces.models.kubernetes import catalogue as stored_catalogue
from workspaces.rules.catalogue import edges, examine
from workspaces.rules.upgrades import CatalogueVersion
from workspaces.rules.versions import is_prerelease, is_version, parse_upgrade_from, precedence
from workspaces.views.access import login_required, visible_workspaces
from workspaces.views.catalogue_graph import draw

# Where a version leads to is named up to here, the rest counted; findings likewise.
_LEADS_SHOWN, _FINDINGS_SHOWN = 5, 15


class Row(NamedTuple):
    """A line of the table. `supported` is a day to come, `ends` says in words when; `address` lists what runs it."""

    version: str
    status: str
    tone: str
    reason: str
    security: bool
    accepts: str
    released: date | None
    supported: date | None
    ends: str
    workspaces: int
    address: str
    leads: str


class Running(NamedTuple):
    """Workspaces by version as the catalogue writes it: those of its rows, those of none, and those never seen."""

    known: dict[str, int]
    foreign: dict[str, int]
    unseen: int


class Summary(NamedTuple):
    """The figures of the sentence on top; `…_at` are the addresses of the workspaces counted."""

    versions: int
    active: int
    newest: str
    workspaces: int
    ended: int
    ended_at: str
    foreign: int
    foreign_at: str
    unseen: int


@require_safe
@login_required
def catalogue(request: HttpRequest) -> HttpResponse:
    """The page: the sentence, the graph, the table, the findings (eight queries, however large the fleet)."""
    now = timezone.now()
    today, rows = now.date(), stored_catalogue()
    hops, running = edges(rows), _running(request, rows)
    findings = examine(rows, today)
    context = {
        "nav": "catalogue",
        "now": now,
        "summary": _summary(rows, running, today),
        "graph": draw(rows, hops, running.known, today),
        "rows": _table(rows, hops, running, today),
        "findings": findings[:_FINDINGS_SHOWN],
        "finding_count": len(findings),
    }
    return render(request, "workspaces/catalogue.html", context)


def _running(request: HttpRequest, rows: Iterable[CatalogueVersion]) -> Running:
    """One GROUP BY over what the reader may see; bare metal runs none."""
    written = {_key(row.version): row.version for row in rows}
    seen = visible_workspaces(request).filter(type="kubernetes").order_by().values_list("kubernetes_version")
    known: dict[str, int] = {}
    foreign: dict[str, int] = {}
    unseen = 0
    for version, count in seen.annotate(count=Count("pk")):
        if not version:
            unseen = count
        elif name := written.get(_key(version)):
            known[name] = known.get(name, 0) + count
        else:
            foreign[version] = count
    return Running(known, foreign, unseen)


def _key(version: str) -> object:
    """By what two ways to write a version are the same."""
    return precedence(version) if is_version(version) else version


def _summary(rows: Sequence[CatalogueVersion], running: Running, today: date) -> Summary:
    active = [row.version for row in rows if row.active and is_version(row.version)]
    released = [version for version in active if not is_prerelease(version)]
    ended = [row.version for row in rows if _has_ended(row, today) and row.version in running.known]
    return Summary(
        versions=len(rows),
        active=len(active),
        newest=max(released or active, key=precedence, default=""),
        workspaces=sum(running.known.values()) + sum(running.foreign.values()),
        ended=sum(running.known[version] for version in ended),
        ended_at=_address(ended),
        foreign=sum(running.foreign.values()),
        foreign_at=_address(running.foreign),
        unseen=running.unseen,
    )


def _address(versions: Iterable[str]) -> str:
    """The fleet list of those that run one of the versions; what runs is stored without the "v"."""
    running = ",".join(version.removeprefix("v") for version in versions)
    return f"{reverse('fleet')}?{urlencode({'version': running}, safe=',')}"


def _has_ended(row: CatalogueVersion, today: date) -> bool:
    return row.end_of_life_on is not None and row.end_of_life_on < today


# --- The table --------------------------------------------------------------------------------------------------------
def _table(
    rows: Iterable[CatalogueVersion], hops: Iterable[tuple[str, str]], running: Running, today: date
) -> list[Row]:
    """A line for each version of the catalogue and each that only workspaces know, newest first."""
    leads: dict[str, list[str]] = {}
    for source, target in hops:
        leads.setdefault(source, []).append(target)
    lines = [_row(row, leads, running.known, today) for row in rows]
    lines += [_foreign(version, count) for version, count in running.foreign.items()]
    # What cannot be read comes last.
    return sorted(lines, key=lambda line: (is_version(line.version), _key(line.version)), reverse=True)


def _row(row: CatalogueVersion, leads: Mapping[str, list[str]], running: Mapping[str, int], today: date) -> Row:
    status, tone = _status(row, today)
    return Row(
        version=row.version,
        status=status,
        tone=tone,
        reason=row.withdrawn_reason,
        security=row.security,
        accepts=_accepts(row.upgrade_from),
        released=row.released_on,
        supported=None if _has_ended(row, today) else row.end_of_life_on,
        ends=_ends(row.end_of_life_on, today),
        workspaces=running.get(row.version, 0),
        address=_address([row.version]),
        leads=_leads(leads.get(row.version, [])),
    )


def _foreign(version: str, count: int) -> Row:
    return Row(
        version=version,
        status="Not in the catalogue",
        tone="warn",
        reason="",
        security=False,
        accepts="",
        released=None,
        supported=None,
        ends="",
        workspaces=count,
        address=_address([version]),
        leads="",
    )


def _status(row: CatalogueVersion, today: date) -> tuple[str, str]:
    """The word and its tone."""
    if not row.active:
        return ("Withdrawn", "bad") if row.withdrawn_reason else ("Not active", "idle")
    return ("Ended", "warn") if _has_ended(row, today) else ("Active", "ok")


def _accepts(upgrade_from: str) -> str:
    try:
        return parse_upgrade_from(upgrade_from).describe().removeprefix("accepts ")
    except ValueError:
        return "cannot be read"


def _ends(day: date | None, today: date) -> str:
    """`in 89 days`, `today`, `ended 27 Oct 2026`; empty when no end is named."""
    if day is None:
        return ""
    left = (day - today).days
    if left < 0:
        return f"ended {day.day} {day:%b %Y}"
    return {0: "today", 1: "in 1 day"}.get(left, f"in {left} days")


def _leads(targets: Sequence[str]) -> str:
    """The versions one hop on, the newest first."""
    newest = sorted(targets, key=precedence, reverse=True)
    more = len(newest) - _LEADS_SHOWN
    return ", ".join(newest[:_LEADS_SHOWN]) + (f" and {more} more" if more > 0 else "")
