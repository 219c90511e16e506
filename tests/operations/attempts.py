"""Looks of a test: one that fails, one that succeeds, what became of its row and of the workspaces it is for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from workspaces.models import Look, Workspace
from workspaces.operations import looks
from workspaces.providers.errors import Temporary

# Seconds between two looks, and the other paces of these tests.
PERIOD = 60.0
PACES = {
    "LOOPBACK_RECONCILE_SECONDS": PERIOD,
    "LOOPBACK_DNS_SECONDS": 300,
    "LOOPBACK_SEEDING_SECONDS": 600,
    "LOOPBACK_LOOKS_PER_SECOND": 50,
    "LOOPBACK_BACKOFF_SECONDS": 300,
}


# A round that is to come: rows are due from the moment they are made.
NOW = datetime(2036, 11, 24, 14, 32, tzinfo=UTC)


def look_of(kind: str, target: Any) -> Look:
    """The row of one loop over one target."""
    name = {"control_planes": "management_cluster", "servers": "provider_account", "dns": "provider_account"}
    return Look.objects.get(kind=kind, **{name.get(kind, "workspace"): target})


def due_in(look: Look, since: datetime) -> float:
    """Seconds from `since` until it is due."""
    return (look.due_at - since).total_seconds()


def fail(kind: str, target: Any, error: Exception | None = None) -> None:
    """One look that meets this error."""
    with looks.attempt(kind, target.pk) as attempt:
        assert attempt is not None
        raise error or Temporary("unreachable", "management cluster mgmt-fsn1: Connection refused.")


def succeed(kind: str, target: Any) -> None:
    """One look that sees everything."""
    with looks.attempt(kind, target.pk) as attempt:
        assert attempt is not None


def trouble_with(target: Any, workspace: Workspace) -> bool:
    """Whether the workspace says that this target cannot be seen."""
    workspace.refresh_from_db()
    said = target.name in workspace.attention
    assert not said or workspace.attention_tone == "warn"
    return said
