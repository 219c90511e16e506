"""Drift: what of a workspace is not as wanted, who changed it, and what a person decides about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.db.models import Q
from django.http import Http404, HttpRequest
from ninja import Router, Schema

from workspaces.api.callers import actor, get_workspace
from workspaces.api.problems import refused
from workspaces.api.schemas import ProblemDocument, Time
from workspaces.models import Drift, Look, Workspace
from workspaces.operations.drift import decide
from workspaces.rules import looks

router = Router(tags=["Drift"])

# By which loop the drift of each kind is seen.
SEEN_BY: Mapping[str, str] = {
    "control_plane": looks.CONTROL_PLANES,
    "host": looks.SERVERS,
    "node": looks.CLUSTER,
    "dns": looks.DNS,
    "seed": looks.SEEDING,
}


class DriftShape(Schema):
    """One field that is not as wanted; `wanted` and `seen` are its values, null: it is not there.

    `actor`: who changed it, "unknown" where no API tells. `policy`: repair (by itself), decide (a person does), tell.
    Where several clouds are asked for a workspace, `observed_at` is the oldest look at them.
    """

    id: UUID
    kind: str
    subject: str
    field: str
    wanted: Any
    seen: Any
    actor: str
    actor_at: Time | None
    since: Time
    observed_at: Time | None
    policy: str
    reason: str | None
    fought: bool
    repairs: int
    error: str | None
    decision: str | None
    decided_by: str | None
    ended_at: Time | None
    ending: str | None


class DecisionBody(Schema):
    """accept: what is seen is wanted from now on. converge: the next look sets it back."""

    decision: Literal["accept", "converge"]


@router.get("/workspaces/{uuid:pk}/drift", response={200: list[DriftShape], 404: ProblemDocument})
def drift(request: HttpRequest, pk: UUID) -> list[dict[str, Any]]:
    """Everything that is not as wanted now, by subject and field."""
    workspace = get_workspace(request, pk)
    seen_at = _seen_at(workspace)
    return [_shape(row, seen_at) for row in workspace.drifts.open()]


@router.post(
    "/workspaces/{uuid:pk}/drift/{uuid:drift}",
    response={200: DriftShape, **dict.fromkeys((403, 404, 409, 422), ProblemDocument)},
)
def decide_drift(request: HttpRequest, pk: UUID, drift: UUID, body: DecisionBody) -> dict[str, Any]:
    """Accept it, or have it set back."""
    workspace = get_workspace(request, pk, need="workspace.reconcile")
    row = _find(workspace, drift)
    if refusal := decide(row, body.decision, actor(request)):
        raise refused(refusal)
    return _shape(row, _seen_at(workspace))


def _find(workspace: Workspace, key: UUID) -> Drift:
    row = Drift.objects.filter(workspace=workspace, pk=key).first()
    if row is None:
        raise Http404
    row.workspace = workspace
    return row


def _seen_at(workspace: Workspace) -> dict[str, datetime | None]:
    """Per kind of look when it last saw something; None: one of them has not yet."""
    concerning = (
        Q(workspace=workspace)
        | Q(management_cluster__workspaces=workspace)
        | Q(kind=looks.SERVERS, provider_account__hosts__workspace=workspace)
        | Q(kind=looks.DNS, provider_account__dns_records__workspace=workspace)
    )
    times: dict[str, list[datetime | None]] = defaultdict(list)
    for kind, at in Look.objects.filter(concerning).values_list("kind", "succeeded_at").distinct():
        times[kind].append(at)
    return {kind: None if None in each else min(at for at in each if at) for kind, each in times.items()}


def _shape(row: Drift, seen_at: Mapping[str, datetime | None]) -> dict[str, Any]:
    plain = ("kind", "subject", "field", "wanted", "seen", "actor_at", "since", "policy", "fought", "repairs")
    where_known = ("reason", "error", "decision", "decided_by", "ended_at", "ending")
    return (
        {name: getattr(row, name) for name in plain}
        | {name: getattr(row, name) or None for name in where_known}
        | {"id": row.pk, "actor": row.actor or "unknown", "observed_at": seen_at.get(SEEN_BY[row.kind])}
    )
