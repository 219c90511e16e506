"""The engine on made-up steps: claiming, waiting, failing, stopping, losing the lease, being woken."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import django_rq
import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from workspaces.models import PLATFORM, Actor, Event, Operation, StepPlan, Workspace
from workspaces.operations import dispatch, engine, recovery
from workspaces.operations.engine import Context, Done, Outcome, Wait
from workspaces.providers.errors import Permanent, Temporary
from workspaces.rules.refusal import Refused

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("empty_queues")]
BOB = Actor("account", "Bob Berger")


def started(workspace: Workspace, *keys: str, **flags: bool) -> Operation:
    """An operation of made-up steps."""
    operation = Operation.start(
        workspace, "test", "Test something", [StepPlan(key, f"Do {key}", **flags) for key in keys], actor=BOB
    )
    assert isinstance(operation, Operation)
    return operation


def run(operation: Operation, *functions: Callable[[Context], Outcome]) -> None:
    """One job: one step, found by the function's name."""
    engine.run_one_step(operation.pk, lambda kind, key: {f.__name__: f for f in functions}.get(key))
    operation.refresh_from_db()


def states(operation: Operation) -> list[str]:
    """The states of the steps in order."""
    return list(operation.steps.order_by("position").values_list("state", flat=True))


def one(context: Context) -> Outcome:
    return Done("first thing done")


def two(context: Context) -> Outcome:
    return Done("second thing done")


def test_each_job_runs_one_step_and_the_last_one_ends_the_operation(workspace: Workspace) -> None:
    operation = started(workspace, "one", "two")
    run(operation, one, two)
    assert (operation.state, states(operation)) == ("running", ["done", "pending"])
    run(operation, one, two)
    assert (operation.state, states(operation)) == ("succeeded", ["done", "done"])
    assert operation.finished_at is not None
    assert operation.lease_token is None
    assert [line.text for line in operation.lines.all()] == ["Do one: first thing done", "Do two: second thing done"]
    acts = Event.objects.acts().order_by("id")
    assert list(acts.values_list("action", flat=True)) == ["test.started", "test.succeeded"]


def test_a_finished_step_hands_the_next_one_to_the_queue(workspace: Workspace) -> None:
    operation = started(workspace, "one", "two")
    run(operation, one, two)
    assert dispatch.queued() == {operation.pk}


def test_a_second_operation_on_the_same_workspace_is_refused_with_the_name_of_the_first(workspace: Workspace) -> None:
    first = started(workspace, "one")
    second = Operation.start(workspace, "test", "Test again", [StepPlan("one", "Do one")], actor=BOB)
    assert second == Refused(
        "operation_running",
        "Test something is running. Wait for it to end, or stop it.",
        {"operation": str(first.pk)},
    )
    assert Operation.objects.count() == 1


def test_the_database_itself_allows_one_open_operation_per_workspace(workspace: Workspace) -> None:
    started(workspace, "one")
    with pytest.raises(IntegrityError, match="one_open_operation_per_workspace"), transaction.atomic():
        Operation.objects.create(workspace=workspace, kind="test", title="Sneaked in", requested_by="nobody")


def test_a_step_that_waits_says_why_and_is_not_run_before_its_time(workspace: Workspace) -> None:
    runs = []

    def one(context: Context) -> Outcome:
        runs.append(1)
        return Wait(60, "2 pods left")

    operation = started(workspace, "one")
    run(operation, one)
    step = operation.steps.get()
    assert (operation.state, step.state, step.message) == ("waiting", "waiting", "2 pods left")
    run(operation, one)
    assert len(runs) == 1
    assert recovery.wake_due() == 0


def test_a_temporary_failure_is_repeated_with_growing_pauses(workspace: Workspace) -> None:
    def one(context: Context) -> Outcome:
        raise Temporary("unreachable", "The API server of mgmt-fsn1 does not answer.")

    operation = started(workspace, "one")
    pauses = []
    for _ in range(3):
        Operation.objects.update(wake_at=None)
        before = timezone.now()
        run(operation, one)
        assert operation.wake_at is not None
        pauses.append(round((operation.wake_at - before).total_seconds()))
    assert pauses == [2, 4, 8]
    assert operation.state == "waiting"
    assert operation.steps.get().message == (
        "The API server of mgmt-fsn1 does not answer. Repeated in 8 s (3 failed so far)."
    )


