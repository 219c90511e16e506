"""Looks that find drift, without a world: what one would have seen is handed in."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.test.utils import CaptureQueriesContext

from tests import cast
from workspaces.models import Workspace
from workspaces.operations import drift
from workspaces.rules.drift import Difference, Kind

NOW = cast.NOW
MINUTE = timedelta(minutes=1)
PLANE: tuple[Kind, ...] = ("control_plane",)
NAME: tuple[Kind, ...] = ("host",)


def replicas(seen: int = 3, **more: Any) -> Difference:
    """The replicas of a control plane, of which two are wanted: somebody has to decide."""
    values: dict[str, Any] = {"policy": "decide", "reason": "Perhaps on purpose."}
    return Difference("control_plane", "", "Control plane", "replicas", 2, seen, **(values | more))


def renamed(workspace: Workspace, seen: str = "old-web", **more: Any) -> Difference:
    """The name of the server of its first host, which is set back without asking."""
    host = workspace.hosts.order_by("name")[0]
    return Difference("host", str(host.pk), f"Server {host.name}", "name", host.name, seen, **more)


def saw(workspace: Workspace, kinds: Any, at: datetime, *found: Difference, **more: Any) -> drift.Recorded:
    """One look at one workspace."""
    return drift.record([workspace.pk], kinds, {workspace.pk: found}, at, **more)


def rows(workspace: Workspace) -> list[tuple[Any, ...]]:
    """Field, seen, ending and how often it was set back, the oldest first."""
    return list(
        workspace.drifts.order_by("since", "field").values_list("field", "seen", "ending", "repairs"),
    )


def set_back_each_time(workspace: Workspace, at: datetime, *found: Difference) -> drift.Recorded:
    """A look at the servers of the workspace that sets back what is to be."""
    recorded = saw(workspace, NAME, at, *found)
    for row in drift.to_set_back([workspace.pk], NAME):
        drift.set_back(row, at)
    return recorded


def statements(captured: CaptureQueriesContext) -> list[str]:
    """The verbs of what was sent, without what a test's transaction adds."""
    verbs = [query["sql"].split()[0] for query in captured]
    return [verb for verb in verbs if verb not in ("SAVEPOINT", "RELEASE")]
