"""The maintenance plan: read, patched in two content types, forecast, and what was decided."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from ninja import Query, Router
from pydantic import AwareDatetime

from workspaces.api.callers import actor, caller, get_workspace
from workspaces.api.paging import page
from workspaces.api.problems import Problem, refused
from workspaces.api.schemas import DecisionShape, ForecastShape, Page, ProblemDocument
from workspaces.api.tenancy import Limit
from workspaces.models import Decision, MaintenancePlan
from workspaces.models.maintenance import StaleVersion
from workspaces.models.outlook import look
from workspaces.rules import lifecycle, planner
from workspaces.rules import maintenance as rules
from workspaces.rules.situation import refuse_leaving

router = Router(tags=["Maintenance"])
SEMANTICS: dict[str, rules.Semantics] = {"application/json": "json", "application/merge-patch+json": "merge-patch"}


@router.get("/workspaces/{uuid:pk}/maintenance", response={200: dict[str, Any], 404: ProblemDocument})
def get(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The whole plan; the ETag names its version for If-Match."""
    return _answer(get_workspace(request, pk).maintenance_plan)


@router.patch(
    "/workspaces/{uuid:pk}/maintenance",
    response={200: dict[str, Any], **dict.fromkeys((400, 403, 404, 409, 412, 415, 422), ProblemDocument)},
    openapi_extra={
        "requestBody": {"required": True, "content": {kind: {"schema": {"type": "object"}} for kind in SEMANTICS}}
    },
)
def patch(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Change it. With `application/json` an omitted `compute` or `kubernetes` block turns that flag off, and a note
    says so; `application/merge-patch+json` leaves omitted parts alone.
    """
    workspace = get_workspace(request, pk, need="maintenance.edit")
    if workspace.state in lifecycle.GONE and (refusal := refuse_leaving(workspace.state)):
        raise refused(refusal)
    semantics = SEMANTICS.get(request.content_type or "")
    if semantics is None:
        raise Problem(415, "unsupported_media_type", f"Send one of {', '.join(SEMANTICS)}.")
    document = _document(request)
    problems = rules.validate(document, workspace.type)
    if problems:
        errors = [{"loc": ["body", *one.loc], "msg": one.msg, "code": one.code} for one in problems]
        raise Problem(422, "invalid", "; ".join(one.msg for one in problems), errors=errors)
    try:
        plan, notes = MaintenancePlan.apply(
            workspace,
            document,
            actor=actor(request),
            may_disable=caller(request).allows("maintenance.disable", workspace.project),
            semantics=semantics,
            seen_version=_if_match(request),
        )
    except StaleVersion as stale:
        raise Problem(
            412, "changed_meanwhile", "Somebody else has saved this plan since it was read.", current=_shown(stale.plan)
        ) from stale
    return _answer(plan, notes=[{"code": note.code, "message": note.message} for note in notes])


def _document(request: HttpRequest) -> Any:
    try:
        return json.loads(request.body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Problem(400, "invalid_json", "The body is not JSON.") from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _if_match(request: HttpRequest) -> int | None:
    """The version named by If-Match; one that cannot be ours matches nothing."""
    header = request.headers.get("If-Match", "*").strip()
    if header == "*":
        return None
    text = header.strip('"')
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _shown(plan: MaintenancePlan) -> dict[str, Any]:
    updated = plan.updated_at.isoformat(timespec="seconds").replace("+00:00", "Z")
    return rules.document(plan.as_rule()) | {"updated_at": updated}


def _answer(plan: MaintenancePlan, **more: Any) -> HttpResponse:
    return JsonResponse(_shown(plan) | more, headers={"ETag": f'"{plan.version}"'})


@router.get(
    "/workspaces/{uuid:pk}/maintenance/forecast",
    response={200: list[ForecastShape], 404: ProblemDocument, 422: ProblemDocument},
)
def forecast(request: HttpRequest, pk: UUID, days: Annotated[int, Query(ge=1, le=31)] = 7) -> list[dict[str, Any]]:
    """What each coming window would do, why, and what would stop it: the scheduler's own planner."""
    workspace = get_workspace(request, pk)
    plan, now = workspace.maintenance_plan.as_rule(), timezone.now()
    return [
        {
            "lane": one.window.lane,
            "opens_at": one.window.opens_at,
            "would": [work.sentence for work in one.work],
            "reasons": [{"code": reason.code, "message": reason.message} for reason in one.reasons],
            "blocked_by": [{"code": reason.code, "message": reason.message} for reason in one.blocked_by],
        }
        for one in planner.forecast(plan, look(workspace, now).facts, now, days)
    ]


@router.get(
    "/workspaces/{uuid:pk}/maintenance/decisions",
    response={200: Page[DecisionShape], 404: ProblemDocument, 422: ProblemDocument},
)
def decisions(
    request: HttpRequest,
    pk: UUID,
    lane: Literal["routine", "priority"] | None = None,
    outcome: Literal["waiting", "started", "nothing", "blocked", "missed"] | None = None,
    opens_after: AwareDatetime | None = None,
    opens_before: AwareDatetime | None = None,
    limit: Limit = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """What past windows did and why, newest first: from `opens_after` on and before `opens_before`, where given."""
    asked = {"lane": lane, "outcome": outcome, "opens_at__gte": opens_after, "opens_at__lt": opens_before}
    narrowed = {lookup: value for lookup, value in asked.items() if value is not None}
    rows = Decision.objects.filter(workspace=get_workspace(request, pk), **narrowed)
    return page(rows, "-opens_at", limit, cursor, _decision)


def _decision(row: Decision) -> dict[str, Any]:
    nothing: dict[str, Any] = {"work": [], "reasons": [], "blocked_by": [], "limit": None, "place": None}
    return {
        "id": row.pk,
        "lane": row.lane,
        "opens_at": row.opens_at,
        "outcome": row.outcome,
        "reason": row.reason,
        "message": row.message,
        "evidence": nothing | row.evidence,
        "operation": row.operation_id,
        "decided_at": row.decided_at,
    }
