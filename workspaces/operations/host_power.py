"""Steps that take a host's server down, make it another type, and bring it back whatever the provider says meanwhile.

Whoever stops half-way here has switched somebody's host off. So what the provider refuses, or does not answer for long,
is remembered as the reason why the host stays as it is, and the steps go on until it runs again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.utils import timezone

from workspaces.models import Host, Operation, Step
from workspaces.operations import connections, nodes, servers
from workspaces.operations.engine import Context, Done, Outcome, StepFunction, Wait
from workspaces.providers import reach
from workspaces.providers.errors import Permanent, ProviderError, Temporary

OFF: Final = "off"
RUNNING: Final = "running"


def refusal(operation: Operation) -> Permanent | None:
    """Why the host stays as it is, when one of the steps has given up."""
    for memory in operation.steps.filter(key__in=("power_off", "change_type")).values_list("memory", flat=True):
        if refused := memory.get("refused"):
            return Permanent(refused["code"], refused["message"], who_can_fix=refused["who_can_fix"])
    return None


def seen_before(operation: Operation) -> dict[str, Any]:
    """What `power_off` has noted: boot_id and lease of the node, or whether it `answered`; `off`: it has been off."""
    memory: dict[str, Any] = operation.steps.values_list("memory", flat=True).get(key="power_off")
    return memory


def _or_back(step: StepFunction) -> StepFunction:
    """The step, which gives up instead of failing: a host that waits for a vendor or a person waits switched off."""

    def run(context: Context) -> Outcome:
        try:
            return step(context)
        except Permanent as error:
            if error.code == "not_found":  # nothing is there to be brought back
                raise
            return _give_up(context, error)
        except Temporary as error:
            if context.waited < settings.LOOPBACK_PATIENCE_SECONDS / 2:
                raise
            return _give_up(context, error)

    return run


def _give_up(context: Context, error: ProviderError) -> Outcome:
    context.remember(refused={"code": error.code, "message": error.message, "who_can_fix": error.who_can_fix})
    context.say(f"{context.step.host} is brought back as it was. {error.message}", level="warn")
    _nothing_lost(context)
    return Done(f"given up. {error.message}")


def _nothing_lost(context: Context) -> None:
    """The disk has not grown: what the step would have made irreversible is as it was."""
    if context.step.irreversible:
        context.step.irreversible = False
        Step.objects.filter(pk=context.step.pk).update(irreversible=False)


# --- Down -------------------------------------------------------------------------------------------------------------
@_or_back
def power_off(context: Context) -> Outcome:
    """Ask the system to shut down, and cut its power when it does not."""
    host = nodes.host_of(context)
    if "boot_id" not in context.step.memory:
        context.remember(**_look(context, host))
    server = servers.wait_for_status(context, host, (OFF, RUNNING))
    if isinstance(server, Wait):
        return server
    if server.status == OFF:
        context.remember(off=True)
        return Done("is off")
    since = _asked_since(context)
    if since is None:
        servers.cloud_of(host).shut_down(server.id)
        context.remember(asked_at=timezone.now().isoformat())
        return context.again("is shutting down")
    patience = timedelta(seconds=settings.LOOPBACK_SHUTDOWN_SECONDS)
    if since < patience:
        return context.again("is shutting down")
    if since > patience + timedelta(seconds=settings.LOOPBACK_NODE_DEADLINE):
        raise Permanent("cloud_api", f"{host.name} is still running, although its power was cut.")
    context.say(f"{host.name} has not shut down in {patience.total_seconds():.0f} s: its power is cut", level="warn")
    servers.cloud_of(host).power_off(server.id)
    return context.again("has not shut down, and its power is cut")


def _asked_since(context: Context) -> timedelta | None:
    """For how long the system has been asked to shut down; None when it was not, in this run of the step."""
    asked = context.step.memory.get("asked_at")
    started = context.step.started_at or context.now
    if not asked or datetime.fromisoformat(asked) < started:
        return None
    return timezone.now() - datetime.fromisoformat(asked)


def _look(context: Context, host: Host) -> dict[str, Any]:
    """What proves afterwards that it came back: another boot and a newer Lease. Without a node, that it answers."""
    if not host.node_name:
        return {"boot_id": "", "lease": None, "answered": silent(host) == ""}
    with connections.tenant(context.workspace) as cluster:
        lease, node = cluster.lease_renewed_at(host.node_name), cluster.node(host.node_name)
    return {"boot_id": node.boot_id, "lease": lease.isoformat() if lease else None}


def silent(host: Host) -> str:
    """ "" when the host greets on SSH, else what happened instead."""
    address = str(host.ansible.get("ansible_host") or "")
    if not address:
        return "It has no address."
    return reach.ssh_banner(address, int(host.ansible.get("ansible_port") or 22))


# --- Another type -----------------------------------------------------------------------------------------------------
@_or_back
def change_type(context: Context) -> Outcome:
    """Make the server, which is off, the type that was chosen. The provider starts it then."""
    host, wanted = nodes.host_of(context), context.operation.parameters
    if refusal(context.operation):
        _nothing_lost(context)
        return Done(f"stays {wanted['from']}")
    if (begun := context.step.memory.get("action")) and (
        wait := servers.wait_for_action(context, host, begun, f"it becomes {wanted['to']}")
    ):
        return wait
    server = servers.wait_for_status(context, host, (OFF, RUNNING))
    if isinstance(server, Wait):
        return server
    if server.server_type == wanted["to"]:
        servers.want_type(host, wanted["to"])
        return Done(f"is {wanted['to']} now, with a disk of {server.disk} GB")
    if server.status == RUNNING:
        raise Permanent(
            "conflict",
            "Somebody has started it while it was to be off.",
            who_can_fix="Nobody has to: start a new resize.",
        )
    begun = servers.cloud_of(host).change_type(server.id, wanted["to"], grow_disk=wanted["grow_disk"])
    context.remember(action=begun)
    servers.want_type(host, wanted["to"])
    return context.again(f"it becomes {wanted['to']}")


# --- Up ---------------------------------------------------------------------------------------------------------------
def power_on(context: Context) -> Outcome:
    """Start the server if it does not run."""
    host = nodes.host_of(context)
    try:
        server = servers.wait_for_status(context, host, (OFF, RUNNING))
        if isinstance(server, Wait):
            return server
        if server.status == RUNNING:
            return Done(f"runs as {server.server_type}")
        if context.waited > settings.LOOPBACK_BOOT_DEADLINE:
            raise Permanent("cloud_api", "The provider accepts its start, and it stays off.")
        servers.cloud_of(host).power_on(server.id)
    except ProviderError as error:
        error.message = f"{host.name} does not run, and has to be started. {error.message}"
        raise
    return context.again("is starting")
