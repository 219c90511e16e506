"""What the queue is doing, as Redis tells it: workers, what waits and for how long, the scheduler, what has failed.

Reads, and puts a failed job back when a person asks. Work is handed over in `dispatch`. Nothing here raises RedisError:
a Redis that does not answer is part of the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import django_rq
from django.conf import settings
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.cron_scheduler_registry import get_registry_key
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.utils import utcparse
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from workspaces.models import Actor, Event
from workspaces.rules.refusal import Refused

# Workers and the scheduler say that they live every few seconds; RQ forgets a dead worker after more than a minute.
SILENT: Final = timedelta(seconds=30)
FAILED_SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """A worker: its queues, what it does (`job` is a function's name), and when it last said that it lives."""

    name: str
    machine: str
    pid: int
    queues: tuple[str, ...]
    state: str
    job: str
    since: datetime | None
    heard_at: datetime | None
    alive: bool


@dataclass(frozen=True, slots=True)
class QueueSeen:
    """A queue: jobs that wait, since when the oldest does, jobs at work, jobs that failed, and living workers."""

    name: str
    depth: int
    oldest: datetime | None
    running: int
    failed: int
    workers: int


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A job that ended in an error nobody expected: a function of `jobs.py`, its key, and the error's last line."""

    id: str
    queue: str
    job: str
    key: str
    failed_at: datetime | None
    error: str


@dataclass(frozen=True, slots=True)
class Seen:
    """All of it; `trouble` is why Redis could not be asked, and then the rest is empty."""

    workers: tuple[WorkerSeen, ...] = ()
    queues: tuple[QueueSeen, ...] = ()
    failed: tuple[FailedJob, ...] = ()
    scheduler_heard_at: datetime | None = None
    trouble: str = ""

    def scheduler_alive(self, now: datetime) -> bool:
        """Whether a scheduler said so lately."""
        return _lately(self.scheduler_heard_at, now)


def look(now: datetime) -> Seen:
    """Ask Redis for everything the queue page shows."""
    try:
        workers = tuple(sorted((_worker(one, now) for one in _workers()), key=lambda seen: seen.name))
        queues = [django_rq.get_queue(name) for name in settings.RQ_QUEUES]
        failed = [job for queue in queues for job in _failed(queue)]
        return Seen(
            workers=workers,
            queues=tuple(_queue(queue, workers) for queue in queues),
            failed=tuple(sorted(failed, key=lambda job: job.failed_at or now, reverse=True)[:FAILED_SHOWN]),
            scheduler_heard_at=_scheduler_heard_at(),
        )
    except RedisError as error:
        return Seen(trouble=_unreachable(error))


def warning(now: datetime) -> str:
    """What every page has to say of the machinery behind it; "" when all of it lives (two round trips)."""
    try:
        silent = [name for name, alive in _alive(now).items() if not alive]
        scheduler = _scheduler_heard_at()
    except RedisError as error:
        return f"{_unreachable(error)} Nothing is looked at and no operation goes on."
    if len(silent) == len(settings.RQ_QUEUES):
        return "No worker is running: nothing is looked at and no operation goes on."
    if "operations" in silent:
        return "No worker takes operations: none of them goes on."
    if silent:
        return f"No worker serves the queue {' or '.join(silent)}: {_missed(silent)}."
    if not _lately(scheduler, now):
        return "The scheduler is not running: no window opens, nothing is looked at, and what waits is not woken."
    return ""


def retry(job_id: str, actor: Actor) -> Refused | None:
    """Put a failed job back on its queue; the trail says who asked."""
    try:
        job = Job.fetch(job_id, connection=django_rq.get_connection("operations"))
        if not job.is_failed:
            return Refused("not_failed", "This job has not failed, or has been put back already.")
        job.requeue()
    except (NoSuchJobError, InvalidJobOperation):
        return Refused("not_failed", "This job is not kept any more: failed jobs are forgotten after an hour.")
    except RedisError as error:
        return Refused("queue_unreachable", _unreachable(error))
    Event.record(actor, "queue.retried", summary=f"Put a failed job back on the queue {job.origin}: {_name(job)}")
    return None


# --- Workers ----------------------------------------------------------------------------------------------------------
def _workers() -> Sequence[Worker]:
    found: Sequence[Worker] = Worker.all(connection=django_rq.get_connection("operations"))
    return found


def _worker(worker: Worker, now: datetime) -> WorkerSeen:
    job = _current(worker)
    heard_at = _utc(worker.last_heartbeat)
    return WorkerSeen(
        name=worker.name,
        machine=worker.hostname or "",
        pid=worker.pid or 0,
        queues=tuple(worker.queue_names()),
        state=str(getattr(worker.get_state(), "value", worker.get_state())),
        job=_name(job) if job else "",
        since=_utc(job.started_at) if job else None,
        heard_at=heard_at,
        alive=_lately(heard_at, now),
    )


def _alive(now: datetime) -> Mapping[str, bool]:
    """Of each queue whether a worker that serves it lives."""
    connection, names = django_rq.get_connection("operations"), list(settings.RQ_QUEUES)
    asked = connection.pipeline(transaction=False)
    for name in names:
        asked.smembers(WORKERS_BY_QUEUE_KEY % name)
    served = dict(zip(names, asked.execute(), strict=True))
    keys = list(set[bytes]().union(*served.values()))
    for key in keys:
        asked.hget(key, "last_heartbeat")
    heard = dict(zip(keys, asked.execute(), strict=True)) if keys else {}
    living = {key for key, at in heard.items() if at and _lately(_utc(utcparse(at.decode())), now)}
    return {name: bool(members & living) for name, members in served.items()}


# --- Queues -----------------------------------------------------------------------------------------------------------
def _queue(queue: Queue, workers: Sequence[WorkerSeen]) -> QueueSeen:
    first = queue.get_job_ids(0, 1)
    oldest = _fetched(first, queue)
    return QueueSeen(
        name=queue.name,
        depth=int(queue.count),
        oldest=_utc(oldest[0].enqueued_at) if oldest else None,
        running=int(StartedJobRegistry(queue=queue).get_job_count(cleanup=False)),
        failed=int(FailedJobRegistry(queue=queue).get_job_count(cleanup=False)),
        workers=sum(worker.alive and queue.name in worker.queues for worker in workers),
    )


def _failed(queue: Queue) -> list[FailedJob]:
    registry = FailedJobRegistry(queue=queue)
    ids = registry.get_job_ids(0, FAILED_SHOWN - 1, desc=True, cleanup=False)
    return [_failed_job(job) for job in _fetched(ids, queue)]


def _failed_job(job: Job) -> FailedJob:
    result = job.latest_result()
    # The traceback quotes values; its last line is the error itself.
    lines = (result.exc_string or "").strip().splitlines() if result else []
    return FailedJob(
        id=job.id,
        queue=job.origin,
        job=_name(job),
        key=str(job.args[0]) if job.args else "",
        failed_at=_utc(job.ended_at),
        error=lines[-1][:300] if lines else "Nothing is known about the error.",
    )


def _name(job: Job) -> str:
    return str(job.func_name or "").rpartition(".")[2]


# --- Jobs that end while they are read --------------------------------------------------------------------------------
def _current(worker: Worker) -> Job | None:
    with suppress(NoSuchJobError):
        found: Job | None = worker.get_current_job()
        return found
    return None


def _fetched(ids: Iterable[str], queue: Queue) -> list[Job]:
    """Those of the jobs that are still there. RQ's `fetch_many` breaks on one of which a worker left a remainder."""
    found = []
    for id in ids:
        with suppress(NoSuchJobError):
            found.append(Job.fetch(id, connection=queue.connection))
    return found


# --- The scheduler ----------------------------------------------------------------------------------------------------
def _scheduler_heard_at() -> datetime | None:
    """When any scheduler last said that it leads; None when none did."""
    newest = django_rq.get_connection("operations").zrange(get_registry_key(), -1, -1, withscores=True)
    return datetime.fromtimestamp(newest[0][1], UTC) if newest else None


# --- Words and times --------------------------------------------------------------------------------------------------
def _missed(silent: Sequence[str]) -> str:
    told = {"ticks": "no window is opened and no preflight is made", "reconcile": "nothing is looked at"}
    return ", ".join(told[name] for name in silent if name in told)


def _unreachable(error: RedisError) -> str:
    return f"The queue cannot be reached: {type(error).__name__}."


def _lately(at: datetime | None, now: datetime) -> bool:
    return at is not None and now - at <= SILENT


def _utc(at: Any) -> datetime | None:
    """RQ's times are UTC, in some places without saying so."""
    if not isinstance(at, datetime):
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
