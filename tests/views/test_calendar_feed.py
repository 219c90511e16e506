"""The calendar feed: its secret address, and what calendar programs read there, by an independent parser."""

from __future__ import annotations

import re
import uuid
from datetime import datetime, timedelta

import pytest
import vobject
from django.core.cache import cache
from django.test import Client

from tests import cast
from tests.access.walking import walkers
from tests.views.past_windows import at, blocked, decide, host_done, paused_and_resumed, run, started
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import Actor, CalendarFeed, Event, Hold, KubernetesVersion, MaintenancePlan, Workspace
from workspaces.views import calendar_feed, feed_entries

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside")]
ALICE = Actor("account", "Alice Ahrens")


@pytest.fixture
def secret(workspace, catalogue_rows) -> str:
    return CalendarFeed.make(workspace.project, ALICE)


@pytest.fixture
def alices(alice) -> Client:
    """alice with a recent sign-in, which a new address needs."""
    return walkers({"alice": alice}, {}).people["alice"]


def ask(secret, **headers):
    return Client().get(f"/calendars/{secret}.ics", headers=headers)


def read(secret) -> list:
    """The entries, as vobject understands them."""
    answer = ask(secret)
    assert answer.status_code == 200
    return vobject.readOne(answer.content.decode()).contents.get("vevent", [])


def only_runs(secret) -> list:
    """The entries of runs: their page is an operation's."""
    return [entry for entry in read(secret) if "/operations/" in entry.url.value]


def address(answer) -> str:
    return re.search(r'value="(http[^"]+\.ics)"', answer.content.decode())[1]


# --- The address ------------------------------------------------------------------------------------------------------
def test_the_address_is_shown_once_and_its_secret_stands_nowhere_else(alices, workspace, catalogue_rows):
    page = f"/projects/{workspace.project_id}/calendar"
    assert "Nobody" not in alices.get(page).content.decode()
    answer = alices.post(f"{page}/new")
    assert (answer.status_code, answer["Cache-Control"]) == (201, "no-store")
    secret = address(answer).rpartition("/")[2].removesuffix(".ics")
    assert Client().get(f"/calendars/{secret}.ics").status_code == 200
    assert secret not in alices.get(page).content.decode()
    feed = CalendarFeed.objects.get()
    assert (secret in repr(vars(feed)), feed.made_by_name) == (False, "Alice Ahrens")
    assert secret not in repr(list(Event.objects.values()))
    assert feed.digest not in repr(list(Event.objects.values())) + alices.get(page).content.decode()


def test_a_new_address_ends_the_old(alices, secret, workspace):
    answer = alices.post(f"/projects/{workspace.project_id}/calendar/new")
    assert ask(secret).status_code == 404
    assert Client().get(address(answer)).status_code == 200
    assert CalendarFeed.objects.count() == 1


def test_an_ended_feed_answers_like_one_that_never_was(alices, secret, workspace):
    answer = alices.post(f"/projects/{workspace.project_id}/calendar/end")
    assert (answer.status_code, answer["Location"]) == (303, f"/projects/{workspace.project_id}/calendar")
    ended, unknown, nowhere = ask(secret), ask("x" * 43), Client().get("/nowhere")
    assert ended.status_code == unknown.status_code == nowhere.status_code == 404
    assert ended.content == unknown.content == nowhere.content
    assert alices.post(f"/projects/{workspace.project_id}/calendar/end").status_code == 303
    assert Event.objects.filter(action="calendar_feed.ended").acts().count() == 1


def test_a_new_address_needs_a_recent_sign_in(client, alice, workspace):
    cast.sign_in(client, alice)
    for action in ("new", "end"):
        answer = client.post(f"/projects/{workspace.project_id}/calendar/{action}")
        assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, "/accounts/reauthenticate/")
    assert not CalendarFeed.objects.exists()


def test_a_viewer_sees_that_it_is_read_and_may_not_make_it(client, victor, secret, workspace):
    CalendarFeed.objects.update(last_read_at=cast.NOW - timedelta(minutes=7))
    cast.sign_in(client, victor)
    shown = client.get(f"/projects/{workspace.project_id}/calendar").content.decode()
    assert "7 min ago" in shown
    assert "An operator or an administrator of Freight Core makes and ends it." in shown
    assert "Make a new address" not in shown


