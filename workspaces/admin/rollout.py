"""Rollouts with their workspaces, and preflights: to read. They are begun, paused and asked for in the console."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse

from workspaces.admin.base import Recorded
from workspaces.admin.links import rows_of, to
from workspaces.models import Preflight, Rollout, RolloutMember


@admin.register(Rollout)
class RolloutAdmin(Recorded):
    """One version for many workspaces."""

    belonging = staticmethod(rows_of("rollout", workspaces="rolloutmember"))
    list_display = ("title", "state", "state_reason", "requested_by", "created_at", "finished_at", "belonging")
    list_filter = ("state", "target")
    search_fields = ("title", "requested_by", "^id")
    date_hierarchy = "created_at"
    readonly_fields = ("belonging",)

    def view_on_site(self, obj: Rollout) -> str:
        """Its page in the console."""
        return reverse("rollout", args=[obj.pk])


@admin.register(RolloutMember)
class RolloutMemberAdmin(Recorded):
    """What became of a workspace in a rollout."""

    list_display = ("position", to("rollout"), to("workspace"), "canary", "state", to("operation"), "message")
    list_select_related = ("rollout", "workspace", "operation")
    list_filter = ("state", "canary")
    search_fields = ("workspace__name", "rollout__title", "message")


@admin.register(Preflight)
class PreflightAdmin(Recorded):
    """What a worker saw before an upgrade."""

    list_display = ("asked_at", to("workspace"), "target", "asked_by", "finished_at", to("operation"), "error")
    list_display_links = ("asked_at",)
    list_select_related = ("workspace", "operation")
    list_filter = ("target",)
    search_fields = ("workspace__name", "asked_by", "^id")
    date_hierarchy = "asked_at"
