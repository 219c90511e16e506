"""The fleet calendar: windows, the limit, what runs and what stops it, past weeks, and moves that clear an hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html import unescape

import pytest

from tests import cast
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import (
    PLATFORM,
    Advisory,
    Decision,
    Event,
    Hold,
    Host,
    MaintenancePlan,
    Operation,
    Workspace,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside")]
HTMX = {"HTTP_HX_REQUEST": "true"}
ONE = "11111111-1111-1111-1111-111111111111"


@pytest.fixture(autouse=True)
def four_at_once(settings):
    """Four windows at once on the platform, three on a management cluster."""
    settings.LOOPBACK_RUNS_AT_ONCE = 4
    settings.LOOPBACK_RUNS_AT_ONCE_PER_CLUSTER = 3


@pytest.fixture
def alices(client, alice):
    return cast.sign_in(client, alice)


@pytest.fixture
def crowd(workspace):
    """Seven bare-metal windows beside ledger-prod's on Wednesday 02:00 UTC, and at other hours on other days."""
    made = [cast.baremetal(f"depot-{number}", hosts=1) for number in range(7)]
    for number, one in enumerate(made):
        plan(one, hour_0=number, hour_1=number, hour_3=number + 5, hour_4=number + 5, priority_hour=20)
    return [workspace, *made]


def plan(workspace, **fields):
    MaintenancePlan.objects.filter(workspace=workspace).update(**fields)


def page(client, query="", **headers):
    answer = client.get(f"/maintenance{query}", **headers)
    assert answer.status_code == 200
    return answer


def rows(answer):
    return {row.name: row for group in answer.context["groups"] for row in group.rows}


def titles(row):
    return [cell.title for cell in row.cells]


def counts(answer):
    return {key: number for key, _, number in answer.context["shown"]}


# --- Windows ahead ----------------------------------------------------------------------------------------------------
def test_it_shows_what_each_window_of_the_next_seven_days_does(alices, workspace, catalogue_rows):
    plan(workspace, hour_1=20, hour_2=2, hour_3=None)
    row = rows(page(alices))["ledger-prod"]
    assert [[mark.hour for mark in cell.marks] for cell in row.cells] == [["20"], ["02"], [], ["02"], [], [], ["02"]]
    assert titles(row)[0] == (
        "Tuesday 20:00 UTC, Operating system updates on 3 hosts; Kubernetes 1.34.8 to 1.34.11. "
        "Tuesday 22:00 UTC priority, Nothing to do. Nothing is flagged for the priority hour."
    )
    assert titles(row)[1] == "Wednesday 02:00 UTC, Operating system updates on 3 hosts."
    assert [(line.when, line.local, line.what) for line in row.lines] == [
        ("Tue 24 Nov 20:00", "21:00 in Berlin", "Operating system updates on 3 hosts; Kubernetes 1.34.8 to 1.34.11"),
        (
            "Wed 25 Nov 02:00 to Mon 30 Nov 02:00, 3 windows",
            "03:00 in Berlin",
            "Operating system updates on 3 hosts",
        ),
    ]
    assert row.lines[0].why == (
        "Operating system updates are on. 1.34.11 is the furthest patch that 1.34.8 may go to now."
    )


def test_a_flagged_update_is_told_for_the_priority_hour(alices, workspace):
    Advisory.objects.create(name="DSA-6021 openssl", severity="high", packages=["openssl"], flagged_at=cast.NOW)
    row = rows(page(alices))["ledger-prod"]
    told = next(line for line in row.lines if line.word == "Priority hour")
    assert (told.when, told.what) == (
        "Tue 24 Nov 22:00",
        "Security updates DSA-6021 openssl on 3 hosts",
    )
    assert [len(cell.diamonds) for cell in row.cells] == [1, 0, 0, 0, 0, 0, 0]


