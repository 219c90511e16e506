"""A tenant's API: its nodes, cordon and uncordon with their owner, and its versions. Pods are in test_pods.py."""

from datetime import UTC, datetime, timedelta

import pytest

from workspaces.providers.cluster import Cluster, DeprecatedApi, DeprecatedUse, Node
from workspaces.providers.errors import Permanent, Temporary

from .recorded_api import Answer, RecordedApi, example, recorded

OURS = "operation-17"
NODE = recorded("12-nodes", "ready").body


def node(*, unschedulable: bool = False, by: str = "") -> Answer:
    spec = NODE["spec"] | ({"unschedulable": True} if unschedulable else {})
    metadata = NODE["metadata"] | {"annotations": {"loopback.dev/cordoned-by": by} if by else {}}
    return Answer(body=NODE | {"spec": spec, "metadata": metadata | {"resourceVersion": "77"}})


def tenant(api: RecordedApi) -> Cluster:
    return Cluster(api.kubeconfig(), name="web-1", timeout=2)


def test_a_node_is_read():
    with RecordedApi(node()) as api, tenant(api) as cluster:
        assert cluster.node("worker-0") == Node(
            name="worker-0",
            kubelet_version=NODE["status"]["nodeInfo"]["kubeletVersion"].removeprefix("v"),
            ready="True",
            ready_reason="KubeletReady",
            ready_message="kubelet is posting ready status",
            unschedulable=False,
            cordoned_by="",
            boot_id="3f6c1b2e-5d0a-4b8e-9c55-1f0e7a2d4c01",
            internal_ip="198.51.100.1",
            os_image="Ubuntu 24.04.3 LTS",
            cpu="4",
            memory="16261488Ki",
            resource_version="77",
            created=datetime(2026, 11, 22, 10, 0, tzinfo=UTC),
            allocatable_cpu_millis=4000,
            allocatable_memory_bytes=16159088 * 1024,
            allocatable_pods=110,
            taints=(),
        )
    assert api.requests[0].path == "/api/v1/nodes/worker-0"


