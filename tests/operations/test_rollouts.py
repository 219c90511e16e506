"""Rollouts: real ticks on real rows, with upgrades ended by hand; one whole rollout in the simulated world."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from django.db import Error, connection, connections
from django.utils import timezone

from tests import cast
from tests.operations import harness
from tests.simulators.running import RunningWorld
from workspaces.models import Account, Actor, ApiKey, Event, Hold, Operation, Rollout, Workspace
from workspaces.operations import rollouts, upgrade
from workspaces.operations.rollout_preview import in_order, preview

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues", "catalogue_rows")]
committed = pytest.mark.django_db(transaction=True)
SCRIPT = Actor.of_command("upgrade")


def fleet(number: int, **fields) -> list[Workspace]:
    """Workspaces a, b, c … of one host each."""
    return [cast.kubernetes(name, hosts=1, **fields) for name in "abcdefghij"[:number]]


def begin(workspaces: list[Workspace], target: str = "1.35.7", actor: Actor = SCRIPT, **careful) -> Rollout:
    return Rollout.begin(target, workspaces, actor=actor, **careful)


def tick(rollout: Rollout, now: datetime | None = None) -> str:
    """One round; the first letters of the members' states in order, behind them the rollout's."""
    rollouts.tick(now or timezone.now())
    rollout.refresh_from_db()
    return f"{letters(rollout)} {rollout.state}"


def letters(rollout: Rollout) -> str:
    return "".join(state[0] for state in rollout.members.values_list("state", flat=True))


def messages(rollout: Rollout) -> list[str]:
    return list(rollout.members.values_list("message", flat=True))


def end(name: str, state: str = "succeeded", **fields) -> None:
    """The newest operation of the workspace is over."""
    newest = Operation.objects.filter(workspace__name=name).latest("created_at")
    Operation.objects.filter(pk=newest.pk).update(state=state, finished_at=timezone.now(), **fields)


# --- Stages -----------------------------------------------------------------------------------------------------------
def test_the_canary_runs_alone_then_the_others_so_many_at_a_time_until_all_have_ended() -> None:
    rollout = begin(fleet(5), at_once=2)
    assert tick(rollout) == "rwwww running"
    assert tick(rollout) == "rwwww running"
    end("a")
    assert tick(rollout) == "srrww running"
    assert rollout.canary_passed_at is not None
    end("c")
    assert tick(rollout) == "srsrw running"
    end("b")
    end("d")
    assert tick(rollout) == "ssssr running"
    end("e")
    assert tick(rollout) == "sssss finished"
    assert (rollout.state_reason, rollout.finished_at is not None) == ("5 upgraded.", True)
    operations = Operation.objects.order_by("created_at")
    assert list(operations.values_list("workspace__name", "requested_by")) == [
        (name, "manage.py upgrade") for name in "abcde"
    ]
    assert set(Operation.objects.values_list("pk", flat=True)) == set(
        rollout.members.values_list("operation", flat=True)
    )


def test_the_others_wait_until_the_canary_has_soaked() -> None:
    rollout = begin(fleet(3), soak_minutes=30)
    start = timezone.now()
    tick(rollout, start)
    end("a")
    assert tick(rollout, start + timedelta(minutes=5)) == "sww running"
    assert tick(rollout, start + timedelta(minutes=34)) == "sww running"
    assert tick(rollout, start + timedelta(minutes=35)) == "srr running"


def test_a_failed_canary_pauses_it_with_the_operations_own_sentence_and_the_others_are_untouched() -> None:
    rollout = begin(fleet(3), stop_after=5)
    tick(rollout)
    end("a", "failed", error_message="The budget web allows no eviction.")
    assert tick(rollout) == "fww paused"
    assert rollout.state_reason == "The canary failed. The others have not been touched."
    assert messages(rollout)[0] == "The budget web allows no eviction."
    assert Event.objects.acts().filter(action="rollout.paused", actor_kind="platform").count() == 3
    assert tick(rollout) == "fww paused"
    assert Operation.objects.count() == 1


def test_who_continues_has_looked_at_the_failures_and_the_next_one_is_the_canary() -> None:
    rollout = begin(fleet(4))
    tick(rollout)
    end("a", "failed")
    tick(rollout)
    assert rollout.resume(Actor("account", "Alice Ahrens")) is None
    assert tick(rollout) == "frww running"
    assert list(rollout.members.values_list("canary", flat=True)) == [True, True, False, False]
    end("b")
    assert tick(rollout) == "fsrr running"


def test_it_pauses_after_so_many_failures_and_what_runs_goes_on_to_its_end() -> None:
    rollout = begin(fleet(6), at_once=3, stop_after=2)
    tick(rollout)
    end("a")
    assert tick(rollout) == "srrrww running"
    end("b", "failed")
    assert tick(rollout) == "sfrrrw running"
    end("c", "stopped", stop_requested_by="Bob Berger")
    assert tick(rollout) == "sffrrw paused"
    assert rollout.state_reason == "2 failed, and it stops after 2."
    assert messages(rollout)[2] == "Stopped by Bob Berger."
    end("d")
    end("e")
    assert tick(rollout) == "sffssw paused"


def test_a_failed_upgrade_that_a_person_continues_counts_again() -> None:
    rollout = begin(fleet(4), at_once=1)
    tick(rollout)
    end("a", "failed")
    tick(rollout)
    failed = Operation.objects.get()
    assert failed.retry(Actor("account", "Alice Ahrens")) is None
    assert tick(rollout) == "rwww paused"
    end("a")
    assert tick(rollout) == "swww paused"
    rollout.resume(Actor("account", "Alice Ahrens"))
    assert tick(rollout) == "srww running"


def test_a_failure_that_was_forgiven_and_mended_forgives_no_other() -> None:
    rollout = begin(fleet(4), at_once=1)
    tick(rollout)
    end("a")
    tick(rollout)
    end("b", "failed")
    assert tick(rollout) == "sfww paused"
    rollout.resume(Actor("account", "Alice Ahrens"))
    assert rollout.failures_forgiven == 1
    assert tick(rollout) == "sfrw running"
    end("b", "succeeded")
    end("c", "failed")
    assert tick(rollout) == "ssfw paused"


def test_an_upgrade_that_is_paused_keeps_its_place() -> None:
    rollout = begin(fleet(3))
    tick(rollout)
    Operation.objects.update(state="paused", pause_reason="Maintenance was switched off.")
    assert tick(rollout) == "rww running"
    assert messages(rollout)[0] == "Maintenance was switched off."


def test_a_stopped_rollout_starts_nothing_more_and_notes_how_the_last_ones_end() -> None:
    rollout = begin(fleet(3))
    tick(rollout)
    assert rollout.stop(Actor("account", "Alice Ahrens")) is None
    assert letters(rollout) == "rll"
    end("a")
    assert tick(rollout) == "sll stopped"
    assert rollout.state_reason == "Alice Ahrens stopped it."


def test_a_paused_rollout_whose_last_upgrade_ends_is_finished() -> None:
    rollout = begin(fleet(1))
    tick(rollout)
    rollout.pause(Actor("account", "Alice Ahrens"))
    end("a")
    assert tick(rollout) == "s finished"


# --- Refusals and waiting ---------------------------------------------------------------------------------------------
def test_who_is_refused_is_left_with_the_reason_and_who_runs_it_already_is_left_out() -> None:
    metal = cast.baremetal("a")
    there = cast.kubernetes("b", hosts=1, version="1.35.7")
    far = cast.kubernetes("c", hosts=1, version="1.33.9")
    rollout = begin([metal, there, far, *(cast.kubernetes(name, hosts=1) for name in "de")])
    # All of the first three give the place of the canary to d.
    assert tick(rollout) == "rlrrw running"
    assert list(rollout.members.values_list("state", flat=True)) == [
        "refused",
        "left_out",
        "refused",
        "running",
        "waiting",
    ]
    assert messages(rollout)[:3] == [
        "This workspace has no Kubernetes. Its hosts are updated in maintenance windows.",
        "The workspace already runs 1.35.7.",
        "Not reachable in one hop from 1.33.9. Kamaji goes one minor at a time: 1.34 is next.",
    ]
    assert list(rollout.members.values_list("canary", flat=True)) == [True, False, False, True, False]
    end("d")
    tick(rollout)
    end("e")
    tick(rollout)
    assert rollout.state_reason == "2 upgraded, 2 refused, 1 left out."


def test_several_hops_go_through_the_versions_in_between() -> None:
    far = cast.kubernetes("far", hosts=1, version="1.34.8")
    rollout = begin([far], "1.36.2", several_hops=True)
    assert tick(rollout) == "r running"
    hops = Operation.objects.get().parameters["hops"]
    assert [(hop["from"], hop["to"]) for hop in hops] == [("1.34.8", "1.35.7"), ("1.35.7", "1.36.2")]


def test_risks_that_were_accepted_for_the_rollout_are_taken_by_each_upgrade() -> None:
    rollout = begin(fleet(1), accept_risks=["disruption_budgets"])
    tick(rollout)
    assert Operation.objects.get().accepted_risks == {"disruption_budgets"}
    unknown = begin([cast.kubernetes("z", hosts=1)], accept_risks=["luck"])
    tick(unknown)
    assert messages(unknown) == ["No risk that can be taken: luck."]


def test_a_busy_workspace_keeps_its_place_and_the_others_pass_it() -> None:
    workspaces = fleet(4)
    rollout = begin(workspaces, at_once=1, canary=0)
    busy = upgrade.start(workspaces[0], "1.34.11", actor=SCRIPT)
    assert isinstance(busy, Operation)
    assert tick(rollout) == "wrww running"
    assert messages(rollout)[0] == "Upgrade a from 1.34.8 to 1.34.11 is running."
    end("a")
    end("b")
    assert tick(rollout) == "rsww running"
    assert messages(rollout) == ["", "", "", ""]


@committed
def test_who_became_busy_between_the_look_and_the_start_keeps_its_place() -> None:
    rollout, taken = begin(fleet(2), canary=0), "one_open_operation_per_workspace"
    with trigger(
        "INSERT ON workspaces_operation",
        f"RAISE unique_violation USING MESSAGE = '{taken}'",
        "NEW.title LIKE 'Upgrade a %'",
    ):
        assert tick(rollout) == "wr running"
    assert messages(rollout)[0] == "Another operation is running."
    assert tick(rollout) == "rr running"


@pytest.mark.parametrize("place", ["workspace", "project", "organization", "platform"])
def test_a_hold_keeps_a_workspace_waiting_and_is_named(place) -> None:
    workspace, other = cast.kubernetes("a", hosts=1), cast.kubernetes("f", project=cast.project("B", of="C"), hosts=1)
    project = workspace.project
    places = {"workspace": workspace, "project": project, "organization": project.organization}
    hold = Hold(reason="Quarter end", set_at=cast.NOW, expires_at=timezone.now() + timedelta(hours=1))
    if place in places:
        setattr(hold, place, places[place])
    hold.begin(SCRIPT)
    rollout = begin([workspace, other], canary=0)
    assert tick(rollout) == ("ww running" if place == "platform" else "wr running")
    until = f"{hold.expires_at:%a %d %b %H:%M} UTC"
    assert messages(rollout)[0] == f"{hold.place} is held until {until}: Quarter end"
    hold.lift(SCRIPT)
    assert tick(rollout) == "rr running"


@committed
def test_a_defect_on_one_workspace_does_not_keep_the_others_waiting() -> None:
    rollout = begin(fleet(3), canary=0)
    with trigger("INSERT ON workspaces_operation", "RAISE EXCEPTION 'a defect'", "NEW.title LIKE 'Upgrade a %'"):
        assert tick(rollout) == "wrr running"
    assert messages(rollout)[0] == "Starting it met a defect. It is tried again."
    assert not Operation.objects.filter(workspace__name="a").exists()
    assert tick(rollout) == "rrr running"


@contextmanager
def trigger(before: str, does: str, when: str) -> Iterator[None]:
    """PostgreSQL `does` something in the middle of the tick's transaction."""
    function = f"CREATE FUNCTION in_between() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {does}; RETURN NEW; END $$"
    with connection.cursor() as cursor:
        cursor.execute(function)
        cursor.execute(
            f"CREATE TRIGGER between BEFORE {before} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION in_between()"
        )
    try:
        yield
    finally:
        connection.close()
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION in_between() CASCADE")


