"""One workspace from within: the nodes of its cluster by one listing, or on bare metal each host over the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from workspaces.models import Drift, Host, Workspace, bulk
from workspaces.operations import connections, drift, drift_actors, seen
from workspaces.operations.looks import LOOKED_AT
from workspaces.providers import reach
from workspaces.providers.cluster import Cluster, Node
from workspaces.providers.errors import Permanent
from workspaces.rules.drift import Difference, Kind, SeenNode, nobody, of_node

KINDS: Final[Sequence[Kind]] = ("node",)
COLUMNS: Final = ("kubelet_version", "ready", "ready_message", "unschedulable", "os_name", "boot_id")
# Of a host: its columns by name.
type Row = dict[str, Any]
type Nodes = Mapping[str, Node]


def look(workspace: Workspace, now: datetime) -> None:
    """Look at the hosts of the workspace: through its API server, or over the network. Raises ProviderError.

    It is judged again each time, for what turns by itself as time passes.
    """
    if workspace.is_kubernetes:
        seen.refuse_in_the_dark(workspace)
        with connections.tenant(workspace) as cluster:
            _look_at_nodes(workspace, cluster, now)
    else:
        rows = list(workspace.hosts.values("pk", "ansible", *COLUMNS))
        bulk.write(Host, {row["pk"]: bulk.differing(Host, row, _reached(row["ansible"])) for row in rows})
    workspace.hosts.update(observed_at=now)
    seen.judge([workspace.pk], now)


def _look_at_nodes(workspace: Workspace, cluster: Cluster, now: datetime) -> None:
    nodes = {node.name: node for node in cluster.nodes()}
    ends_at = cluster.client_certificate_expires_at
    if ends_at != workspace.credential_ends_at:
        Workspace.objects.filter(pk=workspace.pk).update(credential_ends_at=ends_at)
    rows = list(workspace.hosts.annotate(busy=seen.busy("workspace")).values(
        "pk", "name", "node_name", "wanted", "busy", *COLUMNS
    ))  # fmt: skip
    told = {row["pk"]: _as_told(row, nodes.get(row["node_name"])) for row in rows}
    bulk.write(Host, {row["pk"]: bulk.differing(Host, row, told[row["pk"]]) for row in rows})
    if workspace.state in LOOKED_AT and not any(row["busy"] for row in rows):
        _compare(workspace.pk, rows, nodes, cluster, now)


def _as_told(row: Row, node: Node | None) -> dict[str, Any]:
    """What the cluster says of the host's node; a host whose node is missing is not ready."""
    if node is None:
        return {"ready": False, "ready_message": "Its node is not in the cluster."}
    return {
        "kubelet_version": node.kubelet_version,
        "ready": node.ready == "True",
        "ready_message": "" if node.ready == "True" else node.ready_message or node.ready_reason,
        "unschedulable": node.unschedulable,
        "os_name": node.os_image,
        "boot_id": node.boot_id,
    }


def _reached(ansible: Mapping[str, Any]) -> dict[str, Any]:
    """On bare metal the host answers on its SSH port, or it does not."""
    if not Host(ansible=ansible).manageable:
        return {"ready": None, "ready_message": "No connection variables: it cannot be managed."}
    if "ansible_host" not in ansible:
        return {"ready": None, "ready_message": "Ansible reaches it without a network, so nothing can be asked."}
    said = reach.ssh_banner(str(ansible["ansible_host"]), int(ansible.get("ansible_port", 22)))
    return {"ready": said == "", "ready_message": said}


# --- What is wanted ---------------------------------------------------------------------------------------------------
def _compare(workspace: UUID, rows: list[Row], nodes: Nodes, cluster: Cluster, now: datetime) -> None:
    """Note what is not as wanted, and open to pods again the nodes of which somebody has decided that."""
    joined = {str(row["pk"]): row for row in rows if row["node_name"]}
    found: list[Difference] = []
    for ref, row in joined.items():
        node = nodes.get(row["node_name"])
        found += of_node(
            row["wanted"],
            SeenNode(node.unschedulable, node.cordoned_by) if node else None,
            ref=ref,
            node=row["node_name"],
            actor=drift_actors.of_node(node.managed) if node else nobody,
        )
    drift.record([workspace], KINDS, {workspace: found}, now)

    def repair(one: Drift) -> None:
        row = joined.get(one.ref)
        if row is None or row["node_name"] not in nodes:
            raise Permanent("not_found", f"{one.subject} is not in the cluster.")
        cluster.open_to_pods(row["node_name"])

    seen.set_back(drift.to_set_back([workspace], KINDS), repair, now)
