"""Rows as CSV for spreadsheets, written while they are read."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

# What a spreadsheet takes for the beginning of a formula, also in full width.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def written(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The file in pieces: the heads, then the rows. No cell begins a formula."""
    writer = csv.writer(_Echo())
    # The mark tells spreadsheets that the file is UTF-8.
    yield "\ufeff" + writer.writerow(columns)
    for row in rows:
        yield writer.writerow([_cell(value) for value in row])


def _cell(value: object) -> object:
    """A text that a spreadsheet would compute gets an apostrophe in front."""
    if isinstance(value, str) and (value.startswith(_FORMULA) or value.lstrip().startswith(_FORMULA)):
        return f"'{value}"
    return value


class _Echo:
    """A file for csv.writer that hands every line back instead of keeping it."""

    def write(self, text: str) -> str:
        """The line itself, which `writerow` returns."""
        return text
