"""What is pointed out about an agreement: sentences after it was saved, and the table of clauses that lose.

Nothing is refused here, and nothing decided: who wins is `rules/clauses.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from workspaces.models import BillingAgreement, PriceOverride, ProfileLocation
from workspaces.models.agreement_quote import idle_clauses
from workspaces.models.pricing import COMPONENTS
from workspaces.rules.agreements import Overlap
from workspaces.rules.pricing import Clause

# So many profiles are named; the rest is counted.
NAMED = 8


def other_currency(agreement: BillingAgreement) -> list[str]:
    """A sentence when no price list of the organization is in the agreement's currency: then it changes nothing."""
    rows = ProfileLocation.objects.filter(profile__provider_account__organization=agreement.organization_id)
    told = sorted(set(rows.values_list("currency", flat=True)))
    if not told or agreement.currency in told:
        return []
    lists = " and ".join(told)
    return [
        f"{agreement} is in {agreement.currency}, the price lists of {agreement.organization} in {lists}: no effect."
    ]


def idle(agreement: BillingAgreement) -> list[str]:
    """A sentence for each clause that matches no known profile, or names no known location."""
    return [
        f"{clause.agreement.number} {clause.clause} matches no known profile: {_condition(clause)}."
        for clause in idle_clauses(agreement)
    ]


def overlap_table(found: Sequence[Overlap]) -> SafeString:
    """Winner, loser, and for what; one row for each pair."""
    names = dict(COMPONENTS)
    rows = (
        (
            f"{one.winner.agreement.number} {one.winner.clause}",
            _condition(one.winner),
            f"{one.loser.agreement.number} {one.loser.clause}",
            _condition(one.loser),
            names[one.component],
            _named_profiles(one.profiles),
            ", ".join(one.locations) or "everywhere",
            f"{one.first} to {one.until}" if one.until else f"{one.first} on",
        )
        for one in found
    )
    body = format_html_join(
        "",
        "<tr><td>{}<br>{}</td><td>{}<br>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
        rows,
    )
    return format_html(
        "<table><thead><tr><th scope=col>Sets the price</th><th scope=col>Loses</th><th scope=col>Component</th>"
        "<th scope=col>For</th><th scope=col>At</th><th scope=col>Days</th></tr></thead><tbody>{}</tbody></table>",
        body,
    )


def _named_profiles(profiles: Sequence[str]) -> str:
    more = len(profiles) - NAMED
    return ", ".join(profiles[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _condition(clause: Clause) -> str:
    return " in ".join(filter(None, (clause.profile or clause.family or "any profile", clause.location)))


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
