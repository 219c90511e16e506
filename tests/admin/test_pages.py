"""Every page of the admin: it answers, asks few queries, keeps the policy, and shows no secret."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from tests import cast
from tests.admin.conftest import SECRETS
from workspaces import models
from workspaces.models import Account, Event, Host, Membership, Operation

NOT_ADDED = {
    "apikey", "computeprofile", "decision", "event", "logline", "maintenanceplan", "operation", "step", "workspace",
}  # fmt: skip


def pages(model: type[Any]) -> dict[str, str]:
    """The addresses of a model's list, its add form and the page of one row."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    row = model._default_manager.order_by("pk").first()
    assert row is not None, f"no {model.__name__} to look at"
    return {
        "list": reverse(f"{name}_changelist"),
        "add": reverse(f"{name}_add"),
        "change": reverse(f"{name}_change", args=[row.pk]),
    }


def every_page() -> list[tuple[str, str, str]]:
    """(noun, kind of page, address) of all nouns."""
    Group.objects.get_or_create(name="Catalogue")
    return [
        (str(model._meta.model_name), kind, address)
        for model in admin.site._registry
        for kind, address in pages(model).items()
    ]


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


def test_every_page_answers_a_superuser_and_is_clean_under_the_policy(as_root: Client, rows: Any) -> None:
    hidden = [*SECRETS.values(), rows["apikey"].digest, rows["apikey_text"][12:]]
    hidden += [account.password.split("$")[-1] for account in Account.objects.all()]
    hidden += [rows["provideraccount"].token.token, "pbkdf2", "argon2", "gAAAA"]
    for noun, kind, address in every_page():
        response = as_root.get(address)
        assert response.status_code == (403 if kind == "add" and noun in NOT_ADDED else 200), address
        html = response.content.decode()
        assert "default-src 'none'" in response["Content-Security-Policy"]
        assert "unsafe-inline" not in response["Content-Security-Policy"]
        assert Inline(html).found == [], address
        assert [secret for secret in hidden if secret in html] == [], address


def test_the_front_page_has_the_bar_and_the_strip_and_leads_to_the_fleet(as_root: Client) -> None:
    html = as_root.get("/admin/").content.decode()
    assert 'class="strip"' in html
    assert 'class="brand-mark"' in html
    assert '<a href="/workspaces">View site</a>' in html


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


def test_a_staff_account_sees_only_what_it_may_view(client: Client, staff: Account, rows: Any) -> None:
    staff.user_permissions.add(Permission.objects.get(codename="view_workspace"))
    cast.sign_in(client, staff)
    for noun, kind, address in every_page():
        expected = 200 if noun == "workspace" and kind != "add" else 403
        assert client.get(address).status_code == expected, address
    page = client.get(pages(models.Workspace)["change"]).content.decode()
    assert 'name="_save"' not in page
    assert "/admin/workspaces/operation/" not in client.get("/admin/").content.decode()


@pytest.mark.parametrize("noun", ["apikey", "decision", "event", "logline", "operation", "step", "maintenanceplan"])
def test_what_is_history_cannot_be_written(as_root: Client, rows: Any, noun: str) -> None:
    model = next(model for model in admin.site._registry if model._meta.model_name == noun)
    at = pages(model)
    before = list(model._default_manager.order_by("pk").values())
    delete = at["change"].replace("/change/", "/delete/")
    selected = {
        "action": "delete_selected",
        "_selected_action": [str(row["id" if "id" in row else "workspace_id"]) for row in before],
    }
    for address, data in [(at["add"], {}), (at["change"], {"title": "x"}), (delete, {"post": "yes"})]:
        assert as_root.post(address, data).status_code == 403, address
    as_root.post(at["list"], selected)
    assert list(model._default_manager.order_by("pk").values()) == before


def _a_hundred_of_everything(alice: Account) -> None:
    """Rows whose lists name other rows."""
    provider, workspace = models.ProviderAccount.objects.get(), models.Workspace.objects.get()
    kestrel = provider.organization
    tomorrow = timezone.now() + timedelta(days=1)
    for number in range(100):
        project = cast.project(f"Project {number}")
        made = models.Workspace.objects.create(project=project, name=f"w{number}", type="baremetal", state="active")
        models.MaintenancePlan.objects.create(workspace=made)
        Host.objects.create(workspace=made, name=f"h{number}", provider_account=provider)
        operation = Operation.objects.create(workspace=made, kind="x", title="X", state="succeeded")
        models.Step.objects.create(operation=operation, position=0, key="x", title="X")
        models.LogLine.objects.create(operation=operation, text="x")
        models.Decision.objects.create(
            workspace=made, lane="routine", opens_at=timezone.now(), outcome="started", reason="r", message="m",
            operation=operation,
        )  # fmt: skip
        person = Account.objects.create(email=f"p{number}@x.example")
        Membership.objects.create(account=person, organization=kestrel, project=project, role="viewer")
        models.ApiKey.issue(name=f"k{number}", organization=kestrel, project=project, role="viewer", created_by=person)
        models.DnsRecord.objects.create(
            workspace=made, provider_account=provider, zone="z", name=f"n{number}", value="v"
        )
        models.Hold.objects.create(workspace=workspace, reason="r", set_by=person, expires_at=tomorrow)


def test_no_list_of_a_hundred_rows_asks_more_than_eight_queries(as_root: Client, rows: Any, alice: Account) -> None:
    _a_hundred_of_everything(alice)
    asked = {}
    for noun, kind, address in every_page():
        if kind == "list":
            as_root.get(address)
            with CaptureQueriesContext(connection) as queries:
                assert as_root.get(address).status_code == 200
            asked[noun] = len(queries)
    assert {noun: count for noun, count in asked.items() if count > 8} == {}, asked


@pytest.mark.parametrize("text", ["ledger", "not-a-uuid", "%", "7"])
def test_every_list_can_be_searched(as_root: Client, rows: Any, text: str) -> None:
    for noun, kind, address in every_page():
        if kind == "list":
            assert as_root.get(address, {"q": text}).status_code == 200, noun


def test_the_links_of_a_row_lead_to_lists_of_what_belongs_to_it(as_root: Client, rows: Any) -> None:
    seen = 0
    for noun, kind, address in every_page():
        if kind != "list":
            continue
        html = as_root.get(address).content.decode()
        for link in set(re.findall(r'<a href="(/admin/workspaces/\w+/\?[a-z_]+=[0-9a-f-]+)">', html)):
            assert as_root.get(link).status_code == 200, (noun, link)
            seen += 1
    assert seen > 20
    operations = as_root.get(f"/admin/workspaces/operation/?workspace={rows['workspace'].pk}")
    assert [str(row) for row in operations.context["cl"].result_list] == ["Upgrade"]


def test_an_event_page_shows_what_changed(as_root: Client, rows: Any) -> None:
    assert Event.objects.count() > 0
    assert "Upgrade" in as_root.get(pages(Event)["change"]).content.decode()
