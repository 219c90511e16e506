"""The version graph as coordinates: a track for each minor, newest on top, versions as stops, upgrades as hops.

It illustrates; the lists beside it say the same in words, completely. Where a catalogue is long, only the newest
versions that cannot be reached are drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

from workspaces.rules.upgrades import CatalogueVersion, Hop, Targets
from workspaces.rules.versions import is_version, minor_of, precedence

_LEFT, _RIGHT, _TOP, _TRACK = 210, 900, 40, 64
_SHUT_SHOWN = 2  # versions of a minor that are drawn although they cannot be reached


class Track(NamedTuple):
    """A minor: its line, its name, until when it is supported, and whether its line is drawn as one out of use."""

    y: int
    name: str
    note: str
    off: bool


class Stop(NamedTuple):
    """A version. `state` is now, target, open, later or shut."""

    version: str
    state: str
    x: int
    y: int
    radius: int
    label_y: int


class Line(NamedTuple):
    """An upgrade. `kind` is plan, later or empty."""

    path: str
    kind: str


class Graph(NamedTuple):
    """Everything drawn; `sentence` says it for those who cannot see it."""

    height: int
    tracks: list[Track]
    stops: list[Stop]
    lines: list[Line]
    sentence: str


def draw(
    name: str,
    running: str,
    targets: Targets,
    selected: str,
    route: Sequence[Hop],
    catalogue: Sequence[CatalogueVersion],
    today: date,
) -> Graph | None:
    """The graph of workspace `name`; None while its running version is not known.

    `route` is the way to `selected` where that takes several hops, else to another version further away.
    """
    if not is_version(running):
        return None
    eligible = [row.version for row in targets.eligible]
    later = [hop.to for hop in route[1:]]
    shown = sorted({running, *eligible, *later, *_shut(running, eligible, later, catalogue)}, key=precedence)
    minors = sorted({minor_of(version) for version in shown}, reverse=True)
    step = min(110, (_RIGHT - _LEFT) // max(1, len(shown) - 1))
    at = {v: (_LEFT + step * n, _TOP + _TRACK * minors.index(minor_of(v))) for n, v in enumerate(shown)}
    states = dict.fromkeys(shown, "shut") | dict.fromkeys(later, "later") | dict.fromkeys(eligible, "open")
    states |= ({selected: "target"} if selected in at else {}) | {running: "now"}
    whole = len(route) > 1 and route[-1].to == selected
    lowest = _TOP + _TRACK * (len(minors) - 1)
    stops = [
        Stop(v, states[v], x, y, 9 if states[v] in ("now", "target", "later") else 7, y + 26 if y == lowest else y - 17)
        for v, (x, y) in at.items()
    ]
    lines = [Line(curve(at[running], at[v]), "") for v in eligible if v != selected]
    lines += [Line(curve(at[hop.from_], at[hop.to]), "later") for hop in route[1:] if not whole and hop.from_ in at]
    direct = [Hop(running, selected, True, "")] if selected in at and selected != running else []
    lines += [Line(curve(at[hop.from_], at[hop.to]), "plan") for hop in (route if whole else direct)]
    tracks = [_track(minor, _TOP + _TRACK * n, catalogue, today) for n, minor in enumerate(minors)]
    return Graph(lowest + 38, tracks, stops, lines, _sentence(name, running, eligible, route))


def _shut(running: str, eligible: list[str], later: list[str], catalogue: Iterable[CatalogueVersion]) -> Iterable[str]:
    """The newest versions of each minor, from the running one up, that are neither eligible nor on the route."""
    known = {running, *eligible, *later}
    count: dict[tuple[int, int], int] = {}
    for row in sorted(catalogue, key=lambda row: precedence(row.version), reverse=True):
        minor = minor_of(row.version)
        if row.version in known or precedence(row.version) < precedence(running):
            continue
        count[minor] = count.get(minor, 0) + 1
        if count[minor] <= _SHUT_SHOWN:
            yield row.version


def curve(start: tuple[int, int], end: tuple[int, int]) -> str:
    """A hop: straight on its own track, else bent from one to the other."""
    (x1, y1), (x2, y2) = start, end
    if y1 == y2:
        return f"M{x1} {y1}H{x2}"
    middle = (x1 + x2) // 2
    return f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"


def _track(minor: tuple[int, int], y: int, catalogue: Iterable[CatalogueVersion], today: date) -> Track:
    rows = [row for row in catalogue if row.active and minor_of(row.version) == minor]
    ends = max((row.end_of_life_on for row in rows if row.end_of_life_on), default=None)
    if not rows:
        note = "not active yet"
    elif ends is None:
        note = ""
    else:
        note = f"{'supported to' if ends >= today else 'ended'} {ends.day} {ends:%b %Y}"
    return Track(y, f"{minor[0]}.{minor[1]}", note, not rows)


def _sentence(name: str, running: str, eligible: list[str], route: Sequence[Hop]) -> str:
    reach = f"One hop reaches {', '.join(reversed(eligible))}." if eligible else "No version can be reached."
    through = ", ".join(hop.to for hop in route[:-1])
    further = f" {route[-1].to} needs {len(route)} hops, through {through}." if through else ""
    return f"Version graph. {name} runs {running}. {reach}{further}"
