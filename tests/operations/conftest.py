"""A clock that stands still, and the scheduler on it, for the tests that ask for them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import cast
from tests.operations.attempts import PACES
from tests.views import stopped_clock
from workspaces.models import ProviderAccount, Tick
from workspaces.operations import maintenance


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, settings) -> SimpleNamespace:
    """`clock.now` is the time until it is set anew."""
    return stopped_clock.stop(monkeypatch, settings)


@pytest.fixture
def tick(clock: SimpleNamespace) -> Callable[..., dict[str, int]]:
    """Moves the clock and lets the scheduler look. Unless there was an outage, it has looked a minute before."""

    def run(moment: datetime, *, outage: bool = False) -> dict[str, int]:
        clock.now = moment
        if not outage:
            Tick.objects.filter(name=maintenance.TICK).update(at=moment - timedelta(minutes=1))
        return dict(maintenance.run_due(moment))

    return run


@pytest.fixture
def usual_paces(settings) -> None:
    """Looks come as often as in production, whatever the tests' own settings are."""
    for name, value in PACES.items():
        setattr(settings, name, value)


@pytest.fixture
def account(db: None) -> ProviderAccount:
    """The cloud project of Kestrel Freight."""
    return ProviderAccount.objects.create(organization=cast.organization("Kestrel Freight"), name="kestrel", token="t")


@pytest.fixture(autouse=True)
def prepares_quickly(request: pytest.FixtureRequest, settings) -> None:
    """An ordered host is prepared by one task instead of a dozen, each a second; `shipped_playbooks` keeps ours."""
    if request.node.get_closest_marker("shipped_playbooks") is None:
        settings.LOOPBACK_PLAYBOOKS = str(Path(__file__).parent / "playbooks")
