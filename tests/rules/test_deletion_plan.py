"""Plans of deletions: what goes and stays, what it stops costing, and that nothing is lost when they are stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from workspaces.rules.deletion import DEFAULT
from workspaces.rules.deletion_plan import Cost, Item, NotAsked, Plan, build

AT = datetime(2026, 11, 24, 14, 32, tzinfo=UTC)
SERVER = Item(
    "hosts", "host", "h1", "w1", "cpx32 in fsn1", "a", "kestrel", Cost("EUR", Decimal("20"), Decimal("18.50"))
)
MACHINE = Item("hosts", "machine", "h2", "bare-1")
VOLUME = Item("volumes", "volume", "7", "data", "40 GB", "a", "kestrel", Cost("EUR", Decimal("1.76"), Decimal("1.76")))
BALANCER = Item("load_balancers", "load_balancer", "8", "lb", cost=Cost("USD", Decimal("7"), Decimal("7")))
UNPRICED = Item("load_balancers", "load_balancer", "9", "lb-2")
FOREIGN = Item("volumes", "volume", "10", "scratch", cost=Cost("EUR", Decimal("1"), Decimal("1")), ours=False, note="x")
SILENT = NotAsked(("volumes", "load_balancers"), "Account kestrel", "credential", "Refused.", "Somebody", "a")


def plan() -> Plan:
    return build(DEFAULT, "kubernetes", [SERVER, MACHINE, VOLUME, BALANCER, UNPRICED, FOREIGN], [SILENT], AT)


def test_machines_and_what_the_policy_keeps_stay_and_the_rest_goes() -> None:
    made = plan()
    assert made.removed == (BALANCER, UNPRICED, SERVER)
    assert made.kept == (MACHINE, VOLUME)
    assert made.outside == (FOREIGN,)


def test_who_was_silent_stands_in_every_step_that_it_hides() -> None:
    assert [step.part for step in plan().steps if step.not_asked] == ["load_balancers", "volumes"]


def test_sums_are_made_for_each_currency_and_unknown_prices_are_counted() -> None:
    made = plan()
    assert made.stops_costing == (
        Cost("EUR", Decimal("20"), Decimal("18.50")),
        Cost("USD", Decimal("7"), Decimal("7")),
    )
    assert made.goes_on_costing == (Cost("EUR", Decimal("2.76"), Decimal("2.76")),)
    assert made.unpriced == (UNPRICED,)


def test_only_what_is_deleted_is_for_good() -> None:
    irreversible = {step.part for step in plan().steps if step.irreversible}
    assert irreversible == {"kubeconfigs", "load_balancers", "hosts", "control_plane", "data_store", "namespace"}


def test_a_fingerprint_is_of_what_goes_and_stays_and_not_of_how_it_is_described() -> None:
    def fingerprint(*items: Item, not_asked: tuple[NotAsked, ...] = ()) -> str:
        return build(DEFAULT, "kubernetes", items, not_asked, AT).fingerprint

    alone = fingerprint(VOLUME)
    assert fingerprint(replace(VOLUME, detail="80 GB", cost=None)) == alone
    others = [
        fingerprint(),
        fingerprint(VOLUME, BALANCER),
        fingerprint(replace(VOLUME, ref="8")),
        fingerprint(replace(VOLUME, name="other")),
        fingerprint(replace(VOLUME, ours=False)),
        fingerprint(VOLUME, not_asked=(SILENT,)),
    ]
    assert len({alone, *others}) == 7
    assert fingerprint(VOLUME, BALANCER) == fingerprint(BALANCER, VOLUME)


def test_a_stored_plan_is_read_back_as_it_was() -> None:
    assert Plan.of(plan().document()) == plan()
    assert plan().document()["looked_at"] == "2026-11-24T14:32:00+00:00"
    assert build(DEFAULT, "baremetal", []).document()["looked_at"] is None
