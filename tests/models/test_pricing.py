"""What the database holds about agreements, and on which days one is in force."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from tests import cast
from workspaces.models import BillingAgreement, PriceOverride

pytestmark = pytest.mark.django_db
FIRST, END = date(2026, 3, 1), date(2027, 3, 1)
DAY = timedelta(days=1)


def agreement(number: str = "KF-1", start: date = FIRST, end: date | None = END) -> BillingAgreement:
    """A contract of Kestrel Freight, not stored."""
    organization = cast.organization("Kestrel Freight")
    return BillingAgreement(organization=organization, number=number, valid_from=start, valid_until=end)


@pytest.mark.parametrize("end", [FIRST, FIRST - DAY])
def test_an_agreement_ends_after_it_begins(end: date) -> None:
    with pytest.raises(IntegrityError, match="agreement_validity_half_open"), transaction.atomic():
        BillingAgreement.objects.bulk_create([agreement(end=end)])
    BillingAgreement.objects.bulk_create([agreement()])
    with pytest.raises(IntegrityError, match="agreement_validity_half_open"), transaction.atomic():
        BillingAgreement.objects.update(valid_until=end)


@pytest.mark.parametrize(
    ("day", "active"),
    [(FIRST - DAY, False), (FIRST, True), (END - DAY, True), (END, False)],
)
def test_the_first_day_is_in_it_and_the_last_is_not(day: date, active: bool) -> None:
    agreement().save()
    assert BillingAgreement.objects.active_on(day).exists() is active


def test_an_agreement_without_an_end_goes_on() -> None:
    agreement(end=None).save()
    assert BillingAgreement.objects.active_on(date(2099, 12, 31)).exists()


def test_of_two_that_follow_each_other_exactly_one_holds_on_the_day_of_the_change() -> None:
    BillingAgreement.objects.bulk_create([agreement("old", date(2025, 3, 1), FIRST), agreement("new", FIRST, None)])
    for day, number in ((FIRST - DAY, "old"), (FIRST, "new")):
        assert [one.number for one in BillingAgreement.objects.active_on(day)] == [number]


def test_a_clause_stands_once_in_an_agreement_and_is_not_negative() -> None:
    contract = agreement()
    contract.save()
    clause = {"agreement": contract, "component": "hourly", "kind": "percent"}
    PriceOverride.objects.create(clause="4.1", amount=Decimal("88"), **clause)
    with pytest.raises(IntegrityError, match="clause_once_per_agreement"), transaction.atomic():
        PriceOverride.objects.bulk_create([PriceOverride(clause="4.1", amount=Decimal("90"), **clause)])
    with pytest.raises(IntegrityError, match="override_not_negative"), transaction.atomic():
        PriceOverride.objects.update(amount=Decimal("-0.01"))
    stored = PriceOverride.objects.get().amount
    assert (type(stored), stored) == (Decimal, Decimal("88"))
