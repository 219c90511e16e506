"""What the programs of a host are given and what they answer; what a host may ask of the simulated clusters."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from workspaces.simulators.faults import Faults

if TYPE_CHECKING:
    from workspaces.simulators.hosts.machine import Machine


class TenantClusters(Protocol):
    """What a host needs of the simulated clusters; `cluster` is "namespace/name", versions carry their v."""

    def kubeadm_version(self, cluster: str) -> str: ...

    def kubelet_restarted(self, cluster: str, node: str, version: str) -> None: ...

    def kubelet_stopped(self, cluster: str, node: str) -> None: ...

    def host_rebooted(self, cluster: str, node: str) -> None: ...

    def join(self, endpoint: str, node: dict[str, Any]) -> str: ...

    def trust(self, endpoint: str, node: str) -> None: ...


@dataclass(frozen=True)
class Context:
    """What the programs of a host may ask: the faults in force, the cluster the host is a node of, and a reboot; and
    what a call has: its working directory and, where the program reads it, its standard input."""

    faults: Faults
    clusters: TenantClusters | None
    reboot: Callable[["Machine"], None]
    directory: Path = Path("/")
    stdin: str = ""


@dataclass(frozen=True)
class Reply:
    """A finished command."""

    code: int = 0
    output: str = ""
    errors: str = ""
