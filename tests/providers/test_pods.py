"""A tenant's pods: which must leave a node, what comes of evicting them, and the budgets that cover them."""

from datetime import UTC, datetime

import pytest

from workspaces.providers.cluster import Blocked, Budget, Cluster, Evicted, Eviction, Gone, Pod
from workspaces.providers.errors import Permanent, Temporary

from .recorded_api import Answer, RecordedApi, example, recorded

PODS = "13-pods-evictions-budgets"


def tenant(api: RecordedApi) -> Cluster:
    return Cluster(api.kubeconfig(), name="web-1", timeout=2)


def pod_document(name: str = "web-0", *, owner: str = "", phase: str = "Running", **metadata) -> dict:
    spec = {"nodeName": "worker-0", "containers": [{"name": "c", "image": "registry.example/app:1"}]}
    if owner:
        reference = {"apiVersion": "apps/v1", "kind": owner, "name": "web-7d9f", "uid": "u-1", "controller": True}
        metadata["ownerReferences"] = [reference]
    identity = {"name": name, "namespace": "shop", "uid": f"uid-{name}"}
    conditions = [{"type": "Ready", "status": "True" if phase == "Running" else "False"}]
    return {"metadata": identity | metadata, "spec": spec, "status": {"phase": phase, "conditions": conditions}}


def pods(*documents: dict) -> list[Pod]:
    answer = Answer(body={"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": list(documents)})
    with RecordedApi(answer) as api, tenant(api) as cluster:
        seen = cluster.pods_on("worker-0")
    assert api.requests[0].path == "/api/v1/pods?fieldSelector=spec.nodeName%3Dworker-0&limit=200"
    return seen


def test_a_pod_of_a_deployment_must_leave():
    document = pod_document(owner="ReplicaSet", labels={"app": "web"})
    document["spec"]["volumes"] = [{"name": "scratch", "emptyDir": {}}]
    assert pods(document) == [
        Pod(
            namespace="shop",
            name="web-0",
            uid="uid-web-0",
            phase="Running",
            deleting=False,
            mirror=False,
            daemon_set=False,
            controlled=True,
            empty_dir=True,
            ready=True,
            owner="ReplicaSet/web-7d9f",
            labels={"app": "web"},
            node="worker-0",
            cpu_millis=0,
            memory_bytes=0,
            created=None,
        )
    ]
    assert pods(document)[0].must_leave


def test_a_recorded_pod_tells_its_node_and_its_age():
    with RecordedApi(Answer(body=recorded(PODS, "pod-create").body)) as api, tenant(api) as cluster:
        seen = cluster.pod("c-evict", "p0")
    assert (seen.node, seen.created) == ("worker-0", datetime(2026, 11, 22, 10, 0, tzinfo=UTC))


def test_what_a_pod_reserves_is_the_sum_of_its_containers():
    document = pod_document()
    document["spec"]["containers"] = [
        {"name": "web", "resources": {"requests": {"cpu": "250m", "memory": "64Mi"}, "limits": {"cpu": "2"}}},
        {"name": "log", "resources": {"requests": {"cpu": "0.1"}}},
        {"name": "bare", "resources": {}},
    ]
    (seen,) = pods(document)
    assert (seen.cpu_millis, seen.memory_bytes) == (350, 64 * 2**20)


def test_pods_of_every_namespace_are_read_page_by_page():
    first = {"metadata": {"continue": "next"}, "items": [pod_document("web-0")]}
    last = {"metadata": {}, "items": [pod_document("web-1")]}
    head = {"kind": "PodList", "apiVersion": "v1"}
    with RecordedApi(Answer(body=head | first), Answer(body=head | last)) as api, tenant(api) as cluster:
        assert [pod.name for pod in cluster.pods()] == ["web-0", "web-1"]
    assert [request.path for request in api.requests] == [
        "/api/v1/pods?limit=200",
        "/api/v1/pods?continue=next&limit=200",
    ]


def test_a_pod_without_a_node_is_told():
    document = pod_document(phase="Pending")
    del document["spec"]["nodeName"]
    assert pods(document)[0].node == ""


@pytest.mark.parametrize(
    ("document", "leaves"),
    [
        (pod_document(owner="StatefulSet"), True),
        (pod_document(), True),
        (pod_document(owner="ReplicaSet", phase="Pending"), True),
        (pod_document(owner="ReplicaSet", deletionTimestamp="2026-11-22T10:00:00Z"), True),
        (pod_document(owner="DaemonSet"), False),
        (pod_document(owner="Node", annotations={"kubernetes.io/config.mirror": "h"}), False),
        (pod_document(owner="Job", phase="Succeeded"), False),
        (pod_document(phase="Failed"), False),
    ],
)
def test_what_belongs_to_the_node_or_is_finished_may_stay(document, leaves):
    assert pods(document)[0].must_leave is leaves


def test_a_pod_without_a_controller_is_told():
    (alone,) = pods(pod_document())
    assert (alone.controlled, alone.owner, alone.empty_dir) == (False, "", False)


WEB = Pod("c-evict", "p0", "uid-0", "Running", False, False, False, True, False, True, "ReplicaSet/web", {"app": "web"})


def evicted(answer: Answer) -> Eviction:
    with RecordedApi(answer) as api, tenant(api) as cluster:
        result = cluster.evict(WEB)
    assert api.requests[0].body == {
        "deleteOptions": {"preconditions": {"uid": "uid-0"}},
        "metadata": {"name": "p0", "namespace": "c-evict"},
    }
    assert (api.requests[0].method, api.requests[0].path) == ("POST", "/api/v1/namespaces/c-evict/pods/p0/eviction")
    return result


