"""The audit log as it is read: events with what they speak of, as lines with their changes in words."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Subquery, Window
from django.db.models.functions import RowNumber
from django.urls import reverse

from workspaces.models import Account, Event, Operation, Workspace
from workspaces.models.event import EventQuerySet
from workspaces.models.trail import ACTOR_KINDS
from workspaces.templatetags.console import clock_seconds, day
from workspaces.views.access import ProjectPlace

# A line of the page shows this many fields, cut to this many characters each; the export has them whole.
FIELDS_SHOWN = 6
VALUE_SHOWN = 48
CHANGES_READ = 500


@dataclass(frozen=True, slots=True)
class Change:
    """A field with its values in words. `before` None: it was added; both None: only that it changed may be told."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """One event as the page shows it. `rows` are the row changes it speaks for: a sentence with its fields."""

    event: Event
    when: str
    kind: str
    href: str
    workspace: str
    place: str
    changes: list[Change]
    rows: list[tuple[str, list[Change]]]
    cut: bool


def located(events: EventQuerySet, account: Account) -> EventQuerySet:
    """With `workspace_name` and `operation_there` of what still exists and the account may see."""
    visible = Workspace.objects.allowing(account)
    operations = Operation.objects.filter(pk=OuterRef("operation_id"), workspace__in=visible)
    name = Subquery(visible.filter(pk=OuterRef("workspace_id")).values("name")[:1])
    return events.annotate(workspace_name=name, operation_there=Exists(operations))


def lines_of(events: list[Event], account: Account, projects: list[ProjectPlace], now: datetime) -> list[Line]:
    """The lines of one page (one query, for the row changes)."""
    places = Places(projects)
    changes = _row_changes(events, account)
    return [_line(event, places, _of_act(event, changes), now) for event in events]


class Places:
    """The names of organizations and projects that the reader may see; others stay without."""

    def __init__(self, projects: list[ProjectPlace]) -> None:
        self.projects = {project.id: project.name for project in projects}
        self.organizations = {project.organization_id: project.organization for project in projects}

    def of(self, event: Event) -> str:
        """`Kestrel Freight / Freight Core`; empty where there is none."""
        organization = self.organizations.get(event.organization_id, "") if event.organization_id else ""
        project = self.projects.get(event.project_id, "") if event.project_id else ""
        return " / ".join(filter(None, (organization, project)))


def _line(event: Any, places: Places, rows: list[Event], now: datetime) -> Line:
    left = FIELDS_SHOWN
    own, shown = _changes(event)[:left], []
    left -= len(own)
    for row in rows:
        fields = _changes(row)[: max(left, 0)]
        if fields:
            shown.append((row.summary, fields))
        left -= len(fields)
    total = len(event.changes) + sum(len(row.changes) for row in rows)
    href = ""
    if event.operation_there:
        href = reverse("operation", args=[event.operation_id])
    elif event.workspace_name:
        href = reverse("workspace", args=[event.workspace_id])
    year = "" if event.at.year == now.year else f" {event.at.year}"
    return Line(
        event=event,
        when=f"{day(event.at)}{year} {clock_seconds(event.at)}",
        kind=ACTOR_KINDS.get(event.actor_kind, event.actor_kind),
        href=href,
        workspace=event.workspace_name or "",
        place=places.of(event),
        changes=own,
        rows=shown,
        cut=total > FIELDS_SHOWN,
    )


# --- Row changes ------------------------------------------------------------------------------------------------------
def _row_changes(events: list[Event], account: Account) -> dict[UUID | None, list[Event]]:
    """The first row changes of every request in which one of the acts happened, by request."""
    requests = {event.request_id for event in events if event.request_id and not event.table}
    found: dict[UUID | None, list[Event]] = defaultdict(list)
    if requests:
        of_one = Window(RowNumber(), partition_by=[F("request_id"), F("workspace_id")], order_by=F("id").asc())
        rows = Event.objects.row_changes().readable(account).filter(request_id__in=requests).annotate(number=of_one)
        for row in rows.filter(number__lte=FIELDS_SHOWN).order_by("id")[:CHANGES_READ]:
            found[row.request_id].append(row)
    return found


def _of_act(event: Event, changes: dict[UUID | None, list[Event]]) -> list[Event]:
    """Those of its request, of the same workspace where both name one."""
    if event.table or not event.request_id:
        return []
    there = {event.workspace_id, None}
    return [row for row in changes[event.request_id] if event.workspace_id is None or row.workspace_id in there]


def _changes(event: Event) -> list[Change]:
    """Every field in words. A pair is before and after; a bare word ("changed") is all that may be told."""
    added = event.table != "" and event.action.endswith(".added")
    return [
        Change(name.removesuffix("_id").replace("_", " "), *_values(value, added))
        for name, value in event.changes.items()
        if not (added and name == "id")
    ]


def _values(value: Any, added: bool) -> tuple[str | None, str | None]:
    if isinstance(value, list) and len(value) == 2:
        return None if added else _word(value[0]), _word(value[1])
    return None, None if value == "changed" else _word(value)


def _word(value: Any) -> str:
    """A value as people write it, cut."""
    match value:
        case None | "":
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case str():
            text = value
        case _:
            text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_SHOWN else f"{text[: VALUE_SHOWN - 1]}…"
