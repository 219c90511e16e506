"""Who acts in a request: told to the database for its audit trail, and the request's id to whoever asked.

Reading changes nothing, so only what may write pays the round trip: unsafe methods, and the sign-in pages, which may
create rows when somebody returns from single sign-on.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from workspaces.models import ANONYMOUS, Actor, acting

READING = {"GET", "HEAD", "OPTIONS", "TRACE"}


class ActingMiddleware:
    """After Django's AuthenticationMiddleware. An API key is recognised later, by `api/callers.py`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Run the request as its account's; every answer carries `X-Request-ID`, which events hold too."""
        request_id = uuid.uuid4()
        if request.method in READING and not request.path.startswith("/accounts/"):
            response = self.get_response(request)
        else:
            who = Actor.of(request.user) if request.user.is_authenticated else ANONYMOUS
            with acting(who, request_id=request_id):
                response = self.get_response(request)
        response["X-Request-ID"] = str(request_id)
        return response