def test_an_accepted_eviction_is_not_yet_a_gone_pod():
    assert evicted(recorded(PODS, "evict")) == Evicted()
    assert evicted(Answer(201, example("k8s-eviction-201"))) == Evicted()


@pytest.mark.parametrize(
    ("exchange", "answer"),
    [
        ("evict-dry-run", Evicted()),
        ("evict-dry-run-allowed", Evicted()),
        (
            "evict-blocked-dry-run",
            Blocked("web", "The disruption budget web needs 2 healthy pods and has 2 currently", None),
        ),
        ("evict-absent", Gone()),
        ("evict-wrong-uid", Gone()),
    ],
)
def test_whether_a_pod_may_be_evicted_is_asked_without_evicting_it(exchange, answer):
    with RecordedApi(recorded(PODS, exchange)) as api, tenant(api) as cluster:
        assert cluster.may_evict(WEB) == answer
    (request,) = api.requests
    assert (request.method, request.path) == ("POST", "/api/v1/namespaces/c-evict/pods/p0/eviction?dryRun=All")
    assert request.body["deleteOptions"] == {"preconditions": {"uid": "uid-0"}}


def test_a_pod_with_two_budgets_is_refused_as_a_dry_run_too():
    with (
        RecordedApi(recorded(PODS, "evict-two-budgets")) as api,
        tenant(api) as cluster,
        pytest.raises(Permanent) as caught,
    ):
        cluster.may_evict(WEB)
    assert caught.value.code == "configuration"


def test_a_pod_that_is_gone_needs_no_eviction():
    assert evicted(recorded(PODS, "evict-absent")) == Gone()


def test_another_pod_under_the_same_name_is_not_evicted():
    assert evicted(recorded(PODS, "evict-wrong-uid")) == Gone()


def test_a_budget_blocks_without_saying_for_how_long():
    assert evicted(recorded(PODS, "evict-blocked")) == Blocked(
        "web", "The disruption budget web needs 2 healthy pods and has 2 currently", None
    )


def test_a_budget_that_was_just_made_blocks_for_ten_seconds():
    blocked = Blocked("web", "The disruption budget web is still being processed by the server.", 10.0)
    assert evicted(recorded(PODS, "evict-still-processed")) == blocked
    assert evicted(Answer(429, example("k8s-status-429-pdb-processing"))) == blocked


def test_a_pod_with_two_budgets_needs_a_person():
    with pytest.raises(Permanent) as caught:
        evicted(recorded(PODS, "evict-two-budgets"))
    assert caught.value.code == "configuration"
    assert caught.value.message == (
        "tenant web-1: pod c-evict/p0 has two disruption budgets, so it can never be evicted."
    )
    assert caught.value.who_can_fix == "The owner of the workload, by leaving one budget for the pod."


def test_too_many_requests_are_not_taken_for_a_budget():
    status = {"kind": "Status", "message": "too many requests", "reason": "TooManyRequests", "code": 429}
    with pytest.raises(Temporary) as caught:
        evicted(Answer(429, status, {"Retry-After": "1"}))
    assert (caught.value.code, caught.value.delay) == ("rate_limit", 1.0)


def test_a_pod_that_was_changed_meanwhile_is_evicted_later():
    with pytest.raises(Temporary) as caught:
        evicted(Answer(409, example("k8s-status-409")))
    assert caught.value.code == "conflict"


def test_a_pod_whose_namespace_is_ending_is_on_its_way():
    details = {"causes": [{"reason": "NamespaceTerminating", "message": "namespace c-evict is being terminated"}]}
    status = {"kind": "Status", "message": "forbidden", "reason": "Forbidden", "details": details, "code": 403}
    assert evicted(Answer(403, status)) == Evicted()


def test_a_pod_is_there_or_not():
    with RecordedApi(Answer(body=pod_document()), recorded(PODS, "evicted-gone")) as api, tenant(api) as cluster:
        assert cluster.pod("shop", "web-0").uid == "uid-web-0"
        assert cluster.pod("shop", "web-0") is None


def budget(selector: dict | None, **status: int) -> Budget:
    document = {"metadata": {"name": "web", "namespace": "c-evict"}, "spec": {"minAvailable": 2}}
    if selector is not None:
        document["spec"]["selector"] = selector
    if status:
        document["status"] = status
    body = {"kind": "PodDisruptionBudgetList", "apiVersion": "policy/v1", "metadata": {}, "items": [document]}
    with RecordedApi(Answer(body=body)) as api, tenant(api) as cluster:
        (seen,) = cluster.budgets()
    return seen


def test_a_budget_tells_how_many_pods_may_go():
    seen = budget({}, disruptionsAllowed=1, currentHealthy=3, desiredHealthy=2, expectedPods=3)
    assert (seen.name, seen.allowed, seen.current_healthy, seen.desired_healthy, seen.expected) == ("web", 1, 3, 2, 3)


def test_a_budget_the_cluster_has_not_looked_at_allows_nothing():
    assert budget({}).allowed == 0


@pytest.mark.parametrize(
    ("selector", "covers"),
    [
        ({}, True),
        (None, False),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "web", "tier": "front"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["api", "web"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["web"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
        ({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]}, False),
    ],
)
def test_a_budget_covers_the_pods_its_selector_matches(selector, covers):
    assert budget(selector, disruptionsAllowed=0).covers(WEB) is covers


def test_a_budget_covers_no_pod_of_another_namespace():
    (elsewhere,) = pods(pod_document(owner="ReplicaSet", labels={"app": "web"}))
    assert budget({"matchLabels": {"app": "web"}}).covers(elsewhere) is False
