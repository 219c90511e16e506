"""Deciding what becomes of drift: accept what is seen as what is wanted, or have it set back."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from workspaces.models import Actor, Drift
from workspaces.operations import drift_decisions
from workspaces.rules import drift_words
from workspaces.rules.drift import DECISIONS
from workspaces.rules.refusal import Refused
from workspaces.views import workspace_reconciliation
from workspaces.views.access import account_of, get_workspace, login_required
from workspaces.views.see_other import see_other


@login_required
@require_POST
def decide(request: HttpRequest, pk: UUID, drift: UUID) -> HttpResponse:
    """Take `decision` ("accept" or "converge") about one field, and go back to the page; refused: the page says why."""
    workspace = get_workspace(request, pk, need="workspace.reconcile")
    rows = Drift.objects.select_related("workspace__project")
    found = get_object_or_404(rows, pk=drift, workspace=workspace)
    decision = request.POST.get("decision", "")
    if decision not in dict(DECISIONS):
        unknown = Refused("decision_unknown", "Choose whether it is accepted or set back.")
        return workspace_reconciliation.page(request, workspace, unknown, status=422)
    if refused := drift_decisions.decide(found, decision, Actor.of(account_of(request))):
        return workspace_reconciliation.page(request, workspace, refused, status=409)
    messages.success(request, _said(found, decision))
    return see_other("workspace_reconciliation", pk=pk)


def _said(found: Drift, decision: str) -> str:
    what = f"{found.subject}, {drift_words.field_in_words(found.kind, found.field)}"
    if decision == "accept":
        return f"{what}: {drift_words.value_in_words(found.kind, found.field, found.seen)} is wanted from now on."
    return f"{what}: the next look sets it back to {drift_words.value_in_words(found.kind, found.field, found.wanted)}."
