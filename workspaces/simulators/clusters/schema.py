"""What the API server checks of a TenantControlPlane: pruning, defaults, types, and the rules across fields.

Written from the field names, defaults and messages of Kamaji's API (charts/kamaji/crds); fields nobody here reads are
kept as they are. Kamaji's own webhook comes after this, in `webhook`.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

from workspaces.simulators.clusters.errors import UNCHECKED, Cause
from workspaces.simulators.clusters.fields import Field, json_type, type_causes

STRING, INTEGER, BOOLEAN = Field("string"), Field("integer"), Field("boolean")
STRINGS, OBJECTS, FREE, ANY = (
    Field("array", items="string"),
    Field("array", items="object"),
    Field(free=True),
    Field(""),
)

ADMISSION_CONTROLLERS = [
    "CertificateApproval",
    "CertificateSigning",
    "CertificateSubjectRestriction",
    "DefaultIngressClass",
    "DefaultStorageClass",
    "DefaultTolerationSeconds",
    "LimitRanger",
    "MutatingAdmissionWebhook",
    "NamespaceLifecycle",
    "PersistentVolumeClaimResize",
    "Priority",
    "ResourceQuota",
    "RuntimeClass",
    "ServiceAccount",
    "StorageObjectInUseProtection",
    "TaintNodesByCondition",
    "ValidatingAdmissionWebhook",
]
STATES = [
    "Unknown",
    "Provisioning",
    "CertificateAuthorityRotating",
    "Upgrading",
    "Migrating",
    "Ready",
    "NotReady",
    "Sleeping",
    "WriteLimited",
]
REGISTRY = {
    "registry": "registry.k8s.io",
    "apiServerImage": "kube-apiserver",
    "controllerManagerImage": "kube-controller-manager",
    "schedulerImage": "kube-scheduler",
}
STRATEGY = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}}

IMAGE = Field(fields={"imageRepository": STRING, "imageTag": STRING})
DEPLOYMENT = Field(
    fields={
        "replicas": Field("integer", default=2),
        "serviceAccountName": Field("string", default="default"),
        "registrySettings": Field(
            fields={**{k: Field("string", default=v) for k, v in REGISTRY.items()}, "tagSuffix": STRING},
            default=REGISTRY,
        ),
        "strategy": Field(
            fields={"type": STRING, "rollingUpdate": Field(fields={"maxSurge": ANY, "maxUnavailable": ANY})},
            default=STRATEGY,
        ),
        "automountServiceAccountToken": BOOLEAN,
        "runtimeClassName": STRING,
        **dict.fromkeys(("additionalContainers", "additionalInitContainers", "additionalVolumes"), OBJECTS),
        **dict.fromkeys(("tolerations", "topologySpreadConstraints"), OBJECTS),
        **dict.fromkeys(
            [
                "additionalMetadata",
                "additionalVolumeMounts",
                "affinity",
                "containerSecurityContexts",
                "extraArgs",
                "nodeSelector",
                "podAdditionalMetadata",
                "podSecurityContext",
                "probes",
                "resources",
            ],
            FREE,
        ),
    }
)
SERVICE = Field(
    fields={
        "serviceType": Field("string", enum=("ClusterIP", "NodePort", "LoadBalancer")),
        "additionalMetadata": FREE,
        "additionalPorts": OBJECTS,
        "allocateLoadBalancerNodePorts": BOOLEAN,
    },
    required=("serviceType",),
)
KUBERNETES = Field(
    fields={
        "version": STRING,
        "admissionControllers": Field("array", items="string", default=ADMISSION_CONTROLLERS),
        "kubelet": Field(
            fields={
                "cgroupfs": Field("string", enum=("systemd", "cgroupfs")),
                "configurationJSONPatches": OBJECTS,
                "preferredAddressTypes": Field(
                    "array", items="string", default=["InternalIP", "ExternalIP", "Hostname"]
                ),
            }
        ),
    },
    required=("kubelet", "version"),
)
NETWORK = Field(
    fields={
        "address": STRING,
        "advertiseAddress": STRING,
        "allowAddressAsExternalIP": BOOLEAN,
        "certSANs": STRINGS,
        "clusterDomain": Field("string", default="cluster.local"),
        "dnsServiceIPs": STRINGS,
        "loadBalancerClass": STRING,
        "loadBalancerSourceRanges": STRINGS,
        "podCidr": Field("string", default="10.244.0.0/16"),
        "podCidrs": STRINGS,
        "port": Field("integer", default=6443),
        "serviceCidr": Field("string", default="10.96.0.0/16"),
        "serviceCidrs": STRINGS,
    }
)
SPEC = Field(
    fields={
        "addons": Field(fields={"coreDNS": IMAGE, "kubeProxy": IMAGE, "konnectivity": FREE}),
        "controlPlane": Field(
            fields={"deployment": DEPLOYMENT, "service": SERVICE, "ingress": FREE, "gateway": FREE},
            required=("service",),
        ),
        "dataStore": STRING,
        "dataStoreOverrides": OBJECTS,
        "dataStoreSchema": STRING,
        "dataStoreUsername": STRING,
        "kubernetes": KUBERNETES,
        "networkProfile": NETWORK,
        "writePermissions": Field(fields={"blockCreation": BOOLEAN, "blockUpdate": BOOLEAN, "blockDeletion": BOOLEAN}),
    },
    required=("controlPlane", "kubernetes"),
)
STATUS = Field(
    fields={
        "observedGeneration": INTEGER,
        "controlPlaneEndpoint": STRING,
        "kubernetesResources": Field(
            fields={
                "version": Field(
                    fields={
                        "version": STRING,
                        "status": Field("string", default="Provisioning", enum=tuple(STATES)),
                    }
                ),
                **dict.fromkeys(("deployment", "service", "ingress", "gateway"), FREE),
            }
        ),
        **dict.fromkeys(("addons", "certificates", "kubeadmPhase", "kubeadmconfig", "kubeconfig", "storage"), FREE),
    }
)
CONTROL_PLANE = Field(fields={"apiVersion": STRING, "kind": STRING, "metadata": FREE, "spec": SPEC, "status": STATUS})


def _replicas_cause(document: dict[str, Any]) -> Iterator[Cause]:
    """The scale subresource reads replicas by itself and complains in its own words."""
    path = ".spec.controlPlane.deployment.replicas"
    value: Any = document
    for part in path[1:].split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if value is not None and not isinstance(value, int):
        text = f"{path} accessor error: {value} is of the type {json_type(value)}, expected int64"
        yield "FieldValueInvalid", f"Invalid value: 0: {text}", path


def causes(document: dict[str, Any], old: dict[str, Any] | None) -> list[Cause]:
    """Everything the schema and its rules refuse; `old` is None at creation. Rules are not asked when types are
    wrong."""
    found = [*type_causes(CONTROL_PLANE, document, ""), *_replicas_cause(document)]
    if found:
        return [*found, UNCHECKED]
    return list(_rule_causes(document["spec"], old["spec"] if old else None))


def _rule_causes(spec: dict[str, Any], old: dict[str, Any] | None) -> Iterator[Cause]:
    service = spec["controlPlane"]["service"]
    balanced = service["serviceType"] == "LoadBalancer"
    if old is not None:
        yield from _datastore_rules(spec, old)
    yield from _balancer_rules(spec, service, balanced)
    if old is not None and balanced and old["controlPlane"]["service"]["serviceType"] == "LoadBalancer":
        rule = "LoadBalancerClass cannot be set or unset at runtime"
        new_profile, old_profile = spec.get("networkProfile"), old.get("networkProfile")
        if new_profile is None or old_profile is None:
            yield _missing_key(rule)
        elif ("loadBalancerClass" in new_profile) != ("loadBalancerClass" in old_profile):
            yield _spec_rule(rule)
    if old is not None:
        yield from _immutable_rules(spec, old)
    yield from _network_rules(spec.get("networkProfile", {}))
    control_plane = spec["controlPlane"]
    if "ingress" in control_plane and "gateway" in control_plane:
        yield "FieldValueInvalid", "Invalid value: using both ingress and gateway is not supported", "spec.controlPlane"


def _spec_rule(message: str) -> Cause:
    return "FieldValueInvalid", f"Invalid value: {message}", "spec"


def _missing_key(rule: str) -> Cause:
    """A rule that reads networkProfile fails to evaluate without one: Kamaji's quirk, see the recorded
    `patch-minimal`."""
    return "FieldValueInvalid", f'Invalid value: "object": no such key: networkProfile evaluating rule: {rule}', "spec"


def _datastore_rules(spec: dict[str, Any], old: dict[str, Any]) -> Iterator[Cause]:
    for name in ("dataStore", "dataStoreSchema", "dataStoreUsername"):
        if name in old and name not in spec:
            yield _spec_rule(f"unsetting the {name} is not supported")


def _balancer_rules(spec: dict[str, Any], service: dict[str, Any], balanced: bool) -> Iterator[Cause]:
    if balanced:
        return
    ranges = "LoadBalancer source ranges are supported only with LoadBalancer service type"
    cls = "LoadBalancerClass is supported only with LoadBalancer service type"
    profile = spec.get("networkProfile")
    if profile is None:
        yield _missing_key(ranges)
        yield _missing_key(cls)
    else:
        if profile.get("loadBalancerSourceRanges"):
            yield _spec_rule(ranges)
        if "loadBalancerClass" in profile:
            yield _spec_rule(cls)
    if "allocateLoadBalancerNodePorts" in service:
        yield _spec_rule("allocateLoadBalancerNodePorts is supported only with LoadBalancer service type")


IMMUTABLE = (
    ("dataStoreSchema", (), "changing the dataStoreSchema is not supported"),
    ("dataStoreUsername", (), "changing the dataStoreUsername is not supported"),
    ("clusterDomain", ("networkProfile",), "changing the cluster domain is not supported"),
    ("loadBalancerClass", ("networkProfile",), "LoadBalancerClass is immutable"),
)


def _immutable_rules(spec: dict[str, Any], old: dict[str, Any]) -> Iterator[Cause]:
    for name, parents, message in IMMUTABLE:
        new_parent, old_parent = spec, old
        for parent in parents:
            new_parent, old_parent = new_parent.get(parent, {}), old_parent.get(parent, {})
        if name in new_parent and name in old_parent and new_parent[name] != old_parent[name]:
            path = ".".join(("spec", *parents, name))
            yield "FieldValueInvalid", f'Invalid value: "{new_parent[name]}": {message}', path


def _is_network(value: str) -> bool:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return "/" in value


def _network_rules(profile: dict[str, Any]) -> Iterator[Cause]:
    for name in ("podCidr", "serviceCidr"):
        value = profile.get(name, "")
        if value and not _is_network(value):
            message = f'Invalid value: "{value}": {name} must be empty or a valid CIDR'
            yield "FieldValueInvalid", message, f"spec.networkProfile.{name}"
    for name, subject in (
        ("podCidrs", "all podCidrs entries must be valid CIDRs"),
        ("serviceCidrs", "all serviceCidrs entries must be valid CIDRs"),
        ("loadBalancerSourceRanges", "all LoadBalancer source range entries must be valid CIDR"),
    ):
        if not _all_networks(profile.get(name, ())):
            yield "FieldValueInvalid", f"Invalid value: {subject}", f"spec.networkProfile.{name}"


def _all_networks(values: Iterable[str]) -> bool:
    return all(_is_network(v) for v in values)
