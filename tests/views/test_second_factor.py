"""The second factor: enrolled with real codes, asked for at sign-in, confirmed again before what is sensitive."""

import re
import xml.etree.ElementTree as ET

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.urls import reverse

from tests import cast
from tests.views import accounts
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import Event

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_outside")]
ACTIVATE = "/accounts/2fa/totp/activate/"
CODES = "/accounts/2fa/recovery-codes/"
SECOND = "/accounts/2fa/authenticate/"


@pytest.fixture(autouse=True)
def no_tries_yet():
    cache.clear()


@pytest.fixture
def inside(client, alice):
    """alice, who has just signed in with her password."""
    accounts.sign_in_by_form(client, alice)
    return client


def enrol(client):
    """Add an app through the page; returns its setup key."""
    page = client.get(ACTIVATE).content.decode()
    secret = re.search(r"Setup key <code[^>]*>([A-Z2-7]{32})</code>", page)[1]
    answer = client.post(ACTIVATE, {"code": accounts.code(secret)})
    assert answer.headers["Location"] == CODES
    return secret


def told(action):
    return list(Event.objects.filter(action=action).values_list("actor_name", "summary").order_by("id"))


def test_an_app_is_added_with_a_code_of_its_own(inside):
    enrol(inside)
    page = inside.get("/accounts/2fa/").content.decode()
    assert "Remove app" in page
    assert "10 left" in page
    assert "Authenticator app added." in page
    assert told("account.factor_added") == [("Alice Ahrens", "Added an authenticator app")]


def test_the_qr_code_stands_in_the_page_as_the_content_policy_wants(inside):
    page = inside.get(ACTIVATE).content.decode()
    assert "data:" not in page
    drawn = ET.fromstring(re.search(r'<svg class="qr".*?</svg>', page, re.S)[0])
    assert len(drawn.find("path").get("d")) > 5000


def test_a_wrong_code_adds_nothing_and_keeps_the_setup_key(inside):
    shown = re.search(r"Setup key <code[^>]*>(\w+)<", inside.get(ACTIVATE).content.decode())[1]
    answer = inside.post(ACTIVATE, {"code": "000000"})
    assert "That code or passkey is not correct" in answer.content.decode()
    assert shown in answer.content.decode()
    assert not Authenticator.objects.exists()


def test_secrets_are_sealed_in_the_database(inside):
    secret = enrol(inside)
    inside.get(CODES)
    with connection.cursor() as cursor:
        cursor.execute("SELECT type, data::text FROM mfa_authenticator ORDER BY type")
        rows = dict(cursor.fetchall())
    assert secret not in rows["totp"]
    assert rows["totp"].startswith('{"secret": "gAAAA')
    assert '"seed": "gAAAA' in rows["recovery_codes"]


def test_the_password_alone_no_longer_signs_in(alice):
    accounts.add_app(alice)
    client = Client()
    assert accounts.sign_in_by_form(client, alice, next="/find?q=ledger").headers["Location"] == SECOND
    assert client.get("/workspaces").status_code == 302
    assert "<h1>Second factor</h1>" in client.get(SECOND).content.decode()
    answer = client.post(SECOND, {"code": accounts.code()})
    assert answer.headers["Location"] == "/find?q=ledger"
    assert client.get("/workspaces").status_code == 200
    assert told("account.signed_in") == [("Alice Ahrens", "Signed in with a password and an authenticator code")]


def test_a_code_works_once(alice):
    accounts.add_app(alice)
    code = accounts.code()
    for number, location in [(1, "/workspaces"), (2, None)]:
        client = Client()
        accounts.sign_in_by_form(client, alice)
        assert client.post(SECOND, {"code": code}).headers.get("Location") == location, number


def test_a_wrong_code_is_refused_and_written_down(client, alice):
    accounts.add_app(alice)
    accounts.sign_in_by_form(client, alice)
    page = client.post(SECOND, {"code": "000000"}).content.decode()
    assert "That code or passkey is not correct" in page
    assert "_auth_user_id" not in client.session
    assert told("account.factor_refused") == [("Alice Ahrens", "Entered a wrong code as second factor")]


def test_after_five_wrong_codes_even_the_right_one_waits(client, alice):
    accounts.add_app(alice)
    accounts.sign_in_by_form(client, alice)
    for _ in range(5):
        client.post(SECOND, {"code": "000000"})
    page = client.post(SECOND, {"code": accounts.code()}).content.decode()
    assert "Too many failed tries" in page
    assert "_auth_user_id" not in client.session


