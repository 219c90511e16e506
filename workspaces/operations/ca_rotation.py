"""Changing the certificate authority of a cluster: the only way to end kubeconfigs with a client certificate.

Kamaji makes another authority and issues everything anew; from then on every host is out of the cluster until its
kubelet has new credentials. Hosts join again one after another and are not drained: a kubelet that restarts leaves
containers running. Forward only: the old authority is gone as soon as Kamaji has taken the wish.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from workspaces.models import PLATFORM, Actor, Event, Host, Kubeconfig, Operation, StepPlan, Workspace
from workspaces.models.health import reassess
from workspaces.operations import connections, control_plane, diagnosis, dispatch, joining, nodes
from workspaces.operations.engine import Context, Done, Outcome, StepFunction, Wait
from workspaces.providers.bootstrap_tokens import meeting
from workspaces.providers.errors import Permanent, ProviderError
from workspaces.providers.kamaji import ControlPlane, Kamaji
from workspaces.providers.kamaji_certificates import fingerprint_in
from workspaces.rules.refusal import Refused
from workspaces.rules.situation import Situation, refuse_state, refuse_type

KIND: Final = "ca_rotation"
STAGES: Final = (("rejoin", "Join again"),)  # and "verify", as an upgrade has it
LONGEST_REASON: Final = 200
# Where the pods lie that no cluster works without: network, names, proxies.
SYSTEM: Final = "kube-system"
_OPERATOR: Final = "The operator of the management cluster. Then continue."


# --- Starting ---------------------------------------------------------------------------------------------------------
def start(workspace: Workspace, *, confirm_name: str, reason: str, actor: Actor) -> Operation | Refused:
    """Start changing the authority, or say why not. `confirm_name` is the workspace's name, typed."""
    if refused := refuse(workspace):
        return refused
    if confirm_name != workspace.name:
        return Refused("wrong_name", f"Type the name of the workspace, {workspace.name}, to confirm.")
    if not reason.strip():
        return Refused("no_reason", "Say why the authority is changed: it ends the access of others.")
    reason = reason.strip()[:LONGEST_REASON]
    with transaction.atomic():
        operation = Operation.start(
            workspace,
            KIND,
            f"Change the certificate authority of {workspace.name}",
            plan(workspace),
            actor=actor,
            parameters={"reason": reason},
        )
        if isinstance(operation, Operation):
            Event.record(
                actor,
                "ca_rotation.asked",
                workspace=workspace,
                operation=operation,
                summary=f"Asked to change the certificate authority of {workspace}: {reason}",
            )
            dispatch.run_soon(operation.pk)
    return operation


def refuse(workspace: Workspace, hosts: Sequence[Host] | None = None) -> Refused | None:
    """not_kubernetes, gated, not_active, not_linked, hosts_not_manageable, hosts_not_ready.

    `hosts` are those of `hosts_of`, where they are known already.
    """
    situation = Situation(workspace.type, workspace.state)
    if refused := refuse_type(situation) or refuse_state(situation):
        return refused
    if not workspace.management_cluster_id or not workspace.control_plane:
        return Refused("not_linked", f"{workspace} is not linked to a control plane on a management cluster.")
    hosts = hosts_of(workspace) if hosts is None else hosts
    if lost := [host.name for host in hosts if not host.manageable]:
        said = f"Loopback cannot sign in to {_names(lost)}, so nobody would give new credentials to their kubelets."
        return Refused("hosts_not_manageable", said, {"hosts": lost})
    if lost := [host.name for host in hosts if not host.ready]:
        said = f"Not Ready when last seen: {_names(lost)}. A host that is not Ready may not join again."
        return Refused("hosts_not_ready", said, {"hosts": lost})
    return None


def hosts_of(workspace: Workspace) -> list[Host]:
    """The hosts that have to join again, in the order in which they do."""
    return list(workspace.hosts.exclude(node_name="").order_by("name"))


