"""A decision in words: what came of its window, why, what was done, and how long it took.

Told from the row and its operation alone: its steps, what they installed, and the later window in which it went on.
One query reads all of that with the decisions (`told`), however many hosts there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, F, Max, OuterRef, Q, QuerySet
from django.db.models.functions import JSONObject

from workspaces.models import Decision, Operation, PackageUpdate, Step
from workspaces.rules import lifecycle
from workspaces.rules.lifecycle import Look
from workspaces.rules.planner import Reason
from workspaces.templatetags.console import span

# The minute of the scheduler is no lateness.
_ON_TIME: Final = timedelta(minutes=2)
_ENDED: Final = ("done", "skipped")
_LOOKS: Final = {
    "waiting": Look("Waiting", "busy"),
    "started": Look("Started", "idle"),
    "nothing": Look("Nothing to do", "idle"),
    "blocked": Look("Blocked", "warn"),
    "missed": Look("Missed", "bad"),
}
_RUNS: Final = {
    "succeeded": Look("Done", "ok"),
    "failed": Look("Failed", "bad"),
    "stopped": Look("Stopped early", "warn"),
    "paused": Look("Stopped early", "warn"),
    "pending": Look("Running", "busy"),
    "running": Look("Running", "busy"),
    "waiting": Look("Running", "busy"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One window. `look` is the outcome as the reader sees it, `hosts` how far the run came (empty: not told).

    `took` is the time of work in this window, `late` how long the work had to wait in it; None when there is neither.
    `goes_on_at` is the later window in which the same run went on.
    """

    decision: Decision
    look: Look
    sentence: str
    work: str
    hosts: str
    took: timedelta | None
    late: timedelta | None
    ended_at: datetime | None
    goes_on_at: datetime | None

    @property
    def took_in_words(self) -> str:
        """`38 min`; empty when nothing was done."""
        return "" if self.took is None else _in_words(self.took)

    @property
    def late_in_words(self) -> str:
        """`12 min`; empty when it began on time."""
        return "" if self.late is None else _in_words(self.late)

    @property
    def run_look(self) -> Look | None:
        """The state of the operation as it is today."""
        return lifecycle.OPERATION[self.decision.operation.state] if self.decision.operation else None


@dataclass(frozen=True, slots=True)
class _Course:
    """What the operation did in one window: `until` is when the next one took over."""

    total: int
    done: int
    restarts: int
    packages: int
    last_at: datetime | None
    until: datetime | None
    pause: str


def told(decisions: QuerySet[Decision]) -> QuerySet[Decision]:
    """The decisions with all that `line_of` reads, in the same query."""
    steps = Step.objects.filter(operation=OuterRef("operation")).order_by("host").values("host")
    hosts = steps.annotate(
        row=JSONObject(
            host=F("host"),
            left=Count("pk", filter=~Q(state__in=_ENDED)),
            last=Max("finished_at"),
            restarted=Max("finished_at", filter=Q(key="restart", state="done", memory__has_key="boot_id")),
        )
    )
    updates = PackageUpdate.objects.filter(operation=OuterRef("operation")).order_by("installed_at")
    installed = updates.values("installed_at").annotate(row=JSONObject(at=F("installed_at"), count=Count("pk")))
    later = Decision.objects.filter(operation=OuterRef("operation"), opens_at__gt=OuterRef("opens_at"))
    windows = later.order_by("opens_at").values(row=JSONObject(opens_at="opens_at", reason="reason", message="message"))
    return decisions.select_related("workspace__project__organization", "operation").annotate(
        run_hosts=ArraySubquery(hosts.values("row")),
        run_installed=ArraySubquery(installed.values("row")),
        run_windows=ArraySubquery(windows[:1]),
    )


def lines_of(decisions: Iterable[Decision], now: datetime) -> list[Line]:
    """The lines of decisions that were `told`."""
    return [line_of(decision, now) for decision in decisions]


def line_of(decision: Any, now: datetime) -> Line:
    """The line of a decision that was `told`."""
    operation: Operation | None = decision.operation
    waited = decision.decided_at - decision.opens_at
    late = waited if decision.outcome == "started" and waited >= _ON_TIME else None
    if operation is None:
        work = "none" if decision.outcome == "nothing" else listed(planned(decision))
        return Line(decision, _LOOKS[decision.outcome], decision.message, work, "", None, late, None, None)
    course = _course(decision)
    ended_at = _ended_at(operation, course)
    began_at = decision.decided_at
    return Line(
        decision=decision,
        look=_RUNS["paused" if course.until else operation.state],
        sentence=_why(decision, operation, course),
        work=_work(decision, operation, course),
        hosts=f"{course.done} of {course.total} hosts" if course.total else "",
        took=max((ended_at or now) - began_at, timedelta()),
        late=late,
        ended_at=ended_at,
        goes_on_at=course.until,
    )