# --- Whose right ------------------------------------------------------------------------------------------------------
def test_rights_that_end_while_it_runs_end_its_starts(alice: Account, bob: Account) -> None:
    elsewhere = cast.kubernetes("x", project=cast.project("Customs"), hosts=1)
    rollout = begin([elsewhere, *fleet(2)], actor=Actor.of(bob))
    # bob operates Freight Core only: x is refused, a is the canary.
    assert tick(rollout) == "rrw running"
    assert messages(rollout)[0] == (
        "Bob Berger, who asked for the rollout, may not start upgrades of Customs any more."
    )
    assert Operation.objects.get().requested_by == "Bob Berger"
    Account.objects.filter(pk=bob.pk).update(is_active=False)
    end("a")
    tick(rollout)
    assert list(rollout.members.values_list("state", flat=True)) == ["refused", "succeeded", "refused"]
    assert Operation.objects.count() == 1


def test_a_key_that_is_revoked_or_gone_starts_nothing(alice: Account) -> None:
    key, _ = ApiKey.issue(
        name="ci", organization=cast.organization("Kestrel Freight"), role="operator", created_by=alice
    )
    first, second = fleet(2)
    rollout = begin([first, second], actor=Actor.of_key(key), canary=0, at_once=1)
    assert tick(rollout) == "rw running"
    key.revoke(Actor.of(alice))
    end("a")
    tick(rollout)
    assert list(rollout.members.values_list("state", flat=True)) == ["succeeded", "refused"]


