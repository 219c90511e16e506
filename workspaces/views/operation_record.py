"""Everything about an operation as one JSON document, to be kept as evidence: from rows only, the same bytes each time.

Times are RFC 3339 in UTC. The trail of the workspace, with every row change, is the audit export's (`audit_export.py`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from workspaces.models import Operation, Preflight, Step
from workspaces.views.access import get_operation, login_required

_OF_OPERATION: Final = (
    "kind", "title", "state", "requested_by", "requested_by_kind", "created_at", "started_at", "finished_at",
    "irreversible_since", "stop_requested_at", "stop_requested_by", "lane", "window_opens_at", "window_closes_at",
    "pause_reason",
)  # fmt: skip
_OF_STEP: Final = (
    "position", "key", "title", "host", "stage", "hop", "state", "attempts", "started_at", "finished_at", "message",
    "cause", "who_can_fix", "skipped_by", "safe_to_stop", "irreversible",
)  # fmt: skip
_OF_LINE: Final = ("at", "source", "level", "text")
_OF_PACKAGE: Final = ("host_name", "package", "from_version", "to_version", "security", "installed_at")
_OF_PREFLIGHT: Final = ("target", "asked_by", "asked_at", "finished_at", "checks", "blast", "error")


@login_required
@require_safe
def record(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The document, to be stored as a file."""
    found = get_operation(request, pk)
    body = json.dumps(document(found), sort_keys=True, indent=2, ensure_ascii=False, default=_plain)
    response = HttpResponse(f"{body}\n", content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="operation-{found.pk}.json"'
    return response


def document(found: Operation) -> dict[str, Any]:
    """The operation with its plan, preflights, accepted risks, steps, log and installed packages (four queries)."""
    steps = list(found.steps.order_by("position"))
    project = found.workspace.project
    accepted = found.parameters.get("accepted_risks", [])
    return {
        "operation": {"id": str(found.pk)} | _fields(found, _OF_OPERATION) | {"error": _error(found)},
        "workspace": {
            "id": str(found.workspace_id),
            "name": found.workspace.name,
            "project": project.name,
            "organization": project.organization.name,
        },
        "plan": {name: value for name, value in found.parameters.items() if name != "accepted_risks"},
        "accepted_risks": accepted,
        "versions": _versions(found, steps),
        "preflights": [_preflight(one) for one in found.preflights.order_by("asked_at", "pk")],
        "steps": [_fields(step, _OF_STEP) for step in steps],
        "log": [_fields(line, _OF_LINE) for line in found.lines.order_by("pk")],
        "packages": [_fields(one, _OF_PACKAGE) for one in found.package_updates.order_by("host_name", "package", "pk")],
    }


def _fields(row: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _error(found: Operation) -> dict[str, str] | None:
    if not found.error_code:
        return None
    return {"code": found.error_code, "message": found.error_message, "who_can_fix": found.error_who_can_fix}


def _preflight(one: Preflight) -> dict[str, Any]:
    return {"id": str(one.pk)} | _fields(one, _OF_PREFLIGHT)


def _versions(found: Operation, steps: Sequence[Step]) -> dict[str, Any] | None:
    """Before, and after as the steps have confirmed it: what runs today is not this operation's. None: none moved."""
    if "to" not in found.parameters:
        return None
    done = [step for step in steps if step.state == "done"]
    reached = [_to(found, step) for step in done if step.key == "confirm"]
    hosts: dict[str, str | None] = {step.host: None for step in steps if step.key == "verify"}
    hosts |= {step.host: _to(found, step) for step in done if step.key == "verify"}
    return {
        "before": found.parameters["from"],
        "asked_for": found.parameters["to"],
        "control_plane_confirmed": reached[-1] if reached else None,
        "hosts_verified": hosts,
    }


def _to(found: Operation, step: Step) -> str:
    return str(step.arguments.get("to") or found.parameters["to"])


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} has no place in a record")
