"""Label and field selectors of lists, watches, workloads and budgets."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from workspaces.simulators.clusters.errors import bad_request
from workspaces.simulators.clusters.kinds import Resource

Predicate = Callable[[dict[str, Any]], bool]
_TOKEN = re.compile(r"\s*(!=|==|=|!|\(|\)|,|[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?)")


def everything(_: dict[str, Any]) -> bool:
    return True


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if not match:
            raise bad_request(
                f"unable to parse requirement: found '{text[position:].strip()[:1]}', expected: identifier"
            )
        tokens.append(match[1])
        position = match.end()
    return tokens


def _identifier(tokens: list[str]) -> str:
    if not tokens or not tokens[0][0].isalnum():
        found = tokens[0] if tokens else ""
        raise bad_request(f"unable to parse requirement: found '{found}', expected: identifier")
    return tokens.pop(0)


def _value_set(tokens: list[str]) -> set[str]:
    values: set[str] = set()
    if not tokens or tokens.pop(0) != "(":
        raise bad_request("unable to parse requirement: found '', expected: '('")
    while tokens and tokens[0] != ")":
        if tokens[0] == ",":
            tokens.pop(0)
            continue
        values.add(_identifier(tokens))
    if not tokens:
        raise bad_request("unable to parse requirement: found '', expected: ',', or ')'")
    tokens.pop(0)
    return values


def _requirement(tokens: list[str]) -> Callable[[Mapping[str, str]], bool]:
    if tokens[0] == "!":
        tokens.pop(0)
        key = _identifier(tokens)
        return lambda labels: key not in labels
    key = _identifier(tokens)
    operator = tokens.pop(0) if tokens and tokens[0] != "," else ""
    if not operator:
        return lambda labels: key in labels
    if operator in ("in", "notin"):
        values = _value_set(tokens)
        wanted = operator == "in"
        return lambda labels: (labels.get(key) in values) is wanted
    if operator not in ("=", "==", "!="):
        raise bad_request(f"unable to parse requirement: found '{operator}', expected: in, notin, =, ==, !=, gt, lt")
    value = _identifier(tokens) if tokens and tokens[0] != "," else ""
    equal = operator != "!="
    return lambda labels: (labels.get(key) == value) is equal


def label_selector(text: str) -> Predicate:
    """`tier in (gold,silver),zone=a,!old`; raises the API server's 400."""
    tokens = _tokens(text)
    requirements = []
    while tokens:
        requirements.append(_requirement(tokens))
        if tokens and tokens.pop(0) != ",":
            raise bad_request("unable to parse requirement: found ')', expected: ',' or 'end of string'")
    return lambda document: all(r(document["metadata"].get("labels") or {}) for r in requirements)


def matches(selector: dict[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """A LabelSelector object (matchLabels, matchExpressions) against labels; an empty one matches all, None nothing."""
    if selector is None:
        return False
    if any(labels.get(k) != v for k, v in selector.get("matchLabels", {}).items()):
        return False
    for expression in selector.get("matchExpressions", ()):
        key, operator, values = expression["key"], expression["operator"], expression.get("values", ())
        held = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }[operator]
        if not held:
            return False
    return True


def field_value(document: dict[str, Any], path: str) -> str:
    value: Any = document
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool) or value is None:
        return "true" if value else ("false" if path == "spec.unschedulable" or path == "spec.hostNetwork" else "")
    return str(value)


def field_selector(text: str, resource: Resource) -> Predicate:
    """`spec.nodeName=w1,status.phase!=Succeeded`; only the fields the resource names."""
    requirements: list[tuple[str, bool, str]] = []
    for part in filter(None, text.split(",")):
        match = re.fullmatch(r"([^=!]+)(!=|==|=)(.*)", part)
        if not match:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        if match[1] not in resource.selectable:
            raise bad_request(f"field label not supported: {match[1]}")
        requirements.append((match[1], match[2] != "!=", match[3]))
    return lambda document: all((field_value(document, f) == v) is equal for f, equal, v in requirements)
