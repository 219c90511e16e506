"""Reading a stored condition: what the age of the looks it rests on leaves of it.

A condition is written when it changes, not at each look, so it does not know how old it is. None is read as true unless
every look that it rests on is fresh and none of them is felt to fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from workspaces.rules import looks
from workspaces.rules.health_conditions import Condition
from workspaces.rules.health_seen import at, named
from workspaces.rules.lifecycle import Tone
from workspaces.rules.trouble import Trouble, who_can_fix

# The loops whose looks a condition rests on; one that is not here rests on all.
RESTS_ON: Final[Mapping[str, tuple[str, ...]]] = {
    "control_plane": (looks.CONTROL_PLANES,),
    "hosts": (looks.CLUSTER,),
    "servers": (looks.SERVERS,),
    "dns": (looks.DNS,),
    "seeding": (looks.SEEDING,),
    "credentials": (looks.CONTROL_PLANES, looks.CLUSTER, looks.SERVERS),
}
# What does not become untrue because nobody looks: the end of a certificate, and what waits for a person.
AGELESS: Final = frozenset({"ends_soon", "ended", "not_renewed", "needs_decision", "fought"})
FRESH: Final = "fresh"


@dataclass(frozen=True, slots=True)
class LookSeen:
    """A loop over one target: `name` and `key` of what is looked at, its pace in seconds, how the last looks went."""

    kind: str
    key: UUID
    name: str
    every: float
    due_at: datetime
    succeeded_at: datetime | None
    failures: int = 0
    felt: bool = False
    failing_since: datetime | None = None
    trouble: Trouble | None = None
    milliseconds: int | None = None

    def is_fresh(self, now: datetime) -> bool:
        """Whether what it saw may still be called present."""
        return looks.is_fresh(self.succeeded_at, self.every, now)

    def is_blind(self, now: datetime) -> bool:
        """Whether it says nothing about now: it fails, or was made too long ago."""
        return self.felt or not self.is_fresh(now)

    @property
    def is_new(self) -> bool:
        """Whether nothing came of it yet, neither well nor badly."""
        return self.succeeded_at is None and self.trouble is None

    @property
    def title(self) -> str:
        """`Cloud servers of kestrel`."""
        return f"{looks.LOOPS[self.kind].label} of {self.name}"


@dataclass(frozen=True, slots=True)
class Read:
    """A condition as it may be told now; `observed_at` is the oldest of the looks it rests on, None before all were.

    `every` is the pace of the slowest of them in seconds, None where nobody looks.
    """

    condition: Condition
    observed_at: datetime | None
    next_look_at: datetime | None
    every: float | None
    # Set where the age of a look, not the stored judgement, says since when.
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ConditionSeen:
    """A condition, when the looks it rests on were made (the oldest of them) and when the next one is.

    `value` is true, false or unknown; `every` seconds between two looks; `since` None: not known, or nothing is wrong.
    """

    type: str
    name: str
    tone: Tone
    value: str
    reason: str
    message: str
    error_class: str
    who_can_fix: str
    since: datetime | None
    observed_at: datetime | None
    next_look_at: datetime | None
    every: float | None


def read(condition: Condition, found: Sequence[LookSeen], now: datetime, *, looked_at: bool = True) -> Read:
    """The condition with the age of its looks, and "unknown" where they say nothing about now."""
    resting = _resting(condition.type, found)
    aged = _aged(condition, resting, now) if looked_at else _left_alone(condition)
    blind = [look for look in resting if look.is_blind(now)]
    return _read(aged, resting, None if aged is condition else blind_since(blind))


def freshness(found: Sequence[LookSeen], now: datetime, *, looked_at: bool = True) -> Read:
    """The condition that says whether all of this is known: true when every loop has looked within two periods."""
    if not looked_at or not found:
        text = "Nobody has looked at it yet." if looked_at else "Nobody looks at it in this state."
        return _read(Condition(FRESH, "unknown", "not_looked", text), found, None)
    failing = [look for look in found if look.felt]
    late = [look for look in found if not look.is_fresh(now) and not look.felt]
    if failing:
        first = failing[0].trouble or Trouble("overdue", "")
        text = f"{named([look.title for look in failing])} cannot be seen: {first.message}"
        fixer = first.who_can_fix or who_can_fix(first.code)
        return _read(Condition(FRESH, "false", "failing", text, first.code, fixer), found, blind_since(failing))
    if any(look.succeeded_at is None for look in late):
        text = f"Not looked at yet: {named([look.title for look in late if look.succeeded_at is None])}."
        return _read(Condition(FRESH, "unknown", "not_looked", text), found, None)
    if late:
        text = f"Late: {named([_late(look) for look in late])}."
        condition = Condition(FRESH, "false", "late", text, "overdue", who_can_fix("overdue"))
        return _read(condition, found, blind_since(late))
    loops = "1 loop looks" if len(found) == 1 else f"{len(found)} loops look"
    return _read(Condition(FRESH, "true", "fresh", f"{loops} at it in time."), found, None)


def _resting(type_: str, found: Sequence[LookSeen]) -> list[LookSeen]:
    return [look for look in found if look.kind in RESTS_ON.get(type_, tuple(looks.LOOPS))]


def _aged(condition: Condition, resting: Sequence[LookSeen], now: datetime) -> Condition:
    told = condition.value != "true" and (condition.error_class or condition.reason in AGELESS)
    if told or (resting and not any(look.is_blind(now) for look in resting)):
        return condition
    felt = next((look.trouble for look in resting if look.felt and look.trouble), None)
    if felt:
        fixer = felt.who_can_fix or who_can_fix(felt.code)
        return replace(
            condition, value="unknown", reason=felt.code, message=felt.message, error_class=felt.code, who_can_fix=fixer
        )
    seen = [look for look in resting if look.succeeded_at and look.is_blind(now)]
    if not seen:
        return replace(condition, value="unknown", reason="not_looked", message="Not looked at yet.", who_can_fix="")
    said = f"Not looked at in time: {named([_late(look) for look in seen])}."
    if once := next((look.trouble for look in seen if look.trouble), None):
        said = f"{said} The last look failed: {once.message}"
    return replace(
        condition,
        value="unknown",
        reason="not_looked",
        message=said,
        error_class="overdue",
        who_can_fix=who_can_fix("overdue"),
    )


def _left_alone(condition: Condition) -> Condition:
    text = "Nobody looks at it in this state."
    return replace(condition, value="unknown", reason="not_looked", message=text, error_class="", who_can_fix="")


def _late(look: LookSeen) -> str:
    since = f"last seen {at(look.succeeded_at)}" if look.succeeded_at else "never seen"
    return f"{look.title}, {since}, every {look.every:.0f} s wanted"


def blind_since(found: Sequence[LookSeen]) -> datetime | None:
    """Since when the first of them says nothing about now."""
    since = [look.failing_since for look in found if look.failing_since]
    since += [looks.too_old_at(look.succeeded_at, look.every) for look in found if look.succeeded_at]
    return min(since, default=None)


def _read(condition: Condition, resting: Sequence[LookSeen], since: datetime | None) -> Read:
    seen = [look.succeeded_at for look in resting if look.succeeded_at]
    return Read(
        condition,
        observed_at=min(seen) if seen and len(seen) == len(resting) else None,
        next_look_at=min((look.due_at for look in resting), default=None),
        every=max((look.every for look in resting), default=None),
        since=since,
    )
