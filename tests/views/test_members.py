"""Members: who sees whom, what a change takes away, and that an organization is never without an administrator."""

from __future__ import annotations

import html
import re
import threading
import uuid

import pytest
from allauth.mfa.models import Authenticator
from django.db import connection

from tests import cast
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import Account, ApiKey, Event, Invitation, Membership
from workspaces.models import members as model

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside")]


@pytest.fixture
def kestrel(db):
    return cast.organization("Kestrel Freight")


@pytest.fixture
def core(kestrel):
    return cast.project()


@pytest.fixture
def alices(client, alice):
    return cast.sign_in(client, alice)


@pytest.fixture
def bobs(client, bob):
    return cast.sign_in(client, bob)


@pytest.fixture
def nora(core):
    """Administers the project Freight Core only."""
    return cast.account("nora@kestrel.example", "administrator", on=core, first_name="Nora", last_name="Nilsen")


def text(answer):
    """The page's main part as one line of words."""
    main = answer.content.decode().partition("<main")[2].partition("</main>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


def of(place, *more):
    kind = "organizations" if hasattr(place, "projects") else "projects"
    return "/".join(["", kind, str(place.pk), "members", *(str(getattr(one, "pk", one)) for one in more)])


# --- Seeing -----------------------------------------------------------------------------------------------------------
def test_the_organizations_page_shows_everybody_with_role_place_and_second_factor(alices, alice, bob, victor, kestrel):
    Authenticator.objects.create(user=bob, type="totp", data={})
    Authenticator.objects.create(user=victor, type="recovery_codes", data={})
    page = alices.get(of(kestrel))
    assert page.status_code == 200
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", page.content.decode(), re.S)
    said = [" ".join(html.unescape(re.sub(r"<[^>]+>", " ", row)).split()) for row in rows]
    people = {line.split()[0]: line for line in said[:3]}
    assert re.search(
        r"Alice Ahrens you alice@kestrel.example Administrator Kestrel Freight all projects \d+ \w+ 20\d\d .* ago No",
        people["Alice"],
    )
    assert re.search(
        r"Bob Berger bob@kestrel.example Operator Freight Core project \d+ \w+ 20\d\d Never Yes", people["Bob"]
    )
    assert people["victor@kestrel.example"].endswith("Never No Change victor@kestrel.example")
    assert "3 people have access" in text(page)


def test_the_projects_page_shows_who_comes_in_through_it_or_through_the_organization(bobs, alice, bob, victor, core):
    cast.account("elsewhere@kestrel.example", "operator", on=cast.project("Customs"))
    said = text(bobs.get(of(core)))
    assert "Bob Berger you bob@kestrel.example Operator This project" in said
    assert "Alice Ahrens alice@kestrel.example Administrator Kestrel Freight all projects" in said
    assert "elsewhere@kestrel.example" not in said


def test_the_page_says_in_sentences_what_each_role_may_do(alices, kestrel):
    page = alices.get(of(kestrel)).content.decode()
    row = re.search(r"<td>Switch maintenance off for a workspace</td>.*?</tr>", page, re.S)[0]
    assert re.findall(r">(Yes|No)<", row) == ["Yes", "No", "No"]
    row = re.search(r"<td>Start a Kubernetes upgrade</td>.*?</tr>", page, re.S)[0]
    assert re.findall(r">(Yes|No)<", row) == ["Yes", "Yes", "No"]


def test_who_may_look_only_gets_the_reason_in_place_of_the_controls(bobs, alice, bob, core):
    page = bobs.get(of(core))
    assert "Inviting, changing roles and removing is for administrators of Freight Core." in text(page)
    main = page.content.decode().partition("<main")[2].partition("</main>")[0]
    assert "<form method" not in main
    assert "Invite a person" not in main
    assert of(core, bob.memberships.get()) not in main


def test_a_viewer_is_refused_with_a_sentence(client, victor, kestrel, core):
    for place in (kestrel, core):
        page = cast.sign_in(client, victor).get(of(place))
        assert page.status_code == 403
        assert "See who has access and with which role: only as administrator or operator of" in text(page)


def test_an_operator_of_a_project_does_not_see_the_whole_organizations_page(bobs, kestrel):
    page = bobs.get(of(kestrel))
    assert page.status_code == 403
    assert "of Kestrel Freight as a whole." in text(page)


def test_a_strangers_pages_look_like_unknown_ones(client, charlie, alice, kestrel, core):
    stranger = cast.sign_in(client, charlie)
    membership = alice.memberships.get()
    for address in (of(kestrel), of(core), of(kestrel, membership), of(cast.organization("Fjordline"), membership)):
        unknown = re.sub(r"[0-9a-f-]{36}(?=[^/]*$|/members$)", str(uuid.uuid4()), address)
        answers = [stranger.get(one) for one in (address, unknown)]
        assert [one.status_code for one in answers] == [404, 404]
        assert text(answers[0]) == text(answers[1])


def test_the_filter_finds_every_word_in_name_or_address(alices, bob, victor, kestrel):
    assert "Bob Berger" in text(alices.get(of(kestrel), {"q": "ber bob"}))
    assert "victor" not in text(alices.get(of(kestrel), {"q": "ber bob"}))
    assert "No name or address has “zzz<b>” in it." in text(alices.get(of(kestrel), {"q": "zzz<b>"}))


def test_fifty_members_cost_as_many_queries_as_three(alices, kestrel, core, django_assert_max_num_queries):
    for number in range(60):
        person = cast.account(f"p{number:02}@kestrel.example", "viewer", on=core if number % 2 else kestrel)
        Invitation.send_to(f"i{number}@x.example", organization=kestrel, project=None, role="viewer", invited_by=person)
    with django_assert_max_num_queries(18):
        page = alices.get(of(kestrel))
    assert "1 to 50 of 61" in text(page)
    assert "51 to 61 of 61" in text(alices.get(of(kestrel), {"page": 2}))


def test_the_index_leads_to_the_only_page_or_lists_them(client, alice, bob, victor, root, kestrel, core):
    assert cast.sign_in(client, alice).get("/members").headers["Location"] == of(kestrel)
    assert cast.sign_in(client, bob).get("/members").headers["Location"] == of(core)
    assert cast.sign_in(client, victor).get("/members").status_code == 403
    cast.organization("Fjordline")
    said = text(cast.sign_in(client, root).get("/members"))
    assert "Fjordline organization 0" in said
    assert "Kestrel Freight organization 3" in said
    Membership.objects.create(account=bob, organization=kestrel, project=cast.project("Customs"), role="operator")
    said = text(cast.sign_in(client, bob).get("/members"))
    assert "Customs project of Kestrel Freight" in said
    assert "Freight Core project of Kestrel Freight" in said


def test_the_navigation_leads_there_only_who_may(client, alice, bob, victor):
    shown = {}
    for who in (alice, bob, victor):
        nav = cast.sign_in(client, who).get("/workspaces").content.decode().partition("<nav")[2].partition("</nav>")[0]
        shown[who.initials] = ('href="/members"' in nav, 'href="/api-keys"' in nav)
    assert shown == {"AA": (True, True), "BB": (True, False), "VK": (False, False)}


# --- Changing ---------------------------------------------------------------------------------------------------------
def test_what_a_change_takes_away_is_said_before(alices, bob, kestrel):
    said = text(alices.get(of(kestrel, bob.memberships.get())))
    assert "Make Bob Berger viewer of Freight Core? Bob Berger loses: See who has access and with which role" in said
    assert "Make Bob Berger administrator of Freight Core? Bob Berger gains:" in said
    removal = said.partition("Remove Bob Berger from Freight Core?")[2]
    assert "See workspaces, their hosts, operations, forecast and drift" in removal
    assert "Start a Kubernetes upgrade" in removal


def test_what_goes_on_without_the_member_is_counted(alices, alice, bob, kestrel, core):
    Membership.objects.create(account=bob, organization=kestrel, project=cast.project("Customs"), role="viewer")
    ApiKey.issue(name="ci", organization=kestrel, project=core, role="operator", created_by=bob)
    said = text(alices.get(of(kestrel, bob.memberships.get(project=core))))
    assert "Bob Berger loses 13 rights and stays viewer of Customs. The account itself stays." in said
    assert "What Bob Berger made goes on: 1 API key until somebody revokes it." in said


def test_an_administrator_changes_a_role_and_the_trail_says_so(alices, alice, bob, kestrel):
    membership = bob.memberships.get()
    answer = alices.post(of(kestrel, membership, "role"), {"role": "viewer"})
    assert (answer.status_code, answer.headers["Location"]) == (303, of(kestrel))
    membership.refresh_from_db()
    assert membership.role == "viewer"
    act = Event.objects.acts().get(action="membership.role_changed")
    assert act.summary == "Made Bob Berger viewer of Freight Core, before operator"
    assert (act.actor_name, act.organization_id, act.project_id) == ("Alice Ahrens", kestrel.pk, membership.project_id)
    assert act.changes["role"] == ["operator", "viewer"]
    assert "Bob Berger is viewer of Freight Core now." in alices.get(of(kestrel)).content.decode()


def test_the_same_role_again_is_no_change(alices, bob, kestrel):
    alices.post(of(kestrel, bob.memberships.get(), "role"), {"role": "operator"})
    assert not Event.objects.acts().filter(action="membership.role_changed").exists()


@pytest.mark.parametrize("role", ["", "owner", "Viewer"])
def test_an_unknown_role_is_not_stored(alices, bob, kestrel, role):
    answer = alices.post(of(kestrel, bob.memberships.get(), "role"), {"role": role})
    assert answer.status_code == 422
    assert "Choose a role: administrator, operator or viewer." in text(answer)
    assert bob.memberships.get().role == "operator"


def test_an_administrator_removes_a_member_and_the_account_stays(alices, bob, kestrel):
    answer = alices.post(of(kestrel, bob.memberships.get(), "remove"))
    assert answer.status_code == 303
    assert not bob.memberships.exists()
    assert Account.objects.filter(pk=bob.pk).exists()
    assert Event.objects.acts().get(action="membership.removed").summary == "Removed Bob Berger from Freight Core"


def test_who_may_not_manage_changes_nothing(bobs, bob, victor, core):
    cast.account("nora@kestrel.example", "viewer", on=core)
    other = Membership.objects.get(account__email="nora@kestrel.example")
    for address, said in ((of(core, other, "role"), {"role": "operator"}), (of(core, other, "remove"), {})):
        answer = bobs.post(address, said)
        assert answer.status_code == 403
        assert "Add and remove members and change their roles: only as administrator of Freight Core." in text(answer)
    other.refresh_from_db()
    assert other.role == "viewer"
    assert bobs.get(of(core, other)).status_code == 403


def test_a_project_administrator_changes_the_project_and_nothing_above_it(client, nora, bob, victor, core, kestrel):
    noras = cast.sign_in(client, nora)
    page = noras.get(of(core))
    assert of(core, bob.memberships.get()) in page.content.decode()
    assert "by Kestrel Freight" in text(page)
    above = victor.memberships.get()
    assert noras.get(of(core, above)).status_code == 404
    assert noras.post(of(core, above, "remove")).status_code == 404
    assert noras.post(of(kestrel, above, "remove")).status_code == 403
    assert noras.post(of(core, bob.memberships.get(), "remove")).status_code == 303
    assert victor.memberships.exists()
    assert not bob.memberships.exists()


def test_a_member_of_another_organization_cannot_be_reached_through_ones_own(alices, charlie, kestrel):
    other = charlie.memberships.get()
    assert alices.post(of(kestrel, other, "remove")).status_code == 404
    assert alices.post(of(kestrel, other, "role"), {"role": "viewer"}).status_code == 404
    assert charlie.memberships.exists()


def test_one_may_step_down_oneself_when_another_administers(alices, alice, kestrel):
    cast.account("ada@kestrel.example", "administrator", on=kestrel)
    mine = alice.memberships.get()
    said = text(alices.get(of(kestrel, mine)))
    assert "Make yourself viewer of Kestrel Freight? You lose:" in said
    assert "You cannot give this back to yourself: another administrator has to." in said
    answer = alices.post(of(kestrel, mine, "role"), {"role": "viewer"})
    assert answer.headers["Location"] == "/workspaces"
    assert alice.memberships.get().role == "viewer"


@pytest.mark.parametrize(("action", "said"), [("role", {"role": "operator"}), ("remove", {})])
def test_the_last_administrator_stays(alices, alice, bob, nora, victor, kestrel, action, said):
    gone = cast.account("gone@kestrel.example", "administrator", on=kestrel, is_active=False)
    mine = alice.memberships.get()
    sentence = (
        "Alice Ahrens is the last administrator of Kestrel Freight. "
        "Make somebody else administrator of Kestrel Freight as a whole first."
    )
    page = alices.get(of(kestrel, mine))
    assert sentence in text(page)
    assert 'data-kind="danger"' not in page.content.decode()
    answer = alices.post(of(kestrel, mine, action), said)
    assert answer.status_code == 409
    assert f"Nothing was changed {sentence}" in text(answer)
    assert alice.memberships.get().role == "administrator"
    Account.objects.filter(pk=gone.pk).update(is_active=True)
    assert alices.post(of(kestrel, mine, action), said).status_code == 303


def test_a_member_who_is_gone_meanwhile_is_said_to_be(alice, bob, kestrel):
    membership = bob.memberships.select_related("account", "organization", "project").get()
    Membership.objects.filter(pk=membership.pk).delete()
    for refused in (model.remove(membership, alice), model.change_role(membership, "viewer", alice)):
        assert refused
        assert (refused.code, refused.message) == (
            "already_removed",
            "Bob Berger has been removed from Freight Core meanwhile.",
        )


def test_who_lost_the_right_a_moment_ago_changes_nothing(alice, bob, kestrel):
    alice.memberships.update(role="operator")
    refused = model.remove(bob.memberships.get(), alice)
    assert refused
    assert refused.code == "not_allowed"
    assert bob.memberships.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", [model.remove, lambda row, by: model.change_role(row, "viewer", by)])
def test_two_last_administrators_who_remove_each_other_leave_one(alice, kestrel, change):
    ada = cast.account("ada@kestrel.example", "administrator", on=kestrel)
    start, answers = threading.Barrier(2), []

    def run(target: Account, by: Account) -> None:
        try:
            row = target.memberships.select_related("account", "organization", "project").get()
            start.wait(5)
            answers.append(change(row, by))
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in ((ada, alice), (alice, ada))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(answers) == 2
    assert [one for one in answers if one is None] == [None]
    assert Membership.objects.filter(organization=kestrel, project=None, role="administrator").count() == 1
