"""What looks share once they have seen something: setting back what is to be, and judging anew.

What each kind of look sees, and writes, is in seen_control_planes, seen_servers and seen_cluster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Exists, OuterRef

from workspaces.models import Drift, Operation, Workspace
from workspaces.models.health import reassess
from workspaces.operations import drift, gate
from workspaces.providers.errors import ProviderError, Temporary

# Setting back ends after so many seconds, within the lease of the look: the next look goes on with the rest.
PATIENCE: Final = 60


def busy(workspace: str) -> Exists:
    """Whether the workspace, by the name of its key in the query, has an open operation: then it is left as it is."""
    return Exists(Operation.objects.open().filter(workspace=OuterRef(workspace)))


def is_busy(workspace: UUID) -> bool:
    """Whether the workspace has an open operation now."""
    return Operation.objects.open().filter(workspace=workspace).exists()


def refuse_in_the_dark(workspace: Workspace) -> None:
    """The way in is read from the management cluster: while that cannot be asked, its tenants need not try.

    Else each of them would wait for it in vain, and the looks at everybody else behind them. Raises Temporary.
    """
    cluster = workspace.management_cluster
    if cluster and cluster.error_code not in ("", "overdue"):
        raise Temporary(cluster.error_code, cluster.error_message)


def set_back(drifts: Iterable[Drift], repair: Callable[[Drift], None], now: datetime) -> set[UUID]:
    """Change the world back, one after the other; the workspaces it was tried on.

    A repair that fails is told and does not keep the others. What has got an operation meanwhile is the operation's.
    """
    tried: set[UUID] = set()
    until = time.monotonic() + PATIENCE
    for one in drifts:
        if time.monotonic() > until:
            break
        if is_busy(one.workspace_id):
            continue
        try:
            repair(one)
        except ProviderError as error:
            drift.not_set_back(one, error, now)
        else:
            drift.set_back(one, now)
        tried.add(one.workspace_id)
    return tried


def judge(workspaces: Collection[UUID], now: datetime) -> None:
    """Judge the workspaces of which something has changed: whether they are to be gated, and how they are."""
    if workspaces:
        gate.judge(workspaces, now)
        reassess(workspaces, now)
