"""What is known about workspaces, as values the rules decide on: hosts, latest operation, planner facts.

Read in two queries, however many there are. Deciding and looking ahead are `rules/upgrades.py` and `rules/planner.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Case, Exists, F, Func, JSONField, Model, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import JSONObject

from workspaces.models.advisory import Advisory, installed_by
from workspaces.models.decision import Decision
from workspaces.models.hold import Hold
from workspaces.models.infrastructure import Host
from workspaces.models.kubernetes import KubernetesVersion, catalogue
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
    "updated_at",
    "held_back",
    "restart_needed",
    "observed_at",
)
_OPERATION_TIMES = ("created_at", "started_at", "finished_at", "irreversible_since", "window_opens_at")
_OPERATION = (
    "id",
    "kind",
    "title",
    "state",
    "requested_by",
    "parameters",
    "lane",
    "pause_reason",
    "error_message",
    "error_who_can_fix",
    *_OPERATION_TIMES,
)


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
    """The outlook of `workspace`, which has its project and management cluster selected (two queries)."""
    return look_at([workspace], now)[workspace.pk]


def look_at(workspaces: Iterable[Workspace], now: datetime) -> dict[UUID, Outlook]:
    """The outlook of each of the workspaces, which have their project and management cluster selected (two queries)."""
    known = {workspace.pk: workspace for workspace in workspaces}
    versions_known = catalogue()
    rows = Workspace.objects.filter(pk__in=known).values_list(
        "pk",
        _rows(Host.objects.filter(workspace=OuterRef("pk")).order_by("name"), *_HOST),
        _rows(_operations(), *_OPERATION),
        _rows(_holds(now), "reason", "expires_at", "set_at", place=_PLACE),
        _rows(_advisories(), "name", "enforced", versions=_NAMED, packages=F("packages"), applied=F("applied")),
        _rows(_decisions(now), "lane", "opens_at", "outcome", "reason", "message"),
    )
    return {pk: _outlook(known[pk], versions_known, *found) for pk, *found in rows.order_by()}


def _outlook(
    workspace: Workspace,
    versions_known: list[upgrades.CatalogueVersion],
    hosts_found: list[dict[str, Any]],
    operations: list[dict[str, Any]],
    holds: list[dict[str, Any]],
    advisories: list[dict[str, Any]],
    decisions: list[dict[str, Any]],
) -> Outlook:
    hosts = [_dated(Host, values, ("observed_at", "updated_at")) for values in hosts_found]
    operation = next((_dated(Operation, values, _OPERATION_TIMES) for values in operations), None)
    facts = planner.Facts(
        situation=_situation(workspace, hosts, operation),
        catalogue=versions_known,
        hosts_manageable=sum(host.manageable for host in hosts),
        hosts_total=len(hosts),
        holds=tuple(_hold(**held) for held in holds),
        advisories=tuple(_advisory(**flagged) for flagged in advisories),
        paused=_paused(operation),
        decided=dict(_decided(**decision) for decision in decisions),
    )
    return Outlook(hosts, operation, facts)


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


def _holds(now: datetime) -> QuerySet[Hold]:
    """Holds on the workspace itself, its project, its organization or the platform."""
    everything = Q(workspace=None, project=None, organization=None)
    mine = Q(workspace=OuterRef("pk")) | Q(project=OuterRef("project"))
    mine |= Q(organization=OuterRef("project__organization"))
    return Hold.objects.ahead(now).filter(everything | mine).order_by("expires_at")


# What is held, unless it is the workspace alone.
_PLACE = Case(
    When(workspace__isnull=False, then=Value("")),
    When(project__isnull=False, then=F("project__name")),
    When(organization__isnull=False, then=F("organization__name")),
    default=Value("The platform"),
)


# The versions an advisory names.
_NAMED = ArraySubquery(KubernetesVersion.objects.filter(advisories=OuterRef("pk")).values("version"))


def _hold(reason: str, expires_at: str, set_at: str, place: str) -> planner.Hold:
    return planner.Hold(reason, datetime.fromisoformat(expires_at), datetime.fromisoformat(set_at), place)


def _advisories() -> QuerySet[Advisory]:
    """Those in force, and whether a run that has succeeded since they were flagged has installed their packages."""
    mine = Operation.objects.filter(workspace=OuterRef(OuterRef("pk")))
    names = Func(OuterRef("name"), function="jsonb_build_array", output_field=JSONField())
    applied = Exists(mine.filter(installed_by(names, OuterRef("flagged_at"))))
    return Advisory.objects.in_force().annotate(applied=applied).order_by("name")


def _advisory(
    name: str, enforced: bool, versions: list[str] | None, packages: list[str], applied: bool
) -> planner.Advisory:
    return planner.Advisory(name, () if applied else tuple(packages), tuple(versions or ()), enforced)


def _paused(operation: Operation | None) -> planner.Paused | None:
    """Automatic work that waits for its next window."""
    if operation is None or operation.state != "paused" or operation.lane not in ("routine", "priority"):
        return None
    lane: planner.Lane = "routine" if operation.lane == "routine" else "priority"
    return planner.Paused(lane, operation.title, operation.pause_reason, str(operation.parameters.get("to", "")))


def _decisions(now: datetime) -> QuerySet[Decision]:
    """What the scheduler has said about the windows of this hour."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    return Decision.objects.filter(workspace=OuterRef("pk"), opens_at__gte=hour).order_by("opens_at")


def _decided(
    lane: planner.Lane, opens_at: str, outcome: str, reason: str, message: str
) -> tuple[tuple[planner.Lane, datetime], planner.Reason | None]:
    waits_for = planner.Reason(reason, message) if outcome == "waiting" else None
    return (lane, datetime.fromisoformat(opens_at)), waits_for


def _situation(workspace: Workspace, hosts: list[Host], operation: Operation | None) -> upgrades.Situation:
    cluster = workspace.management_cluster
    return upgrades.Situation(
        workspace_type=workspace.type,
        state=workspace.state,
        state_reason=workspace.state_reason,
        running_version=workspace.kubernetes_version or None,
        kubelet_versions=tuple(host.kubelet_version for host in hosts if host.node_name),
        kamaji_max=cluster.max_version if cluster else "",
        control_plane_wanted=workspace.control_plane_wanted or None,
        # Work that is paused until its next window is open too, but keeps no window shut.
        open_operation=(str(operation.pk), operation.title)
        if operation and operation.is_open and not _paused(operation)
        else None,
    )
