"""What workspaces run on. Credentials are replaced here, and never shown; what was observed is written by workers."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest

from workspaces.admin.base import Curated
from workspaces.admin.credentials import CredentialForm, KubeconfigForm, credential_state
from workspaces.admin.dns import RecordForm
from workspaces.admin.links import rows_of, to
from workspaces.models import DnsRecord, Host, Integration, ManagementCluster, ProviderAccount, SshKey
from workspaces.operations import looks
from workspaces.rules.looks import DNS

# Written when the provider is asked what it sells.
_PROFILES = ("profiles_checked_at", "profiles_error_code", "profiles_error")
_TROUBLE = ("observed_at", "error_code", "error_message", "error_since")


@admin.register(ManagementCluster)
class ManagementClusterAdmin(Curated):
    """Where Kamaji runs."""

    form = KubeconfigForm
    credential_state = staticmethod(credential_state)
    belonging = staticmethod(rows_of("management_cluster", workspaces="workspace"))
    list_display = (
        "name",
        "location",
        "version",
        "max_version",
        "credential_state",
        "error_code",
        "observed_at",
        "belonging",
    )
    list_filter = ("location", "error_code")
    # Not by versions, which are text here.
    sortable_by = ("name", "location", "error_code", "observed_at")
    search_fields = ("name", "location", "error_message")
    readonly_fields = ("credential_state", "version", "credential_ends_at", *_TROUBLE, "belonging")

    def save_model(
        self, request: HttpRequest, obj: ManagementCluster, form: ModelForm[ManagementCluster], change: bool
    ) -> None:
        """Whoever stores another credential wants to see at once whether it is the right one."""
        super().save_model(request, obj, form, change)
        looks.due_now(management_cluster=obj)


@admin.register(ProviderAccount)
class ProviderAccountAdmin(Curated):
    """Cloud credentials of organizations."""

    form = CredentialForm
    credential_state = staticmethod(credential_state)
    belonging = staticmethod(
        rows_of("provider_account", hosts="host", profiles="computeprofile", DNS_records="dnsrecord")
    )
    list_display = (
        "name",
        to("organization"),
        "kind",
        "credential_state",
        "error_code",
        "observed_at",
        "profiles_error_code",
        "profiles_checked_at",
        "belonging",
    )
    list_select_related = ("organization",)
    list_filter = ("kind", "error_code", "profiles_error_code", ("organization", admin.RelatedOnlyFieldListFilter))
    search_fields = ("name", "organization__name", "error_message", "profiles_error")
    autocomplete_fields = ("organization", "ssh_key")
    readonly_fields = ("credential_state", *_PROFILES, *_TROUBLE, "belonging")

    def save_model(
        self, request: HttpRequest, obj: ProviderAccount, form: ModelForm[ProviderAccount], change: bool
    ) -> None:
        """Whoever stores another token wants to see at once whether it is the right one."""
        super().save_model(request, obj, form, change)
        looks.due_now(provider_account=obj)


@admin.register(SshKey)
class SshKeyAdmin(Curated):
    """Keys with which workers reach hosts."""

    form = CredentialForm
    credential_state = staticmethod(credential_state)
    belonging = staticmethod(rows_of("ssh_key", hosts="host"))
    list_display = ("name", "credential_state", "belonging")
    search_fields = ("name",)
    ordering = ("name",)
    readonly_fields = ("credential_state", "belonging")


@admin.register(Host)
class HostAdmin(Curated):
    """Machines of workspaces."""

    kept_because = "A host is removed by an operation, which also drains it and tells the provider."
    list_display = (
        "name",
        to("workspace"),
        to("provider_account"),
        "profile",
        "location",
        "node_name",
        "kubelet_version",
        "ready",
        "unschedulable",
        "provider_status",
        "observed_at",
    )
    # Not by the version, which is text here.
    sortable_by = tuple(column for column in list_display if column != "kubelet_version")  # type: ignore[misc]
    list_select_related = ("workspace", "provider_account")
    list_filter = ("ready", "unschedulable", "provider_status", "location")
    search_fields = ("name", "node_name", "workspace__name", "=provider_id")
    autocomplete_fields = ("workspace", "provider_account", "ssh_key")
    readonly_fields = (
        "provider_status",
        "kubelet_version",
        "ready",
        "ready_message",
        "unschedulable",
        "os_name",
        "boot_id",
        "wanted",
        "observed_at",
        "created_at",
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """A host does not change its workspace."""
        fields = super().get_readonly_fields(request, obj)
        return ("workspace", *fields) if obj else fields


@admin.register(DnsRecord)
class DnsRecordAdmin(Curated):
    """Records kept for workspaces: what differs in the zones is drift, and set back."""

    form = RecordForm
    list_display = ("name", "zone", "type", "value", "ttl", "observed_value", to("workspace"), to("provider_account"))
    list_select_related = ("workspace", "provider_account")
    list_filter = ("type",)
    search_fields = ("name", "zone", "value", "workspace__name")
    ordering = ("zone", "name")
    autocomplete_fields = ("workspace", "provider_account")
    readonly_fields = ("observed_value", "observed_at")

    def save_model(self, request: HttpRequest, obj: DnsRecord, form: ModelForm[DnsRecord], change: bool) -> None:
        """Whoever keeps a record wants it to be there."""
        super().save_model(request, obj, form, change)
        looks.due_now(kind=DNS, provider_account=obj.provider_account)


@admin.register(Integration)
class IntegrationAdmin(Curated):
    """Outside services."""

    form = CredentialForm
    credential_state = staticmethod(credential_state)
    list_display = ("name", "kind", to("workspace"), "credential_state")
    list_select_related = ("workspace",)
    list_filter = ("kind",)
    search_fields = ("name", "kind", "workspace__name")
    ordering = ("kind", "name")
    autocomplete_fields = ("workspace",)
    readonly_fields = ("credential_state",)
