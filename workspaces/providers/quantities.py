"""Kubernetes quantities ("250m", "16159088Ki") as whole numbers, and what a pod asks the scheduler for."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any, Self

from kubernetes.utils.quantity import parse_quantity


@dataclass(frozen=True)
class Amount:
    """CPU in thousandths of a core and memory in bytes, each rounded up."""

    cpu_millis: int = 0
    memory_bytes: int = 0

    @classmethod
    def of(cls, resources: Mapping[str, str] | None) -> Self:
        """From a resource list as `requests` and `allocatable` are; raises ValueError for what is no quantity."""
        held = resources or {}
        return cls(whole(held.get("cpu"), 1000), whole(held.get("memory")))

    def __add__(self, other: Self) -> Self:
        return type(self)(self.cpu_millis + other.cpu_millis, self.memory_bytes + other.memory_bytes)

    def at_least(self, other: Self) -> Self:
        """The larger of each."""
        return type(self)(max(self.cpu_millis, other.cpu_millis), max(self.memory_bytes, other.memory_bytes))


def whole(quantity: str | None, times: int = 1) -> int:
    """A quantity times `times`, rounded up as the scheduler does; 0 for none. Raises ValueError when it is none."""
    return int((parse_quantity(quantity or "0") * Decimal(times)).to_integral_value(ROUND_CEILING))


def requested(spec: Any) -> Amount:
    """What a V1PodSpec reserves on its node.

    Containers run together, init containers one after the other before them, and init containers that keep running
    (sidecars) beside everything that starts after them. Requests of the whole pod take the place of its containers'.
    """
    running, starting, sidecars = Amount(), Amount(), Amount()
    for container in spec.init_containers or ():
        own = _requests(container)
        if container.restart_policy == "Always":
            sidecars += own
            starting = starting.at_least(sidecars)
        else:
            starting = starting.at_least(own + sidecars)
    for container in spec.containers or ():
        running += _requests(container)
    total = (running + sidecars).at_least(starting)
    of_pod = (spec.resources.requests if spec.resources else None) or {}
    if of_pod:
        whole_pod = Amount.of(of_pod)
        total = Amount(
            whole_pod.cpu_millis if "cpu" in of_pod else total.cpu_millis,
            whole_pod.memory_bytes if "memory" in of_pod else total.memory_bytes,
        )
    return total + Amount.of(spec.overhead)


def _requests(container: Any) -> Amount:
    return Amount.of(container.resources.requests if container.resources else None)