def test_taints_are_written_as_kubectl_writes_them():
    document = node().body
    taints = [
        {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"},
        {"key": "dedicated", "value": "database", "effect": "NoExecute"},
    ]
    with RecordedApi(Answer(body=document | {"spec": {"taints": taints}})) as api, tenant(api) as cluster:
        assert cluster.node("worker-0").taints == (
            "node.kubernetes.io/unschedulable:NoSchedule",
            "dedicated=database:NoExecute",
        )


def test_the_example_node_of_the_contracts_is_read():
    with RecordedApi(Answer(body=example("k8s-node"))) as api, tenant(api) as cluster:
        assert cluster.node("w1").ready in ("True", "False", "Unknown")


def test_a_node_that_never_reported_is_unknown():
    with RecordedApi(recorded("12-nodes", "get-never-reported")) as api, tenant(api) as cluster:
        seen = cluster.node("worker-1")
    assert (seen.ready, seen.kubelet_version, seen.boot_id, seen.internal_ip) == ("Unknown", "", "", "")
    assert (seen.allocatable_cpu_millis, seen.allocatable_memory_bytes, seen.allocatable_pods) == (0, 0, 0)


def test_cordoning_is_one_patch_of_the_flag_and_the_owner_on_the_node_that_was_seen():
    with RecordedApi(node(), node(unschedulable=True, by=OURS)) as api, tenant(api) as cluster:
        after = cluster.cordon("worker-0", OURS)
    assert [request.method for request in api.requests] == ["GET", "PATCH"]
    assert api.requests[1].headers["content-type"] == "application/strategic-merge-patch+json"
    assert api.requests[1].body == {
        "metadata": {"resourceVersion": "77", "annotations": {"loopback.dev/cordoned-by": "operation-17"}},
        "spec": {"unschedulable": True},
    }
    assert (after.unschedulable, after.cordoned_by) == (True, OURS)


@pytest.mark.parametrize("owner", ["", "operation-3", OURS])
def test_a_node_that_is_cordoned_already_keeps_its_owner(owner):
    with RecordedApi(node(unschedulable=True, by=owner)) as api, tenant(api) as cluster:
        assert cluster.cordon("worker-0", OURS).cordoned_by == owner
    assert [request.method for request in api.requests] == ["GET"]


def test_a_node_that_was_cordoned_by_an_operator_stays_cordoned():
    with RecordedApi(node(unschedulable=True)) as api, tenant(api) as cluster:
        assert cluster.uncordon("worker-0", OURS) is False
    assert [request.method for request in api.requests] == ["GET"]


def test_a_node_that_another_operation_cordoned_stays_cordoned():
    with RecordedApi(node(unschedulable=True, by="operation-3")) as api, tenant(api) as cluster:
        assert cluster.uncordon("worker-0", OURS) is False
    assert [request.method for request in api.requests] == ["GET"]


def test_our_cordon_is_taken_back_in_one_patch():
    with RecordedApi(node(unschedulable=True, by=OURS), node()) as api, tenant(api) as cluster:
        assert cluster.uncordon("worker-0", OURS) is True
    assert api.requests[1].body == {
        "metadata": {"resourceVersion": "77", "annotations": {"loopback.dev/cordoned-by": None}},
        "spec": {"unschedulable": None},
    }


def test_uncordoning_twice_changes_something_once():
    answers = node(unschedulable=True, by=OURS), node(), node()
    with RecordedApi(*answers) as api, tenant(api) as cluster:
        assert [cluster.uncordon("worker-0", OURS), cluster.uncordon("worker-0", OURS)] == [True, False]
    assert len(api.requests) == 3


def test_an_operator_who_comes_between_look_and_patch_is_noticed():
    with (
        RecordedApi(node(), recorded("12-nodes", "cordon-stale")) as api,
        tenant(api) as cluster,
        pytest.raises(Temporary) as caught,
    ):
        cluster.cordon("worker-0", OURS)
    assert caught.value.code == "conflict"
    assert len(api.requests) == 2


def test_a_node_that_is_not_there_is_not_found():
    with (
        RecordedApi(recorded("12-nodes", "cordon-absent")) as api,
        tenant(api) as cluster,
        pytest.raises(Permanent) as caught,
    ):
        cluster.cordon("ghost", OURS)
    assert (caught.value.code, caught.value.message) == ("not_found", 'tenant web-1: nodes "ghost" not found')


def test_a_kubelets_sign_of_life_is_its_lease():
    with RecordedApi(recorded("12-nodes", "lease")) as api, tenant(api) as cluster:
        assert cluster.lease_renewed_at("worker-0") == datetime(2026, 11, 22, 10, 0, 7, 250000, tzinfo=UTC)
    assert api.requests[0].path == "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/worker-0"


def test_a_node_without_a_lease_never_lived():
    with RecordedApi(recorded("12-nodes", "get-absent")) as api, tenant(api) as cluster:
        assert cluster.lease_renewed_at("ghost") is None


def test_every_version_that_answers_is_met_because_each_call_has_a_connection_of_its_own():
    old = recorded("01-version-health-discovery", "version-slash-tenant")
    new = Answer(body=old.body | {"gitVersion": "v1.36.2"})
    with RecordedApi(old, new, old) as api, tenant(api) as cluster:
        assert cluster.answers(3) == {old.body["gitVersion"].removeprefix("v"), "1.36.2"}
    assert len({request.connection for request in api.requests}) == 3


def test_the_version_workers_are_moved_to_is_in_the_kubeadm_configuration():
    with RecordedApi(recorded("09-secrets-configmaps-leases", "kubeadm-config-get")) as api, tenant(api) as cluster:
        version = cluster.kubeadm_version()
    assert api.requests[0].path == "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"
    assert version.startswith("1.")


@pytest.mark.parametrize("data", [None, {}, {"ClusterConfiguration": ""}, {"ClusterConfiguration": "- 1"}])
def test_a_kubeadm_configuration_that_says_nothing_is_empty(data):
    body = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "kubeadm-config"}}
    with RecordedApi(Answer(body=body | ({"data": data} if data else {}))) as api, tenant(api) as cluster:
        assert cluster.kubeadm_version() == ""


