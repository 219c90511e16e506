"""`manage.py upgrade`: who is chosen, what would happen, and a rollout followed to its end."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tests import cast
from workspaces.management.commands import upgrade as command
from workspaces.models import Operation, Rollout
from workspaces.operations import rollouts

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues", "catalogue_rows")]


def run(*arguments: Any, fails: str = "") -> str:
    """What it writes; with `fails` it ends with 1 and says that."""
    out = StringIO()
    if fails:
        with pytest.raises(CommandError) as error:
            call_command("upgrade", *(str(argument) for argument in arguments), stdout=out)
        assert str(error.value) == fails
        assert error.value.returncode in (1, 130)
    else:
        call_command("upgrade", *(str(argument) for argument in arguments), stdout=out)
    return out.getvalue()


def named(told: str) -> list[str]:
    return [line.partition(":")[0].rpartition("/")[2] for line in told.splitlines()]


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Instead of waiting, the scheduler ticks and the upgrades that run end: as `outcomes` say, else well."""

    def outcomes(ends: dict[str, str]) -> None:
        def pass_time(seconds: float) -> None:
            for operation in Operation.objects.open().select_related("workspace"):
                state = ends.get(operation.workspace.name, "succeeded")
                if state == "interrupt":
                    raise KeyboardInterrupt
                message = "The drain of w1 took too long." if state == "failed" else ""
                Operation.objects.filter(pk=operation.pk).update(
                    state=state, error_message=message, finished_at=timezone.now()
                )
            rollouts.tick(timezone.now())

        monkeypatch.setattr(command.time, "sleep", pass_time)

    return outcomes


# --- Who is chosen ----------------------------------------------------------------------------------------------------
def test_without_a_selection_it_refuses() -> None:
    cast.kubernetes()
    run("--to", "1.35.7", fails="Say which workspaces: --project, --organization or --workspace.")
    run("--to", "1.35.7", "--project", "Nowhere", fails="There is no project Nowhere.")
    assert Rollout.objects.count() == 0


def test_places_and_names_add_up_fewest_hosts_first_and_bare_metal_only_by_name() -> None:
    cast.kubernetes("big", hosts=5)
    cast.kubernetes("b", hosts=1)
    cast.kubernetes("a", hosts=1)
    cast.kubernetes("fjord", project=cast.project("Fjord", of="Fjordline"), hosts=2)
    cast.kubernetes("other", project=cast.project("Customs"), hosts=2)
    cast.kubernetes("gone", state="deleted")
    cast.baremetal("metal")
    project, organization = ("--project", "Kestrel Freight/Freight Core"), ("--organization", "Fjordline")
    assert named(run("--to", "1.35.7", *project, "--dry-run")) == ["a", "b", "big"]
    assert named(run("--to", "1.35.7", *project, "Customs", *organization, "--dry-run")) == [
        "a",
        "b",
        "fjord",
        "other",
        "big",
    ]
    told = run("--to", "1.35.7", "--workspace", "metal", "b", "--dry-run", fails="1 of 2 would be refused.")
    assert named(told) == ["b", "metal"]


def test_only_those_that_run_a_version_are_taken_when_it_is_said_which() -> None:
    cast.kubernetes("old", hosts=1, version="1.33.9")
    cast.kubernetes("near", hosts=1, version="1.34.8")
    cast.kubernetes("nearer", hosts=1, version="1.34.11")
    cast.kubernetes("unseen", hosts=0, version="")
    place = ("--organization", "Kestrel Freight", "--dry-run")
    assert named(run("--to", "1.35.7", "--from", "1.34.x", *place)) == ["near", "nearer"]
    assert named(run("--to", "1.35.7", "--from", ">=1.34.9 <1.35.0", *place)) == ["nearer"]
    run("--to", "1.35.7", "--from", "1.30.x", *place, fails="No workspace with Kubernetes is selected.")
    run(
        *("--to", "1.35.7", "--from", "new", *place),
        fails="--from: “new” is not understood. Write any, 1.34.5, 1.34.x or bounds like >=1.34.2 <1.35.0.",
    )


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--to", "1.99.0"), "--to: “1.99.0” is not in the version catalogue."),
        (("--to", "1.35.7", "--concurrency", "0"), "--concurrency: Enter a number from 1 to 50."),
        (("--to", "1.35.7", "--canary", "-1"), "--canary: Enter a number from 0 to 100."),
        (("--to", "1.35.7", "--stop-after-failures", "0"), "--stop-after-failures: Enter a number from 1 to 500."),
        (("--to", "1.35.7", "--soak", "99999"), "--soak: Enter a number from 0 to 10080."),
        (("--to", "1.35.7", "--accept-risk", "luck"), "--accept-risk: No risk that can be taken: luck."),
    ],
)
def test_what_cannot_be_asked_for_is_refused_before_anything_begins(option, said) -> None:
    cast.kubernetes()
    run(*option, "--project", "Freight Core", fails=said)
    assert Rollout.objects.count() == 0


