"""The Kubernetes version of a workspace: where it is, where it may go, and the upgrade."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Router

from workspaces.api.callers import actor, get_workspace
from workspaces.api.operations import accepted
from workspaces.api.problems import refused
from workspaces.api.schemas import KubernetesShape, OperationShape, PlanShape, ProblemDocument, UpgradeBody
from workspaces.models import Workspace
from workspaces.models.outlook import look
from workspaces.operations import upgrade as operation
from workspaces.rules import upgrades
from workspaces.rules.refusal import Refused
from workspaces.rules.upgrades import CatalogueVersion

router = Router(tags=["Kubernetes"])
NOT_KUBERNETES = Refused("not_kubernetes", "This workspace is a set of bare-metal hosts: it runs no Kubernetes.")


@router.get(
    "/workspaces/{uuid:pk}/kubernetes", response={200: KubernetesShape, 404: ProblemDocument, 409: ProblemDocument}
)
def kubernetes(request: HttpRequest, pk: UUID) -> dict[str, Any]:
    """The running version's record, the eligible targets, and every other version with the reason it is not offered."""
    workspace = _kubernetes_workspace(request, pk)
    outlook = look(workspace, timezone.now())
    versions = outlook.facts.catalogue
    targets = upgrades.targets(outlook.situation, versions)
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
        "not_offered": [
            {"version": one.version, "code": one.code, "reason": one.reason} for one in targets.not_offered
        ],
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
    """The fewest hops to a version, and where the workers need not move; 409 says why there is no way."""
    workspace = _kubernetes_workspace(request, pk)
    outlook = look(workspace, timezone.now())
    hops = upgrades.plan(outlook.situation, to, outlook.facts.catalogue)
    if isinstance(hops, Refused):
        raise refused(hops)
    return {"hops": hops}


@router.post(
    "/workspaces/{uuid:pk}/upgrade",
    response={202: OperationShape, **dict.fromkeys((403, 404, 409, 422), ProblemDocument)},
)
def upgrade(request: HttpRequest, pk: UUID, body: UpgradeBody) -> HttpResponse:
    """Start the upgrade; the operation does the work and tells how it goes."""
    workspace = get_workspace(request, pk, need="upgrade.start")
    started = operation.start(workspace, body.version, actor=actor(request))
    if isinstance(started, Refused):
        raise refused(started)
    return accepted(started)
