"""Drift as lines of a table: what differs, who changed it, and what happens next or what a person may decide.

What may be decided is `rules/drift_words.py`; deciding, `views/drift.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Case, Exists, F, OuterRef, Q, Value, When

from workspaces.models import Drift, Look, Operation, Workspace
from workspaces.rules import drift_words, lifecycle, looks
from workspaces.templatetags.console import until

# Which loop sees, and sets back, each kind.
LOOPS: Final = {
    "control_plane": looks.CONTROL_PLANES,
    "host": looks.SERVERS,
    "node": looks.CLUSTER,
    "dns": looks.DNS,
    "seed": looks.SEEDING,
}
KEPT: Final = timedelta(days=7)
OPEN_SHOWN, ENDED_SHOWN = 30, 15
ENDINGS: Final = {"repaired": "Set back", "accepted": "Accepted", "gone": "Went away by itself"}


@dataclass(frozen=True, slots=True)
class DriftLine:
    """A field that is not as wanted. `tag` names what is special, `happens` says what is next, `choices` may be taken.

    `barred` says why one of the two choices is not there, where a person is asked.
    """

    drift: Drift
    field: str
    wanted: str
    seen: str
    tag: str
    happens: str
    choices: tuple[str, ...]
    barred: tuple[str, ...]

    @property
    def asks(self) -> bool:
        """Whether a person has to decide."""
        return bool(self.choices) and self.drift.policy == "decide"


@dataclass(frozen=True, slots=True)
class EndedLine:
    """A field that was not as wanted and is no more, with how it ended."""

    drift: Drift
    field: str
    wanted: str
    seen: str
    ending: str


@dataclass(frozen=True, slots=True)
class DriftSeen:
    """Of one workspace: what is open, what waits for a person first and then the longest; what has ended lately.

    `more_open`: there is more than is shown. `busy`: an operation is under way.
    """

    open: list[Drift]
    ended: list[Drift]
    more_open: bool
    busy: bool

    @property
    def asking(self) -> list[Drift]:
        """Those that wait for a person."""
        return [one for one in self.open if one.policy == "decide" and not one.decision]

    @property
    def since(self) -> datetime | None:
        """Since when something is not as wanted."""
        return min((one.since for one in self.open), default=None)


def drift_of(workspace: Workspace, now: datetime) -> DriftSeen:
    """What is and was not as wanted in the workspace (one query)."""
    lately = Drift.objects.filter(Q(ended_at=None) | Q(ended_at__gte=now - KEPT), workspace=workspace)
    running = Exists(Operation.objects.open().filter(workspace=OuterRef("workspace")))
    # What is open comes first, so that what has ended never takes its place; and first what waits for a person.
    waits = Case(When(policy="decide", decision="", then=Value(0)), default=Value(1))
    order = (F("ended_at").desc(nulls_first=True), waits, "since", "subject", "field")
    rows = list(lately.annotate(busy=running).order_by(*order)[: OPEN_SHOWN + ENDED_SHOWN + 1])
    still = [row for row in rows if row.ended_at is None]
    return DriftSeen(
        open=still[:OPEN_SHOWN],
        ended=[row for row in rows if row.ended_at is not None][:ENDED_SHOWN],
        more_open=len(still) > OPEN_SHOWN,
        busy=any(row.busy for row in still),  # type: ignore[attr-defined]
    )


def open_lines(
    seen: DriftSeen, workspace: Workspace, due: Mapping[str, Look], protected: frozenset[str], now: datetime
) -> list[DriftLine]:
    """The open ones as lines. `due` has the looks by kind, `protected` the keys of seeds that nothing may replace."""
    return [_line(one, workspace, seen.busy, due.get(LOOPS[one.kind]), one.ref in protected, now) for one in seen.open]


def _line(
    drift: Drift, workspace: Workspace, busy: bool, due: Look | None, protected: bool, now: datetime
) -> DriftLine:
    asked = drift.policy != "repair" and not drift.decision
    # Once setting it back has failed, another decision may be better.
    open_to = drift.policy != "repair" and (asked or bool(drift.error))
    choices = _choices(drift, workspace, protected) if open_to and not busy else ()
    return DriftLine(
        drift=drift,
        field=drift_words.field_in_words(drift.kind, drift.field),
        wanted=drift_words.value_in_words(drift.kind, drift.field, drift.wanted),
        seen=drift_words.value_in_words(drift.kind, drift.field, drift.seen),
        tag=_tag(drift, asked=asked),
        happens=drift.reason if asked else _happens(drift, workspace, busy, due, now),
        choices=choices,
        barred=_barred(drift, workspace, busy, protected) if open_to else (),
    )


def _choices(drift: Drift, workspace: Workspace, protected: bool) -> tuple[str, ...]:
    """What would not be refused now."""
    values = (drift.wanted, drift.seen)
    found = drift_words.choices(drift.kind, drift.field, drift.policy, *values, protected=protected)
    return found if workspace.state in lifecycle.SET_BACK_IN else tuple(one for one in found if one != "converge")


def _tag(drift: Drift, *, asked: bool) -> str:
    if drift.fought:
        return "fought by another writer"
    return "needs a decision" if asked and drift.policy == "decide" else ""


def _happens(drift: Drift, workspace: Workspace, busy: bool, due: Look | None, now: datetime) -> str:
    if workspace.state not in lifecycle.SET_BACK_IN:
        return f"Nothing while the workspace is {_state(workspace)}."
    if busy:
        return "Set back when the operation that runs has ended."
    when = f", {until(due.due_at, now)}" if due and due.due_at > now else ""
    decided = f", as {drift.decided_by} decided" if drift.decision and drift.decided_by else ""
    return f"Set back at the next look{when}{decided}."


def _barred(drift: Drift, workspace: Workspace, busy: bool, protected: bool) -> tuple[str, ...]:
    """Why a choice is not offered, where the reason of the drift does not say so already."""
    if busy:
        return ("It can be decided when the operation that runs has ended.",)
    said = []
    if drift.fought or not drift.reason:
        values = (drift.wanted, drift.seen)
        said.append(drift_words.why_not_set_back(drift.kind, drift.field, drift.policy, *values))
    if workspace.state not in lifecycle.SET_BACK_IN:
        said.append(f"Nothing is set back while the workspace is {_state(workspace)}.")
    if protected:
        said.append("Its manifest is protected: what differs from it cannot be accepted.")
    elif drift.policy == "decide":
        said.append(drift_words.why_not_accepted(drift.kind, drift.field, drift.seen))
    return tuple(sentence for sentence in said if sentence)


def _state(workspace: Workspace) -> str:
    return lifecycle.WORKSPACE[workspace.state].label.lower()


def ended_lines(seen: DriftSeen) -> list[EndedLine]:
    """What has ended as lines."""
    return [
        EndedLine(
            drift=one,
            field=drift_words.field_in_words(one.kind, one.field),
            wanted=drift_words.value_in_words(one.kind, one.field, one.wanted),
            seen=drift_words.value_in_words(one.kind, one.field, one.seen),
            ending=_ending(one),
        )
        for one in seen.ended
    ]


def _ending(drift: Drift) -> str:
    by = f" by {drift.decided_by}" if drift.ending == "accepted" and drift.decided_by else ""
    decided = f", as {drift.decided_by} decided" if drift.ending == "repaired" and drift.decision else ""
    times = f", the {_ordinal(drift.repairs)} time" if drift.ending == "repaired" and drift.repairs > 1 else ""
    return f"{ENDINGS.get(drift.ending, 'Ended')}{by}{decided}{times}"


def _ordinal(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")
