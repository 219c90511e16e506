"""What every operation has to survive: each step run twice, a failure after each step, a worker killed at each step.

`linked` puts a workspace of the cast into the simulated world; `drive` runs its operation in this process, step by
step; `Workers` are real queue workers in processes of their own, to be killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from tests.simulators.running import RunningWorld
from workspaces.models import Host, Operation, SshKey, Workspace
from workspaces.operations import connections, engine, plans, recovery
from workspaces.operations.engine import Context, Outcome, StepFunction
from workspaces.providers.errors import Temporary

REPOSITORY = Path(__file__).parents[2]


# --- The world --------------------------------------------------------------------------------------------------------
def linked(
    world: RunningWorld,
    workspace: Workspace,
    *,
    updates: Sequence[dict[str, Any]] = (),
    held: Sequence[str] = (),
    **tenant: Any,
) -> Workspace:
    """Make the workspace's tenant, nodes and hosts in the world, and store their addresses in its rows.

    `updates` wait on every host: package, version, and perhaps security and reboot. `held` packages are on hold.
    """
    version = workspace.kubernetes_version
    names = list(workspace.hosts.values_list("name", flat=True))
    cluster = workspace.management_cluster
    assert cluster is not None
    spec: dict[str, Any] = {
        "namespace": workspace.namespace,
        "name": workspace.control_plane,
        "version": f"v{version}",
        "replicas": 2,
        "nodes": [{"name": name, "kubelet": f"v{version}", "ready": True} for name in names],
        "workloads": [_web(budget=len(names) > 1)],
    }
    kubelets = {node["name"]: node["kubelet"].removeprefix("v") for node in (spec | tenant)["nodes"]}
    hosts = [
        {
            "name": name,
            "cluster": f"{workspace.namespace}/{workspace.control_plane}",
            "node": name,
            "packages": dict.fromkeys(("kubeadm", "kubelet", "kubectl"), f"{kubelets[name]}-1.1"),
            "held": ["kubeadm", "kubelet", "kubectl", *held],
        }
        for name in names
    ]
    clusters = [{"name": cluster.name, "version": "v1.36.2", "kamaji_max": "v1.36.0", "tenants": [spec | tenant]}]
    ready = _add_hosts(world, workspace, hosts, updates, management_clusters=clusters)
    cluster.kubeconfig = next(one["kubeconfig"] for one in ready["management_clusters"] if one["name"] == cluster.name)
    cluster.save()
    return Workspace.objects.select_related("project", "management_cluster").get(pk=workspace.pk)


def linked_metal(world: RunningWorld, workspace: Workspace, *, updates: Sequence[dict[str, Any]] = ()) -> Workspace:
    """The same for hosts without a cluster."""
    hosts = [{"name": name} for name in workspace.hosts.values_list("name", flat=True)]
    _add_hosts(world, workspace, hosts, updates)
    return Workspace.objects.select_related("project", "management_cluster").get(pk=workspace.pk)


def _add_hosts(
    world: RunningWorld,
    workspace: Workspace,
    hosts: list[dict[str, Any]],
    updates: Sequence[dict[str, Any]],
    **more: Any,
) -> dict[str, Any]:
    """Add hosts with `updates` waiting to the world and store how they are reached; returns what the world answered."""
    old = {update["package"]: update.get("from", "1.0-1") for update in updates}
    for host in hosts:
        host["packages"] = old | host.get("packages", {})
        host |= {"os": "debian-13", "updates": [dict(update) for update in updates]}
    ready = world.add({"hosts": hosts, **more})
    key, _ = SshKey.objects.get_or_create(name="fleet", defaults={"private_key": ready["ssh_private_key"]})
    for host in ready["hosts"]:
        Host.objects.filter(workspace=workspace, name=host["name"]).update(
            ssh_key=key,
            known_hosts=f"[{host['address']}]:{host['port']} {host['host_key']}\n",
            ansible={
                "ansible_host": host["address"],
                "ansible_port": host["port"],
                "ansible_user": host["user"],
                "ansible_python_interpreter": sys.executable,
                "host_root": host["root"],
            },
        )
    return ready


def _web(*, budget: bool) -> dict[str, Any]:
    """A web front; on a single host no replica could move elsewhere, so a budget there would never yield."""
    web = {"namespace": "shop", "name": "web", "kind": "Deployment", "replicas": 3, "ready": 3}
    return web | {"budget": {"minAvailable": 1}} if budget else web


def version_patches(world: RunningWorld, workspace: Workspace) -> list[str]:
    """The versions that were sent to Kamaji for this workspace and accepted, in order."""
    path = f"*/namespaces/{workspace.namespace}/tenantcontrolplanes/{workspace.control_plane}[?]*"
    entries = world.journal(service="kubernetes", method="PATCH", path=path)
    return [entry["body"]["spec"]["kubernetes"]["version"] for entry in entries if entry["status"] == 200]


def nodes(workspace: Workspace) -> dict[str, tuple[str, str, bool]]:
    """What the tenant itself says of its nodes: kubelet version, Ready, closed to new pods."""
    with connections.tenant(workspace) as cluster:
        return {node.name: (node.kubelet_version, node.ready, node.unschedulable) for node in cluster.nodes()}


# --- Driving in this process ------------------------------------------------------------------------------------------
def drive(
    operation: Operation, wrap: Callable[[StepFunction], StepFunction] = lambda f: f, *, limit: float = 200
) -> Operation:
    """Run the operation to its end, one step after the other, each function wrapped in `wrap`."""

    def find(kind: str, key: str) -> StepFunction | None:
        function = plans.find(kind, key)
        return wrap(function) if function else None

    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        engine.run_one_step(operation.pk, find)
        operation.refresh_from_db()
        if not operation.is_open:
            return operation
        if operation.wake_at and operation.wake_at > timezone.now():
            time.sleep(min(0.2, (operation.wake_at - timezone.now()).total_seconds()))
    raise AssertionError(f"{operation} has not ended in {limit} s: {story(operation)}")


def twice(function: StepFunction) -> StepFunction:
    """The step runs, its result is lost with the worker, and it runs again."""

    def run(context: Context) -> Outcome:
        function(context)
        return function(context)

    return run


def failing_once_after(seen: set[int]) -> Callable[[StepFunction], StepFunction]:
    """Every step does its work and then fails, the first time."""

    def wrap(function: StepFunction) -> StepFunction:
        def run(context: Context) -> Outcome:
            outcome = function(context)
            if context.step.pk not in seen:
                seen.add(context.step.pk)
                raise Temporary("cloud_api", "The answer was lost.", delay=0)
            return outcome

        return run

    return wrap


def story(operation: Operation) -> str:
    """Where it stands, for the message of a failed test."""
    steps = operation.steps.exclude(state__in=("done", "pending")).values_list("title", "state", "attempts", "message")
    return "\n".join([f"{operation.state}: {operation.error_message}", *(str(step) for step in steps)])


# --- Workers to be killed ---------------------------------------------------------------------------------------------
class Workers:
    """Real queue workers on this test's database and queue."""

    def __init__(self, number: int = 1, queue: str = "operations") -> None:
        self.queue = queue
        self.processes = [self._start() for _ in range(number)]
        self.killed = 0

    def _start(self) -> subprocess.Popen[bytes]:
        name = connection.settings_dict["NAME"]
        host = str(connection.settings_dict["HOST"]).replace("/", "%2F")
        user, port = connection.settings_dict["USER"], connection.settings_dict["PORT"]
        at = f"{host}:{port}" if port else host
        environment = os.environ | {
            "DATABASE_URL": f"postgresql://{user}@{at}/{name}",
            "REDIS_URL": settings.REDIS_URL,
            "DJANGO_SETTINGS_MODULE": "loopback.settings",
        }
        command = [sys.executable, "manage.py", "rqworker", self.queue]
        return subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def kill_all(self) -> None:
        """SIGKILL, as a machine that loses power; new ones start at once."""
        for process in self.processes:
            process.send_signal(signal.SIGKILL)
            process.wait()
        self.killed += len(self.processes)
        self.processes = [self._start() for _ in self.processes]

    def stop(self) -> None:
        """End them."""
        for process in self.processes:
            process.kill()
            process.wait()


@contextmanager
def workers(number: int = 1, queue: str = "operations") -> Iterator[Workers]:
    """Queue workers for the length of a test."""
    running = Workers(number, queue)
    try:
        yield running
    finally:
        running.stop()


def watch(operation: Operation, meanwhile: Callable[[Operation], None], *, limit: float = 110) -> Operation:
    """Let the workers work, wake what is due as the scheduler does, and call `meanwhile` ten times a second."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        recovery.wake_due()
        operation.refresh_from_db()
        if not operation.is_open:
            return operation
        meanwhile(operation)
        time.sleep(0.1)
    raise AssertionError(f"{operation} has not ended in {limit} s: {story(operation)}")
