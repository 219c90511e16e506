"""The save bar of the compute profiles: what is chosen, what it costs by which clause, and what stops it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from workspaces.models import Host, ProviderAccount, Workspace
from workspaces.models.price_list import Offer, PriceList, ProfileOffers
from workspaces.rules import host_names
from workspaces.rules.pricing import PriceLine, Quote
from workspaces.views.money import HOURLY, exact, money, set_by
from workspaces.views.profile_query import ProfileQuery
from workspaces.views.profile_reading import Reading
from workspaces.views.profile_rows import reason_not

NO_PRICE: Final = "The price that was confirmed cannot be read. Look at the price and order again."
# In the order in which they are said, with what an amount is for.
_UNITS: Final = {
    "monthly": "a month at most",
    "hourly": "an hour",
    "setup": "once for setting it up",
    "primary_ip": "a month for its IPv4 address",
    "traffic": "per TB of traffic beyond the included",
}


class PriceWords(NamedTuple):
    """A component in words, its list price where it is another one, and the clause that sets it."""

    amount: str
    unit: str
    list: str
    set_by: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A profile at a location as the save bar tells it. `why_not` is empty where it can be ordered."""

    name: str
    location: str
    lines: list[PriceWords]
    confirmed: str
    total: str
    why_not: str
    unknown: bool
    ends: datetime | None

    @property
    def said(self) -> str:
        """The same for who does not see the bar change."""
        first = f"{self.name} in {self.location}: {self.lines[0].amount} {self.lines[0].unit}." if self.lines else ""
        return f"{first} {self.why_not}".strip()


def chosen_of(prices: PriceList, query: ProfileQuery, now: datetime) -> Choice | None:
    """The chosen profile of a whole list; None when none of it is chosen."""
    found = next((one for one in prices.profiles if one.profile.pk == query.profile), None)
    return _choice(found, query.location, now) if found else None


def choice_of(offer: Offer | None, now: datetime) -> Choice | None:
    """The same where only one offer was read."""
    if offer is None:
        return None
    return _choice(ProfileOffers(offer.profile, (offer,)), offer.location, now, alone=True)


def _choice(found: ProfileOffers, location: str, now: datetime, *, alone: bool = False) -> Choice:
    """`alone`: other locations were not read, so nothing is said of them."""
    offer, why_not = found.at(location), reason_not(found, location, now, elsewhere=not alone)
    quote = offer.quote if offer else None
    return Choice(
        name=found.profile.name,
        location=location,
        lines=price_words(quote) if quote else [],
        confirmed=exact(quote.monthly) if quote else "",
        total=_total(quote) if quote else "",
        why_not=f"{found.profile.name} cannot be ordered: {why_not}." if why_not else "",
        unknown=offer is not None and offer.available is None and not why_not,
        ends=offer.unavailable_after if offer and not why_not else None,
    )


def price_words(quote: Quote) -> list[PriceWords]:
    """The components of a quote that cost something or are not as listed, the month first."""
    lines = [(quote.line(component), unit) for component, unit in _UNITS.items()]
    return [_words(line, unit) for line, unit in lines if line is not None and (line.agreed or line.list)]


def _words(line: PriceLine, unit: str) -> PriceWords:
    places = HOURLY if line.component == "hourly" else 2
    listed = "" if line.agreed == line.list else money(line.list, line.currency, places)
    return PriceWords(money(line.agreed, line.currency, places), unit, listed, set_by(line))


def _total(quote: Quote) -> str:
    """With the IPv4 address, where that costs something."""
    address = quote.line("primary_ip")
    return money(quote.monthly_total, quote.currency) if address and address.agreed else ""


def read_price(text: str) -> Decimal | None:
    """The price that a form confirms; None for what is no amount."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount >= 0 and len(text) <= 40 else None


# --- Whether anything can be ordered ----------------------------------------------------------------------------------
def why_nothing(seen: Reading, account: ProviderAccount | None) -> dict[str, Any]:
    """Why this reader cannot order here, whatever is chosen: `text`, and the `operation` where an open one stops it."""
    workspace = seen.workspace
    if "host.order" not in seen.keys:
        return {"text": f"An operator or an administrator of {workspace.project} can order hosts."}
    if workspace.state != "active":
        return {"text": "Hosts are ordered for active workspaces only."}
    if account is not None and account.ssh_key_id is None:
        return {"text": f"{account.name} has no SSH key for new hosts. Support staff store one in the admin."}
    if seen.running:
        text = f"“{seen.running['title']}” is open. A workspace has one operation at a time."
        return {"text": text, "operation": seen.running}
    return {}


def hostname_of(query: ProfileQuery, workspace: Workspace, hosts: list[Host]) -> str:
    """What was typed, else the next in the row of the workspace's host names."""
    taken = [host.name for host in hosts]
    return query.hostname or host_names.propose(workspace.name, taken, kubernetes=workspace.is_kubernetes)
