"""The page of an operation as its tests read it, and the two upgrades that they are about (made by `an_upgrade`)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django.test import Client

from tests import cast
from tests.views import an_upgrade
from tests.views.reading import text as text
from workspaces.models import Account, Operation, Workspace

HTMX = {"HTTP_HX_REQUEST": "true"}
DRAIN_1 = 7  # positions in the cast's upgrade: five steps of the control plane, then six for each host
KUBEADM_2 = 11


def draining(workspace: Workspace, by: Account) -> Operation:
    """An upgrade that waits for the drain of the first host."""
    return an_upgrade.at(
        an_upgrade.started(workspace, by),
        DRAIN_1,
        "waiting",
        message="2 pods left",
        state="waiting",
        wake_at=cast.NOW + timedelta(seconds=20),
    )


def not_drained(workspace: Workspace, by: Account) -> Operation:
    """An upgrade that has failed at the drain of the first host."""
    return an_upgrade.at(
        an_upgrade.started(workspace, by),
        DRAIN_1,
        "failed",
        message="A pod cannot be evicted.",
        state="failed",
        finished_at=cast.NOW,
        error_code="budget_blocks",
        error_message="A pod cannot be evicted.",
        error_who_can_fix="The owner of payments/ledger-api.",
    )


def page(client: Client, operation: Operation, **query: str) -> Any:
    """The page's answer."""
    answer = client.get(f"/operations/{operation.pk}", query)
    assert answer.status_code == 200
    return answer


def seen(answer: Any) -> str:
    """What the page would send with its next poll."""
    return re.search(r"progress\?seen=([\w.-]+)", answer.content.decode())[1]


def poll(client: Client, operation: Operation, said: str) -> Any:
    """The answer to a poll of a page that has seen `said`."""
    return client.get(f"/operations/{operation.pk}/progress", {"seen": said}, **HTMX)
