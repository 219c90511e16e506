"""How a look went, and what becomes of that: when it is felt, how long it is left alone, who holds it, who notices."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from tests import cast
from tests.operations.attempts import NOW, PERIOD, due_in, fail, look_of, succeed, trouble_with
from tests.operations.machinery import until
from workspaces.models import Look, ManagementCluster, ProviderAccount, Workspace
from workspaces.models.health import reassess
from workspaces.operations import looks
from workspaces.providers.errors import Permanent, Temporary

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues", "usual_paces")]


# --- How a look went --------------------------------------------------------------------------------------------------
def test_a_look_that_succeeds_is_as_old_as_its_beginning_and_comes_again_a_period_after_it(metal: Workspace) -> None:
    before = timezone.now()
    with looks.attempt("cluster", metal.pk) as attempt:
        assert attempt is not None
        assert (attempt.look.kind, attempt.look.workspace_id) == ("cluster", metal.pk)
    row, workspace = look_of("cluster", metal), Workspace.objects.get(pk=metal.pk)
    assert before <= attempt.now <= timezone.now()
    assert (row.succeeded_at, row.tried_at, workspace.observed_at) == (attempt.now, attempt.now, attempt.now)
    assert due_in(row, attempt.now) == 60
    assert (row.failures, row.felt, row.error_code, row.lease_until) == (0, False, "", None)


def test_one_failure_is_not_felt_and_is_looked_into_half_a_period_later(workspace: Workspace) -> None:
    cluster = ManagementCluster.objects.get()
    succeed("control_planes", cluster)
    seen_at = ManagementCluster.objects.get().observed_at
    before = timezone.now()
    fail("control_planes", cluster)
    row = look_of("control_planes", cluster)
    assert (row.failures, row.felt, row.error_code) == (1, False, "unreachable")
    assert row.error == "management cluster mgmt-fsn1: Connection refused."
    assert row.who_can_fix == "The operator of the platform, by restoring the connection. The call is repeated."
    assert 30 <= due_in(row, before) < 31
    cluster.refresh_from_db()
    assert (cluster.error_code, cluster.observed_at) == ("", seen_at)
    assert not trouble_with(cluster, workspace)


def test_the_second_failure_in_a_row_is_felt_by_the_target_and_its_workspaces(workspace: Workspace) -> None:
    cluster = ManagementCluster.objects.get()
    succeed("control_planes", cluster)
    fail("control_planes", cluster)
    first = look_of("control_planes", cluster).failing_since
    fail("control_planes", cluster)
    row = look_of("control_planes", cluster)
    assert (row.failures, row.felt, row.failing_since) == (2, True, first)
    cluster.refresh_from_db()
    assert (cluster.error_code, cluster.error_message, cluster.error_since) == (
        "unreachable",
        "management cluster mgmt-fsn1: Connection refused.",
        first,
    )
    assert trouble_with(cluster, workspace)


def test_a_failure_for_good_is_felt_at_once(workspace: Workspace) -> None:
    fail("cluster", workspace, Permanent("credential", "tenant ledger-prod: the stored credential is not accepted."))
    row = look_of("cluster", workspace)
    assert (row.failures, row.felt, row.error_code) == (1, True, "credential")
    workspace.refresh_from_db()
    assert workspace.look_error_code == "credential"
    assert workspace.attention_tone == "warn"


def test_the_first_success_takes_it_back_at_once(workspace: Workspace) -> None:
    cluster = ManagementCluster.objects.get()
    for _ in range(3):
        fail("control_planes", cluster)
    assert trouble_with(cluster, workspace)
    succeed("control_planes", cluster)
    row = look_of("control_planes", cluster)
    assert (row.failures, row.felt, row.failing_since, row.error_code, row.error, row.who_can_fix) == (
        0, False, None, "", "", "",
    )  # fmt: skip
    cluster.refresh_from_db()
    assert (cluster.error_code, cluster.error_message, cluster.error_since) == ("", "", None)
    assert not trouble_with(cluster, workspace)


def test_a_management_cluster_that_answers_again_makes_the_looks_at_its_tenants_due(
    workspace: Workspace, metal: Workspace
) -> None:
    cluster = ManagementCluster.objects.get()
    for target in (workspace, metal):
        for _ in range(4):
            fail("cluster", target)
    succeed("control_planes", cluster)
    assert due_in(look_of("cluster", workspace), timezone.now()) > 200, "nothing was wrong with the cluster"
    for _ in range(2):
        fail("control_planes", cluster)
    succeed("control_planes", cluster)
    assert due_in(look_of("cluster", workspace), timezone.now()) <= 0
    assert due_in(look_of("cluster", metal), timezone.now()) > 200


def test_failures_with_successes_between_them_are_never_felt(workspace: Workspace) -> None:
    for _ in range(4):
        fail("cluster", workspace)
        assert not look_of("cluster", workspace).felt
        succeed("cluster", workspace)
    workspace.refresh_from_db()
    assert workspace.look_error_code == ""


def test_a_target_that_goes_on_failing_is_left_alone_longer_and_longer_up_to_a_limit(metal: Workspace) -> None:
    pauses = []
    for _ in range(7):
        before = timezone.now()
        fail("cluster", metal)
        pauses.append(round(due_in(look_of("cluster", metal), before)))
    assert pauses == [30, 60, 120, 240, 300, 300, 300]


def test_a_vendor_that_asks_for_a_longer_pause_gets_it(account: ProviderAccount) -> None:
    before = timezone.now()
    fail("servers", account, Temporary("rate_limit", "kestrel: the limit is reached.", delay=600))
    assert 600 <= due_in(look_of("servers", account), before) < 602


def test_a_defect_is_written_down_and_goes_on_to_the_failed_jobs(metal: Workspace) -> None:
    with pytest.raises(ZeroDivisionError):
        fail("cluster", metal, ZeroDivisionError("division by zero"))
    row = look_of("cluster", metal)
    assert (row.error_code, row.felt, row.lease_until) == ("configuration", True, None)
    assert row.error == "The look broke (ZeroDivisionError). The queue page and the log have the details."
    metal.refresh_from_db()
    assert metal.look_error_code == "configuration"


@pytest.mark.django_db(transaction=True)
def test_a_target_that_is_gone_is_no_error(metal: Workspace) -> None:
    with looks.attempt("cluster", UUID(int=1)) as attempt:
        assert attempt is None
    with looks.attempt("cluster", metal.pk) as attempt:
        assert attempt is not None
        Workspace.objects.filter(pk=metal.pk).update(state="deleted")
        looks.hand_out(NOW)
    assert Look.objects.count() == 0


# --- Who looks --------------------------------------------------------------------------------------------------------
def test_a_look_is_free_again_when_the_worker_at_it_has_been_dead_for_two_minutes(metal: Workspace) -> None:
    succeed("cluster", metal)
    Look.objects.update(lease_until=timezone.now() + timedelta(seconds=1))
    with looks.attempt("cluster", metal.pk) as attempt:
        assert attempt is None
    Look.objects.update(lease_until=timezone.now())
    with looks.attempt("cluster", metal.pk) as attempt:
        assert attempt is not None
        held = look_of("cluster", metal).lease_until
        assert held is not None
        assert round((held - attempt.now).total_seconds()) == 120


def test_a_worker_that_lost_its_look_to_another_writes_nothing(metal: Workspace) -> None:
    with looks.attempt("cluster", metal.pk) as first:
        assert first is not None
        Look.objects.update(lease_until=timezone.now())  # it took too long
        with looks.attempt("cluster", metal.pk) as second:
            assert second is not None
    row = look_of("cluster", metal)
    assert row.succeeded_at == second.now != first.now


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_that_begin_together_one_looks(metal: Workspace) -> None:
    Look.objects.create(kind="cluster", every=PERIOD, workspace=metal)
    barrier, got = threading.Barrier(4), []

    def work() -> None:
        barrier.wait()
        with looks.attempt("cluster", metal.pk) as attempt:
            got.append(attempt is not None)
            barrier.wait()
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(got) == [False, False, False, True]


@pytest.mark.django_db(transaction=True)
def test_a_judgement_that_has_to_wait_for_another_one_knows_what_that_one_knew(workspace: Workspace) -> None:
    cluster, now = ManagementCluster.objects.get(), timezone.now()
    cast.looked_at(workspace, now)

    def judge() -> None:
        reassess([workspace.pk], now)
        connections.close_all()

    other = threading.Thread(target=judge)
    with transaction.atomic():
        Workspace.objects.select_for_update().get(pk=workspace.pk)
        other.start()
        until(somebody_waits)
        felt = {"felt": True, "failures": 2, "error_code": "unreachable", "error": "management cluster mgmt-fsn1: no."}
        Look.objects.filter(management_cluster=cluster).update(failing_since=now, **felt)
    other.join(20)
    assert trouble_with(cluster, workspace)


def somebody_waits() -> bool:
    """Whether a session of this database waits for a row that another one holds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # else a transaction sees the sessions of its beginning
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])
