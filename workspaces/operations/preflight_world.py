"""What a preflight asks of the world: the management cluster, the tenant's API, the hosts' SSH ports.

Each question has a boundary of its own: one that fails is Unknown with its sentence, and the others go on. Reads only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from workspaces.models import Workspace
from workspaces.operations import connections
from workspaces.providers import cluster as tenants
from workspaces.providers import kamaji as management_clusters
from workspaces.providers import reach
from workspaces.providers.cluster import Cluster
from workspaces.providers.errors import ProviderError
from workspaces.providers.kamaji import Kamaji
from workspaces.rules import blast
from workspaces.rules import preflight_seen as seen
from workspaces.rules.preflight_seen import Unknown

# Dry runs only confirm what the budgets say, so a few are enough.
MOST_DRY_RUNS: Final = 20
_BASTION: Final = re.compile(r"proxy(jump|command)|(^|\s)-[JW]", re.IGNORECASE)
_SSH_ARGUMENTS: Final = ("ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_args")
# What a pod says while it starts as it should.
_STARTING: Final = ("ContainerCreating", "PodInitializing")
# Errors that are the stored kubeconfig's own fault.
_REFUSED: Final = ("credential", "configuration")
_NO_STORE: Final = Unknown(
    "The control plane names no DataStore, so which one it uses cannot be seen.",
    "The operator of the management cluster, by naming it in the control plane.",
)


def ask[T](question: Callable[[], T]) -> T | Unknown:
    """The answer, or why there is none."""
    try:
        return question()
    except ProviderError as error:
        return unknown(error)


def unknown(error: ProviderError) -> Unknown:
    """A failed call as a value."""
    return Unknown(error.message, error.who_can_fix, error.code)


def _each[K, T](keys: Iterable[K], question: Callable[[K], T]) -> dict[K, T | Unknown]:
    """The question asked of each key. Once nobody answers the rest is not asked: each would wait its full time."""
    answers: dict[K, T | Unknown] = {}
    silent: Unknown | None = None
    for key in keys:
        answer: T | Unknown = silent if silent else ask(partial(question, key))
        answers[key] = answer
        silent = answer if isinstance(answer, Unknown) and answer.code == "unreachable" else None
    return answers


# --- Management cluster -----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Management:
    """What the management cluster said."""

    control_plane: seen.ControlPlane | Unknown | None
    waiting: tuple[str, ...] | Unknown
    data_store: seen.DataStore | Unknown
    credential: seen.Credential


def ask_management(workspace: Workspace) -> Management:
    """The control plane, its pods, its DataStore."""
    name = f"The kubeconfig of management cluster {workspace.management_cluster or '(none)'}"
    try:
        with connections.control_plane(workspace) as (kamaji, plane):
            return Management(
                control_plane=_control_plane(plane),
                waiting=ask(lambda: tuple(_waiting(kamaji, workspace))),
                data_store=ask(lambda: _data_store(kamaji, plane.data_store)),
                credential=seen.Credential(name, ends_at=kamaji.client_certificate_expires_at),
            )
    except ProviderError as error:
        why = unknown(error)
    if why.code == "not_found":  # an answer: the credential was accepted
        return Management(None, why, why, seen.Credential(name))
    return Management(why, why, why, seen.Credential(name, why, refused=why.code in _REFUSED))


def _control_plane(plane: management_clusters.ControlPlane) -> seen.ControlPlane:
    return seen.ControlPlane(
        status=plane.status,
        wanted=plane.wanted_version,
        running=plane.running_version,
        replicas=plane.replicas,
        ready_replicas=plane.ready_replicas,
        settled=plane.observed_generation is None or plane.observed_generation >= plane.generation,
        paused=plane.paused,
        deleting=plane.deleting,
        pinned=plane.addon_tags,
    )


def _waiting(kamaji: Kamaji, workspace: Workspace) -> Iterator[str]:
    """A sentence for each pod that cannot start. Those that end, or have ended, keep nothing up."""
    for pod in kamaji.control_plane_pods(workspace.namespace, workspace.control_plane):
        if pod.deleting or pod.phase in ("Succeeded", "Failed"):
            continue
        stuck = next((waiting for waiting in pod.waiting if waiting.reason not in _STARTING), None)
        if pod.unschedulable:
            yield f"{pod.name}: {pod.unschedulable}"
        elif stuck:
            yield f"{pod.name}: {stuck.container} waits, {stuck.reason}: {stuck.message or stuck.image}"


def _data_store(kamaji: Kamaji, name: str) -> seen.DataStore | Unknown:
    if not name:
        return _NO_STORE
    store = kamaji.data_store(name)
    if store is None:
        return seen.DataStore(name, ready=False, exists=False)
    return seen.DataStore(store.name, store.ready, store.driver)


# --- Tenant -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Tenant:
    """What the tenant's API said; `moving` are the hosts whose pods have to leave."""

    credential: seen.Credential
    moving: Sequence[seen.Host]
    nodes: tuple[seen.Node, ...] | Unknown
    pods: tuple[seen.Pod, ...] | Unknown
    workloads: tuple[seen.Workload, ...] | Unknown
    budgets: tuple[seen.Budget, ...] | Unknown
    webhooks: tuple[seen.Webhook, ...] | Unknown
    deprecated: seen.DeprecatedUse | Unknown
    dry_runs: Mapping[str, seen.DryRun | Unknown] = field(default_factory=dict)


