"""Organizations, projects, memberships, accounts and groups of staff permissions."""

from __future__ import annotations

from typing import Any, cast
from zoneinfo import available_timezones

from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from workspaces.admin.base import Curated, Rows
from workspaces.admin.links import rows_of, to
from workspaces.models import Account, Actor, Event, Membership, Organization, Project


class MembershipForm(forms.ModelForm):  # type: ignore[type-arg]
    """A membership narrowed to a project is narrowed to one of its own organization."""

    def clean(self) -> None:
        """Say which organization the project belongs to when it is another."""
        organization, project = self.cleaned_data.get("organization"), self.cleaned_data.get("project")
        if organization and project and project.organization_id != organization.pk:
            self.add_error("project", f"{project} belongs to {project.organization}, not to {organization}.")


class MembershipRows(Rows):
    """The memberships of an account."""

    model = Membership
    form = MembershipForm
    autocomplete_fields = ("organization", "project")


class NewAccountForm(AdminUserCreationForm):  # type: ignore[type-arg]
    """An account with its first password, or without one."""

    class Meta:
        model = Account
        fields = ("email",)

    def clean_email(self) -> str:
        """Addresses are kept in lower case: people do not remember which case they registered with."""
        return str(self.cleaned_data["email"]).lower()


class AccountForm(forms.ModelForm):  # type: ignore[type-arg]
    """An account without its password, which has a form of its own."""

    def clean_email(self) -> str:
        """As when it was made."""
        return str(self.cleaned_data["email"]).lower()

    def clean_time_zone(self) -> str:
        """Refuse a zone that no clock knows: pages show times in it."""
        zone = str(self.cleaned_data["time_zone"])
        if zone not in available_timezones():
            raise ValidationError(f"{zone} is not a time zone. Enter a name such as Europe/Berlin.")
        return zone


@admin.register(Account)
class AccountAdmin(Curated, UserAdmin):  # type: ignore[type-arg]
    """People. Who is staff, and with which rights, is for superusers; so are the accounts of staff."""

    form = AccountForm
    add_form = NewAccountForm
    list_display = ("email", "first_name", "last_name", "is_active", "is_staff", "is_superuser", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("email", "first_name", "last_name")
    ordering = ("email",)
    date_hierarchy = "date_joined"
    inlines = (MembershipRows,)
    add_fieldsets = ((None, {"fields": ("email", "usable_password", "password1", "password2")}),)
    fieldsets = (
        (None, {"fields": ("email", "first_name", "last_name", "time_zone", "is_active", "sign_in")}),
        ("Staff", {"fields": ("is_staff", "is_superuser", "groups", "user_permissions")}),
        (None, {"fields": ("last_login", "date_joined", "belonging")}),
    )
    belonging = staticmethod(rows_of("created_by", api_keys="apikey"))
    readonly_fields = ("sign_in", "last_login", "date_joined", "belonging")
    actions = ("remove_second_factors",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Rights are given by superusers only; nobody raises their own."""
        fields = super().get_readonly_fields(request, obj)
        superuser = getattr(request.user, "is_superuser", False)
        return fields if superuser else (*fields, "is_staff", "is_superuser", "groups", "user_permissions")

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        """Memberships come after the account."""
        return self.inlines if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever could change a member of staff could act as one."""
        return _not_above(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As for changing."""
        return _not_above(request, obj) and super().has_delete_permission(request, obj)

    @admin.action(description="Remove authenticator, passkeys and recovery codes", permissions=["change"])
    def remove_second_factors(self, request: HttpRequest, queryset: QuerySet[Account]) -> None:
        """For people who lost theirs, once support knows who asks: the password alone signs them in then."""
        mine, had = [account for account in queryset if _not_above(request, account)], 0
        with transaction.atomic():
            for account in mine:
                removed, _ = Authenticator.objects.filter(user=account).delete()
                had += bool(removed)
                if removed:
                    summary = f"Removed the second factors of {account.email}"
                    Event.record(Actor.of(cast(Account, request.user)), "account.factors_removed", summary=summary)
        left = queryset.count() - len(mine)
        said = f"{had} of {len(mine)} had second factors, and have none now."
        self.message_user(request, f"{said} {left} of staff left as they are." if left else said)

    @admin.display(description="Password")
    def sign_in(self, account: Account) -> str:
        """Whether there is one, and the way to the form that sets it."""
        state = "set" if account.has_usable_password() else "none"
        address = reverse("admin:auth_user_password_change", args=[account.pk])
        return format_html('{} · <a href="{}">Set a new password</a>', state, address)


def _not_above(request: HttpRequest, account: Account | None) -> bool:
    """Whether `account` is no member of staff, or the one who asks is a superuser."""
    privileged = account is not None and (account.is_staff or account.is_superuser)
    return getattr(request.user, "is_superuser", False) or not privileged


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(Curated, DjangoGroupAdmin):
    """Sets of model permissions for staff; curated by superusers, for the reason given at accounts."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Superusers only."""
        return getattr(request.user, "is_superuser", False)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Superusers only."""
        return getattr(request.user, "is_superuser", False)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Superusers only."""
        return getattr(request.user, "is_superuser", False)


@admin.register(Organization)
class OrganizationAdmin(Curated):
    """Customers."""

    belonging = staticmethod(
        rows_of(
            "organization",
            projects="project",
            agreements="billingagreement",
            memberships="membership",
            provider_accounts="provideraccount",
            invitations="invitation",
            API_keys="apikey",
            holds="hold",
        )
    )
    events = staticmethod(rows_of("organization_id", "audit trail", events="event"))
    list_display = ("name", "created_at", "belonging", "events")
    search_fields = ("name",)
    date_hierarchy = "created_at"
    readonly_fields = ("created_at", "belonging", "events")


@admin.register(Project)
class ProjectAdmin(Curated):
    """Groups of workspaces."""

    belonging = staticmethod(
        rows_of(
            "project",
            workspaces="workspace",
            memberships="membership",
            invitations="invitation",
            API_keys="apikey",
            holds="hold",
        )
    )
    events = staticmethod(rows_of("project_id", "audit trail", events="event"))
    list_display = ("name", to("organization"), "cost_center", "created_at", "belonging", "events")
    list_select_related = ("organization",)
    list_filter = (("organization", admin.RelatedOnlyFieldListFilter),)
    search_fields = ("name", "cost_center", "organization__name")
    autocomplete_fields = ("organization",)
    readonly_fields = ("created_at", "belonging", "events")


@admin.register(Membership)
class MembershipAdmin(Curated):
    """Who has which role where."""

    form = MembershipForm
    list_display = ("__str__", to("account"), "role", to("organization"), to("project"), "created_at")
    list_select_related = ("account", "organization", "project")
    list_filter = ("role", ("organization", admin.RelatedOnlyFieldListFilter))
    search_fields = ("account__email", "account__last_name", "organization__name", "project__name")
    autocomplete_fields = ("account", "organization", "project")
    date_hierarchy = "created_at"
    readonly_fields = ("created_at",)
