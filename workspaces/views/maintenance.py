"""The maintenance page: a form over the whole plan, what it would do in the coming week, and saving it.

The form always sends the complete plan with the version that it was made from. A checkbox that is off sends nothing, so
each has a hidden `off` before it; what is missing altogether is then a mistake and not an "off".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from workspaces.models import Actor, Advisory, Event, MaintenancePlan, Workspace
from workspaces.models.maintenance import StaleVersion
from workspaces.models.outlook import Outlook, look
from workspaces.rules import lifecycle, planner
from workspaces.rules import maintenance as rules
from workspaces.rules.situation import refuse_leaving
from workspaces.views import week
from workspaces.views.access import account_of, get_workspace, login_required
from workspaces.views.last_runs import last_runs
from workspaces.views.see_other import see_other
from workspaces.views.workspaces import status_of

_SWITCHES = {"on": True, "off": False}
_TITLES = {
    "enabled": "Maintenance",
    "priority_hour": "Priority hour",
    "compute_auto": "Operating system",
    "kubernetes_auto": "Kubernetes patch releases",
} | {f"day_{number}": name for number, name in enumerate(rules.WEEKDAYS)}
# Where the rules say a problem is → the field of the form.
_FIELDS = {("compute", "auto_update"): "compute_auto", ("kubernetes", "auto_upgrade"): "kubernetes_auto"}


@dataclass(frozen=True)
class Typed:
    """What a form said: as typed, as a document, the version it was made from, and what is wrong (field → sentence)."""

    values: dict[str, str]
    document: dict[str, Any]
    version: int | None
    errors: dict[str, str] = field(default_factory=dict)


class Difference(NamedTuple):
    """A change as a table row, and as a sentence."""

    title: str
    before: str
    after: str
    sentence: str


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def maintenance(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The page; POST saves the plan."""
    if request.method == "POST":
        return _save(request, get_workspace(request, pk, need="maintenance.edit"))
    workspace = get_workspace(request, pk)
    plan = workspace.maintenance_plan.as_rule()
    return _page(request, workspace, Typed(_values_of(plan), rules.document(plan), workspace.maintenance_plan.version))


