"""Checks that creates and updates share: identity, names, versions, unknown fields, finalizers. All raise the
server's own refusals."""

import json
from typing import Any

from workspaces.simulators.clusters import errors, strategies
from workspaces.simulators.clusters.kinds import Resource
from workspaces.simulators.clusters.requests import Call
from workspaces.simulators.clusters.store import Document


def check_identity(call: Call, document: Document) -> None:
    """apiVersion, namespace and kind agree with the path; what is left out of a built-in kind's body is filled in."""
    resource = call.resource
    document.setdefault("kind", resource.kind)
    document.setdefault("apiVersion", resource.api_version)
    metadata = document.setdefault("metadata", {})
    if document["apiVersion"] != resource.api_version:
        error = errors.bad_request(
            f"the API version in the data ({document['apiVersion']}) does not match the expected API version "
            f"({resource.api_version})"
        )
        if resource.custom:
            error.warnings = [f'unknown field "{name}"' for name in document if name not in strategies.HEAD]
        raise error
    if resource.namespaced and metadata.get("namespace") not in (None, "", call.namespace):
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if resource.namespaced:
        metadata["namespace"] = call.namespace
    if document["kind"] != resource.kind:
        kind, name = document["kind"], metadata.get("name", "")
        message = f'Invalid value: "{kind}": must be {resource.kind}'
        raise errors.invalid(resource, name, [("FieldValueInvalid", message, "kind")], kind=kind)


def check_name(call: Call, document: Document) -> None:
    name = document["metadata"].get("name", "")
    if name != call.name:
        raise errors.bad_request(f"the name of the object ({name}) does not match the name on the URL ({call.name})")


def check_version(call: Call, version: Any, old: Document) -> None:
    """Optimistic concurrency: a resourceVersion that is given must be the current one."""
    if not version or version == old["metadata"]["resourceVersion"]:
        return
    if not str(version).isdigit():
        raise errors.ApiError(500, f'strconv.ParseUint: parsing "{version}": invalid syntax')
    raise errors.conflict(call.resource, call.name)


def check_uid_on_put(call: Call, metadata: Document, old: Document) -> None:
    """Another uid is a 409 in a PUT, a 422 in a patch."""
    wanted, held = metadata.get("uid"), old["metadata"]["uid"]
    if wanted and wanted != held:
        key = f"/registry/{call.resource.group}/{call.resource.plural}/{call.namespace}/{call.name}"
        raise errors.conflict(
            call.resource,
            call.name,
            f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: "
            f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {held}",
        )


def check_uid_on_patch(call: Call, metadata: Document, old: Document) -> None:
    if metadata.get("uid") != old["metadata"]["uid"]:
        message = f'Invalid value: "{metadata.get("uid")}": field is immutable'
        raise errors.invalid(call.resource, call.name, [("FieldValueInvalid", message, "metadata.uid")], twice=True)


def check_new_finalizers(resource: Resource, document: Document, old: Document) -> None:
    """None can be added to an object that is being deleted."""
    if not old["metadata"].get("deletionTimestamp"):
        return
    new = [f for f in document["metadata"].get("finalizers", ()) if f not in old["metadata"].get("finalizers", ())]
    if new:
        shown = ", ".join(f'"{name}"' for name in new)
        message = (
            "Forbidden: no new finalizers can be added if the object is being deleted, "
            f"found new finalizers []string{{{shown}}}"
        )
        cause = ("FieldValueForbidden", message, "metadata.finalizers")
        raise errors.invalid(resource, document["metadata"]["name"], [cause], twice=True)


def unknown_fields(call: Call, document: Document) -> list[str]:
    """Prunes, in place; the Warning texts, or the refusal when the caller wants strict validation."""
    unknown = strategies.prune(call.resource, document)
    mode = call.query.get("fieldValidation", "Warn")
    if unknown and mode == "Strict":
        text = ", ".join(f'unknown field "{name}"' for name in unknown)
        if call.method == "PATCH":
            quoted = json.dumps(document, separators=(",", ":")).replace('"', '\\"')
            raise errors.invalid_patch(f'Invalid value: "{quoted}": strict decoding error: {text}')
        kind, version = call.resource.kind, call.resource.version
        raise errors.bad_request(
            f'{kind} in version "{version}" cannot be handled as a {kind}: strict decoding error: {text}'
        )
    return [f'unknown field "{name}"' for name in unknown] if mode == "Warn" else []


def finalizer_warnings(document: Document) -> list[str]:
    bare = [name for name in document["metadata"].get("finalizers", ()) if "/" not in name]
    advice = "prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other"
    return [f'metadata.finalizers: "{name}": {advice} finalizer writers' for name in bare]
