"""What the pages of `blind` say, held to the truth; and how its workers, jobs and queues fare meanwhile."""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import django_rq
from django.conf import settings
from django.utils import timezone
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.registry import BaseRegistry, FailedJobRegistry, StartedJobRegistry

from loopback.supervisor import Child
from tests.benchmarks.blind_world import Injection
from workspaces.models import Look, Workspace
from workspaces.models.conditions import conditions_of
from workspaces.models.upgradable import Upgradable
from workspaces.rules import looks
from workspaces.views import fleet_rows
from workspaces.views.workspaces import status_of


@dataclass
class Pages:
    """Counts what was green, and what was although it must not have been."""

    allowed: timedelta
    samples: int = 0
    cells: int = 0
    green: int = 0
    # Of the workspaces that nothing was wrong with: how often they were looked at, and how often they were green.
    sound: int = 0
    sound_green: int = 0
    # What the others of these say: numbers, names and times are left out.
    instead: Counter[str] = field(default_factory=Counter)
    conditions: int = 0
    wrong: list[str] = field(default_factory=list)
    now_green: set[UUID] = field(default_factory=set)

    def sample(self, workspaces: Collection[UUID], injections: Sequence[Injection]) -> None:
        """Read the badges of the fleet and the overview, and the conditions of what is broken."""
        now = timezone.now()
        rows = Workspace.objects.filter(pk__in=workspaces).select_related("management_cluster", "project")
        fleet = {row.pk: row for row in fleet_rows.rows_of(fleet_rows.read_rows(rows), Upgradable([]), now)}
        overview = {one.pk: one for one in rows}
        green = {key for key in overview if fleet[key].tone == "ok" or status_of(overview[key], now).tone == "ok"}
        broken = {key for one in injections if one.began and not one.ended for key in one.workspaces}
        recent = {
            key for one in injections if one.ended and one.returning.keys() < one.green_before for key in one.workspaces
        }
        sound = set(overview) - broken - recent
        self.samples += 1
        self.cells += len(overview)
        self.green += len(green)
        self.sound, self.sound_green = self.sound + len(sound), self.sound_green + len(green & sound)
        self.instead.update(_in_short(fleet[key].health, fleet[key].health_sub) for key in sound - green)
        self.now_green = green
        for injection in injections:
            self._hold(injection, green, overview, now)

    def _hold(
        self, injection: Injection, green: Collection[UUID], overview: Mapping[UUID, Workspace], now: datetime
    ) -> None:
        """Compare one injection with what is shown."""
        if injection.began is None:
            return
        if injection.ended is None:
            shown = injection.began + timedelta(seconds=injection.shows_after)
            for key in injection.green_before - injection.leaving.keys() - set(green):
                injection.leaving[key] = max(0.0, (now - shown).total_seconds())
            if now - shown > self.allowed:
                said = [f"{overview[key]} is green" for key in injection.workspaces if key in green]
                said += self._true_conditions(injection, overview, now)
                self.wrong += [f"{injection.name}, {(now - shown).total_seconds():.1f} s: {one}" for one in said]
            return
        for key in injection.green_before & set(green) - injection.returning.keys():
            injection.returning[key] = (now - injection.ended).total_seconds()

    def _true_conditions(self, injection: Injection, overview: Mapping[UUID, Workspace], now: datetime) -> list[str]:
        said = []
        for key in injection.workspaces:
            for condition in conditions_of(overview[key], now):
                self.conditions += 1
                if condition.type in {*injection.conditions} and condition.value == "true":
                    said.append(f"{overview[key]} says {condition.type} is true")
        return said


@dataclass
class Machinery:
    """Memory of the processes, depth of the queues, jobs that failed or hang, processes that ended."""

    children: Sequence[Child]
    memory: dict[str, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    depth: list[tuple[float, int]] = field(default_factory=list)
    rows: list[tuple[float, int]] = field(default_factory=list)
    stuck: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    ended: Counter[str] = field(default_factory=Counter)

    def sample(self, at: float) -> None:
        """Look at all of it, `at` seconds from the beginning."""
        for child in self.children:
            if child.has_ended():
                self.ended[child.name] += 1
                child.start()
            assert child.process is not None
            if resident := _resident(child.process.pid):
                self.memory[child.name].append((at, resident))
        queues = [django_rq.get_queue(name) for name in settings.RQ_QUEUES]
        self.depth.append((at, sum(queue.count for queue in queues)))
        self.rows.append((at, Look.objects.count()))
        for queue in queues:
            for job in _jobs(StartedJobRegistry(queue=queue)):
                if _overstays(job):
                    self.stuck.add(f"{job.func_name} {job.args}")
            for job in _jobs(FailedJobRegistry(queue=queue)):
                if job.id not in self.failed:
                    self.failed[job.id] = f"{job.func_name} {job.args}: {_last_line(job)}"

    def growth(self, name: str, whole: float) -> tuple[int, int]:
        """Resident bytes of one process after a third of the time and at the end (medians of a tenth of it)."""
        tenth = whole / 10
        early = [size for at, size in self.memory[name] if whole / 3 - tenth / 2 <= at <= whole / 3 + tenth / 2]
        late = [size for at, size in self.memory[name] if at >= whole - tenth]
        return round(statistics.median(early or [0])), round(statistics.median(late or [0]))


def _in_short(health: str, sub: str) -> str:
    """The kind of a badge that is not green."""
    if health.startswith("Not seen"):
        return "Not seen"
    said = re.sub(r"(shared|single|metal|kestrel|mgmt)-[\w-]+|, since .*|\d+", "…", sub)
    return f"{health}: {said}"[:90]


def allowed() -> timedelta:
    """How long a badge may be green after its truth broke."""
    return timedelta(seconds=looks.PERIODS * settings.LOOPBACK_RECONCILE_SECONDS)


def _resident(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:")), 0)


def _jobs(registry: BaseRegistry) -> list[Job]:
    """The jobs in a registry, without those that have ended since its ids were read."""
    found = []
    for job_id in registry.get_job_ids(cleanup=False):
        with suppress(NoSuchJobError):
            found.append(Job.fetch(job_id, connection=registry.connection))
    return found


def _overstays(job: Job) -> bool:
    """Whether it began longer ago than it may run; RQ itself takes a second to end it."""
    began = job.started_at
    if began is None or not isinstance(job.timeout, int | float):
        return False
    began = began if began.tzinfo else began.replace(tzinfo=timezone.now().tzinfo)
    return bool(timezone.now() - began > timedelta(seconds=job.timeout + 10))


def _last_line(job: Job) -> str:
    result = job.latest_result()
    return ((result.exc_string or "").strip().splitlines() or ["?"])[-1] if result else "?"
