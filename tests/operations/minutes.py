"""Moments of a week in November, and what the scheduler has decided by then."""

from __future__ import annotations

from datetime import UTC, datetime

from workspaces.models import Actor, Decision, Operation

ALICE = Actor("account", "Alice Ahrens")


def at(hour: int, minute: int = 0, day: int = 25) -> datetime:
    """A moment in November 2026; the 25th is a Wednesday, when the cast's windows open at 02 and 22."""
    return datetime(2026, 11, day, hour, minute, 20, tzinfo=UTC)


def told() -> list[tuple[str, str, str, str]]:
    """Workspace, lane, outcome and reason of every decision."""
    rows = Decision.objects.order_by("opens_at", "workspace__name", "lane")
    return list(rows.values_list("workspace__name", "lane", "outcome", "reason"))


def end(operation: Operation, state: str = "succeeded") -> None:
    """The operation is over."""
    Operation.objects.filter(pk=operation.pk).update(state=state, finished_at=at(3))
