"""The overview of a workspace: how it is, what happens to it now and next, and why. Nothing is changed here but by
asking for a look at the world (`reconcile`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST
from redis.exceptions import RedisError

from workspaces.models import Event, Host, Workspace
from workspaces.models.conditions import conditions_of
from workspaces.models.outlook import Outlook, look
from workspaces.operations import looks
from workspaces.rules import lifecycle, planner, upgrades
from workspaces.templatetags.console import span
from workspaces.views.access import account_of, get_workspace, login_required

EVENTS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class HostLine:
    """A host of the table: its health as a word and a tone, and what a person has to know about it."""

    host: Host
    health: lifecycle.Look
    remarks: list[str]
    server: str
    pk: UUID | None


@login_required
@require_GET
def overview(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The page, or for its refresh the facts and the banners alone; of a deleted one the receipt is what there is."""
    workspace, now = get_workspace(request, pk, deleted=True), timezone.now()
    if workspace.state == "deleted":
        return redirect("receipt", pk=pk)
    outlook = look(workspace, now)
    keys = workspace.keys_of(account_of(request))
    context = _live(workspace, outlook, now) | {"keys": keys}
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "workspaces/overview.html#live", context)
    stale = workspace.is_stale(now)
    may_read_trail = "audit.view" in keys
    # What the outlook reads of hosts for planning, of whole fleets too, has no ids.
    ids = dict(workspace.hosts.values_list("name", "pk"))
    return render(
        request,
        "workspaces/overview.html",
        context
        | {
            "nav": "fleet",
            "next": _next_of_each_lane(workspace, outlook, now),
            "hosts": [_host_line(host, workspace, stale, ids.get(host.name)) for host in outlook.hosts],
            "conditions": conditions_of(workspace, now),
            "may_read_trail": may_read_trail,
            "events": Event.objects.told().filter(workspace_id=workspace.pk)[:EVENTS_SHOWN] if may_read_trail else [],
        },
    )


@login_required
@require_POST
def reconcile(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask for a look at this workspace now, before its turn."""
    workspace = get_workspace(request, pk, need="workspace.reconcile")
    try:
        refused = looks.look_now(workspace)
        tone, title = ("warn", "Nobody looks at it") if refused else ("ok", "Reconciliation queued")
        text = refused.message if refused else f"{workspace.name} is looked at as soon as a worker is free."
    except RedisError:
        tone, title = "bad", "The queue cannot be reached"
        text = f"{workspace.name} is looked at with the next scheduled reconciliation."
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "parts/toast.html", {"tone": tone, "title": title, "text": text})
    levels = {"ok": messages.SUCCESS, "warn": messages.WARNING, "bad": messages.ERROR}
    messages.add_message(request, levels[tone], f"{title}. {text}")
    return redirect("workspace", pk=pk)


def status_of(workspace: Workspace, now: datetime) -> lifecycle.Look:
    """The state in a word and a tone. What has not been seen lately, or needs a person, is never green."""
    state = lifecycle.WORKSPACE[workspace.state]
    if workspace.state == "active" and workspace.is_stale(now):
        seen = workspace.observed_at
        return lifecycle.Look(f"Not seen for {span(now - seen)}" if seen else "Not seen yet", "idle")
    if workspace.state == "deleting" and workspace.attention:
        return lifecycle.Look("Deleting, needs attention", "bad")
    if workspace.state == "active" and workspace.attention:
        return lifecycle.Look("Active, needs attention", "bad" if workspace.attention_tone == "bad" else "warn")
    return state


def _live(workspace: Workspace, outlook: Outlook, now: datetime) -> dict[str, Any]:
    """What the refreshed part of the page shows."""
    plan = workspace.maintenance_plan.as_rule()
    recommended = upgrades.recommended(outlook.situation, outlook.facts.catalogue, now.date())
    operation = outlook.operation
    return {
        "workspace": workspace,
        "now": now,
        "status": status_of(workspace, now),
        "stale": workspace.is_stale(now),
        "period": int(settings.LOOPBACK_RECONCILE_SECONDS),
        "outlook": outlook,
        "operation": operation,
        "operation_look": lifecycle.OPERATION[operation.state] if operation else None,
        "recommended": recommended,
        "window": planner.next_window(plan, now, "routine") or planner.next_window(plan, now),
        "ready": sum(host.ready is True for host in outlook.hosts),
        "closed": sum(host.unschedulable for host in outlook.hosts),
    }


def _next_of_each_lane(workspace: Workspace, outlook: Outlook, now: datetime) -> list[planner.Forecast]:
    """The next window of each lane, in the order in which they open."""
    first: dict[planner.Lane, planner.Forecast] = {}
    for ahead in planner.forecast(workspace.maintenance_plan.as_rule(), outlook.facts, now, days=8):
        first.setdefault(ahead.window.lane, ahead)
    return list(first.values())


def _host_line(host: Host, workspace: Workspace, stale: bool, pk: UUID | None) -> HostLine:
    word = {True: "Ready", False: "Not ready", None: "Not known"}[host.ready]
    tone: lifecycle.Tone = "idle" if stale or host.ready is None else "ok" if host.ready else "bad"
    remarks = [host.ready_message] if host.ready_message and not host.ready else []
    if host.unschedulable:
        remarks.append("Closed to new pods.")
    if not host.manageable:
        remarks.append("Cannot be managed: no address for SSH is stored. Updates and upgrades leave it out.")
    if host.restart_needed:
        remarks.append("Installed updates need a restart, which the next run does.")
    if host.held_back:
        remarks.append(f"On hold although newer versions are there: {', '.join(host.held_back)}.")
    if workspace.is_kubernetes and not host.node_name:
        remarks.append("Not joined to the cluster.")
    on_metal = host.provider_id is None
    return HostLine(
        host=host,
        health=lifecycle.Look(f"{word} when last seen" if stale and host.ready is not None else word, tone),
        remarks=remarks,
        server="no cloud server" if on_metal else host.provider_status or "not seen yet",
        pk=pk,
    )
