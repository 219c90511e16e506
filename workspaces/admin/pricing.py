"""Compute profiles with list prices (synchronised), and agreements with their clauses (curated)."""

from __future__ import annotations

from decimal import Decimal
from itertools import combinations
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest

from workspaces.admin.base import Curated, Rows
from workspaces.admin.links import to
from workspaces.models import BillingAgreement, ComputeProfile, PriceOverride, ProfileLocation

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

    def clean(self) -> None:
        """A clause speaks of one profile, or of a family; a percentage is one of the list price."""
        if self.cleaned_data.get("profile") and self.cleaned_data.get("family"):
            self.add_error("family", "Choose one: the profile or the family. Without any, the clause is for all.")
        amount = self.cleaned_data.get("amount")
        if self.cleaned_data.get("kind") == "percent" and amount is not None and amount > MOST_PERCENT:
            self.add_error("amount", f"Enter a percentage from 0 to {MOST_PERCENT}.")


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
    """Contracts. What overlaps is pointed out, not refused: the rules decide it the same way every time."""

    form = AgreementForm
    list_display = ("number", to("organization"), "valid_from", "valid_until", "currency")
    list_select_related = ("organization",)
    list_filter = ("currency", ("organization", admin.RelatedOnlyFieldListFilter))
    search_fields = ("number", "organization__name")
    date_hierarchy = "valid_from"
    autocomplete_fields = ("organization",)
    inlines = (OverrideRows,)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save the clauses, then say what may not have been meant."""
        super().save_related(request, form, formsets, change)
        for sentence in (*dearer(form.instance), *overlaps(form.instance)):
            messages.warning(request, sentence)


def dearer(agreement: BillingAgreement) -> list[str]:
    """A sentence for each clause above the list price."""
    clauses = agreement.overrides.filter(kind="percent", amount__gt=100).order_by("clause")
    return [f"{clause} is dearer than the list: {clause.amount.normalize():f} %." for clause in clauses]


def overlaps(agreement: BillingAgreement) -> list[str]:
    """A sentence for each other agreement of the organization that holds at the same time in the same currency.

    It names the clauses that set the same price, and which of them wins: the one of the agreement that starts later.
    """
    others = BillingAgreement.objects.filter(organization=agreement.organization_id, currency=agreement.currency)
    sentences = []
    for other in others.exclude(pk=agreement.pk).order_by("number"):
        if _together(agreement, other):
            rivals = [
                (one, two) for one in _clauses(agreement) for two in _clauses(other) if _price(one) == _price(two)
            ]
            sentences.append(_overlap(agreement, other, rivals))
    twice = [pair for pair in combinations(_clauses(agreement), 2) if _price(pair[0]) == _price(pair[1])]
    return sentences + [
        f"{one} and {two} set the same price: {_named(one)}. The lower number wins." for one, two in twice
    ]


def _overlap(one: BillingAgreement, other: BillingAgreement, rivals: list[tuple[PriceOverride, PriceOverride]]) -> str:
    ends = [agreement.valid_until for agreement in (one, other) if agreement.valid_until]
    until = f" to {min(ends)}" if ends else " on"
    both = f"{one} and {other} both hold from {max(one.valid_from, other.valid_from)}{until}"
    if not rivals:
        return f"{both}. Where clauses of both match, the more specific one wins."
    named = ", ".join(f"{a.clause} and {b.clause} ({_named(a)})" for a, b in rivals)
    later = max((one, other), key=lambda agreement: agreement.valid_from)
    wins = "Both are valid from the same day, so the lower number wins."
    if one.valid_from != other.valid_from:
        wins = f"{later} wins, as its validity starts later."
    return f"{both} and set the same price in clauses {named}. {wins}"


def _clauses(agreement: BillingAgreement) -> list[PriceOverride]:
    return list(agreement.overrides.select_related("agreement").order_by("clause"))


def _named(clause: PriceOverride) -> str:
    return " ".join((clause.get_component_display().lower(), *filter(None, _price(clause)[1:])))


def _price(clause: PriceOverride) -> tuple[str, str, str, str]:
    return clause.component, clause.profile, clause.family, clause.location


def _together(a: BillingAgreement, b: BillingAgreement) -> bool:
    starts_in_time = b.valid_until is None or a.valid_from < b.valid_until
    return starts_in_time and (a.valid_until is None or b.valid_from < a.valid_until)
