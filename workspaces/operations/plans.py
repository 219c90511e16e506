"""Which function runs a step: the kind of an operation and the key of a step, both stored as plain words."""

from __future__ import annotations

from workspaces.operations import upgrade
from workspaces.operations.engine import StepFunction

KINDS: dict[str, dict[str, StepFunction]] = {upgrade.KIND: upgrade.STEPS}


def find(kind: str, key: str) -> StepFunction | None:
    """The step's function, or None when this release has none: the engine then asks for a person."""
    return KINDS.get(kind, {}).get(key)
