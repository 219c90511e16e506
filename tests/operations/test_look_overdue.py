"""Targets that nobody looks at: they leave green before two periods are over, and come back with the next look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.operations.attempts import NOW, fail, look_of, succeed, trouble_with
from workspaces.models import Host, Look, ManagementCluster, ProviderAccount, Workspace
from workspaces.operations import looks
from workspaces.providers.errors import Temporary

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues", "usual_paces")]


@contextmanager
def seconds_later(kind: str, seconds: float) -> Iterator[datetime]:
    """A round that takes place when the last look of this kind is this old."""
    seen = Look.objects.get(kind=kind).succeeded_at
    assert seen is not None
    yield seen + timedelta(seconds=seconds)


@pytest.mark.parametrize(("kind", "row"), [("control_planes", ManagementCluster), ("servers", ProviderAccount)])
def test_a_target_that_nobody_looks_at_leaves_green_before_two_periods_are_over(
    workspace: Workspace, account: ProviderAccount, kind: str, row: Any
) -> None:
    Host.objects.filter(workspace=workspace).update(provider_account=account)
    target = row.objects.get()
    succeed(kind, target)
    with seconds_later(kind, 115) as now:
        looks.hand_out(now)
        assert not trouble_with(target, workspace)
    with seconds_later(kind, 116) as now:
        looks.hand_out(now)
    look = look_of(kind, target)
    assert (look.felt, look.error_code, look.failures) == (True, "overdue", 0)
    assert look.error == "Not looked at for 116 s, although it is to be every 60 s."
    target.refresh_from_db()
    assert (target.error_code, target.error_message) == ("overdue", look.error)
    assert trouble_with(target, workspace)
    succeed(kind, target)
    assert not trouble_with(target, workspace)


def test_one_failure_and_then_silence_is_felt_with_the_reason_of_the_failure(
    workspace: Workspace, account: ProviderAccount
) -> None:
    Host.objects.filter(workspace=workspace).update(provider_account=account)
    succeed("servers", account)
    fail("servers", account, Temporary("rate_limit", "kestrel: the limit is reached.", delay=3600))
    failed_at = look_of("servers", account).failing_since
    with seconds_later("servers", 117) as now:
        looks.hand_out(now)
    account.refresh_from_db()
    assert (account.error_code, account.error_message) == ("rate_limit", "kestrel: the limit is reached.")
    assert account.error_since == failed_at
    assert trouble_with(account, workspace)


def test_a_slow_look_that_is_called_overdue_while_it_is_under_way_comes_back_with_its_success(
    workspace: Workspace,
) -> None:
    cluster = ManagementCluster.objects.get()
    succeed("control_planes", cluster)
    with looks.attempt("control_planes", cluster.pk) as attempt:
        assert attempt is not None
        with seconds_later("control_planes", 117) as now:
            looks.hand_out(now)
        workspace.refresh_from_db()
        assert trouble_with(cluster, workspace)
    assert not trouble_with(cluster, workspace)
    cluster.refresh_from_db()
    assert cluster.error_code == ""


def test_a_slow_look_that_is_called_overdue_and_then_fails_once_stays_felt(workspace: Workspace) -> None:
    cluster = ManagementCluster.objects.get()
    succeed("control_planes", cluster)
    with looks.attempt("control_planes", cluster.pk) as attempt:
        assert attempt is not None
        with seconds_later("control_planes", 117) as now:
            looks.hand_out(now)
        raise Temporary("unreachable", "management cluster mgmt-fsn1: it did not answer in time.")
    assert look_of("control_planes", cluster).felt
    succeed("control_planes", cluster)
    assert not trouble_with(cluster, workspace)


def test_what_was_never_seen_is_not_overdue_yet(workspace: Workspace) -> None:
    looks.hand_out(NOW)
    looks.hand_out(NOW + timedelta(hours=1))
    assert set(Look.objects.values_list("error_code", flat=True)) == {""}
