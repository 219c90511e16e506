"""API keys: stored as a hash, shown once, and no longer good once revoked or expired."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from tests import cast
from workspaces.models import Account, ApiKey

pytestmark = pytest.mark.django_db


def issue(by: Account, **fields: Any) -> tuple[ApiKey, str]:
    """A viewer's key on Kestrel Freight."""
    return ApiKey.issue(
        name="ci", organization=cast.organization("Kestrel Freight"), role="viewer", created_by=by, **fields
    )


def test_only_a_hash_is_in_the_row(alice: Account) -> None:
    key, text = issue(alice)
    prefix, secret = text[:11], text[12:]
    with connection.cursor() as cursor:
        cursor.execute("SELECT api_key::text FROM workspaces_apikey api_key WHERE id = %s", [key.pk])
        (row,) = cursor.fetchone()
    assert prefix in row
    assert len(secret) == 43
    assert secret not in row
    assert secret not in f"{key} {key!r}"


def test_the_text_finds_the_key_with_what_a_request_needs(alice: Account, django_assert_num_queries) -> None:
    key, text = issue(alice)
    with django_assert_num_queries(1):
        found = ApiKey.holding(text)
        assert found == key
        assert (found.organization.name, found.created_by.email) == ("Kestrel Freight", "alice@kestrel.example")


def test_two_keys_have_nothing_in_common(alice: Account) -> None:
    (one, first), (two, second) = issue(alice), issue(alice)
    assert one.prefix != two.prefix
    assert ApiKey.holding(first) == one
    assert ApiKey.holding(second) == two
    assert ApiKey.holding(first[:11] + second[11:]) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1],
        lambda text: text + "x",
        lambda text: text[:12],
        lambda text: text[:11],
        lambda text: text.swapcase(),
        lambda text: " " + text,
        lambda text: "",
        lambda text: "lb_",
        lambda text: "ü" * 60,
        lambda text: text[:12] + "ü" * 43,
    ],
)
def test_anything_but_the_text_is_no_key(alice: Account, spoil: Any) -> None:
    _, text = issue(alice)
    assert ApiKey.holding(spoil(text)) is None


def test_a_revoked_key_is_no_key(alice: Account) -> None:
    key, text = issue(alice)
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    assert ApiKey.holding(text) is None


@pytest.mark.parametrize(("ahead", "valid"), [(timedelta(minutes=1), True), (timedelta(0), False)])
def test_a_key_ends_when_it_expires(alice: Account, ahead: timedelta, valid: bool) -> None:
    _, text = issue(alice, expires_at=timezone.now() + ahead)
    assert (ApiKey.holding(text) is not None) is valid


def test_a_prefix_and_a_role_are_held_by_the_database(alice: Account) -> None:
    key, _ = issue(alice)
    other, _ = issue(alice)
    with pytest.raises(IntegrityError, match="prefix"), transaction.atomic():
        ApiKey.objects.filter(pk=other.pk).update(prefix=key.prefix)
    with pytest.raises(IntegrityError, match="api_key_role_known"), transaction.atomic():
        ApiKey.objects.update(role="root")
