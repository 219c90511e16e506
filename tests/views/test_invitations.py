"""Invitations: the letter, what its link opens for whom, and that it opens nothing twice."""

from __future__ import annotations

import html
import logging
import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.utils import timezone

from tests import cast
from tests.views.accounts import add_app, code, sign_in_by_form
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import Account, Event, Invitation, Membership
from workspaces.models.members import Scope

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside")]
NEW = {"first_name": "Nils", "last_name": "Nyberg", "password": "a long and odd passphrase"}


class Down:
    """A mail backend whose server does not answer."""

    def __init__(self, *args, **kwargs): ...

    def send_messages(self, messages):
        raise ConnectionRefusedError("refused")


@pytest.fixture(autouse=True)
def no_tries_yet():
    """The rate limits of other tests are forgotten."""
    cache.clear()


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
def guest():
    """A browser of somebody who is not signed in."""
    return Client()


def page_of(place):
    return f"/organizations/{place.pk}" if hasattr(place, "projects") else f"/projects/{place.pk}"


def invite(client, place, email="nils@kestrel.example", role="operator", **more):
    return client.post(f"{page_of(place)}/invitations", {"email": email, "role": role, **more})


def sent(place, by, email="nils@kestrel.example", role="operator"):
    """An invitation and the path of its link."""
    project = None if hasattr(place, "projects") else place
    scope = Scope(project.organization, project) if project else Scope(place)
    invitation, token = Invitation.invite(email, scope, role, by)
    return invitation, f"/invitations/{token}"


def link_in(letter):
    return re.search(r"http://testserver(/invitations/\S+)", letter.body)[1]


def text(answer):
    main = answer.content.decode().partition("<main")[2].partition("</main>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


# --- Sending ----------------------------------------------------------------------------------------------------------
def test_an_invitation_is_a_letter_a_row_and_an_act(alices, alice, kestrel, core, mailoutbox):
    answer = invite(alices, kestrel, project=core.pk)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/organizations/{kestrel.pk}/members")
    (letter,) = mailoutbox
    assert (letter.to, letter.subject) == (["nils@kestrel.example"], "Invitation to Freight Core")
    assert letter.body.startswith(
        "Alice Ahrens (alice@kestrel.example) invites you to Freight Core, a project of Kestrel Freight, as operator."
    )
    assert not letter.alternatives
    invitation = Invitation.objects.get()
    assert (invitation.role, invitation.project, invitation.invited_by) == ("operator", core, alice)
    act = Event.objects.acts().get(action="invitation.sent")
    assert act.summary == "Invited nils@kestrel.example as operator of Freight Core"
    assert (act.organization_id, act.project_id) == (kestrel.pk, core.pk)
    page = text(alices.get(f"/organizations/{kestrel.pk}/members"))
    assert "nils@kestrel.example Operator Freight Core" in page


def test_the_token_is_in_the_letter_and_nowhere_else(alices, kestrel, mailoutbox, caplog, guest, core):
    caplog.set_level(logging.DEBUG)
    invite(alices, kestrel)
    link = link_in(mailoutbox[0])
    token = link.rpartition("/")[2]
    assert len(token) == 43
    answers = [guest.get(link), guest.get("/invitation"), guest.post("/invitation", NEW | {"password": "short"})]
    assert [one.status_code for one in answers] == [302, 200, 422]
    strict = Client(enforce_csrf_checks=True)
    strict.get(link)
    assert strict.post("/invitation", NEW).status_code == 403
    for answer in answers:
        assert token not in answer.content.decode()
        assert token not in str(answer.headers)
    with connection.cursor() as cursor:
        for table in ("workspaces_event", "workspaces_invitation", "django_session"):
            cursor.execute(f"SELECT count(*) FROM {table} t WHERE t::text LIKE %s", [f"%{token}%"])
            assert cursor.fetchone() == (0,)
    assert token not in caplog.text
    assert guest.get(link).headers["Referrer-Policy"] == "same-origin"


def test_an_address_with_an_account_is_answered_as_one_without(alices, kestrel, charlie, mailoutbox):
    answers = [invite(alices, kestrel, email) for email in (charlie.email, "nobody@fjordline.example")]
    assert {one.status_code for one in answers} == {303}
    first, second = (letter.body.replace(letter.to[0], "…") for letter in mailoutbox)
    assert re.sub(r"/invitations/\S+", "", first) == re.sub(r"/invitations/\S+", "", second)
    page = alices.get(f"/organizations/{kestrel.pk}/members").content.decode()
    rows = [
        re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|value=\"\w{64}\"", "…", row).replace(email, "…")
        for email in (charlie.email, "nobody@fjordline.example")
        for row in re.findall(rf'<tr><th scope="row">{email}.*?</tr>', page, re.S)
    ]
    assert len(rows) == 2
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"email": ""}, "Enter an e-mail address"),
        ({"email": "nils"}, "Enter an e-mail address such as bob@kestrel.example"),
        ({"email": "a@b.example\nBcc: c@d.example"}, "Enter an e-mail address such as bob@kestrel.example"),
        ({"role": "owner"}, "Choose a role"),
        ({"role": ""}, "Choose a role"),
        ({"project": "x"}, "Choose a project of this organization, or all projects"),
    ],
)
def test_what_cannot_be_read_is_said_at_its_field(alices, kestrel, mailoutbox, said, sentence):
    answer = alices.post(
        f"/organizations/{kestrel.pk}/invitations", {"email": "nils@kestrel.example", "role": "viewer", **said}
    )
    assert answer.status_code == 422
    assert text(answer).count(sentence) >= 2
    assert 'aria-invalid="true"' in answer.content.decode()
    assert not Invitation.objects.exists()
    assert not mailoutbox


