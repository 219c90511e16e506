"""One tenant cluster: its API server, what runs in it, and its version while Kamaji rolls the control plane."""

import asyncio
import itertools
import time
from pathlib import Path
from typing import Any

from workspaces.simulators.clusters import errors, yaml_text
from workspaces.simulators.clusters.access import Access
from workspaces.simulators.clusters.admission import Admission
from workspaces.simulators.clusters.api import Api
from workspaces.simulators.clusters.bootstrap import CLUSTER_ADMINS, MASTERS, add_basics, let_hosts_join
from workspaces.simulators.clusters.bootstrap_tokens import BootstrapTokens
from workspaces.simulators.clusters.budgets import Budgets
from workspaces.simulators.clusters.certificates import LEAF_DAYS, Authority
from workspaces.simulators.clusters.kinds import CONFIG_MAPS, NAMESPACES, TENANT_KINDS
from workspaces.simulators.clusters.kubelets import Kubelets
from workspaces.simulators.clusters.metrics import Metrics
from workspaces.simulators.clusters.namespaces import NamespaceController
from workspaces.simulators.clusters.nodes import NodeController
from workspaces.simulators.clusters.pods import Pods
from workspaces.simulators.clusters.requests import Call
from workspaces.simulators.clusters.server import Server
from workspaces.simulators.clusters.store import Document, Store
from workspaces.simulators.clusters.timers import Timers
from workspaces.simulators.clusters.tokens import TokenRequests
from workspaces.simulators.clusters.workloads import Workloads
from workspaces.simulators.clusters.writers import TENANT, Writers
from workspaces.simulators.faults import Faults
from workspaces.simulators.journal import Journal

WRITE_LIMITED = (
    "the current Control Plane has limited write permissions, current changes are blocked: "
    "removing the webhook may lead to an inconsistent state upon its completion"
)
WRITE_FLAGS = {"create": "blockCreation", "update": "blockUpdate", "patch": "blockUpdate", "delete": "blockDeletion"}
UP_SECONDS = 14 * 86400
UNLIMITED = ("kube-system", "kube-node-lease")


