"""Workspaces that are not as wanted, by the most likely cause: counted for whole fleets, named for the first of each.

The pages of single workspaces look closer (`models/diagnosis.py`); here one query tells ten thousand apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Case, CharField, Count, Exists, F, OuterRef, Q, Value, When, Window
from django.db.models.functions import Concat, RowNumber

from workspaces.models import DnsRecord, Drift, Host, Look
from workspaces.models.workspace import WorkspaceQuerySet, too_old
from workspaces.operations.looks import LOOKED_AT
from workspaces.rules import lifecycle, trouble
from workspaces.rules.looks import DNS, SERVERS
from workspaces.views.look_lines import TROUBLES

NAMED: Final = 5
WELL: Final = ""
# Cause, what it is called, tone, who can do something about it ("" as its class says). The first that fits counts.
CAUSES: Final[dict[str, tuple[str, lifecycle.Tone, str]]] = {
    "error": ("In error", "bad", "An administrator, on the page of the workspace."),
    "gated": ("Gated", "warn", "Whoever holds what has not converged; the page of the workspace names it."),
    "management": ("Management cluster cannot be asked", "bad", ""),
    "cloud": ("Cloud account cannot be asked", "bad", ""),
    "tenant": ("Its own API or hosts cannot be asked", "bad", ""),
    "late": ("Not looked at in time", "warn", trouble.who_can_fix("overdue")),
    "fought": ("Fought by another writer", "warn", "An operator, by a decision, and whoever runs the other writer."),
    "decide": ("Drift waits for a decision", "warn", "An operator, by a decision."),
    "attention": ("Needs attention for another reason", "warn", "The page of the workspace says."),
}


@dataclass(frozen=True, slots=True)
class Named:
    """A workspace of a group: what it says itself."""

    pk: UUID
    name: str
    project: str
    attention: str


@dataclass(frozen=True, slots=True)
class Group:
    """Workspaces with the same cause and class of trouble; `first` are the first by name."""

    cause: str
    code: str
    label: str
    tone: lifecycle.Tone
    who_can_fix: str
    count: int
    first: list[Named]

    @property
    def more(self) -> int:
        """How many are not named."""
        return self.count - len(self.first)


def groups(here: WorkspaceQuerySet, failing: Iterable[Look], now: datetime) -> list[Group]:
    """The workspaces that are not well by cause, in the order of CAUSES (one query).

    `failing` are the felt looks at provider accounts, which the page has read already.
    """
    found = _judged(here, failing, now).exclude(cause=WELL)
    by_name = Window(RowNumber(), partition_by=F("cause"), order_by=(F("name").asc(), F("pk").asc()))
    all_of_it = Window(Count("pk"), partition_by=F("cause"))
    rows = found.annotate(place=by_name, number=all_of_it).filter(place__lte=NAMED).order_by("cause", "place")
    made: dict[str, Group] = {}
    for key, number, *columns in rows.values_list("cause", "number", "pk", "name", "project__name", "attention"):
        made.setdefault(key, _group(key, number)).first.append(Named(*columns))
    order = list(CAUSES)
    return sorted(made.values(), key=lambda group: (order.index(group.cause), -group.count, group.code))


def _group(key: str, number: int) -> Group:
    cause, _, code = key.partition(".")
    label, tone, who = CAUSES[cause]
    said = f"{label}: {TROUBLES.get(code, code).lower()}" if code else label
    return Group(cause, code, said, tone, who or trouble.who_can_fix(code), number, [])


def _judged(here: WorkspaceQuerySet, failing: Iterable[Look], now: datetime) -> Any:
    """Those that are looked at, each with its `cause`: a key of CAUSES, with the class of trouble behind a dot."""
    its_own = Look.objects.filter(workspace=OuterRef("pk"), felt=True)
    drift = Drift.objects.needs_decision().filter(workspace=OuterRef("pk"))
    cause = Case(
        When(state="error", then=Value("error")),
        When(state="gated", then=Value("gated")),
        When(
            ~Q(management_cluster__error_code="") & Q(management_cluster__isnull=False),
            then=Concat(Value("management."), F("management_cluster__error_code")),
        ),
        *_on_failing_accounts(failing),
        When(~Q(look_error_code=""), then=Concat(Value("tenant."), F("look_error_code"))),
        When(too_old(now) | Exists(its_own), then=Value("late")),
        When(Exists(drift.filter(fought=True)), then=Value("fought")),
        When(Exists(drift), then=Value("decide")),
        When(~Q(attention=""), then=Value("attention")),
        default=Value(WELL),
        output_field=CharField(),
    )
    return here.filter(state__in=LOOKED_AT).annotate(cause=cause)


def _on_failing_accounts(failing: Iterable[Look]) -> list[When]:
    """For each class of trouble: a host, or a DNS record, in an account that cannot be asked for it."""
    accounts: dict[tuple[str, str], list[UUID]] = {}
    for look in failing:
        if look.provider_account_id:
            accounts.setdefault((look.error_code, look.kind), []).append(look.provider_account_id)
    rows = {SERVERS: Host.objects.all(), DNS: DnsRecord.objects.all()}
    return [
        When(
            Exists(rows[kind].filter(workspace=OuterRef("pk"), provider_account__in=keys)), then=Value(f"cloud.{code}")
        )
        for (code, kind), keys in sorted(accounts.items())
    ]
