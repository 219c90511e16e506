"""The fleet of the `reconciling` benchmark: the rows, the simulated world behind them, and what others change there."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hcloud.servers import Server as Subject
from kubernetes import client

from tests.simulators.running import RunningWorld
from workspaces.models import Drift, Host, ManagementCluster, Organization, Project, ProviderAccount, Workspace
from workspaces.operations import connections
from workspaces.providers.kubeconfig import connect
from workspaces.rules import labels, looks

CLUSTERS, ACCOUNTS = 20, 40
VERSION = "1.34.8"
CONTROL_PLANES = {"group": "kamaji.clastix.io", "version": "v1alpha1", "plural": "tenantcontrolplanes"}
PAGES = ("/apis/kamaji.clastix.io/v1alpha1/tenantcontrolplanes", "/v1/servers", "/servers")


@dataclass(frozen=True)
class Calls:
    """Requests that arrived at the vendors; `pages` of them were pages of the two listings."""

    calls: int
    pages: int

    def __sub__(self, before: Calls) -> Calls:
        return Calls(self.calls - before.calls, self.pages - before.pages)


class Fleet:
    """Grows from one size to the next; workspace n is on cluster n mod 20 and has its server in account n mod 40."""

    def __init__(self, world: RunningWorld) -> None:
        self._world, self.size, self._changed = world, 0, 0
        self._project = Project.objects.create(name="Fleet", organization=Organization.objects.create(name="Benchmark"))
        self.clusters: list[ManagementCluster] = []
        self.accounts: list[ProviderAccount] = []

    # --- Growing ------------------------------------------------------------------------------------------------------
    def grow(self, size: int) -> None:
        """Add workspaces up to `size`. What was seen of those that are there is forgotten: everything is new again."""
        new = range(self.size, size)
        self._grow_world(new)
        if not self.clusters:
            self._connect()
        self._add_rows(new)
        self.size = size
        self._forget()

    def _grow_world(self, new: range) -> None:
        """One request for all of it: the world saves itself after each."""
        clusters = [
            {
                "name": f"mgmt-{cluster}",
                "version": "v1.36.2",
                "kamaji_max": "v1.36.0",
                "tenants": [_tenant(number) for number in new if number % CLUSTERS == cluster],
            }
            for cluster in range(CLUSTERS)
        ]
        projects = [
            {
                "name": f"project-{account}",
                "token": _token(account),
                "server_limit": 1000,
                "servers": [_server(number) for number in new if number % ACCOUNTS == account],
            }
            for account in range(ACCOUNTS)
        ]
        self._world.add({"management_clusters": clusters, "hetzner_projects": projects})

    def _connect(self) -> None:
        """Rows of the clusters and accounts, with their credentials."""
        kubeconfigs = {one["name"]: one["kubeconfig"] for one in self._world.ready["management_clusters"]}
        self.clusters = [
            ManagementCluster.objects.create(name=name, max_version="1.36", kubeconfig=kubeconfigs[name])
            for name in (f"mgmt-{number}" for number in range(CLUSTERS))
        ]
        self.accounts = [
            ProviderAccount.objects.create(
                organization=self._project.organization,
                name=f"project-{number}",
                token=_token(number),
                endpoint=self._world.ready["hetzner_url"],
            )
            for number in range(ACCOUNTS)
        ]

    def _add_rows(self, new: Sequence[int]) -> None:
        Workspace.objects.bulk_create(
            (
                Workspace(
                    pk=_key("workspace", number),
                    project=self._project,
                    name=f"w-{number}",
                    type="kubernetes",
                    state="active",
                    management_cluster=self.clusters[number % CLUSTERS],
                    namespace=f"ws-{number}",
                    control_plane=f"w-{number}",
                )
                for number in new
            ),
            batch_size=1000,
        )
        ids = dict(self._servers())
        Host.objects.bulk_create(
            (
                Host(
                    pk=_key("host", number),
                    workspace_id=_key("workspace", number),
                    name=f"w-{number}-w1",
                    provider_account=self.accounts[number % ACCOUNTS],
                    provider_id=ids[f"w-{number}-w1"],
                )
                for number in new
            ),
            batch_size=1000,
        )

    def _servers(self) -> Iterator[tuple[str, int]]:
        for account in self.accounts:
            for server in connections.cloud(account).servers():
                yield server.name, server.id

    def _forget(self) -> None:
        """As they were before the first look."""
        Workspace.objects.update(
            kubernetes_version="", version_key=0, control_plane_status="", control_plane_wanted="",
            control_plane_replicas=0, control_plane_revision="", kubeconfig_secret="", endpoint="", wanted={},
            conditions=[], attention="", attention_tone="", host_count=0, hosts_ready=0,
        )  # fmt: skip
        Host.objects.update(provider_status="", profile="", location="", disk_gb=None, wanted={})
        Drift.objects.all().delete()

    # --- Looking ------------------------------------------------------------------------------------------------------
    def looks(self) -> list[tuple[str, uuid.UUID]]:
        """The looks of one full pass, clusters and accounts in turn."""
        found = [(looks.CONTROL_PLANES, cluster.pk) for cluster in self.clusters]
        found += [(looks.SERVERS, account.pk) for account in self.accounts]
        return found

    def calls(self) -> Calls:
        """What has arrived at the vendors so far."""
        entries = [entry for service in ("kubernetes", "hetzner") for entry in self._world.journal(service=service)]
        pages = [one for one in entries if one["method"] == "GET" and one["path"].partition("?")[0] in PAGES]
        return Calls(len(entries), len(pages))

    def vendors_cpu(self) -> float:
        """Seconds that the process of the simulators has computed so far."""
        fields = Path(f"/proc/{self._world.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # --- Changing -----------------------------------------------------------------------------------------------------
    def change(self, number: int) -> int:
        """Somebody else changes so many workspaces: replicas of every other control plane, the power of other servers.

        Returns how many were. They are spread over clusters and accounts, and others each time.
        """
        chosen = [(self._changed + each * 7) % self.size for each in range(number)]
        self._changed += 1
        hosts = dict(Host.objects.values_list("pk", "provider_id"))
        apis: dict[int, client.CustomObjectsApi] = {}
        for turn, each in enumerate(chosen):
            if turn % 2:
                cloud = connections.cloud(self.accounts[each % ACCOUNTS])._client
                cloud.servers.power_off(Subject(id=hosts[_key("host", each)])).wait_until_finished()
                continue
            cluster = each % CLUSTERS
            if cluster not in apis:
                apis[cluster] = client.CustomObjectsApi(connect(self.clusters[cluster].kubeconfig.reveal()))
            apis[cluster].patch_namespaced_custom_object(
                **CONTROL_PLANES,
                namespace=f"ws-{each}",
                name=f"w-{each}",
                body={"spec": {"controlPlane": {"deployment": {"replicas": 3}}}},
                field_manager="kubectl-edit",
            )
        return len(chosen)


def _key(kind: str, number: int) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{kind} {number}")


def _token(account: int) -> str:
    return f"{account}".ljust(64, "t")


def _tenant(number: int) -> dict[str, Any]:
    """Its control plane is told completely; nothing listens behind its endpoint, which no listing asks."""
    head = {"namespace": f"ws-{number}", "name": f"w-{number}", "version": f"v{VERSION}", "replicas": 2}
    return head | {"nodes": [], "workloads": [], "served": False}


def _server(number: int) -> dict[str, Any]:
    head = {"name": f"w-{number}-w1", "server_type": "cpx32", "location": "fsn1", "image": "debian-13"}
    ours = labels.of_host(_key("workspace", number), _key("host", number), _key("operation", number))
    return head | {"status": "running", "labels": ours}
