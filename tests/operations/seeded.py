"""Manifests, and what others do to the objects of a tenant: for the tests of seeding."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import yaml
from kubernetes import client

from tests import cast
from tests.operations import harness
from tests.simulators.running import RunningWorld
from workspaces.models import Look, Seed, SeedManifest, Workspace
from workspaces.operations import connections, reconcile
from workspaces.providers.kubeconfig import connect

SPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "platform"}}
SETTINGS: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings", "namespace": "platform"},
    "data": {"level": "info", "size": "3"},
}
PATH = "/api/v1/namespaces/platform/configmaps/settings"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


def manifest(*documents: Any, name: str = "baseline", **fields: Any) -> SeedManifest:
    """A manifest of these objects; without any the namespace and the settings in it."""
    text = yaml.safe_dump_all([dict(one) for one in documents or (SETTINGS, SPACE)])
    made = SeedManifest(name=name, content=text, **fields)
    made.full_clean()
    made.save()
    return made


def rewrite(made: SeedManifest, *documents: Any) -> None:
    """Another text for it, as the admin stores one."""
    made.content = yaml.safe_dump_all([dict(one) for one in documents])
    made.revision += 1
    made.save()


def seeded(world: RunningWorld, name: str, *, ready: bool = True, **fields: Any) -> Workspace:
    """A workspace with one host in the world whose manifests have been applied by one look."""
    made = cast.kubernetes(name, hosts=1, **fields)
    node = {"name": f"{name}-w1", "kubelet": f"v{made.kubernetes_version}", "ready": ready}
    workspace = harness.linked(world, made, nodes=[node])
    look(workspace)
    return workspace


def look(workspace: Workspace) -> Look:
    """One look as a worker makes it; its row."""
    reconcile.look_at_seeding(workspace.pk)
    return Look.objects.get(workspace=workspace, kind="seeding")


def states(workspace: Workspace) -> dict[str, tuple[str, str]]:
    """State and message of each object."""
    return {seed.object: (seed.state, seed.message) for seed in Seed.objects.filter(workspace=workspace)}


@contextmanager
def tenant(workspace: Workspace):
    """Somebody else's access to the tenant's API: `call(method, path, body, **query)` gives the object."""
    api = connect(connections.tenant_kubeconfig(workspace))

    def call(method: str, path: str, body: Any = None, *, of: str = MERGE, **query: str) -> dict[str, Any]:
        request = api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json"} | ({"Content-Type": of} if method == "PATCH" else {}),
            body=json.dumps(body) if of == APPLY else body,
            auth_settings=["BearerToken"],
        )
        answer = api.call_api(*request)
        answer.read()
        return dict(api.response_deserialize(answer, {"200": "object", "201": "object", "202": "object"}).data)

    with api:
        yield call


def get(workspace: Workspace, path: str = PATH) -> dict[str, Any] | None:
    """The object as the tenant has it; None when it is not there."""
    with tenant(workspace) as call:
        try:
            return call("GET", path)
        except client.exceptions.NotFoundException:
            return None


def edit(workspace: Workspace, data: Mapping[str, Any], *, path: str = PATH, by: str = "kubectl-edit") -> None:
    """Somebody changes fields of the data; None takes one away."""
    with tenant(workspace) as call:
        call("PATCH", path, {"data": dict(data)}, fieldManager=by)


def delete(workspace: Workspace, path: str = PATH) -> None:
    """Somebody deletes an object."""
    with tenant(workspace) as call:
        call("DELETE", path)


def patches(world: RunningWorld, workspace: Workspace, since: int = 0) -> list[str]:
    """What was changed in our name: "settings", with "?dryRun" or "?force" where that was asked for."""
    target = f"{workspace.namespace}/{workspace.control_plane}"
    found = []
    for entry in world.journal(service="kubernetes", method="PATCH", target=target):
        path, _, query = entry["path"].partition("?")
        if "fieldManager=loopback" in query:
            found.append(path.rpartition("/")[2] + "".join(f"?{one}" for one in ("dryRun", "force") if one in query))
    return found[since:]


def later(moment: datetime, seconds: float) -> datetime:
    return moment + timedelta(seconds=seconds)
