"""Credentials: kept when the field is empty, replaced when it is not, shown never; the trail says only "changed"."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests import cast
from tests.admin.conftest import SECRETS
from tests.admin.forms import address, errors, trail
from workspaces.models import Event, Integration, ManagementCluster, ProviderAccount, SshKey, Workspace

KUBECONFIG = """apiVersion: v1
current-context: it
clusters: [{name: it, cluster: {server: "https://192.0.2.1:6443"}}]
contexts: [{name: it, context: {cluster: it, user: it}}]
users: [{name: it, user: {token: a-new-token}}]
"""


@pytest.mark.parametrize(
    ("noun", "model", "field", "data", "secret"),
    [
        (
            "provideraccount",
            ProviderAccount,
            "token",
            {"name": "Kestrel cloud", "kind": "hetzner", "image": "debian-13"},
            "token",
        ),
        ("sshkey", SshKey, "private_key", {"name": "fleet"}, "ssh"),
        (
            "integration",
            Integration,
            "secret",
            {"name": "Grafana", "kind": "monitoring", "settings": "{}"},
            "integration",
        ),
        (
            "managementcluster",
            ManagementCluster,
            "kubeconfig",
            {"name": "mgmt-fsn1", "max_version": "1.36"},
            "kubeconfig",
        ),
    ],
)
def test_a_credential_is_kept_when_the_field_is_empty_and_replaced_when_it_is_not(
    as_root: Client, rows: Any, noun: str, model: Any, field: str, data: dict[str, Any], secret: str
) -> None:
    row = model.objects.get()
    data |= {
        name: str(getattr(row, f"{name}_id")) for name in ("organization", "workspace") if hasattr(row, f"{name}_id")
    }
    assert as_root.post(address(noun, row), data | {"credential": ""}).status_code == 302
    row.refresh_from_db()
    assert getattr(row, field).reveal() == SECRETS[secret]

    new = KUBECONFIG if noun == "managementcluster" else "a-new-secret"
    assert as_root.post(address(noun, row), data | {"credential": new}).status_code == 302
    row.refresh_from_db()
    assert getattr(row, field).reveal() == new
    assert [changes for _, changes in trail()] == [{field: "changed"}]
    assert "a-new" not in f"{list(Event.objects.values())}"
    page = as_root.get(address(noun, row)).content.decode()
    assert "stored" in page
    assert "a-new" not in page


def test_a_key_of_several_lines_is_stored_with_unix_line_ends(as_root: Client) -> None:
    as_root.post("/admin/workspaces/sshkey/add/", {"name": "k", "credential": "-----BEGIN\r\nabc\r\n-----END"})
    assert SshKey.objects.get().private_key.reveal() == "-----BEGIN\nabc\n-----END\n"


def test_a_new_row_needs_its_credential_unless_the_model_does_without(as_root: Client, workspace: Workspace) -> None:
    answer = as_root.post("/admin/workspaces/sshkey/add/", {"name": "k", "credential": ""})
    assert "Enter the credential: nothing is stored yet." in errors(answer)
    data = {"workspace": str(workspace.pk), "name": "n", "kind": "k", "settings": "{}", "credential": ""}
    assert as_root.post("/admin/workspaces/integration/add/", data).status_code == 302
    assert "none" in as_root.get(address("integration", Integration.objects.get())).content.decode()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("token: [secret-part", "This is not YAML."),
        ("secret-part", "This is no kubeconfig: it needs clusters, contexts, users and current-context."),
        (KUBECONFIG.replace("token: a-new-token", "exec: {command: secret-part}"), "It names a program to run"),
    ],
)
def test_a_kubeconfig_that_is_none_is_refused_in_words_and_not_shown_again(
    as_root: Client, text: str, sentence: str
) -> None:
    cluster = cast.management_cluster()
    answer = as_root.post(
        address("managementcluster", cluster), {"name": cluster.name, "max_version": "1.36", "credential": text}
    )
    assert sentence in errors(answer)
    assert "secret-part" not in answer.content.decode()
    cluster.refresh_from_db()
    assert cluster.kubeconfig.reveal() == "apiVersion: v1"
