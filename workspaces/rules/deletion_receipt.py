"""What became of a deletion: what was removed and when, what stays and why, what is still paid for. Pure.

The receipt is a document of plain values (`compose`), kept as it is and never made anew; `as_text` is for people who
file it. What the provider lists when everything is done decides what is left over, not what was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from workspaces.rules.amounts import shown
from workspaces.rules.deletion_plan import Item, NotAsked, Plan, sums

Key = tuple[str, str, str]
# What a look at the world lists; of everything else our own rows know.
LISTED: Final = frozenset(
    {"server", "volume", "load_balancer", "placement_group", "primary_ip", "control_plane", "data_store", "namespace"}
)
CAME_LATER: Final = "It came after the plan that was agreed to."
STILL_LISTED: Final = "It was deleted, and the provider lists it still."
NOT_OURS: Final = "It is not under the label of the workspace."
FORGOTTEN: Final = "The workspace was forgotten: nobody has asked whether it is still there."


@dataclass(frozen=True, slots=True)
class Removed:
    """Something that is gone, and since when it is known to be."""

    item: Item
    at: datetime


@dataclass(frozen=True, slots=True)
class Left:
    """Something that is still there, or may be, and why, in a sentence."""

    item: Item
    why: str


@dataclass(frozen=True, slots=True)
class Told:
    """What the steps say that they have removed and left."""

    removed: tuple[Removed, ...] = ()
    left: tuple[Left, ...] = ()


@dataclass(frozen=True, slots=True)
class Times:
    """Who asked, and when it was asked for, begun and ended."""

    by: str
    requested_at: datetime
    begun_at: datetime | None
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is told in a receipt."""

    removed: tuple[Removed, ...]
    kept: tuple[Item, ...]
    left: tuple[Left, ...]
    not_asked: tuple[NotAsked, ...] = ()


def key_of(item: Item) -> Key:
    """What makes two items the same thing."""
    return (item.account, item.kind, item.ref)


# --- Comparing --------------------------------------------------------------------------------------------------------
def compare(plan: Plan, told: Told, listed: Sequence[Item], not_asked: Sequence[NotAsked]) -> Outcome:
    """What came of the plan, by what the steps say and by the listing of everything that could be asked."""
    there = {key_of(item): item for item in listed}
    silent = {(one.account, part) for one in not_asked for part in one.parts}

    def may_be_there(item: Item) -> bool:
        return item.kind not in LISTED or key_of(item) in there or (item.account, item.part) in silent

    told = _with_dead_kubeconfigs(plan, told)
    gone = {key_of(one.item) for one in told.removed}
    dead = {key for key in gone if key[1] == "kubeconfig"}
    kept = tuple(item for item in plan.kept if may_be_there(item) and key_of(item) not in dead)
    left = [one for one in told.left if may_be_there(one.item)]
    known = {key_of(item) for item in kept} | {key_of(one.item) for one in left}
    left += [Left(item, _why(item, gone)) for key, item in there.items() if key not in known]
    known |= {key_of(one.item) for one in left}
    # What is not under the label is listed only while it hangs on a server of the workspace: it stays all the same.
    left += [Left(item, item.note or NOT_OURS) for item in plan.outside if key_of(item) not in known]
    stays = {key_of(one.item) for one in left}
    return Outcome(
        tuple(one for one in told.removed if key_of(one.item) not in stays), kept, tuple(left), tuple(not_asked)
    )


def _with_dead_kubeconfigs(plan: Plan, told: Told) -> Told:
    """Whatever a policy says of kubeconfigs, none outlives the control plane."""
    ended = next((one.at for one in told.removed if one.item.kind == "control_plane"), None)
    if ended is None:
        return told
    known = {key_of(one.item) for one in told.removed}
    dead = [item for item in (*plan.removed, *plan.kept) if item.kind == "kubeconfig" and key_of(item) not in known]
    return Told((*told.removed, *(Removed(item, ended) for item in dead)), told.left)


def _why(item: Item, gone: set[Key]) -> str:
    if key_of(item) in gone:
        return STILL_LISTED
    return CAME_LATER if item.ours else item.note or NOT_OURS


def forgotten(plan: Plan, told: Told) -> Outcome:
    """The same where nobody is asked any more: everything stays that no step is known to have removed."""
    done = {key_of(one.item) for one in told.removed}
    reasons = {key_of(one.item): one.why for one in told.left}
    left = [Left(item, reasons.get(key_of(item), FORGOTTEN)) for item in plan.removed if key_of(item) not in done]
    left += [Left(item, item.note or NOT_OURS) for item in plan.outside]
    known = {key_of(one.item) for one in left}
    left += [one for one in told.left if key_of(one.item) not in known]
    return Outcome(told.removed, plan.kept, tuple(left), plan.not_asked)


