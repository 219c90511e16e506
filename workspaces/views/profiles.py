"""The compute profiles of a workspace: what can be had where and for how much, and ordering a host of one.

What the table shows is `profile_rows`, what stands above it `profile_facts`, the save bar `profile_order`. Profiles
side by side are `profile_compare`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_http_methods
from django_htmx.http import replace_url

from workspaces.models import Actor, ProviderAccount
from workspaces.models.price_list import find_offer, price_list
from workspaces.operations import host_order
from workspaces.rules import host_names
from workspaces.rules.refusal import Refused
from workspaces.views import profile_facts, profile_order, profile_query
from workspaces.views.access import account_of, login_required
from workspaces.views.profile_query import ProfileQuery
from workspaces.views.profile_reading import Reading, read
from workspaces.views.profile_rows import listing
from workspaces.views.see_other import see_other
from workspaces.views.workspaces import status_of

PAGE = "workspaces/profiles.html"


@dataclass(frozen=True, slots=True)
class Answer:
    """Why an order was not taken: a sentence, the field that is wrong, and the price that was confirmed in vain."""

    status: int
    message: str
    wrong: str = ""
    confirmed: str = ""
    evidence: Mapping[str, object] = field(default_factory=dict)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def profiles(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The page; for htmx the table, or the save bar alone. POST orders a host."""
    if request.method == "POST":
        return _order(request, read(request, pk, need="host.order"))
    seen, query, now = read(request, pk, need="price.view"), profile_query.parse(request), timezone.now()
    if not request.htmx or request.htmx.history_restore_request:  # type: ignore[attr-defined]
        response = render(request, PAGE, _page(seen, query, now))
    elif request.htmx.target == "order":  # type: ignore[attr-defined]
        response = render(request, f"{PAGE}#chosen", _bar(seen, query, now))
        replace_url(response, f"{request.path}{query.address()}")
    else:
        response = render(request, f"{PAGE}#filtered", _page(seen, query, now))
        replace_url(response, f"{request.path}{query.address()}")
    patch_vary_headers(response, ["HX-Request"])
    return response


# --- What is shown ----------------------------------------------------------------------------------------------------
def _page(seen: Reading, query: ProfileQuery, now: datetime, answer: Answer | None = None) -> dict[str, Any]:
    workspace, prices = seen.workspace, price_list(seen.workspace, now, inactive=True)
    query = query.placed(prices, workspace.location)
    table = listing(prices, query, profile_query.locations_of(prices), profile_facts.used_by(seen.hosts), now)
    return _shown(seen, query, now, prices.account) | {
        "answer": answer,
        "status": status_of(workspace, now),
        "prices": prices,
        "facts": profile_facts.facts_of(prices, seen.hosts, table.effects, now),
        "trouble": profile_facts.trouble_of(prices, now),
        "table": table,
        "cores": profile_query.CORES,
        "memory": profile_query.MEMORY,
        "architectures": profile_query.ARCHITECTURES.items(),
        "chosen": profile_order.chosen_of(prices, query, now),
    }


def _bar(seen: Reading, query: ProfileQuery, now: datetime) -> dict[str, Any]:
    """What the save bar alone needs: one offer is read, not all of them."""
    offer = find_offer(seen.workspace, query.profile, query.location, now) if query.profile else None
    account = offer.profile.provider_account if offer else None
    return _shown(seen, query, now, account) | {"chosen": profile_order.choice_of(offer, now)}


def _shown(seen: Reading, query: ProfileQuery, now: datetime, account: ProviderAccount | None) -> dict[str, Any]:
    return {
        "nav": "fleet",
        "workspace": seen.workspace,
        "now": now,
        "keys": seen.keys,
        "query": query,
        "hostname": profile_order.hostname_of(query, seen.workspace, seen.hosts),
        "nothing": profile_order.why_nothing(seen, account),
    }


# --- Ordering ---------------------------------------------------------------------------------------------------------
def _order(request: HttpRequest, seen: Reading) -> HttpResponse:
    """Order it and go to its operation; or the page again with the reason and the price as it is now."""
    query, sent = profile_query.parse_order(request), request.POST.get("confirmed_price", "")
    confirmed = profile_order.read_price(sent)
    if not host_names.is_possible(query.hostname):
        return _again(request, seen, query, Answer(422, host_names.WHAT_IS_POSSIBLE, "hostname"))
    if query.profile is None or confirmed is None:
        message = profile_order.NO_PRICE if query.profile else "No profile was chosen."
        return _again(request, seen, query, Answer(422, message))
    started = host_order.start(
        seen.workspace,
        hostname=query.hostname,
        profile=query.profile,
        location=query.location,
        confirmed=confirmed,
        actor=Actor.of(account_of(request)),
    )
    if isinstance(started, Refused):
        return _again(request, seen, query, _refused(started, sent))
    return see_other("operation", pk=started.pk)


def _refused(refused: Refused, confirmed: str) -> Answer:
    return Answer(
        status=409,
        message=refused.message,
        wrong="hostname" if refused.code == "name_taken" else "",
        confirmed=confirmed if refused.code == "price_changed" else "",
        evidence=refused.evidence,
    )


def _again(request: HttpRequest, seen: Reading, query: ProfileQuery, answer: Answer) -> HttpResponse:
    return render(request, PAGE, _page(seen, query, timezone.now(), answer), status=answer.status)
