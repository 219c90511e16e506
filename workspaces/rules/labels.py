"""The labels that say which of a cloud project's servers are ours: written when they are ordered, read when listed.

A server that has them and belongs to no host is one that nobody uses and somebody pays for.
"""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

WORKSPACE: Final = "loopback/workspace"
HOST: Final = "loopback/host"
OPERATION: Final = "loopback/operation"

# As the provider's `label_selector` has it: everything that is ours.
OURS: Final = WORKSPACE


def of_host(workspace: UUID, host: UUID, operation: UUID) -> dict[str, str]:
    """The labels of a server that is ordered for a host."""
    return {WORKSPACE: str(workspace), HOST: str(host), OPERATION: str(operation)}


def is_ours(labels: Mapping[str, str]) -> bool:
    """Whether a server was made by this platform."""
    return WORKSPACE in labels


def of_workspace(workspace: UUID) -> str:
    """The `label_selector` that finds everything of one workspace, at the cloud and on a management cluster alike."""
    return f"{WORKSPACE}={workspace}"


def selector(host: UUID) -> str:
    """The `label_selector` that finds the server of one host, and no other."""
    return f"{HOST}=={host}"
