"""The decision log as a file for spreadsheets. What a line tells is `decision_lines`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from workspaces.models import Decision
from workspaces.views import spreadsheet
from workspaces.views.decision_lines import Line, line_of, listed, planned

LIMIT: Final = 100_000
CHUNK: Final = 500
_COLUMNS: Final = (
    *("window", "lane", "workspace", "project", "organization", "outcome", "result", "reason", "sentence", "work"),
    *("planned", "hosts", "took_seconds", "late_seconds", "decided_at", "operation_state", "id", "workspace_id"),
    "operation_id",
)


def written(decisions: Iterable[Decision], now: datetime) -> Iterator[str]:
    """The file in pieces: at most LIMIT decisions, and a last line that says so when there were more."""
    return spreadsheet.written(_COLUMNS, _rows(decisions, now))


def _rows(decisions: Iterable[Decision], now: datetime) -> Iterator[list[object]]:
    for number, decision in enumerate(decisions):
        if number == LIMIT:
            yield [f"Cut after {LIMIT} windows. Narrow the filters to get the others."]
            return
        yield _row(line_of(decision, now))


def _row(line: Line) -> list[object]:
    """In the order of _COLUMNS; None where there is nothing."""
    decision, workspace = line.decision, line.decision.workspace
    return [
        _time(decision.opens_at),
        decision.lane,
        workspace.name,
        workspace.project.name,
        workspace.project.organization.name,
        decision.outcome,
        line.look.label,
        decision.reason,
        line.sentence,
        line.work,
        listed(planned(decision)),
        line.hosts,
        int(line.took.total_seconds()) if line.took is not None else None,
        int(line.late.total_seconds()) if line.late is not None else None,
        _time(decision.decided_at),
        decision.operation.state if decision.operation else None,
        str(decision.pk),
        str(decision.workspace_id),
        str(decision.operation_id) if decision.operation_id else None,
    ]


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
