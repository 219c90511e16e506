"""Looking at the simulated world: what a pass writes, what it leaves alone, and what it says when it cannot look."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import django_rq
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from kubernetes import client

from tests import cast
from tests.operations import harness
from tests.simulators.running import RunningWorld
from workspaces.models import Host, ManagementCluster, ProviderAccount, Workspace
from workspaces.operations import connections, reconcile
from workspaces.providers.kubeconfig import connect

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues")]
CONTROL_PLANES = {"group": "kamaji.clastix.io", "version": "v1alpha1", "plural": "tenantcontrolplanes"}


def look() -> None:
    """One whole round: what the tick hands to the queue, done here and now."""
    reconcile.look_at_everything()
    queue = django_rq.get_queue("reconcile")
    for job in queue.jobs:
        job.func(*job.args)
        job.delete()


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
    """Value and reason as the pages show them."""
    workspace.refresh_from_db()
    return next((c["value"], c["reason"]) for c in workspace.conditions if c["type"] == type_)


def writes(captured: CaptureQueriesContext) -> list[str]:
    """What was updated, as "table.column", once for each statement."""
    written = []
    for query in captured:
        if update := re.match(r'UPDATE "workspaces_(\w+)" SET (.*) WHERE', query["sql"], re.DOTALL):
            written += [f"{update[1]}.{column}" for column in re.findall(r'"(\w+)" = ', update[2])]
    return written


def management_api(workspace: Workspace) -> client.CustomObjectsApi:
    """The operator's own access to the management cluster."""
    assert workspace.management_cluster is not None
    return client.CustomObjectsApi(connect(workspace.management_cluster.kubeconfig.reveal()))


# --- What is seen -----------------------------------------------------------------------------------------------------
def test_a_pass_writes_what_kamaji_and_the_nodes_say(world: RunningWorld) -> None:
    made = cast.kubernetes("first-look", hosts=2, kubernetes_version="")
    nodes = [
        {"name": "first-look-w1", "kubelet": "v1.34.8", "ready": True},
        {"name": "first-look-w2", "kubelet": "v1.33.9", "ready": True, "unschedulable": True},
    ]
    workspace = harness.linked(world, made, nodes=nodes)
    Workspace.objects.update(kubernetes_version="", control_plane_status="", control_plane_replicas=0, observed_at=None)
    workspace.hosts.update(kubelet_version="", ready=None, observed_at=None)
    look()
    workspace.refresh_from_db()
    assert (workspace.kubernetes_version, workspace.control_plane_wanted) == ("1.34.8", "1.34.8")
    assert (workspace.control_plane_status, workspace.control_plane_replicas) == ("Ready", 2)
    assert workspace.version_key > 0
    assert workspace.endpoint.startswith("127.0.0.1:")
    assert workspace.observed_at is not None
    assert list(workspace.hosts.values_list("kubelet_version", "ready", "unschedulable")) == [
        ("1.34.8", True, False),
        ("1.33.9", True, True),
    ]
    host = workspace.hosts.first()
    assert host is not None
    assert host.boot_id
    assert host.os_name.startswith("Debian GNU/Linux")
    assert host.observed_at is not None
    cluster = ManagementCluster.objects.get()
    assert (cluster.version, cluster.error_code) == ("1.36.2", "")
    assert workspace.attention == "1 of 2 hosts still run 1.33.9, the control plane 1.34.8."


def test_a_second_pass_writes_nothing_but_that_it_looked(world: RunningWorld) -> None:
    harness.linked(world, cast.kubernetes("unchanged", hosts=3))
    cast.baremetal("unchanged-metal", hosts=0)
    look()
    with CaptureQueriesContext(connection) as captured:
        look()
    assert set(writes(captured)) == {"host.observed_at", "managementcluster.observed_at", "workspace.observed_at"}


def test_only_the_row_that_changed_is_written(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("one-of-three", hosts=3))
    other = harness.linked(world, cast.kubernetes("bystander", hosts=1))
    look()
    with connections.tenant(workspace) as cluster:
        cluster.cordon("one-of-three-w2", "a person")
    before = Workspace.objects.values().get(pk=other.pk)
    with CaptureQueriesContext(connection) as captured:
        look()
    assert [write for write in writes(captured) if not write.endswith(".observed_at")] == ["host.unschedulable"]
    after = Workspace.objects.values().get(pk=other.pk)
    assert {key for key in before if before[key] != after[key]} == {"observed_at"}


