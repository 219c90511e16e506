"""The audit log as a file: CSV for spreadsheets and JSON lines for programs, written while it is read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from workspaces.models import Event
from workspaces.views import spreadsheet
from workspaces.views.audit_lines import Places

LIMIT: Final = 100_000
CHUNK: Final = 2_000
FORMATS: Final = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson; charset=utf-8"}
_COLUMNS: Final = (
    *("id", "at", "actor_kind", "actor", "actor_id", "action", "summary", "organization", "project", "workspace"),
    *("organization_id", "project_id", "workspace_id", "operation_id", "request_id", "table", "row_id", "changes"),
)


def written(events: Iterable[Event], places: Places, file_format: str) -> Iterator[str]:
    """The file in pieces: at most LIMIT events, and a last line that says so when there were more."""
    if file_format == "csv":
        return spreadsheet.written(_COLUMNS, _csv(events, places))
    return _json_lines(events, places)


def _csv(events: Iterable[Event], places: Places) -> Iterator[list[object]]:
    for number, event in enumerate(events):
        if number == LIMIT:
            yield [_cut_sentence()]
            return
        record = _record(event, places)
        changes = json.dumps(record["changes"], ensure_ascii=False) if record["changes"] else ""
        yield list((record | {"changes": changes}).values())


def _json_lines(events: Iterable[Event], places: Places) -> Iterator[str]:
    for number, event in enumerate(events):
        if number == LIMIT:
            yield json.dumps({"cut_after": LIMIT, "message": _cut_sentence()}) + "\n"
            return
        yield json.dumps(_record(event, places), ensure_ascii=False) + "\n"


def _record(event: Any, places: Places) -> dict[str, Any]:
    """The event in the order of _COLUMNS; ids as text, None where there is none."""
    ids = ("organization_id", "project_id", "workspace_id", "operation_id", "request_id")
    return {
        "id": event.pk,
        "at": event.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "actor_kind": event.actor_kind,
        "actor": event.actor_name,
        "actor_id": _text(event.actor_id),
        "action": event.action,
        "summary": event.summary,
        "organization": places.organizations.get(event.organization_id),
        "project": places.projects.get(event.project_id),
        "workspace": event.workspace_name,
        **{name: _text(getattr(event, name)) for name in ids},
        "table": event.table or None,
        "row_id": event.row_id or None,
        "changes": event.changes,
    }


def _text(value: object) -> str | None:
    return str(value) if value is not None else None


def _cut_sentence() -> str:
    return f"Cut after {LIMIT} events. Narrow the filters to get the others."
