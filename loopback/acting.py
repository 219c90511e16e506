"""Who acts in a request: told to the database for its audit trail; and the request's id, told to whoever asked.

Reading changes nothing, so only what may write pays the round trip: unsafe methods, and the sign-in pages, which may
create rows when somebody returns from single sign-on.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from workspaces.logs import about
from workspaces.models import ANONYMOUS, Actor, acting
from workspaces.rules.ids import as_id

logger = logging.getLogger("loopback.requests")
READING = {"GET", "HEAD", "OPTIONS", "TRACE"}


class ActingMiddleware:
    """After Django's AuthenticationMiddleware. An API key is recognised later, by `api/callers.py`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Run the request as its account's; every answer carries `X-Request-ID`, which events hold too."""
        request_id, began = uuid.uuid4(), time.monotonic()
        with about(request=request_id):
            response = self._answer(request, request_id)
            _log(request, response, time.monotonic() - began)
        response["X-Request-ID"] = str(request_id)
        return response

    def _answer(self, request: HttpRequest, request_id: uuid.UUID) -> HttpResponse:
        if request.method in READING and not request.path.startswith("/accounts/"):
            return self.get_response(request)
        who = Actor.of(request.user) if request.user.is_authenticated else ANONYMOUS
        with acting(who, request_id=request_id):
            return self.get_response(request)


def _log(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    """One line a request. The address's pattern and its ids are told, not the address: it may hold a secret."""
    match = request.resolver_match
    ids = {name: str(value) for name, value in (match.kwargs if match else {}).items() if as_id(str(value))}
    told = {
        "method": request.method,
        "route": match.route if match else "",
        "status": response.status_code,
        "milliseconds": round(1000 * seconds, 1),
        "ids": ids,
    }
    if match and match.route.removeprefix("api/v1/").startswith("workspaces/") and "pk" in ids:
        told["workspace"] = ids["pk"]
    logger.info("%(method)s /%(route)s %(status)s in %(milliseconds)s ms", told, extra=told)
