"""The OpenAPI document is what the API does: tried with generated requests, as an administrator and as a viewer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from loopback.wsgi import application
from tests import cast
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import PLATFORM, Account, ApiKey, Deletion, Hold, Inventory, Operation, StepPlan, Workspace
from workspaces.rules.deletion_plan import Plan

pytestmark = pytest.mark.usefixtures("no_outside", "empty_queues")
RECEIPT = {
    **{name: [] for name in ("removed", "kept", "left_over", "not_asked", "stops_costing", "goes_on_costing")},
    "by": "Alice",
    "requested_at": "2026-11-24T14:32:00Z",
    "begun_at": "2026-11-25T14:32:00Z",
    "ended_at": "2026-11-25T14:52:00Z",
    "forgotten": None,
}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture
def one_connection() -> Iterator[None]:
    """The application asks in the test's own transaction, as Django's test client has it."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def keys(alice: Account, workspace: Workspace, metal: Workspace, catalogue_rows: Any) -> dict[str, dict[str, str]]:
    """The header of each role's key."""
    organization = workspace.project.organization
    texts = {
        role: ApiKey.issue(name=role, organization=organization, role=role, created_by=alice)[1]
        for role in ("administrator", "viewer")
    }
    return {role: {"Authorization": f"Bearer {text}"} for role, text in texts.items()}


@pytest.fixture
def real(workspace: Workspace, metal: Workspace) -> dict[str, list[str]]:
    """Ids that are there, by what an address is about."""
    busy = cast.kubernetes("rates-engine", hosts=1)
    operation = Operation.start(busy, "upgrade", "Upgrade", [StepPlan("one", "One")], actor=PLATFORM)
    assert isinstance(operation, Operation)
    now = timezone.now()
    ends = now + timedelta(days=1)
    Inventory.objects.create(workspace=workspace, asked_at=now, looked_at=now)
    return {
        "workspaces": [str(row.pk) for row in (workspace, metal, busy, _deleted())],
        "operations": [str(operation.pk)],
        "holds": [str(Hold.objects.create(reason="Fair", expires_at=ends, project=workspace.project).pk)],
        "projects": [str(workspace.project_id), str(cast.project("Customs").pk)],
    }


def _deleted() -> Workspace:
    """One that is gone, with the receipt."""
    gone, now = cast.kubernetes("gone", hosts=0, state="deleted"), timezone.now()
    Deletion.objects.create(
        workspace=gone, state="done", begins_at=now, ended_at=now, plan=Plan(()).document(), receipt=RECEIPT
    )
    return gone


@pytest.mark.usefixtures("one_connection")
@pytest.mark.parametrize("role", ["administrator", "viewer"])
def test_no_request_breaks_the_api_and_every_answer_is_as_documented(
    role: str, keys: dict[str, dict[str, str]], real: dict[str, list[str]], settings: Any
) -> None:
    settings.LOOPBACK_API_REQUESTS_PER_MINUTE = 1_000_000
    document = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", application)
    operations = [found.ok() for found in document.get_all_operations()]
    assert len(operations) > 15
    for operation in operations:

        @given(case=operation.as_strategy())
        @hypothesis_settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        def answered_as_documented(case: Any) -> None:
            _make_real(case, real)
            case.call_and_validate(headers=keys[role], checks=CHECKS)

        answered_as_documented()


def _make_real(case: Any, real: dict[str, list[str]]) -> None:
    """Random ids meet only 404: three requests in four are about something that is there."""
    chance = len(repr(case.query)) + len(repr(case.body))
    if "pk" in case.path_parameters and chance % 4:
        ids = real[next((noun for noun in ("operations", "holds") if f"/{noun}/" in case.path), "workspaces")]
        case.path_parameters["pk"] = ids[chance % len(ids)]
    if isinstance(case.body, dict) and "project" in case.body:
        case.body["project"] = real["projects"][chance % 2]
    if isinstance(case.body, dict) and "confirm_name" in case.body and chance % 2:
        case.body["confirm_name"] = "ledger-prod"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nowhere", 404, "not_found"),
        ("DELETE", "/api/v1/me", 405, "method_not_allowed"),
        ("GET", "/api/v1/me", 401, "unauthenticated"),
    ],
)
def test_every_error_under_the_prefix_is_a_problem_document(
    db: None, method: str, path: str, status: int, code: str
) -> None:
    response = Client().generic(method, path)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response["Content-Type"] == "application/problem+json"


def test_a_session_without_the_csrf_token_gets_a_problem_document(alice: Account, workspace: Workspace) -> None:
    client = cast.sign_in(Client(enforce_csrf_checks=True), alice)
    response = client.post(f"/api/v1/workspaces/{workspace.pk}/reconcile")
    assert (response.status_code, response.json()["code"]) == (403, "csrf_failed")