def test_a_recovery_code_replaces_the_app_once(alice, inside):
    enrol(inside)
    first = re.search(r"<li><code>(\d{8})</code></li>", inside.get(CODES).content.decode())[1]
    for location in ["/workspaces", None]:
        client = Client()
        accounts.sign_in_by_form(client, alice)
        assert client.post(SECOND, {"code": first}).headers.get("Location") == location
    assert first not in inside.get(CODES).content.decode()
    assert "9 of 10 left" in inside.get(CODES).content.decode()


def test_codes_are_downloaded_and_made_anew(inside):
    enrol(inside)
    file = inside.get(f"{CODES}download/")
    assert file.headers["Content-Disposition"] == 'attachment; filename="recovery-codes.txt"'
    before = re.findall(r"^\d{8}$", file.content.decode(), re.M)
    assert len(before) == 10
    assert inside.post(f"{CODES}generate/").headers["Location"] == CODES
    after = re.findall(r"<li><code>(\d{8})</code></li>", inside.get(CODES).content.decode())
    assert not set(before) & set(after)
    assert told("account.factor_added")[-1] == ("Alice Ahrens", "Made new recovery codes")


def test_removing_the_app_takes_the_recovery_codes_along_and_sends_a_letter(inside, mailoutbox):
    enrol(inside)
    assert inside.post("/accounts/2fa/totp/deactivate/").headers["Location"] == "/accounts/2fa/"
    assert not Authenticator.objects.exists()
    assert told("account.factor_removed") == [("Alice Ahrens", "Removed the authenticator app")]
    assert [letter.subject for letter in mailoutbox] == [
        "An authenticator app was added",
        "The authenticator app was removed",
    ]
    assert "from your account alice@kestrel.example." in mailoutbox[1].body
    assert "From: 127.0.0.1" in mailoutbox[1].body


@pytest.mark.parametrize(
    "name",
    [
        "mfa_activate_totp",
        "mfa_deactivate_totp",
        "mfa_view_recovery_codes",
        "mfa_generate_recovery_codes",
        "mfa_download_recovery_codes",
        "mfa_add_webauthn",
        "account_set_password",
    ],
)
def test_what_is_sensitive_asks_for_a_sign_in_of_the_last_quarter_hour(inside, name):
    address = reverse(name)
    accounts.make_old(inside)
    for ask in (inside.get, inside.post):
        answer = ask(address, headers={"referer": f"http://testserver{address}"})
        assert answer.headers["Location"] == f"/accounts/reauthenticate/?next={address.replace('/', '%2F')}"
    confirmed = inside.post("/accounts/reauthenticate/", {"password": cast.PASSWORD, "next": address})
    assert confirmed.headers["Location"] == address
    assert "reauthenticate" not in inside.get(address).headers.get("Location", "")


def test_a_wrong_password_confirms_nothing(inside):
    accounts.make_old(inside)
    page = inside.post("/accounts/reauthenticate/", {"password": "wrong", "next": ACTIVATE}).content.decode()
    assert "The password is not correct" in page
    assert inside.get(ACTIVATE).status_code == 302


def test_the_app_confirms_too(inside, alice):
    accounts.add_app(alice)
    accounts.make_old(inside)
    assert "Use an authenticator or recovery code" in inside.get("/accounts/reauthenticate/").content.decode()
    answer = inside.post("/accounts/2fa/reauthenticate/", {"code": accounts.code(), "next": CODES})
    assert answer.headers["Location"] == CODES
    assert inside.get(CODES).status_code == 200


def test_one_account_does_not_reach_the_passkey_of_another(inside, bob):
    other = Authenticator.objects.create(user=bob, type="webauthn", data={"name": "of bob", "credential": {}})
    for page in ("edit", "remove"):
        assert inside.post(f"/accounts/2fa/passkeys/{other.pk}/{page}/", {"name": "mine"}).status_code == 404
    assert Authenticator.objects.get().data["name"] == "of bob"


def test_the_addresses_the_console_does_not_use_are_not_there(inside):
    for path in ("email/", "confirm-email/x/", "login/code/", "3rdparty/", "oidc/sso/login/", "2fa/webauthn/signup/"):
        assert inside.get(f"/accounts/{path}").status_code == 404, path
