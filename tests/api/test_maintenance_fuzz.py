"""PATCH of the maintenance plan under everything a script may send: refused whole, or stored as the rules merge it.

Single answers are in `test_api.py`, the rules' own properties in `tests/rules/test_maintenance_properties.py`.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests import cast
from tests.api.maintenance_bodies import MERGE_PATCH, bodies, kinds, plans, tags
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import Account, ApiKey, Event, MaintenancePlan, Workspace
from workspaces.rules import maintenance as rules

pytestmark = pytest.mark.usefixtures("no_outside", "empty_queues")
fuzzed = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TITLES = {
    400: "Bad request",
    412: "Changed meanwhile",
    415: "Unsupported media type",
    422: "Invalid input",
}


# --- Who sends it -----------------------------------------------------------------------------------------------------
@pytest.fixture(autouse=True)
def no_limit(settings: Any) -> None:
    """Hundreds of requests within a minute are meant."""
    settings.LOOPBACK_API_REQUESTS_PER_MINUTE = 1_000_000


class Sender:
    """A key of some role, and the one workspace it is used on."""

    def __init__(self, role: str, workspace: Workspace) -> None:
        creator = Account.objects.get_or_create(email="keys@loopback.example", is_superuser=True)[0]
        text = ApiKey.issue(name=role, organization=workspace.project.organization, role=role, created_by=creator)[1]
        self.workspace, self.may_disable = workspace, role == "administrator"
        self.client = Client(headers={"Authorization": f"Bearer {text}"})
        self.url = f"/api/v1/workspaces/{workspace.pk}/maintenance"

    def holds(self, plan: rules.Plan) -> rules.Plan:
        """Make this the stored plan, at version 1; on bare metal without its Kubernetes flag."""
        if self.workspace.type == "baremetal":
            plan = replace(plan, kubernetes_auto_upgrade=None)
        MaintenancePlan.objects.filter(pk=self.workspace.pk).update(
            **dict(zip(MaintenancePlan.HOURS, plan.hours, strict=True)),
            enabled=plan.enabled,
            priority_hour=plan.priority_hour,
            compute_auto_update=plan.compute_auto_update,
            kubernetes_auto_upgrade=plan.kubernetes_auto_upgrade,
            version=1,
            disabled_at=None,
            disabled_by="",
            updated_at=cast.NOW,
        )
        return plan

    def row(self) -> dict[str, Any]:
        """All that is stored of the plan."""
        return MaintenancePlan.objects.values().get(pk=self.workspace.pk)

    def patch(self, body: bytes, kind: str, tag: str | None = None) -> Any:
        """Send it. The client would raise what the application does not answer."""
        headers = {} if tag is None else {"If-Match": tag}
        return self.client.patch(self.url, body, content_type=kind, headers=headers)


def last_event() -> int:
    """The newest event's key."""
    return Event.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def actions_since(event: int) -> list[str]:
    """What has been told since: what somebody did, and which row the database saw change."""
    return sorted(Event.objects.filter(pk__gt=event).values_list("action", flat=True))


@pytest.fixture(params=["administrator", "operator"])
def role(request: pytest.FixtureRequest) -> str:
    """Whose key it is."""
    return request.param


@pytest.fixture(params=["kubernetes", "baremetal"])
def sender(request: pytest.FixtureRequest, role: str, db: None) -> Sender:
    """A key of each role on a workspace of each type."""
    return Sender(role, getattr(cast, request.param)(hosts=0))


