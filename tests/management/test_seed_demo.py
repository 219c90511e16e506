"""The sample fleet: what it consists of, that it is made once, and that everything wrong with it is really wrong."""

from __future__ import annotations

import json
import stat
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import django_rq
import pytest
from django.core.management import call_command
from django.db.models import Count
from django.utils import timezone
from kubernetes import client

from tests.operations import harness
from tests.simulators.running import RunningWorld
from workspaces.models import (
    PLATFORM,
    Account,
    ApiKey,
    BillingAgreement,
    Event,
    Host,
    ManagementCluster,
    Membership,
    Operation,
    Organization,
    Project,
    ProviderAccount,
    Workspace,
    price_list,
)
from workspaces.operations import connections, looks, upgrade
from workspaces.providers.kubeconfig import connect

pytestmark = [pytest.mark.usefixtures("empty_queues"), pytest.mark.timeout(240), pytest.mark.xdist_group("seed_demo")]

# Everything that asks for a person after the world has been looked at, and nothing else does.
ATTENTION = {
    "atlas-routing": (
        "Upgrade atlas-routing from 1.34.8 to 1.34.11 failed. atlas-routing-w2 could not be drained in 20 min: "
        "disruption budget routing/planner asks for all of its 3 pods, so it never yields."
    ),
    "cohort-query": "Not ready: cohort-query-w3: Its node is not in the cluster.",
    "customs-edge": "Not ready: customs-edge-m2: Port 9 cannot be reached: Connection refused.",
    "customs-gateway": "Not ready: customs-gateway-w2: container runtime network not ready",
    "depot-south": "2 of 3 hosts still run 1.34.11, the control plane 1.35.7.",
    "gpu-inference": "Not ready: gpu-inference-m2: Port 9 cannot be reached: Connection refused.",
    "meter-intake": (
        "DNS record intake.fjordline-metering.example A is not as wanted: It is a secondary zone, which nobody can "
        "write to. Who can fix: whoever runs the primary name servers of the zone."
    ),
    "scada-bridge": "Seeding has not converged: ConfigMap ingress-nginx/controller is held by argocd-controller.",
    "settlement": "The annotation kamaji.clastix.io/paused keeps Kamaji from working on it.",
}


@pytest.fixture(scope="module")
def big_world() -> Iterator[RunningWorld]:
    """A world for the fleet alone."""
    with RunningWorld() as world:
        yield world


@pytest.fixture
def seed(big_world: RunningWorld, tmp_path: Path) -> Any:
    """Runs the command as the demo does; gives what it wrote for the demo to print."""

    def run() -> dict[str, Any]:
        call_command(
            "seed_demo", ready=big_world.state_dir / "ready.json", data_dir=tmp_path, output=tmp_path / "out.json"
        )
        return json.loads((tmp_path / "out.json").read_text())

    return run


def look() -> None:
    """One whole round of reconciliation, here and now."""
    queue = django_rq.get_queue("reconcile")
    now = timezone.now()  # what becomes due again meanwhile is the next round's
    while looks.hand_out(now):
        for job in queue.jobs:
            job.func(*job.args)
        queue.empty()


def reason(attention: str) -> str:
    """The kind of a reason, without the names in it."""
    for kind in ("could not be drained", "not in the cluster", "cannot be reached", "runtime", "still run", "Seeding"):
        if kind in attention:
            return kind
    return attention


@pytest.mark.django_db
def test_an_upgrade_can_be_started_the_moment_the_demo_is_ready(seed: Any) -> None:
    seed()
    ledger = Workspace.objects.get(name="ledger-prod")
    assert (ledger.kubernetes_version, ledger.control_plane_status) == ("1.34.8", "Ready")
    assert isinstance(upgrade.start(ledger, "1.35.7", actor=PLATFORM), Operation)


