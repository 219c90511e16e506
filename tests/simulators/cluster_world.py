"""Simulated clusters on a loop in a thread of their own, for tests that use them through real clients."""

import asyncio
import base64
import contextlib
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config

from workspaces.simulators.clusters import Clusters
from workspaces.simulators.clusters.bootstrap import MASTERS
from workspaces.simulators.clusters.kinds import LEASES
from workspaces.simulators.clusters.kubelets import micro
from workspaces.simulators.faults import Faults
from workspaces.simulators.journal import Journal

from .replay import Client

GROUP = ("kamaji.clastix.io", "v1alpha1")
TCP = (*GROUP, "ws-7f3a91", "tenantcontrolplanes", "ledger-prod")
KEY = "ws-7f3a91/ledger-prod"
SPEC: dict[str, Any] = {
    "management_clusters": [
        {
            "name": "mgmt-fsn1",
            "version": "v1.36.2",
            "kamaji_max": "v1.36.0",
            "tenants": [
                {
                    "namespace": "ws-7f3a91",
                    "name": "ledger-prod",
                    "version": "v1.35.4",
                    "replicas": 2,
                    "labels": {"tier": "gold"},
                    "nodes": [{"name": f"w{n}", "kubelet": "v1.35.4", "internal_ip": f"10.0.0.{n}"} for n in (1, 2, 3)],
                    "workloads": [
                        {"namespace": "shop", "name": "web", "replicas": 4, "ready": 4, "budget": {"minAvailable": 3}},
                        {"namespace": "shop", "name": "cart", "replicas": 1, "kind": "StatefulSet"},
                        {"namespace": "shop", "name": "slow", "replicas": 2, "grace_seconds": 1, "empty_dir": True},
                    ],
                    "deprecated_apis": [
                        {
                            "group": "policy",
                            "version": "v1beta1",
                            "resource": "podsecuritypolicies",
                            "removed_release": "1.25",
                        }
                    ],
                }
            ],
        }
    ]
}
"""One tenant with three workers and three workloads."""


def until(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return answer


def control_plane(api: client.ApiClient) -> dict[str, Any]:
    found: dict[str, Any] = client.CustomObjectsApi(api).get_namespaced_custom_object(*TCP)
    return found


def set_version(api: client.ApiClient, version: str) -> None:
    body = {"spec": {"kubernetes": {"version": version}}}
    client.CustomObjectsApi(api).patch_namespaced_custom_object(*TCP, body)


def ready_at(api: client.ApiClient, version: str) -> Callable[[], bool]:
    wanted = {"version": version, "status": "Ready"}
    return lambda: control_plane(api)["status"]["kubernetesResources"]["version"] == wanted


class LiveClusters:
    """Clusters that run; `call` runs a function on their loop."""

    def __init__(self, state_dir: Path, phase: float) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.directory = state_dir
        self.faults, self.journal = Faults(1), Journal()
        self.clusters = Clusters(self.faults, self.journal, state_dir, phase)
        self._clients: list[Any] = []
        self._beating = threading.Event()

    def wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        async def run() -> Any:
            return function(*args)

        return self.wait(run())

    def add_fault(self, target: str, kind: str, **fields: Any) -> None:
        self.call(lambda: self.faults.add(service="kubernetes", target=target, kind=kind, **fields))

    def close(self) -> None:
        self.stop_beating()
        for api in self._clients:
            api.close()
        self.wait(self.clusters.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()

    def api(self, kubeconfig: str) -> client.ApiClient:
        """The official client, without retries, closed at the end."""
        api = config.new_client_from_config_dict(yaml.safe_load(kubeconfig), persist_config=False)
        api.configuration.retries = False
        self._clients.append(api)
        return api

    def management(self, name: str) -> client.ApiClient:
        return self.api(self._ready(name)["kubeconfig"])

    def tenant(self, key: str) -> client.ApiClient:
        found = [t for m in self.call(self.clusters.ready)["management_clusters"] for t in m["tenants"]]
        return self.api(next(t["kubeconfig"] for t in found if f"{t['namespace']}/{t['name']}" == key))

    def _ready(self, name: str) -> dict[str, Any]:
        return next(m for m in self.call(self.clusters.ready)["management_clusters"] if m["name"] == name)

    def raw_client(self, managements: dict[str, str], tenants: dict[str, str]) -> Client:
        """A raw client: names of servers -> names of clusters, with administrators' certificates."""
        servers, admins = {}, {}
        for label, name in managements.items():
            servers[label], admins[label] = self._files(label, self.clusters.managements[name].admin_kubeconfig())
        for label, key in tenants.items():
            tenant = next(m.tenants[key] for m in self.clusters.managements.values() if key in m.tenants)
            servers[label], admins[label] = self._files(label, tenant.admin_kubeconfig(MASTERS))
        client = Client(servers, admins)
        self._clients.append(client)
        return client

    def _files(self, label: str, kubeconfig: str) -> tuple[tuple[str, Path], tuple[Path, Path]]:
        document = yaml.safe_load(kubeconfig)
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        directory = Path(tempfile.mkdtemp(dir=self.directory))
        paths = []
        for part, name in (
            (cluster["certificate-authority-data"], "ca"),
            (user["client-certificate-data"], "crt"),
            (user["client-key-data"], "key"),
        ):
            paths.append(directory / f"{label}.{name}")
            paths[-1].write_bytes(base64.b64decode(part))
        return (cluster["server"], paths[0]), (paths[1], paths[2])

    def beat(self, key: str, lease: dict[str, Any]) -> None:
        """Renews a Lease as a kubelet does, until `stop_beating`."""
        store = next(m.tenants[key] for m in self.clusters.managements.values() if key in m.tenants).store
        self._beating = stop = threading.Event()
        name = lease["metadata"]["name"]

        def renew() -> None:
            spec = {**lease["spec"], "renewTime": micro(time.time())}
            if store.get(LEASES, "kube-node-lease", name) is None:
                store.create(LEASES, {"metadata": {"name": name, "namespace": "kube-node-lease"}, "spec": spec})
            else:
                store.edit(LEASES, "kube-node-lease", name, lambda held: held.update(spec=spec))

        def beat() -> None:
            while not stop.wait(0.2):
                self.call(renew)

        self.call(renew)
        self._beater = threading.Thread(target=beat, daemon=True)
        self._beater.start()

    def stop_beating(self) -> None:
        self._beating.set()


@contextlib.contextmanager
def running_clusters(
    state_dir: Path, spec: dict[str, Any], phase: float, snapshot: dict[str, Any] | None = None
) -> Iterator[LiveClusters]:
    """Clusters of that spec, or going on from a snapshot; closed at the end."""
    live = LiveClusters(state_dir, phase)
    try:
        if snapshot is not None:
            live.call(live.clusters.restore, snapshot)
        live.wait(live.clusters.start())
        live.wait(live.clusters.add(spec))
        yield live
    finally:
        live.close()
