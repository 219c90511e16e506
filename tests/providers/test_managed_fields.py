"""Who owns a field, read from documents as real API servers write them."""

from datetime import UTC, datetime

import pytest

from workspaces.providers.managed_fields import Owner, owner_of, owners

from .recorded_api import recorded

# A Deployment of Kubernetes 1.35 after `kubectl apply --server-side`, `kubectl scale`, `kubectl edit` and a rollout.
DEPLOYMENT = [
    {
        "manager": "kubectl",
        "operation": "Apply",
        "apiVersion": "apps/v1",
        "time": "2026-11-20T08:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {
            "f:metadata": {"f:labels": {"f:app": {}}},
            "f:spec": {
                "f:selector": {},
                "f:template": {
                    "f:metadata": {"f:labels": {"f:app": {}}},
                    "f:spec": {
                        "f:containers": {
                            'k:{"name":"web"}': {
                                ".": {},
                                "f:image": {},
                                "f:name": {},
                                "f:ports": {
                                    'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}
                                },
                            }
                        }
                    },
                },
            },
        },
    },
    {
        "manager": "kubectl",
        "operation": "Update",
        "apiVersion": "apps/v1",
        "time": "2026-11-24T09:30:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:replicas": {}}},
        "subresource": "scale",
    },
    {
        "manager": "kubectl-edit",
        "operation": "Update",
        "apiVersion": "apps/v1",
        "time": "2026-11-25T10:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {
            "f:metadata": {
                "f:annotations": {"f:example.com/note": {}},
                "f:finalizers": {".": {}, 'v:"example.com/x"': {}},
            },
            "f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': {"f:image": {}}}}}},
        },
    },
    {
        "manager": "kube-controller-manager",
        "operation": "Update",
        "apiVersion": "apps/v1",
        "time": "2026-11-26T11:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {
            "f:metadata": {"f:annotations": {".": {}, "f:deployment.kubernetes.io/revision": {}}},
            "f:status": {
                "f:conditions": {".": {}, 'k:{"type":"Available"}': {".": {}, "f:status": {}}},
                "f:replicas": {},
            },
        },
        "subresource": "status",
    },
]
WEB = ("spec", "template", "spec", "containers", 'k:{"name":"web"}')


def test_an_entry_is_an_owner_with_its_leaves():
    assert owners(DEPLOYMENT)[1] == Owner(
        "kubectl", "Update", datetime(2026, 11, 24, 9, 30, tzinfo=UTC), frozenset({("spec", "replicas")})
    )
    assert owners(DEPLOYMENT)[2].paths == {
        ("metadata", "annotations", "example.com/note"),
        ("metadata", "finalizers", "."),
        ("metadata", "finalizers", 'v:"example.com/x"'),
        (*WEB, "image"),
    }


@pytest.mark.parametrize(
    ("path", "manager", "operation"),
    [
        (("spec", "replicas"), "kubectl", "Update"),
        ((*WEB, "image"), "kubectl-edit", "Update"),  # both own it; the newer one has written it
        ((*WEB, "name"), "kubectl", "Apply"),
        # The selector is one leaf, so a part of it is its owner's; the list is many, so the newest of them.
        (("spec", "selector", "matchLabels", "app"), "kubectl", "Apply"),
        (("spec", "template", "spec", "containers"), "kubectl-edit", "Update"),
        # That the map of annotations is there says nothing about one of them.
        (("metadata", "annotations", "example.com/note"), "kubectl-edit", "Update"),
        (("metadata", "annotations", "deployment.kubernetes.io/revision"), "kube-controller-manager", "Update"),
    ],
)
def test_the_newest_owner_of_a_field_is_named(path, manager, operation):
    owner = owner_of(owners(DEPLOYMENT), path)
    assert (owner.manager, owner.operation) == (manager, operation)


def test_a_field_nobody_owns_has_no_owner():
    assert owner_of(owners(DEPLOYMENT), ("metadata", "annotations", "other")) is None
    assert owner_of(owners(DEPLOYMENT), ("spec", "paused")) is None
    assert owner_of((), ("spec",)) is None


def test_the_one_who_asks_is_not_named():
    found = owners(DEPLOYMENT)
    assert owner_of(found, (*WEB, "image"), besides="kubectl-edit").manager == "kubectl"
    assert owner_of(found, ("spec", "replicas"), besides="kubectl") is None
    ours = owners([DEPLOYMENT[1] | {"manager": "loopback"}])
    assert owner_of(ours, ("spec", "replicas")) is None


def test_an_entry_without_a_time_is_older_than_one_with():
    undated = DEPLOYMENT[2] | {"time": None}
    assert owner_of(owners([undated, DEPLOYMENT[0]]), (*WEB, "image")).manager == "kubectl"
    assert owner_of(owners([undated]), (*WEB, "image")) == Owner(
        "kubectl-edit", "Update", None, owners([undated])[0].paths
    )


def test_what_is_no_entry_is_left_out():
    assert owners([{}, {"manager": "x", "operation": "Update", "fieldsType": "FieldsV1"}]) == ()


def test_a_recorded_object_names_its_owners():
    body = recorded("05-tcp-server-side-apply", "managed-fields-after").body
    console, gitops = owners([entry | {"time": "2026-11-22T10:00:00Z"} for entry in body["metadata"]["managedFields"]])
    assert (console.manager, gitops.manager) == ("console", "gitops")
    assert gitops.paths == {("spec", "kubernetes", "version")}
    assert owner_of((console, gitops), ("spec", "kubernetes", "version")) == gitops
    assert owner_of((console, gitops), ("spec", "controlPlane", "deployment", "replicas")) == console
