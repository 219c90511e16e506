"""`manage.py api_key create`: a key for a script, in somebody's name and with no more rights than theirs."""

from __future__ import annotations

import io
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tests import cast
from workspaces.models import Account, ApiKey, Event, Project

pytestmark = pytest.mark.django_db


def create(*more: str, name: str = "ci", role: str = "viewer", by: str = "alice@kestrel.example") -> tuple[str, str]:
    """What it writes on standard output and standard error."""
    out, err = io.StringIO(), io.StringIO()
    call_command("api_key", "create", "--name", name, "--role", role, "--created-by", by, *more, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_the_key_alone_is_on_standard_output(alice: Account) -> None:
    out, err = create("--organization", "Kestrel Freight")
    assert re.fullmatch(r"lb_\w{8}_[\w-]{43}\n", out)
    key = ApiKey.holding(out.strip())
    assert key is not None
    assert (key.name, key.role, key.organization.name, key.project, key.created_by) == (
        "ci",
        "viewer",
        "Kestrel Freight",
        None,
        alice,
    )
    assert key.expires_at is not None
    assert abs(key.expires_at - timezone.now() - timedelta(days=90)) < timedelta(minutes=1)
    assert err.startswith("Made ci: viewer of Kestrel Freight until ")
    act = Event.objects.acts().get()
    assert (act.action, act.actor_kind, act.actor_name) == ("api_key.created", "command", "manage.py api_key")
    added = Event.objects.row_changes().get(action="api_key.added")
    assert (added.actor_name, added.request_id) == (act.actor_name, act.request_id)


def test_json_says_what_was_made(alice: Account) -> None:
    project = cast.project()
    out, err = create("--project", str(project.pk), "--days", "7", "--json", role="operator")
    document = json.loads(out)
    assert ApiKey.holding(document.pop("key")) == ApiKey.objects.get()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document.pop("expires_at"))
    assert document == {
        "name": "ci",
        "organization": "Kestrel Freight",
        "project": "Freight Core",
        "role": "operator",
        "dry_run": False,
    }
    assert err == ""


def test_a_dry_run_makes_nothing(alice: Account) -> None:
    before = Event.objects.count()
    out, _ = create("--organization", "Kestrel Freight", "--dry-run")
    assert out.startswith("Would make ci: viewer of Kestrel Freight until 20")
    document = json.loads(create("--organization", "Kestrel Freight", "--dry-run", "--json")[0])
    assert (document["dry_run"], document["key"]) == (True, None)
    assert not ApiKey.objects.exists()
    assert Event.objects.count() == before


@pytest.mark.parametrize(
    ("more", "fields", "sentence"),
    [
        (["--organization", "Nowhere"], {}, "There is no organization Nowhere."),
        (["--project", "Nowhere"], {}, "There is no project Nowhere."),
        (["--project", "00000000-0000-4000-8000-000000000000"], {}, "There is no project 00000000"),
        (["--organization", "Kestrel Freight"], {"by": "nobody@x.example"}, "There is no active account nobody"),
        (["--organization", "Kestrel Freight"], {"by": "bob@kestrel.example"}, "Bob Berger manages no API keys of"),
        (["--project", "Freight Core"], {"by": "bob@kestrel.example"}, "Bob Berger manages no API keys of Freight"),
        (["--organization", "Fjordline"], {}, "Alice Ahrens manages no API keys of Fjordline."),
        (["--organization", "Kestrel Freight", "--days", "0"], {}, "--days: a number from 1 to 365."),
        (["--organization", "Kestrel Freight", "--days", "366"], {}, "--days: a number from 1 to 365."),
        (["--organization", "Kestrel Freight"], {"name": " "}, "--name: 1 to 100 characters."),
        (["--organization", "Kestrel Freight"], {"role": "root"}, "invalid choice: 'root'"),
        ([], {}, "one of the arguments --organization --project is required"),
        (["--organization", "x", "--project", "y"], {}, "not allowed with argument"),
    ],
)
@pytest.mark.usefixtures("alice", "bob", "charlie")
def test_what_cannot_be_done_is_said(more: list[str], fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CommandError, match=re.escape(sentence)):
        create(*more, **fields)
    assert not ApiKey.objects.exists()


def test_a_project_is_named_by_its_id_when_two_have_the_name(alice: Account) -> None:
    Project.objects.create(organization=cast.organization("Fjordline"), name="Freight Core")
    cast.project()
    with pytest.raises(CommandError, match=r"More than one project is called Freight Core. Give the id."):
        create("--project", "Freight Core")