def test_the_vendors_own_delay_counts(workspace: Workspace) -> None:
    def one(context: Context) -> Outcome:
        raise Temporary("rate_limit", "Too many requests.", delay=37)

    operation = started(workspace, "one")
    before = timezone.now()
    run(operation, one)
    assert operation.wake_at is not None
    assert 36 <= (operation.wake_at - before).total_seconds() <= 38


def test_patience_ends_and_a_person_is_asked(workspace: Workspace) -> None:
    def one(context: Context) -> Outcome:
        raise Temporary("unreachable", "The API server of mgmt-fsn1 does not answer.")

    operation = started(workspace, "one")
    run(operation, one)
    operation.steps.update(failing_since=timezone.now() - timedelta(hours=2), failures=2)
    Operation.objects.update(wake_at=None)
    run(operation, one)
    assert operation.state == "failed"
    assert operation.error_code == "unreachable"
    assert operation.error_who_can_fix.startswith("The operator of the platform")


def test_two_bad_moments_hours_apart_do_not_end_patience(workspace: Workspace) -> None:
    def one(context: Context) -> Outcome:
        raise Temporary("unreachable", "The API server of mgmt-fsn1 does not answer.")

    operation = started(workspace, "one")
    run(operation, one)
    operation.steps.update(failing_since=timezone.now() - timedelta(hours=2))
    Operation.objects.update(wake_at=None)
    run(operation, one)
    assert operation.state == "waiting"


def test_a_permanent_failure_stops_at_once_and_is_continued_from_that_step(workspace: Workspace) -> None:
    fixed: list[bool] = []

    def two(context: Context) -> Outcome:
        if not fixed:
            raise Permanent("credential", "The token was refused.", who_can_fix="Ines")
        return Done("worked")

    operation = started(workspace, "one", "two")
    run(operation, one, two)
    run(operation, one, two)
    assert (operation.state, states(operation)) == ("failed", ["done", "failed"])
    assert (operation.error_code, operation.error_message, operation.error_who_can_fix) == (
        "credential",
        "The token was refused.",
        "Ines",
    )
    workspace.refresh_from_db()
    assert workspace.attention == "Test something failed. The token was refused."
    fixed.append(True)
    assert operation.retry(BOB) is None
    workspace.refresh_from_db()
    assert workspace.attention == ""
    run(operation, one, two)
    assert (operation.state, states(operation)) == ("succeeded", ["done", "done"])
    assert operation.error_code == ""


def test_a_step_that_breaks_shows_no_detail_of_the_code_to_the_reader(workspace: Workspace) -> None:
    def one(context: Context) -> Outcome:
        raise ZeroDivisionError("token=abc123")

    operation = started(workspace, "one")
    run(operation, one)
    assert operation.state == "failed"
    assert operation.error_message == "The step broke (ZeroDivisionError). The log has the details."


def test_a_step_this_release_does_not_know_asks_for_a_person(workspace: Workspace) -> None:
    operation = started(workspace, "renamed")
    run(operation)
    assert (operation.state, states(operation)) == ("failed", ["failed"])
    assert operation.error_message == "This release does not know the step “renamed”."


def test_a_stop_is_honoured_before_a_step_that_allows_it(workspace: Workspace) -> None:
    operation = started(workspace, "one", "two")
    run(operation, one, two)
    assert operation.request_stop(BOB) is None
    run(operation, one, two)
    assert (operation.state, states(operation)) == ("stopped", ["done", "pending"])
    assert operation.retry(BOB) is None
    run(operation, one, two)
    assert operation.state == "succeeded"


def test_a_stop_waits_until_what_was_begun_is_finished(workspace: Workspace) -> None:
    operation = started(workspace, "one", "two", safe_to_stop=False)
    operation.request_stop(BOB)
    run(operation, one, two)
    assert (operation.state, states(operation)) == ("running", ["done", "pending"])


def test_an_ended_operation_can_be_neither_stopped_nor_continued(workspace: Workspace) -> None:
    operation = started(workspace, "one")
    run(operation, one)
    stopped, retried = operation.request_stop(BOB), operation.retry(BOB)
    assert stopped is not None
    assert stopped.code == "not_open"
    assert retried is not None
    assert retried.code == "not_retryable"


