"""The loops of the fleet: those at management clusters and provider accounts one by one, those at workspaces counted.

A reader is told of the clusters that host a workspace they see, and of the accounts of organizations they belong to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import (
    Case,
    Count,
    DurationField,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Coalesce

from workspaces.models import Account, DnsRecord, Host, Look
from workspaces.models.left_servers import accounts_seen
from workspaces.models.workspace import WorkspaceQuerySet
from workspaces.rules import looks
from workspaces.views.look_lines import LookLine, line_of, pace

SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class TargetLine:
    """A loop at a management cluster or an account, the account’s organization, and how many workspaces it affects.

    `affected` counts those the reader sees, in the chosen place; 0 where it goes well.
    """

    line: LookLine
    organization: str
    affected: int


@dataclass(frozen=True, slots=True)
class KindLine:
    """The loops of one kind at single workspaces: how many there are, and how many of them do not go well."""

    kind: str
    name: str
    every: str
    count: int
    failing: int
    trying: int
    late: int

    @property
    def well(self) -> int:
        """How many answer, and lately did."""
        return self.count - self.failing - self.trying - self.late


def late(now: datetime) -> Q:
    """The condition that what a look saw is too old to be called present, as `Look.is_fresh` has it."""
    age = ExpressionWrapper(F("every") * Value(timedelta(seconds=looks.PERIODS)), output_field=DurationField())
    return Q(succeeded_at=None) | Q(succeeded_at__lte=Value(now) - age)


def target_lines(
    account: Account, here: WorkspaceQuerySet, organization: UUID | None, now: datetime
) -> list[TargetLine]:
    """The loops at clusters and accounts, what does not go well first (one query); one more than are shown."""
    accounts = accounts_seen(account).order_by()
    if organization is not None:
        accounts = accounts.filter(organization=organization)
    clusters = here.exclude(management_cluster=None).order_by().values("management_cluster")
    rows = Look.objects.filter(
        Q(management_cluster__in=clusters) | Q(provider_account__in=accounts.values("pk"))
    ).annotate(affected=_affected(here, now), urgency=_urgency(now))
    related = rows.select_related("management_cluster", "provider_account__organization")
    secrets = ("management_cluster__kubeconfig", "provider_account__token")
    organization_name = F("provider_account__organization__name").asc(nulls_first=True)
    order = ("urgency", organization_name, "management_cluster__name", "provider_account__name")
    return [_target_line(row, now) for row in related.defer(*secrets).order_by(*order, "kind")[: SHOWN + 1]]


def _target_line(look: Any, now: datetime) -> TargetLine:
    account = look.provider_account
    return TargetLine(line_of(look, now), str(account.organization) if account else "", look.affected)


def _urgency(now: datetime) -> Case:
    return Case(
        When(felt=True, then=Value(0)),
        When(~Q(error_code=""), then=Value(1)),
        When(late(now), then=Value(2)),
        default=Value(3),
    )


def _affected(here: WorkspaceQuerySet, now: datetime) -> Case:
    """Of how many workspaces less is known: those on the cluster, with a host of the account, with a record there.

    Counted only for loops that do not go well, which costs a large fleet half a second less.
    """
    # From the account's hosts to their workspaces: the other way round each account would ask about all workspaces.
    inside = {"provider_account": OuterRef("provider_account"), "workspace__in": here.order_by().values("pk")}
    on_cluster = here.filter(management_cluster=OuterRef("management_cluster")).order_by()
    hosts, records = Host.objects.filter(**inside).order_by(), DnsRecord.objects.filter(**inside).order_by()
    return Case(
        When(Q(felt=False, error_code="") & ~late(now), then=Value(0)),
        When(kind=looks.CONTROL_PLANES, then=_number(on_cluster.values("management_cluster"), "pk")),
        When(kind=looks.SERVERS, then=_number(hosts.values("provider_account"), "workspace")),
        When(kind=looks.DNS, then=_number(records.values("provider_account"), "workspace")),
        default=Value(0),
    )


def _number(grouped: Any, of: str) -> Coalesce:
    return Coalesce(Subquery(grouped.annotate(number=Count(of, distinct=True)).values("number")), 0)


def kind_lines(here: WorkspaceQuerySet, now: datetime) -> list[KindLine]:
    """The loops at single workspaces by kind (one query). Each counts once: failing before trying again before late."""
    kinds = [kind for kind, loop in looks.LOOPS.items() if loop.target == "workspace"]
    trying = Q(felt=False) & ~Q(error_code="")
    rows = (
        Look.objects.filter(workspace__in=here.order_by().values("pk"), kind__in=kinds)
        .values_list("kind", "every")
        .annotate(
            count=Count("pk"),
            failing=Count("pk", filter=Q(felt=True)),
            trying=Count("pk", filter=trying),
            late=Count("pk", filter=Q(felt=False, error_code="") & late(now)),
        )
    )
    return [_kind_line(kind, [row[1:] for row in rows if row[0] == kind]) for kind in kinds]


def _kind_line(kind: str, rows: Sequence[tuple[float, int, int, int, int]]) -> KindLine:
    """One line of what usually is one row: while the pace changes there are two."""
    every = max((row[0] for row in rows), default=0.0)
    sums = [sum(row[n] for row in rows) for n in range(1, 5)]
    return KindLine(kind, looks.LOOPS[kind].label, pace(every) if rows else "", *sums)  # type: ignore[arg-type]
