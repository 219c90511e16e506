"""How people come to rights: invitations and exported kubeconfigs, to read; their tokens and documents never."""

from __future__ import annotations

from django.contrib import admin

from workspaces.admin.base import Recorded
from workspaces.admin.links import to
from workspaces.models import Invitation, Kubeconfig


@admin.register(Invitation)
class InvitationAdmin(Recorded):
    """Roles that were offered. They are sent and withdrawn in the console."""

    list_display = (
        "email",
        "role",
        to("organization"),
        to("project"),
        to("invited_by"),
        "created_at",
        "expires_at",
        "accepted_at",
        "revoked_at",
    )
    list_select_related = ("organization", "project", "invited_by")
    list_filter = (
        "role",
        ("accepted_at", admin.EmptyFieldListFilter),
        ("revoked_at", admin.EmptyFieldListFilter),
        ("organization", admin.RelatedOnlyFieldListFilter),
    )
    search_fields = ("email", "organization__name", "project__name", "invited_by__email")
    date_hierarchy = "created_at"
    exclude = ("digest",)


@admin.register(Kubeconfig)
class KubeconfigAdmin(Recorded):
    """Kubeconfigs that were handed out: who holds one that may still be valid."""

    list_display = (
        "__str__",
        to("workspace"),
        "kind",
        "state",
        "requested_by",
        "requested_at",
        "taken_at",
        "certificate_until",
        "revoked_at",
    )
    list_select_related = ("workspace",)
    list_filter = ("state", ("revoked_at", admin.EmptyFieldListFilter))
    search_fields = ("workspace__name", "requested_by", "reason", "failure")
    date_hierarchy = "requested_at"
    exclude = ("document",)
