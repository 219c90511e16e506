"""Reconciliation in a browser: every state of the pages, a decision by keyboard alone, and the refresh."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from tests import cast
from tests.browser import assert_accessible, picture
from tests.journeys.test_workspace_pages import tab_to
from tests.views import reconciling
from workspaces.models import Drift, Event, Look, Workspace
from workspaces.models.health import reassess

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("browser"),
    pytest.mark.usefixtures("empty_queues"),
]
MINUTE = timedelta(minutes=1)


def made(name: str, account: str, **fields) -> Workspace:
    """A workspace on an account of its own, looked at a moment ago, with a day behind it."""
    now = timezone.now()
    workspace = cast.kubernetes(name, observed_at=now, management_cluster=cast.management_cluster(), **fields)
    reconciling.on_account(workspace, reconciling.account(account))
    reconciling.seed(workspace, "baseline-policies", state_since=now, applied_at=now)
    cloud = reconciling.account(account)
    record = {"name": name, "value": "2001:db8::1", "observed_value": "2001:db8::1", "observed_at": now}
    reconciling.record(workspace, cloud, **record)
    reassess([workspace.pk], now)
    for look in cast.looked_at(workspace, now):
        reconciling.sampled(look, now)
    return workspace


def drifting(workspace: Workspace) -> None:
    """Every kind of drift, and what has ended."""
    now = timezone.now()
    reconciling.drift(
        workspace,
        since=now - 195 * MINUTE,
        actor="kubectl-edit",
        actor_at=now - 196 * MINUTE,
        reason="More or fewer API servers may be somebody's intention.",
    )
    reconciling.drift(
        workspace,
        "power",
        "running",
        "off",
        kind="host",
        ref=str(workspace.hosts.get(name=f"{workspace.name}-w2").pk),
        subject=f"Server {workspace.name}-w2",
        since=now - 30 * MINUTE,
        actor="Hetzner Cloud action shutdown_server",
        actor_at=now - 31 * MINUTE,
        reason="Somebody may have switched it off on purpose.",
    )
    reconciling.drift(
        workspace,
        "data.mode",
        "strict",
        "lax",
        kind="seed",
        subject="ConfigMap kube-system/baseline-policies",
        since=now - 600 * MINUTE,
        fought=True,
        repairs=2,
        actor="argocd-controller",
        reason="Set back twice; argocd-controller changed it again.",
    )
    dns = {"kind": "dns", "subject": f"DNS record {workspace.name}.customs.example AAAA", "policy": "repair"}
    reconciling.drift(workspace, "records", ["2001:db8::1"], None, since=now - MINUTE / 2, **dns)
    day = timedelta(days=1)
    reconciling.drift(
        workspace,
        "name",
        f"{workspace.name}-w1",
        "renamed-by-hand",
        kind="host",
        subject=f"Server {workspace.name}-w1",
        policy="repair",
        since=now - day,
        ended_at=now - day + MINUTE,
        ending="repaired",
        repairs=1,
    )
    reconciling.drift(
        workspace, "paused", False, True, since=now - 2 * day, ended_at=now - day, ending="accepted", decided_by="Bob"
    )


@pytest.fixture
def pages(alice) -> dict[str, str]:
    """The pages in their states: name → address."""
    now = timezone.now()
    reconciling.queue_of_six_hours(now)
    healthy = made("ledger-prod", "kestrel-cloud")
    refused = made("customs-gateway", "customs-cloud", project=cast.project("Customs"))
    drifted = made("atlas-routing", "atlas-cloud")
    gated = made("rates", "rates-cloud")
    drifting(drifted)
    said = "The API refuses the token (401)."
    target = {"provider_account": reconciling.account("customs-cloud"), "now": now}
    look = reconciling.failing("servers", "credential", said, since=now - 41 * MINUTE, **target)
    reconciling.sampled(look, now, failing_lately=True)
    reconciling.failing("dns", "credential", said, since=now - 39 * MINUTE, failures=9, **target)
    held = [{"field": "spec.podSelector", "manager": "argocd-controller"}]
    why = "Seeding has not converged: NetworkPolicy default/deny-all is held by argocd-controller."
    reconciling.seed(
        gated,
        "deny-all",
        "conflict",
        object="networking.k8s.io/v1 NetworkPolicy default/deny-all",
        conflicts=held,
        message="argocd-controller holds spec.podSelector.",
        gates=True,
        state_since=now - 12 * MINUTE,
    )
    Workspace.objects.filter(pk=gated.pk).update(state="gated", state_since=now - 12 * MINUTE, state_reason=why)
    reassess([healthy.pk, refused.pk, drifted.pk, gated.pk], now)
    return {
        "healthy": f"/workspaces/{healthy.pk}/reconciliation",
        "refused": f"/workspaces/{refused.pk}/reconciliation",
        "drift": f"/workspaces/{drifted.pk}/reconciliation",
        "gated": f"/workspaces/{gated.pk}/reconciliation",
        "fleet": "/reconciliation",
        "queue": "/queue",
        "overview": f"/workspaces/{refused.pk}",
    }


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 1440), ("light", 390), ("light", 320)])
def test_every_state_is_accessible_in_both_themes_and_on_small_screens(open_page, alice, pages, scheme, width):
    page = open_page(alice, color_scheme=scheme, width=width)
    for name, address in pages.items():
        page.goto(address)
        picture(page, f"reconciliation-{name}-{scheme}-{width}")
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), name


def test_a_viewer_sees_it_without_a_way_to_change_it(open_page, victor, pages):
    page = open_page(victor)
    for name in ("drift", "refused", "fleet"):
        page.goto(pages[name])
        picture(page, f"reconciliation-{name}-viewer")
        assert_accessible(page)
        assert page.locator("main button[type=submit][name=decision]").count() == 0


def to_decide(page: Page) -> None:
    """From the fleet's list to the row of the workspace, by keyboard."""
    page.goto("/reconciliation")
    row = Drift.objects.get(field="replicas", ended_at=None)
    tab_to(page, f"#decide-{str(row.pk)[:8]}", most=90)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/workspaces/{row.workspace_id}/reconciliation#drift-{str(row.pk)[:8]}")


