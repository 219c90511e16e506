"""Moves of workspaces between projects: to read. A workspace is moved in the console."""

from django.contrib import admin

from workspaces.admin.base import Recorded
from workspaces.admin.links import to
from workspaces.models import Transfer


@admin.register(Transfer)
class TransferAdmin(Recorded):
    """Which workspace went from where to where, and what was predicted for it."""

    list_display = ("moved_at", to("workspace"), to("source"), to("destination"), "moved_by")
    list_select_related = ("workspace", "source", "destination")
    list_filter = (("workspace__project__organization", admin.RelatedOnlyFieldListFilter),)
    search_fields = ("workspace__name", "source__name", "destination__name", "moved_by")
    date_hierarchy = "moved_at"
