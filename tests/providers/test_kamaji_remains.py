"""What a workspace has on a management cluster, against simulated ones: read, and deleted as what was seen alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from kubernetes import client

from tests.providers.recorded_api import Answer, RecordedApi, example
from tests.providers.test_simulated_clusters import Platform, until
from tests.simulators.running import RunningWorld
from workspaces.providers.errors import Permanent, ProviderError, Temporary
from workspaces.providers.kamaji import Kamaji
from workspaces.providers.kamaji_remains import NamespaceSeen, Remains, StoreSeen

GROUP = ("kamaji.clastix.io", "v1alpha1")
OTHER_UID = "00000000-0000-4000-8000-000000000000"
LABELS = {"loopback/workspace": "w-1"}
SELECTOR = "loopback/workspace=w-1"


@pytest.fixture
def platform(world: RunningWorld) -> Platform:
    return Platform(world)


@pytest.fixture
def remains(platform: Platform) -> Iterator[Remains]:
    with platform.kamaji() as kamaji:
        yield Remains(kamaji)


def refused(call: Callable[..., Any], *arguments: Any) -> ProviderError:
    with pytest.raises((Permanent, Temporary)) as caught:
        call(*arguments)
    return caught.value


def made_anew(error: ProviderError) -> bool:
    """Whether it is the refusal to delete what has taken the place of what was seen."""
    return (
        isinstance(error, Permanent)
        and error.code == "conflict"
        and error.message.endswith("Somebody has made it anew meanwhile, so it is not deleted.")
        and error.who_can_fix == "An administrator, by finding out who made it anew."
    )


def put_secret(remains: Remains, namespace: str, name: str) -> None:
    body = client.V1Secret(metadata=client.V1ObjectMeta(name=name), string_data={"a": "b"})
    remains._core.create_namespaced_secret(namespace, body)


def hold(remains: Remains, namespace: str, *finalizers: str) -> None:
    """A ServiceAccount that goes only when these let it."""
    metadata = client.V1ObjectMeta(name="robot", finalizers=list(finalizers))
    remains._core.create_namespaced_service_account(namespace, client.V1ServiceAccount(metadata=metadata))


def put_store(remains: Remains, name: str, *users: str) -> StoreSeen:
    """A DataStore under the label, used by these."""
    spec = remains._objects.get_cluster_custom_object(*GROUP, "datastores", "default")["spec"]
    head = {"apiVersion": "/".join(GROUP), "kind": "DataStore", "metadata": {"name": name, "labels": LABELS}}
    remains._objects.create_cluster_custom_object(*GROUP, "datastores", head | {"spec": spec})
    status = {"status": {"usedBy": list(users), "ready": True}}
    remains._objects.patch_cluster_custom_object_status(*GROUP, "datastores", name, status)
    seen = remains.store(name)
    assert seen is not None
    return seen


# --- Control plane ----------------------------------------------------------------------------------------------------
def test_a_control_plane_is_deleted_and_is_gone_when_kamaji_lets_it(platform: Platform, remains: Remains) -> None:
    seen = remains.plane(platform.namespace, platform.tenant)
    assert seen is not None
    assert (seen.name, seen.deleting, seen.deleting_since) == (platform.tenant, False, None)
    assert seen.finalizers == ("finalizer.kamaji.clastix.io", "finalizer.kamaji.clastix.io/soot")
    assert remains.delete_plane(seen) is True
    until(lambda: remains.plane(platform.namespace, platform.tenant) is None)
    assert remains.delete_plane(seen) is False


def test_a_control_plane_that_was_made_anew_is_not_deleted(platform: Platform, remains: Remains) -> None:
    seen = remains.plane(platform.namespace, platform.tenant)
    assert seen is not None
    assert made_anew(refused(remains.delete_plane, replace(seen, uid=OTHER_UID)))
    now = remains.plane(platform.namespace, platform.tenant)
    assert now is not None
    assert (now.uid, now.deleting) == (seen.uid, False)


def test_no_control_plane_is_none(platform: Platform, remains: Remains) -> None:
    assert remains.plane(platform.namespace, "nobody") is None
    assert remains.plane("nowhere", platform.tenant) is None


# --- DataStore --------------------------------------------------------------------------------------------------------
def test_data_stores_are_found_by_label_and_by_name(remains: Remains) -> None:
    second = put_store(remains, "b-own", "tenants/other")
    first = put_store(remains, "a-own")
    assert remains.stores(SELECTOR) == [first, second]
    assert (second.labels, second.used_by, second.ready) == (LABELS, ("tenants/other",), True)
    assert (second.deleting, second.driver) == (False, "etcd")
    assert remains.stores("loopback/workspace=w-2") == []
    assert remains.store("nothing") is None


def test_a_data_store_is_deleted_once(remains: Remains) -> None:
    seen = put_store(remains, "own")
    assert made_anew(refused(remains.delete_store, replace(seen, uid=OTHER_UID)))
    assert remains.store("own") is not None
    assert remains.delete_store(seen) is True
    assert remains.store("own") is None
    assert remains.delete_store(seen) is False


# --- Namespace --------------------------------------------------------------------------------------------------------
def test_what_kamaji_made_for_the_control_plane_is_nobody_elses(platform: Platform, remains: Remains) -> None:
    seen = remains.namespace(platform.namespace, platform.tenant)
    assert seen is not None
    assert (seen.name, seen.deleting, seen.holds, seen.message) == (platform.namespace, False, (), "")
    assert seen.uid


def test_what_somebody_else_has_in_the_namespace_is_named(platform: Platform, remains: Remains) -> None:
    put_secret(remains, platform.namespace, "registry-login")
    seen = remains.namespace(platform.namespace, platform.tenant)
    assert seen is not None
    assert seen.holds == ("Secret registry-login",)


def test_another_control_plane_in_the_namespace_is_somebody_elses(platform: Platform, remains: Remains) -> None:
    seen = remains.namespace(platform.namespace, "not-this-one")
    assert seen is not None
    assert f"TenantControlPlane {platform.tenant}" in seen.holds


def test_a_namespace_is_deleted_once_and_only_as_it_was_seen(platform: Platform, remains: Remains) -> None:
    plane = remains.plane(platform.namespace, platform.tenant)
    assert plane is not None
    remains.delete_plane(plane)
    until(lambda: remains.plane(platform.namespace, platform.tenant) is None)
    seen = remains.namespace(platform.namespace, platform.tenant)
    assert seen is not None
    assert made_anew(refused(remains.delete_namespace, replace(seen, uid=OTHER_UID)))
    assert remains.namespace(platform.namespace, platform.tenant) is not None
    assert remains.delete_namespace(seen) is True
    until(lambda: remains.namespace(platform.namespace, platform.tenant) is None)
    assert remains.delete_namespace(seen) is False


def test_a_namespace_that_cannot_be_emptied_says_what_holds_it(platform: Platform, remains: Remains) -> None:
    def now() -> NamespaceSeen:
        seen = remains.namespace(platform.namespace, platform.tenant)
        assert seen is not None
        return seen

    hold(remains, platform.namespace, "backup.example/wait")
    remains.delete_namespace(now())
    until(lambda: "backup.example/wait" in now().message)
    assert now().deleting


def test_a_list_that_is_not_found_does_not_read_as_a_namespace_that_is_gone() -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ws-1", "uid": "u-1"}, "status": {}}
    missing = Answer(404, example("k8s-status-404"))
    with RecordedApi(Answer(body=namespace), missing) as api, Kamaji(api.kubeconfig()) as kamaji:
        error = refused(Remains(kamaji).namespace, "ws-1", "ledger-prod")
    assert (type(error), error.code) == (Permanent, "not_found")


# --- Errors -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [(401, Permanent, "credential"), (429, Temporary, "rate_limit"), (503, Temporary, "cloud_api")],
)
def test_a_cluster_that_does_not_answer_is_never_taken_for_an_empty_one(
    platform: Platform,
    remains: Remains,
    world: RunningWorld,
    status: int,
    kind: type[ProviderError],
    code: str,
) -> None:
    plane = remains.plane(platform.namespace, platform.tenant)
    namespace = remains.namespace(platform.namespace, platform.tenant)
    store = remains.store("default")
    assert plane
    assert namespace
    assert store
    world.fault(service="kubernetes", target=platform.name, kind="status", status=status)
    calls: list[Callable[[], Any]] = [
        lambda: remains.plane(platform.namespace, platform.tenant),
        lambda: remains.delete_plane(plane),
        lambda: remains.stores(SELECTOR),
        lambda: remains.store("default"),
        lambda: remains.delete_store(store),
        lambda: remains.namespace(platform.namespace, platform.tenant),
        lambda: remains.delete_namespace(namespace),
    ]
    for call in calls:
        error = refused(call)
        assert (type(error), error.code) == (kind, code)
