"""Moving a workspace to another Kubernetes version: hop after hop, the control plane through Kamaji, then each host.

What may be started is decided by `rules/upgrades.py`, at the click and again as the first step of every hop, which also
looks whether anything stands in its way (`readiness.py`). The control plane's steps are `control_plane.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from itertools import batched

from django.db import transaction
from django.utils import timezone

from workspaces.models import Actor, Host, Operation, Preflight, RunWindow, StepPlan, Workspace
from workspaces.models.outlook import look
from workspaces.operations import connections, control_plane, dispatch, nodes, readiness
from workspaces.operations.control_plane import target_of
from workspaces.operations.engine import Context, Done, Outcome, StepFunction
from workspaces.providers.errors import Permanent
from workspaces.rules import preflight as checks
from workspaces.rules import upgrades
from workspaces.rules.preflight import Check
from workspaces.rules.refusal import Refused
from workspaces.rules.upgrades import Hop

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
def start(
    workspace: Workspace,
    target: str,
    *,
    actor: Actor,
    window: RunWindow | None = None,
    accept: Sequence[str] = (),
    through: Sequence[str] | None = None,
) -> Operation | Refused:
    """Start moving `workspace` to the catalogue version `target`, or say why not. Automatic work names its `window`.

    `accept` are the codes of preflight checks whose risk the actor takes. `through` confirms the versions in between,
    where there are any; without it only one hop is made.
    """
    now = timezone.now()
    known = look(workspace, now)
    hops = upgrades.route(known.situation, target, known.facts.catalogue, through)
    if isinstance(hops, Refused):
        return hops
    if window is None and (refused := _refuse_known(workspace, hops, accept, now)):
        return refused
    with transaction.atomic():
        operation = Operation.start(
            workspace,
            KIND,
            _title(workspace, hops),
            plan(workspace, hops),
            actor=actor,
            parameters=parameters(workspace, hops),
            window=window,
        )
        if isinstance(operation, Operation):
            operation.accept_risks(accept, actor)
            operation.save(update_fields=["parameters"])
            dispatch.run_soon(operation.pk)
    return operation


def _refuse_known(workspace: Workspace, hops: Sequence[Hop], accept: Sequence[str], now: datetime) -> Refused | None:
    """What a recent look has found to stand in the way. Without one the first step finds it."""
    unknown = sorted(set(accept) - checks.ACCEPTABLE)
    if unknown:
        return Refused("unknown_risk", f"No risk that can be taken: {', '.join(unknown)}.", {"accept_risks": unknown})
    latest = Preflight.latest(workspace, hops[0].to, hops[-1].to)
    if latest is None or not latest.is_fresh(now):
        return None
    stopping = checks.stopping([Check.of(one) for one in latest.checks], accepted=accept, automatic=False)
    return (
        Refused("preflight_failed", readiness.in_words(stopping), {"checks": [one.code for one in stopping]})
        if stopping
        else None
    )


def _title(workspace: Workspace, hops: Sequence[Hop]) -> str:
    running, target = hops[0].from_, hops[-1].to
    if running == target:
        return f"Move the hosts left behind of {workspace.name} to {target}"
    by_way_of = f" in {len(hops)} hops" if len(hops) > 1 else ""
    return f"Upgrade {workspace.name} from {running} to {target}{by_way_of}"


def parameters(workspace: Workspace, hops: Sequence[Hop]) -> dict[str, object]:
    """What the operation keeps of its plan: the ends, the hops between them, and the pace on hosts."""
    told = [asdict(hop) for hop in hops]
    for one in told:
        one["from"] = one.pop("from_")
    return {"from": hops[0].from_, "to": hops[-1].to, "pace": pace(workspace), "hops": told}


def pace(workspace: Workspace) -> str:
    """How many hosts are out of service at the same time, in words."""
    number = workspace.upgrade_hosts_at_once
    return f"{number} at a time" if number > 1 else "one at a time"


def plan(workspace: Workspace, hops: Sequence[Hop], hosts: Sequence[Host] | None = None) -> Iterator[StepPlan]:
    """The steps in order, hop after hop: control plane, then group after group of hosts where they move.

    It may stop before a group, never within. `hosts` are all of its nodes unless given; those known to run a hop's
    version already (an upgrade that was stopped and is continued) are not drained again.
    """
    nodes_of = list(workspace.hosts.exclude(node_name="").order_by("name"))
    for number, hop in enumerate(hops, start=1):
        moving = [host for host in nodes_of if host.kubelet_version != hop.to] if hosts is None else hosts
        for step in _hop_plan(workspace, hop, moving):
            yield replace(step, arguments=step.arguments | {"to": hop.to}, hop=number if len(hops) > 1 else 0)


def _hop_plan(workspace: Workspace, hop: Hop, hosts: Sequence[Host]) -> Iterator[StepPlan]:
    target = hop.to
    yield StepPlan("check", f"Check again that the upgrade to {target} may start")
    yield StepPlan("set_version", f"Set the control plane to {target}", irreversible=True)
    yield StepPlan("roll_out", f"Wait until Kamaji has rolled out {target}")
    yield StepPlan("confirm", f"Confirm that the API server answers as {target}")
    yield StepPlan("kubeadm_config", f"Wait until kubeadm-config names {target}")
    if hop.workers_move:
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
        {"kubernetes_version": target_of(context)},
        on_output=context.say,
        cancelled=context.lease_lost.is_set,
    )
    if not result.changed:
        return Done("nothing to change")
    return Done(f"{result.changed} change{'' if result.changed == 1 else 's'}")


def verify(context: Context) -> Outcome:
    """The host is back, on the new version."""
    step = context.operation.steps.get(
        key="kubelet", hop=context.step.hop, arguments__host=context.step.arguments["host"]
    )
    return nodes.verify(context, nodes.moment(step.memory.get("lease_before")), version=target_of(context))


def finish(context: Context) -> Outcome:
    """Ask once more, all of it: every node's version, and that none is left closed by us."""
    target = target_of(context)
    seen = nodes.open_what_is_left(context)
    skipped = set(context.operation.steps.filter(state="skipped").values_list("host", flat=True))
    hosts = context.workspace.hosts.exclude(node_name="")
    ours = set(hosts.exclude(name__in=skipped).values_list("node_name", flat=True))
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
        return Done(f"every host that takes part runs {target}; left as they are: {', '.join(behind)}")
    return Done(f"control plane and {len(seen)} hosts run {target}")


STEPS: dict[str, StepFunction] = {
    "check": readiness.check,
    "set_version": control_plane.set_version,
    "roll_out": control_plane.roll_out,
    "confirm": control_plane.confirm,
    "kubeadm_config": control_plane.kubeadm_config,
    "kubeadm": kubeadm,
    "cordon": nodes.cordon,
    "drain": nodes.drain,
    "kubelet": kubelet,
    "verify": verify,
    "uncordon": nodes.uncordon,
    "finish": finish,
}
