"""Conditions as they are read: which looks concern a workspace, and how old what is told may be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import cast
from workspaces.models import DnsRecord, Look, ProviderAccount, SeedManifest, Workspace
from workspaces.models.conditions import ConditionSeen, conditions_of, looks_of
from workspaces.models.health import reassess

pytestmark = pytest.mark.django_db
NOW = cast.NOW
MINUTE = timedelta(minutes=1)


@pytest.fixture
def account(workspace: Workspace) -> ProviderAccount:
    """The account on which ledger-prod's hosts run and its record stands."""
    made = ProviderAccount.objects.create(organization=workspace.project.organization, name="kestrel", token="t")
    workspace.hosts.update(provider_account=made)
    record = {"zone": "kestrel.example", "name": "gw", "value": "203.0.113.7", "observed_value": "203.0.113.7"}
    DnsRecord.objects.create(workspace=workspace, provider_account=made, **record)
    return made


def judged(workspace: Workspace) -> Workspace:
    reassess([workspace.pk], NOW)
    workspace.refresh_from_db()
    return workspace


def read(workspace: Workspace, at: Any = NOW) -> dict[str, ConditionSeen]:
    return {seen.type: seen for seen in conditions_of(workspace, at)}


def values(workspace: Workspace, at: Any = NOW) -> dict[str, str]:
    return {type_: seen.value for type_, seen in read(workspace, at).items()}


# --- Which looks concern it -------------------------------------------------------------------------------------------
def test_the_looks_that_concern_a_workspace_and_no_others(workspace: Workspace, account: ProviderAccount) -> None:
    other = cast.kubernetes("atlas", hosts=1, management_cluster=cast.management_cluster("mgmt-hel1"))
    theirs = ProviderAccount.objects.create(organization=cast.organization("Fjordline"), name="fjord", token="t")
    for one in (workspace, other):
        cast.looked_at(one)
    Look.objects.create(kind="servers", provider_account=theirs, every=60)
    judged(workspace)
    with CaptureQueriesContext(connection) as captured:
        found = [str(look) for look in looks_of(workspace)]
    assert found == [
        "Control planes of mgmt-fsn1",
        "Cloud servers of kestrel",
        "DNS records of kestrel",
        "Cluster and hosts of ledger-prod",
    ]
    assert len(captured) == 1
    assert "kubeconfig" not in captured[0]["sql"]
    assert "token" not in captured[0]["sql"]


def test_dns_concerns_it_only_with_records_and_seeding_only_with_manifests(
    workspace: Workspace, account: ProviderAccount
) -> None:
    cast.looked_at(workspace)
    SeedManifest.objects.create(name="baseline", content="")
    assert [look.kind for look in looks_of(judged(workspace))] == [
        "control_planes",
        "servers",
        "dns",
        "cluster",
        "seeding",
    ]
    DnsRecord.objects.all().delete()
    SeedManifest.objects.all().delete()
    assert [look.kind for look in looks_of(judged(workspace))] == ["control_planes", "servers", "cluster"]


def test_bare_metal_is_looked_at_by_one_loop(metal: Workspace) -> None:
    cast.looked_at(metal)
    judged(metal)
    assert [str(look) for look in looks_of(metal)] == ["Cluster and hosts of customs-archive"]
    assert values(metal) == {"hosts": "true", "fresh": "true"}


# --- What is told -----------------------------------------------------------------------------------------------------
def test_what_is_well_is_told_with_when_it_was_seen_and_when_the_next_look_is(
    workspace: Workspace, account: ProviderAccount
) -> None:
    cast.looked_at(workspace)
    told = read(judged(workspace), NOW + timedelta(seconds=20))
    assert {type_: seen.value for type_, seen in told.items()} == {
        "control_plane": "true",
        "hosts": "true",
        "servers": "true",
        "dns": "true",
        "credentials": "true",
        "fresh": "true",
    }
    assert told["hosts"] == ConditionSeen(
        type="hosts",
        name="Hosts",
        tone="ok",
        value="true",
        reason="ready",
        message="3 of 3 ready.",
        error_class="",
        who_can_fix="",
        since=NOW,
        observed_at=NOW,
        next_look_at=NOW + MINUTE,
        every=60.0,
    )
    assert (told["dns"].every, told["dns"].next_look_at) == (300.0, NOW + 5 * MINUTE)
    assert told["fresh"].message == "4 loops look at it in time."


