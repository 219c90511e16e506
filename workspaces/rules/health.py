"""Judging a workspace: from what was seen to conditions, and to the one sentence that asks for a person.

Blind is never green: what could not be asked is "unknown", with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Value = Literal["true", "false", "unknown"]


@dataclass(frozen=True, slots=True)
class HostSeen:
    """A host as last seen; `ready` is None when it is not known, `joined` whether it is a node of the cluster."""

    name: str
    ready: bool | None
    kubelet_version: str
    message: str
    joined: bool = True


@dataclass(frozen=True, slots=True)
class Trouble:
    """A look that failed: its class (see providers/errors) and the sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything the judgement rests on."""

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
    failed_operation: str = ""
    operation_open: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """One aspect of health. `value` true is good."""

    type: str
    value: Value
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The conditions, and why a person should look ("" when nobody has to), with the tone of that sentence."""

    conditions: tuple[Condition, ...]
    attention: str
    tone: str


def judge(seen: Seen) -> Verdict:
    """Conditions of the workspace, and the most urgent reason for a person to look."""
    conditions = [hosts(seen)]
    if seen.type == "kubernetes":
        conditions.insert(0, control_plane(seen))
    if seen.provider_trouble:
        conditions.append(Condition("servers", "unknown", seen.provider_trouble.code, seen.provider_trouble.message))
    attention, tone = _attention(seen, conditions)
    return Verdict(tuple(conditions), attention, tone)


def control_plane(seen: Seen) -> Condition:
    """Whether Kamaji serves the version that is wanted."""
    if seen.management_trouble:
        return Condition("control_plane", "unknown", seen.management_trouble.code, seen.management_trouble.message)
    if seen.control_plane_status == "Gone":
        return Condition(
            "control_plane", "false", "gone", "Its control plane is not on the management cluster any more."
        )
    if seen.paused:
        text = "The annotation kamaji.clastix.io/paused keeps Kamaji from working on it."
        return Condition("control_plane", "false", "paused", text)
    if not seen.control_plane_status:
        return Condition("control_plane", "unknown", "not_seen", "Kamaji has not been asked about it yet.")
    if seen.control_plane_status == "Ready" and seen.wanted_version == seen.running_version:
        return Condition("control_plane", "true", "ready", f"Kamaji serves {seen.running_version}.")
    if seen.control_plane_status in ("Upgrading", "Provisioning") or seen.wanted_version != seen.running_version:
        runs = f"{seen.running_version or 'nothing'} runs, {seen.wanted_version} is wanted."
        return Condition("control_plane", "false", "moving", f"Kamaji says {seen.control_plane_status}: {runs}")
    return Condition(
        "control_plane", "false", seen.control_plane_status.lower(), f"Kamaji says {seen.control_plane_status}."
    )


def hosts(seen: Seen) -> Condition:
    """Whether every host is ready."""
    if seen.tenant_trouble:
        return Condition("hosts", "unknown", seen.tenant_trouble.code, seen.tenant_trouble.message)
    if not seen.hosts:
        return Condition("hosts", "unknown", "none", "No host is known.")
    down = [host for host in seen.hosts if host.ready is False]
    if down:
        names = ", ".join(host.name for host in down[:3]) + (f" and {len(down) - 3} more" if len(down) > 3 else "")
        said = f": {down[0].message}" if down[0].message else ""
        return Condition("hosts", "false", "not_ready", f"Not ready: {names}{said}")
    unknown = [host.name for host in seen.hosts if host.ready is None]
    if unknown:
        return Condition("hosts", "unknown", "not_seen", f"Not seen yet: {', '.join(unknown[:3])}")
    return Condition("hosts", "true", "ready", f"{len(seen.hosts)} of {len(seen.hosts)} ready.")


def _attention(seen: Seen, conditions: list[Condition]) -> tuple[str, str]:
    """The most urgent reason, and its tone. An open operation explains what it is moving, so that is left out."""
    if seen.state == "error":
        return seen.state_reason or "In error.", "bad"
    if seen.state == "gated":
        return seen.state_reason or "Reconciliation has stopped changes.", "warn"
    if seen.state != "active":
        return "", ""
    if seen.failed_operation:
        return seen.failed_operation, "bad"
    for condition in conditions:
        explained = seen.operation_open and condition.reason in ("moving", "not_ready")
        if condition.value == "true" or explained or condition.reason == "not_seen":
            continue
        return condition.message, "bad" if condition.value == "false" and condition.reason not in (
            "moving",
            "paused",
        ) else "warn"
    behind = _behind(seen)
    if behind and not seen.operation_open:
        return behind, "warn"
    return "", ""


def _behind(seen: Seen) -> str:
    """The sentence for a half-upgraded cluster: a new control plane with old workers."""
    if seen.type != "kubernetes" or not seen.running_version:
        return ""
    old = [host for host in seen.hosts if host.kubelet_version and host.kubelet_version != seen.running_version]
    if not old:
        return ""
    hosts_behind = f"{len(old)} of {len(seen.hosts)} hosts still run {old[0].kubelet_version}"
    return f"{hosts_behind}, the control plane {seen.running_version}."
