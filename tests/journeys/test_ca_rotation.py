"""Changing a certificate authority in a browser: the price is read, the name is typed, and the operation begins."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, expect

from tests.browser import assert_accessible, picture
from tests.journeys import recently
from workspaces.models import Kubeconfig, Operation, Workspace

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("browser"),
    pytest.mark.usefixtures("empty_queues"),
]


@pytest.fixture
def open_page(chromium: Browser, live_server) -> Iterator[Any]:
    """Makes pages with somebody who has signed in just now. No page may complain."""
    with recently.pages(chromium, live_server.url, noted=recently.OF_ERRORS) as opened:
        yield opened


@pytest.fixture
def handed_out(workspace: Workspace) -> Workspace:
    """A workspace of which two kubeconfigs are valid outside."""
    workspace.hosts.update(ready=True, ansible={"ansible_host": "203.0.113.9"})
    for who, why in (("Bob Berger", "Deployments by CI"), ("Alice Ahrens", "Restore drill, ticket 4711")):
        ends = timezone.now() + timedelta(days=300)
        Kubeconfig.objects.create(
            workspace=workspace, requested_by=who, reason=why, state="taken", taken_at=timezone.now(),
            certificate_until=ends,
        )  # fmt: skip
    return workspace


def test_the_name_is_typed_and_the_operation_begins(open_page, alice, handed_out):
    page = open_page(alice)
    page.goto(f"/workspaces/{handed_out.pk}/ca-rotation")
    page.get_by_label("Why").fill("A laptop was stolen")
    page.get_by_label("to confirm").fill("ledger")
    page.get_by_role("button", name="Change the authority").click()
    expect(page.get_by_role("alert")).to_contain_text("Type the name of the workspace, ledger-prod, to confirm.")
    expect(page.get_by_label("Why")).to_have_value("A laptop was stolen")
    assert_accessible(page)
    page.get_by_label("to confirm").fill("ledger-prod")
    page.get_by_role("button", name="Change the authority").click()
    page.wait_for_url("**/operations/*")
    expect(page.locator("h1")).to_contain_text("Change the certificate authority of ledger-prod")
    assert Operation.objects.get().kind == "ca_rotation"
    picture(page, "ca-rotation-operation")


@pytest.mark.parametrize(
    ("width", "scheme"), [(1440, "light"), (1440, "dark"), (390, "light")], ids=["light", "dark", "phone"]
)
def test_the_page_is_accessible_and_fits(open_page, alice, handed_out, width, scheme):
    page = open_page(alice, width=width, color_scheme=scheme)
    page.goto(f"/workspaces/{handed_out.pk}/ca-rotation")
    expect(page.get_by_role("heading", name="What it costs")).to_be_visible()
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    picture(page, f"ca-rotation-{width}-{scheme}")
