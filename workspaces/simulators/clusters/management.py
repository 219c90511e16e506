"""One management cluster: an API server with Kamaji's kinds, Kamaji's stand-in, and the tenants it runs."""

import asyncio
import base64
from pathlib import Path

from workspaces.simulators.clusters import documents
from workspaces.simulators.clusters.access import Access
from workspaces.simulators.clusters.api import Api
from workspaces.simulators.clusters.bootstrap import MASTERS, add_basics, add_namespace, add_service_account, bind
from workspaces.simulators.clusters.certificates import Authority
from workspaces.simulators.clusters.data_stores import DataStores
from workspaces.simulators.clusters.definitions import DATA_STORE, DEFINITIONS
from workspaces.simulators.clusters.fields import add_defaults
from workspaces.simulators.clusters.kamaji import PAUSED, Kamaji
from workspaces.simulators.clusters.kinds import (
    CONTROL_PLANES,
    CUSTOM_RESOURCE_DEFINITIONS,
    DATA_STORES,
    MANAGEMENT_KINDS,
    SECRETS,
)
from workspaces.simulators.clusters.metrics import Metrics
from workspaces.simulators.clusters.namespaces import NamespaceController
from workspaces.simulators.clusters.schema import CONTROL_PLANE
from workspaces.simulators.clusters.server import Server
from workspaces.simulators.clusters.store import Document, Store
from workspaces.simulators.clusters.tenant import Tenant
from workspaces.simulators.clusters.timers import Timers
from workspaces.simulators.clusters.tokens import TokenRequests
from workspaces.simulators.clusters.webhook import Webhook
from workspaces.simulators.clusters.writers import MANAGEMENT, Writers
from workspaces.simulators.faults import Faults
from workspaces.simulators.journal import Journal

CONSOLE = ("kamaji-system", "console")
NOWHERE = "127.0.0.1:9"
USER = ("console", (MASTERS,))


