"""An operation's steps arranged for its page: hop after hop, as sentences, and on hosts as a timetable of durations.

When it will be over is `expected.py`; what stood in a hop's way is `operation_checks.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from workspaces.models import Operation, Step
from workspaces.models.step import OPENED_BY
from workspaces.rules import lifecycle
from workspaces.views.causes import in_words
from workspaces.views.operation_checks import Panel

_MARKS: Mapping[str, lifecycle.Tone] = {"done": "ok", "running": "busy", "waiting": "busy", "failed": "bad"}


class Line(NamedTuple):
    """A step as a sentence. `seconds` is how long it took, None while it has not ended.

    `cause` and `who` say what holds it up and who can fix that, where it is known; `left_out_by` who skipped it;
    `checked` what it looked at, when it is a check.
    """

    title: str
    tone: str
    message: str
    attempts: int
    seconds: float | None
    since: datetime | None
    cause: str
    who: str
    left_out_by: str
    checked: Panel | None


class Cell(NamedTuple):
    """What a stage took on a host. `state` is done, run, fail, out (left out) or wait."""

    label: str
    state: str
    seconds: float | None
    since: datetime | None


class HostLine(NamedTuple):
    """A row of the timetable. `left_out` is its first step that was skipped; `waits`: nothing has begun on it."""

    name: str
    kubelet: str
    runs: bool
    cells: list[Cell]
    total: float | None
    left_out: Step | None
    waits: bool
    may_leave: bool


class Timetable(NamedTuple):
    """Hosts are rows, stages are columns. `shown` is the host whose steps stand below as sentences."""

    stages: list[str]
    hosts: list[HostLine]
    done: int
    left_out: int
    tone: str
    shown: str
    steps: list[Line]


class Part(NamedTuple):
    """One upgrade of several, or the whole operation (then without a title).

    The steps before the hosts, the hosts (None: there are none; `stays` then says why they wait), the steps after them.
    """

    hop: int
    title: str
    stays: str
    before: list[Line]
    hosts: Timetable | None
    after: list[Line]


class Course(NamedTuple):
    """All of it. `over` steps have nothing left to do: `done`, or left out. `hosts` is the table that matters now."""

    parts: list[Part]
    hosts: Timetable | None
    done: int
    over: int
    total: int
    current: Step | None

    @property
    def left_out(self) -> int:
        """Steps that were left out."""
        return self.over - self.done

    @property
    def shown(self) -> str:
        """The host whose steps are shown; empty: none."""
        return next((part.hosts.shown for part in self.parts if part.hosts and part.hosts.shown), "")


def course(
    operation: Operation,
    steps: Sequence[Step],
    titles: Mapping[str, str],
    chosen: str = "",
    checked: Mapping[str, Panel] | None = None,
) -> Course:
    """Arrange `steps` (in order). `titles` words the stages; `chosen` is the host to show, else the current one.

    `checked` are the preflights by the version that they were about.
    """
    current = next((step for step in steps if step.state not in lifecycle.STEP_OVER), None)
    hops = {hop: list(mine) for hop, mine in groupby(steps, key=lambda step: step.hop)}
    shown = chosen or (current.host if current else "")
    opened = _hop_to_open(hops, current.hop if current else 0, shown)
    parts = []
    for hop, mine in hops.items():
        table = _timetable([step for step in mine if step.stage], titles, shown if hop == opened else "")
        parts.append(_part(hop, operation.parameters.get("hops", []), mine, table, checked or {}))
    tables = [part.hosts for part in parts if part.hosts]
    left = (table for table in tables if table.done + table.left_out < len(table.hosts))
    return Course(
        parts=parts,
        hosts=next(left, tables[-1] if tables else None),
        done=sum(step.state == "done" for step in steps),
        over=sum(step.state in lifecycle.STEP_OVER for step in steps),
        total=len(steps),
        current=current if operation.state != "succeeded" else None,
    )


def _hop_to_open(hops: Mapping[int, Sequence[Step]], current: int, host: str) -> int:
    """In which hop the steps of `host` are shown: the one that runs, else the last in which it takes part."""
    with_host = [hop for hop, steps in hops.items() if any(step.stage and step.host == host for step in steps)]
    return current if current in with_host else (with_host[-1] if with_host else 0)


def _part(
    hop: int,
    told: Sequence[Mapping[str, Any]],
    steps: Sequence[Step],
    table: Timetable | None,
    checked: Mapping[str, Panel],
) -> Part:
    first = next((step.position for step in steps if step.stage), steps[-1].position + 1)
    others = [(step.position, _line(step, checked)) for step in steps if not step.stage]
    title, stays = "", ""
    if 0 < hop <= len(told):
        one = told[hop - 1]
        title = f"Hop {hop} of {len(told)}: {one['from']} to {one['to']}"
        stays = "" if one.get("workers_move") else str(one.get("reason", ""))
    return Part(
        hop=hop,
        title=title,
        stays=stays,
        before=[line for position, line in others if position < first],
        hosts=table,
        after=[line for position, line in others if position > first],
    )


def next_safe_point(steps: Sequence[Step]) -> Step | None:
    """The step before which a stop would take hold; None when the operation would run to its end."""
    ahead = (step for step in steps if step.state not in lifecycle.STEP_OVER)
    return next((step for step in ahead if step.safe_to_stop and step.state != "running"), None)


def digest(operation: Operation, steps: Sequence[Step], now: datetime) -> tuple[str, str]:
    """Two short texts: one changes with the state of anything shown, the other with the minute on the page."""
    shown = (operation.state, operation.stop_requested_at, operation.wake_at, operation.error_message)
    of_steps = [(step.state, step.attempts, step.message, step.cause, step.skipped_by) for step in steps]
    minute = str(int(now.timestamp()) // 60) if operation.is_open else "-"
    return hashlib.sha256(repr((shown, of_steps)).encode()).hexdigest()[:16], minute


def _line(step: Step, checked: Mapping[str, Panel] | None = None) -> Line:
    return Line(
        title=step.title,
        tone=_MARKS.get(step.state, ""),
        message=step.message,
        attempts=step.attempts,
        seconds=seconds_of(step),
        since=step.started_at,
        cause=in_words(step.cause) if step.state in ("waiting", "failed") else "",
        who=step.who_can_fix if step.state in ("waiting", "failed") else "",
        left_out_by=step.skipped_by if step.state == "skipped" else "",
        checked=checked.get(step.arguments.get("to", "")) if checked and step.key == "check" else None,
    )


def seconds_of(step: Step) -> float | None:
    """How long a step took; None when it has not ended, or was left out."""
    if step.started_at is None or step.finished_at is None or step.state == "skipped":
        return None
    return (step.finished_at - step.started_at).total_seconds()


def _timetable(steps: Sequence[Step], titles: Mapping[str, str], chosen: str) -> Timetable | None:
    if not steps:
        return None
    by_host: dict[str, list[Step]] = {}
    for step in steps:
        by_host.setdefault(step.host, []).append(step)
    stages = list(dict.fromkeys(step.stage for step in steps))
    hosts = [_host_line(name, mine, stages, titles) for name, mine in by_host.items()]
    states = {step.state for step in steps}
    done = sum(all(step.state == "done" for step in mine) for mine in by_host.values())
    tone = "bad" if "failed" in states else "busy" if states & {"running", "waiting"} else ""
    if states <= set(lifecycle.STEP_OVER):
        tone = "ok"
    return Timetable(
        stages=[titles.get(stage, stage.replace("_", " ").capitalize()) for stage in stages],
        hosts=hosts,
        done=done,
        left_out=sum(host.left_out is not None for host in hosts),
        tone=tone,
        shown=chosen if chosen in by_host else "",
        steps=[_line(step) for step in by_host.get(chosen, [])],
    )


def _host_line(name: str, steps: Sequence[Step], stages: Sequence[str], titles: Mapping[str, str]) -> HostLine:
    of_stage = {step.stage: step for step in steps}
    took = [seconds for step in steps if (seconds := seconds_of(step)) is not None]
    states = {step.state for step in steps}
    # The step that opens a closed host is done whatever is left out.
    left = [step for step in steps if step.state not in lifecycle.STEP_OVER and step.key not in OPENED_BY.values()]
    return HostLine(
        name=name,
        kubelet=next((step.kubelet for step in steps if getattr(step, "kubelet", "")), ""),  # type: ignore[attr-defined]
        runs=bool(states & {"running", "waiting", "failed"}),
        cells=[_cell(titles.get(stage, stage), of_stage.get(stage)) for stage in stages],
        total=sum(took) if took and states == {"done"} else None,
        left_out=next((step for step in steps if step.state == "skipped"), None),
        waits=states == {"pending"},
        may_leave=bool(left) and "running" not in states,
    )


def _cell(label: str, step: Step | None) -> Cell:
    if step is None or step.state == "pending":
        return Cell(label, "wait", None, None)
    state = {"done": "done", "skipped": "out", "failed": "fail"}.get(step.state, "run")
    return Cell(label, state, seconds_of(step), step.started_at)
