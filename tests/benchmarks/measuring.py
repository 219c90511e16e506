"""Timing: cases and their limits taken in turn, so that what else the machine does hits both alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext


@dataclass
class Case:
    """Something to be timed. `run` gives the response, if there is one; `prepare` happens before it and is not timed.

    `limit` does the least for an answer of the same size. `peer` is what NetBox 4.6.8 took, and the limit beside it,
    in milliseconds, measured on ten thousand objects with two cores.
    """

    name: str
    run: Callable[[], Any]
    limit: Callable[[], Any] | None = None
    prepare: Callable[[], Any] = lambda: None
    peer: tuple[float, float] | None = None
    rounds: int = 40
    took: list[float] = field(default_factory=list)
    limit_took: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    queries: int = 0
    size: int = 0


def measure(cases: Sequence[Case]) -> None:
    """Warm up, count queries and bytes once, then time all cases round after round."""
    for case in cases:
        for _ in range(3):
            case.prepare()
            case.run()
            if case.limit:
                case.limit()
        case.prepare()
        with CaptureQueriesContext(connection) as captured:
            response = case.run()
        case.queries = len(captured)
        case.size = len(response.content) if isinstance(response, HttpResponse) else 0
    for turn in range(max(case.rounds for case in cases)):
        for case in cases:
            if turn < case.rounds:
                case.prepare()
                took, cpu = _timed(case.run)
                case.took.append(took)
                case.cpu.append(cpu)
                if case.limit:
                    case.limit_took.append(_timed(case.limit)[0])


def _timed(function: Callable[[], Any]) -> tuple[float, float]:
    """Milliseconds that passed, and those of them that this process computed (the database is another process)."""
    started, computed = time.perf_counter(), time.process_time()
    function()
    return (time.perf_counter() - started) * 1000, (time.process_time() - computed) * 1000


def report(cases: Sequence[Case]) -> None:
    """One line a case; "of NetBox" compares the multiples of the limits, so the machine cancels out."""
    print(f"{'':34}{'p50':>10}{'its CPU':>10}{'limit':>10}{'× limit':>9}{'queries':>9}{'bytes':>10}{'of NetBox':>11}")
    for case in cases:
        p50 = statistics.median(case.took)
        line = f"{case.name:34}{p50:7.1f} ms{statistics.median(case.cpu):7.1f} ms"
        if case.limit_took:
            limit = statistics.median(case.limit_took)
            line += f"{limit:7.1f} ms{p50 / limit:9.1f}"
        else:
            line += f"{'–':>10}{'–':>9}"
        line += f"{case.queries or '–':>9}{case.size or '–':>10}"
        if case.limit_took and case.peer:
            line += f"{f'1/{(case.peer[0] / case.peer[1]) / (p50 / limit):.1f}':>11}"
        print(line, flush=True)
