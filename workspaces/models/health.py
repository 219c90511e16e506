"""Writing the judgement of `rules/health.py` to the rows the pages read: only what has changed.

What it rests on is `health_facts`; how old it is when somebody reads it, `conditions`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from itertools import batched
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from workspaces.models import bulk
from workspaces.models.health_facts import facts_of
from workspaces.models.workspace import Workspace
from workspaces.rules import health, lifecycle
from workspaces.rules.health_conditions import ISSUED_ENDS, STORED_ENDS, Condition
from workspaces.rules.health_seen import Seen

WRITTEN: Final = ("conditions", "attention", "attention_tone", "host_count", "hosts_ready", "kubelet_versions")
# So many are locked at a time.
BATCH: Final = 500


def reassess(keys: Collection[UUID], now: datetime) -> int:
    """Judge these workspaces again from their rows; returns how many rows were written (few queries, any number)."""
    return sum(_reassess(batch, now) for batch in batched(sorted(set(keys)), BATCH, strict=False))


def reassess_certificates(now: datetime) -> int:
    """Judge again those whose certificates end so soon that this is to be said, which no look changes; how many."""
    soon = Q(management_cluster__credential_ends_at__lte=now + STORED_ENDS) | Q(
        credential_ends_at__lte=now + ISSUED_ENDS
    )
    ended = Q(management_cluster__credential_ends_at__lte=now) | Q(credential_ends_at__lte=now)
    unsaid = Q(conditions__contains=[{"type": "credentials", "value": "true"}])
    said_before = ["ends_soon", "not_renewed"]
    outdated = Q()
    for reason in said_before:
        outdated |= Q(conditions__contains=[{"type": "credentials", "reason": reason}])
    here = Workspace.objects.exclude(state__in=lifecycle.GONE)
    found = here.filter((soon & unsaid) | (ended & outdated)).order_by()
    return reassess(list(found.values_list("pk", flat=True)), now)


def _reassess(keys: Collection[UUID], now: datetime) -> int:
    """Facts are read under the lock: of two judgements at the same time the later one knows what the first knew."""
    with transaction.atomic():
        rows = Workspace.objects.filter(pk__in=keys).select_related("management_cluster", "project").order_by("pk")
        locked = rows.select_for_update(of=("self",), no_key=True)
        workspaces = list(locked.defer("management_cluster__kubeconfig"))
        facts = facts_of(workspaces)
        changed: dict[UUID, dict[str, Any]] = {}
        for workspace in workspaces:
            after = _judged(workspace, facts[workspace.pk], now)
            if any(getattr(workspace, field) != value for field, value in after.items()):
                changed[workspace.pk] = after
        return bulk.write(Workspace, changed)


def _judged(workspace: Workspace, seen: Seen, now: datetime) -> dict[str, Any]:
    """The judged columns."""
    verdict = health.judge(seen, now)
    kubelets = {host.kubelet_version or "?" for host in seen.hosts if host.joined} if workspace.is_kubernetes else set()
    before = {condition["type"]: condition for condition in workspace.conditions}
    return {
        "attention": verdict.attention[:200],
        "attention_tone": verdict.tone,
        "host_count": len(seen.hosts),
        "hosts_ready": sum(host.ready is True for host in seen.hosts),
        "kubelet_versions": " ".join(sorted(kubelets))[:500],
        "conditions": [_stored(condition, before.get(condition.type), now) for condition in verdict.conditions],
    }


def _stored(condition: Condition, before: dict[str, Any] | None, now: datetime) -> dict[str, Any]:
    """The condition as JSON; `since` is kept while its value stays the same."""
    same = before is not None and before["value"] == condition.value
    return asdict(condition) | {"since": before["since"] if before and same else now.isoformat()}
