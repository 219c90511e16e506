"""Handing out a workspace's kubeconfig: asked for in a request, fetched by a worker, taken once, erased.

The document lies sealed in its row for ten minutes at most, and is in no event, log line or page. What a kubeconfig may
hold is checked in `providers/kubeconfig`; taking back those that can be is `kubeconfig_revocation.py`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from workspaces.models import Account, Actor, Event, Kubeconfig, Workspace
from workspaces.models.kubeconfig import TO_BE_TAKEN_WITHIN
from workspaces.operations import connections, dispatch
from workspaces.providers import kubeconfig, service_accounts
from workspaces.providers.errors import ProviderError
from workspaces.rules import labels, lifecycle
from workspaces.rules.refusal import Refused

# What was asked for this long ago and has not been fetched was lost with its worker, or with the queue.
LOST_AFTER = timedelta(seconds=60)
# Seconds that a token of a ServiceAccount is asked for: 90 days. The API server may give less.
TOKEN_LASTS: Final = 90 * 24 * 3600
# Those with a control plane; for what is about to be deleted, the export is part of winding it down.
STATES = ("active", "gated", "error", "deletion_scheduled")
_GONE = {
    "requested": "It is still being fetched. This page shows when it is there.",
    "taken": "It was handed out already, and erased here. Export another one.",
    "expired": "It was not taken within 10 minutes, and erased. Export another one.",
    "failed": "It could not be fetched. Export another one.",
}


# --- In a request -----------------------------------------------------------------------------------------------------
def request(workspace: Workspace, reason: str, by: Account, kind: str = "admin") -> Kubeconfig | Refused:
    """Have a kubeconfig of `workspace` fetched for `by`, or say why not. Whether `by` may is for the caller to know.

    `kind` is admin (a client certificate, which cannot be taken back) or service_account (which can).
    """
    with transaction.atomic():
        # Of two clicks at once the second waits here, and then sees the first one's row.
        Account.objects.select_for_update(no_key=True).get(pk=by.pk)
        refused = refuse(workspace, by)
        if refused:
            return refused
        asked = Kubeconfig.objects.create(
            workspace=workspace, kind=kind, requested_by=str(by), requested_by_id=by.pk, reason=reason
        )
        Event.record(
            Actor.of(by),
            "kubeconfig.requested",
            summary=f"Asked for a kubeconfig of {workspace} with {asked.get_kind_display().lower()}: {reason}",
            workspace=workspace,
            changes={"kubeconfig": str(asked.pk), "kind": kind, "reason": reason},
        )
        dispatch.fetch_soon(asked.pk)
    return asked


def refuse(workspace: Workspace, by: Account) -> Refused | None:
    """Why `by` cannot get a kubeconfig of `workspace` now; None when nothing speaks against it."""
    if not workspace.is_kubernetes:
        return Refused("not_kubernetes", f"{workspace} has no Kubernetes, so there is no kubeconfig.")
    if workspace.state not in STATES:
        label = lifecycle.WORKSPACE[workspace.state].label
        return Refused("not_active", f"{workspace} has no control plane to fetch a kubeconfig from. State: {label}.")
    if not workspace.management_cluster_id or not workspace.control_plane:
        return Refused("not_linked", f"{workspace} is not linked to a control plane on a management cluster.")
    fetching = Kubeconfig.objects.filter(requested_by_id=by.pk, state="requested").select_related("workspace").first()
    if fetching:
        return Refused(
            "being_fetched",
            f"Your kubeconfig of {fetching.workspace} is still being fetched. One is fetched at a time.",
            {"kubeconfig": str(fetching.pk), "workspace": str(fetching.workspace_id)},
        )
    return None


def take(key: UUID, by: Account) -> str | Refused:
    """The document, for the one who asked for it, once: it is erased in the same transaction."""
    with transaction.atomic():
        locked = Kubeconfig.objects.select_for_update(of=("self",), no_key=True)
        found = locked.select_related("workspace__project").get(pk=key)
        if found.requested_by_id != by.pk:
            return Refused("not_yours", f"Only {found.requested_by} may take it: they asked for it.")
        if found.state != "ready" or is_late(found):
            return Refused("not_ready", _GONE["expired" if found.state == "ready" else found.state])
        if found.workspace.state in lifecycle.GONE:
            return Refused("not_active", f"{found.workspace} is being deleted: no kubeconfig of it is handed out.")
        document: str = found.document.reveal()
        found.document, found.state, found.taken_at = "", "taken", timezone.now()
        found.save(update_fields=["document", "state", "taken_at"])
        Event.record(
            Actor.of(by),
            "kubeconfig.taken",
            summary=f"Took a kubeconfig of {found.workspace} with {found.get_kind_display().lower()}: {found.reason}",
            workspace=found.workspace,
            changes={"kubeconfig": str(found.pk), "certificate_until": _in_words(found)},
        )
    return document


def is_late(found: Kubeconfig) -> bool:
    """Whether the time to take it is over, also when the scheduler has not erased it yet."""
    return found.fetched_at is not None and found.fetched_at <= timezone.now() - TO_BE_TAKEN_WITHIN


def _in_words(found: Kubeconfig) -> str | None:
    return found.certificate_until.isoformat() if found.certificate_until else None


# --- In a worker ------------------------------------------------------------------------------------------------------
def fetch(key: UUID) -> None:
    """Read the kubeconfig from the management cluster and seal it into the row. Running twice is harmless."""
    wanted = Kubeconfig.objects.select_related("workspace__management_cluster").filter(pk=key, state="requested")
    asked = wanted.first()
    if asked is None:
        return
    try:
        document, until = _issue(asked) if asked.kind == "service_account" else _administrators(asked)
    except ProviderError as error:
        wanted.update(state="failed", failure=error.message[:300])
        return
    # Conditional: another worker, or the deadline, may have been quicker.
    wanted.update(state="ready", document=document, fetched_at=timezone.now(), certificate_until=until)


def _administrators(asked: Kubeconfig) -> tuple[str, datetime | None]:
    """The administrator kubeconfig, and when its client certificate ends."""
    document = connections.tenant_kubeconfig(asked.workspace)
    return document, kubeconfig.certificate_end(kubeconfig.read(document))


def _issue(asked: Kubeconfig) -> tuple[str, datetime]:
    """A kubeconfig of a ServiceAccount of its own, and when its token ends.

    The account's name is in the row before the account is: whoever comes next can take back what is left.
    """
    name = f"loopback-{asked.pk.hex[:12]}"
    Kubeconfig.objects.filter(pk=asked.pk).update(service_account=name)
    with connections.tenant(asked.workspace) as cluster:
        issued = service_accounts.issue(
            cluster, name, labels={labels.WORKSPACE: str(asked.workspace_id)}, seconds=TOKEN_LASTS
        )
    administrators = connections.tenant_kubeconfig(asked.workspace)
    return service_accounts.document(administrators, name, issued.token), issued.until


def erase_and_repair() -> None:
    """Erase what was not taken in time, and have fetched again what a worker or the queue has lost."""
    now = timezone.now()
    asked = Kubeconfig.objects.filter(state="requested")
    Kubeconfig.objects.filter(state="ready", fetched_at__lte=now - TO_BE_TAKEN_WITHIN).update(
        state="expired", document=""
    )
    asked.filter(requested_at__lte=now - TO_BE_TAKEN_WITHIN).update(
        state="failed", failure="No worker has fetched it within 10 minutes."
    )
    for key in asked.filter(requested_at__lte=now - LOST_AFTER).values_list("pk", flat=True):
        dispatch.fetch_soon(key)
