"""The versions page in a browser: readable for everybody, in both themes, on a phone and on 320 pixels."""

import pytest

from tests import browser as browsers
from tests import cast
from tests.browser import assert_accessible

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("browser")]


@pytest.fixture(autouse=True)
def fleet(workspace, catalogue_rows):
    for name, version in (("old", "1.33.9"), ("own-build", "1.34.5"), ("unseen", "")):
        cast.kubernetes(name, version=version)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390), ("light", 320)])
def test_the_page_is_accessible_and_does_not_scroll_sideways(chromium, live_server, alice, scheme, width):
    context = chromium.new_context(
        base_url=live_server.url,
        viewport={"width": width, "height": 900},
        reduced_motion="reduce",
        color_scheme=scheme,
    )
    page = context.new_page()
    heard = []
    page.on("console", lambda message: heard.append(message.text))
    page.goto("/accounts/login/?next=/versions")
    page.get_by_label("Email address").fill("alice@kestrel.example")
    page.get_by_label("Password").fill(cast.PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/versions")
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert heard == []
    browsers.close(context)
