"""A control plane's pods in the management cluster, and why a new one does not start."""

from datetime import UTC, datetime

import pytest

from workspaces.providers.errors import Permanent, Temporary
from workspaces.providers.kamaji import ControlPlanePod, Kamaji, Waiting

from .recorded_api import Answer, RecordedApi, example, recorded

IMAGE = "registry.k8s.io/kube-apiserver:v1.35.99"
BACK_OFF = {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{IMAGE}":\n  not found'}


def pod_document(image: str = IMAGE, **status) -> dict:
    return {
        "metadata": {"name": "ws-7f3a-0", "namespace": "tenants", "creationTimestamp": "2026-11-22T10:00:00Z"},
        "spec": {"containers": [{"name": "sidecar", "image": "x:1"}, {"name": "kube-apiserver", "image": image}]},
        "status": {"phase": "Pending"} | status,
    }


def seen(document: dict) -> ControlPlanePod:
    answer = Answer(body={"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [document]})
    with RecordedApi(answer) as api, Kamaji(api.kubeconfig()) as kamaji:
        (pod,) = kamaji.control_plane_pods("tenants", "ws-7f3a")
    selector = "labelSelector=kamaji.clastix.io/name%3Dws-7f3a&limit=200"
    assert api.requests[0].path == f"/api/v1/namespaces/tenants/pods?{selector}"
    return pod


def container(state: dict, name: str = "kube-apiserver") -> dict:
    return {"name": name, "image": IMAGE, "imageID": "", "ready": False, "restartCount": 0, "state": state}


def test_a_pod_that_waits_for_its_image_says_which_and_why():
    statuses = [container({"running": {}}, "kube-scheduler"), container({"waiting": BACK_OFF})]
    scheduled = {"type": "PodScheduled", "status": "True"}
    assert seen(pod_document(containerStatuses=statuses, conditions=[scheduled])) == ControlPlanePod(
        name="ws-7f3a-0",
        phase="Pending",
        version="1.35.99",
        ready=False,
        waiting=(Waiting("kube-apiserver", IMAGE, "ImagePullBackOff", f'Back-off pulling image "{IMAGE}": not found'),),
        unschedulable="",
        created=datetime(2026, 11, 22, 10, 0, tzinfo=UTC),
        deleting=False,
    )


def test_a_pod_that_no_host_takes_repeats_the_schedulers_sentence():
    sentence = "0/3 nodes are available: 3 Insufficient cpu."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": sentence}
    pod = seen(pod_document(conditions=[condition]))
    assert (pod.unschedulable, pod.waiting, pod.ready) == (sentence, (), False)


def test_a_scheduler_that_gives_no_sentence_is_quoted_by_its_reason():
    condition = {"type": "PodScheduled", "status": "False", "reason": "SchedulerError"}
    assert seen(pod_document(conditions=[condition])).unschedulable == "SchedulerError"


def test_init_containers_that_wait_are_told_first():
    first = container({"waiting": {"reason": "CrashLoopBackOff"}}, "chmod")
    document = pod_document(initContainerStatuses=[first], containerStatuses=[container({"waiting": BACK_OFF})])
    assert [(each.container, each.message[:8]) for each in seen(document).waiting] == [
        ("chmod", ""),
        ("kube-apiserver", "Back-off"),
    ]


def test_a_pod_that_serves_and_one_that_goes_are_told():
    document = pod_document(phase="Running", conditions=[{"type": "Ready", "status": "True"}])
    document["metadata"]["deletionTimestamp"] = "2026-11-22T10:05:00Z"
    pod = seen(document)
    assert (pod.ready, pod.deleting, pod.phase) == (True, True, "Running")


def test_a_pod_nobody_has_looked_at_yet_says_nothing():
    document = pod_document()
    del document["status"]
    pod = seen(document)
    assert (pod.phase, pod.ready, pod.waiting, pod.unschedulable) == ("", False, (), "")


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("registry.k8s.io/kube-apiserver:v1.35.4", "1.35.4"),
        ("mirror.example:5000/k8s/kube-apiserver:v1.35.4", "1.35.4"),
        ("mirror.example:5000/k8s/kube-apiserver", ""),
        (f"registry.k8s.io/kube-apiserver:v1.35.4@sha256:{'0' * 64}", "1.35.4"),
        (f"registry.k8s.io/kube-apiserver@sha256:{'0' * 64}", ""),
        ("kube-apiserver:1.36.0-rc.1", "1.36.0-rc.1"),
    ],
)
def test_the_version_is_the_tag_of_the_api_servers_image(image, version):
    assert seen(pod_document(image)).version == version


def test_a_very_long_sentence_is_cut():
    long = {"reason": "ErrImagePull", "message": "x" * 2000}
    (waiting,) = seen(pod_document(containerStatuses=[container({"waiting": long})])).waiting
    assert waiting.message == "x" * 500 + "…"


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (recorded("10-authentication-rbac", "sa-secret-list"), Permanent, "credential"),
        (Answer(404, example("k8s-status-404")), Permanent, "not_found"),
        (Answer(500, {"kind": "Status", "message": "etcdserver: leader changed", "code": 500}), Temporary, "cloud_api"),
    ],
)
def test_pods_that_cannot_be_read_are_an_error_of_its_kind(answer, kind, code):
    with RecordedApi(answer) as api, Kamaji(api.kubeconfig()) as kamaji, pytest.raises(kind) as caught:
        kamaji.control_plane_pods("tenants", "ws-7f3a")
    assert caught.value.code == code
