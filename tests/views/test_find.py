"""Find: by name or id, only what the account may see."""

import pytest

from tests import cast
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import PLATFORM, Operation

pytestmark = pytest.mark.usefixtures("no_outside")


@pytest.fixture
def alices(client, alice):
    return cast.sign_in(client, alice)


def operation(workspace, title="Upgrade ledger-prod from 1.34.8 to 1.35.7"):
    return Operation.start(workspace, "upgrade", title, [], actor=PLATFORM)


def test_it_finds_workspaces_hosts_and_operations_by_a_part_of_the_name(alices, workspace):
    started = operation(workspace)
    page = alices.get("/find", {"q": "EDGER"}).content.decode()
    assert f'href="/workspaces/{workspace.pk}"' in page
    assert "ledger-prod-w2" in page
    assert "host of ledger-prod" in page
    assert f'href="/operations/{started.pk}"' in page
    assert "operation, pending" in page


def test_it_finds_by_the_beginning_of_an_id(alices, workspace):
    started = operation(workspace)
    assert "ledger-prod" in alices.get("/find", {"q": str(workspace.pk)[:8]}).content.decode()
    assert started.title in alices.get("/find", {"q": str(started.pk)}).content.decode()


def test_the_fragment_for_the_dialog_has_the_results_alone(alices, workspace):
    answer = alices.get("/find", {"q": "ledger"}, HTTP_HX_REQUEST="true")
    assert b"ledger-prod" in answer.content
    assert b"<html" not in answer.content
    assert "HX-Request" in answer.headers["Vary"]


def test_the_page_works_without_a_question(alices, workspace):
    answer = alices.get("/find")
    assert answer.status_code == 200
    assert b"Nothing is called" not in answer.content


@pytest.mark.parametrize("q", ["nothing-like-it", "%", "_", "\0ledgr", "'; drop table", "<script>alert(1)</script>"])
def test_what_is_not_there_is_said_and_nothing_breaks(alices, workspace, q):
    page = alices.get("/find", {"q": q}).content.decode()
    assert "Nothing is called" in page
    assert "ledger-prod" not in page
    assert "<script>alert" not in page


def test_at_most_eight_of_a_kind_are_shown(alices):
    for number in range(10):
        cast.kubernetes(f"yard-{number}", hosts=0)
    page = alices.get("/find", {"q": "yard"}).content.decode()
    found = page.partition('id="main"')[2]
    assert found.count('<svg class="icon" aria-hidden="true"><use href="#i-kube"/>') == 8
    assert "Workspaces, the first 8" in page


def test_another_organization_and_another_project_do_not_exist(client, bob, charlie, workspace):
    sandbox = cast.kubernetes("rates-engine", project=cast.project("Sandbox"))
    operation(sandbox, "Upgrade rates-engine from 1.34.8 to 1.35.7")
    operation(workspace)
    assert "Nothing is called" in cast.sign_in(client, bob).get("/find", {"q": "rates"}).content.decode()
    for q in ("ledger", str(workspace.pk), "1.35.7"):
        assert "Nothing is called" in cast.sign_in(client, charlie).get("/find", {"q": q}).content.decode()


def test_deleted_workspaces_are_not_found(alices):
    cast.kubernetes(state="deleted")
    assert "Nothing is called" in alices.get("/find", {"q": "ledger"}).content.decode()


def test_it_costs_four_queries_beside_session_and_account(alices, workspace, django_assert_num_queries):
    with django_assert_num_queries(6):
        alices.get("/find", {"q": "ledger"}, HTTP_HX_REQUEST="true")


def test_it_is_closed_to_strangers(client, db):
    assert client.get("/find?q=x").headers["Location"] == "/accounts/login/?next=/find%3Fq%3Dx"
