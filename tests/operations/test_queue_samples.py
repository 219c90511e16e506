"""A row a queue and minute: what waits and for how long, kept for a day, and nothing invented when Redis is silent."""

from datetime import timedelta

import django_rq
import pytest
from django.utils import timezone
from rq.job import Job

from tests import machinery
from workspaces.models import QueueSample
from workspaces.operations import queue_samples

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("empty_queues")]


def waiting(queue: str, *, since: timedelta) -> Job:
    """A job that has waited for so long."""
    job = django_rq.get_queue(queue).enqueue("workspaces.jobs.reconcile_tick")
    job.enqueued_at = timezone.now() - since
    job.save()
    return job


def told() -> list[tuple[object, ...]]:
    return list(QueueSample.objects.order_by("queue").values_list("queue", "depth", "workers"))


def test_each_queue_gets_a_row_with_what_waits_and_for_how_long():
    machinery.alive()
    now = timezone.now()
    waiting("reconcile", since=timedelta(seconds=95))
    waiting("reconcile", since=timedelta(seconds=5))
    assert queue_samples.sample(now) == 3
    assert told() == [("operations", 0, 1), ("reconcile", 2, 1), ("ticks", 0, 1)]
    kept = QueueSample.objects.get(queue="reconcile")
    assert kept.at == now.replace(second=0, microsecond=0)
    assert 94 <= kept.oldest_seconds <= 97
    assert QueueSample.objects.get(queue="ticks").oldest_seconds == 0


def test_a_minute_is_noted_once():
    now = timezone.now().replace(second=10)
    assert queue_samples.sample(now) == 3
    waiting("ticks", since=timedelta(0))
    assert queue_samples.sample(now + timedelta(seconds=30)) == 0
    assert told() == [("operations", 0, 0), ("reconcile", 0, 0), ("ticks", 0, 0)]
    assert queue_samples.sample(now + timedelta(minutes=1)) == 3
    assert QueueSample.objects.get(queue="ticks", depth=1).at == (now + timedelta(minutes=1)).replace(
        second=0, microsecond=0
    )


def test_what_is_older_than_a_day_is_forgotten():
    now = timezone.now()
    for age in (timedelta(hours=23, minutes=59), timedelta(hours=24, seconds=1)):
        QueueSample.objects.create(at=now - age, queue="ticks", depth=7)
    queue_samples.sample(now)
    assert QueueSample.objects.filter(depth=7).count() == 1
    assert QueueSample.objects.count() == 4


def test_a_redis_that_does_not_answer_leaves_a_gap(monkeypatch):
    for name in ("operations", "ticks", "reconcile"):
        monkeypatch.setitem(django_rq.settings.QUEUES, name, {"URL": "redis://127.0.0.1:1/0"})
    assert queue_samples.sample(timezone.now()) == 0
    assert QueueSample.objects.count() == 0
