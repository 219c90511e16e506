"""The lists of all nouns: they can be searched, lead to what belongs to a row, and ask few queries for many rows."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests import cast
from tests.admin.forms import every_page
from workspaces import models
from workspaces.models import Account, Host, Membership, Operation


def _a_hundred_of_everything() -> None:
    """Rows whose lists name other rows, each another one."""
    tomorrow = timezone.now() + timedelta(days=1)
    for number in range(100):
        kestrel = cast.organization(f"Customer {number}")
        provider = models.ProviderAccount.objects.create(organization=kestrel, name=f"c{number}", token="t")
        cluster = cast.management_cluster(f"mgmt-{number}")
        project = cast.project(f"Project {number}", of=kestrel.name)
        made = models.Workspace.objects.create(
            project=project, name=f"w{number}", type="kubernetes", state="active", management_cluster=cluster
        )
        models.MaintenancePlan.objects.create(workspace=made)
        key = models.SshKey.objects.create(name=f"s{number}", private_key="k")
        Host.objects.create(workspace=made, name=f"h{number}", provider_account=provider, ssh_key=key)
        operation = Operation.objects.create(workspace=made, kind="x", title="X", state="succeeded")
        models.Step.objects.create(operation=operation, position=0, key="x", title="X")
        models.LogLine.objects.create(operation=operation, text="x")
        models.Decision.objects.create(
            workspace=made, lane="routine", opens_at=timezone.now(), outcome="started", reason="r", message="m",
            operation=operation,
        )  # fmt: skip
        person = Account.objects.create(email=f"p{number}@x.example")
        Membership.objects.create(account=person, organization=kestrel, project=project, role="viewer")
        models.ApiKey.issue(name=f"k{number}", organization=kestrel, project=project, role="viewer", created_by=person)
        models.Invitation.send_to(
            "n@x.example", organization=kestrel, project=project, role="viewer", invited_by=person
        )
        models.Kubeconfig.objects.create(workspace=made, requested_by="p")
        models.Transfer.objects.create(
            workspace=made, source=project, destination=cast.project(f"Other {number}", of=kestrel.name), moved_by="p"
        )
        models.DnsRecord.objects.create(
            workspace=made, provider_account=provider, zone="z", name=f"n{number}", value="v"
        )
        models.Integration.objects.create(workspace=made, kind="k", name="n")
        models.Hold.objects.create(workspace=made, reason="r", set_by=person, expires_at=tomorrow)
        models.CalendarFeed.objects.create(project=project, digest=f"d{number}", made_by_name="p")
        models.PackageUpdate.objects.create(
            workspace=made, host_name="h", operation=operation, package="openssl", to_version="3"
        )
        models.Rollout.begin("1.35.7", [made], actor=models.PLATFORM)
        models.Preflight.objects.create(workspace=made, target="1.35.7", asked_by="p", operation=operation)
        models.Tick.objects.create(name=f"t{number}", at=timezone.now())
        models.Advisory.objects.create(name=f"a{number}", severity="high")
        models.KubernetesVersion.objects.create(version=f"1.20.{number}")
        models.ComputeProfile.objects.create(
            provider_account=provider, name=f"p{number}", cores=1, memory_gb=1, disk_gb=1, architecture="x86"
        )
        models.LeftServer.objects.create(
            provider_account=provider, provider_id=number, name=f"l{number}", profile="ccx23", location="fsn1",
            created_at=timezone.now(), first_seen_at=timezone.now(), observed_at=timezone.now(),
        )  # fmt: skip
        manifest = models.SeedManifest.objects.create(name=f"m{number}", organization=kestrel, content="")
        models.Seed.objects.create(workspace=made, manifest=manifest, object=f"o{number}")
        models.Look.objects.create(kind="cluster", workspace=made, every=60)
        models.Drift.objects.create(
            workspace=made, kind="control_plane", subject="s", field="f", policy="decide", since=timezone.now()
        )
        models.DeletionPolicy.objects.create(organization=kestrel)
        models.Deletion.objects.create(
            workspace=made, requested_by="p", begins_at=tomorrow, state_before="active", operation=operation
        )
        models.Inventory.objects.create(workspace=made, looked_at=timezone.now())
        models.QueueSample.objects.create(at=timezone.now(), queue=f"q{number}", depth=1)
        models.BillingAgreement.objects.create(organization=kestrel, number=f"n{number}", valid_from=date(2026, 1, 1))
        Group.objects.create(name=f"g{number}")


def test_no_list_of_a_hundred_rows_asks_more_than_twelve_queries(as_root: Client, rows: Any) -> None:
    _a_hundred_of_everything()
    for model in admin.site._registry:
        assert model._default_manager.count() >= 100, model
    asked = {}
    for noun, kind, address in every_page():
        if kind == "list":
            as_root.get(address)
            with CaptureQueriesContext(connection) as queries:
                response = as_root.get(address)
            assert len(response.context["cl"].result_list) == 100, noun
            asked[noun] = len(queries)
    assert {noun: count for noun, count in asked.items() if count > 12} == {}, asked


@pytest.mark.parametrize("text", ["ledger", "not-a-uuid", "%", "7"])
def test_every_list_can_be_searched(as_root: Client, rows: Any, text: str) -> None:
    for model, model_admin in admin.site._registry.items():
        assert model_admin.search_fields, model
    for noun, kind, address in every_page():
        if kind == "list":
            assert as_root.get(address, {"q": text}).status_code == 200, noun


def test_the_links_of_a_row_lead_to_lists_of_what_belongs_to_it(as_root: Client, rows: Any) -> None:
    links = set()
    for _, kind, address in every_page():
        if kind == "list":
            html = as_root.get(address).content.decode().replace("&amp;", "&")
            links |= set(re.findall(r'<a href="(/admin/workspaces/(?!event/)\w+/\?[a-z_]+=[0-9a-f-]+)">', html))
    assert len(links) > 20
    for link in links:
        assert as_root.get(link).status_code == 200, link
    operations = as_root.get(f"/admin/workspaces/operation/?workspace={rows['workspace'].pk}")
    assert [str(row) for row in operations.context["cl"].result_list] == ["Upgrade"]


def test_every_filter_of_every_list_answers(as_root: Client, rows: Any) -> None:
    tried = 0
    for _, kind, address in every_page():
        if kind == "list":
            html = as_root.get(address).content.decode().replace("&amp;", "&")
            # One choice of each filter: the last, as the first is "all".
            chosen = dict(re.findall(r'<a href="\?((?!o=)[a-z_]+)(=[^"]*)"', html))
            for query in (f"?{name}{value}" for name, value in chosen.items()):
                assert as_root.get(f"{address}{query}").status_code == 200, (address, query)
                tried += 1
    assert tried > 30
