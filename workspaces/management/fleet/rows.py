"""The rows of the sample fleet: made once, and linked to the simulated world's addresses on every start."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from workspaces.management.fleet import dns, history, kept, prices, seeding, world
from workspaces.management.fleet.sample import CATALOGUE, COST_CENTERS, FLEET, LOCATIONS, PEOPLE, SampleWorkspace
from workspaces.models import (
    PLATFORM,
    Account,
    ApiKey,
    Event,
    Host,
    Kubeconfig,
    KubernetesVersion,
    MaintenancePlan,
    ManagementCluster,
    Membership,
    Organization,
    Project,
    ProviderAccount,
    SshKey,
    Workspace,
)
from workspaces.models.health import reassess
from workspaces.providers.hetzner import HetznerCloud


def exist() -> bool:
    """Whether the fleet has been made before."""
    return Organization.objects.filter(name__in=FLEET).exists()


@transaction.atomic
def create(workspaces: Sequence[SampleWorkspace], password: str) -> dict[str, str]:
    """Make all rows; returns the API keys by role, which cannot be read again."""
    for version, active, upgrade_from, security, released, end, withdrawn in CATALOGUE:
        KubernetesVersion.objects.create(
            version=version,
            active=active,
            upgrade_from=upgrade_from,
            security=security,
            released_on=released,
            end_of_life_on=end,
            withdrawn_reason=withdrawn,
        )
    projects = _tenancy(password)
    clusters = {
        name: ManagementCluster.objects.create(name=name, location=name[-4:], max_version="1.36", kubeconfig="")
        for name in sorted({one.management_cluster for one in workspaces if one.management_cluster})
    }
    for one in workspaces:
        _workspace(one, projects[one.organization, one.project], clusters.get(one.management_cluster))
    prices.agree()
    seeding.create()
    dns.create()
    for one in workspaces:
        if one.trouble == "failed_drain":
            history.stopped_upgrade(Workspace.objects.get(name=one.name))
    _kubeconfigs()
    return _api_keys()


def _tenancy(password: str) -> dict[tuple[str, str], Project]:
    """Organizations, projects, provider accounts, people."""
    projects = {}
    for name, names in FLEET.items():
        organization = Organization.objects.create(name=name)
        ProviderAccount.objects.create(
            organization=organization,
            name=world.cloud_project(name),
            token=world.token(name),
            server_limit=prices.SERVER_LIMITS[name],
        )
        for project in names:
            projects[name, project] = Project.objects.create(
                organization=organization, name=project, cost_center=f"CC-{COST_CENTERS[project]}"
            )
    for email, full_name, role, organization_name, project_name in PEOPLE:
        first, last = full_name.split(maxsplit=1)
        if not organization_name:
            Account.objects.create_superuser(email, password, first_name=first, last_name=last)
            continue
        account = Account.objects.create_user(email, password, first_name=first, last_name=last)
        Membership.objects.create(
            account=account,
            organization=Organization.objects.get(name=organization_name),
            project=projects.get((organization_name, project_name)),
            role=role,
        )
    return projects


STATES = {
    "gated": ("gated", seeding.REASON),
    "leaving": ("deletion_scheduled", ""),
    "starting": ("provisioning", ""),
}


def _workspace(one: SampleWorkspace, project: Project, cluster: ManagementCluster | None) -> None:
    state, reason = STATES.get(one.trouble, ("active", ""))
    row = Workspace.objects.create(
        id=one.key,
        project=project,
        name=one.name,
        type=one.type,
        state=state,
        state_reason=reason,
        state_since=timezone.now() - timedelta(hours=3),
        protected=one.name.endswith("-prod"),
        location=one.location,
        management_cluster=cluster,
        namespace=one.namespace if cluster else "",
        control_plane=one.name if cluster else "",
    )
    off = one.trouble == "off"
    hours: dict[str, Any] = dict(zip(MaintenancePlan.HOURS, one.hours, strict=True))
    MaintenancePlan.objects.create(
        workspace=row,
        enabled=not off,
        disabled_at=datetime(2026, 11, 12, 9, 20, tzinfo=UTC) if off else None,
        disabled_by="Sigrid Dahl" if off else "",
        priority_hour=one.priority_hour,
        compute_auto_update=True,
        kubernetes_auto_upgrade=None if one.type == "baremetal" else len(one.name) % 3 != 0,
        **hours,
    )
    Host.objects.bulk_create(
        Host(
            workspace=row,
            name=name,
            node_name=name if cluster else "",
            profile=world.profile(one, number) if cluster else "ax42",
            location=one.location,
            kubelet_version=one.kubelet_version(number),
        )
        for number, name in enumerate(one.host_names)
    )
    if one.trouble == "leaving":
        kept.schedule(row, by="Sigrid Dahl")
    Event.record(PLATFORM, "workspace.created", workspace=row, summary=f"{one.name} was set up")


def _kubeconfigs() -> None:
    """Some that administrators took in the last year; the certificate of the oldest has ended."""
    now = timezone.now()
    for organization, email, days, reason in (
        ("Kestrel Freight", "ines.albrecht@kestrel.example", 370, "First set-up of the ingress controller"),
        ("Kestrel Freight", "ines.albrecht@kestrel.example", 64, "Restore drill, OPS-2291"),
        ("Fjordline Energy", "sigrid.dahl@fjordline.example", 12, "Export of manifests before the move"),
        ("Meridian Health", "jonas.weber@meridian.example", 141, "Audit of cluster roles"),
    ):
        by, taken_at = Account.objects.get(email=email), now - timedelta(days=days)
        clusters = Workspace.objects.filter(project__organization__name=organization, type="kubernetes", state="active")
        workspace = clusters.order_by("name").first()
        if workspace is not None:
            Kubeconfig.objects.create(
                workspace=workspace,
                requested_by=str(by),
                requested_by_id=by.pk,
                requested_at=taken_at - timedelta(minutes=1),
                reason=reason,
                state="taken",
                fetched_at=taken_at - timedelta(seconds=50),
                taken_at=taken_at,
                # Kamaji's certificates last a year, and were a week old then.
                certificate_until=taken_at + timedelta(days=358),
            )


def _api_keys() -> dict[str, str]:
    """One key for each role on Kestrel Freight, and one of a stranger."""
    platform = Account.objects.get(email=PEOPLE[0][0])
    kestrel, fjordline = (Organization.objects.get(name=name) for name in ("Kestrel Freight", "Fjordline Energy"))
    places = dict.fromkeys(("administrator", "operator", "viewer"), kestrel) | {"stranger": fjordline}
    return {
        name: ApiKey.issue(
            name=f"demo {name}",
            organization=organization,
            role="administrator" if name == "stranger" else name,
            created_by=platform,
            expires_at=timezone.now() + timedelta(days=365),
        )[1]
        for name, organization in places.items()
    }


@transaction.atomic
def connect(ready: dict[str, Any]) -> None:
    """Store the world's addresses and credentials; they may differ from the last start."""
    for cluster in ready["management_clusters"]:
        ManagementCluster.objects.filter(name=cluster["name"]).update(kubeconfig=cluster["kubeconfig"])
    key, _ = SshKey.objects.update_or_create(name="fleet", defaults={"private_key": ready["ssh_private_key"]})
    ProviderAccount.objects.update(
        endpoint=ready["hetzner_url"], ssh_key=key, connection=ready.get("hetzner_connection", {})
    )
    reachable = {host["name"]: host for host in ready["hosts"]}
    servers = {name: _servers(name, ready["hetzner_url"]) for name in LOCATIONS}
    changed = []
    for host in Host.objects.select_related("workspace__project__organization"):
        organization = host.workspace.project.organization
        host.ssh_key = key
        host.ansible, host.known_hosts = _ssh(reachable.get(host.name))
        host.provider_id = servers.get(organization.name, {}).get(host.name)
        if host.provider_id:
            host.provider_account = organization.provider_accounts.get()
        changed.append(host)
    fields = ["ssh_key", "ansible", "known_hosts", "provider_id", "provider_account"]
    Host.objects.bulk_update(changed, fields, batch_size=500)
    prices.ask()
    reassess(list(Workspace.objects.values_list("pk", flat=True)), timezone.now())


def _servers(organization: str, endpoint: str) -> dict[str, int]:
    """The cloud's ids of the organization's servers, by name."""
    return {server.name: server.id for server in HetznerCloud(world.token(organization), endpoint).servers()}


def _ssh(host: dict[str, Any] | None) -> tuple[dict[str, Any], str]:
    """Ansible's connection variables and the pinned host key; a host nobody listens for keeps a dead address."""
    if host is None:
        return {"ansible_host": "127.0.0.1", "ansible_port": 9, "ansible_user": "root"}, ""
    variables = {
        "ansible_host": host["address"],
        "ansible_port": host["port"],
        "ansible_user": host["user"],
        "ansible_python_interpreter": sys.executable,
        "host_root": host["root"],
    }
    return variables, f"[{host['address']}]:{host['port']} {host['host_key']}\n"
