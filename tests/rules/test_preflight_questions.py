"""The checks of a preflight one by one: passed, failed, and without an answer, with the sentence of each.

What they stop is `test_preflight.py`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.rules.preflight_cases import (
    CRON,
    DENIED,
    ENDPOINTS,
    FINISH,
    HOOK,
    MANAGEMENT,
    N1,
    N2,
    N3,
    NOW,
    OPEN,
    P1,
    P2,
    PATCH,
    SHUT,
    SILENT,
    TENANT,
    USE,
    W1,
    W2,
    W3,
    checks,
    plane,
)
from workspaces.rules.preflight import CODES
from workspaces.rules.preflight_seen import DataStore, DeprecatedUse, Node

# --- Each check passes, fails, and cannot tell ------------------------------------------------------------------------
PASSES = [
    ("control_plane", {}, "Kamaji says Ready: 1.34.8 runs, 2 of 2 replicas ready."),
    (
        "control_plane",
        plane(status="Upgrading", wanted="1.35.7"),
        "Kamaji is on the way from 1.34.8 to 1.35.7 already, 2 of 2 replicas ready.",
    ),
    (
        "control_plane",
        plane(status="Upgrading", wanted="1.35.6") | {"waiting": ("web-7d: ImagePullBackOff",)},
        "Kamaji cannot start 1.35.6. 1.35.7 of the same minor takes its place.",
    ),
    (
        "control_plane",
        plane(status="Upgrading", wanted="1.35.9") | {"waiting": ("web-7d: ImagePullBackOff",)},
        "Kamaji cannot start 1.35.9. 1.35.7 of the same minor takes its place.",
    ),
    ("data_store", {}, "DataStore default (etcd) is ready."),
    ("no_open_operation", {}, "No other operation is open."),
    ("nodes_ready", {}, "3 of 3 hosts are Ready."),
    (
        "nodes_ready",
        {"nodes": (N1, replace(N2, closed=True), N3)},
        "3 of 3 hosts are Ready. 1 node is closed to new pods already.",
    ),
    ("nodes_ready", {"hosts": (), "groups": (), "nodes": ()}, "There are no hosts."),
    ("version_skew", {}, "The oldest of 3 kubelets is 1.34.8, and 1.35.7 serves it."),
    (
        "version_skew",
        {"nodes": (replace(N1, kubelet="1.32.0"), N2)},
        "The oldest of 2 kubelets is 1.32.0, and 1.35.7 serves it.",
    ),
    (
        "credentials",
        {},
        "The kubeconfig of management cluster mgmt-fsn1 and the kubeconfig of web are accepted.",
    ),
    ("hosts_reachable", {}, "3 of 3 hosts are in reach. Signing in was not tried."),
    ("disruption_budgets", {}, "2 pods to move, 2 under a budget, and no budget holds any of them now."),
    ("disruption_budgets", {"groups": (), "budgets": (SHUT,)}, "No host moves, so no pod has to leave."),
    ("admission_webhooks", {}, "No service has to answer before a pod or node changes."),
    (
        "admission_webhooks",
        {"webhooks": (HOOK, replace(HOOK, strict=False, answers=False))},
        "1 webhook must answer before a pod or node changes, and can.",
    ),
    (
        "admission_webhooks",
        {"webhooks": (replace(HOOK, service="https://policy.example", answers=None),)},
        "No service has to answer before a pod or node changes. 1 webhook outside of the cluster is not asked.",
    ),
    (
        "deprecated_apis",
        {},
        "No deprecated API was asked for since the API servers started (14:02 UTC, 3 h ago).",
    ),
    (
        "deprecated_apis",
        {"deprecated": DeprecatedUse(())},
        "No deprecated API was asked for since the API servers started (they do not say when).",
    ),
    (
        "deprecated_apis",
        {"deprecated": replace(USE, apis=(replace(CRON, removed_release="1.36"), ENDPOINTS))},
        "2 deprecated APIs are in use, and 1.35.7 still has all of them. Counted since the API servers started "
        "(14:02 UTC, 3 h ago).",
    ),
    ("control_plane_replicas", {}, "2 replicas move one after the other, and the API server answers meanwhile."),
    (
        "capacity",
        {},
        "While web-1 is drained, its pods need 1.5 cores, 2.0 GiB and 1 place; 2 other nodes have 6.5 cores, "
        "14.0 GiB and 219 places left.",
    ),
    ("capacity", {"groups": ()}, "No host moves, so no pod has to leave."),
    ("capacity", {"pods": ()}, "No pod has to leave any of the hosts."),
    ("pinned_addons", {}, "No add-on has a set image tag: Kamaji moves them."),
    ("pinned_addons", plane(pinned=(("kubeProxy", "v1.35.7"),)), "No add-on has a set image tag: Kamaji moves them."),
]


@pytest.mark.parametrize(("code", "changes", "evidence"), PASSES)
def test_a_check_passes_with_what_was_seen(code: str, changes: dict[str, object], evidence: str) -> None:
    check = checks(**changes)[code]
    assert (check.result, check.evidence) == ("pass", evidence)
    assert check.observed_at == NOW


OPERATOR = "The operator of the management cluster"
FAILS = [
    (
        # Its pods start: somebody else is moving it.
        "control_plane",
        plane(status="Upgrading", wanted="1.35.6"),
        "1.34.8 runs, and 1.35.6 has been asked for.",
    ),
    (
        "control_plane",
        plane(status="Upgrading", wanted="1.36.2") | {"waiting": ("web-7d: ImagePullBackOff",)},
        "1.34.8 runs, and 1.36.2 has been asked for.",
    ),
    ("control_plane", {"control_plane": None}, "Its control plane is not on the management cluster any more."),
    ("control_plane", plane(deleting=True), "The control plane is being deleted."),
    ("control_plane", plane(paused=True), "The annotation kamaji.clastix.io/paused keeps Kamaji from working on it."),
    (
        "control_plane",
        plane(status="Sleeping", replicas=0, ready_replicas=0),
        "The control plane is asleep (0 replicas): nothing would run the new version.",
    ),
    (
        "control_plane",
        plane(status="WriteLimited"),
        "Kamaji limits writes to it (WriteLimited): it would stay at its version, and no host could be closed.",
    ),
    ("control_plane", plane(wanted="1.35.4"), "1.34.8 runs, and 1.35.4 has been asked for."),
    ("control_plane", plane(wanted="1.35.4", running=""), "Nothing runs, and 1.35.4 has been asked for."),
    ("control_plane", plane(settled=False), "Kamaji has not processed the latest change of it."),
    ("control_plane", plane(status="NotReady"), "Kamaji says NotReady."),
    ("control_plane", plane(status="Upgrading"), "Kamaji says Upgrading."),
    ("control_plane", plane(status=""), "Kamaji says nothing."),
    ("control_plane", plane(ready_replicas=1), "1 of 2 replicas of the control plane is ready."),
    ("control_plane", {"waiting": ("web-1: no",)}, "1 pod of the control plane cannot start."),
    ("data_store", {"data_store": DataStore("gold", False, exists=False)}, "DataStore gold does not exist."),
    (
        "data_store",
        {"data_store": DataStore("gold", False, "etcd")},
        "DataStore gold is not ready: Kamaji would take the new version and do nothing.",
    ),
    ("no_open_operation", {"open_operation": "Maintain web"}, "Maintain web has not ended."),
    ("nodes_ready", {"nodes": (N1, replace(N2, ready=False), N3)}, "1 of 3 hosts is not Ready."),
    ("nodes_ready", {"nodes": (N1,)}, "2 of 3 hosts are not Ready."),
    (
        "version_skew",
        {"nodes": (replace(N1, kubelet="1.31.9"), N2)},
        "1.35.7 serves kubelets from 1.32 on, and 1 kubelet is older.",
    ),
    (
        "version_skew",
        {"nodes": (replace(N1, kubelet="1.36.0"), replace(N2, kubelet="1.35.9"), N3)},
        "2 kubelets are newer than 1.35.7, which none may be.",
    ),
    (
        "credentials",
        {"management": replace(MANAGEMENT, trouble=DENIED, refused=True)},
        "tenant web: the stored credential lacks a right.",
    ),
    (
        "credentials",
        {"management": replace(MANAGEMENT, trouble=SILENT), "tenant": replace(TENANT, trouble=DENIED, refused=True)},
        "tenant web: the stored credential lacks a right.",
    ),
    (
        "credentials",
        {"management": replace(MANAGEMENT, ends_at=NOW + timedelta(hours=24))},
        "The kubeconfig of management cluster mgmt-fsn1: its client certificate ends on 29 Nov 2026 at 17:02 UTC.",
    ),
    (
        "hosts_reachable",
        {"hosts": (W1, replace(W2, answers=False, said="closed"))},
        "1 of 2 hosts cannot be reached over SSH.",
    ),
    ("disruption_budgets", {"budgets": (SHUT,)}, "1 budget allows no eviction now and would hold 2 pods."),
    (
        "disruption_budgets",
        {"pods": (replace(P1, budgets=("shop/web", "shop/all")), P2), "budgets": (OPEN,)},
        "1 pod under two budgets can never be evicted.",
    ),
    (
        "admission_webhooks",
        {"webhooks": (replace(HOOK, answers=False), replace(HOOK, answers=SILENT))},
        "1 webhook must answer before a pod or node changes, and its service has no ready endpoint.",
    ),
    (
        "deprecated_apis",
        {"deprecated": replace(USE, apis=(CRON, ENDPOINTS))},
        "1 API in use is not in 1.35.7 any more. Counted since the API servers started (14:02 UTC, 3 h ago).",
    ),
    (
        "control_plane_replicas",
        plane(replicas=1, ready_replicas=1),
        "1 replica runs, so the API server does not answer while it moves. The workloads go on.",
    ),
    (
        "capacity",
        {"hosts": (W1,), "groups": ((W1,),), "nodes": (N1,)},
        "While web-1 is drained, 1 pod has nowhere to go.",
    ),
    (
        "capacity",
        {"nodes": (N1, replace(N2, cpu_millis=2000), replace(N3, closed=True))},
        "While web-1 is drained, its pods need 1.5 cores, 2.0 GiB and 1 place; 1 other node has 0.5 cores, "
        "6.0 GiB and 109 places left.",
    ),
    (
        "pinned_addons",
        plane(pinned=(("coreDNS", "v1.12.0"), ("kubeProxy", "v1.34.8"))),
        "Kamaji leaves 2 add-ons at a set image tag: coreDNS v1.12.0, kubeProxy v1.34.8.",
    ),
]


@pytest.mark.parametrize(("code", "changes", "evidence"), FAILS)
def test_a_check_fails_with_numbers_and_says_who_can_fix_it(
    code: str, changes: dict[str, object], evidence: str
) -> None:
    check = checks(**changes)[code]
    assert (check.result, check.evidence) == ("fail", evidence)
    assert check.who_can_fix.endswith(".")


BLIND = [
    ("control_plane", {"control_plane": SILENT}),
    ("control_plane", {"waiting": SILENT}),
    ("data_store", {"data_store": SILENT}),
    ("nodes_ready", {"nodes": SILENT}),
    ("version_skew", {"nodes": SILENT}),
    ("credentials", {"tenant": replace(TENANT, trouble=SILENT)}),
    ("credentials", {"management": replace(MANAGEMENT, trouble=SILENT)}),
    ("disruption_budgets", {"pods": SILENT}),
    ("disruption_budgets", {"budgets": SILENT}),
    ("admission_webhooks", {"webhooks": SILENT}),
    ("admission_webhooks", {"webhooks": (HOOK, replace(HOOK, answers=SILENT))}),
    ("deprecated_apis", {"deprecated": SILENT}),
    ("control_plane_replicas", {"control_plane": SILENT}),
    ("capacity", {"nodes": SILENT}),
    ("capacity", {"pods": SILENT}),
    ("pinned_addons", {"control_plane": SILENT}),
]


@pytest.mark.parametrize(("code", "changes"), BLIND)
def test_what_could_not_be_asked_carries_the_sentence_of_the_error(code: str, changes: dict[str, object]) -> None:
    check = checks(**changes)[code]
    assert check.result == "cannot_tell"
    assert check.evidence == "tenant web: it did not answer in time."
    assert check.who_can_fix == "The operator of the platform."


SAYS_NOTHING = [
    (
        "version_skew",
        {"nodes": (N1, replace(N2, kubelet=""))},
        "The kubelet version of 1 node cannot be read.",
        ("web-2",),
    ),
    (
        "hosts_reachable",
        {"hosts": (W1, replace(W2, answers=None, said="behind a bastion, which was not tried"))},
        "1 of 2 hosts: whether SSH answers cannot be seen from here.",
        ("web-2: behind a bastion, which was not tried",),
    ),
    (
        "capacity",
        {"nodes": (N1, replace(N2, cpu_millis=0, memory_bytes=0, pods=0), N3)},
        "How much 1 node can hold is not said.",
        ("web-2",),
    ),
    (
        "deprecated_apis",
        {"deprecated": replace(USE, apis=(replace(CRON, removed_release="soon"),))},
        "When 1 API in use is removed cannot be read.",
        ("batch/v1beta1 cronjobs (removed in soon)",),
    ),
    (
        "pinned_addons",
        {"control_plane": None},
        "Its control plane is not on the management cluster any more.",
        (),
    ),
]


def test_every_check_is_tried_in_each_of_its_results() -> None:
    assert {code for code, *_ in PASSES} == set(CODES)
    assert {code for code, *_ in FAILS} == set(CODES)
    # Whether an operation is open stands in a row of ours, so it can always be told.
    assert {code for code, *_ in (*BLIND, *SAYS_NOTHING)} == set(CODES) - {"no_open_operation"}


@pytest.mark.parametrize(("code", "changes", "evidence", "details"), SAYS_NOTHING)
def test_an_answer_that_says_nothing_is_not_taken_for_good(
    code: str, changes: dict[str, object], evidence: str, details: tuple[str, ...]
) -> None:
    check = checks(**changes)[code]
    assert (check.result, check.evidence, check.details) == ("cannot_tell", evidence, details)


# --- Details ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("code", "changes", "details"),
    [
        (
            "nodes_ready",
            {"nodes": (N1, replace(N2, ready=False, message="Kubelet stopped posting node status."))},
            ("web-2: Kubelet stopped posting node status.", "web-3: its node is not in the cluster"),
        ),
        (
            "nodes_ready",
            {"nodes": (N1, N2, replace(N3, closed=True), Node("guest", "1.34.8", ready=False))},
            ("web-3: closed to new pods", "guest: not managed here and not Ready"),
        ),
        ("version_skew", {"nodes": (replace(N1, kubelet="1.31.9"), N2)}, ("web-1: 1.31.9",)),
        (
            "hosts_reachable",
            {"hosts": (replace(W1, said="reached without SSH"), W2)},
            ("web-1: reached without SSH",),
        ),
        (
            "credentials",
            {
                "management": replace(MANAGEMENT, ends_at=NOW + timedelta(days=14)),
                "tenant": replace(TENANT, ends_at=NOW + timedelta(hours=2)),
            },
            (
                "The kubeconfig of management cluster mgmt-fsn1: certificate ends on 12 Dec 2026 at 17:02 UTC",
                "the kubeconfig of web: certificate ends on 28 Nov 2026 at 19:02 UTC, and Kamaji makes it anew",
            ),
        ),
        ("control_plane", {"waiting": ("web-7: ErrImagePull",)}, ("web-7: ErrImagePull",)),
        (
            "disruption_budgets",
            {"budgets": (SHUT,)},
            ("shop/web: 2 healthy, 2 needed, holds web-a, web-b",),
        ),
        (
            "disruption_budgets",
            {"pods": (replace(P1, budgets=("shop/all", "shop/web")),)},
            ("shop/web-a can never be evicted: it has the budgets shop/all and shop/web",),
        ),
        (
            "admission_webhooks",
            {"webhooks": (replace(HOOK, answers=False),)},
            ("policy: pods.policy.example (policy/hook)",),
        ),
        (
            "deprecated_apis",
            {"deprecated": replace(USE, apis=(CRON, ENDPOINTS))},
            ("batch/v1beta1 cronjobs (removed in 1.35)",),
        ),
        (
            "capacity",
            {"nodes": (N1, *(replace(node, cpu_millis=1000) for node in (N2, N3)))},
            ("shop/web-a: larger than what any of them has left",),
        ),
        ("pinned_addons", plane(pinned=(("kubeProxy", "v1.34.8"),)), ("kubeProxy v1.34.8",)),
    ],
)
def test_details_are_names(code: str, changes: dict[str, object], details: tuple[str, ...]) -> None:
    assert checks(**changes)[code].details == details


def test_more_than_twenty_names_are_cut_with_how_many_there_are() -> None:
    many = tuple(Node(f"n{number:02}", "1.31.0") for number in range(23))
    details = checks(nodes=many)["version_skew"].details
    assert len(details) == 21
    assert details[19:] == ("n19: 1.31.0", "and 3 more")


# --- Versions ---------------------------------------------------------------------------------------------------------
def test_removed_releases_compare_as_numbers_and_not_as_text() -> None:
    use = replace(USE, apis=(replace(CRON, removed_release="1.9"),))
    assert checks(deprecated=use)["deprecated_apis"].result == "fail"
    use = replace(USE, apis=(replace(CRON, removed_release="1.100"),))
    assert checks(deprecated=use)["deprecated_apis"].result == "pass"


def test_an_api_that_only_the_last_hop_removes_is_told_before_the_first() -> None:
    use = replace(USE, apis=(replace(CRON, removed_release="1.36"),))
    assert checks(deprecated=use)["deprecated_apis"].result == "pass"
    check = checks(deprecated=use, end="1.36.2")["deprecated_apis"]
    assert (check.result, check.details) == ("fail", ("batch/v1beta1 cronjobs (removed in 1.36)",))
    assert check.evidence.startswith("1 API in use is not in 1.36.2 any more.")


def test_a_patch_removes_no_api() -> None:
    check = checks(PATCH, deprecated=replace(USE, apis=(CRON,)))["deprecated_apis"]
    assert (check.result, check.evidence) == ("pass", "Within 1.35 no API is removed.")


def test_hosts_left_behind_may_be_fetched_however_old_they_are() -> None:
    found = checks(
        FINISH, nodes=(replace(N1, kubelet="1.30.0"),), **plane(wanted="1.35.7", running="1.35.7", replicas=1)
    )
    assert found["version_skew"].result == "pass"
    assert found["control_plane_replicas"].evidence == "The control plane does not move."


def test_a_kubelet_that_has_arrived_is_not_newer() -> None:
    assert checks(nodes=(replace(N1, kubelet="1.35.7"), N2))["version_skew"].result == "pass"


def test_an_api_server_that_started_days_ago_is_dated() -> None:
    since = replace(USE, since=NOW - timedelta(days=3))
    assert checks(deprecated=since)["deprecated_apis"].evidence.endswith("(25 Nov 17:02 UTC, 3 d ago).")


# --- Budgets and dry runs ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("dry_runs", "result", "detail"),
    [
        ({P1.name: "blocked"}, "fail", "; a dry run says the same"),
        ({P1.name: "accepted", P2.name: "blocked"}, "fail", "; a dry run lets 1 of them go all the same"),
        ({P1.name: "accepted"}, "fail", "; a dry run lets 1 of them go all the same"),
        ({P1.name: SILENT}, "fail", "; a dry run could not confirm it: tenant web: it did not answer in time."),
    ],
)
def test_a_dry_run_confirms_what_a_budget_says(dry_runs: dict[str, object], result: str, detail: str) -> None:
    check = checks(budgets=(SHUT,), dry_runs=dry_runs)["disruption_budgets"]
    assert check.result == result
    assert check.details[0] == f"shop/web: 2 healthy, 2 needed, holds web-a, web-b{detail}"


def test_a_budget_all_of_whose_pods_may_go_is_no_obstacle_and_the_disagreement_is_said() -> None:
    check = checks(budgets=(SHUT,), dry_runs={P1.name: "accepted", P2.name: "gone"})["disruption_budgets"]
    assert check.result == "pass"
    assert check.details == ("shop/web allows no eviction by its status, and a dry run lets all its pods go",)


def test_pods_that_do_not_run_are_not_held_by_a_budget() -> None:
    waiting = (replace(P1, guarded=False), replace(P2, guarded=False))
    assert checks(budgets=(SHUT,), pods=waiting)["disruption_budgets"].result == "pass"


def test_pods_of_hosts_that_stay_are_not_held_either() -> None:
    assert checks(budgets=(SHUT,), groups=((W3,),))["disruption_budgets"].result == "pass"


# --- Room -------------------------------------------------------------------------------------------------------------
def test_hosts_that_are_drained_together_do_not_take_each_others_pods() -> None:
    check = checks(groups=((W1, W2, W3),))["capacity"]
    assert check.evidence == "While web-1, web-2, web-3 are drained, 2 pods have nowhere to go."


@pytest.mark.parametrize("unfit", [{"ready": False}, {"closed": True}, {"taints": ("gpu=yes:NoSchedule",)}])
def test_a_host_that_takes_no_pods_is_not_counted_on(unfit: dict[str, object]) -> None:
    assert checks(nodes=(N1, replace(N2, **unfit), replace(N3, **unfit)))["capacity"].result == "fail"
    assert checks(nodes=(N1, replace(N2, taints=("gpu=yes:PreferNoSchedule",))))["capacity"].result == "pass"


def test_the_number_of_pods_may_be_what_is_short() -> None:
    small = (N1, replace(N2, pods=1), replace(N3, pods=0))
    full = checks(nodes=(N1, replace(N2, pods=1)))["capacity"]
    assert full.result == "fail"
    assert full.evidence.endswith("and 0 places left.")
    assert checks(nodes=small)["capacity"].result == "cannot_tell"
