"""`manage.py seeding`: what it loads, refuses, says and lists."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command

from tests import cast
from workspaces.models import Event, Seed, SeedManifest, Workspace

pytestmark = pytest.mark.django_db

SPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: platform}\n"
LIMITS = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: limits, namespace: platform}\ndata: {level: info}\n"


@pytest.fixture
def file(tmp_path: Path) -> Any:
    """Writes manifests into a file and gives its name."""

    def write(*manifests: Any, text: str = "") -> str:
        path = tmp_path / "manifests.yaml"
        path.write_text(text or yaml.safe_dump({"manifests": list(manifests)}))
        return str(path)

    return write


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("seeding", *arguments, stdout=out)
    return out.getvalue()


def refused(*arguments: str) -> str:
    with pytest.raises(CommandError) as error:
        call_command("seeding", *arguments, stdout=StringIO())
    return str(error.value)


def entry(name: str = "baseline", content: str = SPACE, **fields: Any) -> dict[str, Any]:
    return {"name": name, "content": content} | fields


def test_manifests_are_added_and_changed_and_each_is_told(file) -> None:
    cast.organization("Kestrel Freight")
    first = file(entry(gates=True), entry("limits", LIMITS, organization="Kestrel Freight", versions=">=1.34.0"))
    assert run("load", first).splitlines() == ["baseline: added", "limits: added", "2 added, 0 changed, 0 unchanged."]
    assert list(SeedManifest.objects.values_list("name", "revision", "gates", "organization__name", "versions")) == [
        ("baseline", 1, True, None, ""),
        ("limits", 1, False, "Kestrel Freight", ">=1.34.0"),
    ]
    again = file(entry(), entry("limits", LIMITS.replace("info", "warn"), organization=None, protected=True))
    assert run("load", again).splitlines() == [
        "baseline: unchanged",
        "limits: changed (content, organization, protected)",
        "0 added, 1 changed, 1 unchanged.",
    ]
    # What an entry does not say stays as it is; another text is another revision.
    assert list(SeedManifest.objects.values_list("name", "revision", "gates", "organization__name", "versions")) == [
        ("baseline", 1, True, None, ""),
        ("limits", 2, False, None, ">=1.34.0"),
    ]


def test_the_trail_names_the_command(file) -> None:
    run("load", file(entry()))
    event = Event.objects.row_changes().get(action="manifest.added")
    assert (event.actor_kind, event.actor_name) == ("command", "manage.py seeding")


def test_other_fields_are_no_new_revision(file) -> None:
    run("load", file(entry()))
    run("load", file(entry(description="What every cluster has")))
    assert SeedManifest.objects.get().revision == 1


def test_a_dry_run_tells_and_stores_nothing(file) -> None:
    told = run("load", file(entry()), "--dry-run").splitlines()
    assert told == ["baseline: would be added", "1 would be added, 0 would change, 0 unchanged."]
    document = json.loads(run("load", file(entry()), "--dry-run", "--json"))
    assert document == {
        "manifests": [{"name": "baseline", "outcome": "added", "changes": []}],
        "warnings": [],
        "dry_run": True,
        "stored": False,
    }
    assert not SeedManifest.objects.exists()


@pytest.mark.parametrize(
    ("manifests", "sentence"),
    [
        (["x"], "entry 1 is not a manifest with its fields."),
        ([{"content": SPACE}], "entry 1: name: missing, or not text."),
        ([entry(flavour="x")], "entry 1 (baseline), flavour: not known. Known are name, description, content"),
        ([entry(gates="yes")], "entry 1 (baseline), gates: “yes” is neither true nor false."),
        ([entry(versions=1.34)], "entry 1 (baseline), versions: “1.34” is not text."),
        ([entry(organization=7)], "entry 1 (baseline), organization: “7” is neither a name nor null."),
        ([entry(), entry()], "“baseline” stands twice."),
        ([entry(organization="Nobody")], "baseline, organization: There is no organization Nobody."),
        ([entry(phase="later")], "baseline, phase: Value 'later' is not a valid choice."),
        ([entry(content="kind: [")], "baseline, content: This is not YAML"),
        ([entry(content="a: 1")], "baseline, content: Document 1 lacks apiVersion, kind or metadata.name."),
        (
            [entry(content=SPACE.replace("Namespace", "Secret"))],
            "baseline, content: Document 1 is a Secret. This text is not encrypted, so it must hold none.",
        ),
        ([entry(protected=True, active=False)], "baseline, active: A protected manifest cannot be withdrawn"),
    ],
)
def test_a_file_with_anything_wrong_is_refused_as_a_whole(file, manifests, sentence) -> None:
    said = refused("load", file(entry("other"), *manifests) if len(manifests) == 1 else file(*manifests))
    assert said.startswith("Nothing was stored.")
    assert sentence.removeprefix("entry 1") in said
    assert not SeedManifest.objects.exists()


def test_a_file_that_cannot_be_read_says_where(file) -> None:
    assert "line 1, column 2: not YAML" in refused("load", file(text="{"))
    assert "The file is not a list under the key “manifests”." in refused("load", file(text="[]"))
    assert refused("load", "/nowhere") == "/nowhere cannot be read: No such file or directory."


def test_an_object_of_two_manifests_is_pointed_out(file) -> None:
    told = run("load", file(entry(), entry("also")))
    assert "warning: Namespace platform is in also, too. A cluster that both fit gets it from also alone." in told
    cast.organization("Kestrel Freight")
    cast.organization("Fjordline Energy")
    apart = file(entry(organization="Kestrel Freight"), entry("also", organization="Fjordline Energy"))
    assert "warning" not in run("load", apart)


def test_the_list_is_a_file_for_load(file, workspace: Workspace) -> None:
    run("load", file(entry(gates=True, protected=True), entry("limits", LIMITS, versions=">=1.34.0", active=False)))
    made = SeedManifest.objects.get(name="baseline")
    Seed.objects.create(workspace=workspace, manifest=made, object="v1 Namespace /platform", state="applied")
    assert run("list").splitlines() == [
        "baseline: revision 1, once its API answers, protected, gates, 1 of 1 objects as wanted",
        "limits: revision 1, once its API answers, Kubernetes >=1.34.0, withdrawn, in no cluster",
    ]
    listed = run("list", "--json")
    assert run("load", file(text=listed)).splitlines()[-1] == "0 added, 0 changed, 2 unchanged."


def test_the_objects_of_a_workspace_are_listed(file, workspace: Workspace) -> None:
    run("load", file(entry()))
    Seed.objects.create(
        workspace=workspace,
        manifest=SeedManifest.objects.get(),
        object="v1 ConfigMap platform/settings",
        state="conflict",
        message="argocd-controller holds data.level.",
        conflicts=[{"field": "data.level", "manager": "argocd-controller"}],
        left=["data.size"],
        state_since=cast.NOW,
        revision=1,
    )
    assert run("list", "--workspace", workspace.name) == (
        "baseline: v1 ConfigMap platform/settings, conflict: argocd-controller holds data.level. "
        "(left to others: data.size)\n"
    )
    assert json.loads(run("list", "--workspace", str(workspace.pk), "--json")) == [
        {
            "manifest": "baseline",
            "object": "v1 ConfigMap platform/settings",
            "state": "conflict",
            "since": "2026-11-24T14:32:00Z",
            "revision": 1,
            "wanted_revision": 1,
            "message": "argocd-controller holds data.level.",
            "conflicts": [{"field": "data.level", "manager": "argocd-controller"}],
            "left": ["data.size"],
        }
    ]
