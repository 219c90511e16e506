"""The API server's refusals: one exception and the Status documents real servers answer with.

Message formats follow k8s.io/apimachinery/pkg/api/errors and the recorded exchanges. What is refused, and when, is
decided elsewhere.
"""

from collections.abc import Iterable
from typing import Any, Protocol

from workspaces.simulators.clusters.kinds import Resource

Cause = tuple[str, str, str]
"""reason, message, field."""

UNCHECKED: Cause = (
    "FieldValueInvalid",
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
    "<nil>",
)


class ApiError(Exception):
    """An answer other than success; `body()` is the Status document."""

    def __init__(
        self,
        code: int,
        message: str,
        reason: str | None = None,
        details: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.reason, self.details = code, message, reason, details
        self.headers = headers or {}
        self.metadata = metadata or {}
        self.delay = 0.0
        self.warnings: list[str] = []

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": self.metadata, "status": "Failure"}
        body["message"] = self.message
        if self.reason is not None:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        return {**body, "code": self.code}


class PageNotFound(Exception):
    """A path no API is served at: text/plain `404 page not found`, not a Status."""


def _details(resource: Resource, name: str = "", kind: str = "") -> dict[str, Any]:
    details = {"name": name, "group": resource.group, "kind": kind or resource.plural}
    return {key: value for key, value in details.items() if value}


def bad_request(message: str) -> ApiError:
    return ApiError(400, message, "BadRequest")


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def not_found(resource: Resource, name: str) -> ApiError:
    return ApiError(404, f'{resource.qualified} "{name}" not found', "NotFound", _details(resource, name))


def no_such_resource() -> ApiError:
    return ApiError(404, "the server could not find the requested resource", "NotFound", {})


def method_not_allowed() -> ApiError:
    return ApiError(405, "the server does not allow this method on the requested resource", "MethodNotAllowed", {})


def already_exists(resource: Resource, name: str) -> ApiError:
    return ApiError(409, f'{resource.qualified} "{name}" already exists', "AlreadyExists", _details(resource, name))


def conflict(
    resource: Resource,
    name: str,
    why: str = "the object has been modified; please apply your changes to the latest version and try again",
) -> ApiError:
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return ApiError(409, message, "Conflict", _details(resource, name))


def precondition(resource: Resource, name: str, label: str, wanted: str, found: str) -> ApiError:
    """A delete or an eviction with a precondition (`label` UID or ResourceVersion) that does not hold; named by
    Kind."""
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    message = (
        f'Operation cannot be fulfilled on {kind} "{name}": the {label} in the precondition ({wanted}) does not match '
        f"the {label} in record ({found}). The object might have been "
        + ("deleted and then recreated" if label == "UID" else "modified")
    )
    return ApiError(409, message, "Conflict", _details(resource, name, resource.kind))


def namespace_terminating(resource: Resource, namespace: str, name: str) -> ApiError:
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {namespace} is being terminated",
        "field": "metadata.namespace",
    }
    details = {**_details(resource, name), "causes": [cause]}
    return ApiError(403, f'{resource.qualified} "{name}" is forbidden: {why}', "Forbidden", details)


def invalid(resource: Resource, name: str, causes: Iterable[Cause], kind: str = "", twice: bool = False) -> ApiError:
    """422 with one cause per field; `kind` replaces the resource's Kind, `twice` lists causes twice, as servers do."""
    causes = list(causes)
    kind, group = kind or resource.kind, resource.group
    texts = [f"{field}: {message}" for _, message, field in causes]
    text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    label = f"{kind}.{group}" if group else kind
    details: dict[str, Any] = {k: v for k, v in {"name": name, "group": group, "kind": kind}.items() if v}
    listed = causes * 2 if twice else causes
    details["causes"] = [{"reason": reason, "message": message, "field": field} for reason, message, field in listed]
    return ApiError(422, f'{label} "{name}" is invalid: {text}', "Invalid", details)


def invalid_options(options: str, field: str, reason: str, message: str) -> ApiError:
    """422 about the query: `options` is for example PatchOptions."""
    causes = [{"reason": reason, "message": message, "field": field}]
    details = {"group": "meta.k8s.io", "kind": options, "causes": causes}
    return ApiError(422, f'{options}.meta.k8s.io "" is invalid: {field}: {message}', "Invalid", details)


def invalid_patch(message: str) -> ApiError:
    """A strategic merge patch or a strict patch that does not decode: 422 with an empty kind and name."""
    causes = [{"reason": "FieldValueInvalid", "message": message, "field": "patch"}]
    return ApiError(422, f' "" is invalid: patch: {message}', "Invalid", {"causes": causes})