type Moving = Callable[[tuple[seen.Node, ...] | Unknown], Sequence[seen.Host]]


def ask_tenant(workspace: Workspace, management: Management, *, moving: Moving, removes_apis: bool) -> Tenant:
    """Nodes, pods, budgets, workloads, webhooks, deprecated APIs in use. `moving` tells from the nodes which move."""
    name = f"the kubeconfig of {workspace.name}"
    if management.credential.trouble or management.control_plane is None:
        why = management.credential.trouble or Unknown(
            "Its control plane is not there, so nothing of the workspace can be asked.", "The operator of the platform."
        )
        return _blind(name, why, moving, refused=False)
    try:
        with connections.tenant(workspace) as cluster:
            nodes = ask(lambda: tuple(_node(node) for node in cluster.nodes()))
            if isinstance(nodes, Unknown):
                return _blind(name, nodes, moving, refused=nodes.code == "credential")
            credential = seen.Credential(name, ends_at=cluster.client_certificate_expires_at, reissued=True)
            return _asked(cluster, credential, nodes, moving(nodes), removes_apis)
    except ProviderError as error:
        return _blind(name, unknown(error), moving, refused=error.code in _REFUSED)


def _blind(name: str, why: Unknown, moving: Moving, *, refused: bool) -> Tenant:
    """Nothing more is asked of an API that has not answered the first question: each would wait its full time."""
    return Tenant(seen.Credential(name, why, refused=refused), moving(why), why, why, why, why, why, why)


def _asked(
    cluster: Cluster,
    credential: seen.Credential,
    nodes: tuple[seen.Node, ...],
    moving: Sequence[seen.Host],
    removes_apis: bool,
) -> Tenant:
    budgets, found = ask(cluster.budgets), ask(cluster.pods)
    known = () if isinstance(budgets, Unknown) else tuple(_budget(budget) for budget in budgets)
    pods: tuple[seen.Pod, ...] | Unknown = found if isinstance(found, Unknown) else tuple(_pods(found, budgets))
    return Tenant(
        credential=credential,
        moving=moving,
        nodes=nodes,
        pods=pods,
        workloads=ask(lambda: tuple(_workload(workload) for workload in cluster.workloads())),
        budgets=budgets if isinstance(budgets, Unknown) else known,
        webhooks=ask(lambda: tuple(_webhooks(cluster))),
        deprecated=ask(lambda: _deprecated(cluster)) if removes_apis else seen.DeprecatedUse(()),
        dry_runs={}
        if isinstance(found, Unknown) or isinstance(pods, Unknown)
        else _tried(cluster, found, pods, known, moving),
    )


def _node(node: tenants.Node) -> seen.Node:
    return seen.Node(
        name=node.name,
        kubelet=node.kubelet_version,
        ready=node.ready == "True",
        message=node.ready_message or node.ready_reason,
        closed=node.unschedulable,
        cpu_millis=node.allocatable_cpu_millis,
        memory_bytes=node.allocatable_memory_bytes,
        pods=node.allocatable_pods,
        taints=node.taints,
    )


