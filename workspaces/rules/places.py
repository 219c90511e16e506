"""Who goes first when more work may start than may run at the same time, and how many places there are.

The priority lane goes first. Within a lane the organizations take turns, so that one with a thousand workspaces does
not keep the others waiting; within an organization whoever has waited longest since its last run goes first.
"""

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Work that may start: its key, its workspace's name (which breaks ties), whose it is, and when it last ran."""

    key: str
    name: str
    lane: str
    organization: Hashable
    cluster: Hashable | None
    last_run: datetime | None = None


def fair_order(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates in the order in which they take free places; it does not depend on the order they come in."""
    turns: Counter[tuple[str, Hashable]] = Counter()
    placed: list[tuple[tuple[bool, int, datetime, str, str], Candidate]] = []
    for one in sorted(candidates, key=lambda one: (one.last_run or _NEVER, one.name, one.key)):
        turn = turns[one.lane, one.organization]
        turns[one.lane, one.organization] += 1
        placed.append(((one.lane != "priority", turn, one.last_run or _NEVER, one.name, one.key), one))
    return [one for _, one in sorted(placed, key=lambda pair: pair[0])]


@dataclass
class Places:
    """The places that are left: on the platform, and on each management cluster. Bare metal counts on no cluster."""

    limit: int
    limit_per_cluster: int
    running: Counter[Hashable | None] = field(default_factory=Counter)

    def full(self, cluster: Hashable | None) -> str:
        """Which limit keeps work on `cluster` waiting, in a sentence; empty when there is a place."""
        if self.running.total() >= self.limit:
            return f"The platform runs {self.limit} at the same time, and all places are taken."
        if cluster is not None and self.running[cluster] >= self.limit_per_cluster:
            return f"Its management cluster runs {self.limit_per_cluster} at the same time, and all places are taken."
        return ""

    def take(self, cluster: Hashable | None) -> None:
        """One place less."""
        self.running[cluster] += 1
