"""The document from which the simulators make the world that the sample fleet lives in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import count
from typing import Any

from workspaces.management.fleet import dns, kept, windows
from workspaces.management.fleet.sample import LOCATIONS, MANAGEMENT_CLUSTERS, PROFILES, SampleWorkspace


def document(workspaces: Sequence[SampleWorkspace]) -> dict[str, Any]:
    """Management clusters with tenants, cloud projects with servers, and hosts with packages."""
    return {
        "management_clusters": [
            {
                "name": name,
                "version": "v1.36.2",
                "kamaji_max": "v1.36.0",
                "tenants": [
                    _tenant(one) for one in workspaces if one.management_cluster == name and one.trouble != "starting"
                ],
            }
            for name in MANAGEMENT_CLUSTERS
        ],
        "hetzner_projects": [
            {
                "name": cloud_project(organization),
                "token": token(organization),
                "read_only": False,
                "servers": [
                    server
                    for one in workspaces
                    if one.type == "kubernetes" and one.organization == organization
                    for server in _servers(one)
                ],
                "zones": dns.zones(organization, workspaces),
                **kept.in_project(
                    [one for one in workspaces if one.type == "kubernetes" and one.organization == organization]
                ),
            }
            for organization in LOCATIONS
        ],
        "hosts": [host for one in workspaces for host in _hosts(one)],
    }


def cloud_project(organization: str) -> str:
    """Name of the organization's cloud project."""
    return organization.split()[0].lower()


def token(organization: str) -> str:
    """The token that the simulated cloud accepts for the organization: 64 characters, the same on every start."""
    return hashlib.sha256(organization.encode()).hexdigest()


def profile(workspace: SampleWorkspace, number: int) -> str:
    """The server type of a host."""
    return PROFILES[(len(workspace.name) + number // 2) % len(PROFILES)]


def _tenant(one: SampleWorkspace) -> dict[str, Any]:
    return {
        "namespace": one.namespace,
        "name": one.name,
        "version": f"v{one.version}",
        "replicas": 2,
        "paused": one.trouble == "paused",
        "labels": {"app.kubernetes.io/managed-by": "loopback"},
        "nodes": [
            {
                "name": name,
                "kubelet": f"v{one.kubelet_version(number)}",
                "ready": not (one.trouble == "host_down" and number == 1),
                "unschedulable": False,
                "internal_ip": f"10.{len(one.name)}.{sum(map(ord, one.name)) % 250}.{number + 4}",
            }
            for number, name in enumerate(one.node_names)
        ],
        "workloads": _workloads(one),
        "deprecated_apis": [],
    }


def _workloads(one: SampleWorkspace) -> list[dict[str, Any]]:
    """A web front, a worker, and where the story says so a budget that never yields."""
    spread = max(2, one.hosts)
    workloads: list[dict[str, Any]] = [
        {
            "namespace": "shop",
            "name": "web",
            "kind": "Deployment",
            "replicas": spread,
            "ready": spread,
            "budget": {"minAvailable": 1},
        },
        {"namespace": "shop", "name": "worker", "kind": "Deployment", "replicas": spread, "ready": spread},
    ]
    if one.trouble == "failed_drain":
        stuck = {
            "namespace": "routing",
            "name": "planner",
            "kind": "StatefulSet",
            "replicas": one.hosts,
            "ready": one.hosts,
        }
        workloads.append(stuck | {"budget": {"maxUnavailable": 0}})
    return workloads


def _servers(one: SampleWorkspace) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "server_type": profile(one, number),
            "location": one.location,
            "image": "debian-13",
            "labels": {"loopback/workspace": str(one.key)},
            "status": "off" if one.trouble == "host_down" and number == 1 else "running",
        }
        for number, name in zip(count(), one.host_names, strict=False)
    ]


def _hosts(one: SampleWorkspace) -> list[dict[str, Any]]:
    made = []
    for number, name in enumerate(one.host_names):
        if one.trouble == "unreachable" and number == 1:
            continue  # its row has an address at which nothing listens
        waiting = [*windows.WAITING, *([windows.KERNEL] if len(one.name) % 3 == 0 else [])]
        host: dict[str, Any] = {"name": name, "os": "debian-13", "packages": {}, "held": [], "updates": waiting}
        if one.type == "kubernetes":
            package = f"{one.kubelet_version(number) or one.version}-1.1"
            host |= {
                "cluster": f"{one.namespace}/{one.name}",
                "node": name,
                "packages": {"kubeadm": package, "kubelet": package, "kubectl": package},
                "held": ["kubeadm", "kubelet", "kubectl"],
            }
        made.append(host)
    return made
