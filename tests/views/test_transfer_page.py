"""The transfer page: who may see it, what it says before, the move, and the proof after it."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from tests import cast
from tests.views.reading import text
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import (
    PLATFORM,
    Account,
    Hold,
    Kubeconfig,
    Membership,
    Operation,
    Project,
    StepPlan,
    Transfer,
    Workspace,
)
from workspaces.models.transfer import move

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside", "empty_queues")]


@pytest.fixture
def customs(db: None) -> Project:
    project = cast.project("Customs")
    Project.objects.filter(pk=project.pk).update(cost_center="4410")
    return Project.objects.get(pk=project.pk)


@pytest.fixture
def alices(client, alice):
    return cast.sign_in(client, alice)


def url(workspace) -> str:
    return f"/workspaces/{workspace.pk}/transfer"


def without_tokens(answer) -> str:
    return re.sub(r"[A-Za-z0-9]{64}", "token", answer.content.decode())


def fingerprint(answer) -> str:
    return re.search(r'name="fingerprint" value="([0-9a-f]{64})"', answer.content.decode())[1]


def transfer_to(client, workspace, project, **more):
    shown = client.get(url(workspace), {"project": project.pk})
    return client.post(url(workspace), {"project": project.pk, "fingerprint": fingerprint(shown)} | more)


# --- Who sees it ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("who", "status"), [("alice", 200), ("bob", 403), ("victor", 403), ("root", 200)])
def test_who_may_move_it_sees_the_page(client, request, who, status, workspace, customs) -> None:
    cast.sign_in(client, request.getfixturevalue(who))
    assert client.get(url(workspace)).status_code == status


def test_an_operator_is_told_who_can_and_reads_former_moves(client, bob, workspace, metal, customs) -> None:
    cast.sign_in(client, bob)
    move(workspace, customs, by=PLATFORM, caller=None)
    back = move(workspace, cast.project(), by=PLATFORM, caller=None)
    assert "only as administrator of Freight Core." in text(client.get(url(workspace)))
    answer = client.get(url(workspace), {"moved": back.pk})
    assert "Moved from Customs to Freight Core" in text(answer)
    assert "An administrator of Freight Core can move this workspace." in text(answer)
    assert "To project" not in text(answer)
    assert client.get(url(workspace), {"project": customs.pk}).status_code == 403
    assert client.post(url(workspace), {"project": customs.pk}).status_code == 403


def test_the_tab_is_there_for_those_who_may_move_it(client, alice, bob, workspace) -> None:
    tab = f'href="{url(workspace)}"'
    assert tab in cast.sign_in(client, alice).get(f"/workspaces/{workspace.pk}").content.decode()
    assert tab not in cast.sign_in(client, bob).get(f"/workspaces/{workspace.pk}").content.decode()


def test_the_tab_is_not_there_for_who_administers_another_project_only(client, bob, workspace, customs) -> None:
    Membership.objects.create(account=bob, organization=customs.organization, project=customs, role="administrator")
    page = cast.sign_in(client, bob).get(f"/workspaces/{workspace.pk}").content.decode()
    assert f'href="{url(workspace)}"' not in page


def test_for_a_stranger_it_looks_as_if_it_did_not_exist(client, charlie, workspace, customs) -> None:
    cast.sign_in(client, charlie)
    random = f"/workspaces/{uuid.uuid4()}/transfer"
    for ask in (lambda at: client.get(at), lambda at: client.post(at, {"project": customs.pk})):
        theirs, other = ask(url(workspace)), ask(random)
        assert theirs.status_code == other.status_code == 404
        assert without_tokens(theirs) == without_tokens(other)


@pytest.mark.parametrize("who", ["alice", "root"])
def test_a_project_of_another_organization_is_answered_like_an_unknown_one(client, request, who, workspace) -> None:
    cast.sign_in(client, request.getfixturevalue(who))
    foreign, unknown = cast.project("Fjord", of="Fjordline").pk, uuid.uuid4()
    for ask in (
        lambda project: client.get(url(workspace), {"project": project}),
        lambda project: client.post(url(workspace), {"project": project, "fingerprint": "x"}),
    ):
        answers = [ask(foreign), ask(unknown), ask("no-id")]
        assert [answer.status_code for answer in answers] == [404, 404, 404]
        assert len({without_tokens(answer) for answer in answers}) == 1
    assert not Transfer.objects.exists()


def test_a_project_that_one_does_not_see_is_answered_like_an_unknown_one(client, workspace, customs) -> None:
    nina = cast.account("nina@kestrel.example", "administrator", on=workspace.project)
    cast.sign_in(client, nina)
    answers = [client.get(url(workspace), {"project": project}) for project in (customs.pk, uuid.uuid4())]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert without_tokens(answers[0]) == without_tokens(answers[1])
    assert "You see no other project of Kestrel Freight." in text(client.get(url(workspace)))


def test_a_closed_destination_stays_visible_with_its_reason(client, workspace, customs) -> None:
    nina = cast.account("nina@kestrel.example", "administrator", on=workspace.project)
    Membership.objects.create(account=nina, organization=customs.organization, project=customs, role="viewer")
    cast.sign_in(client, nina)
    reason = "Receive a workspace from another project: only as administrator or operator of Customs."
    answer = client.get(url(workspace))
    assert "Customs (not open to you)" in text(answer)
    assert reason in text(answer)
    answer = client.get(url(workspace), {"project": customs.pk})
    assert answer.status_code == 200
    assert "Who can reach it" not in text(answer)
    assert client.post(url(workspace), {"project": customs.pk, "fingerprint": "x"}).status_code == 403


# --- What it says before ----------------------------------------------------------------------------------------------
def test_losses_are_named_before_gains_and_before_the_unchanged(alices, alice, workspace, customs, bob) -> None:
    cast.account("cleo@kestrel.example", "viewer", on=customs, first_name="Cleo")
    shown = text(alices.get(url(workspace), {"project": customs.pk}))
    assert "Who can reach it 1 person loses access. 2 people now, 2 people after" in shown
    assert "Bob Berger bob@kestrel.example Operator none Loses access" in shown
    assert "Cleo cleo@kestrel.example none Viewer Gains access" in shown
    assert "1 other Alice Ahrens, Administrator same same No change" in shown
    assert shown.index("Bob Berger") < shown.index("Cleo") < shown.index("Alice Ahrens")
    assert "Operator to none: 13 rights lost Lost: See workspaces" in shown
    assert "none to Viewer: 2 rights gained Gained: See workspaces" in shown


def test_the_save_bar_and_the_dialog_name_what_moves_and_who_loses(alices, workspace, customs, bob) -> None:
    shown = text(alices.get(url(workspace), {"project": customs.pk}))
    assert "ledger-prod from Freight Core to Customs. 1 person loses access: Bob Berger." in shown
    assert "Transfer ledger-prod to Customs now?" in shown
    assert "You hold the rights in both projects, so you can move it back." in shown
    assert "Keep it in Freight Core" in shown


def test_who_could_not_move_it_back_is_told_so(client, workspace, customs) -> None:
    nina = cast.account("nina@kestrel.example", "administrator", on=workspace.project)
    Membership.objects.create(account=nina, organization=customs.organization, project=customs, role="operator")
    shown = text(cast.sign_in(client, nina).get(url(workspace), {"project": customs.pk}))
    assert "You cannot move it back yourself" in shown
    assert "You hold the rights in both projects" not in shown


def test_kubeconfigs_holds_and_cost_centres_are_shown(alices, alice, workspace, customs, bob) -> None:
    Kubeconfig.objects.create(
        workspace=workspace, requested_by="Bob Berger", requested_by_id=bob.pk, state="taken", taken_at=cast.NOW
    )
    until = timezone.now() + timedelta(days=2)
    Hold.objects.create(reason="Freeze", set_by=alice, project=workspace.project, expires_at=until)
    Hold.objects.create(reason="Audit", set_by=alice, project=customs, expires_at=until)
    shown = text(alices.get(url(workspace), {"project": customs.pk}))
    assert "Loses access here, keeps full rights in the cluster" in shown
    assert "1 kubeconfig stays valid." in shown
    assert "No longer applies: it is of Freight Core" in shown
    assert "Applies: it is of Customs" in shown
    assert "Cost centre none 4410" in shown
    assert "3 × ccx23 in fsn1 list price not known not known not known" in shown


def test_without_a_choice_the_first_open_project_is_proposed(alices, workspace, customs) -> None:
    cast.project("Depot Systems")
    assert "Transfer to Customs" in text(alices.get(url(workspace)))


def test_htmx_gets_the_impact_alone(alices, workspace, customs) -> None:
    answer = alices.get(url(workspace), {"project": customs.pk}, headers={"HX-Request": "true"})
    assert answer.content.decode().lstrip().startswith('<div class="stack" data-gap="lg" id="impact">')
    assert "<main" not in answer.content.decode()
    assert 'id="confirm"' in answer.content.decode()


def test_a_running_operation_is_linked_and_no_button_is_there(alices, workspace, customs) -> None:
    operation = Operation.start(workspace, "upgrade", "Upgrade it", [StepPlan("a", "A")], actor=PLATFORM)
    answer = alices.get(url(workspace), {"project": customs.pk})
    assert "It cannot be moved now. Upgrade it is running. Wait for it to end, or stop it." in text(answer)
    assert f'href="/operations/{operation.pk}"' in answer.content.decode()
    assert 'name="fingerprint"' not in answer.content.decode()


def test_the_page_asks_a_bounded_number_of_queries(alices, workspace, customs, django_assert_max_num_queries) -> None:
    for number in range(25):
        cast.account(f"p{number}@kestrel.example", "viewer", on=workspace.project)
        cast.project(f"Project {number}")
    with django_assert_max_num_queries(34):
        answer = alices.get(url(workspace), {"project": customs.pk})
    assert answer.status_code == 200


# --- The move and the proof -------------------------------------------------------------------------------------------
def test_the_move_leads_to_the_proof(alices, workspace, customs, bob) -> None:
    answer = transfer_to(alices, workspace, customs)
    made = Transfer.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, f"{url(workspace)}?moved={made.pk}")
    assert Workspace.objects.get(pk=workspace.pk).project == customs
    shown = text(alices.get(answer["Location"]))
    assert "Moved from Freight Core to Customs" in shown
    assert "As predicted. 2 accounts and 0 API keys, 42 rights in all" in shown
    assert "Former transfers From and to When By Freight Core to Customs" in shown


def test_what_differs_from_the_prediction_is_shown_with_why(alices, workspace, customs, bob) -> None:
    transfer_to(alices, workspace, customs)
    Membership.objects.create(account=bob, organization=customs.organization, project=customs, role="viewer")
    shown = text(alices.get(url(workspace), {"moved": Transfer.objects.get().pk}))
    assert "1 not as predicted" in shown
    assert "Bob Berger In addition: See workspaces" in shown
    assert "Changed since the move: predicted none, now Viewer." in shown


def test_a_former_transfer_of_one_that_has_moved_on_is_no_longer_compared(alices, alice, workspace, customs) -> None:
    home = workspace.project
    move(workspace, customs, by=PLATFORM, caller=None)
    move(workspace, home, by=PLATFORM, caller=None)
    first = Transfer.objects.order_by("moved_at").first()
    assert "It has left Customs since" in text(alices.get(url(workspace), {"moved": first.pk}))


def test_a_transfer_of_another_workspace_is_not_found_here(alices, workspace, metal, customs) -> None:
    made = move(metal, customs, by=PLATFORM, caller=None)
    assert alices.get(url(workspace), {"moved": made.pk}).status_code == 404
    assert alices.get(url(workspace), {"moved": "nonsense"}).status_code == 404


def test_one_who_may_no_longer_move_it_still_reads_the_proof(client, workspace, customs) -> None:
    nina = cast.account("nina@kestrel.example", "administrator", on=workspace.project)
    Membership.objects.create(account=nina, organization=customs.organization, project=customs, role="operator")
    cast.sign_in(client, nina)
    answer = transfer_to(client, workspace, customs)
    shown = client.get(answer["Location"])
    assert shown.status_code == 200
    assert "As predicted" in text(shown)
    assert "An administrator of Customs can move this workspace." in text(shown)


def test_a_form_whose_preview_is_outdated_moves_nothing_and_shows_what_is_true_now(
    alices, workspace, customs, bob
) -> None:
    shown = fingerprint(alices.get(url(workspace), {"project": customs.pk}))
    Account.objects.filter(pk=bob.pk).update(is_active=False)
    answer = alices.post(url(workspace), {"project": customs.pk, "fingerprint": shown})
    assert answer.status_code == 409
    assert "The workspace was not moved What the move changes is not what was shown." in text(answer)
    assert "Nobody loses access" in text(answer)
    assert not Transfer.objects.exists()
    again = alices.post(url(workspace), {"project": customs.pk, "fingerprint": fingerprint(answer)})
    assert again.status_code == 303


def test_a_fingerprint_that_is_none_moves_nothing(alices, workspace, customs) -> None:
    for wrong in ("", "x", "0" * 64):
        assert alices.post(url(workspace), {"project": customs.pk, "fingerprint": wrong}).status_code == 409
    assert not Transfer.objects.exists()


def test_the_project_it_is_in_is_refused_with_the_reason(alices, workspace, customs) -> None:
    answer = alices.post(url(workspace), {"project": workspace.project_id})
    assert answer.status_code == 409
    assert "It is in Freight Core already." in text(answer)
    assert alices.get(url(workspace), {"project": workspace.project_id}).status_code == 200


def test_a_move_needs_the_csrf_token(alice, workspace, customs) -> None:
    from django.test import Client

    strict = cast.sign_in(Client(enforce_csrf_checks=True), alice)
    assert strict.post(url(workspace), {"project": customs.pk}).status_code == 403