# --- Ticks ------------------------------------------------------------------------------------------------------------
def test_a_tick_costs_one_query_while_nothing_is_under_way(django_assert_num_queries) -> None:
    rollout = begin(fleet(1))
    tick(rollout)
    end("a")
    tick(rollout)
    with django_assert_num_queries(1):
        assert rollouts.tick(timezone.now()) == 0


def test_a_tick_of_many_members_asks_no_more_than_one_of_few(django_assert_max_num_queries) -> None:
    begin(fleet(10), canary=0, at_once=1)
    assert rollouts.tick(timezone.now()) == 1
    with django_assert_max_num_queries(8):
        assert rollouts.tick(timezone.now()) == 0


@committed
def test_two_ticks_at_the_same_time_start_everybody_once() -> None:
    rollout = begin(fleet(6), canary=0, at_once=6)
    barrier, started = threading.Barrier(4), []

    def work() -> None:
        try:
            barrier.wait(10)
            started.append(rollouts.tick(timezone.now()))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(started) == 6
    assert letters(rollout) == "rrrrrr"
    assert Operation.objects.count() == 6
    operations = set(Operation.objects.values_list("pk", flat=True))
    assert set(rollout.members.values_list("operation", flat=True)) == operations


@committed
def test_a_tick_that_dies_before_it_is_stored_has_started_nothing() -> None:
    rollout = begin(fleet(2), canary=0)
    dies = "PERFORM pg_terminate_backend(pg_backend_pid())"
    with trigger("UPDATE ON workspaces_rolloutmember", dies, "NEW.position = 1"), pytest.raises(Error):
        rollouts.tick(timezone.now())
    assert Operation.objects.count() == 0
    assert tick(rollout) == "rr running"


