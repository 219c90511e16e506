"""Drift in the API: what is not as wanted, with who and since when, and deciding about it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests import cast
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import Account, ApiKey, Drift, Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues", "no_outside")]


class Script:
    """A script with an API key of some role."""

    def __init__(self, role: str, by: Account) -> None:
        organization = cast.organization("Kestrel Freight")
        text = ApiKey.issue(name="nightly", organization=organization, role=role, created_by=by)[1]
        self.client = Client(headers={"Authorization": f"Bearer {text}"})

    def get(self, workspace: Workspace) -> Any:
        return self.client.get(f"/api/v1/workspaces/{workspace.pk}/drift")

    def decide(self, row: Drift, decision: str, *, of: Workspace | None = None) -> Any:
        at = f"/api/v1/workspaces/{of.pk if of else row.workspace_id}/drift/{row.pk}"
        return self.client.post(at, json.dumps({"decision": decision}), content_type="application/json")


@pytest.fixture
def operator(alice: Account) -> Script:
    return Script("operator", alice)


@pytest.fixture
def replicas(workspace: Workspace) -> Drift:
    return Drift.objects.create(
        workspace=workspace,
        kind="control_plane",
        subject="Control plane",
        field="replicas",
        wanted=2,
        seen=3,
        actor="kubectl-edit",
        actor_at=cast.NOW - timedelta(minutes=5),
        policy="decide",
        reason="More or fewer API servers may be somebody's intention.",
        since=cast.NOW - timedelta(minutes=3),
    )


def test_what_differs_is_listed_with_who_changed_it_and_when_it_was_seen(
    workspace: Workspace, replicas: Drift, operator: Script
) -> None:
    cast.looked_at(workspace)
    assert operator.get(workspace).json() == [
        {
            "id": str(replicas.pk),
            "kind": "control_plane",
            "subject": "Control plane",
            "field": "replicas",
            "wanted": 2,
            "seen": 3,
            "actor": "kubectl-edit",
            "actor_at": "2026-11-24T14:27:00Z",
            "since": "2026-11-24T14:29:00Z",
            "observed_at": "2026-11-24T14:32:00Z",
            "policy": "decide",
            "reason": "More or fewer API servers may be somebody's intention.",
            "fought": False,
            "repairs": 0,
            "error": None,
            "decision": None,
            "decided_by": None,
            "ended_at": None,
            "ending": None,
        }
    ]


def test_values_come_as_they_are_and_what_no_api_tells_is_null(workspace: Workspace, operator: Script) -> None:
    values = [(False, True), (["203.0.113.7"], None), ({"cpu": "1"}, "none"), ("1.34.8", "1.35.4")]
    for number, (wanted, seen) in enumerate(values):
        Drift.objects.create(
            workspace=workspace, kind="seed", field=f"f{number}", wanted=wanted, seen=seen, since=cast.NOW
        )
    shown = operator.get(workspace).json()
    assert [(one["wanted"], one["seen"]) for one in shown] == values
    assert {(one["actor"], one["actor_at"], one["observed_at"]) for one in shown} == {("unknown", None, None)}


def test_what_has_ended_and_what_others_have_is_not_listed(
    workspace: Workspace, metal: Workspace, replicas: Drift, operator: Script
) -> None:
    Drift.objects.update(ended_at=cast.NOW, ending="gone")
    Drift.objects.create(workspace=metal, kind="host", field="name", since=cast.NOW)
    assert operator.get(workspace).json() == []


def test_the_look_that_is_told_is_that_of_the_kind_and_the_oldest_of_several(
    workspace: Workspace, replicas: Drift, operator: Script
) -> None:
    for look in cast.looked_at(workspace):
        if look.kind == "seeding":
            type(look).objects.filter(pk=look.pk).update(succeeded_at=None)
    for kind in ("node", "seed"):
        Drift.objects.create(workspace=workspace, kind=kind, subject=kind, field="x", since=cast.NOW)
    seen = {one["kind"]: one["observed_at"] for one in operator.get(workspace).json()}
    at = "2026-11-24T14:32:00Z"
    assert seen == {"control_plane": at, "node": at, "seed": None}


def test_an_operator_accepts_it(workspace: Workspace, replicas: Drift, operator: Script) -> None:
    answer = operator.decide(replicas, "accept")
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["decision"], shown["ending"], shown["decided_by"]) == ("accept", "accepted", "API key nightly")
    workspace.refresh_from_db()
    assert workspace.wanted == {"replicas": 3}
    assert operator.get(workspace).json() == []


def test_an_operator_has_it_set_back(workspace: Workspace, replicas: Drift, operator: Script) -> None:
    assert operator.decide(replicas, "converge").json()["decision"] == "converge"
    assert [one["decision"] for one in operator.get(workspace).json()] == ["converge"]
    again = operator.decide(replicas, "accept")
    assert (again.status_code, again.json()["code"]) == (409, "already_decided")
    assert again.json()["detail"] == "API key nightly has decided already: to be set back."


def test_a_decision_that_cannot_be_taken_says_what_to_do_instead(
    workspace: Workspace, replicas: Drift, operator: Script
) -> None:
    Drift.objects.update(field="kubernetes_version", wanted="1.34.8", seen="1.35.4")
    answer = operator.decide(replicas, "converge")
    assert (answer.status_code, answer.json()["code"]) == (409, "cannot_be_set_back")
    assert answer["Content-Type"] == "application/problem+json"


def test_another_word_is_no_decision(replicas: Drift, operator: Script) -> None:
    answer = operator.decide(replicas, "ignore")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_who_may_only_look_decides_nothing(replicas: Drift, alice: Account) -> None:
    assert Script("viewer", alice).decide(replicas, "accept").status_code == 403
    assert Drift.objects.get().decision == ""


def test_drift_is_not_found_under_another_workspace(metal: Workspace, replicas: Drift, operator: Script) -> None:
    assert operator.decide(replicas, "accept", of=metal).status_code == 404
    assert Drift.objects.get().decision == ""


def test_a_list_of_a_hundred_costs_as_many_queries_as_one_of_one(
    workspace: Workspace, replicas: Drift, operator: Script
) -> None:
    operator.get(workspace)
    with CaptureQueriesContext(connection) as one:
        operator.get(workspace)
    Drift.objects.bulk_create(
        Drift(workspace=workspace, kind="seed", field=f"f{number}", since=cast.NOW) for number in range(100)
    )
    with CaptureQueriesContext(connection) as many:
        assert len(operator.get(workspace).json()) == 101
    assert len(one) == len(many) <= 8
