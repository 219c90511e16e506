"""What is done to ten thousand rows at once: judging them again. Planning their week is `planning`."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from tests.benchmarks.measuring import Case
from workspaces.models import Workspace
from workspaces.models.health import reassess


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
