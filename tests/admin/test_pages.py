"""Every page of the admin: it answers whom it should, keeps the policy, and shows no secret."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client

from tests import cast
from tests.admin.forms import every_page, pages
from workspaces import models
from workspaces.models import Account

HISTORY = [
    "apikey", "calendarfeed", "decision", "deletion", "drift", "event", "inventory", "invitation", "kubeconfig",
    "leftserver", "logline", "look", "maintenanceplan", "operation", "packageupdate", "preflight", "queuesample",
    "rollout", "rolloutmember", "seed", "step", "tick", "transfer",
]  # fmt: skip
NOT_ADDED = {*HISTORY, "computeprofile", "workspace"}


class Inline(HTMLParser):
    """Collects what the content security policy would refuse."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in names and names.get("type") != "application/json"):
            self.found.append(f"<{tag}>")
        self.found += [f"{tag} {name}" for name in names if name == "style" or name.startswith("on")]


def test_every_noun_has_its_pages() -> None:
    registered = {model.__name__ for model in admin.site._registry}
    nouns = {name for name in models.__all__ if isinstance(getattr(models, name), type)}
    nouns = {name for name in nouns if hasattr(getattr(models, name), "_meta")}
    # Edited inside the page of what they belong to.
    assert nouns - registered == {"PriceOverride", "ProfileLocation"}
    assert registered - nouns == {"Group"}


def test_nouns_are_spelled_as_people_write_them(as_root: Client, rows: Any) -> None:
    html = as_root.get("/admin/").content.decode()
    for noun in ("API keys", "DNS records", "SSH keys"):
        assert f">{noun}</a>" in html


def test_every_page_answers_a_superuser_and_is_clean_under_the_policy(as_root: Client, rows: Any) -> None:
    hidden = rows["hidden"] + [account.password.split("$")[-1] for account in Account.objects.all()]
    hidden += ["pbkdf2", "argon2", "gAAAA"]
    for noun, kind, address in every_page():
        response = as_root.get(address)
        assert response.status_code == (403 if kind == "add" and noun in NOT_ADDED else 200), address
        html = response.content.decode()
        assert "default-src 'none'" in response["Content-Security-Policy"]
        assert "unsafe-inline" not in response["Content-Security-Policy"]
        assert Inline(html).found == [], address
        assert [secret for secret in hidden if secret in html] == [], address


def test_the_front_page_has_the_bar_and_the_strip_and_leads_to_the_console(as_root: Client) -> None:
    html = as_root.get("/admin/").content.decode()
    assert 'class="strip"' in html
    assert 'class="brand-mark"' in html
    assert '<a href="/workspaces">Console</a>' in html
    assert '<form id="logout-form" method="post" action="/accounts/logout/">' in html


@pytest.mark.parametrize(
    ("cookie", "mark"), [("dark", " theme-dark"), ("light", " theme-light"), ("", ""), ('"><script>', "")]
)
def test_the_theme_is_the_consoles_and_there_is_no_second_switch(as_root: Client, cookie: str, mark: str) -> None:
    as_root.cookies["theme"] = cookie
    html = as_root.get("/admin/").content.decode()
    assert f'<body class=" dashboard{mark}"' in html or f'<body class="{mark} dashboard"' in html
    assert "theme-toggle" not in html
    assert "admin/js/theme.js" not in html


def test_times_that_are_entered_are_said_to_be_utc(as_root: Client, rows: Any) -> None:
    assert "Expires at (UTC)" in as_root.get("/admin/workspaces/hold/add/").content.decode()


def test_times_that_are_shown_carry_their_zone(as_root: Client, workspace: models.Workspace) -> None:
    for page in ("/admin/workspaces/workspace/", f"/admin/workspaces/workspace/{workspace.pk}/change/"):
        assert "24 Nov 2026 14:32 UTC" in as_root.get(page).content.decode()


def test_anonymous_readers_are_sent_to_the_sign_in_of_the_console(client: Client, rows: Any) -> None:
    for _, _, address in every_page():
        response = client.get(address)
        assert response.status_code == 302
        assert response["Location"].startswith("/admin/login/?next=/admin/")
    sign_in = client.get(f"/admin/login/?next={address}")
    assert sign_in.status_code == 302
    assert sign_in["Location"] == f"/accounts/login/?next={address.replace('/', '%2F')}"


def test_after_the_sign_in_staff_come_back_to_the_page_they_asked_for(client: Client, root: Account) -> None:
    asked = client.get("/admin/workspaces/workspace/", follow=True)
    assert asked.status_code == 200
    assert asked.redirect_chain[-1][0].startswith("/accounts/login/")
    answer = client.post(asked.redirect_chain[-1][0], {
        "login": root.email, "password": cast.PASSWORD, "next": "/admin/workspaces/workspace/"
    })  # fmt: skip
    assert answer["Location"] == "/admin/workspaces/workspace/"


def test_an_account_that_is_not_staff_is_refused_without_a_second_form(
    client: Client, alice: Account, rows: Any
) -> None:
    cast.sign_in(client, alice)
    for _, _, address in every_page():
        response = client.get(address, follow=True)
        assert response.status_code == 403, address


def test_staff_see_exactly_what_they_may_view_and_no_way_to_change_it(
    client: Client, staff: Account, rows: Any
) -> None:
    staff.user_permissions.add(Permission.objects.get(codename="view_workspace"))
    cast.sign_in(client, staff)
    for noun, kind, address in every_page():
        expected = 200 if noun == "workspace" and kind != "add" else 403
        assert client.get(address).status_code == expected, address


def test_each_right_opens_its_own_noun(client: Client, staff: Account, rows: Any) -> None:
    cast.sign_in(client, staff)
    everything = every_page()
    for model in admin.site._registry:
        right = {"codename": f"view_{model._meta.model_name}", "content_type__app_label": model._meta.app_label}
        staff.user_permissions.set(Permission.objects.filter(**right))
        front = client.get("/admin/").content.decode()
        offered = {noun for noun, kind, address in everything if kind == "list" and f'href="{address}"' in front}
        assert offered == {model._meta.model_name}
        own = pages(model)
        assert [client.get(own[kind]).status_code for kind in ("list", "add")] == [200, 403]
        assert 'name="_save"' not in client.get(own["change"]).content.decode()


@pytest.mark.parametrize("noun", HISTORY)
def test_what_is_history_cannot_be_written(as_root: Client, rows: Any, noun: str) -> None:
    model = next(model for model in admin.site._registry if model._meta.model_name == noun)
    at = pages(model)
    before = list(model._default_manager.order_by("pk").values())
    told = f"{before}"
    delete = at["change"].replace("/change/", "/delete/")
    selected = {
        "action": "delete_selected",
        "_selected_action": [str(row.pk) for row in model._default_manager.order_by("pk")],
    }
    for address, data in [(at["add"], {}), (at["change"], {"title": "x"}), (delete, {"post": "yes"})]:
        assert as_root.post(address, data).status_code == 403, address
    as_root.post(at["list"], selected)
    assert f"{list(model._default_manager.order_by('pk').values())}" == told