def test_blocked_windows_are_hollow_and_say_why(alices, workspace):
    Workspace.objects.update(state="gated")
    row = rows(page(alices))["ledger-prod"]
    assert {mark.kind for cell in row.cells[1:] for mark in cell.marks} == {"b"}
    assert titles(row)[1].startswith("Wednesday 02:00 UTC, blocked: Reconciliation holds changes back")
    assert row.lines[0].word == "Blocked"


def test_held_windows_say_which_hold_and_until_when(alices, alice, workspace, metal):
    Hold(
        project=workspace.project,
        reason="Quarter end",
        set_at=cast.NOW - timedelta(hours=1),
        expires_at=datetime(2026, 11, 26, 12, tzinfo=UTC),
    ).begin(PLATFORM)
    row = rows(page(alices))["ledger-prod"]
    assert [mark.kind for cell in row.cells[1:] for mark in cell.marks] == ["b", "b", "w", "w"]
    assert [(line.when, line.word, line.why) for line in row.lines[:2]] == [
        (
            "Wed 25 Nov 02:00 to Thu 26 Nov 02:00, 2 windows",
            "Blocked",
            "Freight Core is held until Thu 26 Nov 12:00 UTC: Quarter end",
        ),
        (
            "Fri 27 Nov 02:00 to Mon 30 Nov 02:00, 2 windows",
            "",
            "Operating system updates are on. No newer patch than 1.34.8 can be reached.",
        ),
    ]
    assert counts(page(alices))["held"] == 2
    assert counts(page(alices, "?from=2026-12-01"))["held"] == 0


def test_maintenance_that_is_off_says_since_when_and_by_whom(alices, workspace):
    plan(workspace, enabled=False, disabled_at=datetime(2026, 11, 3, 9, tzinfo=UTC), disabled_by="Ines Albrecht")
    answer = page(alices)
    assert "Maintenance off since 3 November, by Ines Albrecht" in answer.text
    assert rows(answer)["ledger-prod"].cells == []


def test_later_weeks_are_reached_by_links_and_by_address(alices, workspace):
    answer = page(alices)
    assert answer.context["week"].title == "Maintenance, next 7 days"
    assert answer.context["query"].earlier == "?from=2026-11-17"
    assert answer.context["query"].later == "?from=2026-12-01"
    later = page(alices, "?from=2026-12-01&q=ledger")
    assert later.context["week"].title == "Maintenance, 1 Dec to 7 Dec"
    assert later.context["query"].earlier == "?q=ledger"
    assert titles(rows(later)["ledger-prod"])[0].startswith("Tuesday 02:00 UTC, Operating system updates")
    assert page(alices, "?from=2027-01-19").context["query"].later == ""


def test_the_readers_clock_stands_beside_utc(alices, alice, workspace):
    assert page(alices).context["sub"] == "Hours in UTC; Berlin is one hour ahead."
    assert (
        "Berlin is 2 hours ahead, and one hour ahead after its clocks change"
        in (page(alices, "?from=2026-10-20").context["sub"])
    )
    for zone, said in [
        ("UTC", "Hours in UTC."),
        ("Asia/Kolkata", "Hours in UTC; Kolkata is 5 h 30 min ahead."),
        ("America/New_York", "Hours in UTC; New York is 5 hours behind."),
    ]:
        alice.time_zone = zone
        alice.save()
        assert page(alices).context["sub"] == said


# --- The limit --------------------------------------------------------------------------------------------------------
def test_the_first_hour_over_the_limit_is_the_headline(alices, crowd):
    answer = page(alices)
    headline = answer.context["headline"]
    assert headline.title == "Wednesday 02:00 UTC has 8 windows, the platform runs 4 at once."
    assert headline.text == (
        "4 workspaces would start late: depot-4, depot-5 and 2 more. Moving them to 03:00 clears it."
    )
    wednesday = answer.context["days"][1]
    assert (wednesday.label, [bar.kind for bar in wednesday.bars]) == ("8 at 02:00", ["x"])
    assert wednesday.sentence == "Wednesday: 1 hour over the limit. 8 windows at 02:00, 4 over the limit of 4"
    assert answer.context["days"][0].sentence == "Today: within the limit"
    assert titles(rows(answer)["ledger-prod"])[1].startswith("Wednesday 02:00 UTC, over the limit. ")
    assert counts(answer) == {"": 8, "over": 8, "known": 0, "held": 0}


