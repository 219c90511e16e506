"""Handing keys to the queue. The only module that knows RQ.

PostgreSQL decides what is due; the queue only wakes a worker. A key that is lost (Redis emptied, a worker killed
between taking and starting) is found again by `recovery.wake_due`, so nothing here retries or raises.
"""

from __future__ import annotations

import logging
import uuid
from contextlib import suppress
from typing import Any

import django_rq
from django.db import transaction
from django.utils import timezone
from redis.exceptions import RedisError

from workspaces.models import Operation

logger = logging.getLogger(__name__)


def run_soon(operation_id: uuid.UUID) -> None:
    """Wake a worker for the operation once the surrounding transaction is committed."""
    _mark(operation_id)
    transaction.on_commit(lambda: _enqueue(operation_id), robust=True)


def wake(operation_id: uuid.UUID) -> bool:
    """Put the operation's key on the queue now; False when the queue cannot be reached."""
    _mark(operation_id)
    return _enqueue(operation_id)


def _mark(operation_id: uuid.UUID) -> None:
    Operation.objects.filter(pk=operation_id).update(dispatched_at=timezone.now())


def _enqueue(operation_id: uuid.UUID) -> bool:
    # A job id for each handing-over: RQ deletes a finished job by its id, and would take a queued twin along.
    job_id = f"{operation_id.hex}-{uuid.uuid4().hex[:8]}"
    try:
        django_rq.get_queue("operations").enqueue(
            "workspaces.jobs.run_operation", str(operation_id), job_id=job_id, failure_ttl=3600
        )
    except RedisError as error:
        logger.warning("Operation %s not handed to the queue, the scheduler repeats it: %s", operation_id, error)
        return False
    return True


def queued() -> set[uuid.UUID]:
    """Keys of the operations that wait on the queue. Raises RedisError when the queue cannot be reached."""
    found = set()
    for job_id in django_rq.get_queue("operations").get_job_ids():
        with suppress(ValueError):  # somebody else's job: it must not keep all operations from being woken
            found.add(uuid.UUID(job_id.partition("-")[0]))
    return found


def fetch_soon(kubeconfig_id: uuid.UUID) -> None:
    """Have a worker fetch the kubeconfig once the surrounding transaction is committed."""
    _for_a_person("fetch_kubeconfig", kubeconfig_id)


def revoke_soon(kubeconfig_id: uuid.UUID) -> None:
    """Have a worker revoke the kubeconfig once the surrounding transaction is committed; a lost one is repeated."""
    _for_a_person("revoke_kubeconfig", kubeconfig_id)


def preflight_soon(preflight_id: uuid.UUID) -> None:
    """Have a worker look once the surrounding transaction is committed; one that is lost is asked for again."""
    _for_a_person("run_preflight", preflight_id)


def inventory_soon(workspace_id: uuid.UUID) -> None:
    """Have a worker look at what belongs to the workspace; one that is lost is asked for again."""
    _for_a_person("take_inventory", workspace_id)


def _for_a_person(job: str, key: uuid.UUID) -> None:
    """A person waits for it: neither behind the steps of upgrades nor behind a round of looks."""

    def enqueue() -> None:
        options = {"job_timeout": 120, "ttl": 120, "failure_ttl": 3600}
        try:
            django_rq.get_queue("ticks").enqueue(f"workspaces.jobs.{job}", str(key), **options)
        except RedisError as error:
            logger.warning("%s of %s not handed to the queue: %s", job, key, error)

    transaction.on_commit(enqueue, robust=True)


def backlog(queue: str) -> int:
    """Number of jobs that wait on `queue`."""
    return int(django_rq.get_queue(queue).count)


def fan_out(job: str, keys: list[str], *, ttl: int | None = None, at_front: bool = False) -> None:
    """Enqueue one reconciliation job a key, in one round trip; one that has waited for `ttl` seconds is dropped.

    Nobody reads what they answer, so nothing of a job that has ended well is kept.
    """
    queue = django_rq.get_queue("reconcile")
    options: dict[str, Any] = {"timeout": 120, "ttl": ttl, "result_ttl": 0, "failure_ttl": 3600, "at_front": at_front}
    queue.enqueue_many([queue.prepare_data(job, (key,), **options) for key in keys])
