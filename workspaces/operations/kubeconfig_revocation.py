"""Taking back kubeconfigs of ServiceAccounts: asked for in a request, done by a worker, tried again until it is.

A row is revoked once the API server has deleted the account, and not before. A client certificate cannot be taken back
but by changing the cluster's certificate authority (`ca_rotation.py`).
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from workspaces.models import PLATFORM, Actor, Event, Kubeconfig
from workspaces.operations import connections, dispatch
from workspaces.providers import service_accounts
from workspaces.providers.errors import ProviderError
from workspaces.rules.refusal import Refused

logger = logging.getLogger(__name__)
# What nobody has taken has an account all the same, which is to go; older ones have been looked after.
_FORGOTTEN_AFTER: Final = timedelta(days=2)


# --- In a request -----------------------------------------------------------------------------------------------------
def ask(kubeconfig: Kubeconfig, actor: Actor) -> Refused | None:
    """Have a worker revoke it. Refused: not_revocable (a client certificate), not_valid (it has ended already)."""
    with transaction.atomic():
        locked = Kubeconfig.objects.select_for_update(of=("self",), no_key=True).select_related("workspace__project")
        found = locked.defer("document").get(pk=kubeconfig.pk)
        if refused := refuse(found, timezone.now()):
            return refused
        if found.revocation_asked_at is None:
            found.revocation_asked_at, found.revoked_by = timezone.now(), actor.name
            found.save(update_fields=["revocation_asked_at", "revoked_by"])
            Event.record(
                actor,
                "kubeconfig.revocation_asked",
                summary=f"Asked for the revocation of the kubeconfig that {found.requested_by} has of "
                f"{found.workspace}: {found.reason}",
                workspace=found.workspace,
                changes={"kubeconfig": str(found.pk)},
            )
        dispatch.revoke_soon(found.pk)
    return None


def refuse(kubeconfig: Kubeconfig, now: datetime) -> Refused | None:
    """Why it cannot be revoked; None when nothing speaks against it."""
    if kubeconfig.kind != "service_account":
        return Refused(
            "not_revocable",
            "A client certificate cannot be taken back. It works until it ends, or until the certificate authority of "
            "the cluster is changed.",
        )
    ended = kubeconfig.certificate_until is not None and kubeconfig.certificate_until <= now
    if kubeconfig.revoked_at or kubeconfig.state != "taken" or ended:
        return Refused("not_valid", "It is not valid any more, or was never taken.")
    return None


# --- In a worker ------------------------------------------------------------------------------------------------------
def revoke(key: UUID) -> None:
    """Revoke the one that somebody asked for. Running twice is harmless; what fails is tried again every minute."""
    asked = Kubeconfig.objects.filter(pk=key, revoked_at=None).exclude(revocation_asked_at=None)
    row = asked.select_related("workspace__management_cluster").defer("document").first()
    if row is None or row.workspace.state == "deleted":
        return
    try:
        revoke_now(row)
    except ProviderError as error:
        Kubeconfig.objects.filter(pk=key, revoked_at=None).update(revocation_failure=error.message[:300])


def revoke_now(row: Kubeconfig) -> bool:
    """Delete its account at the API server and write down that it is revoked; whether the account was there.

    Raises ProviderError, and nothing is written then.
    """
    with connections.tenant(row.workspace) as cluster:
        existed = service_accounts.revoke(cluster, row.service_account)
    now, by = timezone.now(), row.revoked_by or PLATFORM.name
    with transaction.atomic():
        mine = Kubeconfig.objects.filter(pk=row.pk, revoked_at=None)
        if mine.update(revoked_at=now, revoked_by=by, revocation_failure="") and row.state == "taken":
            Event.record(
                PLATFORM,
                "kubeconfig.revoked",
                summary=f"Revoked the kubeconfig that {row.requested_by} had of {row.workspace}, asked for by {by}",
                workspace=row.workspace,
                changes={"kubeconfig": str(row.pk)},
            )
    return existed


def try_again(now: datetime) -> None:
    """Hand out once more what is still to be revoked, and accounts of kubeconfigs that nobody has taken."""
    for key in _to_be_revoked(now).values_list("pk", flat=True):
        dispatch.revoke_soon(key)


def _to_be_revoked(now: datetime) -> QuerySet[Kubeconfig]:
    mine = Kubeconfig.objects.filter(kind="service_account", revoked_at=None).exclude(service_account="")
    given_up = mine.filter(
        state__in=("expired", "failed"), revocation_asked_at=None, requested_at__gt=now - _FORGOTTEN_AFTER
    )
    given_up.update(revocation_asked_at=now, revoked_by=PLATFORM.name)
    waiting = Q(certificate_until=None) | Q(certificate_until__gt=now)
    return mine.filter(waiting).exclude(revocation_asked_at=None).exclude(workspace__state="deleted")
