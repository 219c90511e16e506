"""What the steps of a deletion tell for the receipt: kept in their memory at once, so a killed worker loses nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.utils import timezone

from workspaces.models import Deletion, Operation, Step
from workspaces.operations.engine import Context
from workspaces.rules.deletion_plan import Item, Plan
from workspaces.rules.deletion_receipt import Key, Left, Removed, Told, key_of


def deletion_of(context: Context) -> Deletion:
    """The deletion that the operation carries out."""
    return Deletion.objects.get(operation=context.operation)


def agreed(context: Context) -> Plan:
    """What people agreed to."""
    return deletion_of(context).agreed


def named(plan: Plan, kind: str, account: str = "") -> list[Item]:
    """The items of a kind that are to be removed, of one account."""
    return [item for item in plan.removed if item.kind == kind and item.account == account]


def removed(context: Context, item: Item) -> None:
    """It is gone, as far as can be seen now. Told once."""
    _tell(context, "removed", item, at=timezone.now().isoformat())


def left(context: Context, item: Item, why: str) -> None:
    """It stays, and why. Told once."""
    _tell(context, "left", item, why=why)


def is_told(context: Context, item: Item) -> bool:
    """Whether this step is done with it: it is gone, or stays for a reason."""
    lists = (context.step.memory.get("removed", []), context.step.memory.get("left", []))
    return any(key_of(Item.of(one["item"])) == key_of(item) for told in lists for one in told)


def _tell(context: Context, what: str, item: Item, **more: Any) -> None:
    if not is_told(context, item):
        context.remember(**{what: [*context.step.memory.get(what, []), {"item": item.document(), **more}]})


def told(operation: Operation | None) -> Told:
    """Everything that the steps of the operation have told, each thing once; what is left is not removed."""
    memories = Step.objects.filter(operation=operation).order_by("position").values_list("memory", flat=True)
    gone: dict[Key, Removed] = {}
    stays: dict[Key, Left] = {}
    for memory in memories if operation else ():
        gone |= {key_of(one.item): one for one in _removed(memory.get("removed", []))}
        stays |= {key_of(one.item): one for one in _left(memory.get("left", []))}
    return Told(tuple(one for key, one in gone.items() if key not in stays), tuple(stays.values()))


def _removed(documents: Iterable[dict[str, Any]]) -> Iterator[Removed]:
    for one in documents:
        yield Removed(Item.of(one["item"]), datetime.fromisoformat(one["at"]))


def _left(documents: Iterable[dict[str, Any]]) -> Iterator[Left]:
    for one in documents:
        yield Left(Item.of(one["item"]), str(one["why"]))


def in_words(context: Context) -> str:
    """What the step has come to, for its message: "2 removed, 1 stays: …"."""
    gone, stays = context.step.memory.get("removed", []), context.step.memory.get("left", [])
    words = [f"{len(gone)} removed"] if gone else []
    if stays:
        names = ", ".join(f"{one['item']['name']} ({one['why'].rstrip('.')})" for one in stays[:3])
        words.append(f"{len(stays)} {'stay' if len(stays) > 1 else 'stays'}: {names}")
    return ", ".join(words) or "there is nothing"
