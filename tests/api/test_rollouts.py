"""Rollouts in the API: begun, looked at ahead, followed, paused; every refusal with its status."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests import cast
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import Account, Actor, ApiKey, Operation, Project, Rollout, Workspace
from workspaces.operations import rollouts

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues", "no_outside", "catalogue_rows")]


class Script:
    """A script with an API key of some role."""

    def __init__(self, role: str, *, of: str = "Kestrel Freight", project: Project | None = None) -> None:
        maker = Account.objects.get_or_create(email="keys@loopback.example", is_superuser=True)[0]
        _, text = ApiKey.issue(
            name=f"{role} script", organization=cast.organization(of), project=project, role=role, created_by=maker
        )
        self.client = Client(headers={"Authorization": f"Bearer {text}"})

    def begin(self, *workspaces: Workspace, **body: Any) -> Any:
        document = {"version": "1.35.7", "workspaces": [str(one.pk) for one in workspaces]} | body
        return self.client.post("/api/v1/rollouts", json.dumps(document, default=str), content_type="application/json")

    def get(self, path: str = "") -> Any:
        return self.client.get(f"/api/v1/rollouts{path}")

    def post(self, path: str) -> Any:
        return self.client.post(f"/api/v1/rollouts{path}")


@pytest.fixture
def operator(db: None) -> Script:
    return Script("operator")


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_rollout_is_begun_in_the_order_given_and_read(operator: Script) -> None:
    big, small = cast.kubernetes("big"), cast.kubernetes("small", hosts=1)
    made = operator.begin(big, small, big, canary=1, at_once=2, stop_after=2, soak_minutes=10, several_hops=True)
    assert made.status_code == 201, made.json()
    document = made.json()
    assert made["Location"] == f"/api/v1/rollouts/{document['id']}"
    assert operator.get(f"/{document['id']}").json() == document
    created = document.pop("created_at")
    assert created.endswith("Z")
    assert document == {
        "id": str(Rollout.objects.get().pk),
        "title": "Upgrade 2 workspaces to 1.35.7",
        "version": "1.35.7",
        "canary": 1,
        "at_once": 2,
        "stop_after": 2,
        "soak_minutes": 10,
        "several_hops": True,
        "accept_risks": [],
        "state": "running",
        "state_reason": "",
        "requested_by": "API key operator script",
        "canary_passed_at": None,
        "finished_at": None,
        "counts": {"waiting": 2, "running": 0, "succeeded": 0, "failed": 0, "refused": 0, "left_out": 0},
        "next": "The canary starts next.",
        "members": [
            {
                "workspace": {"id": str(one.pk), "name": one.name},
                "canary": one == big,
                "state": "waiting",
                "message": "",
                "operation": None,
            }
            for one in (big, small)
        ],
        "hidden": 0,
    }


def test_it_starts_in_the_name_of_the_key_and_tells_how_far_it_is(operator: Script) -> None:
    first = cast.kubernetes("first", hosts=1)
    made = operator.begin(first, cast.kubernetes("second", hosts=1), accept_risks=["disruption_budgets"]).json()
    rollouts.tick(timezone.now())
    document = operator.get(f"/{made['id']}").json()
    assert document["next"] == "The canary runs alone: 1 of 1 run."
    assert document["counts"]["running"] == 1
    operation = Operation.objects.get()
    assert document["members"][0]["operation"] == str(operation.pk)
    assert (operation.requested_by, operation.accepted_risks) == ("API key operator script", {"disruption_budgets"})


def test_a_dry_run_says_what_would_become_of_each_and_begins_nothing(operator: Script, metal: Workspace) -> None:
    far, there = cast.kubernetes("far", hosts=1), cast.kubernetes("there", hosts=1, version="1.36.2")
    answer = operator.begin(far, there, metal, version="1.36.2", several_hops=True, dry_run=True)
    assert answer.status_code == 200, answer.json()
    document = answer.json()
    assert document["version"] == "1.36.2"
    one, two, three = document["would"]
    assert (one["workspace"], one["outcome"]) == ({"id": str(far.pk), "name": "far"}, "upgrade")
    assert [(hop["from"], hop["to"], hop["workers_move"]) for hop in one["hops"]] == [
        ("1.34.8", "1.35.7", False),
        ("1.35.7", "1.36.2", True),
    ]
    assert (one["refused"], one["waits_for"], one["estimate"]) == (None, "", None)
    assert (two["outcome"], two["refused"]["code"]) == ("runs_it", "same_version")
    assert (three["outcome"], three["refused"]["code"]) == ("refused", "not_kubernetes")
    assert Rollout.objects.count() == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"workspaces": []},
        {"canary": -1},
        {"at_once": 0},
        {"at_once": True},
        {"at_once": "3"},
        {"stop_after": 501},
        {"soak_minutes": 10081},
        {"several_hops": 1},
        {"accept_risks": [1]},
        {"version": 1.35},
        {"concurrency": 3},
        {"workspaces": [str(uuid.uuid4()) for _ in range(501)]},
    ],
)
def test_a_body_that_is_wrong_is_422_and_begins_nothing(operator: Script, workspace: Workspace, wrong) -> None:
    assert code(operator.begin(workspace, **wrong)) == (422, "invalid")
    assert Rollout.objects.count() == 0


def test_what_the_caller_does_not_see_is_404_and_what_they_may_not_upgrade_403(workspace: Workspace) -> None:
    foreign = cast.kubernetes("fjord", project=cast.project("Fjord", of="Fjordline"), hosts=0)
    elsewhere = cast.kubernetes("customs", project=cast.project("Customs"), hosts=0)
    whole, narrow, viewer = Script("operator"), Script("operator", project=workspace.project), Script("viewer")
    assert code(whole.begin(workspace, foreign)) == (404, "not_found")
    assert code(narrow.begin(workspace, elsewhere)) == (404, "not_found")
    assert code(viewer.begin(workspace)) == (403, "forbidden")
    assert code(viewer.begin(workspace, dry_run=True)) == (403, "forbidden")
    assert Rollout.objects.count() == 0


def test_an_unknown_version_and_a_risk_that_cannot_be_taken_are_refused(operator: Script, workspace: Workspace) -> None:
    assert code(operator.begin(workspace, version="1.99.0")) == (409, "unknown_version")
    answer = operator.begin(workspace, accept_risks=["control_plane", "luck", "disruption_budgets"])
    assert code(answer) == (409, "unknown_risk")
    assert "luck" in answer.json()["accept_risks"]
    assert Rollout.objects.count() == 0


def test_it_is_paused_continued_and_stopped_once(operator: Script, workspace: Workspace) -> None:
    pk = operator.begin(workspace).json()["id"]
    paused = operator.post(f"/{pk}/pause")
    assert (paused.status_code, paused.json()["state"]) == (200, "paused")
    assert paused.json()["next"] == "API key operator script paused it."
    again = operator.post(f"/{pk}/pause")
    assert code(again) == (409, "not_possible")
    assert again.json()["detail"] == "This rollout is paused: it cannot be paused."
    assert operator.post(f"/{pk}/continue").json()["state"] == "running"
    assert code(operator.post(f"/{pk}/continue")) == (409, "not_possible")
    stopped = operator.post(f"/{pk}/stop").json()
    assert (stopped["state"], stopped["counts"]["left_out"]) == ("stopped", 1)
    assert stopped["members"][0]["message"] == "The rollout was stopped."
    assert code(operator.post(f"/{pk}/stop")) == (409, "not_possible")


def test_who_sees_a_part_reads_that_part_and_changes_nothing(operator: Script, workspace: Workspace) -> None:
    elsewhere = cast.kubernetes("customs", project=cast.project("Customs"), hosts=0)
    pk = operator.begin(workspace, elsewhere).json()["id"]
    narrow, stranger = Script("operator", project=workspace.project), Script("administrator", of="Fjordline")
    document = narrow.get(f"/{pk}").json()
    assert [one["workspace"]["name"] for one in document["members"]] == ["ledger-prod"]
    assert (document["hidden"], document["counts"]["waiting"]) == (1, 2)
    assert "customs" not in json.dumps(document)
    for act in ("pause", "continue", "stop"):
        assert code(narrow.post(f"/{pk}/{act}")) == (403, "forbidden")
        assert code(Script("viewer").post(f"/{pk}/{act}")) == (403, "forbidden")
        assert code(stranger.post(f"/{pk}/{act}")) == (404, "not_found")
    assert code(stranger.get(f"/{pk}")) == (404, "not_found")
    assert stranger.get().json()["items"] == []
    assert len(narrow.get().json()["items"]) == 1


def test_the_list_is_paged_and_filtered_by_state_with_a_fixed_number_of_queries(
    operator: Script, workspace: Workspace, django_assert_max_num_queries
) -> None:
    for number in range(5):
        rollout = Rollout.begin("1.35.7", [workspace], actor=Actor.of_command("upgrade"))
        if number % 2:
            rollout.stop(Actor.of_command("upgrade"))
    with django_assert_max_num_queries(8):
        first = operator.get("?limit=3").json()
    assert [one["state"] for one in first["items"]] == ["running", "stopped", "running"]
    assert first["items"][1]["counts"]["left_out"] == 1
    rest = operator.get(f"?limit=3&cursor={first['next_cursor']}").json()
    assert [one["state"] for one in rest["items"]] == ["stopped", "running"]
    assert rest["next_cursor"] is None
    assert len(operator.get("?state=stopped").json()["items"]) == 2
