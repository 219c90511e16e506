"""All that the queue may call: a key in, a few lines each."""

from __future__ import annotations

import uuid

from workspaces.operations import engine, plans, reconcile


def run_operation(key: str) -> None:
    """Run one step of the operation."""
    engine.run_one_step(uuid.UUID(key), plans.find)


def reconcile_tick() -> None:
    """Look at all management clusters and provider accounts, and fan out to the tenants."""
    reconcile.look_at_everything()


def reconcile_management_cluster(key: str) -> None:
    """Look at the control planes of one management cluster."""
    reconcile.look_at_management_cluster(uuid.UUID(key))


def reconcile_provider_account(key: str) -> None:
    """Look at the servers of one provider account."""
    reconcile.look_at_provider_account(uuid.UUID(key))


def reconcile_tenant(key: str) -> None:
    """Look at the nodes of one workspace's cluster."""
    reconcile.look_at_tenant(uuid.UUID(key))
