"""Deleting a server that no host has: on a person's word, after two looks, and only if it is still nobody's.

They are found by the look at a provider account (`reconcile.py`) and shown by `models/left_servers.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from workspaces.models import (
    PLATFORM,
    Actor,
    Event,
    Host,
    LeftServer,
    Operation,
    ProfileLocation,
    ProviderAccount,
    Workspace,
)
from workspaces.models.left_servers import LEAVING, ORDER, seen_once
from workspaces.models.price_list import clauses_of, quote_of
from workspaces.operations import connections, dispatch
from workspaces.operations.host_offer import in_words
from workspaces.providers.errors import ProviderError
from workspaces.rules import labels
from workspaces.rules.ids import as_id
from workspaces.rules.pricing import PriceBook
from workspaces.rules.refusal import Refused

logger = logging.getLogger(__name__)
ASKED: Final = "server.deletion_requested"


def delete_left(left: LeftServer, *, confirm_name: str, actor: Actor) -> Refused | None:
    """Have a job delete the server, or say why not. `confirm_name` is its name, typed."""
    with transaction.atomic():
        current = LeftServer.objects.select_for_update(of=("self",)).filter(pk=left.pk).first()
        if current is None:
            return Refused("gone", f"{left} is not a left server any more.")
        if confirm_name != current.name:
            return Refused("wrong_name", f"Type the name of the server, {current}, to confirm.")
        if refused := refuse(current):
            return refused
        current.status = LEAVING
        current.save(update_fields=["status"])
        Event.record(
            actor,
            ASKED,
            organization=current.provider_account.organization,
            summary=f"Asked for the deletion of server {current} ({current.provider_id}), which no host has",
            changes={"left_server": [None, str(current.pk)]},
        )
        key = str(current.pk)
        # Where it gets lost, the next look says that the server is still there.
        transaction.on_commit(lambda: dispatch.fan_out("workspaces.jobs.delete_left_server", [key]), robust=True)
    return None


def refuse(left: LeftServer) -> Refused | None:
    """seen_once, has_host, being_ordered, other_installation: whether it may be deleted at all."""
    if seen_once(left, timezone.now()):
        return Refused("seen_once", f"{left} has been seen once only. The next look has to find it left, too.")
    host, workspace = (as_id(str(left.labels.get(name))) for name in (labels.HOST, labels.WORKSPACE))
    # A host that knows its server has no part in another one with its label.
    if Host.objects.filter(Q(provider_id=left.provider_id) | Q(pk=host, provider_id=None)).exists():
        return Refused("has_host", f"{left} belongs to a host.")
    if Operation.objects.open().filter(kind=ORDER, parameters__host=str(host)).exists():
        return Refused("being_ordered", f"{left} is being ordered.")
    if workspace and not Workspace.objects.filter(pk=workspace).exists():
        return Refused(
            "other_installation",
            f"{left} is labelled with a workspace that does not exist here: another installation may have made it.",
            {"workspace": str(workspace)},
        )
    return None


def delete_left_server(key: UUID) -> None:
    """Delete the server that somebody asked for, unless it has become somebody's. What is refused stays listed."""
    left = LeftServer.objects.select_related("provider_account__organization").filter(pk=key).first()
    if left is None:
        return
    status = ""
    try:
        cloud = connections.cloud(left.provider_account)
        server = cloud.server(left.provider_id)
        status = server.status
        refused = refuse(left) or _changed(left, server.labels)
        if refused is None and status != LEAVING:
            cloud.delete_server(server.id)
    except ProviderError as error:
        if error.code == "not_found":
            left.delete()
            return
        refused = Refused(error.code, error.message)
    if refused:
        logger.warning("Server %s of %s was not deleted: %s", left.provider_id, left.provider_account, refused.message)
        LeftServer.objects.filter(pk=key).update(status=status)
        return
    _forget(left)


def _changed(left: LeftServer, now: Mapping[str, str]) -> Refused | None:
    if dict(now) == left.labels:
        return None
    return Refused("changed", f"{left} carries other labels than when its deletion was asked for.")


def _forget(left: LeftServer) -> None:
    """Write down what was deleted, and what it cost, by whoever has asked for it."""
    account = left.provider_account
    paid = a_month(account, account.organization_id, left.profile, left.location)
    cost = f"{paid} is not paid any more" if paid else "what it cost is not known"
    actor = _who_asked(left)
    with transaction.atomic():
        LeftServer.objects.filter(pk=left.pk).delete()
        Event.record(
            actor,
            "server.deleted",
            organization=account.organization,
            summary=f"Deleted server {left} ({left.provider_id}), {left.profile} in {left.location}: {cost}",
        )


def _who_asked(left: LeftServer) -> Actor:
    asked = Event.objects.filter(
        organization_id=left.provider_account.organization_id, action=ASKED, changes__left_server__1=str(left.pk)
    ).first()
    return Actor(asked.actor_kind, asked.actor_name, asked.actor_id) if asked else PLATFORM


def a_month(account: ProviderAccount, organization: UUID, profile: str, location: str) -> str:
    """What a server costs that organization a month at most, as `in_words` says it; "" if that is not known."""
    rows = ProfileLocation.objects.select_related("profile").filter(location=location, profile__name=profile)
    row = rows.filter(profile__provider_account=account).first()
    if row is None:
        return ""
    today = timezone.now().astimezone(UTC).date()
    quote = quote_of(PriceBook(clauses_of(organization, today), today), row)
    return in_words(quote)
