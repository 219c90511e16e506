"""The pages of a workspace in a browser: a schedule by keyboard alone, a version chosen, an operation followed live."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect

from tests import cast
from tests.browser import assert_accessible, picture
from tests.views import an_upgrade
from workspaces.models import (
    PLATFORM,
    Event,
    Host,
    LogLine,
    MaintenancePlan,
    Operation,
    Workspace,
)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("browser"),
    pytest.mark.usefixtures("empty_queues"),
]
HOST_1 = 5  # the first step on a host: five of the control plane come before it


@pytest.fixture
def pages(alice, workspace, metal, catalogue_rows) -> dict[str, str]:
    """Every page in its states: name → address."""
    now = timezone.now()
    Event.record(PLATFORM, "test", workspace=workspace, summary="Thursday 02:00 to 04:00")
    since = (cast.NOW - timedelta(days=3)).isoformat()
    condition = {"reason": "not_ready", "message": "Not ready: ledger-prod-w2", "since": since}
    Workspace.objects.filter(pk=workspace.pk).update(
        conditions=[condition | {"type": name, "value": v} for name, v in (("hosts", "false"), ("servers", "unknown"))],
        attention="Not ready: ledger-prod-w2",
        attention_tone="bad",
    )
    Host.objects.filter(name="ledger-prod-w2").update(ready=False, ready_message="Kubelet stopped.", ansible={})
    MaintenancePlan.objects.filter(workspace=metal).update(enabled=False, disabled_by="M. Osei", disabled_at=cast.NOW)
    running = an_upgrade.at(
        an_upgrade.started(cast.kubernetes("atlas-routing", hosts=6), alice),
        HOST_1 + 14,
        "waiting",
        message="2 pods left",
        state="waiting",
        started_at=now,
        wake_at=now,
    )
    half = cast.kubernetes("customs-gateway")
    failed = an_upgrade.at(
        an_upgrade.started(half, alice),
        HOST_1 + 2,
        "failed",
        state="failed",
        finished_at=now,
        error_message="A pod cannot be evicted.",
        error_who_can_fix="The owner of payments/ledger-api.",
    )
    half.observe_version("1.35.7")
    half.control_plane_wanted = "1.35.7"
    half.save()
    return {
        "overview": f"/workspaces/{workspace.pk}",
        "overview-metal": f"/workspaces/{metal.pk}",
        "overview-half": f"/workspaces/{half.pk}",
        "maintenance": f"/workspaces/{workspace.pk}/maintenance",
        "maintenance-off": f"/workspaces/{metal.pk}/maintenance",
        "version": f"/workspaces/{workspace.pk}/version",
        "version-half": f"/workspaces/{half.pk}/version",
        "version-metal": f"/workspaces/{metal.pk}/version",
        "operation": f"/operations/{running.pk}",
        "operation-failed": f"/operations/{failed.pk}",
        "operations": "/operations",
    }


def tab_to(page: Page, selector: str, *, most: int = 60) -> None:
    """Press Tab until the focus is on `selector`."""
    for _ in range(most):
        if page.evaluate("one => document.activeElement.matches(one)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{most} times Tab did not reach {selector}")


def saved_hours(workspace: Workspace) -> tuple[int | None, ...]:
    return MaintenancePlan.objects.get(workspace=workspace).as_rule().hours


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 1440), ("light", 390), ("light", 320)])
def test_every_page_is_accessible_in_both_themes_and_on_small_screens(open_page, alice, pages, scheme, width):
    page = open_page(alice, color_scheme=scheme, width=width)
    for name, address in pages.items():
        page.goto(address)
        picture(page, f"{name}-{scheme}-{width}")
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), name


def test_what_a_viewer_sees_is_accessible_too(open_page, victor, pages):
    page = open_page(victor)
    for name in ("overview", "maintenance", "version", "operation", "operation-failed"):
        page.goto(pages[name])
        picture(page, f"{name}-viewer")
        assert_accessible(page)


def test_a_schedule_is_changed_and_saved_with_the_keyboard_alone(open_page, alice, workspace, catalogue_rows):
    page = open_page(alice)
    page.goto(f"/workspaces/{workspace.pk}/maintenance")
    thursday = page.get_by_role("row", name="Thursday")
    expect(thursday.get_by_text("changed")).not_to_be_visible()
    tab_to(page, "[name=day_3]")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#changes")).to_contain_text("1 unsaved change. Thursday 02:00 to 04:00.")
    expect(page.locator("#agenda")).to_contain_text("was 02:00, not saved")
    expect(thursday.get_by_text("changed")).to_be_visible()
    assert saved_hours(workspace)[3] == 2
    assert page.evaluate("document.activeElement.name") == "day_3"

    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.name") == "day_4"
    for _ in range(3):  # 01, 00, and round the corner: no window
        page.keyboard.press("ArrowLeft")
    expect(page.locator("#changes")).to_contain_text("2 unsaved changes.")
    expect(page.locator("#changes")).to_contain_text("Friday 02:00 to no window.")
    tab_to(page, "[name=kubernetes_auto]")
    page.keyboard.press("Space")
    expect(page.locator("#changes")).to_contain_text("Kubernetes patch releases on to off.")
    picture(page, "maintenance-changed")
    assert_accessible(page)

    tab_to(page, "#save")
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("Schedule of ledger-prod saved.")
    expect(page.locator("#changes")).to_have_text("No unsaved changes.")
    expect(page.locator("#save")).to_be_focused()
    assert saved_hours(workspace) == (2, 2, 2, 4, None, None, None)


def test_no_window_can_be_chosen_by_touch(open_page, alice, workspace, catalogue_rows):
    page = open_page(alice, width=390, has_touch=True)
    page.goto(f"/workspaces/{workspace.pk}/maintenance")
    page.locator("label:has([name=day_2][value=none])").tap()
    expect(page.locator("#changes")).to_contain_text("Wednesday 02:00 to no window.")
    page.get_by_role("button", name="Save schedule").tap()
    expect(page.locator("#toasts")).to_contain_text("saved")
    assert saved_hours(workspace)[2] is None


def test_of_two_people_at_once_neither_loses_anything(open_page, alice, bob, workspace, catalogue_rows):
    # The browser itself notes the answer 409 on its console.
    page = open_page(bob, complaining=True)
    page.goto(f"/workspaces/{workspace.pk}/maintenance")
    form = {f"day_{day}": "2" for day in range(5)} | {"day_5": "none", "day_6": "none", "day_3": "5", "version": "1"}
    form |= {"enabled": "on", "priority_hour": "22", "compute_auto": "on", "kubernetes_auto": "on"}
    address = f"/workspaces/{workspace.pk}/maintenance"
    assert cast.sign_in(Client(), alice).post(address, form).status_code == 303
    page.locator("label:has([name=day_3][value='4'])").click()
    expect(page.locator("#changes")).to_contain_text("Somebody else has saved since this page was loaded.")
    page.get_by_role("button", name="Save schedule").click()
    expect(page.locator(".error-summary")).to_be_focused()
    expect(page.locator(".error-summary")).to_contain_text("Thursday05:00 UTC04:00 UTC")
    picture(page, "maintenance-conflict")
    assert_accessible(page)
    assert saved_hours(workspace)[3] == 5
    page.get_by_role("button", name="Save schedule").click()
    expect(page.locator("#toasts")).to_contain_text("saved")
    assert saved_hours(workspace)[3] == 4


def test_another_target_is_chosen_and_the_upgrade_started_with_the_keyboard(open_page, bob, workspace, catalogue_rows):
    page = open_page(bob)
    page.goto(f"/workspaces/{workspace.pk}/version")
    tab_to(page, "[name=target]")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("button", name="Upgrade to 1.35.4")).to_be_visible()
    expect(page.locator("#graph .stop[data-state=target] + .label")).to_have_text("1.35.4")
    assert page.evaluate("document.activeElement.value") == "1.35.4"
    tab_to(page, "#start button")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Upgrade ledger-prod to 1.35.4 now?")
    expect(dialog).to_be_visible()
    picture(page, "version-dialog")
    assert_accessible(page)
    tab_to(page, "dialog[open] [type=submit]")
    page.keyboard.press("Enter")
    page.wait_for_url("**/operations/*")
    operation = Operation.objects.get()
    assert {key: operation.parameters[key] for key in ("from", "to", "pace")} == {
        "from": "1.34.8",
        "to": "1.35.4",
        "pace": "one at a time",
    }
    expect(page.get_by_role("heading", level=1)).to_have_text("Upgrade ledger-prod from 1.34.8 to 1.35.4")


def test_an_operation_is_followed_to_its_end_without_loading_the_page(open_page, bob, alice, workspace, catalogue_rows):
    operation = an_upgrade.at(
        an_upgrade.started(workspace, alice), HOST_1 + 2, "waiting", message="2 pods left", state="waiting"
    )
    page = open_page(bob)
    page.goto(f"/operations/{operation.pk}")
    expect(page.locator("#progress")).to_contain_text("2 pods left")
    page.evaluate("window.stayed = true")
    operation.steps.filter(message="2 pods left").update(message="1 pod left")
    LogLine.objects.create(operation=operation, source="ledger-prod-w1", level="warn", text="payments/api not evicted")
    expect(page.locator("#progress")).to_contain_text("1 pod left", timeout=15_000)
    expect(page.locator("#log")).to_contain_text("payments/api not evicted", timeout=15_000)

    page.get_by_role("button", name="Stop at the next safe point").click()
    expect(page.get_by_role("dialog")).to_contain_text("Stopping does not take that back")
    picture(page, "operation-stop")
    assert_accessible(page)
    page.get_by_role("button", name="Keep it running").click()

    now = timezone.now()
    operation.steps.exclude(state="done").update(state="done", started_at=now, finished_at=now, message="")
    Operation.objects.filter(pk=operation.pk).update(state="succeeded", finished_at=now, wake_at=None)
    expect(page.locator("#progress")).to_contain_text("24 of 24 steps done.", timeout=15_000)
    expect(page.locator("#said")).to_contain_text("Succeeded")
    expect(page.locator("#progress")).not_to_have_attribute("hx-trigger", "every 3s")
    expect(page.locator("#log [hx-get]")).to_have_count(0, timeout=15_000)
    assert page.evaluate("window.stayed")


def test_reconcile_now_answers_with_a_toast(open_page, bob, workspace, catalogue_rows):
    page = open_page(bob)
    page.goto(f"/workspaces/{workspace.pk}")
    page.get_by_role("button", name="Reconcile now").click()
    expect(page.locator("#toasts")).to_contain_text("Reconciliation queued")


def test_everything_works_without_javascript(open_page, bob, workspace, catalogue_rows):
    page = open_page(bob, java_script_enabled=False)
    page.goto(f"/workspaces/{workspace.pk}/maintenance")
    page.locator("label:has([name=day_3][value='4'])").click()
    page.get_by_role("button", name="Save schedule").click()
    expect(page.locator("#toasts")).to_contain_text("Schedule of ledger-prod saved.")
    assert saved_hours(workspace)[3] == 4
    page.get_by_role("link", name="Kubernetes version").click()
    page.locator("label:has([value='1.35.4'])").click()
    page.get_by_role("button", name="Choose this version").click()
    page.get_by_role("button", name="Upgrade to 1.35.4").click()
    page.get_by_role("button", name="Start upgrade").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Upgrade ledger-prod from 1.34.8 to 1.35.4")
    page.get_by_role("button", name="Stop at the next safe point").click()
    page.locator("dialog[open] [type=submit]").click()
    expect(page.locator("#progress")).to_contain_text("stop asked for")
