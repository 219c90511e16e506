"""The audit log: who reads which lines, what narrows them, what a line tells, the file, and what the page costs."""

from __future__ import annotations

import csv
import io
import json
import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from tests import cast
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import (
    PLATFORM,
    Account,
    Actor,
    ApiKey,
    Event,
    Invitation,
    Kubeconfig,
    MaintenancePlan,
    ManagementCluster,
    Membership,
    Operation,
    Organization,
    Project,
    Workspace,
    acting,
    audit,
)
from workspaces.models.infrastructure import Integration, ProviderAccount, SshKey
from workspaces.views import audit_export
from workspaces.views.audit_query import NOUNS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside")]
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def alices(client, alice):
    return cast.sign_in(client, alice)


@pytest.fixture
def bobs(client, bob):
    return cast.sign_in(client, bob)


def act(
    summary, workspace=None, *, action="test.done", who=PLATFORM, at=cast.NOW, organization=None, **fields
) -> Event:
    """An act of a moment."""
    project, now = workspace and workspace.project, audit.current()
    return Event.objects.create(
        summary=summary,
        action=action,
        at=at,
        actor_kind=who.kind,
        actor_name=who.name,
        actor_id=who.account_id,
        workspace_id=workspace and workspace.pk,
        project_id=project and project.pk,
        organization_id=project.organization_id if project else organization and organization.pk,
        request_id=now and now.request_id,
        **fields,
    )


def move_the_priority_hour(workspace, who):
    """An act of the product with its row change, in one request."""
    with acting(Actor.of(who)):
        document = {"priority_hour": 5}
        MaintenancePlan.apply(workspace, document, actor=Actor.of(who), may_disable=False, semantics="merge-patch")


def told(client, **query) -> list[str]:
    """The sentences of the page."""
    answer = client.get("/audit", query)
    assert answer.status_code == 200
    return [line.event.summary for line in answer.context["lines"]]


def of_test(client, **query) -> list[str]:
    return told(client, action="test", **query)


def body(answer) -> str:
    """The page without what differs from request to request."""
    return re.sub(r"[A-Za-z0-9]{64}", "token", answer.content.decode())


def export(client, address="", file_format="csv"):
    answer = client.post(f"/audit/export{address}", {"format": file_format})
    assert answer.status_code == 200
    return answer, b"".join(answer.streaming_content).decode()


def exported(client, address="") -> list[dict]:
    _, text = export(client, address, "jsonl")
    return [json.loads(line) for line in text.splitlines()]


# --- Who reads what ---------------------------------------------------------------------------------------------------
def test_everybody_reads_where_they_hold_the_right(client, alice, bob, charlie, root, workspace):
    act("In Freight Core", workspace)
    act("In Customs", cast.kubernetes("tariffs", project=cast.project("Customs")))
    act("Of Kestrel Freight", organization=workspace.project.organization)
    act("Of nobody")
    expected = {
        alice: ["Of Kestrel Freight", "In Customs", "In Freight Core"],
        bob: ["In Freight Core"],
        charlie: [],
        root: ["Of nobody", "Of Kestrel Freight", "In Customs", "In Freight Core"],
    }
    for who, sentences in expected.items():
        assert of_test(cast.sign_in(client, who)) == sentences


def test_who_holds_the_right_nowhere_is_refused_with_a_sentence(client, victor, workspace):
    cast.sign_in(client, victor)
    for answer in (client.get("/audit"), client.post("/audit/export", {"format": "csv"})):
        assert answer.status_code == 403
        assert "Read who did what and when: only as administrator or operator of" in answer.content.decode()
    assert not Event.objects.filter(action="audit.exported").exists()
    assert "/audit" not in client.get("/workspaces").content.decode()


def test_the_navigation_leads_there(bobs, workspace):
    assert '<a href="/audit">' in re.sub(r"<svg.*?</svg>", "", bobs.get("/workspaces").content.decode())
    assert '<a href="/audit" aria-current="page">' in bobs.get("/audit").content.decode()


