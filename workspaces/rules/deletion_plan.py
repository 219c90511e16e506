"""What a deletion would remove and keep, by name: the plan that people read and agree to, and later the receipt's base.

The items come from rows (hosts, DNS records, integrations, kubeconfigs) and from a worker's look at the world (an
`Inventory`); `models/deletion_plan` puts them together. What could not be asked is told as such and is no empty list.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from workspaces.rules.deletion import PARTS, Action, PolicyStep, steps_for

# Things that are the workspace's although nobody deletes them: what pages say of them under “what is kept”.
MACHINE: Final = "machine"


@dataclass(frozen=True, slots=True)
class Cost:
    """What something costs a month at most, net, at list and agreed price."""

    currency: str
    listed: Decimal
    agreed: Decimal

    def document(self) -> dict[str, str]:
        """Amounts as text, as everywhere in the API."""
        return {"currency": self.currency, "list": str(self.listed), "agreed": str(self.agreed)}

    @classmethod
    def of(cls, document: Mapping[str, str]) -> Cost:
        """As `document` writes it."""
        return cls(document["currency"], Decimal(document["list"]), Decimal(document["agreed"]))


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that belongs to a workspace, or touches it.

    `part` is a key of PARTS. `kind` is integration, dns_record, kubeconfig, load_balancer, host, machine (a host that
    has no cloud server: it stays), server (under the label, of no host), placement_group, primary_ip, volume,
    control_plane, data_store or namespace. `ref` is the vendor's id or our key; `account` the key of the provider
    account, if any. Not `ours`: it is attached, or in the same place, but not under the workspace's label, so it stays
    whatever the policy says. `detail` is a phrase for people, `note` a sentence where one has to be told.
    """

    part: str
    kind: str
    ref: str
    name: str
    detail: str = ""
    account: str = ""
    account_name: str = ""
    cost: Cost | None = None
    ours: bool = True
    note: str = ""

    def document(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"cost": self.cost.document() if self.cost else None}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Item:
        """As `document` writes it."""
        values = dict(document)
        cost = values.pop("cost", None)
        return cls(**values, cost=Cost.of(cost) if cost else None)


@dataclass(frozen=True, slots=True)
class NotAsked:
    """Something that did not answer: what of these parts exists there is not known. `account` is "" for Kubernetes."""

    parts: tuple[str, ...]
    what: str
    code: str
    message: str
    who_can_fix: str = ""
    account: str = ""

    def document(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"parts": list(self.parts)}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> NotAsked:
        """As `document` writes it."""
        return cls(**(dict(document) | {"parts": tuple(document["parts"])}))


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step as it would be done now."""

    part: str
    action: Action
    items: tuple[Item, ...]
    not_asked: tuple[NotAsked, ...] = ()

    @property
    def label(self) -> str:
        """As pages call it."""
        return PARTS[self.part].label

    @property
    def irreversible(self) -> bool:
        """Whether what goes with it is gone for good."""
        return PARTS[self.part].irreversible and self.action == "delete"


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole of it. `steps` are in order, the kept ones among them; `outside` stays whatever the policy says.

    `looked_at` is when the world was last asked; None: never. `not_asked` are those things that did not answer.
    """

    steps: tuple[PlannedStep, ...]
    outside: tuple[Item, ...] = ()
    not_asked: tuple[NotAsked, ...] = ()
    looked_at: datetime | None = None
    kept: tuple[Item, ...] = field(init=False)
    removed: tuple[Item, ...] = field(init=False)

    def __post_init__(self) -> None:
        every = [(step.action, item) for step in self.steps for item in step.items]
        stays = [item for action, item in every if action == "keep" or item.kind == MACHINE]
        goes = [item for action, item in every if action == "delete" and item.kind != MACHINE]
        object.__setattr__(self, "kept", tuple(stays))
        object.__setattr__(self, "removed", tuple(goes))

    @property
    def stops_costing(self) -> tuple[Cost, ...]:
        """What is not paid any more afterwards, a sum for each currency."""
        return sums(self.removed)

    @property
    def goes_on_costing(self) -> tuple[Cost, ...]:
        """What is paid for all the same, because it stays."""
        return sums([*self.kept, *self.outside])

    @property
    def unpriced(self) -> tuple[Item, ...]:
        """What costs something and is in no sum, because its price is not known."""
        priced = ("host", "server", "volume", "load_balancer", "primary_ip")
        return tuple(item for item in self.removed if item.kind in priced and item.cost is None)

    @property
    def fingerprint(self) -> str:
        """The same for two plans that remove and keep the same things, and do not know the same; SHA-256 in hex."""
        steps = [[step.part, step.action, sorted(_keys(step.items))] for step in self.steps]
        silent = sorted((one.account, *one.parts) for one in self.not_asked)
        told = json.dumps([steps, sorted(_keys(self.outside)), silent])
        return hashlib.sha256(told.encode()).hexdigest()

    def document(self) -> dict[str, Any]:
        """Plain values: what the API answers, and what is kept of what people agreed to."""
        return {
            "steps": [
                {
                    "step": step.part,
                    "label": step.label,
                    "action": step.action,
                    "irreversible": step.irreversible,
                    "items": [item.document() for item in step.items],
                    "not_asked": [one.document() for one in step.not_asked],
                }
                for step in self.steps
            ],
            "outside": [item.document() for item in self.outside],
            "not_asked": [one.document() for one in self.not_asked],
            "stops_costing": [cost.document() for cost in self.stops_costing],
            "goes_on_costing": [cost.document() for cost in self.goes_on_costing],
            "unpriced": len(self.unpriced),
            "looked_at": self.looked_at.isoformat() if self.looked_at else None,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Plan:
        """As `document` writes it; sums are made anew."""
        looked_at = document.get("looked_at")
        return cls(
            steps=tuple(
                PlannedStep(
                    step["step"],
                    step["action"],
                    tuple(Item.of(item) for item in step["items"]),
                    tuple(NotAsked.of(one) for one in step["not_asked"]),
                )
                for step in document["steps"]
            ),
            outside=tuple(Item.of(item) for item in document["outside"]),
            not_asked=tuple(NotAsked.of(one) for one in document["not_asked"]),
            looked_at=datetime.fromisoformat(looked_at) if looked_at else None,
        )


def _keys(items: Iterable[Item]) -> Iterator[tuple[str, str, str, str]]:
    return ((item.account, item.kind, item.ref, item.name) for item in items)


def build(
    policy: Iterable[PolicyStep],
    workspace_type: str,
    items: Iterable[Item],
    not_asked: Sequence[NotAsked] = (),
    looked_at: datetime | None = None,
) -> Plan:
    """The plan that comes of a policy and of what there is."""
    found = list(items)
    steps = tuple(
        PlannedStep(
            step.part,
            step.action,
            tuple(item for item in found if item.part == step.part and item.ours),
            tuple(one for one in not_asked if step.part in one.parts),
        )
        for step in steps_for(policy, workspace_type)
    )
    return Plan(steps, tuple(item for item in found if not item.ours), tuple(not_asked), looked_at)


def sums(items: Iterable[Item]) -> tuple[Cost, ...]:
    """What these cost a month together, a sum for each currency."""
    costs = [item.cost for item in items if item.cost]
    return tuple(
        Cost(
            currency,
            sum((cost.listed for cost in costs if cost.currency == currency), Decimal(0)),
            sum((cost.agreed for cost in costs if cost.currency == currency), Decimal(0)),
        )
        for currency in sorted({cost.currency for cost in costs})
    )
