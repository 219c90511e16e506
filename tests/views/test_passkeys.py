"""Passkeys in a real browser with a virtual authenticator, and every page about signing in checked with axe."""

import os
from pathlib import Path

import pytest
from allauth.mfa.models import Authenticator
from axe_playwright_python.sync_playwright import Axe
from django.contrib.sessions.backends.db import SessionStore
from django.core.cache import cache
from playwright.sync_api import expect, sync_playwright

from tests import browser as browsers
from tests import cast
from tests.views import accounts, openid_provider
from workspaces.models import Event

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        started = browsers.launch(playwright)
        yield started
        started.close()


@pytest.fixture
def open_page(chromium, live_server):
    """Makes pages of contexts of their own: open_page(width=390). No page may complain, nor of the content policy."""
    cache.clear()
    contexts, complaints = [], []

    def opened(*, width=1440, **options):
        context = chromium.new_context(
            base_url=live_server.url, viewport={"width": width, "height": 900}, reduced_motion="reduce", **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda line: complaints.append(line.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield opened
    browsers.close(*contexts)
    assert complaints == []


def give_authenticator(page, *, remembers=True):
    """A device that holds passkeys and recognises its owner; one that remembers none is a mere security key."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal" if remembers else "usb",
        "hasResidentKey": remembers,
        "hasUserVerification": remembers,
        "isUserVerified": remembers,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def sign_in(page, who):
    page.goto("/accounts/login/")
    page.get_by_label("Email address").fill(who.email)
    page.get_by_label("Password").fill(cast.PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def sign_out(page):
    page.get_by_role("button", name="account menu").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()


def add_passkey(page, name, *, alone=True):
    page.goto("/accounts/2fa/passkeys/add/")
    page.get_by_label("Name").fill(name)
    if not alone:
        page.get_by_label("Sign in with it alone").uncheck()
    page.get_by_role("button", name="Add passkey").click()


def grow_old(page):
    """The sign-in of the page's session was half an hour ago."""
    session = SessionStore(next(c["value"] for c in page.context.cookies() if c["name"] == "sessionid"))
    for record in session["account_authentication_methods"]:
        record["at"] -= 1800
    session.save()


def test_a_passkey_is_added_and_signs_in_alone(open_page, alice):
    page = open_page()
    give_authenticator(page)
    sign_in(page, alice)
    page.get_by_role("button", name="account menu").click()
    page.get_by_role("link", name="Your account").click()
    page.get_by_role("link", name="Add passkey").click()
    page.get_by_label("Name").fill("Work laptop")
    page.get_by_role("button", name="Add passkey").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    sign_out(page)
    page.goto("/accounts/login/?next=/operations")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="Operations", level=1)).to_be_visible()
    assert list(Event.objects.filter(action="account.signed_in").values_list("summary", flat=True)) == [
        "Signed in with a passkey",
        "Signed in with a password",
    ]


def test_a_security_key_is_the_second_factor_after_the_password(open_page, alice):
    page = open_page()
    give_authenticator(page, remembers=False)
    sign_in(page, alice)
    expect(page.get_by_role("heading", name="Workspaces", level=1)).to_be_visible()
    add_passkey(page, "Blue key", alone=False)
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    sign_out(page)
    sign_in(page, alice)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="Workspaces", level=1)).to_be_visible()
    assert Event.objects.filter(summary="Signed in with a password and a passkey").exists()


def test_a_passkey_confirms_a_sign_in_is_renamed_and_removed(open_page, alice):
    page = open_page()
    give_authenticator(page)
    sign_in(page, alice)
    expect(page.get_by_role("heading", name="Workspaces", level=1)).to_be_visible()
    add_passkey(page, "Work laptop")
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    grow_old(page)
    page.goto("/accounts/2fa/passkeys/")
    page.get_by_role("link", name="Rename Work laptop").click()
    page.get_by_role("link", name="Use a passkey").click()
    page.get_by_role("button", name="Confirm with a passkey").click()
    page.get_by_label("Name").fill("Old laptop")
    page.get_by_role("button", name="Save name").click()
    page.get_by_role("link", name="Remove Old laptop").click()
    page.get_by_role("button", name="Remove passkey").click()
    expect(page.get_by_role("heading", name="No passkeys")).to_be_visible()
    assert not Authenticator.objects.exists()


