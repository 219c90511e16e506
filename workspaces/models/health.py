"""Writing the judgement of `rules/health.py` to the rows the pages read: only what has changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from workspaces.models.infrastructure import Host
from workspaces.models.operation import Operation
from workspaces.models.workspace import Workspace
from workspaces.rules import health, lifecycle

WRITTEN = ("conditions", "attention", "attention_tone", "host_count", "hosts_ready")


def reassess(keys: Collection[UUID], now: datetime) -> int:
    """Judge these workspaces again from their rows; returns how many rows were written (four queries, any number)."""
    hosts: dict[UUID, list[health.HostSeen]] = defaultdict(list)
    columns = ("workspace_id", "name", "ready", "kubelet_version", "ready_message")
    for key, *fields in Host.objects.filter(workspace__in=keys).order_by("name").values_list(*columns):
        hosts[key].append(health.HostSeen(*fields))
    last = {
        operation.workspace_id: operation
        for operation in Operation.objects.filter(workspace__in=keys).order_by("workspace_id", "created_at")
    }
    changed = []
    for workspace in Workspace.objects.filter(pk__in=keys).select_related("management_cluster"):
        before = {field: getattr(workspace, field) for field in WRITTEN}
        _apply(workspace, hosts[workspace.pk], last.get(workspace.pk), now)
        if before != {field: getattr(workspace, field) for field in WRITTEN}:
            changed.append(workspace)
    Workspace.objects.bulk_update(changed, WRITTEN, batch_size=500)
    return len(changed)


def _apply(workspace: Workspace, hosts: list[health.HostSeen], last: Operation | None, now: datetime) -> None:
    """Set the judged columns on the instance."""
    verdict = health.judge(_seen(workspace, hosts, last))
    workspace.attention, workspace.attention_tone = verdict.attention[:200], verdict.tone
    workspace.host_count = len(hosts)
    workspace.hosts_ready = sum(host.ready is True for host in hosts)
    since = {condition["type"]: condition for condition in workspace.conditions}
    workspace.conditions = [_stored(condition, since.get(condition.type), now) for condition in verdict.conditions]


def _seen(workspace: Workspace, hosts: list[health.HostSeen], last: Operation | None) -> health.Seen:
    cluster = workspace.management_cluster
    return health.Seen(
        type=workspace.type,
        state=workspace.state,
        state_reason=workspace.state_reason,
        control_plane_status=workspace.control_plane_status,
        wanted_version=workspace.control_plane_wanted,
        running_version=workspace.kubernetes_version,
        hosts=hosts,
        management_trouble=health.Trouble(cluster.error_code, f"{cluster.name}: {cluster.error_message}")
        if cluster and cluster.error_code
        else None,
        tenant_trouble=health.Trouble(workspace.look_error_code, workspace.look_error)
        if workspace.look_error_code
        else None,
        failed_operation=f"{last.title} {'failed' if last.state == 'failed' else 'was stopped'}. {last.error_message}".strip()
        if last and last.state in ("failed", "stopped")
        else "",
        operation_open=bool(last and last.state in lifecycle.OPEN),
    )


def _stored(condition: health.Condition, before: dict[str, Any] | None, now: datetime) -> dict[str, Any]:
    """The condition as JSON; `since` is kept while its value stays the same."""
    same = before is not None and before["value"] == condition.value
    return asdict(condition) | {"since": before["since"] if before and same else now.isoformat()}
