"""metadata.managedFields of the simulated clusters: who owns which field, since when, on every answer."""

import json
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from .cluster_world import KEY, SPEC, control_plane, ready_at, running_clusters, set_version, until

REPLICAS = ("f:spec", "f:controlPlane", "f:deployment", "f:replicas")
TCP_PATH = "/apis/kamaji.clastix.io/v1alpha1/namespaces/ws-7f3a91/tenantcontrolplanes/ledger-prod"
MERGE = "application/merge-patch+json"


@pytest.fixture
def live(tmp_path):
    with running_clusters(tmp_path, SPEC, phase=0.05) as live:
        yield live


def entries(document: dict[str, Any]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """(manager, operation, subresource) -> the entry"""
    managed = document["metadata"]["managedFields"]
    found = {(e["manager"], e["operation"], e.get("subresource", "")): e for e in managed}
    assert len(found) == len(managed)
    return found


def owns(entry: dict[str, Any], *path: str) -> bool:
    at = entry["fieldsV1"]
    for part in path:
        if part not in at:
            return False
        at = at[part]
    return True


def owners_of(document: dict[str, Any], *path: str) -> list[str]:
    return sorted(manager for (manager, _, _), entry in entries(document).items() if owns(entry, *path))


def ask(api: client.ApiClient, method: str, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
    """The answer's JSON, by the official client's own transport."""
    request = api.param_serialize(
        method, path, header_params={"Accept": "application/json", **headers}, body=body, auth_settings=["BearerToken"]
    )
    response = api.call_api(*request)
    response.read()
    answer: dict[str, Any] = json.loads(response.data)
    return answer


def edit(api: client.ApiClient, body: Any, manager: str = "kubectl-edit", path: str = TCP_PATH) -> dict[str, Any]:
    return ask(api, "PATCH", f"{path}?fieldManager={manager}", body, **{"Content-Type": MERGE})


def replicas(number: int) -> dict[str, Any]:
    return {"spec": {"controlPlane": {"deployment": {"replicas": number}}}}


def test_a_control_plane_of_the_world_belongs_to_its_provisioner_and_its_status_to_kamaji(live):
    found = control_plane(live.management("mgmt-fsn1"))
    held = entries(found)
    assert set(held) == {("kamaji", "Update", ""), ("provisioner", "Update", ""), ("kamaji", "Update", "status")}
    made = held["provisioner", "Update", ""]
    assert made["time"] == found["metadata"]["creationTimestamp"]
    assert (made["apiVersion"], made["fieldsType"]) == ("kamaji.clastix.io/v1alpha1", "FieldsV1")
    assert owns(made, *REPLICAS)
    assert owns(made, "f:metadata", "f:labels", "f:tier")
    assert made["fieldsV1"]["f:spec"]["."] == {}
    assert held["kamaji", "Update", ""]["fieldsV1"] == {"f:metadata": {"f:finalizers": {}}}
    assert set(held["kamaji", "Update", "status"]["fieldsV1"]) == {"f:status"}
    assert not owns(made, "f:status")


def test_a_world_may_say_who_made_a_control_plane(tmp_path):
    tenant = {"namespace": "a", "name": "b", "version": "v1.35.4", "manager": "terraform"}
    with running_clusters(tmp_path, {"management_clusters": [{"name": "m", "tenants": [tenant]}]}, phase=0.05) as live:
        found = ask(live.management("m"), "GET", TCP_PATH.replace("ws-7f3a91", "a").replace("ledger-prod", "b"))
        assert owners_of(found, *REPLICAS) == ["terraform"]


def test_who_changes_a_field_owns_it_alone_and_since_then(live):
    api = live.management("mgmt-fsn1")
    before = entries(control_plane(api))["provisioner", "Update", ""]
    changed = edit(api, replicas(3))
    assert owners_of(changed, *REPLICAS) == ["kubectl-edit"]
    entry = entries(changed)["kubectl-edit", "Update", ""]
    assert entry["fieldsV1"] == {"f:spec": {"f:controlPlane": {"f:deployment": {"f:replicas": {}}}}}
    assert entry["time"] >= before["time"]
    assert owners_of(changed, "f:spec", "f:kubernetes", "f:version") == ["provisioner"]
    assert entries(control_plane(api)).keys() == entries(changed).keys()


def test_times_advance_when_a_manager_changes_something_and_only_then(live):
    api = live.management("mgmt-fsn1")
    edit(api, replicas(3))
    ownership = live.clusters.managements["mgmt-fsn1"].api.ownership
    live.call(make_old, ownership)
    assert entries(control_plane(api))["kubectl-edit", "Update", ""]["time"] == "2020-01-01T00:00:00Z"
    edit(api, replicas(3))
    assert entries(control_plane(api))["kubectl-edit", "Update", ""]["time"] == "2020-01-01T00:00:00Z"
    edit(api, replicas(2))
    held = entries(control_plane(api))
    assert held["kubectl-edit", "Update", ""]["time"] > "2026"
    assert held["provisioner", "Update", ""]["time"] == "2020-01-01T00:00:00Z"


def make_old(ownership) -> None:
    for uid, owners in ownership._owners.items():
        ownership._owners[uid] = {m: type(h)(h.paths, "2020-01-01T00:00:00Z") for m, h in owners.items()}


def test_an_update_without_field_manager_is_known_by_its_user_agent(live):
    api = live.management("mgmt-fsn1")
    api.user_agent = "kubectl/v1.36.2 (linux/amd64) kubernetes/4ecb9aa"
    pause = {"metadata": {"annotations": {"kamaji.clastix.io/paused": ""}}}
    changed = ask(api, "PATCH", TCP_PATH, pause, **{"Content-Type": MERGE})
    assert owners_of(changed, "f:metadata", "f:annotations", "f:kamaji.clastix.io/paused") == ["kubectl"]
    removed = edit(api, {"metadata": {"annotations": {"kamaji.clastix.io/paused": None}}}, "loopback")
    assert owners_of(removed, "f:metadata", "f:annotations", "f:kamaji.clastix.io/paused") == []
    assert ("loopback", "Update", "") not in entries(removed)


def test_a_field_written_through_scale_says_so(live):
    api = live.management("mgmt-fsn1")
    edit(api, {"spec": {"replicas": 3}}, "kubectl", f"{TCP_PATH}/scale")
    found = control_plane(api)
    assert owners_of(found, *REPLICAS) == ["kubectl"]
    assert ("kubectl", "Update", "scale") in entries(found)


def test_what_controllers_write_later_belongs_to_them_on_objects_others_have_changed(live):
    api = live.management("mgmt-fsn1")
    edit(api, replicas(3))
    set_version(api, "v1.35.6")
    until(ready_at(api, "v1.35.6"))
    found = control_plane(api)
    assert owners_of(found, "f:spec", "f:kubernetes", "f:version") == ["OpenAPI-Generator"]
    status = ("f:status", "f:kubernetesResources", "f:version", "f:version")
    assert owners_of(found, *status) == ["kamaji"]


def test_nodes_belong_to_their_kubelet_and_a_cordon_to_who_made_it(live):
    api = live.tenant(KEY)
    node = ask(api, "GET", "/api/v1/nodes/w1")
    assert set(entries(node)) == {("kubelet", "Update", ""), ("kubelet", "Update", "status")}
    cordoned = edit(api, {"spec": {"unschedulable": True}}, "kubectl-cordon", "/api/v1/nodes/w1")
    assert owners_of(cordoned, "f:spec", "f:unschedulable") == ["kubectl-cordon"]
    until(lambda: owners_of(ask(api, "GET", "/api/v1/nodes/w1"), "f:spec", "f:taints") == ["kube-controller-manager"])


def test_an_apply_owns_what_it_names_beside_the_maker_and_forcing_takes_it(live):
    api = live.tenant(KEY)
    path = "/api/v1/namespaces/default/configmaps/settings"
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "1"}}
    headers = {"Content-Type": "application/apply-patch+yaml"}
    applied = ask(api, "PATCH", f"{path}?fieldManager=loopback", document, **headers)
    assert [(e["manager"], e["operation"], e["fieldsV1"]) for e in applied["metadata"]["managedFields"]] == [
        ("loopback", "Apply", {"f:data": {"f:a": {}}})
    ]
    edit(api, {"data": {"a": "2"}}, "kubectl-edit", path)
    assert owners_of(ask(api, "GET", path), "f:data", "f:a") == ["kubectl-edit"]
    refused = ask(api, "PATCH", f"{path}?fieldManager=loopback", document, **headers)
    assert refused["message"] == 'Apply failed with 1 conflict: conflict with "kubectl-edit" using v1: .data.a'
    forced = ask(api, "PATCH", f"{path}?fieldManager=loopback&force=true", document, **headers)
    assert forced["data"] == {"a": "1"}
    assert list(entries(forced)) == [("loopback", "Apply", "")]


