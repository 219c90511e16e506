"""What a reader asks the decision log for: words in the address, read strictly, and the decisions they mean.

Names are looked for among the workspaces that the reader sees, never in the log: it is long, they are few.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import HttpRequest

from workspaces.models import Account, Decision, Workspace
from workspaces.models.decision import LANES, OUTCOMES

_FILTERS: Final = ("workspace", "organization", "project", "lane", "outcome", "reason", "from", "until")
_MORE: Final = ("lane", "reason", "from", "until")
# The codes that decide a window, by what people look for. Any other code may be named in the address.
REASONS: Final = {
    "hold": "Held",
    "maintenance_off": "Maintenance is off",
    "limit": "No free place",
    "operation_running": "Another operation ran",
    "gated": "Gated by reconciliation",
    "not_active": "Not active",
    "rescheduled": "The window was moved",
    "scheduler_stopped": "The scheduler was stopped",
    "too_late": "Chosen too late",
    "continues": "Went on with paused work",
    "compute_auto_update": "Operating system updates",
    "newer_patch": "A newer Kubernetes patch",
    "flagged": "Flagged by the operator",
    "enforced": "Enforced by the operator",
    "nothing_flagged": "Nothing flagged",
    "no_newer_patch": "No newer patch",
    "hosts_not_manageable": "Hosts that cannot be managed",
}


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page begins: beside the decision of this window and id."""

    opens_at: datetime
    pk: UUID

    @classmethod
    def of(cls, decision: Decision) -> Position:
        """That of a decision."""
        return cls(decision.opens_at, decision.pk)

    def __str__(self) -> str:
        return f"{int(self.opens_at.timestamp())}.{self.pk}"


@dataclass(frozen=True, slots=True)
class DecisionQuery:
    """The filters as words of the address, what they mean, and where the page begins."""

    words: dict[str, str]
    conditions: Q
    places: Q
    before: Position | None = None
    after: Position | None = None
    notes: list[str] = field(default_factory=list)

    def address(self, **more: object) -> str:
        """The query string of the newest page of this list, with `more`."""
        return f"?{urlencode(self.words | {name: str(value) for name, value in more.items()})}"

    @property
    def asks_more(self) -> bool:
        """Whether one of the filters in the fold is used."""
        return any(name in self.words for name in _MORE)

    def read_by(self, account: Account) -> QuerySet[Decision]:
        """The decisions that the account may read and that this asks for, newest first."""
        found = Decision.objects.filter(self.conditions).order_by("-opens_at", "-id")
        if account.is_superuser and not self.places:
            return found
        seen = Workspace.objects.allowing(account).filter(self.places)
        return found.filter(workspace__in=seen.values("pk"))


def parse(request: HttpRequest) -> DecisionQuery:
    """The query of a request. Words that mean nothing are left out with a note; ids are not looked up."""
    asked = {name: request.GET.get(name, "").replace("\0", "").strip()[:100] for name in _FILTERS}
    words, notes = {name: word for name, word in asked.items() if word}, list[str]()
    places = {
        "project__organization": _read(words, notes, "organization", UUID, "the id of an organization"),
        "project": _read(words, notes, "project", UUID, "the id of a project"),
    }
    conditions = {
        "lane": _read(words, notes, "lane", _among(LANES), "a lane"),
        "outcome": _read(words, notes, "outcome", _among(OUTCOMES), "an outcome"),
        "reason": _read(words, notes, "reason", _code, "a reason’s code"),
        "opens_at__gte": _read(words, notes, "from", _midnight, "a date such as 2026-11-24"),
        "opens_at__lt": _read(words, notes, "until", _midnight, "a date such as 2026-11-24"),
    }
    return DecisionQuery(
        words=words,
        conditions=_all_of(conditions),
        places=_all_of(places) & _named(words.get("workspace", "")),
        before=_position(request, "before"),
        after=_position(request, "after"),
        notes=notes,
    )


def _all_of(conditions: dict[str, Any]) -> Q:
    return Q(**{lookup: value for lookup, value in conditions.items() if value is not None})


def _named(text: str) -> Q:
    """A workspace by its id or by a part of its name."""
    if not text:
        return Q()
    try:
        return Q(pk=UUID(text))
    except ValueError:
        return Q(name__icontains=text)


def _read[T](words: dict[str, str], notes: list[str], name: str, read: Callable[[str], T], noun: str) -> T | None:
    """The word as a value; one that is none is taken out of `words` and noted."""
    if name not in words:
        return None
    try:
        return read(words[name])
    except (ValueError, KeyError):
        notes.append(f"“{words.pop(name)[:40]}” is not {noun}, so it is left out.")
        return None


def _among(choices: list[tuple[str, str]]) -> Callable[[str], str]:
    return {value: value for value, _ in choices}.__getitem__


def _code(text: str) -> str:
    if not re.fullmatch(r"[a-z_]{1,40}", text):
        raise ValueError(text)
    return text


def _midnight(text: str) -> datetime:
    return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)


def _position(request: HttpRequest, name: str) -> Position | None:
    seconds, _, pk = request.GET.get(name, "").partition(".")
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 10):
        return None
    try:
        return Position(datetime.fromtimestamp(int(seconds), UTC), UUID(pk))
    except ValueError:
        return None
