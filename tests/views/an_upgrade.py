"""An upgrade of a workspace in any stage of its course, made of the real steps, as rows: nobody works on it.

And what belongs to one: what its preflight saw, and the upgrades that were measured before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tests import cast
from workspaces.models import Account, Actor, LogLine, Operation, Preflight, Step, Workspace
from workspaces.operations import upgrade
from workspaces.rules.preflight import QUESTIONS, Check


def started(
    workspace: Workspace, by: Account, *, target: str = "1.35.7", through: Sequence[str] | None = None
) -> Operation:
    """Just started by `by`; no worker has taken it. The next one is newer, also when the clock is stopped."""
    before = Operation.objects.count()
    operation = upgrade.start(workspace, target, actor=Actor.of(by), through=through)
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


def through(workspace: Workspace, by: Account) -> Operation:
    """Just started: from 1.34.8 by way of 1.35.7, where the hosts wait, to 1.36.2."""
    return started(workspace, by, target="1.36.2", through=["1.35.7"])


def checked(
    operation: Operation, *, target: str = "", at: datetime = cast.NOW - timedelta(minutes=22), **results: str
) -> Preflight:
    """The preflight of the hop to `target`: every check has passed but those of `results`."""
    checks = [
        Check(
            code=code,
            title=question.title,
            result=results.get(code, "pass"),
            evidence=f"Evidence of {code}.",
            observed_at=at,
            blocks=question.blocks,
            acceptable=results.get(code, "pass") in question.acceptable,
            who_can_fix=f"Who sees to {code}." if code in results else "",
            details=("ledger-prod-w2",) if code in results else (),
        ).document()
        for code, question in QUESTIONS.items()
    ]
    return Preflight.objects.create(
        workspace=operation.workspace,
        operation=operation,
        target=target or operation.parameters["hops"][0]["to"],
        asked_by=operation.requested_by,
        asked_at=at,
        finished_at=at,
        checks=checks,
    )


def measured(workspace: Workspace, number: int, *, control_plane: int = 300, host: int = 400) -> None:
    """So many upgrades that have succeeded, each with one host; `control_plane` and `host` are seconds."""
    for _ in range(number):
        done = Operation.objects.create(
            workspace=workspace,
            kind="upgrade",
            title="Upgrade",
            state="succeeded",
            requested_by="Bob Berger",
            parameters={"from": "1.33.9", "to": "1.34.8"},
            created_at=cast.NOW - timedelta(days=9),
            finished_at=cast.NOW - timedelta(days=9),
        )
        begun = done.created_at
        parts = [
            ("set_version", "", 0, 60),
            ("kubeadm_config", "", 60, control_plane),
            ("drain", "w1", 600, 600 + host),
        ]
        for position, (key, name, since, until) in enumerate(parts):
            Step.objects.create(
                operation=done,
                position=position,
                key=key,
                title=key,
                host=name,
                state="done",
                started_at=begun + timedelta(seconds=since),
                finished_at=begun + timedelta(seconds=until),
            )
