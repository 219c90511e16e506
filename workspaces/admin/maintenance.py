"""Maintenance: plans, decisions and what was installed to read; holds to set and lift. Advisories: `advisory.py`."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from workspaces.admin.base import Curated, Recorded
from workspaces.admin.links import rows_of, to
from workspaces.models import Actor, CalendarFeed, Decision, Hold, MaintenancePlan, PackageUpdate, Tick
from workspaces.rules.hold import wrong_time


@admin.register(MaintenancePlan)
class MaintenancePlanAdmin(Recorded):
    """Plans are changed in the console and the API: a save there is merged, counted, and checked against the role."""

    list_display = (
        "__str__",
        to("workspace"),
        "enabled",
        *MaintenancePlan.HOURS,
        "priority_hour",
        "compute_auto_update",
        "kubernetes_auto_upgrade",
        "updated_at",
    )
    list_select_related = ("workspace",)
    list_filter = ("enabled", "compute_auto_update", "kubernetes_auto_upgrade")
    search_fields = ("workspace__name", "workspace__project__name")
    ordering = ("workspace__name",)

    def view_on_site(self, obj: MaintenancePlan) -> str:
        """The console's page, where it is changed."""
        return reverse("maintenance", args=[obj.pk])


@admin.register(Decision)
class DecisionAdmin(Recorded):
    """What was decided for each window, and what there was to go by."""

    list_display = ("opens_at", "lane", to("workspace"), "outcome", "reason", "message", to("operation"), "decided_at")
    list_select_related = ("workspace", "operation")
    list_filter = ("outcome", "lane", "reason")
    search_fields = ("workspace__name", "reason", "message")
    date_hierarchy = "opens_at"
    exclude = ("evidence",)
    readonly_fields = ("went_by",)

    @admin.display(description="Evidence")
    def went_by(self, row: Decision) -> str:
        """One line for each thing known: the work, the reasons, what blocked it, what it waited for."""
        lines = [("work", sentence) for sentence in row.evidence.get("work", [])]
        for name in ("reasons", "blocked_by"):
            said = row.evidence.get(name, [])
            lines += [(f"{name.replace('_', ' ')}: {one['code']}", one["message"]) for one in said]
        lines += [(name, str(row.evidence[name])) for name in ("limit", "place") if name in row.evidence]
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{}: {}</li>", lines)) if lines else "-"


@admin.register(PackageUpdate)
class PackageUpdateAdmin(Recorded):
    """Which package came to which version, where and when."""

    list_display = (
        "package",
        "from_version",
        "to_version",
        "security",
        "host_name",
        to("workspace"),
        to("operation"),
        "installed_at",
    )
    list_select_related = ("workspace", "operation")
    list_filter = ("security",)
    search_fields = ("package", "to_version", "host_name", "workspace__name")
    date_hierarchy = "installed_at"
    ordering = ("-installed_at", "host_name", "package")


@admin.register(CalendarFeed)
class CalendarFeedAdmin(Recorded):
    """Which projects can be read as a calendar without signing in. The address is known to whoever made it only."""

    list_display = ("__str__", to("project"), "made_by_name", "made_at", "last_read_at")
    list_select_related = ("project",)
    search_fields = ("project__name", "project__organization__name", "made_by_name")
    date_hierarchy = "made_at"
    exclude = ("digest",)


@admin.register(Tick)
class TickAdmin(Recorded):
    """When periodic jobs last ran to their end."""

    list_display = ("name", "at")
    search_fields = ("name",)
    ordering = ("name",)


class HoldForm(forms.ModelForm):  # type: ignore[type-arg]
    """A hold is for the platform, or for one of the three it names."""

    def clean(self) -> None:
        """Refuse one that is over, one that is too long, and one that names two places."""
        named = [name for name in ("organization", "project", "workspace") if self.cleaned_data.get(name)]
        for extra in named[1:]:
            self.add_error(extra, f"Choose one: the {named[0]} or the {extra}. Without any, the platform is held.")
        expires_at = self.cleaned_data.get("expires_at")
        if expires_at and expires_at <= max(timezone.now(), self.instance.set_at):
            self.add_error("expires_at", "Enter a time that is still to come.")
        elif expires_at and (wrong := wrong_time(self.instance.set_at, expires_at, self.instance.set_at)):
            self.add_error("expires_at", f"{wrong.message}.")


@admin.register(Hold)
class HoldAdmin(Curated):
    """What automatic work waits for."""

    form = HoldForm
    events = staticmethod(rows_of("row_id", "audit trail", events="event"))
    list_display = (
        "__str__",
        to("organization"),
        to("project"),
        to("workspace"),
        "reason",
        "who",
        "set_at",
        "expires_at",
        "lifted_at",
        "lifted_by_name",
        "events",
    )
    list_select_related = ("organization", "project", "workspace", "set_by")
    list_filter = (("lifted_at", admin.EmptyFieldListFilter),)
    search_fields = (
        "reason",
        "set_by_name",
        "lifted_by_name",
        "workspace__name",
        "project__name",
        "organization__name",
    )
    date_hierarchy = "expires_at"
    ordering = ("-expires_at",)
    autocomplete_fields = ("organization", "project", "workspace")
    readonly_fields = ("set_by", "set_by_name", "set_at", "lifted_at", "lifted_by_name")
    actions = ("lift",)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Whoever adds it has set it, and the trail tells it as it tells the console's."""
        if change:
            super().save_model(request, obj, form, change)
        else:
            obj.begin(Actor.of(request.user))  # type: ignore[arg-type]

    def view_on_site(self, obj: Hold) -> str:
        """The console's page, which says what it stops."""
        return reverse("hold", args=[obj.pk])

    @admin.action(description="Lift the selected holds", permissions=["change"])
    def lift(self, request: HttpRequest, queryset: QuerySet[Hold]) -> None:
        """End them now."""
        related = queryset.select_related("organization", "project", "workspace__project")
        lifted = sum(hold.lift(Actor.of(request.user)) for hold in related)  # type: ignore[arg-type]
        over = related.count() - lifted
        messages.success(request, f"Lifted: {lifted}." + (f" Over before: {over}." if over else ""))
