"""What the console shows of workspaces that are scheduled for deletion, being deleted, or deleted: every page, no 500s.

The pages of a deletion itself are tested beside this; what may begin in which state, in `tests/operations`.
"""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from tests import cast
from tests.views.reading import text
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import PLATFORM, Account, Actor, Event, Operation, StepPlan, Workspace
from workspaces.urls import urlpatterns

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside", "catalogue_rows", "empty_queues")]
BEGINS = "Begins Mon 30 Nov, 06:40 UTC, asked for by Alice Ahrens."


@pytest.fixture
def alices(client: Client, alice: Account) -> Client:
    return cast.sign_in(client, alice)


def become(workspace: Workspace, state: str) -> Workspace:
    reason = BEGINS if state == "deletion_scheduled" else ""
    Workspace.objects.filter(pk=workspace.pk).update(state=state, state_reason=reason)
    workspace.refresh_from_db()
    return workspace


def pages_of(workspace: Workspace) -> list[str]:
    """The address of every page that takes the workspace's id alone, or one of its hosts besides."""
    host = workspace.hosts.order_by("name")[0].pk
    found = []
    for pattern in urlpatterns:
        route = str(pattern.pattern)
        if not route.startswith("workspaces/<uuid:pk>"):
            continue
        names: dict[str, Any] = {"pk": workspace.pk} | ({"host": host} if "<uuid:host>" in route else {})
        try:
            found.append(reverse(str(pattern.name), kwargs=names))
        except NoReverseMatch:
            continue  # about one thing of it, such as a kubeconfig
    return found


LISTS = (
    "fleet", "operations", "rollouts", "rollout_new", "reconciliation", "queue", "agreements", "left_servers", "audit",
    "members", "api_keys", "calendar", "proposal", "holds", "hold_new", "decisions", "catalogue", "strip",
)  # fmt: skip


# --- A walk -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("state", ["deletion_scheduled", "deleting"])
def test_every_page_of_a_workspace_that_is_leaving_is_there(alices: Client, workspace: Workspace, state: str) -> None:
    become(workspace, state)
    pages = pages_of(workspace)
    assert len(pages) >= 10
    bad = {page: status for page in pages if (status := alices.get(page).status_code) not in (200, 302, 404, 405)}
    assert not bad
    overview = alices.get(reverse("workspace", args=[workspace.pk]))
    assert overview.status_code == 200


def test_of_a_deleted_workspace_no_page_is_there_but_what_tells_its_end(alices: Client, workspace: Workspace) -> None:
    pages = pages_of(become(workspace, "deleted"))
    first, others = reverse("workspace", args=[workspace.pk]), ("delet", "receipt", "forget")
    answers = {page: alices.get(page).status_code for page in pages if not any(word in page for word in others)}
    assert answers.pop(first) == 302
    assert {status for page, status in answers.items()} <= {404, 405}


def test_the_address_of_a_deleted_workspace_leads_to_its_receipt(alices: Client, workspace: Workspace) -> None:
    answer = alices.get(reverse("workspace", args=[become(workspace, "deleted").pk]))
    assert (answer.status_code, answer["Location"]) == (302, reverse("receipt", args=[workspace.pk]))


def test_a_stranger_learns_nothing_of_a_deleted_workspace(
    client: Client, charlie: Account, workspace: Workspace
) -> None:
    cast.sign_in(client, charlie)
    theirs = client.get(reverse("workspace", args=[become(workspace, "deleted").pk]))
    assert (theirs.status_code, client.get(reverse("workspace", args=[uuid.uuid4()])).status_code) == (404, 404)


@pytest.mark.parametrize("state", ["deletion_scheduled", "deleting", "deleted"])
@pytest.mark.parametrize("name", LISTS)
def test_every_list_is_there(alices: Client, workspace: Workspace, name: str, state: str) -> None:
    become(workspace, state)
    assert alices.get(reverse(name), follow=True).status_code == 200


