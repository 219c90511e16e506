"""The standing cast: who is who in every test, and how to make more of what they own.

alice administers Kestrel Freight, bob operates one project of it (Freight Core), victor may only look, charlie is a
stranger who administers another organization, root administers the platform.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.test import Client

from workspaces.models import (
    Account,
    Host,
    KubernetesVersion,
    Look,
    MaintenancePlan,
    ManagementCluster,
    Membership,
    Organization,
    Project,
    Workspace,
)

NOW = datetime(2026, 11, 24, 14, 32, tzinfo=UTC)  # a Tuesday
PASSWORD = "correct horse battery staple"
KUBECONFIG = "apiVersion: v1"

# version, active, upgrade_from, security, end of life
CATALOGUE = [
    ("1.33.9", True, "any", False, date(2026, 10, 31)),
    ("1.34.8", True, ">=1.33.0 <1.35.0", False, date(2027, 2, 28)),
    ("1.34.11", True, ">=1.33.0 <1.35.0", True, date(2027, 2, 28)),
    ("1.35.4", True, ">=1.34.2 <1.36.0", False, date(2027, 6, 30)),
    ("1.35.6", False, ">=1.34.2 <1.36.0", False, date(2027, 6, 30)),
    ("1.35.7", True, ">=1.34.2 <1.36.0", False, date(2027, 6, 30)),
    ("1.36.2", True, ">=1.35.4 <1.37.0", False, date(2027, 10, 31)),
    ("1.37.1", False, ">=1.36.0 <1.38.0", False, None),
]


def organization(name: str) -> Organization:
    """The organization of that name."""
    return Organization.objects.get_or_create(name=name)[0]


def project(name: str = "Freight Core", of: str = "Kestrel Freight") -> Project:
    """The project of that name in that organization."""
    return Project.objects.get_or_create(organization=organization(of), name=name)[0]


def account(email: str, role: str = "", *, on: Organization | Project | None = None, **fields: Any) -> Account:
    """An account with a role on an organization or narrowed to a project."""
    person = Account.objects.create_user(email, PASSWORD, **fields)
    if isinstance(on, Project):
        Membership.objects.create(account=person, organization=on.organization, project=on, role=role)
    elif on is not None:
        Membership.objects.create(account=person, organization=on, role=role)
    return person


def management_cluster(name: str = "mgmt-fsn1", **fields: Any) -> ManagementCluster:
    """A management cluster whose Kamaji goes up to 1.36."""
    defaults = {"max_version": "1.36", "kubeconfig": KUBECONFIG} | fields
    return ManagementCluster.objects.get_or_create(name=name, defaults=defaults)[0]


def kubernetes(name: str = "ledger-prod", *, hosts: int = 3, version: str = "1.34.8", **fields: Any) -> Workspace:
    """An active Kubernetes workspace, seen a moment ago, all hosts ready on its version."""
    values: dict[str, Any] = {
        "project": project(),
        "state": "active",
        "location": "fsn1",
        "management_cluster": management_cluster(),
        "namespace": f"ws-{name}",
        "control_plane": name,
        "control_plane_status": "Ready",
        "control_plane_wanted": version,
        "control_plane_replicas": 2,
        "kubelet_versions": version if hosts else "",
        "host_count": hosts,
        "hosts_ready": hosts,
        "observed_at": NOW,
    }
    made = Workspace(name=name, type="kubernetes", **(values | fields))
    made.observe_version(version)
    made.save()
    MaintenancePlan.objects.create(workspace=made, kubernetes_auto_upgrade=True, updated_at=NOW)
    Host.objects.bulk_create(
        Host(
            workspace=made,
            name=f"{name}-w{number}",
            node_name=f"{name}-w{number}",
            profile="ccx23",
            location="fsn1",
            ansible={"ansible_host": "127.0.0.1"},
            kubelet_version=version,
            ready=True,
            provider_status="running",
            observed_at=NOW,
        )
        for number in range(1, hosts + 1)
    )
    return made


def baremetal(name: str = "customs-archive", *, hosts: int = 2, **fields: Any) -> Workspace:
    """An active set of bare-metal hosts."""
    values: dict[str, Any] = {
        "project": project(),
        "state": "active",
        "location": "hel1",
        "host_count": hosts,
        "hosts_ready": hosts,
        "observed_at": NOW,
    }
    made = Workspace.objects.create(name=name, type="baremetal", **(values | fields))
    MaintenancePlan.objects.create(workspace=made, kubernetes_auto_upgrade=None, updated_at=NOW)
    Host.objects.bulk_create(
        Host(
            workspace=made,
            name=f"{name}-{number}",
            ansible={"ansible_host": "127.0.0.1"},
            ready=True,
            os_name="Debian GNU/Linux 13 (trixie)",
            observed_at=NOW,
        )
        for number in range(1, hosts + 1)
    )
    return made


def looked_at(workspace: Workspace, at: datetime = NOW, **fields: Any) -> list[Look]:
    """The looks that concern the workspace, each made at `at` and due a period later; `fields` on all of them."""
    accounts = {host.provider_account for host in workspace.hosts.exclude(provider_account=None)}
    zones = {record.provider_account for record in workspace.dns_records.all()}
    targets: list[tuple[str, dict[str, Any]]] = [("cluster", {"workspace": workspace})]
    if workspace.is_kubernetes:
        targets.append(("seeding", {"workspace": workspace}))
    if workspace.management_cluster:
        targets.append(("control_planes", {"management_cluster": workspace.management_cluster}))
    targets += [("servers", {"provider_account": account}) for account in accounts]
    targets += [("dns", {"provider_account": account}) for account in zones]
    made = []
    for kind, target in targets:
        every = {"dns": 300, "seeding": 600}.get(kind, 60)
        seen = {"every": every, "succeeded_at": at, "tried_at": at, "milliseconds": 85, "failures": 0}
        values = seen | {"due_at": at + timedelta(seconds=every)} | fields
        made.append(Look.objects.update_or_create(kind=kind, **target, defaults=values)[0])
    return made


def load_catalogue() -> list[KubernetesVersion]:
    """The versions of CATALOGUE; 1.35.6 was withdrawn."""
    for version, active, upgrade_from, security, end in CATALOGUE:
        KubernetesVersion.objects.create(
            version=version,
            active=active,
            upgrade_from=upgrade_from,
            security=security,
            end_of_life_on=end,
            withdrawn_reason="Volume detach can hang." if version == "1.35.6" else "",
        )
    return list(KubernetesVersion.objects.all())


def sign_in(client: Client, who: Account) -> Client:
    """The client with `who` signed in."""
    client.force_login(who, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client
