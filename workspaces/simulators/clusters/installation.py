"""What Kamaji keeps in the management cluster for a control plane: its Deployment, Service, Pods and kubeconfig Secret.

When they change is decided in `kamaji`; how they look is in `documents`.
"""

from workspaces.simulators.clusters import documents
from workspaces.simulators.clusters.bootstrap import CLUSTER_ADMINS, MASTERS
from workspaces.simulators.clusters.kinds import CONTROL_PLANES, DEPLOYMENTS, PODS, SECRETS, SERVICES
from workspaces.simulators.clusters.store import Document, Store, timestamp
from workspaces.simulators.clusters.tenant import Tenant


class Installation:
    """Writes those objects into one management cluster's store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def issue_kubeconfig(self, document: Document, tenant: Tenant, days: float | None = None) -> None:
        """A new admin kubeconfig Secret, good for so many days; certificates issued before stay valid."""
        name = f"{document['metadata']['name']}-admin-kubeconfig"
        admin, super_admin = (tenant.admin_kubeconfig(group, days) for group in (CLUSTER_ADMINS, MASTERS))
        metadata = document["metadata"]
        internal = f"https://{metadata['name']}.{metadata['namespace']}.svc:{documents.PORT}"
        server = f"https://{tenant.server.endpoint}"
        data = {
            "admin.conf": admin,
            "admin.svc": admin.replace(server, internal),
            "super-admin.conf": super_admin,
            "super-admin.svc": super_admin.replace(server, internal),
        }
        secret = documents.secret(document, name, "admin-kubeconfig", "kubeconfig", data)
        if self._store.get(SECRETS, metadata["namespace"], name) is None:
            self._store.create(SECRETS, secret)
        else:
            self._store.edit(SECRETS, metadata["namespace"], name, lambda held: held.update(data=secret["data"]))
        issued = {"secretName": name, "lastUpdate": timestamp(), "checksum": documents.checksum(admin)}

        def show(held: Document) -> None:
            held["status"].setdefault("kubeconfig", {}).update(admin=issued)

        self._store.edit(CONTROL_PLANES, metadata["namespace"], metadata["name"], show)

    def _install(self, document: Document) -> None:
        """The Deployment and the Service of a control plane."""
        metadata = document["metadata"]
        key = (metadata["namespace"], metadata["name"])
        template = documents.pod_template(document)
        head = {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": documents.labels(document, "deployment"),
            "ownerReferences": [documents.owner(document)],
        }
        spec: Document = {
            "replicas": document["spec"]["controlPlane"]["deployment"]["replicas"],
            "selector": {"matchLabels": template["metadata"]["labels"]},
            "template": template,
        }
        counts = {"replicas": spec["replicas"], "readyReplicas": spec["replicas"], "updatedReplicas": spec["replicas"]}
        if self._store.get(DEPLOYMENTS, *key) is None:
            self._store.create(DEPLOYMENTS, {"metadata": dict(head), "spec": spec, "status": counts})
            ports = [{"name": "kube-apiserver", "port": documents.PORT, "protocol": "TCP"}]
            service = {"type": document["spec"]["controlPlane"]["service"]["serviceType"], "ports": ports}
            self._store.create(SERVICES, {"metadata": dict(head), "spec": service, "status": {"loadBalancer": {}}})
        else:
            self._store.edit(DEPLOYMENTS, *key, lambda held: held.update(spec=spec, status=counts))

    def set_pods(self, document: Document, state: str, problem: str = "") -> None:
        """`surge`: new pods beside the old; `done`: only those of the spec; `none`: no pods.

        `problem` is what keeps new ones from starting, as in `documents.pod`.
        """
        namespace = document["metadata"]["namespace"]
        replicas = document["spec"]["controlPlane"]["deployment"]["replicas"]
        wanted = {} if state == "none" else {
            p["metadata"]["name"]: p for p in (documents.pod(document, f"{n:05d}", problem) for n in range(replicas))
        }  # fmt: skip
        own = [
            p
            for p in self._store.list(PODS, namespace)
            if p["metadata"].get("labels", {}).get(documents.NAME_LABEL) == document["metadata"]["name"]
        ]
        running = [p for p in own if p["status"]["phase"] == "Running"]
        for held in own:
            name = held["metadata"]["name"]
            stays = name in wanted if state != "surge" else name in wanted or held in running
            if not stays:
                self._store.remove(PODS, namespace, name)
        for name, pod in wanted.items():
            held_pod = self._store.get(PODS, namespace, name)
            if held_pod is None:
                self._store.create(PODS, pod)
            elif held_pod["status"]["phase"] != "Running" and _look(held_pod) != _look(pod):
                changed = {part: pod[part] for part in ("spec", "status")}
                self._store.edit(PODS, namespace, name, lambda d, changed=changed: d.update(changed))  # type: ignore[misc]
        if state == "done":
            self._install(document)


def _look(pod: Document) -> tuple[str, str]:
    """What tells a pod that runs, one that waits for its image and one without a host from each other."""
    return pod["status"]["phase"], pod["spec"].get("nodeName", "")
