"""`manage.py transfer`: what it tells, what it moves, and its exit codes."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests import cast
from workspaces.models import PLATFORM, Event, Operation, Project, StepPlan, Transfer, Workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def customs(db: None) -> Project:
    return cast.project("Customs")


def run(*arguments: Any) -> str:
    out = StringIO()
    call_command("transfer", *(str(argument) for argument in arguments), stdout=out)
    return out.getvalue()


def test_several_are_moved_by_id_and_by_path(workspace, metal, customs, bob) -> None:
    told = run(workspace.pk, "Kestrel Freight/Freight Core/customs-archive", "--to", "Kestrel Freight/Customs")
    assert told.splitlines() == [
        "ledger-prod: from Freight Core to Customs: moved",
        "  Bob Berger loses access (Operator before, none after)",
        "  21 rights compared: as predicted",
        "customs-archive: from Freight Core to Customs: moved",
        "  Bob Berger loses access (Operator before, none after)",
        "  21 rights compared: as predicted",
    ]
    assert set(Workspace.objects.values_list("project__name", flat=True)) == {"Customs"}


def test_events_name_the_command(workspace, customs) -> None:
    run(workspace.pk, "--to", customs.pk)
    actors = set(Event.objects.filter(workspace_id=workspace.pk, project_id=customs.pk).values_list("actor_name"))
    assert actors == {("manage.py transfer",)}


def test_a_dry_run_tells_the_same_and_moves_nothing(workspace, customs, bob) -> None:
    told = run(workspace.pk, "--to", customs.pk, "--dry-run")
    assert told.splitlines() == [
        "ledger-prod: from Freight Core to Customs: would move",
        "  Bob Berger loses access (Operator before, none after)",
    ]
    assert not Transfer.objects.exists()


def test_json_holds_the_preview_and_the_proof(workspace, customs, bob) -> None:
    (dry,) = json.loads(run(workspace.pk, "--to", customs.pk, "--dry-run", "--json"))
    assert (dry["moved"], dry["proof"], dry["identities"][0]["effect"]) == (False, None, "loses_access")
    (done,) = json.loads(run(workspace.pk, "--to", customs.pk, "--json"))
    assert (done["moved"], done["refused"], done["proof"]["holds"]) == (True, None, True)


def test_one_refused_does_not_keep_the_others_and_ends_with_an_error(workspace, metal, customs) -> None:
    Operation.start(workspace, "upgrade", "Upgrade it", [StepPlan("a", "A")], actor=PLATFORM)
    out = StringIO()
    with pytest.raises(CommandError, match=r"^1 of 2 refused\.$") as error:
        call_command("transfer", str(workspace.pk), str(metal.pk), "--to", str(customs.pk), stdout=out)
    assert error.value.returncode == 1
    assert "refused (operation_running). Upgrade it is running." in out.getvalue()
    assert Workspace.objects.get(pk=metal.pk).project == customs
    assert Workspace.objects.get(pk=workspace.pk).project.name == "Freight Core"


@pytest.mark.parametrize(
    ("chosen", "to", "message"),
    [
        ("Kestrel Freight/Freight Core/nobody", "Kestrel Freight/Customs", "There is no workspace"),
        ("00000000-0000-4000-8000-00000000dead", "Kestrel Freight/Customs", "There is no workspace"),
        ("ledger-prod", "Kestrel Freight/Customs", "neither an id nor of the form organization/project/name"),
        ("Kestrel Freight/Freight Core/ledger-prod", "Kestrel Freight/Nowhere", "There is no project"),
        ("Kestrel Freight/Freight Core/ledger-prod", "Customs", "neither an id nor of the form organization/project"),
        ("Kestrel Freight/Freight Core/ledger-prod", "Fjordline/Fjord", "stays in its organization"),
    ],
)
def test_what_cannot_be_found_stops_before_anything_is_moved(workspace, metal, customs, chosen, to, message) -> None:
    cast.project("Fjord", of="Fjordline")
    with pytest.raises(CommandError, match=message):
        run(metal.pk, chosen, "--to", to)
    assert not Transfer.objects.exists()
