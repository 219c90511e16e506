"""Looking at what belongs to a workspace in the world, before somebody deletes it: by name, and what it costs.

Every source is asked side by side, and one that does not answer is told as such: what is not known is no empty list.
Nothing is changed. What is asked of a cloud project is `inventory_cloud`, of the clusters `inventory_cluster`; what our
own rows know, and what the policy makes of it all, `models/deletion_plan`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import OperationalError, transaction
from django.utils import timezone

from workspaces.models import Actor, Host, Inventory, ProviderAccount, Workspace
from workspaces.models.deletion_plan import accounts_of, costs_of
from workspaces.operations import dispatch, inventory_cloud, inventory_cluster
from workspaces.operations.inventory_cloud import InProject
from workspaces.providers.hetzner import Server
from workspaces.rules import lifecycle
from workspaces.rules.deletion_plan import Item, NotAsked

logger = logging.getLogger(__name__)
# Sources that are asked side by side.
SIDE_BY_SIDE = 8


# --- In a request -----------------------------------------------------------------------------------------------------
def ask(workspace: Workspace, actor: Actor) -> Inventory:
    """Have a worker look; a look that is under way answers both. What the last one saw stays readable meanwhile.

    Looking changes nothing and is no act of the `actor`, who is told to the log alone.
    """
    now = timezone.now()
    with transaction.atomic():
        row, new = Inventory.objects.select_for_update().get_or_create(workspace=workspace, defaults={"asked_at": now})
        if new or not row.is_under_way(now):
            row.asked_at = now
            row.save(update_fields=["asked_at"])
            dispatch.inventory_soon(workspace.pk)
            logger.info("%s has %s looked at", actor.name, workspace)
    return row


# --- In a worker ------------------------------------------------------------------------------------------------------
def take(key: UUID) -> None:
    """Look, and store what was seen. Running twice is harmless; a look that breaks off leaves what was seen before."""
    workspace = Workspace.objects.select_related("project", "management_cluster").filter(pk=key).first()
    if workspace is None or workspace.state in lifecycle.GONE:
        return
    now = timezone.now()
    try:
        items, not_asked = look(workspace, now)
        # Only into the row that asked: it goes with the deletion, and a late look is not to bring it back.
        Inventory.objects.filter(workspace=workspace).update(**_seen(items, not_asked))
    except OperationalError:
        raise  # the database is gone: there is nothing to write it into
    except Exception as error:
        # A defect of ours, or a look that took longer than the queue allows. A page that waits has to hear of it.
        logger.exception("The look at what belongs to %s broke off", workspace)
        said = f"The look broke off ({type(error).__name__}). The workers' log says where."
        Inventory.objects.filter(workspace=workspace).update(looked_at=timezone.now(), error=said)


def store(workspace: Workspace, items: Sequence[Item], not_asked: Sequence[NotAsked]) -> None:
    """Keep what was seen for the plan."""
    Inventory.objects.update_or_create(workspace=workspace, defaults=_seen(items, not_asked))


def _seen(items: Sequence[Item], not_asked: Sequence[NotAsked]) -> dict[str, Any]:
    return {
        "looked_at": timezone.now(),
        "found": [item.document() for item in items],
        "not_asked": [one.document() for one in not_asked],
        "error": "",
    }


def look(workspace: Workspace, now: datetime) -> tuple[list[Item], list[NotAsked]]:
    """What the world has of the workspace, and who did not answer. `workspace` has its management cluster at hand.

    Never raises for a world that does not answer.
    """
    accounts, hosts = accounts_of(workspace), list(workspace.hosts.all())
    # The threads are to need no database: what a caller has deferred is read here.
    if workspace.management_cluster is not None:
        workspace.management_cluster.refresh_from_db(fields=["kubeconfig"])
    with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        clusters = threads.submit(inventory_cluster.look, workspace)
        # First: a volume that nobody has labelled or attached is known by its claim alone.
        claims = threads.submit(inventory_cluster.claims, workspace).result()
        asked = [threads.submit(inventory_cloud.look, account, workspace, hosts, claims or {}) for account in accounts]
        projects = [one.result() for one in asked]
        items, not_asked = clusters.result()
    for account, project in zip(accounts, projects, strict=True):
        items += [_with_claim(item, claims) for item in project.items]
        items += _servers(workspace, account, project, now)
        not_asked += project.not_asked
    return items, not_asked


def _with_claim(item: Item, claims: Mapping[str, str] | None) -> Item:
    """A volume with whose it is in the cluster, or that nobody could say."""
    if item.kind != "volume":
        return item
    if claims is None:
        return replace(item, detail=f"{item.detail}, claim not known: the cluster does not answer")
    claim = claims.get(item.ref)
    return replace(item, detail=f"{item.detail}, claim {claim}") if claim else item


def _servers(workspace: Workspace, account: ProviderAccount, project: InProject, now: datetime) -> Iterator[Item]:
    """Servers under its label that no host of it has, each with what it costs by the organization's agreements."""
    rows = [_as_host(server, account) for server in project.strays]
    costs = costs_of(workspace, rows, now)
    for server, row in zip(project.strays, rows, strict=True):
        detail = f"{server.server_type} in {server.location}, {server.status}, of no host"
        yield Item(
            "hosts", "server", str(server.id), server.name, detail, str(account.pk), account.name, costs.get(row.pk)
        )


def _as_host(server: Server, account: ProviderAccount) -> Host:
    """As a host would be priced (not saved)."""
    return Host(provider_account=account, profile=server.server_type, location=server.location)
