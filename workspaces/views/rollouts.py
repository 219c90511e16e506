"""Rollouts: the list, and the page of one that follows it live, pauses, continues and stops it. It reads rows only.

Workspaces that the reader may not see are counted and not named. Beginning one is `rollout_new`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from workspaces.models import Actor, Rollout, RolloutMember, Step
from workspaces.operations.rollouts import may_be_changed_by, what_next
from workspaces.rules import lifecycle
from workspaces.rules.refusal import Refused
from workspaces.rules.rollout import ended
from workspaces.views.access import account_of, login_required, projects_of
from workspaces.views.see_other import see_other

PAGE = 50
MEMBERS = 100
STOP_POLLING = 286
_ENDED = ("succeeded", "failed", "refused", "left_out")


class Stage(NamedTuple):
    """One stage as a line of the page; `tone` is empty while it has not begun."""

    title: str
    said: str
    tone: str


class Row(NamedTuple):
    """A member as the table shows it; `hosts` is how far its upgrade is with them."""

    member: RolloutMember
    look: lifecycle.Look
    hosts: str


# --- The list ---------------------------------------------------------------------------------------------------------
@login_required
@require_safe
def rollouts(request: HttpRequest) -> HttpResponse:
    """Newest first: all with a workspace that the reader may see."""
    counts: dict[str, Any] = {state: Count("members", filter=Q(members__state=state)) for state in _ENDED}
    found = Rollout.objects.readable(account_of(request)).annotate(total=Count("members"), **counts)
    page = Paginator(found.order_by("-created_at", "-pk"), PAGE).get_page(request.GET.get("page"))
    rows = []
    for rollout in page:
        count = Counter({state: getattr(rollout, state) for state in _ENDED})
        rows.append((rollout, _look(rollout, count), count.total(), ended(count)))
    context = {"nav": "rollouts", "now": timezone.now(), "page": page, "rows": rows}
    return render(request, "workspaces/rollouts.html", context)


# --- One rollout ------------------------------------------------------------------------------------------------------
@login_required
@require_safe
def rollout(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The page."""
    return _page(request, _readable(request, pk))


def _readable(request: HttpRequest, pk: UUID) -> Rollout:
    return get_object_or_404(Rollout.objects.readable(account_of(request)), pk=pk)


def _page(request: HttpRequest, found: Rollout, refused: Refused | None = None) -> HttpResponse:
    context = _progress(request, found, timezone.now()) | {"nav": "rollouts", "refused": refused}
    return render(request, "workspaces/rollout.html", context, status=409 if refused else 200)