def test_without_signing_in_nothing_is_read(client, db):
    assert client.get("/audit")["Location"] == "/accounts/login/?next=/audit"
    assert client.post("/audit/export").status_code == 302


@pytest.mark.parametrize("name", ["organization", "project", "workspace", "operation", "request"])
def test_a_foreign_id_is_answered_like_one_that_does_not_exist(client, charlie, bob, workspace, name):
    with acting(Actor.of(bob)) as request:
        event = act(
            "In Freight Core", workspace, operation_id=Operation.objects.create(workspace=workspace, kind="test").pk
        )
    foreign = {
        "organization": event.organization_id,
        "project": event.project_id,
        "workspace": event.workspace_id,
        "operation": event.operation_id,
        "request": request.request_id,
    }[name]
    unknown = uuid.uuid4()
    cast.sign_in(client, charlie)
    theirs = body(client.get("/audit", {name: str(foreign)}))
    assert theirs.replace(str(foreign), "id") == body(client.get("/audit", {name: str(unknown)})).replace(
        str(unknown), "id"
    )
    assert "No events" in theirs
    assert exported(client, f"?{name}={foreign}") == []


def test_a_line_links_only_to_what_is_there_and_may_be_seen(client, bob, alice, workspace):
    operation = Operation.objects.create(workspace=workspace, kind="test", title="Test")
    act("With an operation", workspace, operation_id=operation.pk)
    act("With a workspace", workspace)
    act("Of an organization", organization=workspace.project.organization)
    lines = {line.event.summary: line for line in cast.sign_in(client, alice).get("/audit").context["lines"]}
    assert lines["With an operation"].href == f"/operations/{operation.pk}"
    assert lines["With a workspace"].href == f"/workspaces/{workspace.pk}"
    assert lines["With a workspace"].place == "Kestrel Freight / Freight Core"
    assert (lines["Of an organization"].href, lines["Of an organization"].place) == ("", "Kestrel Freight")
    Workspace.objects.update(project=cast.project("Customs"))
    Membership.objects.create(
        account=bob, organization=workspace.project.organization, project=cast.project("Customs"), role="operator"
    )
    Membership.objects.filter(account=bob, project__name="Freight Core").delete()
    (line,) = cast.sign_in(client, bob).get("/audit", {"q": "With a w"}).context["lines"]
    assert (line.href, line.workspace) == (f"/workspaces/{workspace.pk}", "ledger-prod")
    assert line.place == "Kestrel Freight"  # the project it was in then is not bob's to see


# --- What narrows -----------------------------------------------------------------------------------------------------
def test_each_filter_narrows(alices, alice, bob, workspace, metal):
    operation = Operation.objects.create(workspace=workspace, kind="test", title="Test")
    with acting(Actor.of(bob)) as request:
        act(
            "One 100% done",
            workspace,
            who=Actor.of(bob),
            at=datetime(2026, 11, 22, tzinfo=UTC),
            operation_id=operation.pk,
        )
    act("Two", metal, who=Actor.of(alice), at=datetime(2026, 11, 23, tzinfo=UTC))
    act("Three", organization=workspace.project.organization, action="testing.done")
    everything = ["Three", "Two", "One 100% done"]
    test = [one for one in told(alices) if one in everything]
    assert test == everything
    asked = {
        ("who", "berger"): ["One 100% done"],
        ("who", str(alice.pk)): ["Two"],
        ("kind", "account"): ["Two", "One 100% done"],
        ("action", "test"): ["Two", "One 100% done"],
        ("action", "testing.done"): ["Three"],
        ("workspace", "customs-arch"): ["Two"],
        ("workspace", str(workspace.pk)): ["One 100% done"],
        ("project", str(workspace.project_id)): ["Two", "One 100% done"],
        ("organization", str(workspace.project.organization_id)): everything,
        ("operation", str(operation.pk)): ["One 100% done"],
        ("request", str(request.request_id)): ["One 100% done"],
        ("from", "2026-11-23"): ["Three", "Two"],
        ("to", "2026-11-23"): ["One 100% done"],
        ("q", "0%"): ["One 100% done"],
        ("q", "\0two"): ["Two"],
    }
    found = {key: [one for one in told(alices, **{key[0]: key[1]}) if one in everything] for key in asked}
    assert found == asked
    assert of_test(alices, who="alice", workspace="ledger") == []


