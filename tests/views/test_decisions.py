"""The decision log: who reads which windows, what a line tells, what narrows it, the file, and one window whole."""

from __future__ import annotations

import csv
import io
import re
import uuid

import pytest

from tests import cast
from tests.views.past_windows import at, blocked, decide, host_done, many, paused_and_resumed, run, started
from tests.views.reading import text
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import Advisory, Decision
from workspaces.views import decision_export, decisions

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside")]
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def alices(client, alice):
    return cast.sign_in(client, alice)


def body(answer) -> str:
    """The page without what differs from request to request."""
    return re.sub(r"[A-Za-z0-9]{64}", "token", answer.content.decode())


def told(client, **query) -> list[tuple]:
    """Workspace, window and outcome of every line of the page."""
    answer = client.get("/maintenance/decisions", query)
    assert answer.status_code == 200
    return [
        (line.decision.workspace.name, f"{line.decision.opens_at:%d %H}", line.look.label)
        for line in answer.context["lines"]
    ]


def line_of(client, decision):
    (line,) = client.get("/maintenance/decisions", {"workspace": decision.workspace_id}).context["lines"]
    return line


def exported(client, address="") -> list[dict]:
    answer = client.get(f"/maintenance/decisions/export{address}")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode().removeprefix("\ufeff"))))


# --- Who reads what ---------------------------------------------------------------------------------------------------
def test_everybody_reads_the_windows_of_the_workspaces_they_see(client, alice, bob, victor, charlie, root, workspace):
    decide(workspace, at(24, 2))
    decide(cast.kubernetes("tariffs", project=cast.project("Customs")), at(24, 3))
    mine, others = ("ledger-prod", "24 02", "Nothing to do"), ("tariffs", "24 03", "Nothing to do")
    expected = {
        alice: [others, mine],
        bob: [mine],
        victor: [others, mine],
        charlie: [],
        root: [others, mine],
    }
    assert {who: told(cast.sign_in(client, who)) for who in expected} == expected


def test_a_foreign_window_looks_like_one_that_does_not_exist(client, charlie, workspace):
    row = decide(workspace, at(24, 2))
    cast.sign_in(client, charlie)
    theirs, nobodys = (client.get(f"/maintenance/decisions/{pk}") for pk in (row.pk, uuid.uuid4()))
    assert theirs.status_code == nobodys.status_code == 404
    assert body(theirs) == body(nobodys)
    assert exported(client) == []
    for name, pk in (("workspace", workspace.pk), ("project", workspace.project_id)):
        found = body(client.get("/maintenance/decisions", {name: str(pk)})).replace(str(pk), "id")
        assert "ledger" not in found
        unknown = uuid.uuid4()
        assert found == body(client.get("/maintenance/decisions", {name: str(unknown)})).replace(str(unknown), "id")


def test_without_windows_the_page_says_so(alices, workspace):
    assert "No decisions No window has opened yet. Each leaves a line here." in text(
        alices.get("/maintenance/decisions")
    )
    assert "Nothing here matches." in text(alices.get("/maintenance/decisions", {"outcome": "missed"}))


# --- What a line tells ------------------------------------------------------------------------------------------------
def test_a_run_that_is_done_tells_what_was_installed_and_how_long_it_took(alices, workspace):
    operation = run(workspace, at(24, 2, 1), at(24, 2, 39))
    for number, minute in ((1, 10), (2, 20), (3, 30)):
        host_done(operation, f"ledger-prod-w{number}", at(24, 2, minute), 2, restarted=number == 1)
    line = line_of(alices, started(operation, at(24, 2), decided_at=at(24, 2, 1)))
    assert (line.look.label, line.look.tone) == ("Done", "ok")
    assert line.work == "Kubernetes 1.34.11, 6 packages, 1 restart"
    assert (line.took_in_words, line.late, line.hosts) == ("38 min", None, "3 of 3 hosts")
    assert line.sentence == "Operating system updates are on."


