"""Drift in words: how fields and values are called, and why one cannot be set back or accepted. Pure."""

from __future__ import annotations

import json
from typing import Any, Final

from workspaces.rules.drift import LABEL

NOT_THERE: Final = "not there"
_FIELDS: Final = {
    ("control_plane", "kubernetes_version"): "Kubernetes version",
    ("control_plane", "paused"): "reconciliation",
    ("host", "server_type"): "server type",
    ("host", "gone"): "server",
    ("node", "unschedulable"): "scheduling",
    ("node", "missing"): "node",
    ("dns", "ttl"): "TTL",
}
_VALUES: Final = {
    ("control_plane", "paused"): {False: "on", True: "paused"},
    ("node", "unschedulable"): {False: "open", True: "closed"},
}


def in_words(value: Any) -> str:
    """A value of a field for people: "not there", yes and no, lists joined, anything nested as compact JSON."""
    if value is None:
        return NOT_THERE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple) and not any(isinstance(one, dict | list | tuple) for one in value):
        return ", ".join(map(in_words, value)) or "none"
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return str(value) if value != "" else "empty"


def field_in_words(kind: str, field: str) -> str:
    """What a person calls the field: "Kubernetes version", "label loopback/host"; a path of an object as it is."""
    if kind == "host" and field.startswith(LABEL):
        return f"label {field.removeprefix(LABEL)}"
    return _FIELDS.get((kind, field), field)


def value_in_words(kind: str, field: str, value: Any) -> str:
    """A value as its field calls it: "paused", "closed"; of most fields as `in_words` has it."""
    words = _VALUES.get((kind, field), {})
    return words[value] if isinstance(value, bool) and words else in_words(value)


def subject_in_words(kind: str, subject: str) -> str:
    """The subject within a sentence: "the control plane", "server ledger-w1"; what begins with a name stays."""
    if kind == "control_plane":
        return "the control plane"
    return subject[:1].lower() + subject[1:] if kind in ("host", "node") else subject


def repaired(kind: str, subject: str, field: str, wanted: Any, seen: Any, actor: str) -> str:
    """What was done: "Set replicas of the control plane back to 2; it was 3, changed by kubectl-edit"."""
    before, now = value_in_words(kind, field, wanted), value_in_words(kind, field, seen)
    by = f", changed by {actor}" if actor else ""
    return f"Set {_what(kind, subject, field)} back to {before}; it was {now}{by}"


def decided(kind: str, subject: str, field: str, wanted: Any, seen: Any, decision: str) -> str:
    """What a person has decided, for the trail."""
    before, now = value_in_words(kind, field, wanted), value_in_words(kind, field, seen)
    if decision == "accept":
        return f"Accepted {_what(kind, subject, field)} as {now}; {before} was wanted"
    return f"Decided to set {_what(kind, subject, field)} back to {before}; it is {now}"


def _what(kind: str, subject: str, field: str) -> str:
    return f"{field_in_words(kind, field)} of {subject_in_words(kind, subject)}"


def fought(repairs: int, actor: str) -> str:
    """Why it is not set back once more."""
    times = {1: "once", 2: "twice"}.get(repairs, f"{repairs} times")
    return f"Set back {times}; {actor} changed it again." if actor else f"Set back {times}, and different again."


def choices(kind: str, field: str, policy: str, wanted: Any, seen: Any, *, protected: bool = False) -> tuple[str, ...]:
    """What a person may decide about it now: "accept", "converge", both or nothing. What is protected stays wanted."""
    accept = not protected and not why_not_accepted(kind, field, seen)
    converge = not why_not_set_back(kind, field, policy, wanted, seen)
    return ("accept",) * accept + ("converge",) * converge


def why_not_set_back(kind: str, field: str, policy: str, wanted: Any, seen: Any) -> str:
    """Why nobody can decide to have it set back, with what to do instead; "" when it can be."""
    if (kind, field) == ("control_plane", "kubernetes_version"):
        return (
            f"A control plane only goes up, so it cannot be set back from {in_words(seen)} to {in_words(wanted)}. "
            "Accept it, or start an upgrade."
        )
    if (kind, field) == ("host", "server_type"):
        return f"It is brought to {in_words(wanted)} by resizing it."
    if (kind, field) == ("host", "gone"):
        return "Nothing brings a deleted server back: order another host and remove this one."
    if (kind, field) == ("node", "missing"):
        return "A node only joins from its own host: remove the host, or let it join again."
    if policy == "tell":
        return "This is told only: nothing is set back here."
    return ""


def why_not_accepted(kind: str, field: str, seen: Any) -> str:
    """Why nobody can accept what is seen as what is wanted, with what to do instead; "" when they can."""
    if kind == "host" and field == "gone":
        return "A host without a server is removed, not accepted."
    if kind == "host" and field.startswith(LABEL):
        return "By this label a server that nobody uses any more is found, so it stays."
    if kind == "node" and field == "missing":
        return "A host whose node is missing is removed, or joins again."
    if kind == "dns":
        return _why_no_record(field, seen)
    return ""


def _why_no_record(field: str, seen: Any) -> str:
    if field == "ttl":
        return ""
    if field != "records":
        return "Only the values and the TTL of a record can be accepted."
    if seen is None:
        return "A record that is not wanted any more is deleted from Loopback, then from the zone."
    if not isinstance(seen, list) or len(seen) != 1:
        return f"A record has one value here, and {in_words(seen)} are seen."
    return ""
