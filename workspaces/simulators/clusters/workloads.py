"""The controllers behind pods: Deployments, StatefulSets and DaemonSets keep as many pods as they want.

What becomes of a pod on its node is in `pods`, budgets and evictions are in `budgets`.
"""

import hashlib
import json
import secrets

from workspaces.simulators.clusters.kinds import (
    BUDGETS,
    DAEMON_SETS,
    DEPLOYMENTS,
    NODES,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Resource,
)
from workspaces.simulators.clusters.pods import Pods, controller, is_ready, terminating
from workspaces.simulators.clusters.store import Change, Document, Store
from workspaces.simulators.clusters.strategies import prepare
from workspaces.simulators.clusters.timers import Timers

KINDS = {"Deployment": DEPLOYMENTS, "StatefulSet": STATEFUL_SETS, "DaemonSet": DAEMON_SETS}
MIRROR = "kubernetes.io/config.mirror"
REQUESTS = {"cpu": "50m", "memory": "64Mi"}


def owner_reference(resource: Resource, owner: Document) -> Document:
    head = {"apiVersion": resource.api_version, "kind": resource.kind, "name": owner["metadata"]["name"]}
    return {**head, "uid": owner["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}


class Workloads:
    """The workloads of one tenant."""

    def __init__(self, store: Store, timers: Timers, pods: Pods) -> None:
        self._store, self._timers, self._pods = store, timers, pods
        store.subscribe(self._changed)

    def add(self, spec: Document) -> None:
        """A workload of the world, its pods running at once: see the world's `workloads`.

        Its `cpu` and `memory` are what each pod requests; "" is nothing.
        """
        namespace, name = spec["namespace"], spec["name"]
        kind, stop = spec.get("kind", "Deployment"), spec.get("grace_seconds", 0)
        labels = {"app": name}
        requests = {k: v for k, v in {k: spec.get(k, default) for k, default in REQUESTS.items()}.items() if v}
        container: Document = {"name": name, "image": f"registry.example/{name}:1"}
        if requests:
            container["resources"] = {"requests": requests}
        pod_spec: Document = {
            "containers": [container],
            "terminationGracePeriodSeconds": stop or 30,
        }
        if spec.get("empty_dir"):
            pod_spec["volumes"] = [{"name": "scratch", "emptyDir": {}}]
        replicas = spec.get("replicas", 1)
        self._pods.settings[f"{namespace}/{name}"] = {"ready": spec.get("ready", replicas), "stop": stop}
        metadata = {"name": name, "namespace": namespace, "labels": labels}
        if budget := spec.get("budget"):
            self._create(BUDGETS, {"metadata": dict(metadata), "spec": {**budget, "selector": {"matchLabels": labels}}})
        with self._pods.at_once():
            if kind == "Pod":
                self._pods.create(metadata, pod_spec)
                return
            resource = KINDS[kind]
            template = {"metadata": {"labels": labels}, "spec": pod_spec}
            wanted: Document = {"selector": {"matchLabels": labels}, "template": template}
            if kind == "DaemonSet":
                del self._pods.settings[f"{namespace}/{name}"]["ready"]
            else:
                wanted["replicas"] = replicas
            self._create(resource, {"metadata": metadata, "spec": wanted})
            self._reconcile(resource, namespace, name)

    def _create(self, resource: Resource, document: Document) -> None:
        prepare(resource, document, None)
        self._store.create(resource, document)

    def add_mirror_pod(self, node: str) -> None:
        """The static pod every worker of the world has; drains skip it."""
        name = f"node-proxy-{node}"
        owner = self._store.get(NODES, "", node)
        assert owner is not None
        reference = {k: v for k, v in owner_reference(NODES, owner).items() if k != "blockOwnerDeletion"}
        metadata = {
            "name": name,
            "namespace": "kube-system",
            "labels": {"app": "node-proxy"},
            "annotations": {MIRROR: hashlib.md5(name.encode()).hexdigest()},
            "ownerReferences": [reference],
        }
        with self._pods.at_once():
            self._pods.create(metadata, {"containers": [{"name": "proxy", "image": "haproxy:3.2"}]}, node)

    # Reacting -----------------------------------------------------------------------------------------------------

    def _changed(self, change: Change) -> None:
        resource, metadata = change.resource, change.document["metadata"]
        if resource in KINDS.values() and change.kind != "DELETED":
            self._reconcile_soon(resource, metadata["namespace"], metadata["name"])
        elif resource == PODS:
            self._pod_changed(change)
        elif resource == NODES:
            self._timers.soon("nodes", self._nodes_changed)

    def _reconcile_soon(self, resource: Resource, namespace: str, name: str) -> None:
        key = ("reconcile", resource.plural, namespace, name)
        self._timers.soon(key, lambda: self._reconcile(resource, namespace, name))

    def _pod_changed(self, change: Change) -> None:
        pod = change.document
        if change.kind == "DELETED":
            self._timers.soon("room", self._pods.use_room)
        else:
            self._pods.run(pod)
        owner = controller(pod)
        if not owner or owner["kind"] == "Node":
            return
        namespace, name = pod["metadata"]["namespace"], owner["name"]
        if owner["kind"] == "ReplicaSet":
            held = self._store.get(REPLICA_SETS, namespace, name)
            name = controller(held).get("name", name) if held else name.rpartition("-")[0]
        self._reconcile_soon(KINDS.get(owner["kind"], DEPLOYMENTS), namespace, name)

    def _nodes_changed(self) -> None:
        """Pods of nodes that are gone go too; others may be scheduled or started now."""
        names = {n["metadata"]["name"] for n in self._store.list(NODES)}
        for pod in self._store.list(PODS):
            node = pod["spec"].get("nodeName")
            if node and node not in names:
                self._store.remove(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])
            else:
                self._pods.run(pod)
        for daemon_set in self._store.list(DAEMON_SETS):
            self._reconcile_soon(DAEMON_SETS, daemon_set["metadata"]["namespace"], daemon_set["metadata"]["name"])

    def resume(self) -> None:
        """After a restore: everything that was under way goes on."""
        self._nodes_changed()
        for resource in KINDS.values():
            for document in self._store.list(resource):
                self._reconcile_soon(resource, document["metadata"]["namespace"], document["metadata"]["name"])

    # Controllers --------------------------------------------------------------------------------------------------

    def _reconcile(self, resource: Resource, namespace: str, name: str) -> None:
        document = self._store.get(resource, namespace, name)
        if document is None or terminating(document):
            return
        if resource == DAEMON_SETS:
            self._reconcile_daemon_set(document)
        elif resource == STATEFUL_SETS:
            self._fill(resource, document, document)
        else:
            self._fill(resource, document, self._replica_set(document))

    def _replica_set(self, deployment: Document) -> Document:
        metadata, spec = deployment["metadata"], deployment["spec"]
        digest = hashlib.md5(json.dumps(spec["template"], sort_keys=True).encode()).hexdigest()[:10]
        name = f"{metadata['name']}-{digest}"
        held = self._store.get(REPLICA_SETS, metadata["namespace"], name)
        if held is not None:
            return held
        labels = {**spec["template"]["metadata"].get("labels", {}), "pod-template-hash": digest}
        template = {**spec["template"], "metadata": {"labels": labels}}
        head = {"name": name, "namespace": metadata["namespace"], "labels": labels}
        return self._store.create(
            REPLICA_SETS,
            {
                "metadata": {**head, "ownerReferences": [owner_reference(DEPLOYMENTS, deployment)]},
                "spec": {"replicas": spec["replicas"], "selector": {"matchLabels": labels}, "template": template},
                "status": {"replicas": 0},
            },
        )

    def _fill(self, resource: Resource, document: Document, owner: Document) -> None:
        """Creates and removes pods until there are as many as wanted."""
        namespace, wanted = document["metadata"]["namespace"], document["spec"].get("replicas", 1)
        ordinal = resource == STATEFUL_SETS
        pods = self._pods_of(owner["metadata"]["uid"], namespace)
        live = [p for p in pods if not terminating(p)]
        taken = {p["metadata"]["name"] for p in pods}
        for index in range(wanted if ordinal else max(0, wanted - len(live))):
            suffix = str(index) if ordinal else secrets.token_hex(3)[:5]
            if f"{owner['metadata']['name']}-{suffix}" not in taken:
                self._create_pod(resource if ordinal else REPLICA_SETS, owner, suffix)
        for pod in live[wanted:]:
            self._store.remove(PODS, namespace, pod["metadata"]["name"])
        if owner is not document:
            self._report_replica_set(owner, wanted)
        self._report(resource, document, wanted, owner["metadata"]["uid"])

    def _create_pod(self, resource: Resource, owner: Document, suffix: str, node: str = "") -> None:
        template, name = owner["spec"]["template"], owner["metadata"]["name"]
        metadata = {
            "name": f"{name}-{suffix}",
            "generateName": f"{name}-",
            "namespace": owner["metadata"]["namespace"],
            "labels": dict(template["metadata"].get("labels", {})),
            "ownerReferences": [owner_reference(resource, owner)],
        }
        self._pods.create(metadata, template["spec"], node, daemon=resource == DAEMON_SETS)

    def _pods_of(self, uid: str, namespace: str) -> list[Document]:
        return [p for p in self._store.list(PODS, namespace) if controller(p).get("uid") == uid]

    def _report(self, resource: Resource, document: Document, wanted: int, uid: str) -> None:
        namespace, name = document["metadata"]["namespace"], document["metadata"]["name"]
        live = [p for p in self._pods_of(uid, namespace) if not terminating(p)]
        ready = sum(is_ready(p) for p in live)
        status = {
            "observedGeneration": document["metadata"]["generation"],
            "replicas": len(live),
            "updatedReplicas": len(live),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": wanted - ready,
        }
        kept = {k: v for k, v in status.items() if v}
        self._store.edit(resource, namespace, name, lambda d: d.update(status=kept))

    def _report_replica_set(self, held: Document, wanted: int) -> None:
        """What a Deployment's own ReplicaSet wants and has."""
        live = [p for p in self._pods_of(held["metadata"]["uid"], held["metadata"]["namespace"]) if not terminating(p)]
        ready = sum(is_ready(p) for p in live)
        status = {"fullyLabeledReplicas": len(live), "readyReplicas": ready, "availableReplicas": ready}
        status = {k: v for k, v in status.items() if v}
        status |= {"replicas": len(live), "observedGeneration": held["metadata"]["generation"]}

        def report(document: Document) -> None:
            document["spec"]["replicas"] = wanted
            document["status"] = status

        self._store.edit(REPLICA_SETS, held["metadata"]["namespace"], held["metadata"]["name"], report)

    def _reconcile_daemon_set(self, document: Document) -> None:
        namespace, name = document["metadata"]["namespace"], document["metadata"]["name"]
        uid = document["metadata"]["uid"]
        nodes = [n["metadata"]["name"] for n in self._store.list(NODES)]
        held = {p["spec"]["nodeName"] for p in self._pods_of(uid, namespace)}
        for node in nodes:
            if node not in held:
                self._create_pod(DAEMON_SETS, document, secrets.token_hex(3)[:5], node)
        pods = self._pods_of(uid, namespace)
        ready = sum(is_ready(p) for p in pods)
        status = {
            "currentNumberScheduled": len(pods),
            "numberMisscheduled": 0,
            "desiredNumberScheduled": len(nodes),
            "numberReady": ready,
            "observedGeneration": document["metadata"]["generation"],
            "updatedNumberScheduled": len(pods),
            "numberAvailable": ready,
            "numberUnavailable": len(nodes) - ready,
        }
        required = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
        kept = {k: v for k, v in status.items() if v or k in required}
        self._store.edit(DAEMON_SETS, namespace, name, lambda d: d.update(status=kept))
