"""Evictions of a tenant's pods: one call, for real or as a dry run, and what its answer means.

How to drain a node is decided in operations/nodes.
"""

import re
from dataclasses import dataclass
from typing import Final

from kubernetes import client

from .cluster_objects import Pod
from .errors import Permanent
from .kubernetes_errors import retry_after, speaking_to, status_of

_BUDGET: Final = re.compile(r"The disruption budget (?P<name>\S+)")


@dataclass(frozen=True)
class Evicted:
    """The eviction was accepted: the pod is going, and is not gone yet. Of a dry run: it would be accepted now."""


@dataclass(frozen=True)
class Gone:
    """There was nothing to evict: the pod is gone, or another one took its name."""


@dataclass(frozen=True)
class Blocked:
    """A PodDisruptionBudget does not allow it now: its name, the API's sentence, the pause in seconds it asked for.

    It may never allow it (one replica, `minAvailable: 1`): the caller needs a deadline.
    """

    budget: str
    message: str
    retry_after: float | None


Eviction = Evicted | Gone | Blocked


def evict(core: client.CoreV1Api, peer: str, pod: Pod, *, dry_run: bool) -> Eviction:
    """Ask for the pod to leave within its own grace time, or only whether it might.

    Raises Permanent("configuration") for a pod with two budgets, which the API can never evict.
    """
    # With the uid: a StatefulSet starts its pod again under the same name, perhaps on another node.
    wish = client.V1Eviction(
        metadata=client.V1ObjectMeta(name=pod.name, namespace=pod.namespace),
        delete_options=client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=pod.uid)),
    )
    options = {"dry_run": "All"} if dry_run else {}
    with speaking_to(peer):
        try:
            core.create_namespaced_pod_eviction(pod.name, pod.namespace, wish, **options)
        except client.ApiException as error:
            refusal = _refused(peer, pod, error)
            if refusal is None:
                raise
            return refusal
    return Evicted()


def _refused(peer: str, pod: Pod, error: client.ApiException) -> Eviction | None:
    """What a refused eviction means; None when it means no more than any other refused call."""
    status = status_of(error)
    message = str(status.get("message") or "")
    causes = (status.get("details") or {}).get("causes") or ()
    reasons = {cause.get("reason"): str(cause.get("message") or "") for cause in causes}
    if error.status == 404 or (error.status == 409 and "UID in the precondition" in message):
        return Gone()
    if error.status == 403 and "NamespaceTerminating" in reasons:
        return Evicted()
    if error.status == 429 and "DisruptionBudget" in reasons:
        cause = reasons["DisruptionBudget"]
        budget = _BUDGET.search(cause)
        return Blocked(budget["name"] if budget else "", cause or message, retry_after(error))
    if error.status == 500 and "more than one PodDisruptionBudget" in message:
        raise Permanent(
            "configuration",
            f"{peer}: pod {pod.namespace}/{pod.name} has two disruption budgets, so it can never be evicted.",
            who_can_fix="The owner of the workload, by leaving one budget for the pod.",
        )
    return None
