"""Moving a workspace to another project: whose rights on it change and how, and when it is refused.

Works on values only: which memberships and API keys there are is read by `models/transfer_preview.py`, the move itself
is `models/transfer.py`. Platform administrators reach every project, so no move concerns them and they are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from workspaces.rules import members, permissions
from workspaces.rules.refusal import Refused

Kind = Literal["account", "api_key"]
Change = Literal["loses_access", "fewer_rights", "more_rights", "gains_access", "same"]

# Loss before gain.
ORDER: Final[tuple[Change, ...]] = ("loses_access", "fewer_rights", "more_rights", "gains_access", "same")

# A move changes who may reach a workspace and nothing in it, so it does not matter whether it is healthy. It has to be
# there, though, and nobody else's decision about it may be under way.
NOT_TRANSFERABLE: Final = {
    "provisioning": "It is still being made. It can be moved as soon as it is active.",
    "deletion_scheduled": "Its deletion is scheduled. Undo the deletion first, then it can be moved.",
    "deleting": "It is being deleted.",
    "deleted": "It has been deleted. Its history stays with the project that deleted it.",
}


@dataclass(frozen=True, slots=True)
class Grant:
    """A role on an organization as a whole (`project_id` None), or narrowed to one of its projects."""

    scope: Literal["organization", "project"]
    project_id: UUID | None
    role: str

    def counts_on(self, project: UUID) -> bool:
        """Whether it gives its role on `project`, a project of the organization it was given in."""
        return self.scope == "organization" or self.project_id == project


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody or something with grants in the organization; `detail` tells people what else matters about it.

    An inactive account, a revoked or an expired key has no grants.
    """

    kind: Kind
    id: UUID
    name: str
    detail: str
    grants: tuple[Grant, ...]

    def roles_on(self, project: UUID) -> frozenset[str]:
        """The roles that count on `project`."""
        return frozenset(grant.role for grant in self.grants if grant.counts_on(project))


@dataclass(frozen=True, slots=True)
class Effect:
    """What a move does to one identity: permission keys on the workspace and the highest role, before and after."""

    identity: Identity
    before: frozenset[str]
    after: frozenset[str]
    role_before: str
    role_after: str

    @property
    def lost(self) -> tuple[str, ...]:
        """Keys held before and no more after, in the order of the table of permissions."""
        return tuple(key for key in permissions.PERMISSIONS if key in self.before - self.after)

    @property
    def gained(self) -> tuple[str, ...]:
        """Keys held only after, in the order of the table of permissions."""
        return tuple(key for key in permissions.PERMISSIONS if key in self.after - self.before)

    @property
    def change(self) -> Change:
        """In one word; who loses something and gains something else has fewer rights."""
        if self.before == self.after:
            return "same"
        if not self.after:
            return "loses_access"
        if not self.before:
            return "gains_access"
        return "fewer_rights" if self.lost else "more_rights"


@dataclass(frozen=True, slots=True)
class Move:
    """What decides whether a move is refused; `running` and `same_name` are an id and what it is called."""

    state: str
    source: UUID
    destination: UUID
    destination_name: str
    running: tuple[UUID, str] | None = None
    same_name: tuple[UUID, str] | None = None


def effects(identities: Iterable[Identity], source: UUID, destination: UUID) -> tuple[Effect, ...]:
    """What moving a workspace from project `source` to `destination` does to each, losses first, then by name.

    Whoever has rights neither before nor after is left out.
    """
    all_effects = (_effect(identity, source, destination) for identity in identities)
    return tuple(sorted((effect for effect in all_effects if effect.before | effect.after), key=_precedence))


def refuse_transfer(move: Move) -> Refused | None:
    """Why the move is refused: same_project, not_transferable, operation_running or name_taken."""
    if move.source == move.destination:
        return Refused("same_project", f"It is in {move.destination_name} already.")
    if move.state in NOT_TRANSFERABLE:
        evidence = {"state": move.state}
        return Refused("not_transferable", NOT_TRANSFERABLE[move.state], evidence)
    if move.running:
        pk, title = move.running
        message = f"{title} is running. Wait for it to end, or stop it."
        return Refused("operation_running", message, {"operation": str(pk)})
    if move.same_name:
        pk, name = move.same_name
        message = f"{move.destination_name} has a workspace named {name} already, and a project holds a name once."
        return Refused("name_taken", message, {"workspace": str(pk)})
    return None


def in_words(role: str | None) -> str:
    """A role as the pages show it."""
    return role.capitalize() if role else "none"


def _effect(identity: Identity, source: UUID, destination: UUID) -> Effect:
    before, after = identity.roles_on(source), identity.roles_on(destination)
    return Effect(
        identity,
        before=_keys(before),
        after=_keys(after),
        role_before=in_words(members.highest(before)),
        role_after=in_words(members.highest(after)),
    )


def _keys(roles: Iterable[str]) -> frozenset[str]:
    return frozenset[str]().union(*(permissions.keys_of(role) for role in roles))


def _precedence(effect: Effect) -> tuple[int, str, str, str]:
    identity = effect.identity
    return ORDER.index(effect.change), identity.kind, identity.name.casefold(), str(identity.id)
