"""What the API server does to objects of a kind before storing them: defaults, checks, and what an update may not
change.

A strategy answers the names of unknown fields it took away. Admission by webhooks comes after, in `api`.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from typing import Any

from workspaces.simulators.clusters import fields, schema
from workspaces.simulators.clusters.errors import UNCHECKED, Cause, bad_request, invalid
from workspaces.simulators.clusters.kinds import (
    BUDGETS,
    CONFIG_MAPS,
    CONTROL_PLANES,
    DAEMON_SETS,
    DEPLOYMENTS,
    NAMESPACES,
    NODES,
    PODS,
    SECRETS,
    Resource,
)
from workspaces.simulators.clusters.store import Document

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
NODE_INFO = [
    "machineID",
    "systemUUID",
    "bootID",
    "kernelVersion",
    "osImage",
    "containerRuntimeVersion",
    "kubeletVersion",
    "kubeProxyVersion",
    "operatingSystem",
    "architecture",
]
TOLERATIONS = [
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for key in ("not-ready", "unreachable")
]
HEAD = ("apiVersion", "kind", "metadata")
KNOWN_FIELDS = {
    CONFIG_MAPS: (*HEAD, "data", "binaryData", "immutable"),
    SECRETS: (*HEAD, "data", "stringData", "type", "immutable"),
    NAMESPACES: (*HEAD, "spec", "status"),
    NODES: (*HEAD, "spec", "status"),
    PODS: (*HEAD, "spec", "status"),
    BUDGETS: (*HEAD, "spec", "status"),
    DEPLOYMENTS: (*HEAD, "spec", "status"),
    DAEMON_SETS: (*HEAD, "spec", "status"),
}


def check_name(resource: Resource, name: str) -> Iterator[Cause]:
    if not name:
        yield "FieldValueRequired", "Required value: name or generateName is required", "metadata.name"
        if resource.custom:
            yield UNCHECKED
        return
    pattern, rule = (LABEL, LABEL_RULE) if resource == NAMESPACES else (SUBDOMAIN, SUBDOMAIN_RULE)
    if not pattern.fullmatch(name):
        yield "FieldValueInvalid", f'Invalid value: "{name}": {rule}', "metadata.name"


def prune(resource: Resource, document: Document) -> list[str]:
    """Takes unknown fields away, in place; their paths, for Warning headers and strict validation."""
    if resource == CONTROL_PLANES:
        return list(fields.prune(schema.CONTROL_PLANE, document))
    known = KNOWN_FIELDS.get(resource)
    unknown = sorted(set(document) - set(known)) if known else []
    for name in unknown:
        del document[name]
    return unknown


def prepare(resource: Resource, document: Document, old: Document | None) -> None:
    """Defaults and checks, in place; raises 400 or 422. `old` is None at creation."""
    strategy = STRATEGIES.get(resource)
    if strategy is not None:
        strategy(document, old)


def _refuse(resource: Resource, document: Document, causes: list[Cause]) -> None:
    if causes:
        raise invalid(resource, document["metadata"].get("name", ""), causes)


def _control_plane(document: Document, old: Document | None) -> None:
    fields.add_defaults(schema.CONTROL_PLANE, document)
    _refuse(CONTROL_PLANES, document, schema.causes(document, old))


def _namespace(document: Document, old: Document | None) -> None:
    metadata = document["metadata"]
    metadata["labels"] = {**metadata.get("labels", {}), "kubernetes.io/metadata.name": metadata["name"]}
    if old is None:
        document["spec"] = {"finalizers": ["kubernetes"]}
        document["status"] = {"phase": "Active"}


def _node(document: Document, old: Document | None) -> None:
    spec = document.setdefault("spec", {})
    if not spec.get("unschedulable", False):
        spec.pop("unschedulable", None)
    if not isinstance(spec.get("unschedulable", True), bool):
        raise bad_request('Node in version "v1" cannot be handled as a Node: json: cannot unmarshal string into bool')
    if not spec.get("taints"):
        spec.pop("taints", None)
    if old is None:
        spec["taints"] = [
            *spec.get("taints", ()),
            {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"},
        ]
        status = document.setdefault("status", {})
        status.setdefault("daemonEndpoints", {"kubeletEndpoint": {"Port": 0}})
        status["nodeInfo"] = {**dict.fromkeys(NODE_INFO, ""), **status.get("nodeInfo", {})}
    if not spec:
        del document["spec"]


def _secret(document: Document, old: Document | None) -> None:
    data = dict(document.get("data") or {})
    for value in data.values():
        _check_base64(value)
    for key, value in (document.pop("stringData", None) or {}).items():
        data[key] = base64.b64encode(value.encode()).decode()
    if data or "data" in document:
        document["data"] = data
    document.setdefault("type", "Opaque")
    causes = list(_key_causes("data", data))
    if old is not None and old["type"] != document["type"]:
        causes.append(("FieldValueInvalid", f'Invalid value: "{document["type"]}": field is immutable', "type"))
    if document["type"] == "kubernetes.io/tls":
        missing = (key for key in ("tls.crt", "tls.key") if key not in data)
        causes += [("FieldValueRequired", "Required value", f"data[{key}]") for key in missing]
    _refuse(SECRETS, document, causes)


def _check_base64(value: Any) -> None:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        bad = next((i for i, c in enumerate(str(value)) if not re.match(r"[A-Za-z0-9+/]", c)), len(str(value)))
        text = f"illegal base64 data at input byte {bad}"
        raise bad_request(f'Secret in version "v1" cannot be handled as a Secret: {text}') from None


def _key_causes(field: str, data: dict[str, Any]) -> Iterator[Cause]:
    for key in data:
        if not re.fullmatch(r"[-._a-zA-Z0-9]+", key):
            message = (
                f"Invalid value: \"{key}\": a valid config key must consist of alphanumeric characters, '-', '_' or "
                "'.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
            )
            yield "FieldValueInvalid", message, f"{field}[{key}]"


def _config_map(document: Document, old: Document | None) -> None:
    for value in (document.get("data") or {}).values():
        if not isinstance(value, str):
            kind = "bool" if isinstance(value, bool) else "number" if isinstance(value, int | float) else "object"
            text = f"json: cannot unmarshal {kind} into Go struct field ConfigMap.data of type string"
            raise bad_request(f'ConfigMap in version "v1" cannot be handled as a ConfigMap: {text}')
    causes = list(_key_causes("data", document.get("data") or {}))
    if old is not None and old.get("immutable") and old.get("data") != document.get("data"):
        causes.append(("FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set", "data"))
    _refuse(CONFIG_MAPS, document, causes)


def _pod_spec(spec: Document) -> None:
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    for container in spec.get("containers", ()):
        container.setdefault("resources", {})
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        container.setdefault("imagePullPolicy", "IfNotPresent")


def _pod(document: Document, old: Document | None) -> None:
    spec = document["spec"]
    if old is None:
        _pod_spec(spec)
        spec.setdefault("serviceAccountName", "default")
        spec.setdefault("enableServiceLinks", True)
        held = {t.get("key") for t in spec.get("tolerations", ())}
        spec["tolerations"] = [*spec.get("tolerations", ()), *(t for t in TOLERATIONS if t["key"] not in held)]
        reserves = any(c["resources"].get("requests") for c in spec.get("containers", ()))
        document["status"] = {"phase": "Pending", "qosClass": "Burstable" if reserves else "BestEffort"}
        return
    if _frozen(spec) != _frozen(old["spec"]):
        message = (
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
            "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously "
            "negative)"
        )
        _refuse(PODS, document, [("FieldValueForbidden", message, "spec")])


def _frozen(spec: Document) -> Document:
    """The part of a pod's spec no update may change."""
    frozen = {k: v for k, v in spec.items() if k not in ("activeDeadlineSeconds", "tolerations")}
    for name in ("containers", "initContainers"):
        if name in frozen:
            frozen[name] = [{k: v for k, v in c.items() if k != "image"} for c in frozen[name]]
    return frozen


