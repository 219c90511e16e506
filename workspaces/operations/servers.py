"""What several operations on a host's server share: finding it, following an action, waiting for what it becomes.

Which server is a host's own is told by the provider's id, and before that is known by the label it was ordered with.
"""

from __future__ import annotations

from collections.abc import Collection

from django.conf import settings

from workspaces.models import Host
from workspaces.operations import connections
from workspaces.operations.engine import Context, Wait
from workspaces.providers import reach
from workspaces.providers.errors import Permanent
from workspaces.providers.hetzner import HetznerCloud, Server
from workspaces.rules import labels


def cloud_of(host: Host) -> HetznerCloud:
    """The cloud project that the host's server is in, or will be."""
    if host.provider_account is None:
        raise Permanent("configuration", f"{host.name} belongs to no provider account, so its server cannot be asked.")
    return connections.cloud(host.provider_account)


def find(host: Host) -> Server | None:
    """The host's server as it is now; None when there is none, or when it is gone."""
    cloud = cloud_of(host)
    if host.provider_id is None:
        return next(iter(cloud.servers(labels.selector(host.pk))), None)
    try:
        return cloud.server(host.provider_id)
    except Permanent as error:
        if error.code != "not_found":
            raise
        return None


def want_type(host: Host, server_type: str) -> None:
    """From now on another type of the host's server would be drift."""
    Host.objects.filter(pk=host.pk).update(wanted=host.wanted | {"server_type": server_type})


def wait_for_action(context: Context, host: Host, id: int, what: str) -> Wait | None:
    """None when the action is over, else a wait that says `what` is going on ("the server is being created").

    Raises Permanent("cloud_api") when it ended with an error: what was begun has not come about.
    """
    action = cloud_of(host).action(id)
    if action.status == "running":
        return context.again(f"Hetzner Cloud: {what}")
    if action.status == "error":
        said = f"{action.error_message or 'no reason given'} ({action.error_code or 'error'})"
        raise Permanent(
            code_of(action.error_code),
            f"Hetzner Cloud accepted it and then failed: {said}.",
            who_can_fix="Hetzner's support, if it fails again.",
        )
    return None


def code_of(error: str) -> str:
    """The code of `providers.errors` for one that an action ended with, in Hetzner's words."""
    known = {
        "resource_unavailable": "no_capacity",
        "placement_error": "no_capacity",
        "resource_limit_exceeded": "quota",
    }
    return known.get(error, "cloud_api")


def wait_for_status(context: Context, host: Host, wanted: Collection[str]) -> Server | Wait:
    """The server once its status is one of `wanted` and no action holds it; until then a wait that says what it is.

    Raises Permanent("not_found") when it is gone, Permanent("unreachable") after LOOPBACK_BOOT_DEADLINE.
    """
    server = find(host)
    if server is None:
        raise Permanent("not_found", f"The server of {host.name} is gone.")
    if server.status in wanted and not server.locked:
        return server
    said = f"the server is {server.status}" + (", and another action holds it" if server.locked else "")
    if context.waited > settings.LOOPBACK_BOOT_DEADLINE:
        raise Permanent(
            "unreachable",
            f"{host.name}: {said}, after {settings.LOOPBACK_BOOT_DEADLINE / 60:.0f} min.",
            who_can_fix="Whoever can see the server at the provider. Then continue.",
        )
    return context.again(said)


def answers(context: Context, host: Host) -> Wait | None:
    """None when the machine greets on SSH, else a wait; past LOOPBACK_BOOT_DEADLINE a person has to look."""
    address, port = str(host.ansible.get("ansible_host") or ""), int(host.ansible.get("ansible_port") or 22)
    if not address:
        raise Permanent("configuration", f"{host.name} has no address, so it cannot be reached.")
    silent = reach.ssh_banner(address, port)
    if not silent:
        return None
    if context.waited > settings.LOOPBACK_BOOT_DEADLINE:
        raise Permanent(
            "unreachable",
            f"{host.name} has not answered on SSH in {settings.LOOPBACK_BOOT_DEADLINE / 60:.0f} min: {silent}",
            who_can_fix="Whoever can open the server's console at the provider, or its firewall. Then continue.",
        )
    return context.again(f"it does not answer on SSH yet: {silent}")