def test_an_hour_that_has_passed_is_over_no_limit(alices, crowd):
    for one in crowd:
        plan(one, hour_1=2, hour_2=None)
    answer = page(alices)
    assert answer.context["headline"] is None
    assert {bar.kind for bar in answer.context["days"][0].bars} == {"d"}
    assert page(alices, "?from=2026-12-01").context["headline"].title == (
        "Tuesday 1 December 02:00 UTC has 8 windows, the platform runs 4 at once."
    )


def test_an_hour_may_be_over_the_limit_of_one_management_cluster(alices, workspace, metal):
    for number in range(3):
        plan(cast.kubernetes(f"atlas-{number}"), hour_0=4 + number, hour_3=4 + number, hour_4=4 + number, hour_1=9)
    plan(metal, hour_2=2)
    answer = page(alices, "?show=over")
    # five windows: four on the cluster, one on bare metal
    assert answer.context["headline"].title == "Wednesday 02:00 UTC has 5 windows, the platform runs 4 at once."
    plan(metal, hour_2=None)
    answer = page(alices, "?show=over")
    assert answer.context["headline"].title == (
        "Wednesday 02:00 UTC has 4 windows on mgmt-fsn1, its management cluster runs 3 at once."
    )
    assert list(rows(answer)) == ["atlas-0", "atlas-1", "atlas-2", "ledger-prod"]
    assert counts(answer)["over"] == 4


def test_only_plans_that_are_on_are_counted(alices, crowd):
    for one in crowd[:4]:
        plan(one, enabled=False)
    answer = page(alices)
    assert answer.context["headline"] is None
    assert counts(answer)["over"] == 0


def test_the_counts_of_the_frame_are_those_of_other_pages(alices, crowd):
    plan(crowd[3], hour_1=20)
    for answer in (page(alices), alices.get("/operations"), alices.get("/workspaces")):
        assert 'Workspaces<span class="count">8</span>' in answer.text
        assert 'Maintenance<span class="count">1</span>' in answer.text
        assert 'href="/maintenance"' in answer.text.partition('id="strip"')[2].partition("</section>")[0]


# --- What has passed --------------------------------------------------------------------------------------------------
def decided(workspace, at, outcome, message="", **fields):
    return Decision.objects.create(
        workspace=workspace, lane="routine", opens_at=at, outcome=outcome, reason="x", message=message, **fields
    )


def test_a_past_week_shows_what_was_decided(alices, workspace):
    monday = datetime(2026, 11, 16, 2, tzinfo=UTC)
    run = Operation.objects.create(workspace=workspace, kind="maintenance", title="Maintenance", state="succeeded")
    decided(workspace, monday, "started", operation=run, evidence={"work": ["Operating system updates on 3 hosts"]})
    decided(workspace, monday + timedelta(days=1), "nothing", "Operating system updates are off.")
    decided(workspace, monday + timedelta(days=2), "blocked", "Held until it is lifted: freeze")
    decided(workspace, monday + timedelta(days=3), "missed", "No scheduler ran.")
    answer = page(alices, "?from=2026-11-16")
    row = rows(answer)["ledger-prod"]
    assert [mark.kind for cell in row.cells for mark in cell.marks] == ["ok", "d", "b", "x"]
    assert titles(row)[:4] == [
        "Monday 02:00 UTC, done: Maintenance.",
        "Tuesday 02:00 UTC, nothing to do: Operating system updates are off.",
        "Wednesday 02:00 UTC, blocked: Held until it is lifted: freeze.",
        "Thursday 02:00 UTC, missed: No scheduler ran.",
    ]
    line = row.lines[0]
    assert (line.when, line.word, line.what, line.operation) == (
        "Mon 16 Nov 02:00",
        "Done",
        "Operating system updates on 3 hosts",
        run.pk,
    )
    assert [sum(1 for _ in day.bars) for day in answer.context["days"]] == [1, 1, 1, 1, 0, 0, 0]
    assert f'href="/operations/{run.pk}"' in answer.text


