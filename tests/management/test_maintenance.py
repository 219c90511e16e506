"""`manage.py maintenance`: plans in bulk with what that changes, the forecast, the windows once, holds."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests import cast
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import Advisory, Decision, Event, Hold, MaintenancePlan, Operation, Tick, Workspace
from workspaces.models.outlook import look
from workspaces.rules import planner

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues")]
WEDNESDAY_2 = datetime(2026, 11, 25, 2, 5, tzinfo=UTC)


def run(*arguments: Any) -> str:
    out = StringIO()
    call_command("maintenance", *(str(argument) for argument in arguments), stdout=out)
    return out.getvalue()


# --- set --------------------------------------------------------------------------------------------------------------
def test_plans_of_a_project_are_changed_and_the_differences_told(workspace, metal) -> None:
    told = run(
        "set", "--project", "Freight Core", "--day", "wednesday=4", "--day", "friday=none", "--kubernetes", "off"
    )
    os = "Operating system updates on"
    assert told.splitlines() == [
        "customs-archive: changed",
        "  Wednesday 02:00 to 04:00",
        "  Friday 02:00 to no window",
        "  It is bare metal: Kubernetes patch releases were left out.",
        f"  - Wed 25 Nov 02:00 UTC, routine: {os} 2 hosts.",
        f"  - Fri 27 Nov 02:00 UTC, routine: {os} 2 hosts.",
        f"  + Wed 25 Nov 04:00 UTC, routine: {os} 2 hosts.",
        "ledger-prod: changed",
        "  Wednesday 02:00 to 04:00",
        "  Friday 02:00 to no window",
        "  Kubernetes patch releases on to off",
        f"  - Wed 25 Nov 02:00 UTC, routine: {os} 3 hosts.",
        f"  - Fri 27 Nov 02:00 UTC, routine: {os} 3 hosts.",
        f"  + Wed 25 Nov 04:00 UTC, routine: {os} 3 hosts.",
    ]
    plan = MaintenancePlan.objects.get(workspace=workspace)
    assert (plan.hour_2, plan.hour_4, plan.kubernetes_auto_upgrade, plan.compute_auto_update) == (4, None, False, True)
    actors = Event.objects.acts().filter(action="maintenance.changed").values_list("actor_name", flat=True)
    assert list(actors) == ["manage.py maintenance"] * 2


def test_a_dry_run_tells_the_same_and_stores_nothing(workspace, catalogue_rows) -> None:
    before = workspace.maintenance_plan.as_rule()
    (told,) = json.loads(run("set", "--workspace", workspace.pk, "--priority-hour", 4, "--dry-run", "--json"))
    assert (told["workspace"]["name"], told["changed"]) == ("ledger-prod", False)
    assert told["changes"] == [{"field": "priority_hour", "before": 22, "after": 4}]
    assert told["forecast"]["removed"][0]["opens_at"] == "2026-11-24T22:00:00Z"
    assert told["forecast"]["removed"][0]["would"] == ["Kubernetes 1.34.8 to 1.34.11"]
    assert MaintenancePlan.objects.get().as_rule() == before
    assert not Event.objects.acts().exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--day", "wednesday=4"],
        ["--day", "monday=none", "--day", "sunday=23", "--priority-hour", "0"],
        ["--os", "off"],
        ["--kubernetes", "off"],
        ["--enabled", "false"],
    ],
)
def test_the_difference_is_the_new_forecast_without_the_old(workspace, catalogue_rows, arguments) -> None:
    def windows() -> list[tuple[Any, ...]]:
        plan = MaintenancePlan.objects.get().as_rule()
        ahead = planner.forecast(plan, look(workspace, cast.NOW).facts, cast.NOW)
        return [(f"{one.window.opens_at:%Y-%m-%dT%H:%M:%SZ}", *one.would, len(one.blocked_by)) for one in ahead]

    def told(window: dict[str, Any]) -> tuple[Any, ...]:
        return (window["opens_at"], *window["would"], len(window["blocked_by"]))

    old = windows()
    (entry,) = json.loads(run("set", "--workspace", "ledger-prod", *arguments, "--json"))
    new = windows()
    assert entry["changed"] is True
    assert [told(one) for one in entry["forecast"]["removed"]] == [one for one in old if one not in new]
    assert [told(one) for one in entry["forecast"]["added"]] == [one for one in new if one not in old]


def test_what_is_so_already_stays_and_makes_no_event(workspace) -> None:
    assert run("set", "--workspace", "ledger-prod", "--os", "on", "--enabled", "true") == (
        "ledger-prod: stays as it is\n"
    )
    assert not Event.objects.acts().exists()


def test_maintenance_is_switched_off_and_on_again(workspace) -> None:
    run("set", "--organization", "Kestrel Freight", "--enabled", "false")
    plan = MaintenancePlan.objects.get()
    assert (plan.enabled, plan.disabled_by) == (False, "manage.py maintenance")
    run("set", "--organization", workspace.project.organization_id, "--enabled", "true")
    assert MaintenancePlan.objects.get().enabled


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workspace", "ledger-prod"], "Say what to change"),
        (["--workspace", "nobody", "--os", "on"], "There is no workspace nobody"),
        (["--workspace", "ledger-prod", "nobody", "--os", "off"], "There is no workspace nobody"),
        (["--workspace", "twin", "--os", "off"], "More than one workspace is called twin"),
        (["--project", "Nowhere", "--os", "on"], "There is no project Nowhere"),
        (["--organization", "Nowhere", "--os", "on"], "There is no organization Nowhere"),
        (["--workspace", "ledger-prod", "--priority-hour", "24"], "priority_hour: Enter a whole number from 0 to 23"),
        (["--workspace", "ledger-prod", "--day", "monday=24"], "write a day and an hour"),
        (["--workspace", "ledger-prod", "--day", "someday=2"], "write a day and an hour"),
        (["--os", "on"], "one of the arguments"),
        (["--workspace", "ledger-prod", "--project", "Freight Core", "--os", "on"], "not allowed with"),
    ],
)
def test_what_cannot_be_read_or_found_changes_nothing(workspace, arguments, message) -> None:
    cast.kubernetes("twin", hosts=0)
    cast.kubernetes("twin", project=cast.project("Customs"), namespace="other", hosts=0)
    with pytest.raises(CommandError, match=message) as error:
        run("set", *arguments)
    assert error.value.returncode == 1
    assert not MaintenancePlan.objects.exclude(version=1).exists()


def test_one_of_two_with_a_name_is_chosen_by_its_path(workspace) -> None:
    cast.kubernetes("ledger-prod", project=cast.project("Customs"), namespace="other", hosts=0)
    run("set", "--workspace", "Kestrel Freight/Customs/ledger-prod", "--os", "off")
    off = MaintenancePlan.objects.filter(compute_auto_update=False)
    assert [plan.workspace.project.name for plan in off] == ["Customs"]


def test_a_fleet_costs_a_few_queries_a_batch(workspace, monkeypatch, django_assert_max_num_queries) -> None:
    for number in range(30):
        cast.baremetal(f"metal-{number:02}", hosts=1)
    with django_assert_max_num_queries(12):
        told = json.loads(run("set", "--project", "Freight Core", "--os", "off", "--dry-run", "--json"))
    assert len(told) == 31
    monkeypatch.setattr("workspaces.management.selection.BATCH", 7)
    assert json.loads(run("set", "--project", "Freight Core", "--os", "off", "--dry-run", "--json")) == told


# --- forecast ---------------------------------------------------------------------------------------------------------
def test_the_forecast_is_the_planners(workspace) -> None:
    Hold.objects.create(reason="Freeze", set_at=cast.NOW, expires_at=cast.NOW + timedelta(hours=12))
    assert run("forecast", "--workspace", "ledger-prod", "--days", 1).splitlines() == [
        "ledger-prod:",
        "  Tue 24 Nov 22:00 UTC, priority: Nothing. "
        "Does not run: The platform is held until Wed 25 Nov 02:32 UTC: Freeze",
        "  Wed 25 Nov 02:00 UTC, routine: Operating system updates on 3 hosts. "
        "Does not run: The platform is held until Wed 25 Nov 02:32 UTC: Freeze",
    ]
    (told,) = json.loads(run("forecast", "--project", "Kestrel Freight/Freight Core", "--json"))
    assert len(told["windows"]) == 12
    assert told["windows"][0]["blocked_by"][0]["code"] == "hold"
    assert told["windows"][-2]["reasons"][0]["code"] == "nothing_flagged"


# --- run-due ----------------------------------------------------------------------------------------------------------
def test_windows_that_are_due_are_decided_once(workspace, metal, clock) -> None:  # noqa: F811
    clock.now = WEDNESDAY_2
    Hold.objects.create(workspace=metal, reason="Freeze", set_at=cast.NOW, expires_at=WEDNESDAY_2 + timedelta(days=1))
    assert run("run-due") == "2026-11-25T02:05:00Z: 1 blocked, 1 started\n"
    assert Operation.objects.get().workspace == workspace
    assert json.loads(run("run-due", "--json")) == {"at": "2026-11-25T02:05:00Z", "outcomes": {}}
    assert run("run-due") == "2026-11-25T02:05:00Z: nothing due\n"
    assert Decision.objects.count() == 2


def test_a_dry_run_tells_what_would_be_decided_at_any_time(workspace, metal) -> None:
    Advisory.objects.create(name="LSA-1", severity="high", packages=["openssl"], flagged_at=cast.NOW)
    Hold.objects.create(workspace=metal, reason="Freeze", set_at=cast.NOW, expires_at=cast.NOW + timedelta(days=1))
    assert run("run-due", "--dry-run") == ""
    assert run("run-due", "--dry-run", "--at", "2026-11-25T02:05:00Z").splitlines() == [
        "customs-archive: routine, blocked. Held until Wed 25 Nov 14:32 UTC: Freeze",
        "ledger-prod: routine, starts when there is a free place. Operating system updates on 3 hosts.",
    ]
    first, second = json.loads(run("run-due", "--dry-run", "--at", "2026-11-24T22:00", "--json"))
    assert (first["lane"], first["outcome"], first["reason"]) == ("priority", "blocked", "hold")
    assert (second["outcome"], second["would"]) == ("waiting", ["Security updates LSA-1 on 3 hosts"])
    assert not Decision.objects.exists()
    assert not Tick.objects.exists()
    assert not Operation.objects.exists()


def test_another_moment_is_for_dry_runs_only(workspace) -> None:
    with pytest.raises(CommandError, match="only with --dry-run"):
        run("run-due", "--at", "2026-11-25T02:05:00Z")
    with pytest.raises(CommandError, match="write a time such as"):
        run("run-due", "--dry-run", "--at", "tomorrow")
    assert not Decision.objects.exists()


# --- hold and lift ----------------------------------------------------------------------------------------------------
def test_a_hold_is_set_and_lifted(workspace, metal) -> None:
    told = run("hold", "--project", "Freight Core", "--reason", "Quarter end", "--until", "2026-11-28T06:00")
    one = Hold.objects.get()
    assert told.splitlines() == [
        "Held Freight Core (2 workspaces), 2026-11-24T14:32:00Z to 2026-11-28T06:00:00Z: Quarter end",
        f"  {one.pk}",
    ]
    assert (one.set_by, one.who) == (None, "manage.py maintenance")
    assert run("lift", one.pk).startswith("Lifted Freight Core (2 workspaces)")
    with pytest.raises(CommandError, match=r"over before: lifted by manage\.py maintenance at 2026-11-24T14:32:00Z"):
        run("lift", one.pk)
    acts = Event.objects.acts().order_by("id").values_list("action", "actor_name")
    assert list(acts) == [("hold.set", "manage.py maintenance"), ("hold.lifted", "manage.py maintenance")]


def test_the_platform_is_held_only_when_it_is_said(workspace) -> None:
    with pytest.raises(CommandError, match="one of the arguments"):
        run("hold", "--reason", "Fire", "--until", "2026-11-25T06:00Z")
    told = json.loads(run("hold", "--platform", "--reason", "Fire", "--until", "2026-11-25T06:00+01:00", "--json"))
    assert (told["level"], told["expires_at"], told["workspaces"]) == ("platform", "2026-11-25T05:00:00Z", 1)


def test_a_dry_run_of_a_hold_or_a_lift_stores_nothing(workspace) -> None:
    until = ["--until", "2026-11-28T06:00Z", "--from", "2026-11-27T06:00Z"]
    told = run("hold", "--workspace", "ledger-prod", "--reason", "Move", *until, "--dry-run")
    assert told.startswith("Would hold ledger-prod (1 workspace), 2026-11-27T06:00:00Z to ")
    assert not Hold.objects.exists()
    one = Hold.objects.create(
        workspace=workspace, reason="x", set_at=cast.NOW, expires_at=cast.NOW + timedelta(hours=1)
    )
    assert run("lift", one.pk, "--dry-run").startswith("Would lift ledger-prod")
    assert Hold.objects.get().lifted_at is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--reason", " ", "--until", "2026-11-25T06:00Z"], "--reason: 1 to 200 characters"),
        (
            ["--reason", "x", "--until", "2026-11-24T06:00Z"],
            "--until: Enter a time after its start, Tue 24 Nov 14:32 UTC",
        ),
        (
            ["--reason", "x", "--until", "2027-03-01T06:00Z"],
            "--until: A hold lasts at most 90 days: until Mon 22 Feb 14:32 UTC",
        ),
        (["--reason", "x", "--until", "2026-11-25T06:00Z", "--from", "2026-11-24T06:00Z"], "still to come"),
    ],
)
def test_a_hold_that_cannot_be_is_refused(workspace, arguments, message) -> None:
    with pytest.raises(CommandError, match=message):
        run("hold", "--workspace", "ledger-prod", *arguments)
    assert not Hold.objects.exists()


def test_an_unknown_or_ended_hold_is_not_lifted(workspace) -> None:
    for pk in ("x", workspace.pk):
        with pytest.raises(CommandError, match="There is no hold"):
            run("lift", pk)
    ended = Hold.objects.create(
        reason="x", set_at=cast.NOW - timedelta(hours=2), expires_at=cast.NOW - timedelta(hours=1)
    )
    for more in ([], ["--dry-run"]):
        with pytest.raises(CommandError, match="ended by itself at 2026-11-24T13:32:00Z"):
            run("lift", ended.pk, *more)
    assert Workspace.objects.count() == 1
