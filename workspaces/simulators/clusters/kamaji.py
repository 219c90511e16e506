"""A stand-in for Kamaji's controller: what becomes of a TenantControlPlane, state by state, and its deletion.

Level-triggered after internal/resources/k8s_deployment_resource.go: `reconcile` looks at the object and does what
comes next, so a simulator that is stopped in the middle of an upgrade goes on with it. Faults: upgrade_hang,
no_capacity, not_ready, and elsewhere webhook_down (`webhook`) and datastore_down (`data_stores`).
"""

from collections.abc import Callable
from typing import Any

from workspaces.simulators.clusters import documents, rotation
from workspaces.simulators.clusters.data_stores import DataStores
from workspaces.simulators.clusters.installation import Installation
from workspaces.simulators.clusters.kinds import CONTROL_PLANES, SECRETS
from workspaces.simulators.clusters.plans import missing_image, plannable, woken
from workspaces.simulators.clusters.store import Change, Document, Store
from workspaces.simulators.clusters.tenant import Tenant
from workspaces.simulators.clusters.timers import Timers
from workspaces.simulators.clusters.webhook import Webhook
from workspaces.simulators.faults import Faults

PAUSED = "kamaji.clastix.io/paused"
STALE_PHASES, PROVISION_PHASES, ROLL_PHASES, SOOT_PHASES, DELETE_PHASES = 0.15, 1.0, 0.5, 0.5, 0.5
STALE_SECONDS = 0.05


