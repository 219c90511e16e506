"""Operations: the list, and one of them followed live, stopped and continued. It reads and writes rows only.

What the page of one shows is put together in `operation_page.py`; leaving a host out is `skip.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from workspaces.models import Actor, Operation, Workspace
from workspaces.operations import dispatch
from workspaces.rules import lifecycle
from workspaces.rules.ids import as_id
from workspaces.rules.refusal import Refused
from workspaces.views import operation_page, timetable
from workspaces.views.access import account_of, get_continuable, get_operation, login_required
from workspaces.views.operation_log import STOP_POLLING
from workspaces.views.see_other import see_other

PAGE = 50
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
    if (pk := as_id(request.GET.get("workspace", ""))) is None:
        return None
    return Workspace.objects.allowing(account_of(request)).filter(pk=pk).first()


# --- One operation ----------------------------------------------------------------------------------------------------
@login_required
@require_GET
def operation(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The page; with HTMX and `?leave=` only the choice of hosts that may be left out, that one chosen."""
    found = get_operation(request, pk)
    if request.htmx and "leave" in request.GET:  # type: ignore[attr-defined]
        return operation_page.choice_of_hosts(request, found)
    return operation_page.whole(request, found)


@login_required
@require_GET
def progress(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The live part: 204 when it still is what `?seen=` says, 286 with the final state when the operation has ended."""
    found, now = get_operation(request, pk), timezone.now()
    steps = operation_page.steps_of(found)
    state, minute = timetable.digest(found, steps, now)
    seen_state, _, seen_minute = request.GET.get("seen", "").partition(".")
    if (seen_state, seen_minute) == (state, minute) and found.is_open:
        return HttpResponse(status=204)
    context = operation_page.progress(request, found, now, steps) | {"announce": seen_state != state}
    status = 200 if found.is_open else STOP_POLLING
    return render(request, "workspaces/operation.html#poll", context, status=status)


@login_required
@require_POST
def stop(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask for a stop at the next safe point."""
    said = "It stops at the next safe point."
    return _change(request, get_operation(request, pk, need="operation.stop"), Operation.request_stop, said)


@login_required
@require_POST
def retry(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Continue from the step at which it failed or was stopped, taking the risks that `accept` (repeated) names."""
    accept = request.POST.getlist("accept")

    def again(found: Operation, actor: Actor) -> Refused | None:
        return found.retry(actor, accept)

    said = "It continues where it stopped."
    return _change(request, get_continuable(request, pk), again, said)


def _change(
    request: HttpRequest, found: Operation, change: Callable[[Operation, Actor], Refused | None], said: str
) -> HttpResponse:
    refused = change(found, Actor.of(account_of(request)))
    if refused:
        return operation_page.whole(request, found, refused=refused)
    dispatch.run_soon(found.pk)
    messages.success(request, said)
    return see_other("operation", pk=found.pk)
