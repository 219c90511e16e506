"""Reconciliation of one workspace: what is wanted, what is seen, why the two differ, and what happens about it.

The page reads rows (and, for whoever may see the queue, Redis); a person's decisions are taken by `drift.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from workspaces.models import Account, Look, Seed, Workspace
from workspaces.models.conditions import looks_of
from workspaces.models.diagnosis import diagnose
from workspaces.operations import queues
from workspaces.operations.looks import LOOKED_AT
from workspaces.rules import lifecycle, looks
from workspaces.rules.diagnosis_facts import Diagnosis
from workspaces.rules.refusal import Refused
from workspaces.templatetags.console import span
from workspaces.views.access import account_of, get_workspace, login_required
from workspaces.views.drift_lines import DriftSeen, drift_of, ended_lines, open_lines
from workspaces.views.kept_lines import SHOWN, dns_lines, looks_by_account, records_of, seed_lines, seeds_of
from workspaces.views.look_lines import LookLine, line_of, worst_first
from workspaces.views.queue import PURPOSE
from workspaces.views.queue_chart import chart

PAGE: Final = "workspaces/workspace_reconciliation.html"
# Loops with periods of their own, longer than that of all the others: "seen 12 s ago" is not about them.
SLOW: Final = (looks.DNS, looks.SEEDING)


@dataclass(frozen=True, slots=True)
class Oldest:
    """The job that waits longest on the queue of looks: how long, and how long is usual at most; empty: none waits."""

    waits: str
    limit: str
    tone: str


@login_required
@require_safe
def reconciliation(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The page; for its refresh the part below the tabs alone."""
    return page(request, get_workspace(request, pk))


def page(
    request: HttpRequest, workspace: Workspace, refused: Refused | None = None, *, status: int = 200
) -> HttpResponse:
    """The page as of now; `refused` is why a decision was not taken."""
    now = timezone.now()
    account = account_of(request)
    keys = workspace.keys_of(account)
    context = _context(workspace, keys, now) | {"keys": keys, "refused": refused}
    context["next"] = _next(context["diagnosis"], account, keys)
    partial = request.htmx and not request.htmx.history_restore_request  # type: ignore[attr-defined]
    return render(request, f"{PAGE}#live" if partial else PAGE, context, status=status)


def _context(workspace: Workspace, keys: frozenset[str], now: datetime) -> dict[str, Any]:
    found, drifts, seeds = looks_of(workspace), drift_of(workspace, now), seeds_of(workspace)
    records = records_of(workspace)
    lines = [line_of(look, now) for look in found]
    due = _by_kind(found)
    asked = queues.look(now)
    queue = asked if "queue.view" in keys else None
    # That nothing works stands on every page; how much waits is told to those who may see the queue.
    machinery = queue or (asked if _is_down(asked, now) else None)
    protected = frozenset(str(seed.pk) for seed in seeds if seed.manifest.protected)
    return {
        "nav": "fleet",
        "now": now,
        "workspace": workspace,
        "standing": standing(workspace, lines, drifts, now),
        "diagnosis": diagnose(workspace, machinery, now, looks=found),
        "lines": lines,
        "worst": next(iter(worst_first(lines)), None),
        "last": _last_success(lines),
        "drift": drifts,
        "open": open_lines(drifts, workspace, due, protected, now),
        "ended": ended_lines(drifts),
        "seeds": seed_lines(seeds, due.get(looks.SEEDING), now),
        "more_seeds": len(seeds) > SHOWN,
        "converged": _converged(seeds),
        "records": dns_lines(records[:SHOWN], looks_by_account(found), now),
        "more_records": len(records) > SHOWN,
        "queue": queue,
        "oldest": _oldest(queue, now) if queue else None,
        "chart": chart(now) if queue else None,
        "may_decide": "workspace.reconcile" in keys,
    }


def _is_down(queue: queues.Seen, now: datetime) -> bool:
    return bool(queue.trouble) or not queue.scheduler_alive(now) or any(not one.workers for one in queue.queues)


