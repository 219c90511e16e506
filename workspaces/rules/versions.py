"""Kubernetes versions as numbers, and the `upgrade.from` grammar of the version catalogue.

Versions are text at the edges and are never compared as text. Which version a workspace may go to is decided in
`upgrades`; this module knows versions only.

    upgrade.from = alternatives joined by "||", a comma or a newline
    alternative  = "any" | exact "1.34.5" | wildcard "1.34.x" | bounds that must all hold ">=1.34.2 <1.35.0"

Precedence is semver's: 1.35.0-rc.1 is below 1.35.0 (so "<1.35.0" admits it), and build metadata does not count.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from operator import eq, ge, gt, le, lt
from typing import Final

from semver import Version

# Compares like the version it came from; see `precedence`.
Precedence = tuple[int, int, int, tuple[object, ...]]

_COMPARE: Final[dict[str, Callable[[Precedence, Precedence], bool]]] = {">=": ge, ">": gt, "<=": le, "<": lt, "=": eq}
_BOUND: Final = re.compile(r"(>=|<=|>|<|=)(.+)")
_WILDCARD: Final = re.compile(r"v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.[xX*]")
_STAGES: Final = {"alpha": 0, "beta": 1, "rc": 2}
_STAGE_SIZE: Final = 30_000
_RELEASE: Final = 99_999


@lru_cache(maxsize=4096)
def parse(text: str) -> Version:
    """`"1.35.4"` or `"v1.35.4"` as a semver version. ValueError carries a sentence for the person who typed it."""
    try:
        return Version.parse(text.strip().removeprefix("v"))
    except ValueError:
        raise ValueError(f"“{text}” is not a version. Write it like 1.35.4.") from None


@lru_cache(maxsize=4096)
def is_version(text: str) -> bool:
    """Whether `parse` understands it: what was observed may be empty or foreign."""
    try:
        parse(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def precedence(text: str) -> Precedence:
    """A key that orders versions as semver does. Only keys compare; a version's text never does."""
    version = parse(text)
    if version.prerelease is None:
        return version.major, version.minor, version.patch, (1,)
    # Numeric parts rank below words, and a shorter list below its continuation (semver 2.0, item 11).
    parts = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in version.prerelease.split(".")]
    return version.major, version.minor, version.patch, (0, *parts)


def minor_of(text: str) -> tuple[int, int]:
    """`(1, 35)` for any 1.35 version."""
    return precedence(text)[:2]


def is_prerelease(text: str) -> bool:
    """Whether the version is an alpha, a beta or a release candidate."""
    return parse(text).prerelease is not None


def sort_key(text: str) -> int:
    """An integer that orders like the version and fits a bigint column, so that the database can sort.

    Five decimal digits each for minor, patch and pre-release. ValueError for what Kubernetes does not publish:
    pre-releases other than alpha, beta and rc with one number, and numbers beyond the digits.
    """
    version = parse(text)
    if version.major >= 9_000 or version.minor >= 100_000 or version.patch >= 100_000:
        raise ValueError(f"“{text}” has a number too large for the catalogue.")
    rank = _RELEASE if version.prerelease is None else _prerelease_rank(text, version.prerelease)
    return ((version.major * 100_000 + version.minor) * 100_000 + version.patch) * 100_000 + rank


def _prerelease_rank(text: str, prerelease: str) -> int:
    stage, _, number = prerelease.partition(".")
    known = stage in _STAGES and (number.isdigit() or (not number and "." not in prerelease))
    rank = int(number) + 1 if known and number else 0
    if not known or rank >= _STAGE_SIZE:
        raise ValueError(f"“{text}” is not a pre-release the catalogue knows. Write it like 1.35.0-rc.1.")
    return _STAGES[stage] * _STAGE_SIZE + rank


@dataclass(frozen=True, slots=True)
class Bound:
    """One comparison that must hold: `operator` is one of `>= > <= < =`."""

    operator: str
    version: str

    def admits(self, key: Precedence) -> bool:
        return _COMPARE[self.operator](key, precedence(self.version))


