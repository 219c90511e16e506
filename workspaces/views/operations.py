"""Operations: the list, and the page of one that follows it live, stops it and continues it. It reads rows only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from workspaces.models import Actor, Host, LogLine, MaintenancePlan, Operation, Step, Workspace
from workspaces.operations import dispatch, plans
from workspaces.rules import lifecycle, planner
from workspaces.rules.refusal import Refused
from workspaces.templatetags.console import clock, day, duration
from workspaces.views import timetable
from workspaces.views.access import account_of, get_operation, login_required

PAGE = 50
LINES_SHOWN = 100
LINES_AT_ONCE = 500
STOP_POLLING = 286
FILTERS = {"": "All", "open": "Open", "failed": "Failed", "stopped": "Stopped", "succeeded": "Succeeded"}


# --- The list ---------------------------------------------------------------------------------------------------------
@login_required
@require_GET
def operations(request: HttpRequest) -> HttpResponse:
    """What was done and is being done, newest first; `?state=` and `?workspace=` narrow it."""
    found = Operation.objects.filter(workspace__in=Workspace.objects.allowing(account_of(request)))
    state = request.GET.get("state", "")
    state = state if state in FILTERS else ""
    if state:
        found = found.open() if state == "open" else found.filter(state=state)
    workspace = _workspace_named(request)
    if workspace:
        found = found.filter(workspace=workspace)
    page = Paginator(found.select_related("workspace__project").order_by("-created_at", "-pk"), PAGE).get_page(
        request.GET.get("page")
    )
    context = {
        "nav": "operations",
        "now": timezone.now(),
        "page": page,
        "rows": [(operation, lifecycle.OPERATION[operation.state]) for operation in page],
        "state": state,
        "filters": FILTERS.items(),
        "only": workspace,
    }
    return render(request, "workspaces/operations.html", context)


def _workspace_named(request: HttpRequest) -> Workspace | None:
    """The workspace of `?workspace=`, when the account may see it."""
    try:
        pk = UUID(request.GET.get("workspace", ""))
    except ValueError:
        return None
    return Workspace.objects.allowing(account_of(request)).filter(pk=pk).first()


# --- One operation ----------------------------------------------------------------------------------------------------
@login_required
@require_GET
def operation(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The page."""
    return _page(request, get_operation(request, pk))


def _page(request: HttpRequest, found: Operation, refused: Refused | None = None) -> HttpResponse:
    context = _progress(request, found, timezone.now())
    newest = list(found.lines.order_by("-id")[: LINES_SHOWN + 1])
    context |= {
        "nav": "operations",
        "refused": refused,
        "lines": newest[:LINES_SHOWN][::-1],
        "more_lines": len(newest) > LINES_SHOWN,
        "last_line": newest[0].pk if newest else 0,
    }
    return render(request, "workspaces/operation.html", context, status=409 if refused else 200)


