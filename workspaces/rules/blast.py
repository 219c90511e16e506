"""Whom an upgrade touches: the pods that have to leave, those with nothing beside them, and the budgets in the way.

What is predicted are the pods as they are on their hosts now. One that was started again on a host that is drained
later leaves once more, under another name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from workspaces.rules.preflight_seen import Budget, Host, Pod, Unknown, Workload

LONGEST: Final = 20


def blast(
    pods: Sequence[Pod] | Unknown,
    workloads: Sequence[Workload] | Unknown,
    budgets: Sequence[Budget] | Unknown,
    hosts: Sequence[Host],
) -> dict[str, Any]:
    """As JSON, for `hosts` in the order in which they are drained; {} when the pods could not be asked for.

    `pods` is how many leave, `hosts` says which from where. `single_replica` are workloads of one pod among them,
    `bare` pods nobody starts again, `budgets` those that allow none of them to go now; None: could not be asked.
    """
    if isinstance(pods, Unknown):
        return {}
    going = {host.name: leaving(pods, [host]) for host in hosts}
    every = [pod for held in going.values() for pod in held]
    return {
        "pods": len(every),
        "hosts": [
            {
                "host": name,
                "pods": len(held),
                "names": [pod.name for pod in held[:LONGEST]],
                "more": max(0, len(held) - LONGEST),
            }
            for name, held in going.items()
        ],
        "single_replica": None if isinstance(workloads, Unknown) else short(_alone(every, workloads)),
        "bare": short([pod.name for pod in every if pod.bare]),
        "budgets": None if isinstance(budgets, Unknown) else [_shown(*held) for held in closed(every, budgets)],
    }


def leaving(pods: Sequence[Pod], hosts: Collection[Host]) -> list[Pod]:
    """The pods that a drain of these hosts evicts, by name."""
    nodes = {host.node for host in hosts}
    return sorted((pod for pod in pods if pod.leaves and pod.node in nodes), key=lambda pod: pod.name)


def closed(going: Sequence[Pod], budgets: Sequence[Budget]) -> list[tuple[Budget, list[Pod]]]:
    """The budgets that allow no eviction now, each with the pods it keeps from going. With two, no budget is asked."""
    held: dict[str, list[Pod]] = {}
    for pod in going:
        if pod.guarded and len(pod.budgets) == 1:
            held.setdefault(pod.budgets[0], []).append(pod)
    return [(budget, held[budget.name]) for budget in budgets if budget.allowed <= 0 and budget.name in held]


def to_try(going: Sequence[Pod], budgets: Sequence[Budget], limit: int) -> list[Pod]:
    """Pods whose eviction is worth a dry run: of each budget that allows none some, `limit` in all."""
    lines = [pods for _, pods in closed(going, budgets)]
    deepest = max(map(len, lines), default=0)
    return [line[at] for at in range(deepest) for line in lines if at < len(line)][:limit]


def short(names: Sequence[str]) -> list[str]:
    """At most 20 of them, then how many more there are."""
    more = len(names) - LONGEST
    return [*names[:LONGEST], f"and {more} more"] if more > 0 else list(names)


def _shown(budget: Budget, pods: Sequence[Pod]) -> dict[str, Any]:
    return {
        "budget": budget.name,
        "allowed": budget.allowed,
        "healthy": budget.healthy,
        "needed": budget.needed,
        "pods": len(pods),
    }


def _alone(going: Sequence[Pod], workloads: Sequence[Workload]) -> list[str]:
    """Workloads that want one pod, which leaves: "shop/web (Deployment, 1 replica)". Each once."""
    known = {(workload.namespace, workload.reference): workload for workload in workloads}
    found = (_top(known, known.get((pod.namespace, pod.owner))) for pod in going)
    return sorted({_in_words(workload) for workload in found if workload and workload.replicas == 1})


def _top(known: Mapping[tuple[str, str], Workload], workload: Workload | None) -> Workload | None:
    """The Deployment of a ReplicaSet, and anything else itself."""
    return known.get((workload.namespace, workload.owner), workload) if workload and workload.owner else workload


def _in_words(workload: Workload) -> str:
    kind, _, name = workload.reference.partition("/")
    return f"{workload.namespace}/{name} ({kind}, 1 replica)"