def test_a_past_week_without_records_says_so(alices, workspace):
    assert rows(page(alices, "?from=2026-11-10"))["ledger-prod"].off == "Nothing on record"


def test_what_lies_ahead_is_no_choice_in_the_past(alices, workspace):
    assert "With known updates" not in page(alices, "?from=2026-11-10").text
    answer = page(alices, "?from=2026-11-10&show=known")
    assert "These days have passed, so all windows are shown." in answer.text
    assert answer.context["query"].show == ""
    assert page(alices, "?show=known").context["query"].earlier == "?from=2026-11-17"


def test_windows_of_today_that_have_passed_are_what_was_decided_of_them(alices, workspace, metal):
    decided(workspace, datetime(2026, 11, 24, 2, tzinfo=UTC), "missed", "No scheduler ran.")
    answer = page(alices)
    assert rows(answer)["ledger-prod"].cells[0].marks[0].kind == "x"
    assert rows(answer)["customs-archive"].cells[0].marks[0].kind == "d"
    assert titles(rows(answer)["customs-archive"])[0].startswith("Tuesday 02:00 UTC, passed, nothing on record.")


def test_a_window_whose_run_failed_is_told_as_failed(alices, workspace):
    run = Operation.objects.create(workspace=workspace, kind="maintenance", title="Maintenance", state="failed")
    decided(workspace, datetime(2026, 11, 24, 2, tzinfo=UTC), "started", operation=run)
    row = rows(page(alices))["ledger-prod"]
    assert row.cells[0].marks[0].kind == "x"
    assert (row.lines[0].word, row.lines[0].tone) == ("Failed", "bad")


# --- Choosing ---------------------------------------------------------------------------------------------------------
def test_known_updates_are_releases_the_planner_takes_and_packages_that_were_flagged(
    alices, workspace, metal, catalogue_rows
):
    newest = cast.kubernetes("atlas", version="1.34.11")
    manual = cast.kubernetes("by-hand")
    plan(manual, kubernetes_auto_upgrade=False)
    off = cast.kubernetes("off")
    plan(off, enabled=False)
    answer = page(alices, "?show=known")
    assert (list(rows(answer)), counts(answer)["known"]) == (["ledger-prod"], 1)
    flagged = Advisory.objects.create(name="DSA-1", severity="high", packages=["openssl"], flagged_at=cast.NOW)
    answer = page(alices, "?show=known")
    assert list(rows(answer)) == ["atlas", "by-hand", "customs-archive", "ledger-prod"]
    assert counts(answer)["known"] == 4
    Operation.objects.create(
        workspace=newest, kind="maintenance", title="x", state="succeeded", parameters={"os": "all"}
    )
    Operation.objects.update(created_at=cast.NOW + timedelta(minutes=1))
    plan(metal, compute_auto_update=False)
    assert list(rows(page(alices, "?show=known"))) == ["by-hand", "ledger-prod"]
    flagged.enforced = True
    flagged.save()
    assert list(rows(page(alices, "?show=known"))) == ["by-hand", "customs-archive", "ledger-prod"]


def test_a_version_named_by_an_advisory_is_known_when_it_is_enforced(alices, workspace, catalogue_rows):
    plan(workspace, kubernetes_auto_upgrade=False)
    advisory = Advisory.objects.create(name="CVE-1", severity="high", enforced=True, flagged_at=cast.NOW)
    advisory.versions.add(next(row for row in catalogue_rows if row.version == "1.34.11"))
    assert list(rows(page(alices, "?show=known"))) == ["ledger-prod"]


