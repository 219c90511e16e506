"""Moving a workspace to another project: what it would change, and the move with the proof that it did just that."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Router, Schema

from workspaces.api.callers import actor, caller, get_workspace
from workspaces.api.problems import Problem, refused
from workspaces.api.schemas import Named, ProblemDocument, Time
from workspaces.models import Project, Workspace
from workspaces.models.transfer import find_destination, may_move_back, move
from workspaces.models.transfer_preview import preview
from workspaces.models.transfer_proof import proof
from workspaces.rules.refusal import Refused

router = Router(tags=["Transfer"])


class ProjectShape(Named):
    """A project and who pays for it."""

    cost_center: str


class RefusalShape(Schema):
    """Why it would be refused."""

    code: str
    message: str


class IdentityShape(Schema):
    """An account or API key: its permission keys and highest role on the workspace before and after."""

    kind: str
    id: UUID
    name: str
    detail: str
    effect: str
    role_before: str
    role_after: str
    before: list[str]
    after: list[str]
    lost: list[str]
    gained: list[str]


class KubeconfigShape(Schema):
    """A kubeconfig that was handed out and stays valid."""

    id: UUID
    requested_by: str
    taken_at: Time | None
    certificate_until: Time | None
    holder_loses_access: bool


class HoldShape(Schema):
    """What holds automatic work back in a project."""

    id: UUID
    reason: str
    expires_at: Time


class PriceShape(Schema):
    """A price component: net decimal strings, and what set the agreed one (null: list applies)."""

    list: str
    agreed: str
    currency: str
    agreement: str | None
    clause: str | None


class PricesShape(Schema):
    """What a host costs; null where it is not known."""

    hourly: PriceShape | None
    monthly: PriceShape | None


class HostPriceShape(Schema):
    """A host's prices in the old and in the new project."""

    host: str
    profile: str
    location: str
    before: PricesShape
    after: PricesShape


class PredictionShape(Schema):
    """What the move changes. `platform_administrators` reach the workspace before and after."""

    workspace: Named
    source: ProjectShape
    destination: ProjectShape
    at: Time
    refused: RefusalShape | None
    identities: list[IdentityShape]
    platform_administrators: list[UUID]
    kubeconfigs: list[KubeconfigShape]
    prices: list[HostPriceShape]
    holds_ending: list[HoldShape]
    holds_beginning: list[HoldShape]


class PreviewShape(PredictionShape):
    """The same, before the move. `fingerprint` is the ETag, for If-Match."""

    fingerprint: str
    may_move_back: bool


class DifferenceShape(Schema):
    """Somebody whose rights are not those predicted."""

    kind: str
    id: UUID
    name: str
    missing: list[str]
    additional: list[str]
    why: str


class ComparedShape(Schema):
    """How much was compared; `rights` counts pairs of an identity and a permission key."""

    accounts: int
    api_keys: int
    rights: int


class ProofShape(Schema):
    """A move: its prediction, and how that compares with what is true now."""

    id: UUID
    moved_by: str
    moved_at: Time
    holds: bool
    moved_on: bool
    compared_at: Time
    compared: ComparedShape
    differences: list[DifferenceShape]
    prediction: PredictionShape


class TransferBody(Schema):
    """Where to."""

    project: UUID


@router.get(
    "/workspaces/{uuid:pk}/transfer",
    response={200: PreviewShape, **dict.fromkeys((403, 404, 422), ProblemDocument)},
)
def transfer_preview(request: HttpRequest, response: HttpResponse, pk: UUID, project: UUID) -> dict[str, Any]:
    """Who loses and gains which rights, what stays valid, what it costs, and why it would be refused."""
    workspace = get_workspace(request, pk, need="workspace.transfer")
    destination = _destination(request, workspace, project)
    seen = preview(workspace, destination, timezone.now())
    response["ETag"] = f'"{seen.fingerprint}"'
    back = may_move_back(workspace, destination, caller(request))
    return seen.document() | {"fingerprint": seen.fingerprint, "may_move_back": back}


@router.post(
    "/workspaces/{uuid:pk}/transfer",
    response={200: ProofShape, **dict.fromkeys((403, 404, 409, 412, 422), ProblemDocument)},
)
def transfer(request: HttpRequest, pk: UUID, body: TransferBody) -> dict[str, Any]:
    """Move it. With the preview's ETag as If-Match, only if the preview is still what would happen (else 412)."""
    workspace = get_workspace(request, pk, need="workspace.transfer")
    destination = _destination(request, workspace, body.project)
    expected = _if_match(request)
    moved = move(workspace, destination, by=actor(request), caller=caller(request), expected_fingerprint=expected)
    if isinstance(moved, Refused):
        if moved.code == "preview_changed" and expected is not None:
            raise Problem(412, moved.code, moved.message)
        raise refused(moved)
    return proof(moved, timezone.now()).document()


def _destination(request: HttpRequest, workspace: Workspace, pk: UUID) -> Project:
    """404 for a project of another organization, whoever asks; 403 for one that the caller may only see."""
    project = find_destination(workspace, caller(request), pk)
    if project is None:
        raise Http404
    return project


def _if_match(request: HttpRequest) -> str | None:
    """The fingerprint named by If-Match; one that cannot be ours matches nothing."""
    header = request.headers.get("If-Match", "*").strip()
    return None if header == "*" else header.removeprefix('"').removesuffix('"')
