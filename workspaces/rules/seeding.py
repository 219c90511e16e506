"""Which objects a cluster is to carry, in which order, and what is wrong with a manifest. Pure: documents come parsed.

How an object's fields are compared is in seed_fields.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Final

from workspaces.rules import versions

PHASES: Final = [("control_plane", "Once its API answers"), ("hosts", "Once a host is ready")]
# pending: not tried yet, or its phase has not come. conflict: somebody else holds a field. failed: refused, or silence.
STATES: Final = [("pending", "Pending"), ("applied", "As wanted"), ("conflict", "Conflict"), ("failed", "Failed")]
# Deeper than any kind of object; a YAML text that refers to itself has no end.
_DEEPEST: Final = 40
_LONGEST_NAME: Final = 300
_API_VERSION: Final = re.compile(r"([a-z0-9][a-z0-9.-]*/)?v[a-z0-9]+")
# What others need before they can be there.
_FIRST: Final = {"Namespace": 0, "CustomResourceDefinition": 1}
# Whose objects are left as they are while an operation runs or somebody has to look after the workspace.
APPLIED_IN: Final = frozenset({"active", "gated", "provisioning"})
# A person's decision that a missing object stays missing; else `Seed.left` holds fields.
WHOLE: Final = "object"


def faults_of(documents: Sequence[Any]) -> str:
    """What is wrong with the documents of a manifest, in a sentence; "" when an API server could take them."""
    seen: set[str] = set()
    for number, document in enumerate(documents, 1):
        if wrong := _fault(document, f"Document {number}"):
            return wrong
        name = object_of(document)
        if name in seen:
            return f"Document {number} is {name} once more."
        seen.add(name)
    return "" if seen else "The text holds no object."


def object_of(document: Any) -> str:
    """What `Seed.object` calls it: apiVersion kind namespace/name; a cluster's own object has an empty namespace."""
    metadata = document["metadata"]
    return f"{document['apiVersion']} {document['kind']} {metadata.get('namespace', '')}/{metadata['name']}"


def name_of(document: Any) -> str:
    """What a sentence calls it: "ConfigMap shop/settings"."""
    metadata = document["metadata"]
    return f"{document['kind']} {metadata['namespace'] + '/' if metadata.get('namespace') else ''}{metadata['name']}"


def place_of(document: Any) -> int:
    """What it is sorted by before it is applied: Namespaces, definitions of kinds, then the others as written."""
    return _FIRST.get(document["kind"], len(_FIRST))


def fits(version: str, wanted: str) -> bool:
    """Whether a cluster that runs `version` ("" while unknown) is among `wanted` (empty: all)."""
    return not wanted or (bool(version) and versions.parse_upgrade_from(wanted).admits(version))


def fault_of_versions(text: str) -> str:
    """Why the text names no versions, in a sentence; "" when it does, or is empty."""
    try:
        if text:
            versions.parse_upgrade_from(text)
    except ValueError as error:
        return str(error)
    return ""


def _fault(document: Any, where: str) -> str:
    if not isinstance(document, dict):
        return f"{where} is not an object."
    if wrong := _fault_of_identity(document, where):
        return wrong
    if document["kind"] == "Secret":
        return f"{where} is a Secret. This text is not encrypted, so it must hold none."
    if document["kind"].endswith("List"):
        return f"{where} is a list. Write its objects as documents of their own."
    metadata = document["metadata"]
    for name in ("status", "metadata.managedFields", "metadata.resourceVersion", "metadata.uid"):
        if name.removeprefix("metadata.") in (metadata if "." in name else document):
            return f"{where} has {name}, which only the API server writes."
    return _fault_of_values(document, "", where)


def _fault_of_identity(document: dict[str, Any], where: str) -> str:
    metadata = document.get("metadata")
    named = isinstance(metadata, dict) and isinstance(metadata.get("name"), str) and metadata["name"]
    if not isinstance(document.get("apiVersion"), str) or not isinstance(document.get("kind"), str) or not named:
        return f"{where} lacks apiVersion, kind or metadata.name."
    assert isinstance(metadata, dict)
    if not _API_VERSION.fullmatch(document["apiVersion"]):
        return f"{where} has an apiVersion that is no group and version, such as apps/v1."
    if not isinstance(metadata.get("namespace", ""), str):
        return f"{where} has a metadata.namespace that is not a text."
    if len(object_of(document)) > _LONGEST_NAME:
        return f"{where} has a name of more than {_LONGEST_NAME} characters, with its kind and namespace."
    return ""


def _fault_of_values(value: Any, field: str, where: str, depth: int = 0) -> str:
    """What JSON, and so no API, can hold: YAML makes dates and truths of texts that look like them."""
    if depth > _DEEPEST:
        return f"{where} is nested too deeply at {field[:100]}…"
    if isinstance(value, dict):
        for name, below in value.items():
            if not isinstance(name, str):
                return f"{where} has the key {name} at {field or 'the top'}, which is not a text. Put it into quotes."
            if wrong := _fault_of_values(below, f"{field}.{name}" if field else name, where, depth + 1):
                return wrong
    elif isinstance(value, list):
        for number, below in enumerate(value):
            if wrong := _fault_of_values(below, f"{field}[{number}]", where, depth + 1):
                return wrong
    elif not isinstance(value, str | int | float | None) or (isinstance(value, float) and not math.isfinite(value)):
        return f"{where} has {value} at {field}, which JSON cannot hold. Put it into quotes."
    return ""
