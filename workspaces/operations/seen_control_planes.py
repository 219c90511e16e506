"""The control planes of one management cluster: one paged listing, and the rows that differ from it are written.

A TenantControlPlane whose resourceVersion was seen before is not compared again. What is wanted of it is taken from the
first look; what differs from that later is drift.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from workspaces.models import Drift, ManagementCluster, Workspace, bulk
from workspaces.models.workspace import version_key
from workspaces.operations import connections, drift, drift_actors, seen
from workspaces.operations.looks import LOOKED_AT
from workspaces.providers.errors import Permanent
from workspaces.providers.kamaji import ControlPlane, Kamaji
from workspaces.rules.drift import Difference, Kind, SeenControlPlane, of_control_plane

KINDS: Final[Sequence[Kind]] = ("control_plane",)
GONE: Final = "Gone"
# So many control planes do not all disappear between two looks.
MANY: Final = 3
COLUMNS: Final = (
    "kubernetes_version",
    "version_key",
    "control_plane_status",
    "control_plane_wanted",
    "control_plane_paused",
    "control_plane_replicas",
    "control_plane_revision",
    "endpoint",
    "kubeconfig_secret",
)
# What no judgement rests on. Another resourceVersion alone is an annotation, say, or a heartbeat.
UNJUDGED: Final = {"control_plane_revision", "kubeconfig_secret", "wanted"}
# Of a workspace: its columns by name, as they were when the listing was there.
type Row = dict[str, Any]
type Planes = Mapping[tuple[str, str], ControlPlane]


def look(cluster: ManagementCluster, now: datetime) -> None:
    """List all control planes of the cluster and write what has changed. Raises ProviderError."""
    with connections.management(cluster) as kamaji:
        planes = {(plane.namespace, plane.name): plane for plane in kamaji.control_planes()}
        rows = _rows(cluster)
        _refuse_another_cluster(cluster, rows, planes)
        ends_sooner = _write_cluster(cluster, kamaji)
        changed = _write(rows, planes) | _compare(rows, planes, kamaji, now)
    seen.judge([row["pk"] for row in rows] if ends_sooner else changed, now)


def _rows(cluster: ManagementCluster) -> list[Row]:
    mine = Workspace.objects.filter(management_cluster=cluster, state__in=LOOKED_AT).annotate(busy=seen.busy("pk"))
    return list(mine.values("pk", "namespace", "control_plane", "wanted", "busy", *COLUMNS))


def _refuse_another_cluster(cluster: ManagementCluster, rows: list[Row], planes: Planes) -> None:
    """Not one of many left: rather is this another cluster than that all of them were deleted within a period."""
    were_there = [row for row in rows if row["control_plane_status"] not in ("", GONE)]
    if len(were_there) >= MANY and not any(_key(row) in planes for row in were_there):
        said = f"{cluster} lists none of the {len(were_there)} control planes that were there before"
        raise Permanent("configuration", f"{said}: the stored kubeconfig may lead to another cluster.")


def _write_cluster(cluster: ManagementCluster, kamaji: Kamaji) -> bool:
    """Store the cluster's version and when our certificate ends; whether the latter is another time than it was."""
    known = {"version": cluster.version, "credential_ends_at": cluster.credential_ends_at}
    told = {"version": kamaji.version(), "credential_ends_at": kamaji.client_certificate_expires_at}
    if changes := bulk.differing(ManagementCluster, known, told):
        ManagementCluster.objects.filter(pk=cluster.pk).update(**changes)
    return "credential_ends_at" in changes


# --- What is seen -----------------------------------------------------------------------------------------------------
def _write(rows: list[Row], planes: Planes) -> set[UUID]:
    """Store what Kamaji says, and what is wanted where nothing was said yet; the workspaces that are another now."""
    changes: dict[UUID, dict[str, Any]] = {}
    for row in rows:
        plane = planes.get(_key(row))
        changed = {}
        if plane is None or plane.resource_version != row["control_plane_revision"]:
            changed = bulk.differing(Workspace, row, _columns(row, plane))
        changes[row["pk"]] = changed | _taken(row, plane)
    bulk.write(Workspace, changes, under=("wanted",))
    return {key for key, values in changes.items() if values.keys() - UNJUDGED}


def _columns(row: Row, plane: ControlPlane | None) -> dict[str, Any]:
    """What Kamaji says about a workspace; a control plane that is gone is said to be gone."""
    version = (plane.running_version if plane else "") or row["kubernetes_version"]
    return {
        "kubernetes_version": version,
        "version_key": version_key(version),
        "control_plane_status": plane.status if plane else GONE,
        "control_plane_wanted": plane.wanted_version if plane else "",
        "control_plane_paused": plane.paused if plane else False,
        "control_plane_replicas": plane.replicas if plane else 0,
        "control_plane_revision": plane.resource_version if plane else "",
        "endpoint": plane.endpoint if plane else "",
        "kubeconfig_secret": plane.kubeconfig_secret if plane else "",
    }


def _key(row: Row) -> tuple[str, str]:
    return row["namespace"], row["control_plane"]


# --- What is wanted ---------------------------------------------------------------------------------------------------
def _taken(row: Row, plane: ControlPlane | None) -> dict[str, Any]:
    """The first look says what is wanted, unless an operation is just changing it."""
    if plane is None or plane.deleting or row["busy"]:
        return {}
    # Nobody wants it paused until somebody says so.
    now = _as_seen(plane).as_wanted | {"paused": False}
    if now.keys() <= row["wanted"].keys():
        return {}
    row["wanted"] = now | row["wanted"]
    return {"wanted": row["wanted"]}


def _as_seen(plane: ControlPlane) -> SeenControlPlane:
    return SeenControlPlane(plane.wanted_version, plane.replicas, plane.paused)


def _compare(rows: list[Row], planes: Planes, kamaji: Kamaji, now: datetime) -> set[UUID]:
    """Note what is not as wanted and set back what is to be; the workspaces where something came of that."""
    compared = {row["pk"]: planes.get(_key(row)) for row in rows if not row["busy"]}
    found: dict[UUID, list[Difference]] = {}
    for row in rows:
        plane = compared.get(row["pk"])
        if plane and not plane.deleting:
            found[row["pk"]] = of_control_plane(
                row["wanted"], _as_seen(plane), drift_actors.of_control_plane(plane.managed)
            )
    recorded = drift.record(compared, KINDS, found, now)

    def repair(one: Drift) -> None:
        plane = compared[one.workspace_id]
        if plane is None:
            raise Permanent("not_found", f"{one.workspace} has no control plane on {one.workspace.management_cluster}.")
        compared[one.workspace_id] = kamaji.set_back(plane, {one.field: one.wanted})

    return recorded.workspaces | seen.set_back(drift.to_set_back(compared, KINDS), repair, now)
