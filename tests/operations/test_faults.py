"""Upgrades while calls fail and a worker is killed, and what has to hold then; steps while PostgreSQL goes away.

The long run of the same is `python -m tests.benchmarks faults`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

import django_rq
import pytest
from django.db import connection
from django.utils import timezone

from tests.benchmarks import faults, invariants, upgrading
from tests.operations import harness
from tests.simulators.running import RunningWorld
from workspaces.models import PLATFORM, Operation, StepPlan, Workspace
from workspaces.operations import dispatch, engine, recovery
from workspaces.operations.engine import Context, Done, Outcome, StepFunction

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("empty_queues"),
    pytest.mark.timeout(300),
]
PHASE_SECONDS = 0.05
# Longer than a worker of the tests waits for an API (LOOPBACK_VENDOR_TIMEOUT); a command over SSH is then cut.
HANG_SECONDS = 4.0


@pytest.fixture
def own_world() -> Iterator[RunningWorld]:
    """A world whose chance and journal no other test has touched."""
    with RunningWorld(seed=7, phase_seconds=PHASE_SECONDS) as world:
        yield world


def test_upgrades_end_once_and_leave_nothing_behind_though_calls_fail_and_a_worker_is_killed(
    own_world: RunningWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPBACK_PATIENCE_SECONDS", "600")  # as in production, more than bad luck needs
    workspaces = upgrading.fleet(own_world, 2, hosts=2)
    faults.spoil(own_world, rate=0.1, hang=HANG_SECONDS)
    operations = upgrading.start(workspaces)
    with harness.workers() as running, invariants.BudgetWatch(own_world, pause=0.1) as watch:
        _let_them_work(operations, running)
    met = {entry["fault"] for entry in own_world.journal() if entry["fault"] and entry["path"] != invariants.BUDGET}
    own_world.clear_faults()
    verdicts = invariants.judge(
        own_world, workspaces, operations, watch, upgrading.TARGET, replaced_in=PHASE_SECONDS / 2
    )
    assert {one.name: one.holds for one in verdicts} == {
        "all finish": True,
        "none twice": True,
        "no host left closed": True,
        "no eviction beyond a budget": True,
    }, f"{verdicts}\n{_stories()}"
    assert running.killed == 2
    assert "status" in met, "nothing failed, so nothing was tried"


def test_a_lease_goes_on_being_renewed_after_its_connection_was_cut(workspace: Workspace, settings) -> None:
    settings.LOOPBACK_LEASE_SECONDS = 1.5  # renewed every half second
    seen: list[bool] = []

    def step(context: Context) -> Outcome:
        time.sleep(0.8)
        _cut_all_other_connections()
        time.sleep(1.8)
        seen.append(Operation.objects.filter(pk=context.operation.pk, lease_until__gt=timezone.now()).exists())
        return Done()

    _run(workspace, step)
    assert seen == [True]


def test_a_step_during_which_postgresql_went_away_is_repeated(workspace: Workspace) -> None:
    def step(context: Context) -> Outcome:
        if context.step.attempts == 1:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return Done("worked")

    operation = _run(workspace, step)
    assert (operation.state, operation.steps.get().message) == (
        "waiting",
        "PostgreSQL did not answer (OperationalError). Repeated in 2 s (1 failed so far).",
    )
    Operation.objects.update(wake_at=None)
    engine.run_one_step(operation.pk, lambda kind, key: step)
    operation.refresh_from_db()
    assert operation.state == "succeeded"


def test_a_job_of_somebody_else_on_the_queue_keeps_no_operation_from_being_woken(workspace: Workspace) -> None:
    operation = Operation.start(workspace, "test", "Test something", [StepPlan("step", "Do it")], actor=PLATFORM)
    assert isinstance(operation, Operation)
    django_rq.get_queue("operations").enqueue("time.sleep", 0)
    assert recovery.wake_due() == 1
    assert dispatch.queued() == {operation.pk}


def _run(workspace: Workspace, step: StepFunction) -> Operation:
    """An operation of this one step, which has been run once."""
    operation = Operation.start(workspace, "test", "Test something", [StepPlan("step", "Do it")], actor=PLATFORM)
    assert isinstance(operation, Operation)
    engine.run_one_step(operation.pk, lambda kind, key: step)
    operation.refresh_from_db()
    return operation


def _cut_all_other_connections() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert cursor.fetchone()[0] >= 1


def _let_them_work(operations: list[Operation], running: harness.Workers, *, limit: float = 240) -> None:
    """Wake what is due as the scheduler does; kill the worker at the first two playbooks it is met at."""
    deadline = time.monotonic() + limit
    killed_at: set[int] = set()
    while upgrading.still_open(operations):
        assert time.monotonic() < deadline, _stories()
        _cut_pauses()
        recovery.wake_due()
        for operation in operations if running.killed < 2 else ():
            step = operation.steps.filter(state="running", key__in=("kubeadm", "kubelet")).first()
            if step and step.pk not in killed_at:
                killed_at.add(step.pk)
                running.kill_all()
                break
        time.sleep(0.1)


def _cut_pauses() -> None:
    """To a second: how long they get is tested in test_engine."""
    soon = timezone.now() + timedelta(seconds=1)
    Operation.objects.open().filter(wake_at__gt=soon).update(wake_at=soon)


def _stories() -> str:
    return "\n".join(harness.story(operation) for operation in Operation.objects.all())
