"""Keys of scripts: to read. They are issued and revoked in the console, and only their prefix is known here."""

from django.contrib import admin

from workspaces.admin.base import Recorded
from workspaces.admin.links import to
from workspaces.models import ApiKey


@admin.register(ApiKey)
class ApiKeyAdmin(Recorded):
    """Who holds which right by key, and when it was last used."""

    list_display = (
        "name",
        "prefix",
        to("organization"),
        to("project"),
        "role",
        to("created_by"),
        "last_used_at",
        "expires_at",
        "revoked_at",
    )
    list_select_related = ("organization", "project", "created_by")
    list_filter = ("role", ("revoked_at", admin.EmptyFieldListFilter))
    search_fields = ("name", "prefix", "organization__name", "created_by__email")
    date_hierarchy = "created_at"
    fields = (
        "name",
        "prefix",
        "organization",
        "project",
        "role",
        "created_by",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