# --- The document -----------------------------------------------------------------------------------------------------
def compose(outcome: Outcome, times: Times, forgotten: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The receipt. `forgotten` is who forgot the workspace, when and why: by, at, reason."""
    stays = [*outcome.kept, *(one.item for one in outcome.left)]
    return {
        "removed": [one.item.document() | {"at": one.at.isoformat()} for one in outcome.removed],
        "kept": [item.document() for item in outcome.kept],
        "left_over": [one.item.document() | {"why": one.why} for one in outcome.left],
        "not_asked": [one.document() for one in outcome.not_asked],
        "stops_costing": [cost.document() for cost in sums(one.item for one in outcome.removed)],
        "goes_on_costing": [cost.document() for cost in sums(stays)],
        "by": times.by,
        "requested_at": times.requested_at.isoformat(),
        "begun_at": times.begun_at.isoformat() if times.begun_at else None,
        "ended_at": times.ended_at.isoformat(),
        "forgotten": dict(forgotten) if forgotten else None,
    }


def summary(receipt: Mapping[str, Any]) -> str:
    """One sentence for the trail."""
    counts = [f"{len(receipt[key])} {word}" for key, word in _WORDS.items() if receipt[key]]
    names = ", ".join(f"{_kind(one)} {one['name']}" for one in receipt["left_over"][:5])
    more = len(receipt["left_over"]) - 5
    left = f". Left over: {names}{f' and {more} more' if more > 0 else ''}" if names else ""
    return f"{', '.join(counts) or 'there was nothing'}{left}"


_WORDS: Final = {"removed": "removed", "kept": "kept", "left_over": "left over", "not_asked": "not asked"}


# --- As text ----------------------------------------------------------------------------------------------------------
def as_text(receipt: Mapping[str, Any], name: str) -> str:
    """The receipt of the workspace `name` as a person files it: a line for each thing, times in UTC."""
    return "\n".join([*_head(receipt, name), *_lists(receipt), *_costs(receipt), ""])


def _head(receipt: Mapping[str, Any], name: str) -> Iterator[str]:
    yield f"Receipt of the deletion of {name}"
    yield ""
    yield f"Asked for by  {receipt['by']}, {_at(receipt['requested_at'])}"
    yield f"Begun         {_at(receipt['begun_at']) if receipt['begun_at'] else 'never'}"
    yield f"Ended         {_at(receipt['ended_at'])}"
    if told := receipt["forgotten"]:
        yield f"Forgotten by  {told['by']}, {_at(told['at'])}: {told['reason']}"


def _lists(receipt: Mapping[str, Any]) -> Iterator[str]:
    yield from _list("Removed", receipt["removed"], lambda one: f"  gone {_at(one['at'])}")
    yield from _list("Kept", receipt["kept"], lambda one: f"  {one['note']}" if one["note"] else "")
    yield from _list("Left over", receipt["left_over"], lambda one: f"  {one['why']}")
    if receipt["not_asked"]:
        yield from ("", f"Not asked ({len(receipt['not_asked'])})")
        yield from (f"- {one['what']}  {one['message']}" for one in receipt["not_asked"])


def _list(title: str, items: Sequence[Mapping[str, Any]], rest: Any) -> Iterator[str]:
    yield from ("", f"{title} ({len(items)})")
    for one in items:
        detail = f", {one['detail']}" if one["detail"] else ""
        account = f", in {one['account_name']}" if one["account_name"] else ""
        yield f"- {_kind(one)} {one['name']} ({one['ref']}){detail}{account}{rest(one)}"
    if not items:
        yield "- nothing"


def _costs(receipt: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield f"Not paid any more, a month at most, net   {_sums(receipt['stops_costing'])}"
    yield f"Paid for all the same, a month at most    {_sums(receipt['goes_on_costing'])}"


def _sums(costs: Iterable[Mapping[str, str]]) -> str:
    words = (f"{one['currency']} {_amount(one['agreed'])} (list {_amount(one['list'])})" for one in costs)
    return ", ".join(words) or "nothing known"


def _amount(text: str) -> str:
    return str(shown(Decimal(text)))


def _kind(item: Mapping[str, Any]) -> str:
    words = {"dns_record": "DNS record", "primary_ip": "primary IP", "data_store": "data store"}
    return words.get(item["kind"], str(item["kind"]).replace("_", " "))


def _at(moment: str) -> str:
    return f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M} UTC"
