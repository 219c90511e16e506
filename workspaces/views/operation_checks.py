"""What the preflights of an operation found: a line that opens to the checks, and those that stop it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from workspaces.models import Operation, Preflight
from workspaces.rules import preflight
from workspaces.rules.preflight import Check
from workspaces.templatetags.console import clock, moment

_LOOKS: Mapping[str, tuple[str, str, str]] = {
    "passed": ("ok", "check", "Passed"),
    "accepted": ("warn", "warn", "Accepted"),
    "failed": ("bad", "x", "Failed"),
    "warning": ("warn", "warn", "Warning"),
    "cannot tell": ("warn", "warn", "Cannot tell"),
}


class Row(NamedTuple):
    """A check with its mark; `accepted_by` is who took its risk."""

    check: Check
    tone: str
    icon: str
    word: str
    accepted_by: str


class Panel(NamedTuple):
    """A preflight: its line, and a row a check. `key` changes with anything that is shown."""

    key: str
    summary: str
    rows: list[Row]


class Stop(NamedTuple):
    """A check that stops the operation, and whether whoever continues it may take its risk by name.

    `automatic_only`: it stops automatic work; a person who continues is not stopped by it.
    """

    check: Check
    acceptable: bool
    automatic_only: bool


def newest_of(operation: Operation) -> dict[str, Preflight]:
    """The newest preflight of each hop that has been looked at, by the hop's target (one query)."""
    found = operation.preflights.exclude(finished_at=None).order_by("asked_at", "finished_at")
    return {one.target: one for one in found.defer("blast")}


def panels_of(found: Mapping[str, Preflight], operation: Operation, now: datetime) -> dict[str, Panel]:
    """A panel a target."""
    taken: list[dict[str, Any]] = operation.parameters.get("accepted_risks", [])
    by = {str(risk["code"]): str(risk["by"]) for risk in taken}
    return {target: _panel(one, by, now) for target, one in found.items()}


def _panel(found: Preflight, accepted: Mapping[str, str], now: datetime) -> Panel:
    rows = [_row(Check.of(document), accepted) for document in found.checks]
    at = found.finished_at
    key = f"checked-{found.pk.hex[:8]}-{at:%H%M%S}-{sum(bool(row.accepted_by) for row in rows)}"
    same_day = at is not None and at.date() == now.date()
    when = clock(at) if same_day else moment(at, now)
    return Panel(key, f"Preflight: {_counted(rows)}, checked {when} UTC", rows)


def _row(check: Check, accepted: Mapping[str, str]) -> Row:
    by = accepted.get(check.code, "") if check.acceptable and check.result != "pass" else ""
    kind = "accepted" if by else _kind(check)
    return Row(check, *_LOOKS[kind], by)


def _kind(check: Check) -> str:
    if check.result == "cannot_tell":
        return "cannot tell"
    if check.result == "pass":
        return "passed"
    return "failed" if check.blocks else "warning"


def _counted(rows: Sequence[Row]) -> str:
    """`11 passed, 1 accepted by Alice Ahrens, 1 failed`."""
    told = []
    for kind, (*_, word) in _LOOKS.items():
        mine = [row for row in rows if row.word == word]
        if not mine:
            continue
        by = f" by {' and '.join(dict.fromkeys(row.accepted_by for row in mine))}" if kind == "accepted" else ""
        told.append(f"{len(mine)} {'warnings' if kind == 'warning' and len(mine) > 1 else kind}{by}")
    return ", ".join(told)


def stops_of(operation: Operation, found: Mapping[str, Preflight]) -> list[Stop]:
    """The checks that stopped an operation which has failed at its preflight; empty for every other one."""
    if operation.error_code != "preflight_failed" or not found:
        return []
    checks = [Check.of(document) for document in list(found.values())[-1].checks]
    accepted = operation.accepted_risks
    a_person = preflight.stopping(checks, accepted=accepted, automatic=False)
    automatic = operation.window_opens_at is not None
    stopping = preflight.stopping(checks, accepted=accepted, automatic=True) if automatic else a_person
    return [Stop(one, one.acceptable and one in a_person, one not in a_person) for one in stopping]
