"""The file of `manage.py seeding load`, YAML or JSON: what is not understood is refused with its place.

    manifests: [{name, description, content, phase, versions, organization, protected, gates, active}]

`content` is the text of the objects, `organization` a name or null for all. What an entry does not say stays as it is.
Whether the text is a manifest is the model's to say; here it only has the right shape.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import yaml

from workspaces.models import SeedManifest

TEXTS: Final = ("name", "description", "content", "phase", "versions")
FLAGS: Final = ("protected", "gates", "active")
FIELDS: Final = (*TEXTS, "organization", *FLAGS)


class Entry(NamedTuple):
    """One manifest of the file, with the values of the fields that it names; `organization` is a name or None."""

    name: str
    values: dict[str, Any]


def read(text: str) -> list[Entry]:
    """The entries in the order of the file. ValueError has a line for everything that is wrong, each with its place."""
    try:
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{at}not YAML: {error.problem}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"not YAML: {error}.") from None
    given = document.get("manifests") if isinstance(document, dict) else None
    if not isinstance(given, list):
        raise ValueError("The file is not a list under the key “manifests”.")
    problems = [f"entry {number}{sentence}" for number, one in enumerate(given, 1) for sentence in _wrong(one)]
    if problems:
        raise ValueError("\n".join(problems))
    names = [one["name"] for one in given]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise ValueError(f"“{twice}” stands twice.")
    return [Entry(one["name"], dict(one)) for one in given]


def written(row: SeedManifest) -> dict[str, Any]:
    """A row (with its organization) as an entry of the file, all fields."""
    values = {field: getattr(row, field) for field in FIELDS}
    return values | {"organization": row.organization.name if row.organization else None}


def _wrong(given: Any) -> list[str]:
    """What is wrong with one entry, as the ends of sentences."""
    if not isinstance(given, dict):
        return [" is not a manifest with its fields."]
    name = given.get("name")
    at = f" ({name})" if isinstance(name, str) and name else ""
    problems = [] if at else [": name: missing, or not text."]
    for field, value in given.items():
        if field not in FIELDS:
            problems.append(f"{at}, {field}: not known. Known are {', '.join(FIELDS)}.")
        elif field in FLAGS and not isinstance(value, bool):
            problems.append(f"{at}, {field}: “{value}” is neither true nor false.")
        elif field in TEXTS and field != "name" and not isinstance(value, str):
            problems.append(f"{at}, {field}: “{value}” is not text.")
        elif field == "organization" and not isinstance(value, str | None):
            problems.append(f"{at}, {field}: “{value}” is neither a name nor null.")
    return problems
