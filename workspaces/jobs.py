"""All that the queue may call: a key in, a few lines each."""

from __future__ import annotations

import uuid

from django.utils import timezone

from workspaces.logs import about
from workspaces.models import PLATFORM, ProviderAccount, acting
from workspaces.models.health import reassess_certificates
from workspaces.operations import (
    deletion_schedule,
    drift,
    engine,
    inventory,
    kubeconfig_revocation,
    kubeconfigs,
    left_servers,
    looks,
    maintenance,
    plans,
    preflight,
    profiles,
    queue_samples,
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
def deletions_tick() -> None:
    """Begin the deletions whose time has come."""
    deletion_schedule.begin_due(timezone.now())


@acting(PLATFORM)
def take_inventory(key: str) -> None:
    """Look at what belongs to a workspace, because somebody thinks of deleting it."""
    inventory.take(uuid.UUID(key))


@acting(PLATFORM)
def fetch_kubeconfig(key: str) -> None:
    """Fetch the kubeconfig that somebody waits for."""
    kubeconfigs.fetch(uuid.UUID(key))


@acting(PLATFORM)
def revoke_kubeconfig(key: str) -> None:
    """Take a kubeconfig back."""
    kubeconfig_revocation.revoke(uuid.UUID(key))


@acting(PLATFORM)
def looks_tick() -> None:
    """Hand out the looks at the world that are due."""
    looks.hand_out(timezone.now())


@acting(PLATFORM)
def upkeep_tick() -> None:
    """Once a minute: what comes with time alone, and rows that nobody needs any more."""
    now = timezone.now()
    kubeconfigs.erase_and_repair()
    kubeconfig_revocation.try_again(now)
    queue_samples.sample(now)
    reassess_certificates(now)
    drift.prune(now)


@acting(PLATFORM)
def look_at_control_planes(key: str) -> None:
    """Look at the control planes of one management cluster."""
    reconcile.look_at_control_planes(uuid.UUID(key))


@acting(PLATFORM)
def look_at_servers(key: str) -> None:
    """Look at the servers of one provider account."""
    reconcile.look_at_servers(uuid.UUID(key))


@acting(PLATFORM)
def look_at_dns(key: str) -> None:
    """Look at the DNS records that one provider account keeps."""
    reconcile.look_at_dns(uuid.UUID(key))


@acting(PLATFORM)
def look_at_cluster(key: str) -> None:
    """Look at one workspace: the nodes of its cluster, or its hosts."""
    with about(workspace=key):
        reconcile.look_at_cluster(uuid.UUID(key))


@acting(PLATFORM)
def look_at_seeding(key: str) -> None:
    """Look at the seeded objects of one workspace's cluster."""
    with about(workspace=key):
        reconcile.look_at_seeding(uuid.UUID(key))


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
