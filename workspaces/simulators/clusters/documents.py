"""The documents Kamaji makes of a TenantControlPlane: its status, Deployment, Service, Pods and Secrets."""

import base64
import hashlib
from typing import Any

from workspaces.simulators.clusters.kinds import CONTROL_PLANES
from workspaces.simulators.clusters.store import Document, timestamp

FINALIZERS = ("finalizer.kamaji.clastix.io", "finalizer.kamaji.clastix.io/soot")
NAME_LABEL = "kamaji.clastix.io/name"
CERTIFICATES = {
    "ca": "ca",
    "apiServer": "api-server-certificate",
    "apiServerKubeletClient": "api-server-kubelet-client-certificate",
    "frontProxyCA": "front-proxy-ca-certificate",
    "frontProxyClient": "front-proxy-client-certificate",
    "sa": "sa-certificate",
}
KUBECONFIGS = {"admin": "admin", "controllerManager": "controller-manager", "scheduler": "scheduler"}
PORT = 6443
NO_ROOM = (
    "0/3 nodes are available: 3 Insufficient cpu. no new claims to deallocate, preemption: 0/3 nodes are available: "
    "3 No preemption victims found for incoming pod."
)
BACK_OFF = (
    'Back-off pulling image "{image}": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image '
    '"{image}": failed to resolve reference "{image}": {image}: not found'
)


def checksum(*parts: str) -> str:
    return hashlib.md5("\x00".join(parts).encode()).hexdigest()


def labels(control_plane: Document, component: str) -> dict[str, str]:
    return {
        NAME_LABEL: control_plane["metadata"]["name"],
        "kamaji.clastix.io/project": "kamaji",
        "kamaji.clastix.io/component": component,
    }


def owner(control_plane: Document) -> Document:
    metadata = control_plane["metadata"]
    head = {"apiVersion": CONTROL_PLANES.api_version, "kind": CONTROL_PLANES.kind, "name": metadata["name"]}
    return {**head, "uid": metadata["uid"], "controller": True, "blockOwnerDeletion": True}


def status_skeleton(control_plane: Document, endpoint: str) -> Document:
    """Everything of the status that Kamaji fills in while it provisions, but for versions, replicas and generation."""
    metadata, spec = control_plane["metadata"], control_plane["spec"]
    name, now = metadata["name"], timestamp()
    store = spec.get("dataStore", "default")
    user = spec.get("dataStoreUsername", f"{metadata['namespace']}_{name}".replace("-", "_"))

    def stamped(**fields: Any) -> Document:
        return {**fields, "lastUpdate": now, "checksum": checksum(metadata["uid"], *map(str, fields.values()))}

    setup = {"schema": spec.get("dataStoreSchema", user), "user": user}
    return {
        "controlPlaneEndpoint": endpoint,
        "storage": {
            "driver": "etcd",
            "dataStoreName": store,
            "config": {"secretName": f"{name}-datastore-config", "checksum": checksum(metadata["uid"], "config")},
            "setup": stamped(**setup),
            "certificate": stamped(secretName=f"{name}-datastore-certificate"),
        },
        "certificates": {k: stamped(secretName=f"{name}-{suffix}") for k, suffix in CERTIFICATES.items()},
        "kubeconfig": {k: stamped(secretName=f"{name}-{suffix}-kubeconfig") for k, suffix in KUBECONFIGS.items()},
        "kubeadmconfig": stamped(configmapName=f"{name}-kubeadmconfig"),
        "kubeadmPhase": {"bootstrapToken": stamped()},
        "addons": {
            "coreDNS": {"enabled": "coreDNS" in spec.get("addons", {}), "lastUpdate": now},
            "kubeProxy": {"enabled": "kubeProxy" in spec.get("addons", {}), "lastUpdate": now},
            "konnectivity": {"enabled": False},
        },
    }


