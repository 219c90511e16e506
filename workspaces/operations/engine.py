"""Running one step of an operation: claim it under a lease, do it outside any transaction, settle what came of it.

A step is a function of a `Context` that looks before it acts and may run twice. It returns `Done` or `Wait`, or raises
`Temporary` (repeated with growing pauses) or `Permanent` (the operation stops and shows a person why). It never sleeps.
A worker that dies leaves its lease behind; when that has run out, `recovery.wake_due` wakes another.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from workspaces.logs import note
from workspaces.models import PLATFORM, Event, LogLine, Operation, Step, Workspace
from workspaces.models.health import reassess
from workspaces.operations import dispatch
from workspaces.providers.errors import Permanent, ProviderError, Temporary
from workspaces.rules import lifecycle

logger = logging.getLogger(__name__)
LONGEST_PAUSE = 300.0
# However long it took: where no worker came for an hour, a step has failed twice in it and tells of two bad moments.
FEWEST_FAILURES = 3
# Columns of a step that its outcome may change.
SETTLED = ("state", "finished_at", "message", "cause", "who_can_fix", "failures", "failing_since")


@dataclass(frozen=True)
class Done:
    """The step is finished; `message` says what was found or done, in a sentence."""

    message: str = ""


@dataclass(frozen=True)
class Wait:
    """Not yet: run the same step again in `seconds`; `why` is shown meanwhile.

    Where it is known what holds it up, `cause` is its code (see `diagnosis`) and `who_can_fix` names people.
    """

    seconds: float
    why: str
    cause: str = ""
    who_can_fix: str = ""


Outcome = Done | Wait
StepFunction = Callable[["Context"], Outcome]
# Why an operation may not go on now, in a sentence; empty: it may.
Guard = Callable[[Operation, datetime], str]


@dataclass
class Context:
    """What a step may use: its rows, the time, and a way to say what it does."""

    operation: Operation
    step: Step
    now: datetime
    lease: uuid.UUID
    # Set by the renewing thread when another worker has taken the step over: stop what is running.
    lease_lost: threading.Event = field(default_factory=threading.Event)

    @property
    def workspace(self) -> Workspace:
        """The workspace that is worked on."""
        return self.operation.workspace

    @property
    def waited(self) -> float:
        """Seconds since the step first started."""
        return (timezone.now() - (self.step.started_at or self.now)).total_seconds()

    def say(self, text: str, *, level: str = "info") -> None:
        """Write one line to the operation's log; repeated lines of a waiting step are written once."""
        last = self.operation.lines.filter(source=self._source).order_by("-id").values_list("text", flat=True).first()
        if last != text[:1000]:
            LogLine.objects.create(operation=self.operation, source=self._source, level=level, text=text[:1000])

    def again(self, why: str, *, cause: str = "", who_can_fix: str = "") -> Wait:
        """Wait and look once more: soon at first, since most of the world answers at once, then every few seconds."""
        soon = max(0.2, self.waited / 2)
        return Wait(min(soon, settings.LOOPBACK_POLL_SECONDS), why, cause, who_can_fix)

    def remember(self, **values: Any) -> None:
        """Keep values for the next run of this step, at once (a killed worker must not lose them)."""
        self.step.memory |= values
        Step.objects.filter(pk=self.step.pk).update(memory=self.step.memory)

    @property
    def _source(self) -> str:
        return self.step.host or "plan"


def run_one_step(
    operation_id: uuid.UUID, find: Callable[[str, str], StepFunction | None], guard: Guard = lambda *_: ""
) -> None:
    """Run the next step of the operation, if it is due and nobody else holds it.

    `find(kind, key)` gives the step's function, or None when this release does not know it any more. `guard` is asked
    at every safe point, and its sentence pauses the operation there.
    """
    context = _claim(operation_id, guard)
    if context is None:
        return
    note(workspace=context.operation.workspace_id)
    function = find(context.operation.kind, context.step.key)
    outcome: Outcome | ProviderError
    with _lease_renewed(context):
        try:
            if function is None:
                raise Permanent("configuration", f"This release does not know the step “{context.step.key}”.")
            outcome = function(context)
        except ProviderError as error:
            outcome = error
        except (OperationalError, InterfaceError) as error:
            # PostgreSQL was away. While it is, nothing can be stored: the lease runs out, and the step is repeated.
            connection.close()
            outcome = Temporary("unreachable", f"PostgreSQL did not answer ({type(error).__name__}).")
        except Exception as error:
            # A defect of ours: shown as one, never repeated blindly. The trace goes to the log, not to the page.
            logger.exception("Step %s of operation %s broke", context.step.key, operation_id)
            outcome = Permanent("configuration", f"The step broke ({type(error).__name__}). The log has the details.")
    _settle(context, outcome)


