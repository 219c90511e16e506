"""The file of `manage.py versions load`, JSON or YAML, read strictly: what is not understood is refused with its place.

    versions: [{version, active, upgrade_from | upgrade: {from: ...}, security, released_on, end_of_life_on, notes,
                withdrawn_reason}]

An upgrade.from is text or a list of alternatives. What an entry does not say stays as it is. Whether the catalogue
makes sense is `rules/catalogue`; here it only has the right shape.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any, NamedTuple

import yaml

from workspaces.models import KubernetesVersion

FIELDS = (
    "version",
    "active",
    "upgrade_from",
    "security",
    "released_on",
    "end_of_life_on",
    "notes",
    "withdrawn_reason",
)


class Entry(NamedTuple):
    """One version of the file, with the values of the fields that it names."""

    version: str
    values: dict[str, Any]


class _Strict(yaml.SafeLoader):
    """YAML in which no key stands twice (of two the last would win without a word) and dates are text at first."""

    yaml_implicit_resolvers = {
        letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"“{key.value}” stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read(text: str) -> list[Entry]:
    """The entries in the order of the file. ValueError has a line for everything that is wrong, each with its place."""
    document = _parsed(text)
    if not isinstance(document, dict) or not isinstance(document.get("versions"), list):
        raise ValueError("The file is not a list under the key “versions”.")
    if unknown := [key for key in document if key != "versions"]:
        raise ValueError(f"“{unknown[0]}” is not known beside “versions”.")
    entries, problems = [], []
    for number, given in enumerate(document["versions"], 1):
        entry, wrong = _entry(given)
        entries.append(entry)
        named = f"entry {number} ({entry.version})" if entry.version else f"entry {number}"
        problems += [f"{named}, {sentence}" for sentence in wrong]
    if problems:
        raise ValueError("\n".join(problems))
    return entries


def _parsed(text: str) -> Any:
    """JSON when it begins like JSON, else YAML. ValueError says in which line it stops making sense."""
    return _json(text) if text.lstrip().startswith("{") else _yaml(text)


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}, column {error.colno}: not JSON: {error.msg}.") from None
    except RecursionError:
        raise ValueError("not JSON: it is nested too deeply.") from None


def _yaml(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_Strict)  # noqa: S506  (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{at}not YAML: {error.problem}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"not YAML: {error}.") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"“{key}” stands twice in {json.dumps(dict(pairs))[:80]}.")
        found[key] = value
    return found


def _entry(given: Any) -> tuple[Entry, list[str]]:
    """What one entry says, and what is wrong with it."""
    if not isinstance(given, dict):
        return Entry("", {}), ["which is not a version with its fields."]
    problems, values = [], {}
    for key, value in _flat(given):
        check = _CHECKS.get(key)
        if check is None:
            problems.append(f"{key}: not known. Known are {', '.join(FIELDS)}.")
        elif key in values:
            problems.append("upgrade_from: said twice, here and as upgrade.from.")
        else:
            try:
                values[key] = check(value)
            except ValueError as error:
                problems.append(f"{key}: {error}")
    if "version" not in given:
        problems.append("version: missing.")
    return Entry(str(values.get("version", "")), values), problems


def _flat(given: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Its keys, with `upgrade: {from: …}` as upgrade_from."""
    for key, value in given.items():
        if key == "upgrade" and isinstance(value, dict):
            yield from (
                ("upgrade_from" if inner == "from" else f"upgrade.{inner}", one) for inner, one in value.items()
            )
        else:
            yield str(key), value


# --- Fields -----------------------------------------------------------------------------------------------------------
def _version(value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise ValueError(f"the number {value}. Write the version as text, in quotes: 1.10 and 1.1 are one number.")
    return _text(value).strip()


def _upgrade_from(value: Any) -> str:
    alternatives = value if isinstance(value, list) else [value]
    if not alternatives:
        raise ValueError("an empty list. Write any, or name the versions.")
    return " || ".join(_version(one) for one in alternatives)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"“{value}” is neither true nor false.")
    return value


def _date(value: Any) -> date | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(_text(value))
    except ValueError:
        raise ValueError(f"“{value}” is not a date. Write it like 2026-11-24.") from None


def _words(value: Any) -> str:
    return "" if value is None else _text(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"“{value}” is not text. Put it in quotes.")
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError("it holds characters that no text has.")
    return value


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "version": _version,
    "active": _flag,
    "upgrade_from": _upgrade_from,
    "security": _flag,
    "released_on": _date,
    "end_of_life_on": _date,
    "notes": _words,
    "withdrawn_reason": _words,
}


def written(row: KubernetesVersion) -> dict[str, Any]:
    """A row as an entry of the file, all fields."""
    return {field: getattr(row, field) for field in FIELDS}