def test_it_is_filtered_by_name_and_place(alices, workspace, metal):
    sandbox = cast.project("Sandbox")
    cast.kubernetes("rates-engine", project=sandbox)
    assert list(rows(page(alices, "?q=rates"))) == ["rates-engine"]
    answer = page(alices, f"?project={sandbox.pk}")
    assert list(rows(answer)) == ["rates-engine"]
    assert counts(answer)[""] == 1
    assert [group.project for group in page(alices).context["groups"]] == ["Freight Core", "Sandbox"]
    assert alices.get(f"/maintenance?project={cast.project('Harbour', of='Fjordline').pk}").status_code == 404


def test_htmx_gets_the_rows_the_counts_and_the_weeks_alone(alices, crowd):
    fragment = page(alices, "?show=over&q=depot", **HTMX)
    assert "<html" not in fragment.text
    assert fragment.headers["HX-Push-Url"] == "/maintenance?q=depot&show=over"
    assert '<b id="count-over" hx-swap-oob="true">8</b>' in fragment.text
    assert 'id="weeks" hx-swap-oob="true"' in fragment.text
    assert "from=2026-12-01&amp;q=depot&amp;show=over" in fragment.text


def test_words_that_mean_nothing_are_left_out_with_a_note(alices, workspace):
    for query, note in [
        ("?from=tomorrow", "“tomorrow” is not a day such as 2026-11-24, so the calendar begins today."),
        ("?from=2031-01-01", "The calendar reaches 8 weeks ahead and 2 years back; 2031-01-01 is beyond it."),
        ("?from=0001-01-01", "The calendar reaches 8 weeks ahead and 2 years back; 0001-01-01 is beyond it."),
        ("?show=everything", "“everything” is not a choice of this calendar, so it is left out."),
        ("?page=0", "“0” is not a page."),
        ("?page=9", "There is no page 9. This is the last one."),
    ]:
        answer = page(alices, query)
        assert answer.context["query"].notes == (note,)
        assert list(rows(answer)) == ["ledger-prod"]


def test_it_is_paged_by_twenty(alices, workspace):
    for number in range(20):
        cast.baremetal(f"depot-{number:02}", hosts=0)
    answer = page(alices)
    assert (len(rows(answer)), answer.context["total"], answer.context["query"].page_after) == (20, 21, "?page=2")
    answer = page(alices, "?page=2")
    assert (list(rows(answer)), answer.context["first"], answer.context["last"]) == (["ledger-prod"], 21, 21)


def test_nothing_to_show_says_what_that_means(client, charlie, alices, workspace):
    assert "Nothing is held here in these days." in page(alices, "?show=held").text
    assert "No workspace matches “nothing”" in unescape(page(alices, "?q=nothing").text)
    assert "No workspaces" in page(cast.sign_in(client, charlie)).text


# --- Who sees what ----------------------------------------------------------------------------------------------------
def test_a_stranger_sees_nothing_of_others_in_rows_loads_counts_and_headline(client, charlie, crowd):
    kestrel, until = cast.organization("Kestrel Freight"), cast.NOW + timedelta(days=1)
    Hold(organization=kestrel, reason="x", set_at=cast.NOW, expires_at=until).begin(PLATFORM)
    cast.kubernetes("fjord-api", project=cast.project("Harbour", of="Fjordline"))
    answer = page(cast.sign_in(client, charlie))
    assert list(rows(answer)) == ["fjord-api"]
    assert counts(answer) == {"": 1, "over": 0, "known": 0, "held": 0}
    assert answer.context["headline"] is None
    assert [len(day.bars) for day in answer.context["days"]] == [1, 1, 1, 1, 0, 0, 1]
    assert "depot" not in answer.text


def test_past_windows_of_others_are_not_counted(client, charlie, workspace):
    decided(workspace, datetime(2026, 11, 16, 2, tzinfo=UTC), "missed")
    answer = page(cast.sign_in(client, charlie), "?from=2026-11-16")
    assert [len(day.bars) for day in answer.context["days"]] == [0] * 7


# --- Proposed hours ---------------------------------------------------------------------------------------------------
def offers(client, query=""):
    answer = client.get(f"/maintenance/proposal{query}")
    assert answer.status_code == 200
    return answer.context["offers"]


