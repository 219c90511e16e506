"""Looking at the simulated world in this process, as the schedule would, and reading what came of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext
from kubernetes import client

from tests.simulators.running import RunningWorld
from workspaces.models import ManagementCluster, ProviderAccount, Workspace
from workspaces.operations import reconcile
from workspaces.operations.looks import LOOKED_AT
from workspaces.providers.kubeconfig import connect

CONTROL_PLANES = {"group": "kamaji.clastix.io", "version": "v1alpha1", "plural": "tenantcontrolplanes"}
TABLES = ("workspace", "host", "drift", "leftserver", "managementcluster", "provideraccount", "look")


def look() -> None:
    """Once at everything but DNS and seeding, now."""
    for key in ManagementCluster.objects.values_list("pk", flat=True):
        reconcile.look_at_control_planes(key)
    for key in ProviderAccount.objects.values_list("pk", flat=True):
        reconcile.look_at_servers(key)
    for key in Workspace.objects.filter(state__in=LOOKED_AT).values_list("pk", flat=True):
        reconcile.look_at_cluster(key)


def until(holds: Callable[[], bool], *, seconds: float = 15) -> None:
    """Look again and again, as the schedule does, until it holds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        look()
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError([(w.name, w.attention, w.conditions, w.look_error) for w in Workspace.objects.all()])


def condition(workspace: Workspace, type_: str) -> tuple[str, str]:
    """Value and reason as they are stored."""
    workspace.refresh_from_db()
    return next((c["value"], c["reason"]) for c in workspace.conditions if c["type"] == type_)


def writes(captured: CaptureQueriesContext) -> list[str]:
    """What was updated or inserted, as "table.column" (of an insert: "table"), once for each statement.

    How the looks themselves went is left out.
    """
    written = []
    for query in captured:
        if made := re.match(r'INSERT INTO "workspaces_(\w+)"', query["sql"]):
            written.append(made[1])
        if update := re.match(r'UPDATE "workspaces_(\w+)" SET (.*?) (?:WHERE|FROM) ', query["sql"], re.DOTALL):
            written += [f"{update[1]}.{column}" for column in re.findall(r'"?(\w+)"? = ', update[2])]
    return [one for one in written if not one.startswith("look.")]


def rows_written() -> dict[str, int]:
    """Rows that this test has inserted, updated or deleted so far, by table: asked of the database, within its test."""
    sql = "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables WHERE relname = ANY(%s)"
    with connection.cursor() as cursor:
        cursor.execute(sql, [[f"workspaces_{table}" for table in TABLES]])
        return {name.removeprefix("workspaces_"): number for name, number in cursor.fetchall()}


def written_by(act: Callable[[], Any]) -> dict[str, int]:
    """Rows that were written meanwhile, by table; only tables that were."""
    before = rows_written()
    act()
    after = rows_written()
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def management_api(workspace: Workspace) -> client.CustomObjectsApi:
    """The operator's own access to the management cluster."""
    assert workspace.management_cluster is not None
    return client.CustomObjectsApi(connect(workspace.management_cluster.kubeconfig.reveal()))


def edit(workspace: Workspace, change: dict[str, Any], by: str = "kubectl-edit") -> None:
    """Somebody changes the TenantControlPlane past us, under a manager's name."""
    management_api(workspace).patch_namespaced_custom_object(
        **CONTROL_PLANES, namespace=workspace.namespace, name=workspace.control_plane, body=change, field_manager=by
    )


def listings(world: RunningWorld, service: str, target: str) -> list[str]:
    """Paths of the GET requests that arrived there, without their queries, oldest first."""
    entries = world.journal(service=service, target=target, method="GET")
    return [entry["path"].partition("?")[0] for entry in entries]
