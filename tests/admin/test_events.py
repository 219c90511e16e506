"""The audit trail as support reads it: by actor, noun and kind, with links to what a line speaks of."""

from __future__ import annotations

from typing import Any

from django.test import Client

from tests import cast
from tests.admin.forms import address, version
from workspaces.models import PLATFORM, Account, Event, Workspace

LIST = "/admin/workspaces/event/"


def listed(client: Client, **query: str) -> list[str]:
    """The summaries that a list shows, newest first."""
    answer = client.get(LIST, query)
    assert answer.status_code == 200
    return [event.summary for event in answer.context["cl"].result_list]


def test_a_page_shows_before_and_after_in_words(as_root: Client, workspace: Workspace) -> None:
    data = {"description": "Books", "protected": "on", "upgrade_hosts_at_once": "1"}
    as_root.post(address("workspace", workspace), data)
    event = Event.objects.get(action="workspace.changed")
    html = as_root.get(address("event", event)).content.decode()
    assert "<li>description: empty → Books</li>" in html
    assert "<li>protected: no → yes</li>" in html
    assert f'<a href="/admin/workspaces/workspace/{workspace.pk}/change/">ledger-prod</a>' in html
    assert "History" not in html


def test_secrets_are_said_to_have_changed_and_no_more(as_root: Client, rows: Any) -> None:
    event = Event.objects.filter(action="ssh_key.added").latest("id")
    assert "<li>private key: changed</li>" in as_root.get(address("event", event)).content.decode()


def test_what_staff_or_outsiders_typed_is_shown_as_text(as_root: Client, workspace: Workspace) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(description="<script>alert(1)</script>")
    event = Event.objects.get(action="workspace.changed")
    html = as_root.get(address("event", event)).content.decode()
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_the_places_of_a_line_are_linked_and_what_is_gone_is_said_to_be(as_root: Client, workspace: Workspace) -> None:
    Event.record(PLATFORM, "workspace.looked", summary="Looked", workspace=workspace)
    empty = cast.organization("Empty")
    gone = str(empty.pk)
    empty.delete()
    html = as_root.get(LIST).content.decode()
    assert f'/admin/workspaces/organization/{workspace.project.organization_id}/change/">Kestrel Freight</a>' in html
    assert f'/admin/workspaces/workspace/{workspace.pk}/change/">ledger-prod</a>' in html
    assert f"{gone[:8]} (gone)" in html
    assert f"/admin/workspaces/organization/{gone}/change/" not in html


def test_a_request_leads_to_all_that_happened_in_it_and_a_row_to_its_history(
    as_root: Client, catalogue_rows: Any
) -> None:
    as_root.post("/admin/workspaces/kubernetesversion/add/", version())
    as_root.post("/admin/workspaces/kubernetesversion/add/", version(version="1.36.5"))
    event = Event.objects.exclude(request_id=None).get(summary="Added Kubernetes version 1.36.5")
    html = as_root.get(LIST).content.decode()
    assert f'<a href="{LIST}?request_id={event.request_id}">' in html
    assert f'<a href="{LIST}?table=workspaces_kubernetesversion&amp;row_id={event.row_id}">' in html
    assert listed(as_root, request_id=str(event.request_id)) == ["Added Kubernetes version 1.36.5"]
    assert listed(as_root, table=event.table, row_id=event.row_id) == ["Added Kubernetes version 1.36.5"]
    assert listed(as_root, q=str(event.request_id)) == ["Added Kubernetes version 1.36.5"]


def test_the_trail_is_filtered_by_kind_of_actor_noun_and_kind_of_line(
    as_root: Client, root: Account, workspace: Workspace
) -> None:
    as_root.post("/admin/workspaces/kubernetesversion/add/", version())
    Event.record(PLATFORM, "workspace.looked", summary="Looked", workspace=workspace)
    assert listed(as_root, actor_kind="account") == ["Added Kubernetes version 1.36.4"]
    assert listed(as_root, actor_kind="platform") == ["Looked"]
    assert listed(as_root, noun="workspaces_workspace") == ["Looked", "Added workspace ledger-prod"]
    assert listed(as_root, noun="workspaces_kubernetesversion") == ["Added Kubernetes version 1.36.4"]
    assert listed(as_root, kind="acts") == ["Looked"]
    assert "Looked" not in listed(as_root, kind="rows")
    assert len(listed(as_root, noun="no-such-table")) == len(listed(as_root))
