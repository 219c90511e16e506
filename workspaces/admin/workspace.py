"""Workspaces: everything that is known about them, and the few columns that are nobody else's to write."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html

from workspaces.admin.base import Curated
from workspaces.admin.links import rows_of, to
from workspaces.models import Workspace
from workspaces.models.dossier import dossier

DOSSIER: Final = "workspaces_workspace_dossier"
_CHANGEABLE = {"description", "protected", "provider_account", "upgrade_hosts_at_once"}


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
    autocomplete_fields = ("provider_account",)
    search_fields = ("name", "description", "project__name", "project__organization__name", "control_plane", "^id")
    readonly_fields = (
        *(field.name for field in Workspace._meta.fields if field.name not in _CHANGEABLE),
        "belonging",
        "events",
        "dossier",
    )

    @admin.display(description="Everything known")
    def dossier(self, workspace: Workspace) -> str:
        """The page with all of it."""
        address = reverse("admin:workspaces_workspace_dossier", args=[workspace.pk])
        return format_html('<a href="{}">Everything known about {}</a>', address, workspace.name)

    def get_urls(self) -> list[Any]:
        """With the page that has everything known about one."""
        page = path("<uuid:pk>/dossier/", self.admin_site.admin_view(self.dossier_page), name=DOSSIER)
        return [page, *super().get_urls()]

    def dossier_page(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Everything known about a workspace, for whoever may view it; `?format=json` as a file for a ticket."""
        workspace = get_object_or_404(Workspace.objects.select_related("project__organization"), pk=pk)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        if not self.has_view_permission(request, workspace):
            raise PermissionDenied
        told = dossier(workspace, timezone.now())
        if request.GET.get("format") == "json":
            name = {"Content-Disposition": f'attachment; filename="{workspace.name}.json"'}
            return JsonResponse(told, headers=name, json_dumps_params={"indent": 1, "default": str})
        context = self.admin_site.each_context(request) | {
            "title": f"Everything known about {workspace.name}",
            "workspace": workspace,
            "opts": self.opts,
            "sections": told.items(),
        }
        return TemplateResponse(request, "admin/workspaces/workspace/dossier.html", context)

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
