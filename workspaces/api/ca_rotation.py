"""Changing the certificate authority of a workspace, for scripts: what it would do, and doing it."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Router, Schema
from pydantic import ConfigDict, Field, StrictStr

from workspaces.api.callers import actor, get_workspace, require_recent_sign_in
from workspaces.api.operations import accepted
from workspaces.api.problems import refused
from workspaces.api.schemas import OperationShape, ProblemDocument, Time
from workspaces.operations import ca_rotation
from workspaces.rules.refusal import Refused

router = Router(tags=["Kubernetes"])
NEED = "kubeconfig.export"
_PATH = "/workspaces/{uuid:pk}/ca-rotation"


class EndingKubeconfig(Schema):
    """A kubeconfig that would end; `valid_until` null: not known."""

    id: UUID
    kind: str
    requested_by: str
    reason: str
    taken_at: Time | None
    valid_until: Time | None


class RotationRefusal(Schema):
    """Why it cannot be changed now."""

    code: str
    message: str


class RotationShape(Schema):
    """What a change of the authority would do. Kubeconfigs that were not handed out by Loopback end too."""

    kubeconfigs: list[EndingKubeconfig]
    hosts: list[str] = Field(description="They join the cluster again, one after another, in this order.")
    control_plane_replicas: int | None = Field(description="With fewer than 2 the API is away while it restarts.")
    refused: RotationRefusal | None


class RotationBody(Schema):
    """The workspace's name to confirm, and why."""

    model_config = ConfigDict(extra="forbid")

    confirm_name: StrictStr
    reason: Annotated[StrictStr, Field(min_length=1, max_length=ca_rotation.LONGEST_REASON, pattern=r"^[^\x00]*$")]


@router.get(_PATH, response={200: RotationShape, **dict.fromkeys((403, 404), ProblemDocument)})
def what_it_would_do(request: HttpRequest, pk: UUID) -> dict[str, Any]:
    """Which kubeconfigs would end, which hosts would join again, and what stands against it."""
    workspace = get_workspace(request, pk, need=NEED)
    hosts = ca_rotation.hosts_of(workspace)
    stopped = ca_rotation.refuse(workspace, hosts)
    valid = workspace.kubeconfigs.valid_outside(timezone.now()).defer("document")
    alike = ("kind", "requested_by", "reason", "taken_at")
    return {
        "kubeconfigs": [
            {"id": one.pk, "valid_until": one.certificate_until, **{name: getattr(one, name) for name in alike}}
            for one in valid
        ],
        "hosts": [host.name for host in hosts],
        "control_plane_replicas": workspace.control_plane_replicas or None,
        "refused": {"code": stopped.code, "message": stopped.message} if stopped else None,
    }


@router.post(_PATH, response={202: OperationShape, **dict.fromkeys((403, 404, 409, 422), ProblemDocument)})
def rotate(request: HttpRequest, pk: UUID, body: RotationBody) -> HttpResponse:
    """Change it: every kubeconfig ends, and every host joins again. There is no way back.

    409: wrong_name, no_reason, not_kubernetes, not_active, gated, not_linked, hosts_not_manageable and hosts_not_ready
    (`hosts`), operation_running, moved.
    """
    workspace = get_workspace(request, pk, need=NEED)
    require_recent_sign_in(request)
    started = ca_rotation.start(workspace, confirm_name=body.confirm_name, reason=body.reason, actor=actor(request))
    if isinstance(started, Refused):
        raise refused(started)
    return accepted(started)
