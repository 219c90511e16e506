"""Deleting what the clusters have of a workspace: handed-out kubeconfigs, control plane, data store, namespace.

The order is the policy's. Everything is asked for on the condition that it is still what the plan names, by its uid,
and then waited for: Kamaji drops the tenant's data and lifts its finalizers itself. Here none is ever taken away.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.conf import settings

from workspaces.models import Kubeconfig
from workspaces.operations import connections, deletion_diagnosis, engine, kubeconfig_revocation
from workspaces.operations.deletion_record import agreed, in_words, is_told, left, named, removed
from workspaces.operations.diagnosis import Finding
from workspaces.operations.engine import Context, Done, Outcome
from workspaces.providers.errors import Permanent, ProviderError, Temporary
from workspaces.providers.kamaji import Kamaji
from workspaces.providers.kamaji_remains import NamespaceSeen, Remains, StoreSeen
from workspaces.rules import labels
from workspaces.rules.deletion_plan import Item, Plan

# Failures of the tenant after which its tokens are left to die with the control plane.
# Fewer than those after which the engine asks for a person.
_TRIES: Final = engine.FEWEST_FAILURES - 1
# Namespaces that a management cluster needs, whatever a row says.
_NEVER: Final = ("default", "kube-system", "kube-public", "kube-node-lease", "kamaji-system")
_ANEW: Final = "An administrator, by finding out who made it anew."
_CERTIFICATE: Final = "A client certificate cannot be taken back: it works until it ends, as the cluster stays."


def _deletes(plan: Plan, part: str) -> bool:
    return any(step.part == part and step.action == "delete" for step in plan.steps)


def _items(context: Context, plan: Plan, kind: str, name: str) -> list[Item]:
    """What the plan names of a kind; where the cluster could not be asked, what goes by the name that our row has."""
    found = named(plan, kind)
    if not found and any(kind in one.parts and not one.account for one in plan.not_asked):
        found = [Item(kind, kind, "", name)]
    return [item for item in found if not is_told(context, item)]


# --- Kubeconfigs ------------------------------------------------------------------------------------------------------
def kubeconfigs(context: Context) -> Outcome:
    """Delete the ServiceAccounts of those that can be revoked. The others end with the control plane."""
    plan = agreed(context)
    ends = _deletes(plan, "control_plane")
    for item in named(plan, "kubeconfig"):
        row = Kubeconfig.objects.filter(pk=item.ref).select_related("workspace__management_cluster").first()
        if is_told(context, item):
            continue
        if row is None or row.revoked_at is not None:
            removed(context, item)
        elif row.kind == "service_account":
            _revoke(context, row, item, ends)
        elif not ends:
            left(context, item, _CERTIFICATE)
    return Done(in_words(context) if context.step.memory else "what was handed out ends with the control plane")


def _revoke(context: Context, row: Kubeconfig, item: Item, ends: bool) -> None:
    """Revoke one. A tenant that is silent must not keep its own deletion waiting: its tokens end with it."""
    try:
        kubeconfig_revocation.revoke_now(row)
    except ProviderError as error:
        if not ends or (isinstance(error, Temporary) and context.step.failures < _TRIES):
            raise
        context.say(f"Not revoked beforehand, it ends with the control plane: {error.message}", level="warn")
        return
    removed(context, item)


# --- Control plane ----------------------------------------------------------------------------------------------------
def control_plane(context: Context) -> Outcome:
    """Ask for the deletion of the control plane, and wait until it is gone. What holds it up is told at once."""
    workspace, plan = context.workspace, agreed(context)
    for item in _items(context, plan, "control_plane", workspace.control_plane):
        with _management(context) as kamaji:
            remains = Remains(kamaji)
            seen = remains.plane(workspace.namespace, workspace.control_plane)
            if seen is None:
                removed(context, item)
                continue
            _same(context, item, seen.uid, f"Control plane {seen.namespace}/{seen.name}")
            if not seen.deleting:
                remains.delete_plane(seen)
            held_up = deletion_diagnosis.of_deletion(context, kamaji, remains, seen)
        return _wait(context, held_up, f"The control plane is not gone after {context.waited / 60:.0f} min")
    _end_kubeconfigs(context, plan)
    return Done(in_words(context))


def _end_kubeconfigs(context: Context, plan: Plan) -> None:
    """With the control plane every kubeconfig of it is dead."""
    for item in named(plan, "kubeconfig"):
        removed(context, item)


def _same(context: Context, item: Item, uid: str, what: str) -> None:
    """Raise unless what is there is what was agreed to; where that is not known, what was seen first."""
    agreed_to = item.ref or context.step.memory.get("uid")
    if agreed_to is None:
        context.remember(uid=uid)
    elif agreed_to != uid:
        said = f"{what} is another one than was agreed to: somebody has made it anew, so it is not deleted."
        raise Permanent("conflict", said, who_can_fix=_ANEW)


# --- Data store -------------------------------------------------------------------------------------------------------
def data_store(context: Context) -> Outcome:
    """Delete the data stores under the label that nobody else uses. Kamaji holds one while it is in use."""
    items = _items(context, agreed(context), "data_store", "")
    for item in items:
        with _management(context) as kamaji:
            remains = Remains(kamaji)
            for store in _stores(context, remains, item):
                if finding := _delete_store(context, remains, item, store):
                    return _wait(context, finding, f"Data store {store.name} is not gone")
    return Done(in_words(context))


def _stores(context: Context, remains: Remains, item: Item) -> list[StoreSeen]:
    """The store that the item names, else all under the label; none is there any more: it is told."""
    if item.ref:
        store = remains.store(item.name)
        found = [store] if store is not None and store.uid == item.ref else []
    else:
        found = remains.stores(labels.of_workspace(context.workspace.pk))
    if not found:
        removed(context, item)
    return found


def _delete_store(context: Context, remains: Remains, item: Item, store: StoreSeen) -> Finding | None:
    """Ask for it unless it has to stay; what has to be waited for, if anything."""
    workspace = context.workspace
    others = [one for one in store.used_by if one != f"{workspace.namespace}/{workspace.control_plane}"]
    if store.labels.get(labels.WORKSPACE) != str(workspace.pk):
        left(context, item, "It is not under the label of the workspace any more.")
        return None
    if others:
        left(context, item, f"Others use it: {', '.join(others)}.")
        return None
    if not store.deleting and not store.used_by:
        remains.delete_store(store)
    return deletion_diagnosis.of_store(store)


# --- Namespace --------------------------------------------------------------------------------------------------------
def namespace(context: Context) -> Outcome:
    """Delete the namespace, if nothing of anybody else is in it. Kubernetes says itself why it is not gone yet."""
    workspace = context.workspace
    for item in _items(context, agreed(context), "namespace", workspace.namespace):
        with _management(context) as kamaji:
            remains = Remains(kamaji)
            seen = remains.namespace(workspace.namespace, workspace.control_plane)
            if seen is None:
                removed(context, item)
                continue
            if not seen.deleting and (why := _why_it_stays(context, remains, seen)):
                left(context, item, why)
                continue
            _same(context, item, seen.uid, f"Namespace {seen.name}")
            if not seen.deleting:
                remains.delete_namespace(seen)
        return _wait(context, deletion_diagnosis.of_namespace(seen), f"Namespace {seen.name} is not gone")
    return Done(in_words(context))


def _why_it_stays(context: Context, remains: Remains, seen: NamespaceSeen) -> str:
    if seen.name in _NEVER:
        return "The management cluster itself needs it."
    if remains.plane(seen.name, context.workspace.control_plane) is not None:
        return "A control plane of this name is in it again."
    if seen.holds:
        more = len(seen.holds) - 3
        return f"In it is also {', '.join(seen.holds[:3])}{f' and {more} more' if more > 0 else ''}."
    return ""


# --- Both -------------------------------------------------------------------------------------------------------------
@contextmanager
def _management(context: Context) -> Iterator[Kamaji]:
    """The management cluster's API."""
    cluster = context.workspace.management_cluster
    if cluster is None:
        raise Permanent("configuration", f"{context.workspace} is linked to no management cluster.")
    with connections.management(cluster) as kamaji:
        yield kamaji


def _wait(context: Context, finding: Finding, said: str) -> Outcome:
    """Ask again soon; past the deadline a person has to look, and is told what was found."""
    if context.waited > settings.LOOPBACK_CONTROL_PLANE_DEADLINE:
        who = f"{finding.who_can_fix} Then continue."
        raise Permanent(finding.cause or "cloud_api", f"{said}: {finding.message}.", who_can_fix=who)
    return context.again(finding.message, cause=finding.cause, who_can_fix=finding.who_can_fix if finding.cause else "")
