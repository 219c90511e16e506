"""Amounts of money: how exact they are, and where they are rounded. What costs what is decided in `pricing.py`.

Amounts are net Decimals. Agreed amounts and estimates are exact to 10 decimals, half even, which is what the database
keeps; this is the only rounding until `shown` rounds for people, half up.
"""

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from typing import Final

# A stored amount has 20 digits. Times another one it has 40, which the default 28 would round once too often.
_EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)
_STORED: Final = Decimal("1E-10")


def percentage(amount: Decimal, percent: Decimal) -> Decimal:
    """So many percent of an amount, rounded once to what the database keeps."""
    return stored(_EXACT.multiply(amount, percent).scaleb(-2, _EXACT))


def stored(amount: Decimal) -> Decimal:
    """The amount exact to ten decimals, half even, as the database keeps it."""
    return amount.quantize(_STORED, context=_EXACT)


def total(*amounts: Decimal) -> Decimal:
    """Their sum, nothing rounded."""
    whole = Decimal(0)
    for amount in amounts:
        whole = _EXACT.add(whole, amount)
    return whole


def monthly_estimate(hourly: Decimal, monthly_cap: Decimal | None, hours: int) -> Decimal:
    """What `hours` begun hours of one month cost: never more than the cap (None: there is none).

    A part of an hour counts as a whole one, and a stopped server counts too. ValueError for negative hours.
    """
    if hours < 0:
        raise ValueError(f"A month has no {hours} hours.")
    metered = _EXACT.multiply(hourly, Decimal(hours))
    return stored(metered if monthly_cap is None else min(metered, monthly_cap))


def shown(amount: Decimal, places: int = 2) -> Decimal:
    """Money as people read it, rounded half up: to cents, or to `places` for an hourly price.

    Only for showing: sums are made of exact amounts and rounded once, afterwards.
    """
    rounded = amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _EXACT)
    return rounded if rounded else abs(rounded)  # never "-0.00"
