"""How a workspace is, over the API: its conditions with their age, and the diagnosis."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests import cast
from tests.api.test_api import Script
from workspaces.models import Look, ProviderAccount, Workspace
from workspaces.models.health import reassess

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues")]
NOW = cast.NOW


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


@pytest.fixture
def seen(workspace: Workspace) -> Workspace:
    """ledger-prod on a cloud account, everything looked at 12 seconds ago."""
    account = ProviderAccount.objects.create(organization=workspace.project.organization, name="kestrel", token="t")
    workspace.hosts.update(provider_account=account)
    cast.looked_at(workspace, NOW - timedelta(seconds=12))
    reassess([workspace.pk], NOW)
    return workspace


def document(role: str, workspace: Workspace) -> Any:
    answer = Script(role).get(f"/workspaces/{workspace.pk}")
    assert answer.status_code == 200
    return answer.json()


def test_a_condition_says_when_it_was_seen_and_when_the_next_look_is(seen: Workspace) -> None:
    found = document("viewer", seen)
    assert found["diagnosis"] is None
    assert {one["type"]: one["value"] for one in found["conditions"]} == {
        "control_plane": "true",
        "hosts": "true",
        "servers": "true",
        "credentials": "true",
        "fresh": "true",
    }
    assert found["conditions"][1] == {
        "type": "hosts",
        "value": "true",
        "reason": "ready",
        "message": "3 of 3 ready.",
        "error_class": None,
        "who_can_fix": None,
        "since": "2026-11-24T14:32:00Z",
        "observed_at": "2026-11-24T14:31:48Z",
        "next_look_at": "2026-11-24T14:32:48Z",
    }


def test_what_was_not_seen_lately_is_unknown_whatever_is_stored(seen: Workspace) -> None:
    Look.objects.update(succeeded_at=NOW - timedelta(minutes=2))
    found = document("viewer", seen)
    assert {one["value"] for one in found["conditions"]} == {"unknown", "false"}
    assert found["conditions"][-1]["type"] == "fresh"
    assert found["conditions"][1]["error_class"] == "overdue"


def refuse() -> None:
    Look.objects.filter(kind="servers").update(
        felt=True, failures=14, failing_since=NOW - timedelta(minutes=41), error_code="credential",
        error="Hetzner Cloud: unable to authenticate (unauthorized)", who_can_fix="Somebody.",
    )  # fmt: skip
    reassess(Workspace.objects.values_list("pk", flat=True), NOW)


def test_a_diagnosis_names_the_cause_with_the_evidence(seen: Workspace) -> None:
    refuse()
    found = document("viewer", seen)["diagnosis"]
    assert found["cause"] == "credential"
    assert found["headline"] == "Most likely cause: Hetzner Cloud refuses the token of account kestrel"
    assert (found["since"], found["who_can_fix"]) == ("2026-11-24T13:51:00Z", "Somebody.")
    assert found["next_step"] == "Replace the token of account kestrel"
    assert found["checks"][0] == {
        "code": "credentials",
        "name": "Cloud credentials",
        "tone": "bad",
        "value": "refused since 24 Nov 13:51 UTC",
        "note": None,
    }


@pytest.mark.parametrize(
    ("role", "cause", "value"),
    [
        ("viewer", "credential", "not asked"),
        ("administrator", "no_worker", "no worker for ticks and reconcile"),
    ],
)
def test_what_the_queue_tells_is_for_those_who_may_see_it(seen: Workspace, role: str, cause: str, value: str) -> None:
    """No worker runs in this test."""
    refuse()
    found = document(role, seen)["diagnosis"]
    assert (found["cause"], found["checks"][-1]["value"]) == (cause, value)
