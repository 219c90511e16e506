"""Which workspaces an agreement touches: those with a host of which one of its clauses speaks, whatever the day.

Counted as far as the reader sees workspaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.http import HttpRequest

from workspaces.models import BillingAgreement, Host
from workspaces.models.price_list import clause_of
from workspaces.rules.clauses import Clause, matches
from workspaces.views.access import visible_workspaces


def clauses_in(agreement: BillingAgreement) -> list[Clause]:
    """The clauses of an agreement whose overrides are at hand."""
    return [clause_of(row) for row in agreement.overrides.all()]


def touched(request: HttpRequest, agreements: Sequence[BillingAgreement]) -> dict[UUID, int]:
    """How many workspaces each of the agreements touches, by its key (one query whatever their number)."""
    kinds = (
        Host.objects.filter(
            workspace__in=visible_workspaces(request),
            workspace__project__organization__in={agreement.organization_id for agreement in agreements},
        )
        .order_by()
        .values_list("workspace__project__organization", "profile", "location")
        .annotate(workspaces=ArrayAgg("workspace", distinct=True))
    )
    there = list(kinds)
    counted = {}
    for agreement in agreements:
        clauses, mine = clauses_in(agreement), set[UUID]()
        for organization, profile, location, workspaces in there:
            if organization == agreement.organization_id and speaks_of(clauses, profile, location):
                mine.update(workspaces)
        counted[agreement.pk] = len(mine)
    return counted


def speaks_of(clauses: Iterable[Clause], profile: str, location: str) -> bool:
    """Whether a clause sets some price of that profile there, on a day on which its agreement holds."""
    return any(matches(clause, profile, location, clause.component, clause.agreement.valid_from) for clause in clauses)
