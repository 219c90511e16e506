"""Long work as rows: an operation on a workspace, and what people do with it (stop, continue, skip a host).

PostgreSQL decides who works on what: a step runs only under a lease on its operation. The queue carries the key and
nothing else. Steps and log lines are `step.py`; how a step runs and what happens when it fails, `operations/engine.py`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.db import IntegrityError, models, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from workspaces.models.audit import PLATFORM, Actor
from workspaces.models.event import Event
from workspaces.models.step import ANEW, OPENED_BY, Step, StepPlan
from workspaces.models.workspace import Workspace
from workspaces.rules import lifecycle, permissions
from workspaces.rules.preflight import ACCEPTABLE
from workspaces.rules.refusal import Refused
from workspaces.rules.situation import refuse_leaving


@dataclass(frozen=True)
class RunWindow:
    """The window that automatic work was started for: its lane and when it opened."""

    lane: str
    opens_at: datetime


def moved_away(workspace: Workspace) -> Refused | None:
    """Lock the workspace's row, as a move to another project does: one of the two waits, and sees what the other did.

    The rights of the one who asks were those in the project as read; in another one they are not known.
    """
    locked = Workspace.objects.select_for_update(no_key=True).values_list("project_id", flat=True)
    if locked.get(pk=workspace.pk) == workspace.project_id:
        return None
    return Refused("moved", f"{workspace} has been moved to another project meanwhile.")


def may_not_begin(workspace: Workspace, kind: str) -> Refused | None:
    """moved, not_active: whether work of that kind may begin or go on, with the workspace's row locked."""
    if moved := moved_away(workspace):
        return moved
    if kind == lifecycle.ENDS_IT:
        return None
    state, reason = Workspace.objects.values_list("state", "state_reason").get(pk=workspace.pk)
    return refuse_leaving(state, reason)


class OperationQuerySet(models.QuerySet["Operation"]):
    """Operations by what they need next."""

    def open(self) -> OperationQuerySet:
        """Those not ended: at most one for each workspace."""
        return self.filter(state__in=lifecycle.OPEN)

    def due(self, now: datetime) -> OperationQuerySet:
        """Open ones that a worker should take: their pause is over and no living worker holds them."""
        return (
            self.open()
            .filter(Q(wake_at=None) | Q(wake_at__lte=now), Q(lease_until=None) | Q(lease_until__lte=now))
            .exclude(state="paused")
        )

    def waiting_for_a_person(self) -> OperationQuerySet:
        """Failed ones that nothing on their workspace has replaced since: somebody has to decide."""
        newer = Operation.objects.filter(workspace=OuterRef("workspace"), created_at__gt=OuterRef("created_at"))
        return self.filter(~Exists(newer), state="failed")


