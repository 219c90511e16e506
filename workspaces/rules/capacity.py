"""Whether the pods of hosts that are drained together find room on the others, by what they reserve.

A sum and the largest pod, no scheduler: affinities, and which pods tolerate a taint, are not known here. A host with a
taint that keeps pods away is not counted on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from workspaces.rules import blast
from workspaces.rules.preflight_seen import Host, Node, Pod

GIB: Final = 1024**3
_KEEPS_AWAY: Final = (":NoSchedule", ":NoExecute")


@dataclass(frozen=True, slots=True)
class Amount:
    """Thousandths of a core, bytes of memory, number of pods."""

    cpu_millis: int
    memory_bytes: int
    pods: int

    def __str__(self) -> str:
        places = "1 place" if self.pods == 1 else f"{self.pods} places"
        return f"{self.cpu_millis / 1000:.1f} cores, {self.memory_bytes / GIB:.1f} GiB and {places}"


@dataclass(frozen=True, slots=True)
class Fit:
    """One group of hosts: what its pods `need`, what is `free` on the `others`, and the pods too `large` for any."""

    group: tuple[Host, ...]
    need: Amount
    free: Amount
    others: tuple[str, ...]
    large: tuple[str, ...]
    silent: tuple[str, ...]  # others that do not say what they can hold

    @property
    def fits(self) -> bool:
        """Whether there is room for all of it, as far as sums tell."""
        return self.tightness <= 1 and not self.large

    @property
    def tightness(self) -> float:
        """The scarcest of the three: need to free. Nothing needed is 0, nothing free is without end."""
        pairs = (
            (self.need.cpu_millis, self.free.cpu_millis),
            (self.need.memory_bytes, self.free.memory_bytes),
            (self.need.pods, self.free.pods),
        )
        return max(0.0 if not need else need / free if free else float("inf") for need, free in pairs)


def tightest(groups: Sequence[tuple[Host, ...]], nodes: Sequence[Node], pods: Sequence[Pod]) -> Fit | None:
    """The group that is hardest to place; None without groups."""
    held: dict[str, list[Amount]] = {node.name: [] for node in nodes}
    for pod in pods:
        if pod.node in held and not pod.ended:
            held[pod.node].append(_asked_for(pod))
    rooms = {node: _free(node, _sum(held[node.name])) for node in nodes if _takes_pods(node)}
    fits = [_fit(group, rooms, pods) for group in groups]
    return max(fits, key=lambda fit: (bool(fit.large), fit.tightness), default=None)


def _fit(group: tuple[Host, ...], rooms: Mapping[Node, Amount], pods: Sequence[Pod]) -> Fit:
    away = {host.node for host in group}
    others = {node: room for node, room in rooms.items() if node.name not in away}
    going = blast.leaving(pods, group)
    cpu = max((room.cpu_millis for room in others.values()), default=0)
    memory = max((room.memory_bytes for room in others.values()), default=0)
    return Fit(
        group=group,
        need=_sum([_asked_for(pod) for pod in going]),
        free=_sum(others.values()),
        others=tuple(node.name for node in others),
        large=tuple(pod.name for pod in going if others and (pod.cpu_millis > cpu or pod.memory_bytes > memory)),
        silent=tuple(node.name for node in others if not node.pods),
    )


def _takes_pods(node: Node) -> bool:
    return node.ready and not node.closed and not any(taint.endswith(_KEEPS_AWAY) for taint in node.taints)


def _free(node: Node, held: Amount) -> Amount:
    """What is left on the node; more reserved than there is counts as nothing left."""
    return Amount(
        max(0, node.cpu_millis - held.cpu_millis),
        max(0, node.memory_bytes - held.memory_bytes),
        max(0, node.pods - held.pods),
    )


def _asked_for(pod: Pod) -> Amount:
    return Amount(pod.cpu_millis, pod.memory_bytes, 1)


def _sum(amounts: Collection[Amount]) -> Amount:
    return Amount(
        sum(amount.cpu_millis for amount in amounts),
        sum(amount.memory_bytes for amount in amounts),
        sum(amount.pods for amount in amounts),
    )
