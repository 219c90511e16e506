"""The counts of the fleet page: one grouped query serves the sentence, the filters and the frame."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from workspaces.models import Operation, Workspace
from workspaces.models.upgradable import VERSION_COLUMNS, Upgradable, Versions
from workspaces.views.access import ProjectPlace
from workspaces.views.fleet_query import FleetQuery


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts in the chosen place, and of everything the account may see. `situations` are the versions that occur."""

    workspaces: int
    projects: int
    attention: int
    off: int
    upgrading: int
    upgradable: int
    everywhere: int
    open_everywhere: int
    situations: tuple[Versions, ...]

    def of_state(self, state: str) -> int:
        """The count beside one state filter."""
        return self.workspaces if state == "" else int(getattr(self, state))


def count(visible: QuerySet[Workspace], query: FleetQuery, projects: list[ProjectPlace]) -> tuple[Totals, Upgradable]:
    """Count everything visible by project and situation (three queries), then add up what lies in the place."""
    place = {project.id for project in query.projects_in_place(projects)}
    running = Operation.objects.open().filter(workspace__in=visible).order_by()
    open_now = list(running.values_list("workspace_id", "workspace__project_id", "kind"))
    upgradable = Upgradable([pk for pk, *_ in open_now])
    groups = list(
        visible.order_by()
        .values_list("project_id", *VERSION_COLUMNS)
        .annotate(
            all=Count("pk"),
            attention=Count("pk", filter=~Q(attention="")),
            off=Count("pk", filter=Q(maintenance_plan__enabled=False)),
            free=Count("pk", filter=upgradable.free),
        )
    )
    here = [(group[1:5], *group[5:]) for group in groups if group[0] in place]
    totals = Totals(
        workspaces=sum(number for _, number, *_ in here),
        projects=len({group[0] for group in groups if group[0] in place}),
        attention=sum(number for _, _, number, *_ in here),
        off=sum(number for *_, number, _ in here),
        upgrading=sum(project in place and kind == "upgrade" for _, project, kind in open_now),
        upgradable=sum(free for versions, *_, free in here if upgradable.target(versions)),
        everywhere=sum(group[5] for group in groups),
        open_everywhere=len(open_now),
        situations=tuple(sorted({versions for versions, *_ in here}, key=repr)),
    )
    return totals, upgradable