# --- What would happen ------------------------------------------------------------------------------------------------
def test_a_dry_run_tells_each_way_or_the_reason_and_begins_nothing() -> None:
    cast.kubernetes("far", hosts=1)
    cast.kubernetes("there", hosts=2, version="1.36.2")
    cast.kubernetes("gated", hosts=3, state="gated")
    place = ("--to", "1.36.2", "--project", "Freight Core", "--dry-run")
    told = run(*place, "--several-hops", fails="1 of 3 would be refused.")
    assert told.splitlines() == [
        "Kestrel Freight/Freight Core/far: 1.34.8 to 1.35.7 to 1.36.2",
        "Kestrel Freight/Freight Core/there: runs it already. The workspace already runs 1.36.2.",
        "Kestrel Freight/Freight Core/gated: refused (gated). Reconciliation holds changes back until the workspace has"
        " converged. It lifts the gate by itself.",
    ]
    first, second, third = json.loads(run(*place, "--json", fails="2 of 3 would be refused."))
    assert (first["outcome"], first["refused"]["code"]) == ("refused", "not_reachable")
    assert (second["outcome"], second["hops"], second["estimate"]) == ("runs_it", [], None)
    assert third["refused"]["code"] == "gated"
    assert Rollout.objects.count() == 0


# --- Begun and followed -----------------------------------------------------------------------------------------------
def test_it_begins_and_does_not_wait_when_told_so() -> None:
    cast.kubernetes("big", hosts=5)
    cast.kubernetes("small", hosts=1)
    options = ("--canary", 1, "--concurrency", 2, "--stop-after-failures", 3, "--soak", 15, "--several-hops")
    told = run(
        "--to", "v1.36.2", "--project", "Freight Core", *options, "--accept-risk", "disruption_budgets", "--no-wait"
    )
    rollout = Rollout.objects.get()
    assert told.splitlines()[0] == f"Upgrade 2 workspaces to 1.36.2: /rollouts/{rollout.pk}"
    assert (rollout.canary, rollout.at_once, rollout.stop_after, rollout.soak_minutes) == (1, 2, 3, 15)
    assert (rollout.several_hops, rollout.accept_risks, rollout.requested_by) == (
        True,
        ["disruption_budgets"],
        "manage.py upgrade",
    )
    assert list(rollout.members.values_list("workspace__name", flat=True)) == ["small", "big"]


def test_it_is_followed_to_its_end_with_a_line_for_every_change(scheduler) -> None:
    for name in "abc":
        cast.kubernetes(name, hosts=1)
    scheduler({})
    told = [line[9:] for line in run("--to", "1.35.7", "--project", "Freight Core").splitlines()[1:]]
    assert told == [
        "The canary starts next.",
        "a: upgrading",
        "The canary runs alone: 1 of 1 run.",
        "a: upgraded",
        "b: upgrading",
        "c: upgrading",
        "The last 2 run.",
        "b: upgraded",
        "c: upgraded",
        "3 upgraded.",
    ]


def test_a_failure_pauses_it_and_ends_the_command_with_1_and_the_address(scheduler) -> None:
    for name in "abc":
        cast.kubernetes(name, hosts=1)
    scheduler({"a": "failed"})
    out = StringIO()
    with pytest.raises(CommandError) as error:
        call_command("upgrade", "--to", "1.35.7", "--project", "Freight Core", "--json", stdout=out)
    rollout = Rollout.objects.get()
    assert str(error.value) == (
        f"1 failed, it is paused: The canary failed. The others have not been touched. See /rollouts/{rollout.pk}."
    )
    document = json.loads(out.getvalue())
    assert (document["state"], document["counts"]) == ("paused", {"failed": 1, "waiting": 2})
    assert document["members"][0] == {
        "workspace": {"id": document["members"][0]["workspace"]["id"], "name": "a"},
        "canary": True,
        "state": "failed",
        "message": "The drain of w1 took too long.",
        "operation": str(Operation.objects.get().pk),
    }


def test_what_is_refused_ends_it_with_1_and_the_others_are_upgraded(scheduler) -> None:
    cast.kubernetes("a", hosts=1, state="gated")
    cast.kubernetes("b", hosts=1)
    scheduler({})
    told = run("--to", "1.35.7", "--project", "Freight Core", fails="1 refused.")
    assert "b: upgraded" in told
    assert "a: refused. Reconciliation holds changes back" in told


def test_an_interrupt_ends_the_looking_on_and_nothing_else(scheduler) -> None:
    cast.kubernetes("a", hosts=1)
    cast.kubernetes("b", hosts=1)
    scheduler({"b": "interrupt"})
    out = StringIO()
    with pytest.raises(CommandError) as error:
        call_command("upgrade", "--to", "1.35.7", "--project", "Freight Core", stdout=out)
    rollout = Rollout.objects.get()
    assert str(error.value) == f"It goes on without this command: /rollouts/{rollout.pk}"
    assert (error.value.returncode, rollout.state) == (130, "running")
