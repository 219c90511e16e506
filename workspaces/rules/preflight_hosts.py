"""The questions of a preflight about hosts and the pods on them: each from what was seen.

Those about the control plane and the tenant's API are `preflight_questions.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from workspaces.rules import blast, capacity
from workspaces.rules.preflight_questions import Answer, be, cannot_tell, count, failed, have, passed
from workspaces.rules.preflight_seen import Budget, Node, Pod, Seen, Unknown
from workspaces.rules.reach import MAX_SKEW, serves
from workspaces.rules.upgrades import Hop
from workspaces.rules.versions import is_version, minor_of, precedence

NOBODY_MOVES: Final = "No host moves, so no pod has to leave."
WHOEVER: Final = "Whoever can sign in to the host, or to its console."


def nodes_ready(seen: Seen, _: Hop, __: datetime) -> Answer:
    """Every host that should be a node is one, and Ready."""
    if isinstance(seen.nodes, Unknown):
        return cannot_tell(seen.nodes)
    nodes = {node.name: node for node in seen.nodes}
    down = [
        f"{host.name}: {_state(nodes.get(host.node))}"
        for host in seen.hosts
        if host.node not in nodes or not nodes[host.node].ready
    ]
    if down:
        said = f"{len(down)} of {count(len(seen.hosts), 'host')} {be(len(down))} not Ready."
        return failed(said, WHOEVER, down)
    ours = {host.node for host in seen.hosts}
    closed = [f"{node.name}: closed to new pods" for node in seen.nodes if node.closed]
    foreign = [f"{node.name}: not managed here and not Ready" for node in seen.nodes if _lost(node, ours)]
    said = (
        f"{len(seen.hosts)} of {count(len(seen.hosts), 'host')} {be(len(seen.hosts))} Ready."
        if seen.hosts
        else "There are no hosts."
    )
    if closed:
        said += f" {count(len(closed), 'node')} {be(len(closed))} closed to new pods already."
    return passed(said, [*closed, *foreign])


def _state(node: Node | None) -> str:
    return node.message or "the node is not Ready" if node else "its node is not in the cluster"


def _lost(node: Node, ours: set[str]) -> bool:
    return node.name not in ours and not node.ready


def version_skew(seen: Seen, hop: Hop, _: datetime) -> Answer:
    """No kubelet newer than the API server, none too old for it."""
    if isinstance(seen.nodes, Unknown):
        return cannot_tell(seen.nodes)
    unread = [node.name for node in seen.nodes if not is_version(node.kubelet)]
    known = [node for node in seen.nodes if is_version(node.kubelet)]
    newer = [_kubelet(node) for node in known if precedence(node.kubelet) > precedence(hop.to)]
    if newer:
        said = f"{count(len(newer), 'kubelet')} {be(len(newer))} newer than {hop.to}, which none may be."
        return failed(said, "An administrator, by choosing a version that is not older than the hosts.", newer)
    major, minor = minor_of(hop.to)
    # Hosts that follow a control plane which has arrived already are no reason to leave them behind.
    old = [_kubelet(node) for node in known if hop.from_ != hop.to and not serves(hop.to, node.kubelet)]
    if old:
        older = f"{count(len(old), 'kubelet')} {be(len(old))} older"
        said = f"{hop.to} serves kubelets from {major}.{minor - MAX_SKEW} on, and {older}."
        return failed(said, f"An administrator, by moving the hosts to {hop.from_} first.", old)
    if unread:
        unknown = Unknown(f"The kubelet version of {count(len(unread), 'node')} cannot be read.", WHOEVER)
        return cannot_tell(unknown, unread)
    if not known:
        return passed("There are no kubelets.")
    oldest = min((node.kubelet for node in known), key=precedence)
    return passed(f"The oldest of {count(len(known), 'kubelet')} is {oldest}, and {hop.to} serves it.")


def _kubelet(node: Node) -> str:
    return f"{node.name}: {node.kubelet}"


def hosts_reachable(seen: Seen, _: Hop, __: datetime) -> Answer:
    """Every host that is a node answers as an SSH server."""
    silent = [f"{host.name}: {host.said}" for host in seen.hosts if host.answers is False]
    if silent:
        said = f"{len(silent)} of {count(len(seen.hosts), 'host')} cannot be reached over SSH."
        return failed(said, "The operator of the platform, by restoring the connection.", silent)
    untried = [f"{host.name}: {host.said}" for host in seen.hosts if host.answers is None]
    if untried:
        said = f"{len(untried)} of {count(len(seen.hosts), 'host')}: whether SSH answers cannot be seen from here."
        return cannot_tell(Unknown(said, "Somebody who has tried the connection, by accepting this."), untried)
    if not seen.hosts:
        return passed("There are no hosts.")
    noted = [f"{host.name}: {host.said}" for host in seen.hosts if host.said]
    reached = f"{len(seen.hosts)} of {count(len(seen.hosts), 'host')} {be(len(seen.hosts))} in reach."
    return passed(f"{reached} Signing in was not tried.", noted)


# --- Pods -------------------------------------------------------------------------------------------------------------
def disruption_budgets(seen: Seen, _: Hop, __: datetime) -> Answer:
    """No budget keeps a host from being drained now, as its own status and a dry run say."""
    if isinstance(seen.pods, Unknown):
        return cannot_tell(seen.pods)
    if isinstance(seen.budgets, Unknown):
        return cannot_tell(seen.budgets)
    if not seen.groups:
        return passed(NOBODY_MOVES)
    going = blast.leaving(seen.pods, seen.moving)
    twice = [
        f"{pod.name} can never be evicted: it has the budgets {' and '.join(pod.budgets)}"
        for pod in going
        if pod.guarded and len(pod.budgets) > 1
    ]
    shut = blast.closed(going, seen.budgets)
    held = [(budget, pods) for budget, pods in shut if not _all_may_go(seen, pods)]
    if held or twice:
        return _in_the_way(seen, held, twice)
    covered = sum(pod.guarded and bool(pod.budgets) for pod in going)
    said = f"{count(len(going), 'pod')} to move, {covered} under a budget, and no budget holds any of them now."
    return passed(said, [_disagreement(budget) for budget, _ in shut])


def _in_the_way(seen: Seen, held: Sequence[tuple[Budget, list[Pod]]], twice: list[str]) -> Answer:
    said = []
    if held:
        pods = sum(len(pods) for _, pods in held)
        allow = "allows" if len(held) == 1 else "allow"
        said.append(f"{count(len(held), 'budget')} {allow} no eviction now and would hold {count(pods, 'pod')}.")
    if twice:
        said.append(f"{count(len(twice), 'pod')} under two budgets can never be evicted.")
    owners = ", ".join(budget.name for budget, _ in held[:3]) or "these pods"
    who = f"The owners of {owners}: add a replica, or allow one disruption."
    return failed(" ".join(said), who, [*(_held(seen, *one) for one in held), *twice])


def _held(seen: Seen, budget: Budget, pods: Sequence[Pod]) -> str:
    """ "shop/web: 2 healthy, 2 needed, holds web-1 and web-2", and what a dry run said to it."""
    names = ", ".join(pod.name.partition("/")[2] for pod in pods[:3])
    more = f" and {len(pods) - 3} more" if len(pods) > 3 else ""
    said = f"{budget.name}: {budget.healthy} healthy, {budget.needed} needed, holds {names}{more}"
    answers = [seen.dry_runs.get(pod.name) for pod in pods]
    if unknown := next((answer for answer in answers if isinstance(answer, Unknown)), None):
        return f"{said}; a dry run could not confirm it: {unknown.why}"
    if free := sum(answer in ("accepted", "gone") for answer in answers):
        return f"{said}; a dry run lets {free} of them go all the same"
    return f"{said}; a dry run says the same" if "blocked" in answers else said


def _all_may_go(seen: Seen, pods: Sequence[Pod]) -> bool:
    return all(seen.dry_runs.get(pod.name) in ("accepted", "gone") for pod in pods)


def _disagreement(budget: Budget) -> str:
    return f"{budget.name} allows no eviction by its status, and a dry run lets all its pods go"


def room_elsewhere(seen: Seen, _: Hop, __: datetime) -> Answer:
    """The pods of the fullest group of hosts fit on the others while it is drained."""
    if isinstance(seen.nodes, Unknown):
        return cannot_tell(seen.nodes)
    if isinstance(seen.pods, Unknown):
        return cannot_tell(seen.pods)
    fit = capacity.tightest(seen.groups, seen.nodes, seen.pods)
    if fit is None:
        return passed(NOBODY_MOVES)
    names = ", ".join(host.name for host in fit.group[:3]) + ("…" if len(fit.group) > 3 else "")
    who = "The owner of the workspace, by adding a host or reducing what the pods reserve."
    if not fit.need.pods:
        return passed("No pod has to leave any of the hosts.")
    drained = f"While {names} {be(len(fit.group))} drained"
    if not fit.others:
        return failed(f"{drained}, {count(fit.need.pods, 'pod')} {have(fit.need.pods)} nowhere to go.", who)
    if fit.silent:
        said = f"How much {count(len(fit.silent), 'node')} can hold is not said."
        return cannot_tell(Unknown(said, WHOEVER), fit.silent)
    others = f"{count(len(fit.others), 'other node')} {have(len(fit.others))}"
    sums = f"{drained}, {'its' if len(fit.group) == 1 else 'their'} pods need {fit.need}; {others} {fit.free}"
    if fit.fits:
        return passed(f"{sums} left.")
    return failed(f"{sums} left.", who, [f"{name}: larger than what any of them has left" for name in fit.large])
