"""`manage.py versions`: what it loads, refuses, says and lists."""

from __future__ import annotations

import json
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import cast
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import Event, KubernetesVersion, Workspace

pytestmark = pytest.mark.django_db

NEW = """\
versions:
  - version: "1.36.4"
    active: true
    upgrade: {from: [1.35.7, 1.36.x]}
    released_on: 2026-11-10
    end_of_life_on: 2027-10-31
    notes: Fixes volume detach.
  - version: v1.35.6
    notes: Kept for the record.
  - version: 1.34.8
    active: false
    withdrawn_reason: The scheduler can stop.
  - version: 1.34.11
    security: yes
"""


@pytest.fixture
def file(tmp_path: Path) -> Any:
    """Writes a file and gives its name."""

    def write(content: Any) -> str:
        path = tmp_path / "versions.yaml"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return write


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("versions", *arguments, stdout=out)
    return out.getvalue()


def refused(*arguments: str) -> tuple[str, str]:
    """The refusal, and what was told before it."""
    out = StringIO()
    with pytest.raises(CommandError) as error:
        call_command("versions", *arguments, stdout=out)
    return str(error.value), out.getvalue()


def stored() -> list[dict[str, Any]]:
    return list(KubernetesVersion.objects.order_by("sort_key").values())


def entry(**fields: Any) -> dict[str, Any]:
    return {"versions": [fields]}


# --- Loading ----------------------------------------------------------------------------------------------------------
def test_versions_are_added_and_changed_and_each_is_told(catalogue_rows, workspace, file) -> None:
    assert run("load", file(NEW)).splitlines() == [
        "1.37.1: not in the file, left as it is",
        "1.36.4: added, active",
        "1.36.2: not in the file, left as it is",
        "1.35.7: not in the file, left as it is",
        "1.35.6: changed (notes: nothing → “Kept for the record.”)",
        "1.35.4: not in the file, left as it is",
        "1.34.11: unchanged",
        "1.34.8: changed (active: yes → no; withdrawn_reason: nothing → “The scheduler can stop.”); "
        "1 workspace runs it",
        "1.33.9: not in the file, left as it is",
        "warning (ended): Support of 1.33.9 ended on 31 Oct 2026 and it is still offered. "
        "Withdraw it with the reason, or correct the date.",
        "1 added, 2 changed, 1 unchanged, 5 not in the file, left as it is.",
    ]
    row = KubernetesVersion.objects.get(version="1.36.4")
    assert (row.active, row.upgrade_from, row.security) == (True, "1.35.7 || 1.36.x", False)
    assert (row.released_on, row.end_of_life_on) == (date(2026, 11, 10), date(2027, 10, 31))
    assert row.notes == "Fixes volume detach."
    assert not KubernetesVersion.objects.get(version="1.34.8").active


def test_the_second_time_changes_nothing(catalogue_rows, file) -> None:
    run("load", file(NEW))
    before, events = stored(), Event.objects.count()
    with CaptureQueriesContext(connection) as queries:
        told = run("load", file(NEW)).splitlines()
    assert not [query for query in queries if query["sql"].startswith(("UPDATE", "INSERT"))]
    assert told[-1] == "0 added, 0 changed, 4 unchanged, 5 not in the file, left as it is."
    assert (stored(), Event.objects.count()) == (before, events)


def test_changes_are_in_the_audit_trail_as_the_commands(catalogue_rows, file) -> None:
    run("load", file(NEW))
    made = Event.objects.row_changes().filter(actor_name="manage.py versions").order_by("id")
    assert sorted(made.values_list("action", "summary")) == [
        ("kubernetes_version.added", "Added Kubernetes version 1.36.4"),
        ("kubernetes_version.changed", "Changed active, withdrawn reason of Kubernetes version 1.34.8"),
        ("kubernetes_version.changed", "Changed notes of Kubernetes version 1.35.6"),
    ]


def test_a_dry_run_tells_what_would_happen_and_stores_nothing(catalogue_rows, file) -> None:
    before = stored()
    told = run("load", file(NEW), "--dry-run").splitlines()
    assert "1.36.4: would be added, active" in told
    assert "1.35.6: would change (notes: nothing → “Kept for the record.”)" in told
    assert told[-1] == "1 would be added, 2 would change, 1 unchanged, 5 not in the file, left as it is."
    assert stored() == before


