"""What the version page shows of a preflight: each check in a tone and a word, its age, the risks that can be taken.

Looking is a worker's (`operations/preflight.py`), what it means `rules/preflight.py`. Green is what was seen and
passed; what could not be told never is.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models.functions import JSONObject

from workspaces.models import Preflight, Workspace
from workspaces.rules import preflight as rules
from workspaces.rules.lifecycle import Tone
from workspaces.rules.preflight import Check
from workspaces.templatetags.console import span

HOSTS_SHOWN = 12
# Newest first: the one under way, then those that have ended.
_ENOUGH = 5
_TIMES = ("asked_at", "finished_at")
_COLUMNS = ("id", "target", "asked_by", "checks", "blast", "error", *_TIMES)


class Line(NamedTuple):
    """A check as a row of the panel."""

    check: Check
    tone: Tone
    icon: str
    word: str


class Risk(NamedTuple):
    """A check that stops the upgrade unless somebody takes its risk, and whether that is ticked."""

    check: Check
    taken: bool


@dataclass(frozen=True, slots=True)
class Panel:
    """The newest preflight of the hop to `target`. `last` is the newest that has ended; `newest` may be under way."""

    target: str
    newest: Preflight | None
    last: Preflight | None
    checks: list[Check]
    now: datetime

    @property
    def state(self) -> Literal["none", "running", "lost", "done"]:
        """Of the newest one."""
        if self.newest is None:
            return "none"
        if self.newest.finished_at:
            return "done"
        return "lost" if self.newest.is_lost(self.now) else "running"

    @property
    def seen(self) -> str:
        """Names what is shown, for a page that asks whether anything has changed."""
        return f"{self.newest.pk if self.newest else ''}.{self.state}"

    @property
    def fresh(self) -> bool:
        """Whether a start is refused by it."""
        return self.last is not None and self.last.is_fresh(self.now)

    @property
    def lines(self) -> list[Line]:
        """What has not passed first, else in the order in which it was asked."""
        return sorted(map(_line, self.checks), key=lambda line: line.tone == "ok")

    @property
    def summary(self) -> str:
        """`11 passed, 1 failed, 1 cannot tell`."""
        return rules.summary(self.checks)

    @property
    def warnings(self) -> list[Check]:
        """What is said again before the start, and stops nobody."""
        return [check for check in self.checks if not check.blocks and check.result != "pass"]

    @property
    def blockers(self) -> list[Check]:
        """What stops the upgrade, and nobody may take the risk."""
        return [check for check in self._stopping if not check.acceptable]

    def risks(self, accepted: Collection[str]) -> list[Risk]:
        """What stops the upgrade unless its risk is taken."""
        return [Risk(check, check.code in accepted) for check in self._stopping if check.acceptable]

    @property
    def _stopping(self) -> list[Check]:
        return rules.stopping(self.checks, accepted=(), automatic=False)

    @property
    def good_for(self) -> str:
        """For how long a preflight stops a start, in words."""
        return span(timedelta(seconds=settings.LOOPBACK_PREFLIGHT_SECONDS))

    @property
    def blast(self) -> dict[str, Any]:
        """Whom the upgrade touches, with the first hosts and how many `more_hosts` there are; {} when not known."""
        known = self.last.blast if self.last else {}
        hosts = known.get("hosts", [])
        return known | {"hosts": hosts[:HOSTS_SHOWN], "more_hosts": max(0, len(hosts) - HOSTS_SHOWN)} if known else {}


def rows_about(workspace: Workspace, target: str) -> ArraySubquery:
    """The preflights of the hop to `target` that a panel is made of, as one column, to be read with something else."""
    rows = Preflight.objects.about(workspace, target)[:_ENOUGH]
    return ArraySubquery(rows.values(row=JSONObject(**{column: column for column in _COLUMNS})))


def of_rows(rows: list[dict[str, Any]]) -> list[Preflight]:
    """Unsaved preflights from that column."""
    return [
        Preflight(**(row | {name: datetime.fromisoformat(row[name]) for name in _TIMES if row[name]})) for row in rows
    ]


def panel(target: str, found: list[Preflight], now: datetime) -> Panel:
    """What is known of the hop to `target`, whose newest preflights are `found`."""
    last = next((one for one in found if one.finished_at), None)
    checks = [Check.of(one) for one in last.checks] if last else []
    return Panel(target, found[0] if found else None, last, checks, now)


def newest(workspace: Workspace, target: str, now: datetime) -> Panel:
    """The same, read (one query)."""
    return panel(target, list(Preflight.objects.about(workspace, target)[:_ENOUGH]), now)


def _line(check: Check) -> Line:
    if check.result == "pass":
        return Line(check, "ok", "check", "passed")
    if check.result == "cannot_tell":
        return Line(check, "warn", "warn", "cannot tell")
    return Line(check, "bad", "x", "failed") if check.blocks else Line(check, "warn", "warn", "warning")
