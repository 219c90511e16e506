"""The walkers and what they walk around: one of every noun, in Kestrel Freight's project Freight Core."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.utils import timezone

from tests import cast
from tests.access.walking import Walkers, issue, walkers
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
    KubernetesVersion,
    LogLine,
    Look,
    Operation,
    PackageUpdate,
    Preflight,
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


@pytest.fixture
def things(workspace: Workspace, alice: Account, bob: Account, catalogue_rows: Any) -> dict[str, Any]:
    """One of every noun, by the word that `table.py` uses."""
    project, organization = workspace.project, workspace.project.organization
    busy = cast.kubernetes("rates-engine", hosts=1)
    operation = Operation.start(busy, "upgrade", "Upgrade", [StepPlan("one", "One")], actor=PLATFORM)
    key, _ = ApiKey.issue(name="ci", organization=organization, role="viewer", created_by=alice)
    invitation, token = Invitation.send_to(
        "new@kestrel.example", organization=organization, project=None, role="viewer", invited_by=alice
    )
    return {
        "workspace": workspace,
        "named": workspace.name,
        "operation": operation,
        "project": project,
        "elsewhere": cast.project("Customs"),
        "organization": organization,
        "account": bob,
        "apikey": key,
        "invitation": invitation,
        "project_invitation": Invitation.send_to(
            "new@kestrel.example", organization=organization, project=project, role="viewer", invited_by=alice
        )[0],
        "token": token,
        "number": 1,
        "provider": "sso",
        "kubeconfig": Kubeconfig.objects.create(workspace=workspace, requested_by=str(alice), requested_by_id=alice.pk),
        "transfer": Transfer.objects.create(
            workspace=workspace, source=cast.project("Sandbox"), destination=project, moved_by=str(alice)
        ),
        "membership": bob.memberships.get(),
        "member": bob.memberships.get(),
        "host": workspace.hosts.first(),
        "event": Event.objects.first(),
        "drift": Drift.objects.create(
            workspace=workspace,
            kind="control_plane",
            field="replicas",
            wanted=2,
            seen=3,
            policy="decide",
            since=cast.NOW,
        ),
        "rollout": Rollout.begin("1.35.7", [workspace], actor=Actor.of(alice)),
        "project_hold": Hold.objects.create(
            project=project, reason="Fair", set_by=alice, expires_at=timezone.now() + timedelta(days=1)
        ),
        "tomorrow": f"{timezone.now() + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
        **_what_only_staff_sees(workspace, alice),
    }


def _what_only_staff_sees(workspace: Workspace, alice: Account) -> dict[str, Any]:
    """One row of every noun that has no page in the console, by the model's name."""
    organization = workspace.project.organization
    account = ProviderAccount.objects.create(organization=organization, name="kestrel-cloud", token="t")
    profile = ComputeProfile.objects.create(
        provider_account=account, name="ccx23", cores=4, memory_gb=16, disk_gb=160, architecture="x86"
    )
    operation = Operation.objects.latest("created_at")
    return {
        "provideraccount": account,
        "computeprofile": profile,
        "leftserver": commercial.left(account),
        "managementcluster": workspace.management_cluster,
        "maintenanceplan": workspace.maintenance_plan,
        "kubernetesversion": KubernetesVersion.objects.get(version="1.35.7"),
        "sshkey": SshKey.objects.create(name="workers", private_key="k"),
        "dnsrecord": DnsRecord.objects.create(workspace=workspace, provider_account=account, zone="z", name="n"),
        "integration": Integration.objects.create(workspace=workspace, kind="grafana", name="main"),
        "advisory": Advisory.objects.create(name="LSA-1", severity="high"),
        "hold": Hold.objects.create(reason="Fair", set_by=alice, expires_at=timezone.now() + timedelta(days=1)),
        "step": operation.steps.first(),
        "logline": LogLine.objects.create(operation=operation, source="plan", text="Begun"),
        "decision": Decision.objects.create(
            workspace=workspace, lane="routine", opens_at=cast.NOW, outcome="nothing", reason="no_work", message="None"
        ),
        "billingagreement": BillingAgreement.objects.create(
            organization=organization, number="KF-2026-03", valid_from=cast.NOW.date()
        ),
        "calendarfeed": CalendarFeed.objects.create(project=workspace.project, digest="d", made_by_name=str(alice)),
        "packageupdate": PackageUpdate.objects.create(
            workspace=workspace, host_name="h", operation=operation, package="openssl", to_version="3"
        ),
        "rolloutmember": workspace.rollout_members.get(),
        "deletionpolicy": DeletionPolicy.objects.create(organization=organization),
        "deletion": Deletion.objects.create(
            workspace=workspace, state="undone", requested_by=str(alice), begins_at=cast.NOW, state_before="active"
        ),
        "inventory": Inventory.objects.create(workspace=workspace, looked_at=timezone.now()),
        "preflight": Preflight.objects.create(workspace=workspace, target="1.35.7", asked_by=str(alice)),
        "tick": Tick.objects.create(name="maintenance", at=timezone.now()),
        "look": Look.objects.create(kind="cluster", workspace=workspace, every=60),
        "queuesample": QueueSample.objects.create(at=cast.NOW, queue="reconcile", depth=3),
        "seedmanifest": SeedManifest.objects.create(name="free", content=""),
        "seed": Seed.objects.create(
            workspace=workspace, manifest=SeedManifest.objects.create(name="carried", content=""), object="v1 X /y"
        ),
        "group": Group.objects.create(name="Catalogue"),
    }


@pytest.fixture
def walking(
    things: dict[str, Any], alice: Account, bob: Account, victor: Account, charlie: Account, root: Account
) -> Walkers:
    """Everybody of the table. Support staff may look at workspaces and hosts, and at nothing else."""
    staff = cast.account("sam@loopback.example", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(codename__in=["view_workspace", "view_host"]))
    people = {
        "anonymous": None,
        "stranger": charlie,
        "viewer": victor,
        "operator": bob,
        "administrator": alice,
        "staff": staff,
        "root": root,
    }
    kestrel, fjordline = things["organization"], cast.organization("Fjordline")
    ago = timezone.now() - timedelta(minutes=1)
    keys = {
        "viewer": issue("v", role="viewer", by=alice, organization=kestrel),
        "operator": issue("o", role="operator", by=alice, organization=kestrel, project=things["project"]),
        "administrator": issue("a", role="administrator", by=alice, organization=kestrel),
        "stranger": issue("s", role="administrator", by=charlie, organization=fjordline),
        "expired": issue("e", role="administrator", by=alice, organization=kestrel, expires_at=ago),
        "revoked": issue("r", role="administrator", by=alice, organization=kestrel, revoked_at=ago),
    }
    return walkers(people, keys)