def _pods(pods: Sequence[tenants.Pod], budgets: Sequence[tenants.Budget] | Unknown) -> Iterator[seen.Pod]:
    by_namespace: dict[str, list[tenants.Budget]] = {}
    for budget in () if isinstance(budgets, Unknown) else budgets:
        by_namespace.setdefault(budget.namespace, []).append(budget)
    for pod in pods:
        covering = [budget for budget in by_namespace.get(pod.namespace, ()) if budget.covers(pod)]
        yield seen.Pod(
            name=f"{pod.namespace}/{pod.name}",
            node=pod.node,
            owner=pod.owner,
            leaves=pod.must_leave and not pod.deleting,
            guarded=not pod.deleting and pod.phase not in ("Pending", "Succeeded", "Failed"),
            ended=pod.phase in ("Succeeded", "Failed"),
            budgets=tuple(_name(budget) for budget in covering),
            cpu_millis=pod.cpu_millis,
            memory_bytes=pod.memory_bytes,
        )


def _name(thing: Any) -> str:
    return f"{thing.namespace}/{thing.name}"


def _budget(budget: tenants.Budget) -> seen.Budget:
    return seen.Budget(_name(budget), budget.allowed, budget.current_healthy, budget.desired_healthy)


def _workload(workload: tenants.Workload) -> seen.Workload:
    return seen.Workload(workload.namespace, workload.reference, workload.replicas, workload.owner)


def _tried(
    cluster: Cluster,
    found: Sequence[tenants.Pod],
    pods: Sequence[seen.Pod],
    budgets: Sequence[seen.Budget],
    moving: Sequence[seen.Host],
) -> dict[str, seen.DryRun | Unknown]:
    """What the API answers to an eviction of pods that a budget keeps, asked as a dry run."""
    by_name = {_name(pod): pod for pod in found}
    wanted = blast.to_try(blast.leaving(pods, moving), budgets, MOST_DRY_RUNS)
    return _each([pod.name for pod in wanted], lambda name: _in_a_word(cluster.may_evict(by_name[name])))


def _in_a_word(eviction: tenants.Eviction) -> seen.DryRun:
    match eviction:
        case tenants.Blocked():
            return "blocked"
        case tenants.Gone():
            return "gone"
        case _:
            return "accepted"


def _webhooks(cluster: Cluster) -> Iterator[seen.Webhook]:
    """Each service that has to answer is asked for once."""
    hooks = cluster.admission_webhooks()
    strict = {hook for hook in hooks if hook.failure_policy == "Fail" and hook.matches_pods_or_nodes}
    services = dict.fromkeys(hook.service for hook in hooks if hook in strict and hook.service)
    answers = _each(services, lambda service: cluster.has_ready_endpoints(*service.split("/", 1)))
    for hook in hooks:
        name = f"{hook.configuration}: {hook.name}"
        yield seen.Webhook(name, hook.service or hook.url, hook in strict, answers.get(hook.service))


def _deprecated(cluster: Cluster) -> seen.DeprecatedUse:
    use = cluster.deprecated_use()
    apis = tuple(
        seen.DeprecatedApi(f"{api.group}{'/' if api.group else ''}{api.version} {api.resource}", api.removed_release)
        for api in use.apis
    )
    return seen.DeprecatedUse(apis, use.since)


# --- Hosts ------------------------------------------------------------------------------------------------------------
def knock(name: str, node: str, variables: Mapping[str, Any]) -> seen.Host:
    """Whether the host answers as an SSH server, by its Ansible connection variables. No sign-in."""
    address, connection = variables.get("ansible_host"), variables.get("ansible_connection", "ssh")
    if connection == "local":
        return seen.Host(name, node, True, "reached without SSH")
    if not address:
        return seen.Host(name, node, False, "it has no connection variables")
    if connection not in ("ssh", "smart", "paramiko"):
        return seen.Host(name, node, None, f"reached by {connection}, which was not tried")
    if any(_BASTION.search(str(variables.get(option, ""))) for option in _SSH_ARGUMENTS):
        return seen.Host(name, node, None, "behind a bastion, which was not tried")
    try:
        said = reach.ssh_banner(str(address), int(variables.get("ansible_port", 22)))
    except (TypeError, ValueError, OverflowError):  # no number, no name that can be asked for, no port
        said = "its ansible_host and ansible_port are no address"
    return seen.Host(name, node, not said, said)
