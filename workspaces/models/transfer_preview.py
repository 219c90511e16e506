"""What moving a workspace to another project would change: read, judged by `rules/transfer.py`, and told.

Nothing is changed here. The move is `transfer.py`, and whether the prediction came true `transfer_proof.py`.
"""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from workspaces.models.api_key import ApiKey
from workspaces.models.hold import Hold
from workspaces.models.kubeconfig import Kubeconfig
from workspaces.models.operation import Operation
from workspaces.models.price_list import HostPrice, lines_of
from workspaces.models.tenancy import Account, Membership, Project
from workspaces.models.workspace import Workspace
from workspaces.rules.pricing import PriceLine
from workspaces.rules.refusal import Refused
from workspaces.rules.transfer import Effect, Grant, Identity, Move, effects, refuse_transfer


@dataclass(frozen=True, slots=True)
class HandedOut:
    """A kubeconfig outside, which stays valid; `holder_loses` when who took it loses access by the move."""

    row: Kubeconfig
    holder_loses: bool


@dataclass(frozen=True, slots=True)
class PricePair:
    """What one host costs now and after the move, each computed for its project."""

    before: HostPrice
    after: HostPrice

    @property
    def changes(self) -> bool:
        """Whether the move changes what it costs."""
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class Preview:
    """The move of `workspace` from `source` to `destination` as it would be at `at`; `refused` when it may not be."""

    workspace: Workspace
    source: Project
    destination: Project
    at: datetime
    refused: Refused | None
    effects: tuple[Effect, ...]
    administrators: tuple[UUID, ...]  # of the platform, who reach it before and after
    kubeconfigs: tuple[HandedOut, ...]
    prices: tuple[PricePair, ...]
    holds_ending: tuple[Hold, ...]
    holds_beginning: tuple[Hold, ...]

    @property
    def losing(self) -> tuple[Effect, ...]:
        """Who loses access altogether."""
        return tuple(effect for effect in self.effects if effect.change == "loses_access")

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what a person decides on: the places, everybody's rights, what stays valid, holds, and refusal.

        When a key was last used and what prices do by themselves do not matter; a price that the move changes does.
        """
        matters = {
            "workspace": [self.workspace.pk, self.workspace.name],
            "projects": [[p.pk, p.name, p.cost_center] for p in (self.source, self.destination)],
            "refused": [self.refused.code, dict(self.refused.evidence)] if self.refused else None,
            "rights": [[e.identity.kind, e.identity.id, sorted(e.before), sorted(e.after)] for e in self.effects],
            "administrators": self.administrators,
            "kubeconfigs": [one.row.pk for one in self.kubeconfigs],
            "holds": [[hold.pk, hold.expires_at] for hold in (*self.holds_ending, *self.holds_beginning)],
            "prices": [[str(pair.before), str(pair.after)] for pair in self.prices if pair.changes],
        }
        return hashlib.sha256(json.dumps(matters, default=str, sort_keys=True).encode()).hexdigest()

    def document(self) -> dict[str, Any]:
        """All of it as plain JSON: what the API answers, and what is stored with the move as its prediction."""
        return {
            "workspace": {"id": str(self.workspace.pk), "name": self.workspace.name},
            "source": _project(self.source),
            "destination": _project(self.destination),
            "at": _time(self.at),
            "refused": {"code": self.refused.code, "message": self.refused.message} if self.refused else None,
            "identities": [_identity(effect) for effect in self.effects],
            "platform_administrators": [str(pk) for pk in self.administrators],
            "kubeconfigs": [_kubeconfig(one) for one in self.kubeconfigs],
            "prices": [_prices(pair) for pair in self.prices],
            "holds_ending": [_hold(hold) for hold in self.holds_ending],
            "holds_beginning": [_hold(hold) for hold in self.holds_beginning],
        }


def preview(workspace: Workspace, destination: Project, now: datetime) -> Preview:
    """What the move would do (some fifteen queries, whatever the size of the organization).

    `workspace` has its project at hand. A destination of another organization is the caller's mistake (ValueError).
    """
    source = workspace.project
    if destination.organization_id != source.organization_id:
        raise ValueError("A workspace stays in its organization.")
    predicted = effects(identities(source, destination, now), source.pk, destination.pk)
    losing = {effect.identity.id for effect in predicted if effect.change == "loses_access"}
    handed_out = Kubeconfig.objects.valid_outside(now).filter(workspace=workspace).order_by("taken_at", "pk")
    holds = list(Hold.objects.ahead(now).filter(project__in=(source, destination)).order_by("set_at", "pk"))
    return Preview(
        workspace=workspace,
        source=source,
        destination=destination,
        at=now,
        refused=refuse_transfer(_facts(workspace, destination)),
        effects=predicted,
        administrators=platform_administrators(),
        kubeconfigs=tuple(HandedOut(row, row.requested_by_id in losing) for row in handed_out),
        prices=_price_pairs(workspace, destination, now),
        holds_ending=tuple(hold for hold in holds if hold.project_id == source.pk),
        holds_beginning=tuple(hold for hold in holds if hold.project_id == destination.pk != source.pk),
    )


def identities(source: Project, destination: Project, now: datetime) -> list[Identity]:
    """Every account and API key with a grant that counts on one of two projects of an organization (two queries)."""
    counts = Q(project=None) | Q(project__in=(source, destination))
    organization = source.organization_id
    memberships = Membership.objects.filter(
        counts, organization=organization, account__is_active=True, account__is_superuser=False
    ).select_related("account")
    people: dict[UUID, tuple[Account, list[Grant]]] = {}
    for membership in memberships.order_by("pk"):
        _, grants = people.setdefault(membership.account_id, (membership.account, []))
        grants.append(_grant(membership.project_id, membership.role))
    keys = ApiKey.objects.usable(now).filter(counts, organization=organization).select_related("project")
    return [
        *(Identity("account", pk, str(who), who.email, tuple(grants)) for pk, (who, grants) in people.items()),
        *(
            Identity("api_key", key.pk, key.name, _detail(key), (_grant(key.project_id, key.role),))
            for key in keys.order_by("pk")
        ),
    ]


def platform_administrators() -> tuple[UUID, ...]:
    """The accounts that reach everything, by id."""
    return tuple(Account.objects.filter(is_superuser=True, is_active=True).order_by("pk").values_list("pk", flat=True))


def _grant(project: UUID | None, role: str) -> Grant:
    return Grant("project" if project else "organization", project, role)


def _detail(key: ApiKey) -> str:
    used = f"last used {key.last_used_at.astimezone(UTC):%d %b %Y %H:%M} UTC" if key.last_used_at else "never used"
    narrowed = f"narrowed to {key.project}" if key.project else "of the whole organization"
    return f"{key.prefix}, {narrowed}, {used}"


def _facts(workspace: Workspace, destination: Project) -> Move:
    running = Operation.objects.open().filter(workspace=workspace).values_list("pk", "title").first()
    here = Workspace.objects.filter(project=destination).exclude(state="deleted")
    namesake = here.filter(name=workspace.name).exclude(pk=workspace.pk)
    return Move(
        state=workspace.state,
        source=workspace.project_id,
        destination=destination.pk,
        destination_name=destination.name,
        running=running,
        same_name=namesake.values_list("pk", "name").first(),
    )


def _price_pairs(workspace: Workspace, destination: Project, now: datetime) -> tuple[PricePair, ...]:
    """Computed for both projects rather than assumed to be the same."""
    moved = copy.copy(workspace)
    moved.project = destination
    today = now.astimezone(UTC).date()
    after = {price.host: price for price in lines_of(moved, today)}
    return tuple(PricePair(price, after[price.host]) for price in lines_of(workspace, today) if price.host in after)


# --- As JSON ----------------------------------------------------------------------------------------------------------
def _time(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if moment else None


def _project(project: Project) -> dict[str, str]:
    return {"id": str(project.pk), "name": project.name, "cost_center": project.cost_center}


def _identity(effect: Effect) -> dict[str, Any]:
    one = effect.identity
    return {
        "kind": one.kind,
        "id": str(one.id),
        "name": one.name,
        "detail": one.detail,
        "effect": effect.change,
        "role_before": effect.role_before,
        "role_after": effect.role_after,
        "before": sorted(effect.before),
        "after": sorted(effect.after),
        "lost": list(effect.lost),
        "gained": list(effect.gained),
    }


def _kubeconfig(one: HandedOut) -> dict[str, Any]:
    return {
        "id": str(one.row.pk),
        "requested_by": one.row.requested_by,
        "taken_at": _time(one.row.taken_at),
        "certificate_until": _time(one.row.certificate_until),
        "holder_loses_access": one.holder_loses,
    }


def _hold(hold: Hold) -> dict[str, Any]:
    return {"id": str(hold.pk), "reason": hold.reason, "expires_at": _time(hold.expires_at)}


def _prices(pair: PricePair) -> dict[str, Any]:
    host = {"host": pair.before.name, "profile": pair.before.profile, "location": pair.before.location}
    sides = {"before": pair.before, "after": pair.after}
    return host | {
        side: {"hourly": _line(price.hourly), "monthly": _line(price.monthly)} for side, price in sides.items()
    }


def _line(line: PriceLine | None) -> dict[str, str | None] | None:
    """None: the price is not known."""
    if line is None:
        return None
    return {
        "list": f"{line.list:f}",
        "agreed": f"{line.agreed:f}",
        "currency": line.currency,
        "agreement": line.agreement,
        "clause": line.clause,
    }