def planned(decision: Decision) -> list[str]:
    """The sentences of what the window would do; Kubernetes first, since it is what matters most to the reader."""
    return sorted(decision.evidence.get("work", []), key=lambda sentence: not sentence.startswith("Kubernetes"))


def listed(sentences: Sequence[str]) -> str:
    """`Kubernetes 1.34.8 to 1.34.11, operating system updates on 3 hosts`."""
    return ", ".join([*sentences[:1], *(f"{one[:1].lower()}{one[1:]}" for one in sentences[1:])])


def reasons(decision: Decision, which: str) -> list[Reason]:
    """The reasons of the evidence: `reasons` or `blocked_by`."""
    return [Reason(one["code"], one["message"]) for one in decision.evidence.get(which, [])]


def _in_words(length: timedelta) -> str:
    """An hour is 60 min here: windows are compared with it."""
    seconds = int(length.total_seconds())
    return f"{seconds // 60} min" if 60 <= seconds < 7200 else span(length, minutes=True)


# --- What the operation did -------------------------------------------------------------------------------------------
def _course(decision: Any) -> _Course:
    after = decision.run_windows[0] if decision.run_windows else None
    until = _moment(after["opens_at"]) if after else None
    hosts = [row for row in decision.run_hosts if row["host"]]
    installed = [(_moment(row["at"]), row["count"]) for row in decision.run_installed]
    # A host that is finished in a later window has its updates from this one.
    ends = [_moment(row["last"]) for row in decision.run_hosts] + [at for at, _ in installed]
    return _Course(
        total=len(hosts),
        done=sum(not row["left"] and _within(_moment(row["last"]), None, until) for row in hosts),
        restarts=sum(_within(_moment(row["restarted"]), decision.opens_at, until) for row in hosts),
        packages=sum(count for at, count in installed if _within(at, decision.opens_at, until)),
        last_at=max((at for at in ends if at and _within(at, None, until)), default=None),
        until=until,
        pause=str(after["message"]) if after and after["reason"] == "continues" else "",
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _within(at: datetime | None, since: datetime | None, until: datetime | None) -> bool:
    return at is not None and (since is None or at >= since) and (until is None or at < until)


def _ended_at(operation: Operation, course: _Course) -> datetime | None:
    """When the work of this window was over; None while it goes on. A pause begins with the end of a step."""
    if course.until or _paused(operation):
        return course.last_at or operation.started_at or operation.created_at
    return operation.finished_at


def _paused(operation: Operation) -> bool:
    """Whether it is paused, or was when somebody ended it."""
    return operation.state == "paused" or (operation.state == "stopped" and operation.pause_reason != "")


def _why(decision: Decision, operation: Operation, course: _Course) -> str:
    if course.until:
        return course.pause or "It went on in a later window."
    if operation.state == "failed":
        return operation.error_message
    if operation.state in ("paused", "stopped"):
        stop = f"{operation.stop_requested_by} asked for a stop." if operation.stop_requested_by else ""
        return " ".join(filter(None, (operation.pause_reason, stop))) or decision.message
    if decision.reason == "continues":
        return f"Went on with what was paused before. {decision.message}"
    return decision.message


def _work(decision: Decision, operation: Operation, course: _Course) -> str:
    """What was done; of a run that did not come to its end, how far it came."""
    if course.until or operation.state in ("paused", "stopped", "failed"):
        hosts = f"{course.done} of {course.total} hosts" if course.total else ""
        return ", ".join(filter(None, (hosts, _short(operation, course))))
    if operation.is_open:
        return listed(planned(decision)) or operation.title
    done = []
    if target := operation.parameters.get("to"):
        done.append(f"Kubernetes {target}")
    if operation.kind == "maintenance":
        done.append(_packages(course))
    return ", ".join(done) or operation.title


def _short(operation: Operation, course: _Course) -> str:
    """Why it stopped early, in as few words as a cell holds."""
    if operation.state == "failed" and not course.until:
        return "then an error"
    pause = course.pause or operation.pause_reason
    if pause.startswith("Its hour ended"):
        return "hour ended"
    if " is held until " in pause or pause.startswith("Held until "):
        return "held"
    if operation.state == "stopped" and not course.until:
        return "stopped"
    return f"{pause[:1].lower()}{pause[1:]}".rstrip(".")


def _packages(course: _Course) -> str:
    if not course.packages:
        return "no package" + (f", {_restarts(course.restarts)}" if course.restarts else "")
    packages = "1 package" if course.packages == 1 else f"{course.packages} packages"
    return f"{packages}, {_restarts(course.restarts)}"


def _restarts(number: int) -> str:
    return {0: "no restart", 1: "1 restart"}.get(number, f"{number} restarts")
