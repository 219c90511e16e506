"""What the frame of every console page shows: the place, the counts beside the navigation, the day strip, the
theme, and a warning when the machinery behind the pages does not live.

Asked for by `templates/base.html` through the tag `{% shell %}`, so fragments do not pay for it: four queries, fewer on
the fleet page, which has counted already, and two round trips to Redis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Q
from django.http import HttpRequest
from django.utils import timezone

from workspaces.models import Operation, Workspace
from workspaces.models.commercial import Standing, standing_of
from workspaces.operations import queues
from workspaces.views import strip
from workspaces.views.access import ProjectPlace, account_of, projects_of, visible_workspaces

# A menu is for choosing at a glance; beyond this many the fleet page's filters are quicker.
MENU_LIMIT = 10


@dataclass(frozen=True, slots=True)
class Place:
    """The organization and the project a page is about; None stands for all of them."""

    organization: str
    project: str
    organization_id: UUID | None = None
    project_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Shell:
    """Everything the frame shows."""

    now: datetime
    place: Place
    organizations: list[tuple[UUID, str]]
    projects: list[ProjectPlace]
    projects_left_out: int
    workspaces: int
    open_operations: int
    day: strip.Day
    # The permission keys the account holds somewhere: what the navigation leads to.
    held: frozenset[str]
    # What is to be said of the machinery behind the pages; empty: workers and the scheduler live.
    warning: str
    left_servers: int


def shell_of(request: HttpRequest, page: Mapping[str, Any]) -> Shell:
    """The frame of one page. Of the page's own context it uses `workspace`, and what the fleet page has read."""
    now = page.get("now") or timezone.now()
    projects, visible = projects_of(request), visible_workspaces(request)
    place = page.get("place") or _place_of(page.get("workspace"), projects)
    organizations = {project.organization_id: project.organization for project in projects}
    shown = [p for p in projects if place.organization_id in (None, p.organization_id)]
    count, busy = page.get("workspace_count"), page.get("open_operation_count")
    if count is None or busy is None:
        # A workspace has at most one open operation, so counting the busy workspaces counts the operations.
        with_open = Operation.objects.open().values("workspace")
        counted = visible.aggregate(count=Count("pk"), busy=Count("pk", filter=Q(pk__in=with_open)))
        count, busy = counted["count"], counted["busy"]
    held = standing(request)
    return Shell(
        now=now,
        warning=queues.warning(timezone.now()),
        place=place,
        organizations=list(organizations.items())[:MENU_LIMIT],
        projects=shown[:MENU_LIMIT],
        projects_left_out=max(0, len(shown) - MENU_LIMIT),
        workspaces=count,
        open_operations=busy,
        day=page.get("day") or strip.day_of(visible, now),
        held=held.keys,
        left_servers=held.left_servers,
    )


def standing(request: HttpRequest) -> Standing:
    """What the account holds and sees somewhere, for the frame and for pages that ask before (one query a request)."""
    known: Standing | None = getattr(request, "_standing", None)
    if known is None:
        known = request._standing = standing_of(account_of(request))  # type: ignore[attr-defined]
    return known


def _place_of(workspace: Workspace | None, projects: list[ProjectPlace]) -> Place:
    """Of a workspace page its project; elsewhere everything the account may see."""
    if workspace is not None:
        project = workspace.project
        return Place(project.organization.name, project.name, project.organization_id, project.pk)
    return place_among(projects)


def place_among(projects: list[ProjectPlace]) -> Place:
    """The place that covers all of `projects`: their one organization, or all organizations."""
    organizations = {project.organization_id: project.organization for project in projects}
    if len(organizations) == 1:
        ((pk, name),) = organizations.items()
        return Place(name, "All projects", pk)
    return Place("All organizations", "All projects")
