"""Rollouts: one version for many workspaces; beginning one, following it, pausing, continuing and stopping it."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Router, Status

from workspaces.api.callers import actor, caller, require
from workspaces.api.paging import page
from workspaces.api.problems import refused
from workspaces.api.rollout_shapes import RolloutBody, RolloutPreviews, RolloutShape, RolloutSummary
from workspaces.api.schemas import Page, ProblemDocument
from workspaces.api.tenancy import Limit
from workspaces.models import Rollout, Workspace
from workspaces.models.kubernetes import catalogue
from workspaces.operations.rollout_preview import NEED, Preview, preview, unknown_risk
from workspaces.operations.rollouts import may_be_changed_by, what_next
from workspaces.rules import lifecycle, upgrades
from workspaces.rules.refusal import Refused

router = Router(tags=["Rollouts"])
_CHANGED = {200: RolloutShape, **dict.fromkeys((403, 404, 409), ProblemDocument)}
_ASKED = ("canary", "at_once", "stop_after", "soak_minutes", "several_hops", "accept_risks")


@router.get("/rollouts", response={200: Page[RolloutSummary], 422: ProblemDocument})
def rollouts(
    request: HttpRequest, state: str | None = None, limit: Limit = 50, cursor: str | None = None
) -> dict[str, Any]:
    """Newest first: all with a workspace that the caller sees."""
    counts: dict[str, Any] = {f"_{name}": Count("members", filter=Q(members__state=name)) for name in lifecycle.MEMBER}
    rows = Rollout.objects.readable(caller(request)).annotate(**counts)
    if state is not None:
        rows = rows.filter(state=state)
    return page(rows, "-created_at", limit, cursor, _summary)


@router.post(
    "/rollouts",
    response={200: RolloutPreviews, 201: RolloutShape, **dict.fromkeys((403, 404, 409, 422), ProblemDocument)},
    by_alias=True,
)
def begin(request: HttpRequest, body: RolloutBody) -> Any:
    """Begin one: the first upgrade starts within seconds. Each upgrade is an operation of its own.

    A workspace that is refused when its turn comes is left as it is, with the reason; one that runs the version already
    is left out.
    """
    chosen = _chosen(request, body.workspaces)
    found = upgrades.find(body.version, catalogue())
    if isinstance(found, Refused):
        raise refused(found)
    if refusal := unknown_risk(body.accept_risks):
        raise refused(refusal)
    if body.dry_run:
        seen = preview(chosen, found.version, body.several_hops, timezone.now())
        return Status(200, {"version": found.version, "would": [_would(one) for one in seen]})
    rollout = Rollout.begin(
        found.version, chosen, actor=actor(request), **{name: getattr(body, name) for name in _ASKED}
    )
    return HttpResponse(
        RolloutShape.model_validate(_whole(request, rollout)).model_dump_json(),
        status=201,
        content_type="application/json",
        headers={"Location": f"/api/v1/rollouts/{rollout.pk}"},
    )


def _chosen(request: HttpRequest, keys: list[UUID]) -> list[Workspace]:
    """The workspaces in the order given, each once: 404 for what the caller does not see, 403 without the right."""
    present = Workspace.objects.allowing(caller(request)).exclude(state="deleted")
    known = present.with_plan().in_bulk(set(keys))
    if len(known) < len(set(keys)):
        raise Http404
    for workspace in {workspace.project_id: workspace for workspace in known.values()}.values():
        require(request, workspace, NEED)
    return [known[key] for key in dict.fromkeys(keys)]


def _would(one: Preview) -> dict[str, Any]:
    return {
        "workspace": one.workspace,
        "outcome": one.outcome,
        "hops": one.hops,
        "refused": {"code": one.refused.code, "message": one.refused.message} if one.refused else None,
        "waits_for": one.waits_for,
        "estimate": one.estimate,
    }


# --- One rollout ------------------------------------------------------------------------------------------------------
@router.get("/rollouts/{uuid:pk}", response={200: RolloutShape, 404: ProblemDocument})
def rollout(request: HttpRequest, pk: UUID) -> dict[str, Any]:
    """One rollout with its members."""
    return _whole(request, _readable(request, pk))


@router.post("/rollouts/{uuid:pk}/pause", response=_CHANGED)
def pause(request: HttpRequest, pk: UUID) -> dict[str, Any]:
    """Start nothing more for now; upgrades that run go on to their end."""
    row = _changeable(request, pk)
    return _changed(request, row, row.pause(actor(request)))


@router.post("/rollouts/{uuid:pk}/continue", response=_CHANGED)
def proceed(request: HttpRequest, pk: UUID) -> dict[str, Any]:
    """Go on after a pause: the failures so far count no longer."""
    row = _changeable(request, pk)
    return _changed(request, row, row.resume(actor(request)))


@router.post("/rollouts/{uuid:pk}/stop", response=_CHANGED)
def stop(request: HttpRequest, pk: UUID) -> dict[str, Any]:
    """Start nothing more for good; upgrades that run go on to their end."""
    row = _changeable(request, pk)
    return _changed(request, row, row.stop(actor(request)))


def _readable(request: HttpRequest, pk: UUID) -> Rollout:
    found: Rollout | None = Rollout.objects.readable(caller(request)).filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def _changeable(request: HttpRequest, pk: UUID) -> Rollout:
    row = _readable(request, pk)
    if not may_be_changed_by(row, caller(request)):
        raise PermissionDenied("This needs the right to start upgrades on every workspace of the rollout.")
    return row


def _changed(request: HttpRequest, row: Rollout, refusal: Refused | None) -> dict[str, Any]:
    if refusal:
        raise refused(refusal)
    return _whole(request, row)


# --- Shapes -----------------------------------------------------------------------------------------------------------
def _summary(row: Rollout) -> dict[str, Any]:
    """A row of the list, which has counted its members."""
    return _fields(row) | {"counts": {state: getattr(row, f"_{state}") for state in lifecycle.MEMBER}}


def _fields(row: Rollout) -> dict[str, Any]:
    told = ("id", "title", "state", "state_reason", "requested_by", "created_at", "canary_passed_at", "finished_at")
    return {name: getattr(row, name) for name in (*told, *_ASKED)} | {"version": row.target}


def _whole(request: HttpRequest, row: Rollout) -> dict[str, Any]:
    """With its members in order: those of workspaces that the caller sees, the others only counted."""
    members = list(row.members.select_related("workspace").order_by("position"))
    visible = Workspace.objects.allowing(caller(request)).filter(rollout_members__rollout=row)
    seen = set(visible.values_list("pk", flat=True))
    count = Counter(member.state for member in members)
    told = ("workspace", "canary", "state", "message")
    return _fields(row) | {
        "counts": {state: count[state] for state in lifecycle.MEMBER},
        "next": what_next(row, members, timezone.now()).sentence if row.state == "running" else row.state_reason,
        "members": [
            {name: getattr(member, name) for name in told} | {"operation": member.operation_id}
            for member in members
            if member.workspace_id in seen
        ],
        "hidden": sum(member.workspace_id not in seen for member in members),
    }
