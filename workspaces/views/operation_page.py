"""What the page of one operation shows, put together: the live part, the log's tail, the form to leave a host out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from django import forms
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from workspaces.models import Host, MaintenancePlan, Operation, Step
from workspaces.operations import plans
from workspaces.rules import lifecycle, planner
from workspaces.rules.pricing import Quote
from workspaces.rules.refusal import Refused
from workspaces.templatetags.console import clock, day, duration, span
from workspaces.views import operation_checks, timetable
from workspaces.views.access import account_of
from workspaces.views.causes import in_words
from workspaces.views.expected import expected
from workspaces.views.money import difference, money, set_by
from workspaces.views.operation_log import Narrowed, tail_of

# A step that waits for longer is told at the top of the page, with what holds it up.
HELD_UP_AFTER: Final = timedelta(minutes=1)
_COLUMNS: Final = (
    *("operation_id", "position", "key", "title", "arguments", "host", "stage", "hop", "state", "attempts", "message"),
    *("cause", "who_can_fix", "skipped_by", "started_at", "finished_at", "safe_to_stop", "irreversible"),
)


class LeaveOut(forms.Form):
    """Which host is left as it is, and why."""

    host = forms.CharField(max_length=63, error_messages={"required": "Choose the host to leave out"})
    reason = forms.CharField(
        max_length=200,
        error_messages={
            "required": "Enter why the host is left out",
            "max_length": "Enter at most 200 characters",
        },
    )


class HalfUpgraded(NamedTuple):
    """A control plane that has moved and hosts that have not: `behind` of `hosts`."""

    running: str
    behind: int
    hosts: int


# --- The page ---------------------------------------------------------------------------------------------------------
def whole(
    request: HttpRequest, found: Operation, *, refused: Refused | None = None, leave_out: LeaveOut | None = None
) -> HttpResponse:
    """The page; `refused` is why nothing was changed (409), `leave_out` a form with mistakes in it (422)."""
    context = progress(request, found, timezone.now())
    asked = leave_out["host"].value() if leave_out else request.GET.get("leave", "")
    context |= tail_of(found, Narrowed.of(request.GET, context["course"].shown))
    context |= {
        "nav": "operations",
        "refused": refused,
        "warnings": found.lines.filter(level="warn").count(),
        "leave_out": leave_out,
        "leave": asked if asked in context["leavable"] else "",
    }
    status = 409 if refused else 422 if leave_out else 200
    return render(request, "workspaces/operation.html", context, status=status)


def choice_of_hosts(request: HttpRequest, found: Operation) -> HttpResponse:
    """The hosts that may be left out, that of `?leave=` chosen."""
    course = timetable.course(found, steps_of(found), dict(plans.STAGES))
    context = {"leavable": _leavable(found, course), "leave": request.GET["leave"]}
    return render(request, "workspaces/operation.html#hosts_to_leave", context)


# --- The live part ----------------------------------------------------------------------------------------------------
def steps_of(found: Operation) -> list[Step]:
    """The steps in order, each with the kubelet that its host was last seen with (one query)."""
    host = Host.objects.filter(workspace=found.workspace_id, name=OuterRef("host"))
    steps = found.steps.only(*_COLUMNS)
    return list(steps.annotate(kubelet=Subquery(host.values("kubelet_version")[:1])).order_by("position"))


def progress(
    request: HttpRequest, found: Operation, now: datetime, steps: Sequence[Step] | None = None
) -> dict[str, Any]:
    """What the live part shows."""
    steps = steps_of(found) if steps is None else steps
    chosen = request.GET.get("host", "")
    preflights = operation_checks.newest_of(found)
    panels = operation_checks.panels_of(preflights, found, now)
    course = timetable.course(found, steps, dict(plans.STAGES), chosen, panels)
    over = found.overrun(now)
    stops = operation_checks.stops_of(found, preflights)
    return {
        "operation": found,
        "here": reverse("operation", args=[found.pk]),
        "workspace": found.workspace,
        "now": now,
        "look": lifecycle.OPERATION[found.state],
        "course": course,
        "host_chosen": chosen if chosen == course.shown else "",
        "summary": _summary(found, course),
        "seen": ".".join(timetable.digest(found, steps, now)),
        "took": _took(found),
        "expected": expected(found, steps, now),
        "forward_only": [step.title for step in steps if step.irreversible and step.state == "done"],
        "safe_point": timetable.next_safe_point(steps),
        "overrun": duration(over.total_seconds()) if over else "",
        "resumes": _resumes(found, now),
        "held_up": _held_up(found, course, now),
        "cause": "" if stops else in_words(found.error_code),
        "stops": stops,
        "half": _half_upgraded(found),
        **_allowed(request, found, course),
        **_installed(found, steps),
        **_priced(found),
    }


def _priced(found: Operation) -> dict[str, Any]:
    """What was confirmed when a host was ordered or resized: a month at most, by list, and before."""
    told = found.parameters
    if "price" not in told:
        return {}
    quote = Quote.of(told["price"])
    line = quote.line("monthly")
    before = Quote.of(told["price_before"]) if told.get("price_before") else None
    return {
        "confirmed": money(quote.monthly_total, quote.currency),
        "confirmed_list": money(quote.list_monthly_total, quote.currency),
        "confirmed_by": set_by(line) if line else "",
        "confirmed_change": (
            difference(quote.monthly_total - before.monthly_total, quote.currency)
            if before and before.currency == quote.currency
            else ""
        ),
    }


def _allowed(request: HttpRequest, found: Operation, course: timetable.Course) -> dict[str, Any]:
    """What the reader may do with it now; `superseded` and `barred`: nobody may continue it (any more, or now)."""
    keys = found.workspace.keys_of(account_of(request))
    may_retry = keys >= {"operation.retry", found.continued_by}
    superseded = found.can_be_retried and not found.is_open and _has_successor(found)
    barred = found.barred
    open_to_changes = not superseded and not barred and (found.is_open or found.can_be_retried)
    may_leave = may_retry and open_to_changes and course.hosts is not None
    return {
        "may_stop": "operation.stop" in keys,
        "may_retry": may_retry,
        "barred": barred.message if barred else "",
        "administrators_only": found.continued_by != "operation.retry",
        "may_leave": may_leave,
        "leavable": _leavable(found, course) if may_leave else [],
        "superseded": superseded,
    }


def _took(found: Operation) -> str:
    """How long an ended operation took; empty while it is open."""
    if found.started_at is None or found.finished_at is None or found.is_open:
        return ""
    return duration((found.finished_at - found.started_at).total_seconds())


def _installed(found: Operation, steps: Sequence[Step]) -> dict[str, Any]:
    installed = list(found.package_updates.all()) if any(step.stage == "updates" for step in steps) else []
    return {"installed": installed, "installed_hosts": len({one.host_name for one in installed})}


def _leavable(found: Operation, course: timetable.Course) -> list[str]:
    """Hosts with something left to do at which no worker is at this moment."""
    lines = (line for part in course.parts if part.hosts for line in part.hosts.hosts if line.may_leave)
    busy = course.current.host if course.current and course.current.state == "running" else ""
    return list(dict.fromkeys(line.name for line in lines if line.name != busy))


def _held_up(found: Operation, course: timetable.Course, now: datetime) -> dict[str, Any] | None:
    """The step that has been waiting for a while, for how long, and why."""
    step = course.current
    if step is None or found.state != "waiting" or step.state != "waiting" or step.started_at is None:
        return None
    if now - step.started_at < HELD_UP_AFTER:
        return None
    return {"step": step, "span": span(now - step.started_at, minutes=True), "cause": in_words(step.cause)}


def _half_upgraded(found: Operation) -> HalfUpgraded | None:
    """What an ended upgrade has left: the control plane ahead of hosts, as they were last seen (one query)."""
    if found.is_open or found.irreversible_since is None:
        return None
    running = found.workspace.kubernetes_version
    seen = found.workspace.hosts.exclude(node_name="").values_list("kubelet_version", flat=True)
    kubelets = [kubelet for kubelet in seen if kubelet]
    behind = sum(kubelet != running for kubelet in kubelets)
    return HalfUpgraded(running, behind, len(kubelets)) if behind and running else None


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
    out = f", {course.left_out} left out" if course.left_out else ""
    if not found.is_open or course.current is None:
        at = f" {day(found.finished_at)} {clock(found.finished_at)} UTC" if found.finished_at else ""
        return f"{label}{at}. {course.done} of {course.total} steps done{out}."
    where = f", hop {course.current.hop} of {course.parts[-1].hop}" if course.current.hop else ""
    table = next((part.hosts for part in course.parts if part.hop == course.current.hop), None)
    names = [line.name for line in table.hosts] if table else []
    if course.current.host in names:
        where += f", host {names.index(course.current.host) + 1} of {len(names)}"
    return f"{label}{where}: {course.current.title}."