def test_an_apply_that_only_shares_a_field_is_another_version_of_the_object(live):
    api = live.tenant(KEY)
    path = "/api/v1/namespaces/default/configmaps/settings"
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "1"}}
    headers = {"Content-Type": "application/apply-patch+yaml"}
    first = ask(api, "PATCH", f"{path}?fieldManager=one", document, **headers)
    second = ask(api, "PATCH", f"{path}?fieldManager=two", document, **headers)
    again = ask(api, "PATCH", f"{path}?fieldManager=two", document, **headers)
    assert owners_of(second, "f:data", "f:a") == ["one", "two"]
    versions = [answer["metadata"]["resourceVersion"] for answer in (first, second, again)]
    assert int(versions[0]) < int(versions[1]) == int(versions[2])


def test_objects_of_the_world_refuse_an_apply_to_fields_of_their_makers(live):
    document = {"apiVersion": "kamaji.clastix.io/v1alpha1", "kind": "TenantControlPlane", **replicas(5)}
    headers = {"Content-Type": "application/apply-patch+yaml"}
    api = live.management("mgmt-fsn1")
    refused = ask(api, "PATCH", f"{TCP_PATH}?fieldManager=flux", document, **headers)
    assert (refused["code"], refused["details"]["causes"][0]["field"]) == (
        409, ".spec.controlPlane.deployment.replicas",
    )  # fmt: skip
    assert 'conflict with "provisioner" using kamaji.clastix.io/v1alpha1' in refused["message"]


