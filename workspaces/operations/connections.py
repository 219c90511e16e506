"""Opening the world for a workspace: the only place where a worker decrypts credentials.

Everything here is opened for one step and closed after it; nothing is kept in a process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings

from workspaces.models import Host, ManagementCluster, ProviderAccount, Workspace
from workspaces.providers import ansible
from workspaces.providers.cluster import Cluster
from workspaces.providers.errors import Permanent, Temporary
from workspaces.providers.hetzner import HetznerCloud
from workspaces.providers.kamaji import ControlPlane, Kamaji


@contextmanager
def management(cluster: ManagementCluster) -> Iterator[Kamaji]:
    """The management cluster's API."""
    if not cluster.kubeconfig:
        raise Permanent("credential", f"No kubeconfig is stored for management cluster {cluster.name}.")
    with Kamaji(cluster.kubeconfig.reveal(), name=cluster.name, timeout=settings.LOOPBACK_VENDOR_TIMEOUT) as kamaji:
        yield kamaji


def _management_cluster(workspace: Workspace) -> ManagementCluster:
    if workspace.management_cluster is None or not workspace.control_plane:
        raise Permanent("configuration", f"{workspace.name} is not linked to a control plane on a management cluster.")
    return workspace.management_cluster


@contextmanager
def control_plane(workspace: Workspace) -> Iterator[tuple[Kamaji, ControlPlane]]:
    """The management cluster's API and the workspace's control plane as it is now."""
    with management(_management_cluster(workspace)) as kamaji:
        yield kamaji, kamaji.control_plane(workspace.namespace, workspace.control_plane)


def tenant_kubeconfig(workspace: Workspace) -> str:
    """The text of the workspace's administrator kubeconfig. Kamaji re-issues it on every upgrade: never keep it.

    The Secret is asked for by the name that a look has seen; only without one, or when it is not there, is the control
    plane asked for its name.
    """
    with management(_management_cluster(workspace)) as kamaji:
        try:
            if workspace.kubeconfig_secret:
                return kamaji.kubeconfig(workspace.namespace, workspace.kubeconfig_secret)
        except Permanent as error:
            if error.code != "not_found":
                raise
        seen = kamaji.control_plane(workspace.namespace, workspace.control_plane)
        if not seen.kubeconfig_secret:
            raise Temporary("not_found", f"Kamaji has not issued a kubeconfig for {workspace.name} yet.")
        return kamaji.kubeconfig(workspace.namespace, seen.kubeconfig_secret)


@contextmanager
def tenant(workspace: Workspace) -> Iterator[Cluster]:
    """The workspace's own API server."""
    kubeconfig = tenant_kubeconfig(workspace)
    with Cluster(kubeconfig, name=workspace.name, timeout=settings.LOOPBACK_VENDOR_TIMEOUT) as cluster:
        yield cluster


def cloud(account: ProviderAccount) -> HetznerCloud:
    """The cloud project that the account's token belongs to."""
    if not account.token:
        raise Permanent("credential", f"No token is stored for provider account {account.name}.")
    endpoint = account.endpoint or settings.LOOPBACK_HCLOUD_ENDPOINT
    return HetznerCloud(account.token.reveal(), endpoint, timeout=settings.LOOPBACK_VENDOR_TIMEOUT)


def run_playbook(
    name: str,
    host: Host,
    variables: dict[str, Any],
    *,
    on_output: Callable[[str], None],
    cancelled: Callable[[], bool],
) -> ansible.PlaybookResult:
    """Run one of the shipped (or the operator's own) playbooks on a host over SSH."""
    if not host.manageable:
        raise Permanent("configuration", f"{host.name} has no connection variables, so nothing can be done on it.")
    return ansible.run_playbook(
        name,
        ansible.HostTarget(host.name, host.ansible),
        private_key=host.ssh_key.private_key.reveal() if host.ssh_key else "",
        known_hosts=host.known_hosts,
        variables=variables,
        timeout=settings.LOOPBACK_PLAYBOOK_TIMEOUT,
        on_output=on_output,
        cancelled=cancelled,
        search_path=Path(settings.LOOPBACK_PLAYBOOKS) if settings.LOOPBACK_PLAYBOOKS else None,
    )
