"""Versions of Debian packages: their order (Debian policy 5.6.12), and the one before."""

import re

type VersionKey = tuple[int, tuple[tuple[tuple[int, ...], int], ...], tuple[tuple[tuple[int, ...], int], ...]]


def version_key(version: str) -> VersionKey:
    """What to sort by: epoch, upstream version and revision of "1:3.5.1-1+deb13u2"."""
    epoch, _, rest = version.rpartition(":")
    upstream, dash, revision = rest.rpartition("-")
    return int(epoch or 0), _part(upstream if dash else rest), _part(revision if dash else "0")


def _part(text: str) -> tuple[tuple[tuple[int, ...], int], ...]:
    return tuple(((*map(_order, letters), 0), int(digits or 0)) for letters, digits in re.findall(r"(\D*)(\d*)", text))


def _order(character: str) -> int:
    """A tilde sorts before the end of the text (0), letters before everything else."""
    return -1 if character == "~" else ord(character) if character.isalpha() else ord(character) + 256


def version_before(version: str) -> str:
    """A version that the given one may have followed: "3.5.1-1+deb13u1" for "3.5.1-1+deb13u2"."""
    last = re.search(r"(\d+)(?=\D*$)", version)
    if not last or int(last[1]) == 0:
        return f"{version}~"
    return f"{version[: last.start()]}{int(last[1]) - 1}{version[last.end() :]}"