def test_that_it_is_read_is_noted_once_a_minute(secret, clock):  # noqa: F811
    ask(secret)
    assert CalendarFeed.objects.get().last_read_at == cast.NOW
    clock.now += timedelta(seconds=59)
    ask(secret)
    assert CalendarFeed.objects.get().last_read_at == cast.NOW
    clock.now += timedelta(seconds=1)
    ask(secret)
    assert CalendarFeed.objects.get().last_read_at == clock.now


def test_it_is_answered_for_one_reader_and_not_again_while_nothing_changes(secret, workspace):
    first = ask(secret)
    assert first["Content-Type"] == "text/calendar; charset=utf-8"
    assert first["Cache-Control"] == "private, max-age=60"
    assert "Cookie" not in first.get("Vary", "")
    again = ask(secret, if_none_match=first["ETag"])
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    MaintenancePlan.objects.update(hour_2=5)
    assert ask(secret, if_none_match=first["ETag"]).status_code == 200
    assert Client().head(f"/calendars/{secret}.ics").status_code == 200
    assert Client().post(f"/calendars/{secret}.ics").status_code == 405


def test_who_asks_too_often_waits_and_the_address_is_not_logged(secret, monkeypatch, caplog):
    cache.clear()
    monkeypatch.setattr(calendar_feed, "READS_PER_MINUTE", 2)
    monkeypatch.setattr("time.time", lambda: 1_764_000_000.0)  # the beginning of a minute
    assert [ask(secret).status_code for _ in range(3)] == [200, 200, 429]
    assert ask(secret)["Retry-After"] == "60"
    assert secret not in caplog.text
    cache.clear()


# --- Ahead ------------------------------------------------------------------------------------------------------------
def test_the_coming_windows_stand_there_with_why_and_what_would_stop_them(secret, workspace):
    first, second, *more = read(secret)
    assert first.uid.value == f"{workspace.pk}.priority.20261124T2200Z@loopback"
    assert first.summary.value == "ledger-prod: Kubernetes 1.34.8 to 1.34.11"
    assert (first.dtstart.value, first.dtend.value) == (at(24, 22), at(24, 23))
    assert (first.status.value, first.sequence.value, first.transp.value) == ("CONFIRMED", "0", "TRANSPARENT")
    assert first.url.value == f"http://testserver/workspaces/{workspace.pk}/maintenance"
    assert second.summary.value == "ledger-prod: Operating system updates on 3 hosts"
    assert "Operating system updates are on." in second.description.value
    assert "A hold, a switched-off maintenance" in second.description.value
    assert more[-1].dtstart.value == datetime(2026, 12, 8, 2, tzinfo=at(24, 22).tzinfo)


def test_everything_a_window_would_do_stands_in_one_summary(secret, workspace):
    MaintenancePlan.objects.update(priority_hour=23, hour_1=20)
    assert read(secret)[0].summary.value == (
        "ledger-prod: Kubernetes 1.34.8 to 1.34.11, operating system updates on 3 hosts"
    )


def test_what_is_held_is_tentative_and_says_by_what(secret, workspace):
    Hold.objects.create(
        project=workspace.project, reason="Fair; Berlin", set_by_name="Alice", expires_at=at(26, 0), set_at=at(24, 0)
    )
    first, _, _, after, *_ = read(secret)
    assert (after.dtstart.value, after.status.value) == (at(26, 2), "CONFIRMED")
    assert first.status.value == "TENTATIVE"
    assert "Does not run: Freight Core is held until Thu 26 Nov 00:00 UTC: Fair; Berlin" in first.description.value


def test_of_too_many_windows_the_nearest_stand_there_and_the_calendar_says_so(secret, workspace, monkeypatch):
    monkeypatch.setattr(feed_entries, "AT_MOST", 3)
    for day in (10, 11, 12, 13, 14):
        started(run(workspace, at(day, 2), at(day, 3)), at(day, 2))
    calendar = vobject.readOne(ask(secret).content.decode())
    starts = [entry.dtstart.value for entry in calendar.contents["vevent"]]
    assert starts == [at(12, 2), at(13, 2), at(14, 2), at(24, 22), at(25, 2), at(26, 2)]
    assert calendar.contents["x-wr-caldesc"][0].value == (
        "There are more windows than fit: those after Thu 26 Nov 02:00 UTC are left out."
    )


def test_a_project_without_workspaces_is_an_empty_calendar():
    secret = CalendarFeed.make(cast.project("Empty"), ALICE)
    assert read(secret) == []


