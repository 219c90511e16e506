"""The look at one workspace from within: nodes by one listing, bare hosts over the network, and what is drift there."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests import cast
from tests.operations import harness, looking
from tests.operations.looking import condition, until, written_by
from tests.simulators.running import RunningWorld
from workspaces.models import Actor, Drift, Event, Host, ManagementCluster, Operation, Workspace
from workspaces.operations import connections, drift, reconcile

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues")]
ALICE = Actor("account", "Alice Ahrens")


def look(workspace: Workspace) -> None:
    reconcile.look_at_cluster(workspace.pk)


def close(workspace: Workspace, node: str, by: str = "kubectl-cordon", *, closed: bool = True) -> None:
    """Somebody closes the node to pods, or opens it, past us."""
    with connections.tenant(workspace) as cluster:
        cluster._core.patch_node(node, {"spec": {"unschedulable": closed or None}}, field_manager=by)


def drifts(workspace: Workspace) -> list[tuple[Any, ...]]:
    """Open drift: node's host, field, seen, actor, policy."""
    rows = Drift.objects.open().filter(workspace=workspace).order_by("host__name", "field")
    return list(rows.values_list("host__name", "field", "seen", "actor", "policy"))


# --- What is seen -----------------------------------------------------------------------------------------------------
def test_a_look_writes_what_the_nodes_say(world: RunningWorld) -> None:
    made = cast.kubernetes("from-within", hosts=2)
    nodes = [
        {"name": "from-within-w1", "kubelet": "v1.34.8", "ready": True},
        {"name": "from-within-w2", "kubelet": "v1.33.9", "ready": True, "unschedulable": True},
    ]
    workspace = harness.linked(world, made, nodes=nodes)
    workspace.hosts.update(kubelet_version="", ready=None, observed_at=None)
    looking.look()
    workspace.refresh_from_db()
    assert list(workspace.hosts.values_list("kubelet_version", "ready", "unschedulable")) == [
        ("1.34.8", True, False),
        ("1.33.9", True, True),
    ]
    host = workspace.hosts.all()[0]
    assert host.boot_id
    assert host.os_name.startswith("Debian GNU/Linux")
    assert host.observed_at == workspace.observed_at
    assert workspace.observed_at is not None
    assert (workspace.host_count, workspace.hosts_ready, workspace.kubelet_versions) == (2, 2, "1.33.9 1.34.8")


def test_a_second_look_writes_nothing_but_that_it_looked(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("unchanged", hosts=3))
    looking.look()
    with CaptureQueriesContext(connection) as captured:
        look(workspace)
    assert set(looking.writes(captured)) == {
        "host.observed_at",
        *(f"workspace.{column}" for column in ("look_error", "look_error_code", "looked_every", "observed_at")),
    }


def test_only_the_row_that_changed_is_written(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("one-of-three", hosts=3))
    looking.look()
    close(workspace, "one-of-three-w2")
    with CaptureQueriesContext(connection) as captured:
        look(workspace)
    written = [write for write in looking.writes(captured) if write.startswith("host.")]
    assert written == ["host.unschedulable", "host.observed_at"]
    assert list(workspace.hosts.values_list("unschedulable", flat=True)) == [False, True, False]


def test_once_the_secret_is_known_a_look_costs_the_management_cluster_one_call(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("one-call", hosts=1))
    for expected in (
        ["tenantcontrolplanes/one-call", "secrets/one-call-admin-kubeconfig"],
        ["secrets/one-call-admin-kubeconfig"],
    ):
        before = len(looking.listings(world, "kubernetes", "mgmt-fsn1"))
        look(workspace)
        asked = looking.listings(world, "kubernetes", "mgmt-fsn1")[before:]
        assert ["/".join(path.split("/")[-2:]) for path in asked] == expected
        reconcile.look_at_control_planes(ManagementCluster.objects.get().pk)


def test_a_secret_that_is_not_there_any_more_is_asked_for_anew(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("other-secret", hosts=1))
    Workspace.objects.filter(pk=workspace.pk).update(kubeconfig_secret="of-before")
    look(workspace)
    assert condition(workspace, "hosts")[0] == "true"


def test_the_end_of_the_tenants_certificate_is_stored(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("dated", hosts=1))
    world.certificate("ws-dated/dated", 0.25)
    look(workspace)
    workspace.refresh_from_db()
    assert workspace.credential_ends_at is not None
    assert abs(workspace.credential_ends_at - timezone.now() - timedelta(hours=6)) < timedelta(minutes=5)
    assert condition(workspace, "credentials") == ("false", "not_renewed")


def test_a_lost_node_is_not_ready_and_comes_back_by_itself(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("losing-one", hosts=2))
    world.fault(service="kubernetes", target="losing-one-w2", kind="lost_node")
    until(lambda: condition(workspace, "hosts") == ("false", "not_ready"))
    assert workspace.attention.startswith("Not ready: losing-one-w2: ")
    assert (workspace.host_count, workspace.hosts_ready) == (2, 1)
    world.clear_faults()
    until(lambda: condition(workspace, "hosts") == ("true", "ready"))
    assert workspace.attention == ""


def test_a_tenant_that_does_not_answer_is_unknown_and_its_neighbour_is_not(world: RunningWorld) -> None:
    silent = harness.linked(world, cast.kubernetes("silent-tenant", hosts=2))
    loud = harness.linked(world, cast.kubernetes("loud", hosts=1))
    looking.look()
    world.fault(service="kubernetes", target="ws-silent-tenant/silent-tenant", kind="refuse")
    until(lambda: condition(silent, "hosts") == ("unknown", "unreachable"))
    assert silent.look_error_code == "unreachable"
    assert "silent" in silent.attention
    assert silent.hosts.filter(ready=True).count() == 2, "the last sight stays in the rows, with its age"
    assert condition(loud, "hosts")[0] == "true"
    world.clear_faults()
    until(lambda: condition(silent, "hosts")[0] == "true")
    assert (silent.look_error_code, silent.look_error, silent.attention) == ("", "", "")


