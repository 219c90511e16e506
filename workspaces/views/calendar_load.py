"""The counts of the calendar: windows per hour of the week, and how many workspaces each choice of windows leaves.

Counted in SQL over everything the account may see, in a few queries however large the fleet is. Whether an hour is over
its limit is `rules/calendar`, what a window would do is `rules/planner`: asked once a situation, not once a row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import (
    BooleanField,
    Count,
    Exists,
    ExpressionWrapper,
    F,
    Func,
    OuterRef,
    Q,
    SmallIntegerField,
    Value,
)

from workspaces.models import (
    Account,
    Advisory,
    Decision,
    Hold,
    KubernetesVersion,
    MaintenancePlan,
    Operation,
)
from workspaces.models.advisory import installed_by
from workspaces.models.kubernetes import catalogue
from workspaces.models.upgradable import VERSION_COLUMNS
from workspaces.models.workspace import WorkspaceQuerySet
from workspaces.rules import planner
from workspaces.rules.calendar import Clash, Limits, Load, Slot
from workspaces.rules.maintenance import Plan
from workspaces.rules.upgrades import Situation
from workspaces.views.access import ProjectPlace
from workspaces.views.calendar_query import CalendarQuery, Week
from workspaces.views.fleet_query import FleetQuery

_ENABLED = Q(maintenance_plan__enabled=True)
_HAS_ROUTINE = ~Q(**{f"maintenance_plan__{column}": None for column in MaintenancePlan.HOURS})
_FLAGS = ("type", "maintenance_plan__compute_auto_update", "maintenance_plan__kubernetes_auto_upgrade")
_NOBODY = Q(pk__in=[])


class _Unnest(Func):
    """One row for each of the expressions."""

    template = "unnest(ARRAY[%(expressions)s])"
    set_returning = True
    output_field = SmallIntegerField()


def limits() -> Limits:
    """How many windows may run at once, as set for the scheduler."""
    return Limits(settings.LOOPBACK_RUNS_AT_ONCE, settings.LOOPBACK_RUNS_AT_ONCE_PER_CLUSTER)


def read_load(workspaces: WorkspaceQuerySet, weekday: int | None = None) -> Load:
    """Routine windows of plans that are on, by hour of the week (or of one weekday) and name of the cluster."""
    days = range(7) if weekday is None else (weekday,)
    hours = _Unnest(*(F(f"maintenance_plan__{MaintenancePlan.HOURS[day]}") + Value(24 * day) for day in days))
    counted = workspaces.filter(_ENABLED).order_by().annotate(at=hours).values_list("at", "management_cluster__name")
    load: dict[Slot, Counter[Any]] = {}
    for at, cluster, number in counted.annotate(n=Count("pk")):
        if at is not None:
            load.setdefault(divmod(at, 24), Counter())[cluster] += number
    return load


def read_recorded(workspaces: WorkspaceQuerySet, week: Week) -> dict[datetime, int]:
    """Routine windows of the days before today, by the hour they opened, as decided then."""
    decided = Decision.objects.filter(lane="routine", opens_at__gte=week.start, opens_at__lt=min(week.today, week.end))
    rows = decided.filter(workspace__in=workspaces.order_by().values("pk")).order_by()
    return {at.astimezone(UTC): n for at, n in rows.values_list("opens_at").annotate(n=Count("pk"))}


# --- Which workspaces -------------------------------------------------------------------------------------------------
def over_limit(clashes: Iterable[Clash]) -> Q:
    """Selects those with a window in one of the hours."""
    whole: dict[str, list[int]] = {}
    chosen = _NOBODY
    for over in clashes:
        weekday, hour = over.slot
        column = f"maintenance_plan__{MaintenancePlan.HOURS[weekday]}"
        if over.on_platform:
            whole.setdefault(f"{column}__in", []).append(hour)
        else:
            chosen |= Q(**{column: hour, "management_cluster__name__in": over.crowded})
    for column, hours in whole.items():
        chosen |= Q(**{column: hours})
    return _ENABLED & chosen


def held(account: Account, week: Week) -> Q:
    """Selects those that a hold keeps from something in the rest of the week (one query)."""
    holds = Hold.objects.ahead(week.now).readable(account).filter(set_at__lt=week.end, expires_at__gt=week.start)
    places: tuple[set[UUID], set[UUID], set[UUID]] = (set(), set(), set())
    for keys in holds.order_by().values_list("workspace", "project", "organization"):
        if not any(keys):
            return Q()  # the platform
        for known, key in zip(places, keys, strict=True):
            if key is not None:
                known.add(key)
    return Q(pk__in=places[0]) | Q(project__in=places[1]) | Q(project__organization__in=places[2])


class _Flagged(NamedTuple):
    """An advisory in force, and the versions it names."""

    name: str
    enforced: bool
    packages: list[str]
    flagged_at: datetime
    named: list[str]


class Known:
    """Which workspaces have a Kubernetes release or a flagged update ahead, that is known by name (two queries).

    What would hold it back, such as a host that cannot be managed, is said in the row. Operating system updates that
    nobody flagged are found by the run itself.
    """

    def __init__(self, week: Week) -> None:
        self._now, self._catalogue = week.now, catalogue()
        named = KubernetesVersion.objects.filter(advisories=OuterRef("pk")).values("version")
        flagged = Advisory.objects.in_force().annotate(named=ArraySubquery(named))
        columns = ("name", "enforced", "packages", "flagged_at", "named")
        self._advisories = [_Flagged._make(row) for row in flagged.values_list(*columns)]
        self._known: dict[tuple[Any, ...], bool] = {}

    def flagged(self) -> Q:
        """Selects those that miss packages of an advisory: no run has installed them since it was flagged."""
        chosen = Q(pk__in=[])
        runs = Operation.objects.filter(workspace=OuterRef("pk"))
        for advisory in self._advisories:
            if not advisory.packages:
                continue
            missing = Q(~Exists(runs.filter(installed_by([advisory.name], advisory.flagged_at))))
            chosen |= missing if advisory.enforced else missing & Q(maintenance_plan__compute_auto_update=True)
        return _ENABLED & Q(host_count__gt=0) & chosen

    def releases(self, situation: tuple[Any, ...]) -> bool:
        """Whether the planner takes a plan of these flags and versions to another Kubernetes release."""
        if situation not in self._known:
            self._known[situation] = self._ask(*situation)
        return self._known[situation]

    def _ask(self, routine: bool, type_: str, compute: bool, kubernetes: bool | None, *seen: str | None) -> bool:
        running, wanted, kubelets, limit = seen
        plan = Plan(True, (0 if routine else None,) * 7, 12, bool(compute), kubernetes)
        versions = Situation(type_, "active", running or None, tuple((kubelets or "").split()), limit or "", wanted)
        advisories = [planner.Advisory(a.name, (), tuple(a.named), a.enforced) for a in self._advisories]
        facts = planner.Facts(versions, self._catalogue, 1, 1, advisories=advisories)
        ahead = planner.forecast(plan, facts, self._now, days=2)
        return any(work.kind == "kubernetes" for window in ahead for work in window.work)


@dataclass(frozen=True, slots=True)
class Totals:
    """Workspaces in the chosen place by choice of windows (`shown`), and of everything the account may see.

    `listed` are those the search and the choice leave, `chosen` selects them.
    """

    shown: Mapping[str, int]
    listed: int
    everywhere: int
    open_everywhere: int
    chosen: Q


def count(
    visible: WorkspaceQuerySet,
    query: CalendarQuery,
    projects: list[ProjectPlace],
    clashes: Iterable[Clash],
    account: Account,
) -> Totals:
    """Count everything visible by situation (four queries), then add up what lies in the chosen place."""
    known = Known(query.week)
    selects = {"": Q(), "over": over_limit(clashes), "held": held(account, query.week), "known": known.flagged()}
    search = Q(pk__in=query.listed.select(visible, Q()).values("pk")) if query.listed.q else Q()
    rows = (
        visible.order_by()
        .annotate(here=_in_place(query.listed, projects), routine=_HAS_ROUTINE)
        .values_list("here", "maintenance_plan__enabled", "routine", *_FLAGS, *VERSION_COLUMNS)
        .annotate(
            all=Count("pk"),
            over=Count("pk", filter=selects["over"]),
            held=Count("pk", filter=selects["held"]),
            flagged=Count("pk", filter=selects["known"]),
            searched=Count("pk", filter=search),
            listed=Count("pk", filter=search & selects[query.show]),
            busy=Count("pk", filter=Q(pk__in=Operation.objects.open().values("workspace"))),
        )
    )
    shown: Counter[str] = Counter(dict.fromkeys(selects, 0))
    listed = everywhere = open_everywhere = 0
    for here, enabled, *situation, every, over, stopped, flagged, searched, chosen, busy in rows:
        everywhere += every
        open_everywhere += busy
        released = bool(enabled) and known.releases(tuple(situation))
        if released:
            selects["known"] |= _of_situation(situation)
        if here:
            shown.update({"": every, "over": over, "held": stopped, "known": every if released else flagged})
            listed += searched if released and query.show == "known" else chosen
    return Totals(shown, listed, everywhere, open_everywhere, selects[query.show])


def _in_place(listed: FleetQuery, projects: list[ProjectPlace]) -> Value | ExpressionWrapper[Q]:
    """Whether a workspace is of the chosen organization and project, as a column."""
    if listed.organization is None and listed.project is None:
        return Value(True)
    place = Q(project__in=[project.id for project in listed.projects_in_place(projects)])
    return ExpressionWrapper(place, output_field=BooleanField())


def _of_situation(situation: list[Any]) -> Q:
    """Selects the plans that are on and have these flags and versions."""
    routine, *values = situation
    columns = dict(zip((*_FLAGS, *VERSION_COLUMNS), values, strict=True))
    return _ENABLED & (_HAS_ROUTINE if routine else ~_HAS_ROUTINE) & Q(**columns)
