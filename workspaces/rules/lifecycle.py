"""The states of workspaces, operations and steps, with the word and the tone the pages show for each.

"Upgrading" and "in maintenance" are no states of a workspace: they are an open operation. Which change of state is
allowed is said where it happens (`models/`, `operations/engine`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

# ok: as wanted. busy: the platform is working. warn: a person should look. bad: broken or refused.
# idle: nothing to report.
Tone = Literal["ok", "busy", "warn", "bad", "idle"]


@dataclass(frozen=True, slots=True)
class Look:
    """How the pages show a state: a word, always, and a tone."""

    label: str
    tone: Tone


WORKSPACE: Final[Mapping[str, Look]] = {
    "provisioning": Look("Provisioning", "busy"),
    "active": Look("Active", "ok"),
    # Reconciliation has stopped changes until something converges.
    "gated": Look("Gated", "warn"),
    "error": Look("Error", "bad"),
    "deletion_scheduled": Look("Deletion scheduled", "warn"),
    "deleting": Look("Deleting", "busy"),
    "deleted": Look("Deleted", "idle"),
}

# Somebody has asked for its end: nothing starts on it but its deletion, and nothing is set back or applied by itself,
# as people may be winding things down by hand. Until it is being deleted, looks go on and an undo brings it back.
LEAVING: Final = ("deletion_scheduled", "deleting", "deleted")
# There is no way back: nobody looks at it any more, and nothing about it is decided.
GONE: Final = ("deleting", "deleted")
# Where what differs is set back: one in error has to be looked after first.
SET_BACK_IN: Final = ("active", "gated")
# What may still run on a workspace that is leaving.
ENDS_IT: Final = "deletion"

OPERATION: Final[Mapping[str, Look]] = {
    "pending": Look("Pending", "busy"),
    "running": Look("Running", "busy"),
    "waiting": Look("Waiting", "busy"),
    "paused": Look("Paused", "warn"),
    "succeeded": Look("Succeeded", "ok"),
    "failed": Look("Failed", "bad"),
    "stopped": Look("Stopped", "warn"),
}

STEP: Final[Mapping[str, Look]] = {
    "pending": Look("Pending", "idle"),
    "running": Look("Running", "busy"),
    "waiting": Look("Waiting", "busy"),
    "done": Look("Done", "ok"),
    "failed": Look("Failed", "bad"),
    "skipped": Look("Skipped", "idle"),
}

# An open operation holds its workspace: no second one starts (a partial unique constraint in the database).
OPEN: Final = ("pending", "running", "waiting", "paused")

# A step with nothing left to do.
STEP_OVER: Final = ("done", "skipped")

# A rollout starts upgrades on its workspaces while it is running; the others start nothing, for good or for now.
ROLLOUT: Final[Mapping[str, Look]] = {
    "running": Look("Running", "busy"),
    "paused": Look("Paused", "warn"),
    "stopped": Look("Stopped", "warn"),
    "finished": Look("Finished", "ok"),
}
MEMBER: Final[Mapping[str, Look]] = {
    "waiting": Look("Waiting", "idle"),
    "running": Look("Upgrading", "busy"),
    "succeeded": Look("Upgraded", "ok"),
    "failed": Look("Failed", "bad"),
    "refused": Look("Refused", "warn"),
    "left_out": Look("Left out", "idle"),
}

# (value, label) pairs for database fields and filters.
WORKSPACE_TYPES: Final = [("kubernetes", "Kubernetes"), ("baremetal", "Bare metal")]
WORKSPACE_STATES: Final = [(state, look.label) for state, look in WORKSPACE.items()]
OPERATION_STATES: Final = [(state, look.label) for state, look in OPERATION.items()]
STEP_STATES: Final = [(state, look.label) for state, look in STEP.items()]
ROLLOUT_STATES: Final = [(state, look.label) for state, look in ROLLOUT.items()]
MEMBER_STATES: Final = [(state, look.label) for state, look in MEMBER.items()]
