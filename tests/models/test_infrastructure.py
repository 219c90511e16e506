"""What the database holds about hosts, accounts and what else belongs to a workspace."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, models, transaction

from tests import cast
from workspaces.models import DnsRecord, Host, Integration, ManagementCluster, ProviderAccount, SshKey, Workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(db: None) -> ProviderAccount:
    """The cloud project of Kestrel Freight."""
    return ProviderAccount.objects.create(organization=cast.organization("Kestrel Freight"), name="kestrel", token="t")


def refused(constraint: str, row: models.Model) -> None:
    """The database itself does not take this row."""
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        type(row)._default_manager.bulk_create([row])


def test_a_server_is_a_host_once(workspace: Workspace, metal: Workspace, account: ProviderAccount) -> None:
    one, two = Host.objects.order_by("name")[:2]
    Host.objects.filter(pk=one.pk).update(provider_account=account, provider_id=4711)
    with pytest.raises(IntegrityError, match="host_once_per_server"), transaction.atomic():
        Host.objects.filter(pk=two.pk).update(provider_account=account, provider_id=4711)
    refused("host_once_per_server", Host(workspace=metal, name="x", provider_account=account, provider_id=4711))


def test_the_same_number_in_another_account_is_another_server(workspace: Workspace, account: ProviderAccount) -> None:
    other = ProviderAccount.objects.create(organization=account.organization, name="kestrel-2", token="t")
    for number, of in ((1, account), (2, other)):
        workspace.hosts.filter(name=f"ledger-prod-w{number}").update(provider_account=of, provider_id=4711)
    assert Host.objects.filter(provider_id=4711).count() == 2


def test_hosts_without_a_server_do_not_clash(workspace: Workspace, account: ProviderAccount) -> None:
    workspace.hosts.update(provider_account=account)
    assert Host.objects.filter(provider_account=account, provider_id=None).count() == 3


def test_names_are_used_once_where_they_belong(workspace: Workspace, account: ProviderAccount) -> None:
    refused("host_name_once_per_workspace", Host(workspace=workspace, name="ledger-prod-w1"))
    refused("provider_account_name_once", ProviderAccount(organization=account.organization, name="kestrel", token="t"))
    refused("name", ManagementCluster(name="mgmt-fsn1", kubeconfig="", max_version="1.36"))
    SshKey.objects.create(name="fleet", private_key="p")
    refused("name", SshKey(name="fleet", private_key="p"))


def test_a_dns_record_and_an_integration_are_kept_once(workspace: Workspace, account: ProviderAccount) -> None:
    record: dict[str, Any] = {"zone": "example.com", "name": "ledger", "type": "A", "value": "10.0.0.1"}
    DnsRecord.objects.create(workspace=workspace, provider_account=account, **record)
    refused("dns_record_once", DnsRecord(workspace=workspace, provider_account=account, **record))
    DnsRecord.objects.create(workspace=workspace, provider_account=account, **(record | {"type": "AAAA"}))
    Integration.objects.create(workspace=workspace, kind="backup", name="nightly", secret="s")
    refused("integration_once", Integration(workspace=workspace, kind="backup", name="nightly", secret="s"))


@pytest.mark.parametrize(
    ("variables", "manageable"),
    [
        ({}, False),
        ({"ansible_host": ""}, False),
        ({"ansible_user": "root"}, False),
        ({"ansible_host": "10.0.0.4"}, True),
        ({"ansible_connection": "local"}, True),
        ({"ansible_connection": "ssh"}, False),
    ],
)
def test_a_host_is_manageable_when_ansible_knows_how_to_reach_it(variables: dict[str, str], manageable: bool) -> None:
    assert Host(ansible=variables).manageable is manageable
