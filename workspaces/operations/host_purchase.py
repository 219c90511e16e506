"""The steps of an order that spend money: the server is made once, whatever is lost on the way, or not at all.

A server is known by its label before anything else knows it, so a call whose answer was lost is never repeated before
the label was looked for. What the provider refuses leaves no host behind. What may be ordered is in `host_offer.py`.
"""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import count
from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction

from workspaces.models import Actor, ComputeProfile, Event, Host, Step
from workspaces.models.health import reassess
from workspaces.operations import connections, host_offer, servers
from workspaces.operations.engine import Context, Done, Outcome
from workspaces.providers.errors import Permanent, Temporary
from workspaces.providers.hetzner import GROUP_ROOM, Action, HetznerCloud, Server
from workspaces.providers.host_keys import fingerprint, public_half
from workspaces.rules import labels
from workspaces.rules.pricing import Quote

# The commands of the actions that bring a new server up.
_MAKING: Final = ("create_server", "start_server")
_REMOVE: Final = "An administrator, by removing the host and ordering again."


def ssh_key(context: Context) -> Outcome:
    """The public half of the key that workers reach new servers with is at the provider."""
    profile = _profile(context)
    public = _public_key(profile)
    # Its fingerprint is in the name, so that no other key can have that name.
    tail = "".join(letter for letter in fingerprint(public) if letter.isalnum())[-10:]
    key = profile.provider_account.ssh_key
    id = connections.cloud(profile.provider_account).ssh_key(f"loopback-{key}-{tail}"[:60], public)
    context.remember(id=id)
    return Done(f"the key {key} is there")


def placement(context: Context) -> Outcome:
    """A group of the workspace that keeps its servers on different machines, with room for one more."""
    cloud = connections.cloud(_profile(context).provider_account)
    workspace = context.workspace
    groups = {group.name: group for group in cloud.placement_groups()}
    mine = [group for group in groups.values() if group.labels.get(labels.WORKSPACE) == str(workspace.pk)]
    group = next((group for group in mine if group.servers < GROUP_ROOM), None)
    if group is not None:
        context.remember(id=group.id)
        return Done(f"{group.name}, with {group.servers} of {GROUP_ROOM} places taken")
    # Workspaces of other projects may have the same name, and their groups with it.
    name = next(name for number in count(1) if (name := f"loopback-{workspace.name}-{number}") not in groups)
    context.remember(id=cloud.placement_group(name, {labels.WORKSPACE: str(workspace.pk)}))
    return Done(f"{name}, which is new")


# --- The server -------------------------------------------------------------------------------------------------------
def create(context: Context) -> Outcome:
    """Order the server, unless it is there. From here on it costs."""
    host = _host(context) or _begin(context)
    cloud = servers.cloud_of(host)
    server = servers.find(host)
    if server is None and host.provider_id is not None:
        raise Permanent("not_found", f"The server of {host.name} was made and is gone.", who_can_fix=_REMOVE)
    found = server is not None
    if server is None:
        _confirm_again(context, host)
        server = _order(context, cloud, host)
    _adopt(context, host, server)
    return Done(f"server {server.id} {'is there' if found else 'is being made'}")


def _begin(context: Context) -> Host:
    """The row comes first: a server that nobody knows would be paid for by everybody."""
    wanted, profile = context.operation.parameters, _profile(context)
    try:
        with transaction.atomic():
            host = Host.objects.create(
                pk=wanted["host"],
                workspace=context.workspace,
                name=wanted["hostname"],
                provider_account=profile.provider_account,
                profile=profile.name,
                location=wanted["location"],
                ssh_key=profile.provider_account.ssh_key,
                ready_message="It is being ordered.",
            )
    except IntegrityError:
        raise Permanent("name_taken", f"There is a host named {wanted['hostname']} already.") from None
    return host


def _confirm_again(context: Context, host: Host) -> None:
    """What was asked long ago is asked once more: an order may be continued by a person the day after."""
    checked = context.operation.steps.get(key="check").finished_at
    if checked is not None and context.now - checked <= timedelta(seconds=settings.LOOPBACK_PROFILES_SECONDS):
        return
    try:
        host_offer.confirmed_offer(context)
    except Permanent:
        _forget(context, host)
        raise


def _order(context: Context, cloud: HetznerCloud, host: Host) -> Server:
    """Ask for the server. What is refused for good was not made, so the host's row goes again."""
    account = _profile(context).provider_account
    try:
        server, _ = cloud.create_server(
            name=host.name,
            server_type=host.profile,
            location=host.location,
            image=account.image,
            labels=labels.of_host(host.workspace_id, host.pk, context.operation.pk),
            ssh_keys=[_step(context, "ssh_key").memory["id"]],
            user_data=_user_data(host.name, _public_key(_profile(context))),
            placement_group=_step(context, "placement").memory["id"],
        )
    except Permanent as refusal:
        if refusal.code == "name_taken" and (ours := _ours_by_name(cloud, host)):
            return ours
        _forget(context, host)
        raise _told_apart(context, host, refusal) from refusal
    return server


def _ours_by_name(cloud: HetznerCloud, host: Host) -> Server | None:
    """The server that has the name, if it is the one of an earlier try; None: it is somebody else's."""
    named = [server for server in cloud.servers() if server.name.lower() == host.name.lower()]
    if not named:
        raise Temporary("conflict", f"Hetzner Cloud says that the name {host.name} is taken, and lists no such server.")
    return next((server for server in named if server.labels.get(labels.HOST) == str(host.pk)), None)