def test_a_run_that_was_paused_and_went_on_is_told_in_both_windows_as_it_was_in_each(alices, workspace):
    paused_and_resumed(workspace)
    later, earlier = alices.get("/maintenance/decisions").context["lines"]
    assert (earlier.look.label, earlier.look.tone) == ("Stopped early", "warn")
    assert (earlier.work, earlier.took_in_words) == ("1 of 3 hosts, hour ended", "57 min")
    assert earlier.sentence == "Its hour ended at 06:00 UTC, and it may overrun by 60 min."
    assert earlier.goes_on_at == at(23, 2)
    assert (later.look.label, later.work, later.took_in_words) == (
        "Done",
        "Kubernetes 1.34.11, 7 packages, no restart",
        "20 min",
    )
    assert later.sentence.startswith("Went on with what was paused before.")


EARLY, HELD = ("Stopped early", "warn"), "Freight Core is held until Fri 27 Nov 00:00 UTC: Fair"
OVER, OFF = "Its hour ended at 03:00 UTC.", "Maintenance was switched off."
PLANNED = "Kubernetes 1.34.8 to 1.34.11, operating system updates on 3 hosts"


@pytest.mark.parametrize(
    ("state", "fields", "look", "work", "sentence"),
    [
        ("running", {}, ("Running", "busy"), PLANNED, "Operating system updates are on."),
        ("paused", {"pause_reason": OVER}, EARLY, "1 of 2 hosts, hour ended", OVER),
        ("paused", {"pause_reason": OFF}, EARLY, "1 of 2 hosts, maintenance was switched off", OFF),
        ("paused", {"pause_reason": HELD}, EARLY, "1 of 2 hosts, held", HELD),
        ("failed", {"error_message": "w2 is gone."}, ("Failed", "bad"), "1 of 2 hosts, then an error", "w2 is gone."),
        ("stopped", {"stop_requested_by": "Bob"}, EARLY, "1 of 2 hosts, stopped", "Bob asked for a stop."),
    ],
)
def test_a_run_that_has_not_come_to_its_end_says_how_far_it_came_and_why(
    alices, workspace, state, fields, look, work, sentence
):
    ended_at = at(24, 2, 30) if state in ("failed", "stopped") else None
    operation = run(workspace, at(24, 2, 1), ended_at, state=state, **fields)
    host_done(operation, "ledger-prod-w1", at(24, 2, 20))
    host_done(operation, "ledger-prod-w2", None)
    line = line_of(alices, started(operation, at(24, 2)))
    assert ((line.look.label, line.look.tone), line.work) == (look, work)
    assert line.sentence == sentence


@pytest.mark.parametrize(
    ("outcome", "look"),
    [
        ("waiting", ("Waiting", "busy")),
        ("nothing", ("Nothing to do", "idle")),
        ("blocked", ("Blocked", "warn")),
        ("missed", ("Missed", "bad")),
        ("started", ("Started", "idle")),  # its operation is gone
    ],
)
def test_a_window_without_a_run_says_its_outcome_and_why(alices, workspace, outcome, look):
    line = line_of(alices, decide(workspace, at(24, 2), outcome, message="Because."))
    assert ((line.look.label, line.look.tone), line.sentence, line.took_in_words) == (look, "Because.", "")


def test_work_that_waited_for_a_place_started_late(alices, workspace):
    operation = run(workspace, at(24, 2, 12), at(24, 2, 40))
    row = started(operation, at(24, 2), decided_at=at(24, 2, 12))
    assert "started 12 min late" in text(alices.get("/maintenance/decisions"))
    assert "Decided Today 02:12 UTC 12 min after it opened" in text(alices.get(f"/maintenance/decisions/{row.pk}"))


def test_what_others_wrote_is_escaped(alices, workspace):
    row = blocked(workspace, at(24, 2), message="<script>alert(1)</script>")
    for address in ("/maintenance/decisions", f"/maintenance/decisions/{row.pk}"):
        assert "<script>alert" not in alices.get(address).content.decode()


# --- What narrows and turns -------------------------------------------------------------------------------------------
def test_each_filter_narrows(alices, workspace, metal):
    tariffs = cast.kubernetes("tariffs", project=cast.project("Customs"))
    decide(metal, at(22, 2))
    blocked(workspace, at(23, 2))
    decide(tariffs, at(24, 4), lane="priority")
    one, two, three = (
        ("customs-archive", "22 02", "Nothing to do"),
        ("ledger-prod", "23 02", "Blocked"),
        ("tariffs", "24 04", "Nothing to do"),
    )
    asked = {
        ("workspace", "LEDGER"): [two],
        ("workspace", str(metal.pk)): [one],
        ("workspace", "%"): [],
        ("organization", str(workspace.project.organization_id)): [three, two, one],
        ("project", str(workspace.project_id)): [two, one],
        ("lane", "priority"): [three],
        ("outcome", "blocked"): [two],
        ("reason", "hold"): [two],
        ("from", "2026-11-23"): [three, two],
        ("until", "2026-11-23"): [one],
    }
    assert {key: told(alices, **{key[0]: key[1]}) for key in asked} == asked
    assert told(alices, workspace="ledger", outcome="nothing") == []
    assert [row["workspace"] for row in exported(alices, "?outcome=nothing")] == ["tariffs", "customs-archive"]


