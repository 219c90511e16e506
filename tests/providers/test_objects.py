"""Objects of any kind, read and applied: against recorded answers of real servers and against a simulated tenant."""

import json
from collections.abc import Iterator

import pytest

from tests.simulators.running import RunningWorld
from workspaces.providers.errors import Permanent, Temporary
from workspaces.providers.objects import Conflicts, Objects, UnknownKind

from .recorded_api import Answer, RecordedApi, recorded
from .small_platform import Platform

APPLY = "05-tcp-server-side-apply"
PLANE = {
    "apiVersion": "kamaji.clastix.io/v1alpha1",
    "kind": "TenantControlPlane",
    "metadata": {"name": "a1", "namespace": "c-apply"},
    "spec": {"kubernetes": {"version": "v1.36.2"}},
}
SERVED = Answer(
    body={
        "kind": "APIResourceList",
        "groupVersion": "kamaji.clastix.io/v1alpha1",
        "resources": [
            {"name": "tenantcontrolplanes", "kind": "TenantControlPlane", "namespaced": True, "verbs": []},
            {"name": "tenantcontrolplanes/status", "kind": "Other", "namespaced": True, "verbs": []},
        ],
    }
)
SETTINGS = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings", "namespace": "shop"},
    "data": {"level": "info", "size": "3"},
}


# --- Recorded ---------------------------------------------------------------------------------------------------------
def refusal(*answers: Answer, **options: bool) -> Exception:
    with (
        RecordedApi(SERVED, *answers) as api,
        Objects(api.kubeconfig(), name="ledger-prod") as objects,
        pytest.raises((Temporary, Permanent)) as caught,
    ):
        objects.apply(PLANE, **options)
    return caught.value


def test_an_apply_is_a_patch_in_our_name():
    answers = recorded(APPLY, "apply-create"), recorded(APPLY, "apply-again")
    with RecordedApi(SERVED, *answers) as api, Objects(api.kubeconfig(), name="ledger-prod") as objects:
        created = objects.apply(PLANE)
        objects.apply(PLANE, force=True, dry_run=True)
    assert created["metadata"]["name"] == "a1"
    discovery, first, second = api.requests
    path = "/apis/kamaji.clastix.io/v1alpha1/namespaces/c-apply/tenantcontrolplanes/a1"
    assert (discovery.method, discovery.path) == ("GET", "/apis/kamaji.clastix.io/v1alpha1")
    assert (first.method, first.path) == ("PATCH", f"{path}?fieldManager=loopback")
    assert first.headers["content-type"] == "application/apply-patch+yaml"
    assert second.path == f"{path}?fieldManager=loopback&force=true&dryRun=All"
    assert first.body == PLANE


@pytest.mark.parametrize(
    ("exchange", "fields"),
    [
        ("apply-conflict", (("spec.kubernetes.version", "console"),)),
        ("apply-conflict-two", (("spec.kubernetes.version", "console"), ("spec.kubernetes.version", "gitops"))),
        ("apply-conflict-with-update", (("spec.kubernetes.version", "OpenAPI-Generator"),)),
    ],
)
def test_a_conflict_names_each_field_and_who_holds_it(exchange, fields):
    error = refusal(recorded(APPLY, exchange))
    assert isinstance(error, Conflicts)
    assert error.fields == fields
    assert error.code == "conflict"
    assert error.message.startswith("tenant ledger-prod: Apply failed with ")
    assert error.who_can_fix == "An administrator, by deciding who keeps the field."


def test_a_document_that_does_not_fit_is_for_whoever_wrote_it():
    error = refusal(recorded(APPLY, "apply-unknown-field"))
    assert (type(error), error.code) == (Permanent, "configuration")
    assert error.message == (
        "tenant ledger-prod: the manifest is not taken: failed to create typed patch object (/a1; "
        "kamaji.clastix.io/v1alpha1, Kind=TenantControlPlane): .spec.kubernetes.flavour: field not declared in schema"
    )
    assert error.who_can_fix == "The operator of the platform, by correcting the manifest."
    assert refusal(recorded(APPLY, "apply-wrong-name")).code == "configuration"
    assert refusal(recorded(APPLY, "apply-incomplete-create")).code == "configuration"


def test_an_object_that_changed_meanwhile_is_left_to_the_next_look():
    error = refusal(recorded(APPLY, "apply-stale-rv"), force=True)
    assert (type(error), error.code) == (Temporary, "conflict")


def forbidden(message: str, *causes: dict) -> Answer:
    body = {"kind": "Status", "status": "Failure", "reason": "Forbidden", "message": message, "code": 403}
    return Answer(403, body | {"details": {"causes": list(causes)}})