@pytest.mark.parametrize(
    ("name", "word", "note"),
    [
        ("operation", "7", "“7” is not an operation’s id, so it is left out."),
        ("request", "x", "“x” is not a request’s id"),
        ("project", "<b>", "“&lt;b&gt;” is not the id of a project"),
        ("from", "24.11.2026", "“24.11.2026” is not a date such as 2026-11-24"),
        ("to", "2026-02-30", "“2026-02-30” is not a date"),
        ("kind", "robot", "“robot” is not a kind of actor"),
        ("rows", "some", "“some” is not a way to show rows"),
    ],
)
def test_words_that_mean_nothing_are_left_out_with_a_note(alices, workspace, name, word, note):
    act("Still here", workspace)
    answer = alices.get("/audit", {name: word})
    assert note in answer.content.decode()
    assert answer.context["lines"][0].event.summary == "Still here"


@pytest.mark.parametrize("before", ["x", "-1", "9" * 30, "²"])
def test_a_page_that_is_none_is_the_newest(alices, workspace, before):
    act("Newest", workspace)
    assert told(alices, before=before)[0] == "Newest"


def test_row_changes_stand_behind_the_act_that_speaks_for_them(alices, bob, workspace):
    move_the_priority_hour(workspace, bob)
    with acting(Actor.of(bob)):
        Workspace.objects.filter(pk=workspace.pk).update(protected=True)
    shown = told(alices, who="Bob")
    assert shown[0] == "Changed protected of workspace ledger-prod"
    assert len(shown) == 2
    lines = alices.get("/audit", {"who": "Bob", "rows": "all"}).context["lines"]
    assert [line.event.action for line in lines] == [
        "workspace.changed",
        "maintenance.changed",
        "maintenance_plan.changed",
    ]


def test_a_line_folds_what_its_request_changed(alices, bob, workspace, metal):
    with acting(Actor.of(bob)) as request:
        Workspace.objects.filter(pk=workspace.pk).update(protected=True, description="x" * 90)
        Workspace.objects.filter(pk=metal.pk).update(protected=True)
        act("Protected ledger-prod", workspace, changes={"until": [None, {"on": "Friday"}]})
    answer = alices.get("/audit")
    line = answer.context["lines"][0]
    assert [(c.field, c.before, c.after) for c in line.changes] == [("until", "nothing", '{"on": "Friday"}')]
    ((sentence, fields),) = line.rows
    assert sentence == "Changed description, protected of workspace ledger-prod"
    assert [(c.field, c.before, c.after) for c in fields] == [
        ("protected", "no", "yes"),
        ("description", "nothing", "x" * 47 + "…"),
    ]
    assert "<dt>protected</dt><dd>no → yes</dd>" in answer.content.decode()
    assert [row["changes"] for row in exported(alices, f"?rows=all&workspace=ledger&request={request.request_id}")] == [
        {"until": [None, {"on": "Friday"}]},
        {"protected": [False, True], "description": ["", "x" * 90]},
    ]


def test_a_line_with_more_fields_than_fit_leads_to_all_of_them(alices, bob, workspace):
    with acting(Actor.of(bob)) as request:
        MaintenancePlan.objects.filter(workspace=workspace).update(**{f"hour_{day}": 5 for day in range(7)})
        act("Moved the windows", workspace)
    answer = alices.get("/audit", {"q": "Moved the windows"})
    assert len(answer.context["lines"][0].rows[0][1]) == 6
    assert f"/audit?request={request.request_id}&amp;rows=all" in answer.content.decode()


