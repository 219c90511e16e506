"""Compute profiles with list prices (synchronised), and agreements with their clauses (curated)."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest

from workspaces.admin.base import Curated, Rows
from workspaces.admin.links import to
from workspaces.models import BillingAgreement, ComputeProfile, PriceOverride, ProfileLocation


class LocationRows(Rows):
    """A profile's list prices, as the provider told them."""

    model = ProfileLocation
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """They are synchronised."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """They are synchronised."""
        return False


@admin.register(ComputeProfile)
class ComputeProfileAdmin(Curated):
    """Server types. The provider says what they are; support says whether they are offered."""

    kept_because = "Profiles follow the provider. Switch it inactive to stop offering it."
    list_display = (
        "name",
        to("provider_account"),
        "family",
        "cores",
        "memory_gb",
        "disk_gb",
        "architecture",
        "active",
        "synced_at",
    )
    list_select_related = ("provider_account",)
    list_filter = ("active", "architecture", "family")
    search_fields = ("name", "family", "provider_account__name")
    inlines = (LocationRows,)
    readonly_fields = tuple(field.name for field in ComputeProfile._meta.fields if field.name != "active")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """They are synchronised."""
        return False


class OverrideForm(forms.ModelForm):  # type: ignore[type-arg]
    """A clause, its amount refused in words."""

    def clean_amount(self) -> Any:
        """An agreement makes things cheaper or dearer, never negative."""
        amount = self.cleaned_data["amount"]
        if amount < 0:
            raise forms.ValidationError("Enter an amount of 0 or more.")
        return amount


class OverrideRows(Rows):
    """The clauses of an agreement."""

    model = PriceOverride
    form = OverrideForm


class AgreementForm(forms.ModelForm):  # type: ignore[type-arg]
    """An agreement, its validity refused in words."""

    def clean(self) -> None:
        """The last day is not part of it, so it comes after the first."""
        first, last = self.cleaned_data.get("valid_from"), self.cleaned_data.get("valid_until")
        if first and last and last <= first:
            self.add_error("valid_until", "Enter a day after the first one: on this day it no longer holds.")


@admin.register(BillingAgreement)
class BillingAgreementAdmin(Curated):
    """Contracts. Clauses that speak of the same price at the same time are pointed out, not refused."""

    form = AgreementForm
    list_display = ("number", to("organization"), "valid_from", "valid_until", "currency")
    list_select_related = ("organization",)
    list_filter = ("currency", ("organization", admin.RelatedOnlyFieldListFilter))
    search_fields = ("number", "organization__name")
    date_hierarchy = "valid_from"
    autocomplete_fields = ("organization",)
    inlines = (OverrideRows,)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save the clauses, then name those of this agreement that overlap with another."""
        super().save_related(request, form, formsets, change)
        for one, other in overlapping(form.instance):
            sentence = f"{one} and {other} set the same price at the same time: {one.get_component_display().lower()}."
            messages.warning(request, sentence)


def overlapping(agreement: BillingAgreement) -> list[tuple[PriceOverride, PriceOverride]]:
    """Pairs of clauses, at least one of `agreement`, with the same component and match, valid on a common day."""
    clauses = (
        PriceOverride.objects.filter(agreement__organization=agreement.organization_id)
        .select_related("agreement")
        .order_by("agreement__number", "clause")
    )
    pairs = [pair for pair in combinations(clauses, 2) if agreement.pk in {clause.agreement_id for clause in pair}]
    return [(one, other) for one, other in pairs if _price(one) == _price(other) and _together(one, other)]


def _price(clause: PriceOverride) -> tuple[str, str, str, str]:
    return clause.component, clause.profile, clause.family, clause.location


def _together(one: PriceOverride, other: PriceOverride) -> bool:
    a, b = one.agreement, other.agreement
    starts_in_time = b.valid_until is None or a.valid_from < b.valid_until
    return starts_in_time and (a.valid_until is None or b.valid_from < a.valid_until)
