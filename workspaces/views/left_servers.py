"""Left servers: what provider accounts have under our labels and nobody uses, hosts without a server, and deleting one.

What is left is found by the look at an account (`operations/reconcile.py`); here it is told with its price.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from workspaces.models import Actor, LeftServer
from workspaces.models.left_servers import AccountLook, Left, accounts_seen, looks_of, seen_once
from workspaces.operations.left_servers import delete_left, refuse
from workspaces.rules.refusal import Refused
from workspaces.views.access import account_of, get_organization, login_required
from workspaces.views.money import money, set_by
from workspaces.views.see_other import see_other

# Sections with findings, and lines of accounts without any, that one page shows.
SECTIONS, QUIET = 50, 100


@dataclass(frozen=True, slots=True)
class Row:
    """A left server: what it costs a month as list and agreed (empty: not known), and whether it may go now."""

    left: Left
    list: str
    agreed: str
    why: str
    seen_once: bool
    may_delete: bool


@dataclass(frozen=True, slots=True)
class Section:
    """A provider account: its left servers, what they cost together, its hosts without a server."""

    look: AccountLook
    rows: list[Row]
    total: str
    list_total: str


@login_required
@require_safe
def left_servers(request: HttpRequest) -> HttpResponse:
    """Every provider account the reader sees: those with findings in full, the others by when they were looked at."""
    now, account = timezone.now(), account_of(request)
    accounts = accounts_seen(account).order_by("organization__name", "name")
    looks = looks_of(accounts, account, now)
    found = [look for look in looks if look.found or not look.known]
    quiet = [look for look in looks if look.known and not look.found]
    context = {
        "nav": "left_servers",
        "now": now,
        "several": len({look.account.organization_id for look in looks}) > 1,
        "accounts": len(looks),
        "sections": [_section(look, now) for look in found[:SECTIONS]],
        "section_count": len(found),
        "quiet": quiet[:QUIET],
        "quiet_count": len(quiet),
        "servers": sum(len(look.left) for look in looks),
        "missing": sum(len(look.missing) for look in looks),
        "unknown": sum(not look.known for look in looks),
        "total": _together(looks),
        "unpriced": sum(look.unpriced for look in looks),
        "last_look": min((look.account.observed_at for look in quiet if look.account.observed_at), default=None),
    }
    return render(request, "workspaces/left_servers.html", context)


def _section(look: AccountLook, now: datetime) -> Section:
    rows = [_row(left, look, now) for left in look.left]
    agreed = " and ".join(money(one.agreed, one.currency) for one in look.sums)
    listed = " and ".join(money(one.list, one.currency) for one in look.sums)
    return Section(look, rows, agreed, listed)


def _row(left: Left, look: AccountLook, now: datetime) -> Row:
    quote, once = left.quote, seen_once(left.server, now)
    line = quote.line("monthly") if quote else None
    return Row(
        left=left,
        list=money(quote.list_monthly_total, quote.currency) if quote else "",
        agreed=money(quote.monthly_total, quote.currency) if quote else "",
        why=set_by(line) if line else "",
        seen_once=once,
        may_delete=look.may_delete and not once and not left.leaving and not left.foreign,
    )


def _together(looks: Sequence[AccountLook]) -> str:
    """What everything that is left costs a month, an amount for each currency."""
    sums = [one for look in looks for one in look.sums]
    currencies = sorted({one.currency for one in sums})
    amounts = {key: [one.agreed for one in sums if one.currency == key] for key in currencies}
    return " and ".join(money(sum(of[1:], of[0]), key) for key, of in amounts.items())


# --- Deleting ---------------------------------------------------------------------------------------------------------
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, pk: UUID) -> HttpResponse:
    """What would be deleted, and the form that asks for its name; POST hands it to a worker."""
    account = account_of(request)
    rows = LeftServer.objects.filter(provider_account__in=accounts_seen(account).order_by().values("pk"))
    server = get_object_or_404(rows.select_related("provider_account"), pk=pk)
    get_organization(request, server.provider_account.organization_id, need="host.remove")
    if request.method != "POST":
        return _page(request, server)
    typed = request.POST.get("confirm_name", "").strip()
    refused = delete_left(server, confirm_name=typed, actor=Actor.of(account))
    if refused:
        return _page(request, server, refused, typed)
    messages.success(request, f"{server.name} is being deleted. It is listed here until the provider lists it no more.")
    return see_other("left_servers")


def _page(request: HttpRequest, server: LeftServer, refused: Refused | None = None, typed: str = "") -> HttpResponse:
    """The whole page; `refused` is why it was not deleted: a name that differs is 422, anything else 409."""
    now, account = timezone.now(), account_of(request)
    look = looks_of(accounts_seen(account).filter(pk=server.provider_account_id), account, now)[0]
    left = next((one for one in look.left if one.server.pk == server.pk), Left(server, "", None, False, None))
    wrong_name = refused is not None and refused.code == "wrong_name"
    # Why the form is not there at all.
    barred = refuse(server) if refused is None else None if wrong_name else refused
    context: dict[str, Any] = {
        "nav": "left_servers",
        "now": now,
        "look": look,
        "left": left,
        "row": _row(left, look, now),
        "refused": refused,
        "barred": barred,
        "wrong_name": wrong_name,
        "typed": typed,
    }
    status = 422 if wrong_name else 409 if refused else 200
    return render(request, "workspaces/left_server_delete.html", context, status=status)