class Operation(models.Model):
    """One long-running piece of work on a workspace."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, models.PROTECT, related_name="operations")
    kind = models.CharField(max_length=30)
    title = models.CharField(max_length=200)
    state = models.CharField(max_length=12, choices=lifecycle.OPERATION_STATES, default="pending")
    parameters = models.JSONField(default=dict, blank=True)
    requested_by = models.CharField(max_length=150)
    requested_by_kind = models.CharField(max_length=10, default="platform")
    requested_by_id = models.UUIDField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    irreversible_since = models.DateTimeField(null=True, blank=True)
    stop_requested_at = models.DateTimeField(null=True, blank=True)
    stop_requested_by = models.CharField(max_length=150, blank=True)
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True)
    error_who_can_fix = models.CharField(max_length=200, blank=True)
    # Of automatic work: the window it was started for, or goes on in. Empty: a person answers for it.
    lane = models.CharField(max_length=10, blank=True)
    window_opens_at = models.DateTimeField(null=True, blank=True)
    pause_reason = models.CharField(max_length=300, blank=True)
    # Who works on it, and when it is due again.
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    wake_at = models.DateTimeField(null=True, blank=True)
    dispatched_at = models.DateTimeField(null=True, blank=True, help_text="Last handed to the queue.")
    objects = OperationQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(
                fields=["workspace"], name="one_open_operation_per_workspace", condition=Q(state__in=lifecycle.OPEN)
            ),
            models.CheckConstraint(
                condition=Q(state__in=[s for s, _ in lifecycle.OPERATION_STATES]), name="operation_state_known"
            ),
        ]
        indexes = [
            models.Index(fields=["wake_at"], condition=Q(state__in=lifecycle.OPEN), name="operation_open_by_wake"),
            models.Index(fields=["workspace", "-created_at"], name="operation_by_workspace"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state in lifecycle.OPEN

    @property
    def can_be_retried(self) -> bool:
        """Whether a person may continue it from the step at which it stopped."""
        return self.state in ("failed", "stopped", "paused")

    @property
    def continued_by(self) -> str:
        """The right that continuing it takes, besides that of continuing work at all."""
        return permissions.CONTINUING.get(self.kind, "operation.retry")

    @property
    def barred(self) -> Refused | None:
        """not_active: whether it may not be continued because its workspace is leaving."""
        if self.kind == lifecycle.ENDS_IT:
            return None
        return refuse_leaving(self.workspace.state, self.workspace.state_reason)

    @property
    def window_closes_at(self) -> datetime | None:
        """The end of the hour it was started for; None when a person answers for it."""
        return self.window_opens_at + timedelta(hours=1) if self.window_opens_at else None

    def overrun(self, now: datetime) -> timedelta:
        """By how much it has gone on after its hour so far, or had when it ended."""
        until = self.finished_at or now
        return max(until - self.window_closes_at, timedelta()) if self.window_closes_at else timedelta()

    @classmethod
    def start(
        cls,
        workspace: Workspace,
        kind: str,
        title: str,
        steps: Iterable[StepPlan],
        *,
        actor: Actor,
        parameters: dict[str, Any] | None = None,
        window: RunWindow | None = None,
    ) -> Operation | Refused:
        """Store an operation with its steps; the database refuses a second open one on the workspace.

        Automatic work has a `window`: outside it, and under a hold, it pauses at its next safe point. On a workspace
        that is leaving only its deletion starts (not_active).
        """
        try:
            with transaction.atomic():
                if refused := may_not_begin(workspace, kind):
                    return refused
                operation = cls.objects.create(
                    workspace=workspace,
                    kind=kind,
                    title=title,
                    parameters=parameters or {},
                    requested_by=actor.name,
                    requested_by_kind=actor.kind,
                    requested_by_id=actor.account_id,
                    created_at=timezone.now(),
                    lane=window.lane if window else "",
                    window_opens_at=window.opens_at if window else None,
                )
                Step.objects.bulk_create(step.step(operation, position) for position, step in enumerate(steps))
                Event.record(actor, f"{kind}.started", workspace=workspace, operation=operation, summary=title)
        except IntegrityError as error:
            if "one_open_operation_per_workspace" not in str(error):
                raise
            return already_running(workspace)
        return operation

    def request_stop(self, actor: Actor) -> Refused | None:
        """Ask for a stop at the next safe point; the worker that gets there stops it."""
        with transaction.atomic():
            current = Operation.objects.select_for_update().get(pk=self.pk)
            if not current.is_open:
                return Refused("not_open", f"This operation has already ended: {current.get_state_display().lower()}.")
            if current.state == "paused":
                current._stop_paused(actor)
            elif current.stop_requested_at is None:
                current.stop_requested_at, current.stop_requested_by = timezone.now(), actor.name
                current.wake_at = None
                current.save(update_fields=["stop_requested_at", "stop_requested_by", "wake_at"])
                Event.record(
                    actor,
                    "operation.stop_requested",
                    workspace=current.workspace,
                    operation=current,
                    summary=f"Asked to stop at the next safe point: {current.title}",
                )
        self.refresh_from_db()
        return None

    def accept_risks(self, codes: Sequence[str], actor: Actor) -> None:
        """Note that `actor` takes the risk of these preflight checks (not saved; the event is). Once is enough."""
        taken = self.parameters.get("accepted_risks", [])
        known = {risk["code"] for risk in taken}
        new = [code for code in dict.fromkeys(codes) if code not in known]
        if not new:
            return
        at = timezone.now().isoformat()
        self.parameters["accepted_risks"] = taken + [{"code": code, "by": actor.name, "at": at} for code in new]
        Event.record(
            actor,
            "upgrade.risk_accepted",
            workspace=self.workspace,
            operation=self,
            summary=f"Accepted the risk of {', '.join(new)}: {self.title}",
            changes={"accept_risks": [None, new]},
        )

    @property
    def accepted_risks(self) -> frozenset[str]:
        """Codes of the preflight checks that do not stop this operation, because somebody answers for them."""
        return frozenset(risk["code"] for risk in self.parameters.get("accepted_risks", []))

    def skip_host(self, host: str, reason: str, actor: Actor) -> Refused | None:
        """Leave `host` as it is for the rest of this operation; its other hosts go on.

        Not while a worker is at that host: what it does could not be told. An ended operation stays ended.
        """
        with transaction.atomic():
            current = Operation.objects.select_for_update().get(pk=self.pk)
            if not (current.is_open or current.can_be_retried):
                return Refused("not_open", f"This operation has already ended: {current.get_state_display().lower()}.")
            left = current.steps.filter(host=host).exclude(state__in=lifecycle.STEP_OVER)
            left = left.exclude(pk__in=current.opening(host))
            if not left.exists():
                return Refused("nothing_left", f"Nothing is left to do on {host}.")
            if current.lease_token and left.filter(state="running").exists():
                return Refused(
                    "host_busy", f"A step on {host} runs at this moment. It can be skipped when that has ended."
                )
            if not left.exclude(stage="").exists():
                said = f"This operation is about {host} alone. It can be stopped, not go on without it."
                return Refused("cannot_be_left_out", said)
            left.update(state="skipped", skipped_by=actor.name, message=reason, finished_at=timezone.now(), cause="")
            if current.is_open and current.state != "paused":
                current.wake_at = current.dispatched_at = None
                current.save(update_fields=["wake_at", "dispatched_at"])
            Event.record(
                actor,
                "operation.host_skipped",
                workspace=current.workspace,
                operation=current,
                summary=f"Left {host} as it is in “{current.title}”: {reason}",
            )
        self.refresh_from_db()
        return None

    def opening(self, host: str) -> list[int]:
        """Steps that open `host` where it has been closed: they are done also when the rest is left out."""
        closed = self.steps.filter(host=host, key__in=OPENED_BY, state="done").values_list("key", "hop")
        opened = [Q(host=host, key=OPENED_BY[key], hop=hop) for key, hop in closed]
        return list(self.steps.filter(reduce(or_, opened)).values_list("pk", flat=True)) if opened else []

    def _stop_paused(self, actor: Actor) -> None:
        """End it where it is: a pause is at a safe point, and no worker would come to stop it."""
        from workspaces.models.health import reassess

        self.stop_requested_at = self.finished_at = timezone.now()
        self.stop_requested_by, self.state = actor.name, "stopped"
        self.save(update_fields=["stop_requested_at", "stop_requested_by", "finished_at", "state"])
        Event.record(
            actor,
            f"{self.kind}.stopped",
            workspace=self.workspace,
            operation=self,
            summary=f"Stopped instead of going on in the next window: {self.title}",
        )
        reassess([self.workspace_id], self.finished_at)

    def resume(self, window: RunWindow) -> bool:
        """Let paused work go on in its next window; False when it is paused no longer, or its workspace is leaving."""
        with transaction.atomic():
            paused = Operation.objects.filter(pk=self.pk, state="paused")
            paused = paused.exclude(workspace__state__in=lifecycle.LEAVING)
            resumed = paused.update(
                state="pending", lane=window.lane, window_opens_at=window.opens_at, pause_reason="", dispatched_at=None
            )
            if resumed:
                Event.record(
                    PLATFORM,
                    f"{self.kind}.resumed",
                    workspace=self.workspace,
                    operation=self,
                    summary=f"Goes on in the window of {window.opens_at:%a %d %b %H:%M} UTC: {self.title}",
                )
        self.refresh_from_db()
        return bool(resumed)

    def retry(self, actor: Actor, accept: Sequence[str] = ()) -> Refused | None:
        """Continue from the step at which it failed, was stopped or paused; whoever does so answers for it.

        `accept` are codes of preflight checks whose risk the actor takes from now on. Automatic work is bound to no
        window any more then: it goes on at once, and to its end.
        """
        from workspaces.models.health import reassess

        if unknown := sorted(set(accept) - ACCEPTABLE):
            said = f"No risk that can be taken: {', '.join(unknown)}."
            return Refused("unknown_risk", said, {"accept_risks": unknown})
        try:
            with transaction.atomic():
                if refused := may_not_begin(self.workspace, self.kind):
                    return refused
                current = Operation.objects.select_for_update().get(pk=self.pk)
                if not current.can_be_retried:
                    return Refused("not_retryable", "Only a failed, stopped or paused operation can be continued.")
                later = Operation.objects.filter(workspace=current.workspace_id, created_at__gt=current.created_at)
                if later.open().exists():
                    return already_running(current.workspace)
                if later.exists():
                    return Refused("superseded", "Another operation has run since. Start a new one instead.")
                current.steps.filter(state="failed").update(**ANEW)
                current.accept_risks(accept, actor)
                current.state = "pending"
                current.finished_at = current.stop_requested_at = current.wake_at = current.dispatched_at = None
                current.lane, current.window_opens_at, current.pause_reason = "", None, ""
                current.stop_requested_by = current.error_code = current.error_message = current.error_who_can_fix = ""
                current.save()
                reassess([current.workspace_id], timezone.now())
                Event.record(
                    actor,
                    "operation.retried",
                    workspace=current.workspace,
                    operation=current,
                    summary=f"Continued: {current.title}",
                )
        except IntegrityError:
            return already_running(self.workspace)
        self.refresh_from_db()
        return None


def already_running(workspace: Workspace) -> Refused:
    """The refusal that names the workspace's open operation."""
    running = Operation.objects.open().filter(workspace=workspace).first()
    return Refused(
        "operation_running",
        f"{running.title} is running. Wait for it to end, or stop it." if running else "Another operation is running.",
        {"operation": str(running.pk)} if running else {},
    )
