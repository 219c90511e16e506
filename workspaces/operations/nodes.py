"""Steps on one worker node that several operations share: cordon, drain, verify, uncordon.

A node is cordoned with an annotation that names the operation, in the same patch: so a worker that dies right after it
still knows that the cordon is ours, and one that an operator had set is never lifted.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from django.conf import settings
from django.core.exceptions import ValidationError

from workspaces.models import Host, Operation
from workspaces.operations import connections, diagnosis
from workspaces.operations.engine import Context, Done, Outcome, Wait
from workspaces.providers.cluster import Blocked, Cluster, Node, Pod
from workspaces.providers.errors import Permanent


def host_of(context: Context) -> Host:
    """The host that the step is about."""
    host = Host.objects.select_related("ssh_key").filter(pk=context.step.arguments["host"]).first()
    if host is None:
        raise Permanent("not_found", f"{context.step.host} no longer belongs to this workspace.")
    return host


def marker(context: Context) -> str:
    """What the cordon annotation says: the operation it belongs to."""
    return str(context.operation.pk)


def cordon(context: Context) -> Outcome:
    """Take no new pods. A node that was closed before we came is left closed by its owner's wish."""
    host = host_of(context)
    with connections.tenant(context.workspace) as cluster:
        return Done(_cordon(cluster, host, context))


def _cordon(cluster: Cluster, host: Host, context: Context) -> str:
    node = cluster.node(host.node_name)
    if node.unschedulable and node.cordoned_by != marker(context):
        if _is_left_over(node.cordoned_by, context) and cluster.take_over(
            host.node_name, node.cordoned_by, marker(context)
        ):
            return "was left closed by an operation that has ended, and opens with this one"
        return "closed to new pods before this operation came, and stays closed after it"
    if not node.unschedulable:
        cluster.cordon(host.node_name, marker(context))
    return "takes no new pods"


def _is_left_over(by: str, context: Context) -> bool:
    """Whether the cordon is that of an operation on this workspace that has ended: nobody else would lift it."""
    try:
        owner = Operation.objects.filter(pk=by, workspace=context.operation.workspace_id).first()
    except ValidationError:
        return False  # somebody else's word
    return owner is not None and not owner.is_open


def drain(context: Context) -> Outcome:
    """Ask for the eviction of every pod that must leave, and wait until they are gone. Budgets are honoured."""
    host = host_of(context)
    with connections.tenant(context.workspace) as cluster:
        _cordon(cluster, host, context)
        leaving = [pod for pod in cluster.pods_on(host.node_name) if pod.must_leave]
        if not leaving:
            return Done("no pod left that has to move")
        blocked = _evict(cluster, leaving, context)
        # What had nothing to finish is gone at once.
        leaving = [pod for pod in cluster.pods_on(host.node_name) if pod.must_leave]
        if not leaving:
            return Done("every pod that had to move has moved")
        held_up = diagnosis.of_drain(cluster, blocked) if blocked else None
        if context.waited > settings.LOOPBACK_DRAIN_DEADLINE:
            # Nothing on the node has been changed yet, so it may work on while a person decides.
            cluster.uncordon(host.node_name, marker(context))
            raise _never_drained(host, leaving, held_up)
    left = f"{len(leaving)} pod{'s' if len(leaving) != 1 else ''} left"
    if held_up is None:
        return context.again(left)
    return context.again(f"{left}: {held_up.message}", cause=held_up.cause, who_can_fix=held_up.who_can_fix)


def _evict(cluster: Cluster, pods: list[Pod], context: Context) -> Blocked | None:
    """Evict what is not leaving already; returns the last refusal by a budget, if there was one."""
    blocked: Blocked | None = None
    for pod in pods:
        if pod.deleting:
            continue
        if not pod.controlled:
            context.say(
                f"{pod.namespace}/{pod.name} has no controller: it is evicted and does not come back", level="warn"
            )
        match cluster.evict(pod):
            case Blocked() as refused:
                # The API names the budget without its namespace, which is the pod's.
                blocked = replace(refused, budget=f"{pod.namespace}/{refused.budget}")
                context.say(f"{pod.namespace}/{pod.name} not evicted: {refused.message}", level="warn")
            case _:
                context.say(f"{pod.namespace}/{pod.name} evicted")
    return blocked


