"""The day strip: today's windows of what the account may see."""

from datetime import UTC, datetime

import pytest

from tests import cast
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import MaintenancePlan, Workspace
from workspaces.views import strip

pytestmark = pytest.mark.usefixtures("no_outside")


def day_of(account, now):
    """The strip as the account sees it."""
    return strip.day_of(Workspace.objects.allowing(account).exclude(state="deleted"), now)


def plan(workspace, **fields):
    MaintenancePlan.objects.filter(workspace=workspace).update(**fields)


def test_it_counts_the_windows_of_today_by_hour_in_utc(alice, workspace, metal):
    plan(workspace, hour_1=2)
    plan(metal, hour_1=20)
    day = day_of(alice, cast.NOW)
    assert {hour.hour: hour.windows for hour in day.hours if hour.windows} == {2: 1, 20: 1}
    assert (day.total, day.passed, day.ahead, day.next_hour) == (2, 1, 1, 20)
    assert day.next_at == datetime(2026, 11, 24, 20, tzinfo=UTC)
    assert [hour.past for hour in day.hours] == [True] * 15 + [False] * 9


def test_a_window_counts_as_passed_from_the_moment_it_opens(alice, workspace):
    plan(workspace, hour_1=14)
    assert day_of(alice, cast.NOW).passed == 1
    assert (
        strip.day_of(
            Workspace.objects.allowing(alice).exclude(state="deleted"), datetime(2026, 11, 24, 13, 59, 59, tzinfo=UTC)
        ).ahead
        == 1
    )


def test_plans_that_are_off_and_weekdays_without_a_window_do_not_count(alice, workspace, metal):
    plan(workspace, enabled=False)
    plan(metal, hour_1=None)
    assert day_of(alice, cast.NOW).total == 0


def test_deleted_workspaces_do_not_count(alice):
    cast.kubernetes(state="deleted")
    assert day_of(alice, cast.NOW).total == 0


def test_windows_of_other_organizations_and_projects_are_not_counted(bob, charlie, root, workspace):
    cast.kubernetes("rates-engine", project=cast.project("Sandbox"))
    cast.kubernetes("fjord-api", project=cast.project("Harbour", of="Fjordline"))
    assert day_of(bob, cast.NOW).total == 1
    assert day_of(charlie, cast.NOW).total == 1
    assert day_of(root, cast.NOW).total == 3


def test_the_bars_grow_with_the_count_and_the_flag_stands_at_now(alice, workspace, metal):
    for name in ("one", "two", "three"):
        plan(cast.kubernetes(name), hour_1=9)
    plan(workspace, hour_1=9)
    plan(metal, hour_1=20)
    day = day_of(alice, cast.NOW)
    assert day.hours[9].bar_y == "14.2"
    assert day.hours[20].bar_y == "21.6"
    assert day.now_x == "60.556"
    assert day.flag_x == 0
    assert (
        strip.day_of(
            Workspace.objects.allowing(alice).exclude(state="deleted"), datetime(2026, 11, 24, 23, 5, tzinfo=UTC)
        ).flag_x
        == -74
    )


def test_the_fragment_says_in_words_what_it_draws(client, alice, workspace):
    plan(workspace, **dict.fromkeys(MaintenancePlan.HOURS, 0))
    answer = cast.sign_in(client, alice).get("/strip")
    assert answer.status_code == 200
    assert b"1 maintenance window today: 1 passed, 0 still to open" in answer.content
    assert answer.content.count(b'class="win" data-past') == 1
    assert b"<html" not in answer.content


def test_it_costs_four_queries(client, alice, workspace, django_assert_num_queries):
    cast.sign_in(client, alice)
    with django_assert_num_queries(4):
        client.get("/strip")


def test_it_is_not_shown_to_strangers(client, db):
    assert client.get("/strip").headers["Location"] == "/accounts/login/?next=/strip"


def test_a_refresh_after_the_session_has_ended_leads_to_the_sign_in_and_back(client, db):
    answer = client.get("/strip", HTTP_HX_REQUEST="true", HTTP_HX_CURRENT_URL="http://testserver/workspaces?state=off")
    assert answer.headers["HX-Redirect"] == "/accounts/login/?next=%2Fworkspaces%3Fstate%3Doff"
    assert answer.content == b""