def test_a_management_cluster_is_asked_with_one_listing_however_many_workspaces_it_has(world: RunningWorld) -> None:
    for number in range(4):
        harness.linked(world, cast.kubernetes(f"listed-{number}", hosts=0))
    before = len(world.journal(service="kubernetes", target="mgmt-fsn1", method="GET"))
    reconcile.look_at_management_cluster(ManagementCluster.objects.get().pk)
    asked = world.journal(service="kubernetes", target="mgmt-fsn1", method="GET")[before:]
    assert [entry["path"].partition("?")[0] for entry in asked] == [
        "/apis/kamaji.clastix.io/v1alpha1/tenantcontrolplanes",
        "/version/",
    ]


def test_a_control_plane_that_is_gone_is_said_to_be_gone(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("vanished", hosts=1))
    look()
    management_api(workspace).delete_namespaced_custom_object(
        **CONTROL_PLANES, namespace="ws-vanished", name="vanished"
    )
    until(lambda: condition(workspace, "control_plane") == ("false", "gone"))
    assert workspace.attention == "Its control plane is not on the management cluster any more."
    assert workspace.attention_tone == "bad"
    assert workspace.kubernetes_version == "1.34.8", "the last version that was seen is kept"
    assert condition(workspace, "hosts")[0] == "unknown"


def test_a_lost_node_is_not_ready_and_comes_back_by_itself(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("losing-one", hosts=2))
    world.fault(service="kubernetes", target="losing-one-w2", kind="lost_node")
    until(lambda: condition(workspace, "hosts") == ("false", "not_ready"))
    assert workspace.attention.startswith("Not ready: losing-one-w2: ")
    assert (workspace.host_count, workspace.hosts_ready) == (2, 1)
    world.clear_faults()
    until(lambda: condition(workspace, "hosts") == ("true", "ready"))
    assert workspace.attention == ""


def test_a_host_whose_node_is_missing_is_not_ready(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("never-joined", hosts=1))
    Host.objects.create(workspace=workspace, name="never-joined-w2", node_name="never-joined-w2")
    look()
    workspace.refresh_from_db()
    assert workspace.attention == "Not ready: never-joined-w2: Its node is not in the cluster."


@pytest.mark.parametrize("version", ["1.34.3-gke.100+x", "nonsense", "1.34.3-" + "x" * 60])
def test_a_version_that_cannot_be_sorted_does_not_end_the_pass(world: RunningWorld, version: str) -> None:
    name = f"odd-{len(version)}"
    odd = harness.linked(world, cast.kubernetes(f"a-{name}", hosts=1))
    sound = harness.linked(world, cast.kubernetes(f"z-{name}", hosts=1))
    status = {"status": {"kubernetesResources": {"version": {"version": f"v{version}", "status": "Ready"}}}}
    management_api(odd).patch_namespaced_custom_object_status(
        **CONTROL_PLANES, namespace=odd.namespace, name=odd.control_plane, body=status
    )
    Workspace.objects.update(control_plane_status="")
    reconcile.look_at_management_cluster(ManagementCluster.objects.get().pk)
    odd.refresh_from_db()
    sound.refresh_from_db()
    assert (odd.kubernetes_version, odd.version_key) == (version[:30], 0)
    assert (sound.kubernetes_version, sound.control_plane_status) == ("1.34.8", "Ready")


# --- When it cannot look ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        ({"kind": "expired_token"}, "credential", "the stored credential is not accepted"),
        ({"kind": "status", "status": 403}, "credential", "the stored credential lacks a right"),
        ({"kind": "status", "status": 500}, "cloud_api", "management cluster"),
        ({"kind": "refuse"}, "unreachable", "management cluster"),
        ({"kind": "hang"}, "unreachable", "it did not answer in time"),
    ],
)
def test_a_management_cluster_that_cannot_be_asked_leaves_none_of_its_workspaces_green(
    world: RunningWorld, settings: Any, fault: dict[str, Any], code: str, says: str
) -> None:
    settings.LOOPBACK_VENDOR_TIMEOUT = 1
    name = f"blind-{fault['kind'].replace('_', '-')}-{fault.get('status', 0)}"
    workspaces = [harness.linked(world, cast.kubernetes(f"{name}-{n}", hosts=1)) for n in (1, 2)]
    elsewhere = cast.kubernetes("elsewhere", hosts=0, state="provisioning", management_cluster=None, control_plane="")
    look()
    assert [condition(one, "control_plane")[0] for one in workspaces] == ["true", "true"]
    seen_at = workspaces[0].observed_at
    world.fault(service="kubernetes", target="mgmt-fsn1", **fault)
    look()
    cluster = ManagementCluster.objects.get()
    assert (cluster.error_code, says in cluster.error_message) == (code, True), cluster.error_message
    assert cluster.error_since is not None
    for workspace in workspaces:
        assert condition(workspace, "control_plane") == ("unknown", code)
        assert condition(workspace, "hosts") == ("unknown", code), "the tenant's kubeconfig is read there too"
        assert workspace.attention == f"mgmt-fsn1: {cluster.error_message}"[:200]
        assert workspace.attention_tone == "warn"
    workspaces[0].refresh_from_db()
    assert workspaces[0].observed_at == seen_at, "what was not seen keeps the age of the last look"
    elsewhere.refresh_from_db()
    assert elsewhere.attention == ""
    since = cluster.error_since
    look()
    assert ManagementCluster.objects.get().error_since == since
    world.clear_faults()
    until(lambda: all(condition(one, "hosts")[0] == "true" for one in workspaces))
    cluster.refresh_from_db()
    assert (cluster.error_code, cluster.error_message, cluster.error_since) == ("", "", None)
    assert [condition(one, "control_plane")[0] for one in workspaces] == ["true", "true"]
    assert workspaces[0].attention == ""