def test_what_others_wrote_is_escaped(alices, workspace):
    act("<script>alert(1)</script>", workspace, changes={"<i>": ["<b>", "</details>"]})
    page = alices.get("/audit").content.decode()
    assert "<script>alert" not in page
    assert "<b>" not in page.partition('id="list"')[2]


def test_the_time_is_utc_first_and_names_the_year_when_it_was_another(alices, workspace):
    act("Long ago", workspace, at=datetime(2025, 3, 1, 23, 30, 5, tzinfo=UTC))
    page = alices.get("/audit", {"q": "Long ago"}).content.decode()
    assert "Sat 1 Mar 2025 23:30:05" in page
    assert "Sun 00:30 in Berlin" in page


# --- Secrets ----------------------------------------------------------------------------------------------------------
def _account(alice, workspace, secret):
    Account.objects.filter(pk=alice.pk).update(password=secret)


def _invitation(alice, workspace, secret):
    organization = workspace.project.organization
    made, _ = Invitation.send_to(
        "new@kestrel.example", organization=organization, project=None, role="viewer", invited_by=alice
    )
    Invitation.objects.filter(pk=made.pk).update(digest=secret)


def _api_key(alice, workspace, secret):
    made, _ = ApiKey.issue(name="ci", organization=workspace.project.organization, role="viewer", created_by=alice)
    ApiKey.objects.filter(pk=made.pk).update(digest=secret)


def _kubeconfig(alice, workspace, secret):
    Kubeconfig.objects.create(workspace=workspace, requested_by="Alice", state="ready", document=secret)


def _management_cluster(alice, workspace, secret):
    cluster = ManagementCluster.objects.get()
    cluster.kubeconfig = secret
    cluster.save()


def _provider_account(alice, workspace, secret):
    organization = workspace.project.organization
    ProviderAccount.objects.create(organization=organization, name="hcloud", token=secret)


def _ssh_key(alice, workspace, secret):
    SshKey.objects.create(name="nodes", private_key=secret)


def _integration(alice, workspace, secret):
    Integration.objects.create(workspace=workspace, kind="backup", secret=secret)


@pytest.mark.parametrize(
    ("change", "column"),
    [
        (_account, "password"),
        (_invitation, "digest"),
        (_api_key, "digest"),
        (_kubeconfig, "document"),
        (_management_cluster, "kubeconfig"),
        (_provider_account, "token"),
        (_ssh_key, "private_key"),
        (_integration, "secret"),
    ],
)
def test_of_a_secret_the_page_and_the_file_say_only_that_it_changed(client, root, alice, workspace, change, column):
    secret = "xyzzy-plugh"
    change(alice, workspace, secret)
    newest = Event.objects.row_changes().latest("id")
    assert newest.changes[column] == "changed"
    cast.sign_in(client, root)
    page = client.get("/audit", {"rows": "all"}).content.decode()
    assert f"<dt>{column.replace('_', ' ')}</dt><dd>changed</dd>" in page
    _, table = export(client, "?rows=all")
    assert secret not in page + table
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM workspaces_event WHERE workspaces_event::text LIKE %s", [f"%{secret}%"])
        assert cursor.fetchone() == (0,)


def test_every_watched_table_can_be_chosen(db):
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT encode(tgargs, 'escape') FROM pg_trigger WHERE tgname LIKE 'record\\_%'")
        nouns = {arguments.partition("\\000")[0] for (arguments,) in cursor.fetchall()}
    assert {noun.lower().replace(" ", "_") for noun in nouns} - set(NOUNS) == set()


