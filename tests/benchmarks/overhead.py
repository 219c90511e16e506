"""What orchestration costs: one upgrade in a world that answers at once, then a hundred beside reconciliation.

`python -m tests.benchmarks overhead [--operations 100] [--only one|apart|together]`. Queue, workers, scheduler,
Kubernetes client and vendors' protocols are real. "Stand-in" is `instant.py` in the place of ansible-playbook.
"""

from __future__ import annotations

import argparse
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks import beside, instant, probe, upgrading
from tests.simulators.running import RunningWorld
from workspaces.models import Operation

MARK = 5.0
SHARES = ("vendor", "playbook", "waiting", "handing", "code", "orchestration", "cpu", "programs_cpu")


@dataclass
class Split:
    """Where the seconds of one operation went.

    `vendor` is spent in HTTP calls, `playbook` in runs of ansible-playbook, `waiting` in pauses that a step asked for,
    `handing` between a step that is done (or a pause that is over) and the claim of the next, `code` in our own. The
    CPU is that of the forked children and of the programs they ran: unlike the others it knows no busy neighbours.
    """

    wall: float = 0.0
    vendor: float = 0.0
    playbook: float = 0.0
    waiting: float = 0.0
    handing: float = 0.0
    code: float = 0.0
    cpu: float = 0.0
    programs_cpu: float = 0.0
    runs: int = 0
    by_step: dict[str, Split] = field(default_factory=dict)

    @property
    def orchestration(self) -> float:
        """All that is not the world's."""
        return self.wall - self.vendor - self.playbook

    def add(self, record: dict[str, Any], waiting: float, handing: float) -> None:
        """Count one run of a step and what came before it."""
        self.runs += 1
        self.vendor += record["vendor"]
        self.playbook += record["playbook"]
        self.cpu += record["cpu"]
        self.programs_cpu += record["programs_cpu"]
        self.waiting += waiting
        self.handing += handing
        own = record["settled"] - record["claiming"] - record["vendor"] - record["playbook"]
        self.code += own
        self.wall += waiting + handing + own + record["vendor"] + record["playbook"]


def main(*arguments: str) -> int:
    """Measure and print; 1 when an operation does not succeed or a workspace is looked at too late."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks overhead")
    parser.add_argument("--operations", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3, help="upgrades measured one after the other, of each sort")
    parser.add_argument("--only", choices=("one", *beside.ARRANGEMENTS))
    options = parser.parse_args(arguments)
    if options.only in (None, "one"):
        print(f"One upgrade of 3 hosts, 2 workers, a world that answers at once; medians of {options.rounds}.")
        _one(options.rounds)
    arrangements = [name for name in beside.ARRANGEMENTS if options.only in (None, name)]
    return 0 if not arrangements or beside.many(options.operations, arrangements, stand_in) else 1


@contextmanager
def stand_in(world: RunningWorld) -> Iterator[None]:
    """Workers that are started meanwhile find `instant.py` as ansible-playbook."""
    with tempfile.TemporaryDirectory(prefix="loopback-benchmark-programs-") as directory:
        program = Path(directory) / "ansible-playbook"
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -S {instant.__file__} "$@"\n')
        program.chmod(0o755)
        os.environ |= {probe.PROGRAMS: directory, instant.PORT: _control_port(world)}
        try:
            yield
        finally:
            del os.environ[probe.PROGRAMS], os.environ[instant.PORT]


def _control_port(world: RunningWorld) -> str:
    """Where the programs of the hosts are served: each command over SSH is told so."""
    host = world.ready["hosts"][0]
    key = world.state_dir / "ssh_key"
    options = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR")
    to = ("-i", key, "-p", str(host["port"]), f"{host['user']}@{host['address']}")
    return subprocess.check_output(["ssh", *options, *to, "echo $HOST_CONTROL_PORT"], text=True).strip()


# --- One --------------------------------------------------------------------------------------------------------------
def _one(rounds: int) -> None:
    """Upgrades one after the other, with the real ansible-playbook and with the stand-in."""
    with RunningWorld(phase_seconds=0.001) as world:
        workspaces = upgrading.fleet(world, 2 * rounds, hosts=3)
        real = [_measured(workspace) for workspace in [*_with_programs(workspaces[:rounds])]]
        with stand_in(world):
            quick = [_measured(workspace) for workspace in [*_with_programs(workspaces[rounds:])]]
    _report(real, quick)


def _with_programs(workspaces: Sequence[Any]) -> Iterator[Operation]:
    """The upgrades, each ended; two workers and a scheduler of their own."""
    with upgrading.programs() as programs:
        for _ in range(2):
            programs.work("operations")
        programs.schedule()
        upgrading.until_they_listen(2)
        for workspace in workspaces:
            (operation,) = upgrading.start([workspace])
            while upgrading.still_open([operation]):
                time.sleep(0.05)
            yield operation


def _measured(operation: Operation) -> Split:
    operation.refresh_from_db()
    assert operation.state == "succeeded", operation.error_message
    records = [one for one in probe.read(probe.STEPS) if one["operation"] == str(operation.pk)]
    return split(operation.created_at.timestamp(), sorted(records, key=lambda one: one["claiming"]))


def split(started: float, records: Sequence[dict[str, Any]]) -> Split:
    """Follow one operation from its start through the runs of its steps, in order."""
    total, by_step = Split(), defaultdict(Split)
    free, pause = started, 0.0
    for record in records:
        gap = max(0.0, record["claiming"] - free)
        waiting = min(gap, pause)
        # A pause belongs to the step that asked for it, which is the one that runs again.
        for counted in (total, by_step[record["step"]]):
            counted.add(record, waiting, gap - waiting)
        free, pause = record["settled"], record["wait"]
    total.by_step = dict(by_step)
    return total


def _report(real: Sequence[Split], quick: Sequence[Split]) -> None:
    heads = ("wall", "vendor", "playbook", "waiting", "handing", "code", "ours", "its CPU", "programs")
    print(f"{'':26}{'runs':>5}{''.join(f'{head:>9}' for head in heads)}")
    for name, splits in (("real ansible-playbook", real), ("stand-in", quick)):
        print(_row(name, splits))
    ours = statistics.median(one.orchestration for one in quick)
    print(f"{'orchestration, mark < 5 s':34}{ours:7.1f} s  {'met' if ours < MARK else 'NOT MET'}")
    print("By step, with the stand-in:")
    for step in quick[0].by_step:
        steps = [one.by_step.get(step, Split()) for one in quick]
        print(_row(f"  {step}", steps))
    print(flush=True)


def _row(name: str, splits: Sequence[Split]) -> str:
    """Medians; the time shared out, and the CPU in it."""
    runs = statistics.median(one.runs for one in splits)
    medians = (statistics.median(getattr(one, share) for one in splits) for share in ("wall", *SHARES))
    return f"{name:26}{runs:5.0f}{''.join(f'{median:7.2f} s' for median in medians)}"