def test_while_the_management_cluster_cannot_be_asked_its_tenants_do_not_try(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("in-the-dark", hosts=1))
    looking.look()
    ManagementCluster.objects.update(error_code="unreachable", error_message="It is silent.")
    before = len(world.journal(service="kubernetes"))
    for _ in range(2):
        look(workspace)
    assert len(world.journal(service="kubernetes")) == before
    assert condition(workspace, "hosts") == ("unknown", "unreachable")
    assert "It is silent" in next(c["message"] for c in workspace.conditions if c["type"] == "hosts")
    ManagementCluster.objects.update(error_code="overdue", error_message="Not looked at for 3 min.")
    look(workspace)
    assert condition(workspace, "hosts") == ("true", "ready"), "that nobody has looked keeps nobody from looking"


# --- Bare metal -------------------------------------------------------------------------------------------------------
def test_a_bare_metal_host_answers_with_an_ssh_banner_or_is_down(world: RunningWorld) -> None:
    metal = cast.baremetal("iron", hosts=2)
    names = [host.name for host in metal.hosts.all()]
    ready = world.add({"hosts": [{"name": n, "os": "debian-13", "packages": {}, "held": []} for n in names]})
    for host in ready["hosts"]:
        address = {"ansible_host": host["address"], "ansible_port": host["port"]}
        Host.objects.filter(name=host["name"]).update(ansible=address, ready=None)
    look(metal)
    assert condition(metal, "hosts") == ("true", "ready")
    assert set(written_by(lambda: look(metal))) == {"host", "workspace", "look"}, "that it was seen"
    world.fault(service="ssh", target="iron-2", kind="lost_node")
    until(lambda: condition(metal, "hosts") == ("false", "not_ready"))
    # While the machine goes down its port may still reset a connection; after that it refuses.
    assert re.fullmatch(r"Not ready: iron-2: Port \d+ cannot be reached: Connection \w+( by peer)?\.", metal.attention)
    world.clear_faults()
    until(lambda: condition(metal, "hosts")[0] == "true")
    # Something that listens and is no SSH server: the control API speaks HTTP and waits for a request.
    port = int(world.ready["control_url"].rpartition(":")[2])
    Host.objects.filter(name="iron-1").update(ansible={"ansible_host": "127.0.0.1", "ansible_port": port})
    look(metal)
    metal.refresh_from_db()
    assert metal.attention == f"Not ready: iron-1: No answer on port {port} within 3 s."


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "No connection variables: it cannot be managed."),
        ({"ansible_connection": "local"}, "Ansible reaches it without a network, so nothing can be asked."),
    ],
)
def test_a_host_that_cannot_be_asked_is_not_called_ready(variables: dict[str, str], message: str) -> None:
    metal = cast.baremetal("unasked", hosts=1)
    metal.hosts.update(ansible=variables)
    look(metal)
    host = metal.hosts.get()
    assert (host.ready, host.ready_message) == (None, message)
    assert condition(metal, "hosts") == ("unknown", "not_seen")


# --- Drift ------------------------------------------------------------------------------------------------------------
def test_a_node_that_somebody_closed_is_drift_with_their_name(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("closed", hosts=2))
    looking.look()
    close(workspace, "closed-w1")
    look(workspace)
    assert drifts(workspace) == [("closed-w1", "unschedulable", True, "kubectl-cordon", "decide")]
    assert condition(workspace, "drift")[0] == "false"
    close(workspace, "closed-w1", closed=False)
    look(workspace)
    assert drifts(workspace) == []
    assert Drift.objects.get().ending == "gone"


def test_a_node_is_opened_again_once_somebody_decides_so(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("opened", hosts=1))
    looking.look()
    close(workspace, "opened-w1")
    look(workspace)
    look(workspace)
    assert harness.nodes(workspace)["opened-w1"][2] is True, "not without a decision"
    assert drift.decide(Drift.objects.get(), "converge", ALICE) is None
    look(workspace)
    assert harness.nodes(workspace)["opened-w1"][2] is False
    assert Event.objects.filter(action="drift.repaired", workspace_id=workspace.pk).count() == 1
    look(workspace)
    assert drifts(workspace) == []


def test_a_host_whose_node_is_missing_is_not_ready_and_told(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("never-joined", hosts=1))
    Host.objects.create(workspace=workspace, name="never-joined-w2", node_name="never-joined-w2")
    Host.objects.create(workspace=workspace, name="never-joined-w3")
    looking.look()
    workspace.refresh_from_db()
    assert workspace.attention.startswith("Not ready: never-joined-w2")
    assert drifts(workspace) == [("never-joined-w2", "missing", None, "", "tell")], "one that never was to join is not"


def test_what_an_operation_closes_is_no_drift(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("at-work", hosts=1))
    looking.look()
    operation = Operation.start(workspace, "upgrade", "Upgrade", [], actor=ALICE)
    assert isinstance(operation, Operation)
    with connections.tenant(workspace) as cluster:
        cluster.cordon("at-work-w1", str(operation.pk))
    look(workspace)
    assert workspace.hosts.get().unschedulable is True, "what is seen is written"
    assert drifts(workspace) == []
    Operation.objects.update(state="failed")
    look(workspace)
    assert drifts(workspace) == [("at-work-w1", "unschedulable", True, "Loopback", "decide")], "nobody opens it now"
