"""Looking at the world and writing what was seen into the rows that the pages read: one entry for each kind of look.

When to look, and what becomes of a look that fails, is `looks.py`; what is seen and written, the modules named here.
"""

from __future__ import annotations

from uuid import UUID

from workspaces.models import Look, Workspace
from workspaces.operations import dns_records, looks, seeding, seen_cluster, seen_control_planes, seen_servers
from workspaces.rules.looks import CLUSTER, CONTROL_PLANES, DNS, SEEDING, SERVERS


def look_at_control_planes(key: UUID) -> None:
    """List all control planes of a management cluster and write what has changed."""
    with looks.attempt(CONTROL_PLANES, key) as attempt:
        if attempt and (cluster := attempt.look.management_cluster):
            seen_control_planes.look(cluster, attempt.now)


def look_at_servers(key: UUID) -> None:
    """List all servers of a provider account and write what has changed, and which of ours no host has."""
    with looks.attempt(SERVERS, key) as attempt:
        if attempt and (account := attempt.look.provider_account):
            seen_servers.look(account, attempt.now)


def look_at_dns(key: UUID) -> None:
    """List the record sets of the zones in which a provider account has records of ours."""
    with looks.attempt(DNS, key) as attempt:
        if attempt and (account := attempt.look.provider_account):
            dns_records.look(account, attempt.now)


def look_at_cluster(key: UUID) -> None:
    """Look at one workspace: the nodes of its cluster, or its hosts."""
    with looks.attempt(CLUSTER, key) as attempt:
        if attempt:
            seen_cluster.look(_workspace(attempt.look), attempt.now)


def look_at_seeding(key: UUID) -> None:
    """Look at the seeded objects of one cluster, and apply what is missing or different."""
    with looks.attempt(SEEDING, key) as attempt:
        if attempt:
            seeding.look(_workspace(attempt.look), attempt.now)


def _workspace(look: Look) -> Workspace:
    assert look.workspace_id is not None
    return Workspace.objects.select_related("project", "management_cluster").get(pk=look.workspace_id)
