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

WRITTEN = ("conditions", "attention", "attention_tone", "host_count", "hosts_ready", "kubelet_versions")


def reassess(keys: Collection[UUID], now: datetime) -> int:
    """Judge these workspaces again from their rows; returns how many rows were written (five queries, any number)."""
    hosts, troubles, last = _hosts(keys), _provider_troubles(keys), _latest_operations(keys)
    changed = []
    for workspace in Workspace.objects.filter(pk__in=keys).select_related("management_cluster"):
        before = {field: getattr(workspace, field) for field in WRITTEN}
        seen = _seen(workspace, hosts[workspace.pk], last.get(workspace.pk), troubles.get(workspace.pk))
        _apply(workspace, seen, now)
        if before != {field: getattr(workspace, field) for field in WRITTEN}:
            changed.append(workspace)
    Workspace.objects.bulk_update(changed, WRITTEN, batch_size=500)
    return len(changed)


def _hosts(keys: Collection[UUID]) -> dict[UUID, list[health.HostSeen]]:
    hosts: dict[UUID, list[health.HostSeen]] = defaultdict(list)
    columns = ("workspace_id", "name", "ready", "kubelet_version", "ready_message", "node_name")
    rows = Host.objects.filter(workspace__in=keys).order_by("name").values_list(*columns)
    for key, name, ready, kubelet, message, node in rows:
        hosts[key].append(health.HostSeen(name, ready, kubelet, message, joined=bool(node)))
    return hosts


def _provider_troubles(keys: Collection[UUID]) -> dict[UUID, health.Trouble]:
    """Of each workspace a provider account of its hosts that could not be asked."""
    troubled = Host.objects.filter(workspace__in=keys).exclude(provider_account=None)
    columns = ("name", "error_code", "error_message")
    rows = troubled.exclude(provider_account__error_code="").values_list(
        "workspace_id", *(f"provider_account__{column}" for column in columns)
    )
    return {key: health.Trouble(code, f"{name}: {message}") for key, name, code, message in rows.distinct()}


def _latest_operations(keys: Collection[UUID]) -> dict[UUID, Operation]:
    newest = Operation.objects.filter(workspace__in=keys).order_by("workspace_id", "-created_at")
    return {operation.workspace_id: operation for operation in newest.distinct("workspace_id")}


def _apply(workspace: Workspace, seen: health.Seen, now: datetime) -> None:
    """Set the judged columns on the instance."""
    verdict = health.judge(seen)
    workspace.attention, workspace.attention_tone = verdict.attention[:200], verdict.tone
    workspace.host_count = len(seen.hosts)
    workspace.hosts_ready = sum(host.ready is True for host in seen.hosts)
    kubelets = {host.kubelet_version or "?" for host in seen.hosts if host.joined} if workspace.is_kubernetes else set()
    workspace.kubelet_versions = " ".join(sorted(kubelets))[:500]
    since = {condition["type"]: condition for condition in workspace.conditions}
    workspace.conditions = [_stored(condition, since.get(condition.type), now) for condition in verdict.conditions]


def _seen(
    workspace: Workspace,
    hosts: list[health.HostSeen],
    last: Operation | None,
    provider_trouble: health.Trouble | None,
) -> health.Seen:
    cluster = workspace.management_cluster
    return health.Seen(
        type=workspace.type,
        state=workspace.state,
        state_reason=workspace.state_reason,
        control_plane_status=workspace.control_plane_status,
        wanted_version=workspace.control_plane_wanted,
        running_version=workspace.kubernetes_version,
        hosts=hosts,
        paused=workspace.control_plane_paused,
        management_trouble=health.Trouble(cluster.error_code, f"{cluster.name}: {cluster.error_message}")
        if cluster and cluster.error_code
        else None,
        provider_trouble=provider_trouble,
        tenant_trouble=health.Trouble(workspace.look_error_code, workspace.look_error)
        if workspace.look_error_code
        else None,
        failed_operation=_ended_badly(last),
        operation_open=bool(last and last.state in lifecycle.OPEN),
    )


def _ended_badly(last: Operation | None) -> str:
    """The sentence for a latest operation that did not get through; "" for any other."""
    if last is None or last.state not in ("failed", "stopped"):
        return ""
    return f"{last.title} {'failed' if last.state == 'failed' else 'was stopped'}. {last.error_message}".strip()


def _stored(condition: health.Condition, before: dict[str, Any] | None, now: datetime) -> dict[str, Any]:
    """The condition as JSON; `since` is kept while its value stays the same."""
    same = before is not None and before["value"] == condition.value
    return asdict(condition) | {"since": before["since"] if before and same else now.isoformat()}
