"""The steps of an order that make a server a host: it is reached, prepared, joins the cluster and is seen to be Ready.

A bare-metal workspace has no cluster: there a host that answers Ansible is registered. How the server was made is
`host_purchase.py`.
"""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings

from workspaces.models import Host
from workspaces.models.health import reassess
from workspaces.operations import connections, joining, nodes, servers
from workspaces.operations.engine import Context, Done, Outcome
from workspaces.providers import host_keys
from workspaces.providers.ansible import PlaybookResult, known_hosts_line
from workspaces.providers.bootstrap_tokens import BootstrapToken, meeting
from workspaces.providers.errors import Permanent

_CONSOLE: Final = "Whoever can open the server's console at the provider. Then continue."


# --- Reaching it ------------------------------------------------------------------------------------------------------
def reach(context: Context) -> Outcome:
    """The machine answers on SSH with the key that it showed first, and its first start is over."""
    host = nodes.host_of(context)
    if waiting := servers.answers(context, host):
        return waiting
    if not host.known_hosts:
        _pin(context, host)
    try:
        told = _run(context, host, "first_boot", {}).facts.get("cloud_init")
    except Permanent as error:
        # Until the first start is over, the machine may not know our key yet.
        if error.code != "credential" or context.waited > settings.LOOPBACK_BOOT_DEADLINE:
            raise
        return context.again(error.message)
    if told == "running":
        if context.waited > settings.LOOPBACK_BOOT_DEADLINE:
            minutes = settings.LOOPBACK_BOOT_DEADLINE / 60
            said = f"The first start of {host.name} (cloud-init) has not ended in {minutes:.0f} min."
            raise Permanent("unreachable", said, who_can_fix=_CONSOLE)
        return context.again("its first start (cloud-init) goes on")
    if told == "error":
        context.say(
            "Something of the first start (cloud-init) has failed; it goes on, since it is reached", level="warn"
        )
    return Done("reached over SSH")


def _pin(context: Context, host: Host) -> None:
    """Believe the host key that is shown first, and from then on no other."""
    address, port = str(host.ansible["ansible_host"]), int(host.ansible.get("ansible_port") or 22)
    key = host_keys.scan(address, port)
    context.say(f"Its host key, seen for the first time and pinned: {host_keys.fingerprint(key)}")
    host.known_hosts = known_hosts_line(address, port, key)
    host.save(update_fields=["known_hosts"])


# --- Preparing it -----------------------------------------------------------------------------------------------------
def prepare(context: Context) -> Outcome:
    """containerd, and kubeadm, kubelet and kubectl on hold at the version of the control plane."""
    version = context.workspace.kubernetes_version
    if not version:
        raise Permanent("configuration", f"Which Kubernetes version {context.workspace} runs is not known.")
    result = _run(context, nodes.host_of(context), "node", {"kubernetes_version": version})
    context.remember(version=version)
    return Done(f"containerd and Kubernetes {version}" + ("" if result.changed else ", nothing to change"))


def register(context: Context) -> Outcome:
    """Ansible can manage it; a bare-metal host is more than that to nobody."""
    host = nodes.host_of(context)
    _run(context, host, "ping", {})
    told = _run(context, host, "boot", {}).facts
    Host.objects.filter(pk=host.pk).update(
        ready=True,
        ready_message="",
        os_name=str(told.get("os") or "")[:80],
        boot_id=str(told.get("boot_id") or "")[:64],
        observed_at=context.now,
    )
    return Done("registered")


# --- Joining ----------------------------------------------------------------------------------------------------------
def join(context: Context) -> Outcome:
    """The host asks its cluster to take it, with a token of its own that nobody can use afterwards."""
    host = nodes.host_of(context)
    kubeconfig = connections.tenant_kubeconfig(context.workspace)
    with connections.tenant(context.workspace) as cluster:
        joining.forget_token(context, cluster)
        if any(node.name == host.name for node in cluster.nodes()):
            return _joined(host, "its node is there already")
        with joining.token_for(context, cluster, host) as token:
            _run(context, host, "join", _to_join(host, kubeconfig, token))
    return _joined(host, "taken by the cluster")


def _to_join(host: Host, kubeconfig: str, token: BootstrapToken) -> dict[str, Any]:
    where = meeting(kubeconfig)
    return {
        "join_endpoint": where.endpoint,
        "join_ca": list(where.authorities),
        "join_token": token.value,  # hidden by its name, see providers/ansible
        "node_name": host.name,
    }


def _joined(host: Host, said: str) -> Outcome:
    Host.objects.filter(pk=host.pk).update(node_name=host.name)
    return Done(said)


def verify(context: Context) -> Outcome:
    """The node is Ready, on the version that was installed."""
    version = context.operation.steps.get(key="prepare").memory["version"]
    try:
        return nodes.verify(context, None, version=version)
    except Permanent as error:
        if error.code != "not_found":
            raise
        return nodes.not_back(context, nodes.host_of(context), "its node is not in the cluster yet")


def finish(context: Context) -> Outcome:
    """The host counts from here on."""
    reassess([context.operation.workspace_id], context.now)
    host = nodes.host_of(context)
    return Done(f"{host.name}, {host.profile} in {host.location}, is {'Ready' if host.node_name else 'registered'}")


def _run(context: Context, host: Host, playbook: str, variables: dict[str, Any]) -> PlaybookResult:
    return connections.run_playbook(
        playbook, host, variables, on_output=context.say, cancelled=context.lease_lost.is_set
    )
