"""The impact of a move as the transfer page shows it: rows, counts and sentences made of a `Preview`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workspaces.models.price_list import HostPrice
from workspaces.models.transfer_preview import Preview
from workspaces.rules import permissions
from workspaces.rules.lifecycle import Look
from workspaces.rules.pricing import PriceLine, shown
from workspaces.rules.transfer import Effect

LOOKS = {
    "loses_access": Look("Loses access", "bad"),
    "fewer_rights": Look("Fewer rights than now", "bad"),
    "more_rights": Look("More rights than now", "warn"),
    "gains_access": Look("Gains access", "warn"),
    "same": Look("No change", "ok"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """An identity whose rights change."""

    effect: Effect
    look: Look
    detail: str


@dataclass(frozen=True, slots=True)
class Transition:
    """From one role to another: the sentences of what is lost and gained, said once for all whom it concerns."""

    before: str
    after: str
    lost: list[str]
    gained: list[str]


@dataclass(frozen=True, slots=True)
class PriceRow:
    """Hosts that cost the same, and what one of them costs a month before and after."""

    hosts: int
    profile: str
    location: str
    list_price: str
    before: str
    after: str


def impact_of(seen: Preview) -> dict[str, Any]:
    """What the template needs to show the preview."""
    changing = [effect for effect in seen.effects if effect.change != "same"]
    return {
        "seen": seen,
        "rows": [Row(effect, LOOKS[effect.change], _detail(effect)) for effect in changing],
        "unchanged": [effect for effect in seen.effects if effect.change == "same"],
        "losses": _losses(seen.losing),
        "losing_names": [effect.identity.name for effect in seen.losing],
        "transitions": _transitions(changing),
        "narrowed": [e for e in seen.losing if e.identity.kind == "api_key"],
        "people_before": _people(seen, before=True),
        "people_after": _people(seen, before=False),
        "prices": _prices(seen),
    }


def _detail(effect: Effect) -> str:
    """Of a key what it is, of a person the address, unless that is the name already."""
    one = effect.identity
    words = "" if one.detail == one.name else one.detail
    return f"API key {words}" if one.kind == "api_key" else words


def _losses(losing: Sequence[Effect]) -> str:
    """`3 people and 1 API key lose access`."""
    kinds = Counter(effect.identity.kind for effect in losing)
    people, keys = kinds["account"], kinds["api_key"]
    parts = [f"{people} {'person' if people == 1 else 'people'}"] if people else []
    parts += [f"{keys} API key{'' if keys == 1 else 's'}"] if keys else []
    return (
        f"{' and '.join(parts)} {'loses' if people + keys == 1 else 'lose'} access" if parts else "Nobody loses access"
    )


def _people(seen: Preview, *, before: bool) -> str:
    held = [e.before if before else e.after for e in seen.effects if e.identity.kind == "account"]
    number = sum(bool(rights) for rights in held)
    return f"{number} {'person' if number == 1 else 'people'}"


def _transitions(changing: Sequence[Effect]) -> list[Transition]:
    unique = {(effect.role_before, effect.role_after): effect for effect in changing}
    return [
        Transition(
            before,
            after,
            [permissions.PERMISSIONS[key].sentence for key in effect.lost],
            [permissions.PERMISSIONS[key].sentence for key in effect.gained],
        )
        for (before, after), effect in unique.items()
    ]


def _prices(seen: Preview) -> list[PriceRow]:
    """Hosts of the same profile, location and prices in one row."""
    alike = Counter(
        (p.before.profile, p.before.location, _list(p.before.monthly), _agreed(p.before), _agreed(p.after))
        for p in seen.prices
    )
    return [PriceRow(number, *row) for row, number in alike.items()]


def _list(line: PriceLine | None) -> str:
    return f"{shown(line.list)} {line.currency}" if line else "not known"


def _agreed(price: HostPrice) -> str:
    """`24.00 EUR, KF-2026-03 clause 4.2`; `as list` without an agreement that sets it."""
    line = price.monthly
    if line is None:
        return "not known"
    if line.agreement is None:
        return "as list"
    return f"{shown(line.agreed)} {line.currency}, {line.agreement} clause {line.clause}"
