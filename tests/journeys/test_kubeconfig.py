"""Exporting a kubeconfig in a browser: asked for, fetched by a real worker from a simulated cluster, taken once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, expect

from tests import cast
from tests.browser import assert_accessible, picture
from tests.journeys import recently
from tests.operations import harness
from workspaces.models import Account, ApiKey, Kubeconfig, Workspace
from workspaces.providers.cluster import Cluster

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("browser"),
    pytest.mark.usefixtures("empty_queues"),
]
WHY = "Wind-down, ticket 4711"


@pytest.fixture
def open_page(chromium: Browser, live_server) -> Iterator[Any]:
    """Makes pages with somebody who has signed in just now. No page may complain."""
    with recently.pages(chromium, live_server.url) as opened:
        yield opened


def opens_the_cluster(file: Path) -> bool:
    with Cluster(file.read_text(), name="downloaded") as cluster:
        return [node.name for node in cluster.nodes()] == []


@pytest.mark.parametrize("script", [True, False], ids=["with-javascript", "without-javascript"])
def test_a_kubeconfig_is_asked_for_waited_for_and_downloaded_once(open_page, world, alice, tmp_path, script):
    workspace = harness.linked(world, cast.kubernetes(f"winding-down-{script}".lower(), hosts=0))
    page = open_page(alice, java_script_enabled=script)
    page.goto(f"/workspaces/{workspace.pk}")
    page.get_by_role("link", name="Access").click()
    page.get_by_label("What it is for").fill(WHY)
    page.get_by_role("button", name="Export kubeconfig").click()
    page.wait_for_url("**/kubeconfigs/*")
    expect(page.locator("#kubeconfig")).to_contain_text("A worker reads it from the management cluster")
    with harness.workers(queue="ticks"):
        if script:
            expect(page.locator("#download")).to_be_visible(timeout=30_000)
            expect(page.locator("#said")).to_have_text("Ready to be taken")
        else:
            for _ in range(100):
                page.get_by_role("link", name="Look again").click()
                if page.locator("#download").count():
                    break
                page.wait_for_timeout(200)
    with page.expect_download() as downloading:
        page.locator("#download").click()
    file = tmp_path / "kubeconfig.yaml"
    downloading.value.save_as(file)
    assert downloading.value.suggested_filename == f"{workspace.name}.kubeconfig.yaml"
    assert opens_the_cluster(file)
    if script:
        expect(page.locator("#kubeconfig")).to_contain_text("and erased here", timeout=10_000)
    assert Kubeconfig.objects.get().state == "taken"


def standing(workspace: Workspace, by: Account, state: str, **fields: Any) -> Kubeconfig:
    """A kubeconfig in the given state."""
    now = timezone.now()
    values: dict[str, Any] = {"requested_by": str(by), "requested_by_id": by.pk, "reason": WHY, "state": state}
    if state in ("ready", "taken"):
        values |= {"fetched_at": now, "certificate_until": now + timedelta(days=364)}
    values |= {"taken_at": now} if state == "taken" else {"document": "secret"} if state == "ready" else {}
    return Kubeconfig.objects.create(workspace=workspace, **(values | fields))


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 1440), ("light", 390), ("light", 320)])
def test_the_pages_are_accessible_in_both_themes_and_on_small_screens(
    open_page, alice, bob, victor, workspace, metal, scheme, width
):
    for number in range(3):
        ApiKey.issue(
            name=f"nightly-{number}", organization=workspace.project.organization, role="viewer", created_by=alice
        )
    page = open_page(alice, color_scheme=scheme, width=width)
    standing(workspace, alice, "taken", requested_at=timezone.now() - timedelta(days=70))
    page.goto(f"/workspaces/{workspace.pk}/access")
    assert_accessible(page)
    rows = {state: standing(workspace, alice, state) for state in ("ready", "taken", "expired")}
    rows["failed"] = standing(workspace, alice, "failed", failure="management cluster mgmt-fsn1: forbidden.")
    rows["requested"] = standing(workspace, alice, "requested")
    addresses = {state: f"/workspaces/{workspace.pk}/kubeconfigs/{row.pk}" for state, row in rows.items()}
    addresses |= {"access": f"/workspaces/{workspace.pk}/access", "access-metal": f"/workspaces/{metal.pk}/access"}
    for name, address in addresses.items():
        page.goto(address)
        picture(page, f"kubeconfig-{name}-{scheme}-{width}")
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), name
    Kubeconfig.objects.filter(state="requested").delete()
    page.goto(addresses["access"])
    picture(page, f"access-form-{scheme}-{width}")
    assert_accessible(page)
    page = open_page(victor, color_scheme=scheme, width=width)
    page.goto(addresses["access"])
    picture(page, f"access-viewer-{scheme}-{width}")
    assert_accessible(page)
