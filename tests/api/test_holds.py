"""Holds in the API: set, listed with filters, lifted once; every refusal with its status."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests import cast
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import Account, Actor, ApiKey, Event, Hold, Project

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues", "no_outside")]


class Script:
    """A script with an API key of some role."""

    def __init__(self, role: str, *, of: str = "Kestrel Freight", project: Project | None = None) -> None:
        maker = Account.objects.get_or_create(email="keys@loopback.example", is_superuser=True)[0]
        self.key, text = ApiKey.issue(
            name=f"{role} script", organization=cast.organization(of), project=project, role=role, created_by=maker
        )
        self.client = Client(headers={"Authorization": f"Bearer {text}"})

    def hold(self, **body: Any) -> Any:
        document = {"reason": "Quarter end", "expires_at": later(hours=8)} | body
        return self.client.post("/api/v1/holds", json.dumps(document, default=str), content_type="application/json")

    def reasons(self, query: str = "") -> list[str]:
        return [one["reason"] for one in self.client.get(f"/api/v1/holds{query}").json()["items"]]


def later(**length: Any) -> str:
    return f"{timezone.now() + timedelta(**length):%Y-%m-%dT%H:%M:%SZ}"


def stored(reason: str, **place: Any) -> Hold:
    return Hold.objects.create(reason=reason, expires_at=timezone.now() + timedelta(days=1), **place)


@pytest.fixture
def administrator(db: None) -> Script:
    return Script("administrator")


def test_a_hold_is_set_read_and_lifted_and_the_trail_names_the_key(administrator, workspace) -> None:
    ends = later(hours=8)
    made = administrator.hold(workspace=workspace.pk, expires_at=ends)
    assert made.status_code == 201
    document = made.json()
    assert made["Location"] == f"/api/v1/holds/{document['id']}"
    assert administrator.client.get(made["Location"]).json() == document
    assert {name: document[name] for name in document if name not in ("id", "starts_at")} == {
        "level": "workspace",
        "organization": None,
        "project": None,
        "workspace": {"id": str(workspace.pk), "name": "ledger-prod"},
        "reason": "Quarter end",
        "set_by": "API key administrator script",
        "expires_at": ends,
        "in_force": True,
        "lifted_at": None,
        "lifted_by": None,
    }
    lifted = administrator.client.delete(made["Location"])
    assert (lifted.status_code, lifted.content) == (204, b"")
    shown = administrator.client.get(made["Location"]).json()
    assert (shown["in_force"], shown["lifted_by"]) == (False, "API key administrator script")
    acts = Event.objects.acts().filter(workspace_id=workspace.pk).order_by("id")
    assert list(acts.values_list("action", "actor_kind", "actor_id")) == [
        ("hold.set", "api_key", administrator.key.pk),
        ("hold.lifted", "api_key", administrator.key.pk),
    ]
    assert Hold.objects.get().set_by is None


def test_one_that_is_over_is_lifted_no_second_time(administrator, workspace) -> None:
    at = f"/api/v1/holds/{administrator.hold(workspace=workspace.pk).json()['id']}"
    administrator.client.delete(at)
    again = administrator.client.delete(at)
    assert (again.status_code, again.json()["code"]) == (409, "already_lifted")
    assert "by API key administrator script." in again.json()["detail"]
    now = timezone.now()
    ended = Hold.objects.create(
        workspace=workspace, reason="x", set_at=now - timedelta(hours=2), expires_at=now - timedelta(hours=1)
    )
    answer = administrator.client.delete(f"/api/v1/holds/{ended.pk}")
    assert (answer.status_code, answer.json()["code"]) == (409, "ended")


def test_the_list_is_narrowed_to_what_stops_something_there(administrator, workspace) -> None:
    customs, kestrel = cast.project("Customs"), workspace.project.organization
    stored("platform")
    stored("organization", organization=kestrel)
    stored("project", project=workspace.project)
    stored("workspace", workspace=workspace)
    stored("customs", project=customs)
    stored("fjord", organization=cast.organization("Fjordline"))
    stored("over", workspace=workspace).lift(Actor.of_command("maintenance"))
    everything = ["over", "customs", "workspace", "project", "organization", "platform"]
    assert administrator.reasons() == everything
    assert administrator.reasons("?in_force=true") == everything[1:]
    assert administrator.reasons("?in_force=false") == ["over"]
    mine = ["over", "workspace", "project", "organization", "platform"]
    assert administrator.reasons(f"?workspace={workspace.pk}") == mine
    assert administrator.reasons(f"?project={workspace.project_id}") == mine
    assert administrator.reasons(f"?project={customs.pk}") == ["customs", "organization", "platform"]
    assert administrator.reasons(f"?organization={kestrel.pk}") == everything
    first = administrator.client.get("/api/v1/holds?limit=4").json()
    assert [one["reason"] for one in first["items"]] == everything[:4]
    assert administrator.reasons(f"?limit=4&cursor={first['next_cursor']}") == everything[4:]


def test_a_narrowed_key_sees_what_touches_its_project_only(workspace) -> None:
    narrowed = Script("viewer", project=workspace.project)
    stored("organization", organization=workspace.project.organization)
    other = stored("customs", project=cast.project("Customs"))
    assert narrowed.reasons() == ["organization"]
    assert narrowed.client.get(f"/api/v1/holds/{other.pk}").status_code == 404
    assert narrowed.client.get(f"/api/v1/holds?project={other.project_id}").status_code == 404


def test_without_the_right_to_hold_it_is_403_and_what_one_does_not_see_404(administrator, workspace) -> None:
    organization = workspace.project.organization
    places = {"workspace": workspace.pk, "project": workspace.project_id, "organization": organization.pk}
    operator = Script("operator")
    narrowed = Script("administrator", project=workspace.project)
    stranger = Script("administrator", of="Fjordline")
    for noun, pk in places.items():
        assert operator.hold(**{noun: pk}).status_code == 403, noun
        answer = stranger.hold(**{noun: pk})
        assert (answer.status_code, answer.content) == (404, stranger.hold(**{noun: uuid.uuid4()}).content), noun
    assert narrowed.hold(organization=organization.pk).status_code == 403
    assert narrowed.hold(project=cast.project("Customs").pk).status_code == 404
    assert administrator.hold().status_code == 403  # the platform
    one = stored("core", project=workspace.project)
    assert [script.client.delete(f"/api/v1/holds/{one.pk}").status_code for script in (operator, stranger)] == [
        403,
        404,
    ]
    assert narrowed.hold(workspace=workspace.pk).status_code == 201
    assert Hold.objects.count() == 2


def test_root_holds_the_platform(client, root, workspace) -> None:
    cast.sign_in(client, root)
    body = json.dumps({"reason": "Fire", "expires_at": later(hours=1)})
    answer = client.post("/api/v1/holds", body, content_type="application/json")
    assert (answer.status_code, answer.json()["level"], answer.json()["set_by"]) == (
        201,
        "platform",
        "root@loopback.example",
    )


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"reason": ""}, "reason"),
        ({"reason": "  "}, "reason"),
        ({"reason": "x" * 201}, "reason"),
        ({"reason": "a\0b"}, "reason"),
        ({"reason": 7}, "reason"),
        ({"expires_at": "2026-12-24T18:00:00"}, "expires_at"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": later(days=91)}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-14:00"}, "expires_at"),
        ({"starts_at": "2020-01-01T00:00:00Z"}, "starts_at"),
        ({"starts_at": later(days=366)}, "starts_at"),
        ({"starts_at": later(days=1)}, "expires_at"),
        ({"project": "{project}"}, "project"),
        ({"until": "x"}, "until"),
    ],
)
def test_what_is_wrong_is_422_at_its_place_and_stores_nothing(administrator, workspace, body, loc) -> None:
    body = {name: str(workspace.project_id) if value == "{project}" else value for name, value in body.items()}
    answer = administrator.hold(workspace=workspace.pk, **body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert answer.json()["errors"][0]["loc"][-1] == loc
    assert not Hold.objects.exists()


def test_times_of_another_zone_are_stored_and_told_in_utc(administrator, workspace) -> None:
    starts = timezone.now().replace(microsecond=0) + timedelta(hours=1)
    in_tokyo = starts + timedelta(hours=9)
    answer = administrator.hold(workspace=workspace.pk, starts_at=f"{in_tokyo:%Y-%m-%dT%H:%M:%S}+09:00").json()
    assert answer["starts_at"] == f"{starts:%Y-%m-%dT%H:%M:%SZ}"
    assert answer["in_force"] is False
    assert Hold.objects.get().set_at == starts
