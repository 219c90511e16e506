"""What has to hold whatever fails: all finish, none twice, no host left closed, no eviction beyond a budget.

Asked from outside: of the tenants themselves and of the world's journal, not of our rows alone.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import urllib3

from tests.operations import harness
from tests.simulators.running import RunningWorld
from workspaces.models import Operation, Workspace
from workspaces.operations import connections
from workspaces.providers import kubeconfig

BUDGET = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets/web"


@dataclass(frozen=True)
class Verdict:
    """Whether an invariant holds, and what was seen."""

    name: str
    holds: bool
    seen: str


class BudgetWatch(threading.Thread):
    """`with BudgetWatch(…)`: reads the budget shop/web of one tenant after the other, every `pause` seconds one.

    A look that fails is left out: the next one comes soon.
    """

    def __init__(self, world: RunningWorld, pause: float) -> None:
        super().__init__(daemon=True)
        self._tenants = [tenant for cluster in world.ready["management_clusters"] for tenant in cluster["tenants"]]
        self._pause, self._over = pause, threading.Event()
        self.samples = self.at_the_limit = 0
        self.below: list[str] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join(5)

    def run(self) -> None:
        """Look until the block ends."""
        clients = [(tenant["name"], kubeconfig.connect(tenant["kubeconfig"], timeout=1)) for tenant in self._tenants]
        for name, client in itertools.cycle(clients):
            if self._over.wait(self._pause):
                return
            url, pool = client.configuration.host + BUDGET, client.rest_client.pool_manager
            try:
                answer = pool.request("GET", url, timeout=1.0, retries=False)
            except (urllib3.exceptions.HTTPError, OSError):
                continue
            if answer.status == 200:
                self._judge(name, json.loads(answer.data)["status"])

    def _judge(self, name: str, status: dict[str, Any]) -> None:
        healthy, desired = status["currentHealthy"], status["desiredHealthy"]
        self.samples += 1
        self.at_the_limit += healthy == desired
        if healthy < desired:
            self.below.append(f"{name}: {healthy} of {desired}")


def judge(
    world: RunningWorld,
    workspaces: Sequence[Workspace],
    operations: Sequence[Operation],
    watch: BudgetWatch,
    target: str,
    *,
    replaced_in: float,
) -> list[Verdict]:
    """The four verdicts; faults have to be cleared before. No pod is replaced within `replaced_in` seconds there."""
    nodes = {workspace.name: harness.nodes(workspace) for workspace in workspaces}
    return [
        _all_finish(workspaces, operations, nodes, target),
        _none_twice(world, workspaces, target),
        _none_closed(nodes),
        _no_budget_broken(world, watch, replaced_in),
    ]


def _all_finish(
    workspaces: Sequence[Workspace],
    operations: Sequence[Operation],
    nodes: dict[str, dict[str, tuple[str, str, bool]]],
    target: str,
) -> Verdict:
    """Our rows, each tenant's own /version, and every kubelet."""
    states = Counter(Operation.objects.filter(pk__in=[one.pk for one in operations]).values_list("state", flat=True))
    servers: Counter[str] = Counter()
    for workspace in workspaces:
        with connections.tenant(workspace) as cluster:
            servers[cluster.version()] += 1
    kubelets = Counter(version for tenant in nodes.values() for version, _, _ in tenant.values())
    holds = set(states) == {"succeeded"} and set(servers) == set(kubelets) == {target}
    return Verdict("all finish", holds, f"{_told(states)}; API servers {_told(servers)}; kubelets {_told(kubelets)}")


def _none_twice(world: RunningWorld, workspaces: Sequence[Workspace], target: str) -> Verdict:
    """The world took exactly one change of version for each control plane."""
    taken = {workspace.name: harness.version_patches(world, workspace) for workspace in workspaces}
    wrong = [f"{name}: {versions}" for name, versions in taken.items() if versions != [f"v{target}"]]
    total = sum(len(versions) for versions in taken.values())
    return Verdict("none twice", not wrong, "; ".join(wrong[:5]) or f"{total} changes of version for {len(taken)}")


def _none_closed(nodes: dict[str, dict[str, tuple[str, str, bool]]]) -> Verdict:
    """No node is left closed to new pods, and all are Ready."""
    states = {name: state for tenant in nodes.values() for name, state in tenant.items()}
    wrong = [name for name, (_, ready, closed) in states.items() if closed or ready != "True"]
    return Verdict("no host left closed", not wrong, ", ".join(wrong[:5]) or f"{len(states)} hosts open and Ready")


def _no_budget_broken(world: RunningWorld, watch: BudgetWatch, replaced_in: float) -> Verdict:
    """No sample below what the budget wants, no eviction before the last pod was replaced, no pod removed otherwise."""
    early = 0
    for accepted in evictions(world).values():
        moments = [eviction.at for eviction in accepted if eviction.pod.startswith("web-")]
        early += sum(later - earlier < replaced_in for earlier, later in itertools.pairwise(moments))
    removed = len([one for one in world.journal(service="kubernetes", method="DELETE") if "/pods" in one["path"]])
    holds = watch.samples > 0 and not watch.below and not early and not removed
    seen = f"{watch.samples} samples, {watch.at_the_limit} of them at the limit, {len(watch.below)} below it"
    pods = sum(len(accepted) for accepted in evictions(world).values())
    seen += f"; {pods} evictions, {early} early; {removed} deletions"
    return Verdict("no eviction beyond a budget", holds, seen)


@dataclass(frozen=True)
class Accepted:
    """An eviction that the tenant's API took: when (UNIX time), and which pod."""

    at: float
    pod: str
    uid: str


def evictions(world: RunningWorld) -> dict[str, list[Accepted]]:
    """What each tenant accepted, in order; a dry run is none."""
    found: dict[str, list[Accepted]] = defaultdict(list)
    for entry in world.journal(service="kubernetes", method="POST", path="*/eviction"):
        options = entry["body"].get("deleteOptions") or {}
        if entry["status"] == 201 and not options.get("dryRun"):
            uid = (options.get("preconditions") or {}).get("uid", "")
            found[entry["target"]].append(Accepted(entry["at"], entry["path"].split("/")[-2], uid))
    return found


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))
