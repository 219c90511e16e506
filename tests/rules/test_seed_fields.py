"""Which fields are not as a manifest says, by what the manifest names; and manifests without what is left to others."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspaces.rules.seed_fields import Unlike, covers, unlike, value_of, without

SETTINGS = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings", "namespace": "shop", "labels": {"app.kubernetes.io/part-of": "shop"}},
    "data": {"level": "info", "nginx.conf": "worker 1;"},
}
WEB = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {
        "replicas": 2,
        "paused": None,
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "web:2",
                        "ports": [{"containerPort": 80}],
                        "env": [{"name": "A", "value": "1"}],
                    }
                ],
                "tolerations": [{"key": "gpu", "operator": "Exists"}],
            }
        },
    },
}


def changed(document: dict, *path, value) -> dict:
    """A copy with one field changed; None takes it away."""
    copied = copy.deepcopy(document)
    node = copied
    for part in path[:-1]:
        node = node[part]
    if value is None:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return copied


def test_what_the_server_adds_is_no_difference():
    seen = copy.deepcopy(SETTINGS)
    seen["metadata"] |= {"uid": "7f3a", "resourceVersion": "12", "managedFields": [{}], "annotations": {"a": "b"}}
    seen["metadata"]["labels"]["team"] = "red"
    seen["data"]["more"] = "x"
    assert unlike(SETTINGS, seen) == []


def test_defaults_inside_lists_are_no_difference():
    seen = copy.deepcopy(WEB)
    seen["spec"]["paused"] = True  # null asks for nothing
    pod = seen["spec"]["template"]["spec"]
    pod["containers"][0] |= {"imagePullPolicy": "IfNotPresent"}
    pod["containers"][0]["ports"][0] |= {"protocol": "TCP"}
    pod["containers"].insert(0, {"name": "sidecar", "image": "mesh:1"})  # an element of another's
    pod["containers"][1]["env"].append({"name": "B", "value": "2"})
    assert unlike(WEB, seen) == []


CONTAINER = ("spec", "template", "spec", "containers", 0)
NAMED = 'spec.template.spec.containers[name="web"]'
OWNED = ("spec", "template", "spec", "containers", 'k:{"name":"web"}')


@pytest.mark.parametrize(
    ("document", "path", "value", "found"),
    [
        (
            SETTINGS, ("data", "nginx.conf"), "worker 2;",
            Unlike("data.nginx.conf", ("data", "nginx.conf"), "worker 1;", "worker 2;"),
        ),
        (
            SETTINGS, ("metadata", "labels", "app.kubernetes.io/part-of"), None,
            Unlike(
                "metadata.labels.app.kubernetes.io/part-of",
                ("metadata", "labels", "app.kubernetes.io/part-of"), "shop", None,
            ),
        ),
        (SETTINGS, ("data",), None, Unlike("data", ("data",), SETTINGS["data"], None)),
        (WEB, ("spec", "replicas"), True, Unlike("spec.replicas", ("spec", "replicas"), 2, True)),
        (WEB, (*CONTAINER, "image"), "web:3", Unlike(f"{NAMED}.image", (*OWNED, "image"), "web:2", "web:3")),
        (
            WEB, (*CONTAINER, "name"), "other",
            Unlike(NAMED, OWNED, WEB["spec"]["template"]["spec"]["containers"][0], None),
        ),
        (
            WEB, (*CONTAINER, "env", 0, "value"), "2",
            Unlike(f'{NAMED}.env[name="A"].value', (*OWNED, "env", 'k:{"name":"A"}', "value"), "1", "2"),
        ),
        # A list without names of its elements is compared whole: one more toleration is a difference.
        (
            WEB, ("spec", "template", "spec", "tolerations"), [{"key": "gpu", "operator": "Exists"}, {"key": "x"}],
            Unlike(
                "spec.template.spec.tolerations", ("spec", "template", "spec", "tolerations"),
                [{"key": "gpu", "operator": "Exists"}], [{"key": "gpu", "operator": "Exists"}, {"key": "x"}],
            ),
        ),
    ],
)  # fmt: skip
def test_each_field_that_is_not_as_wanted_is_named(document, path, value, found):
    assert unlike(document, changed(document, *path, value=value)) == [found]


def test_one_more_subject_of_a_role_is_a_difference():
    """Subjects have names and are one list all the same: whoever is added there has rights."""
    binding = {"subjects": [{"kind": "User", "name": "ines"}]}
    seen = {"subjects": [{"kind": "User", "name": "ines", "apiGroup": "rbac.authorization.k8s.io"}]}
    assert unlike(binding, seen) == []
    more = {"subjects": [*seen["subjects"], {"kind": "User", "name": "mallory"}]}
    assert [each.field for each in unlike(binding, more)] == ["subjects"]


def test_a_truth_is_not_a_number():
    assert [each.field for each in unlike({"spec": {"on": 1}}, {"spec": {"on": True}})] == ["spec.on"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("data.level", "info"),
        ("data.nginx.conf", "worker 1;"),
        ("metadata.labels.app.kubernetes.io/part-of", "shop"),
        ("data.nginx", None),
        ("data.levels", None),
        ("spec.replicas", None),
    ],
)
def test_a_field_is_found_by_its_name(field, value):
    assert value_of(SETTINGS, field) == value


def test_elements_are_found_by_their_keys():
    assert value_of(WEB, f"{NAMED}.image") == "web:2"
    # As API servers name a port: by keys of which the manifest leaves one to its default.
    assert value_of(WEB, f'{NAMED}.ports[containerPort=80,protocol="TCP"].containerPort') == 80
    assert value_of(WEB, f"{NAMED}.ports[containerPort=81].containerPort") is None
    assert value_of({"finalizers": ["a", "b]c"]}, 'finalizers[="b]c"]') == "b]c"


def test_fields_left_to_others_are_taken_out_and_empty_maps_with_them():
    rest = without(SETTINGS, ["data.level", "metadata.labels.app.kubernetes.io/part-of", "spec.other"])
    assert rest == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "shop"},
        "data": {"nginx.conf": "worker 1;"},
    }
    assert SETTINGS["data"]["level"] == "info"
    assert "image" not in without(WEB, [f"{NAMED}.image"])["spec"]["template"]["spec"]["containers"][0]
    assert "containers" not in without(WEB, ["spec.template.spec.containers"])["spec"]["template"]["spec"]


def test_what_the_object_is_cannot_be_left_to_others():
    assert without(SETTINGS, ["metadata.name", "kind", "apiVersion"]) == SETTINGS


def test_a_field_covers_its_parts_and_no_other():
    assert covers("data", "data")
    assert covers("data", "data.level")
    assert covers("spec.containers", 'spec.containers[name="web"].image')
    assert not covers("data.level", "data.levels")
    assert not covers("data.level", "data")


VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(-2, 2), st.text("ab", max_size=2)),
    lambda below: st.one_of(
        st.lists(below, max_size=3),
        st.dictionaries(st.sampled_from("abc"), below, min_size=1, max_size=3),
        st.lists(
            st.fixed_dictionaries({"name": st.sampled_from("xy")}, optional={"v": below}), unique_by=lambda e: e["name"]
        ),
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "env", "containers"]), VALUES, min_size=1, max_size=3)


@given(OBJECTS, OBJECTS)
def test_an_object_is_like_itself_and_like_any_other_once_what_is_unlike_is_left_to_it(wanted, seen):
    assert unlike(wanted, wanted) == []
    found = [each.field for each in unlike(wanted, seen)]
    assert unlike(without(wanted, found), seen) == []
    assert all(value_of(wanted, each.field) == each.wanted for each in unlike(wanted, seen))