def test_a_passkey_of_nobody_does_not_sign_in(open_page, alice):
    page = open_page()
    give_authenticator(page)
    sign_in(page, alice)
    expect(page.get_by_role("heading", name="Workspaces", level=1)).to_be_visible()
    add_passkey(page, "Work laptop")
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    Authenticator.objects.all().delete()
    sign_out(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("status").filter(has_text="That code or passkey is not correct")).to_be_visible()


def test_a_device_without_a_passkey_says_so(open_page, alice):
    page = open_page()
    give_authenticator(page)
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_have_text("No passkey was given. Try again")


def test_single_sign_on_leaves_the_house_under_the_content_policy(open_page, alice, settings):
    with openid_provider.running() as provider:
        provider.person = {"sub": "a1", "email": alice.email, "email_verified": True}
        client_id, secret = openid_provider.CLIENT
        app = {"provider_id": "sso", "name": "Kestrel", "client_id": client_id, "secret": secret}
        app["settings"] = {"server_url": provider.url, "oauth_pkce_enabled": True}
        settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [app]}}
        page = open_page()
        page.goto("/accounts/login/")
        page.get_by_role("link", name="Continue with Kestrel").click()
        expect(page.get_by_role("heading", name="Workspaces", level=1)).to_be_visible()


def test_signing_in_and_changing_a_password_need_no_script(open_page, alice):
    page = open_page(java_script_enabled=False)
    accounts.add_app(alice)
    sign_in(page, alice)
    page.get_by_label("Code").fill(accounts.code())
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Workspaces", level=1)).to_be_visible()
    page.goto("/accounts/password/change/")
    page.get_by_label("Current password").fill(cast.PASSWORD)
    for label in ("New password", "New password, again"):
        page.get_by_label(label, exact=True).fill("a rather different passphrase")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("heading", name="How you sign in")).to_be_visible()


OUTSIDE = {
    "login": "/accounts/login/",
    "reset": "/accounts/password/reset/",
    "reset-done": "/accounts/password/reset/done/",
    "reset-bad": "/accounts/password/reset/key/x-y/",
    "reset-key-done": "/accounts/password/reset/key/done/",
    "inactive": "/accounts/inactive/",
    "cancelled": "/accounts/sso/cancelled/",
}
INSIDE = {
    "security": "/accounts/2fa/",
    "app-add": "/accounts/2fa/totp/activate/",
    "passkey-add": "/accounts/2fa/passkeys/add/",
    "sessions": "/accounts/sessions/",
    "password": "/accounts/password/change/",
    "confirm": "/accounts/reauthenticate/",
}
ENROLLED = {
    "security-on": "/accounts/2fa/",
    "app-remove": "/accounts/2fa/totp/deactivate/",
    "codes": "/accounts/2fa/recovery-codes/",
    "codes-make": "/accounts/2fa/recovery-codes/generate/",
    "passkeys": "/accounts/2fa/passkeys/",
    "confirm-code": "/accounts/2fa/reauthenticate/",
}


def check(page, name, address=None):
    """Go there, look with axe, never scroll sideways, and leave a picture where SHOTS says."""
    if address:
        page.goto(address)
    report = Axe().run(page)
    assert report.violations_count == 0, f"{name}: {report.generate_report()}"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} scrolls sideways"
    if shots := os.environ.get("SHOTS"):
        page.screenshot(path=Path(shots) / f"account-{name}.png", full_page=True)


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1440), ("dark", 1440), ("light", 390)], ids=["light", "dark", "small"]
)
def test_the_pages_are_accessible(open_page, alice, request, scheme, width):
    look = request.node.callspec.id
    page = open_page(color_scheme=scheme, width=width)
    for name, address in OUTSIDE.items():
        check(page, f"{name}-{look}", address)
    page.goto("/accounts/login/")
    page.get_by_label("Email address").fill(alice.email)
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("4 tries left before a pause of 5 minutes.")).to_be_visible()
    check(page, f"login-wrong-{look}")
    sign_in(page, alice)
    expect(page.get_by_role("heading", name="Workspaces", level=1)).to_be_visible()
    for name, address in INSIDE.items():
        check(page, f"{name}-{look}", address)
    accounts.add_app(alice)
    for name, address in ENROLLED.items():
        check(page, f"{name}-{look}", address)
    page.goto("/workspaces")
    sign_out(page)
    sign_in(page, alice)
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Sign in", exact=True).click()
    check(page, f"second-{look}")
