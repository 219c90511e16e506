"""What a rollout does next: whom it starts, what it waits for, when it pauses, and when it is over.

A rollout upgrades its members in order. The canary goes first and alone: the first members that neither were refused
nor have failed. Once all of it has succeeded, and the soak is over, the others follow, so many at a time. A failed
canary pauses the rollout, and so does the limit of failures; a person who continues has looked at them. What a member
is refused for is no failure. How an upgrade is started is `operations/rollouts`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

# Workspaces that a page or one request may select.
MOST: Final = 500
# The least and the most of each setting, by its name.
LIMITS: Final = {"canary": (0, 100), "at_once": (1, 50), "stop_after": (1, 500), "soak_minutes": (0, 7 * 24 * 60)}
_OUT_OF_IT = ("refused", "left_out", "failed")


@dataclass(frozen=True, slots=True)
class Settings:
    """How carefully it goes. `failures_forgiven` are those a person has continued after."""

    canary: int = 1
    at_once: int = 3
    stop_after: int = 1
    soak: timedelta = timedelta()
    failures_forgiven: int = 0


@dataclass(frozen=True, slots=True)
class Member:
    """A workspace's place in it. `waits_for` says what keeps a waiting one from starting now; empty: nothing does."""

    key: Hashable
    state: str
    waits_for: str = ""


@dataclass(frozen=True, slots=True)
class Next:
    """What is done now, and why in a sentence that names nobody; `start` has the keys of `members`."""

    does: Literal["start", "pause", "wait", "finish"]
    sentence: str
    members: tuple[Hashable, ...] = ()


def wrong(settings: dict[str, int]) -> list[tuple[str, str]]:
    """The settings out of bounds: each name with a sentence."""
    return [
        (name, f"Enter a number from {least} to {most}.")
        for name, (least, most) in LIMITS.items()
        if name in settings and not least <= settings[name] <= most
    ]


def canary_of(settings: Settings, members: Sequence[Member]) -> list[Member]:
    """Who goes first: whoever is refused, runs the version already, or has failed gives the place to the next."""
    return [member for member in members if member.state not in _OUT_OF_IT][: settings.canary]


def canary_has_passed(settings: Settings, members: Sequence[Member]) -> bool:
    """Whether all of the canary has succeeded, and nobody has to look at a failure."""
    return not _failures(settings, members) and all(
        member.state == "succeeded" for member in canary_of(settings, members)
    )


def decide(settings: Settings, members: Sequence[Member], canary_passed_at: datetime | None, now: datetime) -> Next:
    """What to do at `now`. `canary_passed_at` is None until `canary_has_passed` has been found true."""
    count = Counter(member.state for member in members)
    if not count["waiting"]:
        return _nothing_waits(count)
    if failures := _failures(settings, members):
        if canary_passed_at is None:
            return Next("pause", "The canary failed. The others have not been touched.")
        if failures >= settings.stop_after:
            return Next("pause", f"{failures} failed, and it stops after {settings.stop_after}.")
    if canary_passed_at is None:
        return _with_canary(settings, members, count["running"])
    if now < canary_passed_at + settings.soak:
        return Next("wait", f"The canary has succeeded. It soaks until {_at(canary_passed_at + settings.soak, now)}.")
    return _with_the_others(settings, members, count["running"])


def _failures(settings: Settings, members: Sequence[Member]) -> int:
    """Failures that nobody has looked at."""
    return max(0, sum(member.state == "failed" for member in members) - settings.failures_forgiven)


def _nothing_waits(count: Counter[str]) -> Next:
    if count["running"]:
        return Next("wait", f"The last {count['running']} run." if count["running"] > 1 else "The last one runs.")
    return Next("finish", f"{ended(count)}.")


def ended(count: Counter[str]) -> str:
    """How many members ended how: "3 upgraded, 1 failed"."""
    words = {"succeeded": "upgraded", "failed": "failed", "refused": "refused", "left_out": "left out"}
    return ", ".join(f"{count[state]} {word}" for state, word in words.items() if count[state]) or "Nothing to upgrade"


def _with_canary(settings: Settings, members: Sequence[Member], running: int) -> Next:
    canary = canary_of(settings, members)
    keys = _ready(canary, settings.at_once - running)
    if keys:
        return Next("start", "The canary starts next.", keys)
    if running:
        return Next("wait", f"The canary runs alone: {running} of {len(canary)} run.")
    return Next("wait", "The canary waits: another operation or a hold keeps it from starting.")


def _with_the_others(settings: Settings, members: Sequence[Member], running: int) -> Next:
    places = settings.at_once - running
    if keys := _ready(members, places):
        return Next("start", "The next ones start.", keys)
    if places <= 0:
        return Next("wait", f"{running} of {settings.at_once} run. The next one starts when one of them has ended.")
    why = "Another operation or a hold keeps those that wait from starting."
    return Next("wait", f"{running} of {settings.at_once} run. {why}" if running else why)


def _ready(members: Sequence[Member], places: int) -> tuple[Hashable, ...]:
    """The first that may start now, as many as there are places."""
    ready = [member.key for member in members if member.state == "waiting" and not member.waits_for]
    return tuple(ready[: max(0, places)])


def _at(moment: datetime, now: datetime) -> str:
    day = "" if moment.date() == now.date() else f"{moment:%a %d %b} "
    return f"{day}{moment:%H:%M} UTC"
