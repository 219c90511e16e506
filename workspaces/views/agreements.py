"""Agreements: which hold, what each of their clauses says, which of them win, and what a workspace would pay.

The words are in `agreement_words.py`, the question what a workspace would pay in `agreement_simulation.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from django.core.paginator import Paginator
from django.db.models import Case, IntegerField, Value, When, prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from workspaces.models import BillingAgreement
from workspaces.models.agreement_quote import known_offers, overlaps_of
from workspaces.models.commercial import agreements_seen
from workspaces.rules.agreements import Overlap
from workspaces.rules.clauses import Clause
from workspaces.views import agreement_words as words
from workspaces.views.access import account_of, login_required
from workspaces.views.agreement_reach import clauses_in, speaks_of, touched
from workspaces.views.agreement_simulation import simulated

PAGE = 50
OVERLAPS_SHOWN, PROFILES_SHOWN, LOCATIONS_SHOWN, KINDS_SHOWN = 50, 5, 3, 6


@dataclass(frozen=True, slots=True)
class Row:
    """An agreement as the list shows it. `workspaces` are those that the reader sees."""

    agreement: BillingAgreement
    state: words.State
    clauses: int
    changes: str
    workspaces: int


@dataclass(frozen=True, slots=True)
class ClauseRow:
    """A clause as the page shows it; `profiles` are the known ones it speaks of."""

    clause: Clause
    component: str
    subject: str
    kind: str
    amount: str
    minimum: str
    sentence: str
    profiles: int


@dataclass(frozen=True, slots=True)
class Side:
    """A clause of an overlap, and whether it is one of the agreement that the page is about."""

    clause: Clause
    says: str
    ours: bool


@dataclass(frozen=True, slots=True)
class OverlapRow:
    """Two clauses that speak of the same price, and for which profiles; `days` is empty when it is always so."""

    component: str
    winner: Side
    loser: Side
    profiles: str
    days: str


# --- The list ---------------------------------------------------------------------------------------------------------
@login_required
@require_safe
def agreements(request: HttpRequest) -> HttpResponse:
    """Those that hold first, then those to come, then those that have ended."""
    now = timezone.now()
    today = now.date()
    turn = Case(
        When(valid_from__gt=today, then=Value(1)),
        When(valid_until__lte=today, then=Value(2)),
        default=Value(0),
        output_field=IntegerField(),
    )
    rows = agreements_seen(account_of(request)).order_by(turn, "organization__name", "-valid_from", "number")
    page = Paginator(rows.prefetch_related("overrides"), PAGE).get_page(request.GET.get("page"))
    shown = list(page)
    counted = touched(request, shown)
    context = {
        "nav": "agreements",
        "now": now,
        "page": page,
        "rows": [_row(agreement, counted[agreement.pk], today) for agreement in shown],
    }
    return render(request, "workspaces/agreements.html", context)


def _row(agreement: BillingAgreement, workspaces: int, today: date) -> Row:
    clauses = clauses_in(agreement)
    return Row(agreement, words.state_of(agreement, today), len(clauses), _changes(clauses), workspaces)


def _changes(clauses: Iterable[Clause]) -> str:
    """`CCX, CPX, cx22 and 3 more`; empty without a clause."""
    kinds = words.kinds_of(clauses)
    return _some(kinds, KINDS_SHOWN)


def _some(names: Sequence[str], most: int) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


# --- One --------------------------------------------------------------------------------------------------------------
@login_required
@require_safe
def agreement(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The page; with `?workspace=` and `&on=` also what that workspace would pay (422 when they cannot be read)."""
    now, account = timezone.now(), account_of(request)
    found = get_object_or_404(agreements_seen(account), pk=pk)
    day = _day_of(found, now.date())
    question = simulated(request, found, day)
    context = {"nav": "agreements", "now": now, "agreement": found, "question": question}
    if request.htmx and not request.htmx.history_restore_request:  # type: ignore[attr-defined]
        return render(request, "workspaces/agreement.html#simulation", context, status=question.status)
    prefetch_related_objects([found], "overrides")
    clauses = sorted(clauses_in(found), key=words.number)
    names, places = known_offers(found.organization_id)
    rivals = [_overlap_row(one, found) for one in overlaps_of(found) if one.until is None or one.until > day]
    context |= {
        "state": words.state_of(found, now.date()),
        "left": words.left(found, now.date()),
        "changes": _changes(clauses),
        "clauses": _clause_rows(clauses, names, places),
        "known": bool(names),
        "workspaces": touched(request, [found])[found.pk],
        "rivals": rivals[:OVERLAPS_SHOWN],
        "rival_count": len(rivals),
    }
    return render(request, "workspaces/agreement.html", context, status=question.status)


def _day_of(found: BillingAgreement, today: date) -> date:
    """The day the page is about: today, while the agreement holds; else its first or its last."""
    if found.valid_from > today:
        return found.valid_from
    return today if found.valid_until is None or found.valid_until > today else found.valid_until - timedelta(days=1)


def _clause_rows(clauses: Iterable[Clause], names: Sequence[str], places: Sequence[str]) -> list[ClauseRow]:
    # Clauses that match the same profiles are counted once: a contract has many, and an account hundreds of profiles.
    counted: dict[tuple[str, str], int] = {}
    rows = []
    for clause in clauses:
        key = clause.profile, clause.family
        if key not in counted:
            counted[key] = sum(speaks_of([clause], name, clause.location) for name in names)
        rows.append(_clause_row(clause, counted[key] if clause.location in ("", *places) else 0))
    return rows


def _clause_row(clause: Clause, profiles: int) -> ClauseRow:
    return ClauseRow(
        clause=clause,
        component=words.COMPONENTS.get(clause.component, clause.component),
        subject=words.subject(clause),
        kind=words.KINDS.get(clause.kind, clause.kind),
        amount=words.amount(clause),
        minimum=words.minimum(clause),
        sentence=words.sentence(clause),
        profiles=profiles,
    )


def _overlap_row(one: Overlap, found: BillingAgreement) -> OverlapRow:
    always = one.first == found.valid_from and one.until == found.valid_until
    where = f" in {_some(one.locations, LOCATIONS_SHOWN)}" if one.locations else ""
    return OverlapRow(
        component=words.COMPONENTS.get(one.component, one.component),
        winner=_side(one.winner, found),
        loser=_side(one.loser, found),
        profiles=f"{_some(one.profiles, PROFILES_SHOWN)}{where}",
        days="" if always else words.days(one.first, one.until),
    )


def _side(clause: Clause, found: BillingAgreement) -> Side:
    return Side(clause, words.sentence(clause), clause.agreement.number == found.number)
