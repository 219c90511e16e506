"""The counts of the fleet page: one grouped query serves the sentence, the filters and the frame."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from workspaces.models import Operation, Workspace
from workspaces.models.upgradable import VERSION_COLUMNS, Upgradable, Versions
from workspaces.views.fleet_query import FleetQuery
from workspaces.views.shell import ProjectPlace


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
    """Count everything visible by project and situation (four queries), then add up what lies in the place."""
    place = {project.id for project in query.projects_in_place(projects)}
    running = Operation.objects.open().filter(workspace__in=visible).order_by()
    open_now = list(running.values_list("workspace_id", "workspace__project_id", "kind"))
    upgradable = Upgradable.among(query.in_place(visible), [pk for pk, *_ in open_now])
    groups = list(
        visible.order_by()
        .values_list("project_id", *VERSION_COLUMNS)
        .annotate(
            all=Count("pk"),
            attention=Count("pk", filter=~Q(attention="")),
            off=Count("pk", filter=Q(maintenance_plan__enabled=False)),
            plain=Count("pk", filter=upgradable.plain),
        )
    )
    here = [group for group in groups if group[0] in place]
    targets = sum(group[7] for group in here if upgradable.target(group[1:4]))
    totals = Totals(
        workspaces=sum(group[4] for group in here),
        projects=len({group[0] for group in here}),
        attention=sum(group[5] for group in here),
        off=sum(group[6] for group in here),
        upgrading=sum(project in place and kind == "upgrade" for _, project, kind in open_now),
        upgradable=targets + len(upgradable.odd_now),
        everywhere=sum(group[4] for group in groups),
        open_everywhere=len(open_now),
        situations=tuple(sorted({group[1:4] for group in here}, key=repr)),
    )
    return totals, upgradable
