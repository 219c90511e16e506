"""What stands behind a tenant's pods and before its API, as plain values: Workload and Webhook."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Self

_KINDS: Final = {"pods", "nodes", "*"}
# What an upgrade asks of them: nodes are cordoned and report, pods are made, evicted and taken away.
_PARTS: Final = {"", "status", "eviction", "*"}
_CORE: Final = {"", "*"}
_CHANGES: Final = {"CREATE", "UPDATE", "DELETE", "*"}


@dataclass(frozen=True)
class Workload:
    """A Deployment, StatefulSet or ReplicaSet: `replicas` are wanted, `ready` of them are ready.

    `owner` is its controller, "Deployment/web" for the ReplicaSets of a Deployment, else "".
    """

    namespace: str
    kind: str
    name: str
    replicas: int
    ready: int
    owner: str = ""

    @property
    def reference(self) -> str:
        """What its pods name as their owner, "ReplicaSet/web-7d9f"."""
        return f"{self.kind}/{self.name}"

    @classmethod
    def of(cls, kind: str, workload: Any) -> Self:
        """From a V1Deployment, V1StatefulSet or V1ReplicaSet (items of a list do not say their kind)."""
        metadata, spec, status = workload.metadata, workload.spec, workload.status
        wanted = spec.replicas if spec else None
        return cls(
            namespace=metadata.namespace,
            kind=kind,
            name=metadata.name,
            replicas=1 if wanted is None else wanted,
            ready=(status and status.ready_replicas) or 0,
            owner=controller_of(metadata),
        )


@dataclass(frozen=True)
class Webhook:
    """An admission webhook of a ValidatingWebhookConfiguration or MutatingWebhookConfiguration.

    `failure_policy` is "Fail" or "Ignore". Either `service` ("namespace/name") or `url` says where it is, the other one
    is "". `matches_pods_or_nodes` goes by its rules alone: a selector may leave out what the rules name.
    """

    name: str
    configuration: str
    failure_policy: str
    service: str
    url: str
    matches_pods_or_nodes: bool

    @classmethod
    def all_of(cls, configuration: Any) -> list[Self]:
        """From a V1ValidatingWebhookConfiguration or V1MutatingWebhookConfiguration."""
        return [cls._of(configuration.metadata.name, webhook) for webhook in configuration.webhooks or ()]

    @classmethod
    def _of(cls, configuration: str, webhook: Any) -> Self:
        service = webhook.client_config.service
        return cls(
            name=webhook.name,
            configuration=configuration,
            failure_policy=webhook.failure_policy or "Fail",
            service=f"{service.namespace}/{service.name}" if service else "",
            url=webhook.client_config.url or "",
            matches_pods_or_nodes=any(_meets_pods_or_nodes(rule) for rule in webhook.rules or ()),
        )


def controller_of(metadata: Any) -> str:
    """The controller that an object's metadata names, "ReplicaSet/web-7d9f"; "" when there is none."""
    owner = next((owner for owner in metadata.owner_references or () if owner.controller), None)
    return f"{owner.kind}/{owner.name}" if owner else ""


def _meets_pods_or_nodes(rule: Any) -> bool:
    return (
        bool(_CORE & set(rule.api_groups or ()))
        and bool(_CHANGES & set(rule.operations or ()))
        and any(kind in _KINDS and part in _PARTS for kind, part in _split(rule.resources or ()))
    )


def _split(resources: Iterable[str]) -> Iterable[tuple[str, str]]:
    """ "pods/eviction" as kind and subresource."""
    for resource in resources:
        kind, _, part = resource.partition("/")
        yield kind, part
