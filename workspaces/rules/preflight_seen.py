"""What a preflight has seen of the world: plain values, and Unknown in the place of what could not be asked.

How it is asked is `operations/preflight.py`, what it means for an upgrade `preflight_questions.py`. Versions are
written "1.35.4", objects of a tenant "namespace/name".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class Unknown:
    """A question without an answer: a sentence that says why, who can fix it, the error's class (providers/errors)."""

    why: str
    who_can_fix: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """What Kamaji says. `settled`: it has processed the latest change. `pinned` are add-ons whose image tag is set."""

    status: str
    wanted: str
    running: str
    replicas: int
    ready_replicas: int
    settled: bool = True
    paused: bool = False
    deleting: bool = False
    pinned: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DataStore:
    """Where the control plane keeps its state; `exists` False: only its name is left."""

    name: str
    ready: bool
    driver: str = ""
    exists: bool = True


@dataclass(frozen=True, slots=True)
class Credential:
    """One kubeconfig: whether it was accepted, and when its client certificate ends (None: a token, or not known).

    `trouble` is why it has no answer; `refused` means that it is the credential's own fault. One that is `reissued` is
    made anew by the platform before it ends.
    """

    name: str
    trouble: Unknown | None = None
    refused: bool = False
    ends_at: datetime | None = None
    reissued: bool = False


@dataclass(frozen=True, slots=True)
class Host:
    """A host of ours that should be a node. `answers` on SSH; None: it was not tried, and `said` is why."""

    name: str
    node: str
    answers: bool | None = True
    said: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A node as its cluster shows it. `closed` to new pods or not. Its room: thousandths of a core, bytes, pods."""

    name: str
    kubelet: str
    ready: bool = True
    message: str = ""
    closed: bool = False
    cpu_millis: int = 0
    memory_bytes: int = 0
    pods: int = 0
    taints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod on `node`. `leaves`: a drain evicts it. `guarded`: its budgets are asked for that. `budgets` cover it.

    `bare` has no controller that would start it again. One that `ended` takes no room.
    """

    name: str
    node: str
    owner: str = ""
    leaves: bool = True
    guarded: bool = True
    ended: bool = False
    budgets: tuple[str, ...] = ()
    cpu_millis: int = 0
    memory_bytes: int = 0

    @property
    def bare(self) -> bool:
        """Whether nobody starts it again elsewhere."""
        return not self.owner

    @property
    def namespace(self) -> str:
        """Of its name."""
        return self.name.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Workload:
    """What starts pods: `reference` is what they name as owner ("ReplicaSet/web-7d9f"), `owner` its own one or ""."""

    namespace: str
    reference: str
    replicas: int
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """A PodDisruptionBudget: `allowed` pods may go now, `healthy` are up and `needed` must stay."""

    name: str
    allowed: int
    healthy: int
    needed: int


@dataclass(frozen=True, slots=True)
class Webhook:
    """An admission webhook. `strict`: without its answer the API refuses changes of pods or nodes.

    `answers`: whether its service has a ready endpoint; None where that was not asked (it is no service).
    """

    name: str
    service: str
    strict: bool = True
    answers: bool | Unknown | None = True


@dataclass(frozen=True, slots=True)
class DeprecatedApi:
    """An API that was asked for, "batch/v1beta1 cronjobs", and the minor without it: "1.37", or "" if none is."""

    name: str
    removed_release: str


@dataclass(frozen=True, slots=True)
class DeprecatedUse:
    """The deprecated APIs asked for since the API servers started at `since` (None: they do not say when)."""

    apis: tuple[DeprecatedApi, ...]
    since: datetime | None = None


DryRun = Literal["blocked", "accepted", "gone"]


@dataclass(frozen=True, slots=True)
class Seen:
    """One look. A control plane that is None is not there. `groups` are the hosts that move, those at once together.

    `waiting` says of each of the control plane's pods that does not start why. `dry_runs` tell what the API answered
    when it was asked whether a pod might be evicted. `end` is the version after the last of several hops: what would
    keep the workspace from getting there is told before the first, which cannot be taken back. Empty: the hop's own.
    """

    control_plane: ControlPlane | Unknown | None
    waiting: tuple[str, ...] | Unknown
    data_store: DataStore | Unknown
    management: Credential
    tenant: Credential
    hosts: tuple[Host, ...]
    groups: tuple[tuple[Host, ...], ...]
    nodes: tuple[Node, ...] | Unknown
    pods: tuple[Pod, ...] | Unknown
    workloads: tuple[Workload, ...] | Unknown
    budgets: tuple[Budget, ...] | Unknown
    webhooks: tuple[Webhook, ...] | Unknown
    deprecated: DeprecatedUse | Unknown
    dry_runs: Mapping[str, DryRun | Unknown] = field(default_factory=dict)
    open_operation: str = ""
    end: str = ""

    @property
    def moving(self) -> list[Host]:
        """The hosts that move, in order."""
        return [host for group in self.groups for host in group]
