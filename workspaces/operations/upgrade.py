"""Moving a workspace to another Kubernetes version: the control plane through Kamaji, then each host over SSH.

Forward only: once Kamaji has taken the new version there is no way back, so no step has an undo. What may be started is
decided by `rules/upgrades.py`, at the click and again as the first step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from workspaces.models import Actor, Host, Operation, StepPlan, Workspace
from workspaces.models.outlook import look
from workspaces.operations import connections, dispatch, nodes
from workspaces.operations.engine import Context, Done, Outcome, StepFunction, Wait
from workspaces.providers.errors import Permanent
from workspaces.providers.kamaji import ControlPlane
from workspaces.rules import upgrades, versions
from workspaces.rules.refusal import Refused

KIND = "upgrade"
STAGES = (
    ("kubeadm", "kubeadm"),
    ("cordon", "Cordon"),
    ("drain", "Drain"),
    ("kubelet", "kubelet"),
    ("verify", "Verify"),
    ("uncordon", "Uncordon"),
)


# --- Starting ---------------------------------------------------------------------------------------------------------
def start(workspace: Workspace, target: str, *, actor: Actor) -> Operation | Refused:
    """Start moving `workspace` to the catalogue version `target`, or say why not."""
    known = look(workspace, timezone.now()).facts
    refused = upgrades.refuse_upgrade(known.situation, target, known.catalogue)
    if refused:
        return refused
    with transaction.atomic():
        operation = Operation.start(
            workspace,
            KIND,
            f"Upgrade {workspace.name} from {workspace.kubernetes_version} to {target}",
            plan(workspace, target),
            actor=actor,
            parameters={"from": workspace.kubernetes_version, "to": target},
        )
        if isinstance(operation, Operation):
            dispatch.run_soon(operation.pk)
    return operation


def plan(workspace: Workspace, target: str) -> Iterator[StepPlan]:
    """The steps in order: control plane, then host after host. It may stop before a host, never within one."""
    yield StepPlan("check", "Check again that the upgrade may start")
    yield StepPlan("set_version", f"Set the control plane to {target}", irreversible=True)
    yield StepPlan("roll_out", f"Wait until Kamaji has rolled out {target}")
    yield StepPlan("confirm", f"Confirm that the API server answers as {target}")
    yield StepPlan("kubeadm_config", f"Wait until kubeadm-config names {target}")
    # Hosts known to run it already (an upgrade that was stopped and is continued) are not drained again.
    for host in workspace.hosts.exclude(node_name="").exclude(kubelet_version=target).order_by("name"):
        yield from _host_plan(host, target)
    yield StepPlan("finish", f"Confirm that every host runs {target}")


def _host_plan(host: Host, target: str) -> Iterator[StepPlan]:
    titles = {
        "kubeadm": f"Install kubeadm {target} on {host.name} and update its node configuration",
        "cordon": f"Close {host.name} to new pods",
        "drain": f"Drain {host.name}",
        "kubelet": f"Install kubelet {target} on {host.name} and restart it",
        "verify": f"Verify that {host.name} is Ready on {target}",
        "uncordon": f"Open {host.name} to pods again",
    }
    for key, title in titles.items():
        # Before the cordon nothing has happened to the pods of this host; after it the host is finished first.
        yield StepPlan(
            key, title, {"host": str(host.pk)}, host=host.name, stage=key, safe_to_stop=key in ("kubeadm", "cordon")
        )


# --- Control plane ----------------------------------------------------------------------------------------------------
def _target(context: Context) -> str:
    return str(context.operation.parameters["to"])


def check(context: Context) -> Outcome:
    """The guards of the click, once more, with the control plane and the nodes as they are at this moment."""
    workspace, target = context.workspace, _target(context)
    with connections.tenant(workspace) as cluster:
        kubelets = {node.name: node.kubelet_version for node in cluster.nodes()}
    with connections.control_plane(workspace) as (_, seen):
        _refuse_stuck(seen)
    known = look(workspace, context.now).facts
    fresh = replace(
        known.situation,
        running_version=seen.running_version or known.situation.running_version,
        kubelet_versions=tuple(kubelets.values()),
        control_plane_wanted=seen.wanted_version,
        open_operation=None,  # this one
    )
    refused = upgrades.refuse_upgrade(fresh, target, known.catalogue)
    # A second run of this step after the control plane moved is no new start: the rules see "same version" then.
    if refused and not (refused.code == "same_version" and seen.wanted_version == target):
        raise Permanent(
            refused.code, refused.message, who_can_fix="An administrator, by choosing a version that is offered."
        )
    unmanaged = sorted(set(kubelets) - set(workspace.hosts.values_list("node_name", flat=True)))
    if unmanaged:
        context.say(f"Not managed by Loopback and left as they are: {', '.join(unmanaged)}", level="warn")
    return Done(f"control plane {seen.running_version}, {len(kubelets)} hosts")


def _refuse_stuck(seen: ControlPlane) -> None:
    """Kamaji accepts a version for these and then does nothing, without a word."""
    if seen.deleting:
        raise Permanent("conflict", "The control plane is being deleted.")
    if seen.paused:
        raise Permanent(
            "configuration",
            "The control plane carries the annotation kamaji.clastix.io/paused, so Kamaji would not move it.",
            who_can_fix="The operator of the platform, by removing the annotation. Then continue.",
        )
    if seen.status == "Sleeping":
        raise Permanent("configuration", "The control plane is asleep (0 replicas): nothing would run the new version.")


def set_version(context: Context) -> Outcome:
    """Send the one patch that moves the control plane, unless it has been sent already."""
    target = _target(context)
    with connections.control_plane(context.workspace) as (kamaji, seen):
        _refuse_stuck(seen)
        if seen.wanted_version == target:
            return Done("already set")
        if versions.precedence(seen.wanted_version) > versions.precedence(target):
            # Kamaji ignores the patch number when it compares, so it would let this through.
            raise Permanent(
                "conflict",
                f"The control plane has been set to {seen.wanted_version} meanwhile, which is newer than {target}.",
                who_can_fix="Nobody has to: this upgrade is no longer needed.",
            )
        kamaji.set_version(seen, target)
    return Done(f"Kamaji has taken {target}. From here there is no way back")


def roll_out(context: Context) -> Outcome:
    """Wait for the whole finish predicate: right after the patch the old Ready is still shown."""
    target = _target(context)
    with connections.control_plane(context.workspace) as (_, seen):
        if seen.has_finished(target):
            return Done(f"{seen.ready_replicas} of {seen.replicas} replicas run {target}")
        if seen.wanted_version != target:
            raise Permanent(
                "conflict",
                f"Somebody else has set the control plane to {seen.wanted_version} meanwhile.",
                who_can_fix="An administrator, by finding out who changes this control plane.",
            )
    why = f"Kamaji says {seen.status or 'nothing'}, running {seen.running_version}"
    if seen.paused:
        why = "the annotation kamaji.clastix.io/paused keeps Kamaji from working"
    if context.waited > settings.LOOPBACK_CONTROL_PLANE_DEADLINE:
        raise Permanent(
            "cloud_api",
            f"The control plane has not reached {target} in {context.waited / 60:.0f} min: {why}. "
            "The old version keeps serving.",
            who_can_fix="The operator of the management cluster: the control plane's pods and Kamaji's log say why.",
        )
    return Wait(settings.LOOPBACK_POLL_SECONDS, why)


def confirm(context: Context) -> Outcome:
    """Ask the API server itself, several times: behind its address there may be several replicas."""
    target = _target(context)
    with connections.tenant(context.workspace) as cluster:
        answers = cluster.answers(3)
    if answers == {target}:
        context.workspace.observe_version(target)
        context.workspace.save(update_fields=["kubernetes_version", "version_key"])
        return Done(f"the API server answers as {target}")
    return _wait_for(context, f"the API server still answers as {', '.join(sorted(answers - {target}))}")


def kubeadm_config(context: Context) -> Outcome:
    """`kubeadm upgrade node` takes its target from this ConfigMap, which Kamaji refreshes a little after Ready."""
    target = _target(context)
    with connections.tenant(context.workspace) as cluster:
        named = cluster.kubeadm_version()
    if named == target:
        return Done(f"kubeadm-config names {target}")
    return _wait_for(context, f"kubeadm-config names {named or 'no version'}")


def _wait_for(context: Context, why: str) -> Wait:
    if context.waited > settings.LOOPBACK_CONTROL_PLANE_DEADLINE:
        raise Permanent("cloud_api", f"Still waiting after {context.waited / 60:.0f} min: {why}.")
    return Wait(settings.LOOPBACK_POLL_SECONDS, why)


# --- Hosts ------------------------------------------------------------------------------------------------------------
def kubeadm(context: Context) -> Outcome:
    """Bring kubeadm to the version and let it rewrite the node's configuration; the kubelet is not touched."""
    return _playbook(context, "kubeadm")


