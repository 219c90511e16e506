"""Who may give which role to whom, and what a change of role gives and takes.

What a role holds is in `permissions.py`; which memberships count where, and the change itself, in `models/members.py`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from workspaces.rules import permissions
from workspaces.rules.refusal import Refused

# Letters are cheap to ask for and expensive to answer for: more than this in 24 hours is a mistake or a misuse.
INVITATIONS_A_DAY: Final = 50
# The longest life of an API key, and the one that is proposed, in days. There is no key without an end.
KEY_DAYS_AT_MOST: Final = 365
KEY_DAYS: Final = 90


@dataclass(frozen=True, slots=True)
class Effect:
    """What somebody can do no longer, and what in addition: sentences in the order of the table of permissions."""

    lost: tuple[str, ...]
    gained: tuple[str, ...]


def highest(roles: Collection[str]) -> str | None:
    """The role among `roles` that holds most; None without one."""
    return next((role for role in permissions.ROLES if role in roles), None)


def may_grant(own: Collection[str], role: str) -> Refused | None:
    """Whether somebody with the roles `own` in a place may give `role` there: none higher than their own."""
    mine = highest(own)
    if mine is not None and permissions.ROLES.index(mine) <= permissions.ROLES.index(role):
        return None
    have = f"Your own role here is {mine}" if mine else "You have no role here"
    return Refused("role_too_high", f"{have}. Nobody gives a higher role than their own, so not {role}.")


def may_change(own: Collection[str], before: str, after: str | None) -> Refused | None:
    """Whether somebody with the roles `own` in a place may make a member of `before` one of `after` (None: remove)."""
    if not any(permissions.allows(role, "members.manage") for role in own):
        return Refused("not_allowed", f"{permissions.PERMISSIONS['members.manage'].sentence}: not as your role here.")
    return may_grant(own, before) or (may_grant(own, after) if after else None)


def leave_an_administrator(who: str, organization: str, *, others: bool) -> Refused | None:
    """An organization keeps somebody who administers it as a whole; `others` is whether there is another one."""
    if others:
        return None
    message = f"{who} is the last administrator of {organization}. Make somebody else administrator of {organization}"
    return Refused("last_administrator", f"{message} as a whole first.")


def effect(before: Collection[str], after: Collection[str]) -> Effect:
    """What changes for somebody whose roles in a place become `after`."""
    had, has = _keys(before), _keys(after)
    return Effect(_sentences(had - has), _sentences(has - had))


def _keys(roles: Collection[str]) -> frozenset[str]:
    return frozenset[str]().union(*(permissions.keys_of(role) for role in roles))


def _sentences(keys: frozenset[str]) -> tuple[str, ...]:
    return tuple(permission.sentence for key, permission in permissions.PERMISSIONS.items() if key in keys)
