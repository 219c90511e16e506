"""Looks at DNS zones against the simulated cloud: what is told as drift, what is set back, and what is left alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.utils import timezone

from tests.operations.zones import ALICE, OURS, VALUE, ZONE, Zoned, acts, told
from workspaces.models import DnsRecord, Drift, Operation, Workspace
from workspaces.operations import drift
from workspaces.providers.dns import RecordSet


@pytest.fixture
def zoned(world: Any, workspace: Workspace) -> Zoned:
    return Zoned(world)


def test_a_record_that_is_as_wanted_is_seen_and_nothing_else_happens(zoned: Zoned, workspace: Workspace) -> None:
    row, now = zoned.keep(workspace, new=True), timezone.now()
    zoned.there("gw", "AAAA", "2001:0DB8::0007")
    zoned.look(now)
    row.refresh_from_db()
    assert (row.observed_value, row.observed_at) == (VALUE, now)
    assert not Drift.objects.exists()
    assert acts() == []
    assert zoned.calls("POST", "*/actions/*") == []


def test_a_record_that_was_never_there_is_made_and_is_no_drift(zoned: Zoned, workspace: Workspace) -> None:
    row, now = zoned.keep(workspace, new=True, ttl=300), timezone.now()
    zoned.look(now)
    assert zoned.found("gw", "AAAA") == RecordSet("gw", "AAAA", (VALUE,), 300)
    assert not Drift.objects.exists()
    assert acts() == [f"Made DNS record gw.customs.example AAAA: {VALUE}"]
    row.refresh_from_db()
    assert (row.observed_value, row.observed_at) == (VALUE, now)


def test_a_record_that_somebody_deleted_is_made_again_and_is_drift(zoned: Zoned, workspace: Workspace) -> None:
    row = zoned.keep(workspace, ttl=300)
    zoned.look()
    assert zoned.found("gw", "AAAA") == RecordSet("gw", "AAAA", (VALUE,), 300)
    assert told(only_open=False) == [("records", [VALUE], None, "repair")]
    assert told() == []
    assert Drift.objects.get().ending == "repaired"
    assert acts() == [f"Set records of DNS record gw.customs.example AAAA back to {VALUE}; it was not there"]
    row.refresh_from_db()
    assert row.observed_value == VALUE


def test_what_was_there_before_it_was_kept_is_not_taken_over_without_a_decision(
    zoned: Zoned, workspace: Workspace
) -> None:
    row = zoned.keep(workspace, new=True, ttl=300)
    zoned.there("gw", "AAAA", "2001:db8::9")
    operation = Operation.objects.create(workspace=workspace, kind="upgrade", state="running", title="Upgrade")
    zoned.look()
    Operation.objects.filter(pk=operation.pk).update(state="succeeded")
    zoned.look()
    zoned.look()
    assert told() == [("records", [VALUE], ["2001:db8::9"], "decide"), ("ttl", 300, 3600, "decide")]
    reasons = set(Drift.objects.values_list("reason", flat=True))
    assert reasons == {
        "It was in the zone before it was kept here: somebody may rely on it. Accept it, or have it set."
    }
    row.refresh_from_db()
    assert (row.observed_value, row.observed_at) == ("2001:db8::9", None)
    for one in Drift.objects.open():
        assert drift.decide(one, "converge", ALICE) is None
    zoned.look()
    assert zoned.found("gw", "AAAA") == RecordSet("gw", "AAAA", (VALUE,), 300)
    zoned.change("2001:db8::9")
    zoned.look()
    assert (told(), zoned.found("gw", "AAAA")) == ([], RecordSet("gw", "AAAA", (VALUE,), 300))


def test_a_value_that_somebody_changed_is_set_back(zoned: Zoned, workspace: Workspace) -> None:
    zoned.keep(workspace)
    zoned.there("gw", "AAAA", VALUE, "2001:db8::bad")
    zoned.look()
    assert zoned.found("gw", "AAAA") == OURS
    (one,) = Drift.objects.all()
    assert (one.subject, one.field, one.wanted) == ("DNS record gw.customs.example AAAA", "records", [VALUE])
    assert (one.seen, one.actor, one.repairs, one.ending) == ([VALUE, "2001:db8::bad"], "", 1, "repaired")
    assert acts() == [
        f"Set records of DNS record gw.customs.example AAAA back to {VALUE}; it was {VALUE}, 2001:db8::bad"
    ]


@pytest.mark.parametrize(("wanted", "there", "seen"), [(300, 60, 60), (None, 60, 60), (300, None, 3600)])
def test_a_time_to_live_that_somebody_changed_is_set_back(
    zoned: Zoned, workspace: Workspace, wanted: int | None, there: int | None, seen: int
) -> None:
    zoned.keep(workspace, ttl=wanted)
    zoned.there(ttl=there)
    zoned.look()
    assert zoned.found("gw", "AAAA") == RecordSet("gw", "AAAA", (VALUE,), wanted)
    assert told(only_open=False) == [("ttl", wanted or 3600, seen, "repair")]
    assert told() == []


def test_text_is_quoted_in_the_zone_and_not_here(zoned: Zoned, workspace: Workspace) -> None:
    row = zoned.keep(workspace, "@", new=True, type="TXT", value='v=spf1 "all"')
    zoned.look()
    assert zoned.found("@", "TXT") == RecordSet("@", "TXT", (r'"v=spf1 \"all\""',))
    zoned.change('"v=spf1 +all"', name="@", type="TXT")
    zoned.look()
    assert told("seen", only_open=False) == [(["v=spf1 +all"],)]
    row.refresh_from_db()
    assert row.observed_value == 'v=spf1 "all"'


def test_records_of_others_in_the_same_zone_are_left_alone(zoned: Zoned, workspace: Workspace) -> None:
    zoned.keep(workspace)
    zoned.there("gw", "A", "203.0.113.9")
    zoned.there("www", "AAAA", "2001:db8::bad")
    zoned.look()
    assert zoned.found("gw", "A") == RecordSet("gw", "A", ("203.0.113.9",))
    assert zoned.found("www", "AAAA") == RecordSet("www", "AAAA", ("2001:db8::bad",))


def test_a_secondary_zone_is_told_with_who_can_fix_it_and_never_written(world: Any, workspace: Workspace) -> None:
    zoned = Zoned(world, {"name": ZONE, "mode": "secondary"})
    zoned.keep(workspace)
    zoned.look()
    assert told() == [("records", [VALUE], None, "tell")]
    assert Drift.objects.get().reason.endswith("Who can fix: whoever runs the primary name servers of the zone.")
    assert zoned.calls("POST") == []


def test_a_zone_that_is_not_there_is_told_and_the_others_are_looked_at(zoned: Zoned, workspace: Workspace) -> None:
    lost = zoned.keep(workspace, zone="elsewhere.example")
    zoned.keep(workspace, "www")
    zoned.look()
    assert told() == [("zone", "elsewhere.example", None, "tell")]
    one = Drift.objects.open().get()
    assert (one.ref, one.subject) == (str(lost.pk), "DNS record gw.elsewhere.example AAAA")
    assert one.reason.startswith("Its cloud account has no such zone. Who can fix: the owner of the cloud account")
    assert zoned.found("www", "AAAA") == RecordSet("www", "AAAA", (VALUE,))
    zoned.person.zones.create(name="elsewhere.example", mode="primary")
    zoned.look()
    assert told() == []
    assert zoned.found("gw", "AAAA", "elsewhere.example") == OURS


def test_while_an_operation_is_open_nothing_is_told_or_set_back(zoned: Zoned, workspace: Workspace) -> None:
    zoned.keep(workspace)
    zoned.there("gw", "AAAA", "2001:db8::bad")
    operation = Operation.objects.create(workspace=workspace, kind="upgrade", state="running", title="Upgrade")
    zoned.look()
    assert (told(), zoned.calls("POST", "*set_records")) == ([], [])
    operation.state = "succeeded"
    operation.save()
    zoned.look()
    assert zoned.found("gw", "AAAA") == OURS


@pytest.mark.parametrize(
    ("state", "told_as"),
    [("deletion_scheduled", 1), ("error", 1), ("deleting", 0), ("deleted", 0), ("provisioning", 0)],
)
def test_records_of_workspaces_that_leave_or_are_not_there_yet_are_not_made(
    zoned: Zoned, workspace: Workspace, state: str, told_as: int
) -> None:
    zoned.keep(workspace)
    Workspace.objects.update(state=state)
    zoned.look()
    assert len(told()) == told_as
    assert zoned.calls("POST") == []


def test_drift_of_a_record_that_is_kept_no_more_ends(world: Any, workspace: Workspace) -> None:
    zoned = Zoned(world, {"name": ZONE, "mode": "secondary"})
    row = zoned.keep(workspace)
    zoned.look()
    assert len(told()) == 1
    row.delete()
    zoned.look()
    assert told() == []
    assert Drift.objects.get().ending == "gone"


def test_a_look_at_one_account_leaves_the_drift_of_another(world: Any, workspace: Workspace) -> None:
    one, other = (Zoned(world, {"name": ZONE, "mode": "secondary"}) for _ in range(2))
    one.keep(workspace, "gw")
    other.keep(workspace, "www")
    one.look()
    other.look()
    one.look()
    assert len(told()) == 2


def test_a_look_asks_for_the_zones_once_and_for_each_zone_with_records_once(world: Any, workspace: Workspace) -> None:
    zoned = Zoned(world, {"name": ZONE}, {"name": "edge.example"}, {"name": "nothing.example"})
    for number in range(12):
        zoned.keep(workspace, f"h{number}", zone=ZONE if number % 2 else "edge.example")
    zoned.look()
    before = len(zoned.calls())
    zoned.look()
    zones = {zone.name: zone.id for zone in zoned.zones.zones().values()}
    assert [path.partition("?")[0] for path in zoned.calls()[before:-1]] == [
        "/v1/zones",
        f"/v1/zones/{zones[ZONE]}/rrsets",
        f"/v1/zones/{zones['edge.example']}/rrsets",
    ]


def test_an_account_without_records_is_not_asked(zoned: Zoned) -> None:
    zoned.look()
    assert zoned.calls() == []


@pytest.mark.parametrize("records", [1, 30])
def test_a_look_at_what_has_not_changed_makes_four_queries_and_writes_nothing(
    zoned: Zoned, workspace: Workspace, records: int, django_assert_num_queries: Any
) -> None:
    for number in range(records):
        zoned.keep(workspace, f"h{number}")
        zoned.there(f"h{number}")
    zoned.look()
    with django_assert_num_queries(5) as queries:  # the account first
        zoned.look()
    assert all(query["sql"].startswith("SELECT") for query in queries.captured_queries)


def test_one_change_of_many_writes_one_row(zoned: Zoned, workspace: Workspace) -> None:
    for number in range(10):
        zoned.keep(workspace, f"h{number}", new=True)
        zoned.there(f"h{number}")
    first = timezone.now()
    zoned.look(first)
    zoned.change("2001:db8::bad", name="h3")
    zoned.protect(change=True, name="h3")
    second = timezone.now()
    zoned.look(second)
    seen: dict[datetime | None, int] = {}
    for row in DnsRecord.objects.all():
        seen[row.observed_at] = seen.get(row.observed_at, 0) + 1
    assert seen == {first: 9, second: 1}