def test_a_workspace_that_moves_to_another_project_or_is_deleted_leaves_the_feed(secret, workspace):
    paused_and_resumed(workspace)
    assert len(read(secret)) > 10
    Workspace.objects.update(project=cast.project("Customs"))
    assert read(secret) == []
    assert len(read(CalendarFeed.make(cast.project("Customs"), ALICE))) > 10
    Workspace.objects.update(project=workspace.project, state="deleted")
    assert [entry.uid.value for entry in read(secret)] == [f"{workspace.pk}.routine.20261122T0500Z@loopback"]


# --- Behind -----------------------------------------------------------------------------------------------------------
def test_a_run_has_its_real_start_and_end(secret, workspace):
    operation = run(workspace, at(24, 2, 1), at(24, 2, 39))
    host_done(operation, "ledger-prod-w1", at(24, 2, 30), 4)
    started(operation, at(24, 2))
    (entry,) = only_runs(secret)
    assert (entry.dtstart.value, entry.dtend.value) == (at(24, 2, 1), at(24, 2, 39))
    assert (entry.status.value, entry.sequence.value) == ("CONFIRMED", "2")
    assert entry.uid.value == f"{workspace.pk}.routine.20261124T0200Z@loopback"
    assert entry.summary.value == "ledger-prod: Kubernetes 1.34.8 to 1.34.11, operating system updates on 3 hosts"
    assert entry.description.value == (
        "Tue 24 Nov 02:00 UTC: Done. Kubernetes 1.34.11, 4 packages, no restart. Operating system updates are on."
    )
    assert entry.last_modified.value == at(24, 2, 39)
    assert entry.url.value == f"http://testserver/operations/{operation.pk}"


def test_a_run_that_was_paused_and_resumed_is_one_entry_with_one_start_and_one_end(secret, workspace):
    paused_and_resumed(workspace)
    (entry,) = only_runs(secret)
    assert entry.uid.value == f"{workspace.pk}.routine.20261122T0500Z@loopback"
    assert (entry.dtstart.value, entry.dtend.value) == (at(22, 5, 1), at(23, 2, 20))
    assert entry.sequence.value == "4"
    early, done = entry.description.value.splitlines()
    assert early.startswith("Sun 22 Nov 05:00 UTC: Stopped early. 1 of 3 hosts, hour ended.")
    assert done.startswith("Mon 23 Nov 02:00 UTC: Done. Kubernetes 1.34.11, 7 packages, no restart.")


def test_a_window_keeps_its_entry_from_the_forecast_to_the_end_of_its_run(secret, workspace, clock):  # noqa: F811
    """Coming, running, paused, going on, done: always the same entry, once, and every state a later revision."""
    uid = f"{workspace.pk}.routine.20261125T0200Z@loopback"
    KubernetesVersion.objects.update(security=False)  # work in the priority hour would take the place of what is paused

    def revision() -> tuple[int, str, datetime]:
        (entry,) = [one for one in read(secret) if one.uid.value == uid]
        return int(entry.sequence.value), entry.status.value, entry.dtend.value

    seen = [revision()]
    clock.now = at(25, 2, 30)
    operation = run(workspace, at(25, 2, 1), state="running")
    host_done(operation, "ledger-prod-w1", at(25, 2, 50))
    host_done(operation, "ledger-prod-w2", None)
    started(operation, at(25, 2))
    seen.append(revision())
    clock.now = at(25, 3, 20)
    seen.append(revision())  # its hour is over
    operation.state, operation.pause_reason = "paused", "Its hour ended at 03:00 UTC."
    operation.save()
    seen.append(revision())
    assert [entry for entry in read(secret) if "Continue" in entry.summary.value] == []
    clock.now = at(26, 2, 10)
    operation.state, operation.pause_reason, operation.window_opens_at = "running", "", at(26, 2)
    operation.save()
    started(operation, at(26, 2), reason="continues", message="Its hour ended at 03:00 UTC.")
    seen.append(revision())
    operation.state, operation.finished_at = "succeeded", at(26, 2, 9)
    operation.save()
    seen.append(revision())
    assert seen == [
        (0, "CONFIRMED", at(25, 3)),
        (1, "CONFIRMED", at(25, 3)),
        (1, "CONFIRMED", at(25, 3, 30)),
        (2, "TENTATIVE", at(26, 3)),
        (3, "CONFIRMED", at(26, 3)),
        (4, "CONFIRMED", at(26, 2, 9)),
    ]
    assert len(only_runs(secret)) == 1


