"""The machinery behind the API: workers, queues, the scheduler, failed jobs. For administrators."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema

from workspaces.api.callers import caller
from workspaces.api.schemas import ProblemDocument, Time
from workspaces.models import ApiKey
from workspaces.models.members import keys_held
from workspaces.operations import queues
from workspaces.rules import permissions

router = Router(tags=["Queue"])
NEED = "queue.view"


class WorkerShape(Schema):
    """A worker. `alive`: it said so within half a minute; `job` is the function it is at, or null."""

    name: str
    machine: str
    queues: list[str]
    alive: bool
    job: str | None
    heard_at: Time | None


class QueueShape(Schema):
    """A queue: jobs that wait and since when the oldest does, at work, failed (kept for an hour), living workers."""

    name: str
    depth: int
    oldest: Time | None
    running: int
    failed: int
    workers: int


class FailedShape(Schema):
    """A job that ended in an error nobody expected."""

    id: str
    queue: str
    job: str
    failed_at: Time | None


class MachineryShape(Schema):
    """All of it. `trouble` says why the queue could not be asked, `warning` what every page says now; else null."""

    workers: list[WorkerShape]
    queues: list[QueueShape]
    failed: list[FailedShape]
    scheduler_heard_at: Time | None
    scheduler_alive: bool
    trouble: str | None
    warning: str | None


@router.get("/queue", response={200: MachineryShape, 403: ProblemDocument})
def queue(request: HttpRequest) -> dict[str, Any]:
    """Workers, depth, oldest and failed jobs. What a job was about is not told: it may be another organization's."""
    who, now = caller(request), timezone.now()
    held = permissions.keys_of(who.role) if isinstance(who, ApiKey) else keys_held(who)
    if NEED not in held:
        raise PermissionDenied(f"This needs the right: {permissions.PERMISSIONS[NEED].sentence.lower()}.")
    seen = queues.look(now)
    return {
        "workers": [
            {
                "name": worker.name,
                "machine": worker.machine,
                "queues": worker.queues,
                "alive": worker.alive,
                "job": worker.job or None,
                "heard_at": worker.heard_at,
            }
            for worker in seen.workers
        ],
        "queues": seen.queues,
        "failed": seen.failed,
        "scheduler_heard_at": seen.scheduler_heard_at,
        "scheduler_alive": seen.scheduler_alive(now),
        "trouble": seen.trouble or None,
        "warning": queues.warning(now) or None,
    }
