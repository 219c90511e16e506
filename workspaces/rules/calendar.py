"""Hours of the week in which more windows open than may run at once, and the moves that clear them.

When windows open and what they do is `planner`; who goes first is `places`. This module only counts and proposes.
An hour of the week is a weekday (0 is Monday) and an hour of the day in UTC; windows without a management cluster
(bare metal) count for the platform alone.
"""

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from workspaces.rules.places import Candidate, Places

Cluster = Hashable | None
Slot = tuple[int, int]  # weekday, hour
Load = Mapping[Slot, Counter[Cluster]]

WORKING_HOURS = range(8, 18)  # Monday to Friday, on the reader's clock


@dataclass(frozen=True, slots=True)
class Limits:
    """How many windows may run at once: on the platform, and on each management cluster."""

    platform: int
    cluster: int

    def places(self, taken: Counter[Cluster] | None = None) -> Places:
        """The places that `taken` leaves, counted as the scheduler counts them."""
        return Places(self.platform, self.cluster, Counter(taken or ()))


@dataclass(frozen=True, slots=True)
class Clash:
    """An hour over its limit. `windows` of `limit` on the platform or, when that is within its limit, on `cluster`.

    `late` windows find no place when the hour begins. `crowded` are the clusters over theirs.
    """

    slot: Slot
    windows: int
    limit: int
    cluster: Cluster
    late: int
    crowded: frozenset[Cluster]

    @property
    def on_platform(self) -> bool:
        """Whether the platform's own limit is exceeded, and with it every window of the hour is touched."""
        return self.cluster is None

    def touches(self, cluster: Cluster) -> bool:
        """Whether a window on `cluster` may have to wait in this hour."""
        return self.on_platform or cluster in self.crowded


@dataclass(frozen=True, slots=True)
class Move:
    """One window of a workspace (`key` is its candidate's) to another hour of the same weekday."""

    key: str
    weekday: int
    from_hour: int
    to_hour: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """The moves that bring an hour to its limit, and the keys for which no hour of that day has a place left."""

    moves: tuple[Move, ...]
    without_room: tuple[str, ...]

    @property
    def hours(self) -> tuple[int, ...]:
        """The hours that the windows move to."""
        return tuple(sorted({move.to_hour for move in self.moves}))


def clash(slot: Slot, windows: Counter[Cluster], limits: Limits) -> Clash | None:
    """How an hour is over its limit; None when it is not."""
    total = windows.total()
    crowded = frozenset(c for c, count in windows.items() if c is not None and count > limits.cluster)
    if total <= limits.platform and not crowded:
        return None
    begun = sum(count if c is None else min(count, limits.cluster) for c, count in windows.items())
    late = total - min(begun, limits.platform)
    if total > limits.platform:
        return Clash(slot, total, limits.platform, None, late, crowded)
    fullest = max(crowded, key=lambda c: (windows[c], str(c)))
    return Clash(slot, windows[fullest], limits.cluster, fullest, late, crowded)


def clashes(load: Load, limits: Limits) -> dict[Slot, Clash]:
    """Every hour of the load that is over its limit."""
    found = ((slot, clash(slot, windows, limits)) for slot, windows in load.items())
    return {slot: over for slot, over in found if over is not None}


def late(queue: Iterable[Candidate], limits: Limits) -> list[Candidate]:
    """Those of a fair queue that find every place taken when the hour begins."""
    places, waiting = limits.places(), []
    for one in queue:
        if places.full(one.cluster):
            waiting.append(one)
        else:
            places.take(one.cluster)
    return waiting


def propose(
    slot: Slot, queue: Sequence[Candidate], load: Load, limits: Limits, avoid: Collection[int] = ()
) -> Proposal:
    """Moves for those of `queue` (all windows of the hour, in fair order) that come late.

    Each goes to the nearest hour of the day that has a place, a later one before an earlier one as far away; to an hour
    in `avoid` only when no other is left. No move brings an hour over its limit. The same question has the same answer.
    """
    weekday, at = slot
    nearest = sorted(set(range(24)) - {at}, key=lambda hour: (hour in avoid, abs(hour - at), hour < at))
    hours = [(hour, limits.places(load.get((weekday, hour)))) for hour in nearest]
    moves, without_room = [], []
    for one in late(queue, limits):
        # Hours without a place for anybody are asked only once, however long the queue is.
        hours = [(hour, places) for hour, places in hours if not places.full(None)]
        found = next(((hour, places) for hour, places in hours if not places.full(one.cluster)), None)
        if found is None:
            without_room.append(one.key)
            continue
        to_hour, places = found
        places.take(one.cluster)
        moves.append(Move(one.key, weekday, at, to_hour))
    return Proposal(tuple(moves), tuple(without_room))


def unwelcome_hours(day: datetime, zone: str, now: datetime) -> frozenset[int]:
    """Hours (UTC) of the day that begins at `day` to move windows to last: working hours there, and what is past."""
    hours = [(hour, day.astimezone(UTC) + timedelta(hours=hour)) for hour in range(24)]
    return frozenset(hour for hour, at in hours if at <= now or _at_work(at.astimezone(ZoneInfo(zone))))


def _at_work(local: datetime) -> bool:
    return local.weekday() < 5 and local.hour in WORKING_HOURS
