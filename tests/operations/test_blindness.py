"""Whatever keeps us from seeing takes every affected badge off green within two periods, with its cause, and nobody has
to bring it back. Real workers, a real scheduler and a real clock, with periods of seconds.

The long run of the same, among failing calls, is `python -m tests.benchmarks blind`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests import cast
from tests.operations import harness, machinery
from tests.simulators.running import RunningWorld
from workspaces.models import Account, ApiKey, ProviderAccount, Workspace
from workspaces.models.diagnosis import diagnose
from workspaces.operations import connections, queues

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("empty_queues"),
    pytest.mark.xdist_group("blindness"),
    pytest.mark.timeout(240),
]
TOKEN = "k" * 64
# Between two rounds of the scheduler lie two seconds, which a period of one minute hardly notices; this one does.
PERIOD = 6.0
QUICK_PERIOD = 4.0
SURFACES = ("fleet", "overview", "api")


# --- What people and programs are shown -------------------------------------------------------------------------------
@dataclass
class Shown:
    """The badges of some workspaces on every surface, as somebody reads them over HTTP."""

    browser: Client
    program: Client
    workspaces: list[Workspace]

    def green(self) -> set[tuple[str, str]]:
        """The name of each workspace with the surface on which it is green."""
        fleet = self.browser.get("/workspaces").content.decode()
        found = set()
        for workspace in self.workspaces:
            page = self.browser.get(f"/workspaces/{workspace.pk}").content.decode()
            answer = self.program.get(f"/api/v1/workspaces/{workspace.pk}").json()
            shown = {
                "fleet": _tone(rf'href="/workspaces/{workspace.pk}">.*?data-tone="(\w+)"', fleet) == "ok",
                "overview": _tone(r'<h1>.*?data-tone="(\w+)"', page) == "ok",
                "api": not answer["attention"] and {one["value"] for one in answer["conditions"]} == {"true"},
            }
            found |= {(workspace.name, surface) for surface, is_green in shown.items() if is_green}
        return found

    def all_green(self) -> bool:
        """Whether every workspace is green everywhere."""
        rows = Workspace.objects.filter(pk__in=[workspace.pk for workspace in self.workspaces])
        # What was never seen or needs a person is not, and need not be rendered to know.
        if rows.filter(observed_at=None).exists() or rows.exclude(attention="").exists():
            return False
        return self.green() == everywhere(workspace.name for workspace in self.workspaces)

    def causes(self) -> dict[str, str]:
        """What is said to be the cause, of each workspace where something is."""
        now, seen = timezone.now(), queues.look(timezone.now())
        rows = Workspace.objects.filter(pk__in=[workspace.pk for workspace in self.workspaces])
        found = {row.name: diagnose(row, seen, now) for row in rows}
        return {name: diagnosis.cause for name, diagnosis in found.items() if diagnosis}

    def story(self) -> object:
        """What is shown, for the message of a failed test."""
        rows = Workspace.objects.values_list("name", "attention", "observed_at", "conditions")
        return sorted(self.green()), list(rows), queues.look(timezone.now())


def _tone(pattern: str, page: str) -> str:
    found = re.search(pattern, page, re.DOTALL)
    assert found, page
    return found[1]


def everywhere(names: Iterable[str]) -> set[tuple[str, str]]:
    """These workspaces on every surface."""
    return {(name, surface) for name in names for surface in SURFACES}


def shown_to(alice: Account, workspaces: list[Workspace]) -> Shown:
    """What alice and her program are shown."""
    organization = cast.organization("Kestrel Freight")
    _, key = ApiKey.issue(name="blindness", organization=organization, project=None, role="viewer", created_by=alice)
    program = Client(headers={"Authorization": f"Bearer {key}"})
    return Shown(cast.sign_in(Client(), alice), program, workspaces)


@dataclass
class Leaving:
    """When each badge that was to leave green did, in seconds from the beginning, and how late the machine was."""

    began: datetime
    left: dict[tuple[str, str], float] = field(default_factory=dict)
    oldest: float = 0.0

    def watch(self, shown: Shown, expected: set[tuple[str, str]], steady: Workspace, limit: float) -> None:
        """Read the pages until all that are expected to have left green have, or the time is over."""
        while expected - self.left.keys() and (timezone.now() - self.began).total_seconds() < limit:
            at = (timezone.now() - self.began).total_seconds()
            green = shown.green()
            self.left |= dict.fromkeys(expected - green - self.left.keys(), at)
            seen = Workspace.objects.values_list("observed_at", flat=True).get(pk=steady.pk)
            self.oldest = max(self.oldest, (timezone.now() - seen).total_seconds())
            time.sleep(0.1)

    @property
    def late(self) -> float:
        """Seconds by which looks at a workspace that nothing is wrong with came later than they were to."""
        return max(0.0, self.oldest - PERIOD - 2.5)


# --- The world --------------------------------------------------------------------------------------------------------
@pytest.fixture
def account(world: RunningWorld) -> ProviderAccount:
    """The cloud project of Kestrel Freight, with one server."""
    server = {"server_type": "cpx32", "location": "fsn1", "image": "debian-13", "labels": {}, "status": "running"}
    servers = [server | {"name": "on-cloud-w1"}]
    ready = world.add({"hetzner_projects": [{"name": "kestrel-blind", "token": TOKEN, "servers": servers}]})
    return ProviderAccount.objects.create(
        organization=cast.organization("Kestrel Freight"), name="kestrel", token=TOKEN, endpoint=ready["hetzner_url"]
    )


def in_the_world(world: RunningWorld, *names: str, **fields: Any) -> list[Workspace]:
    """Workspaces of one host, none of which anybody has seen yet."""
    made = [harness.linked(world, cast.kubernetes(name, hosts=1, **fields)) for name in names]
    Workspace.objects.update(observed_at=None)
    return made


def periods(settings: Any, seconds: float) -> dict[str, str]:
    """The environment of workers and scheduler with this period, which the pages are told too."""
    settings.LOOPBACK_RECONCILE_SECONDS = settings.LOOPBACK_BACKOFF_SECONDS = seconds
    return {
        "LOOPBACK_RECONCILE_SECONDS": str(seconds),
        "LOOPBACK_BACKOFF_SECONDS": str(seconds),
        "LOOPBACK_VENDOR_TIMEOUT": "1",
    }


# --- The vendors ------------------------------------------------------------------------------------------------------
def test_a_refused_token_a_blocked_management_api_and_a_silent_tenant_are_not_green_and_come_back(
    world: RunningWorld, alice: Account, account: ProviderAccount, settings: Any
) -> None:
    cloud, silent, steady = in_the_world(world, "on-cloud", "silent-tenant", "steady")
    (shut,) = in_the_world(world, "shut-out", management_cluster=cast.management_cluster("mgmt-shut"))
    (server,) = connections.cloud(account).servers()
    cloud.hosts.update(provider_account=account, provider_id=server.id)
    shown = shown_to(alice, [cloud, silent, steady, shut])
    with machinery.running(**periods(settings, PERIOD)):
        machinery.until(shown.all_green, shown.story)
        world.fault(service="hetzner", target="kestrel-blind", kind="expired_token")
        world.fault(service="kubernetes", target="mgmt-shut", kind="refuse")
        world.fault(service="kubernetes", target="ws-silent-tenant/silent-tenant", kind="refuse")
        leaving = Leaving(timezone.now())
        broken = everywhere(["on-cloud", "silent-tenant", "shut-out"])
        leaving.watch(shown, broken, steady, limit=60)
        assert leaving.left.keys() == broken, shown.story()
        assert max(leaving.left.values()) <= 2 * PERIOD + leaving.late, (leaving.left, leaving.late)
        machinery.until(
            lambda: (
                shown.causes()
                == {"on-cloud": "credential", "silent-tenant": "tenant_unreachable", "shut-out": "unreachable"}
            ),
            shown.causes,
        )
        assert shown.green() == everywhere(["steady"]), "nobody else is affected"
        world.clear_faults()
        machinery.until(shown.all_green, shown.story)
        assert shown.causes() == {}


# --- The platform itself ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "ended_by", "cause"), [("worker", "stop", "no_worker"), ("scheduler", "stop", "no_scheduler")]
)
def test_without_a_worker_or_the_scheduler_nothing_is_green_after_two_periods_until_there_is_one_again(
    world: RunningWorld, alice: Account, settings: Any, name: str, ended_by: str, cause: str
) -> None:
    workspaces = in_the_world(world, f"no-{name}-1")
    metal = cast.baremetal(f"no-{name}-2", hosts=1, observed_at=None)
    ready = world.add({"hosts": [{"name": f"no-{name}-2-1", "os": "debian-13", "packages": {}}]})
    host = next(one for one in ready["hosts"] if one["name"] == f"no-{name}-2-1")
    metal.hosts.update(ansible={"ansible_host": host["address"], "ansible_port": host["port"]}, ready=None)
    shown = shown_to(alice, [*workspaces, metal])
    with machinery.running(**periods(settings, QUICK_PERIOD)) as running:
        machinery.until(shown.all_green, shown.story)
        getattr(running, ended_by)(name)
        # What was handed out before the scheduler ended is still looked at.
        machinery.until(lambda: name == "worker" or machinery.idle(), shown.story)
        ended = timezone.now()
        while timezone.now() < ended + timedelta(seconds=2 * QUICK_PERIOD):
            time.sleep(0.1)
        assert shown.green() == set(), shown.story()
        assert set(shown.causes().values()) == {cause}
        assert len(shown.causes()) == 2
        running.start(name)
        machinery.until(shown.all_green, shown.story)
