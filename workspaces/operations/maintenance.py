"""Maintenance of a workspace as the planner needs it: the facts from rows.

The scheduler that starts what the planner plans will live here as well.
"""

from __future__ import annotations

from django.db.models import Q
from django.utils import timezone

from workspaces.models import Advisory, Hold, Workspace, catalogue
from workspaces.operations.upgrade import situation
from workspaces.rules import planner


def facts(workspace: Workspace) -> planner.Facts:
    """What the planner has to know about the workspace besides its plan (six queries)."""
    hosts = list(workspace.hosts.all())
    return planner.Facts(
        situation=situation(workspace),
        catalogue=catalogue(),
        hosts_manageable=sum(host.manageable for host in hosts),
        hosts_total=len(hosts),
        holds=tuple(planner.Hold(hold.reason, hold.expires_at, hold.set_at) for hold in _holds(workspace)),
        advisories=tuple(
            planner.Advisory(
                advisory.name,
                tuple(advisory.packages),
                tuple(version.version for version in advisory.versions.all()),
                advisory.enforced,
            )
            for advisory in Advisory.objects.filter(closed_at=None).prefetch_related("versions")
        ),
    )


def _holds(workspace: Workspace) -> list[Hold]:
    """Those that stop automatic work on this workspace: its own, its project's, its organization's, the platform's."""
    mine = (
        Q(workspace=workspace)
        | Q(project=workspace.project_id)
        | Q(organization=workspace.project.organization_id)
        | Q(workspace=None, project=None, organization=None)
    )
    return list(Hold.objects.filter(mine, expires_at__gt=timezone.now()))
