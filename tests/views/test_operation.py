"""Operations: the list, and one operation's page: steps, timetable, log, polling, stopping, continuing, the record.

What holds it up and what its preflight found is `test_operation_held_up.py`, leaving a host out `test_skip.py`.
"""

import re
import uuid
from datetime import timedelta

import django_rq
import pytest

from tests import cast
from tests.views import an_upgrade, operation_pages
from tests.views.operation_pages import DRAIN_1, HTMX, page, poll, seen, text
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import PLATFORM, Actor, Event, Host, LogLine, Operation, StepPlan

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside", "empty_queues")]


@pytest.fixture
def alices(client, alice):
    return cast.sign_in(client, alice)


@pytest.fixture
def bobs(client, bob):
    return cast.sign_in(client, bob)


@pytest.fixture
def running(workspace, alice, catalogue_rows) -> Operation:
    """alice's upgrade, waiting for the drain of the first host."""
    return operation_pages.draining(workspace, alice)


@pytest.fixture
def failed(workspace, alice, catalogue_rows) -> Operation:
    """alice's upgrade, failed at the drain of the first host."""
    return operation_pages.not_drained(workspace, alice)


def without_tokens(answer) -> str:
    return re.sub(r"[A-Za-z0-9]{64}", "token", answer.content.decode())


# --- Who sees it ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("who", ["alice", "bob", "victor", "root"])
def test_members_see_the_page_its_progress_and_its_log(client, request, who, running):
    cast.sign_in(client, request.getfixturevalue(who))
    for part in ("", "/progress", "/log", "/record"):
        assert client.get(f"/operations/{running.pk}{part}").status_code == 200


@pytest.mark.parametrize(
    ("method", "part"),
    [
        *(("get", part) for part in ("", "/progress", "/log", "/record")),
        *(("post", part) for part in ("/stop", "/retry", "/skip")),
    ],
)
def test_for_a_stranger_it_looks_as_if_it_did_not_exist(client, charlie, running, method, part):
    cast.sign_in(client, charlie)
    theirs = getattr(client, method)(f"/operations/{running.pk}{part}")
    other = getattr(client, method)(f"/operations/{uuid.uuid4()}{part}")
    assert theirs.status_code == other.status_code == 404
    assert without_tokens(theirs) == without_tokens(other)
    running.refresh_from_db()
    assert running.stop_requested_at is None


# --- The page ---------------------------------------------------------------------------------------------------------
def test_the_head_says_what_when_by_whom_and_how_far(bobs, running):
    shown = text(page(bobs, running))
    assert "Upgrade ledger-prod from 1.34.8 to 1.35.7 Waiting Started today 14:10 UTC by Alice Ahrens." in shown
    assert "Elapsed 22 min since 14:10 UTC, 15:10 in Berlin" in shown
    assert "Steps 7 of 24 done waiting, next try 14:32:20 UTC" in shown
    assert "Hosts 0 of 3 done" in shown
    assert "Waiting, host 1 of 3: Drain ledger-prod-w1." in shown
    assert '<progress data-size="lg" max="24" value="7"' in page(bobs, running).content.decode()


def test_what_is_irreversible_is_said_once_it_is_true(bobs, bob, running):
    assert "Forward only Since today 14:11 UTC Set the control plane to 1.35.7. It does not move back." in text(
        page(bobs, running)
    )
    other = an_upgrade.started(cast.kubernetes("atlas-routing"), bob)
    assert "Forward only Not yet nothing irreversible has happened" in text(page(bobs, other))


def test_steps_are_sentences_with_durations_messages_and_attempts(bobs, running):
    running.steps.filter(position=2).update(attempts=4, message="2 of 2 replicas run 1.35.7")
    shown = text(page(bobs, running))
    assert "Check again that the upgrade to 1.35.7 may start 0:30 Set the control plane to 1.35.7 0:30" in shown
    assert "Wait until Kamaji has rolled out 1.35.7 2 of 2 replicas run 1.35.7 4 attempts 0:30" in shown
    assert "Drain ledger-prod-w1 2 pods left since 14:13" in shown
    assert "Confirm that every host runs 1.35.7" in shown


def test_the_timetable_has_a_row_for_each_host_and_a_column_for_each_stage(bobs, running):
    Host.objects.filter(name="ledger-prod-w1").update(kubelet_version="1.35.7")
    shown = text(page(bobs, running))
    assert "Host kubelet kubeadm Cordon Drain kubelet Verify Uncordon Total" in shown
    assert "ledger-prod-w1 1.35.7 0:30 0:30 since 14:13 · waiting · waiting · waiting" in shown
    assert "ledger-prod-w2 1.34.8 · waiting" in shown


