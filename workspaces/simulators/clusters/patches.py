"""The patch formats: JSON merge patch (RFC 7386), JSON patch (RFC 6902) and strategic merge patch as far as it is
needed.

All three return a new document. Which format a kind accepts is decided in `api`.
"""

import copy
from typing import Any

from workspaces.simulators.clusters.errors import rejected

MERGE_KEYS = {
    "conditions": "type",
    "addresses": "type",
    "taints": None,
    "tolerations": None,
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "ownerReferences": "uid",
    "imagePullSecrets": "name",
    "secrets": "name",
}
"""Lists a strategic merge patch merges, by the key of their elements; None and unnamed lists are replaced."""
MERGED_SETS = ("finalizers", "podCIDRs")
"""Lists of plain values a strategic merge patch adds to."""


def merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def strategic(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    directive = patch.get("$patch")
    if directive == "replace":
        return {k: v for k, v in patch.items() if k != "$patch"}
    if directive == "delete":
        return {}
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if key.startswith(("$setElementOrder/", "$patch", "$retainKeys")):
            continue
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            result[name] = [v for v in result.get(name, ()) if v not in value]
        elif value is None:
            result.pop(key, None)
        elif isinstance(value, list) and MERGE_KEYS.get(key):
            result[key] = _merge_list(result.get(key) or [], value, str(MERGE_KEYS[key]))
        elif isinstance(value, list) and key in MERGED_SETS:
            held = list(result.get(key) or [])
            result[key] = held + [v for v in value if v not in held]
        else:
            result[key] = strategic(result.get(key), value)
    return result


def _merge_list(target: list[Any], patch: list[Any], key: str) -> list[Any]:
    result = list(target)
    for element in patch:
        positions = [i for i, held in enumerate(result) if held.get(key) == element.get(key)]
        if element.get("$patch") == "delete":
            result = [held for held in result if held.get(key) != element.get(key)]
        elif positions:
            result[positions[0]] = strategic(result[positions[0]], element)
        else:
            result.append(strategic({}, element))
    return result


def _resolve(document: Any, pointer: str) -> tuple[Any, str]:
    """The container and the last token of a JSON pointer; raises the server's 422 when the way there is missing."""
    if not pointer.startswith("/"):
        raise rejected()
    tokens = [t.replace("~1", "/").replace("~0", "~") for t in pointer[1:].split("/")]
    for token in tokens[:-1]:
        document = _read(document, token)
    return document, tokens[-1]


def _read(container: Any, token: str) -> Any:
    if isinstance(container, dict) and token in container:
        return container[token]
    if isinstance(container, list) and token.isdigit() and int(token) < len(container):
        return container[int(token)]
    raise rejected()


def _add(container: Any, token: str, value: Any) -> None:
    if isinstance(container, dict):
        container[token] = value
    elif isinstance(container, list) and (token == "-" or (token.isdigit() and int(token) <= len(container))):
        container.insert(len(container) if token == "-" else int(token), value)
    else:
        raise rejected()


def _remove(container: Any, token: str) -> Any:
    value = _read(container, token)
    del container[int(token) if isinstance(container, list) else token]
    return value


def json_patch(document: Any, operations: Any) -> Any:
    """RFC 6902; anything that does not apply, a failed `test` too, is the server's 422 without details."""
    document = copy.deepcopy(document)
    if not isinstance(operations, list):
        raise rejected()
    for operation in operations:
        name = operation.get("op") if isinstance(operation, dict) else None
        if name not in ("add", "remove", "replace", "test", "move", "copy") or "path" not in operation:
            raise rejected()
        container, token = _resolve(document, operation["path"])
        if name == "test":
            if _read(container, token) != operation.get("value"):
                raise rejected()
        elif name == "remove":
            _remove(container, token)
        elif name == "replace":
            _remove(container, token)
            _add(container, token, operation.get("value"))
        elif name == "add":
            _add(container, token, operation.get("value"))
        else:
            source = _resolve(document, operation["from"])
            value = _remove(*source) if name == "move" else copy.deepcopy(_read(*source))
            _add(container, token, value)
    return document