def test_a_management_cluster_without_a_credential_is_said_to_have_none(workspace: Workspace) -> None:
    ManagementCluster.objects.update(kubeconfig="")
    look()
    workspace.refresh_from_db()
    assert workspace.attention == "mgmt-fsn1: No kubeconfig is stored for management cluster mgmt-fsn1."


def test_a_tenant_that_does_not_answer_is_unknown_and_its_neighbour_is_not(world: RunningWorld) -> None:
    silent = harness.linked(world, cast.kubernetes("silent", hosts=2))
    loud = harness.linked(world, cast.kubernetes("loud", hosts=1))
    look()
    world.fault(service="kubernetes", target="ws-silent/silent", kind="refuse")
    until(lambda: condition(silent, "hosts") == ("unknown", "unreachable"))
    assert silent.look_error_code == "unreachable"
    assert silent.attention.startswith("tenant silent: ")
    assert silent.hosts.filter(ready=True).count() == 2, "the last sight stays in the rows, with its age"
    assert condition(loud, "hosts")[0] == "true"
    world.clear_faults()
    until(lambda: condition(silent, "hosts")[0] == "true")
    assert (silent.look_error_code, silent.look_error, silent.attention) == ("", "", "")


def test_a_bare_metal_host_answers_with_an_ssh_banner_or_is_down(world: RunningWorld) -> None:
    metal = cast.baremetal("iron", hosts=2)
    names = [host.name for host in metal.hosts.all()]
    ready = world.add({"hosts": [{"name": n, "os": "debian-13", "packages": {}, "held": []} for n in names]})
    for host in ready["hosts"]:
        address = {"ansible_host": host["address"], "ansible_port": host["port"]}
        Host.objects.filter(name=host["name"]).update(ansible=address, ready=None)
    look()
    assert condition(metal, "hosts") == ("true", "ready")
    world.fault(service="ssh", target="iron-2", kind="lost_node")
    until(lambda: condition(metal, "hosts") == ("false", "not_ready"))
    # While the machine goes down its port may still reset a connection; after that it refuses.
    assert re.fullmatch(r"Not ready: iron-2: Port \d+ cannot be reached: Connection \w+( by peer)?\.", metal.attention)
    world.clear_faults()
    until(lambda: condition(metal, "hosts")[0] == "true")
    # Something that listens and is no SSH server: the control API speaks HTTP and waits for a request.
    port = int(world.ready["control_url"].rpartition(":")[2])
    Host.objects.filter(name="iron-1").update(ansible={"ansible_host": "127.0.0.1", "ansible_port": port})
    look()
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
    look()
    host = metal.hosts.get()
    assert (host.ready, host.ready_message) == (None, message)
    assert condition(metal, "hosts") == ("unknown", "not_seen")


# --- Servers ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def account(world: RunningWorld) -> ProviderAccount:
    """The cloud project of Kestrel Freight, with two servers."""
    token = "k" * 64
    server = {"server_type": "cpx32", "location": "fsn1", "image": "debian-13", "labels": {}}
    servers = [server | {"name": "ledger-prod-w1", "status": "running"}]
    servers += [server | {"name": "ledger-prod-w2", "status": "off"}]
    ready = world.add({"hetzner_projects": [{"name": "kestrel", "token": token, "servers": servers}]})
    return ProviderAccount.objects.create(
        organization=cast.organization("Kestrel Freight"), name="kestrel", token=token, endpoint=ready["hetzner_url"]
    )


@pytest.fixture
def on_servers(workspace: Workspace, account: ProviderAccount) -> Workspace:
    """ledger-prod with its hosts on those servers; the third host's server does not exist any more."""
    ids = {server.name: server.id for server in connections.cloud(account).servers()}
    for host in workspace.hosts.all():
        host.provider_account, host.provider_id = account, ids.get(host.name, 999_999)
        host.provider_status = ""
        host.save()
    return workspace


