"""The conditions of a workspace as they may be told now: the stored judgement, and the age of the looks it rests on.

Read by the pages, the API and the diagnosis. Judging and storing is `health`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.db.models import Q

from workspaces.models.infrastructure import Host
from workspaces.models.look import Look
from workspaces.models.workspace import Workspace
from workspaces.rules import health, looks
from workspaces.rules.health_conditions import Condition
from workspaces.rules.health_freshness import FRESH, ConditionSeen, LookSeen, Read, freshness, read
from workspaces.rules.health_seen import trouble_of
from workspaces.rules.lifecycle import Tone

__all__ = ["ConditionSeen", "conditions_of", "look_seen", "looks_of"]

NAMES: Final[Mapping[str, str]] = {
    "control_plane": "Control plane",
    "hosts": "Hosts",
    "servers": "Cloud servers",
    "dns": "DNS records",
    "seeding": "Seeding",
    "credentials": "Credentials",
    "drift": "Drift",
    FRESH: "Freshness",
}
# Nobody looks at a workspace in these states.
LEFT_ALONE: Final = ("provisioning", "deleting", "deleted")


def looks_of(workspace: Workspace) -> list[Look]:
    """The looks that concern it, with their targets and without their secrets, by kind and target (one query)."""
    seeded = any(condition["type"] == "seeding" for condition in workspace.conditions)
    own = [looks.CLUSTER, looks.SEEDING] if seeded else [looks.CLUSTER]
    hosts = Host.objects.filter(workspace=workspace).exclude(provider_account=None).order_by()
    concerning = Q(workspace=workspace, kind__in=own)
    concerning |= Q(kind=looks.SERVERS, provider_account__in=hosts.values("provider_account"))
    concerning |= Q(kind=looks.DNS, provider_account__in=workspace.dns_records.values("provider_account"))
    if workspace.management_cluster_id:
        concerning |= Q(kind=looks.CONTROL_PLANES, management_cluster=workspace.management_cluster_id)
    rows = Look.objects.filter(concerning).select_related("management_cluster", "provider_account")
    found = list(rows.defer("management_cluster__kubeconfig", "provider_account__token"))
    for look in found:
        if look.workspace_id:
            look.workspace = workspace
    order = list(looks.LOOPS)
    return sorted(found, key=lambda look: (order.index(look.kind), _name(look)))


def conditions_of(workspace: Workspace, now: datetime, looks: Sequence[Look] | None = None) -> list[ConditionSeen]:
    """Its conditions as of `now`, `fresh` last; one query, none when its looks (`looks_of`) are handed in."""
    found = [look_seen(look) for look in (looks_of(workspace) if looks is None else looks)]
    looked_at = workspace.state not in LEFT_ALONE
    stored = [
        _told(read(_condition(one), found, now, looked_at=looked_at), _moment(one.get("since")))
        for one in workspace.conditions
    ]
    return [*stored, _told(freshness(found, now, looked_at=looked_at), None)]


def look_seen(look: Look) -> LookSeen:
    """The row as the rules read it."""
    return LookSeen(
        kind=look.kind,
        key=look.management_cluster_id or look.provider_account_id or look.workspace_id or look.pk,
        name=_name(look),
        every=look.every,
        due_at=look.due_at,
        succeeded_at=look.succeeded_at,
        failures=look.failures,
        felt=look.felt,
        failing_since=look.failing_since,
        trouble=trouble_of(look.kind, _name(look), look.trouble, look.failing_since) if look.trouble else None,
        milliseconds=look.milliseconds,
    )


def _name(look: Look) -> str:
    return str(look.management_cluster or look.provider_account or look.workspace)


def _condition(stored: Mapping[str, Any]) -> Condition:
    """From the stored form, of an older release too."""
    return Condition(
        stored["type"],
        stored["value"],
        stored.get("reason", ""),
        stored.get("message", ""),
        stored.get("error_class", ""),
        stored.get("who_can_fix", ""),
    )


def _told(found: Read, since: datetime | None) -> ConditionSeen:
    condition = found.condition
    return ConditionSeen(
        type=condition.type,
        name=NAMES.get(condition.type, condition.type.replace("_", " ").capitalize()),
        tone=_tone(condition),
        value=condition.value,
        reason=condition.reason,
        message=condition.message,
        error_class=condition.error_class,
        who_can_fix=condition.who_can_fix,
        since=found.since or since,
        observed_at=found.observed_at,
        next_look_at=found.next_look_at,
        every=found.every,
    )


def _tone(condition: Condition) -> Tone:
    if condition.value == "unknown":
        return "idle"
    if condition.value == "true":
        return "ok"
    if condition.type == FRESH:
        return "warn"
    if (condition.type, condition.reason) in health.QUIET:
        return "busy"
    return "bad" if health.tone_of(condition) == "bad" else "warn"


def _moment(stored: str | None) -> datetime | None:
    return datetime.fromisoformat(stored) if stored else None
