"""Who did what, when: written in the transaction of the change itself, and never changed afterwards.

Two kinds of line share the table. An *act* is a sentence of ours (`Event.record`). A *row change* is written by a
trigger of the database for every insert, update and delete of a watched table (migration 0004), and names its `table`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from workspaces.models import audit
from workspaces.models.audit import Actor

if TYPE_CHECKING:
    from workspaces.models.operation import Operation
    from workspaces.models.tenancy import Caller, Organization, Project
    from workspaces.models.workspace import Workspace


class EventQuerySet(models.QuerySet["Event"]):
    """Events by who may read them and how they are told."""

    def acts(self) -> EventQuerySet:
        """Sentences only."""
        return self.filter(table="")

    def row_changes(self) -> EventQuerySet:
        """What the triggers wrote."""
        return self.exclude(table="")

    def told(self) -> EventQuerySet:
        """Acts, and those row changes that no act of the same request speaks for."""
        spoken_for = Event.objects.filter(table="", request_id=OuterRef("request_id"))
        return self.filter(Q(table="") | Q(request_id=None) | ~Exists(spoken_for))

    def readable(self, caller: Caller) -> EventQuerySet:
        """What the caller may read: of a workspace with its project, of an organization as a whole, else root only."""
        from workspaces.models.tenancy import Organization, Project
        from workspaces.models.workspace import Workspace

        if caller.is_superuser:
            return self
        projects = Project.objects.allowing(caller, "audit.view").values("pk")
        return self.filter(
            Q(organization_id__in=Organization.objects.allowing(caller, "audit.view").values("pk"))
            | Q(workspace_id__in=Workspace.objects.filter(project__in=projects).values("pk"))
            | Q(workspace_id=None, project_id__in=projects)
        )


class Event(models.Model):
    """One line of the audit trail. Append-only: the database refuses UPDATE and DELETE (migration 0002)."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor_kind = models.CharField(max_length=10)
    actor_name = models.CharField(max_length=150)
    actor_id = models.UUIDField(null=True, blank=True)
    action = models.CharField(max_length=60)
    # Plain ids, not foreign keys: the trail outlives what it speaks of.
    organization_id = models.UUIDField(null=True, blank=True)
    project_id = models.UUIDField(null=True, blank=True)
    workspace_id = models.UUIDField(null=True, blank=True)
    operation_id = models.UUIDField(null=True, blank=True)
    request_id = models.UUIDField(null=True, blank=True, help_text="The request, job or command it happened in.")
    table = models.CharField(max_length=63, blank=True, default="", db_default="")
    row_id = models.CharField(max_length=40, blank=True, default="", db_default="")
    summary = models.TextField()
    changes = models.JSONField(default=dict, blank=True)
    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        indexes = [
            models.Index(fields=["workspace_id", "-id"], name="event_by_workspace"),
            models.Index(fields=["organization_id", "-id"], name="event_by_organization"),
            models.Index(fields=["request_id"], name="event_act_by_request", condition=Q(table="")),
            models.Index(fields=["request_id"], name="event_row_by_request", condition=~Q(table="")),
        ]

    def __str__(self) -> str:
        return f"{self.actor_name}: {self.summary}"

    @classmethod
    def record(
        cls,
        actor: Actor,
        action: str,
        *,
        summary: str,
        workspace: Workspace | None = None,
        operation: Operation | None = None,
        project: Project | None = None,
        organization: Organization | None = None,
        changes: dict[str, Any] | None = None,
    ) -> Event:
        """Append one act; call it inside the transaction that makes the change. The narrowest place is enough."""
        now = audit.current()
        project = workspace.project if workspace else project
        return cls.objects.create(
            actor_kind=actor.kind,
            actor_name=actor.name,
            actor_id=actor.account_id,
            action=action,
            organization_id=project.organization_id if project else organization.pk if organization else None,
            project_id=project.pk if project else None,
            workspace_id=workspace.pk if workspace else None,
            operation_id=operation.pk if operation else None,
            request_id=now.request_id if now else None,
            summary=summary,
            changes=changes or {},
        )
