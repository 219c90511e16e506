"""The audit log in a browser: narrowed while typing, unfolded, taken as a file; and the same without JavaScript."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from tests import cast
from tests.browser import assert_accessible, picture
from workspaces.models import PLATFORM, Account, Actor, Event, MaintenancePlan, Workspace, acting

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("browser")]


@pytest.fixture
def trail(bob: Account, alice: Account, workspace: Workspace, metal: Workspace) -> None:
    """Acts with and without row changes, of people and of the platform, here and a year ago."""
    for hour in (4, 5):
        with acting(Actor.of(bob)):
            document = {"schedule": {"3": hour}, "priority_hour": hour}
            MaintenancePlan.apply(workspace, document, actor=Actor.of(bob), may_disable=False, semantics="merge-patch")
    with acting(Actor.of(alice)):
        Workspace.objects.filter(pk=metal.pk).update(protected=True, description="Customs papers of ten years. " * 4)
        Event.record(Actor.of(alice), "workspace.protected", workspace=metal, summary="Protected customs-archive")
    Event.record(PLATFORM, "upgrade.succeeded", workspace=workspace, summary="Upgrade to 1.34.11 ended well")
    Event.objects.create(
        at=timezone.now() - timedelta(days=400),
        actor_kind="platform",
        actor_name="Loopback",
        action="upgrade.failed",
        summary="Upgrade to 1.33.9 failed: a pod cannot be evicted.",
        workspace_id=workspace.pk,
        organization_id=workspace.project.organization_id,
        project_id=workspace.project_id,
    )


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 1440), ("light", 390), ("light", 320)])
def test_it_is_accessible_folded_and_unfolded(open_page, alice, trail, scheme, width):
    page = open_page(alice, color_scheme=scheme, width=width)
    page.goto("/audit?workspace=prod")
    picture(page, f"audit-filtered-{scheme}-{width}")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.goto("/audit")
    picture(page, f"audit-{scheme}-{width}")
    for summary in page.locator(".table summary").all():
        summary.click()
    picture(page, f"audit-unfolded-{scheme}-{width}")
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.goto("/audit?q=nothing+of+the+kind&operation=7")
    picture(page, f"audit-empty-{scheme}-{width}")
    assert_accessible(page)


def test_it_is_narrowed_while_typing_and_taken_as_a_file(open_page, alice, trail, tmp_path: Path):
    page = open_page(alice)
    page.goto("/audit")
    page.get_by_role("searchbox", name="Who").fill("berger")
    expect(page.locator("#list tbody tr")).to_have_count(2)
    expect(page).to_have_url(re.compile(r"/audit\?who=berger$"))
    page.get_by_label("Every row change").check(force=True)
    expect(page.locator("#list tbody tr")).to_have_count(4)
    page.locator(".table summary").first.click()
    expect(page.locator(".table details").first).to_contain_text("4 → 5")
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON lines").click()
    download.value.save_as(tmp_path / "audit.jsonl")
    assert len((tmp_path / "audit.jsonl").read_text().splitlines()) == 4
    page.go_back()
    expect(page.locator("#list tbody tr")).to_have_count(2)


def test_it_works_without_javascript(open_page, alice, trail):
    page = open_page(alice, java_script_enabled=False)
    page.goto("/audit")
    page.get_by_label("Who").fill("berger")
    page.get_by_text("More filters").click()
    page.get_by_label("Workspace", exact=True).fill("ledger")
    page.get_by_role("button", name="Apply").click()
    assert page.locator("#list tbody tr").count() == 2
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    assert download.value.suggested_filename.startswith("audit-")


def test_a_stranger_sees_nothing_of_it(open_page, charlie, trail):
    page = open_page(charlie)
    page.goto("/audit")
    assert "ledger" not in page.locator("main").inner_text()
    assert cast.organization("Kestrel Freight").name not in page.content()
