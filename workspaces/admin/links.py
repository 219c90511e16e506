"""Columns that lead from a row to those related to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode

Column = Callable[[Any], str]


def to(path: str) -> Column:
    """A column that names the row at `path` (such as `project__organization`), links to it and sorts by it."""
    steps = path.split("__")

    @admin.display(description=steps[-1].replace("_", " "), ordering=path)
    def column(row: Any) -> str:
        target = reduce(lambda at, step: getattr(at, step, None), steps, row)
        return link_to(type(target), target.pk, str(target)) if isinstance(target, Model) else ""

    column.__name__ = path
    return column


def rows_of(field: str, heading: str = "belonging to it", **models: str) -> Column:
    """A column of links to the lists of what belongs to a row: `rows_of("workspace", hosts="host")`. Asks no query."""

    @admin.display(description=heading)
    def belonging(row: Any) -> str:
        if row.pk is None:
            return ""
        query = urlencode({field: row.pk})
        links = [(reverse(f"admin:workspaces_{model}_changelist"), label) for label, model in models.items()]
        shown = [format_html('<a href="{}?{}">{}</a>', at, query, label.replace("_", " ")) for at, label in links]
        return format_html(" · ".join(["{}"] * len(shown)), *shown)

    return belonging


def link_to(model: type[Model], pk: object, text: str) -> str:
    """A link to the page of the row with that key."""
    address = reverse(f"admin:{model._meta.label_lower.replace('.', '_')}_change", args=[pk])
    return format_html('<a href="{}">{}</a>', address, text)


def events_with(**columns: str) -> str:
    """The address of the audit trail's lines with these values."""
    return f"{reverse('admin:workspaces_event_changelist')}?{urlencode(columns)}"


def history_of(table: str, row_id: str) -> str:
    """The address of the audit trail's lines about one row."""
    return events_with(table=table, row_id=row_id)
