"""Compute profiles with their prices and availability; the hosts of a workspace: ordered, resized and removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Router

from workspaces.api.callers import actor, get_workspace
from workspaces.api.compute_schemas import (
    HostShape,
    HostsShape,
    OrderBody,
    PriceShape,
    ProfilesShape,
    RemovalBody,
    ResizeBody,
)
from workspaces.api.operations import accepted
from workspaces.api.problems import Problem, refused
from workspaces.api.schemas import OperationShape, ProblemDocument
from workspaces.models import Host, Operation, Workspace
from workspaces.models.price_list import Offer, ProfileOffers, clauses_of, key_of, price_list, quote_of, rows_of
from workspaces.operations import host_order, host_removal, host_resize
from workspaces.rules.pricing import PriceBook, Quote
from workspaces.rules.refusal import Refused

router = Router(tags=["Compute"])
_STARTED: Any = {202: OperationShape, **dict.fromkeys((403, 404, 409, 422), ProblemDocument)}
# Refusals that are about what was sent and not about how things are.
_INVALID = {"unknown_profile": "compute_profile", "invalid_name": "hostname"}


# --- Profiles ---------------------------------------------------------------------------------------------------------
@router.get(
    "/workspaces/{uuid:pk}/compute-profiles",
    response={200: ProfilesShape, **dict.fromkeys((404, 422), ProblemDocument)},
)
def compute_profiles(
    request: HttpRequest,
    pk: UUID,
    location: str | None = None,
    architecture: Literal["x86", "arm"] | None = None,
    available: bool | None = None,
) -> dict[str, Any]:
    """Every profile that is offered, with list and agreed prices; the filters leave out what has no location left.

    `available=true` leaves those that can be had; what is not known is neither true nor false.
    """
    workspace = get_workspace(request, pk, need="price.view")
    prices = price_list(workspace, timezone.now())
    items = []
    for one in prices.profiles:
        offers = [offer for offer in one.offers if _wanted(offer, location, available)]
        if offers and architecture in (None, one.profile.architecture):
            items.append(_profile(one, offers))
    return {
        "provider_account": prices.account.name if prices.account else None,
        "checked_at": prices.checked_at,
        "error": prices.error or None,
        "items": items,
    }


def _wanted(offer: Offer, location: str | None, available: bool | None) -> bool:
    return location in (None, offer.location) and (available is None or offer.available is available)


def _profile(one: ProfileOffers, offers: Iterable[Offer]) -> dict[str, Any]:
    profile = one.profile
    alike = ("name", "family", "cores", "memory_gb", "disk_gb", "architecture", "cpu_type")
    return {name: getattr(profile, name) for name in alike} | {
        "id": profile.pk,
        "locations": [
            {
                "location": offer.location,
                "available": offer.available,
                "checked_at": offer.checked_at,
                "unavailable_after": offer.unavailable_after,
                "prices": offer.quote.lines,
            }
            for offer in offers
        ],
    }


# --- Hosts ------------------------------------------------------------------------------------------------------------
@router.get("/workspaces/{uuid:pk}/hosts", response={200: HostsShape, 404: ProblemDocument})
def hosts(request: HttpRequest, pk: UUID) -> dict[str, Any]:
    """The hosts by name, with what each costs."""
    workspace = get_workspace(request, pk, need="price.view")
    rows = workspace.hosts.select_related("provider_account").order_by("name")
    return {"items": _hosts(workspace, list(rows), timezone.now())}


@router.get("/workspaces/{uuid:pk}/hosts/{uuid:host}", response={200: HostShape, 404: ProblemDocument})
def host(request: HttpRequest, pk: UUID, host: UUID) -> dict[str, Any]:
    """One host."""
    found = _host(request, pk, host, need="price.view")
    return _hosts(found.workspace, [found], timezone.now())[0]


def _host(request: HttpRequest, pk: UUID, key: UUID, *, need: str) -> Host:
    """The host of that workspace with its account; 404 for a host of another one."""
    workspace = get_workspace(request, pk, need=need)
    found = workspace.hosts.select_related("provider_account").filter(pk=key).first()
    if found is None:
        raise Http404
    found.workspace = workspace
    return found


def _hosts(workspace: Workspace, rows: Sequence[Host], now: datetime) -> list[dict[str, Any]]:
    today = now.astimezone(UTC).date()
    book, known = PriceBook(clauses_of(workspace.project.organization_id, today), today), rows_of(rows)
    alike = ("name", "provider_id", "disk_gb", "ready", "unschedulable", "observed_at")
    or_null = ("profile", "location", "provider_status", "node_name", "kubelet_version")
    return [
        {name: getattr(row, name) for name in alike}
        | {name: getattr(row, name) or None for name in or_null}
        | {
            "id": row.pk,
            "workspace": workspace,
            "provider_account": row.provider_account.name if row.provider_account else None,
            "prices": quote_of(book, known[key_of(row)]).lines if key_of(row) in known else None,
        }
        for row in rows
    ]


# --- Changing them ----------------------------------------------------------------------------------------------------
@router.post("/workspaces/{uuid:pk}/hosts", response=_STARTED)
def order(request: HttpRequest, pk: UUID, body: OrderBody) -> HttpResponse:
    """Order one host; the operation does the work and tells how it goes.

    409 also for price_changed (`prices`: as they are now), unavailable, inactive_profile, price_unknown, name_taken,
    limit_reached and no_provider. 422 for a profile or location that the workspace's account does not have.
    """
    workspace = get_workspace(request, pk, need="host.order")
    started = host_order.start(
        workspace,
        hostname=body.hostname,
        profile=body.compute_profile,
        location=body.location,
        confirmed=Decimal(body.confirmed_price),
        actor=actor(request),
    )
    return _answered(started)


@router.post("/workspaces/{uuid:pk}/hosts/{uuid:host}/resize", response=_STARTED)
def resize(request: HttpRequest, pk: UUID, host: UUID, body: ResizeBody) -> HttpResponse:
    """Make its server another type: it is drained and off for some minutes. Growing the disk cannot be undone.

    409 also for price_changed (`prices`: as they are now), unavailable, other_architecture, disk_too_small,
    same_profile and not_a_server.
    """
    found = _host(request, pk, host, need="host.resize")
    started = host_resize.start(
        found,
        profile=body.compute_profile,
        grow_disk=body.grow_disk,
        confirmed=Decimal(body.confirmed_price),
        actor=actor(request),
    )
    return _answered(started)


@router.delete("/workspaces/{uuid:pk}/hosts/{uuid:host}", response=_STARTED)
def remove(
    request: HttpRequest, pk: UUID, host: UUID, confirm_name: str | None = None, body: RemovalBody | None = None
) -> HttpResponse:
    """Drain it, take it out of the cluster and delete its server for good. Its name confirms, as query or in the body.

    409 also for wrong_name and last_host.
    """
    found = _host(request, pk, host, need="host.remove")
    typed = body.confirm_name if body else confirm_name
    if typed is None:
        raise _invalid("confirm_name", "The name of the host confirms its removal.", "missing", place="query")
    return _answered(host_removal.start(found, confirm_name=typed, actor=actor(request)))


def _answered(started: Operation | Refused) -> HttpResponse:
    """202 with the operation, or the refusal with the prices as they are now where those are why."""
    if isinstance(started, Operation):
        return accepted(started)
    if started.code in _INVALID:
        raise _invalid(_INVALID[started.code], started.message, started.code)
    if started.code == "price_changed":
        quote = Quote.of(started.evidence)
        prices = [PriceShape.model_validate(line).model_dump(mode="json") for line in quote.lines]
        raise Problem(409, started.code, started.message, prices=prices)
    raise refused(started)


def _invalid(field: str, message: str, code: str, *, place: str = "body") -> Problem:
    error = {"loc": [place, field], "msg": message, "code": code}
    return Problem(422, "invalid", message, errors=[error])