def _budget(document: Document, old: Document | None) -> None:
    spec = document.get("spec", {})
    if "minAvailable" in spec and "maxUnavailable" in spec:
        message = "Invalid value: minAvailable and maxUnavailable cannot be both set"
        _refuse(BUDGETS, document, [("FieldValueInvalid", message, "spec")])
    if old is None:
        document["status"] = dict.fromkeys(
            ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"), 0
        )


def _selector_causes(document: Document, old: Document | None) -> list[Cause]:
    spec = document.get("spec", {})
    selector = spec.get("selector")
    labels = spec.get("template", {}).get("metadata", {}).get("labels", {})
    if not selector:
        return [("FieldValueRequired", "Required value", "spec.selector")]
    if any(labels.get(k) != v for k, v in selector.get("matchLabels", {}).items()):
        shown = ", ".join(f'"{k}":"{v}"' for k, v in labels.items())
        message = f"Invalid value: {{{shown}}}: `selector` does not match template `labels`"
        return [("FieldValueInvalid", message, "spec.template.metadata.labels")]
    return []


def _deployment(document: Document, old: Document | None) -> None:
    spec = document.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    rolling = {"maxUnavailable": "25%", "maxSurge": "25%"}
    spec.setdefault("strategy", {"type": "RollingUpdate", "rollingUpdate": rolling})
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    _pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))
    _refuse(DEPLOYMENTS, document, _selector_causes(document, old))
    if old is None:
        document["status"] = {}


def _daemon_set(document: Document, old: Document | None) -> None:
    spec = document.setdefault("spec", {})
    rolling = {"maxUnavailable": 1, "maxSurge": 0}
    spec.setdefault("updateStrategy", {"type": "RollingUpdate", "rollingUpdate": rolling})
    spec.setdefault("revisionHistoryLimit", 10)
    _pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))
    _refuse(DAEMON_SETS, document, _selector_causes(document, old))
    if old is None:
        zero = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
        document["status"] = dict.fromkeys(zero, 0)


STRATEGIES: dict[Resource, Callable[[Document, Document | None], None]] = {
    CONTROL_PLANES: _control_plane,
    NAMESPACES: _namespace,
    NODES: _node,
    SECRETS: _secret,
    CONFIG_MAPS: _config_map,
    PODS: _pod,
    BUDGETS: _budget,
    DEPLOYMENTS: _deployment,
    DAEMON_SETS: _daemon_set,
}