def test_servers_are_written_with_what_the_cloud_says(account: ProviderAccount, on_servers: Workspace) -> None:
    reconcile.look_at_provider_account(account.pk)
    assert list(on_servers.hosts.values_list("name", "provider_status", "profile", "location")) == [
        ("ledger-prod-w1", "running", "cpx32", "fsn1"),
        ("ledger-prod-w2", "off", "cpx32", "fsn1"),
        ("ledger-prod-w3", "gone", "ccx23", "fsn1"),
    ]
    account.refresh_from_db()
    assert account.observed_at is not None
    with CaptureQueriesContext(connection) as captured:
        reconcile.look_at_provider_account(account.pk)
    assert writes(captured) == ["provideraccount.observed_at"]


def test_a_refused_token_is_on_the_account_and_on_every_workspace_with_a_server_there(
    world: RunningWorld, account: ProviderAccount, on_servers: Workspace, metal: Workspace
) -> None:
    world.fault(service="hetzner", target="kestrel", kind="expired_token")
    reconcile.look_at_provider_account(account.pk)
    account.refresh_from_db()
    assert account.error_code == "credential"
    assert account.error_since is not None
    assert "k" * 64 not in account.error_message
    assert condition(on_servers, "servers") == ("unknown", "credential")
    assert on_servers.attention == f"kestrel: {account.error_message}"[:200]
    metal.refresh_from_db()
    assert metal.attention == ""
    world.clear_faults()
    reconcile.look_at_provider_account(account.pk)
    on_servers.refresh_from_db()
    assert [c["type"] for c in on_servers.conditions] == ["control_plane", "hosts"]
    assert on_servers.attention == ""
    account.refresh_from_db()
    assert (account.error_code, account.error_since) == ("", None)


# --- The round --------------------------------------------------------------------------------------------------------
def test_a_round_has_one_job_each_and_the_next_one_waits_for_it(workspace: Workspace, metal: Workspace) -> None:
    leaving = cast.kubernetes("leaving", hosts=0, state="deletion_scheduled")
    for name, state in (("gone", "deleted"), ("going", "deleting"), ("coming", "provisioning")):
        cast.kubernetes(name, hosts=0, state=state)
    ProviderAccount.objects.create(organization=workspace.project.organization, name="kestrel", token="t")
    reconcile.look_at_everything()
    queue = django_rq.get_queue("reconcile")
    jobs = {(job.func_name.rpartition(".")[2], job.args[0]) for job in queue.jobs}
    assert jobs == {
        ("reconcile_management_cluster", str(ManagementCluster.objects.get().pk)),
        ("reconcile_provider_account", str(ProviderAccount.objects.get().pk)),
        ("reconcile_tenant", str(workspace.pk)),
        ("reconcile_tenant", str(metal.pk)),
        ("reconcile_tenant", str(leaving.pk)),
    }
    reconcile.look_at_everything()
    assert queue.count == 5, "the last round still waits"
    queue.empty()
    reconcile.look_at_everything()
    assert queue.count == 5


def test_those_that_were_seen_longest_ago_come_first(workspace: Workspace, metal: Workspace) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(observed_at=cast.NOW.replace(hour=10))
    reconcile.look_at_everything()
    tenants = [job.args[0] for job in django_rq.get_queue("reconcile").jobs if job.func_name.endswith("tenant")]
    assert tenants == [str(workspace.pk), str(metal.pk)]


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_dies_in_the_middle_of_a_look_changes_nothing(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("mid-look", hosts=2))
    look()
    rows = [Workspace.objects.values().get(pk=workspace.pk), *workspace.hosts.values()]
    world.fault(service="kubernetes", target="ws-mid-look/mid-look", kind="latency", seconds=2, path="/api/v1/nodes*")
    world.fault(service="kubernetes", target="mid-look-w2", kind="lost_node")
    before = len(world.journal(target="ws-mid-look/mid-look", path="/api/v1/nodes*", method="GET"))
    with harness.workers(queue="reconcile") as running:
        reconcile.look_at_everything()
        deadline = time.monotonic() + 30
        while len(world.journal(target="ws-mid-look/mid-look", path="/api/v1/nodes*", method="GET")) == before:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for process in running.processes:
            process.kill()
            process.wait()
    time.sleep(2.5)  # the answer would have come by now, had anybody waited for it
    assert [Workspace.objects.values().get(pk=workspace.pk), *workspace.hosts.values()] == rows
    world.clear_faults()
    django_rq.get_queue("reconcile").empty()
    look()
    assert condition(workspace, "hosts")[0] in ("true", "false"), "the next round looks again"
