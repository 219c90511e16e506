"""What a command tells: words as they come, or JSON of the same, written as it comes too, however long it gets."""

from __future__ import annotations

import json
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from django.core.management.base import OutputWrapper


class Told:
    """A list of entries on standard output, or with `single` the one entry alone."""

    def __init__(self, stdout: OutputWrapper, *, as_json: bool, single: bool = False) -> None:
        self.stdout, self.as_json, self.single, self.count = stdout, as_json, single, 0

    def __enter__(self) -> Self:
        if self.as_json and not self.single:
            self.stdout.write("[", ending="")
        return self

    def add(self, document: dict[str, Any], words: Iterable[str]) -> None:
        """The entry as JSON, or its lines."""
        if not self.as_json:
            self.stdout.write("\n".join(words))
        elif self.single:
            self.stdout.write(json.dumps(document, default=str))
        else:
            self.stdout.write(f"{',' if self.count else ''}\n{json.dumps(document, default=str)}", ending="")
        self.count += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.as_json and not self.single:
            self.stdout.write("\n]")
