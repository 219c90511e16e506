"""What a management cluster has of Kamaji besides control planes: its CustomResourceDefinitions, in outline, and a
DataStore."""

from workspaces.simulators.clusters.kinds import CONTROL_PLANES, DATA_STORES, Resource
from workspaces.simulators.clusters.store import Document

SCALE = {
    "specReplicasPath": ".spec.controlPlane.deployment.replicas",
    "statusReplicasPath": ".status.kubernetesResources.deployment.replicas",
    "labelSelectorPath": ".status.kubernetesResources.deployment.selector",
}


def _definition(resource: Resource) -> Document:
    names: Document = {
        "plural": resource.plural,
        "singular": resource.singular,
        "kind": resource.kind,
        "listKind": f"{resource.kind}List",
        "categories": list(resource.categories),
    }
    if resource.short:
        names["shortNames"] = list(resource.short)
    service = {"namespace": "kamaji-system", "name": "kamaji-webhook-service", "path": "/convert", "port": 443}
    version = {
        "name": resource.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
        "subresources": {"status": {}, **({"scale": SCALE} if resource.scale else {})},
    }
    return {
        "metadata": {"name": resource.qualified},
        "spec": {
            "group": resource.group,
            "names": names,
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "conversion": {
                "strategy": "Webhook",
                "webhook": {"clientConfig": {"service": service}, "conversionReviewVersions": ["v1"]},
            },
            "versions": [version],
        },
        "status": {"acceptedNames": names, "storedVersions": [resource.version], "conditions": []},
    }


def _key_reference(name: str) -> Document:
    return {"secretReference": {"name": "etcd-certs", "namespace": "kamaji-system", "keyPath": name}}


DEFINITIONS = tuple(_definition(resource) for resource in (CONTROL_PLANES, DATA_STORES))
DATA_STORE: Document = {
    "metadata": {"name": "default", "finalizers": ["kamaji.clastix.io/TenantControlPlane"]},
    "spec": {
        "driver": "etcd",
        "endpoints": [f"etcd-{n}.etcd.kamaji-system.svc.cluster.local:2379" for n in range(3)],
        "tlsConfig": {
            "certificateAuthority": {"certificate": _key_reference("ca.crt"), "privateKey": _key_reference("ca.key")},
            "clientCertificate": {"certificate": _key_reference("tls.crt"), "privateKey": _key_reference("tls.key")},
        },
    },
    "status": {"ready": True, "usedBy": []},
}
