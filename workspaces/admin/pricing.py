"""Compute profiles with list prices (synchronised), and agreements with their clauses (curated)."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest

from workspaces.admin.base import Curated, Rows
from workspaces.admin.links import to
from workspaces.admin.overlaps import dearer, idle, other_currency, overlap_table, overlaps
from workspaces.models import BillingAgreement, ComputeProfile, PriceOverride, ProfileLocation
from workspaces.models.agreement_quote import overlaps_of
from workspaces.rules.agreements import refuse_family

# Ten times the list price is a slip of the hand.
MOST_PERCENT = 1000


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
    """A clause, refused in words where it is none."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "amount" in self.fields:
            self.fields["amount"].help_text = "Percent: 90 means that 90 % of the list price is paid."

    def clean_amount(self) -> Decimal:
        """An agreement makes things cheaper or dearer, never negative."""
        amount: Decimal = self.cleaned_data["amount"]
        if amount < 0:
            raise forms.ValidationError("Enter an amount of 0 or more.")
        return amount

    def clean_minimum(self) -> Decimal | None:
        """Nor does a minimum."""
        minimum: Decimal | None = self.cleaned_data["minimum"]
        if minimum is not None and minimum < 0:
            raise forms.ValidationError("Enter a minimum of 0 or more, or none.")
        return minimum

    def clean_profile(self) -> str:
        """A whole name."""
        profile = str(self.cleaned_data["profile"]).strip()
        if set(profile) & set("*?[]"):
            raise forms.ValidationError("Enter a whole name such as ccx23. A pattern is entered as the family.")
        return profile

    def clean_family(self) -> str:
        """A pattern that means what it says."""
        family = str(self.cleaned_data["family"]).strip()
        if sentence := refuse_family(family):
            raise forms.ValidationError(sentence)
        return family

    def clean_location(self) -> str:
        """A name, or everywhere."""
        location = str(self.cleaned_data["location"]).strip()
        if location and not location.isalnum():
            raise forms.ValidationError("Enter one location such as fsn1. Empty: everywhere.")
        return location

    def clean(self) -> None:
        """A clause speaks of one profile, or of a family; a percentage is one of the list price."""
        if self.cleaned_data.get("profile") and self.cleaned_data.get("family"):
            self.add_error("family", "Choose one: the profile or the family. Without any, the clause is for all.")
        amount, minimum = self.cleaned_data.get("amount"), self.cleaned_data.get("minimum")
        kind = self.cleaned_data.get("kind")
        if kind == "percent" and amount is not None and amount > MOST_PERCENT:
            self.add_error("amount", f"Enter a percentage from 0 to {MOST_PERCENT}.")
        if kind == "fixed" and amount is not None and minimum is not None and minimum > amount:
            self.add_error("minimum", "Enter a minimum of at most the amount: a fixed amount never falls below it.")


class OverrideRows(Rows):
    """The clauses of an agreement."""

    model = PriceOverride
    form = OverrideForm


class AgreementForm(forms.ModelForm):  # type: ignore[type-arg]
    """An agreement, its validity and currency refused in words."""

    def clean_currency(self) -> str:
        """An ISO 4217 code, as the price lists have it."""
        currency = str(self.cleaned_data["currency"])
        if not re.fullmatch("[A-Z]{3}", currency):
            raise forms.ValidationError("Enter three capital letters, such as EUR.")
        return currency

    def clean(self) -> None:
        """The last day is not part of it, so it comes after the first."""
        first, last = self.cleaned_data.get("valid_from"), self.cleaned_data.get("valid_until")
        if first and last and last <= first:
            self.add_error("valid_until", "Enter a day after the first one: on this day it no longer holds.")


@admin.register(BillingAgreement)
class BillingAgreementAdmin(Curated):
    """Contracts. What overlaps is pointed out, not refused: the rules decide it the same way every time."""

    form = AgreementForm
    list_display = ("number", to("organization"), "valid_from", "valid_until", "currency")
    list_select_related = ("organization",)
    list_filter = ("currency", ("organization", admin.RelatedOnlyFieldListFilter))
    search_fields = ("number", "organization__name")
    date_hierarchy = "valid_from"
    autocomplete_fields = ("organization",)
    readonly_fields = ("overlapping",)
    inlines = (OverrideRows,)

    @admin.display(description="overlapping clauses")
    def overlapping(self, row: BillingAgreement) -> str:
        """Which clause loses to which: a table, as the rules decide it for the profiles that are known."""
        if row._state.adding:
            return "Told when it is saved."
        found = overlaps_of(row)
        return overlap_table(found) if found else "None: no clause takes a price from another one."

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save the clauses, then say what may not have been meant."""
        super().save_related(request, form, formsets, change)
        agreement = form.instance
        for said in (other_currency, idle, dearer, overlaps):
            for sentence in said(agreement):
                messages.warning(request, sentence)
