"""Writing many rows at once: each gets its own values, and only the columns that differ are sent.

For what looks have seen and judged. No save() is called, and a row that is deleted meanwhile is simply not there.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import batched
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Field, Model

BATCH: Final = 500
_INTEGERS: Final = ("PositiveSmallIntegerField", "PositiveIntegerField", "BigIntegerField")


def differing(model: type[Model], row: Mapping[str, Any], seen: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values `seen` that the row does not have, as its columns can hold them."""
    fitting = ((name, fit(model, name, value)) for name, value in seen.items())
    return {name: value for name, value in fitting if row[name] != value}


def fit(model: type[Model], name: str, value: Any) -> Any:
    """The value as its column can hold it: what one vendor overdoes must not end the look at all the others."""
    field: Any = model._meta.get_field(name)
    if isinstance(value, str):
        return value.replace("\0", "")[: field.max_length]
    if type(value) is int and (kind := field.get_internal_type()) in _INTEGERS:
        least, most = connection.ops.integer_field_range(kind)
        return min(max(value, least), most)
    return value


def write(model: type[Model], changes: Mapping[UUID, Mapping[str, Any]], *, under: Collection[str] = ()) -> int:
    """Give each row (by its key) its values; how many were written. One statement for 500 rows of the same columns.

    Of the columns named in `under`, which hold objects, keys that are there stay as they are: only others are added.
    """
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for key, values in changes.items():
        if values:
            alike[tuple(sorted(values))].append({"id": key, **values})
    written = 0
    for names, rows in alike.items():
        sql = _sql(model, names, under)
        for batch in batched(rows, BATCH, strict=False):
            with connection.cursor() as cursor:
                cursor.execute(sql, [json.dumps(batch, default=str)])
                written += cursor.rowcount
    return written


def _sql(model: type[Model], names: Sequence[str], under: Collection[str]) -> str:
    """Rows are locked in the order of their keys, so that two such statements never wait for one another.

    The names are those of the model's own columns.
    """
    table = connection.ops.quote_name(model._meta.db_table)
    types = ", ".join(f"{name} {_type(model, name)}" for name in ("id", *names))
    values = ", ".join(f"{name} = new.{name}" + (f" || {table}.{name}" if name in under else "") for name in names)
    given = f"json_to_recordset(%s::json) AS given({types})"
    locked = f"SELECT given.* FROM {given} JOIN {table} USING (id) ORDER BY id FOR NO KEY UPDATE OF {table}"  # noqa: S608
    return f"UPDATE {table} SET {values} FROM ({locked}) AS new WHERE {table}.id = new.id"  # noqa: S608


def _type(model: type[Model], name: str) -> str:
    field = model._meta.get_field(name)
    assert isinstance(field, Field), name
    return str(field.db_type(connection))
