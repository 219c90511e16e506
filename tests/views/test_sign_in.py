"""Signing in and out, and the pages for what went wrong."""

import re

import pytest
from django.core.cache import cache
from django.test import Client

from tests import cast
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import Account, Event

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside")]
WRONG = "Email address or password is not correct"


@pytest.fixture(autouse=True)
def no_tries_yet(settings):
    """The rate limits of other tests are forgotten, and a try costs no second of hashing."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()


def try_to_sign_in(client, email, password, **fields):
    return client.post("/accounts/login/", {"login": email, "password": password, **fields})


def test_a_right_password_leads_to_the_fleet(client, alice):
    answer = try_to_sign_in(client, "alice@kestrel.example", cast.PASSWORD)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/workspaces")
    page = client.get("/workspaces").content.decode()
    assert "Alice Ahrens" in page
    assert "Successfully signed in" not in page


def test_the_address_is_read_without_regard_to_case(client, alice):
    assert try_to_sign_in(client, "Alice@Kestrel.example", cast.PASSWORD).headers["Location"] == "/workspaces"


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("alice@kestrel.example", "wrong"),
        ("nobody@kestrel.example", cast.PASSWORD),
        ("not an address", cast.PASSWORD),
        ("alice@kestrel.example", ""),
        ("", ""),
    ],
)
def test_every_refusal_says_the_same_and_not_which_field_was_wrong(client, alice, email, password):
    answer = try_to_sign_in(client, email, password)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert page.count(WRONG) == 2
    assert page.count('aria-invalid="true"') == 2
    assert "Enter a valid" not in page
    assert "required." not in page
    assert '<div class="error-summary" role="alert"' in page


def test_the_pages_of_a_known_and_an_unknown_address_do_not_differ(client, alice):
    def page(email):
        text = try_to_sign_in(client, email, "wrong").content.decode().replace(email, "")
        return re.sub(r'name="csrfmiddlewaretoken" value="\w+"|\d\d:\d\d UTC|now \d\d:\d\d', "", text)

    assert page("alice@kestrel.example") == page("nobody@kestrel.example")


def test_after_five_failed_tries_even_the_right_password_waits(client, alice):
    for _ in range(5):
        assert WRONG in try_to_sign_in(client, "alice@kestrel.example", "wrong").content.decode()
    answer = try_to_sign_in(client, "alice@kestrel.example", cast.PASSWORD)
    assert "Too many failed tries" in answer.content.decode()
    assert "_auth_user_id" not in client.session


def test_the_tries_that_are_left_are_stated_for_every_address(client, alice):
    for email in ("alice@kestrel.example", "nobody@kestrel.example"):
        pages = [try_to_sign_in(client, email, "wrong").content.decode() for _ in range(5)]
        assert [re.search(r">(\w+ tr\w+ left[^<.]*)", page)[1] for page in pages] == [
            "4 tries left before a pause of 5 minutes",
            "3 tries left before a pause of 5 minutes",
            "2 tries left before a pause of 5 minutes",
            "1 try left before a pause of 5 minutes",
            "No tries left: there is a pause of 5 minutes now",
        ]


def test_the_tries_of_one_address_do_not_lock_out_another(client, alice, victor):
    for _ in range(6):
        try_to_sign_in(client, "alice@kestrel.example", "wrong")
    assert try_to_sign_in(client, "victor@kestrel.example", cast.PASSWORD).headers["Location"] == "/workspaces"


def test_who_asks_too_often_gets_a_page_of_our_own(client):
    answers = [try_to_sign_in(client, f"{number}@kestrel.example", "wrong") for number in range(31)]
    assert [answer.status_code for answer in answers] == [200] * 30 + [429]
    page = answers[30].content.decode()
    assert "<h1>Too many tries</h1>" in page
    assert "console.css" in page


def test_next_leads_on_inside_the_console_only(alice):
    for given, leads_to in [
        ("/find?q=ledger", "/find?q=ledger"),
        ("https://evil.example/", "/workspaces"),
        ("//evil.example/", "/workspaces"),
        ("/\\evil.example", "/workspaces"),
        ("javascript:alert(1)", "/workspaces"),
    ]:
        answer = try_to_sign_in(Client(), "alice@kestrel.example", cast.PASSWORD, next=given)
        assert (answer.status_code, answer.headers["Location"]) == (302, leads_to)


def test_the_form_carries_next_on(client):
    page = client.get("/accounts/login/?next=/find%3Fq%3Dledger").content.decode()
    assert '<input type="hidden" name="next" value="/find?q=ledger">' in page


def test_a_page_behind_the_sign_in_sends_there_and_back(client, alice):
    assert client.get("/workspaces?state=off").headers["Location"] == "/accounts/login/?next=/workspaces%3Fstate%3Doff"
    assert client.get("/").headers["Location"] == "/workspaces"


def test_who_is_signed_in_is_not_asked_again(client, alice):
    assert cast.sign_in(client, alice).get("/accounts/login/").headers["Location"] == "/workspaces"


def test_the_session_ends_with_the_browser_unless_asked_otherwise(alice):
    short, long = Client(), Client()
    assert try_to_sign_in(short, alice.email, cast.PASSWORD).cookies["sessionid"]["max-age"] == ""
    assert try_to_sign_in(long, alice.email, cast.PASSWORD, remember="on").cookies["sessionid"]["max-age"] > 86400


def test_signing_out_needs_a_post_and_ends_the_session(client, alice):
    cast.sign_in(client, alice)
    page = client.get("/accounts/logout/").content.decode()
    assert "<h1>Sign out</h1>" in page
    assert "_auth_user_id" in client.session
    client.post("/accounts/logout/")
    assert "_auth_user_id" not in client.session
    assert client.get("/workspaces").status_code == 302


def test_signing_in_and_out_are_events_of_the_account(client, alice):
    try_to_sign_in(client, alice.email, cast.PASSWORD)
    client.post("/accounts/logout/")
    told = Event.objects.acts().filter(action__startswith="account.").order_by("id")
    assert list(told.values_list("action", "actor_name", "summary", "changes")) == [
        ("account.signed_in", "Alice Ahrens", "Signed in with a password", {"address": "127.0.0.1"}),
        ("account.session_ended", "Alice Ahrens", "Ended 1 session", {}),
    ]


def test_nobody_signs_up(client):
    answer = client.post("/accounts/signup/", {"email": "new@kestrel.example", "password1": cast.PASSWORD})
    assert "<h1>Accounts are invited</h1>" in answer.content.decode()
    assert not Account.objects.filter(email="new@kestrel.example").exists()


def test_an_account_that_was_switched_off_does_not_get_in(client, alice):
    Account.objects.update(is_active=False)
    try_to_sign_in(client, alice.email, cast.PASSWORD)
    assert "_auth_user_id" not in client.session


def test_the_form_is_protected_against_forgery(alice):
    strict = Client(enforce_csrf_checks=True)
    answer = try_to_sign_in(strict, alice.email, cast.PASSWORD)
    assert answer.status_code == 403
    assert "<h1>This form has expired</h1>" in answer.content.decode()


def test_what_is_not_there_has_a_page_of_our_own_for_everybody(client, alice):
    stranger = client.get("/no/such/page")
    assert stranger.status_code == 404
    assert '<div class="gate">' in stranger.content.decode()
    member = cast.sign_in(client, alice).get("/no/such/page")
    assert member.status_code == 404
    assert "<h1>Not found</h1>" in member.content.decode()
    assert 'id="place-menu"' in member.content.decode()


def test_the_page_for_our_own_failure_needs_neither_database_nor_request():
    from django.template.loader import render_to_string

    assert "<h1>This page failed</h1>" in render_to_string("500.html")


def test_the_theme_of_the_cookie_is_rendered_and_nothing_else_is(client):
    client.cookies["theme"] = "dark"
    assert '<html lang="en" data-theme="dark">' in client.get("/accounts/login/").content.decode()
    client.cookies["theme"] = '"><script>'
    assert '<html lang="en">' in client.get("/accounts/login/").content.decode()
