"""The audit trail: to read."""

from django.contrib import admin

from workspaces.admin.base import Recorded
from workspaces.models import Event


@admin.register(Event)
class EventAdmin(Recorded):
    """Who did what, when. The database itself refuses to change it."""

    list_display = ("at", "actor_name", "actor_kind", "action", "summary")
    list_display_links = ("at", "summary")
    list_filter = ("actor_kind", "action")
    search_fields = ("summary", "actor_name", "action")
    date_hierarchy = "at"
