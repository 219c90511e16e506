"""Steps on a control plane: ask Kamaji for a version, wait until it serves everywhere, and say what holds it up.

Forward only: once Kamaji has taken the new version there is no way back, so no step has an undo.
"""

from __future__ import annotations

from django.conf import settings

from workspaces.models import Workspace
from workspaces.operations import connections, diagnosis
from workspaces.operations.engine import Context, Done, Outcome, Wait
from workspaces.providers.errors import Permanent
from workspaces.providers.kamaji import ControlPlane, Kamaji
from workspaces.rules import versions


def target_of(context: Context) -> str:
    """The version of the hop that the step belongs to."""
    return str(context.step.arguments.get("to") or context.operation.parameters["to"])


def refuse_stuck(seen: ControlPlane) -> None:
    """Kamaji accepts a version for these and then does nothing, without a word."""
    if seen.deleting:
        raise Permanent("conflict", "The control plane is being deleted.")
    if seen.paused:
        raise Permanent(
            "paused", diagnosis.PAUSED.message, who_can_fix=f"{diagnosis.PAUSED.who_can_fix} Then continue."
        )
    if seen.status == "Sleeping":
        raise Permanent("configuration", "The control plane is asleep (0 replicas): nothing would run the new version.")


def set_version(context: Context) -> Outcome:
    """Send the one patch that moves the control plane, unless it has been sent already."""
    target = target_of(context)
    with connections.control_plane(context.workspace) as (kamaji, seen):
        refuse_stuck(seen)
        if seen.wanted_version == target:
            _want(context, target)
            return Done("already set")
        if versions.precedence(seen.wanted_version) > versions.precedence(target) and not _hangs(kamaji, seen, target):
            # Kamaji ignores the patch number when it compares, so it would let this through.
            raise Permanent(
                "conflict",
                f"The control plane has been set to {seen.wanted_version} meanwhile, which is newer than {target}.",
                who_can_fix="Nobody has to: this upgrade is no longer needed.",
            )
        kamaji.set_version(seen, target)
    _want(context, target)
    return Done(f"Kamaji has taken {target}. From here there is no way back")


def _want(context: Context, target: str) -> None:
    """From now on another version would be drift."""
    wanted = context.workspace.wanted | {"kubernetes_version": target}
    Workspace.objects.filter(pk=context.workspace.pk).update(wanted=wanted)


def _hangs(kamaji: Kamaji, seen: ControlPlane, target: str) -> bool:
    """Whether what has been asked for can never start, and `target` of the same minor may take its place."""
    same_minor = versions.minor_of(seen.wanted_version) == versions.minor_of(target)
    return same_minor and seen.status == "Upgrading" and diagnosis.cannot_pull(kamaji, seen)


def roll_out(context: Context) -> Outcome:
    """Wait for the whole finish predicate: right after the patch the old Ready is still shown."""
    target = target_of(context)
    with connections.control_plane(context.workspace) as (kamaji, seen):
        if seen.has_finished(target):
            return Done(f"{seen.ready_replicas} of {seen.replicas} replicas run {target}")
        if seen.wanted_version != target:
            raise Permanent(
                "conflict",
                f"Somebody else has set the control plane to {seen.wanted_version} meanwhile.",
                who_can_fix="An administrator, by finding out who changes this control plane.",
            )
        held_up = diagnosis.of_control_plane(context, kamaji, seen)
    why = f"Kamaji says {seen.status or 'nothing'}, running {seen.running_version}"
    return _wait_for(context, held_up or diagnosis.Finding("", why, diagnosis.LOG_OF_KAMAJI), f"reached {target}")


def confirm(context: Context) -> Outcome:
    """Ask the API server itself, several times: behind its address there may be several replicas."""
    target = target_of(context)
    with connections.tenant(context.workspace) as cluster:
        answers = cluster.answers(3)
    if answers == {target}:
        context.workspace.observe_version(target)
        context.workspace.save(update_fields=["kubernetes_version", "version_key"])
        return Done(f"the API server answers as {target}")
    others = ", ".join(sorted(answers - {target}))
    finding = diagnosis.Finding("old_replica", f"the API server still answers as {others}", diagnosis.LOG_OF_KAMAJI)
    return _wait_for(context, finding, f"answered as {target}")


def kubeadm_config(context: Context) -> Outcome:
    """`kubeadm upgrade node` takes its target from this ConfigMap, which Kamaji refreshes a little after Ready."""
    target = target_of(context)
    with connections.tenant(context.workspace) as cluster:
        named = cluster.kubeadm_version()
    if named == target:
        return Done(f"kubeadm-config names {target}")
    why = f"kubeadm-config names {named or 'no version'}"
    return _wait_for(context, diagnosis.Finding("kubeadm_config", why, diagnosis.LOG_OF_KAMAJI), f"named {target}")


def _wait_for(context: Context, finding: diagnosis.Finding, goal: str) -> Wait:
    """Ask again soon; past the deadline a person has to look, and is told what was found."""
    if context.waited > settings.LOOPBACK_CONTROL_PLANE_DEADLINE:
        raise Permanent(
            finding.cause or "cloud_api",
            f"The control plane has not {goal} in {context.waited / 60:.0f} min: {finding.message}. "
            "Whatever served before keeps serving.",
            who_can_fix=finding.who_can_fix,
        )
    return context.again(finding.message, cause=finding.cause, who_can_fix=finding.who_can_fix if finding.cause else "")
