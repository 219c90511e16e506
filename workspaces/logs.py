"""What a log line is about: ids of the request, operation and workspace, carried along and put on every line.

Which form lines have (plain or JSON) is in the settings.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final
from uuid import UUID

FIELDS: Final = ("request", "operation", "workspace")
_about: ContextVar[dict[str, str] | None] = ContextVar("about", default=None)


@contextmanager
def about(**ids: UUID | str | None) -> Iterator[None]:
    """Lines written within are about these; ids that are None are left out. May be nested."""
    token = _about.set((_about.get() or {}) | {name: str(value) for name, value in ids.items() if value is not None})
    try:
        yield
    finally:
        _about.reset(token)


def note(**ids: UUID | str) -> None:
    """More has become known of what the surrounding `about` is about."""
    known = _about.get()
    if known is not None:
        known |= {name: str(value) for name, value in ids.items()}


class AboutFilter(logging.Filter):
    """Puts the ids on each record, "-" where there is none."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Never holds a line back."""
        known = _about.get() or {}
        for name in FIELDS:
            if not isinstance(getattr(record, name, None), str):  # Django has its request object on some records
                setattr(record, name, known.get(name, "-"))
        return True