@pytest.mark.parametrize(
    ("name", "word", "note"),
    [
        ("project", "<b>", "“&lt;b&gt;” is not the id of a project"),
        ("organization", "7", "“7” is not the id of an organization"),
        ("lane", "fast", "“fast” is not a lane"),
        ("outcome", "great", "“great” is not an outcome"),
        ("reason", "No!", "“No!” is not a reason’s code"),
        ("from", "24.11.2026", "“24.11.2026” is not a date such as 2026-11-24"),
        ("until", "2026-02-30", "“2026-02-30” is not a date"),
    ],
)
def test_words_that_mean_nothing_are_left_out_with_a_note(alices, workspace, name, word, note):
    decide(workspace, at(24, 2))
    answer = alices.get("/maintenance/decisions", {name: word})
    assert note in answer.content.decode()
    assert len(answer.context["lines"]) == 1


@pytest.mark.parametrize("before", ["x", "1.x", "-1.", "9" * 30, f"99999999999.{uuid.UUID(int=7)}", "²." + "0" * 32])
def test_a_page_that_is_none_is_the_newest(alices, workspace, before):
    decide(workspace, at(24, 2))
    assert len(told(alices, before=before)) == 1
    assert len(told(alices, after=before)) == 1


def test_pages_turn_through_every_window_once_and_back_again(alices, workspace, monkeypatch):
    monkeypatch.setattr(decisions, "PAGE", 2)
    others = [cast.kubernetes(f"w{n}", hosts=0) for n in range(4)]
    many([workspace, *others], 1)  # five in the same hour
    address, pages = "/maintenance/decisions", []
    while True:
        answer = alices.get(address)
        pages.append([line.decision.pk for line in answer.context["lines"]])
        if not answer.context["older"]:
            break
        address = f"/maintenance/decisions{answer.context['older']}"
    assert [len(page) for page in pages] == [2, 2, 1]
    assert len({pk for page in pages for pk in page}) == 5
    back = alices.get(f"/maintenance/decisions{answer.context['newer']}")
    assert [line.decision.pk for line in back.context["lines"]] == pages[1]
    first = alices.get(f"/maintenance/decisions{back.context['newer']}")
    assert [line.decision.pk for line in first.context["lines"]] == pages[0]
    assert first.context["newer"] == ""


def test_htmx_gets_the_list_alone_and_its_address(alices, workspace):
    decide(workspace, at(24, 2))
    answer = alices.get("/maintenance/decisions", {"outcome": "nothing"}, **HTMX)
    assert "<html" not in answer.content.decode()
    assert answer["HX-Push-Url"] == "/maintenance/decisions?outcome=nothing"
    assert "HX-Request" in answer["Vary"]


# --- The file ---------------------------------------------------------------------------------------------------------
def test_the_file_has_every_window_whole(alices, workspace):
    operation = paused_and_resumed(workspace)
    blocked(workspace, at(24, 2), message="=HYPERLINK()")
    newest, second, first = exported(alices)
    assert (newest["outcome"], newest["result"], newest["reason"]) == ("blocked", "Blocked", "hold")
    assert newest["sentence"] == "'=HYPERLINK()"
    assert newest["planned"] == "Kubernetes 1.34.8 to 1.34.11, operating system updates on 3 hosts"
    assert (newest["took_seconds"], newest["operation_id"]) == ("", "")
    assert (first["window"], first["result"], first["hosts"]) == (
        "2026-11-22T05:00:00Z",
        "Stopped early",
        "1 of 3 hosts",
    )
    assert (first["took_seconds"], second["took_seconds"]) == ("3420", "1200")
    assert (second["operation_id"], second["operation_state"]) == (str(operation.pk), "succeeded")
    assert (first["organization"], first["project"], first["workspace"]) == (
        "Kestrel Freight",
        "Freight Core",
        "ledger-prod",
    )


