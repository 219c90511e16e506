"""Judging a workspace: from what was seen to conditions, and to the one sentence that asks for a person.

The conditions are `health_conditions`; what they rest on, `health_seen`; how old it may be, `health_freshness`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from workspaces.rules.health_conditions import (
    Condition,
    control_plane,
    credentials,
    dns,
    drift,
    hosts,
    seeding,
    servers,
)
from workspaces.rules.health_seen import Seen

# What asks for nobody, because it comes by itself. What was never seen of hosts and control planes is not among it: one
# that cannot be seen at all must not pass for well.
QUIET: Final = frozenset({("dns", "not_seen"), ("dns", "repairing"), ("seeding", "not_seen"), ("seeding", "pending")})
# What a person should look at although nothing is down.
SOFT: Final = frozenset({
    "moving", "paused", "ends_soon", "not_renewed", "refused", "conflict", "differs", "needs_decision", "fought",
    "not_set_back",
})  # fmt: skip
# What an open operation explains: it is moving that itself.
EXPLAINED: Final = frozenset({
    ("control_plane", "moving"), ("control_plane", "not_seen"), ("hosts", "not_ready"), ("hosts", "not_seen"),
    ("hosts", "none"), ("servers", "moving"), ("servers", "off"), ("servers", "gone"), ("servers", "not_seen"),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """The conditions, and why a person should look ("" when nobody has to), with the tone of that sentence."""

    conditions: tuple[Condition, ...]
    attention: str
    tone: str


def judge(seen: Seen, now: datetime) -> Verdict:
    """Conditions of the workspace, and the most urgent reason for a person to look."""
    conditions = tuple(_conditions(seen, now))
    return Verdict(conditions, *_attention(seen, conditions))


def _conditions(seen: Seen, now: datetime) -> list[Condition]:
    """Those that concern it, the most far-reaching first."""
    kubernetes, cloud = seen.type == "kubernetes", any(host.server is not None for host in seen.hosts)
    found = [control_plane(seen)] if kubernetes else []
    found.append(hosts(seen))
    if cloud or seen.provider_trouble:
        found.append(servers(seen))
    if seen.records:
        found.append(dns(seen))
    if kubernetes and (seen.seeded or seen.seeds or seen.seeds_applied):
        found.append(seeding(seen))
    if kubernetes or cloud:
        found.append(credentials(seen, now))
    if different := drift(seen):
        found.append(different)
    return found


def _attention(seen: Seen, conditions: tuple[Condition, ...]) -> tuple[str, str]:
    """The most urgent reason, and its tone: what is down comes before what is unknown or waits."""
    if seen.state == "error":
        return seen.state_reason or "In error.", "bad"
    if seen.state == "gated":
        return seen.state_reason or "Reconciliation has stopped changes.", "warn"
    if seen.state == "deleting" and seen.failed_operation:
        return seen.failed_operation, "bad"  # nobody else will end it
    if seen.state != "active":
        return "", ""
    if seen.failed_operation:
        return seen.failed_operation, "bad"
    asking = [(tone_of(condition), condition.message) for condition in conditions if _asks(condition, seen)]
    for tone in ("bad", "warn"):
        if message := next((message for its, message in asking if its == tone), ""):
            return message, tone
    behind = _behind(seen)
    if behind and not seen.operation_open:
        return behind, "warn"
    return "", ""


def _asks(condition: Condition, seen: Seen) -> bool:
    what = (condition.type, condition.reason)
    return condition.value != "true" and what not in QUIET and not (seen.operation_open and what in EXPLAINED)


def tone_of(condition: Condition) -> str:
    """`bad` for what is down, `warn` for what is unknown, moves or waits, "" for what is well."""
    if condition.value == "true":
        return ""
    soft = condition.reason in SOFT or (condition.type, condition.reason) in QUIET
    return "bad" if condition.value == "false" and not soft else "warn"


def _behind(seen: Seen) -> str:
    """The sentence for a half-upgraded cluster: a new control plane with old workers."""
    if seen.type != "kubernetes" or not seen.running_version:
        return ""
    old = [host for host in seen.hosts if host.kubelet_version and host.kubelet_version != seen.running_version]
    if not old:
        return ""
    hosts_behind = f"{len(old)} of {len(seen.hosts)} hosts still run {old[0].kubelet_version}"
    return f"{hosts_behind}, the control plane {seen.running_version}."
