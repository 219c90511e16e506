"""Support for people who lost their second factor."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Permission
from django.test import Client

from tests import cast
from workspaces.models import Account, Event

pytestmark = pytest.mark.django_db
LIST = "/admin/workspaces/account/"


def remove(client: Client, *accounts: Account) -> Any:
    """The action of the list, for these accounts."""
    form = {"action": "remove_second_factors", "_selected_action": [str(account.pk) for account in accounts]}
    return client.post(LIST, form, follow=True)


@pytest.fixture
def sam() -> Account:
    """Support staff who may change accounts."""
    staff = cast.account("sam@loopback.example", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(codename__in=["view_account", "change_account"]))
    return staff


def test_support_removes_the_factors_of_a_person_and_the_trail_says_who_did(
    client: Client, sam: Account, alice: Account, bob: Account
) -> None:
    Authenticator.objects.create(user=alice, type="totp", data={"secret": "sealed"})
    Authenticator.objects.create(user=alice, type="recovery_codes", data={"seed": "sealed"})
    answer = remove(cast.sign_in(client, sam), alice, bob)
    assert "1 of 2 had second factors, and have none now." in answer.content.decode()
    assert not Authenticator.objects.exists()
    act = Event.objects.get(action="account.factors_removed")
    assert (act.actor_name, act.summary) == (
        "sam@loopback.example",
        "Removed the second factors of alice@kestrel.example",
    )
    assert Event.objects.filter(action="second_factor.deleted", request_id=act.request_id).count() == 2


def test_the_factors_of_staff_are_left_to_superusers(client: Client, sam: Account, root: Account) -> None:
    Authenticator.objects.create(user=root, type="totp", data={"secret": "sealed"})
    answer = remove(cast.sign_in(client, sam), root)
    assert "1 of staff left as they are" in answer.content.decode()
    assert Authenticator.objects.count() == 1
    remove(cast.sign_in(client, root), root)
    assert not Authenticator.objects.exists()


def test_who_may_only_look_at_accounts_does_not_remove_factors(client: Client, alice: Account) -> None:
    staff = cast.account("sue@loopback.example", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(codename="view_account"))
    Authenticator.objects.create(user=alice, type="totp", data={"secret": "sealed"})
    remove(cast.sign_in(client, staff), alice)
    assert Authenticator.objects.count() == 1
