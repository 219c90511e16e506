"""Passes over a whole fleet at the management level: `python -m tests.benchmarks reconciling`, see its --help.

Every control plane of 20 management clusters and every server of 40 cloud projects, by the looks that production makes,
in two processes as two workers would: a first pass that finds everything new, one that finds nothing changed, and one
that finds one workspace in a hundred changed by somebody else. The vendors are simulated in one process over real
HTTPS; its time is in the figures, on the same cores.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from django.db import connection

from tests.benchmarks import looker
from tests.benchmarks.reconciling_fleet import ACCOUNTS, CLUSTERS, Fleet
from tests.simulators.running import RunningWorld

WORKERS = 2
SIZES = (1000, 3000, 10_000)
# What must hold.
SECONDS_AT_MOST, CALLS_A_PAGE, GROWTH = 30.0, 2, 1.5
# What a pass may not touch when nothing has changed; and what says that somebody has looked.
SEEN = ("workspace", "host", "drift", "leftserver")
LOOKED = ("look", "managementcluster", "provideraccount")
HEADINGS = ("fleet", "pass", "pages", "calls", "s", "CPU", "vendors' CPU", "s per 1,000", *SEEN, *LOOKED)


@dataclass(frozen=True)
class Pass:
    """One pass: what it asked, what it wrote, and how long it took.

    `seconds` passed meanwhile; `cpu` is what the two workers computed, `vendors` what the simulators did.
    """

    name: str
    size: int
    pages: int
    calls: int
    seconds: float
    cpu: float
    vendors: float
    rows: Mapping[str, int]

    def line(self) -> str:
        """For the table."""
        took = (self.seconds, self.cpu, self.vendors, 1000 * self.seconds / self.size)
        figures = (f"{self.size:,}", self.name, self.pages, self.calls, *(f"{seconds:.2f}" for seconds in took))
        return _columns((*figures, *(self.rows[table] for table in (*SEEN, *LOOKED))))


@dataclass
class Verdicts:
    """What must hold, line by line."""

    failed: int = 0
    lines: list[str] = field(default_factory=list)

    def say(self, holds: bool, what: str) -> None:
        """Note one."""
        self.failed += not holds
        self.lines.append(f"{'PASS' if holds else 'FAIL'}  {what}")


def main(*arguments: str) -> int:
    """Measure each size, print, and give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks reconciling", description=__doc__)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=SIZES, help="workspaces; each fleet grows into the next"
    )
    sizes = sorted(parser.parse_args(arguments).sizes)
    print(f"{CLUSTERS} management clusters, {ACCOUNTS} provider accounts, {WORKERS} processes, {os.cpu_count()} cores.")
    print("Each workspace is a control plane and one host, a cloud server. Calls and rows are counted, not computed.\n")
    passes: list[Pass] = []
    with RunningWorld() as world, _workers() as pool:
        fleet = Fleet(world)
        for size in sizes:
            started = time.monotonic()
            fleet.grow(size)
            print(f"# {size:,} workspaces are there after {time.monotonic() - started:.0f} s")
            passes += _measure(fleet, size, pool)
        world.process.kill()  # nobody will ask for its state again
        world.process.wait()
    print(f"\n{_columns(HEADINGS)}")
    print("\n".join(one.line() for one in passes))
    return _judge(passes)


def _measure(fleet: Fleet, size: int, pool: ProcessPoolExecutor) -> list[Pass]:
    """The three passes over the fleet as it is."""
    first = _pass("first", fleet, size, pool)
    unchanged = _pass("unchanged", fleet, size, pool)
    changed = fleet.change(size // 100)
    return [first, unchanged, _pass(f"{changed} changed", fleet, size, pool)]


def _pass(name: str, fleet: Fleet, size: int, pool: ProcessPoolExecutor) -> Pass:
    looks = fleet.looks()
    calls, rows = fleet.calls(), _rows()
    started, vendors = time.monotonic(), fleet.vendors_cpu()
    cpu = sum(pool.map(looker.look, *zip(*looks, strict=True)))
    seconds, vendors = time.monotonic() - started, fleet.vendors_cpu() - vendors
    asked = fleet.calls() - calls
    now = _rows()
    written = {table: now[table] - rows[table] for table in now}
    return Pass(name, size, asked.pages, asked.calls, seconds, cpu, vendors, written)


def _workers() -> ProcessPoolExecutor:
    """Two processes that have imported everything, as workers have that wait for a job."""
    pool = ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn"), looker.begin)
    list(pool.map(time.sleep, [1.0] * WORKERS))
    return pool


def _rows() -> dict[str, int]:
    """Rows inserted, updated or deleted so far, by table."""
    sql = "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables WHERE relname = ANY(%s)"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(sql, [[f"workspaces_{table}" for table in (*SEEN, *LOOKED)]])
        return {name.removeprefix("workspaces_"): int(number) for name, number in cursor.fetchall()}


# --- The report -------------------------------------------------------------------------------------------------------
def _columns(cells: Sequence[object]) -> str:
    return "".join(f"{cell!s:>{max(12, len(heading) + 2)}}" for cell, heading in zip(cells, HEADINGS, strict=True))


def _judge(passes: Sequence[Pass]) -> int:
    """Print what must hold; 0 when all of it does."""
    said = Verdicts()
    dearest = max(passes, key=lambda one: one.calls / one.pages)
    ratio = dearest.calls / dearest.pages
    said.say(
        ratio <= CALLS_A_PAGE, f"at most {CALLS_A_PAGE} calls a page: {ratio:.2f} ({dearest.name}, {dearest.size:,})"
    )
    idle = {one.size: sum(one.rows[table] for table in SEEN) for one in passes if one.name == "unchanged"}
    said.say(not any(idle.values()), f"nothing is written when nothing has changed: {idle}")
    slowest = max(passes, key=lambda one: one.seconds)
    said.say(
        slowest.seconds < SECONDS_AT_MOST, f"under {SECONDS_AT_MOST:.0f} s: {slowest.seconds:.1f} s ({slowest.name})"
    )
    for name in ("first", "unchanged"):
        # By what was computed, on both sides: what else the machine does meanwhile says nothing about growth.
        each = [(one.cpu + one.vendors) / one.size for one in passes if one.name == name]
        if len(each) > 1:
            growth = max(each[1:]) / each[0]
            said.say(growth <= GROWTH, f"linear: one of a larger fleet costs {growth:.2f} times as much ({name})")
    print("\n" + "\n".join(said.lines))
    return int(said.failed > 0)
