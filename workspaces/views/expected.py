"""When an operation that runs is expected to end: from the hosts it has done itself, else from upgrades measured."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Final, NamedTuple

from workspaces.models import Operation, Step
from workspaces.models.durations import measured
from workspaces.operations import upgrade
from workspaces.rules import lifecycle
from workspaces.rules.estimate import NEEDED, Durations, typical
from workspaces.views.timetable import seconds_of

_CONTROL_PLANE: Final = ("set_version", "roll_out", "confirm", "kubeadm_config")
_NOTHING: Final = Durations((), ())


class Expected(NamedTuple):
    """`at` None: not known yet. `basis` says from what; `host` is what a waiting host takes, in seconds."""

    at: datetime | None
    basis: str
    host: float | None


def expected(operation: Operation, steps: Sequence[Step], now: datetime) -> Expected | None:
    """None when nothing is to be said: it does not run, or stops before its end. At most one query."""
    if operation.started_at is None or operation.state not in ("running", "waiting") or operation.stop_requested_at:
        return None
    hosts, planes = _units(steps)
    own = [_spent(unit, now) for unit in hosts if all(step.state == "done" for step in unit)]
    known = measured() if not own and operation.kind == upgrade.KIND else _NOTHING
    a_host = median(own) if own else typical(known.host)
    own_planes = [_spent(unit, now) for unit in planes if all(step.state == "done" for step in unit)]
    a_plane = median(own_planes) if own_planes else typical(known.control_plane)
    left = [_left(units, each, now) for units, each in ((hosts, a_host), (planes, a_plane))]
    shown = None if a_host is None else round(a_host, -1)
    if None in left:
        return Expected(None, _missing(known) if operation.kind == upgrade.KIND else "known once a host is done", shown)
    at = now + timedelta(seconds=sum(seconds for seconds in left if seconds is not None))
    return Expected(at, _of_own(hosts) if own else f"from {len(known.control_plane)} upgrades measured", shown)


def _missing(known: Durations) -> str:
    if len(known.control_plane) < NEEDED:
        return f"{len(known.control_plane)} of {NEEDED} upgrades measured"
    return f"{len(known.host)} of {NEEDED} hosts measured"


def _units(steps: Sequence[Step]) -> tuple[list[list[Step]], list[list[Step]]]:
    """What takes time: the steps of each host of a hop, and those of the control plane of a hop."""
    hosts: dict[tuple[int, str], list[Step]] = {}
    planes: dict[int, list[Step]] = {}
    for step in steps:
        if step.host:
            hosts.setdefault((step.hop, step.host), []).append(step)
        elif step.key in _CONTROL_PLANE:
            planes.setdefault(step.hop, []).append(step)
    return list(hosts.values()), list(planes.values())


def _left(units: Sequence[Sequence[Step]], each: float | None, now: datetime) -> float | None:
    """Seconds until all are over when one takes `each`; None when that is not known, and has to be."""
    unfinished = [unit for unit in units if any(step.state not in lifecycle.STEP_OVER for step in unit)]
    if each is None:
        return None if unfinished else 0.0
    return sum(max(0.0, each - _spent(unit, now)) for unit in unfinished)


def _spent(unit: Sequence[Step], now: datetime) -> float:
    running = (step.started_at for step in unit if step.started_at and step.state in ("running", "waiting"))
    return sum(seconds_of(step) or 0.0 for step in unit) + sum((now - since).total_seconds() for since in running)


def _of_own(hosts: Sequence[Sequence[Step]]) -> str:
    """`from the time of hosts 1 and 2`: which of this operation's own hosts it goes by."""
    done = [number for number, unit in enumerate(hosts, start=1) if all(step.state == "done" for step in unit)]
    if len(done) > 3 or len({unit[0].hop for unit in hosts}) > 1:
        return f"from the time of {len(done)} host{'' if len(done) == 1 else 's'}"
    *first, last = [str(number) for number in done]
    return f"from the time of hosts {', '.join(first)} and {last}" if first else f"from the time of host {last}"