# --- The file ---------------------------------------------------------------------------------------------------------
def test_the_table_has_the_filtered_lines_whole(alices, workspace):
    act("Größe → 3, said “yes”", workspace, changes={"size": [2, 3]})
    act("Else", workspace, action="other.done")
    answer, text = export(alices, "?action=test")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="audit-20261124-1432.csv"'
    assert answer["Cache-Control"] == "no-store"
    (row,) = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    assert row["summary"] == "Größe → 3, said “yes”"
    assert (row["at"], row["actor"], row["actor_kind"]) == ("2026-11-24T14:32:00.000Z", "Loopback", "platform")
    assert (row["organization"], row["project"], row["workspace"]) == ("Kestrel Freight", "Freight Core", "ledger-prod")
    assert row["workspace_id"] == str(workspace.pk)
    assert json.loads(row["changes"]) == {"size": [2, 3]}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r", " =", "＝"])
def test_no_cell_begins_a_formula(alices, workspace, start):
    act(f"{start}HYPERLINK()", workspace, who=Actor("account", f"{start}1+1"))
    _, text = export(alices, "?action=test")
    (row,) = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    assert row["summary"] == f"'{start}HYPERLINK()"
    assert row["actor"] == f"'{start}1+1"
    assert exported(alices, "?action=test")[0]["summary"] == f"{start}HYPERLINK()"


def test_lines_of_json_hold_the_same(alices, workspace):
    act("Großes", workspace, changes={"size": [2, 3]})
    (row,) = exported(alices, "?action=test")
    assert row["summary"] == "Großes"
    assert row["changes"] == {"size": [2, 3]}
    assert (row["workspace"], row["operation_id"], row["table"]) == ("ledger-prod", None, None)
    assert list(row)[:3] == ["id", "at", "actor_kind"]


def test_a_file_that_is_cut_says_so_in_its_last_line(alices, workspace, monkeypatch):
    monkeypatch.setattr(audit_export, "LIMIT", 2)
    for number in range(3):
        act(f"Number {number}", workspace)
    *rows, last = exported(alices, "?action=test")
    assert [row["summary"] for row in rows] == ["Number 2", "Number 1"]
    assert last == {"cut_after": 2, "message": "Cut after 2 events. Narrow the filters to get the others."}
    _, text = export(alices, "?action=test")
    assert text.splitlines()[-1] == "Cut after 2 events. Narrow the filters to get the others."
    monkeypatch.setattr(audit_export, "LIMIT", 3)
    assert len(exported(alices, "?action=test")) == 3


def test_the_export_is_an_act_where_the_right_comes_from(client, alice, bob, root, workspace):
    export(cast.sign_in(client, alice), "?action=workspace&who=bob")
    event = Event.objects.acts().get()
    assert event.summary == "Exported the audit log as CSV: who bob, action workspace"
    assert (event.actor_name, event.organization_id, event.project_id) == (
        "Alice Ahrens",
        workspace.project.organization_id,
        None,
    )
    assert event.changes == {"who": "bob", "action": "workspace", "format": "csv"}
    export(cast.sign_in(client, bob), file_format="jsonl")
    event = Event.objects.acts().first()
    assert (event.summary, event.project_id) == ("Exported the audit log as JSON lines", workspace.project_id)
    export(cast.sign_in(client, root))
    assert Event.objects.acts().first().organization_id is None
    export(client, f"?project={workspace.project_id}")
    assert Event.objects.acts().first().project_id == workspace.project_id


def test_the_export_is_not_in_the_file_it_made_but_in_the_next(alices, workspace):
    assert exported(alices, "?action=audit") == []
    assert [row["action"] for row in exported(alices, "?action=audit")] == ["audit.exported"]


def test_reading_writes_nothing_and_a_link_exports_nothing(alices, workspace):
    before = Event.objects.count()
    assert alices.get("/audit").status_code == 200
    assert alices.get("/audit/export").status_code == 405
    assert alices.post("/audit").status_code == 405
    assert Event.objects.count() == before


def test_the_form_carries_the_filters_of_the_list(alices, workspace):
    page = alices.get("/audit", {"q": "a&b", "rows": "all"}).content.decode()
    assert 'action="/audit/export?q=a%26b&amp;rows=all"' in page


