"""The kubelets of a tenant's workers: registration, heartbeats, Leases, restarts and loss.

Heartbeats and Lease renewals are computed when somebody reads them: a world at rest needs no timer per node. A node
that was created through the API has no kubelet here; its Lease and heartbeats are what is written to it.
"""

import hashlib
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from workspaces.simulators.clusters.kinds import LEASES, NODES, Resource
from workspaces.simulators.clusters.store import Document, Store, timestamp
from workspaces.simulators.clusters.timers import Timers

RENEW_SECONDS = 10.0
HEALTHY = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)
NO_NETWORK = (
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
    "message:Network plugin returns error: cni plugin not initialized"
)
UNREACHABLE, NOT_READY = "node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"


def minor_of(version: str) -> tuple[int, int]:
    """`v1.35.7` -> (1, 35); (0, 0) for an empty one."""
    parts = version.removeprefix("v").split(".")
    return (int(parts[0]), int(parts[1])) if len(parts) > 1 else (0, 0)


def micro(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def second(moment: float) -> str:
    return timestamp(datetime.fromtimestamp(moment, UTC))


def epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def ready_condition(node: Document) -> Document:
    return next((c for c in node.get("status", {}).get("conditions", ()) if c["type"] == "Ready"), {})


def schedulable(node: Document) -> bool:
    """Whether the scheduler may put a new pod there."""
    spec = node.get("spec", {})
    closed = spec.get("unschedulable") or any(
        t["effect"] in ("NoSchedule", "NoExecute") for t in spec.get("taints", ())
    )
    return not closed and ready_condition(node).get("status") == "True"


def taint(key: str, effect: str) -> Document:
    return {"key": key, "effect": effect, "timeAdded": timestamp()}


class Kubelets:
    """`states` maps node names to plain dicts: version, address, changed, renewed, stopped (None while it runs),
    off (it does not come back by itself), healthy, trusted (False: its credentials are of an authority that is gone).

    `lost` says whether a fault keeps a node silent, `api_version` what the API server runs.
    """

    def __init__(
        self,
        cluster: str,
        store: Store,
        timers: Timers,
        now: Callable[[], float],
        lost: Callable[[str], bool],
        api_version: Callable[[], str],
    ) -> None:
        self._cluster, self._store, self._timers, self._now = cluster, store, timers, now
        self._lost, self._api_version = lost, api_version
        self.states: dict[str, dict[str, Any]] = {}

    def add(self, spec: Document) -> None:
        """A worker of the world: `{"name", "kubelet", "ready", "unschedulable", "internal_ip"}`.

        It may say what it has for pods (`allocatable`, any of cpu, memory, pods) and its own `taints`.
        """
        name, started = spec["name"], self._now() - 86400
        self.states[name] = {
            "version": spec["kubelet"],
            "address": spec.get("internal_ip", "10.0.0.4"),
            "changed": started,
            "renewed": started,
            "stopped": None,
            "off": False,
            "healthy": spec.get("ready", True),
            "allocatable": spec.get("allocatable", {}),
            "taints": spec.get("taints", []),
        }
        self._register(name, unschedulable=bool(spec.get("unschedulable")), first=False)

    def join(self, node: Document) -> None:
        """A new worker registers, and is ready a phase later, when its network came.

        `{"name", "kubelet", "internal_ip", "provider_id", "system", "kernel", "runtime"}`; one that was there before
        under this name is this one from now on.
        """
        name, now = node["name"], self._now()
        self._timers.cancel(("start", name))
        told = {key: node[key] for key in ("provider_id", "system", "kernel", "runtime") if node.get(key)}
        self.states[name] = {
            "version": node["kubelet"], "address": node["internal_ip"], "changed": now, "renewed": now,
            "stopped": None, "off": False, "healthy": True, "told": told,
        }  # fmt: skip
        if self._store.get(NODES, "", name) is None:
            self._register(name, unschedulable=False, first=True)
        else:
            status = self._status(name, node["kubelet"], node["internal_ip"], healthy=False)
            self._store.edit(NODES, "", name, lambda held: held.update(status=status))
        self._timers.after(("start", name), 1.0, lambda: self._start(name))

    def alive(self, name: str) -> bool:
        """Whether a kubelet of ours runs there."""
        return name in self.states and self.states[name]["stopped"] is None

    def _register(self, name: str, unschedulable: bool, first: bool) -> None:
        """Creates the Node and its Lease; at a `first` start it is not ready yet."""
        state = self.states[name]
        invented = f"hcloud://{int(hashlib.md5(name.encode()).hexdigest()[:6], 16)}"
        node_spec: Document = {"providerID": state.get("told", {}).get("provider_id", invented)}
        if unschedulable:
            node_spec |= {"unschedulable": True, "taints": [taint(UNSCHEDULABLE, "NoSchedule")]}
        if first or not state["healthy"]:
            node_spec.setdefault("taints", []).append(taint(NOT_READY, "NoSchedule"))
        labels = {
            "beta.kubernetes.io/arch": "amd64",
            "beta.kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
        }
        metadata = {"name": name, "labels": labels, "annotations": {"node.alpha.kubernetes.io/ttl": "0"}}
        if state.get("taints"):
            node_spec.setdefault("taints", []).extend(state["taints"])
        status = self._status(name, state["version"], state["address"], state["healthy"] and not first)
        status["allocatable"] |= state.get("allocatable", {})
        node = self._store.create(NODES, {"metadata": metadata, "spec": node_spec, "status": status})
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node["metadata"]["uid"]}
        lease = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": micro(self._now())}
        head = {"name": name, "namespace": "kube-node-lease", "ownerReferences": [owner]}
        self._store.create(LEASES, {"metadata": head, "spec": lease})

    def _status(self, name: str, version: str, address: str, healthy: bool) -> Document:
        told = self.states[name].get("told", {})
        machine = hashlib.md5(f"{self._cluster}/{name}".encode()).hexdigest()
        info = {
            "machineID": machine,
            "systemUUID": str(uuid.UUID(machine)),
            "bootID": str(uuid.uuid4()),
            "kernelVersion": told.get("kernel", "6.12.48+deb13-amd64"),
            "osImage": told.get("system", "Debian GNU/Linux 13 (trixie)"),
            "containerRuntimeVersion": told.get("runtime", "containerd://2.1.4"),
            "kubeletVersion": version,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": "amd64",
        }
        return {
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            "capacity": {"cpu": "4", "ephemeral-storage": "75G", "memory": "16261488Ki", "pods": "110"},
            "allocatable": {"cpu": "4", "ephemeral-storage": "69G", "memory": "16159088Ki", "pods": "110"},
            "conditions": self._conditions(version, healthy),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": info,
        }

    def _conditions(self, version: str, healthy: bool) -> list[Document]:
        now = second(self._now())
        conditions = [
            {"type": t, "status": s, "lastHeartbeatTime": now, "lastTransitionTime": now, "reason": r, "message": m}
            for t, s, r, m in HEALTHY
        ]
        problem = "" if healthy else NO_NETWORK
        served = self._api_version()
        if served and minor_of(version) > minor_of(served):
            problem = f"kubelet {version} is newer than the API server {served}: no such resource on the server"
        if problem:
            conditions[-1] |= {"status": "False", "reason": "KubeletNotReady", "message": problem}
        return conditions

    def restart(self, name: str, version: str, new_boot: bool = False) -> None:
        """The kubelet stops now and reports half a phase later, with that version ("" keeps its own)."""
        state = self.states.get(name)
        if state is None:
            return
        if version:
            state["version"] = version
        state |= {"stopped": state["stopped"] or self._now(), "off": False}
        self._timers.cancel(("start", name))
        self._timers.after(("start", name), 0.5, lambda: self._start(name, new_boot))

    def stop(self, name: str) -> None:
        """The kubelet ends, and only `restart` brings it back: somebody stopped it, or its host is off."""
        state = self.states.get(name)
        if state is not None:
            self._timers.cancel(("start", name))
            state |= {"stopped": state["stopped"] or self._now(), "off": True}

    def distrust(self) -> None:
        """The cluster has another authority: every kubelet is refused, and refuses, until it has new credentials."""
        for state in self.states.values():
            state["trusted"] = False
        self.look_again()

    def trust(self, name: str) -> None:
        """The kubelet of that node has credentials of the cluster's authority as it is now."""
        if name in self.states:
            self.states[name]["trusted"] = True

    def _silent(self, name: str) -> bool:
        return self._lost(name) or not self.states[name].get("trusted", True)

    def _start(self, name: str, new_boot: bool = False) -> None:
        state = self.states.get(name)
        if state is None or state.get("off") or self._silent(name):
            return
        state |= {"stopped": None, "changed": self._now(), "renewed": self._now()}
        if self._store.get(NODES, "", name) is None:
            # A kubelet registers only when it starts: a Node that was deleted comes back with the next start.
            self._register(name, unschedulable=False, first=True)
            self._timers.after(("start", name), 0.5, lambda: self._start(name))
            return

        def report(node: Document) -> None:
            node["status"]["nodeInfo"]["kubeletVersion"] = state["version"]
            node["status"]["conditions"] = self._conditions(state["version"], state["healthy"])
            if new_boot:
                node["status"]["nodeInfo"]["bootID"] = str(uuid.uuid4())

        self._store.edit(NODES, "", name, report)

    def look_again(self) -> None:
        """Faults or the API server's version changed: kubelets fall silent, come back, or change their mind."""
        for name, state in self.states.items():
            lost = self._silent(name)
            if lost and state["stopped"] is None:
                state["stopped"] = self._now()
            elif lost or state.get("off"):
                continue
            elif state["stopped"] is not None and not self._timers.due(("start", name)):
                self._start(name)
            else:
                self._reconsider(name, state)

    def _reconsider(self, name: str, state: dict[str, Any]) -> None:
        node = self._store.get(NODES, "", name)
        if node is None or state["stopped"] is not None:
            return
        wanted = next(c for c in self._conditions(state["version"], state["healthy"]) if c["type"] == "Ready")
        if ready_condition(node).get("status") != wanted["status"]:
            self._start(name)

    def present(self, resource: Resource, document: Document) -> Document:
        """The node or Lease as of now: the beats a live kubelet has sent since it was stored."""
        state = self.states.get(document["metadata"]["name"])
        if state is None:
            return document
        if resource == LEASES and document["metadata"]["namespace"] == "kube-node-lease":
            return {**document, "spec": {**document["spec"], "renewTime": micro(self._renewed(state))}}
        if resource == NODES and ready_condition(document).get("status") != "Unknown":
            beat = second(self._heartbeat(document["metadata"]["name"], state))
            conditions = [{**c, "lastHeartbeatTime": beat} for c in document["status"]["conditions"]]
            return {**document, "status": {**document["status"], "conditions": conditions}}
        return document

    def _renewed(self, state: dict[str, Any]) -> float:
        until = state["stopped"] or self._now()
        interval = RENEW_SECONDS * min(1.0, self._timers.phase)
        start: float = state["renewed"]
        return start + (until - start) // interval * interval if until > start else start

    def _heartbeat(self, name: str, state: dict[str, Any]) -> float:
        """2.5 to 7.5 minutes ago for an idle node, or when something last changed if that is later."""
        until = state["stopped"] or self._now()
        offset = int(hashlib.md5(name.encode()).hexdigest()[:4], 16) % 300
        idle = (until - 150 + offset) // 300 * 300 - offset
        return float(max(state["changed"], idle))