def test_a_project_of_another_organization_cannot_be_chosen(alices, kestrel):
    elsewhere = cast.project("Turbines", of="Fjordline")
    assert invite(alices, kestrel, project=elsewhere.pk).status_code == 422
    assert not Invitation.objects.exists()


def test_a_project_administrator_invites_to_the_project_only(client, kestrel, core):
    nora = cast.account("nora@kestrel.example", "administrator", on=core)
    noras = cast.sign_in(client, nora)
    assert invite(noras, kestrel).status_code == 403
    assert invite(noras, core, project="").status_code == 303
    assert invite(noras, core, "two@kestrel.example", project=cast.project("Customs").pk).status_code == 303
    assert {one.project for one in Invitation.objects.all()} == {core}


def test_who_may_not_manage_members_invites_nobody(client, bob, victor, charlie, kestrel, core):
    assert invite(cast.sign_in(client, bob), core).status_code == 403
    assert invite(cast.sign_in(client, victor), kestrel).status_code == 403
    assert invite(cast.sign_in(client, charlie), kestrel).status_code == 404
    assert not Invitation.objects.exists()


def test_who_is_a_member_there_already_is_not_invited_again(alices, bob, kestrel, core, mailoutbox):
    answer = invite(alices, kestrel, "Bob@kestrel.example", project=core.pk)
    assert answer.status_code == 409
    assert "Bob Berger already is operator of Freight Core. Change the role in the list of members." in text(answer)
    assert not mailoutbox
    assert invite(alices, kestrel, "bob@kestrel.example").status_code == 303


def test_an_organization_sends_fifty_invitations_in_a_day(alices, alice, kestrel, core):
    Invitation.objects.bulk_create(
        Invitation(
            email=f"i{number}@x.example",
            organization=kestrel,
            role="viewer",
            invited_by=alice,
            digest=str(number),
            created_at=timezone.now() - timedelta(hours=23, minutes=number),
        )
        for number in range(50)
    )
    frees = timezone.now() + timedelta(minutes=11)
    answer = invite(alices, core)
    assert answer.status_code == 409
    assert re.search(
        r"50 invitations were sent for Kestrel Freight within 24 hours, which is the limit. "
        r"The next one can be sent \w{3} \d\d:\d\d UTC.",
        text(answer),
    )
    assert f"{frees:%H:}" in text(answer).partition("can be sent")[2][:12]
    Invitation.objects.filter(email="i49@x.example").update(created_at=timezone.now() - timedelta(hours=25))
    assert invite(alices, core).status_code == 303
    assert invite(alices, core, "two@kestrel.example").status_code == 409


def test_a_mail_server_that_is_down_leaves_the_invitation_to_be_sent_again(alices, kestrel, settings):
    settings.MAILERS = {"default": {"BACKEND": f"{__name__}.Down"}}
    assert invite(alices, kestrel).status_code == 303
    page = alices.get(f"/organizations/{kestrel.pk}/members").content.decode()
    assert "The letter to nils@kestrel.example could not be sent. Send the invitation again later." in page
    assert Invitation.objects.open().count() == 1