def test_a_lacking_right_a_quota_and_a_terminating_namespace_are_told_apart():
    lacking = refusal(forbidden('tcps is forbidden: User "x" cannot patch resource "tcps" in API group "k"'))
    assert (lacking.code, "the stored credential lacks a right" in lacking.message) == ("credential", True)
    quota = refusal(forbidden('configmaps "x" is forbidden: exceeded quota: small, requested: count/configmaps=1'))
    assert (quota.code, "the change is refused: configmaps" in quota.message) == ("configuration", True)
    ending = refusal(
        forbidden("unable to create new content", {"reason": "NamespaceTerminating", "field": "metadata.namespace"})
    )
    assert (type(ending), ending.code) == (Temporary, "conflict")


def test_a_failing_server_is_a_temporary_trouble():
    down = {"kind": "Status", "status": "Failure", "message": 'failed calling webhook "x.y"', "code": 500}
    error = refusal(Answer(500, down))
    assert (type(error), error.code) == (Temporary, "cloud_api")


def test_a_kind_that_is_not_served_is_said_and_asked_for_once():
    gone = Answer(404, "404 page not found", {"Content-Type": "text/plain"})
    with RecordedApi(gone) as api, Objects(api.kubeconfig(), name="ledger-prod") as objects:
        assert objects.knows(PLANE) is False
        with pytest.raises(UnknownKind) as caught:
            objects.get(PLANE)
    assert caught.value.message == (
        "tenant ledger-prod: kamaji.clastix.io/v1alpha1 TenantControlPlane is not known there."
    )
    assert len(api.requests) == 1


def test_what_is_no_object_is_not_taken_for_one():
    with (
        RecordedApi(SERVED, Answer(body=[1])) as api,
        Objects(api.kubeconfig(), name="ledger-prod") as objects,
        pytest.raises(Permanent) as caught,
    ):
        objects.get(PLANE)
    assert caught.value.code == "cloud_api"


# --- A simulated tenant -----------------------------------------------------------------------------------------------
@pytest.fixture
def objects(world: RunningWorld) -> Iterator[Objects]:
    """The tenant's objects; its namespace shop is there."""
    with Objects(Platform(world).tenant_kubeconfig(), name="ledger-prod") as opened:
        yield opened


def test_an_object_is_made_and_then_left_alone(objects):
    assert objects.get(SETTINGS) is None
    made = objects.apply(SETTINGS)
    assert made["data"] == {"level": "info", "size": "3"}
    again = objects.apply(SETTINGS)
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    assert objects.get(SETTINGS)["data"] == made["data"]


def test_the_core_and_groups_and_cluster_wide_objects_have_their_paths(objects):
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "extra"}}
    assert objects.get(namespace) is None
    objects.apply(namespace)
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "all", "namespace": "extra"},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "x"}}},
    }
    assert objects.apply(budget)["metadata"]["namespace"] == "extra"
    assert objects.knows({"apiVersion": "example.com/v1", "kind": "Other", "metadata": {"name": "x"}}) is False


def test_a_field_of_another_manager_is_not_taken_unless_forced(objects, world):
    objects.apply(SETTINGS)
    other = json.loads(json.dumps(SETTINGS)) | {"data": {"level": "debug"}}
    call = objects._api.param_serialize(
        "PATCH",
        "/api/v1/namespaces/shop/configmaps/settings",
        query_params=[("fieldManager", "argocd-controller"), ("force", "true")],
        header_params={"Content-Type": "application/apply-patch+yaml"},
        body=json.dumps(other),
        auth_settings=["BearerToken"],
    )
    assert objects._api.call_api(*call).status == 200
    with pytest.raises(Conflicts) as caught:
        objects.apply(SETTINGS)
    assert caught.value.fields == (("data.level", "argocd-controller"),)
    with pytest.raises(Conflicts):
        objects.apply(SETTINGS, dry_run=True)
    assert objects.apply(SETTINGS, force=True, dry_run=True)["data"]["level"] == "info"
    assert objects.get(SETTINGS)["data"]["level"] == "debug"
    assert objects.apply(SETTINGS, force=True)["data"]["level"] == "info"


def test_an_object_in_a_namespace_that_is_not_there_is_not_made(objects):
    lost = SETTINGS | {"metadata": {"name": "settings", "namespace": "nowhere"}}
    assert objects.get(lost) is None
    with pytest.raises(Permanent) as caught:
        objects.apply(lost)
    assert (caught.value.code, 'namespaces "nowhere" not found' in caught.value.message) == ("not_found", True)
