"""The API's conventions and the way of a script through the main job."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.test import Client

from tests import cast
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import Account, ApiKey, Event, MaintenancePlan, Operation, Workspace

pytestmark = pytest.mark.usefixtures("catalogue_rows", "empty_queues", "no_outside")


class Script:
    """A script with an API key of some role."""

    def __init__(self, role: str, *, of: str = "Kestrel Freight", **fields: Any) -> None:
        creator = Account.objects.get_or_create(email="keys@loopback.example", is_superuser=True)[0]
        self.key, text = ApiKey.issue(
            name=f"{role} script", organization=cast.organization(of), role=role, created_by=creator, **fields
        )
        self.headers = {"Authorization": f"Bearer {text}"}
        self.client = Client(headers=self.headers)

    def get(self, path: str) -> Any:
        return self.client.get(f"/api/v1{path}")

    def post(self, path: str, body: Any = None) -> Any:
        return self.client.post(f"/api/v1{path}", json.dumps(body), content_type="application/json")

    def patch(self, path: str, body: Any, kind: str = "application/json", **headers: str) -> Any:
        text = body if isinstance(body, str) else json.dumps(body)
        return self.client.patch(f"/api/v1{path}", text, content_type=kind, headers=headers)


@pytest.fixture
def administrator(db: None) -> Script:
    return Script("administrator")


@pytest.fixture
def operator(db: None) -> Script:
    return Script("operator")


@pytest.fixture
def viewer(db: None) -> Script:
    return Script("viewer")


@pytest.fixture
def stranger(db: None) -> Script:
    return Script("administrator", of="Fjordline")


# --- Who may what -----------------------------------------------------------------------------------------------------
def test_without_a_key_the_answer_is_401_as_a_problem_document(client: Client, workspace: Workspace) -> None:
    answer = client.get(f"/api/v1/workspaces/{workspace.pk}")
    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["WWW-Authenticate"] == "Bearer"
    assert answer.json()["code"] == "unauthenticated"


@pytest.mark.parametrize("text", ["", "lb_12345678_nonsense", "lb_", "ü"])
def test_a_wrong_key_is_401(client: Client, db: None, text: str) -> None:
    assert client.get("/api/v1/me", headers={"Authorization": f"Bearer {text}"}).status_code == 401


def test_a_revoked_and_an_expired_key_are_401(viewer: Script) -> None:
    ApiKey.objects.update(revoked_at=cast.NOW)
    assert viewer.get("/me").status_code == 401
    ApiKey.objects.update(revoked_at=None, expires_at="2020-01-01T00:00:00Z")
    assert viewer.get("/me").status_code == 401


def test_a_strangers_answer_is_byte_for_byte_that_of_an_id_that_does_not_exist(
    stranger: Script, workspace: Workspace
) -> None:
    for path in ("", "/maintenance", "/kubernetes", "/maintenance/forecast", "/maintenance/decisions"):
        foreign = stranger.get(f"/workspaces/{workspace.pk}{path}")
        missing = stranger.get(f"/workspaces/{uuid.uuid4()}{path}")
        assert (foreign.status_code, foreign.content) == (404, missing.content)
    assert stranger.get("/workspaces").json() == {"items": [], "next_cursor": None}
    assert stranger.get(f"/workspaces?project={workspace.project_id}").status_code == 404
    assert stranger.get(f"/projects?organization={workspace.project.organization_id}").status_code == 404
    assert stranger.post(f"/workspaces/{workspace.pk}/upgrade", {"version": "1.35.7"}).status_code == 404


def test_a_viewer_sees_and_may_not_change(viewer: Script, workspace: Workspace) -> None:
    assert viewer.get(f"/workspaces/{workspace.pk}").status_code == 200
    refused = viewer.post(f"/workspaces/{workspace.pk}/upgrade", {"version": "1.35.7"})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert viewer.patch(f"/workspaces/{workspace.pk}/maintenance", {"enabled": True}).status_code == 403
    assert Operation.objects.count() == 0


def test_a_key_narrowed_to_a_project_sees_that_project_only(workspace: Workspace) -> None:
    other = cast.kubernetes("elsewhere", project=cast.project("Customs"))
    script = Script("operator", project=workspace.project)
    assert [row["name"] for row in script.get("/workspaces").json()["items"]] == ["ledger-prod"]
    assert script.get(f"/workspaces/{other.pk}").status_code == 404


def test_the_consoles_session_works_too_and_needs_the_csrf_token(bob: Account, workspace: Workspace) -> None:
    browser = cast.sign_in(Client(enforce_csrf_checks=True), bob)
    assert browser.get("/api/v1/me").json()["email"] == "bob@kestrel.example"
    url = f"/api/v1/workspaces/{workspace.pk}/upgrade"
    assert browser.post(url, '{"version": "1.35.7"}', content_type="application/json").status_code == 403
    assert Operation.objects.count() == 0


# --- Reading ----------------------------------------------------------------------------------------------------------
def test_a_workspace_shows_what_api_md_promises(viewer: Script, workspace: Workspace) -> None:
    document = viewer.get(f"/workspaces/{workspace.pk}").json()
    assert document["id"] == str(workspace.pk)
    assert (document["name"], document["type"], document["state"]) == ("ledger-prod", "kubernetes", "active")
    assert document["project"]["name"] == "Freight Core"
    assert document["organization"]["name"] == "Kestrel Freight"
    assert document["kubernetes_version"] == "1.34.8"
    assert document["observed_at"] == "2026-11-24T14:32:00Z"
    assert document["open_operation"] is None
    assert document["next_maintenance"]["lane"] in ("routine", "priority")


def test_lists_come_in_pages_that_neither_repeat_nor_skip(viewer: Script) -> None:
    for number in range(7):
        cast.kubernetes(f"w{number}", hosts=0)
    seen, cursor = [], ""
    while cursor is not None:
        answer = viewer.get(f"/workspaces?limit=3{cursor and f'&cursor={cursor}'}").json()
        seen += [row["name"] for row in answer["items"]]
        cursor = answer["next_cursor"]
    assert seen == ["w0", "w1", "w2", "w3", "w4", "w5", "w6"]


def test_the_search_finds_names_and_the_beginning_of_ids(viewer: Script, workspace: Workspace) -> None:
    cast.kubernetes("atlas-routing", hosts=0)
    for text in ("edger-PR", str(workspace.pk)[:8], str(workspace.pk)):
        assert [row["name"] for row in viewer.get(f"/workspaces?q={text}").json()["items"]] == ["ledger-prod"]
    assert viewer.get("/workspaces?q=%00").status_code == 200


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=x", "cursor=WzEsMl0", "project=7"])
def test_a_wrong_query_is_422_with_the_place(viewer: Script, query: str) -> None:
    answer = viewer.get(f"/workspaces?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["query", query.partition("=")[0]]


def test_the_version_resource_gives_targets_and_reasons(viewer: Script, workspace: Workspace) -> None:
    document = viewer.get(f"/workspaces/{workspace.pk}/kubernetes").json()
    assert document["running"] == document["current"]["version"] == "1.34.8"
    assert [one["version"] for one in document["targets"]] == ["1.35.7", "1.35.4", "1.34.11"]
    assert {one["version"]: one["code"] for one in document["not_offered"]} == {
        "1.37.1": "inactive_version",
        "1.36.2": "not_reachable",
        "1.35.6": "inactive_version",
        "1.33.9": "not_reachable",
    }
    assert [node["kubelet_version"] for node in document["nodes"]] == ["1.34.8"] * 3


def test_a_plan_over_two_hops_and_none_downwards(viewer: Script, workspace: Workspace) -> None:
    hops = viewer.get(f"/workspaces/{workspace.pk}/kubernetes/plan?to=1.36.2").json()["hops"]
    assert [(hop["from"], hop["to"], hop["workers_move"]) for hop in hops] == [
        ("1.34.8", "1.35.7", False),
        ("1.35.7", "1.36.2", True),
    ]
    downwards = viewer.get(f"/workspaces/{workspace.pk}/kubernetes/plan?to=1.33.9")
    assert (downwards.status_code, downwards.json()["code"]) == (409, "not_reachable")


# --- Upgrading --------------------------------------------------------------------------------------------------------
def test_an_upgrade_is_accepted_with_the_address_of_its_operation(operator: Script, workspace: Workspace) -> None:
    answer = operator.post(f"/workspaces/{workspace.pk}/upgrade", {"version": "1.35.7"})
    operation = Operation.objects.get()
    assert answer.status_code == 202
    assert answer["Location"] == f"/api/v1/operations/{operation.pk}"
    assert answer.json()["state"] == "pending"
    assert answer.json()["requested_by"] == "API key operator script"
    assert answer.json()["steps"][1]["title"] == "Set the control plane to 1.35.7"
    assert operator.get(f"/operations/{operation.pk}").json() == answer.json()
    again = operator.post(f"/workspaces/{workspace.pk}/upgrade", {"version": "1.35.7"})
    assert (again.status_code, again.json()["code"]) == (409, "operation_running")
    assert again.json()["operation"] == str(operation.pk)


@pytest.mark.parametrize(
    "body", [{}, {"version": 1.35}, {"version": None}, {"version": "1.35.7", "force": True}, [], "x"]
)
def test_a_wrong_upgrade_body_is_422_and_starts_nothing(operator: Script, workspace: Workspace, body: Any) -> None:
    answer = operator.post(f"/workspaces/{workspace.pk}/upgrade", body)
    assert answer.status_code == 422
    assert answer.json()["errors"]
    assert Operation.objects.count() == 0


def test_stop_and_retry_answer_202_or_409(operator: Script, workspace: Workspace) -> None:
    operator.post(f"/workspaces/{workspace.pk}/upgrade", {"version": "1.35.7"})
    operation = Operation.objects.get()
    assert operator.post(f"/operations/{operation.pk}/retry").status_code == 409
    assert operator.post(f"/operations/{operation.pk}/stop").json()["stop_requested_at"] is not None


# --- Maintenance ------------------------------------------------------------------------------------------------------
def test_the_plan_is_read_with_its_etag(viewer: Script, workspace: Workspace) -> None:
    answer = viewer.get(f"/workspaces/{workspace.pk}/maintenance")
    assert answer["ETag"] == '"1"'
    assert answer.json() == {
        "enabled": True,
        "schedule": {"0": 2, "1": 2, "2": 2, "3": 2, "4": 2, "5": None, "6": None},
        "priority_hour": 22,
        "compute": {"auto_update": True},
        "kubernetes": {"auto_upgrade": True},
        "updated_at": "2026-11-24T14:32:00Z",
    }


def test_omitted_blocks_turn_their_flags_off_and_say_so(operator: Script, workspace: Workspace) -> None:
    answer = operator.patch(f"/workspaces/{workspace.pk}/maintenance", {"schedule": {"5": 4}})
    assert answer.status_code == 200
    assert answer.json()["schedule"]["5"] == 4
    assert answer.json()["compute"] == {"auto_update": False}
    assert [note["code"] for note in answer.json()["notes"]] == [
        "compute_turned_off_by_omission",
        "kubernetes_turned_off_by_omission",
    ]


def test_a_merge_patch_leaves_omitted_parts_alone(operator: Script, workspace: Workspace) -> None:
    answer = operator.patch(
        f"/workspaces/{workspace.pk}/maintenance", {"priority_hour": 5}, "application/merge-patch+json"
    )
    assert (answer.json()["priority_hour"], answer.json()["compute"]) == (5, {"auto_update": True})
    assert answer.json()["notes"] == []


def test_only_an_administrator_switches_maintenance_off(
    operator: Script, administrator: Script, workspace: Workspace
) -> None:
    url = f"/workspaces/{workspace.pk}/maintenance"
    body = {"enabled": False, "priority_hour": 7}
    answer = operator.patch(url, body, "application/merge-patch+json").json()
    assert (answer["enabled"], answer["priority_hour"]) == (True, 7)
    assert [note["code"] for note in answer["notes"]] == ["disable_refused"]
    assert Event.objects.filter(action="maintenance.changed").count() == 1
    assert administrator.patch(url, body, "application/merge-patch+json").json()["enabled"] is False
    assert operator.patch(url, {"priority_hour": 8}, "application/merge-patch+json").json()["enabled"] is False


@pytest.mark.parametrize(
    "body",
    [
        {"schedule": {"0": 24}},
        {"schedule": {"7": 1}},
        {"schedule": {"0": True}},
        {"priority_hour": None},
        {"priority_hour": "3"},
        {"enabled": 1},
        {"unknown": 1},
        [],
        "text",
    ],
)
def test_a_wrong_plan_is_422_and_nothing_is_stored(operator: Script, workspace: Workspace, body: Any) -> None:
    before = MaintenancePlan.objects.values().get()
    answer = operator.patch(f"/workspaces/{workspace.pk}/maintenance", json.dumps(body))
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["loc"][0] == "body"
    assert MaintenancePlan.objects.values().get() == before


def test_the_kubernetes_block_on_bare_metal_is_422(operator: Script, metal: Workspace) -> None:
    body = {"kubernetes": {"auto_upgrade": True}}
    assert operator.patch(f"/workspaces/{metal.pk}/maintenance", body).status_code == 422
    assert "kubernetes" not in operator.get(f"/workspaces/{metal.pk}/maintenance").json()


def test_broken_json_is_400_and_another_type_415(operator: Script, workspace: Workspace) -> None:
    url = f"/workspaces/{workspace.pk}/maintenance"
    assert operator.patch(url, "{").status_code == 400
    assert operator.patch(url, '{"priority_hour": NaN}').status_code == 400
    assert operator.patch(url, "a=1", "application/x-www-form-urlencoded").status_code == 415


def test_a_stale_if_match_is_412_with_the_current_plan(operator: Script, workspace: Workspace) -> None:
    url = f"/workspaces/{workspace.pk}/maintenance"
    kind = "application/merge-patch+json"
    assert operator.patch(url, {"priority_hour": 3}, kind, **{"If-Match": '"1"'}).status_code == 200
    stale = operator.patch(url, {"priority_hour": 4}, kind, **{"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["current"]["priority_hour"]) == (412, 3)
    assert operator.patch(url, {"priority_hour": 4}, kind, **{"If-Match": "W/nonsense"}).status_code == 412


def test_the_forecast_says_what_and_why(viewer: Script, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.utils.timezone.now", lambda: cast.NOW)
    windows = viewer.get(f"/workspaces/{workspace.pk}/maintenance/forecast?days=7").json()
    routine = [window for window in windows if window["lane"] == "routine"]
    assert len(routine) == 5
    assert routine[0]["would"] == ["Operating system updates on 3 hosts"]
    # 1.34.11 carries security fixes, so tonight's priority hour is there first.
    assert windows[0]["lane"] == "priority"
    assert "1.34.11" in windows[0]["would"][0]


# --- The document -----------------------------------------------------------------------------------------------------
def test_the_openapi_document_names_every_resource(client: Client, db: None) -> None:
    document = client.get("/api/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert "/api/v1/workspaces/{pk}/maintenance" in document["paths"]


def test_events_are_read_by_those_who_may(operator: Script, viewer: Script, workspace: Workspace) -> None:
    operator.post(f"/workspaces/{workspace.pk}/upgrade", {"version": "1.35.7"})
    event = operator.get(f"/events?workspace={workspace.pk}").json()["items"][0]
    assert (event["action"], event["actor"]) == ("upgrade.started", "API key operator script")
    assert viewer.get(f"/events?workspace={workspace.pk}").status_code == 403
    assert viewer.get("/events").json()["items"] == []
