"""A diagnosis from rows: which facts it finds, in how few queries, and what the queue adds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import cast
from workspaces.models import Look, Operation, ProviderAccount, Workspace
from workspaces.models.conditions import looks_of
from workspaces.models.diagnosis import diagnose
from workspaces.models.health import reassess
from workspaces.operations import queues
from workspaces.rules.diagnosis_facts import Diagnosis

pytestmark = pytest.mark.django_db
NOW = cast.NOW
SINCE = NOW - timedelta(minutes=41)
REFUSED = {
    "felt": True,
    "failures": 14,
    "failing_since": SINCE,
    "error_code": "credential",
    "error": "Hetzner Cloud: unable to authenticate (unauthorized)",
    "who_can_fix": "The operator of the platform, by storing a valid credential.",
}


def account(name: str, workspace: Workspace) -> ProviderAccount:
    return ProviderAccount.objects.create(organization=workspace.project.organization, name=name, token="t")


@pytest.fixture
def kestrel(workspace: Workspace) -> ProviderAccount:
    """The account of ledger-prod's hosts; everything was looked at just now."""
    made = account("kestrel", workspace)
    workspace.hosts.update(provider_account=made)
    cast.looked_at(workspace)
    return made


def judged(workspace: Workspace) -> Workspace:
    reassess([workspace.pk], NOW)
    workspace.refresh_from_db()
    return workspace


def found(workspace: Workspace, queue: Any = None, at: Any = NOW) -> Diagnosis:
    diagnosis = diagnose(judged(workspace), queue, at)
    assert diagnosis is not None
    return diagnosis


def worker(*served: str) -> queues.WorkerSeen:
    return queues.WorkerSeen("w", "m", 1, served, "idle", "", None, NOW, alive=True)


def machinery(*, workers: int = 1, depth: int = 0, oldest: Any = None, scheduler: Any = NOW) -> queues.Seen:
    """The queue as `operations/queues` sees it."""
    names = ("operations", "ticks", "reconcile")
    seen = tuple(queues.QueueSeen(name, depth, oldest, 0, 0, workers) for name in names)
    return queues.Seen(queues=seen, scheduler_heard_at=scheduler)


def test_a_workspace_that_is_well_has_none_and_costs_one_query(workspace: Workspace, kestrel: ProviderAccount) -> None:
    judged(workspace)
    with CaptureQueriesContext(connection) as captured:
        assert diagnose(workspace, None, NOW) is None
    assert len(captured) == 1


def test_a_refused_token_names_the_account_and_whether_others_are_answered(
    workspace: Workspace, kestrel: ProviderAccount
) -> None:
    Look.objects.filter(kind="servers").update(**REFUSED)
    alone = found(workspace)
    assert (alone.cause, alone.headline) == (
        "credential",
        "Most likely cause: Hetzner Cloud refuses the token of account kestrel",
    )
    assert (alone.link, alone.link_pk, alone.since) == ("account", kestrel.pk, SINCE)
    assert alone.who_can_fix == "The operator of the platform, by storing a valid credential."
    assert "account is answered" not in alone.explanation
    assert "The last 14 looks have failed. Hetzner account kestrel: unable to authenticate" in alone.explanation
    other = Look.objects.create(
        kind="servers", provider_account=account("customs", workspace), every=60, succeeded_at=NOW
    )
    assert "Other accounts are answered." in found(workspace).explanation
    Look.objects.filter(pk=other.pk).update(succeeded_at=NOW - timedelta(minutes=5))
    assert "No other account is answered either." in found(workspace).explanation


def test_with_its_looks_at_hand_it_costs_one_query_at_most(workspace: Workspace, kestrel: ProviderAccount) -> None:
    Look.objects.filter(kind="servers").update(**REFUSED)
    looks = looks_of(judged(workspace))
    with CaptureQueriesContext(connection) as captured:
        assert diagnose(workspace, machinery(), NOW, looks=looks) is not None
    assert len(captured) == 1
    Look.objects.update(felt=False, failures=0, error_code="")
    Operation.objects.create(workspace=workspace, kind="upgrade", title="Upgrade", requested_by="A", state="failed")
    looks = looks_of(judged(workspace))
    with CaptureQueriesContext(connection) as captured:
        failed = diagnose(workspace, machinery(), NOW, looks=looks)
    assert len(captured) == 1
    assert failed is not None
    assert (failed.cause, failed.link_pk) == ("operation_failed", Operation.objects.get().pk)


def test_an_operation_that_failed_before_a_later_one_succeeded_explains_nothing(
    workspace: Workspace, kestrel: ProviderAccount
) -> None:
    values = {"workspace": workspace, "kind": "upgrade", "title": "Upgrade", "requested_by": "A"}
    Operation.objects.create(**values, state="failed", created_at=NOW - timedelta(hours=2))
    Operation.objects.create(**values, state="succeeded", created_at=NOW - timedelta(hours=1))
    workspace.hosts.filter(name="ledger-prod-w1").update(ready=False, ready_message="Kubelet stopped.")
    assert found(workspace).cause == "hosts_not_ready"


@pytest.mark.parametrize(
    ("queue", "cause"),
    [
        (None, "overdue"),
        (machinery(), "overdue"),
        (machinery(workers=0), "no_worker"),
        (machinery(scheduler=NOW - timedelta(minutes=5)), "no_scheduler"),
        (machinery(scheduler=None), "no_scheduler"),
        (machinery(depth=21, oldest=SINCE), "queue_stuck"),
        (machinery(depth=21, oldest=NOW - timedelta(seconds=50)), "overdue"),
        (queues.Seen(trouble="The queue cannot be reached: ConnectionError."), "queue_down"),
    ],
)
def test_what_the_queue_tells_explains_why_nobody_looks(
    workspace: Workspace, kestrel: ProviderAccount, queue: queues.Seen | None, cause: str
) -> None:
    Look.objects.update(succeeded_at=SINCE)
    assert found(workspace, queue).cause == cause


def test_a_workspace_that_nobody_looks_at_has_no_diagnosis(workspace: Workspace) -> None:
    workspace.state, workspace.attention = "deleting", "Something."
    assert diagnose(workspace, None, NOW) is None
