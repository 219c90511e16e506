"""Writing a judgement down: only what changed, with few queries, and `since` kept while a value stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import cast
from workspaces.models import (
    DnsRecord,
    Drift,
    Host,
    Look,
    ManagementCluster,
    Operation,
    ProviderAccount,
    Seed,
    SeedManifest,
    Workspace,
)
from workspaces.models.health import reassess, reassess_certificates

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
            "error_class": "",
            "who_can_fix": "",
            "since": "2026-11-24T14:32:00+00:00",
        },
        {
            "type": "hosts",
            "value": "true",
            "reason": "ready",
            "message": "3 of 3 ready.",
            "error_class": "",
            "who_can_fix": "",
            "since": "2026-11-24T14:32:00+00:00",
        },
        {
            "type": "credentials",
            "value": "true",
            "reason": "accepted",
            "message": "Accepted; no end is known.",
            "error_class": "",
            "who_can_fix": "",
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
    assert conditions(workspace) == {
        "control_plane": ("true", first),
        "hosts": ("false", then),
        "credentials": ("true", first),
    }
    # Another host as well: another message, the same value.
    workspace.hosts.update(ready=False)
    assert reassess(everything(), LATER + timedelta(minutes=5)) == 1
    assert conditions(workspace)["hosts"] == ("false", then)
    workspace.hosts.update(ready=True)
    reassess(everything(), LATER + timedelta(minutes=5))
    assert conditions(workspace)["hosts"] == ("true", last)


def test_rows_are_locked_before_anything_is_read_of_them(workspace: Workspace) -> None:
    with CaptureQueriesContext(connection) as captured:
        reassess(everything(), NOW)
    statements = [query["sql"] for query in captured if not query["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    locks = ["FOR NO KEY UPDATE" in sql for sql in statements[1:]]  # the first one reads the keys
    assert locks[0] is True
    assert statements[2].startswith('SELECT "workspaces_host"')


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


# --- Looks that fail --------------------------------------------------------------------------------------------------
def failing(kind: str, code: str, message: str, *, felt: bool = True, **target: Any) -> Look:
    """A look of this kind at this target that fails since NOW."""
    return Look.objects.create(
        kind=kind, every=60, felt=felt, failures=1, failing_since=NOW, error_code=code, error=message,
        who_can_fix="Somebody.", **target,
    )  # fmt: skip


def account_of(workspace: Workspace) -> ProviderAccount:
    """An account on which the workspace's hosts run."""
    account = ProviderAccount.objects.create(
        organization=workspace.project.organization, name="kestrel", token="t"
    )  # fmt: skip
    workspace.hosts.update(provider_account=account)
    return account


def test_trouble_with_the_management_cluster_is_on_all_its_workspaces_and_no_other(
    workspace: Workspace, metal: Workspace
) -> None:
    elsewhere = cast.kubernetes("elsewhere", hosts=1, management_cluster=cast.management_cluster("mgmt-hel1"))
    failing("control_planes", "credential", "401 Unauthorized", management_cluster=workspace.management_cluster)
    reassess(everything(), NOW)
    assert conditions(workspace)["control_plane"][0] == "unknown"
    assert workspace.attention == "mgmt-fsn1: 401 Unauthorized, since 24 Nov 14:32 UTC."
    assert (workspace.conditions[0]["error_class"], workspace.conditions[0]["who_can_fix"]) == (
        "credential",
        "Somebody.",
    )
    for untouched in (elsewhere, metal):
        untouched.refresh_from_db()
        assert untouched.attention == ""


def test_trouble_with_a_provider_account_is_on_the_workspaces_that_have_hosts_there(
    workspace: Workspace, metal: Workspace
) -> None:
    look = failing("servers", "credential", "The token was refused.", provider_account=account_of(workspace))
    reassess(everything(), NOW)
    assert conditions(workspace)["servers"][0] == "unknown"
    assert (workspace.attention, workspace.attention_tone) == (
        "Hetzner account kestrel: The token was refused, since 24 Nov 14:32 UTC.",
        "warn",
    )
    metal.refresh_from_db()
    assert metal.attention == ""
    look.delete()
    reassess(everything(), LATER)
    assert conditions(workspace)["servers"][0] == "true"
    assert workspace.attention == ""


@pytest.mark.parametrize("kind", ["control_planes", "servers", "cluster", "dns", "seeding"])
def test_a_felt_trouble_of_any_loop_takes_the_badge_off_green_and_one_that_is_not_felt_does_not(
    workspace: Workspace, kind: str
) -> None:
    account = account_of(workspace)
    record(workspace, account)
    SeedManifest.objects.create(name="baseline", content="")
    targets = {"control_planes": "management_cluster", "servers": "provider_account", "dns": "provider_account"}
    target = targets.get(kind, "workspace")
    values = {"workspace": workspace, "provider_account": account, "management_cluster": workspace.management_cluster}
    look = failing(kind, "unreachable", "No answer.", felt=False, **{target: values[target]})
    reassess(everything(), NOW)
    workspace.refresh_from_db()
    assert workspace.attention == ""
    Look.objects.filter(pk=look.pk).update(felt=True)
    reassess(everything(), NOW)
    workspace.refresh_from_db()
    assert "No answer, since 24 Nov 14:32 UTC." in workspace.attention
    assert workspace.attention_tone == "warn"