def test_drift_is_found_in_the_fleet_and_decided_with_the_keyboard_alone(open_page, bob, pages):
    # An address with a fragment: the browser says on its console that the search field of the palette is not focused.
    page = open_page(bob, complaining=True)
    to_decide(page)
    row = Drift.objects.get(field="replicas", ended_at=None)
    workspace = row.workspace
    tab_to(page, f"#accept-{str(row.pk)[:8]}", most=90)
    expect(page.locator(":focus")).to_have_accessible_name("Accept 3 as replicas of Control plane")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("Control plane, replicas: 3 is wanted from now on.")
    expect(page.locator(f"#drift-{str(row.pk)[:8]}")).to_have_count(0)
    expect(page.locator("#ended")).to_contain_text("Accepted by Bob Berger")
    workspace.refresh_from_db()
    assert workspace.wanted["replicas"] == 3
    assert Event.objects.filter(action="drift.accepted", workspace_id=workspace.pk).count() == 1
    assert_accessible(page)


def test_it_works_without_javascript(open_page, bob, pages):
    page = open_page(bob, java_script_enabled=False)
    page.goto(pages["drift"])
    page.get_by_role("button", name="Set back power of Server atlas-routing-w2 to running").click()
    row = Drift.objects.get(field="power")
    assert (row.decision, row.decided_by) == ("converge", "Bob Berger")
    assert "as Bob Berger decided" in page.locator(f"#drift-{str(row.pk)[:8]}").inner_text()


def test_the_page_follows_what_happens_and_keeps_the_focus(open_page, alice, pages):
    page = open_page(alice)
    page.goto(pages["drift"])
    expect(page.locator("#standing")).to_contain_text("Waits for a decision")
    row = Drift.objects.get(field="replicas", ended_at=None)
    button = f"#accept-{str(row.pk)[:8]}"
    page.locator(button).focus()
    account = reconciling.account("atlas-cloud")
    Look.objects.filter(provider_account=account, kind="servers").update(
        felt=True, failures=3, error_code="unreachable", error="No route.", failing_since=timezone.now() - MINUTE
    )
    page.evaluate("htmx.ajax('GET', location.pathname, {target: '#live', swap: 'outerHTML'})")
    expect(page.locator("#standing")).to_contain_text("Reconciling for 1 min")
    expect(page.locator(button)).to_be_focused()
    assert page.locator("#standing").count() == 1
