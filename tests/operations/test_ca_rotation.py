"""Changing a certificate authority in the simulated world: old kubeconfigs are refused, every host joins again."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests import cast
from tests.operations import harness, looking
from tests.operations.harness import drive, failing_once_after, story, twice
from tests.simulators.running import RunningWorld
from workspaces.models import Actor, Drift, Event, Kubeconfig, LogLine, Operation, Step, Workspace
from workspaces.operations import ca_rotation, connections, engine, plans
from workspaces.operations.connections import tenant_kubeconfig
from workspaces.providers.cluster import Cluster
from workspaces.providers.errors import Permanent, Temporary
from workspaces.providers.kamaji_certificates import fingerprint_in
from workspaces.rules.refusal import Refused

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("empty_queues"),
    pytest.mark.timeout(300),
]
WHY = "A laptop with a kubeconfig was stolen"
ALICE = Actor("user", "Alice Ahrens")


def linked(world: RunningWorld, name: str, hosts: int = 2, **tenant: Any) -> Workspace:
    workspace = harness.linked(world, cast.kubernetes(name, hosts=hosts), **tenant)
    workspace.hosts.update(ready=True)
    return workspace


def start(workspace: Workspace) -> Operation:
    started = ca_rotation.start(workspace, confirm_name=workspace.name, reason=WHY, actor=ALICE)
    assert isinstance(started, Operation), started
    return started


def handed_out(workspace: Workspace, kind: str = "admin", **more: Any) -> Kubeconfig:
    fields: dict[str, Any] = {"requested_by": "Bob Brandt", "state": "taken", "taken_at": timezone.now()}
    return Kubeconfig.objects.create(workspace=workspace, kind=kind, **fields | more)


def answer_to(kubeconfig: str) -> str:
    """The version the API tells to whoever shows this kubeconfig, or why it tells none."""
    try:
        with Cluster(kubeconfig, name="old") as cluster:
            cluster.nodes()
            return cluster.version()
    except (Temporary, Permanent) as error:
        return error.message


def changes(world: RunningWorld, workspace: Workspace) -> int:
    """How often Kamaji was asked for another authority, and took it."""
    path = f"*/namespaces/{workspace.namespace}/secrets/{workspace.control_plane}-ca[?]*"
    return len([one for one in world.journal(service="kubernetes", method="PATCH", path=path) if one["status"] == 200])


def test_the_old_kubeconfig_is_refused_afterwards_and_every_host_is_ready_again(world: RunningWorld) -> None:
    workspace = linked(world, "rotated")
    old = tenant_kubeconfig(workspace)
    assert answer_to(old) == workspace.kubernetes_version
    first = handed_out(workspace)
    operation = drive(start(workspace))
    assert operation.state == "succeeded", story(operation)
    assert answer_to(old) == (
        "tenant old: the certificates do not match the stored kubeconfig: self-signed certificate in certificate chain."
    )
    new = tenant_kubeconfig(workspace)
    assert answer_to(new) == workspace.kubernetes_version
    assert fingerprint_in(new) != fingerprint_in(old)
    version = workspace.kubernetes_version
    names = workspace.hosts.values_list("name", flat=True)
    assert harness.nodes(workspace) == dict.fromkeys(names, (version, "True", False))
    assert changes(world, workspace) == 1
    first.refresh_from_db()
    assert (first.revoked_by, first.revoked_at is not None) == ("Alice Ahrens", True)
    messages = dict(operation.steps.values_list("key", "message"))
    assert messages["revoke"] == "1 kubeconfig has ended"
    assert messages["system_pods"] == "started again: DaemonSet kube-proxy"
    assert messages["finish"] == "2 hosts are Ready under the new authority"
    assert operation.irreversible_since is not None


def test_what_a_certificate_of_the_old_authority_proves_nobody_believes(world: RunningWorld) -> None:
    """Also without looking at the server's certificate, the client's is worth nothing."""
    workspace = linked(world, "rotated-client", hosts=1)
    old = tenant_kubeconfig(workspace)
    operation = drive(start(workspace))
    assert operation.state == "succeeded", story(operation)
    with Cluster(old, name="old") as cluster:
        context = cluster._api.rest_client.pool_manager.connection_pool_kw["ssl_context"]
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with pytest.raises((Temporary, Permanent)):
            cluster.nodes()


def test_no_secret_is_left_anywhere_and_no_bootstrap_token_in_the_cluster(world: RunningWorld) -> None:
    workspace = linked(world, "rotated-quietly", hosts=1)
    operation = drive(start(workspace))
    assert operation.state == "succeeded", story(operation)
    with connections.tenant(workspace) as cluster:
        names = [one.metadata.name for one in cluster._core.list_namespaced_secret("kube-system").items]
    assert [name for name in names if name.startswith("bootstrap-token-")] == []
    rows = [str(row) for model in (Operation, Step, LogLine, Event) for row in model._default_manager.values_list()]
    assert not [row for row in rows if "PRIVATE KEY" in row or "bootstrap-token-user" in row]
    asked = Event.objects.acts().get(action="ca_rotation.asked")
    assert asked.summary == f"Asked to change the certificate authority of rotated-quietly: {WHY}"


def test_every_step_may_run_twice(world: RunningWorld) -> None:
    workspace = linked(world, "rotated-twice", hosts=1)
    handed_out(workspace)
    operation = drive(start(workspace), twice)
    assert operation.state == "succeeded", story(operation)
    assert changes(world, workspace) == 1
    assert Event.objects.filter(action="kubeconfig.revoked").count() == 1
    assert {ready for _, ready, _ in harness.nodes(workspace).values()} == {"True"}


def test_every_step_may_fail_after_its_work(world: RunningWorld) -> None:
    workspace = linked(world, "rotated-failing", hosts=1)
    operation = drive(start(workspace), failing_once_after(set()))
    assert operation.state == "succeeded", story(operation)
    assert changes(world, workspace) == 1


def test_workers_may_be_killed_at_any_time(world: RunningWorld, settings: Any) -> None:
    settings.LOOPBACK_LEASE_SECONDS = 2
    workspace = linked(world, "rotated-killed", hosts=1)
    operation = start(workspace)
    seen: set[str] = set()

    with harness.workers() as workers:

        def kill(current: Operation) -> None:
            step = current.steps.filter(state="running").first()
            if step is not None and step.title not in seen and len(seen) < 4:
                seen.add(step.title)
                workers.kill_all()

        harness.watch(operation, kill, limit=200)
        assert workers.killed >= 3
    assert operation.state == "succeeded", story(operation)
    assert changes(world, workspace) == 1
    assert {ready for _, ready, _ in harness.nodes(workspace).values()} == {"True"}


def until_step(operation: Operation, key: str) -> None:
    """Run it until a step of that key is next."""
    for _ in range(400):
        step = operation.steps.exclude(state="done").order_by("position").first()
        if step is None or step.key == key:
            return
        Operation.objects.filter(pk=operation.pk).update(wake_at=None)
        engine.run_one_step(operation.pk, plans.find)
    raise AssertionError(story(operation))


def test_a_host_that_has_not_joined_again_is_not_ready(world: RunningWorld) -> None:
    workspace = linked(world, "rotated-midway")
    operation = start(workspace)
    until_step(operation, "verify")
    first, second = workspace.hosts.order_by("name").values_list("name", flat=True)
    until(lambda: harness.nodes(workspace)[second][1] == "Unknown")
    until(lambda: harness.nodes(workspace)[first][1] == "True")
    assert drive(operation).state == "succeeded"
    assert harness.nodes(workspace)[second][1] == "True"


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_host_that_does_not_answer_midway_is_named_and_a_retry_goes_on(world: RunningWorld, settings: Any) -> None:
    settings.LOOPBACK_PATIENCE_SECONDS = 0
    workspace = linked(world, "rotated-silent", hosts=1)
    operation = start(workspace)
    until_step(operation, "rejoin")
    silent = workspace.hosts.order_by("name").values_list("name", flat=True)[0]
    world.fault(service="ssh", target=silent, kind="refuse")
    operation = drive(operation)
    assert operation.state == "failed"
    assert operation.error_message.startswith(f"{silent} cannot be reached over SSH")
    world.clear_faults()
    assert operation.retry(ALICE) is None
    operation = drive(operation)
    assert operation.state == "succeeded", story(operation)
    assert changes(world, workspace) == 1


def test_a_host_that_is_gone_can_be_left_out_and_the_others_join_again(world: RunningWorld, settings: Any) -> None:
    settings.LOOPBACK_PATIENCE_SECONDS = 0
    workspace = linked(world, "rotated-without")
    operation = start(workspace)
    until_step(operation, "rejoin")
    gone, other = workspace.hosts.order_by("name").values_list("name", flat=True)
    world.fault(service="ssh", target=gone, kind="refuse")
    operation = drive(operation)
    assert operation.skip_host(gone, "Its disk is dead", ALICE) is None
    assert operation.retry(ALICE) is None
    operation = drive(operation)
    world.clear_faults()
    assert operation.state == "succeeded", story(operation)
    last = operation.steps.get(key="finish").message
    assert last == f"1 host is Ready under the new authority; left out, and not in the cluster any more: {gone}"
    assert harness.nodes(workspace)[other][1] == "True"


def test_the_looks_see_the_new_authority_by_themselves_and_no_drift(world: RunningWorld) -> None:
    workspace = linked(world, "rotated-seen", hosts=1)
    looking.until(lambda: looking.condition(workspace, "hosts")[0] == "true")
    secret = Workspace.objects.get(pk=workspace.pk).kubeconfig_secret
    assert secret
    operation = drive(start(workspace))
    assert operation.state == "succeeded", story(operation)
    looking.look()
    workspace.refresh_from_db()
    assert workspace.kubeconfig_secret == secret
    assert not workspace.look_error
    told = {one["type"]: one["value"] for one in workspace.conditions}
    assert (told["control_plane"], told["hosts"]) == ("true", "true")
    assert not Drift.objects.filter(workspace=workspace).exists()


def test_a_control_plane_that_does_not_come_back_is_told_with_what_holds_it_up(
    world: RunningWorld, settings: Any
) -> None:
    settings.LOOPBACK_CONTROL_PLANE_DEADLINE = 0.5
    workspace = linked(world, "rotated-stuck", hosts=0)
    operation = start(workspace)
    until_step(operation, "rotate")
    world.fault(service="kubernetes", target=f"{workspace.namespace}/{workspace.control_plane}", kind="not_ready")
    operation = drive(operation)
    world.clear_faults()
    assert operation.state == "failed"
    assert operation.error_message.startswith("No API server under a new authority in 0 min: Kamaji ")
    assert (
        operation.error_who_can_fix == "The operator of the management cluster: Kamaji's log says why. Then continue."
    )
    assert operation.retry(ALICE) is None
    settings.LOOPBACK_CONTROL_PLANE_DEADLINE = 60
    operation = drive(operation)
    assert operation.state == "succeeded", story(operation)
    assert changes(world, workspace) == 1


# --- Before anything happens ------------------------------------------------------------------------------------------
def test_a_host_that_cannot_be_signed_in_to_stops_it_before_anything_is_changed(world: RunningWorld) -> None:
    workspace = linked(world, "rotated-checked")
    silent = workspace.hosts.order_by("name").values_list("name", flat=True)[1]
    world.fault(service="ssh", target=silent, kind="refuse")
    operation = drive(start(workspace))
    world.clear_faults()
    assert operation.state == "failed"
    assert silent in operation.error_message
    assert operation.error_who_can_fix.endswith("Nothing has been changed yet.")
    assert changes(world, workspace) == 0
    assert operation.irreversible_since is None


def test_a_node_that_no_host_has_stops_it(world: RunningWorld) -> None:
    workspace = linked(world, "rotated-strange", hosts=1)
    host = workspace.hosts.get()
    type(host).objects.filter(pk=host.pk).update(node_name="another")
    operation = drive(start(workspace))
    assert operation.error_message == (
        f"These nodes are of no host that Loopback knows, and would be lost for good: {host.name}."
    )
    assert changes(world, workspace) == 0


def test_while_the_data_store_is_not_ready_nothing_is_asked(world: RunningWorld) -> None:
    workspace = linked(world, "rotated-stored", hosts=0)
    assert workspace.management_cluster is not None
    fault = f"{workspace.management_cluster.name}/default"
    world.fault(service="kubernetes", target=fault, kind="datastore_down")
    operation = drive(start(workspace))
    world.clear_faults()
    assert operation.error_message == "Data store default is not ready: Kamaji would change nothing."
    assert changes(world, workspace) == 0


# --- Kubeconfigs ------------------------------------------------------------------------------------------------------
def test_what_lies_ready_is_erased_and_tokens_of_service_accounts_are_asked_to_be_revoked(world: RunningWorld) -> None:
    workspace = linked(world, "rotated-handed-out", hosts=0)
    ready = handed_out(workspace, state="ready", document="of the old authority", taken_at=None)
    token = handed_out(workspace, "service_account", service_account="loopback-1")
    over = handed_out(workspace, certificate_until=timezone.now() - timedelta(days=1))
    elsewhere = handed_out(cast.kubernetes("rotated-not", hosts=0))
    operation = drive(start(workspace))
    assert operation.state == "succeeded", story(operation)
    for row in (ready, token, over, elsewhere):
        row.refresh_from_db()
    assert (ready.state, ready.document.token) == ("expired", "")
    assert (token.revoked_at, token.revocation_asked_at is not None) == (None, True)
    assert (over.revoked_at, elsewhere.revoked_at) == (None, None)
    message = operation.steps.get(key="revoke").message
    assert message == "0 kubeconfigs have ended; 1 of a ServiceAccount is being revoked"


# --- Refused ----------------------------------------------------------------------------------------------------------
def refused(workspace: Workspace, name: str = "", reason: str = WHY) -> Refused:
    said = ca_rotation.start(workspace, confirm_name=name or workspace.name, reason=reason, actor=ALICE)
    assert isinstance(said, Refused)
    assert not Operation.objects.exists()
    return said


def test_it_needs_the_name_and_a_reason(workspace: Workspace) -> None:
    workspace.hosts.update(ready=True, ansible={"ansible_host": "203.0.113.9"})
    assert refused(workspace, name="ledger").code == "wrong_name"
    assert refused(workspace, reason="  ").code == "no_reason"


def test_a_host_without_a_way_in_or_not_ready_is_named(workspace: Workspace) -> None:
    one, *_ = workspace.hosts.order_by("name")
    workspace.hosts.update(ready=True, ansible={"ansible_host": "203.0.113.9"})
    type(one).objects.filter(pk=one.pk).update(ready=False)
    said = refused(workspace)
    assert (said.code, said.evidence) == ("hosts_not_ready", {"hosts": [one.name]})
    type(one).objects.filter(pk=one.pk).update(ready=True, ansible={})
    said = refused(workspace)
    assert (said.code, said.evidence) == ("hosts_not_manageable", {"hosts": [one.name]})


@pytest.mark.parametrize(
    ("state", "code"),
    [("gated", "gated"), ("error", "not_active"), ("deletion_scheduled", "not_active"), ("deleting", "not_active")],
)
def test_only_an_active_workspace_changes_its_authority(workspace: Workspace, state: str, code: str) -> None:
    workspace.state = state
    assert refused(workspace).code == code


def test_bare_metal_has_no_authority(metal: Workspace) -> None:
    assert refused(metal).code == "not_kubernetes"
