"""Forgetting a workspace: only after its deletion has failed or was stopped, with a reason, and all told that stays."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operations import deleting, harness
from tests.operations.deleting import names
from tests.simulators.running import RunningWorld
from workspaces.models import Actor, Deletion, Event, Operation, ProviderAccount, Workspace
from workspaces.operations import engine, forgetting, plans
from workspaces.rules.deletion_receipt import FORGOTTEN
from workspaces.rules.refusal import Refused

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("empty_queues", "catalogue_rows"),
    pytest.mark.timeout(240),
]
ERIN = Actor("account", "Erin Ebert")


def stuck(world: RunningWorld, name: str) -> tuple[Workspace, Deletion]:
    """One whose deletion failed at its load balancer, because the token is no longer good: its DNS is gone."""
    deleting.policy()
    workspace = deleting.whole(world, name)
    operation = deleting.begun(workspace)
    while operation.steps.get(key="dns").state != "done":
        Operation.objects.filter(pk=operation.pk).update(wake_at=None)
        engine.run_one_step(operation.pk, plans.find)
        operation.refresh_from_db()
    ProviderAccount.objects.filter(name=name).update(token="x" * 64)
    operation = harness.drive(operation)
    assert (operation.state, operation.error_code) == ("failed", "credential")
    return workspace, Deletion.objects.select_related("workspace").get(operation=operation)


def refusal(deletion: Deletion, **fields: Any) -> str:
    """The code of the refusal."""
    values = {"confirm_name": deletion.workspace.name, "reason": "The account is closed", "actor": ERIN} | fields
    refused = forgetting.forget(deletion, **values)
    assert isinstance(refused, Refused)
    return refused.code


def test_what_no_step_removed_is_told_as_left_and_nothing_is_asked(world: RunningWorld) -> None:
    workspace, deletion = stuck(world, "oblivion-one")
    before = len(world.journal())
    preview = forgetting.forget_preview(deletion)
    assert ("host", "oblivion-one-w1") in [(item.kind, item.name) for item in preview]
    assert (
        forgetting.forget(deletion, confirm_name="oblivion-one", reason=" The account is closed ", actor=ERIN) is None
    )
    assert len(world.journal()) == before
    workspace.refresh_from_db()
    assert (workspace.state, deletion.state) == ("deleted", "forgotten")
    assert workspace.state_reason == "Forgotten by Erin Ebert: The account is closed"
    receipt = deletion.receipt or {}
    assert receipt["forgotten"]["by"] == "Erin Ebert"
    assert receipt["forgotten"]["reason"] == "The account is closed"
    assert [kind for kind, _ in names(receipt["removed"])] == ["dns_record", "dns_record", "integration"]
    assert sorted(item.name for item in preview) == sorted(one["name"] for one in receipt["left_over"])
    whys = {one["name"]: one["why"] for one in receipt["left_over"]}
    assert whys["oblivion-one-data"] == FORGOTTEN
    assert not workspace.hosts.exists()
    event = Event.objects.get(action="deletion.forgotten")
    assert event.actor_name == "Erin Ebert"
    assert event.summary.startswith("Forgot oblivion-one: 3 removed, ")
    assert "Left over: " in event.summary
    # Once only.
    assert refusal(deletion) == "not_failed"
    assert deletion.operation is not None


def test_it_is_refused_without_the_name_without_a_reason_and_while_it_is_at_work(world: RunningWorld) -> None:
    workspace, deletion = stuck(world, "oblivion-two")
    assert refusal(deletion, confirm_name="oblivion") == "wrong_name"
    assert refusal(deletion, reason="  ") == "no_reason"
    assert deletion.operation is not None
    assert deletion.operation.retry(ERIN) is None
    assert refusal(deletion) == "not_failed"
    assert deletion.operation.request_stop(ERIN) is None
    harness.drive(deletion.operation)
    assert deletion.operation.state == "stopped"
    workspace.refresh_from_db()
    assert workspace.state == "deleting"
    assert forgetting.forget(deletion, confirm_name=workspace.name, reason="Gone", actor=ERIN) is None
