"""Finding work that nobody is doing: what is due, whose worker died, and what the queue has lost.

Called several times a second by the scheduler. It reads PostgreSQL and wakes; it never runs a step itself.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone
from redis.exceptions import RedisError

from workspaces.models import Operation
from workspaces.operations import dispatch

logger = logging.getLogger(__name__)
# A key that was handed over this long ago, is not on the queue and has not been claimed is lost.
LOST_AFTER = timedelta(seconds=5)


def wake_due() -> int:
    """Wake a worker for every operation that is due and not already on the queue; returns how many were woken."""
    now = timezone.now()
    due = Operation.objects.due(now).filter(Q(dispatched_at=None) | Q(dispatched_at__lte=now - LOST_AFTER))
    keys = list(due.order_by("wake_at").values_list("pk", flat=True)[:500])
    if not keys:
        return 0
    try:
        waiting = dispatch.queued()
    except RedisError as error:
        logger.warning("The queue cannot be reached, work waits: %s", error)
        return 0
    return sum(dispatch.wake(key) for key in keys if key not in waiting)