def test_paused_work_under_a_hold_says_that_it_does_not_go_on(secret, workspace):
    operation = run(workspace, at(24, 2, 1), state="paused", pause_reason="Held.")
    started(operation, at(24, 2))
    Hold.objects.create(reason="Fair", set_by_name="Root", expires_at=at(30, 0), set_at=at(24, 0))
    (entry,) = only_runs(secret)
    assert "Wed 25 Nov 02:00 UTC: would go on." in entry.description.value
    assert "It does not: The platform is held until Mon 30 Nov 00:00 UTC: Fair" in entry.description.value
    assert entry.summary.value.endswith("(paused)")


def test_no_entry_stands_there_twice(secret, workspace, metal):
    paused_and_resumed(workspace)
    blocked(workspace, at(24, 2))
    paused_and_resumed(metal)
    operation = run(cast.kubernetes("tariffs"), at(24, 14, 5), state="running")
    started(operation, at(24, 14))
    uids = [entry.uid.value for entry in read(secret)]
    assert len(uids) == len(set(uids))
    assert len(only_runs(secret)) == 3


def test_a_window_that_was_blocked_is_cancelled_and_one_without_work_is_no_entry(secret, workspace):
    decide(workspace, at(23, 2))
    decide(workspace, at(22, 2), "missed", evidence={})
    row = blocked(workspace, at(24, 2))
    (entry,) = [one for one in read(secret) if one.dtstart.value < cast.NOW]
    assert (entry.status.value, entry.sequence.value) == ("CANCELLED", "1")
    assert entry.description.value == "Did not run: Held until Wed 25 Nov 02:00 UTC: Fair in Berlin"
    assert entry.url.value == f"http://testserver/maintenance/decisions/{row.pk}"


def test_what_is_older_than_fourteen_days_is_left_out_unless_it_is_open(secret, workspace, metal):
    old = run(workspace, at(1, 2), at(1, 3))
    started(old, at(1, 2))
    still = run(metal, at(2, 2), state="paused", pause_reason="Held.")
    started(still, at(2, 2))
    assert [entry.dtstart.value for entry in only_runs(secret)] == [at(2, 2)]


# --- As the RFC wants it ----------------------------------------------------------------------------------------------
def test_commas_semicolons_line_breaks_and_long_lines_arrive_as_they_were(secret, workspace):
    said = "One, two; three\\four\nBEGIN:VEVENT\nUID:forged " + "Größe→ " * 30
    operation = run(workspace, at(24, 2, 1), at(24, 2, 30), state="failed", error_message=said)
    started(operation, at(24, 2))
    body = ask(secret).content
    assert all(len(line) <= 75 for line in body.split(b"\r\n"))
    assert b"\n" not in body.replace(b"\r\n", b"")
    assert b"\r\nUID:forged" not in body
    (entry,) = only_runs(secret)
    assert entry.description.value.endswith(said)
    assert entry.summary.value.endswith("(failed)")


def test_the_calendar_names_itself_and_all_times_are_utc(secret):
    body = ask(secret).content.decode()
    calendar = vobject.readOne(body)
    assert calendar.version.value == "2.0"
    assert calendar.contents["x-wr-calname"][0].value == "Maintenance of Freight Core"
    assert re.findall(r"\r\n(?:DTSTART|DTEND|DTSTAMP|LAST-MODIFIED)[;:](?!\d{8}T\d{6}Z\r\n).*", body) == []


def test_a_feed_costs_as_many_queries_for_fifty_workspaces_as_for_one(secret, django_assert_max_num_queries):
    for number in range(50):
        extra = cast.kubernetes(f"extra-{number}", hosts=1)
        operation = run(extra, at(24, 2), at(24, 2, 30))
        host_done(operation, "w1", at(24, 2, 20), 2)
        started(operation, at(24, 2))
    with django_assert_max_num_queries(9):
        assert len(read(secret)) > 500


def test_a_strangers_project_has_no_page(client, charlie, secret, workspace):
    cast.sign_in(client, charlie)
    for path in (workspace.project_id, uuid.uuid4()):
        assert client.get(f"/projects/{path}/calendar").status_code == 404
        assert client.post(f"/projects/{path}/calendar/end").status_code in (302, 404)
    assert CalendarFeed.objects.exists()
