"""An upgrade of a workspace in any stage of its course, made of the real steps, as rows: nobody works on it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests import cast
from workspaces.models import Account, Actor, LogLine, Operation, Workspace
from workspaces.operations import upgrade


def started(workspace: Workspace, by: Account, *, target: str = "1.35.7") -> Operation:
    """Just started by `by`; no worker has taken it. The next one is newer, also when the clock is stopped."""
    before = Operation.objects.count()
    operation = upgrade.start(workspace, target, actor=Actor.of(by))
    assert isinstance(operation, Operation), operation
    operation.created_at += timedelta(milliseconds=before)
    operation.save(update_fields=["created_at"])
    return operation


def at(operation: Operation, position: int, step_state: str = "running", **fields: Any) -> Operation:
    """Steps before `position` done, 30 s each; the one there in `step_state`; `fields` are set on the operation."""
    start = fields.pop("started_at", cast.NOW - timedelta(minutes=22))
    message = fields.pop("message", "")
    for step in operation.steps.filter(position__lte=position):
        step.state, step.attempts = "done", 1
        step.started_at = start + timedelta(seconds=30 * step.position)
        step.finished_at = step.started_at + timedelta(seconds=30)
        if step.position == position:
            step.state, step.finished_at, step.message = step_state, None, message
        step.save()
        if step.state == "done":
            LogLine.objects.create(
                operation=operation, at=step.finished_at, source=step.host or "plan", text=f"{step.title}: done"
            )
    irreversible = start + timedelta(seconds=60) if position > 1 else None
    values = {"state": "running", "started_at": start, "irreversible_since": irreversible} | fields
    for name, value in values.items():
        setattr(operation, name, value)
    operation.save()
    return operation
