"""Members, invitations and API keys in a browser: readable for everybody, and the whole way without a script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests import browser as browsers
from tests import cast, machinery
from tests.browser import assert_accessible, picture
from tests.views.accounts import sign_in_by_form
from workspaces.models import Account, Actor, ApiKey, Invitation, Membership
from workspaces.models.members import Scope

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("browser"),
    pytest.mark.usefixtures("empty_queues"),
]


@pytest.fixture
def open_page(chromium: Browser, live_server) -> Iterator[Any]:
    """Makes pages with somebody signed in, or nobody: open_page(alice, width=390). No page may complain."""
    cache.clear()
    contexts, complaints = [], []

    def complain(said: ConsoleMessage) -> None:
        # A form that is refused is answered 422, and a link that opens nothing 404: as wanted.
        if said.type in ("error", "warning") and "responded with a status of 4" not in said.text:
            complaints.append(said.text)

    def opened(who: Account | None, *, width: int = 1440, **options: Any) -> Page:
        machinery.alive()
        context = chromium.new_context(
            base_url=live_server.url, viewport={"width": width, "height": 900}, reduced_motion="reduce", **options
        )
        contexts.append(context)
        if who:
            client = Client()
            sign_in_by_form(client, who)
            session = client.cookies["sessionid"].value
            context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        page = context.new_page()
        page.on("console", complain)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield opened
    browsers.close(*contexts)
    assert complaints == []


@pytest.fixture
def pages(alice, bob, victor, workspace) -> dict[str, str]:
    """Every page in its states: name → address."""
    now = timezone.now()
    kestrel, core = workspace.project.organization, workspace.project
    ada = cast.account(
        "ada@kestrel.example", "administrator", on=cast.project("Customs"), first_name="Ada", last_name="A"
    )
    Membership.objects.create(account=bob, organization=kestrel, project=cast.project("Customs"), role="viewer")
    Authenticator.objects.create(user=bob, type="totp", data={})
    for email, scope in (("nils@kestrel.example", Scope(kestrel, core)), ("ingrid@kestrel.example", Scope(kestrel))):
        Invitation.invite(email, scope, "operator", alice)
    Invitation.objects.filter(email="ingrid@kestrel.example").update(expires_at=now - timedelta(days=1))
    keys = {"organization": kestrel, "created_by": alice}
    ApiKey.issue(name="nightly-report", role="viewer", expires_at=now + timedelta(days=80), last_used_at=now, **keys)
    ApiKey.issue(name="deploy", role="operator", project=core, expires_at=now + timedelta(days=3), **keys)
    ApiKey.issue(name="from-before", role="viewer", **keys)
    ApiKey.issue(name="old", role="viewer", expires_at=now - timedelta(days=1), **keys)
    ApiKey.issue(name="gone", role="viewer", **keys)[0].revoke(Actor.of(alice))
    ApiKey.issue(
        name="adas", role="viewer", organization=kestrel, project=cast.project("Customs"), created_by=ada,
        expires_at=now + timedelta(days=30),
    )  # fmt: skip
    Membership.objects.filter(account=ada).update(role="operator")
    organization = f"/organizations/{kestrel.pk}/members"
    return {
        "members": organization,
        "members-project": f"/projects/{core.pk}/members",
        "member": f"{organization}/{bob.memberships.get(project=core).pk}",
        "member-last": f"{organization}/{alice.memberships.get().pk}",
        "api-keys": "/api-keys",
        "api-key-new": "/api-keys/new",
    }


def fits(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 1440), ("light", 390), ("light", 320)])
def test_every_page_is_accessible_in_both_themes_and_on_small_screens(open_page, alice, pages, scheme, width):
    page = open_page(alice, color_scheme=scheme, width=width)
    for name, address in pages.items():
        page.goto(address)
        picture(page, f"{name}-{scheme}-{width}")
        assert_accessible(page)
        assert fits(page), name
    page.goto(pages["member"])
    page.get_by_role("button", name="Remove member").click()
    picture(page, f"member-remove-{scheme}-{width}")
    assert_accessible(page)
    page.goto("/api-keys")
    page.locator("summary").click()
    page.get_by_role("button", name="Revoke deploy").click()
    picture(page, f"api-keys-revoke-{scheme}-{width}")
    assert_accessible(page)
    page.goto("/api-keys/new")
    page.get_by_role("button", name="Make key").click()
    expect(page.locator(".error-summary")).to_be_focused()
    picture(page, f"api-key-new-errors-{scheme}-{width}")
    assert_accessible(page)
    page.get_by_label("Name").fill("ci")
    page.get_by_role("button", name="Make key").click()
    picture(page, f"api-key-made-{scheme}-{width}")
    assert_accessible(page)
    assert fits(page)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_the_pages_of_an_invitation_are_accessible(open_page, alice, bob, workspace, scheme, width):
    invitations = {
        "new": Invitation.invite("nils@kestrel.example", Scope(workspace.project.organization), "viewer", alice),
        "known": Invitation.invite(bob.email, Scope(workspace.project.organization), "operator", alice),
    }
    for name, who in (("new", None), ("known", None), ("known", bob), ("known", alice)):
        page = open_page(who, color_scheme=scheme, width=width)
        page.goto(f"/invitations/{invitations[name][1]}")  # type: ignore[index]
        picture(page, f"invitation-{name}-{who.initials if who else 'nobody'}-{scheme}-{width}")
        assert_accessible(page)
        assert fits(page)
    page.goto("/invitations/over")
    picture(page, f"invitation-over-{scheme}-{width}")
    assert_accessible(page)


def test_who_may_only_look_gets_readable_pages(open_page, bob, pages):
    page = open_page(bob)
    page.goto(pages["members-project"])
    picture(page, "members-looking")
    assert_accessible(page)
    page.goto("/members")
    picture(page, "members-index")
    assert_accessible(page)


@pytest.mark.parametrize("script", [True, False])
def test_somebody_is_invited_comes_in_gets_another_role_and_leaves(open_page, alice, workspace, script):
    page = open_page(alice, java_script_enabled=script)
    page.goto("/workspaces")
    page.get_by_role("link", name="Members").click()
    page.get_by_label("E-mail address").fill("nils@kestrel.example")
    page.get_by_label("For").select_option(label="Freight Core only")
    page.get_by_role("button", name="Send invitation").click()
    expect(page.locator("#toasts")).to_contain_text("A letter is on its way to nils@kestrel.example.")

    guest = open_page(None, java_script_enabled=script)
    guest.goto(re.search(r"http://\S+(/invitations/\S+)", mail.outbox[-1].body)[1])
    guest.get_by_label("First name").fill("Nils")
    guest.get_by_label("Password").fill("a long and odd passphrase")
    guest.get_by_role("button", name="Make an account and accept").click()
    expect(guest.get_by_role("heading", level=1)).to_have_text("Workspaces")
    expect(guest.locator("#toasts")).to_contain_text("You are viewer of Freight Core now.")

    page.goto("/members")
    page.get_by_role("link", name="Change Nils").click()
    page.get_by_role("button", name="Make operator").click()
    expect(page.get_by_role("dialog")).to_contain_text("Start a Kubernetes upgrade")
    page.get_by_role("dialog").get_by_role("button", name="Make operator").click()
    expect(page.locator("#toasts")).to_contain_text("Nils is operator of Freight Core now.")
    page.get_by_role("link", name="Change Nils").click()
    page.get_by_role("button", name="Remove member").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove member").click()
    expect(page.locator("#list")).not_to_contain_text("nils@kestrel.example")
    guest.reload()
    expect(guest.locator("#main")).not_to_contain_text("ledger-prod")
