"""Moves of a workspace between projects of one organization, each with what was predicted for it.

What a move would change is `transfer_preview.py`, whether it came true `transfer_proof.py`.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, models, transaction
from django.utils import timezone

from workspaces.models.audit import Actor
from workspaces.models.event import Event
from workspaces.models.tenancy import Caller, Project
from workspaces.models.transfer_preview import Preview, preview
from workspaces.models.workspace import Workspace
from workspaces.rules import permissions
from workspaces.rules.refusal import Refused


class Transfer(models.Model):
    """One move. `prediction` is what the preview said at that moment, to be compared with what is true afterwards."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, models.PROTECT, related_name="transfers")
    source = models.ForeignKey(Project, models.PROTECT, related_name="transfers_out")
    destination = models.ForeignKey(Project, models.PROTECT, related_name="transfers_in")
    moved_by = models.CharField(max_length=150)
    moved_by_id = models.UUIDField(null=True, blank=True)
    moved_at = models.DateTimeField(default=timezone.now)
    prediction = models.JSONField(default=dict)

    class Meta:
        ordering = ("-moved_at",)

    def __str__(self) -> str:
        return f"{self.workspace}: {self.source} to {self.destination}"


@dataclass(frozen=True, slots=True)
class Destination:
    """A project that a workspace could go to; `closed` says why the caller cannot move it there."""

    project: Project
    closed: str


def find_destination(workspace: Workspace, caller: Caller, pk: uuid.UUID) -> Project | None:
    """The project of that id, if it is of the workspace's organization and the caller sees it.

    Raises PermissionDenied with a sentence when the caller sees it but may not bring workspaces into it.
    """
    siblings = Project.objects.filter(organization=workspace.project.organization_id)
    project = siblings.allowing(caller).select_related("organization").filter(pk=pk).first()
    if project is not None:
        _require(caller, "workspace.receive", project)
    return project


def may_move_back(workspace: Workspace, destination: Project, caller: Caller) -> bool:
    """Whether the caller, who may move it to `destination`, could also undo that."""
    return caller.allows("workspace.transfer", destination) and caller.allows("workspace.receive", workspace.project)


def destinations(workspace: Workspace, caller: Caller) -> list[Destination]:
    """The other projects of the organization that the caller sees, by name (two queries)."""
    siblings = Project.objects.filter(organization=workspace.project.organization_id).exclude(pk=workspace.project_id)
    receiving = set(siblings.allowing(caller, "workspace.receive").values_list("pk", flat=True))
    return [
        Destination(project, "" if project.pk in receiving else _missing("workspace.receive", project))
        for project in siblings.allowing(caller).select_related("organization").order_by("name")
    ]


def move(
    workspace: Workspace,
    destination: Project,
    *,
    by: Actor,
    caller: Caller | None,
    expected_fingerprint: str | None = None,
) -> Transfer | Refused:
    """Move it, or say why not: the codes of `rules/transfer.py`, and preview_changed.

    `caller` needs workspace.transfer on the project that it is in and workspace.receive on the destination (else
    PermissionDenied); a command has no caller. `workspace` is as it was read, with its project: when that has changed
    since, or the preview is not the one of `expected_fingerprint`, nothing is moved. It is left with its new project.
    """
    try:
        with transaction.atomic():
            # Alone: a join would lose the row when the move that it waits for has changed its project.
            locked = Workspace.objects.select_for_update().get(pk=workspace.pk)
            if locked.project_id != workspace.project_id:
                return Refused("preview_changed", "It has left this project meanwhile. Nothing was moved.")
            if caller:
                _require(caller, "workspace.transfer", locked.project)
                _require(caller, "workspace.receive", destination)
            seen = preview(locked, destination, timezone.now())
            if seen.refused:
                return seen.refused
            if expected_fingerprint not in (None, seen.fingerprint):
                return Refused("preview_changed", "What the move changes is not what was shown. Nothing was moved.")
            transfer = _carry_out(seen, by)
    except IntegrityError as error:
        # Another workspace of that name arrived since it was looked for.
        if "workspace_name_once_per_project" not in str(error):
            raise
        message = f"{destination} has a workspace named {workspace.name} already, and a project holds a name once."
        return Refused("name_taken", message)
    workspace.project = destination
    return transfer


def _carry_out(seen: Preview, by: Actor) -> Transfer:
    """Write the new project, the prediction, and an act for the readers of either project."""
    workspace, source, destination = seen.workspace, seen.source, seen.destination
    Workspace.objects.filter(pk=workspace.pk).update(project=destination)
    workspace.project = destination
    transfer = Transfer.objects.create(
        workspace=workspace,
        source=source,
        destination=destination,
        moved_by=by.name,
        moved_by_id=by.account_id,
        moved_at=seen.at,
        prediction=seen.document(),
    )
    summary = f"Moved {workspace} from {source} to {destination}"
    changes = {"project": [str(source.pk), str(destination.pk)], "transfer": str(transfer.pk)}
    Event.record(by, "workspace.transferred", workspace=workspace, summary=summary, changes=changes)
    # Readers of the old project alone see the workspace no more, so this act names only the project.
    Event.record(by, "workspace.moved_away", project=source, summary=f"{summary}, out of this project", changes=changes)
    return transfer


def _require(caller: Caller, key: str, project: Project) -> None:
    if not caller.allows(key, project):
        raise PermissionDenied(_missing(key, project))


def _missing(key: str, project: Project) -> str:
    roles = " or ".join(role for role in permissions.ROLES if role in permissions.roles_with(key))
    return f"{permissions.PERMISSIONS[key].sentence}: only as {roles} of {project}."