def test_dry_runs_show_owners_as_they_would_be_and_keep_nothing(live):
    api = live.management("mgmt-fsn1")
    shown = edit(api, replicas(3), "kubectl-edit&dryRun=All")
    assert owners_of(shown, *REPLICAS) == ["kubectl-edit"]
    assert owners_of(control_plane(api), *REPLICAS) == ["provisioner"]


def test_lists_watches_creations_and_deletions_show_owners_too(live):
    api = live.tenant(KEY)
    maps = "/api/v1/namespaces/default/configmaps"
    created = ask(api, "POST", f"{maps}?fieldManager=maker", {"metadata": {"name": "x"}, "data": {"a": "1"}})
    assert entries(created)["maker", "Update", ""]["fieldsV1"] == {"f:data": {".": {}, "f:a": {}}}
    listed = ask(api, "GET", maps)["items"]
    assert {"maker"} <= {e["manager"] for item in listed for e in item["metadata"]["managedFields"]}
    assert all(item["metadata"]["managedFields"] for item in ask(api, "GET", "/api/v1/pods")["items"])
    streamed = ask(api, "GET", f"{maps}?watch=true&timeoutSeconds=1&fieldSelector=metadata.name%3Dx")
    assert owners_of(streamed["object"], "f:data", "f:a") == ["maker"]
    pod = ask(api, "GET", "/api/v1/namespaces/shop/pods")["items"][0]["metadata"]["name"]
    assert ask(api, "DELETE", f"/api/v1/namespaces/shop/pods/{pod}")["metadata"]["managedFields"]


def test_a_document_that_was_read_can_be_written_back(live):
    api = live.management("mgmt-fsn1")
    read = ask(api, "GET", TCP_PATH)
    read["spec"]["controlPlane"]["deployment"]["replicas"] = 3
    written = ask(api, "PUT", f"{TCP_PATH}?fieldManager=script", read)
    assert owners_of(written, *REPLICAS) == ["script"]


def test_owners_survive_a_restart(tmp_path: Path):
    with running_clusters(tmp_path, SPEC, phase=0.05) as live:
        changed = edit(live.management("mgmt-fsn1"), replicas(3))
        snapshot = json.loads(json.dumps(live.call(live.clusters.snapshot)))
    with running_clusters(tmp_path, {}, phase=0.05, snapshot=snapshot) as live:
        found = control_plane(live.management("mgmt-fsn1"))
        kept = ("kubectl-edit", "Update", "")
        assert entries(found)[kept] == entries(changed)[kept]
        assert owners_of(found, *REPLICAS) == ["kubectl-edit"]
