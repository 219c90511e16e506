"""The audit trail in the API: who reads which lines, what narrows them, and what a line holds."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from tests import cast
from tests.api.test_api import Script
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import PLATFORM, Account, Actor, Event, Operation, Organization, Workspace, acting

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("catalogue_rows", "empty_queues", "no_outside")]


def act(summary: str, action: str = "test.done", who: Actor = PLATFORM, **place: object) -> Event:
    return Event.record(who, action, summary=summary, **place)


def sentences(script: Script, query: str = "") -> list[str]:
    answer = script.get(f"/events?action=test{query}")
    assert answer.status_code == 200, answer.content
    return [row["summary"] for row in answer.json()["items"]]


# --- Who reads what ---------------------------------------------------------------------------------------------------
def test_a_key_reads_the_trail_where_it_holds_the_right(workspace: Workspace) -> None:
    organization = workspace.project.organization
    elsewhere = cast.kubernetes("tariffs", project=cast.project("Customs"))
    act("In Freight Core", workspace=workspace)
    act("In Customs", workspace=elsewhere)
    act("Of Kestrel Freight", organization=organization)
    act("Of nobody")
    assert sentences(Script("administrator")) == ["Of Kestrel Freight", "In Customs", "In Freight Core"]
    assert sentences(Script("operator", project=workspace.project)) == ["In Freight Core"]
    assert sentences(Script("viewer")) == []
    assert sentences(Script("administrator", of="Fjordline")) == []


@pytest.mark.parametrize("name", ["workspace", "project", "organization", "operation", "request"])
def test_a_foreign_id_is_answered_byte_for_byte_like_an_unknown_one(
    workspace: Workspace, bob: Account, name: str
) -> None:
    operation = Operation.objects.create(workspace=workspace, kind="test", title="Test")
    with acting(Actor.of(bob)) as request:
        event = act("In Freight Core", workspace=workspace, operation=operation)
    foreign = {"request": request.request_id}.get(name) or getattr(event, f"{name}_id")
    stranger = Script("administrator", of="Fjordline")
    theirs, unknown = (stranger.get(f"/events?{name}={pk}") for pk in (foreign, uuid.uuid4()))
    assert (theirs.status_code, theirs.content) == (unknown.status_code, unknown.content)
    assert theirs.status_code == (200 if name in ("operation", "request") else 404)


@pytest.mark.parametrize("name", ["workspace", "project", "organization"])
def test_what_may_be_seen_without_the_right_to_its_trail_is_403(workspace: Workspace, name: str) -> None:
    pk = {"workspace": workspace.pk, "project": workspace.project_id}.get(name, workspace.project.organization_id)
    refused = Script("viewer").get(f"/events?{name}={pk}")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert refused.json()["detail"] == "This needs the right: read who did what and when."


def test_an_organization_is_named_by_who_holds_the_right_in_one_project_or_without_any(workspace: Workspace) -> None:
    act("In Freight Core", workspace=workspace)
    narrowed = Script("operator", project=workspace.project)
    assert sentences(narrowed, f"&organization={workspace.project.organization_id}") == ["In Freight Core"]
    empty = Organization.objects.create(name="Newcomer")
    act("Founded", organization=empty)
    assert sentences(Script("administrator", of="Newcomer"), f"&organization={empty.pk}") == ["Founded"]


# --- What narrows -----------------------------------------------------------------------------------------------------
def test_each_filter_narrows(workspace: Workspace, metal: Workspace, bob: Account) -> None:
    operation = Operation.objects.create(workspace=workspace, kind="test", title="Test")
    with acting(Actor.of(bob)) as request:
        act("One", who=Actor.of(bob), workspace=workspace, operation=operation)
    act("Two", "test.ended", workspace=cast.kubernetes("tariffs", project=cast.project("Customs")))
    act("Three", "testing.done", workspace=metal)
    reader = Script("administrator")
    asked = {
        f"workspace={metal.pk}&action=testing": ["Three"],
        f"project={workspace.project_id}&action=test": ["One"],
        f"organization={workspace.project.organization_id}&action=test": ["Two", "One"],
        f"operation={operation.pk}&action=test": ["One"],
        f"request={request.request_id}": ["One"],
        "actor=berger&action=test": ["One"],
        f"actor={bob.pk}&action=test": ["One"],
        "action=test.ended": ["Two"],
        "action=test.e": [],
        "action=te%00sting": ["Three"],
    }
    found = {query: [row["summary"] for row in reader.get(f"/events?{query}").json()["items"]] for query in asked}
    assert found == asked


def test_the_span_is_half_open(workspace: Workspace) -> None:
    for minute in (0, 1, 2):
        Event.objects.create(
            summary=f"At {minute}",
            action="test.done",
            at=datetime(2026, 11, 24, 14, minute, tzinfo=UTC),
            actor_kind="platform",
            actor_name="Loopback",
            organization_id=workspace.project.organization_id,
        )
    reader = Script("administrator")
    assert sentences(reader, "&since=2026-11-24T14:00:00Z&until=2026-11-24T14:02:00Z") == ["At 1", "At 0"]
    assert sentences(reader, f"&since={quote('2026-11-24T16:01:00+02:00')}") == ["At 2", "At 1"]


@pytest.mark.parametrize(
    "query",
    ["since=yesterday", "since=2026-11-24T14:00:00", "until=soon", "told=perhaps", "project=7", "cursor=x", "limit=0"],
)
def test_a_wrong_query_is_422_with_the_place(workspace: Workspace, query: str) -> None:
    answer = Script("administrator").get(f"/events?{query}")
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["loc"][-1] == query.partition("=")[0]
    assert answer.json()["errors"][0]["loc"][0] == "query"


def test_row_changes_that_an_act_speaks_for_come_when_they_are_asked_for(workspace: Workspace, bob: Account) -> None:
    with acting(Actor.of(bob)) as request:
        Workspace.objects.filter(pk=workspace.pk).update(protected=True)
        act("Protected ledger-prod", workspace=workspace)
    reader = Script("operator")
    told = reader.get(f"/events?request={request.request_id}").json()["items"]
    every = reader.get(f"/events?request={request.request_id}&told=false").json()["items"]
    assert [row["action"] for row in told] == ["test.done"]
    assert [row["action"] for row in every] == ["test.done", "workspace.changed"]
    assert every[1] | {"id": 0, "at": ""} == {
        "id": 0,
        "at": "",
        "actor": "Bob Berger",
        "actor_kind": "account",
        "action": "workspace.changed",
        "summary": "Changed protected of workspace ledger-prod",
        "organization": str(workspace.project.organization_id),
        "project": str(workspace.project_id),
        "workspace": str(workspace.pk),
        "operation": None,
        "request": str(request.request_id),
        "table": "workspaces_workspace",
        "row": str(workspace.pk),
        "changes": {"protected": [False, True]},
    }
    assert (every[0]["table"], every[0]["row"]) == (None, None)


def test_pages_neither_repeat_nor_skip_while_lines_come(workspace: Workspace) -> None:
    for number in range(7):
        act(f"{number}", workspace=workspace)
    reader, seen, cursor = Script("operator"), [], ""
    while cursor is not None:
        answer = reader.get(f"/events?action=test&limit=3{cursor and f'&cursor={cursor}'}").json()
        seen += [row["summary"] for row in answer["items"]]
        cursor = answer["next_cursor"]
        act("later", workspace=workspace)
    assert seen == ["6", "5", "4", "3", "2", "1", "0"]


def test_the_request_of_an_answer_finds_what_it_did(workspace: Workspace) -> None:
    operator = Script("operator")
    started = operator.post(f"/workspaces/{workspace.pk}/upgrade", {"version": "1.35.7"})
    (event,) = operator.get(f"/events?request={started['X-Request-ID']}").json()["items"]
    assert (event["action"], event["actor"], event["actor_kind"]) == (
        "upgrade.started",
        "API key operator script",
        "api_key",
    )


def test_it_costs_four_queries_at_most(workspace: Workspace, django_assert_max_num_queries) -> None:
    reader = Script("operator")
    reader.get("/me")
    with django_assert_max_num_queries(4):
        reader.get(f"/events?project={workspace.project_id}")
