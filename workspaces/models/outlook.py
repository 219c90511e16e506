"""What is known about one workspace, as values the rules decide on: hosts, latest operation, planner facts.

Read in two queries. Deciding and looking ahead are `rules/upgrades.py` and `rules/planner.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Model, OuterRef, Q, QuerySet
from django.db.models.functions import JSONObject

from workspaces.models.infrastructure import Host
from workspaces.models.kubernetes import KubernetesVersion, catalogue
from workspaces.models.maintenance import Advisory, Hold
from workspaces.models.operation import Operation
from workspaces.models.workspace import Workspace
from workspaces.rules import lifecycle, planner, upgrades, versions

_HOST = (
    "name",
    "node_name",
    "profile",
    "location",
    "ansible",
    "provider_account_id",
    "provider_id",
    "provider_status",
    "kubelet_version",
    "ready",
    "ready_message",
    "unschedulable",
    "os_name",
    "observed_at",
)
_OPERATION_TIMES = ("created_at", "started_at", "finished_at", "irreversible_since")
_OPERATION = ("id", "kind", "title", "state", "requested_by", "error_message", "error_who_can_fix", *_OPERATION_TIMES)


@dataclass(frozen=True, slots=True)
class Outlook:
    """`hosts` by name and `operation` (the open one, else the latest) are unsaved models with the columns shown."""

    hosts: list[Host]
    operation: Operation | None
    facts: planner.Facts

    @property
    def situation(self) -> upgrades.Situation:
        """What the upgrade rules decide on."""
        return self.facts.situation

    @property
    def behind(self) -> list[Host]:
        """Hosts whose kubelet is older than the control plane."""
        running = self.situation.running_version
        if not running or not versions.is_version(running):
            return []
        least = versions.precedence(running)
        return [
            host
            for host in self.hosts
            if versions.is_version(host.kubelet_version) and versions.precedence(host.kubelet_version) < least
        ]

    @property
    def unmanageable(self) -> list[Host]:
        """Hosts that workers cannot reach over SSH."""
        return [host for host in self.hosts if not host.manageable]


def look(workspace: Workspace, now: datetime) -> Outlook:
    """The outlook of `workspace`, which has its management cluster selected."""
    row = (
        Workspace.objects.filter(pk=workspace.pk)
        .values_list(
            _rows(Host.objects.filter(workspace=OuterRef("pk")).order_by("name"), *_HOST),
            _rows(_operations(), *_OPERATION),
            _rows(_holds(workspace, now), "reason", "expires_at", "set_at"),
            _rows(
                Advisory.objects.filter(closed_at=None).order_by("name"),
                "name",
                "packages",
                "enforced",
                versions=_NAMED,
            ),
        )
        .get()
    )
    hosts = [_dated(Host, values, ("observed_at",)) for values in row[0]]
    operation = next((_dated(Operation, values, _OPERATION_TIMES) for values in row[1]), None)
    facts = planner.Facts(
        situation=_situation(workspace, hosts, operation),
        catalogue=catalogue(),
        hosts_manageable=sum(host.manageable for host in hosts),
        hosts_total=len(hosts),
        holds=tuple(_hold(**held) for held in row[2]),
        advisories=tuple(
            planner.Advisory(a["name"], tuple(a["packages"]), tuple(a["versions"] or ()), a["enforced"]) for a in row[3]
        ),
    )
    return Outlook(hosts, operation, facts)


_NAMED = ArraySubquery(KubernetesVersion.objects.filter(advisories=OuterRef("pk")).values("version"))


def _rows(rows: QuerySet[Any], *columns: str, **expressions: Any) -> ArraySubquery:
    """The rows as one array of JSON objects, so that unrelated tables are read in one round trip."""
    return ArraySubquery(rows.values(row=JSONObject(**{column: column for column in columns}, **expressions)))


def _operations() -> QuerySet[Operation]:
    """The open operation, else the latest."""
    mine = Operation.objects.filter(workspace=OuterRef("pk")).alias(still_open=Q(state__in=lifecycle.OPEN))
    return mine.order_by("-still_open", "-created_at")[:1]


def _dated[M: Model](model: type[M], values: dict[str, Any], times: Sequence[str]) -> M:
    """An unsaved model from a JSON object, whose `times` are texts."""
    return model(**(values | {name: datetime.fromisoformat(values[name]) for name in times if values[name]}))


def _holds(workspace: Workspace, now: datetime) -> QuerySet[Hold]:
    """Holds on the workspace itself, its project, its organization or the platform."""
    everything = Q(workspace=None, project=None, organization=None)
    mine = Q(workspace=workspace) | Q(project=workspace.project_id) | Q(organization=workspace.project.organization_id)
    return Hold.objects.filter(everything | mine, expires_at__gt=now).order_by("expires_at")


def _hold(reason: str, expires_at: str, set_at: str) -> planner.Hold:
    return planner.Hold(reason, datetime.fromisoformat(expires_at), datetime.fromisoformat(set_at))


def _situation(workspace: Workspace, hosts: list[Host], operation: Operation | None) -> upgrades.Situation:
    cluster = workspace.management_cluster
    return upgrades.Situation(
        workspace_type=workspace.type,
        state=workspace.state,
        running_version=workspace.kubernetes_version or None,
        kubelet_versions=tuple(host.kubelet_version for host in hosts if host.node_name),
        kamaji_max=cluster.max_version if cluster else "",
        control_plane_wanted=workspace.control_plane_wanted or None,
        open_operation=(str(operation.pk), operation.title) if operation and operation.is_open else None,
    )
