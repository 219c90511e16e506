"""Pods on their nodes: scheduling, starting, becoming ready and stopping.

A pod on a node without a kubelet of ours (one created through the API) stays as it is, and so does one whose node is
lost.
"""

import json
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from workspaces.simulators.clusters.kinds import NODES, PODS
from workspaces.simulators.clusters.kubelets import Kubelets, schedulable
from workspaces.simulators.clusters.reservations import loads
from workspaces.simulators.clusters.store import Document, Store, timestamp
from workspaces.simulators.clusters.strategies import prepare
from workspaces.simulators.clusters.timers import Timers

UNSCHEDULABLE = "0/{n} nodes are available: {why}. no new claims to deallocate"
CLOSED = "node(s) were unschedulable"
DAEMON_TOLERATIONS = [
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": effect}
    for key, effect in (
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    )
]


def is_ready(pod: Document) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", ()))


def terminating(pod: Document) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def controller(document: Document) -> Document:
    """The controlling owner reference, empty when there is none."""
    return next((o for o in document["metadata"].get("ownerReferences", ()) if o.get("controller")), {})


class Pods:
    """The pods of one tenant. `settings` keeps what the world says of a workload by "namespace/name": ready, stop."""

    def __init__(self, store: Store, timers: Timers, kubelets: Kubelets) -> None:
        self._store, self._timers, self._kubelets = store, timers, kubelets
        self.settings: dict[str, dict[str, Any]] = {}
        self._at_once = False

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Pods created meanwhile run from the beginning: a world starts at rest."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def create(self, metadata: Document, spec: Document, node: str = "", daemon: bool = False) -> None:
        """A new pod, on that node or wherever the scheduler puts it."""
        spec = json.loads(json.dumps(spec))
        if self._at_once and not node:
            node = self._place(spec)[0]
        if node:
            spec["nodeName"] = node
        document: Document = {"metadata": metadata, "spec": spec}
        prepare(PODS, document, None)
        if daemon:
            spec["tolerations"] = DAEMON_TOLERATIONS
        if self._at_once and node and self._kubelets.alive(node):
            self._report_running(document)
        self._store.create(PODS, document)

    def run(self, pod: Document) -> None:
        """Schedules, starts or stops the pod, each a moment later; to be called whenever something changed."""
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        uid, node = pod["metadata"]["uid"], pod["spec"].get("nodeName")
        if not node and not terminating(pod):
            self._timers.soon(("schedule", uid), lambda: self._schedule(namespace, name))
        elif not node or not self._kubelets.alive(node):
            return
        elif terminating(pod):
            self._timers.after(("stop", uid), self._stop_phases(pod), lambda: self._stop(namespace, name, uid))
        elif self._can_proceed(pod):
            self._timers.after(("start", uid), 0.5, lambda: self._start(namespace, name))

    def _can_proceed(self, pod: Document) -> bool:
        phase = pod["status"].get("phase")
        return phase == "Pending" or (phase == "Running" and not is_ready(pod) and self._may_be_ready(pod))

    def _setting(self, pod: Document, name: str) -> Any:
        workload = pod["metadata"].get("labels", {}).get("app", "")
        return self.settings.get(f"{pod['metadata']['namespace']}/{workload}", {}).get(name)

    def _stop_phases(self, pod: Document) -> float:
        """A pod takes its workload's `grace_seconds` to stop, at most the grace it is given; else it stops at once."""
        grace = pod["metadata"].get("deletionGracePeriodSeconds", 30)
        seconds: float = min(self._setting(pod, "stop") or 0, grace)
        return max(0.1, seconds / self._timers.phase)

    def _stop(self, namespace: str, name: str, uid: str) -> None:
        pod = self._store.get(PODS, namespace, name)
        if pod is None or pod["metadata"]["uid"] != uid or not terminating(pod):
            return
        if self._kubelets.alive(pod["spec"].get("nodeName", "")):
            self._store.remove(PODS, namespace, name)

    def _schedule(self, namespace: str, name: str) -> None:
        held = self._store.get(PODS, namespace, name)
        if held is None or held["spec"].get("nodeName"):
            return
        node, why = self._place(held["spec"])

        def bind(pod: Document) -> None:
            if node:
                pod["spec"]["nodeName"] = node
                pod["status"]["conditions"] = [_condition("PodScheduled", "True")]
                return
            before: Document = next(iter(pod["status"].get("conditions", ())), {})
            if before.get("message") != why:
                waiting = {"reason": "Unschedulable", "message": why}
                pod["status"]["conditions"] = [_condition("PodScheduled", "False") | waiting]

        self._store.edit(PODS, namespace, name, bind)

    def use_room(self) -> None:
        """A pod has gone: perhaps one that waits for a node fits now."""
        for pod in self._store.list(PODS):
            if not pod["spec"].get("nodeName"):
                self.run(pod)

    def _place(self, spec: Document) -> tuple[str, str]:
        """The node with the fewest pods that is schedulable and has room; else "" and the scheduler's sentence."""
        nodes = {n["metadata"]["name"]: n for n in self._store.list(NODES)}
        held = loads((name for name, node in nodes.items() if schedulable(node)), self._store.list(PODS))
        lacks = {name: load.refusals(nodes[name], spec) for name, load in held.items()}
        fitting = [name for name, lack in lacks.items() if not lack]
        if fitting:
            return min(fitting, key=lambda name: (held[name].pods, name)), ""
        reasons = Counter(reason for lack in lacks.values() for reason in lack)
        if len(nodes) > len(held) or not nodes:
            reasons[CLOSED] = len(nodes) - len(held)
        why = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
        return "", UNSCHEDULABLE.format(n=len(nodes), why=why)

    def _start(self, namespace: str, name: str) -> None:
        pod = self._store.get(PODS, namespace, name)
        if pod is not None and not terminating(pod) and self._kubelets.alive(pod["spec"].get("nodeName", "")):
            self._store.edit(PODS, namespace, name, self._report_running)

    def _report_running(self, pod: Document) -> None:
        ready = is_ready(pod) or self._may_be_ready(pod)
        truth = "True" if ready else "False"
        now = timestamp()
        pod["status"] |= {
            "phase": "Running",
            "startTime": pod["status"].get("startTime", now),
            "podIP": f"10.244.{secrets.randbelow(250)}.{secrets.randbelow(250) + 2}",
            "conditions": [
                _condition("PodScheduled", "True"),
                _condition("Initialized", "True"),
                _condition("ContainersReady", truth),
                _condition("Ready", truth),
            ],
            "containerStatuses": [_container_status(c, ready, now) for c in pod["spec"]["containers"]],
        }

    def _may_be_ready(self, pod: Document) -> bool:
        """Whether the world's `ready` allows one more ready pod of this workload."""
        limit = self._setting(pod, "ready")
        if limit is None:
            return True
        labels = pod["metadata"].get("labels", {})
        others = [p for p in self._store.list(PODS, pod["metadata"]["namespace"]) if not terminating(p)]
        held = sum(is_ready(p) and p["metadata"].get("labels") == labels for p in others)
        return bool(held < limit)


def _condition(kind: str, status: str) -> Document:
    return {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": timestamp()}


def _container_status(container: Document, ready: bool, now: str) -> Document:
    back_off = {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container"}
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": f"{container['image'].partition(':')[0]}@sha256:{'0' * 64}",
        "ready": ready,
        "started": ready,
        "restartCount": 0 if ready else 7,
        "state": {"running": {"startedAt": now}} if ready else {"waiting": back_off},
    }
