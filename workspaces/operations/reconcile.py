"""Looking at the world on a schedule and writing what was seen into the rows that the pages read.

In bulk where the vendor lists in bulk: one paged listing per management cluster and per provider account; then a look
at each tenant. There are no retries in here: the next tick is the retry. A look that fails is written down as such.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, Model
from django.utils import timezone

from workspaces.models import Host, LeftServer, ManagementCluster, Operation, ProviderAccount, Workspace
from workspaces.models.health import reassess
from workspaces.models.left_servers import ORDER
from workspaces.models.workspace import version_key
from workspaces.operations import connections, dispatch
from workspaces.providers import reach
from workspaces.providers.cluster import Node
from workspaces.providers.errors import ProviderError
from workspaces.providers.hetzner import Server
from workspaces.providers.kamaji import ControlPlane
from workspaces.rules import labels

logger = logging.getLogger(__name__)
LOOKED_AT = ("active", "gated", "error", "deletion_scheduled")


def look_at_everything() -> None:
    """Start a job for each management cluster, provider account and workspace, unless the last round still waits."""
    if dispatch.backlog("reconcile"):
        logger.warning("The last round of reconciliation is still waiting, this one is left out")
        return
    dispatch.fan_out("workspaces.jobs.reconcile_management_cluster", _keys(ManagementCluster.objects.all()))
    dispatch.fan_out("workspaces.jobs.reconcile_provider_account", _keys(ProviderAccount.objects.all()))
    # Those never seen, or not for longest, come first.
    looked_at = Workspace.objects.filter(state__in=LOOKED_AT).order_by(F("observed_at").asc(nulls_first=True))
    dispatch.fan_out("workspaces.jobs.reconcile_tenant", _keys(looked_at))


def _keys(rows: Any) -> list[str]:
    return [str(key) for key in rows.values_list("pk", flat=True)]


# --- Control planes ---------------------------------------------------------------------------------------------------
def look_at_management_cluster(key: UUID) -> None:
    """List all control planes of the cluster and write what has changed."""
    cluster = ManagementCluster.objects.get(pk=key)
    now = timezone.now()
    mine = Workspace.objects.filter(management_cluster=cluster, state__in=LOOKED_AT)
    try:
        with connections.management(cluster) as kamaji:
            seen = {(plane.namespace, plane.name): plane for plane in kamaji.control_planes()}
            version = kamaji.version()
    except ProviderError as error:
        _note_trouble(cluster, error, now)
        reassess(_pks(mine), now)
        return
    _write(cluster, version=version, observed_at=now, error_code="", error_message="", error_since=None)
    for workspace in mine:
        _write_control_plane(workspace, seen.get((workspace.namespace, workspace.control_plane)))
    reassess(_pks(mine), now)


def _write_control_plane(workspace: Workspace, plane: ControlPlane | None) -> None:
    """Store what Kamaji says about this workspace; a control plane that is gone is said to be gone."""
    version = (plane.running_version if plane else "") or workspace.kubernetes_version
    _write(
        workspace,
        kubernetes_version=version,
        version_key=version_key(version),
        control_plane_status=plane.status if plane else "Gone",
        control_plane_wanted=plane.wanted_version if plane else "",
        control_plane_paused=plane.paused if plane else False,
        control_plane_replicas=plane.replicas if plane else 0,
        endpoint=plane.endpoint if plane else "",
    )


# --- Tenants and hosts ------------------------------------------------------------------------------------------------
def look_at_tenant(key: UUID) -> None:
    """Look at the hosts of one workspace: through its API server, or over the network on bare metal."""
    workspace = Workspace.objects.select_related("management_cluster").get(pk=key)
    now = timezone.now()
    hosts = list(workspace.hosts.all())
    try:
        if workspace.is_kubernetes:
            with connections.tenant(workspace) as cluster:
                nodes = {node.name: node for node in cluster.nodes()}
            for host in hosts:
                _write_node(host, nodes.get(host.node_name))
        else:
            for host in hosts:
                _write_reachable(host)
    except ProviderError as error:
        _write(workspace, look_error_code=error.code, look_error=error.message)
        reassess([key], now)
        return
    Host.objects.filter(workspace=workspace).update(observed_at=now)
    _write(workspace, look_error_code="", look_error="", observed_at=now)
    reassess([key], now)


def _write_node(host: Host, node: Node | None) -> None:
    """Store the node's state on its host; a host whose node is missing is not ready."""
    if node is None:
        _write(host, ready=False, ready_message="Its node is not in the cluster.")
        return
    _write(
        host,
        kubelet_version=node.kubelet_version,
        ready=node.ready == "True",
        ready_message="" if node.ready == "True" else node.ready_message or node.ready_reason,
        unschedulable=node.unschedulable,
        os_name=node.os_image,
        boot_id=node.boot_id,
    )


def _write_reachable(host: Host) -> None:
    """On bare metal the host answers on its SSH port, or it does not."""
    if not host.manageable:
        _write(host, ready=None, ready_message="No connection variables: it cannot be managed.")
        return
    if "ansible_host" not in host.ansible:
        _write(host, ready=None, ready_message="Ansible reaches it without a network, so nothing can be asked.")
        return
    said = reach.ssh_banner(str(host.ansible["ansible_host"]), int(host.ansible.get("ansible_port", 22)))
    _write(host, ready=said == "", ready_message=said)