@dataclass(frozen=True, slots=True)
class Alternative:
    """Bounds that must all hold (none for `any`), and the words for them."""

    bounds: tuple[Bound, ...]
    words: str


@dataclass(frozen=True, slots=True)
class UpgradeFrom:
    """From which versions a catalogue version may be reached: at least one alternative must hold."""

    alternatives: tuple[Alternative, ...]

    def admits(self, version: str) -> bool:
        key = precedence(version)
        return any(all(bound.admits(key) for bound in option.bounds) for option in self.alternatives)

    def describe(self) -> str:
        """`accepts 1.35.4 or later`, to stand behind "it"."""
        return "accepts " + ", or ".join(option.words for option in self.alternatives)


@lru_cache(maxsize=1024)
def parse_upgrade_from(text: str) -> UpgradeFrom:
    """Read the grammar above. ValueError carries a sentence that says what to write instead."""
    written = [part.strip() for part in re.split(r"\|\||,|\n", text.strip())]
    if not all(written):
        raise ValueError("An alternative is empty. Write any, 1.34.5, 1.34.x or >=1.34.2 <1.35.0, joined by ||.")
    alternatives = tuple(_alternative(part) for part in written)
    if any(_is_half(a, ">") and _is_half(b, "<") for a in alternatives for b in alternatives) and "," in text:
        # Other tools read a comma between bounds as "and"; here it would quietly admit every version.
        raise ValueError("A comma means “or”. Bounds that must both hold stand side by side: >=1.34.2 <1.35.0.")
    return UpgradeFrom(alternatives)


def _is_half(option: Alternative, direction: str) -> bool:
    return bool(option.bounds) and all(bound.operator.startswith(direction) for bound in option.bounds)


def _alternative(text: str) -> Alternative:
    if text.lower() == "any":
        return Alternative((), "any version")
    if wildcard := _WILDCARD.fullmatch(text):
        major, minor = wildcard.groups()
        # "-0" is the lowest pre-release there is, so the pre-releases of the minor belong to it.
        return Alternative(
            (Bound(">=", f"{major}.{minor}.0-0"), Bound("<", f"{major}.{int(minor) + 1}.0-0")), f"{major}.{minor}.x"
        )
    bounds = tuple(_bound(part) for part in re.sub(r"([<>=])\s+", r"\1", text).split())
    if _is_empty(bounds):
        raise ValueError(f"“{text}” can never hold: no version satisfies all of it.")
    return Alternative(bounds, ", ".join(_words(bound) for bound in bounds))


def _bound(text: str) -> Bound:
    operator, version = match.groups() if (match := _BOUND.fullmatch(text)) else ("=", text)
    try:
        return Bound(operator, str(parse(version)))
    except ValueError:
        raise ValueError(
            f"“{text}” is not understood. Write any, 1.34.5, 1.34.x or bounds like >=1.34.2 <1.35.0."
        ) from None


def _is_empty(bounds: tuple[Bound, ...]) -> bool:
    """Whether two bounds contradict each other. Strict bounds with nothing between them are not looked for."""
    lower = [bound for bound in bounds if bound.operator in (">", ">=", "=")]
    upper = [bound for bound in bounds if bound.operator in ("<", "<=", "=")]
    return any(_contradict(low, high) for low in lower for high in upper)


def _contradict(low: Bound, high: Bound) -> bool:
    least, most = precedence(low.version), precedence(high.version)
    return least > most or (least == most and (low.operator == ">" or high.operator == "<"))


def _words(bound: Bound) -> str:
    match bound.operator:
        case ">=":
            return f"{bound.version} or later"
        case ">":
            return f"later than {bound.version}"
        case "<=":
            return f"up to {bound.version}"
        case "<":
            return f"below {bound.version}"
        case _:
            return bound.version
