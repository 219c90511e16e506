"""The pods of a tenant's control plane, which run in the management cluster: what keeps a new one from starting."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

NAME_LABEL: Final = "kamaji.clastix.io/name"
_API_SERVER: Final = "kube-apiserver"
_LONGEST_MESSAGE: Final = 500


@dataclass(frozen=True)
class Waiting:
    """A container that does not run: Kubernetes' `reason` (ImagePullBackOff) and `message`, one line, perhaps ""."""

    container: str
    image: str
    reason: str
    message: str


@dataclass(frozen=True)
class ControlPlanePod:
    """One pod. `version` is that of its API server's image ("1.35.4", "" when the image has no tag).

    `unschedulable` is why no host of the management cluster takes it, "" once one has.
    """

    name: str
    phase: str
    version: str
    ready: bool
    waiting: tuple[Waiting, ...]
    unschedulable: str
    created: datetime
    deleting: bool = False

    @classmethod
    def of(cls, pod: Any) -> Self:
        """From a V1Pod."""
        metadata, status = pod.metadata, pod.status
        conditions = {condition.type: condition for condition in (status and status.conditions) or ()}
        scheduled, ready = conditions.get("PodScheduled"), conditions.get("Ready")
        return cls(
            name=metadata.name,
            phase=(status and status.phase) or "",
            version=_version(pod.spec.containers),
            ready=ready is not None and ready.status == "True",
            waiting=tuple(_waiting(status)) if status else (),
            unschedulable=_refusal(scheduled) if scheduled else "",
            created=metadata.creation_timestamp,
            deleting=metadata.deletion_timestamp is not None,
        )


def _version(containers: Any) -> str:
    """The tag of the API server's image: "registry:5000/kube-apiserver:v1.35.4@sha256:…" is 1.35.4."""
    image = next((container.image for container in containers if container.name == _API_SERVER), "") or ""
    _, _, name = image.partition("@")[0].rpartition("/")
    return name.partition(":")[2].removeprefix("v")


def _waiting(status: Any) -> Iterator[Waiting]:
    for container in (*(status.init_container_statuses or ()), *(status.container_statuses or ())):
        waiting = container.state.waiting if container.state else None
        if waiting:
            yield Waiting(container.name, container.image or "", waiting.reason or "", _line(waiting.message))


def _refusal(scheduled: Any) -> str:
    """The scheduler's sentence, from condition PodScheduled."""
    return _line(scheduled.message or scheduled.reason) if scheduled.status == "False" else ""


def _line(message: str | None) -> str:
    line = " ".join((message or "").split())
    return line if len(line) <= _LONGEST_MESSAGE else line[:_LONGEST_MESSAGE] + "…"