def test_a_tenant_without_a_kubeadm_configuration_says_nothing_yet():
    with RecordedApi(recorded("09-secrets-configmaps-leases", "kubeadm-config-absent")) as api, tenant(api) as cluster:
        assert cluster.kubeadm_version() == ""


def test_a_kubeadm_configuration_that_is_not_yaml_is_the_tenants_fault():
    metadata = {"name": "kubeadm-config"}
    body = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": {"ClusterConfiguration": "a: ["}}
    with RecordedApi(Answer(body=body)) as api, tenant(api) as cluster, pytest.raises(Permanent) as caught:
        cluster.kubeadm_version()
    assert caught.value.code == "cloud_api"


def test_deprecated_apis_are_gathered_from_every_server_that_answers():
    first = recorded("14-metrics-deprecated-apis", "metrics")
    other = Answer(
        body='apiserver_requested_deprecated_apis{group="flowcontrol.apiserver.k8s.io",removed_release="1.32",'
        'resource="flowschemas",subresource="",version="v1beta3"} 1\n'
    )
    with RecordedApi(first, other) as api, tenant(api) as cluster:
        assert list(cluster.deprecated_use(times=2).apis) == [
            DeprecatedApi("", "v1", "componentstatuses", ""),
            DeprecatedApi("", "v1", "endpoints", ""),
            DeprecatedApi("flowcontrol.apiserver.k8s.io", "v1beta3", "flowschemas", "1.32"),
        ]
    assert [request.path for request in api.requests] == ["/metrics", "/metrics"]
    assert len({request.connection for request in api.requests}) == 2


def started(moment: float | None) -> Answer:
    """Metrics of an API server that began then, in seconds since the epoch."""
    line = "" if moment is None else f"process_start_time_seconds {moment:.11e}\n"
    return Answer(body=f"go_goroutines 1200\n{line}process_open_fds 41\n")


def test_what_is_known_of_deprecated_apis_reaches_back_to_the_server_that_started_last():
    answers = started(1795536000.25), started(1795539600), started(1795536000.25)
    with RecordedApi(*answers) as api, tenant(api) as cluster:
        use = cluster.deprecated_use(times=3)
    assert use == DeprecatedUse((), datetime(2026, 11, 24, 17, 0, tzinfo=UTC))
    assert len({request.connection for request in api.requests}) == 3


@pytest.mark.parametrize(
    "silent", [started(None), Answer(body=""), Answer(body="process_start_time_seconds NaN\n"), started(1e300)]
)
def test_one_server_that_does_not_say_when_it_started_leaves_that_unknown(silent):
    with RecordedApi(started(1795536000), silent) as api, tenant(api) as cluster:
        assert cluster.deprecated_use(times=2).since is None


def test_metrics_that_were_recorded_keep_their_deprecated_apis_and_have_no_start():
    with RecordedApi(recorded("14-metrics-deprecated-apis", "metrics")) as api, tenant(api) as cluster:
        use = cluster.deprecated_use(times=1)
    assert use.apis == (
        DeprecatedApi("", "v1", "componentstatuses", ""),
        DeprecatedApi("", "v1", "endpoints", ""),
    )
    assert use.since is None


def test_the_end_of_the_client_certificate_is_told_without_asking_anybody():
    with RecordedApi() as api, tenant(api) as cluster:
        ends = cluster.client_certificate_expires_at
        assert timedelta(minutes=58) < ends - datetime.now(UTC) < timedelta(minutes=61)
        assert ends.utcoffset() == timedelta(0)
    assert api.requests == []


def test_a_token_has_no_end_that_is_known():
    with RecordedApi() as api, Cluster(api.kubeconfig(user={"token": "t"}), name="web-1") as cluster:
        assert cluster.client_certificate_expires_at is None


def test_metrics_that_may_not_be_read_are_a_missing_right():
    with (
        RecordedApi(recorded("14-metrics-deprecated-apis", "metrics-anonymous")) as api,
        tenant(api) as cluster,
        pytest.raises(Permanent) as caught,
    ):
        cluster.deprecated_use()
    assert caught.value.code == "credential"
