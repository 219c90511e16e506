"""Lists in pages: `?limit=` and an opaque `?cursor=`, which stays right while rows come and go."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet

from workspaces.api.problems import Problem


def page[M: Model](
    rows: QuerySet[M], order: str, limit: int, cursor: str | None, show: Callable[[M], Any]
) -> dict[str, Any]:
    """One page of `rows` ordered by the field `order` ("-" for descending) and the key, each through `show`."""
    field, descending = order.removeprefix("-"), order.startswith("-")
    after = "lt" if descending else "gt"
    if cursor is not None:
        value, key = _read(cursor)
        try:
            rows = rows.filter(Q(**{f"{field}__{after}": value}) | Q(**{field: value, f"pk__{after}": key}))
        except (ValidationError, ValueError, TypeError) as error:
            raise _bad_cursor() from error
    found = list(rows.order_by(order, "-pk" if descending else "pk")[: limit + 1])
    following = _write(getattr(found[limit - 1], field), found[limit - 1].pk) if len(found) > limit else None
    return {"items": [show(row) for row in found[:limit]], "next_cursor": following}


def _write(value: Any, key: Any) -> str:
    text = json.dumps([value.isoformat() if hasattr(value, "isoformat") else value, str(key)])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(cursor: str) -> tuple[Any, str]:
    try:
        value, key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError as error:
        raise _bad_cursor() from error
    if not isinstance(value, str | int) or not isinstance(key, str):
        raise _bad_cursor()
    return value, key


def _bad_cursor() -> Problem:
    error = {"loc": ["query", "cursor"], "msg": "Use the next_cursor of an answer.", "code": "bad_cursor"}
    return Problem(422, "invalid", "The cursor cannot be read.", errors=[error])
