"""All simulated clusters together: added from a world's spec, told what hosts do to their nodes, kept and restored."""

import asyncio
from pathlib import Path
from typing import Any

from workspaces.simulators.clusters.errors import error_body
from workspaces.simulators.clusters.management import Management
from workspaces.simulators.clusters.store import Document
from workspaces.simulators.clusters.tenant import Tenant
from workspaces.simulators.faults import Faults
from workspaces.simulators.journal import Journal

STATE_FAULTS = (
    "lost_node", "budget", "upgrade_hang", "no_capacity", "not_ready", "datastore_down", "webhook_down", "refuse",
    "hang",
)  # fmt: skip
LOOK_SECONDS = 0.2
SHORTEST_PHASE = 0.001


class Clusters:
    """The management clusters of a world and their tenants. A tenant is named "namespace/name" everywhere."""

    def __init__(self, faults: Faults, journal: Journal, state_dir: Path, phase_seconds: float) -> None:
        self._faults, self._journal, self._phase = faults, journal, max(phase_seconds, SHORTEST_PHASE)
        self._directory = state_dir / "clusters"
        self.managements: dict[str, Management] = {}
        self._watching: asyncio.Task[None] | None = None
        faults.register_error_body("kubernetes", error_body)

    async def start(self) -> None:
        """Serves what was restored and watches the faults that are states."""
        for management in self.managements.values():
            await management.resume()
        self._watching = asyncio.get_running_loop().create_task(self._watch_faults())

    async def stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await asyncio.gather(*(management.stop() for management in self.managements.values()))

    async def add(self, spec: Document) -> None:
        """Adds the management clusters and tenants that are not there yet; after `start`."""
        for entry in spec.get("management_clusters", ()):
            management = self.managements.get(entry["name"])
            if management is None:
                management = self._new(entry)
                await management.server.start()
                management.fill()
                self.managements[entry["name"]] = management
            for tenant in entry.get("tenants", ()):
                await management.add_tenant(tenant)

    def _new(self, spec: Document, port: int = 0) -> Management:
        return Management(spec, self._faults, self._journal, self._directory, self._phase, port)

    def ready(self) -> Document:
        """Names, URLs and kubeconfigs: see the world's interface."""
        return {"management_clusters": [_ready(management) for management in self.managements.values()]}

    def snapshot(self) -> Document:
        """Plain JSON; it shares the stored documents, which never change in place."""
        return {"management_clusters": [management.snapshot() for management in self.managements.values()]}

    def restore(self, snapshot: Document) -> None:
        """Before `start`: clusters come back with their ports, tokens and CAs."""
        for held in snapshot["management_clusters"]:
            management = self.managements[held["spec"]["name"]] = self._new(held["spec"], held["port"])
            management.restore(held)

    async def _watch_faults(self) -> None:
        """Notices that a fault which is a state came or went; everything else about faults is asked when needed."""
        seen: list[tuple[Any, ...]] = []
        while True:
            states = [(f.id, f.times == 0) for f in self._faults.all() if f.kind in STATE_FAULTS]
            if states != seen:
                seen = states
                for management in self.managements.values():
                    management.look_again()
            await asyncio.sleep(min(LOOK_SECONDS, self._phase / 4))

    def issue_certificate(self, cluster: str, days: float) -> str:
        """The kubeconfig of a management cluster, or of a tenant ("namespace/name"), with a new client certificate
        that ends in so many days; a tenant's is put into its Secret. Raises KeyError for a cluster that is not there.
        """
        if cluster in self.managements:
            self.managements[cluster].issue_certificate(days)
            return self.managements[cluster].kubeconfig()
        for management in self.managements.values():
            if cluster in management.tenants:
                return management.reissue(cluster, days)
        raise KeyError(cluster)

    # The kubelet side, called by hosts ----------------------------------------------------------------------------

    def _tenant(self, cluster: str) -> Tenant | None:
        return next((m.tenants[cluster] for m in self.managements.values() if cluster in m.tenants), None)

    def kubeadm_version(self, cluster: str) -> str:
        """kubernetesVersion in the tenant's kubeadm-config, "" when the tenant is unknown or cannot be reached."""
        tenant = self._tenant(cluster)
        return tenant.kubeadm_version() if tenant is not None and tenant.reachable else ""

    def kubelet_restarted(self, cluster: str, node: str, version: str) -> None:
        """The kubelet of that node was restarted and is of that version ("v1.35.7"); it reports half a phase later."""
        tenant = self._tenant(cluster)
        if tenant is not None:
            tenant.kubelets.restart(node, version)

    def kubelet_stopped(self, cluster: str, node: str) -> None:
        """The kubelet of that node was stopped, or its host went down: it is silent until it is restarted."""
        tenant = self._tenant(cluster)
        if tenant is not None:
            tenant.kubelets.stop(node)
            tenant.nodes.monitor()

    def join(self, endpoint: str, node: Document) -> str:
        """A host that was let in at this address of a tenant registers its node (see `Kubelets.join`); the tenant."""
        port = endpoint.rpartition(":")[2]
        tenants = (tenant for management in self.managements.values() for tenant in management.tenants.values())
        tenant = next(tenant for tenant in tenants if str(tenant.server.port) == port)
        tenant.kubelets.join(node)
        return tenant.key

    def trust(self, endpoint: str, node: str) -> None:
        """The kubelet of that node was given credentials at this address of a tenant, and is heard from now on."""
        port = endpoint.rpartition(":")[2]
        for management in self.managements.values():
            for tenant in management.tenants.values():
                if str(tenant.server.port) == port:
                    tenant.kubelets.trust(node)

    def host_rebooted(self, cluster: str, node: str) -> None:
        """The node's host was rebooted: a new bootID half a phase later."""
        tenant = self._tenant(cluster)
        if tenant is not None:
            tenant.kubelets.restart(node, "", new_boot=True)


def _ready(management: Management) -> Document:
    tenants = []
    for key, tenant in management.tenants.items():
        namespace, _, name = key.partition("/")
        config = management.tenant_kubeconfig(key)
        endpoint = tenant.server.endpoint
        tenants.append({"namespace": namespace, "name": name, "endpoint": endpoint, "kubeconfig": config})
    head = {"name": management.name, "url": management.url, "kubeconfig": management.kubeconfig()}
    return {**head, "tenants": tenants}
