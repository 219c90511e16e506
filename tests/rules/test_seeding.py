"""Which texts are manifests, which clusters they fit, and in which order their objects are applied."""

from datetime import date

import pytest

from workspaces.rules import seeding


def document(kind: str = "ConfigMap", name: str = "settings", namespace: str = "shop", **fields) -> dict:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}} | fields


def test_objects_of_any_kind_are_a_manifest():
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    quota = document("ResourceQuota", spec={"hard": {"pods": 10, "cpu": "4", "ratio": 0.5, "on": True, "none": None}})
    assert seeding.faults_of([namespace, document(data={"level": "info"}), quota]) == ""


LOOP: dict = {}
LOOP["more"] = LOOP


@pytest.mark.parametrize(
    ("documents", "sentence"),
    [
        ([], "The text holds no object."),
        (["x"], "Document 1 is not an object."),
        ([{"kind": "ConfigMap", "metadata": {"name": "x"}}], "Document 1 lacks apiVersion, kind or metadata.name."),
        ([document(name="")], "Document 1 lacks apiVersion, kind or metadata.name."),
        (
            [document(apiVersion="../v1")],
            "Document 1 has an apiVersion that is no group and version, such as apps/v1.",
        ),
        ([document(namespace=7)], "Document 1 has a metadata.namespace that is not a text."),
        ([document(), document()], "Document 2 is v1 ConfigMap shop/settings once more."),
        (
            [document("Secret")],
            "Document 1 is a Secret. This text is not encrypted, so it must hold none.",
        ),
        ([document("ConfigMapList")], "Document 1 is a list. Write its objects as documents of their own."),
        ([document(status={})], "Document 1 has status, which only the API server writes."),
        (
            [document(metadata={"name": "x", "managedFields": []})],
            "Document 1 has metadata.managedFields, which only the API server writes.",
        ),
        (
            [document(data={"since": date(2026, 1, 1)})],
            "Document 1 has 2026-01-01 at data.since, which JSON cannot hold. Put it into quotes.",
        ),
        (
            [document(data={"list": [1, float("nan")]})],
            "Document 1 has nan at data.list[1], which JSON cannot hold. Put it into quotes.",
        ),
        (
            [document(data={True: "yes"})],
            "Document 1 has the key True at data, which is not a text. Put it into quotes.",
        ),
        (
            [document(name="x" * 290)],
            "Document 1 has a name of more than 300 characters, with its kind and namespace.",
        ),
    ],
)
def test_what_no_api_server_takes_is_refused_with_its_place(documents, sentence):
    assert seeding.faults_of(documents) == sentence


def test_a_text_that_refers_to_itself_is_refused():
    assert seeding.faults_of([document(data=LOOP)]).startswith("Document 1 is nested too deeply at data.more.more")


@pytest.mark.parametrize(
    ("version", "wanted", "fits"),
    [
        ("1.34.8", "", True),
        ("", "", True),
        ("1.34.8", ">=1.34.0 <1.36.0", True),
        ("1.36.0", ">=1.34.0 <1.36.0", False),
        ("", ">=1.34.0", False),
    ],
)
def test_a_manifest_fits_clusters_of_its_versions(version, wanted, fits):
    assert seeding.fits(version, wanted) is fits


def test_versions_that_cannot_be_read_are_said():
    assert seeding.fault_of_versions("") == ""
    assert seeding.fault_of_versions(">=1.34.0") == ""
    assert seeding.fault_of_versions("newest") != ""


def test_namespaces_and_definitions_come_first_the_others_as_written():
    written = [
        document("Deployment", "b"),
        {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "d"}},
        document("ConfigMap", "a"),
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}},
    ]
    assert [one["metadata"]["name"] for one in sorted(written, key=seeding.place_of)] == ["n", "d", "b", "a"]


def test_an_object_has_a_name_for_rows_and_one_for_sentences():
    assert seeding.object_of(document()) == "v1 ConfigMap shop/settings"
    assert seeding.name_of(document()) == "ConfigMap shop/settings"
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    assert seeding.object_of(namespace) == "v1 Namespace /shop"
    assert seeding.name_of(namespace) == "Namespace shop"