# --- Claiming ---------------------------------------------------------------------------------------------------------
def _claim(operation_id: uuid.UUID, guard: Guard) -> Context | None:
    """Take the lease and mark the next step as running; None when there is nothing to do here."""
    now = timezone.now()
    with transaction.atomic():
        due = Operation.objects.due(now).select_related("workspace__project", "workspace__management_cluster")
        operation = due.select_for_update(of=("self",)).filter(pk=operation_id).first()
        if operation is None:
            return None
        step = operation.steps.exclude(state__in=lifecycle.STEP_OVER).order_by("position").first()
        if step is None:
            _finish(operation, "succeeded", now)
            return None
        if step.safe_to_stop and step.state != "running":
            if operation.stop_requested_at:
                _stop(operation, step, now)
                return None
            if why := guard(operation, now):
                _pause_run(operation, step, why, now)
                return None
        operation.state = "running"
        operation.started_at = operation.started_at or now
        operation.lease_token = uuid.uuid4()
        operation.lease_until = now + timedelta(seconds=settings.LOOPBACK_LEASE_SECONDS)
        operation.wake_at = None
        operation.save(update_fields=["state", "started_at", "lease_token", "lease_until", "wake_at"])
        step.state = "running"
        step.started_at = step.started_at or now
        step.attempts += 1
        step.save(update_fields=["state", "started_at", "attempts"])
    return Context(operation, step, now, operation.lease_token)


@contextmanager
def _lease_renewed(context: Context) -> Iterator[None]:
    """Renew the lease from a thread while the step runs; short steps end before the thread opens a connection."""
    done = threading.Event()
    period = settings.LOOPBACK_LEASE_SECONDS / 3

    def renew() -> None:
        try:
            while not done.wait(period):
                until = timezone.now() + timedelta(seconds=settings.LOOPBACK_LEASE_SECONDS)
                held = Operation.objects.filter(pk=context.operation.pk, lease_token=context.lease)
                try:
                    if not held.update(lease_until=until):
                        context.lease_lost.set()
                except DatabaseError as error:
                    # An end of the renewing here would let another worker begin the step beside this one.
                    logger.warning("Operation %s: lease not renewed, tried again: %s", context.operation.pk, error)
                    connection.close()
        finally:
            connection.close()

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


# --- Settling ---------------------------------------------------------------------------------------------------------
def _settle(context: Context, outcome: Outcome | ProviderError) -> None:
    """Store what came of the step, release the lease and wake a worker for what is next."""
    now = timezone.now()
    with transaction.atomic():
        operation = (
            Operation.objects.select_for_update().filter(pk=context.operation.pk, lease_token=context.lease).first()
        )
        if operation is None:
            # The lease ran out and another worker took over: what it stores counts, and this step may run twice.
            logger.warning(
                "Operation %s: result of %s discarded, the lease was lost", context.operation.pk, context.step.key
            )
            return
        operation.lease_token = operation.lease_until = None
        step = context.step
        match outcome:
            case Done():
                _step_done(operation, step, outcome, now)
            case Wait():
                step.failures, step.failing_since = 0, None
                step.cause, step.who_can_fix = outcome.cause, outcome.who_can_fix[:200]
                _pause(operation, step, outcome.seconds, outcome.why, now)
            case Temporary() if not _out_of_patience(step, now):
                _repeat(operation, step, outcome, now)
            case _:
                _fail(operation, step, outcome, now)
        step.save(update_fields=SETTLED)
        operation.save()
        if operation.state == "running":
            dispatch.run_soon(operation.pk)


