"""A management cluster: control planes read, listed and moved, and the moment when a move has finished."""

import copy
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from workspaces.providers.errors import Permanent, Temporary
from workspaces.providers.kamaji import ControlPlane, Kamaji

from .recorded_api import Answer, RecordedApi, Request, encoded, example, recorded

PATH = "/apis/kamaji.clastix.io/v1alpha1/namespaces/tenants/tenantcontrolplanes/ws-7f3a"


def control_plane(document: dict) -> ControlPlane:
    """The document as it comes out of the provider."""
    with RecordedApi(Answer(body=document)) as api, Kamaji(api.kubeconfig()) as kamaji:
        return kamaji.control_plane("tenants", "ws-7f3a")


def test_a_control_plane_is_read():
    with RecordedApi(Answer(body=example("tenantcontrolplane-upgrading"))) as api, Kamaji(api.kubeconfig()) as kamaji:
        seen = kamaji.control_plane("tenants", "ws-7f3a")
    assert (api.requests[0].method, api.requests[0].path) == ("GET", PATH)
    assert seen == ControlPlane(
        namespace="tenants",
        name="ws-7f3a",
        uid="5b0b6c2e-4f0e-4b8d-9a53-2f4c0f3c9d11",
        resource_version=seen.resource_version,
        generation=4,
        observed_generation=seen.observed_generation,
        wanted_version="1.35.2",
        running_version="1.34.5",
        status="Upgrading",
        paused=False,
        replicas=2,
        ready_replicas=seen.ready_replicas,
        endpoint="203.0.113.40:6443",
        kubeconfig_secret="ws-7f3a-admin-kubeconfig",
        deleting=False,
        finalizers=("finalizer.kamaji.clastix.io", "finalizer.kamaji.clastix.io/soot"),
        authority_secret="ws-7f3a-ca",
        data_store="default",
        addon_tags=(),
    )


def test_addons_whose_tag_is_set_are_told_because_an_upgrade_does_not_move_them():
    document = example("tenantcontrolplane-ready")
    document["spec"]["addons"] = {
        "kubeProxy": {"imageTag": "v1.34.8"},
        "coreDNS": {"imageRepository": "registry.example"},
        "konnectivity": {"server": {"image": "proxy-server"}},
    }
    assert control_plane(document).addon_tags == (("kubeProxy", "v1.34.8"),)
    document["spec"]["addons"]["coreDNS"] = {"imageTag": "v1.12.0"}
    assert control_plane(document).addon_tags == (("coreDNS", "v1.12.0"), ("kubeProxy", "v1.34.8"))


def test_a_control_plane_without_addons_and_data_store_pins_nothing_and_names_none():
    document = example("tenantcontrolplane-ready")
    for part in ("addons", "dataStore"):
        document["spec"].pop(part, None)
    seen = control_plane(document)
    assert (seen.data_store, seen.addon_tags) == ("", ())


def test_a_control_plane_that_was_just_created_has_no_status_yet():
    document = example("tenantcontrolplane-ready")
    del document["status"]
    del document["spec"]["controlPlane"]["deployment"]["replicas"]
    seen = control_plane(document)
    assert (seen.status, seen.running_version, seen.endpoint, seen.kubeconfig_secret) == ("", "", "", "")
    assert (seen.observed_generation, seen.replicas, seen.ready_replicas) == (None, 2, 0)


def test_a_paused_and_a_deleted_control_plane_are_told():
    document = example("tenantcontrolplane-ready")
    document["metadata"]["annotations"] = {"kamaji.clastix.io/paused": ""}
    document["metadata"]["deletionTimestamp"] = "2026-11-22T10:00:00Z"
    seen = control_plane(document)
    assert (seen.paused, seen.deleting) == (True, True)


def test_ready_at_the_wanted_version_has_finished():
    seen = control_plane(example("tenantcontrolplane-ready"))
    assert seen.has_finished(seen.wanted_version)
    assert not seen.has_finished("1.99.0")


def test_upgrading_has_not_finished():
    assert not control_plane(example("tenantcontrolplane-upgrading")).has_finished("1.35.2")


def test_ready_just_after_the_change_is_about_the_old_version_and_has_not_finished():
    seen = control_plane(example("tenantcontrolplane-stale-ready"))
    assert (seen.status, seen.wanted_version, seen.running_version) == ("Ready", "1.35.2", "1.34.5")
    assert not seen.has_finished("1.35.2")
    assert not seen.has_finished("1.34.5")