@pytest.mark.django_db
def test_the_fleet_is_as_large_as_it_says(seed: Any) -> None:
    seed()
    assert list(Organization.objects.annotate(n=Count("projects")).order_by("name").values_list("name", "n")) == [
        ("Fjordline Energy", 4),
        ("Kestrel Freight", 4),
        ("Meridian Health", 4),
    ]
    assert Counter(Workspace.objects.values_list("type", flat=True)) == {"kubernetes": 45, "baremetal": 15}
    assert Counter(Project.objects.annotate(n=Count("workspaces")).values_list("n", flat=True)) == {5: 12}
    assert Counter(Workspace.objects.values_list("management_cluster__name", flat=True)) == {
        "mgmt-fsn1": 30,
        "mgmt-hel1": 15,
        None: 15,
    }
    assert Workspace.objects.filter(maintenance_plan=None).count() == 0
    assert Host.objects.filter(ssh_key=None).count() == 0
    assert Host.objects.filter(workspace__type="kubernetes", provider_id=None).count() == 0
    assert Event.objects.filter(action="workspace.created").count() == 60


@pytest.mark.django_db
def test_a_second_run_makes_nothing_twice_and_takes_the_worlds_new_addresses(
    seed: Any, big_world: RunningWorld, django_assert_max_num_queries: Any
) -> None:
    made = seed()
    tables = (Organization, Project, Workspace, Host, Account, Membership, ApiKey, Operation, ProviderAccount)
    counts, acts = [table.objects.count() for table in tables], Event.objects.acts().count()
    addresses = list(Host.objects.order_by("pk").values_list("ansible", "known_hosts", "provider_id"))
    # As after a restart of the world on other ports.
    Host.objects.update(ansible={"ansible_host": "192.0.2.1"}, known_hosts="", provider_id=None)
    ProviderAccount.objects.update(endpoint="http://192.0.2.1/v1")
    ManagementCluster.objects.update(kubeconfig="")
    assert seed() == made
    assert [table.objects.count() for table in tables] == counts
    assert Event.objects.acts().count() == acts + 1
    assert Event.objects.acts().latest("id").action == "fleet.connected"
    assert list(Host.objects.order_by("pk").values_list("ansible", "known_hosts", "provider_id")) == addresses
    assert set(ProviderAccount.objects.values_list("endpoint", flat=True)) == {big_world.ready["hetzner_url"]}
    for cluster in ManagementCluster.objects.all():
        with connections.management(cluster) as kamaji:
            assert kamaji.version() == "1.36.2"


@pytest.mark.django_db
def test_after_one_look_exactly_those_need_attention_that_have_something_real(seed: Any) -> None:
    seed()
    look()
    asking = dict(Workspace.objects.exclude(attention="").values_list("name", "attention"))
    assert {name: said[: len(ATTENTION.get(name, said))] for name, said in asking.items()} == ATTENTION
    assert len({reason(said) for said in asking.values()}) == 8
    # Green is what was seen: every active workspace has been looked at, and nothing about it is unknown.
    for workspace in Workspace.objects.filter(state="active"):
        assert workspace.observed_at is not None
        values = {condition["value"] for condition in workspace.conditions}
        assert "unknown" not in values, (workspace.name, workspace.conditions)
        assert workspace.name in ATTENTION or values == {"true"}
    assert set(ProviderAccount.objects.values_list("error_code", flat=True)) == {""}
    assert dict(Host.objects.exclude(provider_status="running").values_list("name", "provider_status")) == {
        name: "off" if name == "customs-gateway-w2" else ""
        for name in Host.objects.filter(workspace__type="baremetal").values_list("name", flat=True)
    } | {"customs-gateway-w2": "off"}


@pytest.mark.django_db
def test_every_server_has_its_price_and_several_agreements_change_it(seed: Any, big_world: RunningWorld) -> None:
    seed()
    today = timezone.now().date()
    lines = {
        price.name: price for workspace in Workspace.objects.all() for price in price_list.lines_of(workspace, today)
    }
    servers = set(Host.objects.filter(workspace__type="kubernetes").values_list("name", flat=True))
    assert {name for name, price in lines.items() if price.hourly and price.monthly} == servers
    assert {price.monthly.agreement for price in lines.values() if price.monthly} == {
        "KF-2026-03", "KF-2026-09", "FE-2026-01", "MH-2025-07", None,
    }  # fmt: skip
    assert lines["ledger-prod-w1"].monthly.agreed < lines["ledger-prod-w1"].monthly.list
    ends = {one.number: one.valid_until for one in BillingAgreement.objects.all()}
    assert ends["KF-2025-01"] < today
    assert ends["FE-2026-01"] == today + timedelta(days=19)
    for account in ProviderAccount.objects.all():
        assert (account.profiles_error, account.profiles.filter(active=True).count()) == ("", 18)
        assert account.profiles_checked_at is not None
        assert account.ssh_key is not None
        assert account.connection == big_world.ready["hetzner_connection"]
        assert account.hosts.count() < account.server_limit


