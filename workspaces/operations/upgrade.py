"""Moving a workspace to another Kubernetes version: the control plane through Kamaji, then each host over SSH.

Forward only: once Kamaji has taken the new version there is no way back, so no step has an undo. What may be started is
decided by `rules/upgrades.py`, at the click and again as the first step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import batched

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from workspaces.models import Actor, Host, Operation, RunWindow, StepPlan, Workspace
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
def start(workspace: Workspace, target: str, *, actor: Actor, window: RunWindow | None = None) -> Operation | Refused:
    """Start moving `workspace` to the catalogue version `target`, or say why not. Automatic work names its `window`."""
    known = look(workspace, timezone.now()).facts
    refused = upgrades.refuse_upgrade(known.situation, target, known.catalogue)
    if refused:
        return refused
    running = workspace.kubernetes_version
    title = f"Upgrade {workspace.name} from {running} to {target}"
    if running == target:
        title = f"Move the hosts left behind of {workspace.name} to {target}"
    with transaction.atomic():
        operation = Operation.start(
            workspace,
            KIND,
            title,
            plan(workspace, target),
            actor=actor,
            parameters={"from": running, "to": target, "pace": pace(workspace)},
            window=window,
        )
        if isinstance(operation, Operation):
            dispatch.run_soon(operation.pk)
    return operation


def pace(workspace: Workspace) -> str:
    """How many hosts are out of service at the same time, in words."""
    number = workspace.upgrade_hosts_at_once
    return f"{number} at a time" if number > 1 else "one at a time"


def plan(workspace: Workspace, target: str) -> Iterator[StepPlan]:
    """The steps in order: control plane, then group after group of hosts. It may stop before a group, never within."""
    yield StepPlan("check", "Check again that the upgrade may start")
    yield StepPlan("set_version", f"Set the control plane to {target}", irreversible=True)
    yield StepPlan("roll_out", f"Wait until Kamaji has rolled out {target}")
    yield StepPlan("confirm", f"Confirm that the API server answers as {target}")
    yield StepPlan("kubeadm_config", f"Wait until kubeadm-config names {target}")
    # Hosts known to run it already (an upgrade that was stopped and is continued) are not drained again.
    hosts = workspace.hosts.exclude(node_name="").exclude(kubelet_version=target).order_by("name")
    for group in batched(hosts, max(1, workspace.upgrade_hosts_at_once), strict=False):
        yield from _group_plan(group, target)
    yield StepPlan("finish", f"Confirm that every host runs {target}")


def _group_plan(group: Sequence[Host], target: str) -> Iterator[StepPlan]:
    """Stage by stage over the hosts of a group, which are closed, drained and opened together."""
    titles = {
        "kubeadm": "Install kubeadm {target} on {host} and update its node configuration",
        "cordon": "Close {host} to new pods",
        "drain": "Drain {host}",
        "kubelet": "Install kubelet {target} on {host} and restart it",
        "verify": "Verify that {host} is Ready on {target}",
        "uncordon": "Open {host} to pods again",
    }
    for key, title in titles.items():
        for host in group:
            # Before the first cordon nothing has happened to any pod; after it the whole group is finished first.
            untouched = key == "kubeadm" or (key == "cordon" and host == group[0])
            words = title.format(target=target, host=host.name)
            yield StepPlan(key, words, {"host": str(host.pk)}, host=host.name, stage=key, safe_to_stop=untouched)


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
    if refused:
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
    return nodes.verify(context, datetime.fromisoformat(before) if before else None, version=_target(context))


def finish(context: Context) -> Outcome:
    """Ask once more, all of it: every node's version, and that none is left closed by us."""
    target = _target(context)
    seen = nodes.open_what_is_left(context)
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
