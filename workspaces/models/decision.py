"""What the scheduler decided for each window of each workspace, and when it last looked.

One row a window: the database refuses a second. `waiting` is the only outcome that changes: work that may start and
finds every place taken is started later in its hour, or was kept out by the limit. What would be decided is
`rules/planner.py`, deciding is `operations/maintenance.py`.
"""

from __future__ import annotations

import uuid
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from workspaces.models.tenancy import Caller
from workspaces.models.workspace import Workspace
from workspaces.rules.planner import Forecast, Reason, judge

OUTCOMES = [
    ("waiting", "Waiting"),
    ("started", "Started"),
    ("nothing", "Nothing to do"),
    ("blocked", "Blocked"),
    ("missed", "Missed"),
]
LANES = [("routine", "Routine"), ("priority", "Priority")]


class DecisionQuerySet(models.QuerySet["Decision"]):
    """Decisions by who may read them and whether they are final."""

    def readable(self, caller: Caller) -> DecisionQuerySet:
        """Those of workspaces that the account or API key may see."""
        if caller.is_superuser:
            return self
        return self.filter(workspace__in=Workspace.objects.allowing(caller).values("pk"))

    def waiting(self) -> DecisionQuerySet:
        """Those whose work has not found a place yet."""
        return self.filter(outcome="waiting")


class Decision(models.Model):
    """What automatic maintenance did or did not do in one window of one workspace, and why.

    `reason` and `message` are the first and deciding of the reasons. `evidence` holds all there was to go by: `work`
    (the sentences of what the window would do), `reasons` and `blocked_by` (lists of `code` and `message`), and, when
    the work had to wait for a place, `limit` (its sentence) and `place` (1 is next).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="decisions")
    lane = models.CharField(max_length=10, choices=LANES)
    opens_at = models.DateTimeField()
    outcome = models.CharField(max_length=20, choices=OUTCOMES)
    reason = models.CharField(max_length=40)
    message = models.TextField()
    evidence = models.JSONField(default=dict, blank=True)
    operation = models.ForeignKey(
        "workspaces.Operation", models.SET_NULL, null=True, blank=True, related_name="decisions"
    )
    decided_at = models.DateTimeField(default=timezone.now)
    objects = DecisionQuerySet.as_manager()

    class Meta:
        ordering = ("-opens_at",)
        constraints = [
            models.UniqueConstraint(fields=["workspace", "lane", "opens_at"], name="one_decision_per_window"),
            models.CheckConstraint(condition=Q(lane__in=[lane for lane, _ in LANES]), name="decision_lane_known"),
            models.CheckConstraint(condition=Q(outcome__in=[o for o, _ in OUTCOMES]), name="decision_outcome_known"),
            models.CheckConstraint(
                condition=Q(operation=None) | Q(outcome="started"), name="decision_with_operation_started"
            ),
        ]
        indexes = [
            models.Index(fields=["-opens_at", "-id"], name="decision_newest"),
            models.Index(fields=["opens_at"], condition=Q(outcome="waiting"), name="decision_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.lane} {self.opens_at:%Y-%m-%d %H}:00 UTC: {self.outcome}"

    @classmethod
    def of(cls, workspace: Workspace, ahead: Forecast, now: datetime) -> Decision:
        """The first word on a window that is open (not saved)."""
        outcome, why = judge(ahead)
        return cls(
            workspace=workspace,
            lane=ahead.window.lane,
            opens_at=ahead.window.opens_at,
            outcome=outcome,
            reason=why.code,
            message=why.message,
            evidence=_evidence(ahead),
            decided_at=now,
        )

    def settle(self, outcome: str, why: Reason, now: datetime, ahead: Forecast | None = None) -> str:
        """The last word on a window that was waiting; returns the outcome."""
        self.outcome, self.reason, self.message, self.decided_at = outcome, why.code, why.message, now
        if ahead:
            waited = {key: self.evidence[key] for key in ("limit", "place") if key in self.evidence}
            self.evidence = _evidence(ahead) | waited
        self.save(update_fields=["outcome", "reason", "message", "decided_at", "evidence", "operation"])
        return outcome

    @property
    def closes_at(self) -> datetime:
        """The end of its hour."""
        return self.opens_at + timedelta(hours=1)


def _evidence(ahead: Forecast) -> dict[str, Any]:
    return {
        "work": list(ahead.would),
        "reasons": [asdict(reason) for reason in ahead.reasons],
        "blocked_by": [asdict(reason) for reason in ahead.blocked_by],
    }


class Tick(models.Model):
    """When a periodic job last ran to its end: what lies between two ticks is known to have been missed."""

    name = models.CharField(primary_key=True, max_length=30)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%Y-%m-%d %H:%M:%S} UTC"
