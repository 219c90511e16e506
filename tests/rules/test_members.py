"""Who may give which role, and what a change of role gives and takes."""

from __future__ import annotations

import pytest

from workspaces.rules import members, permissions
from workspaces.rules.members import effect, highest, leave_an_administrator, may_change, may_grant


@pytest.mark.parametrize(
    ("own", "role", "code"),
    [
        ({"administrator"}, "administrator", None),
        ({"administrator"}, "viewer", None),
        ({"operator"}, "administrator", "role_too_high"),
        ({"operator"}, "operator", None),
        ({"viewer"}, "operator", "role_too_high"),
        ({"viewer"}, "viewer", None),
        ({"viewer", "administrator"}, "administrator", None),
        (set(), "viewer", "role_too_high"),
    ],
)
def test_nobody_gives_a_role_higher_than_their_own(own: set[str], role: str, code: str | None) -> None:
    refused = may_grant(own, role)
    assert (refused and refused.code) == code


def test_the_refusal_says_which_role_is_ones_own() -> None:
    refused = may_grant({"operator"}, "administrator")
    assert refused
    assert refused.message == (
        "Your own role here is operator. Nobody gives a higher role than their own, so not administrator."
    )
    nobody = may_grant(set(), "viewer")
    assert nobody
    assert nobody.message.startswith("You have no role here.")


@pytest.mark.parametrize(
    ("own", "before", "after", "code"),
    [
        ({"administrator"}, "administrator", "viewer", None),
        ({"administrator"}, "viewer", "administrator", None),
        ({"administrator"}, "operator", None, None),
        ({"operator"}, "viewer", "operator", "not_allowed"),
        ({"operator"}, "viewer", None, "not_allowed"),
        ({"viewer"}, "viewer", "viewer", "not_allowed"),
        (set(), "viewer", None, "not_allowed"),
    ],
)
def test_only_who_manages_members_changes_them(own: set[str], before: str, after: str | None, code: str | None) -> None:
    refused = may_change(own, before, after)
    assert (refused and refused.code) == code


def test_a_higher_role_is_neither_taken_nor_given_by_a_lower_one(monkeypatch: pytest.MonkeyPatch) -> None:
    everybody = permissions.Permission("Add and remove members", frozenset(permissions.ROLES))
    monkeypatch.setitem(permissions.PERMISSIONS, "members.manage", everybody)  # type: ignore[arg-type]
    assert may_change({"operator"}, "viewer", "operator") is None
    assert may_change({"operator"}, "viewer", "administrator").code == "role_too_high"  # type: ignore[union-attr]
    assert may_change({"operator"}, "administrator", "viewer").code == "role_too_high"  # type: ignore[union-attr]
    assert may_change({"operator"}, "administrator", None).code == "role_too_high"  # type: ignore[union-attr]


def test_the_last_administrator_stays_and_the_refusal_says_what_would_clear_it() -> None:
    assert leave_an_administrator("Alice Ahrens", "Kestrel Freight", others=True) is None
    refused = leave_an_administrator("Alice Ahrens", "Kestrel Freight", others=False)
    assert refused
    assert (refused.code, refused.message) == (
        "last_administrator",
        "Alice Ahrens is the last administrator of Kestrel Freight. "
        "Make somebody else administrator of Kestrel Freight as a whole first.",
    )


def test_what_is_lost_is_said_in_sentences() -> None:
    down = effect({"operator"}, {"viewer"})
    assert "Start a Kubernetes upgrade" in down.lost
    assert "See workspaces, their hosts, operations, forecast and drift" not in down.lost
    assert down.gained == ()
    up = effect({"operator"}, {"administrator"})
    assert up.lost == ()
    assert "Switch maintenance off for a workspace" in up.gained
    assert len(effect({"administrator"}, set()).lost) == len(permissions.PERMISSIONS)


def test_what_another_role_still_gives_is_not_lost() -> None:
    assert effect({"operator", "administrator"}, {"administrator"}) == members.Effect((), ())
    assert effect({"operator", "viewer"}, {"viewer"}) == effect({"operator"}, {"viewer"})


@pytest.mark.parametrize(
    ("roles", "one"),
    [
        ({"viewer", "operator"}, "operator"),
        ({"administrator", "viewer"}, "administrator"),
        (set(), None),
        ({"x"}, None),
    ],
)
def test_the_highest_role_counts(roles: set[str], one: str | None) -> None:
    assert highest(roles) == one
