"""The Kubernetes version of a workspace: where it is, where it may go, what stands in the way, and the upgrade."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Router, Status

from workspaces.api.callers import actor, get_workspace
from workspaces.api.kubernetes_schemas import (
    KubernetesShape,
    PlanShape,
    PreflightBody,
    PreflightShape,
    UpgradeBody,
)
from workspaces.api.operations import accepted
from workspaces.api.problems import refused
from workspaces.api.schemas import OperationShape, ProblemDocument
from workspaces.models import Preflight, Workspace
from workspaces.models.durations import measured
from workspaces.models.outlook import Outlook, look
from workspaces.operations import preflight as looks
from workspaces.operations import upgrade as operation
from workspaces.rules import upgrades
from workspaces.rules.estimate import estimate
from workspaces.rules.refusal import Refused
from workspaces.rules.upgrades import CatalogueVersion, Hop

router = Router(tags=["Kubernetes"])
NOT_KUBERNETES = Refused("not_kubernetes", "This workspace is a set of bare-metal hosts: it runs no Kubernetes.")


@router.get(
    "/workspaces/{uuid:pk}/kubernetes", response={200: KubernetesShape, 404: ProblemDocument, 409: ProblemDocument}
)
def kubernetes(request: HttpRequest, pk: UUID) -> dict[str, Any]:
    """The running version's record, the eligible targets, and every other version with the reason it is not offered."""
    workspace = _kubernetes_workspace(request, pk)
    now = timezone.now()
    outlook = look(workspace, now)
    versions = outlook.facts.catalogue
    targets = upgrades.targets(outlook.situation, versions, now.date())
    running = workspace.kubernetes_version
    return {
        "current": next((_version(one) for one in versions if one.version == running), None),
        "running": running or None,
        "nodes": [
            {
                "name": host.node_name,
                "kubelet_version": host.kubelet_version or None,
                "ready": host.ready,
                "unschedulable": host.unschedulable,
                "observed_at": host.observed_at,
            }
            for host in outlook.hosts
            if host.node_name
        ],
        "targets": [_version(one) for one in targets.eligible],
        "recommended": targets.recommended,
        "not_offered": targets.not_offered,
    }


def _kubernetes_workspace(request: HttpRequest, pk: UUID) -> Workspace:
    workspace = get_workspace(request, pk)
    if not workspace.is_kubernetes:
        raise refused(NOT_KUBERNETES)
    return workspace


def _version(one: CatalogueVersion) -> dict[str, Any]:
    return {
        "version": one.version,
        "active": one.active,
        "upgrade_from": one.upgrade_from,
        "security": one.security,
        "released_on": one.released_on.isoformat() if one.released_on else None,
        "end_of_life_on": one.end_of_life_on.isoformat() if one.end_of_life_on else None,
        "notes": one.notes,
    }


@router.get(
    "/workspaces/{uuid:pk}/kubernetes/plan",
    response={200: PlanShape, 404: ProblemDocument, 409: ProblemDocument},
    by_alias=True,
)
def plan(request: HttpRequest, pk: UUID, to: str) -> dict[str, Any]:
    """The fewest hops to a version, where the workers need not move, and how long it takes; 409: there is no way."""
    workspace = _kubernetes_workspace(request, pk)
    outlook = look(workspace, timezone.now())
    hops = _plan(outlook, to)
    return {"hops": hops, "estimate": _estimate(outlook, hops)}


def _plan(outlook: Outlook, to: str) -> list[Hop]:
    hops = upgrades.plan(outlook.situation, to, outlook.facts.catalogue)
    if isinstance(hops, Refused):
        raise refused(hops)
    return hops


def _estimate(outlook: Outlook, hops: list[Hop]) -> dict[str, int] | None:
    found = estimate(measured(), hops, outlook.situation.kubelet_versions)
    if found is None:
        return None
    return {
        "typical_seconds": round(found.typical),
        "p90_seconds": round(found.p90),
        "samples": found.samples,
        "windows": found.windows(timedelta(seconds=settings.LOOPBACK_OVERRUN_SECONDS)),
    }


@router.get(
    "/workspaces/{uuid:pk}/kubernetes/preflight",
    response={200: PreflightShape, **dict.fromkeys((404, 409, 422), ProblemDocument)},
)
def preflight(request: HttpRequest, pk: UUID, to: str) -> dict[str, Any]:
    """What was seen in the way of the first hop to a version: `target` is where that hop leads."""
    workspace = _kubernetes_workspace(request, pk)
    hop = _plan(look(workspace, timezone.now()), to)[0]
    return _preflight(workspace, hop.to, to)


@router.post(
    "/workspaces/{uuid:pk}/kubernetes/preflight",
    response={202: PreflightShape, **dict.fromkeys((403, 404, 409, 422), ProblemDocument)},
)
def look_first(request: HttpRequest, pk: UUID, body: PreflightBody) -> Status[dict[str, Any]]:
    """Have a worker look at what stands in the way of the first hop; a look that is under way answers both."""
    workspace = get_workspace(request, pk, need="upgrade.start")
    if not workspace.is_kubernetes:
        raise refused(NOT_KUBERNETES)
    hop = _plan(look(workspace, timezone.now()), body.to)[0]
    looks.ask(workspace, hop.to, actor(request))
    return Status(202, _preflight(workspace, hop.to, body.to))


def _preflight(workspace: Workspace, target: str, end: str) -> dict[str, Any]:
    """The newest look, with the checks of the newest that has ended and is about the way to `end`."""
    newest = Preflight.objects.about(workspace, target).first()
    last = Preflight.latest(workspace, target, end) if newest else None
    return {
        "target": target,
        "state": _state(newest),
        "asked_at": newest and newest.asked_at,
        "finished_at": last and last.finished_at,
        "error": (last and last.error) or None,
        "checks": last.checks if last else [],
        "blast": last.blast if last else {},
    }


def _state(newest: Preflight | None) -> str:
    if newest is None:
        return "none"
    if newest.finished_at:
        return "done"
    return "lost" if newest.is_lost(timezone.now()) else "running"


@router.post(
    "/workspaces/{uuid:pk}/upgrade",
    response={202: OperationShape, **dict.fromkeys((403, 404, 409, 422), ProblemDocument)},
)
def upgrade(request: HttpRequest, pk: UUID, body: UpgradeBody) -> HttpResponse:
    """Start the upgrade; the operation does the work and tells how it goes.

    409 also for preflight_failed (`checks`: what a recent look found to stop it), route_changed (`through`: the
    versions in between as they are now) and unknown_risk (`accept_risks`: what is no risk that can be taken).
    """
    workspace = get_workspace(request, pk, need="upgrade.start")
    started = operation.start(
        workspace, body.version, actor=actor(request), accept=body.accept_risks, through=body.through
    )
    if isinstance(started, Refused):
        raise refused(started)
    return accepted(started)
