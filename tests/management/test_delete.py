"""`manage.py delete`: what it tells beforehand, what it schedules, what it undoes, and its exit codes."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tests import cast
from tests.operations import deleting
from workspaces.models import Deletion, DeletionPolicy, Event, Inventory, Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues")]
SURE = ("--reason", "Pilot ended", "--acknowledge-backups")


def run(*arguments: Any) -> str:
    out = StringIO()
    call_command("delete", *(str(argument) for argument in arguments), stdout=out)
    return out.getvalue()


def failing(*arguments: Any) -> tuple[str, str]:
    """What it told before it failed, and with what."""
    out = StringIO()
    with pytest.raises(CommandError) as failure:
        call_command("delete", *(str(argument) for argument in arguments), stdout=out)
    return out.getvalue(), str(failure.value)


@pytest.fixture
def metals(db: None) -> list[Workspace]:
    """Two that need no world: machines of nobody's cloud."""
    return [cast.baremetal("archive-a"), cast.baremetal("archive-b")]


# --- Beforehand -------------------------------------------------------------------------------------------------------
def test_a_dry_run_names_everything_and_writes_nothing(world) -> None:
    workspace = deleting.whole(world, "bulk-planned")
    told = run("--workspace", workspace.pk, "--dry-run").splitlines()
    name = f"{workspace.project.organization}/{workspace.project}/bulk-planned"
    assert told[0] == f"{name}: would be scheduled"
    assert "  delete Load balancers: bulk-planned-lb" in told
    assert "  keep   Volumes: bulk-planned-data" in told
    assert "  stays  not under its label: bulk-planned-other" in told
    assert any(line.startswith("  delete Control plane: bulk-planned") for line in told)
    assert any(line.startswith("  goes on costing ") for line in told)
    assert not Inventory.objects.exists()
    assert not Deletion.objects.exists()
    workspace.refresh_from_db()
    assert workspace.state == "active"


def test_a_dry_run_tells_what_would_be_refused_and_fails(metals) -> None:
    Workspace.objects.filter(pk=metals[0].pk).update(protected=True)
    told, said = failing("--project", metals[0].project_id, "--dry-run")
    assert "archive-a: refused (protected). archive-a is protected. Take the protection off first." in told
    assert "archive-b: would be scheduled" in told
    assert "  keep   Hosts: archive-b-1, archive-b-2" in told
    assert "delete Hosts" not in told
    assert said == "1 of 2 would be refused."


# --- Scheduling -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--acknowledge-backups", "--confirm-count", 2), "--reason: say why, it stands in the audit log."),
        (
            ("--reason", "x", "--confirm-count", 2),
            "--acknowledge-backups: confirm that what is needed of them is kept elsewhere.",
        ),
        ((*SURE,), "--confirm-count: 2 are selected. Give that number to delete them."),
        ((*SURE, "--confirm-count", 3), "--confirm-count: 2 are selected. Give that number to delete them."),
    ],
)
def test_nothing_is_scheduled_by_somebody_who_is_not_sure(metals, arguments, said) -> None:
    assert failing("--project", metals[0].project_id, *arguments) == ("", said)
    assert not Deletion.objects.exists()


def test_all_of_a_project_are_scheduled_and_told(metals) -> None:
    before = timezone.now()
    told = run("--project", metals[0].project_id, *SURE, "--confirm-count", 2, "--hours", 48).splitlines()
    assert [line.partition(": begins ")[0] for line in told] == [
        "Kestrel Freight/Freight Core/archive-a",
        "Kestrel Freight/Freight Core/archive-b",
    ]
    for deletion in Deletion.objects.all():
        assert deletion.begins_at - before >= timedelta(hours=48)
        assert (deletion.requested_by, deletion.reason) == ("manage.py delete", "Pilot ended")
    assert set(Workspace.objects.values_list("state", flat=True)) == {"deletion_scheduled"}
    assert Event.objects.told().filter(action="deletion.scheduled", actor_name="manage.py delete").count() == 2


def test_it_stops_at_the_first_refusal_unless_told_otherwise(metals) -> None:
    Workspace.objects.filter(pk=metals[0].pk).update(protected=True)
    where = ("--project", metals[0].project_id, *SURE, "--confirm-count", 2)
    told, said = failing(*where)
    assert "archive-a: refused (protected)." in told
    assert said == "1 of 2 refused. 1 were not tried."
    assert not Deletion.objects.exists()
    _, said = failing(*where, "--stop-after-failures", 2)
    assert said == "1 of 2 refused."
    assert Deletion.objects.get().workspace == metals[1]


def test_a_second_person_is_waited_for_and_a_command_is_none(metals) -> None:
    DeletionPolicy.objects.create(second_person=True)
    told = run("--workspace", metals[0].pk, *SURE, "--confirm-count", 1)
    assert told.strip().endswith(" UTC, once a second person agrees")


# --- Undoing ----------------------------------------------------------------------------------------------------------
def test_what_is_scheduled_is_undone_and_the_rest_is_refused(metals) -> None:
    run("--workspace", metals[0].pk, *SURE, "--confirm-count", 1)
    told, said = failing("--project", metals[0].project_id, "--undo", "--dry-run")
    assert "archive-a: would be undone" in told
    assert Workspace.objects.get(pk=metals[0].pk).state == "deletion_scheduled"
    told, said = failing("--project", metals[0].project_id, "--undo")
    assert "archive-a: undone" in told
    assert "archive-b: refused (not_scheduled). No deletion of archive-b is scheduled." in told
    assert said == "1 of 2 refused."
    assert Workspace.objects.get(pk=metals[0].pk).state == "active"


def test_json_is_one_entry_a_workspace(metals) -> None:
    told = json.loads(run("--project", metals[0].project_id, "--dry-run", "--json"))
    assert [one["workspace"]["name"] for one in told] == ["archive-a", "archive-b"]
    assert [one["refused"] for one in told] == [None, None]
    assert [step["step"] for step in told[0]["plan"]["steps"]] == [
        "integrations",
        "dns",
        "load_balancers",
        "hosts",
        "volumes",
    ]
