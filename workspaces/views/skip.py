"""Leaving a host out of an operation: it stays as it is, with a reason, and the other hosts go on."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from workspaces.models import Actor, Operation
from workspaces.operations import dispatch
from workspaces.rules.refusal import Refused
from workspaces.views import operation_page
from workspaces.views.access import account_of, get_continuable, login_required
from workspaces.views.see_other import see_other


@login_required
@require_POST
def skip(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Leave `host` out because of `reason`; with `continue` an operation that has ended goes on in the same breath."""
    found = get_continuable(request, pk)
    form = operation_page.LeaveOut(request.POST)
    if not form.is_valid():
        return operation_page.whole(request, found, leave_out=form)
    goes_on = not found.is_open and "continue" in request.POST
    host, reason = form.cleaned_data["host"], form.cleaned_data["reason"]
    refused = _leave_out(found, host, reason, Actor.of(account_of(request)), goes_on=goes_on)
    if refused:
        return operation_page.whole(request, found, refused=refused)
    if goes_on or (found.is_open and found.state != "paused"):
        dispatch.run_soon(found.pk)
    messages.success(request, f"{host} is left as it is." + (" The operation continues." if goes_on else ""))
    return see_other("operation", pk=found.pk)


def _leave_out(found: Operation, host: str, reason: str, actor: Actor, *, goes_on: bool) -> Refused | None:
    """Both or neither: a host is not left out of an operation that may not be continued."""
    with transaction.atomic():
        refused = found.skip_host(host, reason, actor)
        if refused is None and goes_on:
            refused = found.retry(actor)
        if refused:
            transaction.set_rollback(True)
    if refused:
        found.refresh_from_db()
    return refused
