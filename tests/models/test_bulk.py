"""Writing many rows at once: what differs and nothing else, as the columns can hold it, and rows that are gone."""

from __future__ import annotations

import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from tests import cast
from workspaces.models import Host, Workspace, bulk

pytestmark = pytest.mark.django_db
SEEN_AT = datetime(2026, 11, 29, 1, 2, 3, 456789, tzinfo=UTC)


def row(workspace: Workspace) -> dict[str, Any]:
    return Workspace.objects.values().get(pk=workspace.pk)


def test_only_what_differs_is_told() -> None:
    known = {"control_plane_status": "Ready", "control_plane_replicas": 2, "endpoint": "10.0.0.1:6443"}
    assert bulk.differing(Workspace, known, known) == {}
    assert bulk.differing(Workspace, known, known | {"control_plane_replicas": 3}) == {"control_plane_replicas": 3}


@pytest.mark.parametrize(
    ("column", "value", "held"),
    [
        ("kubernetes_version", "1.34.3-" + "x" * 60, "1.34.3-" + "x" * 23),
        ("control_plane_status", "Rea\0dy", "Ready"),
        ("control_plane_replicas", 1_000_000, 32767),
        ("control_plane_replicas", -1, 0),
        ("look_error", "x" * 5000, "x" * 5000),
        ("control_plane_paused", True, True),
        ("credential_ends_at", None, None),
    ],
)
def test_a_value_is_cut_to_what_its_column_holds_and_is_stored_so(
    workspace: Workspace, column: str, value: Any, held: Any
) -> None:
    assert bulk.fit(Workspace, column, value) == held
    bulk.write(Workspace, {workspace.pk: {column: held}})
    assert row(workspace)[column] == held
    assert bulk.differing(Workspace, row(workspace), {column: value}) == {}


def test_every_kind_of_column_comes_back_as_it_was_given(workspace: Workspace) -> None:
    values = {
        "control_plane_status": 'Not "ready" %s \\',
        "version_key": 2**40,
        "control_plane_paused": True,
        "observed_at": SEEN_AT,
        "conditions": [{"type": "hosts", "value": "true", "message": "3 of 3 ready."}],
        "wanted": {"replicas": 2, "paused": False},
    }
    before = row(workspace)
    assert bulk.write(Workspace, {workspace.pk: values}) == 1
    assert row(workspace) == before | values


def test_rows_with_the_same_columns_are_one_statement_whatever_their_number(workspace: Workspace) -> None:
    others = [cast.kubernetes(f"many-{number}", hosts=0) for number in range(5)]
    changes = {one.pk: {"control_plane_status": one.name} for one in others}
    with CaptureQueriesContext(connection) as captured:
        assert bulk.write(Workspace, changes | {workspace.pk: {"endpoint": "elsewhere"}}) == 6
    assert len(captured) == 2
    assert list(Workspace.objects.order_by("name").values_list("control_plane_status", "endpoint")) == [
        ("Ready", "elsewhere"),
        *((f"many-{number}", "") for number in range(5)),
    ]


def test_nothing_to_write_is_no_statement(workspace: Workspace) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert bulk.write(Workspace, {}) == 0
        assert bulk.write(Workspace, {workspace.pk: {}}) == 0
    assert len(captured) == 0


def test_a_row_that_is_gone_does_not_keep_the_others(workspace: Workspace) -> None:
    changes = {workspace.pk: {"endpoint": "here"}, uuid.uuid4(): {"endpoint": "nowhere"}}
    assert bulk.write(Workspace, changes) == 1
    assert row(workspace)["endpoint"] == "here"


def test_keys_that_are_there_stay_under_what_is_filled_in(workspace: Workspace, metal: Workspace) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(wanted={"kubernetes_version": "1.35.4"})
    seen = {"kubernetes_version": "1.34.8", "replicas": 2}
    bulk.write(Workspace, {workspace.pk: {"wanted": seen}, metal.pk: {"wanted": seen}}, under=("wanted",))
    assert row(workspace)["wanted"] == {"kubernetes_version": "1.35.4", "replicas": 2}
    assert row(metal)["wanted"] == {"kubernetes_version": "1.34.8", "replicas": 2}


@pytest.mark.django_db(transaction=True)
def test_what_was_set_while_it_waited_stays_under_what_is_filled_in(workspace: Workspace) -> None:
    """An upgrade says what is wanted just as a look fills it in: the look waits for the row and finds it said."""
    filled = threading.Thread(target=_in_a_thread, args=(workspace, {"kubernetes_version": "1.34.8", "replicas": 2}))
    with transaction.atomic():
        Workspace.objects.filter(pk=workspace.pk).update(wanted={"kubernetes_version": "1.35.4"})
        filled.start()
        _until_somebody_waits()
    filled.join()
    assert row(workspace)["wanted"] == {"kubernetes_version": "1.35.4", "replicas": 2}


def _in_a_thread(workspace: Workspace, seen: dict[str, Any]) -> None:
    try:
        bulk.write(Workspace, {workspace.pk: {"wanted": seen}}, under=("wanted",))
    finally:
        connection.close()


def _until_somebody_waits() -> None:
    waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid"
    deadline = time.monotonic() + 30
    with connection.cursor() as cursor:
        while cursor.execute(waits).fetchone() == (0,):
            assert time.monotonic() < deadline, "nobody waits for the row"
            time.sleep(0.02)


@pytest.mark.django_db(transaction=True)
def test_two_that_write_the_same_rows_in_opposite_order_do_not_wait_for_one_another(workspace: Workspace) -> None:
    hosts = [Host.objects.create(workspace=workspace, name=f"host-{number}") for number in range(200)]
    failed: list[BaseException] = []

    def write(order: list[Host], ready: bool) -> None:
        try:
            for _ in range(20):
                bulk.write(Host, {host.pk: {"ready": ready} for host in order})
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    both = [threading.Thread(target=write, args=(order, order is hosts)) for order in (hosts, hosts[::-1])]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert failed == []
