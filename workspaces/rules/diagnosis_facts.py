"""What a diagnosis rests on and what it says, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from workspaces.rules import looks
from workspaces.rules.health_freshness import ConditionSeen, LookSeen

# How long the oldest job of a queue may wait before the queue counts as stuck.
LONGEST_WAIT: Final = {
    "operations": timedelta(seconds=60),
    "ticks": timedelta(seconds=60),
    "reconcile": timedelta(seconds=300),
}
# The queues that looking needs.
LOOKING: Final = ("ticks", "reconcile")
# What stands behind the next step: an address that whoever shows it knows.
Link = Literal["account", "management_cluster", "queue", "operation", "drift", ""]
CheckTone = Literal["ok", "warn", "bad", "idle"]


@dataclass(frozen=True, slots=True)
class QueueFact:
    """A queue: jobs that wait, since when the oldest does, and living workers that serve it."""

    name: str
    depth: int
    oldest: datetime | None
    workers: int

    def is_stuck(self, now: datetime) -> bool:
        """Whether its oldest job has waited for longer than it may."""
        return self.oldest is not None and now - self.oldest > LONGEST_WAIT.get(self.name, timedelta(seconds=300))


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """The machinery; `trouble` is why Redis could not be asked, and then the rest means nothing."""

    trouble: str
    scheduler_alive: bool
    queues: Sequence[QueueFact]

    @property
    def unserved(self) -> list[str]:
        """The queues that looking needs and that no living worker serves."""
        return [queue.name for queue in self.queues if queue.name in LOOKING and not queue.workers]


@dataclass(frozen=True, slots=True)
class Facts:
    """A workspace, its conditions as they may be told now, the looks that concern it; `queue` None: not asked.

    `others_answered`: whether another account of the same vendor was answered lately (None: there is none).
    """

    name: str
    type: str
    state: str
    state_reason: str
    attention: str
    attention_tone: str
    conditions: Sequence[ConditionSeen]
    looks: Sequence[LookSeen]
    queue: QueueFacts | None = None
    others_answered: bool | None = None
    failed_operation: UUID | None = None

    def condition(self, type_: str) -> ConditionSeen | None:
        """The condition of that type, if it has one."""
        return next((condition for condition in self.conditions if condition.type == type_), None)

    def look(self, *kinds: str) -> LookSeen | None:
        """Of these loops the look that is worst off: one that fails, else the oldest; None without any."""
        found = [look for look in self.looks if look.kind in kinds]
        return min(found, key=lambda look: (not look.felt, look.trouble is None, _age(look)), default=None)

    def failing(self, *kinds: str) -> LookSeen | None:
        """A look of these loops that is felt to fail."""
        look = self.look(*kinds)
        return look if look and look.felt and look.trouble else None

    def blind(self, now: datetime) -> list[LookSeen]:
        """The looks that say nothing about now."""
        return [look for look in self.looks if look.is_blind(now)]

    def late(self, now: datetime) -> list[LookSeen]:
        """Those that say nothing about now because nobody has looked, as far as is known."""
        overdue = [look for look in self.looks if look.trouble and look.trouble.code == "overdue"]
        return overdue + [look for look in self.looks if look.succeeded_at and not (look.is_fresh(now) or look.felt)]

    @property
    def in_cloud(self) -> bool:
        """Whether anything of it is at a cloud provider."""
        return any(look.kind in (looks.SERVERS, looks.DNS) for look in self.looks)


def _age(look: LookSeen) -> float:
    return look.succeeded_at.timestamp() if look.succeeded_at else 0.0


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause: its code, the sentence, what goes on and what waits, and the check that shows it (see `checks`)."""

    code: str
    headline: str
    explanation: str
    check: str
    since: datetime | None = None
    who_can_fix: str = ""
    next_step: str = ""
    link: Link = ""
    link_pk: UUID | None = None
    tone: Literal["bad", "warn"] = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of evidence: what was checked, how it is, the figure, and whether another check explains it."""

    code: str
    name: str
    tone: CheckTone
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The most likely cause, and the checks it rests on."""

    cause: str
    headline: str
    explanation: str
    since: datetime | None
    who_can_fix: str
    next_step: str
    link: Link
    link_pk: UUID | None
    checks: tuple[Check, ...]
    tone: Literal["bad", "warn"]
