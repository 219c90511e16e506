"""Whom an upgrade touches, counted by name; a real drain is held against it in tests/operations/test_preflight.py."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from workspaces.rules.blast import blast, closed, leaving, short, to_try
from workspaces.rules.preflight_seen import Budget, Host, Pod, Unknown, Workload

W1, W2, W3 = Host("web-1", "node-1"), Host("web-2", "node-2"), Host("web-3", "node-3")
PODS = (
    Pod("shop/web-b", "node-1", "ReplicaSet/web", budgets=("shop/web",)),
    Pod("shop/web-a", "node-1", "ReplicaSet/web", budgets=("shop/web",)),
    Pod("shop/cart-0", "node-2", "StatefulSet/cart"),
    Pod("shop/once", "node-2"),
    Pod("shop/job-1", "node-2", "Job/job"),
    Pod("kube-system/proxy-1", "node-1", "DaemonSet/proxy", leaves=False),
    Pod("shop/web-c", "node-3", "ReplicaSet/web", budgets=("shop/web",)),
    Pod("shop/web-d", "", "ReplicaSet/web", budgets=("shop/web",)),
)
WORKLOADS = (
    Workload("shop", "Deployment/web", 1),
    Workload("shop", "ReplicaSet/web", 1, "Deployment/web"),
    Workload("shop", "StatefulSet/cart", 1),
    Workload("shop", "StatefulSet/left-alone", 1),
)
SHUT = Budget("shop/web", allowed=0, healthy=3, needed=3)
WHY = Unknown("It did not answer.")


def test_each_host_in_order_names_the_pods_that_leave_it() -> None:
    found = blast(PODS, WORKLOADS, (SHUT,), [W2, W1])
    assert found == {
        "pods": 5,
        "hosts": [
            {"host": "web-2", "pods": 3, "names": ["shop/cart-0", "shop/job-1", "shop/once"], "more": 0},
            {"host": "web-1", "pods": 2, "names": ["shop/web-a", "shop/web-b"], "more": 0},
        ],
        "single_replica": ["shop/cart (StatefulSet, 1 replica)", "shop/web (Deployment, 1 replica)"],
        "bare": ["shop/once"],
        "budgets": [{"budget": "shop/web", "allowed": 0, "healthy": 3, "needed": 3, "pods": 2}],
    }
    assert json.loads(json.dumps(found)) == found


def test_a_workload_of_several_replicas_is_not_alone_and_neither_is_one_that_stays() -> None:
    two = tuple(Workload(one.namespace, one.reference, 2, one.owner) for one in WORKLOADS)
    assert blast(PODS, two, (), [W1, W2])["single_replica"] == []
    assert blast(PODS, WORKLOADS, (), [W3])["single_replica"] == ["shop/web (Deployment, 1 replica)"]


def test_a_replica_set_of_its_own_is_named_as_such() -> None:
    alone = (Workload("shop", "ReplicaSet/web", 1),)
    assert blast(PODS, alone, (), [W1])["single_replica"] == ["shop/web (ReplicaSet, 1 replica)"]


def test_the_deployment_counts_while_a_rollout_has_two_replica_sets() -> None:
    rolling = (Workload("shop", "Deployment/web", 2), Workload("shop", "ReplicaSet/web", 1, "Deployment/web"))
    assert blast(PODS, rolling, (), [W1])["single_replica"] == []


def test_nothing_moves_when_no_host_does() -> None:
    assert blast(PODS, WORKLOADS, (SHUT,), []) == {
        "pods": 0,
        "hosts": [],
        "single_replica": [],
        "bare": [],
        "budgets": [],
    }


def test_what_could_not_be_asked_is_not_said_to_be_nothing() -> None:
    assert blast(WHY, WORKLOADS, (SHUT,), [W1]) == {}
    partly = blast(PODS, WHY, WHY, [W1])
    assert (partly["pods"], partly["single_replica"], partly["budgets"]) == (2, None, None)


def test_more_than_twenty_names_are_counted() -> None:
    many = [Pod(f"shop/web-{number:02}", "node-1", "ReplicaSet/web") for number in range(25)]
    host = blast(many, (), (), [W1])["hosts"][0]
    assert (host["pods"], len(host["names"]), host["names"][-1], host["more"]) == (25, 20, "shop/web-19", 5)
    assert short([f"n{number}" for number in range(20)]) == [f"n{number}" for number in range(20)]
    assert short([f"n{number}" for number in range(22)])[19:] == ["n19", "and 2 more"]


def test_a_budget_that_allows_one_holds_nobody() -> None:
    assert blast(PODS, (), (Budget("shop/web", 1, 3, 2),), [W1])["budgets"] == []


def test_dry_runs_are_shared_out_among_the_budgets() -> None:
    pods = [Pod(f"shop/web-{number:02}", "node-1", budgets=("shop/web",)) for number in range(30)]
    pods += [Pod(f"pay/api-{number}", "node-1", budgets=("pay/api",)) for number in range(2)]
    shut = (SHUT, Budget("pay/api", 0, 2, 2), Budget("pay/idle", 0, 0, 0))
    tried = [pod.name for pod in to_try(leaving(pods, [W1]), shut, 20)]
    assert len(tried) == 20
    assert tried[:5] == ["shop/web-00", "pay/api-0", "shop/web-01", "pay/api-1", "shop/web-02"]


PODS_OF = st.builds(
    Pod,
    name=st.sampled_from(["a/1", "a/2", "b/1"]),
    node=st.sampled_from(["node-1", "node-2", ""]),
    leaves=st.booleans(),
    guarded=st.booleans(),
    budgets=st.lists(st.sampled_from(["a/x", "a/y"]), unique=True).map(tuple),
)


@given(st.lists(PODS_OF, max_size=8), st.integers(0, 2))
def test_budgets_in_the_way_are_those_a_guarded_pod_alone_has_and_that_allow_none(
    pods: list[Pod], allowed: int
) -> None:
    budgets = [Budget("a/x", allowed, 1, 1), Budget("a/y", 0, 1, 1)]
    going = leaving(pods, [W1])
    found = {budget.name: len(held) for budget, held in closed(going, budgets)}
    for budget in budgets:
        held = [
            pod for pod in pods if pod.node == "node-1" and pod.leaves and pod.guarded and pod.budgets == (budget.name,)
        ]
        assert found.get(budget.name, 0) == (0 if budget.allowed else len(held))
