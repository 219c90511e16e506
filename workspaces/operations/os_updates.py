"""Operating system updates on the hosts of a workspace, by playbook over SSH, one host after the other.

A host restarts only when an update needs it: then a Kubernetes host is closed and drained first, and opened when its
node is Ready again on another boot. What was installed is kept for each host. When this runs is `maintenance.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import batched
from typing import Any

from django.conf import settings
from django.db import transaction

from workspaces.models import Host, PackageUpdate, Step, StepPlan, Workspace
from workspaces.operations import connections, nodes
from workspaces.operations.engine import Context, Done, Outcome, StepFunction
from workspaces.providers.ansible import PlaybookResult
from workspaces.providers.errors import Permanent, Temporary

KIND = "maintenance"
STAGES = (
    ("updates", "Updates"),
    ("os_cordon", "Cordon"),
    ("os_drain", "Drain"),
    ("restart", "Restart"),
    ("os_verify", "Verify"),
    ("os_uncordon", "Uncordon"),
)
_TITLES = {
    "updates": "Install operating system updates on {host}",
    "os_cordon": "Close {host} to new pods, if an update needs a restart",
    "os_drain": "Drain {host}",
    "restart": "Restart {host}",
    "os_verify": "Verify that {host} is back",
    "os_uncordon": "Open {host} to pods again",
}
# Held on every node, because upgrades move them: nobody has to be told.
_MOVED_BY_UPGRADES = {"kubeadm", "kubectl", "kubelet"}
_ON_NODES = ("os_cordon", "os_drain", "os_uncordon")


def plan(workspace: Workspace) -> Iterator[StepPlan]:
    """The steps in order: every manageable host, in groups of as many as may be out of service at the same time."""
    yield StepPlan("os_check", "Check that every host is well before one of them is touched")
    hosts = [host for host in workspace.hosts.order_by("name") if host.manageable]
    for group in batched(hosts, max(1, workspace.upgrade_hosts_at_once), strict=False):
        yield from _group_plan(group)
    yield StepPlan("os_finish", "Confirm that no host is left closed")


def _group_plan(group: Sequence[Host]) -> Iterator[StepPlan]:
    for key, title in _TITLES.items():
        for host in group:
            if key in _ON_NODES and not host.node_name:
                continue  # no pods to move
            # Updates take no pod away. From the first cordon on the whole group is finished.
            untouched = key == "updates" or (key == "os_cordon" and host == group[0])
            arguments = {"host": str(host.pk)}
            yield StepPlan(
                key, title.format(host=host.name), arguments, host=host.name, stage=key, safe_to_stop=untouched
            )


# --- Steps ------------------------------------------------------------------------------------------------------------
def check(context: Context) -> Outcome:
    """Every node of ours is Ready: with one missing already, a restart of another could take the last replica away."""
    workspace = context.workspace
    for host in workspace.hosts.all():
        if not host.manageable:
            context.say(f"{host.name} cannot be managed and is left out", level="warn")
    if not workspace.is_kubernetes:
        return Done()
    with connections.tenant(workspace) as cluster:
        seen = {node.name: node for node in cluster.nodes()}
    ours = workspace.hosts.exclude(node_name="").order_by("name").values_list("node_name", flat=True)
    troubled = [name for name in ours if name not in seen or seen[name].ready != "True"]
    if troubled:
        raise Permanent(
            "conflict",
            f"Not Ready: {', '.join(troubled)}. No other host is updated meanwhile.",
            who_can_fix="Whoever runs these hosts. Once they are Ready, continue, or wait for the next window.",
        )
    return Done(f"{len(seen)} hosts Ready")


def updates(context: Context) -> Outcome:
    """Install what is waiting; in the priority lane only the security updates that were flagged."""
    host, wanted = nodes.host_of(context), context.operation.parameters
    try:
        result = _run(context, host, "os_update", _variables(wanted))
    except Temporary as error:
        if error.code != "unreachable" or context.waited < settings.LOOPBACK_SSH_PATIENCE_SECONDS:
            raise
        # One dead host must not leave all the others without their updates, night after night.
        context.remember(left_out=error.message)
        context.say(f"{host.name} is left out. {error.message}", level="warn")
        return Done("left out: it cannot be reached over SSH")
    _record(context, host, result)
    needs_restart = bool(result.facts.get("reboot_required"))
    # A second run finds nothing left to install, so what the first one knew is kept.
    context.remember(restart=needs_restart or bool(context.step.memory.get("restart")), left_out="")
    return Done(_installed_in_words(context, host, needs_restart))


def _variables(wanted: dict[str, Any]) -> dict[str, Any]:
    everything = wanted.get("os") == "all"
    return {"security_only": not everything, "packages": [] if everything else wanted.get("packages", [])}


def _record(context: Context, host: Host, result: PlaybookResult) -> None:
    """Keep what was installed, and what the host says of itself now."""
    facts: dict[str, Any] = result.facts
    with transaction.atomic():
        PackageUpdate.objects.bulk_create(
            (
                PackageUpdate(
                    workspace=context.workspace,
                    host=host,
                    host_name=host.name,
                    operation=context.operation,
                    package=str(one["package"])[:128],
                    from_version=str(one.get("from") or "")[:128],
                    to_version=str(one["to"])[:128],
                    security=bool(one.get("security")),
                    installed_at=context.now,
                )
                for one in facts.get("installed", [])
            ),
            ignore_conflicts=True,
        )
        Host.objects.filter(pk=host.pk).update(
            updated_at=context.now,
            held_back=sorted({str(name) for name in facts.get("held", [])} - _MOVED_BY_UPGRADES),
            restart_needed=facts.get("reboot_required"),
            os_name=str(facts.get("os") or host.os_name)[:80],
        )


def _installed_in_words(context: Context, host: Host, needs_restart: bool) -> str:
    told = PackageUpdate.objects.filter(operation=context.operation, host_name=host.name)
    security = sum(told.values_list("security", flat=True))
    held = Host.objects.values_list("held_back", flat=True).get(pk=host.pk)
    words = [f"{_packages(len(told))} installed" if told else "nothing to install"]
    if security:
        words.append(f"{security} of them for security")
    if held:
        words.append(f"on hold and left: {', '.join(held)}")
    if needs_restart:
        words.append("needs a restart")
    return ", ".join(words)


def _packages(number: int) -> str:
    return f"{number} package{'' if number == 1 else 's'}"


def _needs_restart(context: Context) -> bool:
    return bool(_step(context, "updates").memory.get("restart"))


def _step(context: Context, key: str) -> Step:
    """The step of this operation that did `key` on the same host."""
    return context.operation.steps.get(key=key, arguments__host=context.step.arguments["host"])


def _only_for_a_restart(step: StepFunction) -> StepFunction:
    def run(context: Context) -> Outcome:
        return step(context) if _needs_restart(context) else Done("no restart needed")

    return run


def restart(context: Context) -> Outcome:
    """Restart the host, once: a run that comes again sees another boot and leaves it alone."""
    host = nodes.host_of(context)
    if "boot_id" not in context.step.memory:
        before = _before_restart(context, host)
        told = _run(context, host, "boot", {}).facts
        context.remember(boot_id=str(told["boot_id"]), **before)
    told = _run(context, host, "reboot", {"boot_id": context.step.memory["boot_id"]}).facts
    return Done("restarting" if told.get("rebooting") else "has restarted already")


def _before_restart(context: Context, host: Host) -> dict[str, str | None]:
    """What the node says while it is still up: afterwards another boot and a newer Lease prove that it came back."""
    if not host.node_name:
        return {}
    with connections.tenant(context.workspace) as cluster:
        lease = cluster.lease_renewed_at(host.node_name)
        boot_id = cluster.node(host.node_name).boot_id
    return {"node_boot_id": boot_id, "lease_before": lease.isoformat() if lease else None}


def verify(context: Context) -> Outcome:
    """The host has come back: as a Ready node of another boot, or on bare metal over SSH with another boot id."""
    host, memory = nodes.host_of(context), _step(context, "restart").memory
    if host.node_name:
        lease = memory.get("lease_before")
        outcome = nodes.verify(
            context, datetime.fromisoformat(lease) if lease else None, boot_before=memory.get("node_boot_id") or ""
        )
    else:
        outcome = _verify_over_ssh(context, host, str(memory["boot_id"]))
    if isinstance(outcome, Done):
        Host.objects.filter(pk=host.pk).update(restart_needed=False)
    return outcome


def _verify_over_ssh(context: Context, host: Host, before: str) -> Outcome:
    try:
        told = _run(context, host, "boot", {}).facts
    except Temporary as error:
        return nodes.not_back(context, host, error.message)
    if told.get("boot_id") == before:
        return nodes.not_back(context, host, "it has not restarted yet")
    Host.objects.filter(pk=host.pk).update(boot_id=str(told.get("boot_id", ""))[:64], ready=True, ready_message="")
    return Done("back, reached over SSH")


def finish(context: Context) -> Outcome:
    """None of our cordons is left; and the run in a sentence, which a host that was left out makes a failure."""
    if context.workspace.is_kubernetes:
        nodes.open_what_is_left(context)
    steps = list(context.operation.steps.filter(key="updates"))
    if left_out := [step.host for step in steps if step.memory.get("left_out")]:
        raise Permanent(
            "unreachable",
            f"Left out, because they cannot be reached over SSH: {', '.join(left_out)}. The other hosts are updated.",
            who_can_fix="Whoever runs these hosts. The next window tries them again.",
        )
    told = PackageUpdate.objects.filter(operation=context.operation)
    hosts = told.values("host_name").distinct().count()
    restarted = sum(bool(step.memory.get("restart")) for step in steps)
    if not told:
        return Done("nothing to install" + (f", {_restarts(restarted)}" if restarted else ""))
    return Done(f"{_packages(len(told))} on {hosts} host{'' if hosts == 1 else 's'}, {_restarts(restarted)}")


def _restarts(number: int) -> str:
    return {0: "no restart", 1: "1 restart"}.get(number, f"{number} restarts")


def _run(context: Context, host: Host, playbook: str, variables: dict[str, Any]) -> PlaybookResult:
    return connections.run_playbook(
        playbook, host, variables, on_output=context.say, cancelled=context.lease_lost.is_set
    )


STEPS: dict[str, StepFunction] = {
    "os_check": check,
    "updates": updates,
    "os_cordon": _only_for_a_restart(nodes.cordon),
    "os_drain": _only_for_a_restart(nodes.drain),
    "restart": _only_for_a_restart(restart),
    "os_verify": _only_for_a_restart(verify),
    "os_uncordon": _only_for_a_restart(nodes.uncordon),
    "os_finish": finish,
}
