"""Looks as lines of a table: how each loop goes, as a word and a tone, what its last day was like, when it looks next.

Which loops concern a workspace is `models/conditions.py`, which of them a reader of the fleet sees `loop_targets.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from workspaces.models import Look
from workspaces.rules import lifecycle, looks
from workspaces.templatetags.console import span

# What a class of trouble is called where there is room for two words; the class itself stands beside it.
TROUBLES: Final = {
    "credential": "Credential refused",
    "rate_limit": "Rate limit",
    "cloud_api": "Vendor’s error",
    "unreachable": "Unreachable",
    "not_found": "Not found",
    "conflict": "Conflict",
    "configuration": "Setting wrong",
    "overdue": "Not looked at",
}
# The box in which a day's durations are drawn, and the half hours in it.
WIDTH, HEIGHT, SLOTS = 120, 24, 48


@dataclass(frozen=True, slots=True)
class LookLine:
    """A loop over one target. `tone` is ok only when the last look answered and is fresh.

    `spark` is a path in a box of WIDTH by HEIGHT; empty while there are fewer than two half hours to connect.
    """

    look: Look
    name: str
    target: str
    tone: lifecycle.Tone
    word: str
    every: str
    spark: str
    took: str
    # In the last day: half hours in which a look failed.
    bad_half_hours: int

    @property
    def is_well(self) -> bool:
        """Whether what it saw may be called present."""
        return self.tone == "ok"


def line_of(look: Look, now: datetime) -> LookLine:
    """The look as a line; its target must be loaded with it."""
    tone, word = state_of(look, now)
    loop = looks.LOOPS[look.kind]
    return LookLine(
        look=look,
        name=loop.label,
        target="" if loop.target == "workspace" else str(look.management_cluster or look.provider_account),
        tone=tone,
        word=word,
        every=pace(look.every),
        spark=_spark(look.samples, now),
        took=milliseconds(look.milliseconds),
        bad_half_hours=sum(sample[2] > 0 for sample in look.samples),
    )


def state_of(look: Look, now: datetime) -> tuple[lifecycle.Tone, str]:
    """How it goes, as a tone and a word. One failure that may pass by itself is a warning, whatever was seen before."""
    if look.felt:
        return "bad", TROUBLES.get(look.error_code, "Failing")
    if look.error_code:
        return "warn", f"{TROUBLES.get(look.error_code, 'Failed')}, once so far"
    if look.succeeded_at is None:
        return "idle", "Not looked yet"
    if not look.is_fresh(now):
        return "warn", "Late"
    return "ok", "Answered"


def worst_first(lines: Iterable[LookLine]) -> list[LookLine]:
    """What does not answer first; equals stay in order."""
    order = {"bad": 0, "warn": 1, "idle": 2}
    return sorted(lines, key=lambda line: order.get(line.tone, 3))


def pace(every: float) -> str:
    """A period in words: `60 s`, `5 min`, `270 s`."""
    seconds = round(every)
    return span(timedelta(seconds=seconds)) if seconds % 60 == 0 and seconds > 60 else f"{seconds} s"


def milliseconds(length: int | None) -> str:
    """`210 ms`, `1.4 s`, `12 s`; empty when nothing was measured."""
    if length is None:
        return ""
    if length < 1000:
        return f"{length} ms"
    return f"{length / 1000:.1f} s" if length < 10_000 else f"{length // 1000} s"


def _spark(samples: Sequence[Sequence[int]], now: datetime) -> str:
    """The longest look of each half hour of the last day, the higher the longer; without a look there is a gap."""
    first = int(now.timestamp()) // 1800 - SLOTS + 1
    places = [(sample[0] // 30 - first, sample[1]) for sample in samples]
    shown = [(place, length) for place, length in places if 0 <= place < SLOTS]
    if len(shown) < 2:
        return ""
    longest = max(length for _, length in shown) or 1
    path, last = "", None
    for place, length in shown:
        step = "L" if last == place - 1 else "M"
        path += f"{step}{place * WIDTH / (SLOTS - 1):.1f} {HEIGHT - 2 - (HEIGHT - 4) * length / longest:.1f}"
        last = place
    return path