# --- Before it begins -------------------------------------------------------------------------------------------------
def test_the_preview_says_who_goes_through_what_who_is_refused_and_who_runs_it() -> None:
    near, far = cast.kubernetes("near", version="1.35.4"), cast.kubernetes("far", hosts=1)
    there = cast.kubernetes("there", hosts=0, version="1.36.2")
    metal, busy = cast.baremetal("metal"), cast.kubernetes("busy", version="1.35.4", hosts=2)
    upgrade.start(busy, "1.35.7", actor=SCRIPT)
    chosen = in_order(Workspace.objects.with_plan())
    assert [one.name for one in chosen] == ["there", "far", "busy", "metal", "near"]
    now = timezone.now()
    one_hop = {one.workspace: one for one in preview(chosen, "1.36.2", False, now)}
    assert {one.workspace.name: one.outcome for one in one_hop.values()} == {
        "there": "runs_it",
        "far": "refused",
        "busy": "upgrade",
        "metal": "refused",
        "near": "upgrade",
    }
    assert [(hop.from_, hop.to) for hop in one_hop[near].hops] == [("1.35.4", "1.36.2")]
    assert one_hop[far].refused.code == "not_reachable"
    assert one_hop[metal].refused.code == "not_kubernetes"
    assert one_hop[busy].waits_for == "Upgrade busy from 1.35.4 to 1.35.7 is running."
    assert (one_hop[near].waits_for, one_hop[near].estimate) == ("", None)
    several = {one.workspace: one for one in preview(chosen, "1.36.2", True, now)}
    assert [(hop.from_, hop.to) for hop in several[far].hops] == [("1.34.8", "1.35.7"), ("1.35.7", "1.36.2")]
    assert several[there].outcome == "runs_it"


def test_the_preview_asks_three_times_however_many_there_are(django_assert_num_queries) -> None:
    fleet(10)
    chosen = in_order(Workspace.objects.with_plan())
    with django_assert_num_queries(3):
        assert [one.outcome for one in preview(chosen, "1.35.7", False, timezone.now())] == ["upgrade"] * 10


# --- The whole of it --------------------------------------------------------------------------------------------------
@committed
@pytest.mark.timeout(240)
def test_three_workspaces_are_upgraded_in_the_simulated_world_one_before_the_other_two(world: RunningWorld) -> None:
    workspaces = [
        harness.linked(world, cast.kubernetes(name, hosts=1, control_plane_replicas=2))
        for name in ("first-boat", "second-boat", "third-boat")
    ]
    rollout = begin(workspaces, accept_risks=["disruption_budgets", "capacity"])
    assert tick(rollout) == "rww running"
    harness.drive(Operation.objects.get())
    assert tick(rollout) == "srr running", messages(rollout)
    for operation in Operation.objects.exclude(state="succeeded"):
        harness.drive(operation)
    assert tick(rollout) == "sss finished", messages(rollout)
    for workspace in workspaces:
        assert harness.nodes(workspace) == {f"{workspace.name}-w1": ("1.35.7", "True", False)}
    first, *others = Operation.objects.order_by("created_at")
    assert all(one.created_at >= first.finished_at for one in others)