# --- What must hold ---------------------------------------------------------------------------------------------------
def check_problem(answer: Any, body: bytes) -> None:
    """A problem document; of a 422 each error names a place that is in the body."""
    assert answer["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["type"], problem["status"]) == ("about:blank", answer.status_code)
    assert problem["title"] == TITLES[answer.status_code]
    assert problem["code"]
    assert problem["detail"]
    assert ("errors" in problem) is (answer.status_code == 422)
    assert ("current" in problem) is (answer.status_code == 412)
    for error in problem.get("errors", []):
        assert error["code"]
        assert error["msg"]
        place, (first, *parts) = json.loads(body), error["loc"]
        assert first == "body"
        for part in parts:
            assert part in place
            place = place[part]


def check_stored(sender: Sender, before: rules.Plan, answer: Any, body: bytes, kind: str, event: int) -> None:
    """What is stored is what the rules merge, and what is shown is what is stored."""
    wanted = rules.merge(
        before,
        json.loads(body),
        may_disable=sender.may_disable,
        semantics="merge-patch" if kind.startswith(MERGE_PATCH) else "json",
        workspace_type=sender.workspace.type,
    )
    changed = wanted.plan != before
    assert actions_since(event) == [
        *(["maintenance.changed"] if changed or wanted.notes else []),
        *(["maintenance_plan.changed"] if changed else []),
    ]
    stored = MaintenancePlan.objects.get(pk=sender.workspace.pk)
    assert stored.as_rule() == wanted.plan
    assert stored.version == (2 if changed else 1)
    assert (stored.updated_at != cast.NOW) is changed
    shown = answer.json()
    assert shown.pop("notes") == [{"code": note.code, "message": note.message} for note in wanted.notes]
    assert {name: value for name, value in shown.items() if name != "updated_at"} == rules.document(wanted.plan)
    read = sender.client.get(sender.url)
    assert read.json() == shown
    assert read["ETag"] == answer["ETag"] == f'"{stored.version}"'


WEEKLY = rules.Plan(True, (2,) * 7, 22, compute_auto_update=True, kubernetes_auto_upgrade=True)


@given(plans, bodies, kinds, tags)
@example(WEEKLY, b'{"enabled": false, "schedule": {"6": 4}}', MERGE_PATCH, '"1"')
@example(WEEKLY, b'{"priority_hour": 4}', "application/json", '"2"')
@example(WEEKLY, b'{"schedule": {"0": 24}}', "application/json", None)
@example(WEEKLY, b'{"priority_hour": NaN}', "application/json", None)
@example(WEEKLY, b"{}", "text/plain", None)
@fuzzed
@pytest.mark.timeout(300)  # hundreds of requests, perhaps on a busy machine
def test_whatever_is_sent_is_refused_whole_or_stored_as_the_rules_merge_it(
    sender: Sender, plan: rules.Plan, body: bytes, kind: str, tag: str | None
) -> None:
    before = sender.holds(plan)
    row, event = sender.row(), last_event()
    answer = sender.patch(body, kind, tag)
    assert answer.status_code in (200, 400, 412, 415, 422)
    if answer.status_code == 200:
        check_stored(sender, before, answer, body, kind, event)
        assert tag in (None, "*") or re.fullmatch(r'[\s"]*0*1[\s"]*', tag)
    else:
        check_problem(answer, body)
        assert answer.status_code != 412 or tag not in (None, "*", '"1"')
        assert sender.row() == row
        assert actions_since(event) == []


@given(plans, plans, st.sampled_from(["application/json", MERGE_PATCH]))
@settings(fuzzed, max_examples=30)
def test_every_whole_plan_goes_in_and_comes_out_as_it_was_and_sent_back_changes_nothing(
    sender: Sender, plan: rules.Plan, wanted: rules.Plan, kind: str
) -> None:
    before = sender.holds(plan)
    if before.kubernetes_auto_upgrade is None:
        wanted = replace(wanted, kubernetes_auto_upgrade=None)
    if not sender.may_disable:
        wanted = replace(wanted, enabled=before.enabled)
    answer = sender.patch(json.dumps(rules.document(wanted)).encode(), kind)
    assert (answer.status_code, answer.json()["notes"]) == (200, [])
    read = sender.client.get(sender.url)
    assert {name: value for name, value in read.json().items() if name != "updated_at"} == rules.document(wanted)
    row, event = sender.row(), last_event()
    again = sender.patch(answer.content, kind, read["ETag"])
    assert (again.status_code, again.json()) == (200, read.json() | {"notes": []})
    assert (sender.row(), actions_since(event)) == (row, [])


def test_a_body_of_many_megabytes_is_refused_and_nothing_is_stored(sender: Sender) -> None:
    row, event = sender.row(), last_event()
    answer = sender.patch(b'{"window": "' + b"x" * 5_000_000 + b'"}', "application/json")
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert (sender.row(), actions_since(event)) == (row, [])


@pytest.mark.django_db(transaction=True)
def test_of_two_who_save_what_both_have_read_one_is_told_that_the_other_was_first() -> None:
    sender = Sender("administrator", cast.kubernetes(hosts=0))
    for turn in range(1, 6):
        tag, start, answers = sender.client.get(sender.url)["ETag"], threading.Barrier(2), {}

        def save(hour: int, tag: str = tag, start: Any = start, answers: dict[int, Any] = answers) -> None:
            try:
                start.wait(10)
                answers[hour] = sender.patch(json.dumps({"priority_hour": hour}).encode(), MERGE_PATCH, tag)
            finally:
                connection.close()

        threads = [threading.Thread(target=save, args=(2 * turn + more,)) for more in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert sorted(answer.status_code for answer in answers.values()) == [200, 412]
        (first,) = (hour for hour, answer in answers.items() if answer.status_code == 200)
        (late,) = (answer.json() for answer in answers.values() if answer.status_code == 412)
        assert late["current"]["priority_hour"] == sender.row()["priority_hour"] == first
        assert sender.row()["version"] == turn + 1
        assert Event.objects.filter(action="maintenance.changed").count() == turn
