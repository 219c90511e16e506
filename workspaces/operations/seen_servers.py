"""The servers of one provider account: one paged listing, and the rows of hosts that differ from it are written.

A host whose order ended too early is given the server that was made for it. Which servers are nobody's is seen_left.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from workspaces.models import Drift, Host, Operation, ProviderAccount, bulk
from workspaces.models.left_servers import ORDER
from workspaces.operations import connections, drift, drift_actors, seen, seen_left
from workspaces.operations.looks import LOOKED_AT
from workspaces.providers.errors import Permanent
from workspaces.providers.hetzner import HetznerCloud, Server
from workspaces.rules import labels
from workspaces.rules.drift import LABEL, Difference, Kind, SeenServer, of_server

logger = logging.getLogger(__name__)
KINDS: Final[Sequence[Kind]] = ("host",)
COLUMNS: Final = ("provider_status", "profile", "location", "disk_gb")
GONE: Final = "gone"
# Labels that begin so are ours, and are to stay as they were written.
OURS: Final = "loopback/"
# Of a host: its columns by name, as they were when the listing was there.
type Row = dict[str, Any]
type Servers = Mapping[int, Server]


def look(account: ProviderAccount, now: datetime) -> None:
    """List all servers of the account and write which of ours run, and which of them no host has. Raises ProviderError.

    Whether a server's host is being ordered is asked before the hosts are: of an order that ends in between, they tell.
    """
    cloud = connections.cloud(account)
    servers = {server.id: server for server in cloud.servers()}
    ordering = _being_ordered()
    rows = _rows(account)
    _adopt(rows, servers, ordering)
    changed = _write(rows, servers) | _compare(rows, servers, cloud, now)
    seen_left.write(account, servers.values(), ordering, now)
    seen.judge(changed, now)


def _rows(account: ProviderAccount) -> list[Row]:
    mine = account.hosts.annotate(busy=seen.busy("workspace")).order_by("name")
    return list(
        mine.values("pk", "name", "workspace_id", "workspace__state", "provider_id", "wanted", "busy", *COLUMNS)
    )


def _being_ordered() -> set[str]:
    """Hosts whose order is under way: it finds the servers it has made, and settles what becomes of them."""
    orders = Operation.objects.open().filter(kind=ORDER)
    return set(orders.values_list("parameters__host", flat=True))


def _adopt(rows: list[Row], servers: Servers, ordering: Collection[str]) -> None:
    """Give hosts the servers that were made for them, where an order ended before it could write that down."""
    taken = {row["provider_id"] for row in rows}
    waiting = {str(row["pk"]): row for row in rows if row["provider_id"] is None and str(row["pk"]) not in ordering}
    for server in sorted(servers.values(), key=lambda server: server.created):
        if server.id not in taken and (row := waiting.pop(server.labels.get(labels.HOST, ""), None)):
            logger.warning("Server %s is that of %s, which did not know it", server.id, row["name"])
            row["provider_id"] = server.id
            Host.objects.filter(pk=row["pk"]).update(provider_id=server.id)


# --- What is seen -----------------------------------------------------------------------------------------------------
def _write(rows: list[Row], servers: Servers) -> set[UUID]:
    """Store what the provider says, and what is wanted where nothing was said; the workspaces with another server."""
    changes: dict[UUID, dict[str, Any]] = {}
    changed: set[UUID] = set()
    for row in rows:
        if row["provider_id"] is None:
            continue
        server = servers.get(row["provider_id"])
        values = bulk.differing(Host, row, _columns(row, server))
        if values:
            changed.add(row["workspace_id"])
        changes[row["pk"]] = values | _taken(row, server)
    bulk.write(Host, changes, under=("wanted",))
    return changed


def _columns(row: Row, server: Server | None) -> dict[str, Any]:
    """What the provider says of the host's server; of one that is gone, the rest stays as last seen."""
    if server is None:
        return {"provider_status": GONE}
    return {
        "provider_status": server.status,
        "profile": server.server_type,
        "location": server.location,
        "disk_gb": server.disk or row["disk_gb"],
    }


# --- What is wanted ---------------------------------------------------------------------------------------------------
def _taken(row: Row, server: Server | None) -> dict[str, Any]:
    """The first look says what is wanted, unless an operation is just changing it."""
    if server is None or row["busy"]:
        return {}
    now = _as_seen(server).as_wanted(OURS)
    if now.keys() <= row["wanted"].keys():
        return {}
    row["wanted"] = now | row["wanted"]
    return {"wanted": row["wanted"]}


def _as_seen(server: Server) -> SeenServer:
    return SeenServer(server.name, server.server_type, server.status, server.labels)


def _compare(rows: list[Row], servers: Servers, cloud: HetznerCloud, now: datetime) -> set[UUID]:
    """Note what is not as wanted and set back what is to be; the workspaces where something came of that."""
    compared = {
        str(row["pk"]): row
        for row in rows
        if row["provider_id"] is not None and not row["busy"] and row["workspace__state"] in LOOKED_AT
    }
    found: dict[UUID, list[Difference]] = {}
    for ref, row in compared.items():
        server = servers.get(row["provider_id"])
        differences = of_server(row["wanted"], _as_seen(server) if server else None, ref=ref, host=row["name"])
        found.setdefault(row["workspace_id"], []).extend(differences)
    who = drift_actors.of_servers(cloud, {ref: row["provider_id"] for ref, row in compared.items()})
    recorded = drift.record(found, KINDS, found, now, refs=compared, who=who)
    listed = {ref: servers[row["provider_id"]] for ref, row in compared.items() if row["provider_id"] in servers}
    to_set_back = drift.to_set_back(found, KINDS, refs=compared)
    return recorded.workspaces | seen.set_back(to_set_back, _Repair(cloud, listed), now)


class _Repair:
    """Makes servers again what is wanted of them; `servers` are those listed, by the key of their host."""

    def __init__(self, cloud: HetznerCloud, servers: Mapping[str, Server]) -> None:
        self._cloud, self._servers = cloud, servers
        # Labels are written all at once: those set back before have to be among them.
        self._labels = {ref: dict(server.labels) for ref, server in servers.items()}

    def __call__(self, one: Drift) -> None:
        server = self._servers.get(one.ref)
        if server is None:
            raise Permanent("not_found", f"{one.subject} is not listed by the provider any more.")
        if one.field == "name":
            self._cloud.update_server(server.id, name=str(one.wanted))
        elif one.field == "power":
            self._cloud.power_on(server.id)
        elif one.field.startswith(LABEL):
            self._labels[one.ref][one.field.removeprefix(LABEL)] = str(one.wanted)
            self._cloud.update_server(server.id, labels=self._labels[one.ref])
        else:
            raise Permanent("configuration", f"{one.field} of {one.subject} is not set back by itself.")
