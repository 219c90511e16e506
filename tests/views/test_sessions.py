"""The sessions of an account: shown with device and address, ended one by one or all at once."""

import pytest
from allauth.usersessions.models import UserSession
from django.core.cache import cache
from django.test import Client

from tests import cast
from tests.views import accounts
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import Event
from workspaces.views.sessions import device

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside")]
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 (KHTML) Version/18.0 Safari/604.1"
EDGE = "Mozilla/5.0 (Windows NT 10.0; Win64) AppleWebKit/537.36 (KHTML) Chrome/140.0 Safari/537.36 Edg/140.0"


@pytest.fixture(autouse=True)
def no_tries_yet():
    cache.clear()


@pytest.fixture
def office(alice):
    return somewhere(alice, FIREFOX, "192.0.2.10")


@pytest.fixture
def telephone(alice):
    return somewhere(alice, SAFARI, "198.51.100.7")


def somewhere(who, user_agent, address):
    client = Client(headers={"user-agent": user_agent}, REMOTE_ADDR=address)
    accounts.sign_in_by_form(client, who)
    return client


def is_inside(client):
    return client.get("/operations").status_code == 200


def row_of(client):
    return UserSession.objects.get(session_key=client.session.session_key)


def test_each_session_shows_device_and_address_this_one_first(office, telephone):
    page = telephone.get("/accounts/sessions/").content.decode()
    assert page.index("Safari on iPhone") < page.index("Firefox on Linux")
    assert page.count("this session") == 1
    assert "192.0.2.10" in page
    assert "198.51.100.7" in page
    assert "0 s ago" in page


def test_where_a_session_was_seen_last_follows_it(office, telephone):
    telephone.get("/operations", REMOTE_ADDR="203.0.113.5")
    page = office.get("/accounts/sessions/").content.decode()
    assert "203.0.113.5" in page
    assert "198.51.100.7" not in page


def test_without_redis_the_sign_in_is_what_is_known(office, telephone):
    cache.clear()
    page = office.get("/accounts/sessions/").content.decode()
    assert "Safari on iPhone" in page
    assert "198.51.100.7" in page


def test_redis_holds_no_key_of_a_session(office):
    office.get("/operations")
    stored = cache._cache.get_client().keys("*")
    assert not any(office.session.session_key.encode() in key for key in stored)


def test_noting_where_a_session_was_seen_costs_no_query(office, django_assert_num_queries):
    with django_assert_num_queries(2):  # the session and its account
        office.get("/")


def test_an_ended_session_is_out_and_the_others_stay(office, telephone):
    answer = office.post(f"/accounts/sessions/{row_of(telephone).pk}/end/", follow=True)
    assert "Ended: Safari on iPhone, 198.51.100.7." in answer.content.decode()
    assert not is_inside(telephone)
    assert is_inside(office)
    ended = Event.objects.get(action="account.session_ended")
    assert (ended.actor_name, ended.summary) == ("Alice Ahrens", "Ended 1 session")


def test_ending_this_session_is_signing_out(office):
    answer = office.post(f"/accounts/sessions/{row_of(office).pk}/end/")
    assert answer.headers["Location"] == "/accounts/login/"
    assert not is_inside(office)


def test_all_others_end_at_once(alice, office, telephone):
    third = somewhere(alice, EDGE, "192.0.2.99")
    page = office.post("/accounts/sessions/others/end/", follow=True).content.decode()
    assert "You are signed in here only." in page
    assert "End all other sessions" not in page
    assert [is_inside(client) for client in (office, telephone, third)] == [True, False, False]
    assert Event.objects.get(action="account.session_ended").summary == "Ended 2 sessions"


def test_one_account_does_not_end_the_session_of_another(bob, office):
    stranger = Client()
    accounts.sign_in_by_form(stranger, bob)
    assert stranger.post(f"/accounts/sessions/{row_of(office).pk}/end/").status_code == 404
    assert "192.0.2.10" not in stranger.get("/accounts/sessions/").content.decode()
    stranger.post("/accounts/sessions/others/end/")
    assert is_inside(office)


def test_looking_ends_nothing(office, telephone):
    assert office.get(f"/accounts/sessions/{row_of(telephone).pk}/end/").status_code == 405
    assert office.get("/accounts/sessions/others/end/").status_code == 405
    assert is_inside(telephone)


def test_a_new_password_ends_the_other_sessions(office, telephone):
    new = "a rather different passphrase"
    office.post(
        "/accounts/password/change/", {"oldpassword": cast.PASSWORD, "password1": new, "password2": new}, follow=True
    )
    assert is_inside(office)
    assert not is_inside(telephone)
    assert "Safari on iPhone" not in office.get("/accounts/sessions/").content.decode()


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        (SAFARI, "Safari on iPhone"),
        (EDGE, "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 16; Pixel 9) Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/26.0 Safari/605.1.15", "Safari on macOS"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", "Unknown device"),
    ],
)
def test_a_device_is_told_in_words(user_agent, words):
    assert device(user_agent) == words
