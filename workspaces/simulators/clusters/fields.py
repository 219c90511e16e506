"""A small schema language for custom resources: pruning, defaults and types, refused in the API server's words.

What the fields of a TenantControlPlane are is in `schema`.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from workspaces.simulators.clusters.errors import Cause


@dataclass(frozen=True)
class Field:
    """A node of the schema; `free` keeps what is below it unread, `type` "" takes a number or a string."""

    type: str = "object"
    fields: dict[str, "Field"] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    default: Any = None
    enum: tuple[str, ...] = ()
    items: str = ""
    free: bool = False


def prune(node: Field, value: Any, path: str = "") -> Iterator[str]:
    """Takes away, in place, nulls and the fields the schema does not know; yields the paths of the latter."""
    if node.free or not node.fields or not isinstance(value, dict):
        return
    for name in sorted(value):
        below = f"{path}.{name}" if path else name
        if name not in node.fields:
            del value[name]
            yield below
        elif value[name] is None:
            del value[name]
        else:
            yield from prune(node.fields[name], value[name], below)


def add_defaults(node: Field, value: Any) -> None:
    """Fills in, in place, the defaults below objects that are there."""
    if node.free or not isinstance(value, dict):
        return
    for name, below in node.fields.items():
        if name not in value and below.default is not None:
            value[name] = copy.deepcopy(below.default)
        if name in value:
            add_defaults(below, value[name])


def json_type(value: Any) -> str:
    """The JSON name of a value's type."""
    kinds = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array"), (dict, "object"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")


def type_causes(node: Field, value: Any, path: str) -> Iterator[Cause]:
    """Wrong types, values that are not supported, and required fields that are missing, each with its path."""
    found = json_type(value)
    if node.type and found != node.type:
        message = (
            f'Invalid value: "{found}": {path.removeprefix("status.")} in body must be of type {node.type}: "{found}"'
        )
        yield "FieldValueTypeInvalid", message, path
        return
    if node.enum and value not in node.enum:
        supported = ", ".join(f'"{v}"' for v in node.enum)
        yield "FieldValueNotSupported", f'Unsupported value: "{value}": supported values: {supported}', path
    if found == "array" and node.items:
        for index, element in enumerate(value):
            yield from type_causes(Field(node.items, free=True), element, f"{path}[{index}]")
    if found == "object" and not node.free:
        for name in node.required:
            if name not in value:
                yield "FieldValueRequired", "Required value", f"{path}.{name}" if path else name
        for name, below in node.fields.items():
            if name in value:
                yield from type_causes(below, value[name], f"{path}.{name}" if path else name)
