"""The plan of a deletion as the page shows it: numbered steps with names, what stays, what it stops costing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from workspaces.rules.deletion import PARTS
from workspaces.rules.deletion_plan import MACHINE, Cost, Item, NotAsked, Plan
from workspaces.views.money import money

# More things of a step than this are folded away behind their number.
SHOWN: Final = 8
# What a step says where there is nothing of its kind.
_NOTHING: Final = {
    "integrations": "None are stored.",
    "dns": "None are kept.",
    "kubeconfigs": "None that is valid was handed out.",
    "load_balancers": "None are under its label.",
    "hosts": "It has none.",
    "volumes": "None are under its label.",
    "control_plane": "There is none.",
    "data_store": "None of its own: it shares one with others.",
    "namespace": "Nothing to delete.",
}
# What only a look at the world can tell.
_OF_THE_WORLD: Final = ("load_balancers", "volumes", "control_plane", "data_store", "namespace")
_KINDS: Final = {
    "dns_record": "DNS record",
    "primary_ip": "primary IP",
    "data_store": "data store",
}


@dataclass(frozen=True, slots=True)
class ThingLine:
    """One thing by name. `cost` is what it costs a month, or ""."""

    kind: str
    name: str
    detail: str
    cost: str
    note: str


@dataclass(frozen=True, slots=True)
class StepLine:
    """One step of the plan: its number, what goes with it by name, and who could not be asked.

    `unknown`: only a look at the world can tell what there is.
    """

    number: int
    label: str
    things: Sequence[ThingLine]
    nothing: str
    not_asked: Sequence[NotAsked]
    irreversible: bool
    unknown: bool

    @property
    def folded(self) -> bool:
        """Whether the names are behind their number."""
        return len(self.things) > SHOWN


@dataclass(frozen=True, slots=True)
class PlanLines:
    """All of it. `no_way_back` is the number of the first step that cannot be undone and has something to do, or 0."""

    steps: Sequence[StepLine]
    kept: Sequence[ThingLine]
    outside: Sequence[ThingLine]
    stops: str
    goes_on: str
    unpriced: int
    no_way_back: int
    looked: bool


def lines_of(plan: Plan, *, prices: bool) -> PlanLines:
    """The plan as lines; amounts only for readers who may see `prices`."""
    steps: list[StepLine] = []
    for step in plan.steps:
        if step.action == "delete":
            goes = [item for item in step.items if item.kind != MACHINE]
            steps.append(
                StepLine(
                    number=len(steps) + 2,  # the first is to stop automation
                    label=PARTS[step.part].label,
                    things=things_of(goes, prices=prices),
                    nothing=_nothing(step.part, bool(step.items), plan.looked_at is not None),
                    not_asked=step.not_asked,
                    irreversible=step.irreversible and bool(goes or step.not_asked),
                    unknown=step.part in _OF_THE_WORLD,
                )
            )
    return PlanLines(
        steps=steps,
        kept=things_of(plan.kept, prices=prices),
        outside=things_of(plan.outside, prices=prices),
        stops=sums(plan.stops_costing) if prices else "",
        goes_on=sums(plan.goes_on_costing) if prices else "",
        unpriced=len(plan.unpriced) if prices else 0,
        no_way_back=next((step.number for step in steps if step.irreversible), 0),
        looked=plan.looked_at is not None,
    )


def _nothing(part: str, has_machines: bool, looked: bool) -> str:
    """What a step says that has nothing to remove."""
    if has_machines:
        return "Its machines stay as they are."
    if part in _OF_THE_WORLD and not looked:
        return "Not known yet: nobody has looked."
    return _NOTHING[part]


def things_of(items: Iterable[Item], *, prices: bool) -> list[ThingLine]:
    """The things as lines, in their order."""
    return [
        ThingLine(kind_of(item.kind), item.name, item.detail, _cost(item.cost) if prices else "", item.note)
        for item in items
    ]


def kind_of(kind: str) -> str:
    """Our word for a kind, for people."""
    return _KINDS.get(kind, kind.replace("_", " "))


def sums(costs: Iterable[Cost]) -> str:
    """`€41.20 a month at most (list €48.00)`, for each currency."""
    return ", ".join(f"{money(one.agreed, one.currency)} a month at most{_list(one)}" for one in costs)


def _cost(cost: Cost | None) -> str:
    return f"{money(cost.agreed, cost.currency)} a month" if cost else ""


def _list(cost: Cost) -> str:
    return "" if cost.listed == cost.agreed else f" (list {money(cost.listed, cost.currency)})"
