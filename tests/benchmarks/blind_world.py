"""The fleet that `blind` watches, and what is broken in its world on purpose: the truth that the pages are held to.

Half of the fleet shares a management cluster and a cloud project, which fail as a whole; of the other half single
workspaces fail. So nothing is broken by two at once, and the second half shows whether it is looked at in time.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import urllib3
from kubernetes import client
from kubernetes.client import ApiException

from tests import cast
from tests.simulators.running import RunningWorld
from workspaces.models import Host, ManagementCluster, ProviderAccount, Workspace
from workspaces.operations import connections
from workspaces.providers.kubeconfig import connect

VERSION = "1.34.8"
SHARED, SINGLE = "mgmt-fsn1", "mgmt-hel1"
CLOUD = {SHARED: "kestrel-fsn1", SINGLE: "kestrel-hel1"}
CONTROL_PLANES = {"group": "kamaji.clastix.io", "version": "v1alpha1", "plural": "tenantcontrolplanes"}
PHASE_SECONDS = 0.05
# How long a node that is silent still counts as ready at its own API (simulators/clusters/nodes.py), and a bit.
GRACE_SECONDS = 50 * PHASE_SECONDS + 0.5
HANG_SECONDS = 600.0  # longer than any patience: it is the client that cuts it


# --- The fleet --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Fleet:
    """Workspaces of one host each: those on the shared cluster and cloud, those that fail singly, and bare metal."""

    shared: Sequence[Workspace]
    single: Sequence[Workspace]
    metal: Sequence[Workspace]

    @property
    def all(self) -> list[Workspace]:
        """Every workspace."""
        return [*self.shared, *self.single, *self.metal]


def fleet(world: RunningWorld, number: int) -> Fleet:
    """`number` workspaces, a tenth of them bare metal, with tenants, servers and hosts in the world."""
    cast.load_catalogue()
    metal = [cast.baremetal(f"metal-{n:02}", hosts=1) for n in range(max(2, number // 10))]
    half = (number - len(metal)) // 2
    shared = [_kubernetes(f"shared-{n:02}", SHARED) for n in range(half)]
    single = [_kubernetes(f"single-{n:02}", SINGLE) for n in range(number - len(metal) - half)]
    for name, workspaces in ((SHARED, shared), (SINGLE, single)):
        _in_the_world(world, name, workspaces)
    ready = world.add({"hosts": [{"name": f"{one.name}-1", "os": "debian-13", "packages": {}} for one in metal]})
    for host in ready["hosts"]:
        address = {"ansible_host": host["address"], "ansible_port": host["port"]}
        Host.objects.filter(name=host["name"]).update(ansible=address, ready=None)
    # What the cast says was seen, nobody has seen.
    Workspace.objects.update(observed_at=None)
    return Fleet(shared, single, metal)


def _kubernetes(name: str, cluster: str) -> Workspace:
    return cast.kubernetes(name, hosts=1, version=VERSION, management_cluster=cast.management_cluster(cluster))


def _in_the_world(world: RunningWorld, cluster: str, workspaces: Sequence[Workspace]) -> None:
    """A management cluster with a tenant of one node for each, and a cloud project with a server for each."""
    tenants = [
        {
            "namespace": one.namespace,
            "name": one.control_plane,
            "version": f"v{VERSION}",
            "replicas": 2,
            "nodes": [{"name": f"{one.name}-w1", "kubelet": f"v{VERSION}", "ready": True}],
        }
        for one in workspaces
    ]
    sort = {"server_type": "cpx32", "location": "fsn1", "image": "debian-13", "labels": {}, "status": "running"}
    servers = [sort | {"name": f"{one.name}-w1"} for one in workspaces]
    token = (CLOUD[cluster].replace("-", "") * 8)[:64]
    described = {"name": cluster, "version": "v1.36.2", "kamaji_max": "v1.36.0", "tenants": tenants}
    project = {"name": CLOUD[cluster], "token": token, "servers": servers}
    ready = world.add({"management_clusters": [described], "hetzner_projects": [project]})
    row = workspaces[0].management_cluster
    assert row is not None
    row.kubeconfig = next(one["kubeconfig"] for one in ready["management_clusters"] if one["name"] == cluster)
    row.save()
    account = ProviderAccount.objects.create(
        organization=workspaces[0].project.organization,
        name=CLOUD[cluster],
        token=token,
        endpoint=ready["hetzner_url"],
    )
    for server in connections.cloud(account).servers():
        Host.objects.filter(name=server.name).update(provider_account=account, provider_id=server.id)


# --- What is broken ---------------------------------------------------------------------------------------------------
@dataclass
class Injection:
    """Something broken for a while: which workspaces it makes wrong, and which of their conditions cannot be true."""

    name: str
    workspaces: Collection[UUID]
    conditions: Collection[str]
    breaking: Callable[[], AbstractContextManager[None]]
    shows_after: float = 0.0  # seconds until the world's own API tells of it
    began: datetime | None = None
    ended: datetime | None = None
    # Of each workspace that was green when it began: seconds until it was not, seconds from the end until it was again.
    leaving: dict[UUID, float] = field(default_factory=dict)
    returning: dict[UUID, float] = field(default_factory=dict)
    green_before: set[UUID] = field(default_factory=set)


def noise(world: RunningWorld, rate: float) -> None:
    """Let `rate` of all calls to every vendor fail (500, 503), be turned away (429), hang, or be cut."""
    fifth = 1 - (1 - rate) ** (1 / 5)
    for service in ("kubernetes", "hetzner"):
        for status in (500, 503, 429):
            world.fault(service=service, target="*", kind="status", status=status, rate=fifth)
        world.fault(service=service, target="*", kind="hang", seconds=HANG_SECONDS, rate=fifth)
        world.fault(service=service, target="*", kind="refuse", rate=fifth)
    world.fault(service="ssh", target="*", kind="refuse", path="", rate=rate)


def lanes(world: RunningWorld, fleet: Fleet) -> list[Iterator[Injection]]:
    """Endless rows of injections that do not meet: each is to be begun when the one before has ended."""
    third = max(1, len(fleet.single) // 3)
    rows = [_shared(world, fleet.shared), _metal(world, fleet.metal)]
    return rows + [_single(world, fleet.single[n : n + third], n) for n in range(0, third * 3, third)]


def _shared(world: RunningWorld, workspaces: Sequence[Workspace]) -> Iterator[Injection]:
    cloud = {"service": "hetzner", "target": CLOUD[SHARED]}
    api = {"service": "kubernetes", "target": SHARED}
    servers, all_of_it = ("servers",), ("control_plane", "hosts")
    everyone = [one.pk for one in workspaces]
    while True:
        for name, conditions, fault in (
            ("cloud token refused", servers, cloud | {"kind": "expired_token"}),
            ("management API hangs", all_of_it, api | {"kind": "hang", "seconds": HANG_SECONDS}),
            ("cloud API fails", servers, cloud | {"kind": "status", "status": 503}),
            ("management credential refused", all_of_it, api | {"kind": "expired_token"}),
            ("cloud API turns away", servers, cloud | {"kind": "status", "status": 429}),
            ("management API refuses", all_of_it, api | {"kind": "refuse"}),
            ("cloud API hangs", servers, cloud | {"kind": "hang", "seconds": HANG_SECONDS}),
        ):
            yield Injection(name, everyone, conditions, lambda fault=fault: _fault(world, **fault))


def _single(world: RunningWorld, workspaces: Sequence[Workspace], first: int) -> Iterator[Injection]:
    """One workspace after the other, each broken in another way."""
    number = first
    while True:
        one = workspaces[number % len(workspaces)]
        tenant = {"service": "kubernetes", "target": f"{one.namespace}/{one.control_plane}"}
        node = {"service": "kubernetes", "target": f"{one.name}-w1", "kind": "lost_node"}
        ways: list[tuple[str, Collection[str], Callable[[], AbstractContextManager[None]]]] = [
            ("tenant unreachable", ("hosts",), lambda tenant=tenant: _fault(world, **tenant, kind="refuse")),
            ("node lost", ("hosts",), lambda node=node: _fault(world, **node)),
            ("server switched off", ("servers",), lambda one=one: _switched_off(one)),
            ("tenant hangs", ("hosts",), lambda tenant=tenant: _fault(world, **tenant, kind="hang")),
            ("control plane paused", ("control_plane",), lambda one=one: _paused(one)),
            (
                "tenant credential refused",
                ("hosts",),
                lambda tenant=tenant: _fault(world, **tenant, kind="expired_token"),
            ),
        ]
        name, conditions, breaking = ways[number % len(ways)]
        yield Injection(name, [one.pk], conditions, breaking, GRACE_SECONDS if name == "node lost" else 0.0)
        number += 1


def _metal(world: RunningWorld, workspaces: Sequence[Workspace]) -> Iterator[Injection]:
    while True:
        for one in workspaces:
            fault = {"service": "ssh", "target": f"{one.name}-1", "kind": "lost_node"}
            yield Injection("bare host lost", [one.pk], ("hosts",), lambda fault=fault: _fault(world, **fault))


@contextmanager
def _fault(world: RunningWorld, **fault: Any) -> Iterator[None]:
    added = world.fault(**fault)
    try:
        yield
    finally:
        url = f"{world.ready['faults_url']}/{added}"
        urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=30).close()


@contextmanager
def _paused(workspace: Workspace) -> Iterator[None]:
    """Somebody else tells Kamaji to leave the control plane alone, and later not to."""
    try:
        _repeated(lambda: _annotate(workspace, "true"))
        yield
    finally:
        _repeated(lambda: _annotate(workspace, None))


def _annotate(workspace: Workspace, paused: str | None) -> None:
    cluster = ManagementCluster.objects.get(pk=workspace.management_cluster_id)
    with connect(cluster.kubeconfig.reveal(), timeout=2) as connection:
        client.CustomObjectsApi(connection).patch_namespaced_custom_object(
            **CONTROL_PLANES,
            namespace=workspace.namespace,
            name=workspace.control_plane,
            body={"metadata": {"annotations": {"kamaji.clastix.io/paused": paused}}},
        )


@contextmanager
def _switched_off(workspace: Workspace) -> Iterator[None]:
    """Somebody switches its server off in the cloud console, and later on."""
    try:
        _repeated(lambda: _power(workspace, "poweroff"))
        yield
    finally:
        _repeated(lambda: _power(workspace, "poweron"))


def _power(workspace: Workspace, action: str) -> None:
    host = workspace.hosts.select_related("provider_account").get()
    account = host.provider_account
    assert account is not None
    headers = {"Authorization": f"Bearer {account.token.reveal()}"}
    url = f"{account.endpoint}/servers/{host.provider_id}/actions/{action}"
    urllib.request.urlopen(urllib.request.Request(url, b"", headers, method="POST"), timeout=2).close()


def _repeated(call: Callable[[], None]) -> None:
    """The noise meets what somebody else does too."""
    for left in reversed(range(30)):
        try:
            call()
            return
        except (OSError, ApiException, urllib3.exceptions.HTTPError):
            if not left:
                raise
