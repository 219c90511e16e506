"""What may be ordered, as the rows have it: every refusal has a code and a sentence, and starts nothing."""

from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from tests import cast
from workspaces.models import (
    Actor,
    BillingAgreement,
    ComputeProfile,
    Host,
    LeftServer,
    Operation,
    PriceOverride,
    ProfileLocation,
    ProviderAccount,
    SshKey,
    Workspace,
)
from workspaces.operations import host_order, plans
from workspaces.rules.refusal import Refused

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("empty_queues")]
ALICE = Actor("account", "Alice Ahrens")
MONTHLY = Decimal("24.49")


@pytest.fixture
def account(workspace: Workspace) -> ProviderAccount:
    """The organization's only account, which offers ccx23 in fsn1 for 24.49 a month and 0.50 for its address."""
    organization = workspace.project.organization
    key = SshKey.objects.create(name="fleet", private_key="never read here")
    account = ProviderAccount.objects.create(organization=organization, name="kestrel", token="t", ssh_key=key)
    profile = ComputeProfile.objects.create(
        provider_account=account, name="ccx23", cores=4, memory_gb=16, disk_gb=160, architecture="x86"
    )
    ProfileLocation.objects.create(
        profile=profile,
        location="fsn1",
        available=True,
        checked_at=timezone.now(),
        currency="EUR",
        hourly=Decimal("0.0392"),
        monthly=MONTHLY,
        primary_ip=Decimal("0.50"),
    )
    return account


def order(workspace: Workspace, **changed: object) -> Operation | Refused:
    """The click on the order, with what the page shows."""
    row = ProfileLocation.objects.first()
    asked: dict[str, object] = {
        "hostname": "ledger-prod-w4",
        "profile": row.profile_id if row else uuid.uuid4(),
        "location": "fsn1",
        "confirmed": MONTHLY,
    }
    return host_order.start(workspace, actor=ALICE, **(asked | changed))  # type: ignore[arg-type]


def refusal(workspace: Workspace, **changed: object) -> Refused:
    """The refusal of the same click; nothing was started, and no host is there."""
    hosts = Host.objects.count()
    refused = order(workspace, **changed)
    assert isinstance(refused, Refused), refused
    assert refused.message.endswith(".")
    assert (Operation.objects.filter(kind="host_order").count(), Host.objects.count()) == (0, hosts)
    return refused


def test_the_order_keeps_the_confirmed_price_and_its_steps(workspace: Workspace, account: ProviderAccount) -> None:
    operation = order(workspace)
    assert isinstance(operation, Operation)
    assert operation.title == "Order host ledger-prod-w4, ccx23 in fsn1"
    parameters = operation.parameters
    assert parameters["hostname"] == "ledger-prod-w4"
    assert parameters["price"]["currency"] == "EUR"
    components = {one["component"]: one["agreed"] for one in parameters["price"]["components"]}
    assert (components["monthly"], components["primary_ip"]) == ("24.4900000000", "0.5000000000")
    assert set(parameters) == {"host", "hostname", "profile", "location", "price", "confirmed_at"}
    steps = list(operation.steps.values_list("key", "host", "safe_to_stop", "irreversible"))
    assert [key for key, *_ in steps] == [
        "check", "ssh_key", "placement", "create", "running", "reach", "prepare", "join", "verify", "finish"
    ]  # fmt: skip
    assert {host for _, host, *_ in steps} == {"ledger-prod-w4"}
    assert [key for key, _, safe, _ in steps if not safe] == ["create"]
    assert [key for key, _, _, forward in steps if forward] == ["create"]
    assert not Host.objects.filter(name="ledger-prod-w4").exists()


def test_a_baremetal_host_is_registered_and_joins_nothing(metal: Workspace) -> None:
    keys = [step.key for step in host_order.plan(metal, "customs-archive-3", str(uuid.uuid4()))]
    assert keys == ["check", "ssh_key", "placement", "create", "running", "reach", "register", "finish"]


def test_every_key_of_the_plan_has_a_function(workspace: Workspace, metal: Workspace) -> None:
    for one in (workspace, metal):
        assert all(plans.find("host_order", step.key) for step in host_order.plan(one, "w4", str(uuid.uuid4())))


def test_the_hourly_price_confirms_as_well(workspace: Workspace, account: ProviderAccount) -> None:
    assert isinstance(order(workspace, confirmed=Decimal("0.0392")), Operation)


@pytest.mark.parametrize("confirmed", ["24.48", "24.4900000001", "0.50", "0"])
def test_another_price_than_the_agreed_one_is_refused_with_the_quote(
    workspace: Workspace, account: ProviderAccount, confirmed: str
) -> None:
    refused = refusal(workspace, confirmed=Decimal(confirmed))
    assert refused.code == "price_changed"
    assert (
        refused.message == "ccx23 in fsn1 costs 24.99 EUR a month at most, which is not the price that was confirmed."
    )
    assert refused.evidence["components"][1]["agreed"] == "0.0392000000"  # type: ignore[index]


