"""Servers under our labels that no host has: to read. They are deleted in the console, where their price stands."""

from django.contrib import admin

from workspaces.admin.base import Recorded
from workspaces.admin.links import to
from workspaces.models import LeftServer


@admin.register(LeftServer)
class LeftServerAdmin(Recorded):
    """What the last look at each provider account found."""

    list_display = (
        "name",
        to("provider_account"),
        "provider_id",
        "profile",
        "location",
        "status",
        "created_at",
        "first_seen_at",
        "observed_at",
    )
    list_select_related = ("provider_account",)
    list_filter = ("status", "location", ("provider_account__organization", admin.RelatedOnlyFieldListFilter))
    search_fields = ("name", "profile", "provider_account__name", "provider_id")
    date_hierarchy = "first_seen_at"
