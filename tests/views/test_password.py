"""Changing, setting and resetting a password: letters, links, and nothing that tells who has an account."""

import re

import pytest
from django.core.cache import cache
from django.test import Client

from tests import cast
from tests.views import accounts
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import Account, Event

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside")]
NEW = "a rather different passphrase"
RESET = "/accounts/password/reset/"
TWICE = {"password1": NEW, "password2": NEW}


@pytest.fixture(autouse=True)
def no_tries_yet():
    cache.clear()


@pytest.fixture
def inside(client, alice):
    accounts.sign_in_by_form(client, alice)
    return client


def link_in(letter):
    return re.search(r"http://testserver(/accounts/password/reset/key/\S+)", letter.body)[1]


def told():
    return list(Event.objects.filter(action="account.password_changed").values_list("actor_name", "summary"))


def test_a_password_is_changed_with_the_current_one(inside, alice, mailoutbox):
    answer = inside.post("/accounts/password/change/", {"oldpassword": cast.PASSWORD, **TWICE})
    assert answer.headers["Location"] == "/accounts/2fa/"
    alice.refresh_from_db()
    assert alice.check_password(NEW)
    assert told() == [("Alice Ahrens", "Changed the password")]
    assert [(letter.subject, letter.to) for letter in mailoutbox] == [
        ("Your password was changed", ["alice@kestrel.example"])
    ]


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"oldpassword": "wrong", **TWICE}, "The current password is not correct"),
        ({"oldpassword": cast.PASSWORD, "password1": NEW, "password2": "other"}, "same password each time"),
        ({"oldpassword": cast.PASSWORD, "password1": "short", "password2": "short"}, "at least 12 characters"),
    ],
)
def test_a_wrong_form_changes_nothing_and_says_what_to_do(inside, alice, form, sentence):
    page = inside.post("/accounts/password/change/", form).content.decode()
    assert sentence in page
    assert 'aria-invalid="true"' in page
    alice.refresh_from_db()
    assert alice.check_password(cast.PASSWORD)


def test_an_account_without_a_password_sets_one(inside, alice):
    alice.set_unusable_password()
    alice.save()
    cast.sign_in(inside, alice)
    session = inside.session
    session["account_authentication_methods_user"] = str(alice.pk)
    session["account_authentication_methods"] = [{"method": "socialaccount", "at": 2**33}]
    session.save()
    assert inside.get("/accounts/password/change/").headers["Location"] == "/accounts/password/set/"
    inside.post("/accounts/password/set/", TWICE)
    alice.refresh_from_db()
    assert alice.check_password(NEW)
    assert told() == [("Alice Ahrens", "Set a password")]


def test_a_link_sets_a_new_password_once(client, alice, mailoutbox):
    other = Client()
    accounts.sign_in_by_form(other, alice)
    client.post(RESET, {"email": "Alice@kestrel.example"})
    assert mailoutbox[0].subject == "Reset your password"
    link = link_in(mailoutbox[0])
    form = client.get(link).headers["Location"]
    assert form.endswith("-set-password/")
    assert client.post(form, TWICE).headers["Location"] == "/accounts/password/reset/key/done/"
    alice.refresh_from_db()
    assert alice.check_password(NEW)
    assert other.get("/workspaces").status_code == 302
    assert told() == [("Alice Ahrens", "Reset the password by e-mail")]
    assert mailoutbox[1].subject == "Your password was reset"
    assert "<h1>This link does not work</h1>" in Client().get(link, follow=True).content.decode()


def test_a_new_password_does_not_replace_the_second_factor(client, alice, mailoutbox):
    accounts.add_app(alice)
    client.post(RESET, {"email": alice.email})
    client.post(client.get(link_in(mailoutbox[0])).headers["Location"], TWICE)
    assert "_auth_user_id" not in client.session
    answer = client.post("/accounts/login/", {"login": alice.email, "password": NEW})
    assert answer.headers["Location"] == "/accounts/2fa/authenticate/"


def test_known_and_unknown_addresses_get_the_same_page_and_each_a_letter(alice, mailoutbox):
    answers = [Client().post(RESET, {"email": email}) for email in ("alice@kestrel.example", "nobody@kestrel.example")]
    assert {(answer.status_code, answer.headers["Location"]) for answer in answers} == {(302, f"{RESET}done/")}
    assert [(letter.to, letter.subject) for letter in mailoutbox] == [
        (["alice@kestrel.example"], "Reset your password"),
        (["nobody@kestrel.example"], "No account with this address"),
    ]
    assert "http" not in mailoutbox[1].body


def test_an_account_that_was_switched_off_gets_no_link(client, alice, mailoutbox):
    Account.objects.update(is_active=False)
    client.post(RESET, {"email": alice.email})
    assert "http" not in mailoutbox[0].body


@pytest.mark.parametrize("key", ["x-y", "x-set-password", "deadbeef-d1abcd-0123456789"])
def test_a_link_of_nobody_does_not_work(client, key):
    page = client.get(f"{RESET}key/{key}/", follow=True).content.decode()
    assert "<h1>This link does not work</h1>" in page


def test_five_letters_a_minute_go_to_one_address_and_no_more(client, alice, mailoutbox):
    answers = [client.post(RESET, {"email": alice.email}).status_code for _ in range(6)]
    assert answers == [302] * 5 + [429]
    assert len(mailoutbox) == 5


def test_a_name_with_signs_stands_in_the_letter_as_it_is(client, alice, mailoutbox):
    Account.objects.update(email="o'neil&co@kestrel.example")
    client.post(RESET, {"email": "o'neil&co@kestrel.example"})
    assert "reset the password of o'neil&co@kestrel.example." in mailoutbox[0].body
