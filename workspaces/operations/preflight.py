"""Looking at the world before an upgrade: every question asked once, what cannot be asked told as such.

Nothing in the world is changed by a look: it reads, knocks at SSH ports, and asks for evictions as dry runs only. What
is asked on each connection is `preflight_world.py`; what the answers mean is `rules/preflight.py`.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import batched
from typing import Any

from django.db import OperationalError
from django.utils import timezone

from workspaces.models import Actor, Host, Operation, Preflight, Workspace
from workspaces.operations import dispatch, preflight_world
from workspaces.rules import lifecycle
from workspaces.rules import preflight as checks
from workspaces.rules import preflight_seen as seen
from workspaces.rules.blast import blast
from workspaces.rules.preflight import Check
from workspaces.rules.upgrades import Hop
from workspaces.rules.versions import is_version, minor_of

logger = logging.getLogger(__name__)
# Ports that are knocked at side by side; each takes three seconds at most.
SIDE_BY_SIDE = 8


# --- In a request -----------------------------------------------------------------------------------------------------
def ask(workspace: Workspace, target: str, actor: Actor) -> Preflight:
    """Have a worker look; a look that is under way answers both."""
    preflight, new = Preflight.ask(workspace, target, actor.name)
    if new:
        dispatch.preflight_soon(preflight.pk)
    return preflight


# --- In a worker ------------------------------------------------------------------------------------------------------
def run(key: uuid.UUID) -> None:
    """Look, and store what was seen; a look that has ended is left as it is. Running twice is harmless."""
    wanted = Preflight.objects.filter(pk=key, finished_at=None)
    preflight = wanted.select_related("workspace__project", "workspace__management_cluster", "operation").first()
    if preflight is None:
        return
    found: dict[str, Any]
    try:
        judged, touched = look(preflight.workspace, preflight.operation, preflight.target, timezone.now())
        found = {"checks": [check.document() for check in judged], "blast": touched}
    except OperationalError:
        raise  # the database is gone: there is nothing to write it into
    except Exception as error:
        # A defect of ours, or a look that took longer than the queue allows. A page that waits has to hear of it.
        logger.exception("The preflight of %s for %s broke off", preflight.workspace, preflight.target)
        found = {"error": f"The look broke off ({type(error).__name__}). The workers' log says where."}
    wanted.update(finished_at=timezone.now(), **found)


def look(
    workspace: Workspace, operation: Operation | None, to: str, now: datetime
) -> tuple[list[Check], dict[str, Any]]:
    """The checks of the hop to `to` as they are now, and whom it touches (see `rules.blast`).

    `operation` is the one the look belongs to: its plan says which hosts move, and where it ends. Without one all move
    that are not there yet.
    Never raises for a world that does not answer.
    """
    hosts = list(workspace.hosts.exclude(node_name="").order_by("name"))
    with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        knocks = [threads.submit(preflight_world.knock, host.name, host.node_name, host.ansible) for host in hosts]
        management = preflight_world.ask_management(workspace)
        plane = management.control_plane
        running = plane.running if isinstance(plane, seen.ControlPlane) else workspace.kubernetes_version
        end = str(operation.parameters.get("to", to)) if operation else to
        same_minor = is_version(running) and minor_of(running) == minor_of(end)
        tenant = preflight_world.ask_tenant(
            workspace,
            management,
            moving=lambda nodes: [_as_seen(host) for host in _moving(hosts, operation, to, nodes)],
            removes_apis=not same_minor,
        )
        known = {host.name: host for host in (knock.result() for knock in knocks)}
    groups = [tuple(known[host.name] for host in group) for group in _groups(workspace, tenant.moving)]
    everything = seen.Seen(
        control_plane=plane,
        waiting=management.waiting,
        data_store=management.data_store,
        management=management.credential,
        tenant=tenant.credential,
        hosts=tuple(known.values()),
        groups=tuple(groups),
        nodes=tenant.nodes,
        pods=tenant.pods,
        workloads=tenant.workloads,
        budgets=tenant.budgets,
        webhooks=tenant.webhooks,
        deprecated=tenant.deprecated,
        dry_runs=tenant.dry_runs,
        open_operation=_beside(workspace, operation),
        end=end,
    )
    hop = Hop(running, to, bool(groups), "")
    touched = blast(tenant.pods, tenant.workloads, tenant.budgets, everything.moving)
    return checks.judge(everything, hop, now), touched


def _beside(workspace: Workspace, operation: Operation | None) -> str:
    """The title of another operation that has not ended."""
    others = Operation.objects.open().filter(workspace=workspace)
    if operation:
        others = others.exclude(pk=operation.pk)
    return others.values_list("title", flat=True).first() or ""


def _moving(
    hosts: Sequence[Host], operation: Operation | None, to: str, nodes: Sequence[seen.Node] | seen.Unknown
) -> list[Host]:
    """The hosts that are drained and have not been yet, in order.

    Of an operation in any of its hops: what keeps them in the last one has to be told before the first, which cannot
    be taken back.
    """
    if operation:
        left = operation.steps.filter(key="drain").exclude(state__in=lifecycle.STEP_OVER)
        keys = set(left.values_list("arguments__host", flat=True))
        return [host for host in hosts if str(host.pk) in keys]
    kubelets = {} if isinstance(nodes, seen.Unknown) else {node.name: node.kubelet for node in nodes}
    return [host for host in hosts if kubelets.get(host.node_name, host.kubelet_version) != to]


def _as_seen(host: Host) -> seen.Host:
    return seen.Host(host.name, host.node_name)


def _groups(workspace: Workspace, moving: Sequence[seen.Host]) -> list[tuple[seen.Host, ...]]:
    return list(batched(moving, max(1, workspace.upgrade_hosts_at_once), strict=False))
