"""Everything that is known about one workspace, and no credential."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client

from tests import cast
from tests.views import commercial
from workspaces.models import (
    PLATFORM,
    DnsRecord,
    Drift,
    Event,
    Hold,
    Integration,
    Kubeconfig,
    Operation,
    ProviderAccount,
    Seed,
    SeedManifest,
    StepPlan,
)
from workspaces.models.dossier import dossier

pytestmark = pytest.mark.django_db

SECRETS = ("planted-token", "planted-kubeconfig", "planted-key", "planted-word")


@pytest.fixture
def whole(workspace, alice):
    """A workspace with something in every section that is told here."""
    account = ProviderAccount.objects.create(
        organization=workspace.project.organization, name="kestrel", token="planted-token"
    )
    workspace.management_cluster.kubeconfig = "planted-kubeconfig"
    workspace.management_cluster.save()
    workspace.hosts.update(provider_account=account)
    host = workspace.hosts.first()
    host.ansible = {"ansible_host": "127.0.0.1", "ansible_become_password": "planted-word"}
    host.save()
    Integration.objects.create(workspace=workspace, kind="grafana", name="metrics", secret="planted-key")
    Kubeconfig.objects.create(workspace=workspace, requested_by="Alice", state="ready", document="planted-kubeconfig")
    for number in range(25):
        Event.record(PLATFORM, "workspace.noted", workspace=workspace, summary=f"Note {number}")
    Hold.objects.create(
        organization=workspace.project.organization,
        reason="Year end",
        set_by=alice,
        expires_at=cast.NOW + timedelta(days=9),
    )
    Hold.objects.create(
        organization=cast.organization("Fjordline"),
        reason="Not ours",
        set_by=alice,
        expires_at=cast.NOW + timedelta(days=9),
    )
    commercial.left(account, "left", workspace=workspace)
    zones = ProviderAccount.objects.create(organization=account.organization, name="zones", token="planted-token")
    DnsRecord.objects.create(workspace=workspace, provider_account=zones, zone="kestrel.example", name="gw")
    cast.looked_at(workspace, error_code="credential")
    for field, since in (("replicas", cast.NOW), ("paused", cast.NOW - timedelta(days=3))):
        Drift.objects.create(workspace=workspace, kind="control_plane", field=field, since=since, seen=3)
    manifest = SeedManifest.objects.create(name="baseline", content="")
    Seed.objects.create(workspace=workspace, manifest=manifest, object="v1 Namespace /shop", state="conflict")
    Operation.start(workspace, "upgrade", "Upgrade", [StepPlan("check", "Check again")], actor=PLATFORM)
    return workspace


def test_it_tells_the_rows_of_every_section(whole):
    told = dossier(whole, cast.NOW + timedelta(minutes=1))
    assert told["dossier"] == [{"as of": "2026-11-24T14:33:00+00:00"}]
    assert told["workspace"][0]["name"] == "ledger-prod"
    assert told["organization"][0]["name"] == "Kestrel Freight"
    assert [host["name"] for host in told["hosts"]] == ["ledger-prod-w1", "ledger-prod-w2", "ledger-prod-w3"]
    assert [one["name"] for one in told["provider accounts"]] == ["kestrel", "zones"]
    assert [(one["kind"], one["error_code"]) for one in told["looks"]] == [
        ("cluster", "credential"),
        ("control_planes", "credential"),
        ("dns", "credential"),
        ("seeding", "credential"),
        ("servers", "credential"),
    ]
    assert [(one["field"], one["seen"]) for one in told["drift"]] == [("replicas", 3), ("paused", 3)]
    assert [(one["object"], one["state"]) for one in told["seeds"]] == [("v1 Namespace /shop", "conflict")]
    assert [one["name"] for one in told["left servers"]] == ["left"]
    assert [one["reason"] for one in told["holds"]] == ["Year end"]
    assert [one["title"] for one in told["operations"]] == ["Upgrade"]
    assert [one["title"] for one in told["steps of the newest operation"]] == ["Check again"]
    assert len(told["events"]) == 20
    assert "Note 24" in [event["summary"] for event in told["events"]]
    assert "Note 1" not in [event["summary"] for event in told["events"]]
    assert told["kubeconfigs"][0]["document"] == "stored, not shown"
    assert told["integrations"][0]["secret"] == "stored, not shown"
    assert told["hosts"][0]["ansible"] == {"ansible_host": "127.0.0.1", "ansible_become_password": "not shown"}


def test_no_credential_is_in_it_neither_in_the_clear_nor_as_stored(whole):
    text = json.dumps(dossier(whole, cast.NOW), default=str)
    stored = [whole.management_cluster.kubeconfig.token, whole.kubeconfigs.get().document.token]
    assert [secret for secret in (*SECRETS, *stored) if secret in text] == []


def test_it_costs_the_same_whatever_the_size(whole, django_assert_max_num_queries):
    for number in range(40):
        Operation.objects.create(
            workspace=whole, kind="upgrade", title=f"{number}", state="succeeded", requested_by="x"
        )
        Drift.objects.create(workspace=whole, kind="host", field=f"{number}", since=cast.NOW)
    with django_assert_max_num_queries(25):
        dossier(whole, cast.NOW)


def test_the_command_tells_it_in_words_and_as_json(whole):
    words = StringIO()
    call_command("dossier", "ledger-prod", stdout=words)
    assert "\nhosts (3)\n" in words.getvalue()
    assert "  name: ledger-prod-w2\n" in words.getvalue()
    document = StringIO()
    call_command("dossier", "Kestrel Freight/Freight Core/ledger-prod", "--json", stdout=document)
    assert json.loads(document.getvalue())["project"][0]["name"] == "Freight Core"
    with pytest.raises(CommandError, match="nowhere"):
        call_command("dossier", "nowhere")


def test_support_reads_it_in_the_admin_and_takes_it_along_as_a_file(whole, root):
    client = cast.sign_in(Client(), root)
    page = client.get(f"/admin/workspaces/workspace/{whole.pk}/dossier/")
    assert page.status_code == 200
    assert "Everything known about ledger-prod" in page.text
    assert "planted" not in page.text
    taken = client.get(f"/admin/workspaces/workspace/{whole.pk}/dossier/?format=json")
    assert taken["Content-Disposition"] == 'attachment; filename="ledger-prod.json"'
    assert taken.json()["workspace"][0]["id"] == str(whole.pk)
    assert client.post(f"/admin/workspaces/workspace/{whole.pk}/dossier/").status_code == 405
    assert (
        f'/admin/workspaces/workspace/{whole.pk}/dossier/"'
        in client.get(f"/admin/workspaces/workspace/{whole.pk}/change/").text
    )
