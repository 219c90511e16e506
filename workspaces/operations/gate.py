"""Gating: holding changes to a workspace back while what must be there is not, and letting them go on again.

When is `rules/gate.py`. Only active and gated change into one another here, and never under an open operation.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from workspaces.models import PLATFORM, Event, Look, Operation, Seed, Workspace
from workspaces.models.health import reassess
from workspaces.models.health_facts import managers_of
from workspaces.rules import gate, lifecycle, looks
from workspaces.rules.health_seen import SeedSeen

logger = logging.getLogger(__name__)


def judge(workspaces: Collection[UUID], now: datetime) -> int:
    """Gate these workspaces or lift their gates, as their rows say; how many changed. One query where all is well.

    For the end of a look that began at `now`.
    """
    found = list(_concerned(workspaces))
    if not found:
        return 0
    keys = [workspace.pk for workspace in found]
    seeds, looked = _gating_seeds(keys), _looked_at(keys, now)
    changed = []
    for workspace in found:
        change = gate.judge(
            gate.Facts(
                state=workspace.state,
                state_reason=workspace.state_reason,
                control_plane=workspace.control_plane,
                namespace=workspace.namespace,
                control_plane_gone=workspace.control_plane_status == "Gone",
                seeds=seeds[workspace.pk],
                looked_at=looked.get(workspace.pk),
            )
        )
        if change and _change(workspace, change, now):
            changed.append(workspace.pk)
    reassess(changed, now)
    return len(changed)


def _concerned(keys: Collection[UUID]) -> Any:
    """Those that are gated or may have to be, with what their events need."""
    columns = ("state", "state_reason", "control_plane", "namespace", "control_plane_status", "name", "project")
    stuck = Exists(_unsettled().filter(workspace=OuterRef("pk")))
    return (
        Workspace.objects.filter(pk__in=keys, state__in=lifecycle.SET_BACK_IN, type="kubernetes")
        .filter(Q(state="gated") | Q(control_plane_status="Gone") | stuck)
        .exclude(_operation_open())
        .select_related("project")
        .only(*columns, "project__organization_id")
        .order_by("pk")
    )


def _unsettled() -> QuerySet[Seed]:
    """The objects of gating manifests that are not as wanted."""
    return Seed.objects.filter(manifest__gates=True, manifest__active=True).exclude(state="applied")


def _operation_open() -> Exists:
    return Exists(Operation.objects.open().filter(workspace=OuterRef("pk")))


def _gating_seeds(keys: Collection[UUID]) -> dict[UUID, list[gate.GatingSeed]]:
    seeds: dict[UUID, list[gate.GatingSeed]] = defaultdict(list)
    rows = _unsettled().filter(workspace__in=keys).order_by("manifest__name", "object")
    columns = ("workspace", "object", "state", "message", "conflicts", "state_since")
    for key, name, state, message, conflicts, since in rows.values_list(*columns):
        seeds[key].append(gate.GatingSeed(SeedSeen(name, state, message, managers_of(conflicts)), since))
    return seeds


def _looked_at(keys: Collection[UUID], now: datetime) -> dict[UUID, datetime]:
    """When the last look began that saw the objects: one that has ended, or the one that asks here at its end."""
    rows = Look.objects.filter(kind=looks.SEEDING, workspace__in=keys)
    found = {}
    for key, ended, tried in rows.values_list("workspace", "succeeded_at", "tried_at"):
        seen = [at for at in (ended, tried if tried == now else None) if at]
        if key and seen:
            found[key] = max(seen)
    return found


def _change(workspace: Workspace, change: gate.Change, now: datetime) -> bool:
    """Write it, unless the state has changed or an operation has begun meanwhile; the trail says so."""
    was_gated = workspace.state == "gated"
    values: dict[str, Any] = {"state": change.state, "state_reason": change.reason}
    if change.state != workspace.state:
        values["state_since"] = now
    with transaction.atomic():
        same = Workspace.objects.filter(
            pk=workspace.pk, state=workspace.state, state_reason=workspace.state_reason
        ).exclude(_operation_open())
        if not same.update(**values):
            return False
        if change.state == "active":
            Event.record(PLATFORM, "workspace.lifted", summary=f"Lifted the gate of {workspace}", workspace=workspace)
        else:
            again = "still gated" if was_gated else "gated"
            said = f"{workspace} is {again}: {change.reason}"
            Event.record(PLATFORM, "workspace.gated", summary=said, workspace=workspace)
    logger.info("%s is %s. %s", workspace, change.state, change.reason)
    return True
