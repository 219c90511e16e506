"""Preflights against the simulated world: the right check says what is wrong, the others still answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import django_rq
import pytest
from django.utils import timezone
from kubernetes import client

from tests import cast
from tests.operations import harness
from tests.simulators.running import RunningWorld
from workspaces.models import Actor, Operation, Preflight, StepPlan, Workspace
from workspaces.operations import connections, preflight, preflight_world, upgrade
from workspaces.providers.kubeconfig import connect
from workspaces.rules.preflight import CODES, Check

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("empty_queues", "catalogue_rows"),
    pytest.mark.timeout(120),
]
ALICE = Actor("account", "Alice Ahrens")
PLANES = {"group": "kamaji.clastix.io", "version": "v1alpha1", "plural": "tenantcontrolplanes"}
TENANT_CHECKS = {
    "nodes_ready",
    "version_skew",
    "disruption_budgets",
    "admission_webhooks",
    "deprecated_apis",
    "capacity",
}


def look(workspace: Workspace, to: str = "1.35.7") -> tuple[dict[str, Check], dict[str, Any]]:
    """A look that belongs to no operation: checks by code, and the blast."""
    checks, blast = preflight.look(workspace, None, to, timezone.now())
    assert [check.code for check in checks] == list(CODES)
    return {check.code: check for check in checks}, blast


def not_passed(checks: dict[str, Check]) -> dict[str, str]:
    """The results that are not "pass"."""
    return {code: check.result for code, check in checks.items() if check.result != "pass"}


def node(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "kubelet": "v1.34.8", "ready": True} | more


def workload(name: str, replicas: int, kind: str = "Deployment", **more: Any) -> dict[str, Any]:
    return {"namespace": "pay", "name": name, "kind": kind, "replicas": replicas, "ready": replicas} | more


def patch(workspace: Workspace, body: dict[str, Any]) -> None:
    """The operator of the management cluster changes the control plane."""
    assert workspace.management_cluster is not None
    with connect(workspace.management_cluster.kubeconfig.reveal()) as api:
        client.CustomObjectsApi(api).patch_namespaced_custom_object(
            **PLANES, namespace=workspace.namespace, name=workspace.control_plane, body=body
        )


# --- All is well ------------------------------------------------------------------------------------------------------
def test_a_healthy_workspace_passes_every_check_with_its_evidence(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("all-well", hosts=3))
    checks, blast = look(workspace)
    assert not_passed(checks) == {}
    said = {code: check.evidence for code, check in checks.items()}
    assert said["control_plane"] == "Kamaji says Ready: 1.34.8 runs, 2 of 2 replicas ready."
    assert said["data_store"] == "DataStore default (etcd) is ready."
    assert said["nodes_ready"] == "3 of 3 hosts are Ready."
    assert said["hosts_reachable"] == "3 of 3 hosts are in reach. Signing in was not tried."
    assert said["disruption_budgets"] == "3 pods to move, 3 under a budget, and no budget holds any of them now."
    assert said["deprecated_apis"].startswith("No deprecated API was asked for since the API servers started (")
    assert [(host["host"], host["pods"]) for host in blast["hosts"]] == [
        ("all-well-w1", 1),
        ("all-well-w2", 1),
        ("all-well-w3", 1),
    ]


def test_a_look_changes_nothing_in_the_world(world: RunningWorld) -> None:
    workloads = [workload("api", 2, budget={"minAvailable": 2})]
    workspace = harness.linked(world, cast.kubernetes("only-reads", hosts=2), workloads=workloads)
    targets = [{"target": "ws-only-reads/only-reads"}, {"target": "mgmt-fsn1", "path": "*only-reads*"}]
    before = [len(world.journal(**target)) for target in targets]
    checks, _ = look(workspace)
    asked = [
        entry
        for target, count in zip(targets, before, strict=True)
        for entry in world.journal(service="kubernetes", **target)[count:]
    ]
    assert len(asked) > 10
    writes = [entry for entry in asked if entry["method"] != "GET"]
    assert {entry["method"] for entry in writes} == {"POST"}
    assert all(entry["path"].endswith("/eviction?dryRun=All") for entry in writes)
    assert len(writes) == 2
    assert checks["disruption_budgets"].details[0].endswith("; a dry run says the same")
    assert harness.nodes(workspace) == {f"only-reads-w{n}": ("1.34.8", "True", False) for n in (1, 2)}


# --- What is wrong, and only that -------------------------------------------------------------------------------------
WRONG: list[tuple[str, dict[str, Any], dict[str, str], str, str]] = [
    (
        "not-ready",
        {"nodes": [node("not-ready-w1"), node("not-ready-w2", ready=False)]},
        {"nodes_ready": "fail", "capacity": "fail"},
        "nodes_ready",
        "1 of 2 hosts is not Ready.",
    ),
    (
        "too-old",
        {"version": "v1.35.7", "nodes": [node("too-old-w1", kubelet="v1.31.2"), node("too-old-w2", kubelet="v1.35.7")]},
        {"version_skew": "fail"},
        "version_skew",
        "1.36.2 serves kubelets from 1.33 on, and 1 kubelet is older.",
    ),
    (
        "no-budget",
        {"workloads": [workload("api", 2, budget={"maxUnavailable": 0})]},
        {"disruption_budgets": "fail"},
        "disruption_budgets",
        "1 budget allows no eviction now and would hold 2 pods.",
    ),
    (
        "paused",
        {"paused": True},
        {"control_plane": "fail"},
        "control_plane",
        "The annotation kamaji.clastix.io/paused keeps Kamaji from working on it.",
    ),
    (
        "one-replica",
        {"replicas": 1},
        {"control_plane_replicas": "fail"},
        "control_plane_replicas",
        "1 replica runs, so the API server does not answer while it moves. The workloads go on.",
    ),
    (
        "old-api",
        {
            "deprecated_apis": [
                {"group": "batch", "version": "v1beta1", "resource": "cronjobs", "removed_release": "1.35"},
                {"group": "", "version": "v1", "resource": "endpoints", "removed_release": ""},
            ],
            "up_seconds": 3 * 3600,
        },
        {"deprecated_apis": "fail"},
        "deprecated_apis",
        "1 API in use is not in 1.35.7 any more. Counted since the API servers started (",
    ),
    (
        "webhook-down",
        {"webhooks": [{"name": "pods.policy.example", "namespace": "policy", "resources": ["pods"], "ready": False}]},
        {"admission_webhooks": "fail"},
        "admission_webhooks",
        "1 webhook must answer before a pod or node changes, and its service has no ready endpoint.",
    ),
    (
        "too-full",
        {"workloads": [workload("api", 2, cpu="2500m", memory="1Gi")]},
        {"capacity": "fail"},
        "capacity",
        "While too-full-w1 is drained, its pods need 2.5 cores, 1.0 GiB and 1 place; 1 other node has 1.5 cores, ",
    ),
]


@pytest.mark.parametrize(("name", "tenant", "wrong", "code", "evidence"), WRONG, ids=[case[0] for case in WRONG])
def test_the_right_check_says_what_is_wrong_and_the_others_pass(
    world: RunningWorld, name: str, tenant: dict[str, Any], wrong: dict[str, str], code: str, evidence: str
) -> None:
    version = tenant.get("version", "v1.34.8").removeprefix("v")
    workspace = harness.linked(world, cast.kubernetes(name, hosts=2, version=version), **tenant)
    checks, _ = look(workspace, "1.36.2" if version == "1.35.7" else "1.35.7")
    assert not_passed(checks) == wrong
    assert checks[code].evidence.startswith(evidence)


FAULTS: list[tuple[str, dict[str, Any], dict[str, str], str, str]] = [
    (
        "store-down",
        {"target": "mgmt-fsn1", "kind": "datastore_down"},
        {"data_store": "fail"},
        "data_store",
        "DataStore default is not ready: Kamaji would take the new version and do nothing.",
    ),
    (
        "tenant-down",
        {"target": "ws-tenant-down/tenant-down", "kind": "refuse"},
        dict.fromkeys(TENANT_CHECKS | {"credentials"}, "cannot_tell"),
        "nodes_ready",
        "tenant tenant-down: the connection was closed before an answer came.",
    ),
    (
        "tenant-401",
        {"target": "ws-tenant-401/tenant-401", "kind": "expired_token"},
        dict.fromkeys(TENANT_CHECKS, "cannot_tell") | {"credentials": "fail"},
        "credentials",
        "tenant tenant-401: the stored credential is not accepted",
    ),
    (
        "mgmt-401",
        {"target": "mgmt-fsn1", "kind": "expired_token"},
        dict.fromkeys(
            TENANT_CHECKS | {"control_plane", "data_store", "control_plane_replicas", "pinned_addons"}, "cannot_tell"
        )
        | {"credentials": "fail"},
        "credentials",
        "management cluster mgmt-fsn1: the stored credential is not accepted",
    ),
    (
        "ssh-closed",
        {"service": "ssh", "target": "ssh-closed-w2", "kind": "refuse"},
        {"hosts_reachable": "fail"},
        "hosts_reachable",
        "1 of 2 hosts cannot be reached over SSH.",
    ),
    (
        "no-metrics",
        {"target": "ws-no-metrics/no-metrics", "kind": "status", "status": 403, "path": "/metrics"},
        {"deprecated_apis": "cannot_tell"},
        "deprecated_apis",
        "tenant no-metrics: the stored credential lacks a right",
    ),
    (
        "no-pods",
        {"target": "ws-no-pods/no-pods", "kind": "status", "status": 500, "path": "/api/v1/pods*"},
        {"disruption_budgets": "cannot_tell", "capacity": "cannot_tell"},
        "capacity",
        "tenant no-pods: ",
    ),
    (
        "no-stores",
        {"target": "mgmt-fsn1", "kind": "status", "status": 403, "path": "*/datastores/*"},
        {"data_store": "cannot_tell"},
        "data_store",
        "management cluster mgmt-fsn1: the stored credential lacks a right",
    ),
    (
        "no-own-pods",
        {"target": "mgmt-fsn1", "kind": "status", "status": 503, "path": "*/namespaces/ws-no-own-pods/pods*"},
        {"control_plane": "cannot_tell"},
        "control_plane",
        "management cluster mgmt-fsn1: ",
    ),
    (
        "node-lost",
        {"target": "node-lost-w2", "kind": "lost_node"},
        {"nodes_ready": "fail", "capacity": "fail"},
        "nodes_ready",
        "1 of 2 hosts is not Ready.",
    ),
]


@pytest.mark.parametrize(("name", "fault", "wrong", "code", "evidence"), FAULTS, ids=[case[0] for case in FAULTS])
def test_what_cannot_be_asked_is_said_of_that_check_and_the_others_answer(
    world: RunningWorld, name: str, fault: dict[str, Any], wrong: dict[str, str], code: str, evidence: str
) -> None:
    workspace = harness.linked(world, cast.kubernetes(name, hosts=2))
    assert not_passed(look(workspace)[0]) == {}
    world.fault(**({"service": "kubernetes"} | fault))
    found = _until(workspace, lambda checks: not_passed(checks) == wrong)
    world.clear_faults()
    assert not_passed(found) == wrong
    assert found[code].evidence.startswith(evidence)
    assert found[code].who_can_fix


def _until(workspace: Workspace, holds: Callable[[dict[str, Check]], bool]) -> dict[str, Check]:
    """A fault of a kubelet shows after its grace period; everything else shows at once."""
    deadline = timezone.now() + timedelta(seconds=15)
    while True:
        checks, _ = look(workspace)
        if holds(checks) or timezone.now() > deadline:
            return checks


def test_what_was_not_known_of_the_pods_leaves_the_blast_open(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("unseen-pods", hosts=1))
    target = "ws-unseen-pods/unseen-pods"
    world.fault(service="kubernetes", target=target, kind="status", status=500, path="/api/v1/pods*")
    assert look(workspace)[1] == {}
    world.clear_faults()
    world.fault(service="kubernetes", target=target, kind="status", status=500, path="*/poddisruptionbudgets*")
    checks, blast = look(workspace)
    assert not_passed(checks) == {"disruption_budgets": "cannot_tell", "capacity": "fail"}
    assert (blast["pods"], blast["budgets"]) == (3, None)


def test_a_control_plane_that_is_gone_is_an_answer(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("gone-away", hosts=1))
    Workspace.objects.filter(pk=workspace.pk).update(control_plane="nowhere")
    workspace.refresh_from_db()
    checks, _ = look(workspace)
    assert checks["control_plane"].result == "fail"
    assert checks["control_plane"].evidence == "Its control plane is not on the management cluster any more."
    assert checks["data_store"].result == checks["nodes_ready"].result == "cannot_tell"
    assert "pass" not in {checks[code].result for code in TENANT_CHECKS | {"data_store", "pinned_addons"}}


def test_a_management_cluster_without_a_kubeconfig_is_a_credential_to_store(workspace: Workspace) -> None:
    assert workspace.management_cluster is not None
    workspace.management_cluster.kubeconfig = ""
    workspace.management_cluster.save()
    checks, blast = look(workspace)
    assert checks["credentials"].result == "fail"
    assert checks["credentials"].evidence == "No kubeconfig is stored for management cluster mgmt-fsn1."
    assert not checks["credentials"].acceptable
    assert checks["control_plane"].result == "cannot_tell"
    assert blast == {}


def test_pinned_addons_and_a_rollout_that_hangs_are_seen(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("pinned", hosts=2))
    patch(workspace, {"spec": {"addons": {"kubeProxy": {"imageTag": "v1.34.8"}}}})
    checks = _until(workspace, lambda found: not_passed(found) == {"pinned_addons": "fail"})
    assert checks["pinned_addons"].details == ("kubeProxy v1.34.8",)
    world.fault(service="kubernetes", target="ws-pinned/pinned", kind="upgrade_hang")
    patch(workspace, {"spec": {"kubernetes": {"version": "v1.35.7"}}})
    checks = _until(workspace, lambda found: bool(found["control_plane"].details))
    other = {to: look(workspace, to)[0]["control_plane"] for to in ("1.35.4", "1.36.2")}
    world.clear_faults()
    assert checks["control_plane"].evidence == "2 pods of the control plane cannot start."
    assert "ImagePullBackOff" in checks["control_plane"].details[0]
    assert other["1.36.2"].result == "fail", "another version has been asked for"
    assert (other["1.35.4"].result, other["1.35.4"].evidence) == (
        "pass",
        "Kamaji cannot start 1.35.7. 1.35.4 of the same minor takes its place.",
    )


def test_a_dry_run_is_not_tried_on_more_than_twenty_pods(world: RunningWorld) -> None:
    workloads = [workload("api", 25, budget={"maxUnavailable": 0}), workload("web", 3, budget={"maxUnavailable": 0})]
    workspace = harness.linked(world, cast.kubernetes("many-pods", hosts=2), workloads=workloads)
    checks, blast = look(workspace)
    tried = world.journal(target="ws-many-pods/many-pods", path="*/eviction?dryRun=All")
    assert len(tried) == preflight_world.MOST_DRY_RUNS == 20
    assert sum("/pods/web-" in entry["path"] for entry in tried) == 3
    assert [budget["budget"] for budget in blast["budgets"]] == ["pay/api", "pay/web"]
    assert checks["disruption_budgets"].evidence == "2 budgets allow no eviction now and would hold 28 pods."


# --- Operations -------------------------------------------------------------------------------------------------------
def test_another_open_operation_is_in_the_way_and_the_own_one_is_not(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("busy", hosts=1))
    other = Operation.start(workspace, "maintenance", "Maintain busy", [StepPlan("x", "X")], actor=ALICE)
    assert isinstance(other, Operation)
    checks, _ = look(workspace)
    assert (checks["no_open_operation"].result, checks["no_open_operation"].acceptable) == ("fail", False)
    assert checks["no_open_operation"].evidence == "Maintain busy has not ended."
    own, _ = preflight.look(workspace, other, "1.35.7", timezone.now())
    assert {check.code: check.result for check in own}["no_open_operation"] == "pass"


def test_the_plan_of_the_operation_says_which_hosts_move(world: RunningWorld) -> None:
    made = cast.kubernetes("some-stay", hosts=3, upgrade_hosts_at_once=2)
    workspace = harness.linked(world, made)
    operation = upgrade.start(workspace, "1.35.7", actor=ALICE)
    assert isinstance(operation, Operation)
    operation.steps.filter(host="some-stay-w2").update(state="skipped")
    _, blast = preflight.look(workspace, operation, "1.35.7", timezone.now())
    assert [host["host"] for host in blast["hosts"]] == ["some-stay-w1", "some-stay-w3"]
    # Before a hop in which hosts wait, what a later one moves is told already.
    _, earlier = preflight.look(workspace, operation, "1.34.11", timezone.now())
    assert [host["host"] for host in earlier["hosts"]] == ["some-stay-w1", "some-stay-w3"]


def test_hosts_that_have_arrived_do_not_move_again(world: RunningWorld) -> None:
    made = cast.kubernetes("half-there", hosts=2, version="1.35.7")
    nodes = [node("half-there-w1", kubelet="v1.35.7"), node("half-there-w2")]
    workspace = harness.linked(world, made, nodes=nodes)
    checks, blast = look(workspace)
    assert [host["host"] for host in blast["hosts"]] == ["half-there-w2"], "the nodes say so, the rows do not yet"
    assert checks["control_plane_replicas"].evidence == "The control plane does not move."


def test_the_blast_is_what_a_real_drain_evicts(world: RunningWorld) -> None:
    workloads = [
        workload("api", 4, budget={"minAvailable": 1}),
        workload("queue", 1, kind="StatefulSet"),
        workload("report", 1),
        workload("once", 1, kind="Pod"),
        workload("agent", 1, kind="DaemonSet"),
    ]
    workspace = harness.linked(world, cast.kubernetes("predicted", hosts=2), workloads=workloads)
    with connections.tenant(workspace) as cluster:
        there = {f"{pod.namespace}/{pod.name}" for pod in cluster.pods()}
    _, blast = look(workspace)
    predicted = {name for host in blast["hosts"] for name in host["names"]}
    assert blast["pods"] == len(predicted) == 7
    assert blast["bare"] == ["pay/once"]
    assert blast["single_replica"] == ["pay/queue (StatefulSet, 1 replica)", "pay/report (Deployment, 1 replica)"]
    operation = upgrade.start(workspace, "1.35.7", actor=ALICE)
    assert isinstance(operation, Operation)
    operation = harness.drive(operation)
    assert operation.state == "succeeded", harness.story(operation)
    evicted = _evicted(world, "ws-predicted/predicted")
    assert evicted & there == predicted, "of the pods that were there, exactly those"
    assert evicted - there, "those started again on the second host leave once more, under new names"
    kept = Preflight.objects.get(operation=operation)
    assert {name for host in kept.blast["hosts"] for name in host["names"]} == predicted


def _evicted(world: RunningWorld, target: str) -> set[str]:
    """The pods whose eviction was asked for and accepted, "namespace/name"."""
    entries = world.journal(service="kubernetes", target=target, method="POST", path="*/eviction")
    parts = [entry["path"].split("/") for entry in entries if entry["status"] == 201]
    return {f"{path[4]}/{path[6]}" for path in parts}


# --- Asked for by a person --------------------------------------------------------------------------------------------
def work() -> int:
    """What waits in the queue, done here and now; how much it was."""
    queue = django_rq.get_queue("ticks")
    jobs = list(queue.jobs)
    for job in jobs:
        job.func(*job.args)
        job.delete()
    return len(jobs)


def test_a_person_asks_a_worker_looks_and_the_row_answers(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("asked-for", hosts=2), replicas=1)
    asked = preflight.ask(workspace, "1.35.7", ALICE)
    assert preflight.ask(workspace, "1.35.7", ALICE) == asked, "one look answers both"
    assert Preflight.latest(workspace, "1.35.7", "1.35.7") is None
    assert work() == 1
    found = Preflight.latest(workspace, "1.35.7", "1.35.7")
    assert found is not None
    assert (found.pk, found.asked_by, found.error) == (asked.pk, "Alice Ahrens", "")
    assert found.is_fresh(timezone.now())
    checks = [Check.of(document) for document in found.checks]
    assert [check.code for check in checks] == list(CODES)
    assert [check.code for check in checks if check.result != "pass"] == ["control_plane_replicas"]
    assert found.blast["pods"] == 3
    seen = found.finished_at
    preflight.run(found.pk)
    found.refresh_from_db()
    assert found.finished_at == seen, "what has ended is left as it is"


def test_a_world_that_answers_nothing_is_an_answer(workspace: Workspace) -> None:
    asked = preflight.ask(workspace, "1.35.7", ALICE)
    work()
    asked.refresh_from_db()
    assert (asked.error, len(asked.checks), asked.blast) == ("", 13, {})
    assert asked.finished_at is not None
    results = {document["code"]: document["result"] for document in asked.checks}
    assert {code for code, result in results.items() if result == "pass"} == {"no_open_operation"}


def test_a_defect_ends_the_look_and_says_that_it_broke_off(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("broken-off", hosts=1))
    asked = preflight.ask(workspace, "no version", ALICE)
    work()
    asked.refresh_from_db()
    assert asked.finished_at is not None
    assert asked.error == "The look broke off (ValueError). The workers' log says where."
    assert (asked.checks, asked.is_fresh(timezone.now())) == ([], False)


def test_no_secret_is_in_what_a_look_keeps(world: RunningWorld) -> None:
    workspace = harness.linked(world, cast.kubernetes("discreet", hosts=1))
    assert workspace.management_cluster is not None
    stored = workspace.management_cluster.kubeconfig.reveal()
    host = workspace.hosts.get()
    assert host.ssh_key is not None
    secrets = [*_long_words(stored), *_long_words(connections.tenant_kubeconfig(workspace))]
    secrets += _long_words(host.ssh_key.private_key.reveal())
    assert len(secrets) > 5
    for fault in ({"kind": "expired_token"}, {"kind": "status", "status": 500}, {"kind": "refuse"}):
        for target in ("mgmt-fsn1", "ws-discreet/discreet"):
            world.fault(service="kubernetes", target=target, **fault)
            kept = json.dumps([check.document() for check in look(workspace)[0].values()])
            world.clear_faults()
            assert not [secret for secret in secrets if secret in kept]


def _long_words(text: str) -> Sequence[str]:
    return [word for word in text.split() if len(word) > 30]


# --- Knocking ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("variables", "answers", "said"),
    [
        ({"ansible_connection": "local"}, True, "reached without SSH"),
        ({}, False, "it has no connection variables"),
        (
            {"ansible_host": "127.0.0.1", "ansible_port": "high"},
            False,
            "its ansible_host and ansible_port are no address",
        ),
        ({"ansible_host": "x" * 70, "ansible_port": 22}, False, "its ansible_host and ansible_port are no address"),
        ({"ansible_host": "127.0.0.1", "ansible_port": 1}, False, "Port 1 cannot be reached: Connection refused."),
        (
            {"ansible_host": "10.0.0.4", "ansible_ssh_common_args": "-o ProxyJump=ops@bastion.example"},
            None,
            "behind a bastion, which was not tried",
        ),
        (
            {"ansible_host": "10.0.0.4", "ansible_ssh_common_args": "-J bastion"},
            None,
            "behind a bastion, which was not tried",
        ),
        (
            {"ansible_host": "10.0.0.4", "ansible_ssh_extra_args": '-o ProxyCommand="ssh -W %h:%p b"'},
            None,
            "behind a bastion, which was not tried",
        ),
        ({"ansible_host": "w1", "ansible_connection": "winrm"}, None, "reached by winrm, which was not tried"),
    ],
)
def test_a_host_is_knocked_at_or_it_is_said_that_it_was_not(
    variables: dict[str, Any], answers: bool | None, said: str
) -> None:
    found = preflight_world.knock("web-1", "web-1", variables)
    assert (found.answers, found.said) == (answers, said)
