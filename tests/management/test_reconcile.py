"""`manage.py reconcile`: what it asks for, and what it tells of loops that are late or fail."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import cast
from workspaces.models import DnsRecord, Look, ProviderAccount, Workspace

pytestmark = pytest.mark.django_db
NOW = cast.NOW


def run(*arguments: Any) -> str:
    out = StringIO()
    call_command("reconcile", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


@pytest.fixture
def fleet(workspace: Workspace, metal: Workspace) -> list[Workspace]:
    """ledger-prod in the cloud with a record, customs-archive on metal, atlas elsewhere; all looked at just now."""
    account = ProviderAccount.objects.create(organization=workspace.project.organization, name="kestrel", token="t")
    workspace.hosts.update(provider_account=account)
    DnsRecord.objects.create(
        workspace=workspace, provider_account=account, zone="kestrel.example", name="gw", value="203.0.113.7"
    )
    elsewhere = cast.management_cluster("mgmt-hel1")
    atlas = cast.kubernetes("atlas", hosts=1, management_cluster=elsewhere, project=cast.project("Customs"))
    made = [workspace, metal, atlas]
    for one in made:
        cast.looked_at(one)
    return made


def due() -> set[tuple[str, str]]:
    """Kind and target of the looks that are due."""
    rows = Look.objects.filter(due_at__lte=NOW).select_related("management_cluster", "provider_account", "workspace")
    return {(row.kind, str(row.management_cluster or row.provider_account or row.workspace)) for row in rows}


# --- Asking -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "said", "asked"),
    [
        (
            ["--workspace", "ledger-prod"],
            "Asked for looks at 1 workspace (Control planes 1, Cloud servers 1, DNS records 1, Cluster and hosts 1, "
            "Seeding 1).",
            {
                ("control_planes", "mgmt-fsn1"),
                ("servers", "kestrel"),
                ("dns", "kestrel"),
                ("cluster", "ledger-prod"),
                ("seeding", "ledger-prod"),
            },
        ),
        (
            ["--workspace", "customs-archive"],
            "Asked for looks at 1 workspace (Cluster and hosts 1).",
            {("cluster", "customs-archive")},
        ),
        (
            ["--project", "Customs"],
            "Asked for looks at 1 workspace (Control planes 1, Cluster and hosts 1, Seeding 1).",
            {("control_planes", "mgmt-hel1"), ("cluster", "atlas"), ("seeding", "atlas")},
        ),
        (
            ["--management-cluster", "mgmt-hel1"],
            "Asked for looks at 1 workspace (Control planes 1, Cluster and hosts 1, Seeding 1).",
            {("control_planes", "mgmt-hel1"), ("cluster", "atlas"), ("seeding", "atlas")},
        ),
    ],
)
def test_looks_are_asked_for_at_what_concerns_the_choice_and_nothing_else(
    fleet: list[Workspace], options: list[str], said: str, asked: set[tuple[str, str]]
) -> None:
    assert due() == set()
    assert run(*options) == f"{said}\n"
    assert due() == asked


def test_all_is_everything_in_one_statement_however_many(fleet: list[Workspace]) -> None:
    with CaptureQueriesContext(connection) as captured:
        document = json.loads(run("--all", "--json"))
    assert document == {
        "workspaces": 3,
        "looks": {"control_planes": 2, "servers": 1, "dns": 1, "cluster": 3, "seeding": 2},
        "dry_run": False,
    }
    assert len(due()) == 9
    assert sum(query["sql"].startswith("UPDATE") for query in captured) == 1


def test_a_dry_run_tells_and_asks_for_nothing(fleet: list[Workspace]) -> None:
    said = run("--workspace", "atlas", "--dry-run")
    assert said == "Would ask for looks at 1 workspace (Control planes 1, Cluster and hosts 1, Seeding 1).\n"
    assert due() == set()


def test_an_id_does_as_well_as_a_name(fleet: list[Workspace]) -> None:
    assert run("--workspace", str(fleet[1].pk)) == "Asked for looks at 1 workspace (Cluster and hosts 1).\n"


def test_what_nobody_looks_at_yet_is_said(workspace: Workspace) -> None:
    assert run("--workspace", "ledger-prod") == "1 workspace: nobody looks there yet.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Say what to look at: --workspace, --project, --management-cluster or --all."),
        (["--workspace", "nowhere"], "There is no workspace nowhere."),
        (["--management-cluster", "nowhere"], "There is no management cluster nowhere. Known: mgmt-fsn1, mgmt-hel1."),
        (["status", "--all"], "status tells of all loops: it takes --json only."),
        (["status", "--dry-run"], "status tells of all loops: it takes --json only."),
    ],
)
def test_a_wrong_choice_is_refused_with_the_reason(fleet: list[Workspace], arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError) as refused:
        run(*arguments)
    assert str(refused.value) == message
    assert due() == set()


# --- Telling ----------------------------------------------------------------------------------------------------------
def test_loops_that_look_in_time_are_a_number(fleet: list[Workspace]) -> None:
    assert run("status") == "All 9 loops look in time.\n"
    assert json.loads(run("status", "--json")) == []


def test_a_loop_that_failed_once_is_told_and_is_no_error_yet(fleet: list[Workspace]) -> None:
    failing(kind="servers", failures=1, felt=False)
    assert run("status") == (
        "Cloud servers of kestrel: failed once, last seen 2026-11-24T14:32:00Z, next 2026-11-24T14:33:00Z: Hetzner "
        "account kestrel: unable to authenticate (unauthorized), since 24 Nov 14:31 UTC.\n"
    )


def failing(**fields: Any) -> None:
    kind = fields.pop("kind")
    Look.objects.filter(kind=kind).update(
        error_code="credential",
        error="Hetzner Cloud: unable to authenticate (unauthorized)",
        who_can_fix="The operator of the platform, by storing a valid credential.",
        failing_since=NOW - timedelta(minutes=1),
        **fields,
    )


def test_loops_that_fail_or_are_late_are_listed_and_the_exit_status_says_so(
    fleet: list[Workspace],
) -> None:
    failing(kind="servers", failures=14, felt=True)
    Look.objects.filter(kind="cluster", workspace=fleet[1]).update(succeeded_at=NOW - timedelta(seconds=120))
    # Seeding is looked at every ten minutes: eleven minutes are not late.
    Look.objects.filter(kind="seeding").update(succeeded_at=NOW - timedelta(minutes=11))
    Look.objects.filter(kind="seeding", workspace=fleet[2]).update(succeeded_at=None)
    out = StringIO()
    with pytest.raises(CommandError, match=r"^3 of 9 loops are late or fail\.$"):
        call_command("reconcile", "status", stdout=out)
    assert out.getvalue().splitlines() == [
        "Cloud servers of kestrel: failed 14 times in a row, last seen 2026-11-24T14:32:00Z, next "
        "2026-11-24T14:33:00Z: Hetzner account kestrel: unable to authenticate (unauthorized), since 24 Nov 14:31 UTC.",
        "Cluster and hosts of customs-archive: late, last seen 2026-11-24T14:30:00Z, next 2026-11-24T14:33:00Z",
        "Seeding of atlas: not looked at yet, never seen, next 2026-11-24T14:42:00Z",
    ]
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("reconcile", "status", "--json", stdout=out)
    documents = json.loads(out.getvalue())
    assert [one["state"] for one in documents] == ["failing", "late", "not_looked_yet"]
    account = ProviderAccount.objects.get()
    assert documents[0] == {
        "loop": "servers",
        "target": "kestrel",
        "id": str(account.pk),
        "state": "failing",
        "fresh": False,
        "failures": 14,
        "failing_since": "2026-11-24T14:31:00Z",
        "last_success": "2026-11-24T14:32:00Z",
        "next": "2026-11-24T14:33:00Z",
        "every": 60.0,
        "error_class": "credential",
        "error": "Hetzner account kestrel: unable to authenticate (unauthorized), since 24 Nov 14:31 UTC.",
        "who_can_fix": "The operator of the platform, by storing a valid credential.",
    }
