"""What Redis tells of the machinery, with RQ's own workers, schedulers and jobs."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import django_rq
import django_rq.settings
import pytest
from django_rq.cron import DjangoCronScheduler
from rq import SimpleWorker, Worker

from workspaces import jobs
from workspaces.models import Actor, Event
from workspaces.operations import queues
from workspaces.rules.refusal import Refused

pytestmark = pytest.mark.django_db(transaction=True)

ALICE = Actor("account", "Alice Ahrens")


@pytest.fixture(autouse=True)
def empty_redis() -> Iterator[None]:
    connection = django_rq.get_connection("operations")
    connection.flushdb()
    yield
    connection.flushdb()


def worker(*names: str) -> Worker:
    """A worker of these queues that has just said that it lives."""
    served = [django_rq.get_queue(name) for name in names]
    made = SimpleWorker(served, connection=django_rq.get_connection("operations"))
    made.hostname, made.pid = "worker-1", os.getpid()
    made.register_birth()
    return made


def scheduler() -> DjangoCronScheduler:
    made = DjangoCronScheduler()
    made.register(jobs.upkeep_tick, "ticks", interval=60)
    made.register_birth()
    made.heartbeat()
    return made


def now() -> datetime:
    return datetime.now(UTC)


def test_nothing_is_said_while_every_queue_has_a_worker_and_the_scheduler_lives() -> None:
    worker("operations")
    worker("ticks", "reconcile")
    scheduler()
    assert queues.warning(now()) == ""


def test_without_any_worker_that_is_said() -> None:
    scheduler()
    assert queues.warning(now()) == "No worker is running: nothing is looked at and no operation goes on."


def test_a_queue_that_nobody_serves_is_named_with_what_does_not_happen() -> None:
    worker("operations")
    worker("ticks")
    scheduler()
    assert queues.warning(now()) == "No worker serves the queue reconcile: nothing is looked at."
    worker("reconcile")
    assert queues.warning(now()) == ""


def test_operations_without_a_worker_come_first() -> None:
    worker("ticks", "reconcile")
    scheduler()
    assert queues.warning(now()) == "No worker takes operations: none of them goes on."


def test_a_worker_that_has_been_silent_for_half_a_minute_is_not_alive() -> None:
    worker("operations", "ticks", "reconcile")
    scheduler()
    assert queues.warning(now() + timedelta(seconds=25)) == ""
    later = now() + timedelta(seconds=35)
    assert queues.warning(later) == "No worker is running: nothing is looked at and no operation goes on."
    (seen,) = queues.look(later).workers
    assert not seen.alive
    assert seen.machine == "worker-1"


def test_a_scheduler_that_is_gone_is_said_when_the_workers_live() -> None:
    worker("operations", "ticks", "reconcile")
    gone = scheduler()
    assert queues.warning(now()) == ""
    gone.register_death()
    said = "The scheduler is not running: no window opens, nothing is looked at, and what waits is not woken."
    assert queues.warning(now()) == said
    assert queues.look(now()).scheduler_heard_at is None


def test_a_job_that_ends_while_it_is_read_is_left_out() -> None:
    busy, queue = worker("reconcile"), django_rq.get_queue("reconcile")
    job = queue.enqueue("workspaces.jobs.look_at_cluster", str(uuid.uuid4()))
    waits = queue.enqueue("workspaces.jobs.look_at_cluster", str(uuid.uuid4()))
    busy.prepare_execution(job)
    for ended in (job, waits):
        job.connection.delete(ended.key)
    seen = queues.look(now())
    assert [(one.name, one.job) for one in seen.workers] == [(busy.name, "")]
    assert [(one.depth, one.oldest) for one in seen.queues if one.name == "reconcile"] == [(2, None)]


def test_depth_and_age_of_each_queue_are_told() -> None:
    before = now()
    for _ in range(3):
        django_rq.get_queue("reconcile").enqueue("workspaces.jobs.sync_profiles", str(uuid.uuid4()))
    worker("reconcile", "ticks")
    seen = {one.name: one for one in queues.look(now()).queues}
    assert list(seen) == ["operations", "ticks", "reconcile"]
    told = seen["reconcile"]
    assert (told.depth, told.running, told.failed, told.workers) == (3, 0, 0, 1)
    assert told.oldest is not None
    assert before - timedelta(seconds=1) <= told.oldest <= now()
    assert (seen["operations"].depth, seen["operations"].oldest, seen["operations"].workers) == (0, None, 0)


def failed_job() -> str:
    """The prices of an account that does not exist: the job ends in an error that nobody expected."""
    job = django_rq.get_queue("reconcile").enqueue("workspaces.jobs.sync_profiles", str(uuid.uuid4()))
    SimpleWorker([django_rq.get_queue("reconcile")], connection=job.connection).work(burst=True, logging_level="ERROR")
    return str(job.id)


def test_a_failed_job_is_told_with_the_last_line_of_its_error() -> None:
    job = failed_job()
    (seen,) = queues.look(now()).failed
    assert (seen.id, seen.queue, seen.job) == (job, "reconcile", "sync_profiles")
    said = "ProviderAccount.DoesNotExist: ProviderAccount matching query does not exist."
    assert seen.error == f"workspaces.models.infrastructure.{said}"
    assert seen.failed_at is not None
    assert now() - seen.failed_at < timedelta(minutes=1)


def test_a_failed_job_goes_back_on_its_queue_once_and_the_trail_says_who_asked() -> None:
    job = failed_job()
    assert queues.retry(job, ALICE) is None
    assert django_rq.get_queue("reconcile").get_job_ids() == [job]
    assert queues.look(now()).failed == ()
    event = Event.objects.get(action="queue.retried")
    assert event.summary == "Put a failed job back on the queue reconcile: sync_profiles"
    assert event.actor_name == "Alice Ahrens"
    again = queues.retry(job, ALICE)
    assert isinstance(again, Refused)
    assert again.code == "not_failed"
    unknown = queues.retry("no-such-job", ALICE)
    assert isinstance(unknown, Refused)
    assert unknown.code == "not_failed"


def test_a_redis_that_does_not_answer_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("operations", "ticks", "reconcile"):
        monkeypatch.setitem(django_rq.settings.QUEUES, name, {"URL": "redis://127.0.0.1:1/0"})
    seen = queues.look(now())
    assert seen.trouble == "The queue cannot be reached: ConnectionError."
    assert (seen.workers, seen.queues, seen.failed) == ((), (), ())
    assert queues.warning(now()) == (
        "The queue cannot be reached: ConnectionError. Nothing is looked at and no operation goes on."
    )
    refused = queues.retry("any", ALICE)
    assert isinstance(refused, Refused)
    assert refused.code == "queue_unreachable"