# --- Servers ----------------------------------------------------------------------------------------------------------
def look_at_provider_account(key: UUID) -> None:
    """List all servers of the account and write which of ours run, and which of them no host has."""
    account = ProviderAccount.objects.get(pk=key)
    now = timezone.now()
    try:
        servers = {server.id: server for server in connections.cloud(account).servers()}
    except ProviderError as error:
        _note_trouble(account, error, now)
        reassess(_workspaces_on(account), now)
        return
    troubled = bool(account.error_code)
    _write(account, observed_at=now, error_code="", error_message="", error_since=None)
    # Asked before the hosts are: of an order that ends in between, the hosts tell.
    ordering = _being_ordered()
    hosts = list(account.hosts.all())
    _adopt(hosts, servers.values(), ordering)
    for host in hosts:
        if host.provider_id is not None:
            _write_server(host, servers.get(host.provider_id))
    _write_left(account, servers.values(), ordering, now)
    if troubled:
        reassess(_workspaces_on(account), now)


def _write_server(host: Host, server: Server | None) -> None:
    """Store what the provider says of the host's server; of one that is gone, the rest stays as last seen."""
    if server is None:
        _write(host, provider_status="gone")
        return
    _write(
        host,
        provider_status=server.status,
        profile=server.server_type,
        location=server.location,
        disk_gb=server.disk or host.disk_gb,
    )


def _being_ordered() -> set[str]:
    """Hosts whose order is under way: it finds the servers it has made, and settles what becomes of them."""
    orders = Operation.objects.open().filter(kind=ORDER)
    return set(orders.values_list("parameters__host", flat=True))


def _adopt(hosts: Iterable[Host], servers: Iterable[Server], ordering: Collection[str]) -> None:
    """Give hosts the servers that were made for them, where an order ended before it could write that down."""
    taken = {host.provider_id for host in hosts}
    waiting = {str(host.pk): host for host in hosts if host.provider_id is None and str(host.pk) not in ordering}
    for server in sorted(servers, key=lambda server: server.created):
        if server.id not in taken and (host := waiting.pop(server.labels.get(labels.HOST, ""), None)):
            logger.warning("Server %s is that of %s, which did not know it", server.id, host)
            _write(host, provider_id=server.id)


def _write_left(account: ProviderAccount, servers: Iterable[Server], ordering: Collection[str], now: datetime) -> None:
    """Keep a row for each server under our labels that no host has; rows of those that are gone, or have one, go."""
    left = {server.id: server for server in servers if labels.is_ours(server.labels)}
    # Hosts of any account: two of them may hold tokens of the same project.
    for had in Host.objects.filter(provider_id__in=left).values_list("provider_id", flat=True):
        left.pop(had or 0, None)
    unmatched = Host.objects.filter(provider_id=None).exclude(provider_account=None)
    awaited = {str(key) for key in unmatched.values_list("pk", flat=True)}.union(ordering)
    left = {id: server for id, server in left.items() if server.labels.get(labels.HOST) not in awaited}
    known = {row.provider_id: row for row in account.left_servers.all()}
    if gone := [row.pk for id, row in known.items() if id not in left]:
        account.left_servers.filter(pk__in=gone).delete()
    if staying := [row for id, row in known.items() if id in left]:
        for row in staying:
            _write(row, **_as_row(left[row.provider_id]))
        account.left_servers.filter(pk__in=[row.pk for row in staying]).update(observed_at=now)
    new = [server for id, server in left.items() if id not in known and server.status != "deleting"]
    LeftServer.objects.bulk_create(
        (
            LeftServer(
                provider_account=account,
                provider_id=server.id,
                first_seen_at=now,
                observed_at=now,
                **_as_row(server),
            )
            for server in new
        ),
        ignore_conflicts=True,  # another look was quicker
    )


def _as_row(server: Server) -> dict[str, Any]:
    return {
        "name": server.name[:63],
        "profile": server.server_type[:40],
        "location": server.location[:40],
        "status": server.status[:20],
        "labels": dict(server.labels),
        "created_at": server.created,
    }


def _workspaces_on(account: ProviderAccount) -> list[UUID]:
    return list(account.hosts.values_list("workspace_id", flat=True).distinct())


# --- Writing ----------------------------------------------------------------------------------------------------------
def _note_trouble(row: ManagementCluster | ProviderAccount, error: ProviderError, now: datetime) -> None:
    """Write down that the look failed, and since when."""
    logger.warning("%s could not be looked at: %s", row, error.message)
    _write(row, error_code=error.code, error_message=error.message, error_since=row.error_since or now)


def _write(row: Model, **values: Any) -> None:
    """Update only the columns that differ; nothing is sent when none does."""
    fitting = {name: _cut(row, name, value) for name, value in values.items()}
    changed = [name for name, value in fitting.items() if getattr(row, name) != value]
    if changed:
        for name in changed:
            setattr(row, name, fitting[name])
        # Not save(): a host that is removed meanwhile must not end the look at all the others.
        type(row)._default_manager.filter(pk=row.pk).update(**{name: fitting[name] for name in changed})


def _cut(row: Model, name: str, value: Any) -> Any:
    """The value as its column can hold it: one vendor's overlong text must not end the look at all the others."""
    longest = getattr(row._meta.get_field(name), "max_length", None)
    return value[:longest] if isinstance(value, str) else value


def _pks(rows: Iterable[Workspace]) -> list[UUID]:
    return [row.pk for row in rows]