def _names(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def plan(workspace: Workspace) -> Iterator[StepPlan]:
    """The steps in order. Once the authority is changed nothing stops before every host has joined again."""
    yield StepPlan("check", "Check that every host and the control plane can take part")
    yield StepPlan("rotate", "Ask Kamaji for another certificate authority", irreversible=True)
    yield StepPlan("serve", "Wait until the API server answers under the new authority", safe_to_stop=False)
    yield StepPlan("revoke", "Note which kubeconfigs have ended", safe_to_stop=False)
    for host in hosts_of(workspace):
        for key, title in (("rejoin", "Let {} join again"), ("verify", "Verify that {} is Ready")):
            at = {"host": str(host.pk)}
            yield StepPlan(key, title.format(host.name), at, host=host.name, stage=key, safe_to_stop=False)
    yield StepPlan("system_pods", f"Start the pods of {SYSTEM} again", safe_to_stop=False)
    yield StepPlan("finish", "Confirm that every host is Ready", safe_to_stop=False)


# --- Control plane ----------------------------------------------------------------------------------------------------
def check(context: Context) -> Outcome:
    """The guards of the click once more, then the world: control plane, data store, nodes, a sign-in to each host."""
    if refused := refuse(context.workspace):
        raise Permanent(refused.code, refused.message)
    with connections.control_plane(context.workspace) as (kamaji, seen):
        control_plane.refuse_stuck(seen)
        if seen.status != "Ready":
            raise Permanent("conflict", f"The control plane is not Ready: Kamaji says {seen.status or 'nothing'}.")
        store = kamaji.data_store(seen.data_store) if seen.data_store else None
        if seen.data_store and (store is None or not store.ready):
            said = f"Data store {seen.data_store} is not ready: Kamaji would change nothing."
            raise Permanent("data_store_not_ready", said, who_can_fix=_OPERATOR)
    hosts = hosts_of(context.workspace)
    with connections.tenant(context.workspace) as cluster:
        ready = {node.name: node.ready == "True" for node in cluster.nodes()}
    if strangers := sorted(set(ready) - {host.node_name for host in hosts}):
        said = f"These nodes are of no host that Loopback knows, and would be lost for good: {_names(strangers)}."
        raise Permanent("conflict", said, who_can_fix="An administrator, by taking them out of the cluster first.")
    if lost := [host.name for host in hosts if not ready.get(host.node_name)]:
        raise Permanent("conflict", f"Not Ready: {_names(lost)}. A host that is not Ready may not join again.")
    _sign_in(context, hosts)
    return Done(f"control plane Ready, {len(hosts)} host{'' if len(hosts) == 1 else 's'} answer over SSH")


def _sign_in(context: Context, hosts: list[Host]) -> None:
    """A host that cannot be reached now would stay out of the cluster, so all are tried before anything happens."""
    silent: list[ProviderError] = []
    for host in hosts:
        try:
            _run(context, host, "ping", {})
        except ProviderError as error:
            silent.append(error)
    if silent:
        said = " ".join(error.message for error in silent[:3])
        who = "Whoever can sign in to these hosts, or to their consoles. Nothing has been changed yet."
        raise Permanent(silent[0].code, said, who_can_fix=who)


def rotate(context: Context) -> Outcome:
    """Ask once. Which authority it was before is remembered first: by that a second run sees that it is another."""
    with connections.control_plane(context.workspace) as (kamaji, seen):
        control_plane.refuse_stuck(seen)
        held = kamaji.authority(seen)
        before = context.step.memory.get("before")
        if before is None:
            before = held.fingerprint
            context.remember(before=before)
        if held.fingerprint != before:
            return Done("Kamaji has changed it already. There is no way back")
        if not held.asked:
            kamaji.change_authority(seen, held)
    return Done("Kamaji has taken the wish. From here there is no way back")


def serve(context: Context) -> Outcome:
    """Another authority, a kubeconfig of it, and an API server that answers to it, over several connections."""
    before = context.operation.steps.get(key="rotate").memory["before"]
    with connections.control_plane(context.workspace) as (kamaji, seen):
        held = kamaji.authority(seen)
        if held.fingerprint == before:
            return _wait(context, kamaji, seen, "Kamaji has not changed the authority yet")
        if seen.status != "Ready":
            return _wait(context, kamaji, seen, f"Kamaji says {seen.status or 'nothing'}")
        if fingerprint_in(kamaji.kubeconfig(seen.namespace, seen.kubeconfig_secret)) != held.fingerprint:
            return _wait(context, kamaji, seen, "Kamaji has not issued a kubeconfig of the new authority yet")
        try:
            with connections.tenant(context.workspace) as cluster:
                cluster.answers(3)
        except ProviderError as error:
            return _wait(context, kamaji, seen, f"the API server does not answer under it yet: {error.message}")
    return Done(f"the API server answers under the new authority, SHA-256 {held.fingerprint[:16]}…")


def _wait(context: Context, kamaji: Kamaji, seen: ControlPlane, why: str) -> Wait:
    """Ask again soon; past the deadline a person has to look, and is told what was found."""
    found = diagnosis.of_control_plane(context, kamaji, seen)
    if found is not None and found.cause == "tenant_unreachable":
        found = None  # that is what is waited for
    finding = found or diagnosis.Finding("", why, diagnosis.LOG_OF_KAMAJI)
    if context.waited > settings.LOOPBACK_CONTROL_PLANE_DEADLINE:
        said = f"No API server under a new authority in {context.waited / 60:.0f} min: {finding.message}."
        raise Permanent(finding.cause or "cloud_api", said, who_can_fix=f"{finding.who_can_fix} Then continue.")
    return context.again(finding.message, cause=finding.cause, who_can_fix=finding.who_can_fix if finding.cause else "")


# --- Kubeconfigs ------------------------------------------------------------------------------------------------------
def revoke(context: Context) -> Outcome:
    """Whatever was handed out trusts, and was signed by, an authority that is gone.

    A token of a ServiceAccount is not signed by it: who skips the check of the server could show it still, so its
    account is deleted as well, by the same upkeep that revokes one alone.
    """
    now, operation = timezone.now(), context.operation
    of_workspace = Kubeconfig.objects.filter(workspace=context.workspace)
    with transaction.atomic():
        of_workspace.filter(state="ready").update(state="expired", document="")
        valid = of_workspace.valid_outside(now)
        tokens = valid.filter(kind="service_account", revocation_asked_at=None)
        asked = tokens.update(revocation_asked_at=now, revoked_by=operation.requested_by)
        ended = list(valid.filter(kind="admin").order_by("requested_at"))
        Kubeconfig.objects.filter(pk__in=[one.pk for one in ended]).update(
            revoked_at=now, revoked_by=operation.requested_by
        )
        for one in ended:
            Event.record(
                PLATFORM,
                "kubeconfig.revoked",
                workspace=context.workspace,
                operation=operation,
                summary=f"The kubeconfig that {one.requested_by} took of {context.workspace} has ended: "
                "its certificate authority is gone",
                changes={"kubeconfig": str(one.pk)},
            )
    more = f"; {asked} of a ServiceAccount {'is' if asked == 1 else 'are'} being revoked" if asked else ""
    said = f"{len(ended)} kubeconfig{' has' if len(ended) == 1 else 's have'} ended{more}"
    return Done(said if ended or asked else "none that was handed out was still valid")


# --- Hosts ------------------------------------------------------------------------------------------------------------
def rejoin(context: Context) -> Outcome:
    """The kubelet asks for credentials of the new authority, with a token that nobody can use afterwards."""
    host = nodes.host_of(context)
    where = meeting(connections.tenant_kubeconfig(context.workspace))
    with connections.tenant(context.workspace) as cluster:
        joining.forget_token(context, cluster)
        if "lease_before" not in context.step.memory:
            renewed = cluster.lease_renewed_at(host.node_name)
            context.remember(lease_before=renewed.isoformat() if renewed else None)
        with joining.token_for(context, cluster, host) as token:
            variables = {
                "join_endpoint": where.endpoint,
                "join_token": token.value,  # hidden by its name, see providers/ansible
                "join_authority": where.certificates,
            }
            changed = _run(context, host, "rejoin", variables)
    return Done("its kubelet has new credentials" if changed else "its kubelet had new credentials already")


def verify(context: Context) -> Outcome:
    """The node is Ready, and its kubelet has renewed its Lease since: it talks under the new authority."""
    joined = context.operation.steps.get(key="rejoin", arguments__host=context.step.arguments["host"])
    return nodes.verify(context, nodes.moment(joined.memory.get("lease_before")), closed=False)


def system_pods(context: Context) -> Outcome:
    """Pods read the authority when they start: those every cluster needs are started again, in their own pace."""
    started = context.step.memory.get("started")
    if started is None:
        started = timezone.now().isoformat(timespec="seconds")
        context.remember(started=started)
    with connections.tenant(context.workspace) as cluster:
        names = cluster.restart_pods(SYSTEM, started)
    context.say(
        "Pods of other namespaces that talk to the Kubernetes API trust the old authority until they are started again",
        level="warn",
    )
    return Done(f"started again: {', '.join(names)}" if names else f"{SYSTEM} has none")


def finish(context: Context) -> Outcome:
    """Ask once more, all of it; whoever was left out is named."""
    left_out = set(context.operation.steps.filter(state="skipped").values_list("host", flat=True))
    with connections.tenant(context.workspace) as cluster:
        ready = {node.name: node.ready == "True" for node in cluster.nodes()}
    hosts = hosts_of(context.workspace)
    if lost := [host.name for host in hosts if not ready.get(host.node_name) and host.name not in left_out]:
        who = "Whoever can sign in to these hosts. Then continue."
        raise Permanent("conflict", f"Not Ready under the new authority: {_names(lost)}.", who_can_fix=who)
    reassess([context.workspace.pk], context.now)
    back = len([host for host in hosts if host.name not in left_out])
    more = f"; left out, and not in the cluster any more: {_names(sorted(left_out))}" if left_out else ""
    return Done(f"{back} host{' is' if back == 1 else 's are'} Ready under the new authority{more}")


def _run(context: Context, host: Host, playbook: str, variables: dict[str, str]) -> int:
    """How much the playbook changed on the host."""
    say, lost = context.say, context.lease_lost.is_set
    return connections.run_playbook(playbook, host, variables, on_output=say, cancelled=lost).changed


STEPS: dict[str, StepFunction] = {
    "check": check,
    "rotate": rotate,
    "serve": serve,
    "revoke": revoke,
    "rejoin": rejoin,
    "verify": verify,
    "system_pods": system_pods,
    "finish": finish,
}
