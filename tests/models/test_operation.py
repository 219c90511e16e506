"""What the database holds about operations and steps, whoever writes and however."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

from tests import cast
from workspaces.models import Operation, Step, Workspace

pytestmark = pytest.mark.django_db


def operation(workspace: Workspace, state: str = "pending") -> Operation:
    """An operation that is not stored."""
    return Operation(workspace=workspace, kind="test", title="Test", requested_by="Bob", state=state)


@pytest.mark.parametrize("state", ["pending", "running", "waiting", "paused"])
def test_a_workspace_has_one_open_operation_in_whatever_state(workspace: Workspace, state: str) -> None:
    operation(workspace, state).save()
    with pytest.raises(IntegrityError, match="one_open_operation_per_workspace"), transaction.atomic():
        Operation.objects.bulk_create([operation(workspace, "waiting")])
    assert Operation.objects.count() == 1


def test_an_ended_operation_is_not_opened_again_beside_an_open_one(workspace: Workspace) -> None:
    ended = operation(workspace, "failed")
    Operation.objects.bulk_create([ended, operation(workspace)])
    with pytest.raises(IntegrityError, match="one_open_operation_per_workspace"), transaction.atomic():
        Operation.objects.filter(pk=ended.pk).update(state="running")


def test_ended_operations_are_as_many_as_there_were_and_other_workspaces_are_free(workspace: Workspace) -> None:
    other = cast.kubernetes("elsewhere", hosts=0)
    ended = [operation(workspace, state) for state in ("succeeded", "failed", "stopped", "failed")]
    Operation.objects.bulk_create([*ended, operation(workspace), operation(other)])
    assert Operation.objects.open().count() == 2


def test_a_state_that_nobody_knows_is_refused(workspace: Workspace) -> None:
    with pytest.raises(IntegrityError, match="operation_state_known"), transaction.atomic():
        Operation.objects.bulk_create([operation(workspace, "sleeping")])
    kept = operation(workspace)
    kept.save()
    step = Step.objects.create(operation=kept, position=0, key="one", title="One")
    with pytest.raises(IntegrityError, match="step_state_known"), transaction.atomic():
        Step.objects.filter(pk=step.pk).update(state="maybe")
    with pytest.raises(IntegrityError, match="step_position_once"), transaction.atomic():
        Step.objects.bulk_create([Step(operation=kept, position=0, key="two", title="Two")])


def test_a_workspace_with_history_is_not_deleted_away(workspace: Workspace) -> None:
    operation(workspace).save()
    delete = "DELETE FROM workspaces_workspace WHERE id = %s"
    with pytest.raises(IntegrityError, match="foreign key"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET CONSTRAINTS ALL IMMEDIATE; {delete}", [workspace.pk])