def _next(diagnosis: Diagnosis | None, account: Account, keys: frozenset[str]) -> str:
    """Where the next step of the diagnosis is taken; "" where the reader cannot go there, or there is no such place."""
    if diagnosis is None:
        return ""
    match diagnosis.link:
        case "queue" if "queue.view" in keys:
            return reverse("queue")
        case "operation" if diagnosis.link_pk:
            return reverse("operation", args=[diagnosis.link_pk])
        case "drift":
            return "#drift"
        case "account" | "management_cluster" if diagnosis.link_pk:
            model = {"account": "provideraccount"}.get(diagnosis.link, "managementcluster")
            may = account.is_staff and account.has_perm(f"workspaces.change_{model}")
            return reverse(f"admin:workspaces_{model}_change", args=[diagnosis.link_pk]) if may else ""
    return ""


def standing(workspace: Workspace, lines: Sequence[LookLine], drift: DriftSeen, now: datetime) -> lifecycle.Look:
    """The headline: since when it is not as wanted, or how long ago it was seen that it is. Blind is never green."""
    if workspace.state not in LOOKED_AT:
        return lifecycle.WORKSPACE[workspace.state]
    if workspace.state in ("gated", "error"):
        state = lifecycle.WORKSPACE[workspace.state]
        return lifecycle.Look(f"{state.label} for {span(now - workspace.state_since)}", state.tone)
    felt = [line.look for line in lines if line.look.felt]
    if felt:
        return _reconciling([look.failing_since for look in felt], now)
    seen = [line.look.succeeded_at for line in lines if line.look.kind not in SLOW]
    if not seen or None in seen:
        return lifecycle.Look("Not seen yet", "idle")
    oldest = min(at for at in seen if at is not None)
    if any(not line.look.is_fresh(now) for line in lines):
        late = [at for line in lines if not line.look.is_fresh(now) if (at := line.look.succeeded_at)]
        return lifecycle.Look(f"Not seen for {span(now - min(late))}" if late else "Not seen yet", "idle")
    if drift.asking:
        return lifecycle.Look(f"Waits for a decision for {span(now - min(one.since for one in drift.asking))}", "warn")
    if drift.open:
        return _reconciling([drift.since], now)
    if workspace.attention:
        return lifecycle.Look("Needs attention", "bad" if workspace.attention_tone == "bad" else "warn")
    return lifecycle.Look(f"As wanted, seen {span(now - oldest)} ago", "ok")


def _reconciling(since: Sequence[datetime | None], now: datetime) -> lifecycle.Look:
    began = min((at for at in since if at), default=now)
    return lifecycle.Look(f"Reconciling for {span(now - began)}", "warn")


def _by_kind(found: Sequence[Look]) -> Mapping[str, Look]:
    """Of each kind the look that is due last: until then what it is to see has not all been seen."""
    return {look.kind: look for look in sorted(found, key=lambda look: look.due_at)}


def _last_success(lines: Sequence[LookLine]) -> LookLine | None:
    """The line whose last success is the oldest for its pace; what was never seen is older still."""
    usual = [line for line in lines if line.look.kind not in SLOW] or list(lines)
    pool = [line for line in lines if not line.is_well] or usual

    def age(line: LookLine) -> tuple[bool, float]:
        seen = line.look.succeeded_at
        return (seen is not None, seen.timestamp() if seen else 0.0)

    return min(pool, key=age, default=None)


def _converged(seeds: Sequence[Seed]) -> int:
    return sum(seed.state == "applied" for seed in seeds[:SHOWN])


def _oldest(queue: queues.Seen, now: datetime) -> Oldest | None:
    """Of the queue of looks; None when Redis does not answer."""
    one = next((one for one in queue.queues if one.name == "reconcile"), None)
    if one is None:
        return None
    _, patience = PURPOSE["reconcile"]
    waits = (now - one.oldest) if one.oldest else None
    late = waits is not None and waits.total_seconds() > patience
    return Oldest(span(waits) if waits else "", f"{patience // 60} min", "warn" if late else "")
