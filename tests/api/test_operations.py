"""Operations in the API: how they went, continuing them with risks taken, and leaving a host out."""

from __future__ import annotations

import json
from typing import Any

import django_rq
import pytest
from django.test import Client

from tests import cast
from tests.views import an_upgrade
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import Account, ApiKey, Event, Operation, Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues", "no_outside")]
DRAIN_1 = 7  # five steps of the control plane, then six a host


class Script:
    """A script with an API key of some role, and one operation it is about."""

    def __init__(self, role: str, operation: Operation, by: Account) -> None:
        organization = operation.workspace.project.organization
        text = ApiKey.issue(name="nightly", organization=organization, role=role, created_by=by)[1]
        self.client = Client(headers={"Authorization": f"Bearer {text}"})
        self.at = f"/api/v1/operations/{operation.pk}"

    def seen(self) -> Any:
        return self.client.get(self.at).json()

    def post(self, what: str, body: Any = None) -> Any:
        if body is None:
            return self.client.generic("POST", f"{self.at}/{what}")
        return self.client.post(f"{self.at}/{what}", json.dumps(body), content_type="application/json")


@pytest.fixture
def failed(workspace: Workspace, alice: Account, catalogue_rows: Any) -> Operation:
    """Failed at the drain of the first of three hosts."""
    started = an_upgrade.started(workspace, alice)
    failed = an_upgrade.at(started, DRAIN_1, "failed", state="failed", finished_at=cast.NOW, error_code="budget_blocks")
    failed.steps.filter(position=DRAIN_1).update(cause="budget_blocks", who_can_fix="The owners of shop/web.")
    return failed


@pytest.fixture
def operator(failed: Operation, alice: Account) -> Script:
    return Script("operator", failed, alice)


def test_a_step_says_what_holds_it_up_and_who_can_fix_it(operator: Script) -> None:
    shown = operator.seen()
    drain = shown["steps"][DRAIN_1]
    assert drain == {
        "title": "Drain ledger-prod-w1",
        "host": "ledger-prod-w1",
        "hop": None,
        "state": "failed",
        "attempts": 1,
        "started_at": "2026-11-24T14:13:30Z",
        "finished_at": None,
        "message": "",
        "cause": "budget_blocks",
        "who_can_fix": "The owners of shop/web.",
        "skipped_by": None,
    }
    assert shown["steps"][0]["cause"] is None
    assert (shown["accepted_risks"], shown["state"]) == ([], "failed")
    assert [(hop["from"], hop["to"], hop["workers_move"]) for hop in shown["hops"]] == [("1.34.8", "1.35.7", True)]


def test_of_several_hops_each_step_says_to_which_it_belongs(alice: Account, catalogue_rows: Any) -> None:
    operation = an_upgrade.through(cast.kubernetes("hopping", hosts=1), alice)
    shown = Script("viewer", operation, alice).seen()
    assert [step["hop"] for step in shown["steps"]] == [1] * 5 + [2] * 12
    assert [(hop["from"], hop["to"], hop["workers_move"]) for hop in shown["hops"]] == [
        ("1.34.8", "1.35.7", False),
        ("1.35.7", "1.36.2", True),
    ]


def test_an_operation_of_before_hops_were_kept_has_none(operator: Script, failed: Operation) -> None:
    failed.parameters = {"from": "1.34.8", "to": "1.35.7"}
    failed.save()
    assert operator.seen()["hops"] == []


# --- Continuing -------------------------------------------------------------------------------------------------------
def test_no_body_is_needed_to_continue(operator: Script, failed: Operation) -> None:
    answer = operator.post("retry")
    assert (answer.status_code, answer.json()["state"]) == (202, "pending")
    assert answer["Location"] == operator.at
    assert answer.json() == operator.seen()


def test_risks_are_taken_by_name_once_and_the_trail_has_them(operator: Script, failed: Operation) -> None:
    answer = operator.post("retry", {"accept_risks": ["disruption_budgets", "nodes_ready"]})
    assert answer.status_code == 202
    risk = {"by": "API key nightly", "at": "2026-11-24T14:32:00Z"}
    assert answer.json()["accepted_risks"] == [{"code": "disruption_budgets"} | risk, {"code": "nodes_ready"} | risk]
    event = Event.objects.get(action="upgrade.risk_accepted")
    assert event.changes == {"accept_risks": [None, ["disruption_budgets", "nodes_ready"]]}


