"""Ordering a host in a browser: filtered, chosen and ordered by keyboard alone, and the pages of a host beside it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from playwright.sync_api import expect

from tests.browser import assert_accessible, picture
from tests.views import price_rows
from workspaces.models import Operation, ProfileLocation, ProviderAccount

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("browser"),
    pytest.mark.usefixtures("empty_queues"),
]


@pytest.fixture
def shelf(workspace, settings):
    """What the workspace can order; what was told at the time of the cast stays known."""
    settings.LOOPBACK_PROFILES_SECONDS = 10**9
    found = price_rows.shelf(workspace)
    price_rows.place(found["ccx33"], "fsn1", available=False)
    price_rows.place(found["cpx22"], "hel1", available=None)
    return found


def test_a_host_is_ordered_by_keyboard_alone(open_page, workspace, shelf, bob) -> None:
    page = open_page(bob)
    page.goto(f"/workspaces/{workspace.pk}/profiles")
    search = page.get_by_label("Filter by profile name")
    search.focus()
    page.keyboard.type("ccx")
    expect(page.get_by_role("radio", name="cpx22")).to_have_count(0)
    expect(page).to_have_url(f"/workspaces/{workspace.pk}/profiles?q=ccx&location=fsn1")
    expect(search).to_be_focused()
    while not page.evaluate("document.activeElement.matches('[type=radio][name=profile]')"):
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator("#order")).to_contain_text("ccx13 in fsn1: €12.75 a month at most.")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#order")).to_contain_text("ccx23 in fsn1: €25.07 a month at most.")
    expect(page.get_by_role("radio", name="ccx23")).to_be_focused()
    expect(page.locator("#said")).to_have_text("ccx23 in fsn1: €25.07 a month at most.")
    name = page.get_by_label("Host name")
    expect(name).to_have_value("ledger-prod-w4")
    while not page.evaluate("document.activeElement.id === 'hostname'"):
        page.keyboard.press("Tab")
    page.keyboard.press("Control+A")
    page.keyboard.type("ledger-prod-w7")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Order host ledger-prod-w7, ccx23 in fsn1")
    assert Operation.objects.get().parameters["hostname"] == "ledger-prod-w7"


def test_a_typed_name_outlives_another_choice_and_a_changed_price_is_confirmed_anew(
    open_page, workspace, shelf, alice
) -> None:
    page = open_page(alice, complaining=True)  # the browser complains about the 409
    page.goto(f"/workspaces/{workspace.pk}/profiles?profile={shelf['ccx13'].pk}")
    page.get_by_label("Host name").fill("mine-1")
    page.get_by_role("radio", name="ccx23").check()
    expect(page.locator("#order")).to_contain_text("ccx23 in fsn1")
    expect(page.get_by_label("Host name")).to_have_value("mine-1")
    page.get_by_label("Location", exact=True).select_option("hel1")
    expect(page.locator("#order")).to_contain_text("ccx23 in hel1")
    expect(page.get_by_label("Host name")).to_have_value("mine-1")
    price_rows.place(shelf["ccx23"], "hel1", monthly=Decimal(30))
    page.get_by_role("button", name="Order 1 host").click()
    expect(page.get_by_role("alert")).to_contain_text("Confirmed was 25.0712, the price is €26.40 a month at most")
    assert_accessible(page)
    page.get_by_role("button", name="Order 1 host").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Order host mine-1, ccx23 in hel1")


def test_a_resize_shows_what_growing_the_disk_means_before_it_starts(open_page, workspace, shelf, alice) -> None:
    host = workspace.hosts.order_by("name").first()
    page = open_page(alice)
    page.goto(f"/workspaces/{workspace.pk}")
    page.get_by_role("link", name=host.name, exact=True).click()
    page.get_by_role("link", name="Resize").click()
    page.get_by_role("radio", name="ccx43").check()
    expect(page.locator("#order")).to_contain_text("ccx23 to ccx43: +€73.92 a month.")
    grow = page.get_by_label("Grow the disk too, to 360 GB")
    grow.check()
    expect(page.locator("#order")).to_contain_text("The disk grows to 360 GB for good.")
    expect(grow).to_be_focused()
    assert_accessible(page)
    page.get_by_role("button", name="Resize to ccx43").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Resize ledger-prod-w1 from ccx23 to ccx43")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (1440, "dark"), (390, "light"), (320, "dark")])
def test_every_page_is_accessible_and_none_scrolls_sideways(open_page, workspace, shelf, alice, width, scheme) -> None:
    page = open_page(alice, width=width, color_scheme=scheme)
    host, own = workspace.hosts.order_by("name").first(), f"/workspaces/{workspace.pk}"
    three = "&".join(f"profile={shelf[name].pk}" for name in ("ccx13", "ccx23", "cpx22"))
    for name, address in {
        "profiles": f"{own}/profiles?profile={shelf['ccx23'].pk}",
        "profiles-compared": f"{own}/profiles/compare?{three}",
        "host": f"{own}/hosts/{host.pk}",
        "host-resize": f"{own}/hosts/{host.pk}/resize?profile={shelf['ccx43'].pk}&grow_disk=on",
        "host-remove": f"{own}/hosts/{host.pk}/remove",
    }.items():
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") == width, name
        picture(page, f"{name}-{scheme}-{width}")
        assert_accessible(page)
    ProfileLocation.objects.update(available=None)
    ProviderAccount.objects.update(profiles_error_code="credential", profiles_error="The token was refused.")
    page.goto(f"{own}/profiles?profile={shelf['ccx23'].pk}")
    expect(page.get_by_text("Whether it can be had now is not known.")).to_be_visible()
    picture(page, f"profiles-not-known-{scheme}-{width}")
    assert_accessible(page)


def test_what_is_tabbed_to_does_not_hide_behind_the_save_bar(open_page, workspace, shelf, alice) -> None:
    page = open_page(alice)
    page.set_viewport_size({"width": 1440, "height": 520})
    page.goto(f"/workspaces/{workspace.pk}/profiles?profile={shelf['ccx13'].pk}")
    page.locator("#profiles input[type=checkbox]").first.focus()
    seen = []
    while page.evaluate("document.activeElement.closest('#profiles') !== null"):
        seen.append(
            page.evaluate(
                "[document.activeElement.getBoundingClientRect().bottom,"
                " document.querySelector('.savebar').getBoundingClientRect().top]"
            )
        )
        page.keyboard.press("Tab")
    assert len(seen) >= 4
    assert [pair for pair in seen if pair[0] > pair[1]] == []
