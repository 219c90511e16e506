"""Writing a judgement down: only what changed, with few queries, and `since` kept while a value stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import cast
from workspaces.models import Host, ManagementCluster, Operation, ProviderAccount, Workspace
from workspaces.models.health import reassess

pytestmark = pytest.mark.django_db
NOW = cast.NOW
LATER = NOW + timedelta(minutes=5)


def everything() -> list[Any]:
    """The keys of all workspaces."""
    return list(Workspace.objects.values_list("pk", flat=True))


def updates(captured: CaptureQueriesContext) -> list[str]:
    """The statements that wrote something."""
    return [query["sql"] for query in captured if query["sql"].startswith("UPDATE")]


def conditions(workspace: Workspace) -> dict[str, tuple[str, str]]:
    """Value and `since` of each stored condition."""
    workspace.refresh_from_db()
    return {stored["type"]: (stored["value"], stored["since"]) for stored in workspace.conditions}


def test_a_first_judgement_is_written_and_a_second_one_writes_nothing(workspace: Workspace, metal: Workspace) -> None:
    assert reassess(everything(), NOW) == 2
    with CaptureQueriesContext(connection) as captured:
        assert reassess(everything(), LATER) == 0
    assert updates(captured) == []
    workspace.refresh_from_db()
    assert workspace.conditions == [
        {
            "type": "control_plane",
            "value": "true",
            "reason": "ready",
            "message": "Kamaji serves 1.34.8.",
            "since": "2026-11-24T14:32:00+00:00",
        },
        {
            "type": "hosts",
            "value": "true",
            "reason": "ready",
            "message": "3 of 3 ready.",
            "since": "2026-11-24T14:32:00+00:00",
        },
    ]
    assert (workspace.host_count, workspace.hosts_ready, workspace.attention) == (3, 3, "")


def test_only_the_workspace_that_changed_is_written(workspace: Workspace, metal: Workspace) -> None:
    reassess(everything(), NOW)
    workspace.hosts.filter(name="ledger-prod-w2").update(ready=False, ready_message="Kubelet stopped.")
    before = Workspace.objects.values().get(pk=metal.pk)
    assert reassess(everything(), LATER) == 1
    workspace.refresh_from_db()
    assert (workspace.attention, workspace.attention_tone) == ("Not ready: ledger-prod-w2: Kubelet stopped.", "bad")
    assert (workspace.host_count, workspace.hosts_ready) == (3, 2)
    assert Workspace.objects.values().get(pk=metal.pk) == before


def test_since_is_kept_while_the_value_stays_and_starts_anew_when_it_turns(workspace: Workspace) -> None:
    first, then, last = (moment.isoformat() for moment in (NOW, LATER, LATER + timedelta(minutes=5)))
    reassess(everything(), NOW)
    workspace.hosts.filter(name="ledger-prod-w2").update(ready=False)
    reassess(everything(), LATER)
    assert conditions(workspace) == {"control_plane": ("true", first), "hosts": ("false", then)}
    # Another host as well: another message, the same value.
    workspace.hosts.update(ready=False)
    assert reassess(everything(), LATER + timedelta(minutes=5)) == 1
    assert conditions(workspace)["hosts"] == ("false", then)
    workspace.hosts.update(ready=True)
    reassess(everything(), LATER + timedelta(minutes=5))
    assert conditions(workspace)["hosts"] == ("true", last)


def test_any_number_is_judged_with_the_same_few_queries() -> None:
    for number in range(12):
        cast.kubernetes(f"w{number:02}", hosts=2)
    with CaptureQueriesContext(connection) as captured:
        assert reassess(everything()[:1], NOW) == 1
    one = [query["sql"] for query in captured]
    with CaptureQueriesContext(connection) as captured:
        assert reassess(everything(), NOW) == 11
    assert len(captured) == len(one)
    assert len(updates(captured)) == 1


def test_trouble_with_the_management_cluster_is_on_all_its_workspaces_and_no_other(
    workspace: Workspace, metal: Workspace
) -> None:
    elsewhere = cast.kubernetes("elsewhere", hosts=1, management_cluster=cast.management_cluster("mgmt-hel1"))
    ManagementCluster.objects.filter(name="mgmt-fsn1").update(error_code="credential", error_message="401 Unauthorized")
    reassess(everything(), NOW)
    assert conditions(workspace)["control_plane"][0] == "unknown"
    assert workspace.attention == "mgmt-fsn1: 401 Unauthorized"
    for untouched in (elsewhere, metal):
        untouched.refresh_from_db()
        assert untouched.attention == ""


def test_trouble_with_a_provider_account_is_on_the_workspaces_that_have_hosts_there(
    workspace: Workspace, metal: Workspace
) -> None:
    account = ProviderAccount.objects.create(
        organization=workspace.project.organization, name="kestrel", token="t",
        error_code="credential", error_message="The token was refused.",
    )  # fmt: skip
    workspace.hosts.update(provider_account=account)
    reassess(everything(), NOW)
    assert conditions(workspace)["servers"][0] == "unknown"
    assert (workspace.attention, workspace.attention_tone) == ("kestrel: The token was refused.", "warn")
    ProviderAccount.objects.update(error_code="", error_message="")
    reassess(everything(), LATER)
    assert "servers" not in conditions(workspace)
    assert workspace.attention == ""


def test_the_latest_operation_counts_and_an_open_one_explains(workspace: Workspace) -> None:
    def operation(state: str, hours: int, **fields: str) -> None:
        Operation.objects.create(
            workspace=workspace, kind="upgrade", title="Upgrade ledger-prod", requested_by="Alice",
            state=state, created_at=NOW + timedelta(hours=hours), **fields,
        )  # fmt: skip

    spoken = []
    workspace.hosts.filter(name="ledger-prod-w2").update(ready=False)
    for hours, (state, message) in enumerate(
        [("failed", "A budget."), ("stopped", ""), ("succeeded", ""), ("running", "")]
    ):
        operation(state, hours, error_message=message)
        reassess(everything(), NOW)
        workspace.refresh_from_db()
        spoken.append(workspace.attention)
    assert spoken == [
        "Upgrade ledger-prod failed. A budget.",
        "Upgrade ledger-prod was stopped.",
        "Not ready: ledger-prod-w2",
        "",
    ]


def test_a_long_reason_is_cut_to_its_column(workspace: Workspace) -> None:
    workspace.hosts.filter(name="ledger-prod-w1").update(ready=False, ready_message="x" * 5000)
    reassess(everything(), NOW)
    workspace.refresh_from_db()
    assert len(workspace.attention) == 200
    assert workspace.conditions[1]["message"].endswith("x" * 5000)


def test_nothing_to_judge_is_nothing_to_do(db: None) -> None:
    assert reassess([], NOW) == 0
    assert Host.objects.count() == 0
