"""One row of every noun, so that no page of the admin is empty, and secrets to look for in the pages."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests import cast
from tests.views import commercial
from workspaces.models import (
    PLATFORM,
    Account,
    Actor,
    Advisory,
    ApiKey,
    BillingAgreement,
    CalendarFeed,
    ComputeProfile,
    Decision,
    Deletion,
    DeletionPolicy,
    DnsRecord,
    Drift,
    Event,
    Hold,
    Integration,
    Inventory,
    Invitation,
    Kubeconfig,
    LogLine,
    Look,
    Operation,
    PackageUpdate,
    Preflight,
    PriceOverride,
    ProfileLocation,
    ProviderAccount,
    QueueSample,
    Rollout,
    Seed,
    SeedManifest,
    SshKey,
    StepPlan,
    Tick,
    Transfer,
    Workspace,
)

SECRETS = {
    "kubeconfig": "apiVersion: v1",
    "token": "hcloud-token-of-kestrel",
    "ssh": "private-key-of-kestrel",
    "integration": "monitoring-secret-of-kestrel",
    "exported": "client-key-data-of-kestrel",
}
# A manifest's text.
WEB = """apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {replicas: 2}
"""


@pytest.fixture
def rows(alice: Account, root: Account, workspace: Workspace, catalogue_rows: Any) -> dict[str, Any]:
    """A row of every noun, by the noun's lower-case name."""
    kestrel = cast.organization("Kestrel Freight")
    provider = ProviderAccount.objects.create(organization=kestrel, name="Kestrel cloud", token=SECRETS["token"])
    profile = ComputeProfile.objects.create(
        provider_account=provider, name="ccx23", family="ccx", cores=4, memory_gb=16, disk_gb=160, architecture="x86"
    )
    ProfileLocation.objects.create(
        profile=profile, location="fsn1", available=True, currency="EUR", hourly=1, monthly=9
    )
    commercial.left(provider)
    agreement = BillingAgreement.objects.create(organization=kestrel, number="KF-2026", valid_from=date(2026, 1, 1))
    PriceOverride.objects.create(agreement=agreement, clause="4.1", component="hourly", kind="percent", amount=90)
    operation = Operation.start(workspace, "upgrade", "Upgrade", [StepPlan("look", "Look")], actor=PLATFORM)
    assert isinstance(operation, Operation)
    key, text = ApiKey.issue(name="ci", organization=kestrel, role="viewer", created_by=alice)
    Hold.objects.create(
        workspace=workspace, reason="Freeze", set_by=root, expires_at=timezone.now() + timedelta(days=1)
    )
    Decision.objects.create(
        workspace=workspace, lane="routine", opens_at=timezone.now(), outcome="nothing", reason="current", message="-"
    )
    LogLine.objects.create(operation=operation, text="Looked.")
    DnsRecord.objects.create(
        workspace=workspace, provider_account=provider, zone="k.example", name="api", value="192.0.2.1"
    )
    Integration.objects.create(workspace=workspace, kind="monitoring", name="Grafana", secret=SECRETS["integration"])
    SshKey.objects.create(name="fleet", private_key=SECRETS["ssh"])
    Advisory.objects.create(name="USN-1", severity="high")
    feed = CalendarFeed.make(workspace.project, Actor.of(alice))
    PackageUpdate.objects.create(
        workspace=workspace, host_name="ledger-prod-w1", operation=operation, package="openssl", to_version="3.5.4"
    )
    Tick.objects.create(name="maintenance", at=timezone.now())
    Rollout.begin("1.35.7", [workspace], actor=Actor.of(alice))
    Preflight.objects.create(workspace=workspace, target="1.35.7", asked_by="Alice Ahrens")
    manifest = SeedManifest.objects.create(name="baseline", content=WEB)
    Seed.objects.create(workspace=workspace, manifest=manifest, object="apps/v1 Deployment shop/web")
    Look.objects.create(kind="cluster", workspace=workspace, every=60)
    Drift.objects.create(
        workspace=workspace, kind="control_plane", subject="Control plane", field="replicas", wanted=2, seen=3,
        policy="decide", since=cast.NOW,
    )  # fmt: skip
    QueueSample.objects.create(at=cast.NOW, queue="reconcile", depth=3)
    invitation, token = Invitation.send_to(
        "nina@kestrel.example", organization=kestrel, project=None, role="viewer", invited_by=alice
    )
    Kubeconfig.objects.create(
        workspace=workspace, requested_by="Alice Ahrens", state="ready", document=SECRETS["exported"]
    )
    DeletionPolicy.objects.create(organization=kestrel)
    Deletion.objects.create(workspace=workspace, requested_by="Alice Ahrens", begins_at=cast.NOW, state_before="active")
    Inventory.objects.create(workspace=workspace, looked_at=cast.NOW)
    Transfer.objects.create(
        workspace=workspace,
        source=workspace.project,
        destination=cast.project("Archive"),
        moved_by="Alice Ahrens",
        prediction={"loses": ["bob@kestrel.example"]},
    )
    return {
        "provideraccount": provider,
        "billingagreement": agreement,
        "operation": operation,
        "organization": kestrel,
        "workspace": workspace,
        "event": Event.objects.row_changes().filter(action="api_key.added").latest("id"),
        "hidden": [
            *SECRETS.values(),
            key.digest,
            text[12:],
            invitation.digest,
            token,
            provider.token.token,
            feed,
            CalendarFeed.objects.get().digest,
        ],
    }


@pytest.fixture
def as_root(client: Client, root: Account) -> Client:
    """A browser in which the platform's administrator is signed in."""
    return cast.sign_in(client, root)


@pytest.fixture
def staff(db: None) -> Account:
    """Support staff without any permission yet."""
    return cast.account("sam@loopback.example", is_staff=True, first_name="Sam", last_name="Support")
