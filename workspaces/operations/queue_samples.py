"""Noting how long the queues are, a row a queue and minute, for the charts. What Redis tells is `queues.look`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from workspaces.models import QueueSample
from workspaces.operations import queues

KEPT: Final = timedelta(hours=24)


def sample(now: datetime) -> int:
    """Note the queues of this minute and forget what is older than a day; returns how many rows were written.

    A minute that is noted already stays as it is. When Redis does not answer nothing is noted: the chart has a gap.
    """
    QueueSample.objects.filter(at__lt=now - KEPT).delete()
    minute = now.replace(second=0, microsecond=0)
    if QueueSample.objects.filter(at=minute).exists():
        return 0
    rows = [
        QueueSample(
            at=minute,
            queue=one.name,
            depth=one.depth,
            oldest_seconds=max(0, int((now - one.oldest).total_seconds())) if one.oldest else 0,
            running=one.running,
            workers=one.workers,
        )
        for one in queues.look(now).queues
    ]
    # Two schedulers may tick in one minute: the first to write counts.
    return len(QueueSample.objects.bulk_create(rows, ignore_conflicts=True))
