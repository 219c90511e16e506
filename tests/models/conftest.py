"""What the tests of models share: a second connection to the database, for races."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection


@pytest.fixture
def in_another_thread() -> Iterator[Callable[[Callable[[], Any]], Future[Any]]]:
    """Starts a function on a connection of its own and returns once that connection waits for a lock."""

    def run(function: Callable[[], Any]) -> Any:
        try:
            return function()
        finally:
            connection.close()

    def start(function: Callable[[], Any]) -> Future[Any]:
        future = pool.submit(run, function)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
                if cursor.fetchone()[0]:
                    return future
            time.sleep(0.01)
        raise AssertionError("it never came to wait for a lock")

    with ThreadPoolExecutor(1) as pool:
        yield start
