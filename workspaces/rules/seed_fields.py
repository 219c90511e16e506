"""The fields of a manifest's object: which are not as it says, and the object without those left to others. Pure.

A field is written as API servers name it in a conflict, without the first point: `data.level`,
`spec.template.spec.containers[name="web"].image`. Names may hold points themselves, so a field is always looked up in
an object and never split.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Path = tuple[str | int, ...]

# What is not a wish but says which object it is.
_IDENTITY: Final = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}
# Lists whose elements have owners of their own and are told apart by name, so that more of them are nobody's drift. A
# list that is not named here belongs to its writer as a whole; where an API knows better, it is asked (a dry run).
_BY_NAME: Final = frozenset({"containers", "initContainers", "volumes", "env"})
_ELEMENT: Final = re.compile(r'\[((?:[^\]"]|"(?:[^"\\]|\\.)*")*)\]')
_KEY: Final = re.compile(r'(\w*)=("(?:[^"\\]|\\.)*"|[^,]+)')


@dataclass(frozen=True, slots=True)
class Unlike:
    """A field that is not as the manifest says; None as `seen`: it is not there.

    `owned` is its path as metadata.managedFields has it, with `k:{"name":"web"}` for an element of a list.
    """

    field: str
    owned: tuple[str, ...]
    wanted: Any
    seen: Any


def unlike(document: Mapping[str, Any], seen: Mapping[str, Any]) -> list[Unlike]:
    """Every field that the document names and that `seen` has otherwise; what it does not name may be anything.

    Spellings count as different here ("1000m" and "1"): only an API server knows which of them are the same.
    """
    return list(_unlike(document, seen, "", ()))


def covers(field: str, other: str) -> bool:
    """Whether `other` is the field or a part of it."""
    return other == field or other.startswith((f"{field}.", f"{field}["))


def value_of(document: Mapping[str, Any], field: str) -> Any:
    """The value of the field; None when it is not there."""
    path = _find(document, f".{field}")
    return None if path is None else _at(document, path)


def without(document: Mapping[str, Any], fields: Collection[str]) -> dict[str, Any]:
    """The document without these fields, and without maps that are empty for it; fields it lacks do not matter."""
    rest = copy.deepcopy(dict(document))
    for field in fields:
        path = _find(rest, f".{field}")
        while path and path not in _IDENTITY:
            above = _at(rest, path[:-1])
            del above[path[-1]]
            path = path[:-1] if not above else None
    return rest


# --- Comparing --------------------------------------------------------------------------------------------------------
def _unlike(wanted: Any, seen: Any, field: str, owned: tuple[str, ...]) -> Iterator[Unlike]:
    if wanted is None or owned in _IDENTITY:
        return
    if isinstance(wanted, dict) and isinstance(seen, dict):
        for name, value in wanted.items():
            yield from _unlike(value, seen.get(name), f"{field}.{name}" if field else name, (*owned, name))
    elif owned and owned[-1] in _BY_NAME and _named(wanted) and _named(seen):
        present = {element["name"]: element for element in seen}
        for element in wanted:
            name = json.dumps(element["name"])
            part = 'k:{"name":' + name + "}"
            yield from _unlike(element, present.get(element["name"]), f"{field}[name={name}]", (*owned, part))
    elif not _is_like(wanted, seen):
        yield Unlike(field, owned, wanted, seen)


def _is_like(wanted: Any, seen: Any) -> bool:
    """Whether the one holds what the other says; a list has as many elements, in the same order."""
    if isinstance(wanted, dict) and isinstance(seen, dict):
        return all(value is None or _is_like(value, seen.get(name)) for name, value in wanted.items())
    if isinstance(wanted, list) and isinstance(seen, list):
        return len(wanted) == len(seen) and all(map(_is_like, wanted, seen))
    # True is 1 in Python, and in no API.
    return wanted == seen and isinstance(wanted, bool) == isinstance(seen, bool)


def _named(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, dict) and isinstance(each.get("name"), str) for each in value
    )


# --- Finding ----------------------------------------------------------------------------------------------------------
def _find(node: Any, field: str, path: Path = ()) -> Path | None:
    """The path of keys and indexes that the rest of a field's name leads to; None when it leads nowhere."""
    if not field:
        return path
    if isinstance(node, Mapping) and field.startswith("."):
        for name in node:
            if covers(f".{name}", field):
                found = _find(node[name], field[len(name) + 1 :], (*path, name))
                if found is not None:
                    return found
    if isinstance(node, Sequence) and not isinstance(node, str) and (element := _ELEMENT.match(field)):
        for index, value in enumerate(node):
            if _is_meant(value, element[1]):
                return _find(value, field[element.end() :], (*path, index))
    return None


def _is_meant(element: Any, key: str) -> bool:
    """Whether `name="web"`, or `port=80,protocol="TCP"`, is this element; a default that it does not write counts."""
    keys = {name: _parsed(value) for name, value in _KEY.findall(key)}
    if "" in keys:
        return bool(element == keys[""])
    if not keys or not isinstance(element, Mapping):
        return False
    given = {name: value for name, value in keys.items() if name in element}
    return bool(given) and all(element[name] == value for name, value in given.items())


def _parsed(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _at(node: Any, path: Path) -> Any:
    for part in path:
        node = node[part]
    return node
