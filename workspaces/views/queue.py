"""The queue page: whether workers and the scheduler live, what waits and for how long, what failed, who is waited for.

What Redis tells is `operations/queues.py`. The page is the platform's: who administers an organization sees all of the
machinery, and of what it works on only their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from workspaces.models import Account, Actor, ManagementCluster, Operation, ProviderAccount, Workspace
from workspaces.models.members import keys_held
from workspaces.operations import queues
from workspaces.operations.queues import FailedJob, QueueSeen, Seen
from workspaces.rules import permissions
from workspaces.rules.ids import as_id
from workspaces.views.access import account_of, login_required
from workspaces.views.queue_chart import chart
from workspaces.views.see_other import see_other

NEED: Final = "queue.view"
WAITING_SHOWN: Final = 50
# What each queue is for, and how long its oldest job may wait before that is worth a warning, in seconds.
PURPOSE: Final = {
    "operations": ("Steps of operations", 60),
    "ticks": ("Windows, rollouts, preflights, kubeconfigs", 60),
    "reconcile": ("Looks at clusters, accounts and workspaces", 300),
}
JOBS: Final = {
    "run_operation": "A step of an operation",
    "look_at_cluster": "Look at a workspace",
    "look_at_seeding": "Look at seeded objects",
    "look_at_control_planes": "Look at a management cluster",
    "look_at_servers": "Look at the servers of an account",
    "look_at_dns": "Look at DNS records",
    "sync_profiles": "Ask a provider for prices and availability",
    "looks_tick": "Hand out looks",
    "upkeep_tick": "Tidy up",
    "maintenance_tick": "Decide the open windows",
    "rollouts_tick": "Go on with rollouts",
    "profiles_tick": "Start a round of price lists",
    "run_preflight": "Look before an upgrade",
    "take_inventory": "Look before a deletion",
    "deletions_tick": "Begin deletions that are due",
    "revoke_kubeconfig": "Revoke a kubeconfig",
    "fetch_kubeconfig": "Fetch a kubeconfig",
    "delete_left_server": "Delete a left server",
}


@dataclass(frozen=True, slots=True)
class QueueLine:
    """A queue as a row: its purpose, and the tone of its state."""

    seen: QueueSeen
    purpose: str
    tone: str
    word: str


@dataclass(frozen=True, slots=True)
class FailedLine:
    """A failed job as a row: what it was about, and where that is shown; empty where the reader may not see it."""

    seen: FailedJob
    what: str
    about: str
    kind: str
    key: UUID | None
    may_retry: bool


@login_required
@require_GET
def queue(request: HttpRequest) -> HttpResponse:
    """The page; for its refresh the live part alone."""
    account, now = _allowed(request), timezone.now()
    seen = queues.look(now)
    alive = sum(worker.alive for worker in seen.workers)
    context = {
        "nav": "queue",
        "now": now,
        "seen": seen,
        "alive": alive,
        "silent": len(seen.workers) - alive,
        "depth": sum(one.depth for one in seen.queues),
        "oldest": min((one.oldest for one in seen.queues if one.oldest), default=None),
        "scheduler_alive": seen.scheduler_alive(now),
        "lines": [_line(one, now) for one in seen.queues],
        "failed": _failed_lines(seen, account),
        "jobs": JOBS,
        "chart": chart(now),
        **_waiting(account),
    }
    page = "workspaces/queue.html"
    return render(request, f"{page}#live" if request.htmx else page, context)  # type: ignore[attr-defined]


@login_required
@require_POST
def retry(request: HttpRequest, job: str) -> HttpResponse:
    """Put a failed job back on its queue, if what it is about is the reader's to see."""
    account, now = _allowed(request), timezone.now()
    line = next((one for one in _failed_lines(queues.look(now), account) if one.seen.id == job), None)
    if line is None:
        messages.warning(request, "Nothing was changed: this job has not failed, or has been put back already.")
    elif not line.may_retry:
        raise PermissionDenied("This job is about something you may not see.")
    elif refused := queues.retry(job, Actor.of(account)):
        messages.warning(request, f"Nothing was changed: {refused.message}")
    else:
        messages.success(request, "The job is back on its queue.")
    return see_other("queue")


def _allowed(request: HttpRequest) -> Account:
    account = account_of(request)
    if NEED not in keys_held(account):
        raise PermissionDenied(f"This needs the right: {permissions.PERMISSIONS[NEED].sentence.lower()}.")
    return account


def _line(seen: QueueSeen, now: datetime) -> QueueLine:
    purpose, patience = PURPOSE.get(seen.name, ("", 300))
    waits = (now - seen.oldest).total_seconds() if seen.oldest else 0
    if not seen.workers:
        return QueueLine(seen, purpose, "bad", "No worker")
    if waits > patience:
        return QueueLine(seen, purpose, "warn", "Behind")
    return QueueLine(seen, purpose, "ok", "Served")


def _waiting(account: Account) -> dict[str, Any]:
    """Operations that wait for somebody to decide, the longest-waiting first."""
    visible = Workspace.objects.allowing(account)
    found = Operation.objects.filter(workspace__in=visible).waiting_for_a_person().select_related("workspace__project")
    rows = list(found.order_by("finished_at", "pk")[: WAITING_SHOWN + 1])
    return {"waiting": rows[:WAITING_SHOWN], "more_waiting": len(rows) > WAITING_SHOWN}


# --- What a failed job was about --------------------------------------------------------------------------------------
def _failed_lines(seen: Seen, account: Account) -> list[FailedLine]:
    """The failed jobs with what they are about, as far as the account may see it (three queries)."""
    keys = {key for one in seen.failed if (key := as_id(one.key))}
    visible = Workspace.objects.allowing(account)
    named = {
        "workspace": _names(visible.filter(pk__in=keys).values_list("pk", "name")),
        "operation": _names(Operation.objects.filter(pk__in=keys, workspace__in=visible).values_list("pk", "title")),
    }
    if account.is_superuser:
        clusters = ManagementCluster.objects.filter(pk__in=keys).values_list("pk", "name")
        accounts = ProviderAccount.objects.filter(pk__in=keys).values_list("pk", "name")
        named["platform"] = _names([*clusters, *accounts])
    return [_failed_line(one, named, account) for one in seen.failed]


def _failed_line(seen: FailedJob, named: dict[str, dict[UUID, str]], account: Account) -> FailedLine:
    key = as_id(seen.key)
    kind = next((kind for kind, names in named.items() if key in names), "")
    about = named[kind][key] if kind and key else ""
    return FailedLine(
        seen, JOBS.get(seen.job, seen.job), about, kind, key, may_retry=bool(about) or account.is_superuser
    )


def _names(rows: Iterable[tuple[UUID, str]]) -> dict[UUID, str]:
    return dict(rows)
