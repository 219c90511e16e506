"""Where control planes keep their state: whether Kamaji goes on with them."""

import pytest

from workspaces.providers.errors import Permanent
from workspaces.providers.kamaji import DataStore, Kamaji

from .recorded_api import Answer, RecordedApi, example


def data_store(**document) -> Answer:
    head = {"apiVersion": "kamaji.clastix.io/v1alpha1", "kind": "DataStore", "metadata": {"name": "default"}}
    return Answer(body=head | {"spec": {"driver": "PostgreSQL", "endpoints": ["db:5432"]}} | document)


@pytest.mark.parametrize(
    ("document", "ready"),
    [
        ({"status": {"ready": True}}, True),
        ({"status": {"ready": False}}, False),
        ({"status": {}}, False),
        ({}, False),  # Kamaji has not looked at it yet
    ],
)
def test_a_data_store_is_ready_when_kamaji_says_so(document, ready):
    with RecordedApi(data_store(**document)) as api, Kamaji(api.kubeconfig()) as kamaji:
        assert kamaji.data_store("default") == DataStore("default", ready, "PostgreSQL")
    assert api.requests[0].path == "/apis/kamaji.clastix.io/v1alpha1/datastores/default"


def test_a_data_store_that_does_not_exist_is_none():
    with RecordedApi(Answer(404, example("k8s-status-404"))) as api, Kamaji(api.kubeconfig()) as kamaji:
        assert kamaji.data_store("gone") is None


def test_a_data_store_in_another_form_is_the_platforms_fault():
    answer = Answer(body={"metadata": {"name": "default"}})
    with RecordedApi(answer) as api, Kamaji(api.kubeconfig()) as kamaji, pytest.raises(Permanent) as caught:
        kamaji.data_store("default")
    assert caught.value.code == "cloud_api"
