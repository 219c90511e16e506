"""The calendar in a browser: the hour over the limit is seen, proposed and cleared; themes, small screens, and axe."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from tests import cast
from tests.browser import assert_accessible, picture
from workspaces.models import PLATFORM, Advisory, Decision, Hold, MaintenancePlan, Operation

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("browser")]


@pytest.fixture
def clash(workspace, catalogue_rows, settings):
    """Seven windows at 02:00 UTC the day after tomorrow, of which four may run at once. Returns that weekday."""
    settings.LOOPBACK_RUNS_AT_ONCE = 4
    weekday = (timezone.now().weekday() + 2) % 7
    names = {
        "Depot Systems": ("depot-iot", "depot-pilot", "yard-cameras"),
        "Shared Services": ("identity", "portal-web"),
    }
    made = [workspace, cast.baremetal(hosts=1)]
    made += [
        cast.baremetal(name, hosts=1, project=cast.project(of)) for of, several in names.items() for name in several
    ]
    for number, one in enumerate(made):
        hours = {f"hour_{day}": (number * 5 + day) % 24 for day in range(7)}
        MaintenancePlan.objects.filter(pk=one.pk).update(**hours | {f"hour_{weekday}": 2})
    off = cast.kubernetes("sandbox-mira", project=cast.project("Sandbox"))
    since = {"disabled_at": cast.NOW - timedelta(days=21), "disabled_by": "Ines Albrecht"}
    MaintenancePlan.objects.filter(pk=off.pk).update(enabled=False, **since)
    Advisory.objects.create(name="DSA-6021 openssl", severity="high", packages=["openssl"])
    until = timezone.now() + timedelta(days=4)
    Hold(project=cast.project("Shared Services"), reason="Quarter end", expires_at=until).begin(PLATFORM)
    return weekday


def test_a_clash_is_seen_proposed_and_cleared(open_page, alice, clash):
    page = open_page(alice)
    page.goto("/workspaces")
    page.locator("#nav").get_by_role("link", name="Maintenance").click()
    expect(page.get_by_text("UTC has 7 windows, the platform runs 4 at once.")).to_be_visible()
    page.get_by_role("radio", name="Over the limit").check(force=True)
    expect(page).to_have_url(re.compile(r"/maintenance\?show=over$"))
    expect(page.locator(".cal tr:has(a.name)")).to_have_count(7)
    page.get_by_role("link", name="Propose hours").click()
    expect(page.get_by_role("checkbox")).to_have_count(3)
    assert_accessible(page)
    page.get_by_role("checkbox").first.focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Move the checked windows").press("Enter")
    expect(page.locator("#toasts")).to_contain_text("2 windows moved away from")
    expect(page.get_by_text("UTC has 5 windows, the platform runs 4 at once.")).to_be_visible()
    page.get_by_role("link", name="Propose hours").click()
    page.get_by_role("button", name="Move the checked windows").click()
    expect(page.locator("#toasts")).to_contain_text("1 window moved away from")
    expect(page.get_by_text("the platform runs 4 at once")).to_have_count(0)
    assert MaintenancePlan.objects.filter(**{f"hour_{clash}": 2, "enabled": True}).count() == 4


def test_it_works_without_javascript(open_page, alice, clash):
    page = open_page(alice, java_script_enabled=False)
    page.goto("/maintenance")
    page.get_by_role("searchbox", name="Filter by workspace").fill("depot")
    page.locator("#filters noscript").wait_for(state="attached")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(".cal tr:has(a.name)")).to_have_count(3)
    page.get_by_role("link", name="Next 7 days").click()
    expect(page).to_have_url(re.compile(r"/maintenance\?from=\d{4}-\d\d-\d\d&q=depot$"))
    page.goto("/maintenance/proposal")
    page.get_by_role("button", name="Move the checked windows").click()
    expect(page.locator("#toasts")).to_contain_text("3 windows moved away from")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 1440), ("light", 390), ("light", 320)])
def test_it_is_accessible(open_page, alice, workspace, clash, scheme, width):
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    run = Operation.objects.create(workspace=workspace, kind="maintenance", title="Maintenance", state="succeeded")
    for ago, outcome in enumerate(("started", "nothing", "blocked", "missed"), 1):
        Decision.objects.create(
            workspace=workspace,
            lane="routine",
            opens_at=midnight - timedelta(days=ago, hours=-2),
            outcome=outcome,
            reason="x",
            message="Held until it is lifted: freeze" if outcome == "blocked" else "",
            operation=run if outcome == "started" else None,
        )
    page = open_page(alice, color_scheme=scheme, width=width)
    past = (midnight - timedelta(days=7)).date()
    for name, address in [
        ("calendar", "/maintenance"),
        ("calendar-past", f"/maintenance?from={past}"),
        ("calendar-empty", "/maintenance?q=nothing&from=never"),
        ("calendar-proposal", "/maintenance/proposal"),
        ("calendar-proposal-none", "/maintenance/proposal?weekday=8"),
    ]:
        page.goto(address)
        picture(page, f"{name}-{scheme}-{width}")
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
