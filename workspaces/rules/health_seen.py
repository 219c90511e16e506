"""What the judgement of a workspace rests on, as values: its control plane, hosts and servers, what is kept in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from workspaces.rules import looks
from workspaces.rules.trouble import Trouble

_VENDOR = "Hetzner Cloud: "


@dataclass(frozen=True, slots=True)
class HostSeen:
    """A host as last seen; `ready` is None when it is not known, `joined` whether it is a node of the cluster.

    `server` is the provider's word for the state of its server: "" before the first look, None where there is none.
    """

    name: str
    ready: bool | None
    kubelet_version: str
    message: str
    joined: bool = True
    server: str | None = None
    wanted_off: bool = False


@dataclass(frozen=True, slots=True)
class SeedSeen:
    """An object of a manifest that is not as wanted: apiVersion kind namespace/name, and who holds a field of it."""

    object: str
    state: str
    message: str = ""
    managers: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What is wrong with it, without a full stop."""
        if self.state == "conflict":
            holders = " and ".join(self.managers) or "somebody else"
            return f"{in_short(self.object)} is held by {holders}"
        said = f": {self.message.rstrip('.')}" if self.message else ""
        return f"{in_short(self.object)} {'could not be applied' if self.state == 'failed' else 'waits'}{said}"


@dataclass(frozen=True, slots=True)
class DriftSeen:
    """A field that is not as wanted: `decided` by a person, `fought` over with somebody, `error` of the last repair."""

    kind: str
    subject: str
    field: str
    wanted: Any
    seen: Any
    actor: str = ""
    policy: str = "repair"
    reason: str = ""
    fought: bool = False
    decided: bool = False
    error: str = ""

    @property
    def needs_decision(self) -> bool:
        """Whether nothing happens until a person says what is to be."""
        return (self.policy == "decide" or self.fought) and not self.decided


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything the judgement rests on. Troubles are felt ones: of a look that failed once there is none yet."""

    type: str
    state: str
    state_reason: str
    control_plane_status: str
    wanted_version: str
    running_version: str
    hosts: Sequence[HostSeen]
    paused: bool = False
    management_trouble: Trouble | None = None
    provider_trouble: Trouble | None = None
    tenant_trouble: Trouble | None = None
    dns_trouble: Trouble | None = None
    seeding_trouble: Trouble | None = None
    failed_operation: str = ""
    operation_open: bool = False
    # DNS records kept for it, and how many of them were never seen.
    records: int = 0
    unseen_records: int = 0
    # Whether a manifest is for it; its objects that are as wanted, and those that are not.
    seeded: bool = False
    seeds_applied: int = 0
    seeds: Sequence[SeedSeen] = ()
    drift: Sequence[DriftSeen] = ()
    # Name of its management cluster, and when the client certificates end; None: there is none, or it was not seen.
    management: str = ""
    management_ends_at: datetime | None = None
    certificate_ends_at: datetime | None = None

    @property
    def troubles(self) -> list[Trouble]:
        """Of all its looks, the most far-reaching first."""
        found = (
            self.management_trouble,
            self.provider_trouble,
            self.tenant_trouble,
            self.dns_trouble,
            self.seeding_trouble,
        )
        return [trouble for trouble in found if trouble]


def trouble_of(kind: str, name: str, trouble: Trouble, since: datetime | None) -> Trouble:
    """A look's trouble as a sentence that can stand alone: what could not be seen, the vendor's words, since when."""
    loop = looks.LOOPS[kind]
    if trouble.code == "overdue":
        said = f"{loop.label} of {name}: not looked at{f' since {at(since)}' if since else ' in time'}."
        return Trouble(trouble.code, said, trouble.who_can_fix)
    said = trouble.message.removeprefix(_VENDOR)
    if loop.target == "provider_account":
        said = f"Hetzner account {name}: {said}"
    elif name in said:
        said = said[:1].upper() + said[1:]
    else:
        said = f"{name}: {said}"
    when = f"{said.rstrip('.')}, since {at(since)}." if since else said
    return Trouble(trouble.code, when, trouble.who_can_fix)


def in_short(name: str) -> str:
    """An object as people call it: "v1 ConfigMap kube-system/web" is ConfigMap kube-system/web."""
    _, kind, place = name.split(" ", 2) if name.count(" ") >= 2 else ("", "", name)
    return f"{kind} {place.removeprefix('/')}".strip()


def at(moment: datetime) -> str:
    """`24 Nov 13:51 UTC`: it is stored, so it stays true tomorrow."""
    utc = moment.astimezone(UTC)
    return f"{utc.day} {utc:%b %H:%M} UTC"


def on(moment: datetime) -> str:
    """`3 Dec 2026 09:12 UTC`."""
    utc = moment.astimezone(UTC)
    return f"{utc.day} {utc:%b %Y %H:%M} UTC"


def named(names: Sequence[str], most: int = 3) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
