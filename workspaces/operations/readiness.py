"""The first step of every hop: whether the upgrade may start, asked of the rules and of the world as they are now.

What was seen stays with the operation as a Preflight. What is looked at is `preflight.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from django.conf import settings
from django.utils import timezone

from workspaces.models import Preflight
from workspaces.models.outlook import Outlook, look
from workspaces.operations import connections, preflight
from workspaces.operations.control_plane import target_of
from workspaces.operations.engine import Context, Done, Outcome
from workspaces.providers.errors import Permanent
from workspaces.rules import preflight as checks
from workspaces.rules import upgrades
from workspaces.rules.preflight import Check

# However long they took: where the queue is busy there may be one look a minute.
FEWEST_LOOKS: Final = 5
# Answers that a second look a little later may change: a machine can miss one knock at its door.
_ASKED_AGAIN: Final = ("hosts_reachable",)


def in_words(stopping: Sequence[Check]) -> str:
    """The checks that stop an upgrade, in a sentence each."""
    return " ".join(f"{one.title}: {one.evidence}{_named(one)}" for one in stopping)


def _named(check: Check) -> str:
    """The first names of a check, such as budgets and hosts: whoever is woken has to know which."""
    return f" ({'; '.join(check.details[:3])})" if check.details else ""


def check(context: Context) -> Outcome:
    """The guards of the click, once more, with the control plane and the nodes as they are at this moment."""
    workspace, target = context.workspace, target_of(context)
    seen, blast = preflight.look(workspace, context.operation, target, context.now)
    seen, blast = _filled_in(context, seen, blast)
    _keep(context, seen, blast)
    outcome = _stopped_by(context, seen)
    if outcome is not None:
        return outcome
    with connections.control_plane(workspace) as (_, running), connections.tenant(workspace) as cluster:
        kubelets = {node.name: node.kubelet_version for node in cluster.nodes()}
    known = look(workspace, context.now)
    fresh = replace(
        known.situation,
        running_version=running.running_version or known.situation.running_version,
        kubelet_versions=tuple(kubelets.values()),
        control_plane_wanted=running.wanted_version,
        open_operation=None,  # this one
    )
    _refuse_again(fresh, target, known)
    unmanaged = sorted(set(kubelets) - set(workspace.hosts.values_list("node_name", flat=True)))
    if unmanaged:
        context.say(f"Not managed by Loopback and left as they are: {', '.join(unmanaged)}", level="warn")
    return Done(f"control plane {running.running_version}, {len(kubelets)} hosts; {checks.summary(seen)}")


def _filled_in(context: Context, seen: list[Check], blast: dict[str, Any]) -> tuple[list[Check], dict[str, Any]]:
    """Where this look could not tell, what an earlier one of this run of the step was told, with its own time.

    A look makes some twenty calls: in a bad hour hardly one gets through without a single answer missing.
    """
    looks = Preflight.objects.filter(operation=context.operation, target=target_of(context))
    earlier = looks.filter(asked_at__gte=context.step.started_at).first()
    if earlier is None:
        return seen, blast
    told = {one.code: one for one in map(Check.of, earlier.checks) if one.result != "cannot_tell"}
    return [told.get(one.code, one) if one.result == "cannot_tell" else one for one in seen], blast or earlier.blast


def _keep(context: Context, seen: Sequence[Check], blast: dict[str, Any]) -> None:
    """What was seen before this hop is evidence: it stays with the operation. A step that runs again looks again."""
    Preflight.objects.update_or_create(
        operation=context.operation,
        workspace=context.workspace,
        target=target_of(context),
        defaults={
            "asked_by": context.operation.requested_by,
            "asked_at": context.now,
            "finished_at": timezone.now(),
            "checks": [one.document() for one in seen],
            "blast": blast,
        },
    )


def _stopped_by(context: Context, seen: Sequence[Check]) -> Outcome | None:
    """None when nothing stands in the way. What a second look may change is asked again for a while first."""
    operation = context.operation
    stopping = checks.stopping(seen, accepted=operation.accepted_risks, automatic=operation.window_opens_at is not None)
    if not stopping:
        return None
    passing = all(one.result == "cannot_tell" or one.code in _ASKED_AGAIN for one in stopping)
    early = context.waited < settings.LOOPBACK_PREFLIGHT_PATIENCE_SECONDS or context.step.attempts < FEWEST_LOOKS
    if passing and early:
        return context.again(in_words(stopping), cause=stopping[0].code, who_can_fix=stopping[0].who_can_fix)
    raise Permanent(
        "preflight_failed",
        in_words(stopping),
        who_can_fix=" ".join(dict.fromkeys(one.who_can_fix for one in stopping if one.who_can_fix))
        or "An administrator, by taking the risk by name, or by removing what stands in the way.",
    )


def _refuse_again(fresh: upgrades.Situation, target: str, known: Outlook) -> None:
    refused = upgrades.refuse_upgrade(fresh, target, known.facts.catalogue)
    if refused:
        raise Permanent(
            refused.code, refused.message, who_can_fix="An administrator, by choosing a version that is offered."
        )