def _never_drained(host: Host, leaving: list[Pod], held_up: diagnosis.Finding | None) -> Permanent:
    names = ", ".join(f"{pod.namespace}/{pod.name}" for pod in leaving[:5])
    why = f": {held_up.message}" if held_up else ""
    who = held_up.who_can_fix if held_up else "The owners of these pods: find out why they do not end."
    return Permanent(
        held_up.cause if held_up else "conflict",
        f"{host.name} could not be drained in {settings.LOOPBACK_DRAIN_DEADLINE / 60:.0f} min{why}. "
        f"Left: {names}. The host takes pods again.",
        who_can_fix=f"{who} Then continue.",
    )


def moment(text: str | None) -> datetime | None:
    """A time as a step keeps it in its memory."""
    return datetime.fromisoformat(text) if text else None


def verify(
    context: Context,
    lease_before: datetime | None,
    *,
    version: str = "",
    boot_before: str = "",
    closed: bool = True,
) -> Outcome:
    """The node is Ready and has renewed its Lease since the restart; it runs `version`, and another boot, when given.

    A heartbeat of a healthy idle node may be minutes old, so the Lease is what proves life. `closed` says that the
    operation has closed it to new pods.
    """
    host = host_of(context)
    with connections.tenant(context.workspace) as cluster:
        node = cluster.node(host.node_name)
        renewed = cluster.lease_renewed_at(host.node_name)
    missing = []
    if version and node.kubelet_version != version:
        missing.append(f"the kubelet still reports {node.kubelet_version}")
    if boot_before and node.boot_id == boot_before:
        missing.append("it has not restarted yet")
    if node.ready != "True":
        missing.append(f"the node is not Ready: {node.ready_message or node.ready_reason or node.ready}")
    if lease_before is not None and (renewed is None or renewed <= lease_before):
        missing.append("its Lease has not been renewed since the restart")
    if not missing:
        Host.objects.filter(pk=host.pk).update(
            kubelet_version=node.kubelet_version,
            ready=True,
            ready_message="",
            boot_id=node.boot_id,
            observed_at=context.now,
        )
        return Done(f"Ready, kubelet {node.kubelet_version}")
    return not_back(context, host, " and ".join(missing), closed=closed)


def not_back(context: Context, host: Host, why: str, *, closed: bool = True) -> Wait:
    """Wait for a host that has been restarted; past the deadline a person has to look."""
    if context.waited > settings.LOOPBACK_NODE_DEADLINE:
        minutes = settings.LOOPBACK_NODE_DEADLINE / 60
        more = ["It stays closed to new pods."] if host.node_name and closed else []
        raise Permanent(
            "unreachable",
            " ".join(
                [f"{host.name} has not come back in {minutes:.0f} min: {why}.", *more, diagnosis.of_host(host)]
            ).strip(),
            who_can_fix=f"Whoever can sign in to {host.name}, or to its console. Then continue.",
        )
    return context.again(why)


def uncordon(context: Context) -> Outcome:
    """Take pods again, if it was this operation that closed the node.

    A host that was left out and is not Ready stays closed: what was half done on it has to be looked at first.
    """
    host = host_of(context)
    left_out = context.operation.steps.filter(host=host.name, state="skipped").exists()
    with connections.tenant(context.workspace) as cluster:
        if left_out and cluster.node(host.node_name).ready != "True":
            return Done("stays closed to new pods: it was left out, and is not Ready")
        if cluster.uncordon(host.node_name, marker(context)):
            return Done("takes pods again")
        node = cluster.node(host.node_name)
    if node.unschedulable:
        return Done("stays closed to new pods: somebody else had closed it")
    return Done("takes pods")


def open_what_is_left(context: Context) -> list[Node]:
    """Open nodes that this operation closed and has not opened; returns all nodes as they were seen.

    A host that was left out and is not Ready stays closed, see `uncordon`.
    """
    left_out = context.operation.steps.filter(state="skipped").values_list("host", flat=True)
    closed = set(context.workspace.hosts.filter(name__in=left_out).values_list("node_name", flat=True))
    with connections.tenant(context.workspace) as cluster:
        seen = cluster.nodes()
        for node in seen:
            if node.cordoned_by != marker(context):
                continue
            if node.name in closed and node.ready != "True":
                context.say(f"{node.name} was left out, is not Ready, and stays closed to new pods", level="warn")
            elif cluster.uncordon(node.name, marker(context)):
                context.say(f"{node.name} was still closed by this operation and takes pods again", level="warn")
    return seen
