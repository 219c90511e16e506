"""What is wrong in a version catalogue as a whole, and its graph: which version leads to which in one hop.

`versions` reads one version and one upgrade.from, `reach` says whether one can follow the other, `upgrades` where one
workspace may go. Here the rows are held against each other. An error is what nobody could follow and is not stored; a
warning is what somebody probably did not mean.

    unreadable       error    the version or its upgrade.from cannot be read
    duplicate        error    the same version twice; "v1.35.4" is 1.35.4
    cycle            error    a source written exactly is not lower than the version it leads to
    dates            error    support ends before the release
    unknown_source   warning  a source written exactly is not in the catalogue
    matches_nothing  warning  a wildcard or bounds that admit no lower version of the catalogue
    unreachable      warning  active, and no lower active version leads there in one hop
    dead_end         warning  active, and none leads on from it although a higher release is active
    skipped_minor    warning  no active version of a minor between two others
    ended            warning  active although its support has ended
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

from workspaces.rules.reach import refuse_step
from workspaces.rules.upgrades import CatalogueVersion
from workspaces.rules.versions import (
    Alternative,
    Precedence,
    is_prerelease,
    is_version,
    minor_of,
    parse,
    parse_upgrade_from,
    precedence,
    sort_key,
)

ERROR: Final = "error"
WARNING: Final = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with the row of `version`: `level` is error or warning, `message` says what to write instead."""

    version: str
    level: str
    code: str
    message: str


def examine(rows: Sequence[CatalogueVersion], today: date) -> list[Finding]:
    """Everything wrong in the catalogue: errors first, then warnings, each from the newest version to the oldest."""
    readable = [row for row in rows if not _unreadable_version(row)]
    known = sorted(readable, key=lambda row: precedence(row.version), reverse=True)
    found = [finding for row in rows for finding in _unreadable_version(row)]
    among = _Among(known)
    for row in known:
        found += _of_row(row, among, today)
        found += _of_graph(row, among)
    found += _skipped(among.active)
    return sorted(found, key=lambda finding: finding.level != ERROR)


def edges(rows: Sequence[CatalogueVersion]) -> list[tuple[str, str]]:
    """Every (from, to) that one hop takes between active rows, upwards only; the lowest first.

    Rows that cannot be read have no edges. It knows neither management clusters nor hosts: see `upgrades`.
    """
    active = [row for row in rows if row.active and is_version(row.version)]
    active.sort(key=lambda row: precedence(row.version))
    return [
        (source.version, target.version)
        for source in active
        for target in active
        if precedence(source.version) < precedence(target.version)
        and not refuse_step(source.version, target.version, target.upgrade_from)
    ]


def refuse_reason(*, was_active: bool, active: bool, reason: str) -> str:
    """Why `reason` (of a withdrawal) does not go with the state, in words; empty when it does.

    Whoever finds a version withdrawn wants to know why; one that is offered has no such reason.
    """
    if active and reason:
        return "Empty this: the version is active. Or withdraw it."
    if was_active and not active and not reason:
        return "Say why the version is withdrawn: the console shows it."
    return ""


class _Among:
    """The readable rows, newest first, and what is asked of them again and again."""

    def __init__(self, rows: Sequence[CatalogueVersion]) -> None:
        self.rows = rows
        self.active = [row for row in rows if row.active]
        self.written: dict[Precedence, list[CatalogueVersion]] = {}
        for row in rows:
            self.written.setdefault(precedence(row.version), []).append(row)
        # The exact steps: from a version to those that name it as a source.
        self.steps: dict[Precedence, list[str]] = {}
        for row in rows:
            for source in _exact_sources(row):
                self.steps.setdefault(precedence(source), []).append(row.version)
        hops = edges(rows)
        self.left = {source for source, _ in hops}
        self.reached = {target for _, target in hops}

    def lower(self, version: str) -> Iterable[str]:
        """The versions of the catalogue below this one."""
        return (row.version for row in self.rows if precedence(row.version) < precedence(version))


# --- One row ----------------------------------------------------------------------------------------------------------
def _unreadable_version(row: CatalogueVersion) -> list[Finding]:
    try:
        sort_key(row.version)
    except ValueError as error:
        return [Finding(row.version, ERROR, "unreadable", str(error))]
    return []


def _of_row(row: CatalogueVersion, among: _Among, today: date) -> Iterator[Finding]:
    """duplicate, dates, ended, and what its upgrade.from says."""
    first, *others = among.written[precedence(row.version)]
    if any(other is row for other in others):
        same = f"{row.version} is in the catalogue twice" + (
            f", also as {first.version}." if first.version != row.version else "."
        )
        yield Finding(row.version, ERROR, "duplicate", f"{same} Keep one of them, written {parse(row.version)}.")
    if row.released_on and row.end_of_life_on and row.end_of_life_on < row.released_on:
        yield Finding(
            row.version,
            ERROR,
            "dates",
            f"Support of {row.version} ends on {_day(row.end_of_life_on)}, before its release on "
            f"{_day(row.released_on)}. Correct one of the dates.",
        )
    yield from _of_sources(row, among)
    if row.active and row.end_of_life_on and row.end_of_life_on < today:
        yield Finding(
            row.version,
            WARNING,
            "ended",
            f"Support of {row.version} ended on {_day(row.end_of_life_on)} and it is still offered. "
            "Withdraw it with the reason, or correct the date.",
        )


