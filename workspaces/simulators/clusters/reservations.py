"""What pods reserve on nodes, and whether one more fits: as much of the scheduler as decides about capacity."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from workspaces.simulators.clusters.store import Document

SUFFIXES = {
    "m": Decimal("0.001"), "": Decimal(1), "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9),
    "T": Decimal(10**12), "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
}  # fmt: skip
Requests = tuple[tuple[str, str], ...]
FINISHED = ("Succeeded", "Failed")


@lru_cache(4096)
def amount(quantity: str) -> Decimal:
    """`250m` is 0.25, `64Mi` is 67108864; what is no quantity counts nothing."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([a-zA-Z]*)", quantity)
    return Decimal(match[1]) * SUFFIXES.get(match[2], Decimal(0)) if match else Decimal(0)


def wanted(spec: Document) -> tuple[Decimal, Decimal]:
    """CPU and memory a pod spec requests: its containers together, or more where an init container alone asks more."""
    return _total(_requests(spec.get("containers", ())), _requests(spec.get("initContainers", ())))


def _requests(containers: Iterable[Document]) -> Requests:
    found = []
    for container in containers:
        requests = (container.get("resources") or {}).get("requests") or {}
        found.append((str(requests.get("cpu", 0)), str(requests.get("memory", 0))))
    return tuple(found)


@lru_cache(4096)  # of a thousand pods most ask for the same, and all are looked at for each that is placed
def _total(together: Requests, alone: Requests) -> tuple[Decimal, Decimal]:
    def most(part: int) -> Decimal:
        sums = sum((amount(each[part]) for each in together), Decimal(0))
        return max([sums, *(amount(each[part]) for each in alone)])

    return most(0), most(1)


@dataclass
class Load:
    """What one node holds already."""

    pods: int = 0
    cpu: Decimal = Decimal(0)
    memory: Decimal = Decimal(0)

    def add(self, pod: Document) -> None:
        if pod.get("status", {}).get("phase") in FINISHED:
            return
        cpu, memory = wanted(pod["spec"])
        self.pods += 1
        self.cpu += cpu
        self.memory += memory

    def refusals(self, node: Document, spec: Document) -> list[str]:
        """The scheduler's words for what the node lacks, none when the pod fits. What it does not say is endless."""
        allocatable, asked = node.get("status", {}).get("allocatable", {}), wanted(spec)
        lacks = []
        if "pods" in allocatable and self.pods + 1 > amount(str(allocatable["pods"])):
            lacks.append("Too many pods")
        for name, held, more in (("cpu", self.cpu, asked[0]), ("memory", self.memory, asked[1])):
            if more and name in allocatable and held + more > amount(str(allocatable[name])):
                lacks.append(f"Insufficient {name}")
        return lacks


def loads(nodes: Iterable[str], pods: Iterable[Document]) -> dict[str, Load]:
    found = {node: Load() for node in nodes}
    for pod in pods:
        load = found.get(pod["spec"].get("nodeName", ""))
        if load is not None:
            load.add(pod)
    return found