def test_a_look_that_does_not_concern_the_workspace_is_not_its_trouble(workspace: Workspace) -> None:
    failing("dns", "credential", "Refused.", provider_account=account_of(workspace))  # no records there
    failing("seeding", "unreachable", "No answer.", workspace=workspace)  # no manifests
    reassess(everything(), NOW)
    workspace.refresh_from_db()
    assert workspace.attention == ""


# --- What is kept in it -----------------------------------------------------------------------------------------------
def record(workspace: Workspace, account: ProviderAccount, **fields: Any) -> DnsRecord:
    """A record that is as wanted."""
    values = {"zone": "kestrel.example", "name": "gw", "value": "203.0.113.7", "observed_value": "203.0.113.7"}
    return DnsRecord.objects.create(workspace=workspace, provider_account=account, **(values | fields))


def test_records_seeds_and_drift_are_part_of_the_judgement(workspace: Workspace) -> None:
    record(workspace, account_of(workspace))
    manifest = SeedManifest.objects.create(name="baseline", content="", gates=True)
    seed = Seed.objects.create(workspace=workspace, manifest=manifest, object="v1 Namespace /tools", state="applied")
    reassess(everything(), NOW)
    assert [(value, key) for key, (value, _) in conditions(workspace).items()] == [
        ("true", "control_plane"),
        ("true", "hosts"),
        ("true", "servers"),
        ("true", "dns"),
        ("true", "seeding"),
        ("true", "credentials"),
    ]
    Seed.objects.filter(pk=seed.pk).update(state="conflict", conflicts=[{"field": "a", "manager": "argocd-controller"}])
    Drift.objects.create(
        workspace=workspace, kind="control_plane", subject="Control plane", field="replicas", wanted=2, seen=3,
        policy="decide", since=NOW,
    )  # fmt: skip
    reassess(everything(), LATER)
    assert conditions(workspace)["seeding"][0] == "false"
    assert conditions(workspace)["drift"][0] == "false"
    assert workspace.attention == "Namespace tools is held by argocd-controller."
    Seed.objects.update(state="applied", conflicts=[])
    reassess(everything(), LATER)
    workspace.refresh_from_db()
    assert workspace.attention == "Control plane: replicas is 3, not 2. It needs a decision."
    Drift.objects.update(ended_at=LATER, ending="gone")
    reassess(everything(), LATER)
    assert "drift" not in conditions(workspace)
    assert workspace.attention == ""


@pytest.mark.parametrize(
    ("changes", "seeded"),
    [
        ({}, True),
        ({"versions": ">=1.35.0 <1.36.0"}, False),
        ({"versions": ">=1.34.0 <1.35.0"}, True),
        ({"active": False}, False),
    ],
)
def test_a_manifest_counts_where_it_fits(workspace: Workspace, changes: dict[str, Any], seeded: bool) -> None:
    SeedManifest.objects.create(name="baseline", content="", **changes)
    SeedManifest.objects.create(name="theirs", content="", organization=cast.organization("Fjordline"))
    reassess(everything(), NOW)
    assert ("seeding" in conditions(workspace)) == seeded


def test_an_accepted_pause_and_an_accepted_rest_are_as_wanted(workspace: Workspace) -> None:
    account_of(workspace)
    workspace.hosts.filter(name="ledger-prod-w1").update(provider_status="off")
    Workspace.objects.update(control_plane_paused=True)
    reassess(everything(), NOW)
    workspace.refresh_from_db()
    assert [(c["type"], c["reason"]) for c in workspace.conditions if c["value"] == "false"] == [
        ("control_plane", "paused"),
        ("servers", "off"),
    ]
    workspace.hosts.filter(name="ledger-prod-w1").update(wanted={"power": "off"})
    Workspace.objects.update(wanted={"paused": True})
    reassess(everything(), NOW)
    workspace.refresh_from_db()
    assert {c["value"] for c in workspace.conditions} == {"true"}


# --- Certificates -----------------------------------------------------------------------------------------------------
def test_a_certificate_that_comes_near_its_end_is_said_without_a_look_that_changes_anything(
    workspace: Workspace, metal: Workspace
) -> None:
    ends = NOW + timedelta(days=14, hours=1)
    ManagementCluster.objects.update(credential_ends_at=ends)
    Workspace.objects.update(credential_ends_at=NOW + timedelta(days=300))
    reassess(everything(), NOW)
    said = []
    for moment in (NOW, NOW + timedelta(hours=2), NOW + timedelta(hours=3), ends, ends + timedelta(hours=1)):
        written = reassess_certificates(moment)
        workspace.refresh_from_db()
        said.append((written, workspace.attention))
    assert said == [
        (0, ""),
        (1, "The client certificate for mgmt-fsn1 ends on 8 Dec 2026 15:32 UTC."),
        (0, "The client certificate for mgmt-fsn1 ends on 8 Dec 2026 15:32 UTC."),
        (1, "The client certificate for mgmt-fsn1 ended on 8 Dec 2026 15:32 UTC."),
        (0, "The client certificate for mgmt-fsn1 ended on 8 Dec 2026 15:32 UTC."),
    ]


# --- Operations -------------------------------------------------------------------------------------------------------
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
