"""Objects of any kind in a tenant's API, as documents: read, and applied by server-side apply.

Which kinds there are is what the API says of itself (discovery). What is to be applied, and whether a conflict may be
forced, is decided in operations/seeding. Nothing here deletes.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import quote

from kubernetes.client import ApiException

from .errors import Permanent, Temporary
from .kubeconfig import connect
from .kubernetes_errors import speaking_to, status_of
from .managed_fields import OURS

Document = dict[str, Any]

_APPLY: Final = "application/apply-patch+yaml"
_MANAGER: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_LACKS_A_RIGHT: Final = re.compile(r"cannot \w+ resource")
_MISFIT: Final = "failed to create typed patch object"
_WHO_KEEPS: Final = "An administrator, by deciding who keeps the field."
_WHO_WROTE: Final = "The operator of the platform, by correcting the manifest."


class Conflicts(Permanent):
    """Others hold fields that were to be set otherwise: `fields` is one (field, manager) each, as the server says.

    A field is written as in `data.level`, or `spec.template.spec.containers[name="web"].image`.
    """

    def __init__(self, message: str, fields: tuple[tuple[str, str], ...]) -> None:
        super().__init__("conflict", message, who_can_fix=_WHO_KEEPS)
        self.fields = fields


class UnknownKind(Permanent):
    """The API does not serve this kind of object (any more, or not yet)."""

    def __init__(self, message: str) -> None:
        super().__init__("not_found", message, who_can_fix="An administrator, by installing what defines the kind.")


@dataclass(frozen=True, slots=True)
class _Kind:
    plural: str
    namespaced: bool


class Objects:
    """One tenant's API, for a `with` block; its errors call it `name`. Raises Temporary and Permanent.

    What is applied belongs to `manager`, and what an earlier apply of the same manager named alone is given up.
    """

    def __init__(self, kubeconfig: str, *, name: str, manager: str = OURS, timeout: float = 10) -> None:
        self._peer, self._manager = f"tenant {name}", manager
        self._api = connect(kubeconfig, timeout=timeout)
        self._kinds: dict[str, dict[str, _Kind]] = {}  # by apiVersion

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._api.close()

    def knows(self, document: Mapping[str, Any]) -> bool:
        """Whether the API serves the document's kind. One call for each apiVersion, once."""
        return self._kind(document) is not None

    def get(self, document: Mapping[str, Any]) -> Document | None:
        """The object that the document names, as it is; None: it is not there. Raises UnknownKind."""
        path = self._path(document)
        with speaking_to(self._peer):
            try:
                return self._call("GET", path)
            except ApiException as error:
                if error.status != 404:
                    raise
                return None

    def apply(self, document: Mapping[str, Any], *, force: bool = False, dry_run: bool = False) -> Document:
        """Make the object as the document says and give it back; fields it does not name stay as they are.

        `force` takes fields from others; with `dry_run` the answer is what would be, and nothing happens. With a
        metadata.resourceVersion in the document nobody can have come between: Temporary("conflict"). Raises Conflicts,
        UnknownKind, and Permanent("configuration") with the server's sentence for a document that it does not take.
        """
        options: dict[str, str] = {"fieldManager": self._manager}
        if force:
            options["force"] = "true"
        if dry_run:
            options["dryRun"] = "All"
        path = self._path(document)
        with speaking_to(self._peer):
            try:
                return self._call("PATCH", path, options, json.dumps(document))
            except ApiException as error:
                self._refuse(error)
                raise

    # --- Kinds --------------------------------------------------------------------------------------------------------
    def _kind(self, document: Mapping[str, Any]) -> _Kind | None:
        version = document["apiVersion"]
        if version not in self._kinds:
            with speaking_to(self._peer):
                self._kinds[version] = self._discover(version)
        return self._kinds[version].get(document["kind"])

    def _discover(self, version: str) -> dict[str, _Kind]:
        try:
            served = self._call("GET", f"{_root(version)}")["resources"]
        except ApiException as error:
            if error.status != 404:
                raise
            return {}
        # Subresources ("deployments/scale") name kinds of their own.
        return {one["kind"]: _Kind(one["name"], one["namespaced"]) for one in served if "/" not in one["name"]}

    def _path(self, document: Mapping[str, Any]) -> str:
        kind, metadata = self._kind(document), document["metadata"]
        if kind is None:
            raise UnknownKind(f"{self._peer}: {document['apiVersion']} {document['kind']} is not known there.")
        place = f"namespaces/{quote(metadata.get('namespace') or 'default', safe='')}/" if kind.namespaced else ""
        return f"{_root(document['apiVersion'])}/{place}{kind.plural}/{quote(metadata['name'], safe='')}"

    # --- Calls --------------------------------------------------------------------------------------------------------
    def _call(self, method: str, path: str, options: Mapping[str, str] | None = None, body: str = "") -> Document:
        headers = {"Accept": "application/json"} | ({"Content-Type": _APPLY} if body else {})
        request = self._api.param_serialize(
            method,
            path,
            query_params=list((options or {}).items()),
            header_params=headers,
            body=body or None,
            auth_settings=["BearerToken"],
        )
        answer = self._api.call_api(*request)
        answer.read()
        document: Document = self._api.response_deserialize(answer, {"200": "object", "201": "object"}).data
        if not isinstance(document, dict):
            raise TypeError("not an object")
        return document

    def _refuse(self, error: ApiException) -> None:
        """Raise what an apply alone can be refused for; anything else is as with every call."""
        status = status_of(error)
        said = " ".join(str(status.get("message") or error.reason).split())[:500]
        causes = (status.get("details") or {}).get("causes") or []
        reasons = {cause.get("reason") for cause in causes}
        if error.status == 409 and "FieldManagerConflict" in reasons:
            raise Conflicts(f"{self._peer}: {said}", tuple(_conflict(cause) for cause in causes)) from error
        if error.status == 403 and "NamespaceTerminating" in reasons:
            raise Temporary("conflict", f"{self._peer}: {said}") from error
        if error.status == 400 or (error.status == 500 and said.startswith(_MISFIT)):
            message = f"{self._peer}: the manifest is not taken: {said}"
            raise Permanent("configuration", message, who_can_fix=_WHO_WROTE) from error
        # Quotas and policies forbid without naming a right; webhooks are told apart elsewhere.
        if error.status == 403 and "admission webhook" not in said and not _LACKS_A_RIGHT.search(said):
            raise Permanent("configuration", f"{self._peer}: the change is refused: {said}") from error


def _root(version: str) -> str:
    """Where the API of an apiVersion is: the core's ("v1") apart from all groups'."""
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _conflict(cause: Mapping[str, Any]) -> tuple[str, str]:
    """The field and who holds it: `conflict with "kubectl-edit" using v1`."""
    said = str(cause.get("message") or "")
    manager = _MANAGER.search(said)
    return str(cause.get("field") or "").removeprefix("."), json.loads(manager[0]) if manager else said
