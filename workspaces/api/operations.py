"""Operations: what is being done, what was done, stopping and continuing."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from ninja import Router

from workspaces.api.callers import actor, caller, get_operation, require
from workspaces.api.paging import page
from workspaces.api.problems import refused
from workspaces.api.schemas import OperationShape, OperationSummary, Page, ProblemDocument, RetryBody, SkipBody
from workspaces.api.tenancy import Limit
from workspaces.models import Operation, Step, Workspace
from workspaces.operations import dispatch

router = Router(tags=["Operations"])


@router.get("/operations", response={200: Page[OperationSummary], 404: ProblemDocument, 422: ProblemDocument})
def operations(
    request: HttpRequest,
    workspace: UUID | None = None,
    kind: str | None = None,
    state: str | None = None,
    limit: Limit = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Newest first."""
    visible = Workspace.objects.allowing(caller(request))
    if workspace is not None and not visible.filter(pk=workspace).exists():
        raise Http404
    wanted = {"workspace": workspace, "kind": kind, "state": state}
    rows = Operation.objects.filter(
        workspace__in=visible, **{field: value for field, value in wanted.items() if value is not None}
    )
    return page(rows.select_related("workspace"), "-created_at", limit, cursor, summary)


@router.get("/operations/{uuid:pk}", response={200: OperationShape, 404: ProblemDocument}, by_alias=True)
def operation(request: HttpRequest, pk: UUID) -> dict[str, Any]:
    """One operation with its steps."""
    return whole(get_operation(request, pk))


@router.post(
    "/operations/{uuid:pk}/stop", response={202: OperationShape, **dict.fromkeys((403, 404, 409), ProblemDocument)}
)
def stop(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Stop at the next safe point: never within a host."""
    row = get_operation(request, pk, need="operation.stop")
    if refusal := row.request_stop(actor(request)):
        raise refused(refusal)
    dispatch.run_soon(row.pk)
    return accepted(row)


@router.post(
    "/operations/{uuid:pk}/retry",
    response={202: OperationShape, **dict.fromkeys((403, 404, 409, 422), ProblemDocument)},
)
def retry(request: HttpRequest, pk: UUID, body: RetryBody | None = None) -> HttpResponse:
    """Continue from the step at which it failed or was stopped; a body is only needed to take risks.

    A deletion or a change of the certificate authority is continued by who may start one.
    """
    row = _continuable(request, pk)
    accept = body.accept_risks if body else []
    if refusal := row.retry(actor(request), accept):
        raise refused(refusal)
    dispatch.run_soon(row.pk)
    return accepted(row)


@router.post(
    "/operations/{uuid:pk}/skip",
    response={202: OperationShape, **dict.fromkeys((403, 404, 409, 422), ProblemDocument)},
)
def skip(request: HttpRequest, pk: UUID, body: SkipBody) -> HttpResponse:
    """Leave a host as it is; the others go on. An operation that has ended goes on when it is continued."""
    row = _continuable(request, pk)
    if refusal := row.skip_host(body.host, body.reason.strip(), actor(request)):
        raise refused(refusal)
    if row.is_open and row.state != "paused":
        dispatch.run_soon(row.pk)
    return accepted(row)


def _continuable(request: HttpRequest, pk: UUID) -> Operation:
    """The operation, for a caller who may continue work, and this kind of it."""
    row = get_operation(request, pk, need="operation.retry")
    require(request, row.workspace, row.continued_by)
    return row


def accepted(row: Operation) -> HttpResponse:
    """202 with the operation's address and the operation as body."""
    body = OperationShape.model_validate(whole(row)).model_dump_json(by_alias=True)
    return HttpResponse(
        body, status=202, content_type="application/json", headers={"Location": f"/api/v1/operations/{row.pk}"}
    )


def summary(row: Operation) -> dict[str, Any]:
    """A row of the list."""
    error = {"code": row.error_code, "message": row.error_message, "who_can_fix": row.error_who_can_fix}
    return {
        "id": row.pk,
        "kind": row.kind,
        "state": row.state,
        "title": row.title,
        "workspace": {"id": row.workspace_id, "name": row.workspace.name},
        "requested_by": row.requested_by,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "irreversible_since": row.irreversible_since,
        "stop_requested_at": row.stop_requested_at,
        "error": error if row.error_code else None,
    }


def whole(row: Operation) -> dict[str, Any]:
    """The operation with its plan, the risks taken, and its steps in order."""
    hops = row.parameters.get("hops", [])
    return summary(row) | {
        "hops": [
            {name: value for name, value in hop.items() if name != "from"} | {"from_": hop["from"]} for hop in hops
        ],
        "accepted_risks": row.parameters.get("accepted_risks", []),
        "steps": [_step(step) for step in row.steps.order_by("position")],
    }


def _step(step: Step) -> dict[str, Any]:
    always = ("title", "state", "attempts", "started_at", "finished_at", "message")
    where_known = ("host", "hop", "cause", "who_can_fix", "skipped_by")
    return {name: getattr(step, name) for name in always} | {name: getattr(step, name) or None for name in where_known}