def test_a_file_that_is_cut_says_so_in_its_last_line(alices, workspace, monkeypatch):
    monkeypatch.setattr(decision_export, "LIMIT", 2)
    many([workspace], 3)
    rows = exported(alices)
    assert len(rows) == 3
    assert rows[-1]["window"] == "Cut after 2 windows. Narrow the filters to get the others."


# --- One window -------------------------------------------------------------------------------------------------------
def test_a_blocked_window_shows_what_was_planned_why_and_what_stopped_it(alices, workspace):
    row = blocked(workspace, at(24, 2))
    shown = text(alices.get(f"/maintenance/decisions/{row.pk}"))
    assert "ledger-prod, Tue 24 Nov 02:00 UTC Blocked Held until Wed 25 Nov 02:00 UTC: Fair in Berlin" in shown
    assert "What was planned Kubernetes 1.34.8 to 1.34.11 Operating system updates on 3 hosts" in shown
    assert "newer_patch 1.34.11 is the furthest patch that 1.34.8 may go to now." in shown
    assert "What stopped it hold Held until Wed 25 Nov 02:00 UTC: Fair in Berlin Holds" in shown
    assert "Run" not in re.findall(r"<h2>(.*?)</h2>", alices.get(f"/maintenance/decisions/{row.pk}").content.decode())


def test_a_waiting_window_shows_the_limit_and_its_place(alices, workspace):
    limit = "The platform runs 50 at the same time, and all places are taken."
    evidence = {"work": ["Kubernetes 1.34.8 to 1.34.11"], "reasons": [], "blocked_by": [], "limit": limit, "place": 7}
    row = decide(workspace, at(24, 14), "waiting", reason="limit", message=limit, evidence=evidence)
    assert f"Place in line 7 {limit}" in text(alices.get(f"/maintenance/decisions/{row.pk}"))
    row.evidence["place"] = None
    row.save()
    assert f"Place in line Far back {limit}" in text(alices.get(f"/maintenance/decisions/{row.pk}"))


def test_a_missed_window_has_no_evidence_and_says_why(alices, workspace):
    why = "No scheduler ran from Tue 24 Nov 01:58 to Tue 24 Nov 02:50 UTC."
    row = decide(workspace, at(24, 2), "missed", reason="scheduler_stopped", message=why, evidence={})
    shown = text(alices.get(f"/maintenance/decisions/{row.pk}"))
    assert "Nobody looked, so nothing was planned." in shown
    assert f"Why scheduler_stopped {why}" in shown


def test_a_run_shows_all_its_windows_and_what_was_installed_on_which_host(alices, workspace):
    operation = paused_and_resumed(workspace)
    row = Decision.objects.get(opens_at=at(22, 5))
    answer = alices.get(f"/maintenance/decisions/{row.pk}")
    shown = text(answer)
    assert "Run Succeeded, 1 of 3 hosts in this window Open the operation" in shown
    assert "Sun 22 Nov 05:00 Stopped early 1 of 3 hosts, hour ended 57 min" in shown
    assert "Mon 23 Nov 02:00 Done Kubernetes 1.34.11, 7 packages, no restart 20 min" in shown
    assert "11 packages in the whole run" in shown
    assert "ledger-prod-w1 package-0 security 1.0-1 1.0-2 Sun 22 Nov 05:58" in shown
    assert f'href="/operations/{operation.pk}"' in answer.content.decode()


# --- The maintenance page ---------------------------------------------------------------------------------------------
def test_the_maintenance_page_shows_the_last_run_and_the_last_four_windows(alices, workspace, catalogue_rows):
    paused_and_resumed(workspace)
    decide(workspace, at(23, 22), lane="priority", reason="nothing_flagged", message="Nothing is flagged.")
    for hour in (8, 9, 10):
        blocked(workspace, at(24, hour))
    shown = text(alices.get(f"/workspaces/{workspace.pk}/maintenance"))
    assert "Last run Mon 23 Nov 02:00, 20 min Done: Kubernetes 1.34.11, 7 packages, no restart" in shown
    runs = shown.partition("Last runs All runs")[2].partition("Next 7 days")[0]
    assert "Tue 24 Nov 10:00 Blocked Held until" in runs
    assert "Mon 23 Nov 02:00 Done" in runs
    assert "Sun 22 Nov" not in runs
    assert "Nothing is flagged" not in runs


