"""Servers under our labels that no host has, as the look at their account sees them: a row each, while they are there.

They are told with their price by models/left_servers, and deleted on a person's word by left_servers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from workspaces.models import Host, LeftServer, ProviderAccount, bulk
from workspaces.providers.hetzner import Server
from workspaces.rules import labels

COLUMNS = ("name", "profile", "location", "status", "labels", "created_at")


def write(account: ProviderAccount, servers: Iterable[Server], ordering: Collection[str], now: datetime) -> None:
    """Keep a row for each server under our labels that no host has; rows of those that are gone, or have one, go.

    `ordering` are the keys of hosts that are being ordered: their servers are the orders'.
    """
    left = _left(servers, ordering)
    known = {row["provider_id"]: row for row in account.left_servers.values("pk", "provider_id", *COLUMNS)}
    if gone := [row["pk"] for id, row in known.items() if id not in left]:
        account.left_servers.filter(pk__in=gone).delete()
    if staying := {row["pk"]: (row, _as_row(left[id])) for id, row in known.items() if id in left}:
        bulk.write(LeftServer, {key: bulk.differing(LeftServer, row, told) for key, (row, told) in staying.items()})
        account.left_servers.filter(pk__in=staying).update(observed_at=now)
    new = [server for id, server in left.items() if id not in known and server.status != "deleting"]
    LeftServer.objects.bulk_create(
        (
            LeftServer(
                provider_account=account,
                provider_id=server.id,
                first_seen_at=now,
                observed_at=now,
                **{name: bulk.fit(LeftServer, name, value) for name, value in _as_row(server).items()},
            )
            for server in new
        ),
        ignore_conflicts=True,  # another look was quicker
    )


def _left(servers: Iterable[Server], ordering: Collection[str]) -> dict[int, Server]:
    """Servers under our labels that no host has and no order or host waits for."""
    left = {server.id: server for server in servers if labels.is_ours(server.labels)}
    # Hosts of any account: two of them may hold tokens of the same project.
    for had in Host.objects.filter(provider_id__in=left).values_list("provider_id", flat=True):
        left.pop(had or 0, None)
    if not left:
        return left
    unmatched = Host.objects.filter(provider_id=None).exclude(provider_account=None)
    awaited = {str(key) for key in unmatched.values_list("pk", flat=True)}.union(ordering)
    return {id: server for id, server in left.items() if server.labels.get(labels.HOST) not in awaited}


def _as_row(server: Server) -> dict[str, Any]:
    return {
        "name": server.name,
        "profile": server.server_type,
        "location": server.location,
        "status": server.status,
        "labels": dict(server.labels),
        "created_at": server.created,
    }
