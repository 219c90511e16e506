"""The Kubernetes version page: what runs, where it can go, why not elsewhere, and starting an upgrade."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from workspaces.models import Actor, Workspace
from workspaces.models.outlook import Outlook, look
from workspaces.operations import upgrade
from workspaces.rules import upgrades
from workspaces.rules.refusal import Refused
from workspaces.rules.upgrades import CatalogueVersion, Hop, Situation
from workspaces.rules.versions import minor_of
from workspaces.views.access import account_of, get_workspace, login_required
from workspaces.views.version_graph import draw
from workspaces.views.workspaces import status_of


class Choice(NamedTuple):
    """A target that can be chosen: what moves, in a sentence."""

    version: str
    recommended: bool
    security: bool
    moves: str
    notes: str


class Closed(NamedTuple):
    """A version that cannot be chosen, why, and how many hops lead to it (0: none)."""

    version: str
    reason: str
    hops: int


class Route(NamedTuple):
    """The way to a version that needs more than one upgrade."""

    to: str
    hops: list[Hop]


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def version(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The page, with the target of `?target=` chosen; POST starts the upgrade to `target`."""
    if request.method == "POST":
        return _start(request, get_workspace(request, pk, need="upgrade.start"))
    workspace = get_workspace(request, pk)
    return _page(request, workspace, request.GET.get("target", ""))


def _start(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    """Start it and go to its page; or 409 with the sentence that says why not."""
    target = request.POST.get("target", "")
    started = upgrade.start(workspace, target, actor=Actor.of(account_of(request)))
    if isinstance(started, Refused):
        return _page(request, workspace, target, refused=started)
    response = redirect("operation", pk=started.pk)
    response.status_code = 303
    return response


def _page(request: HttpRequest, workspace: Workspace, target: str, refused: Refused | None = None) -> HttpResponse:
    """The whole page; `refused` is why the upgrade just asked for was not started."""
    now = timezone.now()
    outlook = look(workspace, now)
    context = {
        "nav": "fleet",
        "workspace": workspace,
        "now": now,
        "status": status_of(workspace, now),
        "stale": workspace.is_stale(now),
        "outlook": outlook,
        "refused": refused,
        "may_start": "upgrade.start" in workspace.keys_of(account_of(request)),
    }
    if workspace.is_kubernetes:
        context |= _choices(workspace, outlook, target, now)
    return render(request, "workspaces/version.html", context, status=409 if refused else 200)


def _choices(workspace: Workspace, outlook: Outlook, target: str, now: datetime) -> dict[str, Any]:
    """Targets, refusals, routes and the graph; `selected` is the target that a start would use."""
    situation, catalogue = outlook.situation, outlook.facts.catalogue
    targets = upgrades.targets(situation, catalogue)
    pace = upgrade.pace(workspace)
    choices = [_choice(row, targets.recommended, situation, len(outlook.hosts), pace) for row in targets.eligible]
    if targets.finish_workers:
        choices.insert(0, _finishing(targets.finish_workers, outlook))
    offered = [choice.version for choice in choices]
    selected = (
        target if target in offered else (targets.finish_workers or targets.recommended or next(iter(offered), ""))
    )
    routes = _routes(situation, targets.not_offered, catalogue)
    lengths = {route.to: len(route.hops) for route in routes}
    running = workspace.kubernetes_version
    return {
        "record": next((row for row in catalogue if row.version == running), None),
        "choices": choices,
        "selected": selected,
        "finishing": selected == running,
        "closed": [Closed(v.version, v.reason, lengths.get(v.version, 0)) for v in targets.not_offered],
        "routes": routes,
        "graph": draw(
            workspace.name, running, targets, selected, routes[0].hops if routes else (), catalogue, now.date()
        ),
        "versions_known": len(catalogue),
        "blocked": upgrades.refuse_upgrade(situation, selected, catalogue) if selected else None,
        "pace": pace,
        "stages": [title for _, title in upgrade.STAGES],
    }


def _choice(row: CatalogueVersion, recommended: str | None, situation: Situation, hosts: int, pace: str) -> Choice:
    running = situation.running_version or ""
    kind = "Patch" if minor_of(running) == minor_of(row.version) else "Minor upgrade"
    counted = {0: "There are no hosts to move.", 1: "1 host drains once."}
    each = counted.get(hosts, f"{hosts} hosts drain once each, {pace}.")
    return Choice(
        version=row.version,
        recommended=row.version == recommended,
        security=row.security,
        moves=f"{kind}. The control plane moves first. {each}",
        notes=row.notes,
    )


def _finishing(running: str, outlook: Outlook) -> Choice:
    behind = [host.name for host in outlook.behind]
    named = ", ".join(behind[:3]) + (f" and {len(behind) - 3} more" if len(behind) > 3 else "")
    return Choice(running, False, False, f"Finishes a half upgrade. Only hosts that are behind move: {named}.", "")


def _routes(
    situation: Situation, closed: Sequence[upgrades.NotOffered], catalogue: Sequence[CatalogueVersion]
) -> list[Route]:
    """Of each minor further on, the way to its highest version that can be reached; the furthest first."""
    routes: dict[tuple[int, int], Route] = {}
    for row in closed:
        if row.code != "not_reachable" or minor_of(row.version) in routes:
            continue
        hops = upgrades.plan(situation, row.version, catalogue)
        if not isinstance(hops, Refused) and len(hops) > 1:
            routes[minor_of(row.version)] = Route(row.version, hops)
    return list(routes.values())
