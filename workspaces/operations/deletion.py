"""Deleting a workspace: the steps that the agreed plan asks for, in the policy's order, and their functions.

Every step looks first and is content to find nothing. One that fails leaves the workspace `deleting`: it is continued
from there, or the workspace is forgotten (`forgetting.py`). When it begins is `deletion_schedule.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from django.db import transaction
from django.utils import timezone

from workspaces.models import PLATFORM, Actor, Deletion, Event, Integration, Operation, StepPlan, Workspace
from workspaces.models.health import reassess
from workspaces.operations import deletion_cloud, deletion_cluster, deletion_dns, deletion_receipt, dispatch
from workspaces.operations.deletion_record import agreed, deletion_of, in_words, named, removed
from workspaces.operations.engine import Context, Done, Outcome, StepFunction
from workspaces.providers.errors import Permanent
from workspaces.rules.deletion_plan import Plan, PlannedStep
from workspaces.rules.refusal import Refused

KIND: Final = "deletion"


# --- Starting ---------------------------------------------------------------------------------------------------------
def start(deletion: Deletion) -> Operation | Refused:
    """Begin it: from here on nothing brings the workspace back.

    Refused: not_scheduled, not_approved, protected, operation_running, moved.
    """
    with transaction.atomic():
        rows = Workspace.objects.select_for_update(of=("self",), no_key=True).select_related("project")
        workspace = rows.get(pk=deletion.workspace_id)
        current = Deletion.objects.select_for_update(of=("self",)).get(pk=deletion.pk)
        if refused := _refuse(workspace, current):
            return refused
        actor = Actor(current.requested_by_kind, current.requested_by, current.requested_by_id)
        parameters = {"deletion": str(current.pk)}
        steps = plan(current.agreed)
        operation = Operation.start(workspace, KIND, f"Delete {workspace}", steps, actor=actor, parameters=parameters)
        if isinstance(operation, Refused):
            return operation
        now = timezone.now()
        current.state, current.operation = "running", operation
        current.save(update_fields=["state", "operation"])
        workspace.state, workspace.state_since = "deleting", now
        workspace.state_reason = f"Begun {now:%a %-d %b, %H:%M} UTC, asked for by {actor.name}."[:300]
        workspace.save(update_fields=["state", "state_reason", "state_since"])
        reassess([workspace.pk], now)
        dispatch.run_soon(operation.pk)
    return operation


def _refuse(workspace: Workspace, deletion: Deletion) -> Refused | None:
    if deletion.state != "scheduled":
        return Refused("not_scheduled", "The deletion has begun or ended already.", {"state": deletion.state})
    if deletion.waits_for_approval:
        return Refused("not_approved", "A second person has not agreed to it yet.")
    if workspace.protected:
        return Refused("protected", f"{workspace} is protected against deletion.")
    return None


# --- The steps --------------------------------------------------------------------------------------------------------
def plan(agreed_to: Plan) -> Iterator[StepPlan]:
    """The steps in order: of each part that is deleted, its own; at the end what the providers list is the receipt."""
    yield StepPlan("automation", "Look that all is as it was agreed to")
    for step in agreed_to.steps:
        if step.action == "delete":
            yield from _PLANS[step.part](agreed_to, step)
    yield StepPlan("receipt", "List everything anew, and write the receipt", safe_to_stop=False)


def _integrations(_: Plan, step: PlannedStep) -> Iterator[StepPlan]:
    if step.items:
        yield StepPlan("integrations", "Erase its integrations and their secrets", irreversible=True)


def _dns(_: Plan, step: PlannedStep) -> Iterator[StepPlan]:
    for account, name in dict.fromkeys((item.account, item.account_name) for item in step.items):
        yield StepPlan("dns", f"Take its DNS records out of the zones in {name}", {"account": account})


def _hosts(agreed_to: Plan, step: PlannedStep) -> Iterator[StepPlan]:
    for item in step.items:
        if item.kind == "host":
            arguments = {"host": item.ref}
            title = f"Delete the server of {item.name}"
            yield StepPlan("server", title, arguments, host=item.name[:63], irreversible=True)
            title = "Wait until the provider lists the server no more"
            yield StepPlan("gone", title, arguments, host=item.name[:63], irreversible=True)
    yield from _things("server", "Delete servers of no host")(agreed_to, step)
    yield from _things("placement_group", "Delete placement groups")(agreed_to, step)
    yield from _things("primary_ip", "Delete primary IPs")(agreed_to, step)


def _things(kind: str, title: str) -> Callable[[Plan, PlannedStep], Iterator[StepPlan]]:
    """A step for each account that has something of the kind, or could not be asked."""

    def steps(agreed_to: Plan, step: PlannedStep) -> Iterator[StepPlan]:
        names = {item.account: item.account_name for item in step.items}
        names |= {one.account: one.what.removeprefix("Account ") for one in step.not_asked if one.account}
        for account in deletion_cloud.accounts(agreed_to, step.part, kind):
            arguments = {"account": account, "kind": kind}
            yield StepPlan("things", f"{title} in {names[account]}"[:200], arguments, irreversible=True)

    return steps


def _one(key: str, title: str) -> Callable[[Plan, PlannedStep], Iterator[StepPlan]]:
    """One step, where there is something or nobody could say so."""

    def steps(_: Plan, step: PlannedStep) -> Iterator[StepPlan]:
        if step.items or step.not_asked:
            yield StepPlan(key, title, irreversible=True)

    return steps


_PLANS: Final = {
    "integrations": _integrations,
    "dns": _dns,
    "kubeconfigs": _one("kubeconfigs", "Revoke the kubeconfigs that were handed out"),
    "load_balancers": _things("load_balancer", "Delete load balancers"),
    "hosts": _hosts,
    "volumes": _things("volume", "Delete volumes"),
    "control_plane": _one("control_plane", "Delete the control plane and everything it has stored"),
    "data_store": _one("data_store", "Delete its data store"),
    "namespace": _one("namespace", "Delete its namespace on the management cluster"),
}


# --- Our own rows -----------------------------------------------------------------------------------------------------
def automation(context: Context) -> Outcome:
    """The guards once more. Its rows go at the end, with the receipt: until then they say what there is to be removed.

    Nothing has to be switched off: looks, seeding and the planner pass by a workspace that is being deleted.
    """
    workspace = context.workspace
    if workspace.protected:
        raise Permanent(
            "protected",
            f"{workspace} is protected against deletion.",
            who_can_fix="An administrator, by taking the protection off. Then continue.",
        )
    if workspace.state != "deleting" or deletion_of(context).state != "running":
        raise Permanent("conflict", f"{workspace} is {workspace.state}, which it is not to be while it is deleted.")
    return Done("as it was agreed to")


def integrations(context: Context) -> Outcome:
    """Erase what is stored here of outside services. They themselves are told nothing."""
    for item in named(agreed(context), "integration"):
        with transaction.atomic():
            row = Integration.objects.filter(pk=item.ref, workspace=context.workspace).first()
            if row is not None:
                Event.record(
                    PLATFORM,
                    "integration.erased",
                    workspace=context.workspace,
                    operation=context.operation,
                    summary=f"Erased the {row.kind} integration {row.name} and its secret. The service is told nothing",
                )
                row.delete()
        removed(context, item)
    return Done(in_words(context))


STEPS: Final[dict[str, StepFunction]] = {
    "automation": automation,
    "integrations": integrations,
    "dns": deletion_dns.records,
    "kubeconfigs": deletion_cluster.kubeconfigs,
    "server": deletion_cloud.server,
    "gone": deletion_cloud.gone,
    "things": deletion_cloud.things,
    "control_plane": deletion_cluster.control_plane,
    "data_store": deletion_cluster.data_store,
    "namespace": deletion_cluster.namespace,
    "receipt": deletion_receipt.write,
}
