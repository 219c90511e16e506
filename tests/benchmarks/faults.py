"""Upgrades of a fleet while the vendors fail and workers die: `python -m tests.benchmarks faults`, see its --help.

A share of all calls to the management cluster, to the tenants and over SSH fails, hangs or is turned away, workers are
killed one after the other, and at the end the invariants are asked for.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence

from django.db.models import Sum

from tests.benchmarks import invariants, probe, upgrading
from tests.benchmarks.upgrading import Programs
from tests.simulators.running import RunningWorld
from workspaces.models import Operation, Step

PHASE_SECONDS = 1.0
HANG_SECONDS = 600.0  # longer than any patience: it is the client that cuts it
# What a task runs on a host; the programs inside it are not calls of ours.
COMMAND = "/bin/sh*"
# All paths but invariants.BUDGET, so that watching draws no chance: nothing else that is asked for ends like this.
PRODUCT = "*[!b]"


def main(*arguments: str) -> int:
    """Measure and print; 1 when an invariant does not hold."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks faults")
    parser.add_argument("--workspaces", type=int, default=50)
    parser.add_argument("--hosts", type=int, default=3)
    parser.add_argument("--rate", type=float, default=0.05, help="share of the calls that meet a fault")
    parser.add_argument("--kill-every", type=float, default=20, help="seconds between two kills of a worker; 0: none")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=90, help="what is open then counts as left")
    options = parser.parse_args(arguments)
    with RunningWorld(seed=options.seed, phase_seconds=PHASE_SECONDS) as world, upgrading.programs() as programs:
        verdicts = _measure(world, programs, options)
    for verdict in verdicts:
        print(f"{verdict.name:34}{'holds' if verdict.holds else 'DOES NOT HOLD':>14}   {verdict.seen}")
    print(f"What the workers and the scheduler said is in {programs.logs}", flush=True)
    return 0 if all(verdict.holds for verdict in verdicts) else 1


def _measure(world: RunningWorld, programs: Programs, options: argparse.Namespace) -> list[invariants.Verdict]:
    workspaces = upgrading.fleet(world, options.workspaces, hosts=options.hosts)
    for _ in range(options.workers):
        programs.work("operations")
    programs.schedule()
    spoil(world, options.rate)
    began = time.monotonic()
    operations = upgrading.start(workspaces)
    with invariants.BudgetWatch(world, pause=0.25) as watch:
        _until_the_end(operations, programs, options, began)
    took = time.monotonic() - began
    _report_work(operations, took, programs.kills)
    _report_calls(world)
    world.clear_faults()
    return invariants.judge(world, workspaces, operations, watch, upgrading.TARGET, replaced_in=PHASE_SECONDS / 2)


def spoil(world: RunningWorld, rate: float, *, hang: float = HANG_SECONDS) -> None:
    """Let `rate` of all calls meet a fault. What hangs does so for `hang` seconds, and then the connection is cut.

    A call to an API fails (500, 503), is turned away (429), hangs, or is carried out and its answer lost, each as
    often. SSH knows no status: a login is cut, a command is cut or hangs, and a package manager finds its lock held for
    three seconds.
    """
    fifth, half = (1 - (1 - rate) ** (1 / parts) for parts in (5, 2))
    for status in (500, 503, 429):
        world.fault(service="kubernetes", target="*", path=PRODUCT, kind="status", status=status, rate=fifth)
    world.fault(service="kubernetes", target="*", path=PRODUCT, kind="hang", seconds=hang, rate=fifth)
    world.fault(service="kubernetes", target="*", path=PRODUCT, kind="lost_answer", rate=fifth)
    world.fault(service="ssh", target="*", kind="refuse", path="", rate=rate)
    world.fault(service="ssh", target="*", kind="refuse", path=COMMAND, rate=half)
    world.fault(service="ssh", target="*", kind="hang", path=COMMAND, seconds=hang, rate=half)
    world.fault(service="ssh", target="*", kind="apt_lock", path="apt-get*", seconds=3, rate=rate, times=1_000_000)


def _until_the_end(
    operations: Sequence[Operation], programs: Programs, options: argparse.Namespace, began: float
) -> None:
    """Kill a worker every now and then until all have ended or time is up."""
    chance = random.Random(options.seed)
    next_kill, next_line = began + (options.kill_every or float("inf")), began + 30
    while upgrading.still_open(operations) and time.monotonic() < began + options.minutes * 60:
        now = time.monotonic()
        if now >= next_kill:
            programs.kill_one(chance)
            next_kill += options.kill_every
        if now >= next_line:
            print(upgrading.progress(began, operations), file=sys.stderr, flush=True)
            next_line += 30
        time.sleep(0.25)


# --- Telling ----------------------------------------------------------------------------------------------------------
def _report_work(operations: Sequence[Operation], took: float, kills: int) -> None:
    ours = Operation.objects.filter(pk__in=[operation.pk for operation in operations])
    states = Counter(ours.values_list("state", flat=True))
    steps = Step.objects.filter(operation__in=ours)
    settled = probe.read(probe.STEPS)
    failures = Counter(record["code"] for record in settled if record["outcome"] == "Temporary")
    left = len(operations) - states["succeeded"] - states["failed"]
    attempts = steps.aggregate(all=Sum("attempts"))["all"]
    _line("operations", f"{states['succeeded']} finished, {states['failed']} failed, {left} left")
    _line("wall time", f"{took:.0f} s, {len(operations) / took * 3600:.0f} operations an hour")
    _line("steps", f"{steps.count()}, run {attempts} times, {attempts - len(settled)} of these cut by a kill")
    _line("temporary failures", f"{failures.total()}: {_told(failures)}")
    _line("workers killed", str(kills))
    for operation in ours.filter(state="failed"):
        _line("failed", f"{operation}: {operation.error_code}: {operation.error_message}")


def _report_calls(world: RunningWorld) -> None:
    """What arrived and what of it met a fault; our own reading of the budgets is left out."""
    calls = [one for one in world.journal(service="kubernetes") if one["path"] != invariants.BUDGET]
    commands = world.journal(service="ssh", path=COMMAND)
    hit = Counter(str(one["status"]) if one["fault"] == "status" else one["fault"] for one in calls if one["fault"])
    _line("calls to APIs", f"{len(calls)}, {hit.total() / max(1, len(calls)):.1%} hit: {_told(hit)}")
    hit = Counter(one["fault"] for one in commands if one["fault"])
    logins = len(world.journal(service="ssh", path="", fault="refuse"))
    share = f"{hit.total() / max(1, len(commands)):.1%}"
    _line("commands over SSH", f"{len(commands)}, {share} hit: {_told(hit)}; and {logins} logins cut")
    restarts = Counter(one["target"] for one in world.journal(service="ssh", path="systemctl restart kubelet"))
    evicted = [one.uid for accepted in invariants.evictions(world).values() for one in accepted]
    twice = f"{sum(number > 1 for number in restarts.values())} of {len(restarts)} kubelets restarted more than once"
    _line("duplicates", f"{twice}, {len(evicted) - len(set(evicted))} pods evicted twice")


def _line(name: str, text: str) -> None:
    print(f"{name:34}{text}", flush=True)


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.most_common())
