"""Where an account is signed in, and how it ends that elsewhere. Signing in and out itself: `sign_in.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass
from datetime import datetime
from hashlib import sha256

from allauth.account.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.core.cache import cache
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from workspaces.views import sign_in_events
from workspaces.views.access import account_of, login_required

BROWSERS = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome", "Safari": "Safari"}
SYSTEMS = {
    "Windows": "Windows",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One session as the page shows it."""

    pk: int
    device: str
    address: str
    since: datetime
    seen_at: datetime
    is_this: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """The latest request of a session."""

    at: datetime
    address: str
    user_agent: str


class LastSeen:
    """Middleware that notes time, address and device of a session, after those for sessions, accounts and allauth.

    In Redis, because the library's own middleware costs every request a transaction. When Redis is emptied, the page
    shows the sign-in until the session is seen again.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Note it before the view, which may end the session."""
        key = request.session.session_key
        if key and request.user.is_authenticated:
            address = get_adapter().get_client_ip(request)
            seen = Seen(timezone.now(), address, request.headers.get("User-Agent", ""))
            cache.set(_seen_key(key), astuple(seen), timeout=settings.SESSION_COOKIE_AGE)
        return self.get_response(request)


@login_required
@require_GET
def sessions(request: HttpRequest) -> HttpResponse:
    """The account's sessions, this one first, then the last seen."""
    known = UserSession.objects.purge_and_list(account_of(request))
    noted = cache.get_many([_seen_key(session.session_key) for session in known])
    rows = []
    for session in known:
        at_sign_in = (session.last_seen_at, session.ip, session.user_agent)
        seen = Seen(*noted.get(_seen_key(session.session_key), at_sign_in))
        is_this = session.session_key == request.session.session_key
        rows.append(Row(session.pk, device(seen.user_agent), seen.address, session.created_at, seen.at, is_this))
    rows.sort(key=lambda row: (row.is_this, row.seen_at), reverse=True)
    return render(request, "usersessions/sessions.html", {"rows": rows, "now": timezone.now()})


@login_required
@require_POST
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    """End one session; ending this one is signing out."""
    session = get_object_or_404(UserSession, pk=pk, user=account_of(request))
    if session.session_key == request.session.session_key:
        get_adapter().logout(request)
        return redirect("account_login")
    _end(request, [session])
    messages.success(request, f"Ended: {device(session.user_agent)}, {session.ip}.")
    return redirect("usersessions_list")


@login_required
@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """End all but this one."""
    others = list(UserSession.objects.filter(user=account_of(request)).exclude(session_key=request.session.session_key))
    if others:
        _end(request, others)
    messages.success(request, "You are signed in here only.")
    return redirect("usersessions_list")


def device(user_agent: str) -> str:
    """`Firefox on Linux`, as far as the header tells; what it says itself when it is no browser's."""
    browser = next((name for mark, name in BROWSERS.items() if f"{mark}/" in user_agent), "")
    system = next((name for mark, name in SYSTEMS.items() if mark in user_agent), "")
    return " on ".join(filter(None, [browser, system])) or user_agent[:60] or "Unknown device"


def _seen_key(session_key: str) -> str:
    """A hash: whoever reads Redis must not find what signs in."""
    return f"session-seen:{sha256(session_key.encode()).hexdigest()}"


def _end(request: HttpRequest, ending: list[UserSession]) -> None:
    with transaction.atomic():
        for session in ending:
            session.end()
        sign_in_events.ended(account_of(request), len(ending))
