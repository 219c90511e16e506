"""The scheduler: one leads, another takes over, and outages are survived."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import django_rq
import pytest
from django.db import connection, connections

from loopback import cron

# Both tests need the one advisory lock of their database for themselves.
pytestmark = [pytest.mark.django_db(transaction=True)]


@contextmanager
def scheduler() -> Iterator[Callable[[], None]]:
    """A scheduler in a thread; the value stops it and waits."""
    stop = threading.Event()

    def work() -> None:
        try:
            cron.run(stop)
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()

    def end() -> None:
        stop.set()
        thread.join(10)

    try:
        yield end
    finally:
        end()


def ticks(job: str = "profiles_tick") -> int:
    """Ticks that wait; of price lists, because there is one in a long while."""
    return [waiting.func_name for waiting in django_rq.get_queue("ticks").jobs].count(f"workspaces.jobs.{job}")


def leaders() -> list[int]:
    """Server processes that hold the scheduler's lock in this test's database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        return [pid for (pid,) in cursor.fetchall()]


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture(autouse=True)
def _empty_queue() -> Iterator[None]:
    django_rq.get_queue("ticks").empty()
    yield
    django_rq.get_queue("ticks").empty()


def test_each_tick_is_enqueued_for_its_queue() -> None:
    names = ("looks_tick", "upkeep_tick", "profiles_tick", "maintenance_tick", "rollouts_tick")
    with scheduler():
        assert eventually(lambda: all(ticks(name) for name in names))


def test_a_second_scheduler_stands_by_and_takes_over(settings) -> None:
    settings.LOOPBACK_PROFILES_SECONDS = 600
    with scheduler() as end_first:
        assert eventually(lambda: ticks() == 1)
        first = leaders()
        with scheduler():
            time.sleep(cron.PAUSE * 1.5)
            assert leaders() == first
            assert ticks() == 1
            end_first()
            assert eventually(lambda: len(leaders()) == 1 and leaders() != first)
            assert eventually(lambda: ticks() == 2)


def test_a_scheduler_whose_database_session_is_ended_leads_again() -> None:
    with scheduler():
        assert eventually(lambda: len(leaders()) == 1)
        first = leaders()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", first)
        assert eventually(lambda: len(leaders()) == 1 and leaders() != first)


def test_an_outage_of_redis_is_waited_out(settings) -> None:
    right = dict(settings.RQ_QUEUES)
    gone = {name: queue | {"URL": "unix:///nowhere/valkey.sock"} for name, queue in right.items()}
    settings.RQ_QUEUES.update(gone)
    try:
        with scheduler():
            time.sleep(cron.PAUSE * 1.5)
            settings.RQ_QUEUES.update(right)
            assert eventually(lambda: ticks() == 1)
    finally:
        settings.RQ_QUEUES.update(right)
    assert os.environ["TZ"] == "UTC"