def kubelet(context: Context) -> Outcome:
    """Install kubelet and kubectl and restart the kubelet; remember the Lease, so that life can be told from memory."""
    if "lease_before" not in context.step.memory:
        with connections.tenant(context.workspace) as cluster:
            before = cluster.lease_renewed_at(nodes.host_of(context).node_name)
        context.remember(lease_before=before.isoformat() if before else None)
    return _playbook(context, "kubelet")


def _playbook(context: Context, name: str) -> Outcome:
    host = nodes.host_of(context)
    result = connections.run_playbook(
        name,
        host,
        {"kubernetes_version": _target(context)},
        on_output=context.say,
        cancelled=context.lease_lost.is_set,
    )
    if not result.changed:
        return Done("nothing to change")
    return Done(f"{result.changed} change{'' if result.changed == 1 else 's'}")


def verify(context: Context) -> Outcome:
    """The host is back, on the new version."""
    step = context.operation.steps.get(key="kubelet", arguments__host=context.step.arguments["host"])
    before = step.memory.get("lease_before")
    return nodes.verify(context, _target(context), datetime.fromisoformat(before) if before else None)


def finish(context: Context) -> Outcome:
    """Ask once more, all of it: the control plane, every node, and that none is left closed by us."""
    target = _target(context)
    with connections.tenant(context.workspace) as cluster:
        seen = cluster.nodes()
    ours = set(context.workspace.hosts.exclude(node_name="").values_list("node_name", flat=True))
    behind = [f"{node.name} ({node.kubelet_version})" for node in seen if node.kubelet_version != target]
    missed = [node.name for node in seen if node.name in ours and node.kubelet_version != target]
    if missed:
        raise Permanent(
            "conflict",
            f"These hosts do not run {target}: {', '.join(behind)}. They may have joined while the upgrade ran.",
            who_can_fix=f"An administrator, by starting the upgrade to {target} again: it goes on with these hosts.",
        )
    context.workspace.observe_version(target)
    context.workspace.control_plane_wanted = target
    context.workspace.save(update_fields=["kubernetes_version", "version_key", "control_plane_wanted"])
    if behind:
        return Done(f"all managed hosts run {target}; not managed and older: {', '.join(behind)}")
    return Done(f"control plane and {len(seen)} hosts run {target}")


STEPS: dict[str, StepFunction] = {
    "check": check,
    "set_version": set_version,
    "roll_out": roll_out,
    "confirm": confirm,
    "kubeadm_config": kubeadm_config,
    "kubeadm": kubeadm,
    "cordon": nodes.cordon,
    "drain": nodes.drain,
    "kubelet": kubelet,
    "verify": verify,
    "uncordon": nodes.uncordon,
    "finish": finish,
}
