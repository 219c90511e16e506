"""Money in answers: decimal strings with the currency beside them."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import PlainSerializer


def text(amount: Decimal) -> str:
    """The exact amount: no exponent, no trailing zeros, at least two places."""
    whole, _, digits = f"{amount:f}".partition(".")
    return f"{whole}.{digits.rstrip('0').ljust(2, '0')}"


Amount = Annotated[Decimal, PlainSerializer(text, return_type=str)]
