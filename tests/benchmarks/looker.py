"""One look in a worker of the `reconciling` benchmark. Imports nothing of the product before Django is set up."""

from __future__ import annotations

import time
from uuid import UUID


def begin() -> None:
    """As a worker starts: with everything imported before there is something to do."""
    import django

    django.setup()
    from workspaces.operations import reconcile  # noqa: F401


def look(kind: str, key: UUID) -> float:
    """Make the look; the seconds of CPU it took here. What it wrote can be counted at once."""
    from django.db import connection

    from workspaces.operations import reconcile

    before = time.process_time()
    getattr(reconcile, f"look_at_{kind}")(key)
    spent = time.process_time() - before
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
    return spent