def _told_apart(context: Context, host: Host, refusal: Permanent) -> Permanent:
    """The refusal in words that say what to do. Nothing was ordered."""
    said = f"{refusal.message}. Nothing was ordered.".replace("..", ".")
    match refusal.code:
        case "no_capacity":
            return host_offer.no_capacity(context, said)
        case "quota":
            return Permanent("quota", said, who_can_fix="The owner of the cloud account, by raising its server limit.")
        case "name_taken":
            said = f"The cloud account has another server named {host.name}. Nothing was ordered."
            return Permanent("name_taken", said)
    return Permanent(refusal.code, said, who_can_fix=refusal.who_can_fix)


def _adopt(context: Context, host: Host, server: Server) -> None:
    """Keep which server it is, and tell the trail what was ordered and for how much: once."""
    operation = context.operation
    with transaction.atomic():
        Host.objects.filter(pk=host.pk).update(
            provider_id=server.id,
            provider_status=server.status,
            location=server.location,
            wanted={"server_type": server.server_type, "name": server.name, "labels": dict(server.labels)},
        )
        # A reconciliation may have been the first to see the server, so its id says nothing about the trail.
        acts = Event.objects.filter(workspace_id=operation.workspace_id, operation_id=operation.pk)
        if acts.filter(action="host.ordered").exists():
            return
        price = host_offer.in_words(Quote.of(operation.parameters["price"]))
        Event.record(
            Actor(operation.requested_by_kind, operation.requested_by, operation.requested_by_id),
            "host.ordered",
            workspace=context.workspace,
            operation=operation,
            summary=f"Ordered {host.name}, {host.profile} in {host.location}: {price}. Server {server.id}.",
            changes={"price": [None, operation.parameters["price"]]},
        )
    reassess([host.workspace_id], context.now)


# --- Until it runs ----------------------------------------------------------------------------------------------------
def running(context: Context) -> Outcome:
    """What was begun is over and the server runs. One that could not be made is deleted, and the host with it."""
    host = _host(context)
    if host is None:
        raise Permanent("not_found", "The host of this order is gone.", who_can_fix=host_offer.ORDER_AGAIN)
    if said := str(context.step.memory.get("failed", "")):
        return _undo(context, host, said)
    server = servers.wait_for_status(context, host, ("running",))
    if not isinstance(server, Server):
        failed = _failed_action(host)
        if failed is None:
            return server
        said = f"Hetzner Cloud could not make the server: {failed.error_message} ({failed.error_code})."
        context.remember(failed=said, code=servers.code_of(failed.error_code))
        return _undo(context, host, said)
    if not server.ipv4:
        raise Permanent("configuration", f"Server {server.id} has no public IPv4 address, so it cannot be reached.")
    account = _profile(context).provider_account
    Host.objects.filter(pk=host.pk).update(
        ansible={"ansible_user": "root"} | account.connection | {"ansible_host": server.ipv4},
        profile=server.server_type,
        location=server.location,
        disk_gb=server.disk,
        provider_status=server.status,
        ready_message="",
    )
    return Done(f"server {server.id} runs at {server.ipv4}")


def _failed_action(host: Host) -> Action | None:
    """What made or started the server, if it ended with an error: such a server never runs by itself."""
    actions = servers.cloud_of(host).actions_of(host.provider_id) if host.provider_id else []
    return next((one for one in actions if one.command in _MAKING and one.status == "error"), None)


def _undo(context: Context, host: Host, said: str) -> Outcome:
    """Delete the server that came to nothing; only when it is gone is the row that knows it deleted."""
    server = servers.find(host)
    if server is not None:
        if server.status != "deleting":
            context.say(f"{said} It is deleted", level="warn")
            servers.cloud_of(host).delete_server(server.id)
        return context.again("the server that could not be made is deleted")
    _forget(context, host)
    raise Permanent(
        str(context.step.memory["code"]),
        f"{said} It was deleted, and nothing is left to pay.",
        who_can_fix=host_offer.ORDER_AGAIN,
    )


# --- What the steps share ---------------------------------------------------------------------------------------------
def _host(context: Context) -> Host | None:
    return Host.objects.select_related("provider_account").filter(pk=context.operation.parameters["host"]).first()


def _forget(context: Context, host: Host) -> None:
    host.delete()
    reassess([context.operation.workspace_id], context.now)


def _step(context: Context, key: str) -> Step:
    return context.operation.steps.get(key=key)


def _profile(context: Context) -> ComputeProfile:
    profiles = ComputeProfile.objects.select_related("provider_account__ssh_key")
    return profiles.get(pk=context.operation.parameters["profile"])


def _public_key(profile: ComputeProfile) -> str:
    key = profile.provider_account.ssh_key
    if key is None:
        raise Permanent("configuration", f"No SSH key is stored for new servers of {profile.provider_account}.")
    return public_half(key.private_key.reveal())


def _user_data(hostname: str, public_key: str) -> str:
    """What cloud-init does at the first start. Anybody on the server can read it: nothing secret is in it."""
    wanted = {
        "hostname": hostname,
        "preserve_hostname": False,
        "package_update": False,
        "package_upgrade": False,
        "disable_root": False,
        "ssh_pwauth": False,
        "ssh_authorized_keys": [public_key],
        "users": [{"name": "root", "lock_passwd": True, "ssh_authorized_keys": [public_key]}],
    }
    return f"#cloud-config\n{json.dumps(wanted, indent=2)}\n"  # JSON is YAML