def test_json_tells_the_same(catalogue_rows, workspace, file) -> None:
    told = json.loads(run("load", file(NEW), "--json"))
    assert (told["stored"], told["dry_run"], len(told["versions"])) == (True, False, 9)
    assert told["versions"][7] == {
        "version": "1.34.8",
        "outcome": "changed",
        "changes": {"active": [True, False], "withdrawn_reason": ["", "The scheduler can stop."]},
        "workspaces": 1,
    }
    assert [(one["version"], one["level"], one["code"]) for one in told["findings"]] == [("1.33.9", "warning", "ended")]


def test_a_json_file_and_standard_input_are_read_too(file, monkeypatch) -> None:
    document = entry(version="1.36.4", active=True, upgrade_from="any", released_on="2026-11-10", end_of_life_on=None)
    assert run("load", file(document)).splitlines()[0] == "1.36.4: added, active"
    monkeypatch.setattr("sys.stdin", StringIO(json.dumps(document)))
    assert run("load", "-").splitlines()[0] == "1.36.4: unchanged"


def test_a_catalogue_that_is_listed_as_json_can_be_loaded_again(catalogue_rows, file) -> None:
    before = stored()
    listed = run("list", "--json")
    assert "8 unchanged, 0 not in the file" in run("load", file(listed))
    KubernetesVersion.objects.all().delete()
    assert "8 added" in run("load", file(listed))
    assert [row | {"id": None} for row in stored()] == [row | {"id": None} for row in before]


# --- Refusing ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("versions:\n  - version: 1.10\n", "entry 1, version: the number 1.1. Write the version as text"),
        ('{"versions": [{"version": 1.10}]}', "entry 1, version: the number 1.1. Write the version as text"),
        ("versions: [{version: 1.36.4}, {activ: true, version: 1.36.5}]", "entry 2 (1.36.5), activ: not known."),
        (entry(version="1.36.4", active="yes"), "entry 1 (1.36.4), active: “yes” is neither true nor false."),
        (entry(version="1.36.4", security=1), "security: “1” is neither true nor false."),
        (entry(version="1.36.4", notes=7), "notes: “7” is not text. Put it in quotes."),
        (entry(version="1.36.4", notes="a\0b"), "notes: it holds characters that no text has."),
        (entry(version="1.36.4", upgrade_from=[]), "upgrade_from: an empty list. Write any, or name the versions."),
        (entry(version="1.36.4", upgrade_from=["1.35.x", 1.34]), "upgrade_from: the number 1.34."),
        (entry(version="1.36.4", upgrade={"to": "any"}), "upgrade.to: not known."),
        (entry(version="1.36.4", upgrade="any"), "upgrade: not known."),
        (entry(version="1.36.4", upgrade={"from": "any"}, upgrade_from="any"), "upgrade_from: said twice"),
        (entry(version="1.36.4", released_on="2026-13-01"), "released_on: “2026-13-01” is not a date."),
        ("versions:\n- version: 1.36.4\n  released_on: 2026-02-30\n", "released_on: “2026-02-30” is not a date."),
        (entry(version="1.36.4", released_on=20261110), "released_on: “20261110” is not a date."),
        (entry(active=True), "entry 1, version: missing."),
        ({"versions": ["1.36.4"]}, "entry 1, which is not a version with its fields."),
        ([], "The file is not a list under the key “versions”."),
        ("", "The file is not a list under the key “versions”."),
        ({"versions": [], "catalogue": []}, "“catalogue” is not known beside “versions”."),
        ("versions: [\n  {version: 1.36.4\n", "line 3, column 1: not YAML: expected ',' or '}'"),
        ("versions:\n- version: 1.36.4\n  notes: a\n  notes: b\n", "line 4, column 3: not YAML: “notes” stands twice."),
        ("versions:\n- ? [a]\n  : b\n", "not YAML: found unhashable key."),
        ('{"versions": [\n  {"version" "1.36.4"}]}', "line 2, column 14: not JSON: Expecting ':' delimiter."),
        ('{"versions": [{"notes": "a", "notes": "b"}]}', "“notes” stands twice in {\"notes\": \"b\"}."),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_with_its_place(file, content, sentence) -> None:
    message, told = refused("load", file(content))
    assert message.startswith("Nothing was stored. ")
    assert sentence in message
    assert (told, stored()) == ("", [])


def test_everything_that_is_wrong_in_a_file_is_said_at_once(file) -> None:
    message, _ = refused("load", file({"versions": [{"version": 1.1}, {"version": "1.36.4", "active": 1, "x": 2}]}))
    assert [line.strip().split(":")[0] for line in message.splitlines()[1:]] == [
        "entry 1, version",
        "entry 2 (1.36.4), active",
        "entry 2 (1.36.4), x",
    ]


