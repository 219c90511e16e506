"""What the sample fleet has in the cloud besides servers: volumes, load balancers and placement groups, each workspace
in its own measure, and one volume that nobody has labelled. And the deletion that is scheduled for one of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from workspaces.management.fleet.sample import SampleWorkspace
from workspaces.models import Deletion, Workspace
from workspaces.models.deletion_plan import items_of_rows
from workspaces.rules import labels
from workspaces.rules.deletion import DEFAULT
from workspaces.rules.deletion_plan import Item, build

_LEAVING_IN = timedelta(days=2)


def in_project(workspaces: Iterable[SampleWorkspace]) -> dict[str, list[dict[str, Any]]]:
    """The lists of a cloud project, for the workspaces in it."""
    made: dict[str, list[dict[str, Any]]] = {"volumes": [], "load_balancers": [], "placement_groups": []}
    for number, one in enumerate(workspaces):
        own = {labels.WORKSPACE: str(one.key)}
        made["placement_groups"].append({"name": f"{one.name}-spread", "labels": own})
        if number % 3 == 0:
            made["volumes"] += [
                {"name": f"{one.name}-{what}", "labels": own, "size": size, "server": one.host_names[0], **_at(one)}
                for what, size in (("pg-data", 80), ("uploads", 200))
            ]
            made["volumes"].append({"name": f"{one.name}-scratch", "size": 20, "server": one.host_names[0], **_at(one)})
        if number % 2 == 0:
            balancer = {"name": f"{one.name}-ingress", "labels": own, "servers": one.host_names}
            made["load_balancers"].append(balancer | {"ipv4": f"203.0.112.{20 + number}"} | _at(one))
    return made


def _at(one: SampleWorkspace) -> dict[str, str]:
    return {"location": one.location}


def schedule(workspace: Workspace, by: str) -> None:
    """Its deletion, asked for three hours ago, as it was agreed to."""
    now = timezone.now()
    begins = now + _LEAVING_IN
    cluster = [
        Item("control_plane", "control_plane", "", workspace.control_plane, f"on {workspace.management_cluster}"),
        Item("namespace", "namespace", "", workspace.namespace),
    ]
    plan = build(DEFAULT, workspace.type, [*items_of_rows(workspace, now), *cluster], (), now - timedelta(hours=3))
    Deletion.objects.create(
        workspace=workspace,
        requested_by=by,
        requested_at=now - timedelta(hours=3),
        reason="Replaced by metering-prod",
        begins_at=begins,
        plan=plan.document(),
        state_before="active",
    )
    workspace.state_reason = f"Begins {begins:%a %-d %b, %H:%M} UTC, asked for by {by}."
    workspace.save(update_fields=["state_reason"])
