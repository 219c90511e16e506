"""The maintenance plan of a workspace: its document, how a change merges into it, and the change in words.

When windows open and what they do is `planner`; storing the plan and its event is `models/maintenance`.

Two ways to send a change. `json` has a documented quirk: a missing `compute` or `kubernetes` flag is switched off, and
a note says so. `merge-patch` (RFC 7396) leaves what is missing alone. In both, a weekday set to null has no window, and
a missing `enabled`, `priority_hour` or weekday keeps its value. Null elsewhere would remove what a plan always has: a
problem.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

Semantics = Literal["json", "merge-patch"]

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# What an answer carries beside the plan. Sending back what was read must work, so these are allowed and ignored.
READ_ONLY: Final = frozenset({"updated_at", "notes"})
_OBJECTS: Final = {"schedule": "schedule", "compute": "auto_update", "kubernetes": "auto_upgrade"}
_FIELDS: Final = {"enabled", "priority_hour", *_OBJECTS} | READ_ONLY


@dataclass(frozen=True, slots=True)
class Plan:
    """`hours` has seven entries, Monday first: the hour (0–23, UTC) a routine window opens, None for no window.

    `priority_hour` opens daily. `kubernetes_auto_upgrade` is None exactly for baremetal workspaces.
    """

    enabled: bool
    hours: tuple[int | None, ...]
    priority_hour: int
    compute_auto_update: bool
    kubernetes_auto_upgrade: bool | None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a document is not a plan (422): where, a stable code, and what to enter instead."""

    loc: tuple[str, ...]
    code: str
    msg: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something the reader of the answer must know although the change was stored."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Merged:
    plan: Plan
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: `field` as in the document (`schedule.3`), the values, and `Thursday 02:00 to 04:00`."""

    field: str
    before: bool | int | None
    after: bool | int | None
    sentence: str


def validate(document: object, workspace_type: str) -> list[Problem]:
    """Every problem of a document, none when it can be merged. `true` is no hour, 2.0 no whole number."""
    if not isinstance(document, Mapping):
        return [Problem((), "not_an_object", "Send an object with the fields to change.")]
    problems = [
        Problem((str(key),), "unknown_field", f"“{key}” is not a field of maintenance.")
        for key in document
        if key not in _FIELDS
    ]
    if "enabled" in document:
        problems += _boolean(("enabled",), document["enabled"])
    if "priority_hour" in document and not _is_hour(document["priority_hour"]):
        problems.append(Problem(("priority_hour",), "not_an_hour", "Enter a whole number from 0 to 23."))
    for name in _OBJECTS:
        if name not in document:
            continue
        if name == "kubernetes" and workspace_type == "baremetal":
            problems.append(Problem((name,), "not_for_baremetal", "Only Kubernetes workspaces have this block."))
        elif not isinstance(document[name], Mapping):
            problems.append(Problem((name,), "not_an_object", "Send an object."))
        else:
            problems += _schedule(document[name]) if name == "schedule" else _flag(name, document[name])
    return problems


def _is_hour(value: object) -> bool:
    # bool is a kind of int in Python, and not an hour.
    return type(value) is int and 0 <= value <= 23


def _boolean(loc: tuple[str, ...], value: object) -> list[Problem]:
    return [] if isinstance(value, bool) else [Problem(loc, "not_a_boolean", "Enter true or false.")]


def _flag(name: str, block: Mapping[str, object]) -> list[Problem]:
    flag = _OBJECTS[name]
    problems = [
        Problem((name, str(key)), "unknown_field", f"“{key}” is not a field of {name}.") for key in block if key != flag
    ]
    return problems + (_boolean((name, flag), block[flag]) if flag in block else [])


def _schedule(schedule: Mapping[str, object]) -> list[Problem]:
    problems = []
    for day, hour in schedule.items():
        loc = ("schedule", str(day))
        if day not in _DAY_NUMBERS:
            problems.append(Problem(loc, "unknown_weekday", "Weekdays are “0” (Monday) to “6” (Sunday)."))
        elif hour is not None and not _is_hour(hour):
            problems.append(Problem(loc, "not_an_hour", "Enter a whole number from 0 to 23, or null for no window."))
    return problems


_DAY_NUMBERS: Final = {str(day): day for day in range(7)}


def merge(
    current: Plan, document: Mapping[str, object], *, may_disable: bool, semantics: Semantics, workspace_type: str
) -> Merged:
    """The plan after a change, and the notes its sender must read. `document` has passed `validate`.

    Without `may_disable` the master switch stays as it is: it cannot be switched off, and what an administrator has
    switched off cannot be switched on. The rest of the change is kept in either case.
    """
    notes: list[Note] = []
    wanted = bool(document.get("enabled", current.enabled))
    if wanted != current.enabled and not may_disable:
        notes.append(_SWITCH_REFUSED[wanted])
        wanted = current.enabled
    compute = _merged_flag(current.compute_auto_update, document, "compute", semantics, notes)
    kubernetes = (
        None
        if workspace_type == "baremetal"
        else _merged_flag(bool(current.kubernetes_auto_upgrade), document, "kubernetes", semantics, notes)
    )
    schedule = document.get("schedule", {})
    priority_hour = document.get("priority_hour", current.priority_hour)
    assert isinstance(schedule, Mapping)
    assert isinstance(priority_hour, int)
    plan = replace(
        current,
        enabled=wanted,
        hours=tuple(schedule.get(str(day), hour) for day, hour in enumerate(current.hours)),
        priority_hour=priority_hour,
        compute_auto_update=compute,
        kubernetes_auto_upgrade=kubernetes,
    )
    return Merged(plan, tuple(notes))


_SWITCH_REFUSED: Final = {
    False: Note(
        "disable_refused",
        "Maintenance stays on: only an administrator may switch it off. The rest of the change is saved.",
    ),
    True: Note(
        "enable_refused",
        "Maintenance stays off: an administrator switched it off, and an administrator switches it on again. "
        "The rest of the change is saved.",
    ),
}
_TURNED_OFF: Final = {
    "compute": Note(
        "compute_turned_off_by_omission",
        "Operating system updates are now off: the request did not say compute.auto_update. "
        "Send the whole document, or send application/merge-patch+json.",
    ),
    "kubernetes": Note(
        "kubernetes_turned_off_by_omission",
        "Kubernetes patch releases are now off: the request did not say kubernetes.auto_upgrade. "
        "Send the whole document, or send application/merge-patch+json.",
    ),
}


def _merged_flag(
    current: bool, document: Mapping[str, object], name: str, semantics: Semantics, notes: list[Note]
) -> bool:
    """The flag of one block. An empty block says as little as a missing one."""
    block = document.get(name, {})
    assert isinstance(block, Mapping)
    if _OBJECTS[name] in block:
        return bool(block[_OBJECTS[name]])
    if semantics == "merge-patch":
        return current
    if current:
        notes.append(_TURNED_OFF[name])
    return False


def document(plan: Plan) -> dict[str, object]:
    """The plan as the API shows and takes it, without `updated_at`."""
    shown: dict[str, object] = {
        "enabled": plan.enabled,
        "schedule": {str(day): hour for day, hour in enumerate(plan.hours)},
        "priority_hour": plan.priority_hour,
        "compute": {"auto_update": plan.compute_auto_update},
    }
    if plan.kubernetes_auto_upgrade is not None:
        shown["kubernetes"] = {"auto_upgrade": plan.kubernetes_auto_upgrade}
    return shown


def difference(before: Plan, after: Plan) -> list[Change]:
    """What changes, in the order of the form: switch, priority hour, Monday to Sunday, the two flags."""
    days = zip(WEEKDAYS, before.hours, after.hours, strict=True)
    rows: list[tuple[str, str, bool | int | None, bool | int | None]] = [
        ("enabled", "Maintenance", before.enabled, after.enabled),
        ("priority_hour", "Priority hour", before.priority_hour, after.priority_hour),
        *((f"schedule.{day}", name, was, becomes) for day, (name, was, becomes) in enumerate(days)),
        ("compute.auto_update", "Operating system updates", before.compute_auto_update, after.compute_auto_update),
        (
            "kubernetes.auto_upgrade",
            "Kubernetes patch releases",
            before.kubernetes_auto_upgrade,
            after.kubernetes_auto_upgrade,
        ),
    ]
    return [
        Change(field, was, becomes, f"{name} {_value(was)} to {_value(becomes)}")
        for field, name, was, becomes in rows
        if was != becomes
    ]


def _value(value: bool | int | None) -> str:
    if value is None:
        return "no window"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:02d}:00"