def test_the_steps_of_the_current_host_are_shown_and_others_can_be_chosen(bobs, running):
    shown = text(page(bobs, running))
    assert "Steps on ledger-prod-w1" in shown
    assert "Open ledger-prod-w2 to pods again" not in shown
    chosen = page(bobs, running, host="ledger-prod-w2")
    assert "Steps on ledger-prod-w2" in text(chosen)
    assert "Open ledger-prod-w2 to pods again" in text(chosen)
    assert "&amp;host=ledger-prod-w2" in chosen.content.decode()
    assert "Steps on" not in text(page(bobs, running, host="<b>")).replace("Steps on ledger-prod-w1", "")


def test_an_operation_without_hosts_has_no_timetable(bobs, workspace):
    operation = Operation.start(workspace, "check", "Look around", [StepPlan("look", "Look around")], actor=PLATFORM)
    shown = text(page(bobs, operation))
    assert re.search(r"Pending Asked for .* UTC by Loopback.", shown)
    assert "Elapsed Not started a worker takes it next" in shown
    assert "one at a time" not in shown


def test_words_of_others_are_shown_as_text(bobs, running):
    LogLine.objects.create(operation=running, source="plan", text="<script>alert(1)</script>")
    running.steps.filter(position=DRAIN_1).update(message="<img src=x>")
    body = page(bobs, running).content.decode()
    assert "<script>alert" not in body
    assert "<img src=x>" not in body


# --- Failed and stopped -----------------------------------------------------------------------------------------------
def test_a_failure_says_what_happened_who_can_fix_it_and_offers_to_continue(bobs, failed):
    answer = page(bobs, failed)
    assert (
        "A pod cannot be evicted. Cause: a disruption budget allows no eviction now. "
        "Who can fix it: The owner of payments/ledger-api." in text(answer)
    )
    assert "Failed Tue 24 Nov 14:32 UTC. 7 of 24 steps done." in text(answer)
    assert "Took 22:00" in text(answer)
    assert f'action="/operations/{failed.pk}/retry"' in answer.content.decode()
    assert 'hx-trigger="every' not in answer.content.decode().partition("<main")[2].partition("</main>")[0]


