"""Changing a certificate authority by script: what it would do, and doing it."""

from __future__ import annotations

import pytest
from django.utils import timezone

from tests.api.deletion_scripts import Script, problem
from workspaces.models import Kubeconfig, Operation, Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues")]
BODY = {"confirm_name": "ledger-prod", "reason": "A laptop was stolen"}


@pytest.fixture
def workspace(workspace: Workspace) -> Workspace:
    workspace.hosts.update(ready=True, ansible={"ansible_host": "203.0.113.9"})
    return workspace


def test_it_says_what_would_end_and_join_again(workspace: Workspace) -> None:
    one = Kubeconfig.objects.create(
        workspace=workspace, requested_by="Bob Berger", state="taken", taken_at=timezone.now(), reason="CI"
    )
    told = Script("administrator").send("GET", workspace, "ca-rotation").json()
    (ending,) = told["kubeconfigs"]
    assert (ending["id"], ending["kind"], ending["requested_by"]) == (str(one.pk), "admin", "Bob Berger")
    assert ending["valid_until"] is None
    assert told["hosts"] == list(workspace.hosts.order_by("name").values_list("name", flat=True))
    assert (told["control_plane_replicas"], told["refused"]) == (2, None)


def test_what_stands_against_it_is_told_without_asking_for_it(workspace: Workspace) -> None:
    Workspace.objects.update(state="gated")
    told = Script("administrator").send("GET", workspace, "ca-rotation").json()
    assert told["refused"]["code"] == "gated"


def test_it_begins_and_answers_with_the_operation(workspace: Workspace) -> None:
    answer = Script("administrator").send("POST", workspace, "ca-rotation", BODY)
    operation = Operation.objects.get()
    assert (answer.status_code, answer["Location"]) == (202, f"/api/v1/operations/{operation.pk}")
    assert answer.json()["kind"] == "ca_rotation"
    assert operation.steps.filter(key="rejoin").count() == workspace.hosts.count()


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"confirm_name": "ledger"}, 409, "wrong_name"),
        ({"reason": "  "}, 409, "no_reason"),
        ({"reason": ""}, 422, "invalid"),
        ({"force": True}, 422, "invalid"),
    ],
)
def test_what_does_not_fit_is_refused(workspace: Workspace, changed: dict[str, object], status: int, code: str) -> None:
    answer = Script("administrator").send("POST", workspace, "ca-rotation", BODY | changed)
    assert problem(answer)[:2] == (status, code)
    assert not Operation.objects.exists()


def test_an_operators_key_may_neither_look_nor_begin(workspace: Workspace) -> None:
    script = Script("operator")
    assert script.send("GET", workspace, "ca-rotation").status_code == 403
    assert script.send("POST", workspace, "ca-rotation", BODY).status_code == 403
    assert Script("administrator", of="Another").send("GET", workspace, "ca-rotation").status_code == 404
