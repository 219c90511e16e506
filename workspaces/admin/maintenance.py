"""Maintenance: plans and decisions to read, advisories and holds to set."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from workspaces.admin.base import Curated, Recorded
from workspaces.admin.links import to
from workspaces.models import Advisory, Decision, Hold, MaintenancePlan


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
    """What was decided for each window."""

    list_display = ("opens_at", "lane", to("workspace"), "outcome", "reason", "message", to("operation"), "decided_at")
    list_select_related = ("workspace", "operation")
    list_filter = ("outcome", "lane")
    search_fields = ("workspace__name", "reason", "message")
    date_hierarchy = "opens_at"


@admin.register(Advisory)
class AdvisoryAdmin(Curated):
    """Packages and versions that are flagged."""

    list_display = ("name", "severity", "enforced", "flagged_at", "closed_at")
    list_filter = ("severity", "enforced", ("closed_at", admin.EmptyFieldListFilter))
    search_fields = ("name", "text")
    date_hierarchy = "flagged_at"
    ordering = ("-flagged_at",)
    filter_horizontal = ("versions",)


class HoldForm(forms.ModelForm):  # type: ignore[type-arg]
    """A hold is for the platform, or for one of the three it names."""

    def clean(self) -> None:
        """Refuse one that is over, and one that names two places."""
        named = [name for name in ("organization", "project", "workspace") if self.cleaned_data.get(name)]
        for extra in named[1:]:
            self.add_error(extra, f"Choose one: the {named[0]} or the {extra}. Without any, the platform is held.")
        expires_at = self.cleaned_data.get("expires_at")
        if expires_at and expires_at <= max(timezone.now(), self.instance.set_at):
            self.add_error("expires_at", "Enter a time that is still to come.")


@admin.register(Hold)
class HoldAdmin(Curated):
    """What automatic work waits for."""

    form = HoldForm
    list_display = (
        "__str__",
        to("organization"),
        to("project"),
        to("workspace"),
        "reason",
        to("set_by"),
        "set_at",
        "expires_at",
    )
    list_select_related = ("organization", "project", "workspace", "set_by")
    search_fields = ("reason", "workspace__name", "project__name", "organization__name")
    date_hierarchy = "expires_at"
    ordering = ("-expires_at",)
    autocomplete_fields = ("organization", "project", "workspace")
    readonly_fields = ("set_by", "set_at")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Whoever adds it has set it."""
        if not change:
            obj.set_by = request.user
        super().save_model(request, obj, form, change)
