"""What agreements do to a family of profiles, in words: `12 % below list under KF-2026-03, setup waived`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from workspaces.rules.pricing import PriceLine, Quote
from workspaces.views.money import MINUS, money

_HUNDRED = Decimal(100)


class Effect(NamedTuple):
    """`sentence` follows the family's name; `short` (`−12 %`) and `setup` are empty where nothing is changed."""

    sentence: str
    short: str
    setup: str


def effect_of(quotes: Sequence[Quote], *, agreements: bool) -> Effect:
    """What the agreements that hold (whether there are any) do to the monthly and the setup prices of one family."""
    monthly, setup = _lines(quotes, "monthly"), _setup(_lines(quotes, "setup"))
    changed = [line for line in monthly if line.agreed != line.list]
    if changed:
        percents = [_percent(line) for line in changed if line.list]
        partly = "" if len(changed) == len(monthly) else "partly "
        sentence = f"{partly}{_beside_list(percents)} under {_numbers(changed)}"
        short = _short(percents)
    elif others := [line for quote in quotes for line in quote.lines if line.agreed != line.list]:
        sentence, short = f"list price by the month, other prices under {_numbers(others)}", ""
    else:
        sentence, short = f"list price{', no agreement covers this family' if agreements else ''}", ""
    return Effect(f"{sentence}, {setup}" if setup else sentence, short, setup)


def _lines(quotes: Iterable[Quote], component: str) -> list[PriceLine]:
    return [line for quote in quotes if (line := quote.line(component)) is not None]


def _numbers(lines: Iterable[PriceLine]) -> str:
    return " and ".join(sorted({line.agreement for line in lines if line.agreement}))


def _percent(line: PriceLine) -> Decimal:
    """How far from list, to a tenth of a percent."""
    return ((line.agreed - line.list) * _HUNDRED / line.list).quantize(Decimal("0.1"))


def _digits(percent: Decimal) -> str:
    return f"{abs(percent):f}".removesuffix(".0")


def _beside_list(percents: Sequence[Decimal]) -> str:
    """`12 % below list`, `5 to 12 % below list`, `between 5 % below and 3 % above list`."""
    if not percents:
        return "priced"
    low, high = min(percents), max(percents)
    if low < 0 < high:
        return f"between {_digits(low)} % below and {_digits(high)} % above list"
    near, far = sorted((low, high), key=abs)
    span = _digits(far) if near == far else f"{_digits(near)} to {_digits(far)}"
    return f"{span} % {'below' if high <= 0 else 'above'} list"


def _short(percents: Sequence[Decimal]) -> str:
    if not percents:
        return ""
    ends = dict.fromkeys(f"{MINUS if end < 0 else '+'}{_digits(end)}" for end in (max(percents), min(percents)))
    return f"{' to '.join(ends)} %"


def _setup(lines: Sequence[PriceLine]) -> str:
    """Once, where it is not what the list says."""
    changed = [line for line in lines if line.agreed != line.list]
    if not changed:
        return ""
    if all(line.agreed == 0 for line in changed):
        return "setup waived"
    amounts = sorted({line.agreed for line in changed})
    words = " to ".join(money(amount, changed[0].currency) for amount in dict.fromkeys((amounts[0], amounts[-1])))
    return f"setup {words}"
