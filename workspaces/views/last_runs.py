"""The last windows of one workspace, for its maintenance page: four of them, and the newest that had a run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from workspaces.models import Decision, Workspace
from workspaces.views.decision_lines import Line, lines_of, told

SHOWN: Final = 4


@dataclass(frozen=True, slots=True)
class LastRuns:
    """`lines` newest first; `run` is the line of the newest run, which may be older than those."""

    lines: list[Line]
    run: Line | None


def last_runs(workspace: Workspace, now: datetime) -> LastRuns:
    """The last windows in one query. A priority hour for which nothing was flagged is nothing to tell."""
    decisions = Decision.objects.filter(workspace=workspace).order_by("-opens_at", "-id")
    newest = decisions.exclude(lane="priority", outcome="nothing").values("pk")[:SHOWN]
    with_run = decisions.exclude(operation=None).values("pk")[:1]
    found = lines_of(told(Decision.objects.filter(pk__in=newest.union(with_run))).order_by("-opens_at", "-id"), now)
    run = next((line for line in found if line.decision.operation_id), None)
    return LastRuns(found[:SHOWN], run)
