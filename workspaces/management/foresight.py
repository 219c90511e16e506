"""What a command tells of coming windows: as a JSON document and as lines of words, for one workspace each."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from workspaces.models import Actor, Decision, MaintenancePlan, Workspace
from workspaces.rules import maintenance as rules
from workspaces.rules import planner
from workspaces.rules.planner import Facts, Forecast

Entry = tuple[dict[str, Any], list[str]]


def change(workspace: Workspace, document: dict[str, Any], facts: Facts, now: datetime, dry_run: bool) -> Entry:
    """Merge the document into the plan, unless `dry_run`, and tell what differs in the plan and in the coming week."""
    saved = workspace.maintenance_plan.as_rule()
    notes = []
    if not workspace.is_kubernetes and "kubernetes" in document:
        document = {name: value for name, value in document.items() if name != "kubernetes"}
        notes.append("It is bare metal: Kubernetes patch releases were left out.")
    merged = rules.merge(saved, document, may_disable=True, semantics="merge-patch", workspace_type=workspace.type)
    plan = merged.plan
    if not dry_run:
        stored, _ = MaintenancePlan.apply(
            workspace, document, actor=Actor.of_command("maintenance"), may_disable=True, semantics="merge-patch"
        )
        plan = stored.as_rule()
    changes = rules.difference(saved, plan)
    gone, new = _difference(planner.forecast(saved, facts, now), planner.forecast(plan, facts, now))
    told = _named(workspace) | {
        "changed": bool(changes) and not dry_run,
        "changes": [{"field": one.field, "before": one.before, "after": one.after} for one in changes],
        "notes": notes,
        "forecast": {"removed": [_window(one) for one in gone], "added": [_window(one) for one in new]},
    }
    did = ("would change" if dry_run else "changed") if changes else "stays as it is"
    words = [f"{workspace.name}: {did}", *(f"  {one.sentence}" for one in changes), *(f"  {note}" for note in notes)]
    words += [f"  - {_in_words(one)}" for one in gone] + [f"  + {_in_words(one)}" for one in new]
    return told, words


def forecast(workspace: Workspace, facts: Facts, now: datetime, days: int) -> Entry:
    """Every coming window with what it would do, why, and what stops it."""
    ahead = planner.forecast(workspace.maintenance_plan.as_rule(), facts, now, days)
    told = _named(workspace) | {"windows": [_window(one) for one in ahead]}
    return told, [f"{workspace.name}:", *(f"  {_in_words(one)}" for one in ahead)]


def decision(row: Decision, ahead: Forecast) -> Entry:
    """What would be decided for a window that is open."""
    told = _named(row.workspace) | _window(ahead) | {"outcome": row.outcome, "reason": row.reason}
    said = f"{row.outcome}. {row.message}"
    if row.outcome == "waiting":
        said = f"starts when there is a free place. {'. '.join(ahead.would)}."
    return told, [f"{row.workspace.name}: {row.lane}, {said}"]


def _named(workspace: Workspace) -> dict[str, Any]:
    return {"workspace": {"id": workspace.pk, "name": workspace.name, "project": str(workspace.project)}}


def _difference(old: Iterable[Forecast], new: Iterable[Forecast]) -> tuple[list[Forecast], list[Forecast]]:
    """Windows of the old forecast that are no longer so, and those that are new; reasons alone make no difference."""
    before, after = {_essence(one): one for one in old}, {_essence(one): one for one in new}
    gone = [one for essence, one in before.items() if essence not in after]
    return gone, [one for essence, one in after.items() if essence not in before]


def _essence(one: Forecast) -> tuple[object, ...]:
    return one.window, one.would, tuple(reason.code for reason in one.blocked_by)


def _window(one: Forecast) -> dict[str, Any]:
    return {
        "lane": one.window.lane,
        "opens_at": f"{one.window.opens_at:%Y-%m-%dT%H:%M:%SZ}",
        "would": list(one.would),
        "reasons": [{"code": reason.code, "message": reason.message} for reason in one.reasons],
        "blocked_by": [{"code": reason.code, "message": reason.message} for reason in one.blocked_by],
    }


def _in_words(one: Forecast) -> str:
    would = ". ".join(one.would) or "Nothing"
    stopped = " ".join(reason.message for reason in one.blocked_by)
    return f"{one.window.opens_at:%a %d %b %H:%M} UTC, {one.window.lane}: {would}." + (
        f" Does not run: {stopped}" if stopped else ""
    )