# --- Lists ------------------------------------------------------------------------------------------------------------
def test_the_fleet_shows_what_is_leaving_with_its_state_and_nothing_that_is_deleted(
    alices: Client, workspace: Workspace
) -> None:
    for state, word in (("deletion_scheduled", "Deletion scheduled"), ("deleting", "Deleting")):
        become(workspace, state)
        page = text(alices.get(reverse("fleet")))
        assert "ledger-prod" in page
        assert word in page
        assert "1.35.7" not in page
        assert "Not seen for" not in page
    become(workspace, "deleted")
    assert "ledger-prod" not in text(alices.get(reverse("fleet")))


def test_what_is_searched_for_is_not_found_once_it_is_deleted(alices: Client, workspace: Workspace) -> None:
    assert "ledger-prod" in alices.get(reverse("find"), {"q": "ledger"}).content.decode().partition("<main")[2]
    become(workspace, "deleted")
    assert (
        reverse("workspace", args=[workspace.pk]) not in alices.get(reverse("find"), {"q": "ledger"}).content.decode()
    )


def test_the_trail_of_a_deleted_workspace_stays_readable(alices: Client, workspace: Workspace) -> None:
    Event.record(PLATFORM, "workspace.gated", summary="It was gated once", workspace=workspace)
    become(workspace, "deleted")
    assert "It was gated once" in text(alices.get(reverse("audit")))


# --- What is said and refused -----------------------------------------------------------------------------------------
def test_the_pages_say_that_its_deletion_is_scheduled_and_what_to_do(alices: Client, workspace: Workspace) -> None:
    become(workspace, "deletion_scheduled")
    said = f"The deletion of the workspace is scheduled. {BEGINS} Undo it first."
    assert said in text(alices.get(reverse("version", args=[workspace.pk])))
    assert said in text(alices.get(reverse("maintenance", args=[workspace.pk])))


def failed(workspace: Workspace, kind: str) -> Operation:
    made = Operation.start(workspace, kind, "Work that failed", [StepPlan("wait", "Wait")], actor=Actor.of_command("x"))
    assert isinstance(made, Operation)
    Operation.objects.filter(pk=made.pk).update(state="failed", finished_at=timezone.now())
    return made


def test_an_operation_of_a_workspace_that_is_leaving_is_shown_but_not_continued(
    alices: Client, workspace: Workspace
) -> None:
    operation = failed(workspace, "upgrade")
    become(workspace, "deletion_scheduled")
    page = alices.get(reverse("operation", args=[operation.pk]))
    assert f"The deletion of the workspace is scheduled. {BEGINS} Undo it first." in text(page)
    assert 'id="retry-button"' not in page.content.decode()
    assert alices.post(reverse("operation_retry", args=[operation.pk])).status_code == 409


@pytest.mark.parametrize("kind", ["deletion", "ca_rotation"])
def test_an_operator_continues_neither_a_deletion_nor_a_change_of_the_authority(
    client: Client, bob: Account, alice: Account, workspace: Workspace, kind: str
) -> None:
    operation = failed(workspace, kind)
    cast.sign_in(client, bob)
    page = client.get(reverse("operation", args=[operation.pk]))
    assert 'id="retry-button"' not in page.content.decode()
    assert "An administrator of Freight Core can continue it." in text(page)
    for name in ("operation_retry", "operation_skip"):
        assert client.post(reverse(name, args=[operation.pk])).status_code == 403
    cast.sign_in(client, alice)
    assert 'id="retry-button"' in client.get(reverse("operation", args=[operation.pk])).content.decode()


def test_nothing_is_saved_on_a_workspace_that_is_being_deleted(alices: Client, workspace: Workspace) -> None:
    become(workspace, "deleting")
    address = reverse("maintenance", args=[workspace.pk])
    answer = alices.post(address, {"enabled": "on"}, follow=True)
    assert "Nothing was saved. The workspace is not active. Its state: Deleting." in answer.content.decode()
    workspace.maintenance_plan.refresh_from_db()
    assert workspace.maintenance_plan.version == 1


def test_nobody_is_asked_to_look_at_a_workspace_that_is_being_deleted(alices: Client, workspace: Workspace) -> None:
    become(workspace, "deleting")
    answer = alices.post(reverse("reconcile", args=[workspace.pk]), headers={"HX-Request": "true"})
    assert "The workspace is not active. Its state: Deleting." in answer.content.decode()
