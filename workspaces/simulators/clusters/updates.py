"""Changing what exists: PUT, the patch formats, the scale subresource and server-side apply, with their order of
checks."""

import copy
import json
from collections.abc import Callable
from typing import Any

from workspaces.simulators.clusters import apply, checks, errors, patches, settling, strategies
from workspaces.simulators.clusters.deletion import Deletion
from workspaces.simulators.clusters.kinds import NAMESPACES
from workspaces.simulators.clusters.ownership import Ownership
from workspaces.simulators.clusters.requests import Answer, Call, decode
from workspaces.simulators.clusters.scale import as_scale, replicas_path, scaled
from workspaces.simulators.clusters.store import Document, Store
from workspaces.simulators.clusters.webhook import Webhook, admit

MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
JSON_PATCH, APPLY = "application/json-patch+json", "application/apply-patch+yaml"
GO_TYPES = {dict: "object", list: "array", str: "string", int: "number", float: "number", bool: "bool"}


class Updates:
    """Updates of one API server. `create` makes an object an apply did not find."""

    def __init__(
        self,
        store: Store,
        webhook: Webhook | None,
        ownership: Ownership,
        deletion: Deletion,
        create: Callable[[Call], Answer],
    ) -> None:
        self._store, self._webhook = store, webhook
        self._ownership, self._deletion, self._create = ownership, deletion, create

    def _existing(self, call: Call) -> Document:
        document = self._store.get(call.resource, call.namespace, call.name)
        if document is None:
            raise errors.not_found(call.resource, call.name)
        return document

    def put(self, call: Call) -> Answer:
        if call.subresource == "scale":
            return self._write_scale(call, decode(call, "Scale"))
        resource = call.resource
        document = decode(call, resource.kind)
        checks.check_identity(call, document)
        old = self._existing(call)
        checks.check_name(call, document)
        metadata = document["metadata"]
        if not metadata.get("resourceVersion") and resource.custom:
            message = "Invalid value: 0: must be specified for an update"
            cause = ("FieldValueInvalid", message, "metadata.resourceVersion")
            raise errors.invalid(resource, call.name, [cause], kind=resource.plural)
        checks.check_uid_on_put(call, metadata, old)
        checks.check_version(call, metadata.get("resourceVersion"), old)
        return self._write(call, document, old)

    def patch(self, call: Call) -> Answer:
        media = call.content_type.partition(";")[0].strip()
        accepted = (JSON_PATCH, MERGE, APPLY) if call.resource.custom else (JSON_PATCH, MERGE, STRATEGIC, APPLY)
        if media not in accepted:
            raise errors.unsupported_media(accepted if call.resource.custom else ())
        if media == APPLY:
            return self._apply(call)
        if "force" in call.query:
            message = "Forbidden: may not be specified for non-apply patch"
            raise errors.invalid_options("PatchOptions", "force", "FieldValueForbidden", message)
        body = _patch_body(call.body, media)
        old = self._existing(call)
        if call.subresource == "scale":
            return self._write_scale(call, patches.merge(as_scale(call.resource, old), body))
        if media == JSON_PATCH:
            document = patches.json_patch(old, body)
        elif media == MERGE:
            document = patches.merge(old, body)
        else:
            document = patches.strategic(old, _checked_strategic(body))
        document = copy.deepcopy(document)
        checks.check_name(call, document)
        metadata = document.setdefault("metadata", {})
        checks.check_uid_on_patch(call, metadata, old)
        checks.check_version(call, metadata.get("resourceVersion"), old)
        return self._write(call, document, old)

    def _write(self, call: Call, document: Document, old: Document) -> Answer:
        """The common end of PUT and PATCH: prune, check, admit, store."""
        resource = call.resource
        warnings = checks.unknown_fields(call, document)
        if call.subresource == "status":
            document = settling.settle_status(document, old)
        else:
            document = settling.settle_update(resource, document, old)
        if resource == NAMESPACES:
            document["spec"] = old["spec"]
        strategies.prepare(resource, document, old)
        checks.check_new_finalizers(resource, document, old)
        if not call.subresource:
            admit(self._webhook, document, old, call.method, call.path)
        if resource.generation and document.get("spec") != old.get("spec"):
            generation = old["metadata"].get("generation", 0) + 1
            document["metadata"] = {**document["metadata"], "generation": generation}
        applies = call.content_type.startswith(APPLY)
        if call.dry_run:
            return Answer(200, document, warnings, None if applies else self._ownership.updated(call, document, old))
        if self._deletion.finishes(resource, document):
            self._store.remove(resource, document["metadata"].get("namespace", ""), document["metadata"]["name"])
            return Answer(200, document, warnings)
        owners = None if applies else self._ownership.updated(call, document, old)
        stored = self._stored(call, document, old)
        if owners is not None and stored is not old:
            self._ownership.keep(stored, owners)
        return Answer(200, stored, warnings)

    def _stored(self, call: Call, document: Document, old: Document) -> Document:
        if document == old:
            return old
        self._ownership.asked_for(old)
        return self._store.replace(call.resource, document)

    def _write_scale(self, call: Call, wanted: Document) -> Answer:
        old = self._existing(call)
        checks.check_version(call, wanted.get("metadata", {}).get("resourceVersion"), old)
        replicas = wanted.get("spec", {}).get("replicas", 0)
        if replicas < 0:
            message, path = f"Invalid value: {replicas}: should be a non-negative integer", replicas_path(call.resource)
            raise errors.invalid(call.resource, call.name, [("FieldValueInvalid", message, path)])
        document = scaled(call.resource, old, wanted)
        if document != old:
            metadata = old["metadata"]
            document["metadata"] = {**metadata, "generation": metadata.get("generation", 0) + 1}
        if not call.dry_run and document != old:
            owners = self._ownership.updated(call, document, old)
            document = self._stored(call, document, old)
            self._ownership.keep(document, owners)
        return Answer(200, as_scale(call.resource, document))

    def _apply(self, call: Call) -> Answer:
        """Server-side apply: creates what is missing, refuses fields of other managers unless forced."""
        wanted = apply.decode(call)
        unknown = strategies.prune(call.resource, copy.deepcopy(wanted))
        if unknown:
            raise apply.unknown_field(call, wanted, unknown[0])
        checks.check_identity(call, wanted)
        wanted["metadata"].setdefault("name", call.name)
        checks.check_name(call, wanted)
        old = self._store.get(call.resource, call.namespace, call.name)
        if old is None:
            if uid := wanted["metadata"].get("uid"):
                text = f"the provided object specified uid {uid}, and no existing object was found"
                raise errors.conflict(call.resource, call.name, f"uid mismatch: {text}")
            answer, owners = self._create(apply.as_creation(call, wanted)), {}
        else:
            checks.check_version(call, wanted["metadata"].get("resourceVersion"), old)
            owners = self._ownership.of(call.resource, old)
            answer = self._write(call, apply.merged(call, old, wanted, owners), old)
        answer.owners = after = apply.owners_after(call, answer.body, old, wanted, owners)
        if call.dry_run:
            return answer
        if answer.body is old and after != owners:
            # Owners are a part of the object: when only they change it is another version.
            self._ownership.asked_for(old)
            answer.body = self._store.touch(call.resource, old)
        if after != owners:
            self._ownership.keep(answer.body, after)
        return answer


def _patch_body(text: str, media: str) -> Any:
    try:
        body = json.loads(text)
    except ValueError:
        raise errors.bad_request("error decoding patch: unexpected end of JSON input") from None
    wanted, go_type = (list, "[]handlers.jsonPatchOp") if media == JSON_PATCH else (dict, "map[string]interface {}")
    if not isinstance(body, wanted):
        found = GO_TYPES.get(type(body), "null")
        raise errors.bad_request(
            f"error decoding patch: json: cannot unmarshal {found} into Go value of type {go_type}"
        )
    return body


def _checked_strategic(body: Document) -> Document:
    """The one type a strategic patch of ours can get wrong: unschedulable, worded as Go words it."""
    value = (body.get("spec") or {}).get("unschedulable") if isinstance(body.get("spec"), dict) else None
    if value is not None and not isinstance(value, bool):
        raise errors.invalid_patch(f'Invalid value: "map[spec:map[unschedulable:{value}]]": unrecognized type: bool')
    return body