@pytest.mark.parametrize(
    ("change", "finished"),
    [
        ({}, True),
        ({"observed_generation": None}, True),  # a Kamaji that does not report it
        ({"observed_generation": 3}, False),
        ({"observed_generation": 5}, True),
        ({"status": "Upgrading"}, False),
        ({"status": "NotReady"}, False),
        ({"status": "Unknown"}, False),
        ({"status": "Sleeping"}, False),  # Kamaji reports the new version though nothing runs
        ({"status": ""}, False),
        ({"running_version": "1.34.5"}, False),
        ({"running_version": ""}, False),
        ({"wanted_version": "1.36.0"}, False),
    ],
)
def test_finished_means_processed_and_ready_and_running_what_is_wanted(change, finished):
    done = replace(
        control_plane(example("tenantcontrolplane-ready")),
        generation=4,
        observed_generation=4,
        wanted_version="1.35.2",
        running_version="1.35.2",
    )
    assert replace(done, **change).has_finished("1.35.2") is finished


def numbered(number: int) -> dict:
    document = copy.deepcopy(example("tenantcontrolplane-ready"))
    document["metadata"] |= {"name": f"ws-{number:03}", "namespace": f"ns-{number % 7}"}
    return document


def page_of(request: Request, total: int) -> Answer:
    """What an API server answers to one page of a list of `total` control planes, as in 03-tcp-list."""
    query = {key: values[0] for key, values in parse_qs(urlsplit(request.path).query).items()}
    start, limit = int(query.get("continue", "0")), int(query["limit"])
    following = start + limit
    more = {"continue": str(following), "remainingItemCount": total - following} if following < total else {}
    return Answer(
        body={
            "apiVersion": "kamaji.clastix.io/v1alpha1",
            "kind": "TenantControlPlaneList",
            "metadata": {"resourceVersion": "9", "continue": ""} | more,
            "items": [numbered(number) for number in range(start, min(following, total))],
        }
    )


def test_450_control_planes_are_listed_in_three_pages():
    with RecordedApi(always=lambda request: page_of(request, 450)) as api, Kamaji(api.kubeconfig()) as kamaji:
        seen = kamaji.control_planes()
    assert [plane.name for plane in seen] == [f"ws-{number:03}" for number in range(450)]
    assert [request.path for request in api.requests] == [
        "/apis/kamaji.clastix.io/v1alpha1/tenantcontrolplanes?limit=200",
        "/apis/kamaji.clastix.io/v1alpha1/tenantcontrolplanes?continue=200&limit=200",
        "/apis/kamaji.clastix.io/v1alpha1/tenantcontrolplanes?continue=400&limit=200",
    ]
    assert len({request.connection for request in api.requests}) == 1


def test_no_control_planes_are_an_empty_list():
    with RecordedApi(recorded("03-tcp-list", "list-empty")) as api, Kamaji(api.kubeconfig()) as kamaji:
        assert kamaji.control_planes() == []


EXPIRED = Answer(410, example("k8s-status-410"))


def test_a_list_that_expires_between_two_pages_is_read_again_from_the_start():
    first = page_of(Request("GET", "/?limit=200", {}, None, "", 0), 450)
    with (
        RecordedApi(first, EXPIRED, *(page_of(request, 450) for request in pages(450))) as api,
        Kamaji(api.kubeconfig()) as kamaji,
    ):
        seen = kamaji.control_planes()
    assert len(seen) == 450
    assert len({plane.name for plane in seen}) == 450
    assert len(api.requests) == 5


def pages(total: int) -> list[Request]:
    return [Request("GET", f"/?limit=200&continue={start}", {}, None, "", 0) for start in range(0, total, 200)]


def test_a_list_that_expires_twice_is_left_for_later():
    first = page_of(Request("GET", "/?limit=200", {}, None, "", 0), 450)
    with (
        RecordedApi(first, EXPIRED, first, EXPIRED) as api,
        Kamaji(api.kubeconfig()) as kamaji,
        pytest.raises(Temporary) as caught,
    ):
        kamaji.control_planes()
    assert caught.value.code == "conflict"
    assert len(api.requests) == 4