@login_required
@require_safe
def progress(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The live part: 204 when it still is what `?seen=` says, 286 with the final state when the last has ended."""
    context = _progress(request, _readable(request, pk), timezone.now())
    if context["live"] and request.GET.get("seen") == context["seen"]:
        return HttpResponse(status=204)
    status = 200 if context["live"] else STOP_POLLING
    return render(request, "workspaces/rollout.html#poll", context, status=status)


def _progress(request: HttpRequest, found: Rollout, now: datetime) -> dict[str, Any]:
    """What the live part shows; under the same digest `seen` nothing differs."""
    everybody = list(found.members.only("rollout_id", "position", "canary", "state", "message"))
    count = Counter(member.state for member in everybody)
    summary = what_next(found, everybody, now).sentence if found.state == "running" else found.state_reason
    page = _members(request, found)
    rows, stages = _rows(page), _stages(found, everybody, now)
    shown = (
        found.state,
        summary,
        stages,
        sorted(count.items()),
        [(r.member.pk, *r[1:], r.member.message) for r in rows],
    )
    return {
        "rollout": found,
        "now": now,
        "look": _look(found, count),
        "summary": summary,
        "stages": stages,
        "counts": [(look, count[state]) for state, look in lifecycle.MEMBER.items() if count[state]],
        "total": len(everybody),
        "over": sum(count[state] for state in _ENDED),
        "upgrading": count["running"],
        "page": page,
        "rows": rows,
        "hidden": len(everybody) - page.paginator.count,
        "live": found.is_open or count["running"] > 0,
        "may_change": found.is_open and may_be_changed_by(found, account_of(request)),
        "seen": blake2b(repr(shown).encode(), digest_size=12).hexdigest(),
    }


def _look(found: Rollout, count: Counter[str]) -> lifecycle.Look:
    """The word for its state. One that is over is not green while a workspace of it has failed."""
    if found.state == "finished" and count["failed"]:
        return lifecycle.Look(f"Finished, {count['failed']} failed", "bad")
    return lifecycle.ROLLOUT[found.state]


def _members(request: HttpRequest, found: Rollout) -> Page[RolloutMember]:
    """Those of workspaces that the reader may see, in order."""
    rows = found.members.select_related("workspace__project", "operation").order_by("position")
    if not account_of(request).is_superuser:
        rows = rows.filter(workspace__project__in=[project.id for project in projects_of(request)])
    columns = ("rollout_id", "position", "canary", "state", "message", "workspace__name", "workspace__project__name")
    return Paginator(rows.only(*columns, "operation__title"), MEMBERS).get_page(request.GET.get("page"))


def _rows(members: Page[RolloutMember]) -> list[Row]:
    """With the hosts that running upgrades have done with (one query)."""
    running = [member.operation_id for member in members if member.state == "running"]
    steps = Step.objects.filter(operation__in=running).exclude(host="").order_by()
    left = Count("host", distinct=True, filter=~Q(state__in=lifecycle.STEP_OVER))
    counted = steps.values("operation").annotate(hosts=Count("host", distinct=True), left=left)
    hosts = {one["operation"]: f"{one['hosts'] - one['left']} of {one['hosts']} hosts done" for one in counted}
    return [
        Row(member, lifecycle.MEMBER[member.state], hosts.get(member.operation_id, "") if member.operation_id else "")
        for member in members
    ]


def _stages(found: Rollout, members: Sequence[RolloutMember], now: datetime) -> list[Stage]:
    """The canary, its soak, and the others."""
    stages, passed = [], found.canary_passed_at
    if found.canary:
        stages.append(_canary_stage(found, members))
    soaked = passed + timedelta(minutes=found.soak_minutes) if passed else None
    if found.soak_minutes:
        said = f"{found.soak_minutes} min" + (f", until {soaked:%a %d %b %H:%M} UTC" if soaked else "")
        stages.append(Stage("Soak", said, "" if soaked is None else "ok" if soaked <= now else "busy"))
    begun = soaked is not None and soaked <= now
    failures = "failure" if found.stop_after == 1 else "failures"
    said = f"{found.at_once} at a time. It pauses after {found.stop_after} {failures}."
    tone = {"finished": "ok", "running": "busy"}.get(found.state, "") if begun else ""
    if any(member.state == "failed" and not member.canary for member in members):
        tone = "bad"
    stages.append(Stage("The others" if found.canary else "All workspaces", said, tone))
    return stages


def _canary_stage(found: Rollout, members: Sequence[RolloutMember]) -> Stage:
    states = {member.state for member in members if member.canary}
    number = f"{found.canary} workspace{'' if found.canary == 1 else 's'}"
    if found.canary_passed_at:
        return Stage("Canary", f"{number}. Succeeded {found.canary_passed_at:%a %d %b %H:%M} UTC.", "ok")
    tone = "bad" if found.state == "paused" and "failed" in states else "busy" if "running" in states else ""
    return Stage("Canary", f"{number} first, while the others wait.", tone)


# --- Changing it ------------------------------------------------------------------------------------------------------
@login_required
@require_POST
def pause(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Start nothing more for now."""
    return _change(request, pk, Rollout.pause, "It starts nothing more. Upgrades that run go on to their end.")


@login_required
@require_POST
def proceed(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Go on after a pause."""
    return _change(request, pk, Rollout.resume, "It goes on within 5 seconds.")


@login_required
@require_POST
def stop(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Start nothing more for good."""
    return _change(request, pk, Rollout.stop, "It is stopped. Upgrades that run go on to their end.")


def _change(
    request: HttpRequest, pk: UUID, change: Callable[[Rollout, Actor], Refused | None], said: str
) -> HttpResponse:
    found, account = _readable(request, pk), account_of(request)
    if not may_be_changed_by(found, account):
        only = "Only whoever may start upgrades on every workspace of this rollout can pause, continue or stop it."
        return _page(request, found, Refused("not_allowed", only))
    if refused := change(found, Actor.of(account)):
        return _page(request, found, refused)
    messages.success(request, said)
    return see_other("rollout", pk=found.pk)
