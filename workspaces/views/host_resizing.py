"""Making a host another size: what it could become, at which difference in price, what happens on the way, starting."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_http_methods
from django_htmx.http import replace_url

from workspaces.models import Actor, ComputeProfile
from workspaces.models.price_list import Offer, PriceList, ProfileOffers, price_list
from workspaces.operations import host_resize, host_sizes
from workspaces.rules.ids import as_id
from workspaces.rules.refusal import Refused
from workspaces.views import host_page, hosts, profile_order, profile_rows
from workspaces.views.access import account_of, login_required
from workspaces.views.host_page import Found
from workspaces.views.money import difference, exact, money
from workspaces.views.profile_facts import Trouble, trouble_of
from workspaces.views.profile_order import PriceWords, price_words
from workspaces.views.see_other import see_other

PAGE = "workspaces/host_resize.html"


class Possible(NamedTuple):
    """A profile the host may become: its size and price, and the difference a month."""

    pk: UUID
    name: str
    cores: int
    memory: str
    disk: int
    monthly: str
    change: str
    remark: str


class Impossible(NamedTuple):
    """A profile that it may not become, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Sizes:
    """What there is to choose from. `current` is what a month costs now; None: not known."""

    possible: list[Possible]
    impossible: list[Impossible]
    trouble: Trouble | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The chosen profile as the save bar tells it; `why_not` is empty where the host may become it."""

    pk: UUID
    name: str
    disk: int
    lines: list[PriceWords]
    before: str
    change: str
    confirmed: str
    why_not: str
    unknown: bool
    grows: bool
    may_grow: bool


class Asked(NamedTuple):
    """What the reader has chosen."""

    profile: UUID | None
    grow_disk: bool


class Refusal(NamedTuple):
    """Why nothing was started, and the price that was confirmed in vain."""

    status: int
    message: str
    confirmed: str
    operation: object


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def resize(request: HttpRequest, pk: UUID, host: UUID) -> HttpResponse:
    """The form with the profile of `?profile=` chosen, for htmx what follows from it; POST starts it."""
    now = timezone.now()
    found = host_page.find(request, pk, host, now, need="host.resize")
    if request.method == "POST":
        return _start(request, found, now)
    asked = Asked(as_id(request.GET.get("profile", "")), "grow_disk" in request.GET)
    if request.htmx and not request.htmx.history_restore_request:  # type: ignore[attr-defined]
        response = render(request, f"{PAGE}#chosen", _bar(found, asked, now))
        replace_url(response, request.get_full_path())
    else:
        response = render(request, PAGE, _page(found, asked, now))
    patch_vary_headers(response, ["HX-Request"])
    return response


def _start(request: HttpRequest, found: Found, now: datetime) -> HttpResponse:
    """Start it and go to its operation; or the page again with the reason and the price as it is now."""
    asked = Asked(as_id(request.POST.get("profile", "")), "grow_disk" in request.POST)
    sent = request.POST.get("confirmed_price", "")
    confirmed = profile_order.read_price(sent)
    if asked.profile is None or confirmed is None:
        message = profile_order.NO_PRICE if asked.profile else "No profile was chosen."
        return _again(request, found, asked, Refusal(422, message, "", None))
    started = host_resize.start(
        found.host,
        profile=asked.profile,
        grow_disk=asked.grow_disk,
        confirmed=confirmed,
        actor=Actor.of(account_of(request)),
    )
    if isinstance(started, Refused):
        old = sent if started.code == "price_changed" else ""
        return _again(request, found, asked, Refusal(409, started.message, old, started.evidence.get("operation")))
    return see_other("operation", pk=started.pk)


def _again(request: HttpRequest, found: Found, asked: Asked, refusal: Refusal) -> HttpResponse:
    context = _page(found, asked, timezone.now()) | {"refusal": refusal}
    return render(request, PAGE, context, status=refusal.status)


# --- What is shown ----------------------------------------------------------------------------------------------------
def _page(found: Found, asked: Asked, now: datetime) -> dict[str, Any]:
    quote = found.offer.quote if found.offer else None
    stopped = host_sizes.refuse_host(found.host)
    return _bar(found, asked, now) | {
        "stopped": stopped,
        "sizes": None if stopped else sizes_of(found, now),
        "per_month": host_page.per_month(quote) if quote else None,
    }


def _bar(found: Found, asked: Asked, now: datetime) -> dict[str, Any]:
    """What follows from the choice: the save bar and what happens on the way."""
    chosen = chosen_of(found, asked, now)
    return hosts.shown(found, now) | {
        "asked": asked,
        "chosen": chosen,
        "happens": happens(found, chosen) if chosen and not chosen.why_not else [],
        "outage": _outage(found),
    }


def sizes_of(found: Found, now: datetime) -> Sizes:
    """Every profile of the host's own account where the host is: what it may become first, by price."""
    prices = _price_list(found, now)
    possible, impossible = [], []
    for offers in prices.profiles:
        profile, why = offers.profile, _why_not(found, offers, now)
        offer = offers.at(found.host.location)
        if why or offer is None:
            if profile.active and profile.name != found.host.profile:
                impossible.append(Impossible(profile.name, why))
            continue
        possible.append((offer.quote.monthly, _possible(found, profile, offer)))
    shown = [row for _, row in sorted(possible, key=lambda pair: (pair[0], pair[1].name))]
    return Sizes(shown, impossible, trouble_of(prices, now))


