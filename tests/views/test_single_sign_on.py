"""Single sign-on against a real OpenID provider on this machine: who comes in, who does not, and as whom."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from allauth.socialaccount.models import SocialAccount, SocialToken
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from tests import cast
from tests.views import accounts, openid_provider
from workspaces.models import Account, Event, Invitation, Membership

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def running_provider():
    with openid_provider.running() as provider:
        yield provider


@pytest.fixture
def provider(running_provider, settings):
    """Set up under the name Kestrel; alice comes from it unless a test says otherwise."""
    cache.clear()
    running_provider.person = {"sub": "a1", "email": "alice@kestrel.example", "email_verified": True}
    running_provider.token, running_provider.asked = {}, []
    client_id, secret = openid_provider.CLIENT
    app = {
        "provider_id": "sso",
        "name": "Kestrel",
        "client_id": client_id,
        "secret": secret,
        "settings": {"server_url": running_provider.url, "oauth_pkce_enabled": True},
    }
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [app]}}
    return running_provider


def come_back(client, start="/accounts/sso/"):
    """Leave for the provider, follow it, and return our answer to whoever comes back."""
    leaving = client.get(start)
    assert leaving.status_code == 302, leaving.content
    back = requests.get(leaving.headers["Location"], allow_redirects=False, timeout=5).headers["Location"]
    return client.get(back.removeprefix("http://testserver"))


def invite(email, **fields):
    kestrel = cast.organization("Kestrel Freight")
    invitation, _ = Invitation.send_to(email, organization=kestrel, project=None, role="viewer", invited_by=None)
    Invitation.objects.filter(pk=invitation.pk).update(**fields)
    return invitation


def is_signed_in(client):
    return "_auth_user_id" in client.session


def test_without_a_provider_there_is_no_button_and_no_address(client, alice):
    assert "Continue with" not in client.get("/accounts/login/").content.decode()
    assert client.get("/accounts/sso/").status_code == 404
    assert client.get("/accounts/oidc/sso/login/callback/?code=1&state=2").status_code == 404


def test_the_sign_in_page_offers_it_and_keeps_where_to_go(client, provider):
    page = client.get("/accounts/login/?next=/find%3Fq%3Dledger").content.decode()
    assert "Continue with Kestrel" in page
    assert 'href="/accounts/sso/?next=%2Ffind%3Fq%3Dledger"' in page


def test_an_existing_account_signs_in_by_its_verified_address(client, alice, provider):
    assert come_back(client, "/accounts/sso/?next=/find%3Fq%3Dledger").headers["Location"] == "/find?q=ledger"
    assert client.get("/workspaces").status_code == 200
    assert list(Event.objects.filter(action="account.signed_in").values_list("actor_name", "summary")) == [
        ("Alice Ahrens", "Signed in with single sign-on")
    ]
    alice.refresh_from_db()
    assert alice.check_password(cast.PASSWORD)
    assert not SocialToken.objects.exists()


def test_a_letter_that_cannot_be_sent_keeps_nobody_out(client, alice, provider, settings, caplog):
    backend = "django.core.mail.backends.smtp.EmailBackend"
    settings.MAILERS = {"default": {"BACKEND": backend, "OPTIONS": {"host": "127.0.0.1", "port": 9}}}
    assert come_back(client).headers["Location"] == "/workspaces"
    assert "The letter socialaccount/email/account_connected to alice@kestrel.example was not sent" in caplog.text


def test_nothing_of_the_query_reaches_the_provider(client, alice, provider):
    come_back(client, "/accounts/sso/?scope=everything&auth_params=redirect_uri%3Dhttps://evil.example&process=connect")
    assert provider.asked[0]["redirect_uri"] == "http://testserver/accounts/oidc/sso/login/callback/"
    assert set(provider.asked[0]["scope"].split(" ")) == {"openid", "profile", "email"}
    assert "prompt" not in provider.asked[0]


def test_the_second_time_the_identity_counts_and_not_the_address(client, alice, provider):
    come_back(client)
    provider.person["email"] = "alice.new-name@kestrel.example"
    again = Client()
    come_back(again)
    assert is_signed_in(again)
    assert SocialAccount.objects.get().user == alice


@pytest.mark.parametrize("verified", [False, None, "true", "false", 1])
def test_an_address_that_is_not_verified_is_nobodys(client, alice, provider, verified):
    provider.person["email_verified"] = verified
    answer = come_back(client)
    assert answer.status_code == 403
    assert "does not vouch for your e-mail address" in answer.content.decode()
    assert not is_signed_in(client)


def test_nobody_gets_an_account_without_an_invitation(client, alice, provider):
    provider.person |= {"sub": "n1", "email": "nina@kestrel.example"}
    answer = come_back(client)
    assert answer.status_code == 403
    assert "No account that may sign in has that address" in answer.content.decode()
    assert not is_signed_in(client)
    assert not Account.objects.filter(email="nina@kestrel.example").exists()


def test_an_open_invitation_makes_the_account_with_its_role(client, provider):
    invite("nina@kestrel.example")
    provider.person = {"sub": "n1", "email": "Nina@Kestrel.example", "email_verified": True, "given_name": "Nina"}
    assert come_back(client).headers["Location"] == "/workspaces"
    nina = Account.objects.get(email="nina@kestrel.example")
    assert (nina.first_name, nina.has_usable_password(), nina.is_staff) == ("Nina", False, False)
    assert list(Membership.objects.values_list("account__email", "role")) == [("nina@kestrel.example", "viewer")]
    assert Invitation.objects.get().accepted_at is not None
    assert Event.objects.filter(action="account.created", actor_name="Nina").exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"expires_at": timezone.now() - timedelta(seconds=1)},
        {"revoked_at": timezone.now()},
        {"accepted_at": timezone.now()},
    ],
)
def test_an_invitation_that_is_over_makes_no_account(client, provider, fields):
    invite("nina@kestrel.example", **fields)
    provider.person |= {"sub": "n1", "email": "nina@kestrel.example"}
    assert come_back(client).status_code == 403
    assert not Account.objects.exists()


def test_an_account_that_was_switched_off_does_not_get_in(client, alice, provider):
    Account.objects.update(is_active=False)
    assert come_back(client).status_code == 403
    assert not SocialAccount.objects.exists()
    Account.objects.update(is_active=True)
    come_back(client)
    Account.objects.update(is_active=False)
    again = Client()
    assert come_back(again).headers["Location"] == "/accounts/inactive/"
    assert not is_signed_in(again)


def test_the_second_factor_is_asked_for_all_the_same(client, alice, provider):
    accounts.add_app(alice)
    assert come_back(client).headers["Location"] == "/accounts/2fa/authenticate/"
    assert not is_signed_in(client)


@pytest.mark.parametrize(
    "token", [{"aud": "another"}, {"iss": "https://evil.example"}, {"exp": 1}, {"aud": ["another", "third"]}]
)
def test_an_id_token_for_somebody_else_signs_nobody_in(client, alice, provider, token):
    provider.token = token
    answer = come_back(client)
    assert answer.status_code == 401
    assert "<h1>Single sign-on failed</h1>" in answer.content.decode()
    assert not is_signed_in(client)


def test_a_return_that_nobody_left_for_signs_nobody_in(client, alice, provider):
    leaving = Client().get("/accounts/sso/").headers["Location"]
    back = requests.get(leaving, allow_redirects=False, timeout=5).headers["Location"]
    assert parse_qs(urlsplit(back).query)["code"]
    assert client.get(back.removeprefix("http://testserver")).status_code == 401
    assert not is_signed_in(client)


@pytest.mark.parametrize(("error", "expected"), [("access_denied", "cancelled"), ("server_error", "failed")])
def test_a_refusal_of_the_provider_is_told(client, alice, provider, error, expected):
    provider.person["error"] = error
    answer = come_back(client)
    page = client.get(answer.headers["Location"]) if answer.status_code == 302 else answer
    assert f"<h1>Single sign-on {expected}</h1>" in page.content.decode()


def test_a_provider_that_does_not_answer_is_told(client, alice, provider, settings):
    settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"][0]["settings"]["server_url"] = "http://127.0.0.1:9"
    answer = client.get("/accounts/sso/")
    assert answer.status_code == 401
    assert "Kestrel did not answer" in answer.content.decode()


def test_who_has_nothing_else_confirms_at_the_provider_and_is_asked_there(client, alice, provider):
    come_back(client)
    alice.set_unusable_password()
    alice.save()
    client = Client()
    come_back(client)
    accounts.make_old(client)
    asked = client.get("/accounts/2fa/totp/activate/").headers["Location"]
    assert asked == "/accounts/sso/?next=%2Faccounts%2F2fa%2Ftotp%2Factivate%2F"
    assert come_back(client, asked).headers["Location"] == "/accounts/2fa/totp/activate/"
    assert provider.asked[-1]["prompt"] == "login"
    assert client.get("/accounts/2fa/totp/activate/").status_code == 200


def test_who_has_a_password_may_confirm_at_the_provider_instead(client, alice, provider):
    come_back(client)
    page = client.get("/accounts/reauthenticate/?next=/operations").content.decode()
    assert '<a href="/accounts/sso/?next=%2Foperations">Continue with Kestrel</a>' in page