def test_it_proposes_the_nearest_hours_for_those_last_in_line(alices, crowd):
    answer = alices.get("/maintenance/proposal")
    assert [(o.one.name, o.to_hour, o.local, o.may) for o in answer.context["offers"]] == [
        ("depot-4", 3, "04:00 in Berlin", True),
        ("depot-5", 3, "04:00 in Berlin", True),
        ("depot-6", 3, "04:00 in Berlin", True),
        ("ledger-prod", 3, "04:00 in Berlin", True),
    ]
    assert "8 windows, 4 run at once, 4 would start late. Next on Wed 25 Nov, 03:00 in Berlin." in answer.text
    assert [hour.slot for _, hour in answer.context["others"]] == []


def test_chosen_moves_change_one_weekday_and_nothing_else(alices, crowd):
    chosen = [offer.value for offer in offers(alices)][:3]
    answer = alices.post("/maintenance/proposal", {"weekday": "2", "hour": "2", "move": chosen}, follow=True)
    assert "3 windows moved away from Wednesday 02:00 UTC." in answer.text
    moved = MaintenancePlan.objects.get(workspace__name="depot-4")
    assert (moved.hour_2, moved.hour_1, moved.hour_3, moved.compute_auto_update, moved.version) == (3, 4, 9, True, 2)
    event = Event.objects.get(workspace_id=moved.workspace_id, action="maintenance.changed")
    assert (event.actor_name, event.summary) == ("Alice Ahrens", "Wednesday 02:00 to 03:00")
    assert answer.context["headline"].title == "Wednesday 02:00 UTC has 5 windows, the platform runs 4 at once."


def test_a_schedule_that_was_changed_meanwhile_is_told_and_not_overwritten(alices, crowd):
    chosen = [offer.value for offer in offers(alices)]
    plan(crowd[5], version=7, hour_2=4)
    answer = alices.post("/maintenance/proposal", {"weekday": "2", "hour": "2", "move": chosen}, follow=True)
    assert "3 windows moved away from Wednesday 02:00 UTC." in answer.text
    assert "Not moved, because the schedule was changed meanwhile: depot-4." in answer.text
    assert MaintenancePlan.objects.get(workspace=crowd[5]).hour_2 == 4


def test_an_hour_that_was_filled_meanwhile_takes_no_more(alices, crowd):
    chosen = [offer.value for offer in offers(alices)]
    for one in crowd[:3]:
        plan(one, hour_2=3)
    answer = alices.post("/maintenance/proposal", {"weekday": "2", "hour": "2", "move": chosen}, follow=True)
    assert "1 window moved away" in answer.text
    assert "Not moved, because the hour has no place left by now: depot-5, depot-6" in answer.text


def test_who_may_only_look_sees_who_may_change_what(client, victor, crowd):
    viewer = cast.sign_in(client, victor)
    answer = viewer.get("/maintenance/proposal")
    assert {offer.may for offer in answer.context["offers"]} == {False}
    assert "An operator or an administrator of Freight Core" in answer.text
    assert "Move the checked windows" not in answer.text
    chosen = [offer.value for offer in answer.context["offers"]]
    refused = viewer.post("/maintenance/proposal", {"weekday": "2", "hour": "2", "move": chosen})
    assert refused.status_code == 403
    assert not MaintenancePlan.objects.filter(version=2).exists()


