"""The whole catalogue as coordinates: a track for each minor, newest on top, versions as stops, upgrades as hops.

It illustrates; the table below it says the same in words, completely. The graph of one workspace is `version_graph`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import NamedTuple

from workspaces.rules.upgrades import CatalogueVersion
from workspaces.rules.versions import is_version, minor_of, precedence
from workspaces.views.version_graph import Track, curve

VERSIONS_OF_A_MINOR = 8
# With more hops than this, only the furthest of each version are drawn: more lines cannot be told apart.
HOPS_AT_MOST = 60
_LEFT, _RIGHT, _TOP, _TRACK = 210, 920, 40, 64
# Between versions, at most and at least, and of each minor against the one below.
_STEP, _STEP_AT_LEAST, _SHIFT = 100, 72, 24

Hops = Sequence[tuple[str, str]]
# The versions of each minor, oldest first; the newest minor first.
Minors = dict[tuple[int, int], list[CatalogueVersion]]


class Stop(NamedTuple):
    """A version. `state` is open, ended or shut; `workspaces` run it."""

    version: str
    state: str
    x: int
    y: int
    workspaces: int


class Graph(NamedTuple):
    """Everything drawn; `hops` is one path. `sentence` says it for those who cannot see it, `note` what is left out."""

    height: int
    tracks: list[Track]
    stops: list[Stop]
    hops: str
    sentence: str
    note: str


def draw(catalogue: Sequence[CatalogueVersion], hops: Hops, running: Mapping[str, int], today: date) -> Graph | None:
    """The graph; `running` says how many workspaces run a version. None when no version can be read."""
    known = [row for row in catalogue if is_version(row.version)]
    minors = _minors(known)
    if not minors:
        return None
    shown = {minor: rows[-VERSIONS_OF_A_MINOR:] for minor, rows in minors.items()}
    xs = _in_one_order(shown) or _by_minor(shown)
    stops = [
        Stop(row.version, _state(row, today), xs[row.version], _TOP + _TRACK * number, running.get(row.version, 0))
        for number, rows in enumerate(shown.values())
        for row in rows
    ]
    at = {stop.version: (stop.x, stop.y) for stop in stops}
    between = [(source, target) for source, target in hops if source in at and target in at]
    drawn = between if len(between) <= HOPS_AT_MOST else _furthest(between)
    tracks = [_track(minor, _TOP + _TRACK * n, minors[minor], today) for n, minor in enumerate(minors)]
    height = _TRACK * (len(minors) - 1) + 80
    after = {row.version: later.version for rows in shown.values() for row, later in pairwise(rows)}
    path = "".join(_path(at[source], at[to], beside=after.get(source) == to) for source, to in drawn)
    note = _note(len(known) - len(stops), shortened=len(drawn) < len(between))
    return Graph(height, tracks, stops, path, _sentence(known, minors, stops), note)


def _minors(rows: Iterable[CatalogueVersion]) -> Minors:
    minors: Minors = {}
    for row in sorted(rows, key=lambda row: precedence(row.version)):
        minors.setdefault(minor_of(row.version), []).append(row)
    return dict(reversed(minors.items()))


def _in_one_order(minors: Minors) -> dict[str, int]:
    """Each version right of all lower ones, so that every hop goes to the right; empty when there is no room."""
    rows = [row for rows in reversed(minors.values()) for row in rows]
    step = min(_STEP, (_RIGHT - _LEFT) // max(1, len(rows) - 1))
    return {row.version: _LEFT + step * place for place, row in enumerate(rows)} if step >= _STEP_AT_LEAST else {}


def _by_minor(minors: Minors) -> dict[str, int]:
    """Versions of a minor side by side; each minor begins a little further right than the one below."""
    room, steps = _RIGHT - _LEFT, VERSIONS_OF_A_MINOR - 1
    shift = min(_SHIFT, (room - _STEP_AT_LEAST * steps) // max(1, len(minors) - 1))
    step = min(_STEP, (room - shift * (len(minors) - 1)) // steps)
    return {
        row.version: _LEFT + shift * level + step * place
        for level, rows in enumerate(reversed(minors.values()))
        for place, row in enumerate(rows)
    }


def _state(row: CatalogueVersion, today: date) -> str:
    if not row.active:
        return "shut"
    return "ended" if row.end_of_life_on and row.end_of_life_on < today else "open"


def _furthest(hops: Hops) -> Hops:
    """Of each version the furthest hop within its minor and the furthest into the next."""
    furthest: dict[tuple[str, tuple[int, int]], str] = {}
    for source, target in hops:
        key = source, minor_of(target)
        furthest[key] = max(furthest.get(key, target), target, key=precedence)
    return [(source, target) for (source, _), target in furthest.items()]


def _path(start: tuple[int, int], end: tuple[int, int], *, beside: bool) -> str:
    """A line to the stop `beside` on the same track, an arc past the stops between, a curve to another track."""
    (x1, y1), (x2, y2) = start, end
    if y1 != y2 or beside:
        return curve(start, end)
    dip = y1 + min(28, 12 + (x2 - x1) // 40)
    return f"M{x1} {y1}Q{(x1 + x2) // 2} {dip} {x2} {y2}"


def _track(minor: tuple[int, int], y: int, rows: Sequence[CatalogueVersion], today: date) -> Track:
    active = [row for row in rows if row.active]
    ends = max((row.end_of_life_on for row in active if row.end_of_life_on), default=None)
    if not active:
        note = "withdrawn" if any(row.withdrawn_reason for row in rows) else "not active yet"
    elif ends is None or any(row.end_of_life_on is None for row in active):
        note, ends = "", None
    else:
        note = f"{'supported to' if ends >= today else 'ended'} {ends.day} {ends:%b %Y}"
    return Track(y, f"{minor[0]}.{minor[1]}", note, not active or (ends is not None and ends < today))


def _sentence(known: Sequence[CatalogueVersion], minors: Minors, stops: list[Stop]) -> str:
    first, last = (f"{major}.{minor}" for major, minor in (next(reversed(minors)), next(iter(minors))))
    reach = last if first == last else f"{first} to {last}"
    run = ", ".join(f"{stop.version} ({stop.workspaces})" for stop in stops if stop.workspaces)
    count = "1 version" if len(known) == 1 else f"{len(known)} versions"
    runs = f"Workspaces run {run}." if run else "No workspace runs any of those drawn."
    return f"Version graph: {count}, {reach}. {runs} The table below says where each leads."


def _note(left_out: int, *, shortened: bool) -> str:
    parts = []
    if left_out:
        rest = "1 older version is" if left_out == 1 else f"{left_out} older versions are"
        parts.append(f"The newest {VERSIONS_OF_A_MINOR} versions of each minor are drawn; {rest} in the table.")
    if shortened:
        parts.append("Of the hops of a version the furthest within its minor and into the next are drawn.")
    return " ".join(parts)
