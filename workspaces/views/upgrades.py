"""The Kubernetes version page: what runs, where it can go, what stands in the way, and starting an upgrade.

What it shows is `version_page.py`.
"""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods

from workspaces.models import Actor, Workspace
from workspaces.models.outlook import look
from workspaces.operations import preflight as looks
from workspaces.operations import upgrade
from workspaces.rules import upgrades
from workspaces.rules.refusal import Refused
from workspaces.views.access import account_of, get_workspace, login_required
from workspaces.views.see_other import see_other
from workspaces.views.version_page import Asked, context
from workspaces.views.version_preflight import newest

PAGE = "workspaces/version.html"
STOP_POLLING = 286


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def version(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The page, with the target of `?target=` chosen; POST starts the upgrade to `target`."""
    if request.method == "POST":
        return _start(request, get_workspace(request, pk, need="upgrade.start"))
    return _page(request, get_workspace(request, pk), _asked(request))


def _asked(request: HttpRequest) -> Asked:
    """What the address says. A risk is taken for one target: with another one (`for` names the first) it is not."""
    target = request.GET.get("target", "")
    return Asked(target, request.GET.getlist("accept") if request.GET.get("for", target) == target else ())


def _start(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    """Start it and go to its page; or 409 with the sentence that says why not."""
    asked = Asked(request.POST.get("target", ""), request.POST.getlist("accept"))
    started = upgrade.start(
        workspace,
        asked.target,
        actor=Actor.of(account_of(request)),
        accept=asked.accept,
        through=request.POST.getlist("through") or None,
    )
    if isinstance(started, Refused):
        return _page(request, workspace, asked, started)
    return see_other("operation", pk=started.pk)


def _page(request: HttpRequest, workspace: Workspace, asked: Asked, refused: Refused | None = None) -> HttpResponse:
    shown = context(request, workspace, asked, refused)
    return render(request, PAGE, shown, status=409 if refused else 200)


# --- Preflight --------------------------------------------------------------------------------------------------------
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def preflight(request: HttpRequest, pk: UUID) -> HttpResponse:
    """POST has a worker look at what stands in the way of `target`; GET is the page's question whether it has.

    GET answers the panel for htmx: 204 while it still is what `?seen=` says, 286 with the save bar when it ends.
    """
    if request.method == "POST":
        return _look(request, get_workspace(request, pk, need="upgrade.start"))
    workspace, asked = get_workspace(request, pk), _asked(request)
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect(_address(workspace, asked.target))
    shown = newest(workspace, request.GET.get("of", ""), timezone.now())
    if shown.state == "running" and shown.seen == request.GET.get("seen"):
        return HttpResponse(status=204)
    status = 200 if shown.state == "running" else STOP_POLLING
    return render(request, f"{PAGE}#poll", context(request, workspace, asked), status=status)


def _look(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    """Ask for a look at the first hop to `target`, and go back to the page or show the panel."""
    asked = Asked(request.POST.get("target", ""))
    known = look(workspace, timezone.now())
    hops = upgrades.plan(known.situation, asked.target, known.facts.catalogue)
    if isinstance(hops, Refused):
        return render(request, PAGE, context(request, workspace, asked, hops) | {"looking": True}, status=409)
    looks.ask(workspace, hops[0].to, Actor.of(account_of(request)))
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, f"{PAGE}#preflight", context(request, workspace, asked))
    return see_other(_address(workspace, asked.target))


def _address(workspace: Workspace, target: str) -> str:
    return f"{reverse('version', args=[workspace.pk])}?{urlencode({'target': target})}"
