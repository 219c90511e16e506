"""Whose rights change by a move and how, and when a move is refused."""

from __future__ import annotations

from uuid import UUID

import pytest

from workspaces.rules import permissions
from workspaces.rules.transfer import Effect, Grant, Identity, Move, effects, refuse_transfer

SOURCE = UUID("00000000-0000-4000-8000-000000000001")
DESTINATION = UUID("00000000-0000-4000-8000-000000000002")
ELSEWHERE = UUID("00000000-0000-4000-8000-000000000003")
OPERATION = UUID("00000000-0000-4000-8000-000000000004")


def identity(name: str, *grants: Grant, kind: str = "account") -> Identity:
    return Identity(kind, UUID(int=sum(map(ord, name))), name, "", grants)  # type: ignore[arg-type]


def on(project: UUID, role: str) -> Grant:
    return Grant("project", project, role)


def everywhere(role: str) -> Grant:
    return Grant("organization", None, role)


def only(*grants: Grant) -> Effect:
    (effect,) = effects([identity("Mira", *grants)], SOURCE, DESTINATION)
    return effect


@pytest.mark.parametrize(
    ("grants", "change", "before", "after"),
    [
        ((on(SOURCE, "viewer"),), "loses_access", "Viewer", "none"),
        ((on(DESTINATION, "viewer"),), "gains_access", "none", "Viewer"),
        ((everywhere("operator"),), "same", "Operator", "Operator"),
        ((on(SOURCE, "operator"), on(DESTINATION, "viewer")), "fewer_rights", "Operator", "Viewer"),
        ((on(SOURCE, "viewer"), on(DESTINATION, "operator")), "more_rights", "Viewer", "Operator"),
        ((on(SOURCE, "viewer"), on(DESTINATION, "viewer")), "same", "Viewer", "Viewer"),
        ((everywhere("viewer"), on(SOURCE, "administrator")), "fewer_rights", "Administrator", "Viewer"),
        ((everywhere("viewer"), on(DESTINATION, "operator")), "more_rights", "Viewer", "Operator"),
        ((everywhere("administrator"), on(SOURCE, "viewer")), "same", "Administrator", "Administrator"),
    ],
)
def test_the_effect_follows_from_the_roles_that_count(grants, change, before, after) -> None:
    effect = only(*grants)
    assert (effect.change, effect.role_before, effect.role_after) == (change, before, after)


def test_a_role_on_a_third_project_has_no_effect() -> None:
    assert effects([identity("Mira", on(ELSEWHERE, "administrator"))], SOURCE, DESTINATION) == ()


def test_somebody_without_a_grant_is_left_out() -> None:
    assert effects([identity("Mira")], SOURCE, DESTINATION) == ()


def test_the_rights_lost_are_named_in_the_order_of_the_table() -> None:
    effect = only(on(SOURCE, "viewer"))
    assert effect.lost == ("workspace.view", "price.view")
    assert effect.gained == ()


def test_from_administrator_to_operator_exactly_the_administering_rights_are_lost() -> None:
    effect = only(on(SOURCE, "administrator"), on(DESTINATION, "operator"))
    assert effect.lost == (
        "maintenance.disable",
        "maintenance.hold",
        "workspace.transfer",
        "workspace.delete",
        "kubeconfig.export",
        "members.manage",
        "api_keys.manage",
        "queue.view",
    )
    assert effect.after == permissions.keys_of("operator")


def test_the_rights_gained_are_those_held_only_afterwards() -> None:
    effect = only(on(SOURCE, "operator"), on(DESTINATION, "administrator"))
    assert effect.lost == ()
    assert "workspace.delete" in effect.gained
    assert "workspace.view" not in effect.gained


def test_losses_come_first_then_people_before_keys_then_names() -> None:
    people = [
        identity("Same", everywhere("viewer")),
        identity("Gain", on(DESTINATION, "viewer")),
        identity("more", on(SOURCE, "viewer"), on(DESTINATION, "operator")),
        identity("Fewer", on(SOURCE, "operator"), on(DESTINATION, "viewer")),
        identity("ci", on(SOURCE, "viewer"), kind="api_key"),
        identity("zoe", on(SOURCE, "viewer")),
        identity("Adam", on(SOURCE, "viewer")),
    ]
    expected = ["Adam", "zoe", "ci", "Fewer", "more", "Gain", "Same"]
    assert [e.identity.name for e in effects(people, SOURCE, DESTINATION)] == expected
    assert [e.identity.name for e in effects(reversed(people), SOURCE, DESTINATION)] == expected


# --- Refusals ---------------------------------------------------------------------------------------------------------
def a_move(**changed) -> Move:
    values = {"state": "active", "source": SOURCE, "destination": DESTINATION, "destination_name": "Freight Core"}
    return Move(**(values | changed))


@pytest.mark.parametrize("state", ["active", "gated", "error"])
def test_a_workspace_that_is_there_can_be_moved_healthy_or_not(state) -> None:
    assert refuse_transfer(a_move(state=state)) is None


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("provisioning", "It is still being made. It can be moved as soon as it is active."),
        ("deletion_scheduled", "Its deletion is scheduled. Undo the deletion first, then it can be moved."),
        ("deleting", "It is being deleted."),
        ("deleted", "It has been deleted. Its history stays with the project that deleted it."),
    ],
)
def test_one_that_is_not_there_yet_or_leaves_cannot(state, message) -> None:
    refused = refuse_transfer(a_move(state=state))
    assert (refused.code, refused.message, refused.evidence) == ("not_transferable", message, {"state": state})


def test_the_project_it_is_in_is_no_destination() -> None:
    refused = refuse_transfer(a_move(destination=SOURCE))
    assert (refused.code, refused.message) == ("same_project", "It is in Freight Core already.")


def test_an_open_operation_is_named_with_its_id() -> None:
    refused = refuse_transfer(a_move(running=(OPERATION, "Upgrade rates-engine")))
    assert refused.code == "operation_running"
    assert refused.message == "Upgrade rates-engine is running. Wait for it to end, or stop it."
    assert refused.evidence == {"operation": "00000000-0000-4000-8000-000000000004"}


def test_a_name_that_the_destination_has_already_is_refused() -> None:
    refused = refuse_transfer(a_move(same_name=(ELSEWHERE, "rates-engine")))
    assert refused.code == "name_taken"
    assert refused.message == (
        "Freight Core has a workspace named rates-engine already, and a project holds a name once."
    )
    assert refused.evidence == {"workspace": "00000000-0000-4000-8000-000000000003"}
