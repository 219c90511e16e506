"""How often one API key may ask: a limit for each key and minute, and none when the count cannot be kept."""

from __future__ import annotations

import threading
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from tests import cast
from workspaces.api import throttle
from workspaces.models import Account, ApiKey


@pytest.fixture(autouse=True)
def three_a_minute(settings: Any) -> None:
    """A limit that a test reaches."""
    cache.clear()
    settings.LOOPBACK_API_REQUESTS_PER_MINUTE = 3


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """19 seconds into a minute of its own; `clock.now` may be moved."""
    clock = SimpleNamespace(now=1_800_000_019.0)
    monkeypatch.setattr(throttle, "time", SimpleNamespace(time=lambda: clock.now))
    return clock


def script(root: Account, name: str = "ci") -> Client:
    """A client with a key of its own."""
    text = ApiKey.issue(name=name, organization=cast.organization("Kestrel Freight"), role="viewer", created_by=root)[1]
    return Client(headers={"Authorization": f"Bearer {text}"})


def test_the_request_after_the_limit_is_answered_429_until_the_minute_is_over(
    root: Account, clock: SimpleNamespace
) -> None:
    ci = script(root)
    assert [ci.get("/api/v1/me").status_code for _ in range(3)] == [200, 200, 200]
    answer = ci.get("/api/v1/workspaces")
    assert answer.status_code == 429
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["Retry-After"] == "41"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Too many requests",
        "status": 429,
        "detail": "This key has sent more requests in this minute than it may. "
        "Send it again after Retry-After seconds.",
        "code": "rate_limited",
    }
    clock.now += 40.5
    assert ci.get("/api/v1/me")["Retry-After"] == "1"
    clock.now += 0.5
    assert ci.get("/api/v1/me").status_code == 200


def test_nothing_is_changed_by_a_request_over_the_limit(root: Account, workspace: Any, clock: SimpleNamespace) -> None:
    text = ApiKey.issue(name="ci", organization=workspace.project.organization, role="administrator", created_by=root)[
        1
    ]
    ci = Client(headers={"Authorization": f"Bearer {text}"})
    path, body = f"/api/v1/workspaces/{workspace.pk}/maintenance", '{"priority_hour": 5}'
    answers = [
        ci.patch(path, body.replace("5", str(hour)), content_type="application/merge-patch+json")
        for hour in (5, 6, 7, 8)
    ]
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    workspace.maintenance_plan.refresh_from_db()
    assert workspace.maintenance_plan.priority_hour == 7


def test_each_key_has_its_own_limit_and_the_consoles_session_none(
    root: Account, client: Client, clock: SimpleNamespace
) -> None:
    ci, other = script(root), script(root, "other")
    assert [ci.get("/api/v1/me").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert other.get("/api/v1/me").status_code == 200
    cast.sign_in(client, root)
    assert {client.get("/api/v1/me").status_code for _ in range(5)} == {200}


def test_a_wrong_key_is_still_answered_401(db: None, clock: SimpleNamespace) -> None:
    wrong = Client(headers={"Authorization": "Bearer lb_12345678_nonsense"})
    assert {wrong.get("/api/v1/me").status_code for _ in range(5)} == {401}


def test_requests_at_the_same_moment_are_all_counted(settings: Any, clock: SimpleNamespace) -> None:
    settings.LOOPBACK_API_REQUESTS_PER_MINUTE = 100
    request = SimpleNamespace(auth=ApiKey(name="ci"))
    start, allowed = threading.Barrier(8), []

    def run() -> None:
        start.wait(5)
        allowed.extend(throttle.KeyThrottle().allow_request(request) for _ in range(50))  # type: ignore[arg-type]

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert Counter(allowed) == {True: 100, False: 300}


def test_without_redis_requests_are_let_through_and_it_is_said_once(
    root: Account, settings: Any, caplog: pytest.LogCaptureFixture, clock: SimpleNamespace
) -> None:
    ci = script(root)
    there = settings.CACHES
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "unix:///nowhere/at/all.sock",
        }
    }
    assert {ci.get("/api/v1/me").status_code for _ in range(5)} == {200}
    warnings = [one.getMessage() for one in caplog.records if one.name == "workspaces.api.throttle"]
    assert len(warnings) == 1
    assert warnings[0].startswith("Requests are not counted, so API keys have no limit now:")
    settings.CACHES = there
    assert [ci.get("/api/v1/me").status_code for _ in range(4)] == [200, 200, 200, 429]
