"""Operations with their steps and log lines: to read."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse

from workspaces.admin.base import Recorded, Rows
from workspaces.admin.links import rows_of, to
from workspaces.models import LogLine, Operation, Step


class StepRows(Rows):
    """The steps of an operation. Their own page tells the rest."""

    model = Step
    fields = ("title", "host", "state", "attempts", "started_at", "finished_at", "message")
    readonly_fields = fields
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: object, obj: object = None) -> bool:
        """Never: the engine writes them."""
        return False

    def has_change_permission(self, request: object, obj: object = None) -> bool:
        """Never: the engine writes them."""
        return False


@admin.register(Operation)
class OperationAdmin(Recorded):
    """Long work."""

    belonging = staticmethod(rows_of("operation", steps="step", log="logline", decisions="decision"))
    events = staticmethod(rows_of("operation_id", "audit trail", events="event"))
    list_display = (
        "title",
        to("workspace"),
        "kind",
        "state",
        "requested_by",
        "created_at",
        "finished_at",
        "error_code",
        "belonging",
        "events",
    )
    list_select_related = ("workspace",)
    list_filter = ("state", "kind", "requested_by_kind")
    search_fields = ("title", "workspace__name", "requested_by", "error_message", "^id")
    date_hierarchy = "created_at"
    # The lease is how workers agree; it means nothing to a person and anyone holding it could end a step.
    exclude = ("lease_token",)
    readonly_fields = ("belonging", "events")
    inlines = (StepRows,)

    def view_on_site(self, obj: Operation) -> str:
        """Its page in the console."""
        return reverse("operation", args=[obj.pk])


@admin.register(Step)
class StepAdmin(Recorded):
    """Single steps, such as all that failed lately."""

    list_display = ("title", to("operation"), "host", "state", "attempts", "failures", "started_at", "finished_at")
    list_select_related = ("operation",)
    list_filter = ("state",)
    search_fields = ("title", "host", "message", "operation__title")
    ordering = ("-id",)


@admin.register(LogLine)
class LogLineAdmin(Recorded):
    """Lines of logs, in order within an operation."""

    list_display = ("at", to("operation"), "source", "level", "text")
    list_display_links = ("at",)
    list_select_related = ("operation",)
    list_filter = ("level",)
    search_fields = ("text", "source", "operation__title")
    ordering = ("-id",)
