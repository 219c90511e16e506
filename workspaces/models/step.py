"""The steps of an operation, in order, and the lines they wrote. What is done with an operation is `operation.py`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from django.db import models
from django.db.models import Q
from django.utils import timezone

from workspaces.rules import lifecycle

if TYPE_CHECKING:
    from workspaces.models.operation import Operation

# What a step that is to run again forgets. Its memory and the count of its attempts stay.
ANEW: Final[dict[str, Any]] = {
    "state": "pending",
    "started_at": None,
    "finished_at": None,
    "failures": 0,
    "failing_since": None,
    "message": "",
    "cause": "",
    "who_can_fix": "",
}

# What closes a host to new pods, and what opens it: a host that is closed is opened, whatever is left out between.
OPENED_BY: Final = {"cordon": "uncordon", "os_cordon": "os_uncordon"}


@dataclass(frozen=True)
class StepPlan:
    """A step to be stored: the key of its function, its title in words, and the plain arguments of the function.

    `hop` numbers the upgrade it belongs to where an operation makes several, from 1; 0: none.
    """

    key: str
    title: str
    arguments: dict[str, Any] = field(default_factory=dict)
    host: str = ""
    stage: str = ""
    safe_to_stop: bool = True
    irreversible: bool = False
    hop: int = 0

    def step(self, operation: Operation, position: int, **became: Any) -> Step:
        """The row for it (not saved); `became` are its other columns where it is not about to begin."""
        return Step(operation=operation, position=position, **asdict(self), **became)


class Step(models.Model):
    """One step of an operation. It may run twice: it looks before it acts.

    `cause` and `who_can_fix` say why it waits or has failed, where that is known: a code of providers/errors or of
    operations/diagnosis, and the people it asks for.
    """

    id = models.BigAutoField(primary_key=True)
    operation = models.ForeignKey("workspaces.Operation", models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    key = models.CharField(max_length=60, help_text="Names the function; kept while any operation with it is open.")
    title = models.CharField(max_length=200)
    arguments = models.JSONField(default=dict, blank=True)
    host = models.CharField(max_length=63, blank=True)
    stage = models.CharField(max_length=20, blank=True, help_text="Column of the timetable.")
    hop = models.PositiveSmallIntegerField(default=0, help_text="Which upgrade of several, from 1; 0: none.")
    safe_to_stop = models.BooleanField(default=True, help_text="The operation may stop before this step.")
    irreversible = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=lifecycle.STEP_STATES, default="pending")
    attempts = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0, help_text="Temporary failures in a row.")
    failing_since = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    message = models.TextField(blank=True)
    cause = models.CharField(max_length=40, blank=True, help_text="Code of why it waits or failed.")
    who_can_fix = models.CharField(max_length=200, blank=True)
    skipped_by = models.CharField(max_length=150, blank=True, help_text="Who left it out; the message says why.")
    memory = models.JSONField(default=dict, blank=True, help_text="What the step has to know when it runs again.")

    class Meta:
        ordering = ("position",)
        constraints = [
            models.UniqueConstraint(fields=["operation", "position"], name="step_position_once"),
            models.CheckConstraint(
                condition=Q(state__in=[s for s, _ in lifecycle.STEP_STATES]), name="step_state_known"
            ),
        ]

    def __str__(self) -> str:
        return self.title


class LogLine(models.Model):
    """One line of an operation's log, as the page shows it."""

    id = models.BigAutoField(primary_key=True)
    operation = models.ForeignKey("workspaces.Operation", models.CASCADE, related_name="lines")
    at = models.DateTimeField(default=timezone.now)
    source = models.CharField(max_length=63, blank=True)
    level = models.CharField(max_length=5, default="info", choices=[("info", "Info"), ("warn", "Warning")])
    text = models.CharField(max_length=1000)

    class Meta:
        ordering = ("id",)
        indexes = [models.Index(fields=["operation", "id"], name="log_line_by_operation")]

    def __str__(self) -> str:
        return self.text
