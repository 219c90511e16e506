"""Whether a host could be emptied of its pods, asked before the first of them leaves. The drain is in `nodes.py`."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from workspaces.models import Host
from workspaces.operations import connections, diagnosis
from workspaces.operations.engine import Context
from workspaces.providers.cluster import Blocked
from workspaces.providers.errors import Permanent

# How many pods are asked about.
MOST_DRY_RUNS: Final = 20


def try_out(context: Context, host: Host) -> None:
    """Ask, by dry runs, whether the host's budgets would let its pods go.

    Raises Permanent with the diagnosis for a budget that never yields. One that only does not yield now is left to the
    drain, which waits for it.
    """
    with connections.tenant(context.workspace) as cluster:
        budgets = cluster.budgets()
        leaving = [pod for pod in cluster.pods_on(host.node_name) if pod.must_leave and not pod.deleting]
        kept = [pod for pod in leaving if any(budget.covers(pod) for budget in budgets)]
        for pod in kept[:MOST_DRY_RUNS]:
            answer = cluster.may_evict(pod)
            if not isinstance(answer, Blocked):
                continue
            found = diagnosis.of_drain(cluster, replace(answer, budget=f"{pod.namespace}/{answer.budget}"))
            if found.cause == "budget_never_yields":
                raise Permanent(
                    found.cause,
                    f"{host} could not be drained: {found.message}. Nothing has been touched.",
                    who_can_fix=f"{found.who_can_fix} Then continue.",
                )
