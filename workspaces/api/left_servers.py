"""Left servers: what provider accounts have that nobody uses, and hosts without a server, as last seen."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest
from django.utils import timezone
from ninja import Router, Schema

from workspaces.api.callers import caller
from workspaces.api.paging import page
from workspaces.api.prices import Amount
from workspaces.api.schemas import Named, Page, ProblemDocument, Time
from workspaces.api.tenancy import Limit
from workspaces.models.commercial import priced_organizations
from workspaces.models.left_servers import AccountLook, Left, Missing, accounts_seen, looks_of

router = Router(tags=["Left servers"])


class MonthShape(Schema):
    """What a server costs a month at most, its address included, net."""

    currency: str
    list: Amount
    agreed: Amount


class LookError(Schema):
    """Why the account could not be asked."""

    code: str
    message: str
    since: Time | None


class LeftServerShape(Schema):
    """A server under our labels that no host has. `workspace`: as labelled, if the caller sees it."""

    id: UUID
    provider_id: int
    name: str
    profile: str
    location: str
    status: str
    created_at: Time
    first_seen_at: Time
    observed_at: Time
    workspace: Named | None
    monthly: MonthShape | None


class MissingServerShape(Schema):
    """A host whose server is gone, or (`reason` never_made) that never got one."""

    id: UUID
    name: str
    workspace: Named
    reason: str


class AccountLookShape(Schema):
    """A provider account as last looked at; not `known`: it could not be asked, and this is what was seen before."""

    id: UUID
    name: str
    organization: Named
    observed_at: Time | None
    known: bool
    error: LookError | None
    left_servers: list[LeftServerShape]
    hosts_without_server: list[MissingServerShape]
    monthly: list[MonthShape]
    unpriced: int


@router.get("/left-servers", response={200: Page[AccountLookShape], 404: ProblemDocument, 422: ProblemDocument})
def left_servers(
    request: HttpRequest, organization: UUID | None = None, limit: Limit = 50, cursor: str | None = None
) -> dict[str, Any]:
    """Every provider account whose prices the caller may see, with what nobody uses there; by the account's name."""
    who, now = caller(request), timezone.now()
    rows = accounts_seen(who)
    if organization is not None:
        if not priced_organizations(who).filter(pk=organization).exists():
            raise Http404
        rows = rows.filter(organization=organization)
    answer = page(rows, "name", limit, cursor, lambda row: row)
    return answer | {"items": [_look(look) for look in looks_of(answer["items"], who, now)]}


def _look(look: AccountLook) -> dict[str, Any]:
    row = look.account
    error = {"code": row.error_code, "message": row.error_message, "since": row.error_since}
    return {
        "id": row.pk,
        "name": row.name,
        "organization": row.organization,
        "observed_at": row.observed_at,
        "known": look.known,
        "error": error if row.error_code else None,
        "left_servers": [_left(one) for one in look.left],
        "hosts_without_server": [_missing(one) for one in look.missing],
        "monthly": look.sums,
        "unpriced": look.unpriced,
    }


def _left(one: Left) -> dict[str, Any]:
    plain = ("provider_id", "name", "profile", "location", "status", "created_at", "first_seen_at", "observed_at")
    quote = one.quote
    month = (
        {"currency": quote.currency, "list": quote.list_monthly_total, "agreed": quote.monthly_total} if quote else None
    )
    row = {name: getattr(one.server, name) for name in plain}
    return row | {"id": one.server.pk, "workspace": one.workspace, "monthly": month}


def _missing(one: Missing) -> dict[str, Any]:
    reason = "server_gone" if one.gone else "never_made"
    return {"id": one.host.pk, "name": one.host.name, "workspace": one.host.workspace, "reason": reason}
