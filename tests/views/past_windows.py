"""Decisions and their runs as the scheduler and the engine leave them, for page tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests import cast
from workspaces.models import Decision, Operation, PackageUpdate, Step, Workspace

WORK = ["Operating system updates on 3 hosts", "Kubernetes 1.34.8 to 1.34.11"]
REASONS = [
    {"code": "compute_auto_update", "message": "Operating system updates are on."},
    {"code": "newer_patch", "message": "1.34.11 is the furthest patch that 1.34.8 may go to now."},
]


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of November 2026."""
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def decide(workspace: Workspace, opens_at: datetime, outcome: str = "nothing", **fields: Any) -> Decision:
    """One decision, made in the first seconds of its window."""
    values: dict[str, Any] = {
        "lane": "routine",
        "reason": "no_newer_patch",
        "message": "No newer patch than 1.34.8 can be reached.",
        "evidence": {"work": [], "reasons": [], "blocked_by": []},
        "decided_at": opens_at + timedelta(seconds=5),
    }
    return Decision.objects.create(workspace=workspace, opens_at=opens_at, outcome=outcome, **(values | fields))


def blocked(workspace: Workspace, opens_at: datetime, **fields: Any) -> Decision:
    """A window under a hold."""
    message = f"Held until {opens_at + timedelta(days=1):%a %d %b %H:%M} UTC: Fair in Berlin"
    evidence = {"work": WORK, "reasons": REASONS, "blocked_by": [{"code": "hold", "message": message}]}
    values = {"reason": "hold", "message": message, "evidence": evidence} | fields
    return decide(workspace, opens_at, "blocked", **values)


def started(operation: Operation, opens_at: datetime, **fields: Any) -> Decision:
    """The window in which the operation began, or with `reason="continues"` went on."""
    values: dict[str, Any] = {
        "reason": "compute_auto_update",
        "message": "Operating system updates are on.",
        "evidence": {"work": WORK, "reasons": REASONS, "blocked_by": []},
    }
    return decide(operation.workspace, opens_at, "started", operation=operation, **(values | fields))


def run(
    workspace: Workspace,
    began_at: datetime,
    ended_at: datetime | None = None,
    *,
    state: str = "succeeded",
    **fields: Any,
) -> Operation:
    """A run without steps yet."""
    values: dict[str, Any] = {
        "kind": "maintenance",
        "title": f"Maintain {workspace.name}: {' and '.join(WORK)}"[:200],
        "parameters": {"os": "all", "from": "1.34.8", "to": "1.34.11"},
        "requested_by": "Loopback",
        "lane": "routine",
        "window_opens_at": began_at.replace(minute=0, second=0),
    }
    return Operation.objects.create(
        workspace=workspace,
        state=state,
        created_at=began_at,
        started_at=began_at,
        finished_at=ended_at,
        **(values | fields),
    )


def host_done(
    operation: Operation, host: str, done_at: datetime | None, packages: int = 0, *, restarted: bool = False
) -> None:
    """A host's steps: updates and restart, done at `done_at` (None: not reached)."""
    first = operation.steps.count()
    common = {"operation": operation, "host": host, "state": "done" if done_at else "pending", "finished_at": done_at}
    Step.objects.create(position=first, key="updates", title=f"Install updates on {host}", stage="updates", **common)
    memory = {"boot_id": "b"} if restarted else {}
    Step.objects.create(
        position=first + 1, key="restart", title=f"Restart {host}", stage="restart", memory=memory, **common
    )
    PackageUpdate.objects.bulk_create(
        PackageUpdate(
            workspace=operation.workspace,
            host_name=host,
            operation=operation,
            package=f"package-{number}",
            from_version="1.0-1",
            to_version="1.0-2",
            security=number == 0,
            installed_at=done_at,
        )
        for number in range(packages)
    )


def paused_and_resumed(workspace: Workspace) -> Operation:
    """Sunday 05:00: one of three hosts, then the hour ended; Monday 02:00: the other two, done at 02:20."""
    operation = run(workspace, at(22, 5, 1), at(23, 2, 20), window_opens_at=at(23, 2))
    host_done(operation, f"{workspace.name}-w1", at(22, 5, 58), 4, restarted=True)
    host_done(operation, f"{workspace.name}-w2", at(23, 2, 10), 4)
    host_done(operation, f"{workspace.name}-w3", at(23, 2, 19), 3)
    started(operation, at(22, 5), decided_at=at(22, 5, 1))
    pause = "Its hour ended at 06:00 UTC, and it may overrun by 60 min."
    evidence = {
        "work": [f"Continue: {operation.title}"],
        "reasons": [{"code": "continues", "message": pause}],
        "blocked_by": [],
    }
    started(operation, at(23, 2), reason="continues", message=pause, evidence=evidence, decided_at=at(23, 2))
    return operation


def many(workspaces: list[Workspace], days: int) -> None:
    """A quiet year: nothing to do in the routine window of every day before the cast's."""
    midnight = cast.NOW.replace(hour=0, minute=0)
    Decision.objects.bulk_create(
        Decision(
            workspace=workspace,
            lane="routine",
            opens_at=midnight - timedelta(days=day, hours=-2),
            outcome="nothing",
            reason="no_newer_patch",
            message="No newer patch than 1.34.8 can be reached.",
        )
        for day in range(days)
        for workspace in workspaces
    )