def test_sending_again_kills_the_earlier_link(alices, alice, kestrel, guest, mailoutbox):
    invitation, link = sent(kestrel, alice)
    answer = alices.post(f"/organizations/{kestrel.pk}/invitations/{invitation.pk}/resend")
    assert answer.status_code == 303
    assert guest.get(link).status_code == 404
    assert guest.get(link_in(mailoutbox[0])).status_code == 302
    assert Invitation.objects.pending().count() == 1


def test_an_invitation_that_has_ended_can_be_sent_again(alices, alice, kestrel, guest, mailoutbox):
    invitation, _ = sent(kestrel, alice)
    Invitation.objects.update(expires_at=timezone.now() - timedelta(hours=1))
    assert "Ended 1 h ago" in text(alices.get(f"/organizations/{kestrel.pk}/members"))
    alices.post(f"/organizations/{kestrel.pk}/invitations/{invitation.pk}/resend")
    assert guest.get(link_in(mailoutbox[0])).status_code == 302


def test_withdrawing_makes_the_link_worth_nothing(alices, alice, kestrel, guest):
    invitation, link = sent(kestrel, alice)
    assert alices.post(f"/organizations/{kestrel.pk}/invitations/{invitation.pk}/withdraw").status_code == 303
    assert guest.get(link).status_code == 404
    assert Event.objects.acts().get(action="invitation.withdrawn").summary == (
        "Withdrew the invitation of nils@kestrel.example as operator of Kestrel Freight"
    )
    for action in ("withdraw", "resend"):
        answer = alices.post(f"/organizations/{kestrel.pk}/invitations/{invitation.pk}/{action}")
        assert answer.status_code == 409
        assert "has been accepted or withdrawn meanwhile." in text(answer)


def test_an_invitation_is_managed_only_on_the_page_it_belongs_to(alices, client, alice, charlie, kestrel, core):
    invitation, _ = sent(kestrel, alice)
    assert alices.post(f"/projects/{core.pk}/invitations/{invitation.pk}/withdraw").status_code == 404
    fjordline = cast.organization("Fjordline")
    charlies = cast.sign_in(Client(), charlie)
    assert charlies.post(f"/organizations/{fjordline.pk}/invitations/{invitation.pk}/withdraw").status_code == 404
    assert charlies.post(f"/organizations/{kestrel.pk}/invitations/{invitation.pk}/withdraw").status_code == 404
    assert Invitation.objects.open().exists()


# --- Accepting --------------------------------------------------------------------------------------------------------
def test_somebody_new_sets_name_and_password_and_is_signed_in(guest, alice, core):
    _, link = sent(core, alice)
    assert guest.get(link).headers["Location"] == "/invitation"
    assert "Alice Ahrens invites nils@kestrel.example as operator" in text(guest.get("/invitation"))
    answer = guest.post("/invitation", NEW)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/workspaces")
    nils = Account.objects.get(email="nils@kestrel.example")
    assert (str(nils), nils.check_password(NEW["password"])) == ("Nils Nyberg", True)
    assert [(one.role, one.project) for one in nils.memberships.all()] == [("operator", core)]
    page = guest.get("/workspaces").content.decode()
    assert "You are operator of Freight Core now." in page
    assert "Nils Nyberg" in page
    acts = Event.objects.acts().order_by("id").values_list("action", "actor_name", "summary")
    assert list(acts)[1:] == [
        ("account.created", "Nils Nyberg", "Made an account with an invitation"),
        ("invitation.accepted", "Nils Nyberg", "Accepted the invitation as operator of Freight Core"),
        ("account.signed_in", "Nils Nyberg", "Signed in with a password"),
    ]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"password": "short"}, "This password is too short. It must contain at least 12 characters."),
        ({"password": "password1234"}, "This password is too common."),
        ({"password": ""}, "Enter a password"),
        ({"first_name": ""}, "Enter your first name"),
    ],
)
def test_a_password_is_held_to_the_rules(guest, alice, core, said, sentence):
    _, link = sent(core, alice)
    guest.get(link)
    answer = guest.post("/invitation", NEW | said)
    assert answer.status_code == 422
    assert sentence in text(answer)
    assert NEW["password"] not in answer.content.decode()
    assert not Account.objects.filter(email="nils@kestrel.example").exists()
    assert guest.post("/invitation", NEW).status_code == 302


