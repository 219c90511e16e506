"""Reconciliation while the vendors fail, held to the truth: `python -m tests.benchmarks blind`, see its --help.

A tenth of all calls to every vendor fails, hangs or is turned away; at intervals a credential is refused, an API is
blocked, a tenant falls silent, a node is lost, each for a while. Twice a second the pages are read: what is broken for
longer than two periods must not be green, and comes back by itself when it is mended.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from tests.benchmarks import blind_watch, blind_world, probe, upgrading
from tests.benchmarks.blind_watch import Machinery, Pages
from tests.benchmarks.blind_world import Injection
from tests.simulators.running import RunningWorld
from workspaces.models import Look, Workspace
from workspaces.operations import looks

PAUSE = 0.5
# How long something stays broken, in periods; the pages have two of them to notice.
BROKEN_PERIODS = 4
# Flat memory: what may be added after the first third of the run.
GROWTH = 0.10


@dataclass
class Lane:
    """One injection after the other. The next begins when what the last one made wrong has come back."""

    coming: Iterator[Injection]
    begun: list[Injection] = field(default_factory=list)
    _broken: ExitStack = field(default_factory=ExitStack)

    def go_on(self, pages: Pages, patience: float, *, last: bool) -> None:
        """Break, mend or wait, whatever is due. Nothing new is broken when this is the `last` stretch."""
        now = timezone.now()
        current = self.begun[-1] if self.begun else None
        if current is not None and current.ended is None:
            assert current.began is not None
            if last or (now - current.began).total_seconds() > BROKEN_PERIODS * settings.LOOPBACK_RECONCILE_SECONDS:
                self.mend()
        elif current is not None and current.ended is not None and current.returning.keys() < current.green_before:
            if (now - current.ended).total_seconds() > patience:
                self._break(pages, last=last)  # the report says that it has not come back
        else:
            self._break(pages, last=last)

    def _break(self, pages: Pages, *, last: bool) -> None:
        if last:
            return
        injection = next(self.coming)
        injection.green_before = set(injection.workspaces) & pages.now_green
        if not injection.green_before:
            return  # the noise has made all of them unknown; the next one is tried at the next sample
        self._broken.enter_context(injection.breaking())
        injection.began = timezone.now()
        self.begun.append(injection)

    def mend(self) -> None:
        """End what is broken."""
        if self.begun and self.begun[-1].ended is None:
            self.begun[-1].ended = timezone.now()
            self._broken.close()


@dataclass(frozen=True)
class Verdict:
    """Whether something holds, and what was seen."""

    name: str
    holds: bool
    seen: str


def main(*arguments: str) -> int:
    """Measure and print; 1 when something does not hold."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks blind")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--workspaces", type=int, default=40)
    parser.add_argument("--rate", type=float, default=0.1, help="share of the calls that meet a fault")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    phase = blind_world.PHASE_SECONDS
    with RunningWorld(seed=options.seed, phase_seconds=phase) as world, upgrading.programs() as programs:
        fleet = blind_world.fleet(world, options.workspaces)
        for _ in range(2):
            programs.work("operations", "ticks", "reconcile")
        programs.schedule()
        pages, machinery = Pages(blind_watch.allowed()), Machinery([*programs.workers, *programs.others])
        lanes = [Lane(coming) for coming in blind_world.lanes(world, fleet)]
        keys = [one.pk for one in fleet.all]
        _until_green(pages, keys)
        blind_world.noise(world, options.rate)
        whole = _watch(pages, machinery, lanes, keys, options.minutes * 60)
        injections = [injection for lane in lanes for injection in lane.begun]
        verdicts = [*_about_pages(pages, injections), *_about_machinery(machinery, whole)]
        _report(world, pages, machinery, injections, whole)
    for verdict in verdicts:
        print(f"{verdict.name:34}{'PASS' if verdict.holds else 'FAIL':>6}   {verdict.seen}")
    print(f"What the workers and the scheduler said is in {programs.logs}", flush=True)
    return 0 if all(verdict.holds for verdict in verdicts) else 1