@login_required
@require_GET
def progress(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The live part: 204 when it still is what `?seen=` says, 286 with the final state when the operation has ended."""
    found, now = get_operation(request, pk), timezone.now()
    steps = _steps(found)
    state, minute = timetable.digest(found, steps, now)
    seen_state, _, seen_minute = request.GET.get("seen", "").partition(".")
    if (seen_state, seen_minute) == (state, minute) and found.is_open:
        return HttpResponse(status=204)
    context = _progress(request, found, now, steps) | {"announce": seen_state != state}
    status = 200 if found.is_open else STOP_POLLING
    return render(request, "workspaces/operation.html#poll", context, status=status)


@login_required
@require_GET
def log(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The lines after `?after=` for the live page; without HTMX the whole log as text."""
    found = get_operation(request, pk)
    if not request.htmx:  # type: ignore[attr-defined]
        text = "".join(f"{line.at:%Y-%m-%dT%H:%M:%SZ} {line.source} {line.text}\n" for line in found.lines.iterator())
        return HttpResponse(text, content_type="text/plain; charset=utf-8")
    after = request.GET.get("after", "")
    # Whoever asks after an operation has ended gets what is left of the log, once.
    lines: list[LogLine] = list(
        found.lines.filter(pk__gt=int(after) if after.isascii() and after.isdigit() else 0)[:LINES_AT_ONCE]
    )
    if not lines and found.is_open:
        return HttpResponse(status=204)
    context = {"operation": found, "lines": lines, "last_line": lines[-1].pk if lines else after}
    return render(request, "workspaces/operation.html#lines", context, status=200 if found.is_open else STOP_POLLING)


@login_required
@require_POST
def stop(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask for a stop at the next safe point."""
    said = "It stops at the next safe point."
    return _change(request, get_operation(request, pk, need="operation.stop"), Operation.request_stop, said)


@login_required
@require_POST
def retry(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Continue from the step at which it failed or was stopped."""
    said = "It continues where it stopped."
    return _change(request, get_operation(request, pk, need="operation.retry"), Operation.retry, said)


def _change(
    request: HttpRequest, found: Operation, change: Callable[[Operation, Actor], Refused | None], said: str
) -> HttpResponse:
    refused = change(found, Actor.of(account_of(request)))
    if refused:
        return _page(request, found, refused)
    dispatch.run_soon(found.pk)
    messages.success(request, said)
    response = redirect("operation", pk=found.pk)
    response.status_code = 303
    return response


def _steps(found: Operation) -> list[Step]:
    """The steps in order, each with the kubelet that its host was last seen with (one query)."""
    host = Host.objects.filter(workspace=found.workspace_id, name=OuterRef("host"))
    columns = ("position", "title", "host", "stage", "state", "attempts", "message", "started_at", "finished_at")
    steps = found.steps.only("operation_id", "safe_to_stop", "irreversible", *columns)
    return list(steps.annotate(kubelet=Subquery(host.values("kubelet_version")[:1])).order_by("position"))


def _progress(request: HttpRequest, found: Operation, now: datetime, steps: list[Step] | None = None) -> dict[str, Any]:
    """What the live part shows."""
    steps = _steps(found) if steps is None else steps
    course = timetable.course(found, steps, dict(plans.STAGES), request.GET.get("host", ""))
    keys = found.workspace.keys_of(account_of(request))
    ended, over = found.finished_at or now, found.overrun(now)
    installed = list(found.package_updates.all()) if any(step.stage == "updates" for step in steps) else []
    return {
        "operation": found,
        "workspace": found.workspace,
        "now": now,
        "look": lifecycle.OPERATION[found.state],
        "course": course,
        "host_chosen": request.GET.get("host", "") if course.hosts and course.hosts.shown else "",
        "summary": _summary(found, course),
        "seen": ".".join(timetable.digest(found, steps, now)),
        "elapsed": duration((ended - found.started_at).total_seconds())
        if found.started_at and not found.is_open
        else "",
        "forward_only": [step.title for step in steps if step.irreversible and step.state == "done"],
        "safe_point": timetable.next_safe_point(steps),
        "overrun": duration(over.total_seconds()) if over else "",
        "resumes": _resumes(found, now),
        "installed": installed,
        "installed_hosts": len({one.host_name for one in installed}),
        "may_stop": "operation.stop" in keys,
        "may_retry": "operation.retry" in keys,
        "superseded": found.can_be_retried and _has_successor(found),
    }


def _resumes(found: Operation, now: datetime) -> planner.Window | None:
    """The window in which paused work goes on."""
    if found.state != "paused" or found.lane not in ("routine", "priority"):
        return None
    plan = MaintenancePlan.objects.get(workspace=found.workspace_id).as_rule()
    lane: planner.Lane = "routine" if found.lane == "routine" else "priority"
    return planner.next_window(plan, now, lane)


def _has_successor(found: Operation) -> bool:
    """Whether another operation has run on the workspace since, so that this one may not be continued."""
    return Operation.objects.filter(workspace=found.workspace_id, created_at__gt=found.created_at).exists()


def _summary(found: Operation, course: timetable.Course) -> str:
    """One line that says where it stands, for the status line and for those who listen to the page."""
    label = lifecycle.OPERATION[found.state].label
    if not found.is_open or course.current is None:
        at = f" {day(found.finished_at)} {clock(found.finished_at)} UTC" if found.finished_at else ""
        return f"{label}{at}. {course.done} of {course.total} steps done."
    host = ""
    if course.hosts and course.current.host:
        number = [line.name for line in course.hosts.hosts].index(course.current.host) + 1
        host = f", host {number} of {len(course.hosts.hosts)}"
    return f"{label}{host}: {course.current.title}."