def test_after_two_periods_nothing_is_green_and_a_slower_loop_keeps_its_own_pace(
    workspace: Workspace, account: ProviderAccount
) -> None:
    cast.looked_at(workspace)
    judged(workspace)
    assert set(values(workspace, NOW + timedelta(seconds=119)).values()) == {"true"}
    after = read(workspace, NOW + timedelta(seconds=120))
    assert {type_: seen.value for type_, seen in after.items()} == {
        "control_plane": "unknown",
        "hosts": "unknown",
        "servers": "unknown",
        "dns": "true",
        "credentials": "unknown",
        "fresh": "false",
    }
    assert {after[type_].tone for type_ in ("control_plane", "hosts", "servers", "credentials")} == {"idle"}
    assert (after["hosts"].reason, after["hosts"].error_class, after["hosts"].since) == (
        "not_looked",
        "overdue",
        NOW + 2 * MINUTE,
    )
    assert after["fresh"].tone == "warn"
    assert set(values(workspace, NOW + 10 * MINUTE).values()) == {"unknown", "false"}


def test_never_looked_at_is_not_green(workspace: Workspace) -> None:
    judged(workspace)  # from what its rows say
    assert set(values(workspace).values()) == {"unknown"}
    cast.looked_at(workspace, succeeded_at=None)
    told = read(workspace)
    assert {seen.value for seen in told.values()} == {"unknown"}
    assert (told["hosts"].message, told["hosts"].observed_at) == ("Not looked at yet.", None)
    assert told["hosts"].next_look_at == NOW + MINUTE


def test_a_felt_failure_is_the_reason_although_the_last_success_is_young(
    workspace: Workspace, account: ProviderAccount
) -> None:
    cast.looked_at(workspace)
    judged(workspace)
    refused = {"error_code": "credential", "error": "Hetzner Cloud: unable to authenticate (unauthorized)"}
    Look.objects.filter(kind="servers").update(felt=True, failures=1, failing_since=NOW, **refused)
    told = read(workspace, NOW + timedelta(seconds=5))
    assert {type_: seen.value for type_, seen in told.items() if seen.value != "true"} == {
        "servers": "unknown",
        "credentials": "unknown",
        "fresh": "false",
    }
    assert (told["servers"].reason, told["servers"].error_class) == ("credential", "credential")
    assert told["servers"].message == (
        "Hetzner account kestrel: unable to authenticate (unauthorized), since 24 Nov 14:32 UTC."
    )


def test_the_class_of_a_stored_trouble_and_who_can_fix_it_are_told(
    workspace: Workspace, account: ProviderAccount
) -> None:
    failing = {"felt": True, "failures": 2, "failing_since": NOW, "error_code": "unreachable", "error": "No answer."}
    cast.looked_at(workspace)
    Look.objects.filter(kind="cluster").update(**failing, who_can_fix="Somebody.")
    told = read(judged(workspace))["hosts"]
    assert (told.value, told.error_class, told.who_can_fix) == ("unknown", "unreachable", "Somebody.")


@pytest.mark.parametrize("state", ["provisioning", "deleting", "deleted"])
def test_where_nobody_looks_nothing_is_green(workspace: Workspace, state: str) -> None:
    cast.looked_at(workspace)
    judged(workspace)
    workspace.state = state
    assert set(values(workspace).values()) == {"unknown"}
    assert read(workspace)["hosts"].message == "Nobody looks at it in this state."


def test_conditions_of_an_older_release_are_read(workspace: Workspace) -> None:
    cast.looked_at(workspace)
    workspace.conditions = [{"type": "hosts", "value": "true", "since": None}, {"type": "backup_age", "value": "false"}]
    told = read(workspace)
    assert (told["hosts"].value, told["hosts"].message, told["hosts"].since) == ("true", "", None)
    assert (told["backup_age"].name, told["backup_age"].tone) == ("Backup age", "bad")
