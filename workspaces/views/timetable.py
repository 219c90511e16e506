"""An operation's steps arranged for its page: sentences in order, and for steps on hosts a timetable of durations."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from workspaces.models import Operation, Step
from workspaces.rules import lifecycle

_MARKS: Mapping[str, lifecycle.Tone] = {"done": "ok", "running": "busy", "waiting": "busy", "failed": "bad"}
_ENDED = ("done", "skipped")


class Line(NamedTuple):
    """A step as a sentence. `seconds` is how long it took, None while it has not ended."""

    title: str
    tone: str
    message: str
    attempts: int
    seconds: float | None
    since: datetime | None


class Cell(NamedTuple):
    """What a stage took on a host. `state` is done, run, fail or wait."""

    label: str
    state: str
    seconds: float | None
    since: datetime | None


class HostLine(NamedTuple):
    """A row of the timetable."""

    name: str
    kubelet: str
    runs: bool
    cells: list[Cell]
    total: float | None


class Timetable(NamedTuple):
    """Hosts are rows, stages are columns. `shown` is the host whose steps stand below as sentences."""

    stages: list[str]
    hosts: list[HostLine]
    done: int
    tone: str
    shown: str
    steps: list[Line]


class Course(NamedTuple):
    """The steps before the hosts, the hosts (None: there are none), and the steps after them."""

    before: list[Line]
    hosts: Timetable | None
    after: list[Line]
    done: int
    total: int
    current: Step | None


def course(operation: Operation, steps: Sequence[Step], titles: Mapping[str, str], chosen: str = "") -> Course:
    """Arrange `steps` (in order). `titles` words the stages; `chosen` is the host to show, else the current one."""
    current = next((step for step in steps if step.state not in _ENDED), None)
    on_hosts = [step for step in steps if step.host]
    first = on_hosts[0].position if on_hosts else len(steps)
    lines = {step.position: _line(step) for step in steps if not step.host}
    return Course(
        before=[line for position, line in lines.items() if position < first],
        hosts=_timetable(on_hosts, titles, chosen or (current.host if current else "")) if on_hosts else None,
        after=[line for position, line in lines.items() if position > first],
        done=sum(step.state in _ENDED for step in steps),
        total=len(steps),
        current=current if operation.state != "succeeded" else None,
    )


def next_safe_point(steps: Sequence[Step]) -> Step | None:
    """The step before which a stop would take hold; None when the operation would run to its end."""
    ahead = (step for step in steps if step.state not in _ENDED)
    return next((step for step in ahead if step.safe_to_stop and step.state != "running"), None)


def digest(operation: Operation, steps: Sequence[Step], now: datetime) -> tuple[str, str]:
    """Two short texts: one changes with the state of anything shown, the other with the minute on the page."""
    shown = (operation.state, operation.stop_requested_at, operation.wake_at, operation.error_message)
    of_steps = [(step.state, step.attempts, step.message) for step in steps]
    minute = str(int(now.timestamp()) // 60) if operation.is_open else "-"
    return hashlib.sha256(repr((shown, of_steps)).encode()).hexdigest()[:16], minute


def _line(step: Step) -> Line:
    return Line(step.title, _MARKS.get(step.state, ""), step.message, step.attempts, _seconds(step), step.started_at)


def _seconds(step: Step) -> float | None:
    if step.started_at is None or step.finished_at is None:
        return None
    return (step.finished_at - step.started_at).total_seconds()


def _timetable(steps: Sequence[Step], titles: Mapping[str, str], chosen: str) -> Timetable:
    by_host: dict[str, list[Step]] = {}
    for step in steps:
        by_host.setdefault(step.host, []).append(step)
    stages = list(dict.fromkeys(step.stage for step in steps))
    hosts = [_host_line(name, mine, stages, titles) for name, mine in by_host.items()]
    states = {step.state for step in steps}
    done = sum(all(step.state in _ENDED for step in mine) for mine in by_host.values())
    tone = "bad" if "failed" in states else "busy" if states & {"running", "waiting"} else ""
    if done == len(hosts):
        tone = "ok"
    return Timetable(
        stages=[titles.get(stage, stage.replace("_", " ").capitalize()) for stage in stages],
        hosts=hosts,
        done=done,
        tone=tone,
        shown=chosen if chosen in by_host else "",
        steps=[_line(step) for step in by_host.get(chosen, [])],
    )


def _host_line(name: str, steps: Sequence[Step], stages: Sequence[str], titles: Mapping[str, str]) -> HostLine:
    of_stage = {step.stage: step for step in steps}
    took = [seconds for step in steps if (seconds := _seconds(step)) is not None]
    return HostLine(
        name=name,
        kubelet=next((step.kubelet for step in steps if getattr(step, "kubelet", "")), ""),  # type: ignore[attr-defined]
        runs=any(step.state in ("running", "waiting", "failed") for step in steps),
        cells=[_cell(titles.get(stage, stage), of_stage.get(stage)) for stage in stages],
        total=sum(took) if took and all(step.state in _ENDED for step in steps) else None,
    )


def _cell(label: str, step: Step | None) -> Cell:
    if step is None or step.state == "pending":
        return Cell(label, "wait", None, None)
    state = {"done": "done", "skipped": "done", "failed": "fail"}.get(step.state, "run")
    return Cell(label, state, _seconds(step), step.started_at)
