"""Removing a host: its pods leave, its node leaves the cluster, its server is deleted, and then its row.

Whatever is not there any more is no obstacle: a host whose order ended half-way, or whose server somebody has deleted,
is removed like any other. Servers that no host has at all are `left_servers.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from workspaces.models import PLATFORM, Actor, Event, Host, Operation, StepPlan
from workspaces.models.health import reassess
from workspaces.operations import connections, dispatch, drains, nodes, servers
from workspaces.operations.engine import Context, Done, Outcome, StepFunction, Wait
from workspaces.operations.left_servers import a_month
from workspaces.providers.cluster import Cluster, Node
from workspaces.providers.errors import Permanent, ProviderError
from workspaces.rules.refusal import Refused
from workspaces.rules.situation import Situation, refuse_state

KIND: Final = "host_removal"
_ON_NODES: Final = ("cordon", "drain", "node")
_ON_SERVERS: Final = ("server", "gone")
_THEN: Final = "An administrator, by adding another host first, or once the workspace is active. Then continue."


# --- Starting ---------------------------------------------------------------------------------------------------------
def start(host: Host, *, confirm_name: str, actor: Actor) -> Operation | Refused:
    """Start removing the host and deleting its server, or say why not. `confirm_name` is its name, typed."""
    if refused := refuse(host):
        return refused
    if confirm_name != host.name:
        return Refused("wrong_name", f"Type the name of the host, {host.name}, to confirm.")
    with transaction.atomic():
        operation = Operation.start(
            host.workspace,
            KIND,
            f"Remove host {host}",
            plan(host),
            actor=actor,
            parameters={"host": str(host.pk), "hostname": host.name, "server": host.provider_id},
        )
        if isinstance(operation, Operation):
            dispatch.run_soon(operation.pk)
    return operation


def refuse(host: Host) -> Refused | None:
    """gated, not_active, last_host: whether the host can be removed at all."""
    workspace = host.workspace
    if refused := refuse_state(Situation(workspace.type, workspace.state)):
        return refused
    others = workspace.hosts.exclude(pk=host.pk).exclude(node_name="")
    if workspace.is_kubernetes and host.node_name and not others.exists():
        return Refused("last_host", f"{host} is the last host of {workspace}: its pods would have nowhere to go.")
    return None


def plan(host: Host) -> Iterator[StepPlan]:
    """The steps in order. Once the host is closed nothing stops before it is gone."""
    machine = "Delete its server" if host.provider_account_id else "Leave the machine itself as it is"
    titles = {
        "check": f"Check again that {host} may be removed",
        "cordon": f"Close {host} to new pods",
        "drain": f"Drain {host}",
        "node": f"Take {host} out of the cluster",
        "server": machine,
        "gone": "Wait until the provider lists the server no more",
        "row": f"Take {host} out of the workspace",
    }
    for key, title in titles.items():
        if key in _ON_NODES and not host.workspace.is_kubernetes:
            continue
        if key == "gone" and not host.provider_account_id:
            continue
        yield StepPlan(
            key,
            title,
            {"host": str(host.pk)},
            host=host.name,
            safe_to_stop=key in ("check", "cordon") or (key == "server" and not host.workspace.is_kubernetes),
            irreversible=key == "node" or (key in _ON_SERVERS and bool(host.provider_account_id)),
        )


# --- Pods and node ----------------------------------------------------------------------------------------------------
def check(context: Context) -> Outcome:
    """The guards of the click, once more; and what became of a host whose order had ended before it was told."""
    host = _host(context)
    if host is None:
        return Done("is removed already")
    if refused := refuse(host):
        raise Permanent(refused.code, refused.message, who_can_fix=_THEN)
    if not context.workspace.is_kubernetes:
        return Done()
    if not host.node_name:
        _find_node(context, host)
    joined = _joined(context)
    if joined is None:
        return Done("has no node")
    with _paid_for(joined):
        drains.try_out(context, joined)
    return Done()


def _find_node(context: Context, host: Host) -> None:
    """Tell the row of a host that is not known to have joined that it has a node after all, if it has one."""
    if host.provider_account is None or servers.find(host) is None:
        return
    if host.workspace.hosts.filter(node_name=host.name).exists():
        return
    with _paid_for(host), connections.tenant(context.workspace) as cluster:
        if any(node.name == host.name for node in cluster.nodes()):
            Host.objects.filter(pk=host.pk).update(node_name=host.name)


def cordon(context: Context) -> Outcome:
    """Take no new pods, if there is a node."""
    host = _joined(context)
    if host is None:
        return Done("has no node")
    with _paid_for(host):
        return nodes.cordon(context)


def drain(context: Context) -> Outcome:
    """Let the pods leave, if there is a node. Of a machine that is gone nobody tells when they have ended."""
    host = _joined(context)
    if host is None:
        return Done("has no node")
    with _paid_for(host):
        outcome = nodes.drain(context)
    if isinstance(outcome, Wait) and (pods := _end_with_the_machine(context, host)):
        return Done(f"{pods} {'pods' if pods > 1 else 'pod'} that had to move end with the machine, which is down")
    return outcome


def _end_with_the_machine(context: Context, host: Host) -> int:
    """How many pods have been asked to leave a machine that cannot answer any more; 0 while others have to leave."""
    with _paid_for(host), connections.tenant(context.workspace) as cluster:
        if cluster.node(host.node_name).ready == "True":
            return 0
        leaving = [pod for pod in cluster.pods_on(host.node_name) if pod.must_leave]
    if not all(pod.deleting for pod in leaving):
        return 0
    if context.waited > settings.LOOPBACK_NODE_DEADLINE:
        return len(leaving)
    server = servers.find(host) if host.provider_account else None
    down = host.provider_account is not None and (server is None or server.status == "off")
    return len(leaving) if down else 0


def node(context: Context) -> Outcome:
    """Take the node out of the cluster, which ends what was left on it."""
    host = _joined(context)
    if host is None:
        return Done("has no node")
    if wait := _cut_off(context, host):
        return wait
    with _paid_for(host), connections.tenant(context.workspace) as cluster:
        left = cluster.delete_node(host.node_name)
    return Done("is out of the cluster" if left else "was out of the cluster already")


def _cut_off(context: Context, host: Host) -> Wait | None:
    """A machine that the cluster has lost may still run pods, which begin elsewhere when its node goes: power first."""
    with _paid_for(host), connections.tenant(context.workspace) as cluster:
        seen = _node(cluster, host)
    if seen is None or seen.ready == "True" or host.provider_account is None:
        return None
    server = servers.find(host)
    if server is None or server.status in ("off", "deleting"):
        return None
    if not server.locked:
        servers.cloud_of(host).power_off(server.id)
    return context.again("its node is not Ready, so its power is cut first")


def _node(cluster: Cluster, host: Host) -> Node | None:
    return next((node for node in cluster.nodes() if node.name == host.node_name), None)


@contextmanager
def _paid_for(host: Host) -> Iterator[None]:
    """While the workspace's API does not answer, a server is paid for that nobody may delete: somebody has to know."""
    try:
        yield
    except ProviderError as error:
        if error.code in ("unreachable", "credential", "cloud_api"):
            error.who_can_fix = (
                f"Whoever can bring the API of {host.workspace} back, then continue. Until then the host is paid for."
            )
        raise


