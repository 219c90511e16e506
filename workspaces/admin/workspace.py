"""Workspaces: everything that is known about them, and the few columns that are nobody else's to write."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from workspaces.admin.base import Curated
from workspaces.admin.links import rows_of, to
from workspaces.models import Workspace

_CHANGEABLE = {"description", "protected", "upgrade_hosts_at_once"}


class Attention(admin.SimpleListFilter):
    """Those at which a person should look."""

    title = "attention"
    parameter_name = "attention"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """One choice beside all."""
        return [("needed", "Needed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The model's own answer."""
        return queryset.exclude(attention="") if self.value() else queryset


@admin.register(Workspace)
class WorkspaceAdmin(Curated):
    """Clusters and sets of hosts. They are moved, upgraded and deleted in the console, by operations."""

    kept_because = "A workspace is deleted in the console, where an operation takes down what belongs to it."
    belonging = staticmethod(
        rows_of(
            "workspace",
            operations="operation",
            hosts="host",
            decisions="decision",
            DNS_records="dnsrecord",
            integrations="integration",
            holds="hold",
            transfers="transfer",
            kubeconfigs="kubeconfig",
            plan="maintenanceplan",
        )
    )
    events = staticmethod(rows_of("workspace_id", "audit trail", events="event"))
    list_display = (
        "name",
        to("project__organization"),
        to("project"),
        "state",
        "version",
        "belonging",
        "events",
        "attention",
        "observed_at",
        "type",
        "hosts_ready",
        "host_count",
        to("management_cluster"),
    )
    list_select_related = ("project__organization", "management_cluster")
    list_filter = (
        Attention,
        "state",
        "type",
        "protected",
        ("management_cluster", admin.RelatedOnlyFieldListFilter),
        ("project__organization", admin.RelatedOnlyFieldListFilter),
    )
    search_fields = ("name", "description", "project__name", "project__organization__name", "control_plane", "^id")
    readonly_fields = (
        *(field.name for field in Workspace._meta.fields if field.name not in _CHANGEABLE),
        "belonging",
        "events",
    )

    @admin.display(description="Kubernetes version", ordering="version_key")
    def version(self, workspace: Workspace) -> str:
        """Sorted as numbers."""
        return workspace.kubernetes_version

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A row alone would be no workspace."""
        return False

    def view_on_site(self, obj: Workspace) -> str:
        """Its page in the console."""
        return reverse("workspace", args=[obj.pk])