def test_a_version_is_set_with_a_merge_patch_on_the_object_that_was_seen():
    after = example("tenantcontrolplane-stale-ready")
    with RecordedApi(Answer(body=after)) as api, Kamaji(api.kubeconfig()) as kamaji:
        seen = control_plane(example("tenantcontrolplane-ready"))
        stored = kamaji.set_version(seen, "1.35.2")
    request = api.requests[0]
    assert (request.method, request.path) == ("PATCH", f"{PATH}?fieldManager=loopback")
    assert request.headers["content-type"] == "application/merge-patch+json"
    assert request.body == {
        "metadata": {"resourceVersion": seen.resource_version},
        "spec": {"kubernetes": {"version": "v1.35.2"}},
    }
    assert stored.wanted_version == "1.35.2"
    assert not stored.has_finished("1.35.2")


def test_of_two_workers_only_one_gets_its_wish():
    with RecordedApi(recorded("04-tcp-patch-put", "merge-stale-rv")) as api, Kamaji(api.kubeconfig()) as kamaji:
        seen = control_plane(example("tenantcontrolplane-ready"))
        with pytest.raises(Temporary) as caught:
            kamaji.set_version(seen, "1.35.2")
    assert caught.value.code == "conflict"


@pytest.mark.parametrize(
    ("exchange", "reason"),
    [
        ("skip-minor", "unable to upgrade to a minor version in a non-sequential mode"),
        ("above-max", "unable to upgrade to a version greater than the supported one (v1.36)"),
        ("downgrade", "unable to downgrade a TenantControlPlane from 1.35.0 to 1.34.0"),
    ],
)
def test_a_step_that_kamaji_refuses_shows_kamajis_words(exchange, reason):
    with (
        RecordedApi(recorded("07-tcp-admission-webhook", exchange)) as api,
        Kamaji(api.kubeconfig(), name="mgmt-fsn1") as kamaji,
        pytest.raises(Permanent) as caught,
    ):
        kamaji.set_version(control_plane(example("tenantcontrolplane-ready")), "1.37.0")
    assert caught.value.code == "configuration"
    assert caught.value.message == f"management cluster mgmt-fsn1: Kamaji refused the change: {reason}"


def test_the_end_of_the_client_certificate_is_told_and_a_token_has_none():
    with RecordedApi() as api:
        with Kamaji(api.kubeconfig()) as kamaji:
            assert kamaji.client_certificate_expires_at > datetime.now(UTC)
        with Kamaji(api.kubeconfig(user={"token": "t"})) as kamaji:
            assert kamaji.client_certificate_expires_at is None


def secret(data: dict[str, str]) -> Answer:
    metadata = {"name": "ws-7f3a-admin-kubeconfig", "namespace": "tenants"}
    return Answer(body={"kind": "Secret", "apiVersion": "v1", "metadata": metadata, "data": data, "type": "Opaque"})


def test_a_tenants_kubeconfig_is_read_from_its_secret():
    with (
        RecordedApi(secret({"admin.conf": encoded("kind: Config"), "admin.svc": encoded("no")})) as api,
        Kamaji(api.kubeconfig()) as kamaji,
    ):
        assert kamaji.kubeconfig("tenants", "ws-7f3a-admin-kubeconfig") == "kind: Config"
    assert api.requests[0].path == "/api/v1/namespaces/tenants/secrets/ws-7f3a-admin-kubeconfig"


def test_a_secret_without_the_kubeconfig_is_not_found():
    with (
        RecordedApi(secret({"other": encoded("x")})) as api,
        Kamaji(api.kubeconfig()) as kamaji,
        pytest.raises(Permanent) as caught,
    ):
        kamaji.kubeconfig("tenants", "ws-7f3a-admin-kubeconfig")
    assert caught.value.code == "not_found"
    assert caught.value.message == "management cluster: Secret tenants/ws-7f3a-admin-kubeconfig has no admin.conf."


@pytest.mark.parametrize("content", ["top secret %%%", encoded(b"\xff\xfe")])
def test_a_kubeconfig_that_cannot_be_decoded_is_not_quoted(content):
    with (
        RecordedApi(secret({"admin.conf": content})) as api,
        Kamaji(api.kubeconfig()) as kamaji,
        pytest.raises(Permanent) as caught,
    ):
        kamaji.kubeconfig("tenants", "ws-7f3a-admin-kubeconfig")
    assert caught.value.message == "management cluster: answered something other than a Kubernetes object."


def test_the_management_clusters_version_is_told():
    answer = recorded("01-version-health-discovery", "version-slash-management")
    with RecordedApi(answer) as api, Kamaji(api.kubeconfig()) as kamaji:
        assert kamaji.version() == "1.36.2"
    assert api.requests[0].path == "/version/"