def _patience(unlucky: int = 5) -> float:
    """Seconds in which what is mended has to be green again: two periods after the longest pause of a failing look.

    The noise meets the next look too, with bad luck the one after it, and each is followed by such a pause.
    """
    pause = max(settings.LOOPBACK_BACKOFF_SECONDS, settings.LOOPBACK_RECONCILE_SECONDS)
    return float(unlucky * pause + 2 * settings.LOOPBACK_RECONCILE_SECONDS)


def _until_green(pages: Pages, keys: Sequence[UUID]) -> None:
    """Nothing is measured before every workspace has been seen well once."""
    deadline, seen = time.monotonic() + 300, set[UUID]()
    while seen < set(keys):
        assert time.monotonic() < deadline, _not_green(set(keys) - seen)
        time.sleep(PAUSE)
        pages.sample(keys, ())
        seen |= pages.now_green
    pages.samples = pages.cells = pages.green = pages.sound = pages.sound_green = 0
    pages.instead.clear()


def _not_green(keys: Collection[UUID]) -> str:
    rows = Workspace.objects.filter(pk__in=keys).values_list("name", "attention", "observed_at")
    return "\n".join(["Never green:", *(f"{name}: {attention or observed}" for name, attention, observed in rows)])


def _watch(pages: Pages, machinery: Machinery, lanes: Sequence[Lane], keys: Sequence[UUID], seconds: float) -> float:
    """Sample until the time is over; what is broken last is mended early enough to come back. Gives the seconds."""
    began, patience = time.monotonic(), _patience()
    next_line = 30.0
    try:
        while (at := time.monotonic() - began) < seconds:
            injections = [injection for lane in lanes for injection in lane.begun]
            pages.sample(keys, injections)
            machinery.sample(at)
            for lane in lanes:
                lane.go_on(pages, patience, last=at > seconds - _patience(unlucky=1))
            if at >= next_line:
                print(f"{at:6.0f} s  {_progress(pages, machinery, injections)}", file=sys.stderr, flush=True)
                next_line += 30
            time.sleep(max(0.0, PAUSE - (time.monotonic() - began - at)))
    finally:
        for lane in lanes:
            lane.mend()
    return seconds


def _progress(pages: Pages, machinery: Machinery, injections: Sequence[Injection]) -> str:
    now_broken = [one.name for one in injections if not one.ended]
    depth = machinery.depth[-1][1] if machinery.depth else 0
    green = f"{len(pages.now_green)} green, {len(pages.wrong)} wrong, {depth} waiting, {len(machinery.failed)} failed"
    return f"{green}; broken: {', '.join(now_broken) or 'nothing'}"


# --- Judging ----------------------------------------------------------------------------------------------------------
def _about_pages(pages: Pages, injections: Sequence[Injection]) -> list[Verdict]:
    period, patience = settings.LOOPBACK_RECONCILE_SECONDS, _patience()
    leaving = [seconds for one in injections for seconds in one.leaving.values()]
    never = [one.name for one in injections if _lasted(one) > 2 * period and one.leaving.keys() < one.green_before]
    returning = [seconds for one in injections for seconds in one.returning.values()]
    away = [one for one in injections if one.ended and one.returning.keys() < one.green_before]
    lost = [one.name for one in away if (timezone.now() - one.ended).total_seconds() > patience]
    slowest, share = max(leaving, default=0.0), pages.sound_green / max(1, pages.sound)
    return [
        Verdict("no wrong green", not pages.wrong and pages.conditions > 0, _some(pages.wrong) or _read(pages)),
        Verdict(
            "leaves green in two periods",
            bool(leaving) and not never and slowest <= 2 * period + PAUSE,
            f"{len(leaving)} times, {slowest:.1f} s at most ({slowest / period:.2f} periods); never {len(never)}",
        ),
        Verdict(
            "returns by itself",
            bool(returning) and not lost and max(returning) <= patience + PAUSE,
            f"{len(returning)} times, {max(returning, default=0):.1f} s at most of {patience:.0f}; "
            f"{len(away) - len(lost)} were still awaited at the end; {_some(lost) or 'none is lost'}",
        ),
        Verdict("sound ones are mostly green", share > 0.5, f"{share:.1%} of what was read of them"),
    ]