class Kamaji:
    """The controller of the management cluster `cluster`. `tenant` gives the tenant of a control plane, making one
    when asked to; those that are `resting` have none until somebody changes them."""

    def __init__(
        self,
        cluster: str,
        store: Store,
        timers: Timers,
        faults: Faults,
        webhook: Webhook,
        data_stores: DataStores,
        tenant: Callable[[Document], Tenant],
        forget: Callable[[str], None],
    ) -> None:
        self._cluster, self._store, self._timers, self._faults = cluster, store, timers, faults
        self._webhook, self._data_stores = webhook, data_stores
        self._tenant, self._forget = tenant, forget
        self.installed = Installation(store)
        self.resting: set[tuple[str, str]] = set()
        store.subscribe(self._changed)

    def _changed(self, change: Change) -> None:
        if change.resource == CONTROL_PLANES and change.kind != "DELETED":
            metadata = change.document["metadata"]
            key = (metadata["namespace"], metadata["name"])
            if key in self.resting and not woken(change):
                return
            self.resting.discard(key)
            self._reconcile_later(*key)
        elif asking := rotation.asks(change):
            self._reconcile_later(*asking)

    def look_again(self) -> None:
        """Faults were added or removed, or the simulator was restarted."""
        for document in self._store.list(CONTROL_PLANES):
            if (key := self._key(document)) not in self.resting:
                self._reconcile_later(*key)

    def _reconcile_later(self, namespace: str, name: str) -> None:
        """Not at once: just after a change the object shows its old status for a moment."""
        phases = max(STALE_PHASES, STALE_SECONDS / self._timers.phase)
        self._timers.after(("reconcile", (namespace, name)), phases, lambda: self.reconcile(namespace, name))

    def reconcile(self, namespace: str, name: str) -> None:
        document = self._store.get(CONTROL_PLANES, namespace, name)
        if document is None or PAUSED in document["metadata"].get("annotations", {}):
            return
        if document["metadata"].get("deletionTimestamp"):
            self._timers.after(("delete", namespace, name), DELETE_PHASES, lambda: self._finalize(namespace, name))
        elif not self._data_store_ready(document):
            self._timers.after(("wait", namespace, name), 1.0, lambda: self.reconcile(namespace, name))
        elif not document.get("status", {}).get("kubernetesResources"):
            self._provision(document)
        elif rotation.is_asked(self._store, document):
            self._rotate(document)
        else:
            self._advance(document)

    def _data_store_ready(self, document: Document) -> bool:
        return self._data_stores.ready(document["spec"].get("dataStore", "default"))

    # States -------------------------------------------------------------------------------------------------------

    def _provision(self, document: Document) -> None:
        def begin(held: Document) -> None:
            held["metadata"]["finalizers"] = list(documents.FINALIZERS)
            held["status"] = {"kubernetesResources": {"version": {"status": "Provisioning"}}}

        metadata = document["metadata"]
        self._tenant(document).serve(True)
        self._store.edit(CONTROL_PLANES, metadata["namespace"], metadata["name"], begin)

    def _advance(self, document: Document) -> None:
        """The first that holds, as Kamaji's computeStatus."""
        key = self._key(document)
        spec, state = document["spec"], document["status"]["kubernetesResources"]["version"]
        tenant, wanted = self._tenant(document), spec["kubernetes"]["version"]
        installed, status = state.get("version", ""), state["status"]
        behind = bool(installed) and installed != wanted
        tenant.write_limits = spec.get("writePermissions", {})
        replicas = spec["controlPlane"]["deployment"]["replicas"]
        if replicas == 0:
            self._sleep(document, tenant, wanted)
        elif self._active(key, "not_ready") and (not behind or status in ("Upgrading", "NotReady")):
            self._later(key, "fail", ROLL_PHASES, self._fail)
        elif not installed:
            self._later(key, "ready", PROVISION_PHASES, self._ready)
        elif any(tenant.write_limits.values()):
            self._show(document, "WriteLimited", installed)
        elif behind:
            self._upgrade(document, tenant, installed, wanted, status)
        elif status != "Ready" or not tenant.server.listening or tenant.version != installed:
            self._later(key, "ready", ROLL_PHASES, self._ready)
        elif document["status"]["kubernetesResources"]["deployment"].get("replicas") != replicas:
            self._show(document, "Unknown", installed)
        else:
            self._settle(document, tenant)

    def _upgrade(self, document: Document, tenant: Tenant, installed: str, wanted: str, status: str) -> None:
        key = self._key(document)
        if status == "Upgrading":
            problem = self._problem(key, wanted)
            self.installed.set_pods(document, "surge", problem)
            if not problem:
                self._later(key, "overlap", ROLL_PHASES, self._overlap)
        elif status in ("NotReady", "Sleeping") and not tenant.server.listening:
            self._later(key, "recover", ROLL_PHASES, self._recover)
        elif tenant.reachable and plannable(installed, wanted):
            tenant.started = wanted
            self._show(document, "Upgrading", installed)

    def _rotate(self, document: Document) -> None:
        """Another authority: every certificate and kubeconfig is issued anew, and new pods take the place of all."""
        tenant, running = self._tenant(document), document["status"]["kubernetesResources"]["version"]["version"]
        rotation.renew(self._store, document, tenant)
        self.installed.issue_kubeconfig(document, tenant)
        self._show(document, rotation.ROTATING, running, ready=0)
        self._later(self._key(document), "ready", ROLL_PHASES, self._ready)

    def _overlap(self, document: Document) -> None:
        """The new pods are ready and serve beside the old ones."""
        if self._store_state(document) != "Upgrading":
            return
        tenant = self._tenant(document)
        tenant.rolling = document["spec"]["kubernetes"]["version"]
        self._later(self._key(document), "ready", ROLL_PHASES, self._ready)

    def _ready(self, document: Document) -> None:
        key = self._key(document)
        if self._active(key, "not_ready"):
            self._fail(document)
            return
        wanted, tenant = document["spec"]["kubernetes"]["version"], self._tenant(document)
        if self._store_state(document) == "Upgrading" and tenant.rolling != wanted:
            return  # the version was changed again meanwhile: another rollout
        tenant.serve(True)
        if not tenant.server.port:
            self._later(key, "ready", ROLL_PHASES, self._ready)  # it has no address yet
            return
        if tenant.version != wanted or tenant.rolling:
            tenant.roll_over(wanted)
        self.installed.set_pods(document, "done")
        self._show(document, "Ready", wanted)
        if document["status"].get("controlPlaneEndpoint", "") not in ("", tenant.server.endpoint):
            self.move(document, tenant)  # one that rested was served nowhere

    def _recover(self, document: Document) -> None:
        """A control plane that was down serves again: its rollout goes on, or is planned only now."""
        if self._active(self._key(document), "not_ready"):
            return
        state, tenant = document["status"]["kubernetesResources"]["version"], self._tenant(document)
        tenant.serve(True)
        rolling = tenant.started == document["spec"]["kubernetes"]["version"]
        self._show(document, "Upgrading" if rolling else "Ready", state["version"])

    def _fail(self, document: Document) -> None:
        if not self._active(self._key(document), "not_ready"):
            return
        tenant = self._tenant(document)
        tenant.serve(False)
        tenant.rolling = ""
        state = document["status"]["kubernetesResources"]["version"]
        self._show(document, "NotReady", state.get("version", ""), ready=0)

    def _sleep(self, document: Document, tenant: Tenant, wanted: str) -> None:
        """Sleeping reports the version of the spec at once, although nothing ran."""
        tenant.serve(False)
        tenant.version, tenant.rolling, tenant.started = wanted, "", ""
        self.installed.set_pods(document, "none")
        self._show(document, "Sleeping", wanted, ready=0)

    def _settle(self, document: Document, tenant: Tenant) -> None:
        """Ready at the version asked for: the generation is observed, and soot catches up a little later."""
        generation = document["metadata"]["generation"]
        if document["status"].get("observedGeneration") != generation:
            self._edit(document, lambda held: held["status"].update(observedGeneration=generation))
        if not tenant.told or self._secret(document) is None or not rotation.is_kept(self._store, document, tenant):
            self._later(self._key(document), "soot", SOOT_PHASES, self._soot)

    def _soot(self, document: Document) -> None:
        """The asynchronous rest: ConfigMaps in the tenant, and the admin kubeconfig issued anew."""
        tenant = self._tenant(document)
        tenant.write_kubeadm_config()
        self.installed.issue_kubeconfig(document, tenant)
        rotation.keep(self._store, document, tenant)

    # Pieces -------------------------------------------------------------------------------------------------------

    def _show(self, document: Document, status: str, installed: str, ready: int | None = None) -> None:
        replicas = document["spec"]["controlPlane"]["deployment"]["replicas"]
        ready = replicas if ready is None else ready
        endpoint = self._tenant(document).server.endpoint
        surging = status == "Upgrading"

        def show(held: Document) -> None:
            fresh = documents.status_skeleton(document, endpoint)
            current = {**fresh, **held.get("status", {}), "controlPlaneEndpoint": endpoint}
            version = {"version": installed, "status": status}
            counts = (replicas * 2 if surging else replicas, replicas, ready)
            current["kubernetesResources"] = {
                "version": version,
                "deployment": documents.deployment_status(document, *counts),
                "service": documents.service_status(document),
            }
            if surging:
                current["observedGeneration"] = document["metadata"]["generation"]
            held["status"] = current

        before = document.get("status", {}).get("kubernetesResources", {}).get("version")
        if before != {"version": installed, "status": status}:
            self._edit(document, show)

    def adopt(self, document: Document, tenant: Tenant) -> None:
        """A control plane of the world that is Ready from the beginning: its Secret, Deployment, Service and Pods."""
        rotation.keep(self._store, document, tenant)
        self.installed.issue_kubeconfig(document, tenant)
        self.installed.set_pods(document, "done")

    def move(self, document: Document, tenant: Tenant) -> None:
        """The tenant is served at another address than before: its status, kubeconfig and ConfigMaps say so."""
        endpoint = tenant.server.endpoint
        self._edit(document, lambda held: held["status"].update(controlPlaneEndpoint=endpoint))
        self.installed.issue_kubeconfig(document, tenant)
        tenant.write_kubeadm_config()

    def _finalize(self, namespace: str, name: str) -> None:
        """The datastore's content goes, then the finalizers; while the webhook is down they cannot be taken off."""
        document = self._store.get(CONTROL_PLANES, namespace, name)
        if document is None or PAUSED in document["metadata"].get("annotations", {}):
            return
        if self._webhook.down() or not self._data_store_ready(document):
            self._timers.after(("delete", namespace, name), DELETE_PHASES, lambda: self._finalize(namespace, name))
            return
        others = [f for f in document["metadata"].get("finalizers", ()) if f not in documents.FINALIZERS]
        self._edit(document, lambda held: held["metadata"].update(finalizers=others))
        self._forget(f"{namespace}/{name}")
        if not others:
            self._store.remove(CONTROL_PLANES, namespace, name)

    def _later(self, key: tuple[str, str], what: str, phases: float, action: Callable[[Document], Any]) -> None:
        """Does it to the object as it is then, unless it is gone, paused or being deleted."""

        def act() -> None:
            document = self._store.get(CONTROL_PLANES, *key)
            if document is None or PAUSED in document["metadata"].get("annotations", {}):
                return
            if not document["metadata"].get("deletionTimestamp"):
                action(document)

        self._timers.after((what, key), phases, act)

    def _edit(self, document: Document, change: Callable[[Document], None]) -> None:
        self._store.edit(CONTROL_PLANES, *self._key(document), change)

    def _key(self, document: Document) -> tuple[str, str]:
        return document["metadata"]["namespace"], document["metadata"]["name"]

    def _active(self, key: tuple[str, str], kind: str) -> bool:
        return self._faults.active("kubernetes", "/".join(key), kind) is not None

    def _problem(self, key: tuple[str, str], wanted: str) -> str:
        """What keeps the new pods of a rollout from starting, as in `documents.pod`; "" when nothing does."""
        if self._active(key, "no_capacity") or self._faults.active("kubernetes", self._cluster, "no_capacity"):
            return "capacity"
        return "image" if self._active(key, "upgrade_hang") or missing_image(wanted) else ""

    def _secret(self, document: Document) -> Document | None:
        name = document["status"].get("kubeconfig", {}).get("admin", {}).get("secretName", "")
        return self._store.get(SECRETS, document["metadata"]["namespace"], name)

    @staticmethod
    def _store_state(document: Document) -> str:
        return str(document["status"]["kubernetesResources"]["version"]["status"])