def test_a_run_older_than_the_last_four_windows_is_still_the_last_run(alices, workspace, catalogue_rows):
    paused_and_resumed(workspace)
    for hour in range(4, 9):
        decide(workspace, at(24, hour))
    shown = text(alices.get(f"/workspaces/{workspace.pk}/maintenance"))
    assert "Last run Mon 23 Nov 02:00, 20 min" in shown
    assert shown.partition("Last runs All runs")[2].count("Nothing to do") == 4


def test_a_workspace_without_windows_has_no_last_run(alices, workspace, catalogue_rows):
    shown = text(alices.get(f"/workspaces/{workspace.pk}/maintenance"))
    assert "Last run None yet no window has started any work" in shown
    assert "Last runs All runs No window has opened yet." in shown


def test_the_maintenance_page_names_flagged_advisories_with_their_severity(alices, workspace, catalogue_rows):
    Advisory.objects.create(name="DSA-6001", severity="critical", packages=["openssl"], enforced=True)
    Advisory.objects.create(name="DSA-6002", severity="low", packages=["vim"], closed_at=cast.NOW)
    shown = text(alices.get(f"/workspaces/{workspace.pk}/maintenance"))
    assert "Flagged by the operator: DSA-6001 (critical, enforced)." in shown
    assert "DSA-6002" not in shown


# --- The API ----------------------------------------------------------------------------------------------------------
def test_the_api_tells_the_evidence_and_narrows(alices, workspace):
    decide(workspace, at(22, 2), "missed", reason="too_late", evidence={})
    row = blocked(workspace, at(23, 22), lane="priority")
    address = f"/api/v1/workspaces/{workspace.pk}/maintenance/decisions"
    first, second = alices.get(address).json()["items"]
    assert first["evidence"] == {
        "work": ["Operating system updates on 3 hosts", "Kubernetes 1.34.8 to 1.34.11"],
        "reasons": [
            {"code": "compute_auto_update", "message": "Operating system updates are on."},
            {"code": "newer_patch", "message": "1.34.11 is the furthest patch that 1.34.8 may go to now."},
        ],
        "blocked_by": [{"code": "hold", "message": "Held until Tue 24 Nov 22:00 UTC: Fair in Berlin"}],
        "limit": None,
        "place": None,
    }
    assert (first["id"], second["evidence"]["work"]) == (str(row.pk), [])
    for query in (
        {"lane": "priority"},
        {"outcome": "blocked"},
        {"opens_after": "2026-11-23T23:00:00+01:00"},
        {"opens_after": "2026-11-23T22:00:00Z", "opens_before": "2026-11-23T22:00:01Z"},
    ):
        assert [item["id"] for item in alices.get(address, query).json()["items"]] == [str(row.pk)], query
    assert alices.get(address, {"opens_before": "2026-11-22T02:00:00Z"}).json()["items"] == []
    for query in (
        {"lane": "fast"},
        {"outcome": "x"},
        {"opens_after": "today"},
        {"opens_before": "2026-11-23T22:00:00"},
    ):
        assert alices.get(address, query).status_code == 422, query
    for moment in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        assert alices.get(address, {"opens_after": moment}).status_code == 200


# --- Cost -------------------------------------------------------------------------------------------------------------
def test_fifty_windows_cost_as_many_queries_as_one_and_less_than_80_kb(
    client, alice, workspace, django_assert_max_num_queries
):
    alices = cast.sign_in(client, alice)
    for day in range(1, 24):
        operation = run(workspace, at(day, 2), at(day, 2, 30))
        for number in range(10):
            host_done(operation, f"w{number}", at(day, 2, 10), 2)
        started(operation, at(day, 2))
    many([workspace, cast.kubernetes("other", hosts=0)], 1)
    blocked(workspace, at(24, 5))
    with django_assert_max_num_queries(8):
        answer = alices.get("/maintenance/decisions")
    assert len(answer.context["lines"]) == 26
    assert len(answer.content) < 80_000
    with django_assert_max_num_queries(12):
        alices.get(f"/maintenance/decisions/{Decision.objects.filter(outcome='started')[0].pk}")
