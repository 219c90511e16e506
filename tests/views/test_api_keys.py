"""API keys in the console: seen where they are managed, shown once, revoked for good."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.utils import timezone

from tests import cast
from tests.views.accounts import make_old, sign_in_by_form
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import Actor, ApiKey, Event, Membership

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside")]
MAKE = {"name": "nightly-report", "role": "viewer", "days": "30"}


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
    sign_in_by_form(client, alice)
    return client


def text(answer):
    main = answer.content.decode().partition("<main")[2].partition("</main>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


def key_in(answer):
    return re.search(r'id="key" value="(lb_\w{8}_[\w-]{43})"', answer.content.decode())[1]


def issue(organization, by, role="viewer", **fields):
    return ApiKey.issue(**{"name": "ci"} | fields, organization=organization, role=role, created_by=by)[0]


# --- Seeing -----------------------------------------------------------------------------------------------------------
def test_the_list_shows_what_a_key_may_and_when_it_was_used(alices, alice, kestrel, core):
    now = timezone.now()
    issue(kestrel, alice, name="ci", expires_at=now + timedelta(days=80), last_used_at=now - timedelta(minutes=5))
    issue(kestrel, alice, name="report", project=core, role="operator", expires_at=now + timedelta(days=3))
    said = text(alices.get("/api-keys"))
    assert re.search(
        r"ci lb_\w{8}… All projects Viewer 0 s ago by Alice Ahrens \d+ \w+ 20\d\d in \d+ days 5 min ago", said
    )
    assert re.search(
        r"report lb_\w{8}… Freight Core Operator 0 s ago by Alice Ahrens \w{3} \d\d:\d\d in \d+ days Never|in 71 h",
        said,
    )
    assert "Kestrel Freight" in said


def test_only_the_places_where_one_manages_keys_are_shown(client, alice, bob, victor, charlie, root, kestrel, core):
    nora = cast.account("nora@kestrel.example", "administrator", on=core)
    issue(kestrel, alice, name="whole-key")
    issue(kestrel, alice, name="core-key", project=core)
    issue(kestrel, alice, name="customs-key", project=cast.project("Customs"))
    issue(cast.organization("Fjordline"), charlie, name="fjord-key")
    seen = {}
    for who in (alice, nora, charlie, root):
        said = text(cast.sign_in(client, who).get("/api-keys"))
        seen[who.email.partition("@")[0]] = [
            name for name in ("whole", "core", "customs", "fjord") if f"{name}-key" in said
        ]
    assert seen == {
        "alice": ["whole", "core", "customs"],
        "nora": ["core"],
        "charlie": ["fjord"],
        "root": ["whole", "core", "customs", "fjord"],
    }
    for who in (bob, victor):
        page = cast.sign_in(client, who).get("/api-keys")
        assert page.status_code == 403
        assert "Create and revoke API keys: only as administrator of an organization or project." in text(page)


def test_a_key_whose_maker_lost_the_right_is_marked(alices, alice, kestrel, core):
    marked = "Its maker no longer administers"
    ada = cast.account("ada@kestrel.example", "administrator", on=kestrel)
    issue(kestrel, ada)
    issue(kestrel, ada, project=core)
    assert marked not in text(alices.get("/api-keys"))
    Membership.objects.filter(account=ada).update(project=core)
    said = text(alices.get("/api-keys"))
    assert said.count(marked) == 1
    assert f"{marked} Kestrel Freight" in said
    Membership.objects.filter(account=ada).update(role="operator")
    assert f"{marked} Freight Core" in text(alices.get("/api-keys"))


def test_ended_and_revoked_keys_are_folded_away(alices, alice, kestrel):
    now = timezone.now()
    issue(kestrel, alice, name="old", expires_at=now - timedelta(days=1))
    issue(kestrel, alice, name="gone").revoke(Actor.of(alice))
    page = alices.get("/api-keys").content.decode()
    over = page.partition("<details")[2].partition("</details>")[0]
    assert "2 ended or revoked" in over
    assert re.search(r"old<.*Ended.*gone<.*Revoked|gone<.*Revoked.*old<.*Ended", over, re.S)
    assert "revoke-" not in page


def test_fifty_keys_cost_as_many_queries_as_three(alices, alice, kestrel, core, django_assert_max_num_queries):
    for number in range(60):
        issue(kestrel, alice, name=f"k{number:02}", project=core if number % 2 else None)
    with django_assert_max_num_queries(15):
        page = alices.get("/api-keys")
    assert "1 to 50 of 60" in text(page)


# --- Making -----------------------------------------------------------------------------------------------------------
def test_a_key_is_shown_once_and_works(alices, alice, kestrel, core):
    answer = alices.post("/api-keys/new", MAKE | {"scope": core.pk})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    shown = key_in(answer)
    key = ApiKey.objects.get()
    assert (key.name, key.role, key.project, key.organization, key.created_by) == (
        "nightly-report",
        "viewer",
        core,
        kestrel,
        alice,
    )
    assert key.expires_at - key.created_at == timedelta(days=30)
    assert ApiKey.holding(shown) == key
    me = Client().get("/api/v1/me", headers={"Authorization": f"Bearer {shown}"}).json()
    assert (me["kind"], me["name"]) == ("api_key", "nightly-report")
    assert shown[12:] not in alices.get("/api-keys").content.decode()
    act = Event.objects.acts().get(action="api_key.created")
    assert act.summary == f"Made the API key nightly-report ({key.prefix}): viewer of Freight Core"
    assert (act.actor_name, act.organization_id, act.project_id) == ("Alice Ahrens", kestrel.pk, core.pk)


def test_the_form_offers_the_places_where_one_manages_keys(client, kestrel, core):
    cast.project("Customs")
    nora = cast.account("nora@kestrel.example", "administrator", on=core)
    sign_in_by_form(client, nora)
    page = client.get("/api-keys/new")
    assert page.headers["Cache-Control"] == "no-store"
    select = page.content.decode().partition('<select class="select wide-input" id="id_scope"')[2]
    assert re.findall(r'<option value="([^"]*)">([^<]*)<', select.partition("</select>")[0]) == [
        (str(core.pk), "Freight Core")
    ]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"name": " "}, "Enter a name, such as the script's"),
        ({"name": "x" * 101}, "Ensure this value has at most 100 characters (it has 101)."),
        ({"role": "root"}, "Choose a role"),
        ({"scope": ""}, "Choose a place"),
        ({"scope": "00000000-0000-4000-8000-000000000000"}, "Choose a place"),
        ({"days": "0"}, "Enter a number from 1 to 365"),
        ({"days": "366"}, "Enter a number from 1 to 365"),
        ({"days": "never"}, "Enter a number from 1 to 365"),
        ({"days": ""}, "Enter a number from 1 to 365"),
    ],
)
def test_what_cannot_be_read_is_said_at_its_field(alices, kestrel, said, sentence):
    answer = alices.post("/api-keys/new", MAKE | {"scope": str(kestrel.pk)} | said)
    assert answer.status_code == 422
    assert text(answer).count(sentence) == 2
    assert not ApiKey.objects.exists()


def test_a_place_where_one_manages_no_keys_cannot_be_chosen(alices, kestrel, core):
    elsewhere = cast.project("Turbines", of="Fjordline")
    assert alices.post("/api-keys/new", MAKE | {"scope": elsewhere.pk}).status_code == 422
    assert not ApiKey.objects.exists()


def test_who_manages_none_is_refused(client, bob, core):
    sign_in_by_form(client, bob)
    assert client.get("/api-keys/new").status_code == 403
    assert client.post("/api-keys/new", MAKE | {"scope": core.pk}).status_code == 403
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(("role", "allowed"), [("administrator", False), ("operator", True), ("viewer", True)])
def test_no_key_has_more_rights_than_its_maker(bob, core, role, allowed):
    if allowed:
        assert issue(core.organization, bob, role, project=core).role == role
        return
    with pytest.raises(PermissionDenied, match="Nobody gives a higher role than their own"):
        issue(core.organization, bob, role, project=core)
    with pytest.raises(PermissionDenied, match="You have no role here"):
        issue(core.organization, bob, "viewer")
    assert not ApiKey.objects.exists()


def test_making_and_revoking_need_a_recent_sign_in(alices, alice, kestrel):
    key = issue(kestrel, alice)
    make_old(alices)
    for address in ("/api-keys/new", f"/api-keys/{key.pk}/revoke"):
        answer = alices.post(address, MAKE | {"scope": kestrel.pk}, headers={"Referer": "http://testserver/api-keys"})
        assert answer.status_code == 302
        assert answer.headers["Location"] == "/accounts/reauthenticate/?next=%2Fapi-keys"
    assert alices.get("/api-keys/new").status_code == 302
    assert alices.get("/api-keys").status_code == 200
    assert list(ApiKey.objects.values_list("revoked_at", flat=True)) == [None]


# --- Revoking ---------------------------------------------------------------------------------------------------------
def test_a_revoked_key_is_refused_at_its_next_request(alices, kestrel, core):
    shown = key_in(alices.post("/api-keys/new", MAKE | {"scope": core.pk}))
    key = ApiKey.objects.get()
    page = alices.get("/api-keys").content.decode()
    assert f'<dialog id="revoke-{key.pk}"' in page
    answer = alices.post(f"/api-keys/{key.pk}/revoke")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/api-keys")
    assert Client().get("/api/v1/me", headers={"Authorization": f"Bearer {shown}"}).status_code == 401
    assert Event.objects.acts().get(action="api_key.revoked").summary == (
        f"Revoked the API key nightly-report ({key.prefix})"
    )
    first = ApiKey.objects.get().revoked_at
    alices.post(f"/api-keys/{key.pk}/revoke")
    assert ApiKey.objects.get().revoked_at == first
    assert Event.objects.acts().filter(action="api_key.revoked").count() == 1


def test_a_strangers_key_looks_like_an_unknown_one(client, charlie, alice, kestrel):
    key = issue(kestrel, alice)
    sign_in_by_form(client, charlie)
    other = client.post(f"/api-keys/{key.pk}/revoke")
    unknown = client.post("/api-keys/00000000-0000-4000-8000-000000000000/revoke")
    assert (other.status_code, unknown.status_code) == (404, 404)
    assert text(other) == text(unknown)
    assert ApiKey.objects.get().revoked_at is None


def test_a_project_administrator_revokes_the_projects_keys_only(client, alice, kestrel, core):
    nora = cast.account("nora@kestrel.example", "administrator", on=core)
    whole, narrow = issue(kestrel, alice), issue(kestrel, alice, project=core)
    sign_in_by_form(client, nora)
    assert client.post(f"/api-keys/{whole.pk}/revoke").status_code == 404
    assert client.post(f"/api-keys/{narrow.pk}/revoke").status_code == 303
