"""What people decide about drift: what is seen becomes what is wanted, or is set back, or it is refused with why."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tests import cast
from workspaces.models import (
    PLATFORM,
    Account,
    Actor,
    DnsRecord,
    Drift,
    Event,
    Look,
    Operation,
    ProviderAccount,
    Seed,
    SeedManifest,
    StepPlan,
    Workspace,
)
from workspaces.operations.drift import decide
from workspaces.rules.refusal import Refused

pytestmark = pytest.mark.django_db


def drifted(workspace: Workspace, field: str = "replicas", wanted: Any = 2, seen: Any = 3, **more: Any) -> Drift:
    """An open row that waits for a decision."""
    values = {"kind": "control_plane", "subject": "Control plane", "policy": "decide", "since": cast.NOW} | more
    made = Drift.objects.create(workspace=workspace, field=field, wanted=wanted, seen=seen, **values)
    return Drift.objects.select_related("workspace__project").get(pk=made.pk)


def on_host(workspace: Workspace, field: str, wanted: Any, seen: Any, **more: Any) -> Drift:
    host = workspace.hosts.order_by("name")[0]
    values: dict[str, Any] = {"kind": "host", "ref": str(host.pk), "host": host, "subject": f"Server {host.name}"}
    return drifted(workspace, field, wanted, seen, **(values | more))


def seeded(workspace: Workspace, *, protected: bool = False) -> Seed:
    manifest = SeedManifest.objects.create(name="baseline", content="", protected=protected)
    return Seed.objects.create(workspace=workspace, manifest=manifest, object="v1 ConfigMap a/b", left=["data.z"])


def code(refused: Refused | None) -> str:
    assert refused is not None
    return refused.code


@pytest.fixture
def by(bob: Account) -> Actor:
    return Actor.of(bob)


# --- Accepting --------------------------------------------------------------------------------------------------------
def test_what_is_accepted_of_a_control_plane_is_wanted_from_then_on(workspace: Workspace, by: Actor) -> None:
    Workspace.objects.update(wanted={"replicas": 2, "paused": False})
    row = drifted(workspace)
    assert decide(row, "accept", by) is None
    workspace.refresh_from_db()
    assert workspace.wanted == {"replicas": 3, "paused": False}
    stored = Drift.objects.get()
    assert (row.ending, row.decision, row.decided_by) == ("accepted", "accept", by.name)
    assert (stored.ending, stored.decision, stored.decided_by) == ("accepted", "accept", by.name)
    assert stored.ended_at == stored.decided_at is not None
    event = Event.objects.acts().get(action="drift.accepted")
    assert event.summary == "Accepted replicas of the control plane as 3; 2 was wanted"
    assert (event.actor_name, event.workspace_id, event.changes) == (by.name, workspace.pk, {"replicas": [2, 3]})


@pytest.mark.parametrize(
    ("field", "policy", "wanted", "seen"),
    [("server_type", "tell", "ccx23", "cpx31"), ("name", "repair", "w1", "old"), ("power", "decide", "running", "off")],
)
def test_what_is_accepted_of_a_server_is_wanted_of_its_host(
    workspace: Workspace, by: Actor, field: str, policy: str, wanted: str, seen: str
) -> None:
    workspace.hosts.update(wanted={"server_type": "ccx23", "name": "w1"})
    row = on_host(workspace, field, wanted, seen, policy=policy)
    assert decide(row, "accept", by) is None
    assert workspace.hosts.get(pk=row.ref).wanted == {"server_type": "ccx23", "name": "w1"} | {field: seen}
    assert workspace.hosts.exclude(pk=row.ref)[0].wanted == {"server_type": "ccx23", "name": "w1"}


def test_a_node_that_is_accepted_as_closed_is_wanted_so(workspace: Workspace, by: Actor) -> None:
    row = on_host(workspace, "unschedulable", False, True, kind="node")
    assert decide(row, "accept", by) is None
    assert workspace.hosts.get(pk=row.ref).wanted == {"unschedulable": True}


def test_what_is_accepted_of_a_record_is_its_value_or_its_ttl(workspace: Workspace, by: Actor) -> None:
    account = ProviderAccount.objects.create(organization=workspace.project.organization, name="dns", token="t")
    record = DnsRecord.objects.create(
        workspace=workspace, provider_account=account, zone="customs.example", name="gw", value="203.0.113.7", ttl=300
    )
    about: dict[str, Any] = {"kind": "dns", "ref": str(record.pk), "subject": "DNS record gw.customs.example A"}
    several = drifted(workspace, "records", ["203.0.113.7"], ["203.0.113.8", "203.0.113.9"], **about)
    assert code(decide(several, "accept", by)) == "cannot_be_accepted"
    several.delete()
    one = drifted(workspace, "records", ["203.0.113.7"], ["203.0.113.8"], policy="repair", **about)
    assert decide(one, "accept", by) is None
    assert decide(drifted(workspace, "ttl", 300, 60, policy="repair", **about), "accept", by) is None
    record.refresh_from_db()
    assert (record.value, record.ttl) == ("203.0.113.8", 60)


def test_a_field_that_is_accepted_of_a_seeded_object_is_left_to_others(workspace: Workspace, by: Actor) -> None:
    seed = seeded(workspace)
    row = drifted(workspace, "data.a", "1", "2", kind="seed", ref=str(seed.pk), subject="ConfigMap a/b")
    later = timezone.now() + timedelta(hours=1)
    look = Look.objects.create(kind="seeding", workspace=workspace, every=600, due_at=later)
    assert decide(row, "accept", by) is None
    seed.refresh_from_db()
    assert seed.left == ["data.a", "data.z"]
    look.refresh_from_db()
    assert look.due_at < later


def test_nothing_is_accepted_of_a_protected_manifest(workspace: Workspace, by: Actor) -> None:
    seed = seeded(workspace, protected=True)
    row = drifted(workspace, "data.a", "1", "2", kind="seed", ref=str(seed.pk), subject="ConfigMap a/b")
    refused = decide(row, "accept", by)
    assert refused == Refused("protected", "baseline is protected: what differs from it cannot be accepted.")
    seed.refresh_from_db()
    assert seed.left == ["data.z"]
    assert decide(row, "converge", by) is None


# --- Setting back -----------------------------------------------------------------------------------------------------
def test_what_is_to_be_set_back_is_left_to_the_next_look_which_comes_at_once(workspace: Workspace, by: Actor) -> None:
    row = on_host(workspace, "unschedulable", False, True, kind="node", subject="Node w1")
    mine, other = (
        Look.objects.create(kind=kind, workspace=workspace, every=60, due_at=timezone.now() + timedelta(hours=1))
        for kind in ("cluster", "seeding")
    )
    assert decide(row, "converge", by) is None
    assert (row.decision, row.ended_at, row.decided_by) == ("converge", None, by.name)
    mine.refresh_from_db()
    other.refresh_from_db()
    assert mine.due_at <= timezone.now() < other.due_at
    event = Event.objects.acts().get(action="drift.converge")
    assert event.summary == "Decided to set scheduling of node w1 back to open; it is closed"
    assert workspace.hosts.get(pk=row.ref).wanted == {}


@pytest.mark.parametrize("kind", ["control_plane", "host", "dns", "seed"])
def test_the_look_that_sets_it_back_is_that_of_its_kind(workspace: Workspace, by: Actor, kind: str) -> None:
    account = ProviderAccount.objects.create(organization=workspace.project.organization, name="fsn", token="t")
    host = workspace.hosts.all()[0]
    workspace.hosts.filter(pk=host.pk).update(provider_account=account)
    record = DnsRecord.objects.create(workspace=workspace, provider_account=account, zone="z", name="n", value="v")
    later = timezone.now() + timedelta(hours=1)
    targets: dict[str, Any] = {
        "control_planes": {"management_cluster": workspace.management_cluster},
        "servers": {"provider_account": account},
        "dns": {"provider_account": account},
        "seeding": {"workspace": workspace},
    }
    for look, target in targets.items():
        Look.objects.create(kind=look, every=60, due_at=later, **target)
    refs = {"control_plane": "", "host": str(host.pk), "dns": str(record.pk), "seed": str(seeded(workspace).pk)}
    row = drifted(workspace, "name", "a", "b", kind=kind, ref=refs[kind])
    assert decide(row, "converge", by) is None
    expected = {"control_plane": "control_planes", "host": "servers", "dns": "dns", "seed": "seeding"}[kind]
    assert list(Look.objects.filter(due_at__lt=later).values_list("kind", flat=True)) == [expected]


@pytest.mark.parametrize(
    ("field", "policy", "wanted", "seen", "said"),
    [
        ("server_type", "tell", "ccx23", "cpx31", "It is brought to ccx23 by resizing it."),
        (
            "gone",
            "tell",
            "w1",
            None,
            "Nothing brings a deleted server back: order another host and remove this one.",
        ),
        ("power", "tell", "off", "running", "This is told only: nothing is set back here."),
    ],
)
def test_what_nothing_brings_back_is_refused_with_what_to_do(
    workspace: Workspace, by: Actor, field: str, policy: str, wanted: Any, seen: Any, said: str
) -> None:
    row = on_host(workspace, field, wanted, seen, policy=policy)
    assert decide(row, "converge", by) == Refused("cannot_be_set_back", said)
    assert Drift.objects.get().decision == ""


def test_a_version_is_never_set_back(workspace: Workspace, by: Actor) -> None:
    row = drifted(workspace, "kubernetes_version", "1.34.8", "1.35.4")
    refused = decide(row, "converge", by)
    assert refused == Refused(
        "cannot_be_set_back",
        "A control plane only goes up, so it cannot be set back from 1.35.4 to 1.34.8. Accept it, or start an upgrade.",
    )
    assert decide(row, "accept", by) is None


@pytest.mark.parametrize(("state", "expected"), [("gated", ""), ("error", "not_active"), ("deleting", "not_active")])
def test_nothing_is_to_be_set_back_in_a_state_in_which_nothing_is(
    workspace: Workspace, by: Actor, state: str, expected: str
) -> None:
    Workspace.objects.update(state=state)
    refused = decide(drifted(workspace), "converge", by)
    assert (refused.code if refused else "") == expected


# --- Refused ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("field", "seen"), [("gone", None), ("labels.loopback/host", None)])
def test_what_is_no_state_to_be_in_is_not_accepted(workspace: Workspace, by: Actor, field: str, seen: Any) -> None:
    assert code(decide(on_host(workspace, field, "w1", seen), "accept", by)) == "cannot_be_accepted"


@pytest.mark.parametrize("decision", ["accept", "converge"])
def test_nothing_is_decided_while_an_operation_is_open(workspace: Workspace, by: Actor, decision: str) -> None:
    row = drifted(workspace)
    Operation.start(workspace, "upgrade", "Upgrade to 1.35.4", [StepPlan("one", "One")], actor=PLATFORM)
    refused = decide(row, decision, by)
    assert code(refused) == "operation_running"
    assert refused is not None
    assert refused.message == "Upgrade to 1.35.4 is running. Wait for it to end, or stop it."
    assert Workspace.objects.get(pk=workspace.pk).wanted == {}


def test_what_is_not_different_any_more_needs_no_decision(workspace: Workspace, by: Actor) -> None:
    row = drifted(workspace)
    Drift.objects.update(ended_at=cast.NOW, ending="gone")
    refused = decide(row, "accept", by)
    assert refused == Refused("not_open", "This is not different any more: went away by itself.")


def test_the_second_who_decides_is_told_who_has(workspace: Workspace, by: Actor, alice: Account) -> None:
    row, twin = drifted(workspace), Drift.objects.select_related("workspace").get()
    assert decide(row, "accept", by) is None
    refused = decide(twin, "converge", Actor.of(alice))
    assert refused == Refused("already_decided", f"{by.name} has decided already: accepted.", {"decision": "accept"})


def test_what_could_not_be_set_back_may_be_decided_otherwise(workspace: Workspace, by: Actor) -> None:
    row = drifted(workspace)
    assert decide(row, "converge", by) is None
    assert code(decide(row, "accept", by)) == "already_decided"
    Drift.objects.update(error="Kamaji does not answer.")
    assert decide(row, "accept", by) is None
    assert (row.ending, row.error) == ("accepted", "")


def test_who_decides_about_a_workspace_that_has_been_moved_is_refused(workspace: Workspace, by: Actor) -> None:
    row = drifted(workspace)
    assert row.workspace.project.name == "Freight Core"
    Workspace.objects.update(project=cast.project("Customs"))
    assert code(decide(row, "accept", by)) == "moved"


def test_what_it_is_about_may_be_gone_by_then(workspace: Workspace, by: Actor) -> None:
    row = drifted(workspace, "data.a", "1", "2", kind="seed", ref="6f9619ff-8b86-d011-b42d-00c04fc964ff", subject="X")
    assert decide(row, "accept", by) == Refused("not_open", "X is not kept here any more.")
    assert Drift.objects.get().ended_at is None


def test_another_word_is_a_mistake_of_the_caller(workspace: Workspace, by: Actor) -> None:
    with pytest.raises(ValueError, match="no decision about drift"):
        decide(drifted(workspace), "ignore", by)


@pytest.mark.django_db(transaction=True)
def test_of_two_people_who_decide_at_once_one_does(workspace: Workspace, alice: Account, bob: Account) -> None:
    Workspace.objects.update(wanted={"replicas": 2})
    key = drifted(workspace).pk
    start, came = threading.Barrier(2), []

    def run(who: Account, decision: str) -> None:
        row = Drift.objects.select_related("workspace").get(pk=key)
        start.wait()
        came.append((decision, decide(row, decision, Actor.of(who))))
        connection.close()

    threads = [threading.Thread(target=run, args=each) for each in ((alice, "accept"), (bob, "converge"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    refusals = [refused.code for _, refused in came if refused]
    [won] = [decision for decision, refused in came if refused is None]
    assert refusals == ["already_decided"]
    workspace.refresh_from_db()
    assert (won, workspace.wanted["replicas"]) in [("accept", 3), ("converge", 2)]
    assert Event.objects.acts().filter(action__startswith="drift.").count() == 1