def deployment_status(control_plane: Document, replicas: int, updated: int, ready: int) -> Document:
    """status.kubernetesResources.deployment: a DeploymentStatus with name, namespace and selector inline."""
    metadata, now = control_plane["metadata"], timestamp()
    available = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    if not ready:
        available = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    wanted = control_plane["spec"]["controlPlane"]["deployment"]["replicas"]
    counts = {
        "replicas": replicas,
        "updatedReplicas": updated,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": max(0, replicas - ready if replicas > wanted else wanted - ready),
    }
    conditions = [
        {"type": "Available", "status": available[0], "reason": available[1], "message": available[2]},
        {
            "type": "Progressing",
            "status": "True",
            "reason": "NewReplicaSetAvailable" if updated == replicas == ready else "ReplicaSetUpdated",
            "message": "ReplicaSet has successfully progressed.",
        },
    ]
    return {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "selector": f"{NAME_LABEL}={metadata['name']}",
        "lastUpdate": now,
        "observedGeneration": metadata["generation"],
        **{key: value for key, value in counts.items() if value},
        "conditions": [{**c, "lastTransitionTime": now, "lastUpdateTime": now} for c in conditions],
    }


def service_status(control_plane: Document) -> Document:
    metadata, spec = control_plane["metadata"], control_plane["spec"]
    balancer: Document = {}
    if spec["controlPlane"]["service"]["serviceType"] == "LoadBalancer":
        balancer = {"ingress": [{"ip": "127.0.0.1", "ipMode": "VIP"}]}
    port = spec.get("networkProfile", {}).get("port", PORT)
    return {"name": metadata["name"], "namespace": metadata["namespace"], "port": port, "loadBalancer": balancer}


def secret(control_plane: Document, name: str, component: str, lifecycle: str, data: dict[str, str]) -> Document:
    """One of a control plane's Secrets; `lifecycle` is kubeconfig or x509."""
    metadata = control_plane["metadata"]
    return {
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": {
                **labels(control_plane, component),
                "kamaji.clastix.io/certificate_lifecycle_controller": lifecycle,
            },
            "ownerReferences": [owner(control_plane)],
        },
        "type": "Opaque",
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }


def pod_template(control_plane: Document) -> Document:
    """The pod template of the control plane's Deployment."""
    version = control_plane["spec"]["kubernetes"]["version"]
    registry = control_plane["spec"]["controlPlane"]["deployment"]["registrySettings"]
    images = [("kube-apiserver", "apiServerImage"), ("kube-controller-manager", "controllerManagerImage")]
    images.append(("kube-scheduler", "schedulerImage"))
    containers = [{"name": name, "image": f"{registry['registry']}/{registry[key]}:{version}"} for name, key in images]
    own = {NAME_LABEL: control_plane["metadata"]["name"], "kamaji.clastix.io/component": "deployment"}
    return {"metadata": {"labels": own}, "spec": {"containers": containers}}


def pod(control_plane: Document, suffix: str, problem: str = "") -> Document:
    """A Pod of the control plane; `problem` is "image" (it cannot be pulled) or "capacity" (no host has room)."""
    template = pod_template(control_plane)
    version = control_plane["spec"]["kubernetes"]["version"]
    revision = checksum(version)[:10]
    metadata = control_plane["metadata"]
    host: Document = {} if problem == "capacity" else {"nodeName": "management-1"}
    return {
        "metadata": {
            "name": f"{metadata['name']}-{revision}-{suffix}",
            "namespace": metadata["namespace"],
            "labels": {**template["metadata"]["labels"], "pod-template-hash": revision},
            "ownerReferences": [owner(control_plane)],
        },
        "spec": {**template["spec"], **host, "terminationGracePeriodSeconds": 30},
        "status": _no_room() if problem == "capacity" else _on_its_host(template, waiting=problem == "image"),
    }


def _no_room() -> Document:
    """The status of a pod that no host took."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": NO_ROOM}
    return {"phase": "Pending", "conditions": [{**condition, "lastTransitionTime": timestamp()}]}


def _on_its_host(template: Document, waiting: bool) -> Document:
    ready, now = "False" if waiting else "True", timestamp()
    conditions = [("PodScheduled", "True"), ("Initialized", "True"), ("ContainersReady", ready), ("Ready", ready)]
    return {
        "phase": "Pending" if waiting else "Running",
        "conditions": [{"type": k, "status": v, "lastTransitionTime": now} for k, v in conditions],
        "containerStatuses": [_container_status(c, waiting, now) for c in template["spec"]["containers"]],
    }


def _container_status(container: Document, waiting: bool, now: str) -> Document:
    image = container["image"]
    back_off = {"reason": "ImagePullBackOff", "message": BACK_OFF.format(image=image)}
    return {
        "name": container["name"],
        "image": image,
        "imageID": "",
        "ready": not waiting,
        "restartCount": 0,
        "state": {"waiting": back_off} if waiting else {"running": {"startedAt": now}},
    }
