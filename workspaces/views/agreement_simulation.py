"""The question "what would this workspace pay" of an agreement's page: what was asked, and the answer in rows.

The prices are those of `models/agreement_quote.py`; a price that is not known is named and never counted as nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db.models import Q
from django.http import HttpRequest

from workspaces.models import BillingAgreement
from workspaces.models.agreement_quote import MONTHLY_TOTAL, SimulatedHost, SimulatedLine, Simulation, Total, simulate
from workspaces.rules.ids import as_id
from workspaces.views import agreement_words as words
from workspaces.views.access import visible_workspaces
from workspaces.views.money import difference, money, set_by

# Beyond this many workspaces a name is typed, not chosen; so many names of alike hosts are told.
CHOICES, NAMES = 200, 5
_SUMS = {"setup": "Setup, once each", "backup": "Backup, where it is switched on", MONTHLY_TOTAL: "A month at most"}


@dataclass(frozen=True, slots=True)
class Line:
    """A component of a host: amounts in words; `before` is what is paid without the agreement."""

    component: str
    list: str
    before: str
    before_by: str
    under: str
    under_by: str
    difference: str
    tone: str


@dataclass(frozen=True, slots=True)
class Group:
    """Hosts that are alike, and what one of them pays."""

    hosts: int
    names: str
    profile: str
    location: str
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class Sum:
    """What all hosts whose price is known pay together."""

    what: str
    whole: bool
    list: str
    before: str
    under: str
    difference: str
    tone: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The hosts by kind, the sums, and the hosts whose price is not known."""

    seen: Simulation
    day: str
    groups: list[Group]
    sums: list[Sum]
    unknown: list[str]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked; `errors` by field, and what was typed as it was typed. Without a workspace there is no answer."""

    choices: list[tuple[str, str]]
    typed: bool
    workspace: str
    on: str
    errors: dict[str, str]
    answer: Answer | None

    @property
    def status(self) -> int:
        """Of the page that shows it."""
        return 422 if self.errors else 200


def simulated(request: HttpRequest, agreement: BillingAgreement, proposed: date) -> Question:
    """The question of the address, with `proposed` as its day when it names none."""
    mine = visible_workspaces(request).filter(project__organization=agreement.organization_id)
    choices = list(mine.order_by("name").values_list("pk", "name")[: CHOICES + 1])
    asked, on = (request.GET.get(name, "").replace("\0", "").strip()[:100] for name in ("workspace", "on"))
    chosen = mine.filter(_named(asked)).select_related("project").first() if asked else None
    day, errors = proposed, {}
    if asked and chosen is None:
        errors["workspace"] = f"You see no workspace of {agreement.organization} with this name or id"
    try:
        day = date.fromisoformat(on) if on else proposed
    except ValueError:
        errors["on"] = f"Enter a day such as {proposed.isoformat()}"
    return Question(
        choices=[(str(pk), name) for pk, name in choices],
        typed=len(choices) > CHOICES,
        workspace=asked,
        on=on if "on" in errors else day.isoformat(),
        errors=errors,
        answer=_answer(simulate(agreement, chosen, day)) if chosen and not errors else None,
    )


def _named(text: str) -> Q:
    pk = as_id(text)
    return Q(pk=pk) if pk else Q(name=text)


# --- The answer -------------------------------------------------------------------------------------------------------
def _answer(seen: Simulation) -> Answer:
    return Answer(
        seen=seen,
        day=words.day(seen.day),
        groups=_groups(seen.hosts),
        sums=[_sum(one) for one in seen.totals if one.component in _SUMS and _asks(one.list, one.without, one.under)],
        unknown=[
            f"{host.name} ({host.profile or 'profile not known'}{f' in {host.location}' if host.location else ''})"
            for host in seen.unknown
        ],
    )


def _groups(hosts: Iterable[SimulatedHost]) -> list[Group]:
    """Hosts of the same profile, location and prices in one group, in the order of their names."""
    alike: dict[tuple[object, ...], list[SimulatedHost]] = {}
    for host in hosts:
        alike.setdefault((host.profile, host.location, host.lines), []).append(host)
    return [
        Group(
            hosts=len(same),
            names=_some([host.name for host in same]),
            profile=same[0].profile,
            location=same[0].location,
            lines=[_line(line) for line in same[0].lines if _asks(line.list, line.without.agreed, line.under.agreed)],
        )
        for same in alike.values()
    ]


def _some(names: list[str]) -> str:
    more = len(names) - NAMES
    return ", ".join(names[:NAMES]) + (f" and {more} more" if more > 0 else "")


def _line(line: SimulatedLine) -> Line:
    places = words.places(line.component)
    changed = line.under.agreed - line.without.agreed
    return Line(
        component=words.COMPONENTS.get(line.component, line.component),
        list=money(line.list, line.currency, places),
        before=money(line.without.agreed, line.currency, places),
        before_by=set_by(line.without) or "list",
        under=money(line.under.agreed, line.currency, places),
        under_by=set_by(line.under) or "list",
        difference=difference(changed, line.currency, places),
        tone=_tone(changed),
    )


def _sum(one: Total) -> Sum:
    changed = one.under - one.without
    return Sum(
        what=f"{_SUMS[one.component]}, {one.hosts} host{'' if one.hosts == 1 else 's'}",
        whole=one.component == MONTHLY_TOTAL,
        list=money(one.list, one.currency),
        before=money(one.without, one.currency),
        under=money(one.under, one.currency),
        difference=difference(changed, one.currency),
        tone=_tone(changed),
    )


def _asks(*amounts: Decimal) -> bool:
    """Whether somebody asks something: setup mostly costs nothing anywhere."""
    return any(amounts)


def _tone(changed: Decimal) -> str:
    """What is saved is as wanted, what is added should be looked at."""
    return "ok" if changed < 0 else "warn" if changed > 0 else ""
