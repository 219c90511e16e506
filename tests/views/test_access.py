"""The decorator for what needs a recent sign-in: nobody gets through, nobody loses a form without a word."""

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.test import override_settings
from django.urls import include, path

from tests import cast
from tests.views import accounts
from workspaces.views.access import login_required, recently_signed_in

pytestmark = pytest.mark.django_db
MESSAGE = "Nothing was changed: this needs a recent sign-in. Send the form again."


@login_required
@recently_signed_in
def key(request):
    return HttpResponse(f"key by {request.method}")


urlpatterns = [path("key", key), path("", include("loopback.urls"))]


@pytest.fixture
def inside(client, alice):
    """alice signed in by the form, with an address that needs a recent sign-in at /key."""
    cache.clear()
    with override_settings(ROOT_URLCONF=__name__):
        accounts.sign_in_by_form(client, alice)
        yield client


def test_a_fresh_sign_in_is_enough(inside):
    assert inside.get("/key").content == b"key by GET"
    assert inside.post("/key").content == b"key by POST"


def test_a_page_comes_back_by_itself_after_the_confirmation(inside):
    accounts.make_old(inside)
    assert inside.get("/key?a=1").headers["Location"] == "/accounts/reauthenticate/?next=%2Fkey%3Fa%3D1"
    answer = inside.post("/accounts/reauthenticate/", {"password": cast.PASSWORD, "next": "/key?a=1"})
    assert answer.headers["Location"] == "/key?a=1"
    assert inside.get("/key?a=1").content == b"key by GET"


def test_a_form_is_not_carried_out_and_its_page_says_so(inside):
    accounts.make_old(inside)
    answer = inside.post("/key", {"a": 1}, headers={"referer": "http://testserver/workspaces?q=led#top"})
    assert answer.headers["Location"] == "/accounts/reauthenticate/?next=%2Fworkspaces%3Fq%3Dled"
    inside.get(answer.headers["Location"])
    back = inside.post("/accounts/reauthenticate/", {"password": cast.PASSWORD, "next": "/workspaces?q=led"})
    page = inside.get(back.headers["Location"]).content.decode()
    assert MESSAGE in page
    assert '<div class="toast" data-tone="warn">' in page


@pytest.mark.parametrize("referer", ["", "https://evil.example/workspaces", "//evil.example/", "javascript:alert(1)"])
def test_a_form_from_nowhere_comes_back_to_the_fleet(inside, referer):
    accounts.make_old(inside)
    answer = inside.post("/key", headers={"referer": referer})
    assert answer.headers["Location"] == "/accounts/reauthenticate/?next=%2Fworkspaces"


def test_htmx_is_told_to_leave_for_the_confirmation(inside):
    accounts.make_old(inside)
    headers = {"hx-request": "true", "hx-current-url": "http://testserver/operations?state=open"}
    answer = inside.post("/key", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["HX-Redirect"] == "/accounts/reauthenticate/?next=%2Foperations%3Fstate%3Dopen"


def test_the_quarter_hour_ends_where_it_ends(inside):
    accounts.make_old(inside, 890)
    assert inside.get("/key").status_code == 200
    accounts.make_old(inside, 11)
    assert inside.get("/key").status_code == 302


def test_a_session_that_nobody_signed_in_to_is_not_recent(client, alice):
    with override_settings(ROOT_URLCONF=__name__):
        assert cast.sign_in(client, alice).get("/key").status_code == 302


def test_who_has_no_way_to_confirm_gets_one_by_mail_and_is_not_let_through(inside, alice):
    alice.set_unusable_password()
    alice.save()
    with override_settings(ROOT_URLCONF=__name__):
        cast.sign_in(inside, alice)
        assert inside.get("/key").headers["Location"] == "/accounts/password/reset/?next=%2Fkey"


def test_nobody_signed_in_goes_to_the_sign_in_page(client):
    with override_settings(ROOT_URLCONF=__name__):
        assert client.get("/key").headers["Location"] == "/accounts/login/?next=/key"