# --- Server -----------------------------------------------------------------------------------------------------------
def server(context: Context) -> Outcome:
    """Delete the server, for good. A machine that is not from a provider is left as it is."""
    host = _host(context)
    if host is None or host.provider_account is None:
        return Done("the machine itself is left as it is")
    if (begun := context.step.memory.get("action")) and (wait := _follow(context, host, begun)):
        return wait
    found = servers.find(host)
    if found is None:
        return Done("there is no server any more" if host.provider_id else "there was never a server")
    if found.status == "deleting":
        return Done(f"server {found.id} is being deleted")
    if found.locked:
        return context.again("another action holds the server")
    context.remember(action=servers.cloud_of(host).delete_server(found.id))
    return context.again(f"server {found.id} is being deleted")


def _follow(context: Context, host: Host, begun: int) -> Wait | None:
    """The wait for a deletion that was begun. One that failed is forgotten: whoever continues asks anew."""
    try:
        return servers.wait_for_action(context, host, begun, "the server is being deleted")
    except Permanent as error:
        context.remember(action=None)
        if error.code == "not_found":
            return None
        raise


def gone(context: Context) -> Outcome:
    """The provider does not list it any more: from here on it costs nothing."""
    host = _host(context)
    found = servers.find(host) if host else None
    if found is None:
        return Done("the provider lists it no more")
    if context.waited > settings.LOOPBACK_BOOT_DEADLINE:
        raise Permanent(
            "cloud_api",
            f"The provider accepted the deletion of server {found.id} and lists it still: {found.status}.",
            who_can_fix="Whoever can see the server at the provider. Then continue.",
        )
    return context.again(f"the server is {found.status}")


# --- Row --------------------------------------------------------------------------------------------------------------
def row(context: Context) -> Outcome:
    """Delete the host's row. What was installed on it and what was done to it stays told, by its name."""
    with transaction.atomic():
        host = Host.objects.select_for_update(of=("self",)).filter(pk=context.step.arguments["host"]).first()
        if host is None:
            return Done("is removed")
        Event.record(
            PLATFORM,
            "host.removed",
            workspace=context.workspace,
            operation=context.operation,
            summary=f"Removed {host} from {context.workspace}: {_told(host)}",
        )
        host.delete()
    reassess([context.workspace.pk], timezone.now())
    return Done("is removed")


def _told(host: Host) -> str:
    """What is not there any more, and what is not paid any more."""
    if host.provider_account is None:
        return "the machine itself is left as it is."
    if host.provider_id is None:
        return "it never had a server."
    paid = a_month(host.provider_account, host.workspace.project.organization_id, host.profile, host.location)
    cost = f"{paid} is not paid any more" if paid else "what it cost is not known"
    return f"server {host.provider_id}, {host.profile} in {host.location}, is deleted, and {cost}."


def _host(context: Context) -> Host | None:
    rows = Host.objects.select_related("provider_account", "workspace__project")
    return rows.filter(pk=context.step.arguments["host"]).first()


def _joined(context: Context) -> Host | None:
    """The host, if it is there and its node is in the cluster."""
    host = _host(context)
    if host is None or not host.node_name:
        return None
    with _paid_for(host), connections.tenant(context.workspace) as cluster:
        return host if _node(cluster, host) else None


STEPS: dict[str, StepFunction] = {
    "check": check,
    "cordon": cordon,
    "drain": drain,
    "node": node,
    "server": server,
    "gone": gone,
    "row": row,
}