class Tenant:
    """The tenant `key` ("namespace/name"). During a rollout `started` is its version, and `rolling` too once it
    serves beside."""

    def __init__(
        self, key: str, version: str, faults: Faults, journal: Journal, directory: Path, phase: float, port: int = 0
    ) -> None:
        self.key, self.version, self.rolling, self.started = key, version, "", ""
        self._faults = faults
        self.timers = Timers(phase)
        self.store = Store(TENANT_KINDS)
        self.api = Api(self.store, None, Writers(TENANT))
        self.api.bookmark_seconds = min(10.0, 10 * phase)
        self.access = Access(self.store)
        self.authority = Authority(directory / key.replace("/", "_"), "kubernetes")
        self.kubelets = Kubelets(key, self.store, self.timers, time.time, self._lost, lambda: self.version)
        self.nodes = NodeController(self.store, self.timers, time.time, self.kubelets)
        self.pods = Pods(self.store, self.timers, self.kubelets)
        self.workloads = Workloads(self.store, self.timers, self.pods)
        TokenRequests(self.api, self.access)
        self.budgets = Budgets(self.api, self.timers, lambda: faults.active("kubernetes", key, "budget") is not None)
        self.namespaces = NamespaceController(self.store, self.timers)
        self.bootstrap_tokens = BootstrapTokens(self.store, self.timers)
        self.metrics = Metrics()
        self.write_limits: Document = {}
        self.certificate_days: float = LEAF_DAYS
        self.server = Server(key, self.api, self.access, self.authority, faults, journal, port)
        self.server.version = self._answered_version
        self.server.metrics = self.metrics.text
        self.server.deprecations = self.metrics.note
        self.admission = Admission(self.store, faults, key)
        self.server.admission = self._admit
        self.api.present = lambda resource, held: self.admission.present(
            resource, self.kubelets.present(resource, held)
        )
        self._turn = itertools.cycle((0, 1))
        self._serving = False
        self._switch: asyncio.Task[None] | None = None

    def fill(self, spec: Document) -> None:
        """The contents of a new tenant: namespaces, ConfigMaps, and the world's nodes, workloads, webhooks and
        deprecated APIs. The API servers of one that is in the world from the beginning run for a while already
        (`up_seconds`); `certificate_days` is how long the certificates of its kubeconfigs are good."""
        self.certificate_days = spec.get("certificate_days", LEAF_DAYS)
        if spec:
            self.metrics.started = time.time() - spec.get("up_seconds", UP_SECONDS)
        add_basics(self.store)
        let_hosts_join(self.store)
        self.write_kubeadm_config()
        for node in spec.get("nodes", ()):
            self.kubelets.add(node)
            self.workloads.add_mirror_pod(node["name"])
        proxy = {"namespace": "kube-system", "name": "kube-proxy", "kind": "DaemonSet", "cpu": "", "memory": ""}
        for workload in (*([proxy] if spec.get("nodes") else []), *spec.get("workloads", ())):
            if self.store.get(NAMESPACES, "", workload["namespace"]) is None:
                add_basics(self.store, (workload["namespace"],))
            self.workloads.add(workload)
        for webhook in spec.get("webhooks", ()):
            add_basics(self.store, (webhook.get("namespace", "guard"),))
            self.admission.add(webhook)
        for api in spec.get("deprecated_apis", ()):
            self.metrics.add(api)
        self.budgets.settle_all()

    @property
    def reachable(self) -> bool:
        """Whether anybody, Kamaji and the hosts too, gets an answer: the listener is open and no fault closes it."""
        faults = [f for f in self._faults.all() if f.kind in ("refuse", "hang") and f.matches("kubernetes", self.key)]
        closed = any((f.method, f.path, f.rate) == ("*", "*", 1.0) for f in faults)
        return self.server.listening and not closed

    def renew_authority(self) -> None:
        """Everything that the old authority has signed is refused; nobody serves until `serve` is called again."""
        self.serve(False)
        self.authority.renew("kubernetes")
        self.kubelets.distrust()
        self.nodes.monitor()

    # Versions -----------------------------------------------------------------------------------------------------

    def _answered_version(self) -> str:
        if self.rolling and next(self._turn):
            return self.rolling
        return self.version

    def roll_over(self, version: str) -> None:
        """The rollout is done: one version serves, in new processes."""
        self.version, self.rolling, self.started = version, "", ""
        self.metrics.restart()
        self.kubelets.look_again()

    def kubeadm_version(self) -> str:
        """kubernetesVersion of the ConfigMap kubeadm-config, "" without one."""
        document = self.store.get(CONFIG_MAPS, "kube-system", "kubeadm-config")
        text = (document or {}).get("data", {}).get("ClusterConfiguration", "")
        return str((yaml_text.load(text) or {}).get("kubernetesVersion", ""))

    @property
    def told(self) -> bool:
        """Whether the ConfigMaps name the version and the authority that serve."""
        info = self.bootstrap_tokens.published()
        return (self.kubeadm_version(), info) == (self.version, self._cluster_info())

    def _cluster_info(self) -> str:
        return self.authority.cluster_info(f"https://{self.server.endpoint}")

    def write_kubeadm_config(self) -> None:
        """What Kamaji's soot controllers write after the control plane is Ready: kubeadm-config and kubelet-config."""
        cluster = {
            "apiVersion": "kubeadm.k8s.io/v1beta4",
            "kind": "ClusterConfiguration",
            "clusterName": self.key.partition("/")[2],
            "controlPlaneEndpoint": self.server.endpoint,
            "imageRepository": "registry.k8s.io",
            "kubernetesVersion": self.version,
            "networking": {
                "dnsDomain": "cluster.local",
                "podSubnet": "10.244.0.0/16",
                "serviceSubnet": "10.96.0.0/16",
            },
        }
        kubelet = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "cgroupDriver": "systemd",
            "clusterDNS": ["10.96.0.10"],
            "clusterDomain": "cluster.local",
            "rotateCertificates": True,
        }
        self._write("kubeadm-config", {"ClusterConfiguration": yaml_text.dump(cluster)})
        self._write("kubelet-config", {"kubelet": yaml_text.dump(kubelet)})
        self.bootstrap_tokens.publish(self._cluster_info())

    def _write(self, name: str, data: dict[str, str]) -> None:
        if self.store.get(CONFIG_MAPS, "kube-system", name) is None:
            self.store.create(CONFIG_MAPS, {"metadata": {"name": name, "namespace": "kube-system"}, "data": data})
        else:
            self.store.edit(CONFIG_MAPS, "kube-system", name, lambda document: document.update(data=data))

    # Faults and limits --------------------------------------------------------------------------------------------

    def _lost(self, node: str) -> bool:
        """A lost_node fault aims at the node's name, or at "namespace/name/node"."""
        targets = (node, f"{self.key}/{node}")
        return any(self._faults.active("kubernetes", target, "lost_node") for target in targets)

    def look_again(self) -> None:
        """Faults were added or removed."""
        self.kubelets.look_again()
        self.nodes.monitor()
        self.budgets.settle_all()

    def _admit(self, call: Call) -> None:
        self._limit_writes(call)
        self.admission.check(call)

    def _limit_writes(self, call: Call) -> None:
        flag = WRITE_FLAGS.get(call.verb, "")
        if self.write_limits.get(flag) and not call.subresource and call.namespace not in UNLIMITED:
            raise errors.denied_by_webhook(WRITE_LIMITED, "catchall.write-permissions.kamaji.clastix.io")

    # Serving ------------------------------------------------------------------------------------------------------

    def serve(self, on: bool) -> None:
        """Opens or closes the listener, soon: a control plane without ready pods refuses connections."""
        if self._serving == on and self._switch is None:
            return
        if on and not self._serving:
            self.metrics.restart()
        self._serving = on
        if self._switch is None:
            self._switch = asyncio.get_running_loop().create_task(self._follow())

    async def _follow(self) -> None:
        try:
            while self._serving != self.server.listening:
                await (self.server.start() if self._serving else self.server.stop())
        finally:
            self._switch = None

    async def open(self) -> None:
        self._serving = True
        await self.server.start()

    async def stop(self) -> None:
        self._serving = False
        self.timers.stop()
        if self._switch is not None:
            await self._switch
        await self.server.stop()

    # Credentials and state ----------------------------------------------------------------------------------------

    def admin_kubeconfig(self, group: str = CLUSTER_ADMINS, days: float | None = None) -> str:
        """A newly issued kubeconfig: admin.conf, or super-admin.conf for the group system:masters."""
        user = "kubernetes-super-admin" if group == MASTERS else "kubernetes-admin"
        days = self.certificate_days if days is None else days
        return self.authority.client_kubeconfig(f"https://{self.server.endpoint}", user, (group,), days)

    def snapshot(self) -> Document:
        return {
            "key": self.key,
            "version": self.version,
            "rolling": self.rolling,
            "started": self.started,
            "port": self.server.port,
            "serving": self._serving,
            "kubelets": self.kubelets.states,
            "workloads": self.pods.settings,
            "asked": sorted(self.metrics.asked),
            "up_since": self.metrics.started,
            "certificate_days": self.certificate_days,
            "tokens": self.access.tokens,
            "store": self.store.snapshot(),
            "owners": self.api.ownership.snapshot(),
        }

    def restore(self, snapshot: Document) -> None:
        self.version, self.rolling = snapshot["version"], snapshot["rolling"]
        self.started = snapshot["started"]
        self._serving = snapshot["serving"]
        self.kubelets.states.update(snapshot["kubelets"])
        self.pods.settings.update(snapshot["workloads"])
        self.metrics.asked = {_asked(entry) for entry in snapshot["asked"]}
        self.metrics.started = snapshot.get("up_since", self.metrics.started)
        self.certificate_days = snapshot.get("certificate_days", LEAF_DAYS)
        self.access.tokens.update(snapshot["tokens"])
        self.store.restore(snapshot["store"])
        self.api.ownership.restore(snapshot.get("owners", {}))

    async def resume(self) -> None:
        """After `restore`: listens again and lets go on what was under way."""
        if self._serving:
            await self.server.start()
        let_hosts_join(self.store)
        self.bootstrap_tokens.publish(self._cluster_info())
        self.bootstrap_tokens.settle()
        self.workloads.resume()
        self.look_again()


def _asked(entry: list[Any]) -> tuple[str, str, str, str, str]:
    group, version, resource, subresource, removed = entry
    return group, version, resource, subresource, removed