@pytest.mark.parametrize("code", ["version_skew", "no_open_operation", "weather", ""])
def test_a_risk_that_nobody_may_take_continues_nothing(operator: Script, failed: Operation, code: str) -> None:
    answer = operator.post("retry", {"accept_risks": ["nodes_ready", code]})
    assert (answer.status_code, answer.json()["code"]) == (409, "unknown_risk")
    assert answer.json()["accept_risks"] == [code]
    failed.refresh_from_db()
    assert (failed.state, failed.accepted_risks) == ("failed", frozenset())


@pytest.mark.parametrize("body", [{"accept_risks": "nodes_ready"}, {"accept": []}, {"accept_risks": [1]}, []])
def test_a_body_of_another_shape_is_refused(operator: Script, failed: Operation, body: Any) -> None:
    assert operator.post("retry", body).status_code == 422
    failed.refresh_from_db()
    assert failed.state == "failed"


# --- Leaving a host out -----------------------------------------------------------------------------------------------
def test_a_host_is_left_out_and_the_rest_goes_on_when_it_is_continued(operator: Script, failed: Operation) -> None:
    answer = operator.post("skip", {"host": "ledger-prod-w1", "reason": "  Its disk is failing "})
    assert (answer.status_code, answer.json()["state"]) == (202, "failed")
    drain = answer.json()["steps"][DRAIN_1]
    assert (drain["state"], drain["skipped_by"], drain["message"]) == (
        "skipped",
        "API key nightly",
        "Its disk is failing",
    )
    assert [step["state"] for step in answer.json()["steps"]].count("skipped") == 3
    assert answer.json()["steps"][10]["state"] == "pending"  # it has been closed to pods, and is opened at its turn
    assert django_rq.get_queue("operations").count == 0
    assert operator.post("retry").json()["state"] == "pending"
    left = failed.steps.exclude(state__in=["done", "skipped"])
    assert [step.title for step in left[:2]] == [
        "Open ledger-prod-w1 to pods again",
        "Install kubeadm 1.35.7 on ledger-prod-w2 and update its node configuration",
    ]


def test_an_open_operation_goes_on_at_once(
    alice: Account, catalogue_rows: Any, django_capture_on_commit_callbacks: Any
) -> None:
    waiting = an_upgrade.at(an_upgrade.started(cast.kubernetes("atlas"), alice), DRAIN_1, "waiting", state="waiting")
    with django_capture_on_commit_callbacks(execute=True):
        answer = Script("operator", waiting, alice).post("skip", {"host": "atlas-w1", "reason": "Dead"})
    assert answer.status_code == 202
    assert [job.args[0] for job in django_rq.get_queue("operations").get_jobs()] == [str(waiting.pk)]


@pytest.mark.parametrize(("host", "code"), [("nobody", "nothing_left"), ("ledger-prod-w1", "nothing_left")])
def test_where_nothing_is_left_to_do_nothing_is_left_out(
    operator: Script, failed: Operation, host: str, code: str
) -> None:
    failed.steps.filter(host="ledger-prod-w1").update(state="done")
    answer = operator.post("skip", {"host": host, "reason": "Dead"})
    assert (answer.status_code, answer.json()["code"]) == (409, code)


def test_what_has_succeeded_leaves_no_host_out(operator: Script, failed: Operation) -> None:
    Operation.objects.filter(pk=failed.pk).update(state="succeeded")
    answer = operator.post("skip", {"host": "ledger-prod-w1", "reason": "Dead"})
    assert (answer.status_code, answer.json()["code"]) == (409, "not_open")


@pytest.mark.parametrize(
    "body",
    [
        {"host": "ledger-prod-w1"},
        {"host": "ledger-prod-w1", "reason": ""},
        {"host": "ledger-prod-w1", "reason": " \t "},
        {"host": "ledger-prod-w1", "reason": "x" * 201},
        {"host": "", "reason": "Dead"},
        {"host": "ledger-prod-w1", "reason": "Dead", "continue": True},
    ],
)
def test_a_host_and_a_reason_are_needed(operator: Script, failed: Operation, body: Any) -> None:
    answer = operator.post("skip", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert not failed.steps.filter(state="skipped").exists()


def test_a_viewer_leaves_nothing_out(failed: Operation, alice: Account) -> None:
    answer = Script("viewer", failed, alice).post("skip", {"host": "ledger-prod-w1", "reason": "Dead"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
