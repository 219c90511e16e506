"""What may begin on a workspace whose end has been asked for, by table: state by act, with the code of each refusal.

What a deletion itself does is in `test_deletion*.py` beside this; what the pages and the API answer, in `tests/views`
and `tests/api`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from tests import cast
from workspaces.models import (
    Account,
    Actor,
    DnsRecord,
    Drift,
    Host,
    LeftServer,
    Look,
    Operation,
    ProviderAccount,
    Rollout,
    RunWindow,
    StepPlan,
    Workspace,
)
from workspaces.models.health import reassess
from workspaces.models.left_servers import accounts_seen, looks_of
from workspaces.models.outlook import look
from workspaces.models.transfer_preview import preview
from workspaces.operations import (
    drift,
    gate,
    host_order,
    host_removal,
    kubeconfigs,
    left_servers,
    looks,
    maintenance,
    rollouts,
    upgrade,
)
from workspaces.rules import labels, lifecycle, planner
from workspaces.rules.refusal import Refused
from workspaces.rules.seeding import APPLIED_IN

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues", "catalogue_rows")]
BEGINS = "Begins Mon 30 Nov, 06:40 UTC, asked for by Alice Ahrens."
SCHEDULED = f"The deletion of the workspace is scheduled. {BEGINS} Undo it first."
STEPS = [StepPlan("wait", "Wait for nothing")]


def become(workspace: Workspace, state: str) -> Workspace:
    """The workspace in that state, read anew."""
    reason = BEGINS if state == "deletion_scheduled" else ""
    Workspace.objects.filter(pk=workspace.pk).update(state=state, state_reason=reason)
    return Workspace.objects.with_plan().get(pk=workspace.pk)


def ended(workspace: Workspace, state: str, kind: str = "upgrade") -> Operation:
    """An operation of an active workspace that has come to that state."""
    made = Operation.start(workspace, kind, "Upgrade it", STEPS, actor=Actor.of_command("test"))
    assert isinstance(made, Operation)
    Operation.objects.filter(pk=made.pk).update(state=state)
    return Operation.objects.select_related("workspace__project").get(pk=made.pk)


# --- The matrix: state by act -----------------------------------------------------------------------------------------
type Act = Callable[[Workspace, Account], object]


def _upgrade(workspace: Workspace, by: Account) -> object:
    return upgrade.start(workspace, "1.34.11", actor=Actor.of(by))


def _order(workspace: Workspace, by: Account) -> object:
    order = {"hostname": "one-more", "profile": uuid.uuid4(), "location": "fsn1", "confirmed": Decimal(1)}
    return host_order.start(workspace, **order, actor=Actor.of(by))  # type: ignore[arg-type]


def _remove(workspace: Workspace, by: Account) -> object:
    host = workspace.hosts.order_by("name")[0]
    return host_removal.start(host, confirm_name=host.name, actor=Actor.of(by))


def _any(workspace: Workspace, by: Account) -> object:
    return Operation.start(workspace, "ca_rotation", "Change the authority", STEPS, actor=Actor.of(by))


def _end(workspace: Workspace, by: Account) -> object:
    return Operation.start(workspace, "deletion", "Delete it", STEPS, actor=Actor.of(by))


def _converge(workspace: Workspace, by: Account) -> object:
    return drift.decide(_different(workspace), "converge", Actor.of(by))


def _accept(workspace: Workspace, by: Account) -> object:
    return drift.decide(_different(workspace), "accept", Actor.of(by))


def _different(workspace: Workspace) -> Drift:
    row = Drift.objects.create(
        workspace=workspace, kind="control_plane", subject="Control plane", policy="decide", since=cast.NOW,
        field="replicas", wanted=2, seen=3,
    )  # fmt: skip
    return Drift.objects.select_related("workspace__project").get(pk=row.pk)


def _export(workspace: Workspace, by: Account) -> object:
    return kubeconfigs.refuse(workspace, by)


def _transfer(workspace: Workspace, by: Account) -> object:
    return preview(workspace, cast.project("Freight Lab"), timezone.now()).refused


def _look(workspace: Workspace, by: Account) -> object:
    return looks.look_now(workspace)


# act: what it answers while scheduled, deleting, deleted; "" where it is let.
MATRIX: dict[str, tuple[Act, str, str, str]] = {
    "start an upgrade": (_upgrade, "not_active", "not_active", "not_active"),
    "order a host": (_order, "not_active", "not_active", "not_active"),
    "remove a host": (_remove, "not_active", "not_active", "not_active"),
    "start anything else": (_any, "not_active", "not_active", "not_active"),
    "start its deletion": (_end, "", "", ""),
    "set drift back": (_converge, "not_active", "not_active", "not_active"),
    "accept drift": (_accept, "", "not_active", "not_active"),
    "export a kubeconfig": (_export, "", "not_active", "not_active"),
    "move it": (_transfer, "not_transferable", "not_transferable", "not_transferable"),
    "look at it now": (_look, "", "not_active", "not_active"),
}
CASES = [
    pytest.param(act, state, code, id=f"{what} while {state}")
    for what, (act, *codes) in MATRIX.items()
    for state, code in zip(lifecycle.LEAVING, codes, strict=True)
]


@pytest.mark.parametrize(("act", "state", "code"), CASES)
def test_what_may_be_done_with_a_workspace_that_is_leaving(
    workspace: Workspace, alice: Account, act: Act, state: str, code: str
) -> None:
    answer = act(become(workspace, state), alice)
    assert (answer.code if isinstance(answer, Refused) else "") == code


def test_a_refusal_says_when_the_deletion_begins_and_what_to_do(workspace: Workspace, alice: Account) -> None:
    refused = _upgrade(become(workspace, "deletion_scheduled"), alice)
    assert refused == Refused("not_active", SCHEDULED, {"state": "deletion_scheduled"})


# --- Operations that have been ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("state", lifecycle.LEAVING)
@pytest.mark.parametrize("before", ["failed", "stopped", "paused"])
def test_no_operation_is_continued_on_a_workspace_that_is_leaving(
    workspace: Workspace, alice: Account, before: str, state: str
) -> None:
    operation = ended(workspace, before)
    become(workspace, state)
    refused = operation.retry(Actor.of(alice))
    assert refused is not None
    assert refused.code == "not_active"
    assert Operation.objects.get().state == before


@pytest.mark.parametrize("state", ["deletion_scheduled", "deleting"])
def test_its_deletion_is_continued(workspace: Workspace, alice: Account, state: str) -> None:
    operation = ended(become(workspace, state), "failed", kind="deletion")
    assert operation.retry(Actor.of(alice)) is None
    assert Operation.objects.get().state == "pending"


def test_a_failed_operation_is_continued_after_the_undo(workspace: Workspace, alice: Account) -> None:
    operation = ended(workspace, "failed")
    become(workspace, "deletion_scheduled")
    become(workspace, "active")
    assert operation.retry(Actor.of(alice)) is None


def test_paused_work_does_not_go_on_in_its_next_window(workspace: Workspace) -> None:
    operation = ended(workspace, "paused")
    window = RunWindow("routine", cast.NOW)
    become(workspace, "deletion_scheduled")
    assert not operation.resume(window)
    assert operation.state == "paused"
    become(workspace, "active")
    assert operation.resume(window)


# --- Automatic work ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("state", lifecycle.LEAVING)
def test_no_window_would_do_anything_and_the_forecast_says_why(workspace: Workspace, state: str) -> None:
    plan = workspace.maintenance_plan
    plan.compute_auto_update = plan.kubernetes_auto_upgrade = True
    before = planner.forecast(plan.as_rule(), look(workspace, cast.NOW).facts, cast.NOW)
    assert any(one.would for one in before)
    leaving = become(workspace, state)
    ahead = planner.forecast(plan.as_rule(), look(leaving, cast.NOW).facts, cast.NOW)
    assert len(ahead) == len(before)
    assert {one.would for one in ahead} == {()}
    assert {one.blocked_by[0].code for one in ahead} == {"not_active"}
    if state == "deletion_scheduled":
        assert {one.blocked_by[0].message for one in ahead} == {SCHEDULED}


@pytest.mark.parametrize("state", [state for state in lifecycle.WORKSPACE if state != "active"])
def test_nothing_that_is_not_active_has_a_window_without_a_reason_against_it(workspace: Workspace, state: str) -> None:
    known = look(become(workspace, state), cast.NOW)
    ahead = planner.forecast(workspace.maintenance_plan.as_rule(), known.facts, cast.NOW)
    assert ahead
    assert all(one.blocked_by for one in ahead)


def test_the_window_of_a_workspace_that_is_leaving_is_decided_with_that_reason(workspace: Workspace) -> None:
    now = datetime(2026, 11, 25, 3, 2, tzinfo=UTC)
    plan = workspace.maintenance_plan
    plan.hour_2, plan.priority_hour, plan.compute_auto_update = 3, 20, True
    plan.save()
    become(workspace, "deletion_scheduled")
    maintenance.run_due(now)
    (decision,) = workspace.decisions.all()
    assert (decision.outcome, decision.reason, decision.message) == ("blocked", "not_active", SCHEDULED)
    assert not Operation.objects.exists()


def test_nothing_is_decided_about_the_windows_of_one_that_is_being_deleted(workspace: Workspace) -> None:
    plan = workspace.maintenance_plan
    plan.hour_2, plan.priority_hour = 3, 3
    plan.save()
    become(workspace, "deleting")
    maintenance.run_due(datetime(2026, 11, 25, 3, 2, tzinfo=UTC))
    assert not workspace.decisions.exists()


def test_a_rollout_refuses_a_member_that_is_leaving_and_goes_on_with_the_others() -> None:
    going, staying = cast.kubernetes("states-going", hosts=1), cast.kubernetes("states-staying", hosts=1)
    rollout = Rollout.begin("1.35.7", [going, staying], actor=Actor.of_command("upgrade"), canary=0, at_once=2)
    become(going, "deletion_scheduled")
    rollouts.tick(timezone.now())
    states = dict(rollout.members.values_list("workspace__name", "state"))
    assert states == {"states-going": "refused", "states-staying": "running"}
    assert rollout.members.get(state="refused").message == SCHEDULED


@pytest.mark.parametrize(
    ("state", "number"),
    [("active", 1), ("gated", 1), ("error", 0), ("deletion_scheduled", 0), ("deleting", 0), ("deleted", 0)],
)
def test_what_differs_is_set_back_only_where_nobody_is_winding_down(
    workspace: Workspace, state: str, number: int
) -> None:
    row = _different(become(workspace, state))
    Drift.objects.filter(pk=row.pk).update(policy="repair")
    assert len(drift.to_set_back([workspace.pk], ["control_plane"])) == number


def test_a_workspace_that_is_leaving_is_not_gated(workspace: Workspace) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(control_plane_status="Gone")
    become(workspace, "deletion_scheduled")
    assert gate.judge([workspace.pk], timezone.now()) == 0
    become(workspace, "active")
    assert gate.judge([workspace.pk], timezone.now()) == 1


# --- Looks and health -------------------------------------------------------------------------------------------------
def test_looks_go_on_while_it_is_scheduled_and_end_when_it_is_being_deleted(workspace: Workspace) -> None:
    become(workspace, "deletion_scheduled")
    looks.hand_out(timezone.now())
    assert Look.objects.filter(workspace=workspace).count() == 2
    become(workspace, "deleting")
    looks.hand_out(timezone.now())
    assert not Look.objects.filter(workspace=workspace).exists()


@pytest.mark.parametrize("state", lifecycle.LEAVING)
def test_it_asks_for_nobody_and_is_not_called_active(workspace: Workspace, state: str) -> None:
    Host.objects.filter(workspace=workspace).update(ready=False)
    reassess([workspace.pk], timezone.now())
    assert Workspace.objects.get().attention_tone == "bad"
    become(workspace, state)
    reassess([workspace.pk], timezone.now())
    assert (Workspace.objects.get().attention, Workspace.objects.get().attention_tone) == ("", "")
    assert lifecycle.WORKSPACE[state].tone != "ok"


def test_a_deletion_that_has_failed_asks_for_a_person(workspace: Workspace) -> None:
    operation = ended(become(workspace, "deleting"), "failed", kind="deletion")
    Operation.objects.filter(pk=operation.pk).update(error_message="The token was refused.", finished_at=cast.NOW)
    reassess([workspace.pk], timezone.now())
    seen = Workspace.objects.get()
    assert (seen.attention_tone, "The token was refused." in seen.attention) == ("bad", True)


# --- Names ------------------------------------------------------------------------------------------------------------
def test_a_name_and_a_control_plane_are_free_again_once_the_workspace_is_deleted(workspace: Workspace) -> None:
    for state in ("active", "deletion_scheduled", "deleting"):
        become(workspace, state)
        with pytest.raises(IntegrityError), transaction.atomic():
            cast.kubernetes("ledger-prod")
    become(workspace, "deleted")
    again = cast.kubernetes("ledger-prod")
    assert (again.name, again.control_plane) == (workspace.name, workspace.control_plane)


def test_another_workspace_moves_to_where_one_of_its_name_was_deleted(workspace: Workspace) -> None:
    there = cast.project("Freight Lab")
    gone = cast.kubernetes("ledger-prod", project=there, control_plane="elsewhere")
    now = timezone.now()
    taken = preview(workspace, there, now).refused
    assert taken is not None
    assert taken.code == "name_taken"
    become(gone, "deleted")
    assert preview(workspace, there, now).refused is None


def test_a_dns_record_of_a_deleted_workspace_is_another_ones_afterwards(workspace: Workspace) -> None:
    account = ProviderAccount.objects.create(organization=cast.organization("Kestrel Freight"), name="kestrel-dns")
    values = {
        "provider_account": account,
        "zone": "kestrel.example",
        "name": "states",
        "type": "A",
        "value": "192.0.2.7",
    }
    DnsRecord.objects.create(workspace=workspace, **values)
    become(workspace, "deleted")
    workspace.dns_records.all().delete()  # as its deletion does, also where the record stays in the zone
    assert DnsRecord.objects.create(workspace=cast.kubernetes("ledger-prod"), **values).pk


# --- What is left behind ----------------------------------------------------------------------------------------------
def test_a_server_whose_label_names_a_deleted_workspace_may_be_deleted_and_is_not_another_installations(
    workspace: Workspace, root: Account
) -> None:
    account = ProviderAccount.objects.create(organization=cast.organization("Kestrel Freight"), name="kestrel-cloud")
    now = timezone.now()
    left = LeftServer.objects.create(
        provider_account=account, provider_id=77, name="forgotten", profile="cpx21", location="fsn1",
        labels={labels.WORKSPACE: str(workspace.pk)}, first_seen_at=now - timedelta(hours=1), observed_at=now,
        created_at=now - timedelta(hours=1),
    )  # fmt: skip
    become(workspace, "deleted")
    assert left_servers.refuse(left) is None
    (seen,) = looks_of(accounts_seen(root), root, now)
    assert [(one.server.name, one.workspace, one.foreign) for one in seen.left] == [("forgotten", workspace, False)]


def test_what_is_told_of_a_deleted_workspace_ends(workspace: Workspace) -> None:
    row = _different(become(workspace, "deleted"))
    drift.prune(timezone.now() + timedelta(seconds=1))
    row.refresh_from_db()
    assert row.ending == "gone"


def test_a_seeded_object_waits_while_the_workspace_is_leaving(workspace: Workspace) -> None:
    assert not APPLIED_IN & set(lifecycle.LEAVING)
    assert set(lifecycle.SET_BACK_IN).isdisjoint(lifecycle.LEAVING)
