"""What is torn down when a workspace is deleted, in which order, and what the order must respect. Pure.

The order is the operator's (`models/deletion.DeletionPolicy`), within what the vendors need: a volume cannot go while a
server holds it; Kamaji needs the namespace and the data store until the control plane is gone; once that is gone no
kubeconfig can be exported, and none is left to be revoked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal, cast

Action = Literal["delete", "keep"]
ACTIONS: Final = ("delete", "keep")


@dataclass(frozen=True, slots=True)
class Part:
    """One step of a deletion: its name, what goes with it, what has to go before, and whether it is for good."""

    label: str
    removes: str
    after: tuple[str, ...] = ()
    kubernetes_only: bool = False
    irreversible: bool = False


@dataclass(frozen=True, slots=True)
class PolicyStep:
    """A step of a policy: a key of PARTS, and what becomes of what it is about."""

    part: str
    action: Action

    @property
    def label(self) -> str:
        """As pages call it."""
        return PARTS[self.part].label


PARTS: Final[Mapping[str, Part]] = {
    "integrations": Part("Integrations", "What is stored here of outside services, with their secrets"),
    "dns": Part("DNS", "Records kept for it, in their zones"),
    "kubeconfigs": Part(
        "Kubeconfigs",
        "The ServiceAccounts of kubeconfigs that were handed out",
        kubernetes_only=True,
        irreversible=True,
    ),
    "load_balancers": Part("Load balancers", "Load balancers under its label", irreversible=True),
    "hosts": Part("Hosts", "Its hosts, their cloud servers and placement groups", irreversible=True),
    "volumes": Part("Volumes", "Volumes under its label", after=("hosts",), irreversible=True),
    "control_plane": Part(
        "Control plane",
        "The TenantControlPlane with everything it has stored",
        after=("kubeconfigs",),
        kubernetes_only=True,
        irreversible=True,
    ),
    "data_store": Part(
        "Data store",
        "A DataStore under its label that no other control plane uses",
        after=("control_plane",),
        kubernetes_only=True,
        irreversible=True,
    ),
    "namespace": Part(
        "Namespace",
        "Its namespace on the management cluster, if nothing else is in it",
        after=("control_plane",),
        kubernetes_only=True,
        irreversible=True,
    ),
}
# Without a policy of the organization or the platform. Volumes stay: data is what nobody can bring back.
DEFAULT: Final[tuple[PolicyStep, ...]] = tuple(
    PolicyStep(part, "keep" if part == "volumes" else "delete") for part in PARTS
)
# What has to be gone before other things may go: (needed gone, kept by the policy although, a sentence).
_HELD_BY: Final = (
    ("namespace", "control_plane", "The namespace cannot be deleted while the control plane in it is kept."),
    ("data_store", "control_plane", "The data store cannot be deleted while the control plane that uses it is kept."),
    ("volumes", "hosts", "Volumes cannot be deleted while the hosts that hold them are kept."),
)
LONGEST_GRACE: Final = timedelta(days=30)


def read(document: Sequence[Mapping[str, Any]]) -> tuple[PolicyStep, ...]:
    """The steps of a stored policy: [{"step": "dns", "action": "delete"}, …]. Raises ValueError for one with faults."""
    if faults := faults_of(document):
        raise ValueError(faults[0])
    return tuple(PolicyStep(str(one["step"]), cast(Action, one["action"])) for one in document)


def document_of(steps: Iterable[PolicyStep]) -> list[dict[str, str]]:
    """As `read` reads it."""
    return [{"step": step.part, "action": step.action} for step in steps]


def faults_of(document: Any) -> list[str]:
    """What is wrong with a policy, in sentences; none when a deletion can follow it."""
    if not isinstance(document, list) or not all(isinstance(one, Mapping) for one in document):
        return ["A policy is a list of steps, each with its action."]
    names = [one.get("step") for one in document]
    return [*_wrong_names(names), *_wrong_words(document)] or [
        *_wrong_order([str(name) for name in names]),
        *_wrong_actions({str(one["step"]): str(one["action"]) for one in document}),
    ]


def _wrong_names(names: Sequence[Any]) -> list[str]:
    faults = [f"There is no step “{name}”." for name in names if not isinstance(name, str) or name not in PARTS]
    known = [name for name in names if isinstance(name, str) and name in PARTS]
    faults += [f"“{name}” is there twice." for name in dict.fromkeys(known) if known.count(name) > 1]
    return faults + [f"“{name}” is missing: say delete or keep." for name in PARTS if name not in known]


def _wrong_words(document: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f"“{one.get('step')}” has neither delete nor keep." for one in document if one.get("action") not in ACTIONS]


def _wrong_order(names: Sequence[str]) -> list[str]:
    place = {name: number for number, name in enumerate(names)}
    return [
        f"“{PARTS[name].label}” stands before “{PARTS[first].label}”: it has to be the other way round."
        for name in names
        for first in PARTS[name].after
        if place[first] > place[name]
    ]


def _wrong_actions(actions: Mapping[str, str]) -> list[str]:
    return [said for goes, stays, said in _HELD_BY if actions[goes] == "delete" and actions[stays] == "keep"]


def steps_for(policy: Iterable[PolicyStep], workspace_type: str) -> tuple[PolicyStep, ...]:
    """The steps that concern a workspace of this type, in order."""
    return tuple(step for step in policy if workspace_type == "kubernetes" or not PARTS[step.part].kubernetes_only)