def rejected() -> ApiError:
    """A JSON patch that does not apply, also of a failed `test`."""
    return ApiError(422, "the server rejected our request due to an error in our request", "Invalid", {})


def unsupported_media(accepted: Iterable[str] = ()) -> ApiError:
    """415; `accepted` is named by custom resources and creates only."""
    accepted = list(accepted)
    if not accepted:
        return ApiError(415, "415: Unsupported Media Type", "UnsupportedMediaType", {})
    message = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return ApiError(415, message, "UnsupportedMediaType")


class Named(Protocol):
    """What a refusal needs to know of a path: no such resource need exist."""

    @property
    def group(self) -> str: ...
    @property
    def plural(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def subresource(self) -> str: ...


def forbidden(user: str, verb: str, place: Named, name: str) -> ApiError:
    """RBAC's 403: it has details, a webhook's has none."""
    namespaced = place.namespace and place.plural != "namespaces"
    where = f'in the namespace "{place.namespace}"' if namespaced else "at the cluster scope"
    plural = f"{place.plural}/{place.subresource}" if place.subresource else place.plural
    qualified = f"{place.plural}.{place.group}" if place.group else place.plural
    named = f' "{name}"' if name else ""
    message = (
        f'{qualified}{named} is forbidden: User "{user}" cannot {verb} resource "{plural}" '
        f'in API group "{place.group}" {where}'
    )
    details = {"name": name, "group": place.group, "kind": place.plural}
    return ApiError(403, message, "Forbidden", {key: value for key, value in details.items() if value})


def not_acceptable() -> ApiError:
    message = (
        "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, "
        "application/vnd.kubernetes.protobuf, application/json;stream=watch, "
        "application/vnd.kubernetes.protobuf;stream=watch"
    )
    return ApiError(406, message, "NotAcceptable", {})


def forbidden_path(user: str, verb: str, path: str) -> ApiError:
    return ApiError(403, f'forbidden: User "{user}" cannot {verb} path "{path}"', "Forbidden", {})


def denied_by_webhook(text: str, webhook: str = "vtenantcontrolplane.kb.io") -> ApiError:
    return ApiError(403, f'admission webhook "{webhook}" denied the request: {text}', "Forbidden")


def webhook_unreachable(text: str, delay: float = 0.0, name: str = "mtenantcontrolplane.kb.io") -> ApiError:
    """Kamaji's mutating webhook is called first; `delay` is how long the API server waited for it, in seconds."""
    message = f'failed calling webhook "{name}": failed to call webhook: {text}'
    details = {"causes": [{"message": message}]}
    error = ApiError(500, f"Internal error occurred: {message}", "InternalError", details)
    error.delay = delay
    return error


def over_budget(cause: str, retry_after: int | None = None) -> ApiError:
    """An eviction the disruption budget refuses; only "still being processed" carries Retry-After."""
    details: dict[str, Any] = {"causes": [{"reason": "DisruptionBudget", "message": cause}]}
    headers = {}
    if retry_after is not None:
        details["retryAfterSeconds"] = retry_after
        headers["Retry-After"] = str(retry_after)
    message = "Cannot evict pod as it would violate the pod's disruption budget."
    return ApiError(429, message, "TooManyRequests", details, headers)


def expired(message: str, metadata: dict[str, Any] | None = None) -> ApiError:
    return ApiError(410, message, "Expired", metadata=metadata)


def version_too_large(wanted: int, current: int) -> ApiError:
    details = {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }
    message = f"Timeout: Too large resource version: {wanted}, current: {current}"
    return ApiError(504, message, "Timeout", details, {"Retry-After": "1"})


def success(**fields: Any) -> dict[str, Any]:
    """A Status Success with the fields given (code, details)."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", **fields}


STATUS_BODIES = {
    400: ("BadRequest", "the server rejected our request for an unknown reason"),
    401: ("Unauthorized", "Unauthorized"),
    403: ("Forbidden", "forbidden"),
    404: ("NotFound", "the server could not find the requested resource"),
    409: ("Conflict", "the server reported a conflict"),
    410: ("Expired", "too old resource version"),
    429: ("TooManyRequests", "Too many requests, please try again later."),
    500: ("InternalError", "Internal error occurred: etcdserver: request timed out"),
    503: ("ServiceUnavailable", "apiserver is shutting down"),
    504: ("Timeout", "Timeout: request did not complete within the allotted timeout"),
}


def error_body(status: int) -> dict[str, Any]:
    """The Status document of an injected fault."""
    reason, message = STATUS_BODIES.get(status, ("InternalError", "an error on the server has prevented the request"))
    return ApiError(status, message, reason).body()
