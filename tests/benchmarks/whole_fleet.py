"""What is done to ten thousand workspaces at once: planning their week, and judging them again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from tests.benchmarks.measuring import Case
from workspaces.models import Workspace
from workspaces.models.health import reassess
from workspaces.rules.maintenance import Plan
from workspaces.rules.planner import Advisory, Facts, forecast
from workspaces.rules.upgrades import CatalogueVersion, Situation

NOW = datetime(2026, 11, 24, 14, 32, tzinfo=UTC)


def planning() -> list[Case]:
    """Rules alone, no database: every window of the week for ten thousand plans that all differ."""
    fleet = _plans_and_facts(10_000)

    def run() -> None:
        count = sum(len(forecast(plan, facts, NOW)) for plan, facts in fleet)
        assert count > 120_000

    return [Case("the week of 10,000 planned", run, rounds=5)]


def _plans_and_facts(size: int) -> list[tuple[Plan, Facts]]:
    catalogue = [
        CatalogueVersion(f"1.{minor}.{patch}", active=True, upgrade_from=f"1.{minor - 1}.x || 1.{minor}.x")
        for minor in range(33, 37)
        for patch in range(5)
    ]
    openssl = Advisory("DSA-6021 openssl", packages=("openssl",))
    made = []
    for number in range(size):
        version = f"1.{33 + number % 4}.{number % 5}"
        situation = Situation("kubernetes", "active", version, (f"v{version}",) * 6, "1.36", f"v{version}")
        hours = (*((number + day) % 24 for day in range(6)), None)
        plan = Plan(True, hours, 22, compute_auto_update=True, kubernetes_auto_upgrade=True)
        made.append((plan, Facts(situation, catalogue, 6, 6, advisories=(openssl,))))
    return made


def judging() -> list[Case]:
    """`reassess` on all rows: when nothing has changed, and when every row has."""
    keys = list(Workspace.objects.values_list("pk", flat=True))

    def unchanged() -> None:
        assert reassess(keys, timezone.now()) == 0

    def forget() -> Any:
        return Workspace.objects.update(conditions=[])

    def changed() -> None:
        assert reassess(keys, timezone.now()) == len(keys)

    reassess(keys, timezone.now())
    return [
        Case("10,000 judged, none changed", unchanged, rounds=5),
        Case("10,000 judged, all changed", changed, prepare=forget, rounds=3),
    ]