@pytest.mark.django_db
def test_what_a_workspace_can_order_is_known_the_moment_the_demo_is_ready(seed: Any) -> None:
    seed()
    listed = price_list.price_list(Workspace.objects.get(name="ledger-prod"), timezone.now())
    assert [one.number for one in listed.agreements] == ["KF-2026-09", "KF-2026-03"]
    assert len(listed.profiles) == 18
    ccx33 = next(one for one in listed.profiles if one.profile.name == "ccx33")
    here, there = ccx33.at("fsn1"), ccx33.at("hel1")
    assert (here.available, here.quote.setup, here.quote.monthly) == (True, 0, Decimal("46.90"))
    assert (there.quote.monthly, there.quote.line("monthly").agreement) == (Decimal("49.7112"), "KF-2026-03")
    assert ccx33.at("sin").available is False


@pytest.mark.django_db(transaction=True)
def test_the_failed_upgrade_goes_on_for_real_once_the_budget_yields(seed: Any, settings: Any) -> None:
    settings.LOOPBACK_DRAIN_DEADLINE = 1
    seed()
    look()
    workspace = Workspace.objects.get(name="atlas-routing")
    operation = workspace.operations.get()
    versions = {name: version for name, (version, *_) in harness.nodes(workspace).items()}
    assert versions == {"atlas-routing-w1": "1.34.11", "atlas-routing-w2": "1.34.8", "atlas-routing-w3": "1.34.8"}

    assert operation.retry(PLATFORM) is None
    harness.drive(operation)
    assert operation.state == "failed", "the budget still yields nothing"
    assert "disruption budget routing/planner asks for all of its 3 pods" in operation.error_message

    _allow_one_disruption(workspace)
    settings.LOOPBACK_DRAIN_DEADLINE = 60
    assert operation.retry(PLATFORM) is None
    harness.drive(operation, limit=180)
    assert operation.state == "succeeded", harness.story(operation)
    assert harness.nodes(workspace) == {f"atlas-routing-w{n}": ("1.34.11", "True", False) for n in (1, 2, 3)}
    look()
    workspace.refresh_from_db()
    assert (workspace.attention, workspace.kubernetes_version) == ("", "1.34.11")


def _allow_one_disruption(workspace: Workspace) -> None:
    """What the owners of routing/planner do."""
    with connections.control_plane(workspace) as (kamaji, plane):
        kubeconfig = kamaji.kubeconfig(workspace.namespace, plane.kubeconfig_secret)
    with connect(kubeconfig) as api:
        client.PolicyV1Api(api).patch_namespaced_pod_disruption_budget(
            "planner", "routing", {"spec": {"maxUnavailable": 1}}
        )


@pytest.mark.django_db
def test_passwords_and_keys_are_in_files_that_only_their_owner_reads(
    seed: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = seed()
    assert capsys.readouterr() == ("", "")
    assert {path.name for path in tmp_path.iterdir()} == {"accounts.json", "out.json"}
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert [(one["email"], one["role"]) for one in made["accounts"]][:3] == [
        ("admin@loopback.example", "platform administrator"),
        ("ines.albrecht@kestrel.example", "administrator"),
        ("tomasz.wrona@kestrel.example", "operator"),
    ]
    for one in made["accounts"]:
        assert Account.objects.get(email=one["email"]).check_password(one["password"])
    assert set(made["api_keys"]) == {"administrator", "operator", "viewer", "stranger"}
    for role, text in made["api_keys"].items():
        key = ApiKey.holding(text)
        assert key is not None
        assert key.role == ("administrator" if role == "stranger" else role)
        assert key.organization.name == ("Fjordline Energy" if role == "stranger" else "Kestrel Freight")
