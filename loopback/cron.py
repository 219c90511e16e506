"""The scheduler: enqueues what is periodic, and four times a second wakes the operations that are due.

Run it with `manage.py cron`, as often as wanted: an advisory lock in PostgreSQL lets one lead, the others stand by and
take over when it dies. What is due is read from PostgreSQL each time, so nothing is lost while no scheduler runs.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, Error, close_old_connections, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django_rq.cron import DjangoCronScheduler
from redis.exceptions import RedisError

from workspaces import jobs
from workspaces.operations import looks, recovery, rollouts

logger = logging.getLogger(__name__)
# Any number that no other program uses for advisory locks in this database.
LEADERSHIP = 0x100BBACC
PAUSE = 1.0
# How often what is due is woken: a step that asked for a short pause is not to be kept waiting for longer than that.
BEAT = 0.25
# Seconds between two looks for deletions that are due.
DELETIONS = 20


def run(stop: threading.Event) -> None:
    """Lead, or stand by for the one that leads, until `stop` is set. Outages of PostgreSQL and Redis are waited out."""
    while not stop.is_set():
        try:
            with _leadership() as session:
                if session is not None:
                    _lead(session, stop)
        except (Error, RedisError) as error:
            logger.warning("The scheduler pauses: %s", error)
        stop.wait(PAUSE)


@contextmanager
def _leadership() -> Iterator[BaseDatabaseWrapper | None]:
    """The database session that holds the lock, or None when another scheduler leads."""
    # A session of its own: Django may close and reopen the usual one at any time, and the lock would be gone unnoticed.
    session = connections[DEFAULT_DB_ALIAS].copy()
    try:
        with session.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [LEADERSHIP])
            (leads,) = cursor.fetchone()
        yield session if leads else None
    finally:
        session.close()


def _lead(session: BaseDatabaseWrapper, stop: threading.Event) -> None:
    """Wake what is due and enqueue what is periodic, beat by beat.

    Raises django.db.Error when the lock is lost, RedisError when Redis is.
    """
    logger.info("This scheduler leads.")
    scheduler = _schedule()
    scheduler.register_birth()
    try:
        while not stop.wait(BEAT):
            with session.cursor() as cursor:
                cursor.execute("SELECT 1")
            _wake_due()
            scheduler.enqueue_jobs()
            scheduler.heartbeat()
    finally:
        with suppress(RedisError):
            scheduler.register_death()


def _schedule() -> DjangoCronScheduler:
    """What is periodic. RQ reads the clock in local time, which Django has set to settings.TIME_ZONE, UTC."""
    scheduler = DjangoCronScheduler()
    # A tick that waits until the next one is dropped (ttl): both would look at the same rows.
    options = {"job_timeout": 300, "result_ttl": 0, "failure_ttl": 3600}
    scheduler.register(jobs.looks_tick, "ticks", interval=looks.ROUND, ttl=looks.ROUND, **options)
    scheduler.register(jobs.upkeep_tick, "ticks", interval=60, ttl=60, **options)
    seconds = max(1, round(settings.LOOPBACK_PROFILES_SECONDS))
    scheduler.register(jobs.profiles_tick, "ticks", interval=seconds, ttl=seconds, **options)
    # Windows must not wait behind a round of looks. A tick decides and starts; the work itself is operations.
    seconds = max(1, round(settings.LOOPBACK_MAINTENANCE_SECONDS))
    scheduler.register(jobs.maintenance_tick, "ticks", interval=seconds, ttl=seconds, **options)
    scheduler.register(jobs.deletions_tick, "ticks", interval=DELETIONS, ttl=DELETIONS, **options)
    scheduler.register(jobs.rollouts_tick, "ticks", interval=rollouts.SECONDS, ttl=rollouts.SECONDS, **options)
    return scheduler


def _wake_due() -> None:
    """Wake operations that are due; a defect there must not keep the schedule from running."""
    close_old_connections()
    try:
        recovery.wake_due()
    except Exception:
        logger.exception("Operations that are due could not be woken")
