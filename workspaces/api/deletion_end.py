"""How the deletion of a workspace ends, for scripts: its receipt, and giving up what it could not remove.

The plan and everything before a deletion begins is `deletion.py`.
"""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router

from workspaces.api.callers import actor, get_workspace, require_recent_sign_in
from workspaces.api.deletion import NEED, newest
from workspaces.api.deletion_shapes import ForgetBody, ForgetShape, ReceiptShape
from workspaces.api.problems import Problem, refused
from workspaces.api.schemas import ProblemDocument
from workspaces.models import Deletion
from workspaces.operations import forgetting
from workspaces.rules.deletion_plan import sums
from workspaces.rules.deletion_receipt import as_text
from workspaces.rules.refusal import Refused

router = Router(tags=["Deletion"])
_PATH = "/workspaces/{uuid:pk}/deletion"
_PLAIN = "text/plain"


@router.get(
    f"{_PATH}/receipt",
    response={200: ReceiptShape, 404: ProblemDocument, 422: ProblemDocument},
    openapi_extra={"responses": {200: {"content": {_PLAIN: {"schema": {"type": "string"}}}}}},
)
def receipt(request: HttpRequest, pk: UUID, format: Literal["json", "text"] | None = None) -> Any:
    """What was removed, kept and left over, by the providers' own listing. As text with `format=text`, or for somebody
    who accepts text/plain rather than JSON. 404 no_receipt: it is not deleted.
    """
    workspace = get_workspace(request, pk)
    found = Deletion.objects.filter(workspace=workspace, receipt__isnull=False).first()
    if found is None or found.receipt is None:
        raise Problem(404, "no_receipt", f"{workspace} has no receipt: it is not deleted.")
    if format == "text" or (format is None and _prefers_text(request)):
        return HttpResponse(as_text(found.receipt, workspace.name), content_type=f"{_PLAIN}; charset=utf-8")
    return found.receipt


def _prefers_text(request: HttpRequest) -> bool:
    return request.get_preferred_type(["application/json", _PLAIN]) == _PLAIN


@router.get(f"{_PATH}/forget", response={200: ForgetShape, **dict.fromkeys((403, 404, 409), ProblemDocument)})
def what_would_stay(request: HttpRequest, pk: UUID) -> dict[str, Any]:
    """What would stay behind, unseen, if the workspace were forgotten now. 409 where its deletion has not failed."""
    found = newest(get_workspace(request, pk, need=NEED))
    if found.state != "running" or found.operation is None or found.operation.is_open:
        said = "A workspace can be forgotten once its deletion has failed or was stopped."
        raise refused(Refused("not_failed", said, {"state": found.state}))
    stays, kept = forgetting.forget_preview(found), found.agreed.kept
    return {
        "stays": [item.document() for item in stays],
        "kept": [item.document() for item in kept],
        "goes_on_costing": [cost.document() for cost in sums([*stays, *kept])],
    }


@router.post(f"{_PATH}/forget", response={200: ReceiptShape, **dict.fromkeys((403, 404, 409, 422), ProblemDocument)})
def forget(request: HttpRequest, pk: UUID, body: ForgetBody) -> dict[str, Any]:
    """Give up what a failed or stopped deletion has not removed: nothing is asked, it stays behind and goes on costing.

    The answer is the receipt. 409: wrong_name, no_reason, not_failed.
    """
    workspace = get_workspace(request, pk, need=NEED)
    require_recent_sign_in(request)
    found, reason = newest(workspace), body.reason.strip()
    if refusal := forgetting.forget(found, confirm_name=body.confirm_name, reason=reason, actor=actor(request)):
        raise refused(refusal)
    found.refresh_from_db()
    assert found.receipt is not None
    document: dict[str, Any] = found.receipt
    return document
