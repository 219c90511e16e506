"""The transfer in the API: preview with its fingerprint, the move with the proof, and every refusal."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.test import Client

from tests import cast
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import (
    PLATFORM,
    Account,
    ApiKey,
    Event,
    Membership,
    Operation,
    Project,
    StepPlan,
    Transfer,
    Workspace,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues", "no_outside")]


class Script:
    """A script with an API key of some role."""

    def __init__(self, role: str, *, of: str = "Kestrel Freight", project: Project | None = None) -> None:
        maker = Account.objects.get_or_create(email="keys@loopback.example", is_superuser=True)[0]
        organization = cast.organization(of)
        self.key, text = ApiKey.issue(
            name=f"{role} script", organization=organization, project=project, role=role, created_by=maker
        )
        self.client = Client(headers={"Authorization": f"Bearer {text}"})

    def get(self, workspace: Any, project: Any) -> Any:
        return self.client.get(f"/api/v1/workspaces/{workspace}/transfer?project={project}")

    def post(self, workspace: Any, project: Any, **headers: str) -> Any:
        body = json.dumps({"project": str(project)})
        path = f"/api/v1/workspaces/{workspace}/transfer"
        return self.client.post(path, body, content_type="application/json", headers=headers)


@pytest.fixture
def administrator(db: None) -> Script:
    return Script("administrator")


@pytest.fixture
def customs(db: None) -> Project:
    return cast.project("Customs")


def test_the_preview_names_who_loses_what_and_carries_a_fingerprint(administrator, workspace, customs, bob) -> None:
    answer = administrator.get(workspace.pk, customs.pk)
    assert answer.status_code == 200
    document = answer.json()
    assert answer["ETag"] == f'"{document["fingerprint"]}"'
    assert document["source"]["name"] == "Freight Core"
    assert document["destination"] == {"id": str(customs.pk), "name": "Customs", "cost_center": ""}
    assert document["refused"] is None
    assert document["may_move_back"] is True
    first = document["identities"][0]
    assert (first["kind"], first["name"], first["effect"]) == ("account", "Bob Berger", "loses_access")
    assert (first["role_before"], first["role_after"], first["after"]) == ("Operator", "none", [])
    assert len(first["lost"]) == 13
    assert not Transfer.objects.exists()


def test_a_preview_of_what_would_be_refused_says_so(administrator, workspace, customs) -> None:
    Workspace.objects.update(state="deleting")
    assert administrator.get(workspace.pk, customs.pk).json()["refused"] == {
        "code": "not_transferable",
        "message": "It is being deleted.",
    }


def test_the_move_answers_with_the_proof_and_is_attributed_to_the_key(administrator, workspace, customs, bob) -> None:
    answer = administrator.post(workspace.pk, customs.pk)
    assert answer.status_code == 200
    document = answer.json()
    assert (document["holds"], document["moved_on"], document["differences"]) == (True, False, [])
    # Bob, the key, and its maker, who is a platform administrator.
    assert document["compared"] == {"accounts": 2, "api_keys": 1, "rights": 63}
    assert document["prediction"]["identities"][0]["name"] == "Bob Berger"
    assert document["moved_by"] == "API key administrator script"
    shown = administrator.client.get(f"/api/v1/workspaces/{workspace.pk}").json()
    assert shown["project"]["name"] == "Customs"
    act = Event.objects.acts().get(action="workspace.transferred")
    assert (act.actor_kind, act.project_id) == ("api_key", customs.pk)


def test_a_key_narrowed_to_the_old_project_no_longer_finds_it(administrator, workspace, customs) -> None:
    narrowed = Script("viewer", project=workspace.project)
    path = f"/api/v1/workspaces/{workspace.pk}"
    assert narrowed.client.get(path).status_code == 200
    administrator.post(workspace.pk, customs.pk)
    assert narrowed.client.get(path).status_code == 404


def test_if_match_moves_only_what_was_shown(administrator, workspace, customs, bob) -> None:
    shown = administrator.get(workspace.pk, customs.pk)["ETag"]
    Membership.objects.filter(account=bob).delete()
    for wrong in (shown, "nonsense", '"nonsense"', 'W/"x"', ""):
        answer = administrator.post(workspace.pk, customs.pk, **{"If-Match": wrong})
        assert (answer.status_code, answer.json()["code"]) == (412, "preview_changed"), wrong
    assert not Transfer.objects.exists()
    now = administrator.get(workspace.pk, customs.pk)["ETag"]
    assert administrator.post(workspace.pk, customs.pk, **{"If-Match": now}).status_code == 200


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_without_the_right_to_move_it_is_403(role, workspace, customs) -> None:
    script = Script(role)
    for answer in (script.get(workspace.pk, customs.pk), script.post(workspace.pk, customs.pk)):
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert answer["Content-Type"] == "application/problem+json"


def test_without_the_right_to_receive_it_is_403(client, workspace, customs) -> None:
    nina = cast.account("nina@kestrel.example", "administrator", on=workspace.project)
    Membership.objects.create(account=nina, organization=customs.organization, project=customs, role="viewer")
    cast.sign_in(client, nina)
    answer = client.get(f"/api/v1/workspaces/{workspace.pk}/transfer?project={customs.pk}")
    assert answer.status_code == 403
    assert answer.json()["detail"] == (
        "Receive a workspace from another project: only as administrator or operator of Customs."
    )


def test_what_one_does_not_see_is_404_with_the_same_bytes(administrator, workspace, customs) -> None:
    foreign = cast.project("Fjord", of="Fjordline").pk
    narrowed = Script("administrator", project=workspace.project)
    stranger = Script("administrator", of="Fjordline")
    for answers in (
        [administrator.get(workspace.pk, foreign), administrator.get(workspace.pk, uuid.uuid4())],
        [administrator.post(workspace.pk, foreign), administrator.post(workspace.pk, uuid.uuid4())],
        [narrowed.get(workspace.pk, customs.pk), narrowed.post(workspace.pk, customs.pk)],
        [stranger.get(workspace.pk, foreign), stranger.get(uuid.uuid4(), foreign)],
        [stranger.post(workspace.pk, foreign), stranger.post(uuid.uuid4(), foreign)],
    ):
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].content == answers[1].content


def test_a_platform_administrator_gets_404_across_organizations_too(client, root, workspace) -> None:
    foreign = cast.project("Fjord", of="Fjordline").pk
    cast.sign_in(client, root)
    assert client.get(f"/api/v1/workspaces/{workspace.pk}/transfer?project={foreign}").status_code == 404


def test_an_open_operation_is_409_with_its_id(administrator, workspace, customs) -> None:
    operation = Operation.start(workspace, "upgrade", "Upgrade it", [StepPlan("a", "A")], actor=PLATFORM)
    answer = administrator.post(workspace.pk, customs.pk)
    assert (answer.status_code, answer.json()["code"]) == (409, "operation_running")
    assert answer.json()["operation"] == str(operation.pk)


def test_the_same_project_a_taken_name_and_a_leaving_workspace_are_409(administrator, workspace, customs) -> None:
    assert administrator.post(workspace.pk, workspace.project_id).json()["code"] == "same_project"
    cast.kubernetes(project=customs, namespace="other", control_plane="other")
    assert administrator.post(workspace.pk, customs.pk).json()["code"] == "name_taken"
    Workspace.objects.update(state="deletion_scheduled")
    answer = administrator.post(workspace.pk, customs.pk)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_transferable")
    assert not Transfer.objects.exists()


@pytest.mark.parametrize("body", ["{}", '{"project": "x"}', '{"project": null}', '{"project": 1}', "[]"])
def test_a_wrong_body_is_422(administrator, workspace, body) -> None:
    path = f"/api/v1/workspaces/{workspace.pk}/transfer"
    answer = administrator.client.post(path, body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert administrator.client.get(path).status_code == 422