def _of_sources(row: CatalogueVersion, among: _Among) -> Iterator[Finding]:
    """unreadable, cycle, unknown_source, matches_nothing."""
    try:
        alternatives = parse_upgrade_from(row.upgrade_from).alternatives
    except ValueError as error:
        yield Finding(row.version, ERROR, "unreadable", f"The upgrade.from of {row.version}: {error}")
        return
    for source in _exact_sources(row):
        if precedence(source) >= precedence(row.version):
            yield Finding(row.version, ERROR, "cycle", _cycle(row.version, source, among.steps))
        elif precedence(source) not in among.written:
            yield Finding(
                row.version,
                WARNING,
                "unknown_source",
                f"{row.version} accepts {source}, which is not in the catalogue. Add {source}, or name another source.",
            )
    yield from _of_ranges(row, alternatives, list(among.lower(row.version)))


def _of_ranges(row: CatalogueVersion, options: Sequence[Alternative], lower: Sequence[str]) -> Iterator[Finding]:
    """Of the lowest version nothing is asked. An alternative for patches of its own minor may wait for the first."""
    ranges = [option for option in options if option.bounds and _source(option) is None]
    served = any(_admits(option, version) for option in options for version in lower)
    for option in ranges if lower else ():
        waits = served and _admits(option, row.version)
        if waits or any(_admits(option, version) for version in lower):
            continue
        yield Finding(
            row.version,
            WARNING,
            "matches_nothing",
            f"{row.version} accepts {option.words}: no lower version of the catalogue is one. "
            f"The nearest lower is {lower[0]}.",
        )


def _source(option: Alternative) -> str | None:
    """The one version an alternative names, such as 1.34.5 or =1.34.5; None for wildcards and bounds."""
    return next((bound.version for bound in option.bounds if bound.operator == "="), None)


def _admits(option: Alternative, version: str) -> bool:
    return all(bound.admits(precedence(version)) for bound in option.bounds)


def _exact_sources(row: CatalogueVersion) -> list[str]:
    """The versions its upgrade.from names exactly, each once; none when it cannot be read."""
    try:
        options = parse_upgrade_from(row.upgrade_from).alternatives
    except ValueError:
        return []
    return list(dict.fromkeys(source for option in options if (source := _source(option))))


def _cycle(version: str, source: str, steps: Mapping[Precedence, Sequence[str]]) -> str:
    """The way around as far as exact sources lead; where they do not, the step back alone."""
    way = _way(version, source, steps)
    around = " → ".join([*way, version]) if way else f"{source} → {version}"
    if precedence(source) == precedence(version):
        said = f"{version} accepts itself"
    else:
        said = f"{version} accepts {source}, which is higher"
    return f"{said}: {around}. Name a lower version: Kamaji does not go back."


def _way(start: str, end: str, steps: Mapping[Precedence, Sequence[str]]) -> list[str]:
    """The shortest way over exact steps, both ends included; empty when there is none."""
    ways = deque([[start]])
    seen = {precedence(start)}
    while ways:
        way = ways.popleft()
        if precedence(way[-1]) == precedence(end):
            return way
        for after in steps.get(precedence(way[-1]), ()):
            if precedence(after) not in seen:
                seen.add(precedence(after))
                ways.append([*way, after])
    return []


# --- The graph --------------------------------------------------------------------------------------------------------
def _of_graph(row: CatalogueVersion, among: _Among) -> Iterator[Finding]:
    """unreachable and dead_end. A row whose upgrade.from cannot be read is not called unreachable on top."""
    if not row.active:
        return
    lowest = among.active[-1].version
    newest = next((other.version for other in among.active if not is_prerelease(other.version)), row.version)
    if precedence(row.version) > precedence(lowest) and row.version not in among.reached and _is_readable(row):
        accepts = parse_upgrade_from(row.upgrade_from).describe()
        yield Finding(
            row.version,
            WARNING,
            "unreachable",
            f"No active version leads to {row.version} in one hop: it {accepts}, and Kamaji goes one minor at a time. "
            "Widen its upgrade.from, or activate a version between.",
        )
    if precedence(row.version) < precedence(newest) and row.version not in among.left:
        yield Finding(
            row.version,
            WARNING,
            "dead_end",
            f"No active version leads on from {row.version}, although {newest} is offered: workspaces stay on it. "
            f"Let the upgrade.from of a higher patch or of the next minor admit {row.version}.",
        )


def _is_readable(row: CatalogueVersion) -> bool:
    try:
        parse_upgrade_from(row.upgrade_from)
    except ValueError:
        return False
    return True


def _skipped(active: Sequence[CatalogueVersion]) -> Iterator[Finding]:
    """skipped_minor, said of the lowest version above the hole."""
    for above, below in pairwise(active):
        (major, minor), (lower_major, lower) = minor_of(above.version), minor_of(below.version)
        if major == lower_major and minor > lower + 1:
            missing = [f"{major}.{number}" for number in range(lower + 1, minor)]
            yield Finding(
                above.version,
                WARNING,
                "skipped_minor",
                f"There is no active {' or '.join(missing)} version between {below.version} and {above.version}, and "
                "Kamaji does not skip a minor. Add one, or activate one.",
            )


def _day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"
