"""All that the queue may call: a key in, a few lines each."""

from __future__ import annotations

import uuid

from django.utils import timezone

from workspaces.logs import about
from workspaces.models import PLATFORM, ProviderAccount, acting
from workspaces.operations import (
    engine,
    kubeconfigs,
    left_servers,
    maintenance,
    plans,
    preflight,
    profiles,
    reconcile,
    rollouts,
    runs,
)


def run_operation(key: str) -> None:
    """Run one step of the operation."""
    operation = uuid.UUID(key)
    with about(operation=operation), acting(PLATFORM, operation_id=operation):
        engine.run_one_step(operation, plans.find, runs.why_to_pause)


@acting(PLATFORM)
def maintenance_tick() -> None:
    """Decide the windows that are open, and start what may start."""
    maintenance.run_due(timezone.now())


@acting(PLATFORM)
def run_preflight(key: str) -> None:
    """Look at what could stand in an upgrade's way, because somebody asked."""
    preflight.run(uuid.UUID(key))


@acting(PLATFORM)
def rollouts_tick() -> None:
    """Go on with the rollouts that are under way."""
    rollouts.tick(timezone.now())


@acting(PLATFORM)
def fetch_kubeconfig(key: str) -> None:
    """Fetch the kubeconfig that somebody waits for."""
    kubeconfigs.fetch(uuid.UUID(key))


@acting(PLATFORM)
def reconcile_tick() -> None:
    """Erase kubeconfigs nobody took; look at all management clusters and accounts, and fan out to the tenants."""
    kubeconfigs.erase_and_repair()
    reconcile.look_at_everything()


@acting(PLATFORM)
def reconcile_management_cluster(key: str) -> None:
    """Look at the control planes of one management cluster."""
    reconcile.look_at_management_cluster(uuid.UUID(key))


@acting(PLATFORM)
def reconcile_provider_account(key: str) -> None:
    """Look at the servers of one provider account."""
    reconcile.look_at_provider_account(uuid.UUID(key))


@acting(PLATFORM)
def reconcile_tenant(key: str) -> None:
    """Look at the nodes of one workspace's cluster."""
    with about(workspace=key):
        reconcile.look_at_tenant(uuid.UUID(key))


@acting(PLATFORM)
def profiles_tick() -> None:
    """Ask every provider what it sells now."""
    profiles.sync_all()


@acting(PLATFORM)
def sync_profiles(key: str) -> None:
    """Ask the provider of one account for server types, prices and availability."""
    profiles.sync(ProviderAccount.objects.get(pk=key), timezone.now())


@acting(PLATFORM)
def delete_left_server(key: str) -> None:
    """Delete a server that belongs to no host, because somebody asked."""
    left_servers.delete_left_server(uuid.UUID(key))
