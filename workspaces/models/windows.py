"""Routine windows in SQL: `rules/planner.next_window` over the columns of a plan, for sorting whole fleets.

The planner decides; this only orders rows as it would (tests/models/test_windows.py holds the two together).
"""

from __future__ import annotations

from datetime import UTC, datetime

from django.db.models import Case, F, SmallIntegerField, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce

from workspaces.models.maintenance import MaintenancePlan


def hours_until_window(now: datetime, plan: str = "maintenance_plan") -> Case:
    """Hours from today's midnight (UTC) to the next routine window; NULL when the plan is off or has none.

    `plan` is the path from the queried model to the plan. The hour that has begun is over, as in the planner: a window
    counts when it opens at or after `now`. The eighth day is today's weekday again.
    """
    now = now.astimezone(UTC)
    first = now.hour + (now.time() > now.replace(minute=0, second=0, microsecond=0).time())
    columns = [f"{plan}__{MaintenancePlan.HOURS[(now.weekday() + ahead) % 7]}" for ahead in range(8)]
    # hour_N is a small integer: without the wider type PostgreSQL would still be right, but Django guesses per operand.
    later: list[Combinable] = [F(column) + Value(24 * ahead) for ahead, column in enumerate(columns) if ahead]
    today = Case(When(**{f"{columns[0]}__gte": first}, then=F(columns[0])))
    return Case(
        When(**{f"{plan}__enabled": True}, then=Coalesce(today, *later, output_field=SmallIntegerField())),
        output_field=SmallIntegerField(),
    )