def test_an_operator_of_one_project_moves_nothing_of_another(client, bob, alice, crowd):
    Workspace.objects.filter(name="depot-6").update(project=cast.project("Sandbox"))
    value = next(o.value for o in offers(cast.sign_in(client, alice)) if o.one.name == "depot-6")
    operator = cast.sign_in(client, bob)
    assert "depot-6" not in operator.get("/maintenance/proposal").text
    answer = operator.post("/maintenance/proposal", {"weekday": "2", "hour": "2", "move": value})
    assert answer.status_code == 404
    assert MaintenancePlan.objects.get(workspace__name="depot-6").hour_2 == 2


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"weekday": "2", "hour": "2"}, "Choose at least one window to move."),
        ({"weekday": "9", "hour": "2", "move": "x"}, "The form cannot be read."),
        ({"weekday": "2", "hour": "2", "move": "nonsense"}, "The form cannot be read."),
        ({"weekday": "2", "hour": "2", "move": f"{'-' * 36}:3:1"}, "The form cannot be read."),
        ({"weekday": "2", "hour": "2", "move": f"{'0' * 36}:3:1"}, "The form cannot be read."),
        ({"weekday": "2", "hour": "2", "move": f"{ONE}:24:1"}, "The form cannot be read."),
        ({"weekday": "2", "hour": "2", "move": [f"{ONE}:3:1"] * 101}, "Choose at most 100"),
    ],
)  # fmt: skip
def test_a_form_that_is_wrong_is_answered_with_a_sentence(alices, crowd, form, said):
    answer = alices.post("/maintenance/proposal", form)
    assert answer.status_code == 422
    assert said in answer.text
    assert not MaintenancePlan.objects.filter(version=2).exists()


def test_a_day_without_room_says_who_stays(alices, workspace, settings):
    settings.LOOPBACK_RUNS_AT_ONCE = 1
    made = [cast.baremetal(f"depot-{number:02}", hosts=0) for number in range(25)]
    for number, one in enumerate(made):
        plan(one, hour_2=min(number, 23), hour_0=None, hour_1=None, hour_3=None, hour_4=None)
    assert page(alices).context["headline"].text == (
        "1 workspace would start late: ledger-prod. No other hour of that day has a place left. "
        "1 more hour of these days is over the limit."
    )
    answer = alices.get("/maintenance/proposal?weekday=2&hour=2")
    assert "No hour of that day has room for 1 of the 1." in answer.text
    assert answer.context["offers"] == []
    assert [hour.slot for _, hour in answer.context["others"]] == [(2, 23)]


def test_without_an_hour_over_the_limit_there_is_nothing_to_propose(alices, workspace):
    assert "No hour is over its limit" in alices.get("/maintenance/proposal").text
    answer = alices.get("/maintenance/proposal?weekday=8&hour=2")
    assert "That is no hour of the week" in answer.text


def test_an_hour_within_its_limit_says_so_and_names_those_that_are_not(alices, crowd):
    answer = alices.get("/maintenance/proposal?weekday=3&hour=2")
    assert "Thursday 02:00 UTC is within the limit" in answer.text
    assert "/maintenance/proposal?weekday=2&amp;hour=2" in answer.text


# --- What it costs ----------------------------------------------------------------------------------------------------
def test_hundreds_of_workspaces_cost_at_most_fourteen_queries_and_150_kilobytes(
    alices, crowd, catalogue_rows, django_assert_max_num_queries
):
    made = [
        Workspace(
            name=f"hub-{number:03}",
            project=cast.project(f"Project {number % 6}"),
            type="baremetal",
            state="active",
            host_count=3,
            observed_at=cast.NOW,
        )
        for number in range(300)
    ]
    Workspace.objects.bulk_create(made)
    MaintenancePlan.objects.bulk_create(MaintenancePlan(workspace=one, hour_3=n % 24) for n, one in enumerate(made))
    Host.objects.bulk_create(Host(workspace=one, name=f"h-{n}") for one in made for n in range(3))
    Decision.objects.bulk_create(
        Decision(workspace=one, lane="routine", opens_at=cast.NOW - timedelta(days=n), outcome="nothing", reason="x")
        for one in made
        for n in range(4)
    )
    Advisory.objects.create(name="DSA-6021 openssl", severity="high", packages=["openssl"], flagged_at=cast.NOW)
    queries = (
        "",
        "?show=over",
        "?show=known&page=3",
        "?q=hub",
        "?from=2026-11-20",
        "?from=2026-12-08",
        "?q=hub&page=9",
    )
    for query in queries:
        with django_assert_max_num_queries(14):
            answer = alices.get(f"/maintenance{query}")
        assert len(rows(answer)) == 20
        assert len(answer.content) < 150_000