def test_the_price_to_confirm_is_that_of_the_agreement(workspace: Workspace, account: ProviderAccount) -> None:
    agreement = BillingAgreement.objects.create(
        organization=workspace.project.organization, number="KF-1", valid_from=timezone.now().date(), currency="EUR"
    )
    PriceOverride.objects.create(
        agreement=agreement, clause="4.1", component="monthly", family="ccx*", kind="fixed", amount=Decimal("20")
    )
    assert refusal(workspace).code == "price_changed"
    assert isinstance(order(workspace, confirmed=Decimal(20)), Operation)


@pytest.mark.parametrize(("state", "code"), [("provisioning", "not_active"), ("gated", "gated")])
def test_a_workspace_that_may_not_change_gets_no_host(
    workspace: Workspace, account: ProviderAccount, state: str, code: str
) -> None:
    workspace.state = state
    assert refusal(workspace).code == code


def test_nothing_is_ordered_beside_another_operation(workspace: Workspace, account: ProviderAccount) -> None:
    running = Operation.start(workspace, "upgrade", "Upgrade it", [], actor=ALICE)
    assert isinstance(running, Operation)
    refused = refusal(workspace)
    assert (refused.code, refused.evidence) == ("operation_running", {"operation": str(running.pk)})


def test_without_an_account_or_its_key_nothing_can_be_ordered(workspace: Workspace, account: ProviderAccount) -> None:
    account.ssh_key = None
    account.save()
    assert refusal(workspace).code == "no_provider"
    account.delete()
    assert refusal(workspace).code == "no_provider"


def test_a_profile_of_another_account_is_unknown(workspace: Workspace, account: ProviderAccount) -> None:
    stranger = ProviderAccount.objects.create(organization=cast.organization("Fjordline"), name="fjord", token="t")
    profile = ComputeProfile.objects.create(
        provider_account=stranger, name="ccx23", cores=4, memory_gb=16, disk_gb=160, architecture="x86"
    )
    ProfileLocation.objects.create(
        profile=profile, location="fsn1", available=True, currency="EUR", hourly=1, monthly=MONTHLY
    )
    assert refusal(workspace, profile=profile.pk).code == "unknown_profile"
    assert refusal(workspace, profile=uuid.uuid4()).code == "unknown_profile"
    assert refusal(workspace, location="hel1").code == "unknown_profile"


def test_a_profile_that_is_not_offered_any_more_is_refused(workspace: Workspace, account: ProviderAccount) -> None:
    account.profiles.update(active=False)
    assert refusal(workspace).code == "inactive_profile"


def test_what_is_sold_out_is_refused_and_what_is_not_known_is_asked_by_the_first_step(
    workspace: Workspace, account: ProviderAccount
) -> None:
    rows = ProfileLocation.objects.filter(profile__provider_account=account)
    rows.update(available=False)
    assert refusal(workspace).code == "unavailable"
    rows.update(available=True, unavailable_after=timezone.now() - timedelta(seconds=1))
    assert refusal(workspace).code == "unavailable"
    rows.update(available=None, unavailable_after=None)
    assert isinstance(order(workspace), Operation)


def test_the_limit_of_the_account_counts_hosts_and_servers_that_are_left(
    workspace: Workspace, account: ProviderAccount
) -> None:
    workspace.hosts.update(provider_account=account)  # three
    LeftServer.objects.create(
        provider_account=account,
        provider_id=9,
        name="forgotten",
        profile="cx23",
        location="fsn1",
        created_at=timezone.now(),
        first_seen_at=timezone.now(),
        observed_at=timezone.now(),
    )
    account.server_limit = 4
    account.save()
    refused = refusal(workspace)
    assert (refused.code, refused.evidence) == ("limit_reached", {"servers": 4, "limit": 4})
    workspace.hosts.filter(name="ledger-prod-w3").update(provider_status="gone")
    assert isinstance(order(workspace), Operation)


@pytest.mark.parametrize("name", ["ledger-prod-w1", "Ledger-Prod-W1", "elsewhere", "forgotten"])
def test_a_name_that_the_workspace_or_the_account_has_is_taken(
    workspace: Workspace, metal: Workspace, account: ProviderAccount, name: str
) -> None:
    metal.hosts.filter(name="customs-archive-1").update(provider_account=account, name="elsewhere")
    metal.hosts.exclude(name="elsewhere").update(name="not-in-the-account")
    now = timezone.now()
    LeftServer.objects.create(
        provider_account=account,
        provider_id=9,
        name="forgotten",
        profile="cx23",
        location="fsn1",
        created_at=now,
        first_seen_at=now,
        observed_at=now,
    )
    workspace.provider_account = account
    workspace.save()
    refused = refusal(workspace, hostname=name)
    assert refused.code == ("invalid_name" if name.startswith("L") else "name_taken")


def test_a_name_of_another_workspace_outside_the_account_is_free(
    workspace: Workspace, metal: Workspace, account: ProviderAccount
) -> None:
    name = metal.hosts.order_by("name").values_list("name", flat=True)[0]
    assert isinstance(order(workspace, hostname=name), Operation)


@pytest.mark.parametrize("name", ["", "w_4", "-w4", "w4-", "w 4", "w4.example", "x" * 64, "w4; reboot"])
def test_what_cannot_be_a_host_name_is_refused(workspace: Workspace, account: ProviderAccount, name: str) -> None:
    assert refusal(workspace, hostname=name).code == "invalid_name"