def test_continuing_goes_on_from_the_failed_step_and_wakes_a_worker(bobs, failed, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        answer = bobs.post(f"/operations/{failed.pk}/retry")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/operations/{failed.pk}")
    failed.refresh_from_db()
    assert (failed.state, failed.error_message) == ("pending", "")
    assert failed.steps.get(position=DRAIN_1).state == "pending"
    assert [job.args[0] for job in django_rq.get_queue("operations").get_jobs()] == [str(failed.pk)]
    assert Event.objects.filter(action="operation.retried", actor_name="Bob Berger").count() == 1


def test_what_has_not_failed_cannot_be_continued(bobs, running):
    answer = bobs.post(f"/operations/{running.pk}/retry")
    assert answer.status_code == 409
    assert "Nothing was changed Only a failed, stopped or paused operation can be continued." in text(answer)


def test_what_another_operation_has_followed_is_not_continued(
    bobs,
    alice,
    workspace,
    failed,
    clock,  # noqa: F811
):
    clock.now += timedelta(minutes=1)
    an_upgrade.started(workspace, alice, target="1.35.4")
    answer = page(bobs, failed)
    assert "Another operation has run since, so this one cannot be continued." in text(answer)
    assert "/retry" not in answer.content.decode()
    answer = bobs.post(f"/operations/{failed.pk}/retry")
    assert answer.status_code == 409
    assert "is running. Wait for it to end, or stop it." in text(answer)
    failed.refresh_from_db()
    assert failed.state == "failed"


def test_a_viewer_reads_who_can_stop_or_continue_and_is_refused(client, victor, alice, failed):
    cast.sign_in(client, victor)
    running = an_upgrade.at(an_upgrade.started(cast.kubernetes("atlas-routing"), alice), DRAIN_1)
    assert "An operator or an administrator of Freight Core can continue it." in text(page(client, failed))
    assert "An operator or an administrator of Freight Core can stop it." in text(page(client, running))
    assert 'method="post"' not in page(client, running).content.decode().partition("<main")[2].partition("</main>")[0]
    assert client.post(f"/operations/{failed.pk}/retry").status_code == 403
    assert client.post(f"/operations/{running.pk}/stop").status_code == 403
    failed.refresh_from_db()
    assert failed.state == "failed"


def test_a_stopped_operation_says_by_whom_and_can_be_continued(bobs, running):
    running.state, running.finished_at, running.stop_requested_by = "stopped", cast.NOW, "Alice Ahrens"
    running.save()
    shown = text(page(bobs, running))
    assert "Stopped, as Alice Ahrens asked. Nothing is half done." in shown
    assert "Continue the operation" in shown


# --- Stopping ---------------------------------------------------------------------------------------------------------
def test_the_dialog_says_what_stopping_means_and_what_stays_done(bobs, running):
    shown = text(page(bobs, running))
    assert "Stop “Upgrade ledger-prod from 1.34.8 to 1.35.7” at the next safe point?" in shown
    assert "a host that has been closed to pods is finished and opened again" in shown
    assert (
        "Forward only since today 14:11 UTC: Set the control plane to 1.35.7. Stopping does not take that back" in shown
    )


def test_stopping_is_recorded_and_the_page_says_where_it_stops(bobs, running):
    answer = bobs.post(f"/operations/{running.pk}/stop")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/operations/{running.pk}")
    running.refresh_from_db()
    assert (running.stop_requested_by, running.stop_requested_at) == ("Bob Berger", cast.NOW)
    shown = text(page(bobs, running))
    assert "Waiting, stop asked for" in shown
    assert "Bob Berger asked for a stop 0 s ago. It stops before: Install kubeadm 1.35.7 on ledger-prod-w2" in shown
    assert Event.objects.filter(action="operation.stop_requested", actor_name="Bob Berger").count() == 1


def test_a_stop_without_a_safe_point_left_says_that_it_runs_to_its_end(bobs, running):
    running.steps.filter(position__gt=DRAIN_1).update(safe_to_stop=False)
    bobs.post(f"/operations/{running.pk}/stop")
    assert "No safe point is left, so it runs to its end." in text(page(bobs, running))


def test_what_has_ended_cannot_be_stopped(bobs, failed):
    answer = bobs.post(f"/operations/{failed.pk}/stop")
    assert answer.status_code == 409
    assert "This operation has already ended: failed." in text(answer)


def test_changes_need_a_post(bobs, running):
    assert bobs.get(f"/operations/{running.pk}/stop").status_code == 405
    assert bobs.get(f"/operations/{running.pk}/retry").status_code == 405


# --- Polling ----------------------------------------------------------------------------------------------------------
def test_a_poll_is_empty_while_nothing_has_changed(bobs, running):
    answer = poll(bobs, running, seen(page(bobs, running)))
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_poll_brings_what_has_changed_and_announces_it_once(bobs, running):
    said = seen(page(bobs, running))
    running.steps.filter(position=DRAIN_1).update(message="1 pod left")
    answer = poll(bobs, running, said)
    assert answer.status_code == 200
    assert answer.content.decode().lstrip().startswith('<div id="progress"')
    assert "1 pod left" in text(answer)
    assert '<div hx-swap-oob="innerHTML:#said">' in answer.content.decode()
    assert poll(bobs, running, seen(answer)).status_code == 204


def test_a_minute_later_the_times_are_brought_up_to_date_in_silence(bobs, running, clock):  # noqa: F811
    said = seen(page(bobs, running))
    clock.now = cast.NOW + timedelta(minutes=1)
    answer = poll(bobs, running, said)
    assert answer.status_code == 200
    assert "Elapsed 23 min" in text(answer)
    assert "hx-swap-oob" not in answer.content.decode()


@pytest.mark.parametrize("state", ["succeeded", "failed", "stopped"])
def test_the_last_poll_shows_the_end_and_stops_the_polling(bobs, running, state):
    said = seen(page(bobs, running))
    Operation.objects.filter(pk=running.pk).update(state=state, finished_at=cast.NOW)
    answer = poll(bobs, running, said)
    assert answer.status_code == 286
    assert f"{state.capitalize()} Tue 24 Nov 14:32 UTC." in text(answer)
    assert "hx-trigger" not in answer.content.decode()


@pytest.mark.parametrize("said", ["", "nonsense", "a.b.c", "ä"])
def test_a_poll_that_has_seen_nothing_gets_everything(bobs, running, said):
    assert poll(bobs, running, said).status_code == 200


# --- The log ----------------------------------------------------------------------------------------------------------
def test_the_log_shows_its_tail_and_goes_on_after_the_last_line(bobs, running):
    answer = page(bobs, running)
    last = running.lines.last()
    assert f"/operations/{running.pk}/log?after={last.pk}" in answer.content.decode()
    after = f"/operations/{running.pk}/log?after={last.pk}"
    assert bobs.get(after, **HTMX).status_code == 204
    line = LogLine.objects.create(operation=running, source="ledger-prod-w1", level="warn", text="not evicted")
    answer = bobs.get(after, **HTMX)
    assert answer.status_code == 200
    assert '<li data-tone="warn">' in answer.content.decode()
    assert f"log?after={line.pk}" in answer.content.decode()
    assert answer.content.decode().count("<li") == 2


def test_the_log_ends_with_the_operation(bobs, running):
    Operation.objects.filter(pk=running.pk).update(state="succeeded", finished_at=cast.NOW)
    answer = bobs.get(f"/operations/{running.pk}/log?after=0", **HTMX)
    assert answer.status_code == 286
    assert "hx-get" not in answer.content.decode()
    assert answer.content.decode().count("<li") == running.lines.count()


@pytest.mark.parametrize("after", ["", "x", "-1", "٣", "99999999999999999999999"])
def test_a_strange_place_in_the_log_is_no_error(bobs, running, after):
    assert bobs.get(f"/operations/{running.pk}/log", {"after": after}, **HTMX).status_code in (200, 204)


def test_a_long_log_shows_its_end_and_the_whole_as_text(bobs, running):
    LogLine.objects.bulk_create(LogLine(operation=running, source="plan", text=f"line {n}") for n in range(300))
    answer = page(bobs, running)
    assert "The last 100 lines" in text(answer)
    assert "line 299" in text(answer)
    assert "line 100" not in text(answer)
    whole = bobs.get(f"/operations/{running.pk}/log")
    assert whole.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert whole.content.decode().count("\n") == 307


def test_the_log_is_narrowed_to_a_host_or_to_warnings_and_followed_so(bobs, running):
    LogLine.objects.create(operation=running, source="ledger-prod-w1", level="warn", text="not evicted")
    answer = page(bobs, running)
    assert "All This host, ledger-prod-w1 Warnings 1" in text(answer)

    def lines(**query):
        return re.findall(r'<span class="src">([\w-]+)</span> ([^<]+)', page(bobs, running, **query).content.decode())

    assert len(lines()) == 8
    assert lines(log="warnings") == [("ledger-prod-w1", "not evicted")]
    assert {source for source, _ in lines(log="host", log_host="ledger-prod-w1")} == {"ledger-prod-w1"}
    assert len(lines(log="host", log_host="ledger-prod-w1")) == 3
    assert len(lines(log="bogus")) == 8
    tail = bobs.get(f"/operations/{running.pk}/log", {"log": "warnings"}, **HTMX).content.decode()
    assert tail.startswith('<div class="log" id="log"')
    assert "log=warnings" in tail
    last = re.search(r"after=(\d+)", tail)[1]
    LogLine.objects.create(operation=running, source="ledger-prod-w1", text="evicted")
    assert bobs.get(f"/operations/{running.pk}/log", {"after": last, "log": "warnings"}, **HTMX).status_code == 204
    assert bobs.get(f"/operations/{running.pk}/log", {"after": last}, **HTMX).status_code == 200


# --- The record -------------------------------------------------------------------------------------------------------
def test_everything_about_it_is_one_document_and_the_same_bytes_each_time(bobs, bob, failed, alice):
    an_upgrade.checked(failed, disruption_budgets="fail")
    failed.accept_risks(["disruption_budgets"], Actor.of(alice))
    failed.save()
    failed.skip_host("ledger-prod-w3", "Replaced on Friday", Actor.of(bob))
    failed.steps.filter(key="verify", host="ledger-prod-w1").update(state="done")
    answer = bobs.get(f"/operations/{failed.pk}/record")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="operation-{failed.pk}.json"'
    assert answer.headers["Content-Type"] == "application/json"
    told = answer.json()
    assert (told["operation"]["state"], told["operation"]["created_at"]) == ("failed", "2026-11-24T14:32:00Z")
    assert told["operation"]["error"]["code"] == "budget_blocks"
    assert told["workspace"]["organization"] == "Kestrel Freight"
    assert told["plan"]["hops"][0]["to"] == "1.35.7"
    assert told["accepted_risks"] == [
        {"code": "disruption_budgets", "by": "Alice Ahrens", "at": "2026-11-24T14:32:00+00:00"}
    ]
    assert told["versions"] == {
        "before": "1.34.8",
        "asked_for": "1.35.7",
        "control_plane_confirmed": "1.35.7",
        "hosts_verified": {"ledger-prod-w1": "1.35.7", "ledger-prod-w2": None, "ledger-prod-w3": None},
    }
    assert [check["result"] for check in told["preflights"][0]["checks"]].count("fail") == 1
    assert [step["skipped_by"] for step in told["steps"]].count("Bob Berger") == 6
    assert len(told["log"]) == 7
    assert answer.content == bobs.get(f"/operations/{failed.pk}/record").content
    failed.steps.filter(position=1).update(message="another word")
    assert answer.content != bobs.get(f"/operations/{failed.pk}/record").content
    assert "Everything about this operation as JSON" in text(page(bobs, failed))


def test_a_record_of_other_work_has_no_versions(bobs, workspace):
    operation = Operation.start(workspace, "check", "Look around", [StepPlan("look", "Look around")], actor=PLATFORM)
    assert bobs.get(f"/operations/{operation.pk}/record").json()["versions"] is None


# --- The list ---------------------------------------------------------------------------------------------------------
def test_the_list_is_newest_first_and_can_be_narrowed_by_state_and_workspace(bobs, bob, workspace, failed):
    other = cast.kubernetes("atlas-routing")
    an_upgrade.started(other, bob)
    titles = [f"Upgrade {name} from 1.34.8 to 1.35.7" for name in ("atlas-routing", "ledger-prod")]

    def listed(**query):
        return re.findall(r"Upgrade [\w-]+ from 1.34.8 to 1.35.7", text(bobs.get("/operations", query)))

    assert listed() == titles
    assert listed(state="open") == titles[:1]
    assert listed(state="failed") == titles[1:]
    assert listed(state="succeeded") == []
    assert listed(state="bogus") == titles
    assert listed(workspace=str(workspace.pk)) == titles[1:]
    assert listed(workspace="bogus") == titles
    assert "A pod cannot be evicted." in text(bobs.get("/operations"))


def test_a_stranger_and_an_operator_of_another_project_see_none_of_it(client, charlie, bob, alice, workspace, failed):
    customs = cast.kubernetes("customs-gateway", project=cast.project("Customs"))
    an_upgrade.started(customs, alice)
    cast.sign_in(client, charlie)
    assert "No operations" in text(client.get("/operations"))
    assert "No operations" not in text(client.get("/operations", {"workspace": str(workspace.pk)})).replace(
        "No operations", "", 1
    )
    cast.sign_in(client, bob)
    shown = text(client.get("/operations"))
    assert "ledger-prod" in shown
    assert "customs-gateway" not in shown


def test_the_list_has_pages_of_fifty(bobs, workspace):
    Operation.objects.bulk_create(
        Operation(workspace=workspace, kind="check", title=f"Check {n:03}", state="succeeded", requested_by="Loopback")
        for n in range(120)
    )
    first = bobs.get("/operations", {"state": "succeeded"})
    assert "1 to 50 of 120" in text(first)
    assert 'href="?state=succeeded&amp;page=2"' in first.content.decode()
    assert "101 to 120 of 120" in text(bobs.get("/operations", {"page": "3"}))
    assert "101 to 120 of 120" in text(bobs.get("/operations", {"page": "99"}))
    assert "1 to 50 of 120" in text(bobs.get("/operations", {"page": "x"}))


# --- Cost -------------------------------------------------------------------------------------------------------------
def test_fifty_hosts_cost_fourteen_queries_and_less_than_120_kb(
    alices, alice, catalogue_rows, django_assert_max_num_queries
):
    large = an_upgrade.at(an_upgrade.started(cast.kubernetes("large", hosts=50), alice), 120, "waiting")
    an_upgrade.checked(large, disruption_budgets="fail")
    assert large.steps.count() == 306
    with django_assert_max_num_queries(14):
        answer = alices.get(f"/operations/{large.pk}")
    assert text(answer).count("Leave out") == 32  # the column's head, and the hosts with something left to do
    assert len(answer.content) < 120_000
    said = seen(answer)
    large.steps.filter(position=120).update(message="1 pod left")
    with django_assert_max_num_queries(10):
        assert poll(alices, large, said).status_code == 200
    said = seen(alices.get(f"/operations/{large.pk}"))
    with django_assert_max_num_queries(4):
        assert poll(alices, large, said).status_code == 204


def test_an_operation_that_failed_in_its_second_hop_costs_fourteen_queries_too(
    alices, alice, catalogue_rows, django_assert_max_num_queries
):
    failed = an_upgrade.through(cast.kubernetes("hopping", version="1.34.8"), alice)
    an_upgrade.at(failed, 5, "failed", state="failed", finished_at=cast.NOW, error_code="preflight_failed")
    an_upgrade.checked(failed, target="1.36.2", disruption_budgets="fail")
    with django_assert_max_num_queries(14):
        alices.get(f"/operations/{failed.pk}")


def test_the_list_costs_eight_queries(alices, alice, running, django_assert_max_num_queries):
    with django_assert_max_num_queries(8):
        alices.get("/operations")
