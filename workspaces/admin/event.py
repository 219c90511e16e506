"""The audit trail: to read, by whom, about what and when, with links to what a line speaks of."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.db.models import F, Model, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join

from workspaces.admin.base import Recorded
from workspaces.admin.links import Column, events_with, history_of, link_to
from workspaces.models import Event, Operation, Organization, Project, Workspace

_KINDS = {
    "account": "Account",
    "api_key": "API key",
    "platform": "Platform",
    "command": "Command",
    "anonymous": "Nobody signed in",
    "database": "Database user",
}
_PLACES: dict[str, type[Model]] = {
    "organization": Organization,
    "project": Project,
    "workspace": Workspace,
    "operation": Operation,
}


class ActorKind(admin.SimpleListFilter):
    """By what kind of actor. The kinds are known; asking a large table for them is not needed."""

    title = "kind of actor"
    parameter_name = "actor_kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """All kinds."""
        return list(_KINDS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Those of the chosen kind."""
        return queryset.filter(actor_kind=self.value()) if self.value() else queryset


class Noun(admin.SimpleListFilter):
    """By what the line is about: acts carry it in their action, row changes in their table."""

    title = "noun"
    parameter_name = "noun"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The product's nouns by their tables."""
        models = sorted(apps.get_app_config("workspaces").get_models(), key=lambda model: _name(model).lower())
        return [(model._meta.db_table, _name(model)) for model in models if model is not Event]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Those about the chosen noun."""
        model = next((m for m in apps.get_models() if m._meta.db_table == self.value()), None)
        if model is None:
            return queryset
        spoken = str(model._meta.verbose_name).lower().replace(" ", "_")
        acts = Q(action__startswith=f"{spoken}.") | Q(action__startswith=f"{model._meta.model_name}.")
        return queryset.filter(Q(table=model._meta.db_table) | Q(table="") & acts)


class Kind(admin.SimpleListFilter):
    """Sentences of people and the platform, or what happened to rows."""

    title = "kind of line"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Both kinds."""
        return [("acts", "Acts"), ("rows", "Row changes")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Those of the chosen kind."""
        return {"acts": queryset.acts, "rows": queryset.row_changes}.get(self.value() or "", queryset.all)()


def _name(model: type[Model]) -> str:
    name = str(model._meta.verbose_name)
    return name[:1].upper() + name[1:]


def _place(noun: str) -> Column:
    """A column that links to what the line happened in; only its number when that is gone."""

    @admin.display(description=noun)
    def column(event: Any) -> str:
        pk, name = getattr(event, f"{noun}_id"), getattr(event, f"{noun}_name")
        if pk is None:
            return ""
        return link_to(_PLACES[noun], pk, name) if name else f"{str(pk)[:8]} (gone)"

    column.__name__ = noun
    return column


@admin.register(Event)
class EventAdmin(Recorded):
    """Who did what, when. The database itself refuses to change it."""

    places = tuple(_place(noun) for noun in _PLACES)
    list_display: tuple[str | Column, ...] = (
        "at",
        "actor_name",
        "actor_kind",
        "action",
        "summary",
        *(place for place in places if place.__name__ != "project"),
        "request",
        "table",
        "row",
    )
    list_display_links = ("at", "summary")
    list_filter = (ActorKind, Noun, Kind)
    search_fields = ("summary", "actor_name", "action", "^request_id", "^row_id")
    date_hierarchy = "at"
    fields = readonly_fields = (
        "at",
        "actor_name",
        "actor_kind",
        "action",
        "summary",
        "what_changed",
        *places,  # type: ignore[arg-type]
        "request",
        "table",
        "row",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the names of the places, which are no foreign keys: the trail outlives them."""
        names = {}
        for noun, model in _PLACES.items():
            name = "title" if model is Operation else "name"
            rows = model._default_manager.filter(pk=OuterRef(f"{noun}_id"))
            names[f"{noun}_name"] = Subquery(rows.values(said=F(name))[:1])
        events: QuerySet[Any] = super().get_queryset(request).annotate(**names)
        return events

    @admin.display(description="request")
    def request(self, event: Event) -> str:
        """Leads to everything that happened in the same request, job or command."""
        if event.request_id is None:
            return ""
        address = events_with(request_id=str(event.request_id))
        return format_html('<a href="{}">{}</a>', address, str(event.request_id)[:8])

    @admin.display(description="row")
    def row(self, event: Event) -> str:
        """Leads to the history of the row."""
        if not event.row_id:
            return ""
        return format_html('<a href="{}">{}</a>', history_of(event.table, event.row_id), event.row_id[:8])

    @admin.display(description="Changes")
    def what_changed(self, event: Event) -> str:
        """One line a column, before and after; of secrets only that they changed."""
        lines = ((name.replace("_", " "), *_before_and_after(change)) for name, change in event.changes.items())
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{}: {}{}</li>", lines)) if event.changes else "-"


def _before_and_after(change: Any) -> tuple[str, str]:
    if isinstance(change, list) and len(change) == 2:
        return _shown(change[0]), f" → {_shown(change[1])}"
    return _shown(change), ""


def _shown(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case "":
            return "empty"
        case _:
            return str(value)
