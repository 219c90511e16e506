"""The SQL that sorts a fleet by its next window agrees with the planner, which decides."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests import cast
from workspaces.models import MaintenancePlan, Workspace
from workspaces.models.windows import hours_until_window
from workspaces.rules import planner

hours = st.none() | st.integers(0, 23)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
full_hours = moments.map(lambda at: at.replace(minute=0, second=0, microsecond=0))


@pytest.mark.django_db
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(week=st.lists(hours, min_size=7, max_size=7), enabled=st.booleans(), now=moments | full_hours)
@example(week=[None] * 7, enabled=True, now=cast.NOW)
@example(week=[None, 14, None, None, None, None, None], enabled=True, now=cast.NOW)
@example(week=[None, 14, None, None, None, None, None], enabled=True, now=datetime(2026, 11, 24, 14, tzinfo=UTC))
@example(week=[None, 14, None, None, None, None, None], enabled=False, now=cast.NOW)
def test_the_database_finds_the_same_next_window_as_the_planner(workspace, week, enabled, now):
    fields = dict(zip(MaintenancePlan.HOURS, week, strict=True))
    MaintenancePlan.objects.filter(workspace=workspace).update(enabled=enabled, **fields)
    plan = MaintenancePlan.objects.get(workspace=workspace).as_rule()
    planned = planner.next_window(plan, now, "routine")
    counted = Workspace.objects.values_list(hours_until_window(now), flat=True).get(pk=workspace.pk)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    assert (None if counted is None else midnight + timedelta(hours=counted)) == (planned and planned.opens_at)


def test_a_window_whose_hour_has_begun_is_a_week_away(workspace):
    MaintenancePlan.objects.update(**dict.fromkeys(MaintenancePlan.HOURS, None))
    MaintenancePlan.objects.update(hour_1=14)
    assert list(Workspace.objects.values_list(hours_until_window(cast.NOW), flat=True)) == [7 * 24 + 14]
