"""Compares an answer with a recorded one: JSONPaths, and placeholders that stand for the same value within a file."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

PLACEHOLDER = re.compile(r"<((?:uid|rv|list-rv|continue|name):\w+|rv|time(?:\+\d+s)?|microtime|any|redacted)>")
FORMS = {
    "uid": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "rv": r"\d+",
    "list-rv": r"\d+",
    "continue": r"[A-Za-z0-9_=-]+",
    "name": r"[a-z0-9]+(?:-[a-z0-9]+)*",
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "microtime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z",
    "any": r".*",
    "redacted": r".*",
}
MISSING = object()


def tokens(path: str) -> list[str | int]:
    """`$.items[*].metadata['a.b']` -> ["items", "*", "metadata", "a.b"]; a leading $ is dropped."""
    found = re.findall(r"\.([^.\[\]]+)|\['([^']+)'\]|\[(\*|\d+)\]", path.removeprefix("$"))
    return [name or quoted or (index if index == "*" else int(index)) for name, quoted, index in found]


def read(value: Any, path: list[str | int]) -> Any:
    """The value at a path, MISSING when it is not there; `*` gives the list of what each element has."""
    if not path:
        return value
    head, rest = path[0], path[1:]
    if head == "*":
        return [read(element, rest) for element in value] if isinstance(value, list) else MISSING
    if isinstance(head, int):
        return read(value[head], rest) if isinstance(value, list) and head < len(value) else MISSING
    return read(value[head], rest) if isinstance(value, dict) and head in value else MISSING


def present(value: Any) -> bool:
    if isinstance(value, list):
        return any(present(element) for element in value)
    return value is not MISSING


class Comparison:
    """Compares within one file; `known` holds what placeholders stand for."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def text(self, expected: str, actual: Any) -> str:
        """The difference of a string with placeholders, "" when it matches; binds what is new."""
        if not isinstance(actual, str):
            return f"expected {expected!r}, got {actual!r}"
        pattern, names, position = "", [], 0
        for match in PLACEHOLDER.finditer(expected):
            pattern += re.escape(expected[position : match.start()])
            kind = re.split(r"[:+]", match[1])[0]
            bound = self.known.get(match[1]) if ":" in match[1] and kind != "list-rv" else None
            pattern += re.escape(bound) if bound is not None else f"({FORMS[kind]})"
            if bound is None:
                names.append(match[1])
            position = match.end()
        pattern += re.escape(expected[position:])
        found = re.fullmatch(pattern, actual, re.DOTALL)
        if not found:
            return f"expected {expected!r}, got {actual!r}"
        for name, value in zip(names, found.groups(), strict=True):
            difference = self._time(name, value)
            if difference:
                return difference
            if ":" in name:
                self.known[name] = value
        return ""

    def _time(self, name: str, value: str) -> str:
        seconds = re.fullmatch(r"time\+(\d+)s", name)
        if not seconds:
            return ""
        wanted = datetime.now(UTC) + timedelta(seconds=int(seconds[1]))
        off = abs((datetime.fromisoformat(value) - wanted).total_seconds())
        return "" if off <= 4 else f"{value} is {off:.0f} s away from {name}"

    def value(self, expected: Any, actual: Any, path: tuple[Any, ...], skipped: list[list[Any]]) -> list[str]:
        """The differences of a subtree; what is under a skipped path is not looked at."""
        if any(_covers(skip, path) for skip in skipped):
            return []
        where = "$" + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)
        if expected is MISSING or actual is MISSING:
            if expected is actual:
                return []
            return [f"{where}: {'unexpected' if expected is MISSING else 'missing'}"]
        if isinstance(expected, dict):
            if not isinstance(actual, dict):
                return [f"{where}: expected an object, got {actual!r}"]
            found = []
            for key in {**expected, **actual}:
                found += self.value(expected.get(key, MISSING), actual.get(key, MISSING), (*path, key), skipped)
            return found
        if isinstance(expected, list):
            if not isinstance(actual, list) or len(actual) != len(expected):
                return [f"{where}: expected {json.dumps(expected, default=str)[:300]}, got {str(actual)[:300]}"]
            pairs = enumerate(zip(expected, actual, strict=True))
            return [d for i, (e, a) in pairs for d in self.value(e, a, (*path, i), skipped)]
        if isinstance(expected, str):
            difference = self.text(expected, actual)
            return [f"{where}: {difference}"] if difference else []
        same = expected == actual and isinstance(expected, bool) == isinstance(actual, bool)
        return [] if same else [f"{where}: expected {expected!r}, got {actual!r}"]

    def bind(self, expected: Any, actual: Any) -> list[str]:
        """Placeholders wherever both sides have a value there; a uid must be the one known, others may be new ones."""
        if isinstance(expected, dict) and isinstance(actual, dict):
            return [d for key in expected if key in actual for d in self.bind(expected[key], actual[key])]
        if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
            return [d for e, a in zip(expected, actual, strict=True) for d in self.bind(e, a)]
        if isinstance(expected, str) and re.fullmatch(r"<(uid|rv|continue|list-rv):\w+>", expected):
            if not expected.startswith("<uid:"):
                self.known.pop(expected.strip("<>"), None)
            difference = self.text(expected, actual)
            return [difference] if difference else []
        return []

    def fill(self, text: str) -> str:
        """A request with its placeholders replaced."""

        def replaced(match: re.Match[str]) -> str:
            name = match[1]
            seconds = re.fullmatch(r"time(?:\+(\d+)s)?", name)
            if seconds:
                moment = datetime.now(UTC) + timedelta(seconds=int(seconds[1] or 0))
                return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
            if name == "microtime":
                return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            if name == "continue:expired":
                token = json.dumps({"v": "meta.k8s.io/v1", "rv": 3, "start": "c-list/p2\u0000"})
                return base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
            return self.known.get(name, match[0])

        return PLACEHOLDER.sub(replaced, text).replace("<bootstrap-secret>", "0123456789abcdef")


def _covers(pattern: list[Any], path: tuple[Any, ...]) -> bool:
    if len(path) < len(pattern):
        return False
    return all(p in ("*", part) or p == part for p, part in zip(pattern, path, strict=False))


def restricted(value: Any, model: Any) -> Any:
    """What of a value the model has too: recordings of lists leave parts out."""
    if isinstance(value, dict) and isinstance(model, dict):
        return {k: restricted(v, model[k]) for k, v in value.items() if k in model}
    return value