class Management:
    """The cluster of a world's `management_clusters` entry; `"kamaji": false` leaves only the API server and the
    CRDs, `"anonymous": false` is --anonymous-auth=false. With `certificate_days` its kubeconfig holds a client
    certificate that is good for so long instead of a token."""

    def __init__(
        self, spec: Document, faults: Faults, journal: Journal, directory: Path, phase: float, port: int = 0
    ) -> None:
        self.spec = {k: v for k, v in spec.items() if k != "tenants"}
        self.name, self.version = spec["name"], spec.get("version", "v1.36.2")
        self._faults, self._journal, self._directory = faults, journal, directory
        self.timers = Timers(phase)
        self.store = Store(MANAGEMENT_KINDS)
        self.tenants: dict[str, Tenant] = {}
        self.kamaji: Kamaji | None = None
        webhook, data_stores = None, DataStores(self.store, faults, self.name)
        if spec.get("kamaji", True):
            webhook = Webhook(self.store, faults, self.name, spec.get("kamaji_max", "v1.36.0"))
            self.kamaji = Kamaji(
                self.name, self.store, self.timers, faults, webhook, data_stores, self._tenant_of, self._forget
            )
        self.writers = Writers(MANAGEMENT)
        self.api = Api(self.store, webhook, self.writers)
        self.api.present = data_stores.present
        self.api.bookmark_seconds = min(10.0, 10 * phase)
        self.access = Access(self.store, anonymous=spec.get("anonymous", True))
        TokenRequests(self.api, self.access)
        self.authority = Authority(directory / self.name, "kubernetes")
        self.namespaces = NamespaceController(self.store, self.timers)
        self.metrics = Metrics()
        self.server = Server(self.name, self.api, self.access, self.authority, faults, journal, port)
        self.server.version = lambda: self.version
        self.server.metrics = self.metrics.text
        self.server.deprecations = self.metrics.note
        self.certificate: list[str] = []
        self._leaving: set[asyncio.Task[None]] = set()

    def fill(self) -> None:
        """The contents of a new management cluster, and a bearer token for the console."""
        add_basics(self.store)
        add_namespace(self.store, CONSOLE[0])
        add_service_account(self.store, *CONSOLE)
        bind(self.store, "console", [{"kind": "ServiceAccount", "namespace": CONSOLE[0], "name": CONSOLE[1]}])
        for definition in DEFINITIONS:
            self.store.create(CUSTOM_RESOURCE_DEFINITIONS, definition)
        self.store.create(DATA_STORES, DATA_STORE)
        self.access.issue_token(*CONSOLE)
        if "certificate_days" in self.spec:
            self.issue_certificate(self.spec["certificate_days"])

    def issue_certificate(self, days: float) -> None:
        """From now on `kubeconfig` holds a client certificate that ends in so many days (negative: it has ended)."""
        self.certificate = [part.decode() for part in self.authority.issue(*USER, days)]

    @property
    def url(self) -> str:
        return f"https://{self.server.endpoint}"

    def kubeconfig(self) -> str:
        """For the console: its service account's bearer token, or the certificate that was issued."""
        if self.certificate:
            certificate, key = (part.encode() for part in self.certificate)
            return self.authority.certificate_kubeconfig(self.url, USER[0], certificate, key)
        wanted = "/".join(CONSOLE)
        token = next(token for token, account in self.access.tokens.items() if account == wanted)
        return self.authority.kubeconfig(self.url, "console", {"token": token})

    def admin_kubeconfig(self) -> str:
        """For kubernetes-admin in system:masters: a client certificate."""
        return self.authority.client_kubeconfig(self.url, "kubernetes-admin", ("system:masters",))

    async def add_tenant(self, spec: Document) -> None:
        """A tenant of the world, Ready at once; one that exists stays as it is.

        Of one with `"served": false` there is the control plane's object only, for worlds of thousands: nobody answers
        at its address until its spec is changed.
        """
        place = (spec["namespace"], spec["name"])
        key = "/".join(place)
        if key in self.tenants or self.kamaji is None or place in self.kamaji.resting:
            return
        if not spec.get("served", True):
            self.kamaji.resting.add(place)
            self._add_control_plane(spec, NOWHERE)
            return
        tenant = self.tenants[key] = self._new_tenant(key, spec["version"])
        await tenant.open()
        tenant.fill(spec)
        self.kamaji.adopt(self._add_control_plane(spec, tenant.server.endpoint), tenant)

    def _add_control_plane(self, spec: Document, endpoint: str) -> Document:
        add_namespace(self.store, spec["namespace"])
        document = self.store.create(CONTROL_PLANES, _control_plane(spec))
        if spec.get("manager"):
            self.writers.made_by[document["metadata"]["uid"]] = spec["manager"]
        status = documents.status_skeleton(document, endpoint)
        replicas = document["spec"]["controlPlane"]["deployment"]["replicas"]
        ready = {"version": spec["version"], "status": "Ready"}
        resources = {
            "version": ready,
            "deployment": documents.deployment_status(document, replicas, replicas, replicas),
            "service": documents.service_status(document),
        }
        status |= {"observedGeneration": 1, "kubernetesResources": resources}
        return self.store.replace(CONTROL_PLANES, {**document, "status": status})

    def _new_tenant(self, key: str, version: str, port: int = 0) -> Tenant:
        return Tenant(key, version, self._faults, self._journal, self._directory, self.timers.phase, port)

    def _tenant_of(self, document: Document) -> Tenant:
        metadata = document["metadata"]
        key = f"{metadata['namespace']}/{metadata['name']}"
        if key not in self.tenants:
            tenant = self.tenants[key] = self._new_tenant(key, document["spec"]["kubernetes"]["version"])
            tenant.fill({})
        return self.tenants[key]

    def _forget(self, key: str) -> None:
        """The tenant's control plane is gone, and with it its CA."""
        tenant = self.tenants.pop(key, None)
        if tenant is not None:
            task = asyncio.get_running_loop().create_task(tenant.stop())
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
            tenant.authority.destroy()

    def tenant_kubeconfig(self, key: str) -> str:
        """admin.conf as the Secret holds it, "" while there is none."""
        namespace, _, name = key.partition("/")
        secret = self.store.get(SECRETS, namespace, f"{name}-admin-kubeconfig")
        return base64.b64decode(secret["data"]["admin.conf"]).decode() if secret else ""

    def reissue(self, key: str, days: float) -> str:
        """The admin kubeconfig of that tenant, issued anew to end in so many days; the next one is a usual one.

        Kamaji renews a day before the end: one that ends sooner is one it failed to renew. Raises KeyError.
        """
        document = self.store.get(CONTROL_PLANES, *key.split("/"))
        if document is None or self.kamaji is None:
            raise KeyError(key)
        self.kamaji.installed.issue_kubeconfig(document, self.tenants[key], days)
        return self.tenant_kubeconfig(key)

    def look_again(self) -> None:
        """Faults were added or removed."""
        if self.kamaji is not None:
            self.kamaji.look_again()
        for tenant in self.tenants.values():
            tenant.look_again()

    async def stop(self) -> None:
        self.timers.stop()
        await asyncio.gather(self.server.stop(), *(tenant.stop() for tenant in self.tenants.values()), *self._leaving)

    def snapshot(self) -> Document:
        return {
            "spec": self.spec,
            "port": self.server.port,
            "tokens": self.access.tokens,
            "certificate": self.certificate,
            "resting": sorted(self.kamaji.resting) if self.kamaji is not None else [],
            "store": self.store.snapshot(),
            "owners": self.api.ownership.snapshot(),
            "made_by": self.writers.made_by,
            "tenants": [tenant.snapshot() for tenant in self.tenants.values()],
        }

    def restore(self, snapshot: Document) -> None:
        self.access.tokens.update(snapshot["tokens"])
        self.certificate = snapshot.get("certificate", [])
        if self.kamaji is not None:
            self.kamaji.resting.update((namespace, name) for namespace, name in snapshot.get("resting", ()))
        self.store.restore(snapshot["store"])
        self.api.ownership.restore(snapshot.get("owners", {}))
        self.writers.made_by.update(snapshot.get("made_by", {}))
        for held in snapshot["tenants"]:
            tenant = self.tenants[held["key"]] = self._new_tenant(held["key"], held["version"], held["port"])
            tenant.restore(held)

    async def resume(self) -> None:
        """After `restore`: everything serves again, on the ports it had."""
        await self.server.start()
        for key, tenant in self.tenants.items():
            port = tenant.server.port
            await tenant.resume()
            document = self.store.get(CONTROL_PLANES, *key.split("/"))
            if self.kamaji is not None and document is not None and tenant.server.port != port:
                self.kamaji.move(document, tenant)
        if self.kamaji is not None:
            self.kamaji.look_again()


def _control_plane(spec: Document) -> Document:
    """The TenantControlPlane of a world's tenant, with the CRD's defaults."""
    owner = f"{spec['namespace']}_{spec['name']}".replace("-", "_")
    metadata: Document = {
        "name": spec["name"],
        "namespace": spec["namespace"],
        "finalizers": list(documents.FINALIZERS),
    }
    if spec.get("labels"):
        metadata["labels"] = spec["labels"]
    if spec.get("paused"):
        metadata["annotations"] = {PAUSED: ""}
    document: Document = {
        "apiVersion": CONTROL_PLANES.api_version,
        "kind": CONTROL_PLANES.kind,
        "metadata": metadata,
        "spec": {
            "dataStore": "default",
            "dataStoreSchema": owner,
            "dataStoreUsername": owner,
            "controlPlane": {
                "deployment": {"replicas": spec.get("replicas", 2)},
                "service": {"serviceType": "LoadBalancer"},
            },
            "kubernetes": {"version": spec["version"], "kubelet": {}},
            "networkProfile": {"dnsServiceIPs": ["10.96.0.10"]},
            "addons": {"coreDNS": {}, "kubeProxy": {}},
        },
    }
    add_defaults(CONTROL_PLANE, document)
    return document