def test_continuing_is_refused_while_another_operation_runs(workspace: Workspace) -> None:
    def one(context: Context) -> Outcome:
        raise Permanent("quota", "Limit reached.")

    first = started(workspace, "one")
    run(first, one)
    started(workspace, "two")
    refused = first.retry(BOB)
    assert refused is not None
    assert refused.code == "operation_running"
    first.refresh_from_db()
    assert first.state == "failed"


def test_an_operation_is_not_continued_after_a_later_one_has_run(workspace: Workspace) -> None:
    def one(context: Context) -> Outcome:
        raise Permanent("quota", "Limit reached.")

    first = started(workspace, "one")
    run(first, one)
    run(started(workspace, "two"), two)
    refused = first.retry(BOB)
    assert refused is not None
    assert refused.code == "superseded"


def test_nobody_takes_a_step_that_another_worker_holds(workspace: Workspace) -> None:
    runs = []

    def one(context: Context) -> Outcome:
        runs.append(1)
        engine.run_one_step(context.operation.pk, lambda kind, key: one)
        return Done()

    run(started(workspace, "one"), one)
    assert runs == [1]


def test_a_worker_that_lost_its_lease_changes_nothing(workspace: Workspace) -> None:
    def one(context: Context) -> Outcome:
        Operation.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        engine.run_one_step(context.operation.pk, lambda kind, key: lambda context: Done("by the second worker"))
        return Done("by the first worker")

    operation = started(workspace, "one")
    run(operation, one)
    assert operation.state == "succeeded"
    assert operation.steps.get().message == "by the second worker"


def test_the_lease_is_renewed_while_a_step_takes_long(workspace: Workspace, settings) -> None:
    settings.LOOPBACK_LEASE_SECONDS = 0.3

    def one(context: Context) -> Outcome:
        first = Operation.objects.get(pk=context.operation.pk).lease_until
        deadline = timezone.now() + timedelta(seconds=5)
        while timezone.now() < deadline:
            if Operation.objects.get(pk=context.operation.pk).lease_until != first:
                return Done("renewed")
        return Done("never renewed")

    operation = started(workspace, "one")
    run(operation, one)
    assert operation.steps.get().message == "renewed"


def test_work_of_a_dead_worker_is_woken_when_its_lease_has_run_out(workspace: Workspace) -> None:
    operation = started(workspace, "one")
    past = timezone.now() - timedelta(seconds=10)
    Operation.objects.update(state="running", lease_until=timezone.now() + timedelta(seconds=9), dispatched_at=past)
    assert recovery.wake_due() == 0
    Operation.objects.update(lease_until=past)
    assert recovery.wake_due() == 1
    assert dispatch.queued() == {operation.pk}


def test_an_emptied_queue_loses_no_work(workspace: Workspace) -> None:
    operation = started(workspace, "one", "two")
    run(operation, one, two)
    django_rq.get_connection("operations").flushdb()
    assert recovery.wake_due() == 0, "it was handed over a moment ago and may be on its way"
    Operation.objects.update(dispatched_at=timezone.now() - timedelta(seconds=6))
    assert recovery.wake_due() == 1
    assert recovery.wake_due() == 0, "it is on the queue again"


def test_what_was_never_handed_over_is_found(workspace: Workspace) -> None:
    started(workspace, "one")
    assert recovery.wake_due() == 1


def test_a_waiting_operation_is_woken_when_its_pause_is_over(workspace: Workspace) -> None:
    def one(context: Context) -> Outcome:
        return Wait(0, "soon")

    run(started(workspace, "one"), one)
    assert recovery.wake_due() == 1


def test_an_irreversible_step_marks_the_point_of_no_return(workspace: Workspace) -> None:
    operation = started(workspace, "one", "two", irreversible=True)
    assert operation.irreversible_since is None
    run(operation, one, two)
    first = operation.irreversible_since
    assert first is not None
    run(operation, one, two)
    assert operation.irreversible_since == first


def test_an_event_can_be_neither_changed_nor_deleted(workspace: Workspace) -> None:
    event = Event.record(PLATFORM, "test", summary="Something happened", workspace=workspace)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Event.objects.filter(pk=event.pk).update(summary="Nothing happened")
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Event.objects.filter(pk=event.pk).delete()
    assert Event.objects.get(pk=event.pk).summary == "Something happened"
