"""Receipts of deletions: what is removed, kept and left over by what was agreed, told and listed; and as text."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from workspaces.rules.deletion import DEFAULT, PolicyStep
from workspaces.rules.deletion_plan import Cost, Item, NotAsked, Plan, build
from workspaces.rules.deletion_receipt import (
    CAME_LATER,
    FORGOTTEN,
    NOT_OURS,
    STILL_LISTED,
    Left,
    Removed,
    Times,
    Told,
    as_text,
    compare,
    compose,
    forgotten,
    summary,
)

AT = datetime(2026, 11, 29, 14, 32, tzinfo=UTC)
TIMES = Times("Alice Ahrens", AT, AT, AT)
EURO = Cost("EUR", Decimal("1.76"), Decimal("1.76"))
HOST = Item(
    "hosts",
    "host",
    "h1",
    "ledger-w1",
    "ccx13 in fsn1, server 7",
    "a1",
    "kestrel",
    Cost("EUR", Decimal(15), Decimal(14)),
)
VOLUME = Item("volumes", "volume", "771", "ledger-data", "40 GB in fsn1", "a1", "kestrel", EURO)
OTHER = Item("volumes", "volume", "772", "scratch", "10 GB in fsn1", "a1", "kestrel", ours=False)
PLANE = Item("control_plane", "control_plane", "uid-1", "ledger")
RECORD = Item("dns", "dns_record", "r1", "gw.example A", "203.0.113.7", "a1", "kestrel")
EVERYTHING = tuple(PolicyStep(step.part, "delete") for step in DEFAULT)


def plan(*items: Item, policy: tuple[PolicyStep, ...] = EVERYTHING) -> Plan:
    return build(policy, "kubernetes", items)


def told(*items: Item) -> Told:
    return Told(tuple(Removed(item, AT) for item in items))


def test_what_is_gone_is_removed_and_stops_costing() -> None:
    outcome = compare(plan(HOST, VOLUME, RECORD), told(HOST, VOLUME, RECORD), [], [])
    receipt = compose(outcome, TIMES)
    assert [one["name"] for one in receipt["removed"]] == ["ledger-w1", "ledger-data", "gw.example A"]
    assert receipt["removed"][0]["at"] == "2026-11-29T14:32:00+00:00"
    assert receipt["stops_costing"] == [{"currency": "EUR", "list": "16.76", "agreed": "15.76"}]
    assert (receipt["kept"], receipt["left_over"], receipt["goes_on_costing"], receipt["forgotten"]) == (
        [],
        [],
        [],
        None,
    )


def test_what_the_provider_lists_still_is_left_over_whatever_the_steps_say() -> None:
    outcome = compare(plan(VOLUME), told(VOLUME), [VOLUME], [])
    assert (outcome.removed, outcome.left) == ((), (Left(VOLUME, STILL_LISTED),))
    assert compose(outcome, TIMES)["goes_on_costing"] == [{"currency": "EUR", "list": "1.76", "agreed": "1.76"}]


def test_what_came_after_the_plan_is_left_over() -> None:
    assert compare(plan(HOST), told(HOST), [VOLUME], []).left == (Left(VOLUME, CAME_LATER),)


def test_what_is_not_under_the_label_is_left_over_also_when_no_server_holds_it_any_more() -> None:
    assert compare(plan(HOST, OTHER), told(HOST), [], []).left == (Left(OTHER, NOT_OURS),)


def test_what_others_use_too_is_left_with_what_was_seen_of_that() -> None:
    shared = Item(
        "data_store", "data_store", "uid-2", "shared", ours=False, note="Others use it too, so it stays: b/b."
    )
    assert compare(plan(shared), Told(), [shared], []).left == (Left(shared, shared.note),)
    assert forgotten(plan(shared), Told()).left == (Left(shared, shared.note),)


def test_what_the_policy_keeps_is_kept_only_while_it_is_there() -> None:
    keeping = plan(VOLUME, policy=DEFAULT)
    assert compare(keeping, Told(), [VOLUME], []).kept == (VOLUME,)
    assert compare(keeping, Told(), [], []).kept == ()


def test_what_is_kept_in_an_account_that_does_not_answer_is_told_as_kept() -> None:
    silent = NotAsked(("volumes",), "Account kestrel", "credential", "No.", account="a1")
    assert compare(plan(VOLUME, policy=DEFAULT), Told(), [], [silent]).kept == (VOLUME,)


def test_a_step_that_left_something_says_why_unless_it_is_gone_meanwhile() -> None:
    left = Told(left=(Left(VOLUME, "Server mail, which is not this workspace's, holds it."),))
    assert compare(plan(VOLUME), left, [VOLUME], []).left == left.left
    assert compare(plan(VOLUME), left, [], []).left == ()


def test_no_kubeconfig_outlives_the_control_plane_whatever_the_policy_keeps() -> None:
    handed_out = Item("kubeconfigs", "kubeconfig", "k1", "Alice")
    keeping = tuple(PolicyStep(one.part, "keep" if one.part == "kubeconfigs" else "delete") for one in EVERYTHING)
    outcome = compare(plan(handed_out, PLANE, policy=keeping), told(PLANE), [], [])
    assert (outcome.kept, [one.item for one in outcome.removed]) == ((), [PLANE, handed_out])
    assert compare(plan(handed_out, PLANE, policy=keeping), Told(), [PLANE], []).kept == (handed_out,)


def test_forgetting_leaves_everything_that_no_step_removed() -> None:
    outcome = forgotten(plan(HOST, VOLUME, PLANE, OTHER), told(HOST))
    assert {one.item.name: one.why for one in outcome.left} == {
        "ledger-data": FORGOTTEN,
        "ledger": FORGOTTEN,
        "scratch": NOT_OURS,
    }
    assert [one.item for one in outcome.removed] == [HOST]


def test_the_trail_names_what_is_left_over() -> None:
    receipt = compose(compare(plan(HOST, VOLUME, OTHER), told(HOST, VOLUME), [], []), TIMES)
    assert summary(receipt) == "2 removed, 1 left over. Left over: volume scratch"
    assert summary(compose(compare(plan(), Told(), [], []), TIMES)) == "there was nothing"


def test_as_text_it_names_everything_and_what_it_costs() -> None:
    outcome = compare(plan(HOST, VOLUME, OTHER), told(HOST), [VOLUME], [])
    words = {"by": "Erin", "at": AT.isoformat(), "reason": "the account is closed"}
    assert as_text(compose(outcome, TIMES, words), "ledger-prod") == (
        "Receipt of the deletion of ledger-prod\n"
        "\n"
        "Asked for by  Alice Ahrens, 2026-11-29 14:32 UTC\n"
        "Begun         2026-11-29 14:32 UTC\n"
        "Ended         2026-11-29 14:32 UTC\n"
        "Forgotten by  Erin, 2026-11-29 14:32 UTC: the account is closed\n"
        "\n"
        "Removed (1)\n"
        "- host ledger-w1 (h1), ccx13 in fsn1, server 7, in kestrel  gone 2026-11-29 14:32 UTC\n"
        "\n"
        "Kept (0)\n"
        "- nothing\n"
        "\n"
        "Left over (2)\n"
        f"- volume ledger-data (771), 40 GB in fsn1, in kestrel  {CAME_LATER}\n"
        f"- volume scratch (772), 10 GB in fsn1, in kestrel  {NOT_OURS}\n"
        "\n"
        "Not paid any more, a month at most, net   EUR 14.00 (list 15.00)\n"
        "Paid for all the same, a month at most    EUR 1.76 (list 1.76)\n"
    )


@pytest.mark.parametrize("begun", [None, AT])
def test_one_that_never_began_says_so(begun: datetime | None) -> None:
    text = as_text(compose(compare(plan(), Told(), [], []), Times("Alice", AT, begun, AT)), "ledger")
    assert ("Begun         never" in text) == (begun is None)
