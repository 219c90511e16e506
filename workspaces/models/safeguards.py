"""The facts that the safeguards of a deletion go by, read from rows. What they mean is `rules/safeguards`."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from workspaces.models.deletion import DeletionPolicy, Inventory
from workspaces.models.operation import Operation
from workspaces.models.workspace import Workspace
from workspaces.rules.deletion_plan import Plan
from workspaces.rules.safeguards import Facts


def facts_of(
    workspace: Workspace, plan: Plan, policy: DeletionPolicy, inventory: Inventory | None, now: datetime
) -> Facts:
    """Facts of one workspace (two queries); `plan`, `policy` and `inventory` are those that are shown."""
    running = Operation.objects.open().filter(workspace=workspace).values_list("pk", "title").first()
    valid = Counter(workspace.kubeconfigs.valid_outside(now).values_list("kind", flat=True))
    return Facts(
        name=workspace.name,
        state=workspace.state,
        protected=workspace.protected,
        open_operation=(str(running[0]), running[1]) if running else None,
        look=look_of(inventory, now),
        not_asked=tuple(f"{one.what}: {one.message.rstrip('.')}" for one in plan.not_asked),
        volumes_removed=sum(item.kind == "volume" for item in plan.removed),
        volumes_kept=sum(item.kind == "volume" for item in plan.kept),
        certificates=valid["admin"],
        revocable=valid["service_account"],
        second_person=policy.second_person,
        seen=plan.looked_at is not None,
    )


def look_of(inventory: Inventory | None, now: datetime) -> str:
    """fresh, under_way, old or never: how far what was seen can be agreed to."""
    if inventory is None:
        return "never"
    if inventory.is_fresh(now):
        return "fresh"
    if inventory.is_under_way(now):
        return "under_way"
    return "old" if inventory.looked_at else "never"
