"""Drift as values: what was wanted, what was seen, and what happens next. Pure; the rows are `models/drift.py`.

What differs is found here for control planes, servers and nodes. DNS records are compared in `rules/dns.py`, seeded
objects in `rules/seeding.py`; what is said and decided about all of them is in `drift_words.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from workspaces.rules import versions

Kind = Literal["control_plane", "host", "node", "dns", "seed"]
Policy = Literal["repair", "decide", "tell"]

KINDS: Final = [
    ("control_plane", "Control plane"),
    ("host", "Cloud server"),
    ("node", "Node"),
    ("dns", "DNS record"),
    ("seed", "Seeded object"),
]
POLICIES: Final = [("repair", "Repaired by itself"), ("decide", "Needs a decision"), ("tell", "Told only")]
DECISIONS: Final = [("accept", "Accepted"), ("converge", "To be set back")]
ENDINGS: Final = [("repaired", "Set back"), ("accepted", "Accepted"), ("gone", "Went away by itself")]

# Set back this often and different again: somebody else wants it otherwise, and doing so once more helps nobody.
FOUGHT_AFTER: Final = 2
LABEL: Final = "labels."
# Where the fields of a TenantControlPlane and of a Node stand in the object: managedFields names their owners by it.
CONTROL_PLANE_PATHS: Final[Mapping[str, tuple[str, ...]]] = {
    "kubernetes_version": ("spec", "kubernetes", "version"),
    "replicas": ("spec", "controlPlane", "deployment", "replicas"),
    "paused": ("metadata", "annotations", "kamaji.clastix.io/paused"),
}
NODE_PATHS: Final[Mapping[str, tuple[str, ...]]] = {"unschedulable": ("spec", "unschedulable")}
# Which of a provider's actions leave a server as it is seen, and which leave it otherwise: the newest of both tells. No
# action tells of a name or a label, nor of a system that was shut down from within.
ACTIONS: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    "server_type": (frozenset({"change_server_type"}), frozenset()),
    "gone": (frozenset({"delete_server"}), frozenset()),
    "power": (
        frozenset({"stop_server", "shutdown_server"}),
        frozenset(
            {"start_server", "create_server", "reboot_server", "reset_server", "change_server_type", "rebuild_server"}
        ),
    ),
}


class Actor(NamedTuple):
    """Who changed a field, as an API tells: the name it gives, and when ("" and None: it tells nothing)."""

    name: str = ""
    at: datetime | None = None


# Asked only for what differs: the answer may have to be read from a long document.
ActorOf = Callable[[str], Actor]


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that is not as wanted; None as a value: it is not there. `actor` is "" where no API tells.

    `ref` is the key of the host, DNS record or seed it is about ("" for the control plane), `subject` what a person
    calls it. `reason` says why it is not repaired by itself, or what would repair it.
    """

    kind: Kind
    ref: str
    subject: str
    field: str
    wanted: Any
    seen: Any
    actor: str = ""
    actor_at: datetime | None = None
    policy: Policy = "repair"
    reason: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes two looks speak of the same field."""
        return self.kind, self.ref, self.field


@dataclass(frozen=True, slots=True)
class SeenControlPlane:
    """What a TenantControlPlane asks for: the version written "1.35.4", replicas, whether Kamaji is told to pause."""

    kubernetes_version: str
    replicas: int
    paused: bool

    @property
    def as_wanted(self) -> dict[str, Any]:
        """What `Workspace.wanted` holds after the first look."""
        return {"kubernetes_version": self.kubernetes_version, "replicas": self.replicas, "paused": self.paused}


@dataclass(frozen=True, slots=True)
class SeenServer:
    """A server as the provider lists it: `status` in its words (running, off, …), its type, its labels."""

    name: str
    server_type: str
    status: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def as_wanted(self, ours: str) -> dict[str, Any]:
        """What `Host.wanted` holds after the first look; of the labels those that begin with `ours` ("loopback/")."""
        labels = {name: value for name, value in self.labels.items() if name.startswith(ours)}
        return {"server_type": self.server_type, "name": self.name, "labels": labels}


@dataclass(frozen=True, slots=True)
class SeenNode:
    """A node: whether it takes no new pods, and the operation of ours that closed it ("": none did)."""

    unschedulable: bool
    cordoned_by: str = ""


def nobody(_: str) -> Actor:
    """The actor of a field where no API tells one."""
    return Actor()


def of_control_plane(wanted: Mapping[str, Any], seen: SeenControlPlane, actor: ActorOf = nobody) -> list[Difference]:
    """The fields of a TenantControlPlane that are not as `Workspace.wanted` has them; those it lacks do not count."""
    now = seen.as_wanted
    return [
        _of(
            Difference(
                "control_plane",
                "",
                "Control plane",
                name,
                wanted[name],
                now[name],
                policy="decide",
                reason=_why(name, wanted[name], now[name]),
            ),
            actor,
        )
        for name in CONTROL_PLANE_PATHS
        if name in wanted and wanted[name] != now[name]
    ]


def _why(name: str, wanted: Any, seen: Any) -> str:
    if name == "paused":
        return "Somebody has told Kamaji to leave it alone." if seen else "Somebody has told Kamaji to go on."
    if name == "replicas":
        return "More or fewer API servers may be somebody's intention."
    if _is_newer(seen, wanted):
        return "No control plane goes back to a lower version: accept it."
    return f"Only an upgrade brings it to {wanted}: accept it, or start one."


def _is_newer(one: str, other: str) -> bool:
    known = versions.is_version(one) and versions.is_version(other)
    return known and versions.precedence(one) > versions.precedence(other)


def of_server(wanted: Mapping[str, Any], seen: SeenServer | None, *, ref: str, host: str) -> list[Difference]:
    """What of a host's server is not as `Host.wanted` has it; None: the provider lists it no more.

    `ref` is the host's key, `host` its name. Where `wanted` says nothing of the power, a server is to run. Who did it
    costs a call for each server, so it is asked once, by whoever writes it down.
    """
    found: list[tuple[str, Any, Any, Policy, str]] = []
    if seen is None:
        why = "Nothing brings a deleted server back: order another host and remove this one."
        found.append(("gone", wanted.get("name", host), None, "tell", why))
    else:
        if wanted.get("server_type", seen.server_type) != seen.server_type:
            why = "A resize would bring it back; until then accept what is paid for."
            found.append(("server_type", wanted["server_type"], seen.server_type, "tell", why))
        if wanted.get("name", seen.name) != seen.name:
            found.append(("name", wanted["name"], seen.name, "repair", ""))
        for label, value in wanted.get("labels", {}).items():
            if seen.labels.get(label) != value:
                found.append((LABEL + label, value, seen.labels.get(label), "repair", ""))
        found += _power(wanted.get("power", "running"), seen.status)
    return [
        Difference("host", ref, f"Server {host}", name, want, now, policy=policy, reason=reason)
        for name, want, now, policy, reason in found
    ]


def _power(wanted: str, status: str) -> list[tuple[str, Any, Any, Policy, str]]:
    """Only these two last: what starts, stops or migrates will be one of them."""
    if status not in ("running", "off") or status == wanted:
        return []
    if status == "off":
        return [("power", wanted, status, "decide", "Somebody may have switched it off on purpose.")]
    return [("power", wanted, status, "tell", "It runs again: accept it. No server is switched off by itself.")]


def of_node(
    wanted: Mapping[str, Any], seen: SeenNode | None, *, ref: str, node: str, actor: ActorOf = nobody
) -> list[Difference]:
    """What of a host's node is not as it should be; None: it is not in the cluster.

    `ref` is the host's key, `wanted` its `Host.wanted`: without a word in there, a node takes pods.
    """
    subject = f"Node {node}"
    if seen is None:
        why = "Remove the host, or let it join again."
        return [Difference("node", ref, subject, "missing", node, None, policy="tell", reason=why)]
    closed = bool(wanted.get("unschedulable", False))
    if seen.unschedulable == closed:
        return []
    found = Difference("node", ref, subject, "unschedulable", closed, seen.unschedulable, policy="decide")
    if seen.cordoned_by and seen.unschedulable:
        return [_with(found, Actor("Loopback"), "An operation closed it and did not come to open it again.")]
    if closed:
        why = "It takes pods again: accept it. No node is closed by itself."
        return [_of(_with(found, Actor(), why, policy="tell"), actor)]
    return [_of(_with(found, Actor(), "Somebody may have closed it to work on it."), actor)]


def _with(found: Difference, actor: Actor, reason: str, *, policy: Policy | None = None) -> Difference:
    """The difference with who made it and why it is not repaired by itself."""
    return Difference(
        found.kind,
        found.ref,
        found.subject,
        found.field,
        found.wanted,
        found.seen,
        actor.name,
        actor.at,
        policy or found.policy,
        reason,
    )


def _of(found: Difference, actor: ActorOf) -> Difference:
    return _with(found, actor(found.field), found.reason)


class Done(NamedTuple):
    """An action of a provider: its command in the provider's word, when it ended (None: it runs), and whether well.

    Of two that ended in the same second the one with the higher `id` is the newer.
    """

    command: str
    at: datetime | None
    succeeded: bool
    id: int = 0


def tells_of(action: Done, name: str) -> bool:
    """Whether an action of this kind says anything about the field of a server."""
    return any(action.command in commands for commands in ACTIONS.get(name, ()))


def explained_by(actions: Sequence[Done], name: str, provider: str = "Hetzner Cloud") -> Actor:
    """Who changed the field of a server, as far as the provider's actions tell: the newest that does such a thing.

    No person is told by them. One that failed has changed nothing, and one that was undone since explains nothing.
    """
    over = [(one.at, one.id, one.command) for one in actions if one.succeeded and one.at and tells_of(one, name)]
    at, _, command = max(over, default=(None, 0, ""))
    return Actor(f"{provider} action {command}", at) if at and command in ACTIONS[name][0] else Actor()
