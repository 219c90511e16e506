"""Workers and a scheduler that live, as far as the queue can tell: pages then say nothing about them.

They are registered as RQ registers its own, and have last been heard of in a while from now, so they outlive any test.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import django_rq
from django.conf import settings
from rq import SimpleWorker
from rq.cron_scheduler_registry import get_registry_key
from rq.utils import utcformat


def alive() -> None:
    """Register one worker that serves every queue, and a scheduler."""
    connection = django_rq.get_connection("operations")
    worker = SimpleWorker([django_rq.get_queue(name) for name in settings.RQ_QUEUES], connection=connection)
    worker.hostname, worker.pid = "worker-1", 1
    worker.register_birth()
    connection.hset(worker.key, "last_heartbeat", utcformat(datetime.now(UTC) + timedelta(hours=1)))
    connection.zadd(get_registry_key(), {"scheduler-1": time.time() + 3600})
