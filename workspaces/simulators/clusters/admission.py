"""A tenant's own admission webhooks: nobody answers as them, so they matter when nobody could.

A request that a webhook with failurePolicy Fail is to be asked about is refused while its Service has no ready
endpoint; every other passes. Only requests are: what controllers and kubelets of this simulator do is not.
"""

from typing import Any

from workspaces.simulators.clusters.errors import webhook_unreachable
from workspaces.simulators.clusters.kinds import (
    ENDPOINT_SLICES,
    MUTATING_WEBHOOKS,
    NAMESPACES,
    SERVICES,
    VALIDATING_WEBHOOKS,
    WEBHOOKS,
    Resource,
)
from workspaces.simulators.clusters.requests import Call
from workspaces.simulators.clusters.selectors import matches
from workspaces.simulators.clusters.store import Document, Store
from workspaces.simulators.faults import Faults

OPERATIONS = {
    "create": "CREATE",
    "update": "UPDATE",
    "patch": "UPDATE",
    "delete": "DELETE",
    "deletecollection": "DELETE",
}
SERVICE_LABEL = "kubernetes.io/service-name"
RESOURCES = ("pods", "pods/eviction")


class Admission:
    """The webhooks and Services of the tenant `key` ("namespace/name")."""

    def __init__(self, store: Store, faults: Faults, key: str) -> None:
        self._store, self._faults, self._key = store, faults, key

    def add(self, spec: Document) -> None:
        """A webhook of the world: `{"name", "namespace", "service", "resources", "failure_policy", "ready"}`.

        All but the name have defaults: a Service `webhook` of the namespace `guard` that is there and is asked about
        pods and evictions, and must be.
        """
        namespace, service = spec.get("namespace", "guard"), spec.get("service", "webhook")
        labels = {SERVICE_LABEL: service}
        endpoint = {"addresses": ["10.244.0.9"], "conditions": {"ready": spec.get("ready", True)}}
        metadata = {"name": service, "namespace": namespace}
        if self._store.get(SERVICES, namespace, service) is None:
            port = {"port": 443, "protocol": "TCP"}
            self._store.create(SERVICES, {"metadata": dict(metadata), "spec": {"type": "ClusterIP", "ports": [port]}})
            endpoints = {"addressType": "IPv4", "endpoints": [endpoint], "ports": [{"port": 9443, "protocol": "TCP"}]}
            head = {"name": f"{service}-7xk2p", "namespace": namespace, "labels": labels}
            self._store.create(ENDPOINT_SLICES, {"metadata": head, **endpoints})
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "scope": "*"}
        webhook = {
            "name": spec["name"],
            "admissionReviewVersions": ["v1"],
            "clientConfig": {"service": {**metadata, "path": "/validate", "port": 443}},
            "failurePolicy": spec.get("failure_policy", "Fail"),
            "matchPolicy": "Equivalent",
            "namespaceSelector": {},
            "objectSelector": {},
            "rules": [{**rule, "resources": list(spec.get("resources", RESOURCES))}],
            "sideEffects": "None",
            "timeoutSeconds": 10,
        }
        self._store.create(VALIDATING_WEBHOOKS, {"metadata": {"name": spec["name"]}, "webhooks": [webhook]})

    def present(self, resource: Resource, document: Document) -> Document:
        """An EndpointSlice as of now: with the fault `endpoints_down` nobody in it is ready. Anything else as it is."""
        if resource != ENDPOINT_SLICES:
            return document
        metadata = document["metadata"]
        if not self._down(metadata["namespace"], metadata.get("labels", {}).get(SERVICE_LABEL, "")):
            return document
        endpoints = [{**e, "conditions": {"ready": False}} for e in document.get("endpoints") or ()]
        return {**document, "endpoints": endpoints}

    def check(self, call: Call) -> None:
        """Raises the API server's 500 when the request's webhook cannot be asked."""
        operation = OPERATIONS.get(call.verb)
        if operation is None or call.resource in WEBHOOKS:
            return
        for kind in (MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS):
            for configuration in self._store.list(kind):
                for webhook in configuration.get("webhooks", ()):
                    if webhook.get("failurePolicy", "Fail") == "Fail" and self._asks(webhook, call, operation):
                        self._ask(webhook)

    def _asks(self, webhook: Document, call: Call, operation: str) -> bool:
        if call.namespace:
            namespace = self._store.get(NAMESPACES, "", call.namespace) or {"metadata": {}}
            selector = webhook.get("namespaceSelector") or {}
            if not matches(selector, namespace["metadata"].get("labels", {})):
                return False
        return any(_covers(rule, call, operation) for rule in webhook.get("rules", ()))

    def _ask(self, webhook: Document) -> None:
        service = webhook["clientConfig"].get("service")
        if service is None:
            return  # one with a URL is somewhere else, and answers
        namespace, name = service["namespace"], service["name"]
        if self._ready(namespace, name):
            return
        held = self._store.get(SERVICES, namespace, name) is not None
        why = f'no endpoints available for service "{name}"' if held else f'service "{name}" not found'
        address = f"https://{name}.{namespace}.svc:{service.get('port', 443)}{service.get('path', '/')}"
        text = f'Post "{address}?timeout={webhook.get("timeoutSeconds", 10)}s": {why}'
        raise webhook_unreachable(text, name=webhook["name"])

    def _ready(self, namespace: str, service: str) -> bool:
        if self._down(namespace, service):
            return False
        slices = self._store.list(ENDPOINT_SLICES, namespace)
        return any(
            (endpoint.get("conditions") or {}).get("ready") is not False
            for held in slices
            if held["metadata"].get("labels", {}).get(SERVICE_LABEL) == service
            for endpoint in held.get("endpoints") or ()
        )

    def _down(self, namespace: str, service: str) -> bool:
        targets = (self._key, f"{self._key}/{namespace}/{service}")
        return any(self._faults.active("kubernetes", target, "endpoints_down") for target in targets)


def _covers(rule: Document, call: Call, operation: str) -> bool:
    return (
        _holds(rule.get("apiGroups"), call.resource.group)
        and _holds(rule.get("operations"), operation)
        and any(_is(wanted, call.resource.plural, call.subresource) for wanted in rule.get("resources", ()))
    )


def _holds(values: Any, value: str) -> bool:
    return "*" in (values or ()) or value in (values or ())


def _is(wanted: str, plural: str, subresource: str) -> bool:
    """`pods`, `pods/eviction`, `pods/*`, `*/eviction`, `*` (no subresource) and `*/*`."""
    kind, _, part = wanted.partition("/")
    return kind in ("*", plural) and part in (subresource, "*")
