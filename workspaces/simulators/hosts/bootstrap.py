"""The TLS bootstrap of a kubelet: without a kubeconfig of its own it asks for one as bootstrap-kubelet.conf says.

Source: kubernetes, pkg/kubelet/certificate/bootstrap. The real one asks for a certificate until it has one, and kubeadm
removes bootstrap-kubelet.conf afterwards. Here it asks once, at each start.
"""

import base64
import binascii
import ssl
from typing import Any

import aiohttp
import yaml

from workspaces.simulators.hosts.context import Context
from workspaces.simulators.hosts.machine import KUBELET_CONF, Machine

BOOTSTRAP_CONF, CA_FILE = "etc/kubernetes/bootstrap-kubelet.conf", "etc/kubernetes/pki/ca.crt"
CERTIFICATE = "var/lib/kubelet/pki/kubelet-client-current.pem"
TIMEOUT_SECONDS = 5.0


async def bootstrap(machine: Machine, context: Context) -> None:
    """Give the kubelet credentials, if it has none, was told how to ask, and the cluster takes it."""
    if context.clusters is None or machine.read(KUBELET_CONF) or not machine.read(BOOTSTRAP_CONF):
        return
    told = _read(machine.read(BOOTSTRAP_CONF))
    if told is None or not await _is_taken(*told, machine.node):
        return
    server, authority, _ = told
    context.clusters.trust(server.removeprefix("https://"), machine.node)
    machine.write(CERTIFICATE, "-----BEGIN CERTIFICATE-----\n")
    machine.write(KUBELET_CONF, kubelet_conf(server, authority))


def kubelet_conf(server: str, authority: str) -> str:
    """The kubelet's own kubeconfig, without the key."""
    encoded = base64.b64encode(authority.encode()).decode()
    cluster = {"certificate-authority-data": encoded, "server": server}
    document = {"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "default-cluster", "cluster": cluster}]}
    return yaml.safe_dump(document, width=10_000)


def _read(text: str) -> tuple[str, str, str] | None:
    """Server, authority (PEM) and token of a bootstrap kubeconfig; None when it cannot be used."""
    try:
        document: dict[str, Any] = yaml.safe_load(text)
        cluster = document["clusters"][0]["cluster"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        return str(cluster["server"]), authority, str(document["users"][0]["user"]["token"])
    except (yaml.YAMLError, KeyError, IndexError, TypeError, binascii.Error, ValueError):
        return None


async def _is_taken(server: str, authority: str, token: str, node: str) -> bool:
    """Whether the server is of that authority, and answers to the token."""
    headers = {"Authorization": f"Bearer {token}"}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    try:
        trusting = ssl.create_default_context(cadata=authority)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{server}/api/v1/nodes/{node}", ssl=trusting, headers=headers) as response,
        ):
            return response.status in (200, 404)
    except (aiohttp.ClientError, ssl.SSLError, TimeoutError, ValueError):
        return False