def _price_list(found: Found, now: datetime) -> PriceList:
    """That of the account the host is on, whatever the workspace orders from."""
    workspace = copy.copy(found.seen.workspace)
    workspace.provider_account_id = found.host.provider_account_id
    return price_list(workspace, now)


def _why_not(found: Found, offers: ProfileOffers, now: datetime) -> str:
    refused = host_sizes.refuse_profile(found.host, offers.profile, found.offer)
    if refused:
        return refused.message
    reason = profile_rows.reason_not(offers, found.host.location, now)
    return f"{reason[0].upper()}{reason[1:]}." if reason else ""


def _possible(found: Found, profile: ComputeProfile, offer: Offer) -> Possible:
    quote = offer.quote
    return Possible(
        pk=profile.pk,
        name=profile.name,
        cores=profile.cores,
        memory=profile_rows.gigabytes(profile.memory_gb),
        disk=profile.disk_gb,
        monthly=money(quote.monthly, quote.currency),
        change=_change(found, offer),
        remark="availability not known" if offer.available is None else "",
    )


def _change(found: Found, offer: Offer) -> str:
    """Against what the host costs now, a month; empty where that is not known or in another currency."""
    if found.offer is None or found.offer.quote.currency != offer.quote.currency:
        return ""
    return difference(offer.quote.monthly - found.offer.quote.monthly, offer.quote.currency)


def chosen_of(found: Found, asked: Asked, now: datetime) -> Chosen | None:
    """What was chosen, with its price; None when nothing of this account was."""
    account = found.host.provider_account_id
    profile = (
        ComputeProfile.objects.filter(pk=asked.profile, provider_account=account).first() if asked.profile else None
    )
    if profile is None:
        return None
    offer = host_sizes.choose(found.host, profile, now)
    disk = found.disk
    may_grow = disk is not None and profile.disk_gb > disk
    refused, quote = (offer, None) if isinstance(offer, Refused) else (None, offer.quote)
    return Chosen(
        pk=profile.pk,
        name=profile.name,
        disk=profile.disk_gb,
        lines=price_words(quote) if quote else [],
        before=money(found.offer.quote.monthly, found.offer.quote.currency) if found.offer else "",
        change="" if isinstance(offer, Refused) else _change(found, offer),
        confirmed=exact(quote.monthly) if quote else "",
        why_not=refused.message if refused else "",
        unknown=not isinstance(offer, Refused) and offer.available is None,
        grows=may_grow and asked.grow_disk,
        may_grow=may_grow,
    )


# --- What happens -----------------------------------------------------------------------------------------------------
def _outage(found: Found) -> str:
    """Why the workspace is out of service meanwhile; empty where others take over."""
    host, workspace = found.host, found.seen.workspace
    if not workspace.is_kubernetes or not host.node_name or found.others:
        return ""
    return (
        f"{host.name} is the only host of {workspace.name} that can take pods. While it is off nothing of "
        "this workspace runs, and its pods have nowhere to go: the drain deletes them, and they start when it is back."
    )


def happens(found: Found, chosen: Chosen) -> list[str]:
    """The way there, and what of it can be undone."""
    host, disk = found.host, found.disk
    steps = []
    if host.node_name:
        where = f"the other {len(found.others)}" if found.others else "nowhere, as there is no other host"
        steps.append(
            f"{host.name} is closed to new pods and drained: its pods move to {where}. A disruption budget can make "
            "that wait. What pods keep in emptyDir volumes is lost."
        )
    steps.append(
        f"It is shut down and off for some minutes while its server becomes {chosen.name}"
        + (". It starts again, is verified, and opened to pods." if host.node_name else ", and what runs on it stops.")
    )
    steps.append(f"When the provider has no {chosen.name} left by then, it starts again as {host.profile}, as before.")
    if chosen.grows:
        steps.append(
            f"Its disk grows from {disk} GB to {chosen.disk} GB. That cannot be undone, and no profile with a smaller "
            "disk can be chosen afterwards."
        )
    else:
        kept = f"Its disk stays {disk} GB" if disk else "Its disk stays as it is"
        steps.append(f"{kept}, so that it can go back to a smaller profile.")
    return steps
