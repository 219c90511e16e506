"""The node controllers of a tenant: silent nodes become Unknown after the grace time, and taints follow cordon and
readiness."""

from collections.abc import Callable

from workspaces.simulators.clusters.kinds import LEASES, NODES
from workspaces.simulators.clusters.kubelets import (
    NOT_READY,
    UNREACHABLE,
    UNSCHEDULABLE,
    Kubelets,
    epoch,
    ready_condition,
    second,
    taint,
)
from workspaces.simulators.clusters.store import Change, Document, Store
from workspaces.simulators.clusters.timers import Timers

GRACE_SECONDS = 50.0
"""nodeMonitorGracePeriod: how long a silent node still says Ready True. Scaled by the phase, as everything else."""
SILENT = ("NodeStatusUnknown", "Kubelet stopped posting node status.")
NEVER = ("NodeStatusNeverUpdated", "Kubelet never posted node status.")


class NodeController:
    """Looks after the Nodes of one store."""

    def __init__(self, store: Store, timers: Timers, now: Callable[[], float], kubelets: Kubelets) -> None:
        self._store, self._timers, self._now, self._kubelets = store, timers, now, kubelets
        store.subscribe(self._changed)

    def monitor(self) -> None:
        """Marks what has been silent for the grace time Unknown; comes back by itself while something is silent."""
        silent = False
        for node in self._store.list(NODES):
            last = self._last_seen(node)
            if last is None or ready_condition(node).get("status") == "Unknown":
                continue
            silent = True
            if self._now() - last >= GRACE_SECONDS * self._timers.phase:
                self._mark_unknown(node["metadata"]["name"])
        if silent:
            self._timers.after("monitor", 0.5, self.monitor)

    def _last_seen(self, node: Document) -> float | None:
        """When a silent node was last heard of; None for one whose kubelet lives."""
        name = node["metadata"]["name"]
        if name in self._kubelets.states:
            stopped: float | None = self._kubelets.states[name]["stopped"]
            return stopped
        lease = self._store.get(LEASES, "kube-node-lease", name)
        seen = [epoch(c["lastHeartbeatTime"]) for c in node["status"].get("conditions", ()) if "lastHeartbeatTime" in c]
        renewed = (lease or {}).get("spec", {}).get("renewTime")
        seen += [epoch(renewed)] if renewed else []
        return max(seen, default=epoch(node["metadata"]["creationTimestamp"]))

    def _mark_unknown(self, name: str) -> None:
        def mark(node: Document) -> None:
            now = second(self._now())
            conditions = node["status"].get("conditions", ())
            reason, message = SILENT if conditions else NEVER
            types = [c["type"] for c in conditions] or ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"]
            beats = {c["type"]: c.get("lastHeartbeatTime", now) for c in conditions}
            node["status"]["conditions"] = [
                {
                    "type": t, "status": "Unknown", "lastHeartbeatTime": beats.get(t, now),
                    "lastTransitionTime": now, "reason": reason, "message": message,
                }
                for t in types
            ]  # fmt: skip

        self._store.edit(NODES, "", name, mark)

    def _changed(self, change: Change) -> None:
        if change.resource == NODES and change.kind != "DELETED":
            name = change.document["metadata"]["name"]
            self._timers.soon(("taints", name), lambda: self._settle_taints(name))
            if name not in self._kubelets.states:
                self._timers.after("monitor", 0.5, self.monitor)

    def _settle_taints(self, name: str) -> None:
        """The taints of cordon, of not ready and of unreachable, as the node lifecycle controller sets them."""

        def settle(node: Document) -> None:
            spec = node.setdefault("spec", {})
            status = ready_condition(node).get("status")
            wanted = []
            if status == "Unknown":
                wanted += [(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")]
            elif status == "False":
                wanted += [(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")]
            elif status is None:
                wanted += [(NOT_READY, "NoSchedule")]
            if spec.get("unschedulable"):
                wanted.append((UNSCHEDULABLE, "NoSchedule"))
            held = {(t["key"], t["effect"]): t for t in spec.get("taints", ())}
            own = (UNREACHABLE, NOT_READY, UNSCHEDULABLE)
            taints = [t for k, t in held.items() if k[0] not in own]
            taints += [held.get(pair) or taint(*pair) for pair in wanted]
            if taints:
                spec["taints"] = taints
            else:
                spec.pop("taints", None)
            if status is not None and name not in self._kubelets.states:
                _label(node)
            if not spec:
                del node["spec"]

        self._store.edit(NODES, "", name, settle)


def _label(node: Document) -> None:
    """What controllers add to a node once it reports."""
    labels = node["metadata"].setdefault("labels", {})
    for name in ("arch", "os"):
        if f"kubernetes.io/{name}" in labels:
            labels[f"beta.kubernetes.io/{name}"] = labels[f"kubernetes.io/{name}"]
    node["metadata"].setdefault("annotations", {}).setdefault("node.alpha.kubernetes.io/ttl", "0")