def _about_machinery(machinery: Machinery, whole: float) -> list[Verdict]:
    growths = {child.name: machinery.growth(child.name, whole) for child in machinery.children}
    flat = all(early and late <= early * (1 + GROWTH) for early, late in growths.values())
    memory = ", ".join(
        f"{name} {early / 2**20:.1f} to {late / 2**20:.1f} MB" for name, (early, late) in growths.items()
    )
    deepest = max(depth for _, depth in machinery.depth)
    average = statistics.mean(depth for _, depth in machinery.depth)
    room = settings.LOOPBACK_LOOKS_PER_SECOND * looks.ROUND + Look.objects.filter(kind__in=looks.FEW).count()
    third = next(number for at, number in machinery.rows if at >= whole / 3)
    return [
        Verdict("nothing crashes", not machinery.ended, _counted(machinery.ended)),
        Verdict("no failed job", not machinery.failed, _some([*machinery.failed.values()]) or "none"),
        Verdict("no stuck job", not machinery.stuck, _some([*machinery.stuck]) or "none"),
        Verdict("memory is flat", flat, memory),
        Verdict("rows of looks stay", third == machinery.rows[-1][1], f"{third}, then {machinery.rows[-1][1]}"),
        Verdict(
            "the queue keeps its bounds",
            deepest <= room + len(settings.RQ_QUEUES),
            f"{deepest} jobs at most of {room:.0f} that may be handed out ahead, {average:.1f} on average",
        ),
    ]


def _lasted(injection: Injection) -> float:
    """Seconds for which the world's own APIs told of it."""
    assert injection.began is not None
    return ((injection.ended or timezone.now()) - injection.began).total_seconds() - injection.shows_after


def _report(
    world: RunningWorld, pages: Pages, machinery: Machinery, injections: Sequence[Injection], whole: float
) -> None:
    period = settings.LOOPBACK_RECONCILE_SECONDS
    _line("length", f"{whole:.0f} s, looks every {period:.0f} s, pages read {pages.samples} times: {_read(pages)}")
    kinds = Counter(one.name for one in injections)
    for name, times in sorted(kinds.items()):
        ours = [one for one in injections if one.name == name]
        left = [seconds for one in ours for seconds in one.leaving.values()]
        back = [seconds for one in ours for seconds in one.returning.values()]
        text = f"{times} times; left green after {max(left, default=0) / period:.2f} periods at most"
        _line(f"  {name}", f"{text}, green again {max(back, default=0) / period:.2f} after the end")
    calls = [one for one in world.journal(service="*") if one["service"] != "ssh" or not one["path"]]
    for service in ("kubernetes", "hetzner", "ssh"):
        ours = [one for one in calls if one["service"] == service]
        hit = Counter(str(one["status"]) if one["fault"] == "status" else one["fault"] for one in ours if one["fault"])
        _line(f"  calls, {service}", f"{len(ours)}, {hit.total() / max(1, len(ours)):.1%} hit: {_counted(hit)}")
    jobs = Counter(one["job"].rpartition(".")[2] for one in probe.read(probe.JOBS))
    _line("jobs", _counted(jobs))
    for said, times in pages.instead.most_common(6):
        _line("  sound, and not green", f"{times / max(1, pages.sound):5.1%}  {said}")


def _read(pages: Pages) -> str:
    return f"{pages.cells} badges, {pages.green} of them green, {pages.conditions} conditions of what was broken"


def _some(said: Sequence[str]) -> str:
    return "; ".join(said[:5]) + (f"; and {len(said) - 5} more" if len(said) > 5 else "")


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.most_common()) or "none"


def _line(name: str, text: str) -> None:
    print(f"{name:34}{text}", flush=True)
