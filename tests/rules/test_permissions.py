"""The role table."""

import pytest

from workspaces.rules.permissions import PERMISSIONS, ROLES, allows, keys_of, roles_with

VIEWER = {"workspace.view", "price.view"}
OPERATOR = VIEWER | {
    "members.view",
    "audit.view",
    "workspace.reconcile",
    "maintenance.edit",
    "upgrade.start",
    "operation.stop",
    "operation.retry",
    "host.order",
    "host.resize",
    "host.remove",
    "workspace.receive",
}
ADMINISTRATOR = OPERATOR | {
    "maintenance.disable",
    "maintenance.hold",
    "workspace.transfer",
    "workspace.delete",
    "kubeconfig.export",
    "members.manage",
    "api_keys.manage",
    "queue.view",
}


@pytest.mark.parametrize(
    ("role", "keys"),
    [("viewer", VIEWER), ("operator", OPERATOR), ("administrator", ADMINISTRATOR), ("stranger", set())],
)
def test_each_role_holds_exactly_these_keys(role, keys):
    assert keys_of(role) == keys
    assert {key for key in PERMISSIONS if allows(role, key)} == keys


def test_only_an_administrator_may_switch_maintenance_off():
    assert roles_with("maintenance.disable") == {"administrator"}


def test_every_key_has_a_sentence_and_known_roles():
    for key, permission in PERMISSIONS.items():
        assert permission.sentence[0].isupper(), key
        assert not permission.sentence.endswith("."), key
        assert permission.roles <= set(ROLES), key


def test_asking_for_a_key_that_does_not_exist_is_an_error_and_not_a_no():
    with pytest.raises(KeyError):
        allows("administrator", "workspace.explode")
