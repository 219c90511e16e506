"""What stands in the way of setting a DNS record back, and how it is told; and records that somebody fights over."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operations.zones import ALICE, OURS, VALUE, Zoned, acts, between, told
from workspaces.models import Drift, Look, Workspace
from workspaces.operations import dns_records, drift, reconcile
from workspaces.providers.dns import RecordSet
from workspaces.providers.errors import Permanent, ProviderError, Temporary


@pytest.fixture
def zoned(world: Any, workspace: Workspace) -> Zoned:
    return Zoned(world)


def failing(zoned: Zoned) -> ProviderError:
    with pytest.raises((Temporary, Permanent)) as caught:
        zoned.look()
    return caught.value


def test_a_protected_record_set_waits_for_a_decision_which_says_why_it_cannot_be_carried_out(
    zoned: Zoned, workspace: Workspace
) -> None:
    zoned.keep(workspace)
    zoned.there("gw", "AAAA", "2001:db8::bad")
    zoned.protect(change=True)
    zoned.look()
    one = Drift.objects.open().get()
    assert (one.policy, one.error) == ("decide", "")
    assert one.reason.startswith("It is protected against changes. Who can fix: the owner of the cloud account")
    assert zoned.calls("POST", "*set_records") == []
    assert drift.decide(one, "converge", ALICE) is None
    zoned.look()
    one.refresh_from_db()
    assert one.error == (
        "Hetzner Cloud: RRSet is protected (protected) Who can fix: The owner of the cloud account, by lifting the "
        "protection of the record set."
    )
    zoned.protect(change=False)
    zoned.look()
    assert (told(), zoned.found("gw", "AAAA")) == ([], OURS)
    assert acts()[-1].endswith("it was 2001:db8::bad; Alice Ahrens has decided so")


def test_what_is_accepted_is_what_is_wanted_from_then_on(zoned: Zoned, workspace: Workspace) -> None:
    row = zoned.keep(workspace, ttl=300)
    zoned.there("gw", "AAAA", "2001:db8::8", ttl=60)
    zoned.protect(change=True)
    zoned.look()
    for one in Drift.objects.open():
        assert drift.decide(one, "accept", ALICE) is None
    row.refresh_from_db()
    assert (row.value, row.ttl) == ("2001:db8::8", 60)
    zoned.look()
    assert told() == []
    assert zoned.found("gw", "AAAA") == RecordSet("gw", "AAAA", ("2001:db8::8",), 60, protected=True)


def test_a_record_that_is_changed_back_each_time_is_left_to_a_person(zoned: Zoned, workspace: Workspace) -> None:
    zoned.keep(workspace, new=True)
    zoned.look()  # makes it, which does not count
    for _ in range(2):
        zoned.change("2001:db8::bad")
        zoned.look()
        assert zoned.found("gw", "AAAA") == OURS
    zoned.change("2001:db8::bad")
    zoned.look()
    one = Drift.objects.open().get()
    assert (one.fought, one.policy, one.repairs) == (True, "decide", 2)
    assert one.reason == "Set back twice, and different again."
    assert zoned.found("gw", "AAAA") == RecordSet("gw", "AAAA", ("2001:db8::bad",))
    assert drift.decide(one, "converge", ALICE) is None
    zoned.look()
    assert (told(), zoned.found("gw", "AAAA")) == ([], OURS)


def test_a_token_that_may_only_read_says_so_for_each_record_and_is_not_tried_again(
    world: Any, workspace: Workspace
) -> None:
    zoned = Zoned(world, read_only=True)
    for name in ("gw", "www"):
        zoned.keep(workspace, name)
    zoned.look()
    errors = {error for (error,) in told("error")}
    assert len(zoned.calls("POST")) == 1
    (error,) = errors
    assert error.endswith("(token_readonly) Who can fix: The operator of the platform, by storing a valid credential.")
    assert len(told()) == 2
    assert acts() == []


def test_one_record_that_the_vendor_refuses_does_not_keep_the_others(zoned: Zoned, workspace: Workspace) -> None:
    zoned.keep(workspace, "not possible")
    zoned.keep(workspace, "www")
    zoned.look()
    ((subject, error),) = told("subject", "error")
    assert subject == "DNS record not possible.customs.example AAAA"
    assert error.startswith("Hetzner Cloud: ")
    assert zoned.found("www", "AAAA") == RecordSet("www", "AAAA", (VALUE,))


def test_records_that_failed_before_do_not_keep_the_others_waiting(
    zoned: Zoned, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dns_records, "AT_ONCE", 1)
    zoned.keep(workspace, "a b")
    zoned.keep(workspace, "www")
    for _ in range(2):
        zoned.look()
    assert told("subject") == [("DNS record a b.customs.example AAAA",)]


def test_a_change_whose_answer_was_lost_is_told_by_the_listing(zoned: Zoned, workspace: Workspace) -> None:
    zoned.keep(workspace)
    zoned.there("gw", "AAAA", "2001:db8::bad")
    with between(zoned, "lost") as passed:
        zoned.look()
    assert len(passed) == 1
    assert (told(), zoned.found("gw", "AAAA")) == ([], OURS)
    assert acts() == [f"Set records of DNS record gw.customs.example AAAA back to {VALUE}; it was 2001:db8::bad"]


def test_a_change_that_did_not_arrive_is_told_and_made_by_the_next_look(zoned: Zoned, workspace: Workspace) -> None:
    zoned.keep(workspace)
    zoned.fault(kind="status", status=503, method="POST", times=1)
    zoned.look()
    ((error, repairs),) = told("error", "repairs")
    assert error.endswith("Who can fix: The vendor. The call is repeated.")
    assert repairs == 0
    assert acts() == []
    zoned.look()
    assert (told(), zoned.found("gw", "AAAA")) == ([], OURS)
    assert len(acts()) == 1


def test_a_change_that_was_accepted_and_then_failed_is_told_and_not_called_done(
    zoned: Zoned, workspace: Workspace
) -> None:
    zoned.keep(workspace)
    zoned.there("gw", "AAAA", "2001:db8::bad")
    with between(zoned, "failed") as passed:
        zoned.look()
    assert len(passed) == 1
    assert told("error", "repairs") == [
        ("Hetzner Cloud: Action failed (action_failed) Who can fix: The vendor. The call is repeated.", 0)
    ]
    assert acts() == []
    zoned.look()
    assert (told(), zoned.found("gw", "AAAA")) == ([], OURS)


def test_a_record_set_that_came_to_be_meanwhile_is_no_failure(zoned: Zoned, workspace: Workspace) -> None:
    zoned.keep(workspace)
    with between(zoned, "twice"):
        zoned.look()
    assert (told(), zoned.found("gw", "AAAA")) == ([], OURS)
    assert [row.error for row in Drift.objects.all()] == [""]


def test_a_vendor_that_cannot_be_asked_is_an_error_and_nothing_is_called_different(
    zoned: Zoned, workspace: Workspace
) -> None:
    row = zoned.keep(workspace, new=True)
    zoned.fault(kind="status", status=503)
    assert failing(zoned).code == "cloud_api"
    zoned.world.clear_faults()
    zoned.fault(kind="expired_token", path="*/rrsets")
    assert failing(zoned).code == "credential"
    row.refresh_from_db()
    assert (row.observed_value, row.observed_at, told()) == ("", None, [])


def test_a_token_that_has_expired_is_told_by_the_look_of_the_account(zoned: Zoned, workspace: Workspace) -> None:
    zoned.keep(workspace)
    zoned.fault(kind="expired_token")
    reconcile.look_at_dns(zoned.account.pk)
    look = Look.objects.get(kind="dns", provider_account=zoned.account)
    assert (look.felt, look.succeeded_at, look.error_code) == (True, None, "credential")
    assert look.who_can_fix == "The operator of the platform, by storing a valid credential."
    zoned.world.clear_faults()
    reconcile.look_at_dns(zoned.account.pk)
    look.refresh_from_db()
    assert (look.felt, look.error_code, look.succeeded_at == look.tried_at) == (False, "", True)