def test_a_file_that_is_not_there_or_is_no_text_is_refused(tmp_path) -> None:
    assert refused("load", str(tmp_path / "no"))[0].endswith("no cannot be read: No such file or directory.")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\xff")
    assert refused("load", str(tmp_path / "bytes"))[0].endswith("bytes cannot be read: it is not UTF-8.")


@pytest.mark.parametrize(
    ("versions", "sentence"),
    [
        ([{"version": "latest"}], "error (unreadable): “latest” is not a version. Write it like 1.35.4."),
        ([{"version": "1.36.2", "upgrade_from": "new"}], "error (unreadable): The upgrade.from of 1.36.2: “new” is"),
        ([{"version": "1.36.4"}, {"version": "v1.36.4"}], "error (duplicate): 1.36.4 is in the catalogue twice."),
        ([{"version": "1.34.8", "upgrade_from": "1.35.4"}, {"version": "1.35.4", "upgrade_from": "1.34.8"}],
         "error (cycle): 1.34.8 accepts 1.35.4, which is higher: 1.34.8 → 1.35.4 → 1.34.8."),
        ([{"version": "1.36.2", "released_on": "2027-11-01"}], "error (dates): Support of 1.36.2 ends on 31 Oct 2027"),
        ([{"version": "1.36.2", "active": False}], "1.36.2, withdrawn_reason: Say why the version is withdrawn"),
        ([{"version": "1.35.6", "active": True}], "1.35.6, withdrawn_reason: Empty this: the version is active."),
        ([{"version": "1.36.4", "upgrade_from": "1.35.7 || " * 30 + "any"}],
         "1.36.4, upgrade_from: Ensure this value has at most 200 characters"),
        ([{"version": "1.36.4", "upgrade_from": ""}], "1.36.4, upgrade_from: This field cannot be blank."),
    ],
)  # fmt: skip
def test_an_error_of_the_catalogue_as_it_would_be_keeps_all_of_it_out(catalogue_rows, file, versions, sentence) -> None:
    before, events = stored(), Event.objects.count()
    message, told = refused("load", file({"versions": [{"version": "1.35.8", "active": True}, *versions]}))
    assert message.startswith("Nothing was stored.\n")
    assert sentence in message
    assert "1.35.8: would be added, active" in told
    assert (stored(), Event.objects.count()) == (before, events)


def test_refused_as_json_it_says_so_there_too(catalogue_rows, file) -> None:
    _, told = refused("load", file(entry(version="1.36.4", upgrade_from="1.36.4")), "--json")
    document = json.loads(told)
    assert (document["stored"], document["findings"][0]["code"]) == (False, "cycle")


def test_warnings_are_said_and_only_strict_refuses_them(file) -> None:
    document = entry(version="1.36.4", active=True, end_of_life_on="2026-11-23")
    message, told = refused("load", file(document), "--strict")
    assert message.startswith("Nothing was stored.\n  warning (ended): Support of 1.36.4 ended on 23 Nov 2026")
    assert "1.36.4: would be added, active" in told
    assert stored() == []
    assert "warning (ended): Support of 1.36.4" in run("load", file(document))
    assert [row["version"] for row in stored()] == ["1.36.4"]


# --- Listing ----------------------------------------------------------------------------------------------------------
def test_the_list_says_state_sources_dates_and_how_many_run_it(catalogue_rows, workspace, metal) -> None:
    cast.kubernetes("second", version="1.34.11")
    cast.kubernetes("third", version="1.34.11")
    Workspace.objects.filter(pk=cast.kubernetes("gone", version="1.34.11").pk).update(state="deleted")
    told = run("list").splitlines()
    assert len(told) == 8
    assert told[0] == "1.37.1: not active, from >=1.36.0 <1.38.0, no workspaces run it"
    assert told[3] == (
        "1.35.6: withdrawn (Volume detach can hang.), from >=1.34.2 <1.36.0, supported to 2027-06-30, "
        "no workspaces run it"
    )
    assert told[5:7] == [
        "1.34.11: active, security, from >=1.33.0 <1.35.0, supported to 2027-02-28, 2 workspaces run it",
        "1.34.8: active, from >=1.33.0 <1.35.0, supported to 2027-02-28, 1 workspace runs it",
    ]


def test_an_empty_catalogue_lists_nothing() -> None:
    assert (run("list"), json.loads(run("list", "--json"))) == ("", {"versions": []})
