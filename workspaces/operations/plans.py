"""Which function runs a step: the kind of an operation and the key of a step, both stored as plain words."""

from __future__ import annotations

from workspaces.operations import ca_rotation, deletion, host_order, host_removal, host_resize, os_updates, upgrade
from workspaces.operations.engine import StepFunction

# A maintenance run updates hosts and then, perhaps, moves Kubernetes: by the steps of an upgrade.
KINDS: dict[str, dict[str, StepFunction]] = {
    upgrade.KIND: upgrade.STEPS,
    os_updates.KIND: os_updates.STEPS | upgrade.STEPS,
    host_order.KIND: host_order.STEPS,
    host_resize.KIND: host_resize.STEPS,
    host_removal.KIND: host_removal.STEPS,
    ca_rotation.KIND: ca_rotation.STEPS,
    deletion.KIND: deletion.STEPS,
}
# What a host goes through where several do, in order: the key of the step and its word. An operation on one host alone
# has no stages: its steps are sentences.
STAGES = (*os_updates.STAGES, *ca_rotation.STAGES, *upgrade.STAGES)


def find(kind: str, key: str) -> StepFunction | None:
    """The step's function, or None when this release has none: the engine then asks for a person."""
    return KINDS.get(kind, {}).get(key)
