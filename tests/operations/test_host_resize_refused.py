"""What keeps a host from being resized: told at the click, or by the first step before anything has happened."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests import cast
from tests.operations import harness, hired
from tests.operations.resizing import ALICE, CCX23, ask, start
from tests.simulators.running import RunningWorld
from workspaces.models import ComputeProfile, Operation, Workspace
from workspaces.operations import connections, engine, host_resize, plans
from workspaces.rules.refusal import Refused

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("empty_queues", "catalogue_rows"),
    pytest.mark.timeout(240),
]


# --- Before anything happens ------------------------------------------------------------------------------------------
def test_what_is_sold_out_by_the_first_step_is_never_touched(world: RunningWorld) -> None:
    workspace = hired.joined(world, "just-sold", hosts=1)
    operation = start(workspace)
    world.add({"hetzner_types": {"ccx23": {"available": ["hel1"]}}})
    try:
        harness.drive(operation)
    finally:
        world.add({"hetzner_types": {}})
    assert (operation.state, operation.error_code) == ("failed", "no_capacity")
    assert operation.error_message == "ccx23 cannot be had in fsn1 now."
    assert operation.steps.get(key="cordon").state == "pending"
    assert hired.types(workspace) == {"just-sold-w1": ("ccx13", "running", 80)}


def test_a_price_that_changed_meanwhile_is_never_paid(world: RunningWorld) -> None:
    workspace = hired.joined(world, "dearer-size", hosts=1)
    operation = start(workspace)
    world.add({"hetzner_types": {"ccx23": {"monthly": "30.00"}}})
    try:
        harness.drive(operation)
    finally:
        world.add({"hetzner_types": {}})
    assert (operation.state, operation.error_code) == ("failed", "price_changed")
    assert operation.error_message == "30.50 EUR a month at most now, 28.99 EUR a month at most when it was confirmed."
    assert hired.types(workspace) == {"dearer-size-w1": ("ccx13", "running", 80)}


def test_a_budget_that_never_yields_is_seen_before_the_host_is_closed(world: RunningWorld) -> None:
    stuck = {"namespace": "pay", "name": "api", "kind": "Deployment", "replicas": 2, "ready": 2}
    workloads = [stuck | {"budget": {"maxUnavailable": 0}}]
    workspace = hired.joined(world, "immovable", workloads=workloads)
    operation = harness.drive(start(workspace))
    assert (operation.state, operation.error_code) == ("failed", "budget_never_yields"), harness.story(operation)
    assert operation.error_message.endswith("so it never yields. Nothing has been touched.")
    assert operation.steps.get(key="cordon").state == "pending"
    assert operation.error_who_can_fix.startswith("The owners of pay/api")


def test_a_provider_that_cannot_be_asked_is_asked_again_before_anything_happens(world: RunningWorld) -> None:
    workspace = hired.joined(world, "asked-again", hosts=1)
    operation = start(workspace)
    world.fault(service="hetzner", target="asked-again", kind="status", status=503, path="/v1/server_types*", times=1)
    engine.run_one_step(operation.pk, plans.find)
    step = operation.steps.get(key="check")
    assert (step.state, step.cause) == ("waiting", "cloud_api")
    assert harness.drive(operation).state == "succeeded"


def test_a_server_that_somebody_has_changed_is_left_to_them(world: RunningWorld) -> None:
    workspace = hired.joined(world, "not-as-seen", hosts=1, kind="ccx13")
    operation = start(workspace)
    host = workspace.hosts.get()
    cloud = connections.cloud(host.provider_account)
    Operation.objects.filter(pk=operation.pk).update(parameters=operation.parameters | {"from": "cx22"})
    harness.drive(operation)
    assert (operation.state, operation.error_code) == ("failed", "conflict")
    assert operation.error_message == "not-as-seen-w1 is ccx13 now, not cx22 as it was."
    assert cloud.server(host.provider_id).status == "running"


# --- The click --------------------------------------------------------------------------------------------------------
@pytest.fixture
def rented(world: RunningWorld) -> Workspace:
    """A workspace on one server."""
    return hired.joined(world, "rented", hosts=1)


@pytest.mark.parametrize(
    ("to", "price", "code"),
    [
        ("ccx13", "14.49", "same_profile"),
        ("cax31", "14.49", "other_architecture"),
        ("cx23", "3.99", "disk_too_small"),
        ("ccx53", "224.49", "unavailable"),
        ("ccx23", "28.48", "price_changed"),
        ("cpx22", "7.490000001", "price_changed"),
    ],
)
def test_the_click_is_refused_with_a_code(rented: Workspace, to: str, price: str, code: str) -> None:
    refused = ask(rented, to, price=Decimal(price))
    assert isinstance(refused, Refused), refused
    assert refused.code == code
    assert refused.message
    assert Operation.objects.count() == 0


def test_a_price_that_is_not_the_one_now_comes_with_the_one_now(rented: Workspace) -> None:
    refused = ask(rented, "ccx23", price=Decimal("20"))
    assert isinstance(refused, Refused)
    assert refused.message == "ccx23 in fsn1 costs 28.99 EUR a month at most now. Confirm that price."
    assert refused.evidence["profile"] == "ccx23"
    monthly = next(one for one in refused.evidence["components"] if one["component"] == "monthly")  # type: ignore[attr-defined]
    assert Decimal(monthly["agreed"]) == Decimal("28.49")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"state": "gated"}, "gated"),
        ({"state": "deleting"}, "not_active"),
        ({"provider_account": None}, "no_provider"),
        ({"provider_id": None}, "not_a_server"),
        ({"provider_status": "gone"}, "not_a_server"),
    ],
)
def test_a_host_that_cannot_be_resized_says_why(rented: Workspace, fields: dict[str, Any], code: str) -> None:
    for name, value in fields.items():
        if name == "state":
            rented.state = value
            rented.save(update_fields=["state"])
        else:
            rented.hosts.update(**{name: value})
    refused = ask(rented, "ccx23")
    assert isinstance(refused, Refused)
    assert refused.code == code


def test_profiles_of_others_and_those_withdrawn_are_refused(rented: Workspace, world: RunningWorld) -> None:
    host = rented.hosts.get()
    elsewhere = ComputeProfile.objects.create(
        provider_account=hired.project(world, "rented-not", []), name="ccx23", cores=4, memory_gb=16, disk_gb=160
    )
    refused = host_resize.start(host, profile=elsewhere.pk, grow_disk=False, confirmed=CCX23, actor=ALICE)
    assert isinstance(refused, Refused)
    assert refused.code == "unknown_profile"
    ComputeProfile.objects.filter(provider_account__name="rented", name="ccx23").update(active=False)
    refused = ask(rented, "ccx23")
    assert isinstance(refused, Refused)
    assert refused.code == "inactive_profile"


def test_a_second_click_is_refused_with_the_running_operation(rented: Workspace) -> None:
    operation = start(rented)
    refused = ask(rented, "ccx23")
    assert isinstance(refused, Refused)
    assert (refused.code, refused.evidence) == ("operation_running", {"operation": str(operation.pk)})


def test_a_host_that_is_resized_cannot_be_left_out(rented: Workspace) -> None:
    operation = start(rented)
    refused = operation.skip_host("rented-w1", "later", ALICE)
    assert isinstance(refused, Refused)
    assert refused.code == "cannot_be_left_out"


def test_what_the_click_costs_is_the_agreed_price(rented: Workspace) -> None:
    assert cast.organization("Kestrel Freight").pk == rented.project.organization_id
    assert isinstance(ask(rented, "ccx23", price=Decimal("28.490")), Operation), "the same amount, written otherwise"
