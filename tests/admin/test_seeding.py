"""Manifests in the admin: refused in words, counted by revision, protected, and kept while clusters carry them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.admin.forms import address, errors, last
from workspaces.models import Seed, SeedManifest, Workspace

pytestmark = pytest.mark.django_db

ADD = "/admin/workspaces/seedmanifest/add/"
SPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: platform}\n"


def form(**fields: Any) -> dict[str, Any]:
    """What the form of a manifest sends."""
    return {"name": "baseline", "content": SPACE, "phase": "control_plane", "active": "on"} | fields


def manifest(**fields: Any) -> SeedManifest:
    return SeedManifest.objects.create(name="baseline", content=SPACE, **fields)


def told(answer: Any) -> list[str]:
    """The warnings after a save."""
    return [str(message) for message in answer.context["messages"] if message.level_tag == "warn"]


def test_a_manifest_is_added_with_an_event(as_root: Client) -> None:
    assert as_root.post(ADD, form()).status_code == 302
    assert SeedManifest.objects.get().revision == 1
    assert (last().action, last().summary) == ("manifest.added", "Added manifest baseline")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"content": "a: ["}, "This is not YAML"),
        ({"content": "# nothing"}, "The text holds no object."),
        ({"content": SPACE.replace("Namespace", "Secret")}, "Document 1 is a Secret. This text is not encrypted"),
        ({"content": SPACE + "status: {}\n"}, "Document 1 has status, which only the API server writes."),
        ({"versions": "newest"}, "is not understood"),
        ({"protected": "on", "active": ""}, "A protected manifest cannot be withdrawn: first take the protection off."),
    ],
)
def test_what_no_cluster_could_take_is_refused_in_words(as_root: Client, fields: dict[str, Any], sentence: str) -> None:
    assert sentence in errors(as_root.post(ADD, form(**fields)))
    assert not SeedManifest.objects.exists()


def test_another_text_is_another_revision_and_nothing_else_is(as_root: Client) -> None:
    row = manifest()
    # A browser sends the same text like this.
    sent = SPACE.strip().replace("\n", "\r\n")
    as_root.post(address("seedmanifest", row), form(content=sent, description="What every cluster has"))
    row.refresh_from_db()
    assert (row.revision, row.description) == (1, "What every cluster has")
    as_root.post(address("seedmanifest", row), form(content=SPACE + "# twice\n"))
    row.refresh_from_db()
    assert (row.revision, row.content) == (2, SPACE + "# twice\n")
    assert last().changes["revision"] == [1, 2]


def test_an_object_of_another_manifest_is_pointed_out(as_root: Client) -> None:
    manifest()
    said = told(as_root.post(ADD, form(name="also"), follow=True))
    assert said == ["Namespace platform is in baseline, too. A cluster that both fit gets it from also alone."]


def test_a_protected_manifest_cannot_be_deleted_and_the_page_says_why(as_root: Client) -> None:
    row = manifest(protected=True)
    page = as_root.get(address("seedmanifest", row)).content.decode()
    assert "Not possible while it is protected: first take the protection off." in page
    assert as_root.post(address("seedmanifest", row, "delete"), {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": str(row.pk), "post": "yes"}
    as_root.post("/admin/workspaces/seedmanifest/", chosen)
    assert SeedManifest.objects.count() == 1


def test_a_manifest_that_clusters_carry_is_withdrawn_first(as_root: Client, workspace: Workspace) -> None:
    row = manifest()
    seed = Seed.objects.create(workspace=workspace, manifest=row, object="v1 Namespace /platform")
    page = as_root.get(address("seedmanifest", row)).content.decode()
    assert "Not possible while clusters carry it: withdraw it first." in page
    assert as_root.post(address("seedmanifest", row, "delete"), {"post": "yes"}).status_code == 403
    seed.delete()
    assert as_root.post(address("seedmanifest", row, "delete"), {"post": "yes"}).status_code == 302
    assert not SeedManifest.objects.exists()


def test_the_list_counts_what_is_as_wanted(as_root: Client, workspace: Workspace) -> None:
    row = manifest()
    for name, state in (("a", "applied"), ("b", "conflict")):
        Seed.objects.create(workspace=workspace, manifest=row, object=name, state=state)
    page = as_root.get("/admin/workspaces/seedmanifest/").content.decode()
    assert "1 of 2" in page
    assert f'href="/admin/workspaces/seed/?manifest={row.pk}"' in page


def test_the_form_says_that_objects_stay(as_root: Client) -> None:
    assert "A cluster that fits no more keeps" in as_root.get(ADD).content.decode()