def _save(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    """Store the plan and go back to the page; or the page with what was typed and why it was not stored."""
    if workspace.state in lifecycle.GONE and (refused := refuse_leaving(workspace.state)):
        messages.error(request, f"Nothing was saved. {refused.message}")
        return see_other("maintenance", pk=workspace.pk)
    account = account_of(request)
    typed = _read(request.POST, workspace)
    if typed.errors:
        return _page(request, workspace, typed, status=422)
    try:
        _, notes = MaintenancePlan.apply(
            workspace,
            typed.document,
            actor=Actor.of(account),
            may_disable="maintenance.disable" in workspace.keys_of(account),
            semantics="json",
            seen_version=typed.version,
        )
    except StaleVersion as stale:
        workspace.maintenance_plan = stale.plan
        return _page(request, workspace, typed, status=409)
    messages.success(request, f"Schedule of {workspace.name} saved.")
    for note in notes:
        messages.warning(request, note.message)
    return see_other("maintenance", pk=workspace.pk)


@login_required
@require_POST
def preview(request: HttpRequest, pk: UUID) -> HttpResponse:
    """What the form would do when saved: the agenda and the save bar. Nothing is stored."""
    workspace = get_workspace(request, pk, need="maintenance.edit")
    typed, now = _read(request.POST, workspace), timezone.now()
    context = _what_if(workspace, typed, workspace.keys_of(account_of(request)), look(workspace, now), now)
    status = 422 if typed.errors else 200
    return render(request, "workspaces/maintenance.html#preview", context, status=status)


def _page(request: HttpRequest, workspace: Workspace, typed: Typed, status: int = 200) -> HttpResponse:
    """The whole page around what is typed; 409 compares it with what somebody else has saved meanwhile."""
    now, account = timezone.now(), account_of(request)
    keys, outlook, plan = workspace.keys_of(account), look(workspace, now), workspace.maintenance_plan
    saved = plan.as_rule()
    context = _what_if(workspace, typed, keys, outlook, now) | {
        "nav": "fleet",
        "status": status_of(workspace, now),
        "keys": keys,
        "plan": plan,
        "outlook": outlook,
        "typed": typed,
        "errors": [(name, _TITLES.get(name, name), sentence) for name, sentence in typed.errors.items()],
        "grid": week.grid(typed.values, saved, typed.errors, account.time_zone, now),
        "may_edit": "maintenance.edit" in keys,
        "may_disable": "maintenance.disable" in keys,
        "routine": planner.next_window(saved, now, "routine"),
        "priority": planner.next_window(saved, now, "priority"),
        "last": last_runs(workspace, now),
        "conflict": status == 409,
        # What the next save is compared with: after a conflict, which this page shows, with what is saved now.
        "seen_version": plan.version if status == 409 else typed.version,
        "other": _last_change(workspace) if status == 409 else None,
    }
    return render(request, "workspaces/maintenance.html", context, status=status)


def _what_if(
    workspace: Workspace, typed: Typed, keys: frozenset[str], outlook: Outlook, now: datetime
) -> dict[str, Any]:
    """The agenda and the changes of what is typed; of the saved plan while something typed is wrong."""
    saved = workspace.maintenance_plan.as_rule()
    may_disable = "maintenance.disable" in keys
    merged = rules.Merged(saved, ())
    if not typed.errors:
        merged = rules.merge(
            saved, typed.document, may_disable=may_disable, semantics="json", workspace_type=workspace.type
        )
    ahead = planner.forecast(merged.plan, outlook.facts, now)
    return {
        "workspace": workspace,
        "now": now,
        "wrong": typed.errors,
        "changes": [_in_words(change) for change in rules.difference(saved, merged.plan)],
        "notes": merged.notes,
        "behind": typed.version != workspace.maintenance_plan.version,
        "shown_enabled": merged.plan.enabled,
        "days": week.agenda(merged.plan, saved, ahead, now),
        "flagged": [f for f in ahead if f.window.lane == "priority" and f.work],
        "advisories": _advisories(outlook, ahead),
        "priority_reasons": next((f.reasons for f in ahead if f.window.lane == "priority"), ()),
        "blocks": _standing(ahead),
    }


def _advisories(outlook: Outlook, ahead: list[planner.Forecast]) -> list[Advisory]:
    """The flagged advisories that the reasons of the coming priority hours name (one query when there are any)."""
    reasons = {reason.message for one in ahead if one.window.lane == "priority" for reason in one.reasons}
    names = [flagged.name for flagged in outlook.facts.advisories]
    named = [name for name in names if any(message.startswith(f"{name} is ") for message in reasons)]
    return list(Advisory.objects.filter(name__in=named).order_by("name")) if named else []


def _standing(ahead: list[planner.Forecast]) -> list[planner.Reason]:
    """What blocks every window of the week, to be said once."""
    if not ahead:
        return []
    return [reason for reason in ahead[0].blocked_by if all(reason in forecast.blocked_by for forecast in ahead)]


def _in_words(change: rules.Change) -> Difference:
    title = _TITLES[_field_of(tuple(change.field.split(".")))]
    return Difference(title, _value(change.before), _value(change.after), change.sentence)


def _value(value: bool | int | None) -> str:
    if value is None:
        return "no window"
    return _switch(value) if isinstance(value, bool) else f"{value:02d}:00 UTC"


def _last_change(workspace: Workspace) -> Event | None:
    return Event.objects.filter(workspace_id=workspace.pk, action="maintenance.changed").first()


# --- The form ---------------------------------------------------------------------------------------------------------
def _values_of(plan: rules.Plan) -> dict[str, str]:
    """The plan as the fields of the form."""
    values = {f"day_{day}": week.NO_WINDOW if hour is None else str(hour) for day, hour in enumerate(plan.hours)}
    values |= {"enabled": _switch(plan.enabled), "priority_hour": str(plan.priority_hour)}
    values["compute_auto"] = _switch(plan.compute_auto_update)
    if plan.kubernetes_auto_upgrade is not None:
        values["kubernetes_auto"] = _switch(plan.kubernetes_auto_upgrade)
    return values


def _switch(on: bool) -> str:
    return "on" if on else "off"


def _read(form: QueryDict, workspace: Workspace) -> Typed:
    """The form as a document. What cannot be read is passed on as text, for the rules to object to."""
    names = {"enabled", "priority_hour", "compute_auto", *(f"day_{day}" for day in range(7))}
    if workspace.is_kubernetes:
        names.add("kubernetes_auto")
    sent = {name for name in form if name in names or name.startswith("day_") or name == "kubernetes_auto"}
    # The last value counts: a checkbox that is on follows its hidden "off".
    values = {name: form.getlist(name)[-1] for name in sorted(names | sent) if name in sent}
    document = _document(values)
    errors = dict.fromkeys(sorted(names - sent), "Nothing was sent. Choose a value.")
    for problem in rules.validate(document, workspace.type):
        said = _field_of(problem.loc)
        errors[said] = f"“{values.get(said, '')}”: {_in_form_words(problem)}"
    version = form.get("version", "")
    if not _is_number(version):
        errors["version"] = "The form does not say which schedule it was made from. Load the page again."
    return Typed(values, document, int(version) if _is_number(version) else None, errors)


def _document(values: Mapping[str, str]) -> dict[str, Any]:
    document: dict[str, Any] = {"schedule": {}}
    for name, text in values.items():
        if name.startswith("day_"):
            document["schedule"][name.removeprefix("day_")] = None if text == week.NO_WINDOW else _hour(text)
        elif name == "priority_hour":
            document[name] = _hour(text)
        elif name == "enabled":
            document[name] = _SWITCHES.get(text, text)
        else:
            block, flag = next(loc for loc, said in _FIELDS.items() if said == name)
            document[block] = {flag: _SWITCHES.get(text, text)}
    return document


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,9}", text) is not None


def _hour(text: str) -> int | str:
    return int(text) if _is_number(text) else text


def _field_of(loc: tuple[str, ...]) -> str:
    if loc[0] == "schedule" and len(loc) > 1:
        return f"day_{loc[1]}"
    return "kubernetes_auto" if loc[0] == "kubernetes" else _FIELDS.get((loc[0], loc[-1]), loc[0])


def _in_form_words(problem: rules.Problem) -> str:
    """The rules speak of documents; on the page a day has “none” for null, and a switch is on or off."""
    return {
        "not_an_hour": "Choose an hour from 00 to 23.",
        "not_a_boolean": "Choose on or off.",
        "unknown_weekday": "There is no such day. Days are Monday to Sunday.",
    }.get(problem.code, problem.msg)
