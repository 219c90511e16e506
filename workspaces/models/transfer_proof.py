"""Whether a move did what was predicted: the stored prediction beside what is true now, right by right.

What is true is asked of the gates that every request passes (`MembershipQuerySet.granting`, `ApiKey.allows`), never of
`rules/transfer.py`, which made the prediction. That one is asked only why a difference is there.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from workspaces.models.api_key import ApiKey
from workspaces.models.tenancy import Account, Membership, Project
from workspaces.models.transfer import Transfer
from workspaces.models.transfer_preview import identities, platform_administrators
from workspaces.rules import permissions
from workspaces.rules.transfer import effects

Key = tuple[str, UUID]
Rights = dict[Key, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Difference:
    """Somebody whose rights are not what was predicted: what is missing, what is there in addition, and why."""

    kind: str
    id: UUID
    name: str
    missing: tuple[str, ...]
    additional: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Proof:
    """The comparison at `at`; of a workspace that has left the destination since (`moved_on`) nothing is compared."""

    transfer: Transfer
    at: datetime
    moved_on: bool
    accounts: int
    api_keys: int
    differences: tuple[Difference, ...]

    @property
    def holds(self) -> bool:
        """Whether everybody has exactly the rights that were predicted."""
        return not self.moved_on and not self.differences

    @property
    def checks(self) -> int:
        """How many pairs of an identity and a right were compared."""
        return (self.accounts + self.api_keys) * len(permissions.PERMISSIONS)

    def document(self) -> dict[str, Any]:
        """As plain JSON, with the prediction."""
        transfer = self.transfer
        return {
            "id": str(transfer.pk),
            "moved_by": transfer.moved_by,
            "moved_at": transfer.moved_at,
            "holds": self.holds,
            "moved_on": self.moved_on,
            "compared_at": self.at,
            "compared": {"accounts": self.accounts, "api_keys": self.api_keys, "rights": self.checks},
            "differences": [
                {
                    "kind": one.kind,
                    "id": str(one.id),
                    "name": one.name,
                    "missing": list(one.missing),
                    "additional": list(one.additional),
                    "why": one.why,
                }
                for one in self.differences
            ],
            "prediction": transfer.prediction,
        }


def proof(transfer: Transfer, now: datetime) -> Proof:
    """Compare every account and API key with every right (a bounded number of queries)."""
    if transfer.workspace.project_id != transfer.destination_id:
        return Proof(transfer, now, moved_on=True, accounts=0, api_keys=0, differences=())
    said, true = predicted(transfer), true_now(transfer.destination, now)
    everybody = said.keys() | true.keys()
    wrong = [key for key in everybody if said.get(key, frozenset()) != true.get(key, frozenset())]
    return Proof(
        transfer,
        now,
        moved_on=False,
        accounts=sum(kind == "account" for kind, _ in everybody),
        api_keys=sum(kind == "api_key" for kind, _ in everybody),
        differences=_explained(transfer, wrong, said, true, now) if wrong else (),
    )


def predicted(transfer: Transfer) -> Rights:
    """Who was to hold which rights, as stored with the move."""
    document = transfer.prediction
    rights: Rights = {(one["kind"], UUID(one["id"])): frozenset(one["after"]) for one in document["identities"]}
    administrators = document["platform_administrators"]
    return rights | {("account", UUID(pk)): frozenset(permissions.PERMISSIONS) for pk in administrators}


def true_now(project: Project, now: datetime) -> Rights:
    """Who holds which rights on `project`: one query for each right, one for administrators and one for keys."""
    held: defaultdict[Key, set[str]] = defaultdict(set)
    for right in permissions.PERMISSIONS:
        granting = Membership.objects.on_project(project).granting(right)
        for account in granting.values_list("account", flat=True):
            held["account", account].add(right)
    for account in platform_administrators():
        held["account", account] |= permissions.PERMISSIONS.keys()
    for key in ApiKey.objects.usable(now).filter(organization=project.organization_id):
        held["api_key", key.pk] |= {right for right in permissions.PERMISSIONS if key.allows(right, project)}
    return {identity: frozenset(rights) for identity, rights in held.items() if rights}


# --- Why it differs ---------------------------------------------------------------------------------------------------
ROOT = "platform administrator"


@dataclass(frozen=True, slots=True)
class Standing:
    """What an identity is, in the words of a role, and the rights that the rules give it for that."""

    role: str
    rights: frozenset[str]


def _explained(
    transfer: Transfer, wrong: list[Key], said: Rights, true: Rights, now: datetime
) -> tuple[Difference, ...]:
    names, then, today = _names(transfer, wrong), _standings_then(transfer), _standings_today(transfer, now)
    nobody = Standing("none", frozenset())
    differences = []
    for key in sorted(wrong, key=lambda key: (*names[key], str(key[1]))):
        name, remark = names[key]
        has, should = true.get(key, frozenset()), said.get(key, frozenset())
        why = _why(then.get(key, nobody), today.get(key, nobody), has, remark)
        missing = tuple(right for right in permissions.PERMISSIONS if right in should - has)
        additional = tuple(right for right in permissions.PERMISSIONS if right in has - should)
        differences.append(Difference(*key, name, missing, additional, why))
    return tuple(differences)


def _why(then: Standing, today: Standing, has: frozenset[str], remark: str) -> str:
    """The rules are asked again, on the roles of today: when they agree with the gates, it is roles that changed."""
    if has != today.rights:
        return "The prediction was wrong."
    if then.role == today.role:
        return f"What the role {then.role} may do has changed since the move."
    return f"Changed since the move: predicted {then.role}, now {today.role}{remark}."


def _standings_then(transfer: Transfer) -> dict[Key, Standing]:
    said, document = predicted(transfer), transfer.prediction
    roles = {(one["kind"], UUID(one["id"])): one["role_after"] for one in document["identities"]}
    return {key: Standing(roles.get(key, ROOT), rights) for key, rights in said.items()}


def _standings_today(transfer: Transfer, now: datetime) -> dict[Key, Standing]:
    source, destination = transfer.source, transfer.destination
    standings: dict[Key, Standing] = {
        (effect.identity.kind, effect.identity.id): Standing(effect.role_after, effect.after)
        for effect in effects(identities(source, destination, now), source.pk, destination.pk)
    }
    root = Standing(ROOT, frozenset(permissions.PERMISSIONS))
    return standings | {("account", pk): root for pk in platform_administrators()}


def _names(transfer: Transfer, wrong: list[Key]) -> dict[Key, tuple[str, str]]:
    """Of each what it is called, and a remark when it cannot act at all any more."""
    known = {(one["kind"], UUID(one["id"])): one["name"] for one in transfer.prediction["identities"]}
    names = {key: (known.get(key, "Somebody deleted since"), ", deleted") for key in wrong}
    for person in Account.objects.filter(pk__in=[pk for kind, pk in wrong if kind == "account"]):
        names["account", person.pk] = str(person), "" if person.is_active else ", not active"
    for key in ApiKey.objects.filter(pk__in=[pk for kind, pk in wrong if kind == "api_key"]):
        names["api_key", key.pk] = key.name, ", revoked" if key.revoked_at else ""
    return names
