"""Amounts of money as pages show them. They are net Decimals, rounded half up and only here."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from workspaces.rules.pricing import PriceLine, shown

# What is written in front of an amount; any other currency is named behind it.
_SIGNS: Final = {"EUR": "€", "USD": "$", "GBP": "£"}
MINUS: Final = "\u2212"
HOURLY: Final = 4


def money(amount: Decimal, currency: str, places: int = 2) -> str:
    """`€28.49`, `1,204.00 CHF`, `−€3.42`; pass HOURLY for what is asked an hour."""
    rounded = shown(amount, places)
    digits = f"{abs(rounded):,.{places}f}"
    text = f"{_SIGNS[currency]}{digits}" if currency in _SIGNS else f"{digits} {currency}"
    return f"{MINUS}{text}" if rounded < 0 else text


def difference(amount: Decimal, currency: str, places: int = 2) -> str:
    """`+€24.64`, `−€3.42`, or `no difference`."""
    if shown(amount, places) == 0:
        return "no difference"
    text = money(amount, currency, places)
    return text if text.startswith(MINUS) else f"+{text}"


def exact(amount: Decimal) -> str:
    """The amount itself, as forms carry it: no exponent, no trailing zeros, at least two places."""
    whole, _, digits = f"{amount:f}".partition(".")
    return f"{whole}.{digits.rstrip('0').ljust(2, '0')}"


def agreed(line: PriceLine, places: int = 2) -> str:
    """The agreed amount, or `as list`."""
    return "as list" if line.agreed == line.list else money(line.agreed, line.currency, places)


def set_by(line: PriceLine) -> str:
    """`KF-2026-03, clause 4.2`, or empty where list applies."""
    return f"{line.agreement}, clause {line.clause}" if line.agreement else ""
