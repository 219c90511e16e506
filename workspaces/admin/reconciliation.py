"""Looks, drift and how long the queues were: to read. What is to become of drift is decided in the console."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse

from workspaces.admin.base import Recorded
from workspaces.admin.links import to
from workspaces.models import Drift, Look, QueueSample


@admin.register(Look)
class LookAdmin(Recorded):
    """One loop over one target, with its pace and how the last look went."""

    list_display = (
        "kind",
        to("management_cluster"),
        to("provider_account"),
        to("workspace"),
        "every",
        "due_at",
        "succeeded_at",
        "milliseconds",
        "failures",
        "error_code",
    )
    list_select_related = ("management_cluster", "provider_account", "workspace")
    list_filter = ("kind", "felt", "error_code")
    search_fields = ("workspace__name", "management_cluster__name", "provider_account__name", "error")
    date_hierarchy = "due_at"


@admin.register(Drift)
class DriftAdmin(Recorded):
    """A field that is, or was, not as wanted."""

    list_display = (
        "subject",
        "field",
        to("workspace"),
        "policy",
        "decision",
        "actor",
        "since",
        "repairs",
        "ended_at",
        "ending",
    )
    list_select_related = ("workspace",)
    list_filter = (("ended_at", admin.EmptyFieldListFilter), "kind", "policy", "fought", "decision", "ending")
    search_fields = ("subject", "field", "workspace__name", "actor", "decided_by")
    date_hierarchy = "since"

    def view_on_site(self, obj: Drift) -> str:
        """Its workspace's page of reconciliation."""
        return reverse("workspace_reconciliation", args=[obj.workspace_id])


@admin.register(QueueSample)
class QueueSampleAdmin(Recorded):
    """How long the queues were, once a minute."""

    list_display = ("at", "queue", "depth", "oldest_seconds", "running", "workers")
    list_filter = ("queue",)
    search_fields = ("queue",)
    date_hierarchy = "at"
