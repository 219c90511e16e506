"""Ten thousand workspaces in forty projects of one organization, with plans, hosts and a catalogue."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from django.db import connection
from django.utils import timezone

from tests import cast
from workspaces.models import Account, Host, MaintenancePlan, ManagementCluster, Project, Workspace

SIZE = 10_000
VERSIONS = ("1.33.9", "1.34.8", "1.34.11", "1.35.4", "1.36.2")


def fill() -> Account:
    """Make all rows; gives the administrator who reads them."""
    alice = cast.account("alice@kestrel.example", "administrator", on=cast.organization("Kestrel Freight"))
    cast.load_catalogue()
    projects = [cast.project(f"Project {number:02}") for number in range(40)]
    clusters = [cast.management_cluster(name) for name in ("mgmt-fsn1", "mgmt-hel1")]
    made = [_workspace(number, projects, clusters) for number in range(SIZE)]
    Workspace.objects.bulk_create(made, batch_size=2000)
    MaintenancePlan.objects.bulk_create(
        (_plan(number, workspace) for number, workspace in enumerate(made)), batch_size=2000
    )
    hosts = itertools.chain.from_iterable(_hosts(number, workspace) for number, workspace in enumerate(made))
    Host.objects.bulk_create(hosts, batch_size=5000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return alice


def _workspace(number: int, projects: list[Project], clusters: list[ManagementCluster]) -> Workspace:
    """Every seventeenth has a host that is down, every fourth is bare metal."""
    metal, down = number % 4 == 3, number % 17 == 0
    workspace = Workspace(
        name=f"workspace-{number:05}",
        project=projects[number % len(projects)],
        type="baremetal" if metal else "kubernetes",
        state="active",
        location="fsn1",
        management_cluster=None if metal else clusters[number % 2],
        namespace="" if metal else f"ws-{number:05}",
        control_plane="" if metal else f"workspace-{number:05}",
        control_plane_status="" if metal else "Ready",
        control_plane_replicas=0 if metal else 2,
        host_count=3,
        hosts_ready=2 if down else 3,
        attention="Not ready: host-1" if down else "",
        attention_tone="bad" if down else "",
        observed_at=timezone.now(),
    )
    if not metal:
        workspace.observe_version(VERSIONS[number % len(VERSIONS)])
        workspace.control_plane_wanted = workspace.kubernetes_version
    return workspace


def _plan(number: int, workspace: Workspace) -> MaintenancePlan:
    return MaintenancePlan(
        workspace=workspace,
        enabled=number % 50 != 0,
        hour_1=number % 24,
        priority_hour=(number + 7) % 24,
        kubernetes_auto_upgrade=workspace.is_kubernetes or None,
    )


def _hosts(number: int, workspace: Workspace) -> Iterator[Host]:
    for place in range(3):
        down = number % 17 == 0 and place == 1
        yield Host(
            workspace=workspace,
            name=f"host-{place}",
            node_name=f"host-{place}" if workspace.is_kubernetes else "",
            kubelet_version="1.33.9" if number % 40 == 0 and workspace.is_kubernetes else workspace.kubernetes_version,
            ansible={"ansible_host": "192.0.2.1"},
            ready=not down,
            observed_at=workspace.observed_at,
        )
