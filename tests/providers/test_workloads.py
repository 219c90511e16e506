"""What stands behind a tenant's pods, and the webhooks before its API."""

import pytest

from workspaces.providers.cluster import Cluster, Webhook, Workload

from .recorded_api import Answer, RecordedApi


def tenant(api: RecordedApi) -> Cluster:
    return Cluster(api.kubeconfig(), name="web-1", timeout=2)


def listing(kind: str, group: str, *items: dict, **metadata: str) -> Answer:
    return Answer(body={"kind": f"{kind}List", "apiVersion": group, "metadata": metadata, "items": list(items)})


def workload(name: str, replicas: int | None = None, ready: int | None = None, **metadata) -> dict:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c"}]}}
    spec = {"selector": {"matchLabels": {"app": name}}, "template": template}
    return {
        "metadata": {"name": name, "namespace": "shop"} | metadata,
        "spec": spec | ({} if replicas is None else {"replicas": replicas}),
        "status": {"replicas": 0} | ({} if ready is None else {"readyReplicas": ready}),
    }


def test_workloads_are_found_by_what_their_pods_name_as_owner():
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "u-1", "controller": True}
    sets = workload("web-7d9f", 3, 2, ownerReferences=[owner]), workload("web-5c1a", 0), workload("bare", 1, 1)
    stateful = workload("cart")
    stateful["spec"]["serviceName"] = "cart"
    answers = (
        listing("Deployment", "apps/v1", workload("web", 3, 2)),
        listing("StatefulSet", "apps/v1", stateful),
        listing("ReplicaSet", "apps/v1", *sets),
    )
    with RecordedApi(*answers) as api, tenant(api) as cluster:
        seen = cluster.workloads()
    assert seen == [
        Workload("shop", "Deployment", "web", 3, 2),
        Workload("shop", "StatefulSet", "cart", 1, 0),  # one replica is the default
        Workload("shop", "ReplicaSet", "web-7d9f", 3, 2, "Deployment/web"),
        Workload("shop", "ReplicaSet", "web-5c1a", 0, 0),
        Workload("shop", "ReplicaSet", "bare", 1, 1),
    ]
    assert [each.reference for each in seen[1:3]] == ["StatefulSet/cart", "ReplicaSet/web-7d9f"]
    assert [request.path for request in api.requests] == [
        "/apis/apps/v1/deployments?limit=200",
        "/apis/apps/v1/statefulsets?limit=200",
        "/apis/apps/v1/replicasets?limit=200",
    ]


def hook(client_config: dict, *rules: dict, **fields) -> dict:
    head = {"name": "policy.guard.example", "sideEffects": "None", "admissionReviewVersions": ["v1"]}
    return head | {"clientConfig": client_config, "rules": list(rules)} | fields


def rule(*resources: str, groups: tuple[str, ...] = ("",), operations: tuple[str, ...] = ("*",)) -> dict:
    return {
        "apiGroups": list(groups),
        "apiVersions": ["*"],
        "operations": list(operations),
        "resources": list(resources),
    }


SERVICE = {"service": {"namespace": "guard", "name": "policy", "path": "/validate"}}


def webhooks(mutating: list[dict], validating: list[dict]) -> list[Webhook]:
    group = "admissionregistration.k8s.io/v1"

    def configurations(kind: str, name: str, hooks: list[dict]) -> Answer:
        return listing(kind, group, *([{"metadata": {"name": name}, "webhooks": hooks}] if hooks else []))

    answers = (
        configurations("MutatingWebhookConfiguration", "defaults", mutating),
        configurations("ValidatingWebhookConfiguration", "policy", validating),
    )
    with RecordedApi(*answers) as api, tenant(api) as cluster:
        seen = cluster.admission_webhooks()
    assert [request.path for request in api.requests] == [
        "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations?limit=200",
        "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations?limit=200",
    ]
    return seen


def test_webhooks_of_both_kinds_are_told_with_where_they_are():
    by_url = hook(
        {"url": "https://policy.example/check"}, rule("deployments", groups=("apps",)), failurePolicy="Ignore"
    )
    assert webhooks([hook(SERVICE, rule("pods"))], [by_url]) == [
        Webhook("policy.guard.example", "defaults", "Fail", "guard/policy", "", True),
        Webhook("policy.guard.example", "policy", "Ignore", "", "https://policy.example/check", False),
    ]


def test_a_cluster_without_webhooks_has_an_empty_list():
    assert webhooks([], []) == []


@pytest.mark.parametrize(
    ("asked", "meets"),
    [
        (rule("pods"), True),
        (rule("pods/eviction", operations=("CREATE",)), True),
        (rule("nodes", operations=("UPDATE",)), True),
        (rule("nodes/status"), True),
        (rule("*"), True),
        (rule("*/*", groups=("*",)), True),
        (rule("*/eviction"), True),
        (rule("pods", operations=("DELETE",)), True),  # the kubelet takes a stopped pod away
        (rule("pods/exec", operations=("CONNECT",)), False),
        (rule("pods/log"), False),
        (rule("services", "configmaps"), False),
        (rule("pods", groups=("metrics.k8s.io",)), False),
        (rule("deployments", groups=("apps",)), False),
    ],
)
def test_a_webhook_meets_pods_or_nodes_when_a_rule_names_what_an_upgrade_does_to_them(asked, meets):
    (seen,) = webhooks([], [hook(SERVICE, asked)])
    assert seen.matches_pods_or_nodes is meets


def endpoints(*conditions: dict | None) -> dict:
    made = [{"addresses": ["10.244.0.9"]} | ({} if each is None else {"conditions": each}) for each in conditions]
    return {"metadata": {"name": "policy-1", "namespace": "guard"}, "addressType": "IPv4", "endpoints": made}


@pytest.mark.parametrize(
    ("slices", "ready"),
    [
        ([], False),
        ([endpoints()], False),
        ([endpoints({"ready": False})], False),
        ([endpoints({"ready": False}), endpoints({"ready": False}, {"ready": True})], True),
        ([endpoints({"serving": True})], True),  # unknown is to be taken for ready
        ([endpoints(None)], True),
        ([endpoints() | {"endpoints": None}], False),
    ],
)
def test_a_service_has_ready_endpoints_when_one_slice_has_one(slices, ready):
    answer = listing("EndpointSlice", "discovery.k8s.io/v1", *slices)
    with RecordedApi(answer) as api, tenant(api) as cluster:
        assert cluster.has_ready_endpoints("guard", "policy") is ready
    selector = "labelSelector=kubernetes.io/service-name%3Dpolicy&limit=200"
    assert api.requests[0].path == f"/apis/discovery.k8s.io/v1/namespaces/guard/endpointslices?{selector}"
