"""Errors as `application/problem+json` (RFC 9457): one shape for everything that is refused, missing or wrong."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from workspaces.rules.refusal import Refused

TITLES = {
    400: "Bad request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    409: "Refused",
    412: "Changed meanwhile",
    415: "Unsupported media type",
    422: "Invalid input",
}


class Problem(Exception):
    """Ends the request with this status, code and sentence."""

    def __init__(self, status: int, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.more = status, code, detail, more


def refused(refusal: Refused) -> Problem:
    """A refusal of the rules as a 409."""
    return Problem(409, refusal.code, refusal.message, **refusal.evidence)


def answer(status: int, code: str, detail: str, **more: Any) -> HttpResponse:
    """The document; `more` are further members of it."""
    document = {"type": "about:blank", "title": TITLES[status], "status": status, "detail": detail, "code": code}
    return JsonResponse(document | more, status=status, content_type="application/problem+json")


def install(api: NinjaAPI) -> None:
    """Answer every expected exception in this shape."""
    api.add_exception_handler(Problem, _problem)
    api.add_exception_handler(Http404, lambda _, __: answer(404, "not_found", "There is no such object."))
    api.add_exception_handler(PermissionDenied, lambda _, error: answer(403, "forbidden", str(error)))
    api.add_exception_handler(ValidationError, _invalid)
    api.add_exception_handler(AuthenticationError, lambda _, __: _anonymous())
    api.add_exception_handler(HttpError, _http_error)


# The library types what it hands over as "the exception or its class"; it is always the exception.
def _problem(_: HttpRequest, error: Any) -> HttpResponse:
    return answer(error.status, error.code, error.detail, **error.more)


def _anonymous() -> HttpResponse:
    response = answer(401, "unauthenticated", "Send a valid API key as “Authorization: Bearer …”, or sign in.")
    response["WWW-Authenticate"] = "Bearer"
    return response


def _invalid(_: HttpRequest, error: Any) -> HttpResponse:
    errors = [
        {"loc": [str(part) for part in one["loc"]], "msg": one["msg"], "code": one["type"]} for one in error.errors
    ]
    return answer(422, "invalid", "; ".join(one["msg"] for one in errors), errors=errors)


def _http_error(_: HttpRequest, error: Any) -> HttpResponse:
    status = error.status_code if error.status_code in TITLES else 400
    return answer(status, "bad_request", str(error))