def _step_done(operation: Operation, step: Step, outcome: Done, now: datetime) -> None:
    """Close the step; the operation has succeeded when it was the last, else the next step is due at once."""
    step.state, step.finished_at, step.message = "done", now, outcome.message
    step.failures, step.failing_since = 0, None
    step.cause = step.who_can_fix = ""
    if step.irreversible and operation.irreversible_since is None:
        operation.irreversible_since = now
    LogLine.objects.create(
        operation=operation, source=step.host or "plan", text=f"{step.title}: {outcome.message or 'done'}"[:1000]
    )
    if not operation.steps.exclude(pk=step.pk).exclude(state__in=lifecycle.STEP_OVER).exists():
        _finish(operation, "succeeded", now)
        return
    operation.state = "running"  # between two steps as well: pending is what has not begun


def _pause(operation: Operation, step: Step, seconds: float, why: str, now: datetime) -> None:
    """The step waits for the world; `recovery.wake_due` wakes the operation when the time has come."""
    step.state, step.message = "waiting", why
    operation.state = "waiting"
    operation.wake_at = now + timedelta(seconds=seconds)
    operation.dispatched_at = None


def _out_of_patience(step: Step, now: datetime) -> bool:
    """Whether a temporary failure has been repeated for long enough, and often enough, to ask a person."""
    patience = timedelta(seconds=settings.LOOPBACK_PATIENCE_SECONDS)
    failed = step.failures + 1  # with the one that has just been seen
    return step.failing_since is not None and now - step.failing_since > patience and failed >= FEWEST_FAILURES


def _repeat(operation: Operation, step: Step, error: Temporary, now: datetime) -> None:
    """Repeat later: after the vendor's own delay, or after a pause that doubles with each failure in a row."""
    step.failures += 1
    step.failing_since = step.failing_since or now
    step.cause, step.who_can_fix = error.code, error.who_can_fix[:200]
    pause = error.delay if error.delay is not None else min(2.0 ** min(step.failures, 20), LONGEST_PAUSE)
    _pause(operation, step, pause, f"{error.message} Repeated in {pause:.0f} s ({step.failures} failed so far).", now)
    LogLine.objects.create(operation=operation, source=step.host or "plan", level="warn", text=error.message[:1000])


def _fail(operation: Operation, step: Step, error: ProviderError, now: datetime) -> None:
    """Stop here and say what happened and who can fix it; a person continues from this step."""
    step.state, step.finished_at, step.message = "failed", now, error.message
    step.cause, step.who_can_fix = error.code, error.who_can_fix[:200]
    operation.error_code, operation.error_message = error.code, error.message
    operation.error_who_can_fix = error.who_can_fix[:200]
    LogLine.objects.create(operation=operation, source=step.host or "plan", level="warn", text=error.message[:1000])
    _finish(operation, "failed", now)


def _stop(operation: Operation, step: Step, now: datetime) -> None:
    """A person asked for it and this is a safe point: nothing is half done."""
    step.state, step.message, step.started_at = "pending", "", None
    step.save(update_fields=["state", "message", "started_at"])
    _finish(operation, "stopped", now)


def _pause_run(operation: Operation, step: Step, why: str, now: datetime) -> None:
    """Automatic work has to wait, and this is a safe point: the scheduler lets it go on in its next window."""
    step.state, step.message, step.started_at = "pending", "", None
    step.save(update_fields=["state", "message", "started_at"])
    operation.state, operation.pause_reason, operation.wake_at = "paused", why[:300], None
    operation.save(update_fields=["state", "pause_reason", "wake_at"])
    LogLine.objects.create(operation=operation, source="plan", level="warn", text=f"Paused: {why}"[:1000])
    Event.record(
        PLATFORM,
        f"{operation.kind}.paused",
        workspace=operation.workspace,
        operation=operation,
        summary=f"{operation.title}: paused. {why}",
    )
    reassess([operation.workspace_id], now)


def _finish(operation: Operation, state: str, now: datetime) -> None:
    """End the operation in `state` and write it to the trail."""
    operation.state, operation.finished_at, operation.wake_at = state, now, None
    operation.lease_token = operation.lease_until = None
    operation.save()
    Event.record(
        PLATFORM,
        f"{operation.kind}.{state}",
        workspace=operation.workspace,
        operation=operation,
        summary=f"{operation.title}: {state}" + (f". {operation.error_message}" if operation.error_message else ""),
    )
    reassess([operation.workspace_id], now)
