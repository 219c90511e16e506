"""The clock of the cast, for page tests: `from tests.views.stopped_clock import clock  # noqa: F401`."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests import cast


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch, settings) -> SimpleNamespace:
    """The clock, stopped for every test of the module."""
    return stop(monkeypatch, settings)


def stop(monkeypatch: pytest.MonkeyPatch, settings) -> SimpleNamespace:
    """Tuesday 24 November 2026, 14:32 UTC; `clock.now` may be moved. What was seen then is fresh."""
    settings.LOOPBACK_RECONCILE_SECONDS = 60
    clock = SimpleNamespace(now=cast.NOW)
    monkeypatch.setattr("django.utils.timezone.now", lambda: clock.now)
    return clock
