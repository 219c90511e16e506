"""What may be ordered for a workspace, and at which price: asked of the rows at the click, then of the provider anew.

An offer that was confirmed and is another one now is never ordered. The server itself is made in `host_purchase.py`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db.models import Q

from workspaces.models import ComputeProfile, Host, LeftServer, ProfileLocation, ProviderAccount, Workspace
from workspaces.models.price_list import Offer, account_of, available_at, find_offer
from workspaces.operations import connections, profiles
from workspaces.operations.engine import Context, Done, Outcome
from workspaces.providers.errors import Permanent
from workspaces.rules import host_names
from workspaces.rules.pricing import Quote, shown
from workspaces.rules.refusal import Refused
from workspaces.rules.situation import Situation, refuse_state

CHOOSE: Final = "An administrator, by ordering at another location, or another profile."
ORDER_AGAIN: Final = "An administrator, by looking at what is offered now and ordering again."


def refuse(
    workspace: Workspace, hostname: str, profile: UUID, location: str, now: datetime, *, host: UUID | None = None
) -> Offer | Refused:
    """The offer that may be ordered, or why none may. `host` is the row that this order has made already, if it has."""
    if refused := refuse_state(Situation(workspace.type, workspace.state)):
        return refused
    account = account_of(workspace)
    if account is None or account.ssh_key_id is None:
        return _no_provider(workspace, account)
    offer = find_offer(workspace, profile, location, now)
    if offer is None:
        return Refused("unknown_profile", f"{account.name} has no such compute profile at {location}.")
    return (
        _refuse_offer(offer)
        or _refuse_name(workspace, account, hostname, host)
        or _refuse_limit(account, host)
        or offer
    )


def _no_provider(workspace: Workspace, account: ProviderAccount | None) -> Refused:
    if account is None:
        said = f"It is not said in which provider account hosts of {workspace} are ordered."
    else:
        said = f"No SSH key is stored for new servers of {account.name}, so they could not be reached."
    return Refused("no_provider", f"{said} Support can store it.")


def _refuse_offer(offer: Offer) -> Refused | None:
    name, place = offer.quote.profile, offer.quote.location
    if not offer.profile.active:
        return Refused("inactive_profile", f"{name} is not offered any more.")
    if offer.quote.line("monthly") is None or offer.quote.line("hourly") is None:
        return Refused("price_unknown", f"What {name} costs in {place} is not known, so nobody can confirm it.")
    if offer.available is False:
        return Refused("unavailable", f"{name} is not available in {place} at the moment.")
    return None


def _refuse_name(workspace: Workspace, account: ProviderAccount, name: str, host: UUID | None) -> Refused | None:
    if not host_names.is_possible(name):
        return Refused("invalid_name", host_names.WHAT_IS_POSSIBLE)
    others = Host.objects.filter(Q(workspace=workspace) | Q(provider_account=account), name__iexact=name)
    if others.exclude(pk__in=[host] if host else []).exists():
        return Refused("name_taken", f"There is a host named {name} already.")
    if LeftServer.objects.filter(provider_account=account, name__iexact=name).exists():
        return Refused("name_taken", f"{account.name} has a server named {name} that belongs to no host.")
    return None


def _refuse_limit(account: ProviderAccount, host: UUID | None) -> Refused | None:
    if account.server_limit is None:
        return None
    hosts = account.hosts.exclude(pk__in=[host] if host else []).exclude(provider_status="gone").count()
    servers = hosts + account.left_servers.count()
    if servers < account.server_limit:
        return None
    said = f"{account.name} has {servers} servers and may have {account.server_limit}. The provider raises the limit."
    return Refused("limit_reached", said, {"servers": servers, "limit": account.server_limit})


def refuse_price(quote: Quote, confirmed: Decimal) -> Refused | None:
    """price_changed: the actor has seen another price. The evidence is the quote as it is now."""
    if quote.confirms(confirmed):
        return None
    said = f"{quote.profile} in {quote.location} costs {in_words(quote)}, which is not the price that was confirmed."
    return Refused("price_changed", said, quote.document())


def in_words(quote: Quote) -> str:
    """What it costs a month, at most, with its public address: "28.99 EUR a month at most"."""
    return f"{shown(quote.monthly_total)} {quote.currency} a month at most"


# --- As a step --------------------------------------------------------------------------------------------------------
def check(context: Context) -> Outcome:
    """The guards of the click, with what the provider says at this moment; and no node has the name."""
    offer = confirmed_offer(context)
    if context.workspace.is_kubernetes:
        with connections.tenant(context.workspace) as cluster:
            names = {node.name for node in cluster.nodes()}
        if (name := context.operation.parameters["hostname"]) in names:
            raise Permanent(
                "name_taken",
                f"The cluster has a node named {name} already, which is no host here.",
                who_can_fix="An administrator, by choosing another name or by deleting that node.",
            )
    return Done(f"available, {in_words(offer.quote)}")


def confirmed_offer(context: Context) -> Offer:
    """The offer as the provider makes it now: at the confirmed price and available, else Permanent."""
    wanted = context.operation.parameters
    row = ComputeProfile.objects.filter(pk=wanted["profile"]).select_related("provider_account").first()
    if row is not None:
        profiles.look(row.provider_account, context.now)
    workspace = Workspace.objects.get(pk=context.operation.workspace_id)
    host, profile = UUID(wanted["host"]), UUID(wanted["profile"])
    offer = refuse(workspace, wanted["hostname"], profile, wanted["location"], context.now, host=host)
    if isinstance(offer, Refused) and offer.code == "unavailable":
        raise no_capacity(context, offer.message)
    if isinstance(offer, Refused):
        raise Permanent(offer.code, offer.message, who_can_fix=ORDER_AGAIN)
    confirmed = Quote.of(wanted["price"])
    if not offer.quote.same_price(confirmed):
        raise Permanent("price_changed", _both_prices(confirmed, offer.quote))
    if not offer.available:
        # Somebody else's question in between has failed: what is not known to be there is not ordered.
        raise no_capacity(context, f"{row} is not known to be available in {wanted['location']}.")
    return offer


def no_capacity(context: Context, said: str) -> Permanent:
    """The error for a profile that is sold out, with the locations that have it as far as is known."""
    wanted = context.operation.parameters
    rows = ProfileLocation.objects.filter(profile=wanted["profile"]).exclude(location=wanted["location"])
    places = [row.location for row in rows.order_by("location") if available_at(row, context.now)]
    elsewhere = f"It is available in {', '.join(places)}." if places else "It is not available anywhere else either."
    return Permanent("no_capacity", f"{said} {elsewhere}", who_can_fix=CHOOSE)


def _both_prices(confirmed: Quote, now: Quote) -> str:
    """Every component that costs something else, so that two totals that look the same are told apart as well."""
    changes = []
    for line in now.lines:
        before = confirmed.line(line.component)
        if before is None or (before.agreed, before.currency) != (line.agreed, line.currency):
            was = f"{before.agreed.normalize():f} {before.currency}" if before else "not known"
            changes.append(f"{line.component.replace('_', ' ')} {was}, now {line.agreed.normalize():f} {line.currency}")
    changes += [f"{line.component} is not known now" for line in confirmed.lines if now.line(line.component) is None]
    return (
        f"The price has changed: {in_words(confirmed)} was confirmed, it is {in_words(now)} now "
        f"({'; '.join(changes)}). Nothing was ordered."
    )