# --- Pages and htmx ---------------------------------------------------------------------------------------------------
def test_pages_neither_repeat_nor_skip_while_lines_come(alices, workspace):
    for number in range(120):
        act(f"{number}", workspace)
    first = alices.get("/audit", {"action": "test"})
    assert [line.event.summary for line in first.context["lines"]] == [str(n) for n in range(119, 69, -1)]
    assert first.context["newer"] == ""
    act("new", workspace)
    second = alices.get(f"/audit{first.context['older']}")
    assert [line.event.summary for line in second.context["lines"]] == [str(n) for n in range(69, 19, -1)]
    third = alices.get(f"/audit{second.context['older']}")
    assert [line.event.summary for line in third.context["lines"]] == [str(n) for n in range(19, -1, -1)]
    assert third.context["older"] == ""
    back = alices.get(f"/audit{third.context['newer']}")
    assert [line.event.summary for line in back.context["lines"]] == [str(n) for n in range(69, 19, -1)]
    newest = alices.get(f"/audit{back.context['newer']}")
    assert [line.event.summary for line in newest.context["lines"]] == [str(n) for n in range(119, 69, -1)]
    assert newest.context["newer"] != ""


def test_htmx_gets_the_list_alone_and_a_clean_address(alices, workspace):
    answer = alices.get("/audit?q=ledger&who=&action=&project=&rows=", **HTMX)
    text = answer.content.decode()
    assert text.startswith('<div id="list">')
    assert answer["HX-Push-Url"] == "/audit?q=ledger"
    assert "HX-Request" in answer["Vary"]
    assert alices.get("/audit?q=", **HTMX)["HX-Push-Url"] == "/audit"


def test_an_empty_log_says_so(client, charlie):
    assert "Nothing here matches." in cast.sign_in(client, charlie).get("/audit", {"q": "nothing"}).content.decode()


def test_the_overview_shows_what_was_done_and_not_its_rows_again(bobs, bob, workspace):
    move_the_priority_hour(workspace, bob)
    page = bobs.get(f"/workspaces/{workspace.pk}")
    assert [event.action for event in page.context["events"] if event.actor_name == "Bob Berger"] == [
        "maintenance.changed"
    ]


# --- What it costs ----------------------------------------------------------------------------------------------------
def test_the_fullest_page_costs_ten_queries_and_less_than_80_kb(alices, bob, workspace, django_assert_max_num_queries):
    hours = {f"hour_{day}": None for day in range(7)}
    for number in range(50):
        with acting(Actor.of(bob)):
            Workspace.objects.filter(pk=workspace.pk).update(description=f"{number}" + "ü" * 90)
            MaintenancePlan.objects.filter(workspace=workspace).update(**hours | {f"hour_{number % 7}": number % 24})
            act(f"Changed everything about the workspace, the {number}th time", workspace, who=Actor.of(bob))
    with django_assert_max_num_queries(10):
        answer = alices.get("/audit", {"action": "test"})
    assert len(answer.context["lines"]) == 50
    assert len(answer.content) < 80_000


def test_moments_a_day_apart_are_half_open(alices, workspace):
    midnight = datetime(2026, 11, 24, tzinfo=UTC)
    act("Just before", workspace, at=midnight - timedelta(microseconds=1))
    act("At midnight", workspace, at=midnight)
    query = {"from": "2026-11-24", "to": "2026-11-25"}
    assert of_test(alices, **query) == ["At midnight"]
    assert of_test(alices, **{"from": "2026-11-23", "to": "2026-11-24"}) == ["Just before"]


def test_an_organization_of_no_project_is_read_too(client, db):
    empty = Organization.objects.create(name="Newcomer")
    admin = cast.account("admin@newcomer.example", "administrator", on=empty)
    act("Founded", organization=empty)
    assert "Founded" in told(cast.sign_in(client, admin))
    assert Project.objects.filter(organization=empty).count() == 0
