"""Errors as `application/problem+json` (RFC 9457): one shape for everything that is refused, missing or wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, Throttled, ValidationError

from workspaces.api.schemas import ProblemDocument
from workspaces.rules.refusal import Refused

PREFIX = "/api/v1/"
PROBLEM = "application/problem+json"
TITLES = {
    400: "Bad request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Refused",
    412: "Changed meanwhile",
    415: "Unsupported media type",
    422: "Invalid input",
    429: "Too many requests",
    500: "Defect",
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
    return JsonResponse(document | more, status=status, content_type=PROBLEM)


def install(api: NinjaAPI) -> None:
    """Answer every expected exception in this shape."""
    api.add_exception_handler(Problem, _problem)
    api.add_exception_handler(Http404, lambda _, __: answer(404, "not_found", "There is no such object."))
    api.add_exception_handler(PermissionDenied, lambda _, error: answer(403, "forbidden", str(error)))
    api.add_exception_handler(ValidationError, _invalid)
    api.add_exception_handler(AuthenticationError, lambda _, __: _anonymous())
    api.add_exception_handler(Throttled, _throttled)
    api.add_exception_handler(HttpError, _http_error)


# The library types what it hands over as "the exception or its class"; it is always the exception.
def _problem(_: HttpRequest, error: Any) -> HttpResponse:
    return answer(error.status, error.code, error.detail, **error.more)


def _anonymous() -> HttpResponse:
    response = answer(401, "unauthenticated", "Send a valid API key as “Authorization: Bearer …”, or sign in.")
    response["WWW-Authenticate"] = "Bearer"
    return response


def _throttled(_: HttpRequest, error: Any) -> HttpResponse:
    detail = "This key has sent more requests in this minute than it may. Send it again after Retry-After seconds."
    response = answer(429, "rate_limited", detail)
    response["Retry-After"] = str(error.wait)
    return response


def _invalid(_: HttpRequest, error: Any) -> HttpResponse:
    errors = [
        {"loc": [str(part) for part in one["loc"]], "msg": one["msg"], "code": one["type"]} for one in error.errors
    ]
    return answer(422, "invalid", "; ".join(one["msg"] for one in errors), errors=errors)


def _http_error(_: HttpRequest, error: Any) -> HttpResponse:
    if error.status_code == 403:  # only its check of the console's session raises this
        return answer(403, *_PLAIN[403])
    status = error.status_code if error.status_code in TITLES else 400
    return answer(status, "bad_request", str(error))


# --- What the library and Django answer by themselves -----------------------------------------------------------------
_PLAIN = {
    403: ("csrf_failed", "With the console's session, send its CSRF token; scripts send an API key."),
    404: ("not_found", "There is no such address."),
    405: ("method_not_allowed", "This address has no such method."),
    500: ("defect", "Loopback met a defect of its own. Its log has the details under the answer's X-Request-ID."),
}


class ProblemsMiddleware:
    """Under the API's prefix every error is a problem document, also where no address of the API was reached."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The answer, or a problem in place of Django's own page."""
        response = self.get_response(request)
        if not request.path.startswith(PREFIX) or response.status_code < 400 or response["Content-Type"] == PROBLEM:
            return response
        code, detail = _PLAIN.get(response.status_code, ("bad_request", "The request cannot be read."))
        problem = answer(response.status_code if response.status_code in TITLES else 400, code, detail)
        if "Allow" in response:
            problem["Allow"] = response["Allow"]
        return problem


# --- The document -----------------------------------------------------------------------------------------------------
# What any address may answer; 409, 412 and 415 stand where a router declares them.
_EVERYWHERE = (400, 401, 403, 404, 422, 429)


def documented(document: Any) -> Any:
    """Add to every operation of an OpenAPI document what it may answer besides what was asked, as problems."""
    schemas = document["components"].setdefault("schemas", {})
    known = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= known.pop("$defs", {}) | {"ProblemDocument": known}
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    for methods in document["paths"].values():
        for operation in methods.values():
            declared = {int(status) for status in operation["responses"]}
            for status in sorted({*_EVERYWHERE, *(status for status in declared if status >= 400)}):
                operation["responses"].pop(status, None)
                operation["responses"][status] = {"description": TITLES[status], "content": content}
    return document