def test_who_has_an_account_signs_in_and_accepts(guest, alice, charlie, core):
    _, link = sent(core, alice, charlie.email)
    guest.get(link)
    page = guest.get("/invitation").content.decode()
    assert 'href="/accounts/login/?next=/invitation"' in page
    assert 'name="password"' not in page
    assert guest.post("/invitation", NEW).headers["Location"] == "/invitation"
    assert sign_in_by_form(guest, charlie, next="/invitation").headers["Location"] == "/invitation"
    assert "Accept invitation You are signed in as charlie@fjordline.example" in text(guest.get("/invitation"))
    assert guest.post("/invitation").headers["Location"] == "/workspaces"
    assert charlie.memberships.get(project=core).role == "operator"
    assert guest.get("/invitation").status_code == 404


def test_a_second_factor_is_asked_for_on_the_way(guest, alice, charlie, core):
    add_app(charlie)
    _, link = sent(core, alice, charlie.email)
    guest.get(link)
    assert guest.post("/invitation").headers["Location"] == "/invitation"
    answer = sign_in_by_form(guest, charlie, next="/invitation")
    assert answer.headers["Location"].startswith("/accounts/2fa/authenticate/")
    assert guest.post("/invitation").headers["Location"] == "/invitation"
    assert not charlie.memberships.filter(project=core).exists()
    assert guest.post("/accounts/2fa/authenticate/", {"code": code()}).headers["Location"] == "/invitation"
    assert guest.post("/invitation").headers["Location"] == "/workspaces"


def test_the_wrong_account_is_told_and_may_sign_out(alices, alice, victor, core):
    _, link = sent(core, alice, victor.email)
    alices.get(link)
    assert "You are signed in as alice@kestrel.example. Only victor@kestrel.example can accept." in text(
        alices.get("/invitation")
    )
    refused = alices.post("/invitation")
    assert "Only victor@kestrel.example can accept." in text(refused)
    assert not Membership.objects.filter(project=core).exists()
    assert alices.post("/invitation/sign-out").headers["Location"] == "/invitation"
    assert "Sign in with it to accept." in text(alices.get("/invitation"))
    assert alices.get("/workspaces").status_code == 302


def test_every_link_that_opens_nothing_gets_the_same_bytes(guest, alice, bob, kestrel, core):
    links = {}
    used, links["used"] = sent(core, alice, "a@x.example")
    Invitation.objects.filter(pk=used.pk).update(accepted_at=timezone.now())
    withdrawn, links["withdrawn"] = sent(core, alice, "b@x.example")
    withdrawn.withdraw(alice)
    expired, links["expired"] = sent(core, alice, "c@x.example")
    Invitation.objects.filter(pk=expired.pk).update(expires_at=timezone.now())
    links["unknown"] = "/invitations/" + "x" * 43
    links["odd"] = "/invitations/%00%C3%BC"
    links["nothing held"] = "/invitation"
    answers = {name: guest.get(link) for name, link in links.items()}
    assert {one.status_code for one in answers.values()} == {404}
    # The mark of the hour may move between two of them.
    assert len({re.sub(rb"<svg.*?</svg>", b"", one.content, flags=re.S) for one in answers.values()}) == 1
    assert {one.headers["Cache-Control"] for one in answers.values()} == {
        "max-age=0, no-cache, no-store, must-revalidate, private"
    }
    assert guest.post("/invitation", NEW).status_code == 404
    assert guest.post("/invitation/sign-out").status_code == 404


def test_an_invitation_withdrawn_while_its_page_was_open_gives_nothing(guest, alice, core):
    invitation, link = sent(core, alice)
    guest.get(link)
    invitation.withdraw(alice)
    assert guest.post("/invitation", NEW).status_code == 404
    assert not Account.objects.filter(email="nils@kestrel.example").exists()


def test_a_link_works_once(guest, alice, core):
    _, link = sent(core, alice)
    guest.get(link)
    other = Client()
    other.get(link)
    assert guest.post("/invitation", NEW).status_code == 302
    assert other.post("/invitation", NEW).status_code == 404
    assert Client().get(link).status_code == 404


def test_an_invitation_gives_and_never_takes(alice, bob, core, kestrel):
    Membership.objects.filter(account=bob).delete()
    lower, _ = sent(core, alice, bob.email, "viewer")
    Membership.objects.create(account=bob, organization=kestrel, project=core, role="operator")
    assert lower.accept(bob)
    assert bob.memberships.get().role == "operator"
    Membership.objects.filter(account=bob).delete()
    higher, _ = sent(core, alice, bob.email, "administrator")
    Membership.objects.create(account=bob, organization=kestrel, project=core, role="operator")
    assert higher.accept(bob)
    assert bob.memberships.get().role == "administrator"
