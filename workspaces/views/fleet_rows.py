"""One row of the fleet list as plain values: read with tuples, worded once, so that the template only prints."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models import Case, Count, OuterRef, Q, QuerySet, Subquery, When

from workspaces.models import Host, MaintenancePlan, Operation, Workspace
from workspaces.models.upgradable import VERSION_COLUMNS, Upgradable
from workspaces.rules import lifecycle, planner
from workspaces.rules.looks import too_old_at
from workspaces.rules.maintenance import Plan
from workspaces.templatetags.console import ago, day, span, until, when

_TYPES = dict(lifecycle.WORKSPACE_TYPES)
# An attention sentence may be 200 characters; the workspace's own page has all of it.
_SENTENCE = 96
_BUSY_WORDS = {
    "upgrade": "Upgrading",
    "maintenance": "In maintenance",
    "deletion": "Deleting",
    "host_order": "Adding a host",
    "host_resize": "Resizing a host",
    "host_removal": "Removing a host",
    "ca_rotation": "Changing authority",
}


class Seen(NamedTuple):
    """The columns of one workspace and its plan, in the order they are read."""

    pk: UUID
    name: str
    project: str
    type: str
    state: str
    location: str
    attention: str
    attention_tone: str
    observed_at: datetime | None
    look_error_code: str
    looked_every: int
    host_count: int
    hosts_ready: int
    version: str
    wanted: str
    kubelets: str
    kamaji_max: str | None
    os_name: str | None
    enabled: bool | None
    disabled_at: datetime | None
    disabled_by: str | None
    priority_hour: int | None
    hours: tuple[int | None, ...]
    operation: tuple[Any, ...] | None


@dataclass(frozen=True, slots=True)
class Row:
    """What the template prints. `rail` is None where maintenance is off or has no plan."""

    pk: UUID
    short: str
    name: str
    project: str
    health: str
    tone: str
    health_sub: str
    type: str
    location: str
    version: str
    os_name: str
    target: str
    hosts: str
    window: str
    window_tone: str
    window_sub: str
    rail: Rail | None
    reconciled: str
    reconciled_tag: str


@dataclass(frozen=True, slots=True)
class Rail:
    """X positions on the hour rail of 98 units, four an hour; `window` and `now` only where they are on that day."""

    priority: int
    window: int | None
    now: str


def read_rows(page: QuerySet[Workspace]) -> list[Seen]:
    """The page of workspaces, sliced and ordered, with their open operations (two queries)."""
    plan = ("enabled", "disabled_at", "disabled_by", "priority_hour", *MaintenancePlan.HOURS)
    host = Host.objects.filter(workspace=OuterRef("pk")).order_by("name")
    found = list(
        page.annotate(first_os=Case(When(type="baremetal", then=Subquery(host.values("os_name")[:1])))).values_list(
            "pk", "name", "project__name", "type", "state", "location", "attention", "attention_tone", "observed_at",
            "look_error_code", "looked_every", "host_count", "hosts_ready", *VERSION_COLUMNS, "first_os",
            *(f"maintenance_plan__{column}" for column in plan),
        )
    )  # fmt: skip
    operations = _open_operations([row[0] for row in found])
    return [Seen._make((*row[:22], row[22:], operations.get(row[0]))) for row in found]


def _open_operations(keys: list[UUID]) -> dict[UUID, tuple[Any, ...]]:
    """Of each workspace the open operation: kind, title, state, parameters, hosts in all, hosts reached."""
    named = ~Q(steps__host="")
    rows = (
        Operation.objects.open()
        .filter(workspace__in=keys)
        .order_by()
        .annotate(
            hosts=Count("steps__host", distinct=True, filter=named),
            reached=Count("steps__host", distinct=True, filter=named & ~Q(steps__state="pending")),
        )
    )
    columns = ("kind", "title", "state", "parameters", "hosts", "reached")
    return {key: tuple(values) for key, *values in rows.values_list("workspace_id", *columns)}


def rows_of(found: list[Seen], upgradable: Upgradable, now: datetime) -> list[Row]:
    """The rows in words, in the same order."""
    return [_row(seen, upgradable, now) for seen in found]


def _row(seen: Seen, upgradable: Upgradable, now: datetime) -> Row:
    kubernetes, leaving = seen.type == "kubernetes", seen.state in lifecycle.LEAVING
    versions = (seen.version, seen.wanted, seen.kubelets, seen.kamaji_max)
    health, tone, health_sub = _health(seen, now)
    window, window_tone, window_sub, rail = _window(seen, now)
    return Row(
        pk=seen.pk,
        short=str(seen.pk)[:8],
        name=seen.name,
        project=seen.project,
        health=health,
        tone=tone,
        health_sub=health_sub,
        type=_TYPES[seen.type],
        location=seen.location,
        version=seen.version if kubernetes else "",
        os_name="" if kubernetes else (seen.os_name or "").partition(" (")[0],
        target=upgradable.target(versions) if kubernetes and seen.operation is None and not leaving else "",
        hosts=_hosts(seen),
        window=window,
        window_tone=window_tone,
        window_sub=window_sub,
        rail=rail,
        reconciled=ago(seen.observed_at, now) or "never",
        reconciled_tag="last look failed" if seen.look_error_code else "",
    )


def _health(seen: Seen, now: datetime) -> tuple[str, str, str]:
    """Word, tone and explanation. What is being done comes first; what was not seen lately is never green."""
    look = lifecycle.WORKSPACE[seen.state]
    if seen.operation is not None:
        return _busy(seen.operation)
    if seen.state in lifecycle.LEAVING:
        return look.label, seen.attention_tone or look.tone, _cut(seen.attention)
    if seen.observed_at is None:
        return "Not seen yet", "idle", look.label
    every = max(settings.LOOPBACK_RECONCILE_SECONDS, seen.looked_every)
    if now >= too_old_at(seen.observed_at, every):
        return (
            f"Not seen for {span(now - seen.observed_at)}",
            "idle",
            f"was {_cut(seen.attention) or look.label.lower()}",
        )
    if seen.attention:
        broken = seen.state == "active" and seen.attention_tone == "bad"
        return "Degraded" if broken else look.label, seen.attention_tone, _cut(seen.attention)
    return look.label, look.tone, ""


def _busy(operation: tuple[Any, ...]) -> tuple[str, str, str]:
    kind, title, state, parameters, hosts, reached = operation
    where = f"host {reached} of {hosts}" if reached else "control plane" if kind == "upgrade" else ""
    target = f"to {parameters['to']}" if kind == "upgrade" and parameters.get("to") else ""
    word = _BUSY_WORDS.get(kind, "Busy")
    sub = ", ".join(part for part in (target, where) if part) or _cut(title)
    return (f"{word}, paused", "warn", sub) if state == "paused" else (word, "busy", sub)


def _cut(sentence: str) -> str:
    return sentence if len(sentence) <= _SENTENCE else f"{sentence[: _SENTENCE - 1].rstrip()}…"


def _hosts(seen: Seen) -> str:
    return str(seen.host_count) if seen.hosts_ready == seen.host_count else f"{seen.hosts_ready} of {seen.host_count}"


def _window(seen: Seen, now: datetime) -> tuple[str, str, str, Rail | None]:
    """When the next routine window opens: words, a tone when that is a state, the words below, and the rail."""
    if seen.state in lifecycle.LEAVING:
        return "None", "idle", lifecycle.WORKSPACE[seen.state].label.lower(), None
    if seen.enabled is None or seen.priority_hour is None:
        return "No plan", "idle", "", None
    if not seen.enabled:
        since = f"since {day(seen.disabled_at).partition(' ')[2]}" if seen.disabled_at else ""
        by = f"by {seen.disabled_by}" if seen.disabled_by else ""
        return "Off", "warn", ", ".join(part for part in (since, by) if part), None
    plan = Plan(True, seen.hours, seen.priority_hour, compute_auto_update=False, kubernetes_auto_upgrade=None)
    following = planner.next_window(plan, now, "routine")
    priority = 4 * seen.priority_hour + 3
    now_x = f"{1 + 4 * (now.hour + now.minute / 60):.1f}"
    if following is None:
        return "No routine window", "idle", f"priority hour {seen.priority_hour:02d}:00", Rail(priority, None, now_x)
    opens = following.opens_at
    today = opens.date() == now.astimezone(UTC).date()
    return when(opens, now), "", until(opens, now), Rail(priority, 4 * opens.hour + 1, now_x if today else "")
