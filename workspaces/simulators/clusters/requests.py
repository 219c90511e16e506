"""Reading a request: which resource, which object, which verb; which body and options. Nothing is looked up or
decided here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from workspaces.simulators.clusters.errors import (
    PageNotFound,
    bad_request,
    invalid_options,
    no_such_resource,
    not_found,
    unsupported_media,
)
from workspaces.simulators.clusters.kinds import Resource, subresources
from workspaces.simulators.clusters.store import Store

BODY_TYPES = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
REVIEWS = {
    ("authentication.k8s.io", "selfsubjectreviews"): "SelfSubjectReview",
    ("authorization.k8s.io", "selfsubjectaccessreviews"): "SelfSubjectAccessReview",
}


@dataclass(frozen=True)
class Call:
    """One request on a resource. `name` is "" for a collection; `body` is the raw text."""

    method: str
    path: str
    resource: Resource
    namespace: str
    name: str
    subresource: str
    query: Mapping[str, str]
    content_type: str
    accept: str
    body: str
    user_agent: str = ""

    @property
    def verb(self) -> str:
        return verb_of(self.method, self.name, self.query)

    @property
    def dry_run(self) -> bool:
        return self.query.get("dryRun") == "All"

    @property
    def field_manager(self) -> str:
        return self.query.get("fieldManager") or self.user_agent.partition("/")[0] or "unknown"


@dataclass
class Answer:
    """A successful answer; `warnings` become Warning headers. `owners` are those of a body that was not stored."""

    status: int
    body: dict[str, Any]
    warnings: list[str] = field(default_factory=list)
    owners: Any = None


def verb_of(method: str, name: str, query: Mapping[str, str]) -> str:
    """The API's verb; `watch=true` on the path of one object is a plain get."""
    if method == "GET":
        if name:
            return "get"
        return "watch" if query.get("watch") in ("true", "1") else "list"
    if method == "DELETE":
        return "delete" if name else "deletecollection"
    return {"POST": "create", "PUT": "update", "PATCH": "patch"}.get(method, method.lower())


def split_path(path: str) -> tuple[str, str, list[str]] | None:
    """(group, version, the rest) of an API path, None for any other path."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) >= 3:
        return "", parts[1], parts[2:]
    if parts[0] == "apis" and len(parts) >= 4:
        return parts[1], parts[2], parts[3:]
    return None


@dataclass(frozen=True)
class Place:
    """What a path says before anything is looked up: used to word RBAC's refusals, also about what does not exist."""

    group: str
    version: str
    plural: str
    namespace: str
    name: str
    subresource: str


def place_of(path: str) -> Place | None:
    split = split_path(path)
    if split is None:
        return None
    group, version, rest = split
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    if rest[0] == "namespaces" and name:
        namespace = name
    return Place(group, version, rest[0], namespace, name, "/".join(rest[2:]))


def locate(store: Store, place: Place) -> Resource:
    """The served resource; raises PageNotFound (unknown group or version) or a Status 404 (unknown resource)."""
    resource = store.resources.get((place.group, place.plural))
    if resource is not None and resource.version == place.version:
        if place.subresource and place.subresource not in subresources(resource):
            # Custom resources answer as if the object were missing; built-in kinds do not know the path.
            raise not_found(resource, place.name) if resource.custom else no_such_resource()
        return resource
    known = {(r.group, r.version) for r in store.resources.values() if not r.custom}
    if (place.group, place.version) in known:
        raise no_such_resource()
    raise PageNotFound


def decode(call: Call, kind: str) -> dict[str, Any]:
    """The body of a create or an update as a document of that kind; raises 400 or 415 in the server's words."""
    text, media = call.body, call.content_type.partition(";")[0].strip()
    if media not in ("", "application/json", "application/yaml", "application/octet-stream"):
        raise unsupported_media(BODY_TYPES)
    unrecognized = f"the object provided is unrecognized (must be of type {kind})"
    try:
        document = yaml.safe_load(text) if media == "application/yaml" else json.loads(text or "{}")
    except (ValueError, yaml.YAMLError):
        problem = "couldn't get version/kind; json parse error: unexpected end of JSON input"
        raise bad_request(f"{unrecognized}: {problem} ({text})") from None
    if not isinstance(document, dict):
        raise bad_request(f"{unrecognized}: not an object ({text[:80]})")
    if call.resource.custom and kind == call.resource.kind and "kind" not in document:
        shown = text if len(text) <= 30 else f"{text[:30]} ..."
        raise bad_request(f"{unrecognized}: Object 'Kind' is missing in '{text}' ({shown})")
    return document


def options_of(call: Call) -> None:
    """Refuses query options the server does not know, by the options type of the verb."""
    name = {"PATCH": "PatchOptions", "POST": "CreateOptions", "PUT": "UpdateOptions", "DELETE": "DeleteOptions"}
    value = call.query.get("dryRun")
    if value not in (None, "", "All") and call.method in name:
        raise invalid_options(
            name[call.method],
            "dryRun",
            "FieldValueNotSupported",
            f'Unsupported value: ["{value}"]: supported values: "All"',
        )


def number(call: Call, name: str) -> int:
    text = call.query.get(name, "")
    try:
        return int(text or 0)
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
